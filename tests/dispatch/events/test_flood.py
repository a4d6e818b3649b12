"""Many events at once: nobody waits for anybody in a circle, what is known already costs nothing, and no table is read through."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from incidents.dispatch import receive
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.events.looking_again import LOOK_AGAIN
from incidents.dispatch.outbox import finish
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.receive import apply_events, store_events
from incidents.models import AuditEvent, Campaign, ProviderEvent
from tests.dispatch.campaigns import states, superuser, taken, together, unguarded

MANY = 200_000
COLUMNS = (
    "entry_id, campaign_id, channel, message_ref, state, state_reason, attempts, content_sha256, provider_id, domain_key, deaths"
)
#: Messages and their attempts like the first one, without triggers and keys.
FILL = f"""
INSERT INTO incidents_message ({COLUMNS})
SELECT n + 1000000, campaign_id, channel, md5(n::text), 'accepted', '', 1, content_sha256, 'p-' || n, '', 0
FROM (SELECT * FROM incidents_message ORDER BY id LIMIT 1) one, generate_series(1, {MANY}) n;
INSERT INTO incidents_attempt (message_id, number, chunk_id, outcome, provider, provider_id, detail, content_sha256)
SELECT id, 1, 1, 'accepted', 'postmark', provider_id, '', content_sha256 FROM incidents_message WHERE entry_id > 1000000;
ANALYZE incidents_message; ANALYZE incidents_attempt; ANALYZE incidents_registerentry;"""

#: Somebody else's event, not committed.
HALF = """
INSERT INTO incidents_providerevent (provider, event_key, message_ref, kind, detail, received_at, effect)
VALUES ('sendgrid', %s, '', 'delivered', '', now(), '')"""


@pytest.fixture
def accepted(crowd: Campaign) -> Campaign:
    """Two hundred letters that the provider has taken."""
    with Owner() as owner:
        finish(claimed=taken(crowd, owner, size=200), outcomes=[Outcome("accepted", "p")] * 200)
    return crowd


def flood(refs: list[str], *, times: int, kind: str) -> list[dict[str, Any]]:
    return [{"event_key": f"{n}-{ref}-{kind}", "message_ref": ref, "kind": kind} for n in range(times) for ref in refs]


def test_a_flood_is_applied_by_two_at_once_who_meet_the_same_letters_in_opposite_order(
    accepted: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "BATCH", 150)
    refs = list(accepted.messages.order_by("id").values_list("message_ref", flat=True))
    # Pages of 150 over 200 letters, there and back: each page meets the letters of the one beside it.
    for _ in range(3):
        store_events(provider="inbox", events=flood(refs, times=5, kind="deferred"))
        store_events(provider="inbox", events=flood(refs[::-1], times=5, kind="delivered"))
    stored = ProviderEvent.objects.count()
    assert stored == 2000, "told three times and kept once"
    results = together(apply_events, apply_events)
    assert all(isinstance(result, int) for result in results), results
    left = 0
    while ProviderEvent.objects.filter(applied_at=None).exists():
        left += apply_events()
    assert sum(results) + left == stored == AuditEvent.objects.filter(action="event.received").count()
    assert states(accepted) == {"delivered": 200} and check_campaign(campaign=accepted).holds


def test_two_requests_that_hold_the_same_events_in_opposite_order_are_stored_without_a_circle(
    accepted: Campaign, crowd_url: str
) -> None:
    refs = list(accepted.messages.order_by("id").values_list("message_ref", flat=True))[:3]

    def store(order: list[str]) -> int:
        with transaction.atomic():  # in which nothing is tried a second time
            return store_events(provider="sendgrid", events=flood(order, times=1, kind="delivered"))

    with psycopg.connect(crowd_url) as other:
        # Both have stored their first event, and wait for the second, which somebody else is storing.
        other.execute(HALF, [f"0-{refs[1]}-delivered"])
        release = threading.Timer(2.0, other.rollback)
        release.start()
        results = together(lambda: store(refs), lambda: store(refs[::-1]))
        release.join()
    assert results == [3, 3]
    assert ProviderEvent.objects.count() == 3


def test_what_is_known_already_is_neither_written_nor_applied_again(accepted: Campaign) -> None:
    refs = list(accepted.messages.values_list("message_ref", flat=True))
    told = flood(refs, times=1, kind="delivered")
    store_events(provider="inbox", events=told)
    assert apply_events() == 200

    def written() -> tuple[Any, ...]:
        newest = ProviderEvent.objects.order_by("id").values_list("id", "received_at", "applied_at").last()
        return (*(newest or ()), ProviderEvent.objects.count(), AuditEvent.objects.count())

    before = written()
    for _ in range(10):
        store_events(provider="inbox", events=told)
    assert apply_events() == 0
    assert written() == before


@pytest.fixture
def large(admin_url: str) -> Iterator[list[int]]:
    """Ids of some of very many letters."""
    with unguarded(admin_url) as server:
        server.execute(FILL)
        found = server.execute("SELECT id FROM incidents_message WHERE entry_id > 1000000 ORDER BY id LIMIT 2000").fetchall()
    yield [row[0] for row in found]


def test_no_statement_of_matching_reads_a_large_table_through(large: list[int], admin_url: str) -> None:
    refs, names = [f"{n:032x}" for n in range(2000)], [f"p-{n}" for n in range(2000)]
    asked: dict[str, tuple[str, Any]] = {
        "owners": (receive.OWNERS, [names]),
        "named": (receive.NAMED, [refs, large[:20]]),
        "targets": (receive.TARGETS, [large]),
        "tries": (receive.TRIES, {"ids": large}),
        "moved": (receive.MOVED, [large, ["delivered"] * 2000, [""] * 2000, [0.0] * 2000]),
        "look again": (LOOK_AGAIN, {"after": 0, "number": 2000, "names": ["one"], "kinds": ["postmark"]}),
    }
    for name, (query, values) in asked.items():
        plan = explained(query, values)
        for table in ("incidents_message", "incidents_attempt"):
            assert f"Seq Scan on {table} " not in plan, f"{name}:\n{plan}"


def test_events_that_wait_are_found_on_their_index_among_very_many_that_do_not(admin_url: str) -> None:
    with superuser(admin_url) as server:
        server.execute(
            "INSERT INTO incidents_providerevent (provider, event_key, message_ref, kind, detail, received_at, effect, applied_at) "
            "SELECT 'postmark', n, md5(n::text), 'delivered', '', now(), 'noted', now() FROM generate_series(1, 50000) n"
        )
        server.execute("ANALYZE incidents_providerevent")
    plan = explained(receive.PAGE, [0, 2000])
    assert "event_unapplied" in plan, plan


def explained(query: str, values: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + query, values)
        return "\n".join(row[0] for row in cursor.fetchall())
