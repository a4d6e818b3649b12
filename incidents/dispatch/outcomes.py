"""What may become of one try at a letter, and how that is written down: attempt, new state, doubt and entry, all at once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from incidents.audit.actions import Action
from incidents.audit.alike import copied, plain, record_alike
from incidents.models import Campaign
from incidents.models import MessageState as S

DISPATCHER = "dispatcher"
LONGEST_WAIT_SECONDS = 3600
#: After so many attempts a soft bounce is one too many.
MOST_ATTEMPTS = 8
#: However near the deadline is, a letter that fails is tried for so long: another channel would not be faster.
LEAST_HOURS_OF_TRYING = 4
#: And so long where no deadline runs.
MOST_DAYS_OF_TRYING = 7


class Taken(NamedTuple):
    """One message in a worker's hands, with all that its letter is made of; as `outbox.TAKE` gives it."""

    id: int
    message_ref: str
    attempts: int
    #: SHA-256 of the content as the register's line has it: that line is in the signed root and can never be changed.
    approved: str
    domain_key: str
    subject: str
    letter_id: int | None = None
    sealed: bytes | None = None
    wrapped_key: bytes | None = None
    key_version: int = 1


class Outcome(NamedTuple):
    """What became of one try. `kind` is a key of NEXT; `detail` holds no personal data."""

    kind: str
    provider_id: str = ""
    detail: str = ""
    answered_at: datetime | None = None
    #: In doubt because its worker died with it.
    died: bool = False

    def to_json(self) -> dict[str, Any]:
        """The form kept on the chunk beside the marker."""
        return {"kind": self.kind, "detail": self.detail, "provider_id": self.provider_id}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Outcome:
        """What `to_json` kept, also where a host of another version kept more."""
        return cls(**{name: value for name, value in kept.items() if name in cls._fields})


#: Kind of outcome -> the message's next state, and the log's word for it. Every kind leads somewhere: nobody is dropped here.
NEXT: dict[str, tuple[str, Action]] = {
    "accepted": (S.ACCEPTED, Action.ATTEMPT_ACCEPTED),
    "refused": (S.NEEDS_OTHER_CHANNEL, Action.ATTEMPT_REFUSED),
    "failed": (S.READY, Action.ATTEMPT_FAILED),  # or, too near the deadline, S.NEEDS_OTHER_CHANNEL
    "account": (S.READY, Action.ATTEMPT_FAILED),  # we are refused, not the letter
    "doubt": (S.IN_DOUBT, Action.ATTEMPT_DOUBT),
    "quarantined": (S.QUARANTINED, Action.MESSAGE_MOVED),
    "unsent": (S.READY, Action.MESSAGE_MOVED),  # never begun: no attempt
}
#: Kinds of which certainly nothing left: they count against no quota, and those that were never begun used no pace either.
NEVER_BEGUN = frozenset({"unsent", "quarantined"})
NOT_LEFT = NEVER_BEGUN | {"failed", "account"}
NULL = "\\N"  # as COPY has it
Settled = Sequence[tuple[Taken, Outcome]]


class NotLeft(NamedTuple):
    """A letter of which certainly nothing left, for the quotas."""

    domain_key: str
    never_begun: bool


def not_left(*, letters: Sequence[Taken], outcomes: Sequence[Outcome]) -> Counter[NotLeft]:
    """How many letters certainly did not leave."""
    return Counter(
        NotLeft(letter.domain_key, one.kind in NEVER_BEGUN)
        for letter, one in zip(letters, outcomes, strict=True)
        if one.kind in NOT_LEFT
    )


def write_outcomes(*, campaign: Campaign, chunk_id: int, provider: str, settled: Settled, at: datetime) -> None:
    """Write what became of the messages of a chunk that ended at this moment, in the caller's transaction: of all of them, or of
    none when one is not SENDING."""
    by_kind: dict[tuple[str, bool], list[tuple[Taken, Outcome]]] = {}
    for letter, outcome in settled:
        by_kind.setdefault((outcome.kind, outcome.died), []).append((letter, outcome))
    _write_attempts(chunk_id, provider, settled)
    states: dict[int, str] = {}
    for (kind, died), group in by_kind.items():
        states |= _move(campaign, kind, died, group)
        if kind == "doubt":
            _list_doubts(chunk_id, provider, group)
    _record(campaign, chunk_id, provider, settled, states, at)


def _write_attempts(chunk_id: int, provider: str, settled: Settled) -> None:
    columns = "message_id, number, chunk_id, outcome, provider, provider_id, detail, content_sha256, answered_at"
    tried = [(letter, outcome) for letter, outcome in settled if outcome.kind != "unsent"]
    told = [text for _, outcome in tried for text in (outcome.provider_id, outcome.detail)]
    told = told if plain(told) else list(map(copied, told))
    rows = [
        f"{letter.id}\t{letter.attempts}\t{chunk_id}\t{'failed' if outcome.kind == 'account' else outcome.kind}\t{provider}\t"
        f"{provider_id}\t{detail}\t{letter.approved}\t{outcome.answered_at or NULL}\n"
        for (letter, outcome), provider_id, detail in zip(tried, told[0::2], told[1::2], strict=True)
    ]
    with connection.cursor() as cursor, cursor.copy(f"COPY incidents_attempt ({columns}) FROM STDIN") as out:
        out.write("".join(rows))


#: Written so that the planner takes it for a toss of a coin. Who believes that hardly any is being sent (nobody was when it last
#: counted) begins with those and compares each with each of the chunk: a second and a half for a thousand letters.
STILL = "coalesce(m.state = 'sending', false)"
#: State, seconds to wait, how many attempts and deaths are counted.
MOVE = f"""
UPDATE incidents_message m SET state = %s, provider_id = u.provider_id, state_reason = u.detail,
  attempts = m.attempts - %s, deaths = m.deaths + %s
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS u(id, provider_id, detail) WHERE m.id = u.id AND {STILL}"""  # noqa: S608
ACCEPT = f"""
UPDATE incidents_message m SET state = 'accepted', provider_id = u.provider_id, state_reason = u.detail,
  accepted_at = clock_timestamp()
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS u(id, provider_id, detail) WHERE m.id = u.id AND {STILL}"""  # noqa: S608
#: Tried again after a while, unless too little time would be left for another channel then.
RETRY = f"""
UPDATE incidents_message m SET provider_id = '', state_reason = u.detail,
  not_before = clock_timestamp() + make_interval(secs => u.wait),
  state = CASE WHEN %s OR clock_timestamp() + make_interval(secs => u.wait) < greatest(
      c.released_at + make_interval(hours => %s),
      coalesce(m.due_at - make_interval(hours => %s), c.released_at + make_interval(days => %s)))
    THEN 'ready' ELSE 'needs_other_channel' END
FROM unnest(%s::bigint[], %s::text[], %s::float[]) AS u(id, detail, wait), incidents_campaign c
WHERE m.id = u.id AND {STILL} AND c.id = m.campaign_id RETURNING m.id, m.state"""  # noqa: S608


def _move(campaign: Campaign, kind: str, died: bool, group: Settled) -> dict[int, str]:
    """Move one group of messages; returns each one's new state."""
    ids, details = array([letter.id for letter, _ in group]), texts([outcome.detail for _, outcome in group])
    named = [ids, texts([outcome.provider_id for _, outcome in group]), details]
    with connection.cursor() as cursor:
        if kind in ("failed", "account"):
            # A wait that a provider asks for stands on its row (`pacing.told`): another one may take the letter meanwhile.
            drill = campaign.incident.is_drill
            waits = array([backoff(attempts=letter.attempts, drill=drill) for letter, _ in group])
            limits = [kind == "account", LEAST_HOURS_OF_TRYING, settings.CHANNEL_SWITCH_HOURS, MOST_DAYS_OF_TRYING]
            cursor.execute(RETRY, [*limits, ids, details, waits])
            states = dict(cursor.fetchall())
        else:
            if kind == "accepted":
                cursor.execute(ACCEPT, named)
            else:
                cursor.execute(MOVE, [NEXT[kind][0], int(kind == "unsent"), int(died), *named])
            states = dict.fromkeys((letter.id for letter, _ in group), NEXT[kind][0])
        if cursor.rowcount != len(group):
            raise RuntimeError(f"{len(group) - cursor.rowcount} messages of a chunk were not being sent")
    return states


def array(numbers: Sequence[float]) -> str:
    """As PostgreSQL reads it; made at once, not value by value."""
    return "{" + ",".join(map(str, numbers)) + "}"


def texts(values: Sequence[str]) -> str:
    """The same of texts."""
    quoted = values if plain(values) else [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return '{"' + '","'.join(quoted) + '"}' if values else "{}"


def backoff(*, attempts: int, drill: bool) -> float:
    """Seconds until the next try: full jitter under a bound that doubles from the base up to an hour."""
    base = 1 if drill else settings.RETRY_BASE_SECONDS
    return random.uniform(0, min(LONGEST_WAIT_SECONDS, base * 2 ** min(attempts, 12)))  # noqa: S311  (jitter)


def _list_doubts(chunk_id: int, provider: str, group: Settled) -> None:
    columns = "(message_id, chunk_id, provider, reason, opened_at, settled_how, settled_by)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO incidents_doubt {columns} SELECT u.id, %s, %s, u.reason, clock_timestamp(), '', '' "  # noqa: S608
            "FROM unnest(%s::bigint[], %s::text[]) AS u(id, reason)",
            [chunk_id, provider, [letter.id for letter, _ in group], [outcome.detail for _, outcome in group]],
        )


def _record(campaign: Campaign, chunk_id: int, provider: str, settled: Settled, states: dict[int, str], at: datetime) -> None:
    alike: dict[tuple[Action, str], list[tuple[Taken, Outcome]]] = {}
    for letter, outcome in settled:
        alike.setdefault((NEXT[outcome.kind][1], states[letter.id]), []).append((letter, outcome))
    for (action, state), group in alike.items():
        data = {"campaign": campaign.reference, "chunk": chunk_id, "state": state, "provider": provider}
        columns = {
            "message": [letter.message_ref for letter, _ in group],
            "content_sha256": [letter.approved for letter, _ in group],
            "provider_id": [outcome.provider_id for _, outcome in group],
            "detail": [outcome.detail for _, outcome in group],
            "answered_at": [outcome.answered_at.isoformat() if outcome.answered_at else "" for _, outcome in group],
        }
        subjects = [letter.subject for letter, _ in group]
        record_alike(
            incident=campaign.incident, action=action, actor=DISPATCHER, at=at, data=data, subjects=subjects, columns=columns
        )
