"""Which try an event speaks of, where the provider calls every try by the name that we gave it (Mailgun: our Message-ID)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from incidents.dispatch.events.deciding import EARLIER, Target, Told, decide
from incidents.dispatch.receive import apply_events
from incidents.models import Campaign, Chunk, ProviderEvent
from incidents.models import MessageState as S
from tests.dispatch.campaigns import sql, state_of
from tests.dispatch.events.conftest import Post, attempt, handed_over
from tests.dispatch.events.posted import FULL, request

REF = "0123456789abcdef0123456789abcdef"
OURS, THEIRS = f"<{REF}@mg.example.com>", "their-own-name"
RELEASED = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SECOND = RELEASED + timedelta(hours=2)
BEFORE, SOON, AFTER = SECOND - timedelta(minutes=30), SECOND - timedelta(seconds=20), SECOND + timedelta(minutes=1)


def effect(
    kind: str, happened: datetime | None, *, state: str = S.ACCEPTED, name: str = OURS, newest: set[str] | None = None
) -> str:
    """What an event does to a letter that was tried twice, the second time at SECOND."""
    target = Target(1, REF, state, 2, None, 1, "dispatching", RELEASED, 1, "s")
    target.earlier_ids, target.newest_ids, target.began_at = {OURS}, {OURS} if newest is None else newest, SECOND
    told = Told(1, "mailgun", "e", REF, kind, "", "", name, "signed", happened)
    return decide(told=told, target=target, same_recipient=True, owners={1}, now=AFTER).word


@pytest.mark.parametrize("kind", ["bounced_soft", "bounced_hard", "suppressed"])
def test_what_happened_before_the_newest_try_is_said_of_an_earlier_one(kind: str) -> None:
    assert effect(kind, BEFORE) == EARLIER


@pytest.mark.parametrize("happened", [SOON, AFTER, None, RELEASED - timedelta(days=9000)])
def test_what_may_be_of_either_try_counts_for_the_newest_so_that_nobody_is_left_untold(happened: datetime | None) -> None:
    assert effect("bounced_soft", happened) == "moved to ready"


def test_a_delivery_counts_whichever_copy_it_was() -> None:
    assert effect("delivered", BEFORE) == "moved to delivered"


@pytest.mark.parametrize(
    ("kind", "happened", "word"),
    [
        ("accepted", AFTER, "moved to accepted"), ("accepted", BEFORE, EARLIER), ("accepted", None, EARLIER),
        ("deferred", AFTER, EARLIER), ("bounced_hard", AFTER, "moved to needs_other_channel"), ("bounced_hard", BEFORE, EARLIER),
    ],
)  # fmt: skip
def test_a_doubt_about_the_second_try_ends_with_what_happened_after_it_began(
    kind: str, happened: datetime | None, word: str
) -> None:
    assert effect(kind, happened, state=S.IN_DOUBT, newest=set()) == word


def test_a_provider_s_own_name_of_a_try_tells_whatever_its_clock_says() -> None:
    assert effect("bounced_soft", BEFORE, name=THEIRS, newest={THEIRS}) == "moved to ready"


def test_a_late_bounce_of_the_first_copy_brings_no_third_one(five: Campaign, post: Post) -> None:
    claire = handed_over(five, "mailgun")
    name = f"<{claire.message_ref}@mg.example.com>"
    sql("UPDATE incidents_campaign SET released_at = now() - interval '5 hours' WHERE id = %s", five.pk)
    sql("UPDATE incidents_message SET attempts = 2 WHERE id = %s", claire.pk)
    attempt(claire, Chunk.objects.get().pk, provider="mailgun", name=name, number=2)
    assert post(request("mailgun", FULL, ref=claire.message_ref, name=name, at=time.time() - 3600)).status_code == 200
    apply_events()
    assert (state_of(claire), ProviderEvent.objects.get().effect) == (S.ACCEPTED, EARLIER)
    assert post(request("mailgun", FULL, ref=claire.message_ref, name=name)).status_code == 200
    apply_events()
    assert state_of(claire) == S.READY
