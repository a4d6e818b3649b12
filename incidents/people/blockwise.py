"""Rows of a list, some hundred at a time and column by column: what `rows` makes of each of them, at a fraction of its price.

Only ordinary rows are read here: printable text, a name, an address of the usual form, nothing that has to be looked at closely.
What such a row raises depends on few of its cells, and few rows differ in those: the first of a kind is read by `rows`, the
others are like it. Every other row is left to `rows`, which alone says what a row becomes; a test holds both together.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import chain, compress, repeat
from typing import Any, NamedTuple

from incidents.people import postal, residence
from incidents.people.addresses import LONGEST_LOCAL, ORDINARY, PLACEHOLDERS, SHORT, check_address, normal_name
from incidents.people.asking import of_domain
from incidents.people.fillers import is_filler, is_filler_number
from incidents.people.person_facts import birth_date, read_birth, read_language
from incidents.people.rows import KEPT, LONGEST_NAME, REFERENCE, Prepared, Preparer, Row, posted_at, whole_name

Block = Sequence[tuple[int, list[str]]]
#: The cells of the columns that are read, without those that are empty in every row.
Cells = dict[str, list[str]]
#: Answers that are remembered of one kind of question; then they are asked anew.
MOST = 50_000
#: In the place of an answer: this row has to be looked at closely.
ODD = "?"
LOCALS, REFERENCES = (re.compile(rf"(?:(?:{one.pattern})?\n)*") for one in (ORDINARY, REFERENCE))
#: No filler has one of these digits (see `fillers`).
SURE = re.compile("[2-8]").search
EVIDENCE, STAND_IN = KEPT[:-1], ("representative_role", "representative_name", "representative_email")
#: The fields of a record in its order, before and after the name that each of these rows has.
BEFORE = ("city", "customer_number", "date_of_birth", "emails", "evidence", "family_name")
AFTER = ("given_name", "phone", "postcode", "region", "street")


class Ready(NamedTuple):
    """Ordinary rows, as columns: numbers, profiles, and their texts: reference, record, and the values that are matched."""

    numbers: list[int]
    profiles: list[int]
    texts: tuple[Iterable[str], ...]


class _Memo(dict[Any, Any]):
    """Remembers answers; what is known costs no call."""

    def __init__(self, find: Callable[[Any], Any]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, key: Any) -> Any:
        if len(self) >= MOST:
            self.clear()
        found = self[key] = self._find(key)
        return found


class Blockwise:
    """Reads the ordinary rows of one file. `number_of` gives the number of a row's profile; none where it is not ordinary."""

    def __init__(
        self, *, preparer: Preparer, columns: Sequence[str], today: date, aware_on: date | None,
        number_of: Callable[[Prepared], int | None],
    ) -> None:  # fmt: skip
        self._prepare, self._width, self._number_of = preparer.prepare, len(columns), number_of
        at = {name: place for place, name in enumerate(columns) if name}
        self._at = {name: at[name] for name in Row._fields if name in at}
        self._minors = _Memo(lambda text: _minor(text, today, aware_on))
        self._births = _Memo(lambda text: birth_date(text) is not None)
        self._domains, self._phones, self._codes = _Memo(_ending), _Memo(residence.from_prefix), _Memo(_code)
        self._stores = _Memo(lambda text: repr(residence.read_store(text)) if text else "")
        self._countries = _Memo(lambda texts: residence.country_of_row(*texts))
        self._evidence = _Memo(_evidence)
        self._kinds, self._samples = dict[tuple[Any, ...], int](), list[Prepared]()
        self._numbers = _Memo(self._number)

    def forget(self) -> None:
        """The numbers of profiles begin anew."""
        self._numbers.clear()

    def read(self, block: Block) -> tuple[Ready | None, Block]:
        """The ordinary rows of a block, and the others."""
        if len(self._samples) > MOST:
            self._samples.clear()
            self._kinds.clear()
            self._numbers.clear()
        rows, cells = self._columns([row for row in block if len(row[1]) == self._width])
        rows, cells = _without(self._odd(cells, len(rows)), rows, cells)
        found = self._profiles(cells, rows)
        rows, cells = _without({place for place, number in enumerate(found) if number is None}, rows, cells)
        if not rows:
            return None, block
        ready = Ready([number for number, _ in rows], [number for number in found if number is not None], self._texts(cells))
        if len(rows) == len(block):
            return ready, ()
        done = set(ready.numbers)
        return ready, [row for row in block if row[0] not in done]

    def _columns(self, rows: list[tuple[int, list[str]]]) -> tuple[list[tuple[int, list[str]]], Cells]:
        """The rows that hold printable text without signs that a record writes in another way, and their columns."""
        places = tuple(self._at.values())
        columns = list(zip(*(cells for _, cells in rows), strict=True))
        if rows and not _is_plain("".join(chain.from_iterable(columns[place] for place in places))):
            rows = [row for row in rows if _is_plain("".join([row[1][place] for place in places]))]
            columns = list(zip(*(cells for _, cells in rows), strict=True))
        read = ((name, columns[place]) for name, place in self._at.items()) if rows else ()
        return rows, {name: list(map(str.strip, column)) for name, column in read if any(column)}

    def _odd(self, cells: Cells, size: int) -> set[int]:
        """The places of rows that have to be looked at closely; adds what is read of names, addresses and birth dates."""
        empty = [""] * size
        full = cells.get("full_name", empty)
        if not all(full):
            parts = zip(full, cells.get("given_name", empty), cells.get("family_name", empty), strict=True)
            full = [name or whole_name(given, family) for name, given, family in parts]
        cells["full_name"], cells["emails"] = full, cells.pop("email", empty)
        odd = {place for place, name in enumerate(full) if not 0 < len(name) <= LONGEST_NAME}
        for column, sign in (("customer_number", "+"), ("phone", "E+")):
            if sign in "".join(cells.get(column, ())):
                odd.update(place for place, text in enumerate(cells[column]) if sign in text)
        for column in STAND_IN:
            odd.update(place for place, text in enumerate(cells.get(column, ())) if text)
        cells["ending"] = self._endings(cells["emails"])
        cells["minor"] = list(map(self._minors.__getitem__, cells.get("date_of_birth", empty)))
        for column in ("ending", "minor"):
            if ODD in cells[column]:
                odd.update(place for place, text in enumerate(cells[column]) if text == ODD)
        return odd

    def _endings(self, emails: list[str]) -> list[str]:
        """Which country the ending of each address belongs to, if to any; ODD for an address that is not of the usual form."""
        parts = [email.rpartition("@") for email in emails]
        locals_ = [local for local, _, _ in parts]
        domains = [domain or (email and ODD) for email, (_, _, domain) in zip(emails, parts, strict=True)]
        endings = list(map(self._domains.__getitem__, domains))
        odd = set[int]()
        if locals_.count("") != emails.count(""):
            odd.update(place for place, local in enumerate(locals_) if emails[place] and not local)
        if max(map(len, emails), default=0) > LONGEST_LOCAL:
            odd.update(place for place, text in enumerate(emails) if len(text) >= SHORT or len(locals_[place]) > LONGEST_LOCAL)
        if not PLACEHOLDERS.isdisjoint(map(str.lower, locals_)):
            odd.update(place for place, local in enumerate(locals_) if local.lower() in PLACEHOLDERS)
        if not LOCALS.fullmatch("\n".join(locals_) + "\n"):
            odd.update(place for place, local in enumerate(locals_) if local and not ORDINARY.fullmatch(local))
        for place in odd:
            endings[place] = ODD
        return endings

    def _profiles(self, cells: Cells, rows: list[tuple[int, list[str]]]) -> list[int | None]:
        """The number of each row's profile; of the first of its kind by reading that row."""
        kinds = self._kinds_of(list(self._keys(cells, len(rows))), rows)
        if "street" in cells:
            posted = self._posted(cells, kinds)
            kinds = self._kinds_of(list(zip(kinds, posted, strict=True)), rows)
        return list(map(self._numbers.__getitem__, zip(kinds, cells.get("language", repeat("")), strict=False)))

    def _keys(self, cells: Cells, size: int) -> Iterator[tuple[Any, ...]]:
        """Of each row all that its profile depends on but language and post."""
        empty = [""] * size
        stated, billing, shipping, region = (cells.get(name, empty) for name in (*residence.COUNTRY_COLUMNS, "region"))
        countries = list(map(self._countries.__getitem__, zip(stated, billing, shipping, strict=True)))
        codes = map(self._codes.__getitem__, zip(countries, cells["postcode"], strict=True)) if "postcode" in cells else empty
        boxes: Iterable[object] = [postal.is_box(street=text) for text in cells["street"]] if "street" in cells else empty
        forces: Iterable[object] = [postal.is_forces_town(city=text) for text in cells["city"]] if "city" in cells else empty
        phones, hints = cells.get("phone_prefix", empty), cells.get("ip_country", empty)
        if "phone" in cells:
            phones = [prefix or phone for prefix, phone in zip(phones, cells["phone"], strict=True)]
        hints = ["" if country else hint for country, hint in zip(countries, hints, strict=True)]
        return zip(
            stated, billing, shipping, region, codes, boxes, forces, map(self._phones.__getitem__, phones),
            map(self._stores.__getitem__, cells.get("loyalty_home_store", empty)), hints, cells.get("elements", empty),
            cells.get("flags", empty), cells["minor"], cells["ending"], map(bool, cells["emails"]), strict=True,
        )  # fmt: skip

    def _kinds_of(self, keys: list[tuple[Any, ...]], rows: list[tuple[int, list[str]]]) -> list[int]:
        """The place of each row's kind among the samples; the first row of a kind is its sample."""
        known = self._kinds
        found = list(map(known.get, keys))
        if None in found:
            for place, key in enumerate(keys):
                if key not in known:
                    known[key] = len(self._samples)
                    self._samples.append(self._prepare(*rows[place]))
            found = [known[key] for key in keys]
        return [kind for kind in found if kind is not None]

    def _posted(self, cells: Cells, kinds: list[int]) -> list[bool]:
        """Whether each row has a postal address that can be written to."""
        empty, samples = [""] * len(kinds), self._samples
        parts = (cells.get(name, empty) for name in ("street", "city", "region", "postcode"))
        return [
            bool(street) and posted_at(samples[kind].place.place, samples[kind].flags, street, city, region, postcode)
            for kind, street, city, region, postcode in zip(kinds, *parts, strict=True)
        ]

    def _number(self, kind: tuple[int, str]) -> int | None:
        sample, language = kind
        return self._number_of(self._samples[sample]._replace(language=read_language(language)))

    def _texts(self, cells: Cells) -> tuple[Iterable[str], ...]:
        """The texts of each row, in the order in which they are sent."""
        full = cells["full_name"]
        empty, names = [""] * len(full), _normal_names(full)
        births, homes = empty, empty
        if born := cells.get("date_of_birth"):
            known = self._births
            births = [f"{name}|{day}" if name and day and known[day] else "" for name, day in zip(names, born, strict=True)]
            if "street" in cells and "postcode" in cells:
                homes = list(map(_home, births, names, born, cells["street"], cells["postcode"]))
        references = cells.get("person_id", empty)
        if not REFERENCES.fullmatch("\n".join(references) + "\n"):
            references = [text if REFERENCE.fullmatch(text) else "" for text in references]
        customers = cells.get("customer_number", empty)
        customers = [text if not text or SURE(text) or not is_filler_number(text) else "" for text in customers]
        return references, empty, self._records(cells), customers, cells["emails"], names, births, homes

    def _records(self, cells: Cells) -> Iterator[str]:
        """What is sealed of each row: canonical JSON, as `PersonFields.encode` writes it."""
        size = len(cells["full_name"])
        if any(name in cells for name in EVIDENCE):
            texts = zip(*(cells.get(name, repeat("", size)) for name in EVIDENCE), strict=True)
            cells["evidence"] = list(map(self._evidence.__getitem__, texts))
        before = [_pieces(name, cells[name]) for name in BEFORE if name in cells]
        after = [[f',"{name}":"{text}"' if text else "" for text in cells[name]] for name in AFTER if name in cells]
        names = [f'"full_name":"{text}"' for text in cells["full_name"]]
        return map("".join, zip(repeat("{", size), *before, names, *after, repeat("}", size), strict=True))


def _without(odd: set[int], rows: list[tuple[int, list[str]]], cells: Cells) -> tuple[list[tuple[int, list[str]]], Cells]:
    """The rows and columns without some places."""
    if not odd:
        return rows, cells
    keep = [place not in odd for place in range(len(rows))]
    return list(compress(rows, keep)), {name: list(compress(column, keep)) for name, column in cells.items()}


def _is_plain(text: str) -> bool:
    return text.isprintable() and '"' not in text and "\\" not in text


def _ending(domain: str) -> str:
    if not domain:
        return ""
    usual = domain.isascii() and check_address(f"a@{domain}") == (f"a@{domain}", None)
    return " ".join(of_domain(f"a@{domain}")) if usual else ODD


def _minor(text: str, today: date, aware_on: date | None) -> str:
    doubt, minor = read_birth(text, today, aware_on) if text else ("", "")
    return ODD if doubt else minor


def _code(told: tuple[str, str]) -> str:
    """What a postcode says beside its country, in words that can be compared quickly."""
    country, postcode = told
    if not postcode:
        return ""
    return f"{postal.read_postcode(country, postcode)}{'' if country else postal.read_zip(postcode)}"


def _evidence(texts: tuple[str, ...]) -> str:
    pairs = ",".join(f'["{name}","{text}"]' for name, text in zip(EVIDENCE, texts, strict=True) if text)
    return f'"evidence":[{pairs}],' if pairs else ""


def _pieces(name: str, column: list[str]) -> list[str]:
    if name == "evidence":
        return column
    if name == "emails":
        return [f'"emails":["{text}"],' if text else "" for text in column]
    return [f'"{name}":"{text}",' if text else "" for text in column]


def _normal_names(names: list[str]) -> list[str]:
    """`normal_name` of each: all in one text, where none has more than single spaces inside."""
    joined = "\n".join(names)
    text = joined.lower() if joined.isascii() else unicodedata.normalize("NFKC", joined).casefold()
    found = text.split("\n")
    if "  " in text or "\n " in text or " \n" in text or text != text.strip(" ") or len(found) != len(names):
        return [normal_name(name) for name in names]
    return found


def _home(birth: str, name: str, born: str, street: str, postcode: str) -> str:
    if not (birth and street and postcode) or is_filler(street):
        return ""
    return f"{name}|{normal_name(street)}|{normal_name(postcode).replace(' ', '')}|{born}"
