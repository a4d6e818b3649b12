"""One row of a list -> one person with the questions it raises, or a row that cannot be a person. No database and no Django here.

The importer's confined child runs this a million times: what few rows have in common (their evidence, their words, the domain
of their address) is read once and remembered, and only rows in doubt are looked at closely.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from incidents.people import postal, residence
from incidents.people.addresses import AddressProblem, check_address, placeholder_problem
from incidents.people.answers import FLAG_OF, read_answers
from incidents.people.asking import ask_place
from incidents.people.date_forms import in_form
from incidents.people.fillers import is_no_name, is_no_number
from incidents.people.inert import unprotected
from incidents.people.person_facts import (
    ANSWERED_BY,
    Expected,
    Exposed,
    foreign_numbers,
    minor_by_age,
    read_birth,
    read_elements,
    read_flags,
    read_language,
    read_representative,
)
from incidents.people.questions import (
    ADDRESS,
    DATA,
    FLAG_QUESTIONS,
    FLAGS,
    NO_CHANNEL,
    RESIDENCE_QUESTIONS,
    ROW,
    Problem,
)
from incidents.people.reading.names import NAMES, dates_of, plain_columns
from incidents.people.said_of_all import weigh_beside
from incidents.people.whole_names import corrected_name, family_of, whole_name
from incidents.record import PersonFields
from incidents.visible import has_unseen, visible

__all__ = [
    "FLAGS", "FLAG_QUESTIONS", "RESIDENCE_QUESTIONS", "Expected", "Prepared", "Preparer", "Problem", "can_be_posted",
    "prepare",
]  # fmt: skip

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85]")
#: Here a line break is part of the address; everywhere else it is none of the field.
OF_SEVERAL_LINES = frozenset({"street"})
LONGEST_NAME = 500
REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,50}")
#: A long number as a spreadsheet shows it: rounded when the list was made, and nobody's number any more.
ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?[Ee]\+[0-9]+")


class Row(NamedTuple):
    """The cells of a row that are read; empty where the file has no such column."""

    person_id: str
    customer_number: str
    full_name: str
    given_name: str
    family_name: str
    second_family_name: str
    email: str
    phone: str
    street: str
    city: str
    region: str
    postcode: str
    stated_country: str
    billing_country: str
    shipping_country: str
    phone_prefix: str
    loyalty_home_store: str
    ip_country: str
    language: str
    elements: str
    flags: str
    date_of_birth: str
    representative_role: str
    representative_name: str
    representative_email: str
    deceased: str
    date_of_death: str
    minor: str
    safe_address: str
    do_not_contact: str
    employee: str
    opted_out: str


class Prepared(NamedTuple):
    """A row ready for staging. `rejected` names why it can be no person; then the rest is not used."""

    number: int
    fields: PersonFields
    #: The reference that the file gives; '' = one has to be made.
    reference: str
    place: residence.Residence
    confidence: str
    elements: tuple[str, ...]
    flags: tuple[str, ...]
    language: str
    #: A postal address that can be written to.
    has_post: bool
    problems: tuple[Problem, ...] = ()
    rejected: Problem | None = None


NOBODY = PersonFields()
NOT_IN_FORM = Problem(
    DATA,
    "date_of_birth",
    "a date of birth that is not in the form of its column",
    "look at it in the source, write it as YYYY-MM-DD",
)
NOWHERE = residence.Residence(residence.UNKNOWN, "")
NAMES_NOBODY = Problem(
    ROW, "", "no name, no customer number and no e-mail", "nothing tells who this is: find the row in the source"
)
NO_NAME = Problem(DATA, "full_name", "no name", "add the name from the customer record, or hold")
LONG_NAME = Problem(DATA, "full_name", f"a name of more than {LONGEST_NAME} characters", "look for columns that ran together")
#: What a wrong encoding leaves behind: the replacement character, or UTF-8 that was read as a one-byte encoding.
DAMAGED = re.compile("\ufffd|[\u00c2-\u00c3][\u0080-\u00bf\u2018-\u201e\u2020-\u2022\u20ac]")
UNSEEN_NAME = Problem(
    DATA,
    "full_name",
    "an unseen character in the name, such as one that turns the direction of writing",
    "look at it in the source and correct the name without it; a letter leaves it out",
)
NOT_A_NAME = Problem(
    DATA,
    "full_name",
    "no name of a person: a filler, an error of a spreadsheet, a number, an address or a link",
    "write the name as the customer record has it; accept it where somebody is really called so",
)
BAD_NAME = Problem(
    DATA,
    "full_name",
    "a damaged character in the name",
    "look at it in the source: was the list saved in another encoding?",
)
NO_ADDRESS = Problem(NO_CHANNEL, "email", "no e-mail address", "add an address, or hold until one is found")
ONLY_POST = Problem(
    NO_CHANNEL,
    "email",
    "no e-mail address; a complete postal address is there",
    "letters by post are not sent from here: add an e-mail address, or hold and write by post",
)
#: What is kept, sealed, beside the fields: the evidence of residence, and the e-mail address as given where it is not used so.
KEPT = (
    "stated_country", "billing_country", "shipping_country", "phone_prefix", "loyalty_home_store", "ip_country", "email",
)  # fmt: skip
#: Where in a row that evidence stands.
FIRST, LAST = Row._fields.index(KEPT[0]), Row._fields.index("ip_country") + 1
#: From here on the columns that say yes or no, in the order of FLAG_OF.
ANSWERS = Row._fields.index(next(iter(FLAG_OF)))


class Preparer:
    """Reads the rows of one file; made once, with the positions of its columns."""

    def __init__(self, *, columns: tuple[str, ...], expected: Expected, today: date) -> None:
        at = {name: position for position, name in enumerate(plain_columns(columns)) if name}
        self._dates = dates_of(columns)
        self._width, self._expected, self._today = len(columns), expected, today
        # The last cell is an empty one of our own: the value of every column that the file does not have.
        self._take = itemgetter(*(at.get(name, -1) for name in Row._fields))
        # What comes back in a reject file is the record itself, and somebody may have corrected its name.
        self._whole = corrected_name if "correction_of" in at else whole_name
        # Whoever imports a list without names has said so of everybody; it is not asked of each row again.
        self._named = not at.keys().isdisjoint((*NAMES, "correction_of"))
        everybody = Exposed(expected.without_column)
        read = lru_cache(maxsize=4096)(lambda text: read_elements(text=text, expected=expected))
        self._exposed = read if "elements" in at else lambda _: everybody
        self._flags = lru_cache(maxsize=1024)(_flags)

    def prepare(self, number: int, cells: list[str]) -> Prepared:
        """Read one row. Every doubt becomes a Problem; nothing is dropped or repaired silently."""
        problems: list[Problem] = []
        row, rejected = self._row(cells, problems)
        ready, about = check_address(row.email) if row.email else ("", None)
        if rejected or (about and about.refused):
            return _nobody(number, rejected, about)
        full = self._whole(row.full_name, row.given_name, row.family_name)
        if (full or self._named) and (not full or len(full) > LONGEST_NAME or not full.isprintable() or is_no_name(full)):
            problems += _about_name(full)
        street = row.street if row.street.isprintable() else _lines(row.street, problems)
        place = self._place(row, ready, problems)
        elements, flags = self._words(row, place, problems)
        has_post = bool(street) and posted_at(place.place, flags, street, row.city, row.region, row.postcode)
        ready = _address(ready, about, has_post, problems)
        stood_in = row.representative_role or row.representative_name or row.representative_email
        fields = _fields(row, full, street, ready, _stand_in(row, problems) if stood_in else ("", "", ""))
        return Prepared(
            number, fields, row.person_id if REFERENCE.fullmatch(row.person_id) else "", place, place.confidence, elements, flags,
            read_language(row.language), has_post, tuple(problems),
        )  # fmt: skip

    def _row(self, cells: list[str], problems: list[Problem]) -> tuple[Row, Problem | None]:
        """The cells that are read, and why they can be nobody's."""
        width, beyond = self._width, ""
        if len(cells) != width:
            reason = f"{len(cells)} cells where the header has {width}"
            problems.append(Problem(DATA, "", reason, "look for a missing or extra delimiter, correct the values"))
            cells, beyond = [*cells[:width], *[""] * (width - len(cells))], "".join(cells[width:])
        taken = self._take([*cells, ""])
        row = Row._make(map(str.strip, taken))
        if "'" in "".join(taken):
            row = Row._make(unprotected(text, column=name) for name, text in zip(Row._fields, row, strict=True))
        if self._dates and row.date_of_birth:
            row = _dated(row, self._dates, problems)
        if row.second_family_name:
            row = row._replace(family_name=family_of(row.family_name, row.second_family_name))
        if row.customer_number and is_no_number(row.customer_number):
            row = row._replace(customer_number="")
        if "+" in row.customer_number or "E+" in row.phone:
            row = _without_rounded(row, problems)
        # Ordinary text is printable: only what is not is searched for what would break a header or a line.
        unsafe = None if "".join(taken).isprintable() and beyond.isprintable() else _unsafe(taken, beyond)
        named = row.full_name or row.customer_number or row.email or row.given_name or row.family_name
        return row, unsafe or (None if named else NAMES_NOBODY)

    def _place(self, row: Row, email: str, problems: list[Problem]) -> residence.Residence:
        cells = (
            row.stated_country, row.billing_country, row.shipping_country, row.region, row.postcode, row.city, row.street,
            row.phone_prefix or row.phone, row.loyalty_home_store, row.ip_country,
        )  # fmt: skip
        place = weigh_beside(cells, self._expected.country)
        if place.question or place.unreadable or place.postcode_problem:
            return ask_place(place=place, email=email, seat=self._expected.seat, problems=problems)
        return place

    def _words(self, row: Row, place: residence.Residence, problems: list[Problem]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The exposed elements and the flags; somebody under age by their birth date is flagged as such."""
        birth = row.date_of_birth
        doubt, minor = read_birth(birth, self._today, self._expected.aware_on) if birth else ("", "")
        exposed, (flags, asked) = self._exposed(row.elements), self._flags(row.flags, minor, row[ANSWERS:])
        problems += exposed.problems
        if exposed.of_one_country:
            problems += foreign_numbers(exposed=exposed, place=place.place)
        problems += asked
        if doubt:
            problems.append(Problem(DATA, "date_of_birth", doubt, "write it as YYYY-MM-DD"))
        if not minor or "minor_under_16" in flags or "minor_16_17" in flags:
            return exposed.elements, flags
        problems.append(minor_by_age(flag=minor))
        return exposed.elements, tuple(sorted((*flags, minor)))


def _flags(text: str, age: str, cells: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """The flags of a row, by its column of flags and by those that say yes or no, with the questions."""
    words, doubts = read_answers(cells) if any(cells) else ((), ())
    flags, asked = read_flags(text=text, age=age, more=words)
    return flags, (*asked, *doubts)


def _dated(row: Row, form: str, problems: list[Problem]) -> Row:
    """The row with its date of birth as the column means it; one that contradicts the column is asked."""
    text, contradicts = in_form(row.date_of_birth, form)
    if contradicts:
        problems.append(NOT_IN_FORM)
    return row._replace(date_of_birth=text)


def _without_rounded(row: Row, problems: list[Problem]) -> Row:
    """Two people whose numbers were rounded alike are not one."""
    for column in ("customer_number", "phone"):
        if ROUNDED.fullmatch(getattr(row, column)):
            remedy = "take it from the customer record, or export the column as text and import again"
            problems.append(Problem(DATA, column, "a number that a spreadsheet has rounded", remedy))
            row = row._replace(**{column: ""})
    return row


def prepare(*, number: int, cells: list[str], columns: tuple[str, ...], expected: Expected, today: date) -> Prepared:
    """Read a single row; a file is read with a `Preparer` of its own."""
    return Preparer(columns=columns, expected=expected, today=today).prepare(number, cells)


def _fields(row: Row, full_name: str, street: str, email: str, stand_in: tuple[str, str, str]) -> PersonFields:
    evidence = _evidence(row[FIRST:LAST])
    if row.email and row.email != email:
        evidence = (*evidence, (KEPT[-1], row.email))
    role, name, their_email = stand_in
    return PersonFields.of(
        full_name=full_name,
        given_name=row.given_name,
        family_name=row.family_name,
        emails=(email,) if email else (),
        phone=row.phone,
        street=street,
        city=row.city,
        region=row.region,
        postcode=row.postcode,
        customer_number=row.customer_number,
        date_of_birth=row.date_of_birth,
        evidence=evidence,
        representative_role=role,
        representative_name=name,
        representative_email=their_email,
    )


@lru_cache(maxsize=4096)
def _evidence(cells: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in zip(KEPT, cells, strict=False) if pair[1])


def _nobody(number: int, rejected: Problem | None, about: AddressProblem | None) -> Prepared:
    why = rejected or (Problem(ROW, "email", about.reason, about.remedy) if about else None)
    return Prepared(number, NOBODY, "", NOWHERE, residence.NONE, (), (), "", False, (), why)


def _unsafe(taken: tuple[str, ...], beyond: str) -> Problem | None:
    for column, text in (*zip(Row._fields, taken, strict=True), ("", beyond)):
        if CONTROL.search(re.sub(r"\r?\n", "", text) if column in OF_SEVERAL_LINES else text):
            reason = "a line break or control character inside the field"
            return Problem(ROW, column, reason, "remove it in the source and import the corrected row")
    return None


def _about_name(name: str) -> list[Problem]:
    """A name is literal text; asked is what nobody can see in it, one that goes on for a page, and what is no name at all."""
    if not visible(name):
        return [NO_NAME]
    if has_unseen(name):
        return [UNSEEN_NAME]
    if not name.isascii() and DAMAGED.search(name):
        return [BAD_NAME]
    if len(name) > LONGEST_NAME:
        return [LONG_NAME]
    return [NOT_A_NAME] if is_no_name(name) else []


def _lines(street: str, problems: list[Problem]) -> str:
    """The lines of an address, without empty ones."""
    lines = [line.strip() for line in street.splitlines() if line.strip()]
    if len(lines) > postal.MOST_LINES:
        reason = f"a postal address of {len(lines)} lines; an envelope holds {postal.MOST_LINES}"
        problems.append(Problem(DATA, "street", reason, "shorten it to the lines that the post needs"))
    return "\n".join(lines)


def posted_at(place: str, flags: tuple[str, ...], street: str, city: str, region: str, postcode: str) -> bool:
    """Whether a letter can be addressed: who moved is not at the old address, and a protected one never gets post."""
    if place == residence.UNKNOWN or "moved" in flags or "safe_address" in flags:
        return False
    reading = postal.read_postcode(place[:2], postcode)
    return postal.usable(country=place[:2], street=street, city=city, region=region, postcode=postcode, reading=reading)


def can_be_posted(*, fields: PersonFields, place: str, flags: Sequence[str]) -> bool:
    """Whether a letter can be addressed to a person who lives at `place`."""
    return posted_at(place, tuple(flags), fields.street, fields.city, fields.region, fields.postcode)


def _address(ready: str, about: AddressProblem | None, has_post: bool, problems: list[Problem]) -> str:
    """The address that is written to, with the question where there is none."""
    doubt = about or (placeholder_problem(address=ready) if ready else None)
    if doubt:
        problems.append(Problem(ADDRESS, "email", doubt.reason, doubt.remedy))
        return ""
    if not ready:
        problems.append(ONLY_POST if has_post else NO_ADDRESS)
    return ready


def _stand_in(row: Row, problems: list[Problem]) -> tuple[str, str, str]:
    """Who reads the letter instead; once their address is known, the question who that is has its answer."""
    found, doubts = read_representative(
        role=row.representative_role, name=row.representative_name, email=row.representative_email
    )
    answered = ANSWERED_BY[found[0] if all(found) else ""]
    problems[:] = [*(problem for problem in problems if problem.kind not in answered), *doubts]
    return found
