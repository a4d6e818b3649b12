"""What workers do: send, stop where told, settle doubts, and never send one letter twice without having said so before."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import override_settings
from pytest_django import Settings
from pytest_django.fixtures import DjangoAssertNumQueries

from incidents.dispatch import brake, doubts, outcomes, pacing, prepare, receive, send, work
from incidents.dispatch import campaign as campaign_module
from incidents.dispatch.campaign import pause, resume, stop
from incidents.dispatch.channels.contract import Answer, Provider, SendError, SendErrorKind
from incidents.dispatch.channels.inbox import InboxProvider, read_inbox_message
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.doubts import settle_by_hand, settle_doubts
from incidents.dispatch.outbox import Mark, claim, take_over
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.work import check_running_campaigns, dispatch, keep_house, send_ready
from incidents.models import (
    AffectedPerson,
    Attempt,
    AuditEvent,
    Campaign,
    CampaignState,
    Chunk,
    Doubt,
    InboxMessage,
    Message,
    ProviderEvent,
    ProviderLimit,
)
from incidents.models import MessageState as S
from incidents.vault import Vault
from tests.dispatch.campaigns import (
    FIVE,
    Mute,
    Scripted,
    answer,
    person,
    process,
    sql,
    state_of,
    states,
    superuser,
    taken,
    together,
    unguarded,
)


@pytest.fixture(autouse=True)
def one_lane(settings: Settings) -> None:
    """One letter after another, in the order of the chunk."""
    settings.LANES = 1


DOUBTFUL = SendError(kind=SendErrorKind.DOUBTFUL, detail="no answer")
NOT_SENT = SendError(kind=SendErrorKind.NOT_SENT, detail="451")
REFUSED_ANSWER = Answer(error=SendErrorKind.REFUSED, detail="550 no such user")
REFUSED = SendError(kind=SendErrorKind.REFUSED, detail="550")
ACCOUNT = SendError(kind=SendErrorKind.ACCOUNT, detail="535")


def sent(campaign: Campaign, owner: Owner, provider: Provider) -> int:
    return send_ready(campaign_id=campaign.pk, owner=owner, provider=provider, seconds=30).answered


def letters_of(message: Message) -> int:
    return InboxMessage.objects.filter(message_ref=message.message_ref, is_test=False).count()


def hurry() -> None:
    """Every wait is over."""
    sql("UPDATE incidents_message SET not_before = NULL")


def killed_at(campaign: Campaign, confirmed: int, *, step: int = 1) -> Message:
    """A worker dies with so many of five letters answered; returns the message it held in its hands."""
    with Owner() as dying:
        claimed = taken(campaign, dying, step=step)
        answer(dying, claimed, *[Outcome("accepted", "p")] * confirmed)
    take_over()
    return Message.objects.get(pk=claimed.message_ids[confirmed])


# Sending


def test_everybody_gets_the_letter_that_was_approved(five: Campaign, owner: Owner) -> None:
    assert sent(five, owner, InboxProvider()) == 5
    assert states(five) == {S.ACCEPTED: 5}
    for stored in InboxMessage.objects.select_related("incident"):
        message = Message.objects.get(message_ref=stored.message_ref)
        mail = read_inbox_message(message=stored)
        assert mail["To"] == {"claire": "claire@example.org", "carl": "carl@example.com", "yuki": "yuki@example.net",
                              "hanna": "hanna@hard-bounce.test", "sven": "sven@soft-bounce.test"}[message.entry.person.reference]  # fmt: skip
        assert json.loads(message.entry.line)["content_sha256"] == message.content_sha256
    assert set(Attempt.objects.values_list("content_sha256", flat=True)) == set(
        Message.objects.values_list("content_sha256", flat=True)
    )


def test_a_failure_before_the_letter_is_retried_and_a_refusal_needs_another_channel(
    five: Campaign, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "backoff", lambda **_: 60.0)  # its jitter begins at no wait at all
    provider = Scripted({"claire@example.org": NOT_SENT, "carl@example.com": REFUSED})
    assert sent(five, owner, provider) == 5
    assert (state_of(person(five, "claire")), state_of(person(five, "carl"))) == (S.READY, S.NEEDS_OTHER_CHANNEL)
    provider.failures.clear()
    hurry()
    assert sent(five, owner, provider) == 1
    claire = person(five, "claire")
    assert (claire.state, claire.attempts, letters_of(claire)) == (S.ACCEPTED, 2, 1)
    assert list(claire.tries.order_by("number").values_list("number", "outcome")) == [(1, "failed"), (2, "accepted")]
    assert check_campaign(campaign=five).holds


def test_a_refusal_of_our_account_pauses_the_campaign_and_spends_nobody_else(five: Campaign, owner: Owner) -> None:
    provider = Scripted(dict.fromkeys([one["email"] for one in FIVE], ACCOUNT))
    sent(five, owner, provider)
    five.refresh_from_db()
    assert (five.state, five.pause_reason) == (CampaignState.PAUSED, "the provider refuses us: account: 535")
    assert states(five) == {S.READY: 5}
    assert Attempt.objects.count() == 1
    assert AuditEvent.objects.filter(action="campaign.paused", actor="system").count() == 1


def test_two_workers_refused_at_once_pause_once_and_go_on_living(crowd: Campaign, settings: Settings) -> None:
    settings.CHUNK_SIZE, both = 20, threading.Barrier(2)

    def refuse() -> None:
        both.wait(timeout=20)  # neither pauses before the other has a letter in hand
        raise ACCOUNT

    provider = Scripted({f"person{n}@example.org": refuse for n in range(200)})

    def worker() -> int:
        with Owner() as mine:
            return sent(crowd, mine, provider)

    assert together(worker, worker) == [1, 1]
    crowd.refresh_from_db()
    assert crowd.state == CampaignState.PAUSED


def test_a_relay_that_refuses_every_address_in_whatever_words_is_stopped_before_all_are_struck_off(
    crowd: Campaign, owner: Owner, settings: Settings
) -> None:
    settings.CHUNK_SIZE, officer = 50, User.objects.get(username="officer")
    provider = Scripted({f"person{n}@example.org": REFUSED for n in range(200)})
    for refused in (20, 40):  # whoever looked and goes on gets twice as far
        while sent(crowd, owner, provider):
            crowd.refresh_from_db()
            if crowd.state == CampaignState.PAUSED:
                break
        assert states(crowd) == {S.NEEDS_OTHER_CHANNEL: refused, S.READY: 200 - refused}
        assert f"{refused} addresses running were refused and none was taken" in crowd.pause_reason
        # The domain was put aside.
        sql(
            "UPDATE incidents_providerlimit SET breaker = 'closed', failures = 0, open_until = NULL WHERE scope NOT LIKE 'refused%%'"
        )
        pacing.forget()
        resume(campaign=crowd, author=officer, reason="looked")


def test_addresses_refused_between_letters_that_are_taken_stop_nothing(crowd: Campaign, owner: Owner) -> None:
    provider = Scripted({f"person{n}@example.org": REFUSED for n in range(200) if n % 15})
    while sent(crowd, owner, provider):
        sql("UPDATE incidents_providerlimit SET breaker = 'closed', failures = 0, open_until = NULL")
        pacing.forget()
    crowd.refresh_from_db()
    assert (crowd.state, states(crowd)[S.ACCEPTED]) == (CampaignState.DISPATCHING, 14)


def test_ten_workers_count_refused_addresses_together(crowd: Campaign) -> None:
    workers, heard, stopped = [Owner() for _ in range(10)], 0, 0
    while not stopped:
        pacing.forget()  # as another process
        stopped = refused_by(workers[heard % 10], crowd, REFUSED_ANSWER)
        heard += 1
    assert (heard, stopped) == (20, 20)
    pacing.forget()
    assert refused_by(workers[0], crowd, REFUSED_ANSWER, REFUSED_ANSWER) == 22, "the others stop by themselves"
    brake.let_further(campaign=crowd)
    assert refused_by(workers[0], crowd, REFUSED_ANSWER) == 0, "whoever resumes gets twice as far"


def test_a_letter_that_is_taken_by_any_worker_sets_back_what_all_have_counted(crowd: Campaign) -> None:
    one, other = Owner(), Owner()
    assert refused_by(one, crowd, *[REFUSED_ANSWER] * 19) == 0
    pacing.forget()
    pacing.grant(provider="scripted", wanted=1)  # where a process learns of rows that it did not write
    assert refused_by(other, crowd, REFUSED_ANSWER, Answer("id"), REFUSED_ANSWER) == 0
    assert ProviderLimit.objects.get(scope__startswith="refused").failures == 0
    assert refused_by(one, crowd, *[REFUSED_ANSWER] * 19) == 0


def test_letters_that_are_taken_and_a_single_refusal_cost_no_statement(
    crowd: Campaign, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    worker = Owner()
    pacing.forget()
    with django_assert_num_queries(0):
        assert (
            refused_by(worker, crowd) == refused_by(worker, crowd, Answer("id"), REFUSED_ANSWER) == refused_by(worker, crowd) == 0
        )


def refused_by(worker: Owner, campaign: Campaign, *answers: Answer) -> int:
    return brake.hear(owner=worker, campaign=campaign, provider="scripted", answers=answers)


def test_a_worker_that_stood_still_asks_the_marker_before_it_begins_another_letter(
    five: Campaign, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands still after its first letter; meanwhile its lease ends, and somebody takes its chunk over."""
    provider, stood = Scripted(), []

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return time.monotonic() + 60 * bool(stood)

        sleep = staticmethod(time.sleep)

    def stand_still() -> None:
        provider.failures.clear()
        stood.append(True)
        sql("UPDATE incidents_chunk SET lease_until = clock_timestamp() - interval '1 second'")
        take_over()

    monkeypatch.setattr(send, "time", Clock)
    provider.failures = dict.fromkeys([one["email"] for one in FIVE], stand_still)
    sent(five, owner, provider)
    assert len(provider.served) == 1 + 4  # its own and, claimed anew, all but the doubtful one
    assert states(five) == {S.IN_DOUBT: 1, S.ACCEPTED: 4}
    assert settle_doubts(provider_of=lambda _: Mute()) == 1
    assert states(five) == {S.ACCEPTED: 5}
    assert Doubt.objects.get().settled_how == "late answer"
    assert check_campaign(campaign=five).holds


@override_settings(LANES=1, MARKER_FLUSH=2)
def test_no_letter_begins_so_far_past_the_last_marker_that_is_on_the_disk(
    five: Campaign, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = list[tuple[int, bool]]()
    real = send.mark_many

    def mark_many(*, owner: Owner, marks: Sequence[Mark], for_good: bool = False) -> dict[int, bool]:
        written.append((marks[0].confirmed, for_good))
        return real(owner=owner, marks=marks, for_good=for_good)

    monkeypatch.setattr(send, "mark_many", mark_many)
    assert sent(five, owner, InboxProvider()) == 5
    assert written == [(1, False), (2, True), (3, False), (4, True)]
    assert Chunk.objects.get().flush == 2


# What was changed after the approval


@pytest.mark.parametrize("change", ["another word", "no letter at all", "half a letter"])
def test_a_letter_changed_after_the_approval_is_not_sent_and_the_others_are(
    five: Campaign, owner: Owner, admin_url: str, change: str
) -> None:
    letter = person(five, "claire").entry.letter
    assert letter
    body = {
        "another word": letter.compiled.replace("Cartier", "Kartier"),
        "no letter at all": "not JSON",
        "half a letter": '{"language": "fr"}',
    }[change]
    with unguarded(admin_url) as server:
        server.execute("UPDATE incidents_letter SET compiled = %s WHERE id = %s", [body, letter.pk])
    assert sent(five, owner, InboxProvider()) == 5
    assert states(five) == {S.ACCEPTED: 4, S.QUARANTINED: 1}
    claire = person(five, "claire")
    assert (claire.state, letters_of(claire)) == (S.QUARANTINED, 0)
    assert check_campaign(campaign=five).violations == ["letters that are not as they were frozen: 1"]


def test_not_even_with_the_message_changed_to_match(five: Campaign, owner: Owner, admin_url: str) -> None:
    """The register's line is the measure, and nobody can change that."""
    claire = person(five, "claire")
    letter = claire.entry.letter
    assert letter
    with unguarded(admin_url) as server:
        changed_body = letter.compiled.replace("Cartier", "Kartier")
        server.execute("UPDATE incidents_letter SET compiled = %s WHERE id = %s", [changed_body, letter.pk])
    changed = prepare.person_mail(
        fields=Vault(incident=five.incident).open(person=claire.entry.person), letter_sha256=letter.sha256, body=changed_body,
        message_ref=claire.message_ref, headers=five.headers,
    )  # fmt: skip
    Message.objects.filter(pk=claire.pk).update(content_sha256=changed.content_sha256)
    sent(five, owner, InboxProvider())
    assert (state_of(claire), letters_of(claire)) == (S.QUARANTINED, 0)


def test_another_persons_record_in_her_place_is_not_opened(five: Campaign, owner: Owner) -> None:
    claire, carl = (AffectedPerson.objects.get(reference=name) for name in ("claire", "carl"))
    AffectedPerson.objects.filter(pk=claire.pk).update(sealed=carl.sealed, wrapped_key=carl.wrapped_key)
    sent(five, owner, InboxProvider())
    assert states(five) == {S.ACCEPTED: 4, S.QUARANTINED: 1}
    assert person(five, "claire").state == S.QUARANTINED


def test_an_erased_person_is_not_written_to(five: Campaign, owner: Owner) -> None:
    AffectedPerson.objects.filter(reference="claire").update(sealed=None, wrapped_key=None)
    sent(five, owner, InboxProvider())
    claire = person(five, "claire")
    assert (claire.state, claire.state_reason) == (S.QUARANTINED, "this person's data were erased")


def test_a_person_without_a_frozen_letter_is_set_aside(five: Campaign, owner: Owner, admin_url: str) -> None:
    with superuser(admin_url) as server:
        server.execute("SET session_replication_role = replica")
        server.execute("UPDATE incidents_registerentry SET letter_id = NULL WHERE id = %s", [person(five, "claire").entry_id])
    sent(five, owner, InboxProvider())
    assert states(five) == {S.ACCEPTED: 4, S.QUARANTINED: 1}


# Doubts


def test_a_doubt_is_settled_by_asking_the_provider(five: Campaign) -> None:
    message = killed_at(five, 1)
    assert state_of(message) == S.IN_DOUBT
    InboxMessage.objects.create(
        incident=five.incident, message_ref=message.message_ref, sealed=b"", received_at=five.released_at, pending_event=""
    )
    assert settle_doubts() == 1
    assert state_of(message) == S.ACCEPTED
    assert Doubt.objects.values_list("settled_how", "settled_by").get() == ("provider look-up", "dispatcher")


def test_a_provider_that_has_the_first_try_proves_nothing_about_the_second(five: Campaign, owner: Owner) -> None:
    provider = Scripted()
    sent(five, owner, provider)
    message = person(five, "claire")  # the provider has this letter, and it came back softly
    event = {"event_key": "soft", "message_ref": message.message_ref, "kind": "bounced_soft", "detail": "452"}
    with transaction.atomic():
        receive.store_events(provider="scripted", events=[event])
    receive.apply_events()
    assert state_of(message) == S.READY
    hurry()
    provider.failures["claire@example.org"] = DOUBTFUL
    sent(five, owner, provider)
    assert state_of(message) == S.IN_DOUBT
    assert provider.look_up(message_ref=message.message_ref)
    assert settle_doubts(provider_of=lambda _: provider) == 0
    assert state_of(message) == S.IN_DOUBT


def test_a_doubt_whose_letter_never_came_is_sent_again(five: Campaign, owner: Owner) -> None:
    message = killed_at(five, 2)
    settle_doubts()
    assert state_of(message) == S.READY
    sent(five, owner, InboxProvider())
    assert (state_of(message), letters_of(message)) == (S.ACCEPTED, 1)
    assert check_campaign(campaign=five).holds


def test_a_provider_that_cannot_tell_leaves_the_doubt_until_its_deadline(five: Campaign, settings: Settings) -> None:
    message = killed_at(five, 0)
    assert settle_doubts(provider_of=lambda _: Mute()) == 0
    sql("UPDATE incidents_doubt SET opened_at = clock_timestamp() - interval '890 seconds'")
    assert settle_doubts(provider_of=lambda _: Mute()) == 0
    assert state_of(message) == S.IN_DOUBT
    sql("UPDATE incidents_doubt SET opened_at = clock_timestamp() - interval '901 seconds'")
    assert settle_doubts(provider_of=lambda _: Mute()) == 1
    assert state_of(message) == S.READY
    assert Doubt.objects.get().settled_how == "deadline policy: sent again"


def test_a_provider_that_hangs_when_asked_holds_up_no_other_doubt(five: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_at(five, 2, step=3)
    asked: list[str] = []

    class Hanging(Mute):
        def look_up(self, *, message_ref: str) -> bool | None:
            asked.append(message_ref)
            time.sleep(0.3)
            return None

    monkeypatch.setattr(doubts, "LOOK_UP_SECONDS", 0.2)
    monkeypatch.setattr(doubts, "_memory", doubts._Memory())
    assert Doubt.objects.count() == 3
    sql("UPDATE incidents_doubt SET opened_at = clock_timestamp() - interval '901 seconds'")
    assert settle_doubts(provider_of=lambda _: Hanging()) == 3
    assert len(asked) == 1 and set(Doubt.objects.values_list("settled_how", flat=True)) == {"deadline policy: sent again"}


def test_a_letter_in_doubt_is_asked_about_more_and_more_seldom(five: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_at(five, 0)
    now, asked = [time.monotonic()], list[float]()

    class Asked(Mute):
        def look_up(self, *, message_ref: str) -> bool | None:
            asked.append(now[0])
            return None

    class Clock:
        monotonic = staticmethod(lambda: now[0])

    monkeypatch.setattr(doubts, "time", Clock)
    monkeypatch.setattr(doubts, "_memory", doubts._Memory())
    for _ in range(300):
        settle_doubts(provider_of=lambda _: Asked())
        now[0] += 2
    assert 8 < len(asked) < 16 and asked[-1] - asked[-2] >= 100


@pytest.mark.parametrize(("kind", "state"), [("delivered", S.DELIVERED), ("bounced_hard", S.NEEDS_OTHER_CHANNEL)])
def test_an_event_settles_a_doubt(five: Campaign, kind: str, state: str) -> None:
    message = killed_at(five, 0)
    receive.store_events(provider="inbox", events=[{"event_key": "e", "message_ref": message.message_ref, "kind": kind}])
    receive.apply_events()
    assert state_of(message) == state
    settle_doubts(provider_of=lambda _: Mute())
    assert Doubt.objects.values_list("settled_how", "settled_by").get() == ("provider event", f"inbox: {kind}")


@pytest.mark.parametrize(("arrived", "state"), [(True, S.ACCEPTED), (False, S.READY)])
def test_a_person_can_settle_a_doubt_once(five: Campaign, arrived: bool, state: str) -> None:
    message = killed_at(five, 0)
    settle_by_hand(doubt=Doubt.objects.get(), arrived=arrived, by="officer")
    settle_by_hand(doubt=Doubt.objects.get(), arrived=not arrived, by="counsel")
    assert state_of(message) == state
    assert Doubt.objects.values_list("settled_how", "settled_by").get() == ("a person's decision", "officer")
    assert AuditEvent.objects.filter(action="doubt.resolved").count() == 1


def test_every_doubtful_message_is_listed_before_its_second_copy_leaves(five: Campaign, owner: Owner) -> None:
    class Watching(Mute):
        def keep(self, **given: object) -> str:  # type: ignore[override]
            mail = given["mail"]
            if InboxMessage.objects.filter(message_ref=mail.message_ref).exists():  # type: ignore[attr-defined]
                assert Doubt.objects.filter(message__message_ref=mail.message_ref, settled_at__isnull=False).exists()  # type: ignore[attr-defined]
                seconds.append(mail.message_ref)  # type: ignore[attr-defined]
            return super().keep(**given)  # type: ignore[arg-type]

    seconds: list[str] = []
    provider = Watching()

    def sent_but_unanswered() -> None:
        stored = person(five, "claire")
        InboxMessage.objects.create(
            incident=five.incident, message_ref=stored.message_ref, sealed=b"", received_at=five.released_at, pending_event=""
        )
        provider.failures.clear()
        raise DOUBTFUL

    provider.failures["claire@example.org"] = sent_but_unanswered
    sent(five, owner, provider)
    claire = person(five, "claire")
    assert state_of(claire) == S.IN_DOUBT
    assert sent(five, owner, provider) == 0
    sql("UPDATE incidents_doubt SET opened_at = clock_timestamp() - interval '1 day'")
    settle_doubts(provider_of=lambda _: provider)
    assert sent(five, owner, provider) == 1
    assert seconds == [claire.message_ref]
    assert check_campaign(campaign=five).holds


# Pause, resume, stop


def test_a_pause_lets_nothing_new_begin_and_a_resume_goes_on(five: Campaign, owner: Owner) -> None:
    officer = User.objects.get(username="officer")
    pause(campaign=five, author=officer, reason="the call centre is full")
    assert claim(campaign=five, owner=owner, provider="inbox", size=5) == []
    assert sent(five, owner, InboxProvider()) == 0
    resume(campaign=five, author=officer, reason="it is free")
    assert sent(five, owner, InboxProvider()) == 5


def test_a_pause_in_the_middle_of_a_chunk_ends_it_after_the_letter_in_flight(five: Campaign, owner: Owner) -> None:
    officer = User.objects.get(username="officer")
    provider = Scripted()
    order = [m.entry.person for m in five.messages.order_by("due_at", "id").select_related("entry__person")]
    addresses = {"claire": "claire@example.org", "carl": "carl@example.com", "yuki": "yuki@example.net",
                 "hanna": "hanna@hard-bounce.test", "sven": "sven@soft-bounce.test"}  # fmt: skip
    provider.failures[addresses[order[1].reference]] = lambda: pause(campaign=five, author=officer, reason="wait") and None
    assert sent(five, owner, provider) == 2
    assert states(five) == {S.ACCEPTED: 2, S.READY: 3}


def test_a_stop_cancels_what_has_not_begun_and_the_rest_of_a_running_chunk(crowd: Campaign, settings: Settings) -> None:
    settings.CHUNK_SIZE = 10
    officer = User.objects.get(username="officer")
    provider = Scripted()
    first = crowd.messages.order_by("due_at", "id").values_list("entry__person__reference", flat=True)[2]
    provider.failures[f"person{first[1:]}@example.org"] = lambda: stop(campaign=crowd, author=officer, reason="wrong") and None
    with Owner() as mine:
        assert sent(crowd, mine, provider) == 3
    assert states(crowd) == {S.ACCEPTED: 3, S.READY: 7, S.CANCELLED: 190}
    keep_house()
    assert states(crowd) == {S.CANCELLED: 197, S.DELIVERED: 3}
    crowd.refresh_from_db()
    assert crowd.state == CampaignState.STOPPED


def test_dispatch_without_a_broker_leaves_nothing_ready_in_a_stopped_campaign(
    five: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    officer = User.objects.get(username="officer")
    provider = Scripted()
    provider.failures = dict.fromkeys(
        ["claire@example.org", "carl@example.com", "yuki@example.net", "hanna@hard-bounce.test", "sven@soft-bounce.test"],
        lambda: provider.failures.clear() or (stop(campaign=five, author=officer, reason="wrong") and None),
    )
    monkeypatch.setattr(work, "provider_named", lambda _: provider)
    dispatch(campaign=five)
    assert len(provider.served) == 1
    # The one that went out may have been Sven's, which bounces softly and is then cancelled as well.
    assert states(five)[S.CANCELLED] in {4, 5}
    assert S.READY not in states(five)


def test_the_doubt_of_a_killed_worker_outlives_a_stop_and_is_then_cancelled(five: Campaign) -> None:
    killed = killed_at(five, 0)
    stop(campaign=five, author=User.objects.get(username="officer"), reason="wrong")
    assert states(five) == {S.IN_DOUBT: 1, S.CANCELLED: 4}
    keep_house()
    assert state_of(killed) == S.CANCELLED
    assert check_campaign(campaign=five).holds


# Keeping house


def test_a_campaign_runs_to_its_end_without_a_broker(five: Campaign) -> None:
    dispatch(campaign=five)
    five.refresh_from_db()
    assert five.state == CampaignState.DRAINED
    assert states(five) == {S.DELIVERED: 4, S.NEEDS_OTHER_CHANNEL: 1}
    assert {name: letters_of(person(five, name)) for name in ("claire", "sven", "hanna")} == {"claire": 1, "sven": 2, "hanna": 1}
    check = check_campaign(campaign=five)
    assert check.holds
    assert check.doubts_total == 0
    assert AuditEvent.objects.filter(action="anchor.sent").count() == 1


def test_whoever_dies_between_the_end_and_the_mail_to_the_witness_is_made_up_for_once(
    five: Campaign, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So ended a drill: drained, and waiting for its witness for ever."""

    def die(**_: object) -> None:
        raise KeyboardInterrupt

    sent(five, owner, InboxProvider())
    InboxMessage.objects.update(pending_event="")
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(campaign_module, "anchor", die)
        keep_house()
    five.refresh_from_db()
    assert (five.state, five.witnessed_at) == (CampaignState.DRAINED, None)
    for _twice in range(2):
        keep_house()
        assert AuditEvent.objects.filter(action="anchor.sent").count() == 1
    five.refresh_from_db()
    assert five.witnessed_at is not None


def test_a_drained_campaign_wakes_up_for_a_late_bounce_and_drains_again(five: Campaign, owner: Owner) -> None:
    sent(five, owner, InboxProvider())
    InboxMessage.objects.update(pending_event="")
    keep_house()
    five.refresh_from_db()
    assert (five.state, states(five)) == (CampaignState.DRAINED, {S.ACCEPTED: 5})
    claire = person(five, "claire")
    receive.store_events(
        provider="inbox", events=[{"event_key": "late", "message_ref": claire.message_ref, "kind": "bounced_soft"}]
    )
    receive.apply_events()
    five.refresh_from_db()
    assert (five.state, state_of(claire)) == (CampaignState.DISPATCHING, S.READY)
    assert AuditEvent.objects.filter(action="campaign.resumed", actor="provider").count() == 1
    hurry()
    dispatch(campaign=five)
    five.refresh_from_db()
    assert (five.state, letters_of(claire)) == (CampaignState.DRAINED, 2)
    assert check_campaign(campaign=five).holds


def test_dispatching_a_finished_campaign_again_sends_nothing(five: Campaign) -> None:
    dispatch(campaign=five)
    before = InboxMessage.objects.count(), Attempt.objects.count()
    dispatch(campaign=five)
    assert before == (InboxMessage.objects.count(), Attempt.objects.count())


def test_two_housekeepers_at_once_do_the_work_once(five: Campaign, owner: Owner) -> None:
    sent(five, owner, InboxProvider())
    together(keep_house, keep_house, keep_house)
    keep_house()
    assert ProviderEvent.objects.count() == 5
    assert states(five)[S.DELIVERED] == 3


def test_housekeeping_names_the_campaigns_that_have_something_to_send(five: Campaign, owner: Owner) -> None:
    assert keep_house() == [five.pk]
    pause(campaign=five, author=None, reason="a test")
    assert keep_house() == []


def test_a_campaign_whose_numbers_do_not_add_up_is_paused(five: Campaign, admin_url: str) -> None:
    assert check_running_campaigns() == 0
    with superuser(admin_url) as server:
        server.execute("SET session_replication_role = replica")
        server.execute("DELETE FROM incidents_message WHERE id = %s", [person(five, "claire").pk])
    assert check_running_campaigns() == 1
    five.refresh_from_db()
    assert five.state == CampaignState.PAUSED
    assert "people on the register without a message: 1" in five.pause_reason
    assert check_running_campaigns() == 0


# Many workers


def test_a_worker_of_a_slow_provider_takes_no_more_than_it_can_send_in_its_next_slice(
    crowd: Campaign, owner: Owner, settings: Settings
) -> None:
    """The first slice cannot know; what it took too many of is given back, unsent, for whoever is faster."""
    settings.CHUNK_SIZE, slow = 100, InboxProvider(delay_ms=150)
    first = send_ready(campaign_id=crowd.pk, owner=owner, provider=slow, seconds=1).answered
    assert len(Chunk.objects.earliest("id").message_ids) == 100 and 0 < first < 100
    before = set(Chunk.objects.values_list("pk", flat=True))
    again = send_ready(campaign_id=crowd.pk, owner=owner, provider=slow, seconds=1).answered
    sizes = [len(chunk.message_ids) for chunk in Chunk.objects.exclude(pk__in=before)]
    assert again > 0 and 0 < max(sizes) <= 12
    assert states(crowd) == {S.ACCEPTED: first + again, S.READY: 200 - first - again}


def test_threads_on_one_campaign_never_send_a_letter_twice(crowd: Campaign, settings: Settings) -> None:
    settings.CHUNK_SIZE = 7

    def worker() -> int:
        with Owner() as mine:
            return sent(crowd, mine, InboxProvider())

    answered = together(*[worker] * 4)
    assert sum(answered) == 200
    assert InboxMessage.objects.count() == InboxMessage.objects.values("message_ref").distinct().count() == 200
    assert states(crowd) == {S.ACCEPTED: 200}
    assert check_campaign(campaign=crowd).holds


WORKER = """
from incidents.dispatch.owner import Owner
from incidents.dispatch.channels.inbox import InboxProvider
from incidents.dispatch.work import send_ready
with Owner() as owner:
    send_ready(campaign_id=%d, owner=owner, provider=InboxProvider(delay_ms=20), seconds=60)
"""


def wait_until(holds: Callable[[], bool], *, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def test_processes_share_a_campaign_and_a_killed_one_leaves_at_most_one_doubt(crowd: Campaign) -> None:
    workers = [process(WORKER % crowd.pk, CHUNK_SIZE="20", LANES="1") for _ in range(2)]
    wait_until(lambda: Chunk.objects.values("owner_lock").distinct().count() == 2 and InboxMessage.objects.count() > 20)
    workers[0].kill()
    workers[0].wait()
    wait_until(lambda: take_over() == 1, seconds=5)
    doubts = Doubt.objects.count()
    assert doubts <= 1
    settle_doubts()
    assert workers[1].wait(timeout=60) == 0
    with Owner() as mine:
        sent(crowd, mine, InboxProvider())
    assert states(crowd) == {S.ACCEPTED: 200}
    assert InboxMessage.objects.count() == InboxMessage.objects.values("message_ref").distinct().count() == 200
    assert Doubt.objects.filter(settled_at=None).count() == 0
    assert check_campaign(campaign=crowd).holds


def test_a_worker_killed_with_the_letter_in_flight_makes_one_doubt_and_one_listed_second_copy(five: Campaign) -> None:
    """The provider took the letter, then the worker died; nobody can be asked, so a second copy goes out."""
    code = """
    import os, signal
    from incidents.dispatch.owner import Owner
    from incidents.dispatch.work import send_ready
    from tests.dispatch.campaigns import Mute
    class Deadly(Mute):
        def keep(self, **given):
            answer = super().keep(**given)
            if len(self.served) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer
    with Owner() as owner:
        send_ready(campaign_id=%d, owner=owner, provider=Deadly(), seconds=60)
    """
    assert process(code % five.pk, LANES="1").wait(timeout=60) == -9
    wait_until(lambda: take_over() == 1, seconds=5)
    assert states(five) == {S.ACCEPTED: 2, S.IN_DOUBT: 1, S.READY: 2}
    doubtful = Doubt.objects.select_related("message").get().message
    sql("UPDATE incidents_doubt SET opened_at = clock_timestamp() - interval '1 day'")
    settle_doubts(provider_of=lambda _: Mute())
    with Owner() as mine:
        sent(five, mine, Mute())
    assert letters_of(doubtful) == 2
    twice = [m.message_ref for m in five.messages.all() if letters_of(m) > 1]
    assert twice == [doubtful.message_ref]
    check = check_campaign(campaign=five)
    assert (check.doubts_total, check.doubts_open, check.violations) == (1, 0, [])


def test_a_lost_connection_ends_the_worker_and_another_goes_on(five: Campaign, admin_url: str) -> None:
    """As after a restart of the database: the lock is gone, so somebody else takes over at once."""
    with Owner() as mine:
        claimed = taken(five, mine)
        with superuser(admin_url) as server:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND "
                "((classid::bigint << 32) | objid::bigint) = %s",
                [mine.lock],
            )
        with pytest.raises(psycopg.OperationalError):
            answer(mine, claimed, Outcome("accepted"))
    wait_until(lambda: take_over() == 1, seconds=5)
    assert states(five) == {S.IN_DOUBT: 1, S.READY: 4}
