"""When the letters will be out, and which deadline will be missed."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings
from pytest_django.fixtures import DjangoAssertNumQueries

from incidents.admin.pace import ways
from incidents.audit.log import database_now
from incidents.dispatch import limits, pacing
from incidents.dispatch.ahead import Way, end_of
from incidents.dispatch.campaign import pause, resume
from incidents.dispatch.channels.contract import Answer, SendErrorKind
from incidents.dispatch.forecast import forecast
from incidents.dispatch.letters_left import LEFT
from incidents.dispatch.measured import ASSUMED_RATE, measure
from incidents.dispatch.owner import Owner
from incidents.dispatch.pace_shown import LimitRefused, Pace, close_breaker, domains_aside, pace_of
from incidents.models import Attempt, AuditEvent, Campaign, Chunk, Cohort, Incident, Message, Obligation, ProviderLimit
from incidents.people.amending import open_amendment
from notifier.drill import Progress
from notifier.rates import Limit, domain_limits, provider_limits
from notifier.rehearsal import Watch, _forecast_error
from tests.dispatch.campaigns import taken

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
UNREACHED = Answer(error=SendErrorKind.NOT_SENT, detail="connection refused", unreached=True)


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    pacing.forget()


@pytest.fixture
def limited(settings: Settings) -> Any:
    """Set limits of the inbox, which these campaigns send by, as the environment would."""

    def set_(rates: str = "", *, warm_up: str = "") -> None:
        settings.PROVIDER_LIMITS = provider_limits(rates=rates, warm_up=warm_up)
        settings.DOMAIN_LIMITS = domain_limits(rates="")

    return set_


def pace(limit: Limit, *, at: datetime = NOON, name: str = "smtp", **row: Any) -> Pace:
    made = ProviderLimit(provider=name, **{"day": at.date(), "refilled_at": at, **row})
    return Pace(name, at, limit, made)


def due(campaign: Campaign, *hours: float | None) -> list[datetime | None]:
    """Give the campaign's messages these deadlines, in hours from now, in turn; returns the moments."""
    moments = [None if h is None else datetime.now(UTC) + timedelta(hours=h) for h in hours]
    for at, message in enumerate(campaign.messages.order_by("id")):
        Message.objects.filter(pk=message.pk).update(due_at=moments[at % len(moments)])
    return moments


def sent(campaign: Campaign, *, letters: int, seconds_ago: float, confirmed: int | None = None) -> None:
    """An open piece of work that has answered so many letters since it was claimed."""
    claimed = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    Chunk.objects.create(
        campaign=campaign, message_ids=[0] * letters, state="claimed", token=1, owner_lock=1, lease_until=claimed + HOUR,
        confirmed=letters if confirmed is None else confirmed, provider="inbox", claimed_at=claimed,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "row", "letters", "per_second", "ends"),
    [
        (Limit(), {}, 3600, 1.0, NOON + HOUR),
        (Limit(), {}, 3600, None, NOON),
        (Limit(per_day=1000), {"sent_today": 400}, 600, 1.0, NOON + timedelta(seconds=600)),
        (Limit(per_day=1000), {"sent_today": 400}, 601, 1.0, datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=1)),
        (Limit(per_day=1000), {"sent_today": 1000}, 2500, None, datetime(2026, 11, 25, tzinfo=UTC)),
        (Limit(per_day=1000, warm_up=(10, 20, 30)), {"warm_since": NOON.date()}, 1060, None, datetime(2026, 11, 25, tzinfo=UTC)),
        (Limit(per_day=1), {}, 500, None, None),
        (Limit(), {"breaker": "open", "open_until": NOON + HOUR}, 3600, 1.0, NOON + 2 * HOUR),
        (Limit(), {}, 43_200 + 3600, 1.0, datetime(2026, 11, 23, 1, tzinfo=UTC)),
    ],
    ids=["rate", "no limit", "within today", "one over today", "days of quota", "warm-up", "never", "breaker open", "over midnight"],
)  # fmt: skip
def test_the_end_follows_rate_and_quota_day_by_day(
    limit: Limit, row: dict[str, Any], letters: int, per_second: float | None, ends: datetime | None
) -> None:
    found = end_of(letters=letters, ways=[Way(pace(limit, **row), per_second)])
    assert found.at == ends


MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
SHUT = {"breaker": "open", "open_until": NOON + HOUR}
ASKED = {"open_until": NOON + HOUR, "reason": "it asked us to wait for 60 min"}


@pytest.mark.parametrize(("first", "second", "letters", "ends", "by"), [
    ((Limit(per_day=100), {"sent_today": 100}, 1.0), (Limit(), {}, 1.0), 600, NOON + timedelta(seconds=600), ["b"]),
    ((Limit(per_day=100), {}, 1.0), (Limit(), {}, 2.0), 300, NOON + timedelta(seconds=200), ["a", "b"]),
    ((Limit(), SHUT, 10.0), (Limit(), {}, 1.0), 3600 + 100, NOON + HOUR + timedelta(seconds=10), ["b", "a"]),
    ((Limit(), ASKED, 10.0), (Limit(), {}, 1.0), 3600 + 100, NOON + HOUR + timedelta(seconds=10), ["b", "a"]),
    ((Limit(), {"open_until": NOON + timedelta(seconds=8)}, 1.0), (Limit(), {}, 1.0), 2, NOON + timedelta(seconds=10), ["a"]),
    ((Limit(per_day=100), {}, None), (Limit(per_day=50), {}, None), 250, MIDNIGHT, ["a", "b"]),
    ((Limit(), SHUT, 1.0), (Limit(), {**SHUT, "open_until": NOON + 2 * HOUR}, 1.0), 60, NOON + HOUR + timedelta(seconds=60), ["a"]),
], ids=["used up", "used up on the way", "shut", "asked us to wait", "a wait of seconds", "both used up", "both shut"])  # fmt: skip
def test_the_end_follows_the_second_provider_where_dispatch_takes_it(
    first: Any, second: Any, letters: int, ends: datetime, by: list[str]
) -> None:
    ways = [Way(pace(limit, name=name, **row), rate) for name, (limit, row, rate) in zip("ab", (first, second), strict=True)]
    found = end_of(letters=letters, ways=ways)
    assert (found.at, [one.provider for one in found.by]) == (ends, by)


def test_a_used_up_quota_with_a_second_provider_misses_no_deadline_and_says_who_carries_on(
    released: Campaign, limited: Any, settings: Settings
) -> None:
    limited("inbox 2/day; second 1000/day")
    assert pacing.grant(provider="inbox", wanted=5).number == 2
    due(released, 2 / 60)
    alone = forecast(campaign=released)
    assert alone.deadlines[0].warning and "even at all that inbox may be given" in alone.deadlines[0].warning
    settings.MAIL_FALLBACK = "inbox:?name=second"
    found = forecast(campaign=released)
    assert pacing.choose(providers=["inbox", "second"]) == "second"
    assert found.deadlines[0].missed_by_allowed is None and "even at all" not in found.deadlines[0].warning
    assert "when it is used up or fails: second may be given any rate, 1,000 letters left today" in found.allowed_in_words
    assert found.allowed_in_words.endswith("now letters go by second") and found.to_json()["goes_by"] == "second"
    (line,) = (line for line in found.warnings if "quota" in line)
    assert line.startswith("Today's quota of inbox is used up") and line.endswith("Letters go by second until then.")


def test_letters_are_not_said_to_go_by_a_provider_that_refused_us_and_is_about_to_be_asked_again(
    released: Campaign, settings: Settings
) -> None:
    settings.MAIL_FALLBACK, now = "inbox:?name=second", database_now()
    waits = {"open_until": now + HOUR, "reason": "it asked us to wait for 60 min"}
    refused = {"breaker": "open", "open_until": now - timedelta(seconds=1), "reason": f"{limits.REFUSES}second: 401"}
    for name, row in (("inbox", waits), ("second", refused)):
        ProviderLimit.objects.update_or_create(provider=name, scope="", defaults=row)
    found = forecast(campaign=released)
    assert found.to_json()["goes_by"] == "" and "letters go by second" not in found.allowed_in_words
    said = [line for line in found.warnings if "deadline" not in line]
    assert said[0].startswith("inbox asked us to wait until") and said[0].endswith("UTC.")
    assert said[1].startswith("second is asked again with one letter") and "401" in said[1]


def test_letters_left_are_counted_by_deadline_the_earliest_first_and_without_one_last(released: Campaign) -> None:
    late, none, soon = due(released, 48, None, 5)
    found = forecast(campaign=released)
    assert [(one.due_at, one.letters, one.before) for one in found.deadlines] == [(soon, 1, 0), (late, 1, 1), (none, 1, 2)]
    assert found.letters_left == 3 == released.people


def cohorts_of(campaign: Campaign) -> dict[str, Cohort]:
    """The cohorts of Claire (FR), Carl (US-CA) and Yuki (JP), by residence."""
    return {one.residence: one for one in Cohort.objects.filter(incident=campaign.incident, count__gt=0)}


def test_a_deadline_names_the_laws_whose_earliest_it_is_for_the_people_whom_they_cover(released: Campaign) -> None:
    soon, late = datetime.now(UTC) + HOUR, datetime.now(UTC) + 9 * HOUR
    france, japan = (cohorts_of(released)[place] for place in ("FR", "JP"))
    for cohort, jurisdiction, due_at in ((france, "FR", soon), (france, "EU", late), (japan, "JP", soon), (japan, "ZZ", None)):
        law(released, cohort, jurisdiction, due_at)
    Message.objects.filter(campaign=released).update(due_at=soon)
    lines = forecast(campaign=released).deadlines
    assert sorted((one.name, one.letters) for one in lines) == [("FR", 1), ("JP", 1), ("no law on record", 1)]


def test_a_law_that_sets_our_target_is_not_given_the_letters_of_people_whom_no_law_covers(released: Campaign) -> None:
    target = datetime.now(UTC) + 9 * HOUR
    law(released, cohorts_of(released)["JP"], "JP", None, internal_target_at=target)
    Message.objects.filter(campaign=released).update(due_at=None)
    found = forecast(campaign=released)
    japan, others = found.deadlines
    assert (japan.name, japan.ours_at, japan.letters) == ("JP", target, 1)
    assert (others.name, others.ours_at, others.letters) == ("under no dated law", None, 2)
    assert found.letters_left == 3 and found.lines()[2].startswith("under no dated law: 2 letters left")
    assert [one["letters"] for one in found.to_json()["deadlines"]] == [1, 2]


def test_the_last_letter_of_a_law_waits_for_those_of_others_that_stand_before_it(released: Campaign, limited: Any) -> None:
    limited("inbox 1/min")
    first, _, last = [message.entry.cohort for message in released.messages.order_by("id").select_related("entry__cohort")]
    law(released, first, "AA", None, internal_target_at=NOON)
    law(released, last, "BB", None, internal_target_at=NOON)
    Message.objects.filter(campaign=released).update(due_at=None)
    found = {one.name: one for one in forecast(campaign=released).deadlines}
    assert (found["AA"].before, found["BB"].before) == (0, 2)
    ends = [found[name].ends_at_allowed for name in ("AA", "under no dated law", "BB")]
    assert ends == sorted(filter(None, ends)) and len(set(ends)) == 3


def test_no_end_is_named_that_has_passed_or_that_a_letter_put_off_cannot_keep(released: Campaign) -> None:
    due(released, 48)
    sent(released, letters=200, seconds_ago=10)
    now = forecast(campaign=released)
    (only,) = now.deadlines
    told = re.search(r"out by (.+?) UTC", only.line(now=now.as_of))
    assert told is not None and datetime.strptime(f"{told[1]} +0000", "%a %d %b %Y, %H:%M %z") >= now.as_of
    again = database_now() + timedelta(hours=2)
    Message.objects.filter(pk=Message.objects.earliest("id").pk).update(not_before=again)
    (only,) = forecast(campaign=released).deadlines
    assert only.ends_at == again, "a letter that is tried again in two hours is not out before"


def law(campaign: Campaign, cohort: Cohort, jurisdiction: str, due_at: datetime | None, **more: Any) -> Obligation:
    """A duty towards the people of a cohort; those that the law pack found there do not count any more."""
    Obligation.objects.filter(incident=campaign.incident).exclude(regime="of the test").update(owed="no")
    return Obligation.objects.create(
        incident=campaign.incident, cohort=cohort, jurisdiction=jurisdiction, addressee="person", regime="of the test",
        owed="yes", due_at=due_at, duty={}, facts=campaign.facts, **more,
    )  # fmt: skip


def test_our_own_target_is_shown_as_ours_and_never_as_the_laws_and_never_warned_of(released: Campaign) -> None:
    cohort = Cohort.objects.filter(incident=released.incident, count__gt=0).first()
    assert cohort is not None
    passed = datetime.now(UTC) - HOUR
    law(released, cohort, "FR", None, internal_target_at=passed)
    Message.objects.filter(campaign=released).update(due_at=None)
    found = forecast(campaign=released)
    only, _ = found.deadlines
    assert (only.due_at, only.ours_at, only.laws, only.warning) == (None, passed, ("FR",), "")
    assert only.to_json()["due_at"] == "" and only.missed_by is None and not found.warnings
    assert "no date in the law; our own target" in found.lines()[1]


def test_a_law_that_was_superseded_since_the_freeze_still_names_its_deadline(released: Campaign) -> None:
    cohort = Cohort.objects.filter(incident=released.incident, count__gt=0).first()
    assert cohort is not None
    then, now = datetime.now(UTC) + HOUR, datetime.now(UTC) + 2 * HOUR
    law(released, cohort, "FR", then, superseded=True)
    law(released, cohort, "DE", now)
    Message.objects.filter(campaign=released).update(due_at=then)
    assert {one.laws for one in forecast(campaign=released).deadlines} == {("FR",), ()}


def test_the_rate_is_what_left_in_the_last_minutes(released: Campaign) -> None:
    assert measure(campaign=released).per_second == 0
    sent(released, letters=200, seconds_ago=100)
    sent(released, letters=200, seconds_ago=50, confirmed=100)
    found = measure(campaign=released)
    assert found.letters == 300 and found.per_second == pytest.approx(3, rel=0.05) and found.provider == "inbox"


def test_too_fast_in_the_first_seconds_of_a_campaign_does_not_make_it_crawl(released: Campaign) -> None:
    sent(released, letters=10, seconds_ago=3)
    too_fast = Answer(error=SendErrorKind.NOT_SENT, detail="421", throttled=True)
    for seconds, rate in ((3, ASSUMED_RATE / 2), (20, 0.25)):
        ProviderLimit.objects.all().delete()
        Chunk.objects.update(claimed_at=datetime.now(UTC) - timedelta(seconds=seconds))
        pacing.told(provider="inbox", results=[("", too_fast)])
        assert ProviderLimit.objects.get(provider="inbox").rate == pytest.approx(rate, rel=0.1)


def test_a_drill_holds_its_forecast_against_the_first_tries_whenever_doubts_end(released: Campaign) -> None:
    sent(released, letters=1, seconds_ago=60)
    letter, chunk, released_at = Message.objects.filter(campaign=released).first(), Chunk.objects.get(), datetime.now(UTC)
    for number, seconds in ((1, 100), (2, 1000)):
        answered = released_at + timedelta(seconds=seconds)
        Attempt.objects.create(
            message=letter, number=number, chunk=chunk, outcome="accepted", provider="inbox", answered_at=answered
        )
    watch = Watch(Progress(io.StringIO()), "", 0, released, released_at, released_at + timedelta(seconds=110))
    assert _forecast_error(watch) == 10.0


def test_a_drill_of_two_waves_holds_the_forecast_of_the_first_against_the_first(released: Campaign, officer: User) -> None:
    sent(released, letters=200, seconds_ago=50, confirmed=100)
    watch = Watch(Progress(io.StringIO()), released.incident.reference)
    watch("send the letters", 100, 200)
    told = (watch.foretold, watch.foretold_at, watch.foretold_end)
    assert told[0] == released
    second = Campaign.objects.get(pk=released.pk)
    second.pk, second.reference = None, f"{released.incident.reference}-c2"
    second.amendment = open_amendment(incident=released.incident, reason="more", aware_at=datetime.now(UTC), author=officer)
    second.save()
    watch("send the letters", 50, 100)
    assert (watch.foretold, watch.foretold_at, watch.foretold_end) == told


def test_work_that_ended_long_ago_says_nothing_of_the_rate(released: Campaign) -> None:
    sent(released, letters=200, seconds_ago=900)
    Chunk.objects.update(state="done", ended_at=datetime.now(UTC) - timedelta(minutes=6))
    assert measure(campaign=released).per_second == 0 and "nothing was handed over" in forecast(campaign=released).lines()[0]


def test_a_deadline_that_will_be_missed_is_warned_of_with_by_how_much(released: Campaign, limited: Any) -> None:
    limited("inbox 1/s")
    due(released, 0.01)  # 36 s
    sent(released, letters=2, seconds_ago=120)  # one a minute: three letters take three minutes
    found = forecast(campaign=released)
    (only,) = found.deadlines
    assert only.missed_by is not None and 120 < only.missed_by.total_seconds() < 160 and only.missed_by_allowed is None
    assert found.warnings == (only.warning,) and "will be missed by 2 min at the rate of the last minutes" in only.warning


def test_a_deadline_that_the_quota_cannot_keep_is_warned_of_before_anything_is_sent(frozen: Campaign, limited: Any) -> None:
    limited("inbox 1000/s 1/day")
    due(frozen, 2)
    (only,) = forecast(campaign=frozen).deadlines
    assert only.letters == 3 and only.missed_by_allowed is not None and only.ends_at is None
    assert "even at all that inbox may be given" in only.warning and "Raise the limit" in only.warning


def test_a_deadline_that_passed_a_pause_and_a_standstill_are_told_in_words(released: Campaign) -> None:
    due(released, -3)
    assert "passed 3 h 0 min ago; 3 letters have not left" in forecast(campaign=released).warnings[0]
    due(released, 0.1)
    assert "nothing left in the last 5 min" in forecast(campaign=released).warnings[0]
    Campaign.objects.update(state="paused")
    released.refresh_from_db()
    assert "runs on while the campaign is paused" in forecast(campaign=released).warnings[0]


def test_no_rate_is_warned_of_in_the_first_minutes_after_a_release_or_a_resume_and_a_true_one_is_later(
    released: Campaign, officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    due(released, 3)
    assert forecast(campaign=released).warnings == (), "released a second ago"
    due(released, 0.2)
    assert "will be missed if this goes on" in forecast(campaign=released).warnings[0], "too near to wait for a rate"
    due(released, 3)
    began = AuditEvent.objects.get(action="release.approved").happened_at
    later = began + timedelta(minutes=3)
    monkeypatch.setattr("incidents.dispatch.pace_shown.database_now", lambda: later)
    assert "will be missed if this goes on" in forecast(campaign=released).warnings[0]
    Campaign.objects.update(canary="waiting")
    released.refresh_from_db()
    assert forecast(campaign=released).warnings == (), "nobody but the staff is written to before the first wave passed"
    Campaign.objects.update(canary="passed")
    monkeypatch.undo()
    pause(campaign=released, author=officer, reason="a call")
    resume(campaign=Campaign.objects.get(pk=released.pk), author=officer, reason="cleared")
    found = forecast(campaign=Campaign.objects.get(pk=released.pk))
    assert found.state == "dispatching" and found.warnings == ()


def test_a_deadline_that_is_kept_is_not_warned_of(released: Campaign) -> None:
    due(released, 48)
    sent(released, letters=200, seconds_ago=10)
    assert forecast(campaign=released).warnings == ()


def test_an_open_breaker_is_told_with_its_reason(released: Campaign) -> None:
    pacing.told(provider="inbox", results=[("", UNREACHED)] * 5)
    found = forecast(campaign=released)
    assert any("inbox is not asked until" in line and "connection refused" in line for line in found.warnings)
    assert found.to_json()["breaker"] == "open" and found.to_json()["blocked_until"]


def test_a_campaign_that_is_over_waits_for_nothing(released: Campaign) -> None:
    due(released, -3)
    Campaign.objects.update(state="stopped")
    released.refresh_from_db()
    found = forecast(campaign=released)
    assert (found.deadlines, found.warnings, found.letters_left) == ((), (), 0) and found.ends_at is None


def test_the_doubt_bound_is_said_in_a_sentence(released: Campaign, settings: Settings) -> None:
    assert "at most 1 letter on each of its connections" in forecast(campaign=released).doubt_sentence
    settings.MARKER_FLUSH = 40
    assert (
        "the database server crashes and its worker with it, at most 40 letters on each"
        in forecast(campaign=released).lines()[-1]
    )
    assert forecast(campaign=released).to_json()["doubt_bound_per_connection_when_the_database_crashes"] == 40
    settings.MARKER_STEP, settings.LANES = 10, 1
    assert "at most 10 letters" in forecast(campaign=released).doubt_sentence
    assert "up to 1 connection)" in forecast(campaign=released).doubt_sentence


def test_the_forecast_is_json_and_lines_without_anybody(released: Campaign) -> None:
    due(released, 5, None)
    sent(released, letters=60, seconds_ago=60)
    found = forecast(campaign=released)
    text = json.dumps(found.to_json()) + "\n".join(found.lines())
    assert json.loads(json.dumps(found.to_json()))["letters_left"] == 3
    assert not any(word in text.lower() for word in ("claire", "carl", "yuki", "example.org", "c1"))


def test_no_number_of_people_makes_more_statements_and_the_count_is_one_of_an_index(
    released: Campaign, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    due(released, 5, 6, None)
    with django_assert_num_queries(8):
        forecast(campaign=released)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + LEFT, [released.pk])
        assert "message_ready" in "\n".join(row[0] for row in cursor.fetchall())


def test_a_person_closes_a_breaker_with_a_reason_that_is_logged(released: Campaign, officer: User) -> None:
    pacing.told(provider="smtp", results=[("", UNREACHED)] * 5)
    row = ProviderLimit.objects.get()
    with pytest.raises(LimitRefused, match="reason"):
        close_breaker(limit_id=row.pk, incident=released.incident, author=officer, reason="  ")
    assert pacing.grant(provider="smtp", wanted=5).number == 0
    close_breaker(limit_id=row.pk, incident=released.incident, author=officer, reason="the relay is back")
    assert pacing.grant(provider="smtp", wanted=5).number == 5
    entry = AuditEvent.objects.filter(line__contains="breaker.closed").get()
    assert all(word in entry.line for word in ("the relay is back", "connection refused", "officer", "smtp"))
    with pytest.raises(LimitRefused, match="closed already"):
        close_breaker(limit_id=row.pk, incident=released.incident, author=officer, reason="again")


def test_closing_by_hand_ends_a_wait_and_lifts_a_lowered_rate_but_no_quota(
    incident: Incident, officer: User, limited: Any
) -> None:
    limited("smtp 100/s 3/day")
    assert pacing.grant(provider="smtp", wanted=2).number == 2
    throttled = Answer(error=SendErrorKind.NOT_SENT, detail="429", throttled=True, retry_after=3000)
    pacing.told(provider="smtp", results=[("", throttled)])
    before = pace_of(provider="smtp")
    assert (before.breaker, before.per_second, before.is_lowered, before.left_today) == (
        "paused",
        pytest.approx(50, rel=0.01),
        True,
        1,
    )
    close_breaker(limit_id=ProviderLimit.objects.get().pk, incident=incident, author=officer, reason="cleared by telephone")
    after = pace_of(provider="smtp")
    assert (after.breaker, after.per_second, after.is_lowered, after.left_today) == ("closed", 100, False, 1)


def test_a_used_up_quota_is_a_warning_that_says_when_it_goes_on(released: Campaign, limited: Any) -> None:
    limited("inbox 2/day")
    assert not any("quota" in line for line in forecast(campaign=released).warnings)
    assert pacing.grant(provider="inbox", wanted=5).number == 2
    now = forecast(campaign=released)
    (line,) = (line for line in now.warnings if "quota" in line)
    assert line.startswith("Today's quota of inbox is used up: it is given nothing before") and "00:00 UTC" in line
    (way,) = ways(campaign=released)
    assert way.says == "today's quota is used up" and way.until is not None and way.limit_id is None


def test_a_quota_that_connections_hold_is_not_called_used_up(five: Campaign, limited: Any) -> None:
    limited("inbox 3/day")
    assert pacing.grant(provider="inbox", wanted=5).number == 3
    with Owner() as owner:
        taken(five, owner, provider="inbox", size=3)
        (line,) = (line for line in forecast(campaign=five).warnings if "quota" in line)
        assert "is taken: the last 3 letters of it are with its connections and not out yet" in line and "used up" not in line
        assert "0 letters left today and 3 letters with its connections" in forecast(campaign=five).allowed_in_words
        (way,) = ways(campaign=five)
        assert way.says == "today's quota is taken; 3 letters of it not out yet"


def test_a_quota_that_the_provider_says_is_used_up_is_shown_with_its_words_and_can_be_lifted(released: Campaign) -> None:
    spent = Answer(error=SendErrorKind.NOT_SENT, detail="our quota is used up (429, monthly_quota_exceeded)", spent=True)
    pacing.told(provider="inbox", results=[("", spent)])
    (line,) = (line for line in forecast(campaign=released).warnings if "quota" in line)
    assert line.startswith("inbox is not asked until") and "00:00 UTC" in line and "monthly_quota_exceeded" in line
    (way,) = ways(campaign=released)
    assert way.says == "today's quota is used up" and "monthly_quota_exceeded" in way.reason and way.limit_id is not None


def test_a_domain_that_was_put_aside_is_listed_under_its_key_and_taken_back(incident: Incident, officer: User) -> None:
    refused = Answer(error=SendErrorKind.REFUSED, detail="550")
    pacing.told(provider="smtp", results=[("d" * 16, refused)] * 20)
    (aside,) = domains_aside(providers=["smtp", "ses"])
    assert (aside.key, aside.breaker) == ("d" * 16, "open") and "20 letters to this domain failed running" in aside.reason
    close_breaker(limit_id=aside.id, incident=incident, author=officer, reason="their MX is back")
    assert pacing.grant(provider="smtp", wanted=5).avoid == () and not domains_aside(providers=["smtp"])


def test_check_campaign_says_who_waits_for_a_domain_put_aside_and_why_it_is_paused(
    released: Campaign, officer: User, capsys: pytest.CaptureFixture[str]
) -> None:
    key = released.messages.values_list("domain_key", flat=True)[0]
    waiting = released.messages.filter(domain_key=key, state="ready").count()
    pacing.told(provider="inbox", results=[(key, Answer(error=SendErrorKind.REFUSED, detail="550"))] * 20)
    pause(campaign=released, author=officer, reason="we look at the relay")
    call_command("check_campaign", released.reference)
    said = capsys.readouterr().out
    assert f"warning: {waiting} letter" in said and "for 1 domain put aside, the first until" in said
    assert "paused: we look at the relay; to go on: resume" in said


def test_looking_at_the_pace_changes_nothing(incident: Incident, limited: Any) -> None:
    limited("smtp 5/s 10/day", warm_up="smtp 3 5")
    found = pace_of(provider="smtp")
    assert (found.left_today, found.is_warming_up, found.quota_of(day=found.as_of.date() + timedelta(days=1))) == (3, True, 5)
    assert found.quota_of(day=date(2999, 1, 1)) == 10 and not ProviderLimit.objects.exists()
