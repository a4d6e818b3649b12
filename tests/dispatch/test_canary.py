"""The first wave: exactly one real letter for everyone of the staff, and nothing for anybody else before it passed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F
from pytest_django import Settings

from incidents.audit.actions import Action
from incidents.audit.log import database_now
from incidents.dispatch import canary, pacing
from incidents.dispatch.alarms import alarms_of
from incidents.dispatch.campaign import CampaignRefused, release, resume, stop
from incidents.dispatch.canary import CanaryRefused, note_event, retry_wave, step
from incidents.dispatch.channels.contract import Answer, SendError, SendErrorKind
from incidents.dispatch.channels.inbox import InboxProvider, read_inbox_message
from incidents.dispatch.forecast import forecast
from incidents.dispatch.outbox import claim
from incidents.dispatch.owner import Owner
from incidents.dispatch.receive import apply_events, store_events
from incidents.dispatch.staff import StaffRefused, add_staff, opened, remove_staff, staff_of
from incidents.dispatch.work import keep_house, send_due
from incidents.letters.approving import approve_content
from incidents.letters.mail import OutgoingMail
from incidents.models import (
    Attempt,
    AuditEvent,
    Campaign,
    CampaignState,
    CanaryLetter,
    InboxMessage,
    Incident,
    ProviderEvent,
    ProviderLimit,
    StaffRecipient,
)
from incidents.vault import CannotOpen
from notifier.rates import provider_limits
from tests.dispatch.campaigns import Mute, Scripted

ADA, BO = ("Ada Ames", "ada@staff.example.com", "fr"), ("Bo Berg", "bo@staff.example.com", "en")


def officer() -> User:
    return User.objects.get(username="officer")


def entered(*people: tuple[str, str, str], brand: str = "Cartier") -> list[StaffRecipient]:
    return [
        add_staff(brand=brand, name=name, email=email, language=language, reason="call centre lead", author=officer())
        for name, email, language in people
    ]


def let_go(campaign: Campaign) -> Campaign:
    approve_content(campaign=campaign, author=User.objects.get(username="counsel"), reason="read")
    campaign.refresh_from_db()
    return release(campaign=campaign, author=officer(), reason="go")


def go_on(campaign: Campaign, provider: InboxProvider) -> Campaign:
    """One round of housekeeping."""
    campaign = Campaign.objects.select_related("incident").get(pk=campaign.pk)
    step(campaign=campaign, provider=provider)
    campaign.refresh_from_db()
    return campaign


def letter_to(staff: StaffRecipient) -> CanaryLetter:
    return CanaryLetter.objects.filter(staff=staff).order_by("-id")[0]


def log_of(campaign: Campaign, action: Action) -> int:
    return AuditEvent.objects.filter(log__incident=campaign.incident, action=action).count()


def made_old(minutes: int) -> None:
    """As if the first wave had been planned, sent and answered earlier."""
    past = timedelta(minutes=minutes)
    CanaryLetter.objects.update(
        planned_at=F("planned_at") - past, sent_at=F("sent_at") - past, answered_at=F("answered_at") - past
    )


def no_claim(campaign: Campaign) -> bool:
    now = Campaign.objects.select_related("incident").get(pk=campaign.pk)
    with Owner() as owner:
        return not claim(campaign=now, owner=owner, provider="inbox", size=5)


# -- who the staff are -------------------------------------------------------------------------------------------------


def test_a_staff_recipient_is_sealed_and_opens_in_no_other_row(five_frozen: Campaign) -> None:
    ada, bo = entered(ADA, BO)
    assert b"ada@" not in bytes(ada.sealed) and b"Ames" not in bytes(ada.sealed)
    assert opened(staff=ada).email == "ada@staff.example.com"
    StaffRecipient.objects.filter(pk=ada.pk).update(sealed=bo.sealed)
    ada.refresh_from_db()
    with pytest.raises(CannotOpen):
        opened(staff=ada)


def test_entering_and_removing_staff_is_logged_without_name_or_address(five_frozen: Campaign) -> None:
    (ada,) = entered(ADA)
    remove_staff(staff=ada, reason="left the company", author=officer())
    lines = AuditEvent.objects.filter(action__in=[Action.STAFF_ADDED, Action.STAFF_REMOVED]).values_list("line", flat=True)
    assert len(lines) == 2 and "left the company" in lines[1]
    assert not any(word in line for line in lines for word in ("Ada", "Ames", "ada@", "staff.example"))
    ada.refresh_from_db()
    assert bytes(ada.sealed) == b"" and staff_of(brand="Cartier") == []


@pytest.mark.parametrize(
    ("name", "email", "reason"),
    [
        ("Ada", "no address", "why"),
        ("", "a@example.com", "why"),
        ("Ada", "a@example.com", " "),
        ("A" * 201, "a@example.com", "w"),
    ],
)
def test_staff_without_name_address_or_reason_is_refused(five_frozen: Campaign, name: str, email: str, reason: str) -> None:
    with pytest.raises(StaffRefused) as refused:
        add_staff(brand="Cartier", name=name, email=email, language="", reason=reason, author=officer())
    assert "no address" not in str(refused.value).replace("This is no address", "")


def test_the_same_address_is_entered_once_for_a_brand(five_frozen: Campaign) -> None:
    entered(ADA)
    with pytest.raises(StaffRefused, match="already"):
        entered(("Somebody", "ADA@staff.example.com", ""))
    entered(ADA, brand="Chanel")


# -- planning ----------------------------------------------------------------------------------------------------------


def test_everyone_of_the_staff_gets_exactly_one_letter_with_their_own_name_and_code(five_frozen: Campaign) -> None:
    staff = entered(ADA, BO)
    campaign, inbox = let_go(five_frozen), InboxProvider()
    assert campaign.canary == "waiting" and no_claim(campaign)
    for _ in range(3):
        campaign = go_on(campaign, inbox)
    mails = {str(mail["To"]): mail for mail in (read_inbox_message(message=found) for found in InboxMessage.objects.all())}
    assert set(mails) == {"ada@staff.example.com", "bo@staff.example.com"} and InboxMessage.objects.count() == 2
    text = mails["ada@staff.example.com"].get_body(("plain",)).get_content()
    code = letter_to(staff[0]).message_ref[:4].upper()
    assert "Ada Ames" in text and code in text and letter_to(staff[0]).letter.language == "fr"
    assert campaign.canary == "waiting", "nothing is known of their delivery yet"


def test_the_wave_spreads_over_the_letters_before_any_is_seen_twice(five_frozen: Campaign) -> None:
    number = five_frozen.register.exclude(letter=None).values("letter").distinct().count()
    entered(*[(f"Reader {n}", f"reader{n}@staff.example.com", "") for n in range(number + 1)])
    let_go(five_frozen)
    seen = list(CanaryLetter.objects.values_list("letter_id", flat=True))
    assert number > 1 and len(seen) == number + 1 and len(set(seen)) == number


def test_without_staff_there_is_no_wave_and_people_are_written_to_at_once(five_frozen: Campaign) -> None:
    entered(ADA, brand="Chanel")
    campaign = let_go(five_frozen)
    assert campaign.canary == "none" and not CanaryLetter.objects.exists() and not no_claim(campaign)


def test_a_drill_writes_to_none_of_the_real_staff(five_frozen: Campaign) -> None:
    entered(("Real Person", "real.person@cartier.com", "en"))
    assert let_go(five_frozen).canary == "none"


def test_the_database_refuses_a_second_letter_to_the_same_staff(five_frozen: Campaign) -> None:
    entered(ADA)
    let_go(five_frozen)
    again = CanaryLetter.objects.get()
    again.pk, again.message_ref = None, "f" * 32
    with pytest.raises(IntegrityError), transaction.atomic():
        again.save()


# -- passing -----------------------------------------------------------------------------------------------------------


def test_delivered_to_all_the_wave_has_passed_and_people_follow(five_frozen: Campaign) -> None:
    staff = entered(ADA, BO)
    campaign = go_on(let_go(five_frozen), InboxProvider())
    for one in staff:
        assert note_event(message_ref=letter_to(one).message_ref, kind="delivered")
    campaign = go_on(campaign, InboxProvider())
    assert campaign.canary == "passed" and not no_claim(campaign)
    assert log_of(campaign, Action.CANARY_PASSED) == 1 and log_of(campaign, Action.CANARY_SENT) == 4


def test_a_relay_that_tells_nothing_passes_with_its_acceptance(five_frozen: Campaign) -> None:
    entered(ADA)
    campaign = go_on(let_go(five_frozen), Mute())
    assert campaign.canary == "passed"


def test_taken_and_no_bounce_for_the_whole_wait_passes_too(five_frozen: Campaign) -> None:
    entered(ADA)
    campaign = go_on(let_go(five_frozen), InboxProvider())
    made_old(9)
    assert go_on(campaign, InboxProvider()).canary == "waiting"
    made_old(2)
    assert go_on(campaign, InboxProvider()).canary == "passed"


def test_a_delivery_event_may_come_before_our_own_outcome(five_frozen: Campaign) -> None:
    (ada,) = entered(ADA)
    campaign = let_go(five_frozen)

    def early() -> None:
        assert note_event(message_ref=letter_to(ada).message_ref, kind="delivered")

    assert go_on(campaign, Scripted({"ada@staff.example.com": early})).canary == "passed"
    assert letter_to(ada).state == "delivered"


def test_events_about_other_letters_are_not_ours(five_frozen: Campaign) -> None:
    assert not note_event(message_ref="0" * 32, kind="delivered")
    assert not note_event(message_ref=five_frozen.messages.all()[0].message_ref, kind="bounced_hard")


def told_by_their_id(ada: StaffRecipient, kind: str, key: str) -> ProviderEvent:
    """Postmark took Ada's letter, and tells of it by no more than its own id."""
    CanaryLetter.objects.filter(staff=ada).update(provider="first", provider_id="pm-77")
    event = {"event_key": key, "message_ref": "", "kind": kind, "provider_id": "pm-77"}
    store_events(provider="postmark", events=[event])
    apply_events()
    return ProviderEvent.objects.get(event_key=key)


def test_an_event_that_knows_only_the_providers_id_finds_its_letter_of_the_wave(
    five_frozen: Campaign, settings: Settings
) -> None:
    (ada,) = entered(ADA)
    go_on(let_go(five_frozen), InboxProvider())
    settings.MAIL = "postmark:?name=first"
    assert told_by_their_id(ada, "bounced_hard", "k1").effect == "letter of the first wave"
    assert letter_to(ada).state == "failed"


def test_an_event_that_came_before_the_providers_id_was_written_is_looked_at_again(
    five_frozen: Campaign, settings: Settings
) -> None:
    (ada,) = entered(ADA)
    go_on(let_go(five_frozen), InboxProvider())
    settings.MAIL = "postmark:?name=first"
    store_events(provider="postmark", events=[{"event_key": "k0", "kind": "delivered", "provider_id": "pm-77"}])
    apply_events()
    assert ProviderEvent.objects.get().effect == "unknown message"
    told_by_their_id(ada, "accepted", "k1")
    assert letter_to(ada).state == "delivered"


def test_a_letter_to_staff_that_comes_back_after_the_wave_passed_is_named_as_a_warning(five_frozen: Campaign) -> None:
    (ada,) = entered(ADA)
    campaign = go_on(let_go(five_frozen), Mute())
    assert campaign.canary == "passed" and not alarms_of(campaign=campaign)
    note_event(message_ref=letter_to(ada).message_ref, kind="bounced_hard")
    [line] = forecast(campaign=campaign).alarms
    assert (
        line.startswith("1 letter of the first wave came back after it had passed")
        and line in forecast(campaign=campaign).warnings
    )
    campaign.refresh_from_db()
    assert campaign.state == CampaignState.DISPATCHING and "ada" not in line.lower()


def test_a_campaign_that_is_stopped_during_its_first_wave_leaves_nothing_waiting(five_frozen: Campaign) -> None:
    ada, bo = entered(ADA, BO)
    campaign = let_go(five_frozen)
    CanaryLetter.objects.filter(staff=bo).update(state="doubt", sent_at=database_now() - timedelta(hours=1))
    stopped = stop(campaign=campaign, author=officer(), reason="a wrong letter")
    assert stopped.canary == "stopped"
    keep_house()
    assert {letter_to(one).state for one in (ada, bo)} == {"failed"}
    assert "not sent" in letter_to(ada).detail and "nobody knows" in letter_to(bo).detail


def test_a_wave_that_was_left_waiting_by_a_stop_of_earlier_days_is_ended(five_frozen: Campaign) -> None:
    entered(ADA)
    campaign = let_go(five_frozen)
    Campaign.objects.filter(pk=campaign.pk).update(state=CampaignState.STOPPED)
    keep_house()
    campaign.refresh_from_db()
    assert campaign.canary == "stopped"


# -- failing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SendErrorKind.REFUSED, SendErrorKind.ACCOUNT])
def test_a_refused_letter_stops_the_release_before_anybody_else_is_written_to(five_frozen: Campaign, kind: SendErrorKind) -> None:
    entered(ADA, BO)
    failure = SendError(kind=kind, detail="the relay refused the recipient (550)")
    campaign = go_on(let_go(five_frozen), Scripted({"bo@staff.example.com": failure}))
    assert (campaign.state, campaign.canary) == (CampaignState.PAUSED, "failed")
    assert "1 of 2" in campaign.pause_reason and "550" in campaign.pause_reason and "bo@" not in campaign.pause_reason
    assert log_of(campaign, Action.CANARY_FAILED) == 1 and no_claim(campaign)
    with pytest.raises(CampaignRefused, match="first wave"):
        resume(campaign=campaign, author=officer(), reason="go on")


@pytest.mark.parametrize("kind", ["bounced_hard", "bounced_soft", "suppressed"])
def test_a_bounce_fails_the_wave_even_after_a_delivery(five_frozen: Campaign, kind: str) -> None:
    (ada, bo) = entered(ADA, BO)
    campaign = go_on(let_go(five_frozen), InboxProvider())
    note_event(message_ref=letter_to(ada).message_ref, kind="delivered")
    note_event(message_ref=letter_to(bo).message_ref, kind="delivered")
    note_event(message_ref=letter_to(ada).message_ref, kind=kind)
    note_event(message_ref=letter_to(ada).message_ref, kind="delivered")
    campaign = go_on(campaign, InboxProvider())
    assert campaign.canary == "failed" and letter_to(ada).state == "failed"


def test_a_letter_that_is_not_the_planned_one_is_not_sent(five_frozen: Campaign) -> None:
    entered(ADA)
    campaign = let_go(five_frozen)
    CanaryLetter.objects.update(content_sha256="0" * 64)
    campaign = go_on(campaign, InboxProvider())
    assert campaign.canary == "failed" and not InboxMessage.objects.exists() and "planned" in campaign.pause_reason


def test_a_link_in_the_letter_fails_the_wave_before_it_is_sent(five_frozen: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    entered(ADA)
    campaign = let_go(five_frozen)
    kept = canary.canary_mail

    def tampered(**given: object) -> OutgoingMail:
        mail = kept(**given)  # type: ignore[arg-type]
        found = OutgoingMail(**{**mail.__dict__, "html": mail.html.replace("</body>", '<img src="https://t.example/1"></body>')})
        CanaryLetter.objects.update(content_sha256=found.content_sha256)
        given["canary"].content_sha256 = found.content_sha256  # type: ignore[attr-defined]
        return found

    monkeypatch.setattr(canary, "canary_mail", tampered)
    campaign = go_on(campaign, InboxProvider())
    assert campaign.canary == "failed" and "<img>" in campaign.pause_reason and not InboxMessage.objects.exists()


def test_what_was_certainly_not_sent_is_tried_again_until_the_wait_is_over(five_frozen: Campaign) -> None:
    (ada,) = entered(ADA)
    campaign = let_go(five_frozen)
    down = Scripted({"ada@staff.example.com": SendError(kind=SendErrorKind.NOT_SENT, detail="no connection to the relay")})
    campaign = go_on(campaign, down)
    assert letter_to(ada).state == "planned" and campaign.canary == "waiting"
    made_old(2)
    assert go_on(campaign, down).canary == "waiting" and letter_to(ada).tries == 2
    made_old(20)
    assert go_on(campaign, down).canary == "failed"


def test_tries_of_the_wave_that_did_not_leave_cost_no_quota(five_frozen: Campaign, settings: Settings) -> None:
    pacing.forget()
    settings.PROVIDER_LIMITS = provider_limits(rates="scripted 2/day", warm_up="")
    (ada,) = entered(ADA)
    campaign = let_go(five_frozen)
    down = Scripted({"ada@staff.example.com": SendError(kind=SendErrorKind.NOT_SENT, detail="no connection to the relay")})
    for _ in range(3):
        campaign = go_on(campaign, down)
        CanaryLetter.objects.update(answered_at=F("answered_at") - timedelta(hours=2))
    assert letter_to(ada).tries == 3
    assert go_on(campaign, Scripted()).canary == "waiting" and letter_to(ada).state == "accepted"
    assert ProviderLimit.objects.get(provider="scripted", scope="").sent_today == 1
    pacing.forget()


def test_while_it_waits_before_another_try_nothing_is_sent(five_frozen: Campaign) -> None:
    (ada,) = entered(ADA)
    down = Scripted({"ada@staff.example.com": SendError(kind=SendErrorKind.NOT_SENT, detail="no connection")})
    campaign = go_on(let_go(five_frozen), down)
    CanaryLetter.objects.update(answered_at=F("answered_at") + timedelta(hours=1))
    go_on(campaign, Scripted())
    assert letter_to(ada).tries == 1 and not InboxMessage.objects.exists()


# -- with a second provider --------------------------------------------------------------------------------------------


def shut(provider: str, *, seconds: int = 3600) -> None:
    """As if it had asked us to wait for so long."""
    pacing.forget()
    wait = Answer(error=SendErrorKind.NOT_SENT, detail="429", throttled=True, retry_after=seconds)
    pacing.told(provider=provider, results=[("", wait)])


def test_the_first_wave_goes_by_the_fallback_while_the_first_provider_makes_us_wait_and_people_follow_by_it(
    five_frozen: Campaign, settings: Settings
) -> None:
    settings.MAIL, settings.MAIL_FALLBACK, settings.CANARY_MINUTES = "inbox:?name=first", "inbox:?name=second", 0
    (ada,) = entered(ADA)
    campaign = let_go(five_frozen)
    shut("first")
    keep_house()
    campaign.refresh_from_db()
    assert (campaign.canary, letter_to(ada).provider) == ("passed", "second")
    assert '"providers":["second"]' in AuditEvent.objects.get(action=Action.CANARY_PASSED).line
    ProviderLimit.objects.update(open_until=None, rate=None, reason="")
    with Owner() as owner:
        send_due(owner=owner, seconds=1)
    assert set(Attempt.objects.values_list("provider", flat=True)) == {"second"}, "the first one has proved nothing"


def test_the_first_wave_waits_for_a_provider_that_asked_us_to_wait(five_frozen: Campaign) -> None:
    (ada,) = entered(ADA)
    campaign = let_go(five_frozen)
    shut("inbox")
    go_on(campaign, InboxProvider())
    assert (letter_to(ada).state, letter_to(ada).tries) == ("planned", 0)


def test_a_first_wave_that_hears_too_fast_lets_the_fallback_take_over_at_once(five_frozen: Campaign, settings: Settings) -> None:
    settings.MAIL, settings.MAIL_FALLBACK = "inbox:?name=scripted", "inbox:?name=second"
    (ada,) = entered(ADA)
    campaign = let_go(five_frozen)
    slow = SendError(kind=SendErrorKind.NOT_SENT, detail="429", throttled=True, retry_after=1800)
    go_on(campaign, Scripted({"ada@staff.example.com": slow}))
    keep_house()
    assert (letter_to(ada).provider, letter_to(ada).tries) == ("second", 2)


def test_a_first_wave_that_the_first_provider_refuses_goes_by_the_fallback(five_frozen: Campaign, settings: Settings) -> None:
    settings.MAIL, settings.MAIL_FALLBACK = "inbox:?name=scripted", "inbox:?name=second"
    (ada,) = entered(ADA)
    campaign = let_go(five_frozen)
    go_on(campaign, Scripted({"ada@staff.example.com": SendError(kind=SendErrorKind.ACCOUNT, detail="401")}))
    keep_house()
    campaign.refresh_from_db()
    assert (letter_to(ada).provider, letter_to(ada).tries, campaign.canary != "failed") == ("second", 2, True)


# -- crashes -----------------------------------------------------------------------------------------------------------


class Died(BaseException):
    """As if the process had been killed."""


def killed() -> None:
    raise Died


def test_a_crash_in_the_call_leaves_a_doubt_and_never_a_second_copy(five_frozen: Campaign) -> None:
    (ada,) = entered(ADA)
    campaign, mute = let_go(five_frozen), Mute({"ada@staff.example.com": killed})
    with pytest.raises(Died):
        go_on(campaign, mute)
    assert letter_to(ada).state == "sending"
    mute.failures.clear()
    go_on(campaign, mute)
    assert letter_to(ada).state == "sending", "somebody may still be at it"
    made_old(2)
    assert go_on(campaign, mute).canary == "waiting" and letter_to(ada).state == "doubt"
    made_old(20)
    campaign = go_on(campaign, mute)
    assert campaign.canary == "failed" and mute.served == [] and CanaryLetter.objects.count() == 1


def test_a_doubt_ends_when_the_provider_has_the_letter(five_frozen: Campaign) -> None:
    (ada,) = entered(ADA)
    campaign = let_go(five_frozen)
    lost = SendError(kind=SendErrorKind.DOUBTFUL, detail="no answer to the letter")

    class LosesItsAnswer(InboxProvider):
        def send(self, *, mail: OutgoingMail, incident: Incident, test: bool = False) -> str:
            super().send(mail=mail, incident=incident, test=test)
            raise lost

    campaign = go_on(campaign, LosesItsAnswer())
    assert letter_to(ada).state == "doubt"
    go_on(campaign, LosesItsAnswer())
    assert letter_to(ada).state == "accepted" and InboxMessage.objects.count() == 1


@pytest.mark.parametrize("state", [CampaignState.PAUSED, CampaignState.STOPPED])
def test_a_paused_or_stopped_campaign_sends_nothing_to_the_staff_either(five_frozen: Campaign, state: str) -> None:
    entered(ADA)
    campaign = let_go(five_frozen)
    before = Campaign.objects.select_related("incident").get(pk=campaign.pk)
    Campaign.objects.filter(pk=campaign.pk).update(state=state)
    step(campaign=before, provider=InboxProvider())  # it was looked up while it still dispatched
    assert not InboxMessage.objects.exists() and CanaryLetter.objects.get().state == "planned"


# -- again -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def failed(five_frozen: Campaign) -> Campaign:
    """Ada's letter was taken, Bo's was refused."""
    entered(ADA, BO)
    refusal = SendError(kind=SendErrorKind.REFUSED, detail="refused (550)")
    return go_on(let_go(five_frozen), Scripted({"bo@staff.example.com": refusal}))


def test_after_a_failure_only_those_whose_letter_failed_get_another(failed: Campaign) -> None:
    with pytest.raises(CanaryRefused, match="reason"):
        retry_wave(campaign=failed, reason=" ", author=officer())
    campaign = retry_wave(campaign=failed, reason="the allow list was mended", author=officer())
    assert (campaign.state, campaign.canary) == (CampaignState.DISPATCHING, "waiting")
    campaign = go_on(campaign, Mute())
    assert campaign.canary == "passed"
    by_staff = sorted(CanaryLetter.objects.values_list("staff_id", "state"))
    assert [state for _, state in by_staff].count("failed") == 1 and len(by_staff) == 3
    with pytest.raises(CanaryRefused, match="not failed"):
        retry_wave(campaign=campaign, reason="once more", author=officer())


def test_a_stopped_campaign_sends_no_first_wave_again(failed: Campaign) -> None:
    stop(campaign=failed, author=officer(), reason="given up")
    with pytest.raises(CanaryRefused, match="nothing is sent"):
        retry_wave(campaign=failed, reason="once more", author=officer())


def test_whoever_was_removed_after_a_failure_counts_no_longer(failed: Campaign) -> None:
    remove_staff(staff=CanaryLetter.objects.get(state="failed").staff, reason="left", author=officer())
    campaign = go_on(retry_wave(campaign=failed, reason="he left", author=officer()), Mute())
    assert campaign.canary == "passed" and CanaryLetter.objects.count() == 2


def test_a_wave_of_nobody_does_not_pass(failed: Campaign) -> None:
    for one in staff_of(brand="Cartier"):
        remove_staff(staff=one, reason="all left", author=officer())
    CanaryLetter.objects.update(state="failed")
    with pytest.raises(CanaryRefused, match="Nobody of the staff"):
        retry_wave(campaign=failed, reason="all left", author=officer())


def test_an_idle_step_asks_the_database_nothing(
    five: Campaign, django_assert_num_queries: Callable[[int], object]
) -> None:  # fmt: skip
    with django_assert_num_queries(0):  # type: ignore[attr-defined]
        step(campaign=five, provider=InboxProvider())


def test_the_wait_is_a_setting(five_frozen: Campaign, settings: Settings) -> None:
    settings.CANARY_MINUTES = 0
    entered(ADA)
    campaign = go_on(let_go(five_frozen), InboxProvider())
    assert campaign.canary == "passed"
