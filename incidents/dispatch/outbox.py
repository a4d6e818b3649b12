"""How a letter is given out and nobody is dropped. Write before you act: the claim is the intent.

A worker claims an ordered chunk in one transaction; a marker on the chunk says how many are answered, and no letter begins
further than `step` past it. When a worker dies, what lies before the marker is known, what may have been handed over past it
(`step`, or `flush` when the database's server crashed too) is in doubt, the rest was never begun.

A chunk ends once, by `_end_chunk`: in one transaction each of its messages gets exactly one outcome, and each outcome is a state;
or nothing is written. Who calls it, and why nobody else can:

    finish            its worker, when all that it began is answered: under the token of its claim
    take_over         housekeeping (`work.py`, every two seconds), when its worker's lock is free or its lease is over: under a
                      new token, so that a worker that comes back late is Fenced and moves nobody
    give_back_strays  its worker, when the claim's commit was never heard of (nothing was begun): likewise

What a fenced worker knows is kept beside by `keep_late`; it moves nobody, and may settle a doubt. A chunk that none of the three
has ended stays `claimed`, its letters `sending`, and the next tick tries again: all of it rests on somebody calling `take_over`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import django.db
from django.conf import settings
from django.db import connection, transaction

from incidents import failpoints
from incidents.audit.actions import Action
from incidents.audit.log import Entry, record, record_many
from incidents.dispatch import pacing
from incidents.dispatch.outcomes import DISPATCHER, NotLeft, Outcome, Taken, array, not_left, texts, write_outcomes
from incidents.dispatch.owner import AWAY, Owner
from incidents.dispatch.picking import BY_INDEX, pick, pick_untried
from incidents.models import Campaign, CampaignState, Chunk, ChunkState

T = TypeVar("T")
logger = logging.getLogger(__name__)
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


def with_retries(deed: Callable[[], T], *, tries: int = 3) -> T:
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
    tries: bool = False,
) -> list[Claim]:
    """Take up to `size` of the most urgent ready messages of a dispatching campaign, dealt out in `pieces` chunks.

    Empty when there are none or it does not dispatch. `avoid` and `caps` are domain keys, `tries`: it is for the one
    letter that tries a provider that was shut (`pacing.Grant`).
    """
    failpoints.reach("before_claim")

    def deed() -> list[Claim]:
        with transaction.atomic(), connection.cursor() as cursor:
            ids = _most_urgent(cursor, owner, campaign, size, list(avoid), caps or {}, tries=tries)
            if not ids:
                return []
            taken = _take(cursor, ids)
            dealt = [taken[at::pieces] for at in range(min(pieces, len(taken)))]
            claims = [_chunk(cursor, campaign, owner, provider, step, letters) for letters in dealt]
            record_many(incident=campaign.incident, actor=DISPATCHER, entries=[_claim_entry(one) for one in claims])
            failpoints.reach("after_claim")
        return claims

    claims = with_retries(deed)
    # From here on their letters may leave. What was committed without our hearing of it never can: `give_back_strays`.
    owner.heard.update(one.chunk_id for one in claims)
    if claims:
        failpoints.reach("after_intent_commit")
    return claims


def _most_urgent(
    cursor: Any, owner: Owner, campaign: Campaign, size: int, avoid: list[str], caps: Mapping[str, int], *, tries: bool
) -> list[int]:
    cursor.execute(BY_INDEX)
    cursor.execute(MAY_CLAIM, [campaign.pk])
    if not cursor.fetchone():
        return []
    untried = pick_untried(cursor, campaign.pk, avoid) if tries else []
    return untried or pick(cursor, owner, campaign.pk, size, avoid, caps)


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


END = """
UPDATE incidents_chunk SET state = %s, token = {token}, ended_at = clock_timestamp()
WHERE id = %s AND token = %s AND state = 'claimed' RETURNING ended_at"""
#: A chunk that is done keeps its token, by which its worker knows it again; one that was taken from its worker gets a new one.
TOKEN = {ChunkState.DONE: "token", ChunkState.TAKEN_OVER: "nextval('incidents_chunk_token')"}


def _end_chunk(
    *, chunk_id: int, token: int, to: ChunkState, campaign: Campaign, provider: str,
    letters: Sequence[Taken], outcomes: Sequence[Outcome],
) -> bool:  # fmt: skip
    """End a chunk, one outcome for each of its letters, in the caller's transaction; or, where it no longer stands under this
    token, write nothing and return False."""
    settled = list(zip(letters, outcomes, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(BY_INDEX)
        cursor.execute(END.format(token=TOKEN[to]), [to, chunk_id, token])
        ended = cursor.fetchone()
    if ended is not None:
        write_outcomes(campaign=campaign, chunk_id=chunk_id, provider=provider, settled=settled, at=ended[0])
    return ended is not None


def finish(*, claimed: Claim, outcomes: Sequence[Outcome]) -> None:
    """Write what became of a chunk's messages. Raises Fenced when it was taken over.

    May be called again when nobody knows whether it was written (the connection was cut at its commit).
    """

    def deed() -> None:
        with transaction.atomic():
            if not _end_chunk(
                chunk_id=claimed.chunk_id, token=claimed.token, to=ChunkState.DONE, campaign=claimed.campaign,
                provider=claimed.provider, letters=claimed.letters, outcomes=outcomes,
            ):  # fmt: skip
                _written_before(claimed)

    with_retries(deed)


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
    """Settle the chunks of workers that died or stalled past their lease, from the marker; returns how many chunks.

    One that cannot be settled holds up no other: its letters stay as they are, and `check_campaign` names it.
    """
    ended = 0
    for chunk_id in list(Chunk.objects.filter(state=ChunkState.CLAIMED).order_by("id").values_list("id", flat=True)):
        try:
            ended += _take_over_one(chunk_id)
        except AWAY:
            raise
        except Exception as error:
            # Whatever it is, it is about this chunk. Its words could hold what is personal.
            logger.error("chunk %s cannot be taken over (%s); the next tick tries again", chunk_id, type(error).__name__)
    return ended


def _take_over_one(chunk_id: int) -> int:
    chunk, back = with_retries(partial(_taken_over, chunk_id))
    if chunk is None:
        return 0
    _return_quota(chunk, back)
    return 1


def _taken_over(chunk_id: int) -> tuple[Chunk | None, Counter[NotLeft]]:
    """The chunk, if it was to be ended and is, and which of its letters did not leave."""
    with transaction.atomic(), connection.cursor() as cursor:
        chunk = Chunk.objects.select_for_update(skip_locked=True).filter(pk=chunk_id, state=ChunkState.CLAIMED).first()
        if chunk is None:
            return None, Counter()
        cursor.execute(GONE, [chunk.lease_until, chunk.owner_lock, chunk.owner_lock])
        gone, marker_is_whole = cursor.fetchone()
        if not gone:
            return None, Counter()
        known = [after_death(chunk, at, marker_is_whole=marker_is_whole) for at in range(len(chunk.message_ids))]
        return chunk, _end_for_its_worker(chunk, known)


def after_death(chunk: Chunk, at: int, *, marker_is_whole: bool = True) -> Outcome:
    """What is known of the message at a place in a dead worker's chunk. `marker_is_whole`: no crash of the server cut it."""
    if at < chunk.confirmed:  # answered: taken, unless the marker wrote down something else
        known = chunk.exceptions.get(str(at))
        return Outcome.from_json(known) if known else Outcome("accepted", detail="answered before its worker died")
    if at < chunk.confirmed + chunk.step:  # it may have been handed over: no letter is begun further past the marker
        return Outcome("doubt", detail="its worker died while it was handed over", died=True)
    # The true marker may have stood further on, but never further than the next one that would have been waited for.
    if not marker_is_whole and (not chunk.flush or at < chunk.confirmed + chunk.flush):
        return Outcome("doubt", detail="the database crashed, and its worker has not come back to tell")
    return Outcome("unsent", detail="its worker died before its turn")


def give_back_strays(*, owner: Owner) -> list[str]:
    """Give back what this very worker claimed without hearing of it (the connection was cut at the commit): nothing was begun.
    Returns the domain keys of these letters.

    The take-over would only find them when their lease is over, since this worker lives, and would list doubts that are none.
    A chunk of which this worker heard may have been begun, even where it has it no longer in hand: that one is left to the
    take-over.
    """
    mine, domains = Chunk.objects.filter(owner_lock__in=[*owner.former, owner.lock], state=ChunkState.CLAIMED), []
    for chunk_id in set(mine.values_list("id", flat=True)) - owner.heard:
        back: Counter[NotLeft] = Counter()
        with transaction.atomic():
            chunk = Chunk.objects.select_for_update().filter(pk=chunk_id, state=ChunkState.CLAIMED).first()
            if chunk is not None:
                unsent = [Outcome("unsent", detail="claimed without an answer")] * len(chunk.message_ids)
                back = _end_for_its_worker(chunk, unsent)
        if chunk is not None:
            domains += [one.domain_key for one in back.elements()]
            _return_quota(chunk, back)
    return domains


def _return_quota(chunk: Chunk, letters: Mapping[NotLeft, int]) -> None:
    """What did not leave counts against no quota. After the commit: its worker, who comes back fenced, returns none of it."""
    if letters:
        day, incident = chunk.claimed_at.astimezone(UTC).date(), chunk.campaign.incident
        pacing.return_quota_of(provider=chunk.provider, incident=incident, day=day, letters=letters)


def _end_for_its_worker(chunk: Chunk, outcomes: list[Outcome]) -> Counter[NotLeft]:
    """End a chunk that the caller has locked; returns which letters did not leave."""
    campaign = Campaign.objects.select_related("incident").get(pk=chunk.campaign_id)
    with connection.cursor() as cursor:
        cursor.execute(BY_INDEX)
        cursor.execute(IN_CHUNK, [chunk.message_ids])
        by_id = {row[0]: Taken(*row) for row in cursor.fetchall()}
    letters = [by_id[pk] for pk in chunk.message_ids]
    data = {"campaign": campaign.reference, "chunk": chunk.pk, "confirmed": chunk.confirmed, "n": len(chunk.message_ids)}
    record(incident=campaign.incident, action=Action.CHUNK_TAKEN_OVER, actor=DISPATCHER, data=data)
    ended = _end_chunk(
        chunk_id=chunk.pk, token=chunk.token, to=ChunkState.TAKEN_OVER, campaign=campaign, provider=chunk.provider,
        letters=letters, outcomes=outcomes,
    )  # fmt: skip
    assert ended  # it is locked, and was claimed
    return not_left(letters=letters, outcomes=outcomes)
