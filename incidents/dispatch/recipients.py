"""Whether an event speaks of whom we wrote to: the hash of its recipient, held against the person's sealed address.

The vaults are opened before the page's transaction: a KMS that hangs would hold up whoever pauses a campaign, once an event.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from django.db import connection

from incidents.dispatch.events.bodies import recipient_hash
from incidents.dispatch.events.deciding import Target, Told
from incidents.letters.in_their_place import address_of
from incidents.models import AffectedPerson, Campaign, Incident, PersonVersion
from incidents.record import PersonFields
from incidents.vault import CannotOpen, KeyAway, Vault

logger = logging.getLogger(__name__)
HASHED = """
SELECT message_ref, provider_id FROM (SELECT message_ref, provider_id, recipient_hash FROM incidents_providerevent
  WHERE applied_at IS NULL AND id > %s ORDER BY id LIMIT %s) page WHERE recipient_hash <> ''"""
INCIDENTS = """
SELECT DISTINCT c.incident_id FROM incidents_message m JOIN incidents_campaign c ON c.id = m.campaign_id
WHERE m.message_ref = ANY(%s) OR m.id = ANY(ARRAY(SELECT message_id FROM incidents_attempt
  WHERE provider_id = ANY(%s) AND provider_id <> '' AND provider NOT IN ('smtp', 'inbox')))"""


class Recipients:
    """The vaults of the incidents that events are about, each asked for once."""

    def __init__(self) -> None:
        #: None: its key is away.
        self._vaults: dict[int, Vault | None] = {}

    def open_for(self, *, after: int, limit: int) -> None:
        """Open the vaults that the next page of events needs. Call it outside of the page's transaction."""
        with connection.cursor() as cursor:
            cursor.execute(HASHED, [after, limit])
            named = cursor.fetchall()
            if not named:
                return
            cursor.execute(INCIDENTS, [[ref for ref, _ in named if ref], [given for _, given in named if given]])
            wanted = {row[0] for row in cursor.fetchall()} - self._vaults.keys()
        for incident in Incident.objects.filter(pk__in=wanted).order_by("id"):
            try:
                self._vaults[incident.pk] = Vault(incident=incident)
            except KeyAway as away:
                self._is_away(incident.pk, away)

    def _is_away(self, incident_id: int, away: KeyAway) -> None:
        logger.error("events wait: %s", away)
        self._vaults[incident_id] = None

    def elsewhere(self, asked: Iterable[tuple[Told, Target]], *, campaigns: Mapping[int, Campaign], waits: set[int]) -> set[int]:
        """Events that name a recipient to whom the message never went. Where nobody can tell any more, it is taken as the same.

        Messages of which nobody can tell now are added to `waits`: the key is away, or the event came after `open_for` looked.
        """
        asked, found = list(asked), set[int]()
        people = AffectedPerson.objects.in_bulk({target.person_id for _, target in asked}) if asked else {}
        for told, target in asked:
            incident_id = campaigns[target.campaign_id].incident_id
            vault = self._vaults.get(incident_id)
            try:
                if vault is None:
                    waits.add(target.id)
                elif not _same(told.recipient_hash, people[target.person_id], vault):
                    found.add(told.id)
            except KeyAway as away:  # of a version that came after `open_for`
                self._is_away(incident_id, away)
                waits.add(target.id)
        return found


def _same(hashed: str, person: AffectedPerson, vault: Vault) -> bool:
    try:
        if _hash_of(vault.open(person=person)) == hashed:
            return True
        # Their record was corrected since: the letter went where it stood then.
        earlier = PersonVersion.objects.filter(person=person).select_related("person")
        return any(_hash_of(vault.open_version(version=version)) == hashed for version in earlier)
    except CannotOpen:
        return True  # erased: nobody can tell any more


def _hash_of(fields: PersonFields) -> str:
    return recipient_hash(address_of(fields=fields))
