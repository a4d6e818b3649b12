"""One row of a list -> one sealed person with the questions it raises, or a row that cannot be a person. No database here."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from incidents.models.people import QueueKind
from incidents.people import residence
from incidents.people.addresses import check_address, normal_address, normal_name
from incidents.vault import PersonFields, Vault

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
FLAG_QUESTIONS = {
    "minor_under_16": (QueueKind.GUARDIAN, "under 16: a guardian may have to be told", "name the guardian or hold"),
    "minor_16_17": (
        QueueKind.GUARDIAN,
        "16 or 17: a guardian may have to be told",
        "confirm who reads the letter, or hold",
    ),
    "deceased": (QueueKind.NEXT_OF_KIN, "said to be deceased", "find the next of kin or hold"),
    "safe_address": (
        QueueKind.SAFE_ADDRESS,
        "lives at a protected address",
        "confirm that e-mail is safe, never by post",
    ),
}
FLAGS = frozenset({*FLAG_QUESTIONS, "employee", "opted_out", "erasure_pending"})
RESIDENCE_QUESTIONS = {
    "state_unknown": (
        QueueKind.STATE_UNKNOWN,
        "lives in the United States, state unknown",
        "ask the shop for the state, or hold",
    ),
    "province_unknown": (
        QueueKind.STATE_UNKNOWN,
        "lives in Canada, province unknown",
        "ask the shop for the province (Quebec and Alberta have laws of their own), or hold",
    ),
    "residence_unknown": (
        QueueKind.RESIDENCE_UNKNOWN,
        "no evidence of residence",
        "set the residence with its evidence, or hold",
    ),
    "residence_conflict": (
        QueueKind.RESIDENCE_CONFLICT,
        "the evidence names several places",
        "choose one with its evidence, or hold",
    ),
}
EVIDENCE = ("stated_country", "billing_country", "shipping_country", "phone_prefix", "loyalty_home_store", "ip_country")


@dataclass(frozen=True)
class Problem:
    """A question about a row: which queue, which column, why, and what to do."""

    kind: str
    column: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Prepared:
    """A row ready for staging. `rejected` names why it can be no person; then nothing else is set."""

    number: int
    fields: PersonFields
    reference: str
    subject: str
    place: residence.Residence
    elements: tuple[str, ...]
    flags: tuple[str, ...]
    language: str
    problems: tuple[Problem, ...]
    rejected: Problem | None = None


@dataclass(frozen=True)
class Expected:
    """What the incident says of elements: the vocabulary, each element's state, and those exposed for everybody."""

    vocabulary: frozenset[str]
    states: Mapping[str, str]

    @property
    def for_all(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, state in self.states.items() if state == "exposed"))


def prepare(*, number: int, cells: list[str], columns: tuple[str, ...], expected: Expected) -> Prepared:
    """Read one row. Every doubt becomes a Problem; nothing is dropped or repaired silently."""
    row = dict(zip(columns, (cell.strip(" \xa0") for cell in cells), strict=False))
    problems = _shape(cells, columns)
    email, about_email = check_address(row.get("email", ""))
    rejected = _impossible(row, cells, about_email is not None and about_email.hostile)
    if about_email:
        problems.append(Problem(QueueKind.ADDRESS, "email", about_email.reason, about_email.remedy))
    elif not email:
        problems.append(Problem(QueueKind.NO_CHANNEL, "email", "no e-mail address", "add an address, or hold until one is found"))
    fields = _fields(row, email)
    if not fields.full_name:
        problems.append(Problem(QueueKind.DATA, "full_name", "no name", "add the name from the customer record, or hold"))
    place = _place(row, problems)
    return Prepared(
        number=number,
        fields=fields,
        reference=_reference(row),
        subject=secrets.token_hex(16),
        place=place,
        elements=_elements(row, columns, expected, problems),
        flags=_flags(row, problems),
        language=_language(row),
        problems=tuple(problems),
        rejected=rejected,
    )


def _shape(cells: list[str], columns: tuple[str, ...]) -> list[Problem]:
    if len(cells) == len(columns):
        return []
    reason = f"{len(cells)} cells where the header has {len(columns)}"
    return [Problem(QueueKind.DATA, "", reason, "look for a missing or extra delimiter, correct the values")]


def _impossible(row: Mapping[str, str], cells: list[str], hostile: bool) -> Problem | None:
    for column, text in (*row.items(), *(("", cell) for cell in cells[len(row) :])):
        if CONTROL.search(text):
            reason = "a line break or control character inside the field"
            return Problem(QueueKind.ROW, column, reason, "remove it in the source and import the corrected row")
    if hostile:
        reason = "control or invisible characters in the address"
        return Problem(QueueKind.ROW, "email", reason, "retype the address and import the corrected row")
    if not any(row.get(name) for name in ("full_name", "given_name", "family_name", "customer_number", "email")):
        reason = "no name, no customer number and no e-mail"
        return Problem(QueueKind.ROW, "", reason, "nothing tells who this is: find the row in the source")
    return None


def _fields(row: Mapping[str, str], email: str) -> PersonFields:
    def get(name: str) -> str:
        return row.get(name, "")

    full = get("full_name") or " ".join(part for part in (get("given_name"), get("family_name")) if part)
    return PersonFields(
        full_name=full,
        given_name=get("given_name"),
        family_name=get("family_name"),
        emails=(email,) if email else (),
        phone=get("phone"),
        street=get("street"),
        city=get("city"),
        region=get("region"),
        postcode=get("postcode"),
        customer_number=get("customer_number"),
        date_of_birth=get("date_of_birth"),
        evidence=tuple((name, get(name)) for name in EVIDENCE if get(name)),
    )


def _place(row: Mapping[str, str], problems: list[Problem]) -> residence.Residence:
    place = residence.decide(row)
    unreadable = residence.unreadable_country(row)
    if place.question and not (unreadable and place.place == residence.UNKNOWN):
        kind, reason, remedy = RESIDENCE_QUESTIONS[place.question]
        if place.question != "residence_conflict":
            remedy = _meant(place, row) + remedy
        problems.append(Problem(kind, place.decided_by, reason, remedy))
    elif unreadable:
        # Weaker evidence may have decided; it is asked all the same, in a queue where the residence can be set.
        known = place.place != residence.UNKNOWN
        kind = QueueKind.RESIDENCE_CONFLICT if known else QueueKind.RESIDENCE_UNKNOWN
        remedy = f"{_meant(place, row)}set the residence with its evidence, or hold"
        problems.append(Problem(kind, unreadable, "the country is no ISO code and no name of one country alone", remedy))
    return place


def _meant(place: residence.Residence, row: Mapping[str, str]) -> str:
    """What an unclear word may mean, in codes; the word itself stays sealed. The IP address alone suggests nothing."""
    possible = residence.unclear_places(row) or tuple(code for code in place.possible if code != place.weak_hint)
    return f"is {' or '.join(possible[:4])} meant? " if possible else ""


def _reference(row: Mapping[str, str]) -> str:
    given = row.get("person_id", "")
    return given if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,50}", given) else f"p-{secrets.token_hex(6)}"


def _elements(row: Mapping[str, str], columns: tuple[str, ...], expected: Expected, problems: list[Problem]) -> tuple[str, ...]:
    if "elements" not in columns:
        return expected.for_all
    words = tuple(sorted({word.strip().lower() for word in row.get("elements", "").split(";") if word.strip()}))
    known = tuple(word for word in words if word in expected.vocabulary)
    if not words:
        problems.append(
            Problem(QueueKind.DATA, "elements", "no exposed element is named", "say which data of this person leaked")
        )
        return expected.for_all
    if len(known) < len(words):
        problems.append(Problem(QueueKind.DATA, "elements", "an element is not in the vocabulary", "use the vocabulary's words"))
    if any(expected.states.get(word) == "not_involved" for word in known):
        reason = "an element that the incident's facts call not involved"
        problems.append(Problem(QueueKind.DATA, "elements", reason, "correct the row or the incident's facts"))
    # The column says of whom those elements leaked that leaked of some; what leaked of everybody leaked of this person too.
    return tuple(sorted({*known, *expected.for_all}))


def _flags(row: Mapping[str, str], problems: list[Problem]) -> tuple[str, ...]:
    words = {word.strip().lower() for word in row.get("flags", "").split(";") if word.strip()}
    if words - FLAGS:
        problems.append(Problem(QueueKind.DATA, "flags", "an unknown flag", f"use {', '.join(sorted(FLAGS))}"))
    for flag in sorted(words & set(FLAG_QUESTIONS)):
        kind, reason, remedy = FLAG_QUESTIONS[flag]
        problems.append(Problem(kind, "flags", reason, remedy))
    born = row.get("date_of_birth", "")
    if born and not _plausible_birth(born):
        problems.append(Problem(QueueKind.DATA, "date_of_birth", "not a plausible date of birth", "write it as YYYY-MM-DD"))
    return tuple(sorted(words & FLAGS))


def _plausible_birth(text: str) -> bool:
    try:
        born = date.fromisoformat(text)
    except ValueError:
        return False
    return date(1900, 1, 2) <= born <= date.today()  # noqa: DTZ011  (a day either way does not matter)


def _language(row: Mapping[str, str]) -> str:
    text = row.get("language", "").replace("_", "-")
    return text if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?", text) else ""


def indexes(*, fields: PersonFields, vault: Vault) -> dict[str, bytes | None]:
    """The blind indexes by which people are matched; None where the value is missing."""
    name = normal_name(fields.full_name)
    values = {
        "customer": fields.customer_number,
        "email": normal_address(fields.emails[0]) if fields.emails else "",
        "name": name,
        "name_birth": f"{name}|{fields.date_of_birth}" if name and fields.date_of_birth else "",
    }
    return {kind: vault.blind(kind=kind, value=value) if value else None for kind, value in values.items()}
