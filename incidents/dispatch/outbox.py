"""The states of a message and the only functions that change them. Write before you act: the claim is the intent.

A worker claims an ordered chunk in one transaction; after every reply a marker on the chunk says how many are answered. When a
worker dies, what lies before the marker is known, the one past it is in doubt, the rest was never begun. The fencing token is
in every write, so a worker that comes back late changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import random
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from incidents.audit.actions import Action
from incidents.audit.log import Entry, record, record_many
from incidents.models import Attempt, Campaign, CampaignState, Chunk, ChunkState, Doubt, Message
from incidents.models import MessageState as S

DISPATCHER = "dispatcher"
MOST_ATTEMPTS = 8
LONGEST_WAIT_SECONDS = 3600


class Fenced(Exception):
    """The chunk was taken over: this worker was thought dead. Nothing it writes counts any more."""


@dataclass(frozen=True)
class Outcome:
    """What became of one try. `kind`: accepted, refused, failed, unsent, doubt, quarantined."""

    kind: str
    provider_id: str = ""
    detail: str = ""
    content_sha256: str = ""
    answered_at: datetime | None = None

    def to_json(self) -> dict[str, str]:
        """The form kept on the chunk beside the marker."""
        return {"kind": self.kind, "detail": self.detail, "provider_id": self.provider_id}


#: Outcome -> next state and the log's word for it.
NEXT: dict[str, tuple[str, Action]] = {
    "accepted": (S.ACCEPTED, Action.ATTEMPT_ACCEPTED),
    "refused": (S.NEEDS_OTHER_CHANNEL, Action.ATTEMPT_REFUSED),
    "failed": (S.READY, Action.ATTEMPT_FAILED),
    "doubt": (S.IN_DOUBT, Action.ATTEMPT_DOUBT),
    "quarantined": (S.QUARANTINED, Action.MESSAGE_MOVED),
    "unsent": (S.READY, Action.MESSAGE_MOVED),
}


@dataclass
class Owner:
    """One worker's identity: a connection of its own that holds an advisory lock for life and writes the markers."""

    lock: int = field(default_factory=lambda: secrets.randbits(62))
    connection: psycopg.Connection | None = None

    def __enter__(self) -> Owner:
        parameters = {**connection.get_connection_params(), "autocommit": True}
        for name in ("cursor_factory", "context", "prepare_threshold"):
            parameters.pop(name, None)
        self.connection = psycopg.connect(**parameters)
        # A lost marker can only widen the doubt after a crash of the database server itself, and is then listed too.
        self.connection.execute("SET synchronous_commit = off")
        self.connection.execute("SELECT pg_advisory_lock(%s)", [self.lock])
        return self

    def alive(self) -> bool:
        """Whether the connection, and so the lock, still stands: a restarted server has forgotten both."""
        try:
            return self.connection is not None and self.connection.execute("SELECT 1").fetchone() is not None
        except psycopg.Error:
            return False

    def __exit__(self, *_: object) -> None:
        if self.connection is not None:
            with suppress(psycopg.Error):
                # The server notices a closed connection only after a while; whoever leaves in order frees the lock at once.
                self.connection.execute("SELECT pg_advisory_unlock(%s)", [self.lock])
                self.connection.close()


@dataclass(frozen=True)
class Claim:
    """A chunk in the hands of a worker."""

    chunk_id: int
    campaign: Campaign
    token: int
    message_ids: tuple[int, ...]


CLAIMABLE = """
SELECT id FROM incidents_message WHERE campaign_id = %s AND state = 'ready'
  AND (not_before IS NULL OR not_before <= clock_timestamp())
ORDER BY due_at NULLS LAST, id LIMIT %s FOR UPDATE SKIP LOCKED"""


def claim(*, campaign_id: int, owner: Owner, size: int | None = None) -> Claim | None:
    """Take the most urgent ready messages of a dispatching campaign; None when there are none or it does not dispatch."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Shared lock: a pause or stop waits for this claim, and the next claim sees it.
        cursor.execute("SELECT state FROM incidents_campaign WHERE id = %s FOR SHARE", [campaign_id])
        found = cursor.fetchone()
        if not found or found[0] != CampaignState.DISPATCHING:
            return None
        cursor.execute(CLAIMABLE, [campaign_id, size or settings.CHUNK_SIZE])
        ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return None
        cursor.execute(
            "INSERT INTO incidents_chunk (campaign_id, message_ids, state, token, owner_lock, lease_until, confirmed, "
            "exceptions, claimed_at) VALUES (%s, %s, 'claimed', nextval('incidents_chunk_token'), %s, "
            "clock_timestamp() + make_interval(secs => %s), 0, '{}', clock_timestamp()) RETURNING id, token",
            [campaign_id, ids, owner.lock, settings.LEASE_SECONDS],
        )
        chunk_id, token = cursor.fetchone()
        cursor.execute("UPDATE incidents_message SET state = 'sending', attempts = attempts + 1 WHERE id = ANY(%s)", [ids])
        campaign = Campaign.objects.select_related("incident").get(pk=campaign_id)
        _log_claim(campaign, chunk_id, token, ids)
    return Claim(chunk_id, campaign, token, tuple(ids))


def _log_claim(campaign: Campaign, chunk_id: int, token: int, ids: list[int]) -> None:
    refs = Message.objects.filter(pk__in=ids).values_list("id", "message_ref")
    by_id = dict(refs)
    digest = hashlib.sha256("\n".join(by_id[pk] for pk in ids).encode()).hexdigest()
    data = {"campaign": campaign.reference, "chunk": chunk_id, "token": token, "n": len(ids), "list_sha256": digest}
    record(incident=campaign.incident, action=Action.CHUNK_CLAIMED, actor=DISPATCHER, data=data)


MARK = """
UPDATE incidents_chunk c SET confirmed = %s, exceptions = c.exceptions || %s::jsonb,
  lease_until = clock_timestamp() + make_interval(secs => %s)
FROM incidents_campaign p WHERE c.id = %s AND c.token = %s AND c.state = 'claimed' AND p.id = c.campaign_id
RETURNING p.state"""


def mark(*, owner: Owner, claimed: Claim, confirmed: int, outcome: Outcome) -> bool:
    """Move the marker past one answered message; returns whether the campaign still dispatches. Raises Fenced."""
    assert owner.connection is not None
    other = {} if outcome.kind == "accepted" else {str(confirmed - 1): outcome.to_json()}
    row = owner.connection.execute(
        MARK, [confirmed, json.dumps(other), settings.LEASE_SECONDS, claimed.chunk_id, claimed.token]
    ).fetchone()
    if row is None:
        raise Fenced
    return bool(row[0] == CampaignState.DISPATCHING)


def finish(*, claimed: Claim, outcomes: list[Outcome], provider: str) -> None:
    """Write what became of a chunk's messages, all in one transaction. Raises Fenced when it was taken over."""
    with transaction.atomic():
        held = Chunk.objects.filter(pk=claimed.chunk_id, token=claimed.token, state=ChunkState.CLAIMED)
        if not held.update(state=ChunkState.DONE, ended_at=Now()):
            raise Fenced
        _settle(claimed.campaign, claimed.chunk_id, list(zip(claimed.message_ids, outcomes, strict=True)), provider)


def _settle(campaign: Campaign, chunk_id: int, settled: list[tuple[int, Outcome]], provider: str) -> None:
    by_kind: dict[str, list[tuple[int, Outcome]]] = {}
    for message_id, outcome in settled:
        by_kind.setdefault(outcome.kind, []).append((message_id, outcome))
    found = Message.objects.filter(pk__in=[pk for pk, _ in settled]).select_related("entry__person")
    messages = {message.pk: message for message in found}
    _write_attempts(messages, chunk_id, settled, provider)
    for kind, group in by_kind.items():
        _move_group(campaign, kind, group, messages, chunk_id)
    entries = [_entry(campaign, messages[pk], outcome, chunk_id, provider) for pk, outcome in settled]
    record_many(incident=campaign.incident, actor=DISPATCHER, entries=entries)


def _write_attempts(messages: dict[int, Message], chunk_id: int, settled: list[tuple[int, Outcome]], provider: str) -> None:
    Attempt.objects.bulk_create(
        Attempt(
            message_id=pk,
            number=messages[pk].attempts,
            chunk_id=chunk_id,
            outcome=outcome.kind,
            provider=provider,
            provider_id=outcome.provider_id,
            detail=outcome.detail,
            answered_at=outcome.answered_at,
            content_sha256=outcome.content_sha256 or messages[pk].content_sha256,
        )
        for pk, outcome in settled
        if outcome.kind != "unsent"
    )


MOVE = """
UPDATE incidents_message m SET state = %s, provider_id = u.provider_id, state_reason = u.detail,
  accepted_at = CASE WHEN %s = 'accepted' THEN clock_timestamp() ELSE m.accepted_at END,
  not_before = CASE WHEN u.wait > 0 THEN clock_timestamp() + make_interval(secs => u.wait) ELSE m.not_before END,
  attempts = m.attempts - %s
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::float[]) AS u(id, provider_id, detail, wait) WHERE m.id = u.id"""


def _move_group(
    campaign: Campaign, kind: str, group: list[tuple[int, Outcome]], messages: dict[int, Message], chunk_id: int
) -> None:
    state, _ = NEXT[kind]
    waits = [
        backoff(attempts=messages[pk].attempts, drill=campaign.incident.is_drill) if kind == "failed" else 0.0 for pk, _ in group
    ]
    columns: list[list[Any]] = [[pk for pk, _ in group], [o.provider_id for _, o in group], [o.detail for _, o in group], waits]
    with connection.cursor() as cursor:
        cursor.execute(MOVE, [state, state, 1 if kind == "unsent" else 0, *columns])
    if kind == "doubt":
        Doubt.objects.bulk_create(
            Doubt(message_id=pk, chunk_id=chunk_id, reason=outcome.detail, opened_at=Now()) for pk, outcome in group
        )


def backoff(*, attempts: int, drill: bool) -> float:
    """Seconds until the next try: doubling from the base, with full jitter above half of it, at most an hour."""
    base = 1 if drill else settings.RETRY_BASE_SECONDS
    longest = min(LONGEST_WAIT_SECONDS, base * 2 ** min(attempts, 12))
    return float(longest * (0.5 + random.random() / 2))  # noqa: S311  (jitter)


def _entry(campaign: Campaign, message: Message, outcome: Outcome, chunk_id: int, provider: str) -> Entry:
    state, action = NEXT[outcome.kind]
    data = {
        "campaign": campaign.reference,
        "chunk": chunk_id,
        "message": message.message_ref,
        "state": state,
        "content_sha256": outcome.content_sha256 or message.content_sha256,
        "provider": provider,
        "provider_id": outcome.provider_id,
        "detail": outcome.detail,
        "answered_at": outcome.answered_at.isoformat() if outcome.answered_at else "",
    }
    return Entry(action, data, message.entry.person.subject)


def take_over(*, provider: str) -> int:
    """Settle the chunks of workers that died or stalled past their lease, from the marker; returns how many chunks."""
    taken = 0
    for chunk_id in list(Chunk.objects.filter(state=ChunkState.CLAIMED).order_by("id").values_list("id", flat=True)):
        with transaction.atomic(), connection.cursor() as cursor:
            chunk = Chunk.objects.select_for_update(skip_locked=True).filter(pk=chunk_id, state=ChunkState.CLAIMED).first()
            if chunk is None or not _owner_is_gone(cursor, chunk):
                continue
            _take(chunk, provider)
            taken += 1
    return taken


def _owner_is_gone(cursor: Any, chunk: Chunk) -> bool:
    cursor.execute("SELECT clock_timestamp() > %s OR pg_try_advisory_xact_lock(%s)", [chunk.lease_until, chunk.owner_lock])
    return bool(cursor.fetchone()[0])


def _take(chunk: Chunk, provider: str) -> None:
    campaign = Campaign.objects.select_related("incident").get(pk=chunk.campaign_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE incidents_chunk SET state = 'taken_over', token = nextval('incidents_chunk_token'), "
            "ended_at = clock_timestamp() WHERE id = %s",
            [chunk.pk],
        )
    data = {
        "campaign": campaign.reference,
        "chunk": chunk.pk,
        "confirmed": chunk.confirmed,
        "n": len(chunk.message_ids),
    }
    record(incident=campaign.incident, action=Action.CHUNK_TAKEN_OVER, actor=DISPATCHER, data=data)
    settled = [(pk, outcome_after_death(chunk, at)) for at, pk in enumerate(chunk.message_ids)]
    _settle(campaign, chunk.pk, settled, provider)


def outcome_after_death(chunk: Chunk, at: int) -> Outcome:
    """What is known of the message at a place in a dead worker's chunk."""
    if at < chunk.confirmed:
        known = chunk.exceptions.get(str(at))
        return Outcome(**known) if known else Outcome("accepted", detail="answered before its worker died")
    if at == chunk.confirmed:
        return Outcome("doubt", detail="its worker died while it was handed over")
    return Outcome("unsent", detail="its worker died before its turn")
