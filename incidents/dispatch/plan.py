"""The frozen register and its messages: one line per person, hashed into a root; order and first state of each letter."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from incidents import failpoints
from incidents.audit.bundle_format import canonical_json
from incidents.audit.merkle import Frontier, leaf_hash, root
from incidents.dispatch.domains import domain_key
from incidents.dispatch.prepare import person_mail
from incidents.letters.in_their_place import address_of
from incidents.letters.readers import Reader, readers
from incidents.letters.render import available, newest_texts
from incidents.letters.wording import choose_language
from incidents.models import AffectedPerson, Amendment, Campaign, Incident, Letter, PersonStatus
from incidents.models import MessageState as S
from incidents.models.refusal import Refused
from incidents.people.amending import people_of
from incidents.people.deadlines import earliest_deadlines
from incidents.vault import CannotOpen, PersonFields, Vault

BATCH = 1000
#: From so many people on, the planner is told at once how many there are; of fewer it can make no dear mistake.
COUNTED_FROM = 2_000


class PlanRefused(Refused):
    """The register cannot be planned; names what is missing."""


@dataclass(frozen=True)
class Planned:
    """One person's place in the campaign."""

    person_id: int
    cohort_id: int | None
    letter_id: int | None
    line: str
    state: str
    reason: str
    message_ref: str
    due_at: datetime | None
    content_sha256: str
    domain_key: str


class Planner:
    """Everything that planning a person needs, read once."""

    def __init__(self, *, incident: Incident, amendment: Amendment | None, headers: dict[str, str]) -> None:
        self.incident, self.headers, self.vault = incident, headers, Vault(incident=incident)
        self.readers = readers(incident=incident)
        self.texts = newest_texts(incident=incident)
        letters = incident.letters.filter(amendment=amendment)
        self.letters = {(letter.cohort_id, letter.language): letter for letter in letters}
        self.due = earliest_deadlines(incident=incident)
        self.domains: dict[str, str] = {}

    def plan(self, person: AffectedPerson) -> Planned:
        """Decide what happens to one person at the release. A record that does not open holds up nobody else."""
        message_ref, commitment, content, domain = secrets.token_hex(16), "", "", ""
        letter, state, reason = self._decide(person)
        try:
            fields = self.vault.open(person=person)
            commitment = self.vault.commitment(person=person, fields=fields)
            if letter:
                content = self._content(fields, letter, message_ref)
                domain = self._domain_key(fields)
        except CannotOpen as error:
            letter, state, reason = None, S.QUARANTINED, str(error)
        line = {
            "subject": person.subject, "cohort": str(person.cohort_id or ""), "letter": letter.sha256 if letter else "",
            "commitment": commitment, "content_sha256": content, "state": state,
        }  # fmt: skip
        return Planned(
            person_id=person.pk, cohort_id=person.cohort_id, letter_id=letter.pk if letter else None,
            line=canonical_json(line).decode(), state=state, reason=reason, message_ref=message_ref,
            due_at=self.due.get(person.cohort_id or 0), content_sha256=content, domain_key=domain,
        )  # fmt: skip

    def _decide(self, person: AffectedPerson) -> tuple[Letter | None, str, str]:
        if person.status == PersonStatus.HELD:
            return None, S.HELD, "held by a recorded decision"
        reader = self.readers.get(person.cohort_id or 0)
        if reader is None:
            return None, S.NOT_OWED, "no law asks for a notice and none was chosen"
        return self._letter(person, reader), S.PLANNED, ""

    def _letter(self, person: AffectedPerson, reader: Reader) -> Letter:
        known = available(form=reader.form, texts=self.texts)
        choice = choose_language(wanted=person.language, residence=reader.cohort.residence, available=known)
        letter = self.letters.get((person.cohort_id or 0, choice.language))
        if letter is None or letter.form != reader.form:
            raise PlanRefused("The letters are older than the people or the duties. Make them again, then freeze.")
        return letter

    def _domain_key(self, fields: PersonFields) -> str:
        domain = address_of(fields=fields).rpartition("@")[2]
        if domain not in self.domains:
            self.domains[domain] = domain_key(vault=self.vault, domain=domain)
        return self.domains[domain]

    def _content(self, fields: PersonFields, letter: Letter, message_ref: str) -> str:
        mail = person_mail(
            fields=fields, letter_sha256=letter.sha256, body=letter.compiled, message_ref=message_ref, headers=self.headers
        )
        return mail.content_sha256


@dataclass(frozen=True)
class Roots:
    """What was frozen: the register's root, the letters' root, how many people, and their first states."""

    register: str
    letters: str
    people: int
    states: dict[str, int]


def write_register(*, campaign: Campaign) -> Roots:
    """Plan everybody whom this register covers and write it and its messages in bulk, by subject; returns what to freeze."""
    planner = Planner(incident=campaign.incident, amendment=campaign.amendment, headers=campaign.headers)
    people = _people(people_of(incident=campaign.incident, amendment=campaign.amendment))
    tree = Frontier()
    letters: set[int] = set()
    states: dict[str, int] = {}
    while batch := [planner.plan(person) for person in islice(people, BATCH)]:
        _write_batch(campaign, batch)
        failpoints.reach("mid_freeze")
        for planned in batch:
            tree.append(leaf_hash(planned.line.encode()))
            states[planned.state] = states.get(planned.state, 0) + 1
            letters |= {planned.letter_id} if planned.letter_id else set()
    if tree.size >= COUNTED_FROM:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count_register_rows()")
    hashes = sorted(set(Letter.objects.filter(pk__in=letters).values_list("sha256", flat=True)))
    letters_root = root(leaf_hash(sha256.encode()) for sha256 in hashes).hex()
    return Roots(tree.root().hex(), letters_root, tree.size, states)


def _people(covered: QuerySet[AffectedPerson]) -> Iterator[AffectedPerson]:
    """These people by subject, a page at a time (COPY shares the connection, so no open cursor)."""
    last = ""
    while page := list(covered.filter(subject__gt=last).order_by("subject")[:BATCH]):
        yield from page
        last = page[-1].subject


def _write_batch(campaign: Campaign, batch: list[Planned]) -> None:
    with connection.cursor() as cursor:
        ids = _ids(cursor, "incidents_registerentry", len(batch))
        with cursor.copy(
            "COPY incidents_registerentry (id, campaign_id, person_id, cohort_id, letter_id, line) FROM STDIN"
        ) as out:
            for pk, one in zip(ids, batch, strict=True):
                out.write_row((pk, campaign.pk, one.person_id, one.cohort_id, one.letter_id, one.line))
        columns = (
            "entry_id, campaign_id, channel, message_ref, state, state_reason, due_at, attempts, content_sha256, provider_id, "
            "domain_key"
        )
        with cursor.copy(f"COPY incidents_message ({columns}) FROM STDIN") as out:
            for pk, one in zip(ids, batch, strict=True):
                out.write_row(
                    (
                        pk,
                        campaign.pk,
                        "email",
                        one.message_ref,
                        one.state,
                        one.reason,
                        one.due_at,
                        0,
                        one.content_sha256,
                        "",
                        one.domain_key,
                    )
                )


def _ids(cursor: Any, table: str, number: int) -> list[int]:
    cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, number])
    return [row[0] for row in cursor.fetchall()]
