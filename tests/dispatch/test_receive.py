"""Provider events: kept first, matched after, applied forward only, however often and in whatever order they come."""

from __future__ import annotations

from typing import Any

import pytest

from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.outbox import MOST_ATTEMPTS, Outcome, Owner, finish
from incidents.dispatch.receive import apply_events, store_events
from incidents.models import AuditEvent, Campaign, Message, ProviderEvent
from incidents.models import MessageState as S
from tests.dispatch.campaigns import person, sql, state_of, taken, together


@pytest.fixture
def claire(five: Campaign, owner: Owner) -> Message:
    """Her letter is accepted, as everybody's."""
    finish(claimed=taken(five, owner), outcomes=[Outcome("accepted", "p")] * 5, provider="inbox")
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
    (["bounced_hard", "delivered"], S.NEEDS_OTHER_CHANNEL, ["moved to needs_other_channel", "conflict"]),
    (["delivered", "bounced_hard"], S.DELIVERED, ["moved to delivered", "conflict"]),
    (["delivered", "bounced_soft"], S.DELIVERED, ["moved to delivered", "conflict"]),
    (["bounced_soft", "bounced_soft"], S.READY, ["moved to ready", "noted"]),
    (["bounced_soft", "bounced_hard"], S.READY, ["moved to ready", "conflict"]),
)


def test_events_move_a_letter_forward_only(crowd: Campaign) -> None:
    with Owner() as owner:
        claimed = taken(crowd, owner, size=len(STORIES))
        finish(claimed=claimed, outcomes=[Outcome("accepted", "p")] * len(STORIES), provider="inbox")
    for pk, (kinds, state, effects) in zip(claimed.message_ids, STORIES, strict=True):
        message = Message.objects.get(pk=pk)
        assert tell(message, *kinds) == effects, kinds
        assert state_of(message) == state, kinds
    told = sum(len(kinds) for kinds, _, _ in STORIES)
    assert AuditEvent.objects.filter(action="event.received").count() == told
    assert check_campaign(campaign=crowd).holds


def test_a_late_delivery_does_not_undo_a_bounce_and_the_conflict_is_kept(claire: Message) -> None:
    tell(claire, "bounced_hard", "delivered")
    assert state_of(claire) == S.NEEDS_OTHER_CHANNEL
    assert list(ProviderEvent.objects.filter(effect="conflict").values_list("kind", flat=True)) == ["delivered"]


def test_several_events_of_one_letter_in_one_batch_count_in_their_order(claire: Message) -> None:
    keys = [("a", "bounced_soft"), ("b", "delivered"), ("c", "bounced_hard")]
    store_events(provider="inbox", events=[{"event_key": k, "message_ref": claire.message_ref, "kind": v} for k, v in keys])
    assert apply_events() == 3
    assert state_of(claire) == S.DELIVERED
    effects = ProviderEvent.objects.order_by("id").values_list("effect", flat=True)
    assert list(effects) == ["moved to ready", "moved to delivered", "conflict"]


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
    finish(claimed=claimed, outcomes=[Outcome("accepted", "p")] * 5, provider="inbox")
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
    assert tell(claire, "delivered", "bounced_hard", "bounced_soft") == ["conflict", "conflict", "noted"]
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
