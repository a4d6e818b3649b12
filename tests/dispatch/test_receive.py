"""Provider events: kept first, matched after, applied forward only, however often and in whatever order they come."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from incidents.dispatch import receive
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.contradictions import Contradiction
from incidents.dispatch.events.bodies import recipient_hash
from incidents.dispatch.outbox import finish
from incidents.dispatch.outcomes import MOST_ATTEMPTS, Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.receive import apply_events, store_events
from incidents.models import AuditEvent, Campaign, Chunk, Doubt, Message, Obligation, ProviderEvent
from incidents.models import MessageState as S
from incidents.people.deadlines import renew_deadlines
from tests.dispatch.campaigns import person, sql, state_of, taken, together
from tests.dispatch.events.conftest import attempt, handed_over
from tests.dispatch.events.posted import NAMES


@pytest.fixture
def claire(five: Campaign, owner: Owner) -> Message:
    """Her letter is accepted, as everybody's."""
    finish(claimed=taken(five, owner), outcomes=[Outcome("accepted", "p")] * 5)
    return person(five, "claire")


def tell(message: Message | str, *kinds: str, **more: Any) -> list[str]:
    """Events about a message come, one call each; returns their effects."""
    ref = message if isinstance(message, str) else message.message_ref
    before = ProviderEvent.objects.count()
    for number, kind in enumerate(kinds, start=before):
        store_events(provider="inbox", events=[{"event_key": f"e{number}", "message_ref": ref, "kind": kind, **more}])
        apply_events()
    return list(ProviderEvent.objects.order_by("id").values_list("effect", flat=True))[before:]


#: Events in their order -> where the letter stands then, and what each of them did.
STORIES = (
    (["delivered"], S.DELIVERED, ["moved to delivered"]),
    (["complained"], S.DELIVERED, ["moved to delivered"]),
    (["bounced_hard"], S.NEEDS_OTHER_CHANNEL, ["moved to needs_other_channel"]),
    (["bounced_soft"], S.READY, ["moved to ready"]),
    (["deferred"], S.ACCEPTED, ["noted"]),
    (["bounced_soft", "delivered"], S.DELIVERED, ["moved to ready", "moved to delivered"]),
    (["delivered", "delivered"], S.DELIVERED, ["moved to delivered", "noted"]),
    (
        ["bounced_hard", "delivered"],
        S.NEEDS_OTHER_CHANNEL,
        ["moved to needs_other_channel", "conflict: after needs_other_channel"],
    ),
    (["delivered", "bounced_hard"], S.DELIVERED, ["moved to delivered", "conflict: after delivered"]),
    (["delivered", "bounced_soft"], S.DELIVERED, ["moved to delivered", "conflict: after delivered"]),
    (["bounced_soft", "bounced_soft"], S.READY, ["moved to ready", "noted"]),
    (["bounced_soft", "bounced_hard"], S.NEEDS_OTHER_CHANNEL, ["moved to ready", "moved to needs_other_channel"]),
)


def test_events_move_a_letter_forward_only(crowd: Campaign) -> None:
    with Owner() as owner:
        claimed = taken(crowd, owner, size=len(STORIES))
        finish(claimed=claimed, outcomes=[Outcome("accepted", "p")] * len(STORIES))
    for pk, (kinds, state, effects) in zip(claimed.message_ids, STORIES, strict=True):
        message = Message.objects.get(pk=pk)
        assert tell(message, *kinds) == effects, kinds
        assert state_of(message) == state, kinds
    told = sum(len(kinds) for kinds, _, _ in STORIES)
    assert AuditEvent.objects.filter(action="event.received").count() == told
    assert check_campaign(campaign=crowd).holds


@pytest.mark.parametrize("back", ["bounced_hard", "suppressed"])
@pytest.mark.parametrize("first", ["delivered", "back"])
def test_a_letter_that_arrived_and_came_back_is_for_a_person_in_whichever_order_that_was_told(
    claire: Message, first: str, back: str
) -> None:
    tell(claire, *(["delivered", back] if first == "delivered" else [back, "delivered"]))
    check = check_campaign(campaign=claire.campaign)
    found = Contradiction(S.DELIVERED, False, 1) if first == "delivered" else Contradiction(S.NEEDS_OTHER_CHANNEL, True, 1)
    assert (check.contradictions, check.holds) == ([found], True)
    assert "1 letter stands as" in check.to_decide and "Decide which is true" in check.to_decide


def test_what_fits_and_what_is_about_other_letters_is_no_contradiction(claire: Message) -> None:
    tell(claire, "bounced_soft", "delivered", "delivered", "complained")
    store_events(provider="postmark", events=[{"event_key": "p", "message_ref": claire.message_ref, "kind": "bounced_hard"}])
    apply_events()
    assert ProviderEvent.objects.get(provider="postmark").effect == "conflict: it went by another provider"
    check = check_campaign(campaign=claire.campaign)
    assert (check.contradictions, check.to_decide) == ([], "")


def test_a_late_delivery_does_not_undo_a_bounce_and_the_conflict_is_kept(claire: Message) -> None:
    tell(claire, "bounced_hard", "delivered")
    assert state_of(claire) == S.NEEDS_OTHER_CHANNEL
    assert list(ProviderEvent.objects.filter(effect__startswith="conflict").values_list("kind", flat=True)) == ["delivered"]


def test_several_events_of_one_letter_in_one_batch_count_in_their_order(claire: Message) -> None:
    keys = [("a", "bounced_soft"), ("b", "delivered"), ("c", "bounced_hard")]
    store_events(provider="inbox", events=[{"event_key": k, "message_ref": claire.message_ref, "kind": v} for k, v in keys])
    assert apply_events() == 3
    assert state_of(claire) == S.DELIVERED
    effects = ProviderEvent.objects.order_by("id").values_list("effect", flat=True)
    assert list(effects) == ["moved to ready", "moved to delivered", "conflict: after delivered"]


def test_the_same_event_a_hundred_times_is_one_row_and_one_move(claire: Message) -> None:
    for _ in range(50):
        event = {"event_key": "same", "message_ref": claire.message_ref, "kind": "delivered"}
        store_events(provider="inbox", events=[event, dict(event)])
        apply_events()
    assert ProviderEvent.objects.count() == 1
    assert AuditEvent.objects.filter(action="event.received").count() == 1


def test_two_receivers_at_once_keep_each_event_once(claire: Message) -> None:
    events = [{"event_key": f"k{n}", "message_ref": claire.message_ref, "kind": "delivered"} for n in range(50)]
    assert together(*[lambda: store_events(provider="inbox", events=events)] * 4) == [50] * 4
    assert ProviderEvent.objects.count() == 50
    results = together(apply_events, apply_events)
    apply_events()
    assert all(isinstance(result, int) for result in results)
    assert ProviderEvent.objects.filter(applied_at=None).count() == 0
    assert AuditEvent.objects.filter(action="event.received").count() == 50


def test_the_same_key_of_two_providers_is_two_events(claire: Message) -> None:
    for provider in ("inbox", "other"):
        store_events(provider=provider, events=[{"event_key": "1", "message_ref": claire.message_ref, "kind": "delivered"}])
    assert ProviderEvent.objects.count() == 2


def test_an_event_that_comes_before_our_own_commit_waits_for_it(five: Campaign, owner: Owner) -> None:
    claimed = taken(five, owner)
    claire = person(five, "claire")
    assert tell(claire, "delivered") == [""]
    assert (state_of(claire), ProviderEvent.objects.get().applied_at) == (S.SENDING, None)
    finish(claimed=claimed, outcomes=[Outcome("accepted", "p")] * 5)
    assert apply_events() == 1
    assert state_of(claire) == S.DELIVERED


def test_waiting_events_do_not_hold_up_the_others(claire: Message, five: Campaign) -> None:
    sql("UPDATE incidents_message SET state = 'ready' WHERE id = %s", person(five, "carl").pk)
    sql("UPDATE incidents_message SET state = 'sending' WHERE id = %s", person(five, "carl").pk)
    store_events(
        provider="inbox", events=[{"event_key": "a", "message_ref": person(five, "carl").message_ref, "kind": "delivered"}]
    )
    store_events(provider="inbox", events=[{"event_key": "b", "message_ref": claire.message_ref, "kind": "delivered"}])
    assert apply_events() == 1
    assert state_of(claire) == S.DELIVERED


def test_an_event_for_an_unknown_letter_is_kept_and_changes_nothing(claire: Message) -> None:
    assert tell("f" * 32, "bounced_hard") == ["unknown message"]
    assert tell("", "delivered") == ["unknown message"]
    assert state_of(claire) == S.ACCEPTED
    assert ProviderEvent.objects.count() == 2


def test_an_event_for_a_letter_that_was_never_tried_is_a_conflict(five: Campaign) -> None:
    claire = person(five, "claire")
    assert tell(claire, "delivered", "bounced_hard", "bounced_soft") == ["conflict: it was never sent"] * 3
    assert state_of(claire) == S.READY


def test_a_letter_that_keeps_bouncing_softly_needs_another_channel_at_last(claire: Message) -> None:
    Message.objects.filter(pk=claire.pk).update(attempts=MOST_ATTEMPTS)
    assert tell(claire, "bounced_soft") == ["moved to needs_other_channel"]


def test_a_letter_that_bounced_softly_waits_before_it_is_sent_again(claire: Message) -> None:
    tell(claire, "bounced_soft")
    claire.refresh_from_db()
    assert claire.not_before is not None
    assert claire.not_before > ProviderEvent.objects.get().received_at


def test_overlong_values_of_a_provider_are_cut_not_refused(claire: Message) -> None:
    store_events(
        provider="inbox",
        events=[{"event_key": "k" * 500, "message_ref": "m" * 500, "kind": "x" * 500, "detail": "d" * 5000}],
    )
    assert apply_events() == 1


# -- what contradicts, and what settles ------------------------------------------------------------------------------------


def refused_to(five: Campaign, *, provider: str = "postmark", **event: Any) -> tuple[str, str]:
    """One event about Claire's letter, which went by Postmark; the letter's state then, and the event's effect."""
    claire = handed_over(five, "postmark")
    given = {"event_key": "e", "message_ref": claire.message_ref, "kind": "bounced_hard", **event}
    store_events(provider=provider, events=[given])
    apply_events()
    return state_of(claire), ProviderEvent.objects.get().effect


def test_an_event_that_names_another_recipient_is_a_conflict(five: Campaign) -> None:
    assert refused_to(five, recipient_hash=recipient_hash("carl@example.com")) == (S.ACCEPTED, "conflict: another recipient")
    assert ProviderEvent.objects.get().recipient_hash


def test_an_event_that_names_our_recipient_counts_and_their_hash_is_not_kept(five: Campaign) -> None:
    assert refused_to(five, recipient_hash=recipient_hash("CLAIRE@Example.org"))[0] == S.NEEDS_OTHER_CHANNEL
    assert ProviderEvent.objects.get().recipient_hash == ""


def test_an_event_of_another_provider_than_the_one_that_had_it_is_a_conflict(five: Campaign) -> None:
    assert refused_to(five, provider="brevo") == (S.ACCEPTED, "conflict: it went by another provider")


def test_a_provider_s_name_of_another_letter_is_a_conflict(five: Campaign) -> None:
    claire, carl = handed_over(five, "postmark"), person(five, "carl")
    chunk = Chunk.objects.get().pk
    attempt(carl, chunk, provider="postmark", name="carls-letter")
    for provider, name, effect in (
        ("postmark", "carls-letter", "conflict: provider id of another letter"),
        ("postmark", "nobodys-letter", "moved to delivered"),
    ):
        given = {"event_key": name, "message_ref": claire.message_ref, "kind": "delivered", "provider_id": name}
        store_events(provider=provider, events=[given])
        apply_events()
        assert ProviderEvent.objects.get(event_key=name).effect == effect


def test_a_provider_s_name_that_was_given_to_two_letters_proves_nothing(five: Campaign) -> None:
    claire = handed_over(five, "postmark")
    attempt(person(five, "carl"), Chunk.objects.get().pk, provider="postmark", name=NAMES["postmark"])
    for key, ref in (("a", claire.message_ref), ("b", "")):
        given = {"event_key": key, "message_ref": ref, "kind": "delivered", "provider_id": NAMES["postmark"]}
        store_events(provider="postmark", events=[given])
    apply_events()
    assert set(ProviderEvent.objects.values_list("effect", flat=True)) == {"conflict: provider id of several letters"}
    assert state_of(claire) == S.ACCEPTED


def test_the_same_name_at_another_provider_is_somebody_else_s_letter(five: Campaign) -> None:
    claire = handed_over(five, "postmark")
    attempt(person(five, "carl"), Chunk.objects.get().pk, provider="resend", name=NAMES["postmark"])
    given = {"event_key": "e", "message_ref": "", "kind": "delivered", "provider_id": NAMES["postmark"]}
    store_events(provider="postmark", events=[given])
    apply_events()
    assert state_of(claire) == S.DELIVERED
    assert ProviderEvent.objects.get().message_ref == claire.message_ref


def test_an_unknown_event_is_looked_at_again_when_its_letter_is_known(five: Campaign) -> None:
    claire = handed_over(five, "postmark")
    assert tell("f" * 32, "delivered") == ["unknown message"]
    assert apply_events() == 0
    sql("UPDATE incidents_message SET message_ref = %s WHERE id = %s", "f" * 32, claire.pk)
    assert apply_events() == 1
    assert state_of(claire) == S.DELIVERED


def test_an_event_by_the_provider_s_name_alone_waits_for_our_own_commit(five: Campaign) -> None:
    given = {"event_key": "e", "message_ref": "", "kind": "delivered", "provider_id": NAMES["postmark"]}
    store_events(provider="postmark", events=[given])
    apply_events()
    assert ProviderEvent.objects.get().effect == "unknown message"
    claire = handed_over(five, "postmark")
    apply_events()
    assert state_of(claire) == S.DELIVERED


@pytest.mark.parametrize(("kind", "state"), [
    ("delivered", S.DELIVERED), ("accepted", S.ACCEPTED), ("deferred", S.ACCEPTED), ("bounced_hard", S.NEEDS_OTHER_CHANNEL),
    ("suppressed", S.NEEDS_OTHER_CHANNEL), ("bounced_soft", S.READY), ("notice", S.IN_DOUBT), ("unsubscribed", S.IN_DOUBT),
])  # fmt: skip
def test_a_doubt_ends_with_the_first_event_that_proves_something(five: Campaign, kind: str, state: str) -> None:
    claire = in_doubt(five)
    store_events(
        provider="postmark", events=[{"event_key": "e", "message_ref": claire.message_ref, "kind": kind}], strength="signed"
    )
    apply_events()
    assert state_of(claire) == state
    doubt = Doubt.objects.get()
    if state == S.IN_DOUBT:
        assert doubt.settled_at is None
    else:
        assert (doubt.settled_how, doubt.settled_by) == ("provider event", f"postmark: {kind} (signed)")
        assert AuditEvent.objects.filter(action="doubt.resolved").count() == 1


def test_what_is_said_of_an_earlier_try_ends_no_doubt_about_a_later_one(five: Campaign) -> None:
    claire = in_doubt(five)
    attempt(claire, Chunk.objects.get().pk, provider="postmark", name="first", number=2)
    sql("UPDATE incidents_message SET attempts = 3 WHERE id = %s", claire.pk)
    said = (
        ("a", "accepted", "first"), ("b", "deferred", ""), ("c", "bounced_soft", "first"), ("d", "bounced_hard", "first"),
        ("e", "suppressed", "first"),
    )  # fmt: skip
    for key, kind, name in said:
        store_events(
            provider="postmark", events=[{"event_key": key, "message_ref": claire.message_ref, "kind": kind, "provider_id": name}]
        )
    apply_events()
    assert state_of(claire) == S.IN_DOUBT
    assert set(ProviderEvent.objects.values_list("effect", flat=True)) == {"noted: an earlier try"}


def test_a_complaint_after_ninety_days_says_that_it_arrived(claire: Message) -> None:
    sql(
        "UPDATE incidents_message SET state = 'accepted_unconfirmed', accepted_at = now() - interval '90 days' WHERE id = %s",
        claire.pk,
    )
    assert tell(claire, "complained", "complained", "bounced_hard") == [
        "moved to delivered",
        "noted",
        "conflict: after delivered",
    ]


def test_a_letter_that_was_given_up_on_after_days_needs_another_channel(claire: Message) -> None:
    sql("UPDATE incidents_message SET state = 'accepted_unconfirmed' WHERE id = %s", claire.pk)
    assert tell(claire, "bounced_soft") == ["moved to needs_other_channel"]


def test_nobody_is_moved_by_an_event_after_the_campaign_was_closed(claire: Message) -> None:
    sql("UPDATE incidents_message SET state = 'accepted_unconfirmed' WHERE id = %s", claire.pk)
    sql("UPDATE incidents_campaign SET state = 'drained'")
    sql("UPDATE incidents_campaign SET state = 'closed'")
    assert tell(claire, "bounced_hard") == ["conflict: the campaign is closed"]
    assert tell(claire, "delivered") == ["moved to delivered"]


def due_in(message: Message, hours: float) -> datetime:
    """Each law names this moment for everybody's letter."""
    at = timezone.now() + timedelta(hours=hours)
    duties = Obligation.objects.filter(incident=message.campaign.incident, addressee="person", superseded=False)
    assert duties.update(owed="yes", due_at=at)
    return at


def test_near_its_deadline_a_soft_bounce_goes_to_another_channel_on_the_same_clock(claire: Message) -> None:
    due = due_in(claire, 3)
    sql("UPDATE incidents_message SET due_at = %s WHERE id = %s", due, claire.pk)
    sql("UPDATE incidents_campaign SET released_at = now() - interval '2 days'")
    assert tell(claire, "bounced_soft", detail="452 4.2.2 mailbox full") == ["moved to needs_other_channel"]
    claire.refresh_from_db()
    assert (claire.due_at, claire.state_reason) == (due, "inbox: bounced_soft (4.2.2)")


@pytest.mark.parametrize(("hours", "kind", "state"), [
    (3, "bounced_soft", S.NEEDS_OTHER_CHANNEL), (300, "bounced_soft", S.READY), (300, "bounced_hard", S.NEEDS_OTHER_CHANNEL),
    (300, "delivered", S.DELIVERED),
])  # fmt: skip
def test_a_new_deadline_passes_by_what_was_taken_and_what_comes_back_follows_it(
    claire: Message, hours: float, kind: str, state: str
) -> None:
    sql("UPDATE incidents_campaign SET released_at = now() - interval '2 days'")
    before, due = Message.objects.get(pk=claire.pk).due_at, due_in(claire, hours)
    assert state_of(claire) == S.ACCEPTED
    renew_deadlines(incident=claire.campaign.incident)
    claire.refresh_from_db()
    assert claire.due_at == before != due
    tell(claire, kind)
    claire.refresh_from_db()
    assert (claire.state, claire.due_at) == (state, before if kind == "delivered" else due)


def test_more_events_than_one_page_wait_without_holding_up_the_others(crowd: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "BATCH", 10)
    with Owner() as owner:
        claimed = taken(crowd, owner, size=100)
        ids = claimed.message_ids
        waiting = [
            {"event_key": f"w{n}", "message_ref": Message.objects.get(pk=pk).message_ref, "kind": "delivered"}
            for n, pk in enumerate(ids)
        ]
        store_events(provider="inbox", events=waiting)
        store_events(provider="inbox", events=[{"event_key": "u", "message_ref": "", "kind": "delivered"}])
        assert apply_events() == 1
        finish(claimed=claimed, outcomes=[Outcome("accepted", "p")] * 100)
    assert apply_events() == 100
    assert check_campaign(campaign=crowd).holds


def test_a_letter_that_somebody_holds_is_left_for_the_next_time(claire: Message) -> None:
    store_events(provider="inbox", events=[{"event_key": "e", "message_ref": claire.message_ref, "kind": "delivered"}])
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Message.objects.select_for_update().get(pk=claire.pk)
            held.set()
            done.wait(30)

    def apply() -> int:
        held.wait(30)
        try:
            return apply_events()
        finally:
            done.set()

    assert together(hold, apply)[1] == 0
    assert apply_events() == 1
    assert state_of(claire) == S.DELIVERED


def in_doubt(five: Campaign) -> Message:
    """Claire's letter, of which nobody knows whether Postmark took it."""
    claire = handed_over(five, "postmark", outcome="doubt")
    Doubt.objects.create(
        message=claire, chunk=Chunk.objects.get(), reason="lost", provider="postmark", opened_at=claire.campaign.frozen_at
    )
    return claire
