"""Which compiled letters no longer say what is known: each is compiled again in memory, as of its own day, and compared.

Nothing of this is stored, and a letter is only looked at when something that it is made of is newer than the letter itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache, lru_cache

from django.db import connection
from django.db.models import OuterRef, Subquery

from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json
from incidents.letters.check import BLOCK, check_letter
from incidents.letters.language import CompiledLetter, LetterSyntaxError, compile_letter, parse_letter
from incidents.letters.owed import check_owed
from incidents.letters.particulars import Situation, letter_facts, letter_fields
from incidents.letters.readers import Reader, readers
from incidents.letters.render import law_block, marked, newest_texts, situations
from incidents.letters.syntax import LetterTree
from incidents.models import Amendment, AuditEvent, Filing, Incident, Letter, LetterText, PersonStatus
from incidents.people.amending import covered
from incidents.people.changes import Change, differing, reverted, shown
from incidents.people.staleness import StaleDuties, law_stamp, stale_duties

STAMP = """
SELECT md5(concat_ws('|',
  (SELECT string_agg(concat(id, ':', xmin, ctid), ',' ORDER BY id) FROM incidents_letter WHERE incident_id = %(incident)s),
  (SELECT concat(count(*), '.', max(id)) FROM incidents_lettertext WHERE incident_id = %(incident)s),
  (SELECT concat(count(*), '.', max(id)) FROM incidents_campaign WHERE incident_id = %(incident)s),
  (SELECT concat(count(*), '.', max(j.id)) FROM incidents_joining j JOIN incidents_amendment a ON a.id = j.amendment_id
   WHERE a.incident_id = %(incident)s),
  (SELECT concat(count(*), '.', max(v.id)) FROM incidents_personversion v JOIN incidents_affectedperson p ON p.id = v.person_id
   WHERE p.incident_id = %(incident)s),
  (SELECT concat(count(*), '.', max(decided_at)) FROM incidents_queueentry WHERE incident_id = %(incident)s)))"""


class Ground(StrEnum):
    """Why a letter is marked."""

    DUTY = "duty"  # it rests on a duty that would be another; whether its words change is seen once the law was asked again
    WORDS = "words"  # compiled now, it would read differently
    CHECK = "check"  # the words would be the same, and the check would block them now
    MISSING = "missing"  # these people are told, and have no letter
    NOT_OWED = "not_owed"  # nobody would write to these people any more


@dataclass(frozen=True)
class LetterMark:
    """One letter that no longer says what is known (or that is missing), and because of what."""

    ground: Ground
    cohort: int
    residence: str
    people: int
    letter: int | None = None
    language: str = ""
    because: tuple[Change, ...] = ()

    @property
    def words(self) -> str:
        """The mark in one line."""
        return f"{SAYS[self.ground]}: {'; '.join(change.words for change in self.because)}" if self.because else SAYS[self.ground]


SAYS: Mapping[Ground, str] = {
    Ground.DUTY: "It rests on a duty that would be different",
    Ground.WORDS: "Compiled now, it would read differently",
    Ground.CHECK: "The check would block it now",
    Ground.MISSING: "These people are to be told, and there is no letter for them",
    Ground.NOT_OWED: "By what is known now nobody would write to these people",
}


def stale_letters(*, incident: Incident, amendment: Amendment | None = None) -> tuple[LetterMark, ...]:
    """The marks on the letters of one register (none: the first); computed when something changed, kept in memory until then."""
    with connection.cursor() as cursor:
        cursor.execute(STAMP, {"incident": incident.pk})
        rows = cursor.fetchone()[0]
    return _marked(f"{law_stamp(incident=incident)} {rows}", incident, amendment)


def letter_lines(*, incident: Incident) -> dict[int, list[str]]:
    """The marks of each letter of whatever register, as lines."""
    registers = [None, *incident.amendments.order_by("number")]
    marks = [mark for amendment in registers for mark in stale_letters(incident=incident, amendment=amendment)]
    return {mark.letter: [mark.words] for mark in marks if mark.letter is not None}


@lru_cache(maxsize=64)
def _marked(stamp: str, incident: Incident, amendment: Amendment | None) -> tuple[LetterMark, ...]:
    letters = incident.letters.filter(amendment=amendment)
    made = list(letters.select_related("cohort", "text__author").defer("compiled").order_by("id"))
    return tuple(_Bench(incident, amendment, made).marks()) if made else ()


class _Bench:
    """Everything that comparing the letters needs, read once."""

    def __init__(self, incident: Incident, amendment: Amendment | None, made: list[Letter]) -> None:
        self.incident, self.amendment, self.made = incident, amendment, made
        self.duties: StaleDuties = stale_duties(incident=incident)
        self.readers = readers(incident=incident)
        # What was written since for a later register says nothing against letters that were frozen before it.
        frozen = incident.campaigns.filter(amendment=amendment).exists()
        own = {(letter.form, letter.language): letter.text for letter in made}
        self.texts = own if frozen else newest_texts(incident=incident)
        self.derived = _derived(incident, min(letter.made_at for letter in made))
        self.versions = list(incident.fact_versions.order_by("-number"))
        self.facts = self.versions[0]
        filings = Filing.objects.filter(obligation__incident=incident, obligation__addressee="regulator")
        self.filed = list(filings.values_list("obligation__jurisdiction", "recorded_at"))

    def marks(self) -> Iterator[LetterMark]:
        """Every mark, by letter; missing letters last."""
        looked_at = [letter for letter in self.made if letter.cohort.count and self._may_differ(letter)]
        told = {letter.cohort_id: self.readers[letter.cohort_id] for letter in looked_at if letter.cohort_id in self.readers}
        found = {pair[0].cohort.pk: pair for pair in situations(incident=self.incident, told=told.values())}
        marks = [self._mark(letter, found.get(letter.cohort_id)) for letter in looked_at]
        yield from (mark for mark in marks if mark)
        yield from self._missing()

    def _may_differ(self, letter: Letter) -> bool:
        newest = self.texts.get((letter.form, letter.language))
        return (
            self.facts.recorded_at > letter.made_at
            or (newest is not None and newest.pk != letter.text_id)
            or letter.cohort_id not in self.readers
            or self.derived.get(letter.cohort_id, letter.made_at) > letter.made_at
            or bool(self.duties.towards(cohort=letter.cohort_id))
        )

    def _mark(self, letter: Letter, pair: tuple[Reader, Situation] | None) -> LetterMark | None:
        cohort = letter.cohort
        mark = LetterMark(Ground.DUTY, cohort.pk, cohort.residence, cohort.count, letter.pk, letter.language)
        pending = self.duties.towards(cohort=cohort.pk)
        if pending:
            return replace(mark, because=tuple(dict.fromkeys(change for duty in pending for change in duty.because)))
        if pair is None:
            return replace(mark, ground=Ground.NOT_OWED)
        return self._compared(mark, letter, *pair)

    def _compared(self, mark: LetterMark, letter: Letter, reader: Reader, situation: Situation) -> LetterMark | None:
        text = self.texts.get((reader.form, letter.language))
        if text is None or reader.form != letter.form:
            return replace(mark, ground=Ground.WORDS, because=(Change("form", "", letter.form, reader.form),))
        situation = self._as_of(letter.made_at, reader, situation)
        made = _compiled(text, situation)
        if made is None or _digest(marked(letter=made, incident=self.incident)) != letter.sha256:
            return replace(mark, ground=Ground.WORDS, because=tuple(self._because(letter, text, situation)))
        known = {f"{one['code']} {one['reference']}".strip() for one in letter.findings if one["level"] == BLOCK}
        blocks = sorted(_blocks(made, situation) - known)
        return replace(mark, ground=Ground.CHECK, because=(Change("check", ", ".join(blocks)),)) if blocks else None

    def _as_of(self, moment: datetime, reader: Reader, situation: Situation) -> Situation:
        """The situation on the letter's own day: time that went by, and notices filed since, do not make a letter wrong."""
        place = reader.obligation.jurisdiction
        told = any(name == place and recorded_at <= moment for name, recorded_at in self.filed)
        late = any(
            duty.duty.get("reasons_for_delay_required") or (duty.due_at is not None and duty.due_at < moment)
            for duty in reader.statutory
        )
        return replace(situation, now=moment, regulator_told=told, late=late)

    def _because(self, letter: Letter, text: LetterText, situation: Situation) -> Iterator[Change]:
        """A newer text; the facts without which it would read as it did; else the duty, the people or the program."""
        if text.pk != letter.text_id:
            name = f"{text.form}/{text.language}"
            yield Change("text", name, f"version {letter.text.number}", f"version {text.number}", f"by {text.author.username}")
        then, now = next(one for one in self.versions if one.recorded_at <= letter.made_at), self.facts
        changed, reads = differing(then.facts, now.facts), _compiled(text, situation)
        facts = [
            Change("fact", name, shown(was), shown(is_now), f"facts version {now.number}")
            for name, was, is_now in changed
            if len(changed) == 1 or reads != _compiled(text, replace(situation, facts=reverted(now.facts, then.facts, name)))
        ]
        yield from facts
        if not facts and text.pk == letter.text_id:
            again = self.derived.get(letter.cohort_id, letter.made_at) > letter.made_at
            yield Change("duty", "derived again since") if again else Change("program", "or the number of people")

    def _missing(self) -> Iterator[LetterMark]:
        without = set(self.readers) - {letter.cohort_id for letter in self.made}
        covers = covered(incident=self.incident, amendment=self.amendment)
        # The first of each cohort is enough, found by its index: to look at a million people takes half a minute.
        clear = covers.filter(cohort=OuterRef("pk"), status=PersonStatus.CLEAR)
        found = self.incident.cohorts.filter(pk__in=without).annotate(one=Subquery(clear.values("pk")[:1])).exclude(one=None)
        for key in sorted(found.values_list("pk", flat=True).order_by()) if without else ():
            cohort = self.readers[key].cohort
            yield LetterMark(Ground.MISSING, key, cohort.residence, cohort.count)


def _derived(incident: Incident, since: datetime) -> dict[int, datetime]:
    """When the duties towards each cohort were derived anew, if after this moment."""
    written = AuditEvent.objects.filter(log__incident=incident, subject="", action=Action.OBLIGATION_DERIVED)
    later = written.filter(happened_at__gt=since).order_by("id").values_list("line", "happened_at")
    return {int(json.loads(line)["data"]["cohort"]): moment for line, moment in later}


def _compiled(text: LetterText, situation: Situation) -> CompiledLetter | None:
    """The letter as it would be compiled; None where it cannot be."""
    facts, fields = letter_facts(situation=situation), letter_fields(situation=situation, language=text.language)
    try:
        tree = _parsed(text.source, f"{text.form}/{text.language}")
        return compile_letter(tree=tree, facts=facts, fields=fields, law_block=_block_in(text.language), language=text.language)
    except LetterSyntaxError:
        return None


@lru_cache(maxsize=64)
def _parsed(source: str, name: str) -> LetterTree:
    return parse_letter(source=source, name=name)


@lru_cache(maxsize=64)
def _block_in(language: str) -> Callable[[str], LetterTree]:
    """The law blocks of a language, each read once."""
    return cache(law_block(language))


def _digest(letter: CompiledLetter) -> str:
    return hashlib.sha256(canonical_json(letter.to_json())).hexdigest()


def _blocks(letter: CompiledLetter, situation: Situation) -> set[str]:
    """What the check would block now, by code and reference."""
    facts, fields = letter_facts(situation=situation), letter_fields(situation=situation, language=letter.language)
    found = check_letter(
        letter=letter, required=situation.required, barred=situation.barred, facts=facts, fields=fields,
        elements=situation.elements,
    ) + check_owed(letter=letter, situation=situation)  # fmt: skip
    return {f"{finding.code} {finding.reference}".strip() for finding in found if finding.level == BLOCK}
