"""How a letter is given out and nobody is dropped. Write before you act: the claim is the intent.

A worker claims an ordered chunk in one transaction; a marker on the chunk says how many are answered, and no letter begins
further than `step` past it. When a worker dies, what lies before the marker is known, what may have been handed over past it
(`step`, or `flush` when the database's server crashed too) is in doubt, the rest was never begun. The fencing token is in
every write, so a worker that comes back late moves nobody; what it knows is kept beside, and may settle a doubt. Whatever
happens, each message of a chunk gets exactly one outcome, by `finish`, `give_back_strays` or `take_over`, and each outcome a
state. All of it rests on somebody calling `take_over`: housekeeping does, every two seconds (`work.py`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import django.db
from django.conf import settings
from django.db import connection, transaction

from incidents import failpoints
from incidents.audit.actions import Action
from incidents.audit.log import Entry, record, record_many
from incidents.dispatch import pacing
from incidents.dispatch.outcomes import DISPATCHER, Outcome, Taken, array, not_left, texts, write_outcomes
from incidents.dispatch.owner import Owner, Place
from incidents.models import Campaign, CampaignState, Chunk, ChunkState

T = TypeVar("T")
#: serialization_failure, deadlock_detected, lock_not_available: nothing was written, and the next try may pass.
PASSING = frozenset({"40001", "40P01", "55P03"})


class Fenced(Exception):
    """The chunk was taken over: this worker was thought dead. Nothing it writes counts any more."""


@dataclass(frozen=True)
class Claim:
    """A chunk in the hands of a worker."""

    chunk_id: int
    campaign: Campaign
    token: int
    provider: str
    #: How many letters may be handed over past the marker, and past the last marker that is on the database's disk.
    step: int
    flush: int
    letters: Sequence[Taken]
    claimed_at: datetime
    #: The monotonic clock at the claim.
    started: float = field(default_factory=time.monotonic)

    @property
    def message_ids(self) -> tuple[int, ...]:
        """In their order."""
        return tuple(letter.id for letter in self.letters)

    def now(self) -> datetime:
        """The database's clock, carried on by a monotonic one."""
        return self.claimed_at + timedelta(seconds=time.monotonic() - self.started)


def again(deed: Callable[[], T], *, tries: int = 3) -> T:
    """Run one whole transaction; up to three times where another one stood in its way."""
    for left in reversed(range(tries)):
        try:
            return deed()
        except django.db.OperationalError as error:
            if not left or getattr(error.__cause__, "sqlstate", "") not in PASSING:
                raise
    raise AssertionError("not reached")


# -- claiming ----------------------------------------------------------------------------------------------------------

#: Shared lock: a pause or stop waits for this claim, and the next claim sees it. Nobody before the first wave to staff passed.
MAY_CLAIM = """
SELECT 1 FROM incidents_campaign WHERE id = %s AND state = 'dispatching' AND canary NOT IN ('waiting', 'failed') FOR SHARE"""
#: The most urgent stand first in their index, and a chunk's messages are found by their keys. The planner, who has heard little
#: of a table that was just filled, would rather read all that wait and sort them, or all that are being sent, for every chunk.
BY_INDEX = "".join(f"SET LOCAL enable_{way} = off; " for way in ("sort", "seqscan", "hashjoin", "mergejoin"))
PICK = """
SELECT id, domain_key, due_at FROM incidents_message WHERE campaign_id = %s AND phase = 'waiting' AND state = 'ready'
  AND (not_before IS NULL OR not_before <= clock_timestamp()) AND domain_key <> ALL (%s::text[]) {behind}
ORDER BY due_at NULLS LAST, id LIMIT %s FOR UPDATE SKIP LOCKED"""
#: While anybody holds an old snapshot (a backup, a count), the index keeps every letter that has left; whoever walks over all of
#: them for each claim is slower with each; and so are those of a domain put aside, which may be the most urgent (50 to 70 ms for
#: 100,000, 0.5 ms behind them). So a worker goes on where its last claim that left out the same domains ended, for so many
#: seconds; then, where it finds too few there, or a domain comes back, it looks from the beginning.
GO_ON_SECONDS, MOST_PLACES = 2.0, 64
BEHIND, BEHIND_ALL_DATED = "AND (due_at, id) > (%s, %s)", "AND due_at IS NULL AND id > %s"
#: SHA-256 of the content as the register's line has it. What was planned stands there, or the line is read: a quotation mark
#: inside a value is escaped, so that no value can pass for the key.
APPROVED = """CASE WHEN strpos(e.line, '"content_sha256":"' || m.content_sha256 || '"') > 0 THEN m.content_sha256
  ELSE e.line::jsonb ->> 'content_sha256' END"""
TAKE = f"""
UPDATE incidents_message m SET state = 'sending', attempts = m.attempts + 1
FROM incidents_registerentry e JOIN incidents_affectedperson p ON p.id = e.person_id
WHERE m.id = ANY (%s::bigint[]) AND e.id = m.entry_id
RETURNING m.id, m.message_ref, m.attempts, {APPROVED}, m.domain_key, p.subject, e.letter_id,
  p.sealed, p.wrapped_key, p.key_version"""  # noqa: S608
CHUNK = """
INSERT INTO incidents_chunk (campaign_id, message_ids, provider, step, flush, state, token, owner_lock, lease_until, confirmed,
  exceptions, claimed_at)
VALUES (%s, %s, %s, %s, %s, 'claimed', nextval('incidents_chunk_token'), %s, clock_timestamp() + make_interval(secs => %s),
  0, '{}', clock_timestamp())
RETURNING id, token, claimed_at"""


def claim(
    *,
    campaign: Campaign,
    owner: Owner,
    provider: str,
    size: int,
    pieces: int = 1,
    step: int = 1,
    avoid: Sequence[str] = (),
    caps: Mapping[str, int] | None = None,
) -> list[Claim]:
    """Take up to `size` of the most urgent ready messages of a dispatching campaign, dealt out in `pieces` chunks.

    Empty when there are none or it does not dispatch. `avoid` and `caps` are domain keys (`pacing.Grant`).
    """
    failpoints.reach("before_claim")

    def deed() -> list[Claim]:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(BY_INDEX)
            cursor.execute(MAY_CLAIM, [campaign.pk])
            if not cursor.fetchone() or not (ids := _pick(cursor, owner, campaign.pk, size, list(avoid), caps or {})):
                return []
            taken = _take(cursor, ids)
            dealt = [taken[at::pieces] for at in range(min(pieces, len(taken)))]
            claims = [_chunk(cursor, campaign, owner, provider, step, letters) for letters in dealt]
            record_many(incident=campaign.incident, actor=DISPATCHER, entries=[_claim_entry(one) for one in claims])
            failpoints.reach("after_claim")
        return claims

    claims = again(deed)
    # From here on their letters may leave. What was committed without our hearing of it never can: `give_back_strays`.
    owner.heard.update(one.chunk_id for one in claims)
    if claims:
        failpoints.reach("after_intent_commit")
    return claims


def _pick(cursor: Any, owner: Owner, campaign_id: int, size: int, avoid: list[str], caps: Mapping[str, int]) -> list[int]:
    """The ids of the most urgent messages, no more of a capped domain than its cap; others move up in their place."""
    ids: list[int] = []
    left = dict(caps)
    while len(ids) < size:
        picked = set(ids)
        found = [row for row in _ready(cursor, owner, campaign_id, size, avoid) if row[0] not in picked]
        for message_id, domain, _ in found:
            if len(ids) < size and left.get(domain, 1) > 0:
                ids.append(message_id)
                if domain in left:
                    left[domain] -= 1
        full = [domain for domain, number in left.items() if number <= 0 and domain not in avoid]
        if not full:
            break
        avoid = avoid + full
    return ids


def _ready(cursor: Any, owner: Owner, campaign_id: int, size: int, avoid: list[str]) -> list[tuple[int, str, datetime | None]]:
    """Up to so many ready messages: behind those of this worker's last claim, or, if they are fewer there, from the beginning."""
    here, found = (campaign_id, frozenset(avoid)), []
    place = owner.places.get(here)
    if place is not None and time.monotonic() - place.since < GO_ON_SECONDS:
        behind, values = behind_of(place.due_at, place.id)
        cursor.execute(PICK.format(behind=behind), [campaign_id, avoid, *values, size])
        found = cursor.fetchall()
    if len(found) < size:
        place = None
        cursor.execute(PICK.format(behind=""), [campaign_id, avoid, size])
        found = cursor.fetchall()
    if found:
        last_id, _, due_at = found[-1]
        if len(owner.places) >= MOST_PLACES:
            owner.places.clear()
        owner.places[here] = Place(due_at, last_id, place.since if place else time.monotonic())
    return found


def behind_of(due_at: datetime | None, message_id: int) -> tuple[str, list[Any]]:
    """The condition, and its values, of what stands behind this message in the order of sending."""
    return (BEHIND, [due_at, message_id]) if due_at else (BEHIND_ALL_DATED, [message_id])


def _take(cursor: Any, ids: list[int]) -> list[Taken]:
    cursor.execute(TAKE, [array(ids)])
    by_id = {row[0]: Taken._make(row) for row in cursor.fetchall()}
    return [by_id[pk] for pk in ids]


def _chunk(cursor: Any, campaign: Campaign, owner: Owner, provider: str, step: int, letters: list[Taken]) -> Claim:
    ids = array([letter.id for letter in letters])
    flush = max(settings.MARKER_FLUSH, step)
    cursor.execute(CHUNK, [campaign.pk, ids, provider, step, flush, owner.lock, settings.LEASE_SECONDS])
    chunk_id, token, claimed_at = cursor.fetchone()
    return Claim(chunk_id, campaign, token, provider, step, flush, letters, claimed_at)


def _claim_entry(one: Claim) -> Entry:
    digest = hashlib.sha256("\n".join(letter.message_ref for letter in one.letters).encode()).hexdigest()
    data = {"campaign": one.campaign.reference, "chunk": one.chunk_id, "token": one.token, "n": len(one.letters)}
    return Entry(Action.CHUNK_CLAIMED, {**data, "list_sha256": digest})


# -- the marker --------------------------------------------------------------------------------------------------------

MARK = """
UPDATE incidents_chunk c SET confirmed = u.confirmed, lease_until = clock_timestamp() + make_interval(secs => $1::float),
  exceptions = CASE WHEN u.other = '' THEN c.exceptions ELSE c.exceptions || u.other::jsonb END
FROM unnest($2::bigint[], $3::bigint[], $4::int[], $5::text[]) AS u(id, token, confirmed, other), incidents_campaign p
WHERE c.id = u.id AND c.token = u.token AND c.state = 'claimed' AND p.id = c.campaign_id
RETURNING c.id, p.state"""
#: The same, waiting for the disk: with it every marker of this server is there that was written before.
MARK_FOR_GOOD = MARK.replace("incidents_campaign p", "incidents_campaign p, set_config('synchronous_commit', 'on', true)")


@dataclass(frozen=True, slots=True)
class Mark:
    """So many letters of a chunk are answered; `news`: place -> outcome of those since the last marker that were not accepted."""

    claimed: Claim
    confirmed: int
    news: Mapping[int, Outcome] = field(default_factory=dict)


def mark_many(*, owner: Owner, marks: Sequence[Mark], for_good: bool = False) -> dict[int, bool]:
    """Write the markers of a worker's chunks and renew their leases; chunk -> whether its campaign still dispatches. A crash of
    the server may take them back, unless they are `for_good`.

    A chunk that is missing in the answer was taken over: its worker is fenced.
    """
    columns = [
        array([mark.claimed.chunk_id for mark in marks]),
        array([mark.claimed.token for mark in marks]),
        array([mark.confirmed for mark in marks]),
        texts([_other(mark.news) for mark in marks]),
    ]
    found = owner.execute_again(MARK_FOR_GOOD if for_good else MARK, [str(settings.LEASE_SECONDS), *columns])
    return {int(chunk): state == CampaignState.DISPATCHING for chunk, state in found}


def _other(news: Mapping[int, Outcome]) -> str:
    return json.dumps({at: one.to_json() for at, one in news.items()}) if news else ""


# -- the end of a chunk ------------------------------------------------------------------------------------------------


def finish(*, claimed: Claim, outcomes: Sequence[Outcome]) -> None:
    """Write what became of a chunk's messages, all in one transaction. Raises Fenced when it was taken over.

    May be called again when nobody knows whether it was written (the connection was cut at its commit).
    """

    def deed() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(BY_INDEX)
            cursor.execute(
                "UPDATE incidents_chunk SET state = 'done', ended_at = clock_timestamp() "
                "WHERE id = %s AND token = %s AND state = 'claimed' RETURNING ended_at",
                [claimed.chunk_id, claimed.token],
            )
            ended = cursor.fetchone()
            if ended is None:
                _written_before(claimed)
                return
            settled = list(zip(claimed.letters, outcomes, strict=True))
            write_outcomes(
                campaign=claimed.campaign, chunk_id=claimed.chunk_id, provider=claimed.provider, settled=settled, at=ended[0]
            )

    again(deed)


def _written_before(claimed: Claim) -> None:
    if not Chunk.objects.filter(pk=claimed.chunk_id, token=claimed.token, state=ChunkState.DONE).exists():
        raise Fenced


def keep_late(*, claimed: Claim, outcomes: Sequence[Outcome]) -> None:
    """Keep what a fenced worker knows: it moves nobody, but it may settle a doubt."""
    with transaction.atomic(), connection.cursor() as cursor:
        for letter, outcome in zip(claimed.letters, outcomes, strict=False):
            cursor.execute(
                "INSERT INTO incidents_lateresult (chunk_id, message_id, outcome, provider, provider_id, detail, recorded_at) "
                "VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp()) ON CONFLICT DO NOTHING",
                [claimed.chunk_id, letter.id, outcome.kind, claimed.provider, outcome.provider_id, outcome.detail],
            )


# -- taking over -------------------------------------------------------------------------------------------------------

#: Whether the owner is gone, and whether the marker is whole. Markers are not waited for (`synchronous_commit = off`): a killed
#: worker loses none, but a crash of the server cuts off the last ones, and then a letter past the marker may have been answered.
#: The table of owners is UNLOGGED and is emptied by that same crash. So `known` (the owner still stands in it) says two things:
#: the server has not crashed since, so the marker is whole; and a free lock means death. After a crash all locks are free, also
#: those of the living, so that only the lease tells: a worker that lives comes back within it and says itself how far it came.
GONE = """
SELECT clock_timestamp() > %s OR (known AND pg_try_advisory_xact_lock(%s)), known
FROM (SELECT EXISTS (SELECT 1 FROM incidents_presence WHERE owner_lock = %s) AS known) AS owner"""
IN_CHUNK = f"""
SELECT m.id, m.message_ref, m.attempts, {APPROVED}, m.domain_key, p.subject
FROM incidents_message m JOIN incidents_registerentry e ON e.id = m.entry_id JOIN incidents_affectedperson p ON p.id = e.person_id
WHERE m.id = ANY (%s)"""  # noqa: S608


def take_over() -> int:
    """Settle the chunks of workers that died or stalled past their lease, from the marker; returns how many chunks."""
    claimed = Chunk.objects.filter(state=ChunkState.CLAIMED).order_by("id")
    ended = [again(lambda pk=pk: _take_over_one(pk)) for pk in list(claimed.values_list("id", flat=True))]  # type: ignore[misc]
    return sum(ended)


def _take_over_one(chunk_id: int) -> int:
    back: Counter[tuple[str, bool]] = Counter()
    with transaction.atomic(), connection.cursor() as cursor:
        chunk = Chunk.objects.select_for_update(skip_locked=True).filter(pk=chunk_id, state=ChunkState.CLAIMED).first()
        if chunk is None:
            return 0
        cursor.execute(GONE, [chunk.lease_until, chunk.owner_lock, chunk.owner_lock])
        gone, marker_is_whole = cursor.fetchone()
        if gone:
            known = [after_death(chunk, at, marker_is_whole=marker_is_whole) for at in range(len(chunk.message_ids))]
            back = _end(chunk, known)
    _give_back(chunk, back)
    return int(gone)


def after_death(chunk: Chunk, at: int, *, marker_is_whole: bool = True) -> Outcome:
    """What is known of the message at a place in a dead worker's chunk. `marker_is_whole`: no crash of the server cut it."""
    if at < chunk.confirmed:  # answered: taken, unless the marker wrote down something else
        known = chunk.exceptions.get(str(at))
        return Outcome(**known) if known else Outcome("accepted", detail="answered before its worker died")
    if at < chunk.confirmed + chunk.step:  # it may have been handed over: no letter is begun further past the marker
        return Outcome("doubt", detail="its worker died while it was handed over", died=True)
    # The true marker may have stood further on, but never further than the next one that would have been waited for.
    if not marker_is_whole and (not chunk.flush or at < chunk.confirmed + chunk.flush):
        return Outcome("doubt", detail="the database crashed, and its worker has not come back to tell")
    return Outcome("unsent", detail="its worker died before its turn")


def give_back_strays(*, owner: Owner) -> None:
    """Give back what this very worker claimed without hearing of it (the connection was cut at the commit): nothing was begun.

    The take-over would only find them when their lease is over, since this worker lives, and would list doubts that are none.
    A chunk of which this worker heard may have been begun, even where it has it no longer in hand: that one is left to the
    take-over.
    """
    mine = Chunk.objects.filter(owner_lock__in=[*owner.former, owner.lock], state=ChunkState.CLAIMED)
    for chunk_id in set(mine.values_list("id", flat=True)) - owner.heard:
        back: Counter[tuple[str, bool]] = Counter()
        with transaction.atomic():
            chunk = Chunk.objects.select_for_update().filter(pk=chunk_id, state=ChunkState.CLAIMED).first()
            if chunk is not None:
                back = _end(chunk, [Outcome("unsent", detail="claimed without an answer")] * len(chunk.message_ids))
        if chunk is not None:
            _give_back(chunk, back)


def _give_back(chunk: Chunk, letters: Mapping[tuple[str, bool], int]) -> None:
    """What did not leave counts against no quota. After the commit: its worker, who comes back fenced, gives none of it back."""
    if letters:
        day, incident = chunk.claimed_at.astimezone(UTC).date(), chunk.campaign.incident
        pacing.give_back_letters(provider=chunk.provider, incident=incident, day=day, letters=letters)


def _end(chunk: Chunk, outcomes: list[Outcome]) -> Counter[tuple[str, bool]]:
    """Write these outcomes; returns which letters did not leave (`not_left`)."""
    campaign = Campaign.objects.select_related("incident").get(pk=chunk.campaign_id)
    with connection.cursor() as cursor:
        cursor.execute(BY_INDEX)
        cursor.execute(
            "UPDATE incidents_chunk SET state = 'taken_over', token = nextval('incidents_chunk_token'), "
            "ended_at = clock_timestamp() WHERE id = %s RETURNING ended_at",
            [chunk.pk],
        )
        (ended,) = cursor.fetchone()
        cursor.execute(IN_CHUNK, [chunk.message_ids])
        by_id = {row[0]: Taken(*row) for row in cursor.fetchall()}
    data = {"campaign": campaign.reference, "chunk": chunk.pk, "confirmed": chunk.confirmed, "n": len(chunk.message_ids)}
    record(incident=campaign.incident, action=Action.CHUNK_TAKEN_OVER, actor=DISPATCHER, data=data)
    letters = [by_id[pk] for pk in chunk.message_ids]
    settled = list(zip(letters, outcomes, strict=True))
    write_outcomes(campaign=campaign, chunk_id=chunk.pk, provider=chunk.provider, settled=settled, at=ended)
    return not_left(letters=letters, outcomes=outcomes)
