"""Obligation + cohort -> the letter compiled once; letter + person -> that person's letter. One source, text and HTML alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Sum

from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json
from incidents.audit.log import Entry, database_now, record, record_many
from incidents.letters.check import BLOCK, check_letter
from incidents.letters.gaps import LetterRefused, LettersIncomplete
from incidents.letters.in_their_place import DRILL_MARK, read_in_their_place, reader_of
from incidents.letters.language import (
    MAX_VALUE_CHARACTERS,
    CompiledLetter,
    FilledLetter,
    LetterGaps,
    LetterSyntaxError,
    clean_value,
    compile_letter,
    parse_letter,
)
from incidents.letters.owed import check_owed
from incidents.letters.particulars import Situation, letter_facts, letter_fields
from incidents.letters.readers import Reader, readers
from incidents.letters.syntax import LetterTree, parse_law_block
from incidents.letters.wording import choose_language, neutral_name
from incidents.models import (
    AffectedPerson,
    Amendment,
    Cohort,
    Filing,
    Incident,
    Letter,
    LetterText,
    Obligation,
    PersonStatus,
)
from incidents.people.amending import next_register, people_of
from incidents.record import PersonFields
from incidents.vault import Vault


@dataclass(frozen=True)
class LetterReport:
    """How many letters were compiled, and what the check found."""

    letters: int
    blocked: int
    warnings: int
    languages: Mapping[str, int] = field(default_factory=dict)


@lru_cache(maxsize=256)
def _parsed(source: str, name: str) -> LetterTree:
    return parse_letter(source=source, name=name)


def standard_texts() -> dict[tuple[str, str], str]:
    """The letters the product brings: (form, language) -> source."""
    folders = [folder for folder in sorted(Path(settings.LETTERS).iterdir()) if folder.is_dir() and folder.name != "law"]
    return {(folder.name, file.stem): file.read_text() for folder in folders for file in sorted(folder.glob("*.txt"))}


def law_block(language: str) -> Any:
    """A reader of the approved law blocks in one language; English where a block has no other."""

    def find(name: str) -> LetterTree:
        folder = Path(settings.LETTERS) / "law" / name
        file = folder / f"{language}.txt"
        file = file if file.exists() else folder / "en.txt"
        return parse_law_block(source=file.read_text(), name=f"law/{name}/{file.stem}")

    return find


@transaction.atomic
def save_text(*, incident: Incident, form: str, language: str, source: str, author: User) -> LetterText:
    """Save a new version of a letter's text. Raises LetterRefused with line and column of what is wrong."""
    try:
        parse_letter(source=source, name=f"{form}/{language}")
    except LetterSyntaxError as error:
        raise LetterRefused(f"Line {error.line}, column {error.column}: {error.message}") from None
    digest = hashlib.sha256(source.encode()).hexdigest()
    newest = newest_texts(incident=incident).get((form, language))
    if newest and newest.sha256 == digest:
        return newest
    data = {"form": form, "language": language, "sha256": digest}
    record(incident=incident, action=Action.LETTER_EDITED, actor=author.username, data=data)
    return LetterText.objects.create(
        incident=incident, form=form, language=language, number=newest.number + 1 if newest else 1, source=source,
        sha256=digest, author=author, saved_at=database_now(),
    )  # fmt: skip


def newest_texts(*, incident: Incident) -> dict[tuple[str, str], LetterText]:
    """The text that counts for each form and language."""
    return {(text.form, text.language): text for text in incident.letter_texts.order_by("number")}


@transaction.atomic
def make_letters(*, incident: Incident, author: User) -> LetterReport:
    """Compile and check a letter for every cohort that is told, in every language its people need.

    After the first freeze: for the people of the open amendment, on its own day. Raises AmendmentRefused when none is open,
    LettersIncomplete with all that the letters say and nobody has recorded.
    """
    amendment = next_register(incident=incident)
    for (form, language), source in standard_texts().items():
        if (form, language) not in newest_texts(incident=incident):
            save_text(incident=incident, form=form, language=language, source=source, author=author)
    texts, spoken = newest_texts(incident=incident), _spoken(incident, amendment)
    made: list[Letter] = []
    gaps: dict[str, set[str]] = {}
    told = [reader for key, reader in readers(incident=incident).items() if key in spoken]
    for reader, situation in situations(incident=incident, told=told):
        chosen = [texts[(reader.form, language)] for language in _languages(reader, spoken[reader.cohort.pk], texts)]
        for text in chosen:
            try:
                made.append(_make(amendment, text, reader.cohort, situation))
            except LetterGaps as found:
                for name in found.fields:
                    gaps.setdefault(name, set()).add(f"{text.form}/{text.language}")
    if gaps:
        raise LettersIncomplete({name: frozenset(where) for name, where in gaps.items()})
    incident.letters.filter(amendment=amendment).exclude(pk__in=[letter.pk for letter in made]).delete()
    record_many(incident=incident, actor=author.username, entries=[_made_entry(letter, amendment) for letter in made])
    return _report(made)


def _made_entry(letter: Letter, amendment: Amendment | None) -> Entry:
    late = {"amendment": amendment.number} if amendment else {}
    data = {"cohort": letter.cohort_id, "language": letter.language, "sha256": letter.sha256, **late}
    return Entry(Action.LETTER_MADE, data)


def _report(made: list[Letter]) -> LetterReport:
    languages: dict[str, int] = {}
    for letter in made:
        languages[letter.language] = languages.get(letter.language, 0) + 1
    warnings = sum(finding["level"] == "warn" for letter in made for finding in letter.findings)
    return LetterReport(len(made), sum(letter.blocked for letter in made), warnings, languages)


def available(*, form: str, texts: Mapping[tuple[str, str], LetterText]) -> frozenset[str]:
    """The languages in which a form exists."""
    return frozenset(language for known, language in texts if known == form)


def _spoken(incident: Incident, amendment: Amendment | None) -> dict[int, set[str]]:
    """The languages of those whom the next register covers and who get a letter, by cohort."""
    people = people_of(incident=incident, amendment=amendment).filter(status=PersonStatus.CLEAR, cohort__isnull=False)
    found: dict[int, set[str]] = {}
    for cohort, language in people.values_list("cohort_id", "language").distinct().order_by():
        found.setdefault(int(cohort or 0), set()).add(language)
    return found


def _languages(reader: Reader, wanted: Iterable[str], texts: Mapping[tuple[str, str], LetterText]) -> list[str]:
    known = available(form=reader.form, texts=texts)
    chosen = (choose_language(wanted=w, residence=reader.cohort.residence, available=known) for w in wanted)
    return sorted({choice.language for choice in chosen})


def _make(amendment: Amendment | None, text: LetterText, cohort: Cohort, situation: Situation) -> Letter:
    facts, fields = letter_facts(situation=situation), letter_fields(situation=situation, language=text.language)
    made = _compile(text, facts, fields)
    findings = check_letter(
        letter=made, required=situation.required, barred=situation.barred, facts=facts, fields=fields,
        elements=situation.elements,
    ) + check_owed(letter=made, situation=situation)  # fmt: skip
    body = canonical_json(marked(letter=made, incident=text.incident).to_json()).decode()
    letter, _ = Letter.objects.update_or_create(
        incident=text.incident, cohort=cohort, language=text.language, amendment=amendment,
        defaults={
            "text": text, "form": text.form, "compiled": body, "sha256": hashlib.sha256(body.encode()).hexdigest(),
            "findings": [asdict(finding) for finding in sorted(findings, key=lambda found: found.level != BLOCK)],
            "made_at": database_now(),
        },
    )  # fmt: skip
    return letter


def marked(*, letter: CompiledLetter, incident: Incident) -> CompiledLetter:
    """The letter as it is stored: a drill's says so in its subject, after the check of what people would read."""
    return replace(letter, subject=f"{DRILL_MARK}{letter.subject}") if incident.is_drill else letter


def situations(*, incident: Incident, told: Iterable[Reader]) -> Iterator[tuple[Reader, Situation]]:
    """Each reader's cohort with all that its letter is made of; what they share is read once."""
    counts = incident.cohorts.values("residence").annotate(living=Sum("count")).order_by()
    in_state = {row["residence"]: int(row["living"] or 0) for row in counts}
    filings = Filing.objects.filter(obligation__incident=incident, obligation__addressee="regulator")
    filed = set(filings.values_list("obligation__jurisdiction", flat=True))
    facts, now = incident.facts.facts, database_now()
    for reader in told:
        duties, cohort = reader.statutory, reader.cohort
        yield reader, Situation(
            facts=facts, residence=cohort.residence, elements=frozenset(cohort.elements), minors=cohort.minors,
            handling=reader.obligation.handling, now=now, required=reader.required, barred=reader.barred,
            conditional=reader.conditional, months=reader.months, references=reader.references,
            late=any(_is_late(duty, now) for duty in duties),
            regulator_told=not filed.isdisjoint(reader.jurisdictions), in_state=in_state.get(cohort.residence, 0),
        )  # fmt: skip


def _is_late(duty: Obligation, now: datetime) -> bool:
    return bool(duty.duty.get("reasons_for_delay_required")) or (duty.due_at is not None and duty.due_at < now)


def _compile(text: LetterText, facts: Mapping[str, bool], fields: Mapping[str, Any]) -> CompiledLetter:
    tree = _parsed(text.source, f"{text.form}/{text.language}")
    try:
        return compile_letter(tree=tree, facts=facts, fields=fields, law_block=law_block(text.language), language=text.language)
    except LetterGaps:
        raise
    except LetterSyntaxError as error:
        raise LetterRefused(f"{error.name}, line {error.line}, column {error.column}: {error.message}") from None


@lru_cache(maxsize=4096)
def compiled(sha256: str, body: str) -> CompiledLetter:
    """A compiled letter from its stored form, kept in memory by its hash."""
    return CompiledLetter.from_json(json.loads(body))


def reference_code(message_ref: str) -> str:
    """The code that the reader can read out to the call centre: the first 64 random bits of the message's name."""
    code = message_ref[:16].upper()
    return f"{code[:4]}-{code[4:8]}-{code[8:12]}-{code[12:]}"


def personal_values(*, fields: PersonFields, language: str, message_ref: str) -> dict[str, str]:
    """What differs from person to person inside a letter; the reader is whoever stands in for the person, else the person."""
    reads = reader_of(fields=fields)
    person = _name(fields.full_name, language)
    reader = person if reads == fields.full_name else _name(reads, language)
    return {"person_name": person, "reader_name": reader, "reference_code": reference_code(message_ref)}


def _name(name: str, language: str) -> str:
    return clean_value(value=name[:MAX_VALUE_CHARACTERS]) or neutral_name(language=language)


def preview(*, letter: Letter, person: AffectedPerson, vault: Vault) -> FilledLetter:
    """The letter as this person would read it, with a code of zeros."""
    fields = vault.open(person=person)
    values = personal_values(fields=fields, language=letter.language, message_ref="0" * 32)
    return read_in_their_place(letter=compiled(letter.sha256, letter.compiled), values=values, fields=fields)
