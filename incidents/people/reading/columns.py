"""The header of a list: its names normalised, what each column is to us (said or guessed), and what cannot be.

Columns are named by their place in messages: a file without a header has a person in its first row.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from incidents.people.answers import FLAG_OF, cross_says_no, is_answer
from incidents.people.date_forms import form_of
from incidents.people.inert import unprotected
from incidents.people.reading import names, rivals
from incidents.people.reading.files import LONGEST_COLUMN, MOST_COLUMNS, FileRefused
from incidents.people.reading.names import DATES, KNOWN_COLUMNS, SAYABLE, lacking, plain_columns
from incidents.people.residence import country_of_row
from incidents.people.whole_names import holds

#: Somebody's address in place of a column's name.
ADDRESS = re.compile(r"[^_]@[^_@]+\.")


def header_of(cells: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns, normalised; one name once. Raises FileRefused."""
    header = tuple("_".join(unicodedata.normalize("NFKC", name).lower().split()) for name in cells)
    if not any(header):
        raise FileRefused("Row 1 is empty. The names of the columns have to stand in the first row; remove what is above them.")
    if len(header) > MOST_COLUMNS:
        raise FileRefused(f"Row 1: {len(header)} columns; at most {MOST_COLUMNS} are read. Remove what is not needed.")
    for at, name in enumerate(header, 1):
        if ADDRESS.search(name):
            raise FileRefused(f"Row 1, column {at}: an e-mail address. Is this a header? Put the names of the columns in row 1.")
        if len(name) > LONGEST_COLUMN or not name.isprintable():
            raise FileRefused(
                f"Row 1, column {at}: a column's name has to be plain text of at most {LONGEST_COLUMN} characters. Is this the "
                "header?"
            )
        if name and header.index(name) < at - 1:
            raise FileRefused(
                f"Row 1, column {at}: it has the same name as column {header.index(name) + 1}. Rename or remove one of them."
            )
    return header


def columns_of(*, header: Sequence[str], mapping: Mapping[str, str]) -> tuple[str, ...]:
    """Our name of each column as somebody says it. Raises FileRefused when it cannot be."""
    said = {"_".join(unicodedata.normalize("NFKC", name).lower().split()): ours for name, ours in mapping.items()}
    for name, ours in said.items():
        if ours and ours not in SAYABLE:
            raise FileRefused(f"A column is to be read as '{ours[:60]}', which is not known. Use: {', '.join(SAYABLE)}.")
        if ours and name not in header:
            raise FileRefused(
                f"Row 1: no column has the name that is to be read as '{ours}'. The list has other columns than before: say them "
                "again."
            )
    columns = tuple(said.get(name, "") if name else "" for name in header)
    plain = plain_columns(columns)
    twice = [ours for ours, times in Counter(plain).items() if ours and times > 1]
    if twice:
        places = " and ".join(str(at) for at, ours in enumerate(plain, 1) if ours == twice[0])
        raise FileRefused(f"Row 1: the columns {places} are both to be read as '{twice[0]}'. Choose one, leave the other unread.")
    require(columns)
    return columns


def require(columns: Sequence[str]) -> None:
    """Refuse columns from which nobody could be known or reached."""
    if missing := lacking(columns):
        raise FileRefused(missing)


def guess_mapping(*, header: Sequence[str], samples: Sequence[Sequence[str]]) -> dict[str, str]:
    """What each column seems to be to us, by its name and, where the name leaves it open, by its values; "" = not sure."""
    values = {name: _values(samples, at) for at, name in enumerate(header)}
    others = rivals.said_by_others(header, values)
    exact = {name: name for name in header if name in KNOWN_COLUMNS and name not in others and _may_answer(name, values)}
    claims = {name: _claim(name, header, values) for name in header if name and name not in exact} | others
    claims = rivals.one_address(claims, exact, values)
    exact = {name: ours for name, ours in exact.items() if claims[name]}
    found: dict[str, str] = {name: exact.get(name, "") for name in header}
    for ours in {*claims.values()} - {"", *exact}:
        if name := rivals.winner([other for other in claims if claims[other] == ours], ours, values):
            found[name] = ours
    for name in [name for name, ours in found.items() if ours == "customer_number" and name not in exact]:
        if rivals.is_shared(name, found, values):
            found[name] = ""
    return found


def _may_answer(name: str, values: Mapping[str, list[str]]) -> bool:
    """Whether a column may have one of our names, where that may mean something else elsewhere."""
    if name in FLAG_OF and cross_says_no(name, values[name]):
        return False
    return name not in OF_ANSWERS or not any(values[name]) or _mostly(values[name], SHAPES[name])


def dates_in(*, header: Sequence[str], samples: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Of each column which stands first in its dates, day or month; '' where it holds none, or they do not say."""
    return tuple(form_of(_values(samples, at)) for at in range(len(header)))


def with_dates(columns: Sequence[str], dates: Sequence[str]) -> tuple[str, ...]:
    """The columns with the form of their dates of birth, where the dates themselves say it.

    A reject file holds the dates that are asked: those that were corrected say nothing of the others.
    """
    named = {form: name for name, form in DATES.items()} | {"": "date_of_birth"}
    told = "correction_of" not in columns
    return tuple(named[form] if told and ours == "date_of_birth" else ours for ours, form in zip(columns, dates, strict=True))


def with_own_dates(columns: Sequence[str], dates: Sequence[str]) -> tuple[str, ...]:
    """The columns as the last list of a source had them, but dates of birth that say the other form are read in their own."""
    named = {form: name for name, form in DATES.items()}
    return tuple(named.get(form, ours) if ours in DATES else ours for ours, form in zip(columns, dates, strict=True))


def _values(samples: Sequence[Sequence[str]], at: int) -> list[str]:
    return [unprotected(cells[at].strip(), column="") if at < len(cells) else "" for cells in samples]


def _claim(name: str, header: Sequence[str], values: Mapping[str, list[str]]) -> str:
    """Which of our columns a name of the file means, if its values do not speak against it."""
    key = names.known_key(name)
    ours = names.MEANINGS.get(key, "")
    if key in names.EMAIL_OR_STREET:
        ours = "email" if _mostly(values[name], _is_email) else "street"
    elif key in names.EMAIL_IF_SO and _mostly(values[name], _is_email):
        ours = "email"
    elif key in names.STREET_IF_SO and (not any(values[name]) or _mostly(values[name], _is_line)):
        ours = "street"
    elif key in names.REGION_IF_CODES and _mostly(values[name], _is_code):
        ours = "region"
    elif key in names.COUNTRY_IF_SO and _mostly(values[name], _is_country):
        ours = "stated_country"
    elif key in names.NAME_OR_PART:
        ours = _kind_of_name(name, header, values)
    if ours in FLAG_OF and cross_says_no(name, values[name]):
        return ""
    shape = SHAPES.get(ours)
    return "" if shape and any(values[name]) and not _mostly(values[name], shape) else ours


def _kind_of_name(name: str, header: Sequence[str], values: Mapping[str, list[str]]) -> str:
    """'Name' beside 'Vorname' is the family name, 'Nome' beside 'Cognome' the given name, unless it holds the other as well.

    Beside both it is the whole name, unless its values hold only one of them or neither: 'Green Household', or a company.
    """
    others = {names.MEANINGS.get(names.known_key(other), ""): other for other in header if not _of_a_clerk(other)}
    if "full_name" in others:
        return ""
    parts = [other for ours, other in others.items() if ours in ("given_name", "family_name")]
    if parts and names.known_key(name) in names.NAME_OF_ACCOUNT:
        return ""
    held = [answer for other in parts if (answer := _mostly_holds(values[name], values[other])) is not None]
    if len(parts) == 2:
        return "full_name" if all(held) else ""
    if not parts or any(held):
        return "full_name"
    return "family_name" if "given_name" in others else "given_name"


def _of_a_clerk(name: str) -> bool:
    return names.known_key(name).startswith("employee")


def _mostly_holds(wholes: Sequence[str], parts: Sequence[str]) -> bool | None:
    """Whether most values of one column hold those of another; None where none stand side by side."""
    pairs = [(whole, part) for whole, part in zip(wholes, parts, strict=True) if whole and part]
    return sum(holds(whole, part) for whole, part in pairs) > len(pairs) / 2 if pairs else None


def _mostly(values: Sequence[str], shape: Callable[[str], bool]) -> bool:
    known = [text for text in values if text]
    return bool(known) and sum(map(shape, known)) * 2 > len(known)


def _is_email(text: str) -> bool:
    return "@" in text


def _is_line(text: str) -> bool:
    return len(text.split()) > 1 or any(letter.isdigit() for letter in text)


def _is_code(text: str) -> bool:
    return len(text) == 2 and text.isalpha() and text.isupper()


def _is_country(text: str) -> bool:
    return country_of_row(text, "", "") != ""


def _no_email(text: str) -> bool:
    return "@" not in text


def _has_digit(text: str) -> bool:
    return any(letter.isdigit() for letter in text) and "@" not in text


def _has_letter(text: str) -> bool:
    return any(letter.isalpha() for letter in text) and "@" not in text


#: Of these the values say whether they are meant: 'Employee' may be who sold it, 'Minor' how many decimals a currency has.
#: Of who is dead or protected even a value that is no answer is read, and asked about.
OF_ANSWERS = ("minor", "employee", "opted_out")
#: What the values of a column look like; a name is not believed when most of the values are something else.
SHAPES: dict[str, Callable[[str], bool]] = {
    "email": _is_email, "phone": _has_digit, "postcode": _has_digit, "date_of_birth": _has_digit, "street": _no_email,
    "full_name": _has_letter, "given_name": _has_letter, "family_name": _has_letter, "second_family_name": _has_letter,
    "city": _has_letter, "customer_number": _no_email, "stated_country": _has_letter, "billing_country": _has_letter,
    "shipping_country": _has_letter, "ip_country": _has_letter, "language": _has_letter, "region": _has_letter,
    **{name: partial(is_answer, name) for name in OF_ANSWERS},
}  # fmt: skip
