"""Provider events: stored first, matched after, applied forward only; the same event twice changes nothing.

A late "delivered" does not undo a bounce: what contradicts a known end is kept as a conflict for a person. An event that names
nothing of ours is kept and looked at again, for as long as events are kept at all (`events/strangers.py`).
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Q

from incidents.audit.actions import Action
from incidents.audit.log import Entry, database_now, record, record_many
from incidents.dispatch.canary import note_event
from incidents.dispatch.channels.address import read_mail_setting
from incidents.dispatch.events.against_us import count_refusals
from incidents.dispatch.events.deciding import COMES_BACK, FIRST_WAVE, UNKNOWN, WAITS, Effect, Target, Told, decide
from incidents.dispatch.events.looking_again import look_again
from incidents.dispatch.outcomes import backoff
from incidents.dispatch.recipients import Recipients
from incidents.failpoints import reach
from incidents.models import Campaign, CampaignState, CanaryLetter
from incidents.models import MessageState as S
from incidents.people.deadlines import renewed_of

#: Events in one transaction; and how long one call goes on with a flood before the house is kept again.
BATCH, SECONDS = 2000, 10.0
CODE = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
logger = logging.getLogger(__name__)

STORE_LOCK = 0x62_6E_5F_74_6F_6C_64  # "bn_told"
STORE = """
INSERT INTO incidents_providerevent (provider, event_key, message_ref, kind, detail, happened_at, recipient_hash, provider_id,
  strength, signed_at, raw_sha256, received_at, applied_at, effect)
SELECT %(provider)s, u.event_key, u.message_ref, u.kind, u.detail, u.happened_at, u.recipient_hash, u.provider_id,
  %(strength)s, %(signed_at)s, %(raw_sha256)s, clock_timestamp(),
  CASE WHEN u.kind = 'ignored' THEN clock_timestamp() END, CASE WHEN u.kind = 'ignored' THEN 'ignored' ELSE '' END
FROM json_to_recordset(%(events)s) AS u(event_key text, message_ref text, kind text, detail text, happened_at timestamptz,
  recipient_hash text, provider_id text)
ON CONFLICT (provider, event_key) DO NOTHING"""
#: Of several: an event that another request is storing is waited for, and two that hold the same in opposite order would wait for
#: each other. So they store one after the other, each in its provider's order, which matching goes by.
STORE_MANY = f"WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock({STORE_LOCK})) {STORE}".replace(
    "provider_id text)", "provider_id text), turn"
)
WIDTHS = {"event_key": 100, "message_ref": 32, "kind": 20, "detail": 200, "recipient_hash": 64, "provider_id": 200}


def store_events(
    *,
    provider: str,
    events: Iterable[Mapping[str, Any]],
    strength: str = "",
    signed_at: datetime | None = None,
    raw_sha256: str = "",
) -> int:
    """Keep events as they come, each once, in one statement; returns how many were handed in. Harmless when repeated."""
    given = [
        {name: str(event.get(name, ""))[:width] for name, width in WIDTHS.items()} | {"happened_at": event.get("happened_at")}
        for event in events
    ]
    more = {"provider": provider, "strength": strength, "signed_at": signed_at, "raw_sha256": raw_sha256}
    if given:
        _store(STORE if len(given) == 1 else STORE_MANY, {"events": json.dumps(given, default=datetime.isoformat), **more})
    return len(given)


def _store(statement: str, row: Mapping[str, Any]) -> None:
    """One statement of its own, prepared once on each connection; committed when this returns, but inside a transaction."""
    # The connection is not asked beforehand whether it still stands: where it does not, all is said again on a new one.
    for last in (connection.in_atomic_block, True):
        try:
            connection.ensure_connection()
            with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
                reach("mid_event_store")
                cursor.execute(statement, row, prepare=True)
            return
        except OperationalError:
            if last:
                raise
            connection.close()


def body_of_event(*, provider: str, event_key: str) -> str:
    """The hash of the body with which an event came first; empty when it is not kept."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT raw_sha256 FROM incidents_providerevent WHERE provider = %s AND event_key = %s", [provider, event_key[:100]]
        )
        found = cursor.fetchone()
    return str(found[0]) if found else ""


def apply_events(*, seconds: float = SECONDS) -> int:
    """Match stored events with their messages and move them, for about `seconds`; returns how many were dealt with."""
    look_again(number=BATCH, kinds=_kinds())
    after: int | None = 0
    total, end, recipients = 0, time.monotonic() + seconds, Recipients()
    while after is not None and time.monotonic() < end:
        recipients.open_for(after=after, limit=BATCH)
        with transaction.atomic():
            done, after = _apply_page(after, recipients)
        total += done
    _reopen_drained()
    return total


# -- one page ---------------------------------------------------------------------------------------------------------------

PAGE = """
SELECT id, provider, event_key, message_ref, kind, detail, recipient_hash, provider_id, strength, happened_at
FROM incidents_providerevent WHERE applied_at IS NULL AND id > %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED"""
OWNERS = """
SELECT provider, provider_id, array_agg(DISTINCT message_id) FROM incidents_attempt
WHERE provider_id = ANY(%s) AND provider_id <> '' AND provider NOT IN ('smtp', 'inbox') GROUP BY 1, 2"""
NAMED = "SELECT id, message_ref, campaign_id FROM incidents_message WHERE message_ref = ANY(%s) OR id = ANY(%s)"
# Campaigns first, as a close or a stop locks them. So a campaign is closed before this page, which sees that, or behind it, when
# it is seen where the page left the letters. Claims share the lock.
CAMPAIGNS = "SELECT id FROM incidents_campaign WHERE id = ANY(%s) ORDER BY id FOR SHARE"
# A locked message is being written by a worker or a person: its events wait for the next pass. So nobody waits for us while we
# wait for them.
TARGETS = """
SELECT m.id, m.message_ref, m.state, m.attempts, m.due_at, m.campaign_id, c.state, c.released_at, e.person_id, p.subject
FROM incidents_message m JOIN incidents_campaign c ON c.id = m.campaign_id
JOIN incidents_registerentry e ON e.id = m.entry_id JOIN incidents_affectedperson p ON p.id = e.person_id
WHERE m.id = ANY(%s) ORDER BY m.id FOR UPDATE OF m SKIP LOCKED"""
TRIES = """
SELECT a.message_id, a.number, a.provider, a.provider_id, c.claimed_at FROM incidents_attempt a
  LEFT JOIN incidents_chunk c ON c.id = a.chunk_id WHERE a.message_id = ANY(%(ids)s)
UNION ALL SELECT message_id, NULL, provider, provider_id, NULL FROM incidents_lateresult WHERE message_id = ANY(%(ids)s)
UNION ALL SELECT message_id, NULL, provider, '', NULL FROM incidents_doubt WHERE message_id = ANY(%(ids)s) AND provider <> ''
ORDER BY 2"""


@dataclass
class _Page:
    """A page of events and what they are about."""

    told: list[Told]
    owners: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    targets: dict[int, Target] = field(default_factory=dict)
    effects: list[tuple[Told, Effect, Target | None]] = field(default_factory=list)


def _rows(query: str, parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def _apply_page(after: int, recipients: Recipients) -> tuple[int, int | None]:
    """Deal with the next events behind an id; returns how many, and the last id, or None at the end."""
    page = _Page([Told(*row) for row in _rows(PAGE, [after, BATCH])])
    if not page.told:
        return 0, None
    _find_targets(page)
    campaigns = Campaign.objects.select_related("incident").in_bulk({one.campaign_id for one in page.targets.values()})
    elsewhere, now = _other_recipients(page, campaigns, recipients), database_now()
    waves = _first_wave(page)
    for told in page.told:
        page.effects.append(_effect(page, told, elsewhere, waves, now))
    _save(page, campaigns)
    return sum(effect.word != WAITS for _, effect, _ in page.effects), page.told[-1].id if len(page.told) == BATCH else None


def _find_targets(page: _Page) -> None:
    given = [told.provider_id for told in page.told if told.provider_id]
    kinds = _kinds()
    for provider, name, ids in _rows(OWNERS, [given]) if given else ():
        page.owners.setdefault((kinds.get(provider, provider), name), set()).update(ids)
    by_id = [owner for owners in page.owners.values() for owner in owners]
    found = _rows(NAMED, [[told.message_ref for told in page.told if told.message_ref], by_id])
    page.ids = {ref: pk for pk, ref, _ in found}
    if found:
        _rows(CAMPAIGNS, [list({campaign for _, _, campaign in found})])
    page.targets = {row[0]: Target(*row) for row in _rows(TARGETS, [list(page.ids.values())])}
    _renew_deadlines(page)
    for message_id, number, provider, provider_id, claimed_at in _rows(TRIES, {"ids": list(page.targets)}):
        target = page.targets[message_id]
        target.providers.add(kinds.get(provider, provider))
        target.began_at = claimed_at if number == target.attempts else target.began_at
        if provider_id:
            (target.newest_ids if number is None or number == target.attempts else target.earlier_ids).add(provider_id)


def _renew_deadlines(page: _Page) -> None:
    """New deadlines pass by what a provider has taken: what comes back follows them before anything is decided by its own."""
    back = {_named(page, told) for told in page.told if told.kind in COMES_BACK}
    if taken := [pk for pk, target in page.targets.items() if pk in back and target.state == S.ACCEPTED]:
        for pk, due_at in renewed_of(messages=taken).items():
            page.targets[pk].due_at = due_at


def _kinds() -> dict[str, str]:
    """Name of a provider in our settings -> its kind: events come under the kind, whatever we call the account."""
    found = [read_mail_setting(value) for value in (settings.MAIL, settings.MAIL_FALLBACK) if value]
    return {at.known_as: at.kind for at in found}


def _named(page: _Page, told: Told) -> int | None:
    """The message that an event is about: by our name, else by the provider's, where that names one only."""
    if told.message_ref in page.ids:
        return page.ids[told.message_ref]
    owners = page.owners.get((told.provider, told.provider_id), set())
    return min(owners) if owners else None


def _effect(
    page: _Page, told: Told, elsewhere: set[int], waves: dict[int, str], now: datetime
) -> tuple[Told, Effect, Target | None]:
    named = _named(page, told)
    if named is None and told.id in waves:
        note_event(message_ref=waves[told.id], kind=told.kind)
        return told, Effect(FIRST_WAVE), None
    if named is None:
        return told, Effect(UNKNOWN), None
    target = page.targets.get(named)
    if target is None:
        return told, Effect(WAITS), None
    owners = page.owners.get((told.provider, told.provider_id), set())
    effect = decide(told=told, target=target, same_recipient=told.id not in elsewhere, owners=owners, now=now)
    if effect.to:
        code = CODE.search(told.detail)
        target.state, target.reason = effect.to, f"{told.provider}: {told.kind}{f' ({code[0]})' if code else ''}"
    return told, effect, target


def _first_wave(page: _Page) -> dict[int, str]:
    """Event -> our name of the letter to staff that it names: by our name, else by the provider's, where that is of one only."""
    strange = [told for told in page.told if _named(page, told) is None]
    refs = {told.message_ref for told in strange if told.message_ref}
    given = {told.provider_id for told in strange if told.provider_id}
    if not refs and not given:
        return {}
    by_id = Q(provider_id__in=given) & ~Q(provider__in=("smtp", "inbox"))
    kinds, ours, theirs = _kinds(), set[str](), dict[tuple[str, str], set[str]]()
    for ref, provider, name in CanaryLetter.objects.filter(Q(message_ref__in=refs) | by_id).values_list(
        "message_ref", "provider", "provider_id"
    ):
        ours.add(ref)
        theirs.setdefault((kinds.get(provider, provider), name), set()).add(ref)
    found = {}
    for told in strange:
        named = theirs.get((told.provider, told.provider_id), set()) if told.provider_id else set()
        if told.message_ref in ours or len(named) == 1:
            found[told.id] = told.message_ref if told.message_ref in ours else min(named)
    return found


# -- whether it reached whom we wrote to --------------------------------------------------------------------------------


def _other_recipients(page: _Page, campaigns: Mapping[int, Campaign], recipients: Recipients) -> set[int]:
    """Events that name somebody else. What is about a message of which nobody can tell now waits as a whole."""
    hashed = [told for told in page.told if told.recipient_hash]
    asked = [(told, target) for told in hashed if (target := page.targets.get(_named(page, told) or 0))]
    waits = set[int]()
    found = recipients.elsewhere(asked, campaigns=campaigns, waits=waits)
    for message_id in waits:
        page.targets.pop(message_id, None)
    return found


# -- writing it down ----------------------------------------------------------------------------------------------------

APPLIED = """
UPDATE incidents_providerevent e SET applied_at = clock_timestamp(), effect = u.effect, message_ref = u.message_ref,
  recipient_hash = CASE WHEN u.known THEN '' ELSE e.recipient_hash END
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::boolean[]) AS u(id, effect, message_ref, known) WHERE e.id = u.id"""
MOVED = """
UPDATE incidents_message m SET state = u.state, state_reason = u.reason,
  accepted_at = CASE WHEN u.state = 'accepted' THEN coalesce(m.accepted_at, clock_timestamp()) ELSE m.accepted_at END,
  not_before = CASE WHEN u.wait > 0 THEN clock_timestamp() + make_interval(secs => u.wait) ELSE m.not_before END
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::float[]) AS u(id, state, reason, wait) WHERE m.id = u.id"""
SETTLED = """
UPDATE incidents_doubt SET settled_at = clock_timestamp(), settled_how = 'provider event', settled_by = u.by
FROM unnest(%s::bigint[], %s::text[]) AS u(id, by) WHERE message_id = u.id AND settled_at IS NULL RETURNING message_id"""


def _save(page: _Page, campaigns: Mapping[int, Campaign]) -> None:
    dealt = [one for one in page.effects if one[1].word != WAITS]
    # The hash of an address did its service once it is known that it is the one we wrote to.
    known = [target is not None and not effect.word.startswith("conflict") for _, effect, target in dealt]
    refs = [target.message_ref if target else told.message_ref for told, _, target in dealt]
    _write(APPLIED, [(one[0].id, one[1].word[:40], ref, same) for one, ref, same in zip(dealt, refs, known, strict=True)])
    moved = [target for target in page.targets.values() if target.state != target.was]
    _write(MOVED, [(one.id, one.state, one.reason, _wait(one, campaigns[one.campaign_id])) for one in moved])
    settled = _settle_doubts(page)
    sound = [(told, target.campaign_id) for told, effect, target in dealt if target and not effect.word.startswith("conflict")]
    count_refusals(told=sound)
    entries: dict[int, list[Entry]] = {}
    for told, effect, target in page.effects:
        if target is not None and effect.word != WAITS:
            entries.setdefault(target.campaign_id, []).append(_entry(told, effect, target, campaigns[target.campaign_id]))
    for target in settled:
        entries.setdefault(target.campaign_id, []).append(_resolved(target, campaigns[target.campaign_id]))
    for campaign_id, lines in entries.items():
        record_many(incident=campaigns[campaign_id].incident, actor="provider", entries=lines)


def _write(query: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(query, [list(column) for column in zip(*rows, strict=True)])


def _wait(target: Target, campaign: Campaign) -> float:
    """Seconds before a letter that bounced for a while is sent again."""
    return backoff(attempts=target.attempts, drill=campaign.incident.is_drill) if target.state == S.READY else 0.0


def _settle_doubts(page: _Page) -> list[Target]:
    """End the doubts of messages that events moved out of doubt; who told so stands with them."""
    by: dict[int, str] = {}
    for told, effect, target in page.effects:
        if target is not None and effect.to and target.was == S.IN_DOUBT:
            by.setdefault(target.id, f"{told.provider}: {told.kind}{f' ({told.strength})' if told.strength else ''}")
    found = _rows(SETTLED, [list(by), list(by.values())]) if by else []
    return [page.targets[message_id] for message_id in dict.fromkeys(row[0] for row in found)]


def _entry(told: Told, effect: Effect, target: Target, campaign: Campaign) -> Entry:
    data = {
        "campaign": campaign.reference, "message": target.message_ref, "provider": told.provider, "event": told.event_key,
        "kind": told.kind, "effect": effect.word, "state": effect.to, "strength": told.strength,
    }  # fmt: skip
    return Entry(Action.EVENT_RECEIVED, data, target.subject)


def _resolved(target: Target, campaign: Campaign) -> Entry:
    data = {"campaign": campaign.reference, "message": target.message_ref, "state": target.state, "reason": "provider event"}
    return Entry(Action.DOUBT_RESOLVED, data, target.subject)


def _reopen_drained() -> None:
    """A letter that has to be sent again needs a campaign that dispatches. After the pages, each in its own transaction: a page
    shares the lock of its campaigns, and two that both wanted it for themselves would wait for each other."""
    ready = "EXISTS (SELECT 1 FROM incidents_message m WHERE m.campaign_id = c.id AND m.phase = 'waiting' AND m.state = 'ready')"
    for (pk,) in _rows(f"SELECT c.id FROM incidents_campaign c WHERE c.state = 'drained' AND {ready}", []):  # noqa: S608
        with transaction.atomic():
            campaign = Campaign.objects.select_for_update(of=("self",)).select_related("incident").get(pk=pk)
            if campaign.state != CampaignState.DRAINED:
                continue
            campaign.state = CampaignState.DISPATCHING
            campaign.save(update_fields=["state"])
            data = {"campaign": campaign.reference, "reason": "a letter has to be sent again"}
            record(incident=campaign.incident, action=Action.CAMPAIGN_RESUMED, actor="provider", data=data)
