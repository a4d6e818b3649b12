"""Obligation + cohort -> the letter compiled once; letter + person -> that person's letter. One source, text and HTML alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json
from incidents.audit.log import Entry, database_now, record, record_many
from incidents.law.pack import Pack, load_packs
from incidents.letters.check import check_letter
from incidents.letters.language import (
    CompiledLetter,
    FilledLetter,
    LetterSyntaxError,
    compile_letter,
    fill,
    parse_letter,
)
from incidents.letters.syntax import LetterTree, parse_law_block
from incidents.letters.wording import choose_language, element_labels, long_date, neutral_name
from incidents.models import AffectedPerson, Cohort, Incident, Letter, LetterText, Obligation, PersonStatus
from incidents.models.duties import Handling
from incidents.models.refusal import Refused
from incidents.vault import Vault

TOLD = (Handling.STATUTORY, Handling.VOLUNTARY, Handling.LAW_UNKNOWN)
WEIGHT = {
    Handling.STATUTORY: 0,
    Handling.LAW_UNKNOWN: 1,
    Handling.VOLUNTARY: 2,
    Handling.UNDECIDED: 3,
    Handling.NONE: 4,
}
IN_PLACE = ("gb", "ch", "jp", "kr", "tr", "us_nd", "us_wa", "us_ca", "us_ny")


class LetterRefused(Refused):
    """A letter's text cannot be saved or compiled; names line, column and remedy."""


@dataclass(frozen=True)
class LetterReport:
    """How many letters were compiled, and what the check found."""

    letters: int
    blocked: int
    warnings: int
    languages: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """What a cohort's letter depends on: the weightiest duty towards it, and where its people live."""

    cohort: Cohort
    obligation: Obligation

    @property
    def form(self) -> str:
        if self.obligation.handling != Handling.STATUTORY:
            return "courtesy"
        return "us-ca" if self.obligation.jurisdiction == "US-CA" else "notice"


def readers(*, incident: Incident) -> dict[int, Reader]:
    """For every inhabited cohort the duty that decides its letter; cohorts to whom no notice goes are left out."""
    chosen: dict[int, Reader] = {}
    duties = incident.obligations.filter(addressee="person", superseded=False, cohort__count__gt=0).select_related("cohort")
    for duty in sorted(duties, key=lambda duty: (WEIGHT[Handling(duty.handling)], duty.pk)):
        if duty.cohort and duty.handling in TOLD:
            chosen.setdefault(duty.cohort.pk, Reader(duty.cohort, duty))
    return chosen


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
    """Compile and check a letter for every cohort that is told, in every language its people need."""
    if incident.campaigns.exists():
        raise LetterRefused("The letters are frozen with the register; a change needs a new campaign.")
    for (form, language), source in standard_texts().items():
        if (form, language) not in newest_texts(incident=incident):
            save_text(incident=incident, form=form, language=language, source=source, author=author)
    texts, made = newest_texts(incident=incident), []
    for reader in readers(incident=incident).values():
        made += [_make(incident, reader, texts[(reader.form, language)]) for language in _languages(reader, texts)]
    incident.letters.exclude(pk__in=[letter.pk for letter in made]).delete()
    entries = [
        Entry(Action.LETTER_MADE, {"cohort": letter.cohort_id, "language": letter.language, "sha256": letter.sha256})
        for letter in made
    ]
    record_many(incident=incident, actor=author.username, entries=entries)
    return _report(made)


def _report(made: list[Letter]) -> LetterReport:
    languages: dict[str, int] = {}
    for letter in made:
        languages[letter.language] = languages.get(letter.language, 0) + 1
    warnings = sum(finding["level"] == "warn" for letter in made for finding in letter.findings)
    return LetterReport(len(made), sum(letter.blocked for letter in made), warnings, languages)


def available(*, form: str, texts: Mapping[tuple[str, str], LetterText]) -> frozenset[str]:
    """The languages in which a form exists."""
    return frozenset(language for known, language in texts if known == form)


def _languages(reader: Reader, texts: Mapping[tuple[str, str], LetterText]) -> list[str]:
    people = AffectedPerson.objects.filter(cohort=reader.cohort, status=PersonStatus.CLEAR)
    wanted = people.values_list("language", flat=True).distinct().order_by()
    known = available(form=reader.form, texts=texts)
    chosen = (choose_language(wanted=w, residence=reader.cohort.residence, available=known) for w in wanted)
    return sorted({choice.language for choice in chosen})


def _make(incident: Incident, reader: Reader, text: LetterText) -> Letter:
    facts, fields = (
        letter_facts(incident=incident, reader=reader),
        letter_fields(incident=incident, reader=reader, language=text.language),
    )
    compiled = _compile(text, facts, fields)
    duty, elements = reader.obligation.duty, frozenset(reader.cohort.elements)
    owed = reader.obligation.handling == Handling.STATUTORY
    findings = check_letter(
        letter=compiled, required=duty["content_required"] if owed else (), barred=duty["content_barred"] if owed else (),
        facts=facts, fields=fields, elements=elements,
    )  # fmt: skip
    body = canonical_json(compiled.to_json()).decode()
    letter, _ = Letter.objects.update_or_create(
        incident=incident, cohort=reader.cohort, language=text.language,
        defaults={
            "text": text, "form": text.form, "compiled": body, "sha256": hashlib.sha256(body.encode()).hexdigest(),
            "findings": [asdict(finding) for finding in findings], "made_at": database_now(),
        },
    )  # fmt: skip
    return letter


def _compile(text: LetterText, facts: Mapping[str, bool], fields: Mapping[str, Any]) -> CompiledLetter:
    tree = _parsed(text.source, f"{text.form}/{text.language}")
    try:
        return compile_letter(tree=tree, facts=facts, fields=fields, law_block=law_block(text.language), language=text.language)
    except LetterSyntaxError as error:
        raise LetterRefused(f"{error.name}, line {error.line}, column {error.column}: {error.message}") from None


def letter_facts(*, incident: Incident, reader: Reader) -> dict[str, bool]:
    """The closed facts on which a letter's paragraphs depend."""
    facts, cohort, handling = incident.facts.facts, reader.cohort, reader.obligation.handling
    pack = load_packs().find(residence=cohort.residence)
    place = cohort.residence.lower().replace("-", "_")
    return {
        **{f"has.{element}": True for element in cohort.elements},
        "has_not.any": any(state == "not_involved" for state in facts["elements"].values()),
        "has.authority": all(authority_of(residence=cohort.residence, language="en")) and handling != Handling.LAW_UNKNOWN,
        "is.attack": facts["cause"] == "attack",
        "is.mistake": facts["cause"] == "error",
        **{
            f"is.{name}": bool(facts[name]) for name in ("contained", "experts_engaged", "authorities_informed", "occurred_known")
        },
        "is.statutory": handling == Handling.STATUTORY,
        "is.voluntary": handling == Handling.VOLUNTARY,
        "is.law_unknown": handling == Handling.LAW_UNKNOWN,
        "is.child": cohort.minors,
        "in.eea": pack is not None and pack.inherits == "EU",
        "in.us": cohort.residence.startswith("US"),
        **({f"in.{place}": True} if place in IN_PLACE else {}),
    }


def letter_fields(*, incident: Incident, reader: Reader, language: str) -> dict[str, str | tuple[str, ...]]:
    """The closed fields of a letter, in its language."""
    facts, cohort = incident.facts.facts, reader.cohort
    controller, anchors, zone = facts["controller"], facts["anchors"], facts["zone"]
    uninvolved = [name for name, state in facts["elements"].items() if state == "not_involved"]
    name, site = authority_of(residence=cohort.residence, language=language)
    shown = _english_of(cohort.residence) if language == "en" else language

    def worded(name: str) -> str:
        return str(controller.get(f"{name}_{language}") or controller[name])

    def day(anchor: str) -> str:
        return long_date(moment=datetime.fromisoformat(anchors[anchor]), zone=zone, language=shown) if anchor in anchors else ""

    return {
        **{key: controller[key] for key in ("brand", "legal_entity", "legal_address", "website", "phone")},
        "website_page": worded("website_page") or controller["website"],
        "dpo_name": worded("dpo_name"),
        "phone_hours": worded("phone_hours"), "dpo_email": controller["dpo_email"], "sender_email": controller["sender_email"],
        "letter_date": long_date(moment=database_now(), zone=zone, language=shown),
        "occurred_on": day("occurred_at"), "discovered_on": day("discovered_at") or day("aware_at"),
        "elements": element_labels(elements=cohort.elements, language=language),
        "not_involved": element_labels(elements=uninvolved, language=language),
        "authority_name": name, "authority_site": site, "law_name": next(iter(reader.obligation.duty["references"]), ""),
    }  # fmt: skip


def _english_of(residence: str) -> str:
    return "en" if residence.startswith("US") else "en-GB"


def authority_of(*, residence: str, language: str) -> tuple[str, str]:
    """Where a person there may complain: the authority's name and plain site address; ('', '') where there is none."""
    pack = load_packs().find(residence=residence)
    if pack is None or residence.startswith("US"):
        return "", ""
    worded = _complaints().get(pack.id)
    if worded:
        return worded["name"].get(language, worded["name"]["en"]), worded["site"]
    named = _first_regulator(pack)
    site = str(named.get("site") or named.get("url") or "").removeprefix("https://").removeprefix("http://")
    return str(named.get("name") or ""), site.removeprefix("www.").split("/")[0].split(" ")[0]


@lru_cache(maxsize=1)
def _complaints() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "wording" / "complaints.yaml").read_text())
    return found


def _first_regulator(pack: Pack) -> Mapping[str, Any]:
    for regime in pack.regimes:
        for version in regime.paths.get("regulator.to", ()):
            names = version.value.get("names") or ()
            if not regime.sectors and names and not version.dormant:
                first: Mapping[str, Any] = names[0]
                return first
    return {}


@lru_cache(maxsize=4096)
def compiled(sha256: str, body: str) -> CompiledLetter:
    """A compiled letter from its stored form, kept in memory by its hash."""
    return CompiledLetter.from_json(json.loads(body))


def reference_code(message_ref: str) -> str:
    """The code that the reader can read out to the call centre: the first 64 random bits of the message's name."""
    code = message_ref[:16].upper()
    return "-".join(code[at : at + 4] for at in range(0, 16, 4))


def personal_values(*, full_name: str, language: str, message_ref: str) -> dict[str, str]:
    """What differs from person to person inside a letter."""
    return {"person_name": full_name or neutral_name(language=language), "reference_code": reference_code(message_ref)}


def preview(*, letter: Letter, person: AffectedPerson, vault: Vault) -> FilledLetter:
    """The letter as this person would read it, with a code of zeros."""
    values = personal_values(full_name=vault.open(person=person).full_name, language=letter.language, message_ref="0" * 32)
    return fill(letter=compiled(letter.sha256, letter.compiled), values=values)
