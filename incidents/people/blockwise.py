"""Rows of a list, some hundred at a time and column by column: what `rows` makes of each of them, at a fraction of its price.

Only ordinary rows are read here: printable text, a name, an address of the usual form, nothing that has to be looked at closely.
What such a row raises depends on few of its cells, and few rows differ in those: the first of a kind is read by `rows`, the
others are like it. Every other row is left to `rows`, which alone says what a row becomes; a test holds both together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import chain, compress, repeat
from typing import Any, NamedTuple

from incidents.people import postal, residence
from incidents.people.addresses import LONGEST_LOCAL, ORDINARY, PLACEHOLDERS, SHORT, check_address
from incidents.people.answers import FLAG_OF
from incidents.people.asking import of_domain
from incidents.people.calling import read_phone
from incidents.people.compared import normal_name, normal_names
from incidents.people.date_forms import in_form
from incidents.people.fillers import NO_NAMES, is_filler, is_filler_number, is_no_name, is_no_number
from incidents.people.inert import unprotected
from incidents.people.person_facts import Expected, birth_date, read_birth, read_language
from incidents.people.reading.names import dates_of, plain_columns
from incidents.people.reading.tables import Block
from incidents.people.reading.tables import Row as Line
from incidents.people.regions import without_country
from incidents.people.rows import KEPT, LONGEST_NAME, REFERENCE, Prepared, Preparer, Row, posted_at
from incidents.people.whole_names import family_of, whole_name

#: The cells of the columns that are read, without those that are empty in every row.
Cells = dict[str, list[str]]
#: Answers that are remembered of one kind of question; then they are asked anew.
MOST = 50_000
#: In the place of an answer: this row has to be looked at closely.
ODD = "?"
LOCALS, REFERENCES = (re.compile(rf"(?:(?:{one.pattern})?\n)*") for one in (ORDINARY, REFERENCE))
#: No filler has one of these digits (see `fillers`).
SURE = re.compile("[2-8]").search
#: A line without any letter.
NO_LETTER = re.compile(r"^(?:[^\w\n]|[\d_])*$", re.MULTILINE)
EVIDENCE, STAND_IN = KEPT[:-1], ("representative_role", "representative_name", "representative_email")
#: The fields of a record in its order, with what stands before and after each; all but the name may be missing.
SIGNS = {
    **{name: (f'"{name}":"', '",') for name in ("city", "customer_number", "date_of_birth")},
    "emails": ('"emails":["', '"],'), "evidence": ("", ""), "family_name": ('"family_name":"', '",'),
    "full_name": ('"full_name":"', '"'),
    **{name: (f',"{name}":"', '"') for name in ("given_name", "phone", "postcode", "region", "street")},
}  # fmt: skip


class Ready(NamedTuple):
    """Ordinary rows, as columns: numbers, profiles, and, as `lines`, reference, record, and the values that are matched."""

    numbers: list[int]
    profiles: list[int]
    texts: tuple[str, ...]


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
        self, *, preparer: Preparer, columns: Sequence[str], today: date, expected: Expected,
        number_of: Callable[[Prepared], int | None],
    ) -> None:  # fmt: skip
        self._prepare, self._width, self._number_of = preparer.prepare, len(columns), number_of
        at = {name: place for place, name in enumerate(plain_columns(columns)) if name}
        self._dates, self._dated = dates_of(columns), _Memo(lambda text: in_form(text, self._dates))
        self._at = {name: at[name] for name in Row._fields if name in at}
        self._answered = [name for name in FLAG_OF if name in at]
        self._minors = _Memo(lambda text: _minor(text, today, expected.aware_on))
        self._births = _Memo(lambda text: str(birth_date(text) or ""))
        # Beside no country of its own a row is read beside that of the whole list.
        beside = expected.country[:2]
        self._domains, self._codes = _Memo(_ending), _Memo(lambda told: _code(told, beside))
        self._stores = _Memo(lambda text: repr(residence.read_store(text)) if text else "")
        self._evidence = _Memo(_evidence)
        #: Cells that say the same have one number, so that rows are told apart by few numbers instead of many words.
        self._ids = dict[Any, int]()
        self._named = _Memo(lambda texts: self._id(_countries(*texts)))
        self._points = _Memo(lambda texts: self._id((read_phone(texts[0]), self._stores[texts[1]])))
        self._towns = _Memo(lambda told: self._id((residence.read_town(*told), residence.read_town(told[0] or beside, told[1]))))
        self._words = _Memo(self._id)
        self._kinds, self._samples = dict[tuple[Any, ...], int](), list[Prepared]()
        self._numbers = _Memo(self._number)

    def _id(self, said: tuple[object, ...]) -> int:
        return self._ids.setdefault(said, len(self._ids))

    def forget(self) -> None:
        """The numbers of profiles begin anew."""
        self._numbers.clear()

    def read(self, block: Block) -> tuple[Ready | None, list[Line]]:
        """The ordinary rows of a block, and the others."""
        if len(self._samples) > MOST or len(self._ids) > MOST:
            for known in (
                self._samples,
                self._kinds,
                self._numbers,
                self._ids,
                self._named,
                self._points,
                self._towns,
                self._words,
            ):
                known.clear()
        places, cells = self._columns(block)
        places, cells = _without(self._odd(cells, len(places)), places, cells)
        found = self._profiles(cells, block, places)
        if None in found:
            places, cells = _without({at for at, number in enumerate(found) if number is None}, places, cells)
        if not places:
            return None, block.rows()
        numbers = [block.numbers[place] for place in places]
        ready = Ready(numbers, [number for number in found if number is not None], self._texts(cells))
        if len(numbers) == len(block.numbers):
            return ready, block.others
        ordinary = set(numbers)
        rest = [(number, block.row(place)) for place, number in enumerate(block.numbers) if number not in ordinary]
        return ready, rest + block.others

    def _columns(self, block: Block) -> tuple[Sequence[int], Cells]:
        """The places of rows that hold printable text without signs that a record writes in another way, and their columns."""
        places: Sequence[int] = range(len(block.numbers))
        columns = {name: block.column(place) for name, place in self._at.items()}
        if not _is_plain("".join(block.cells)):
            plain = [_is_plain("".join(row)) for row in zip(*columns.values(), strict=True)]
            places = list(compress(places, plain))
            columns = {name: list(compress(column, plain)) for name, column in columns.items()}
        cells = Cells()
        for name, column in columns.items():
            # All is printable: nothing but a space can be stripped.
            if text := "".join(column):
                cells[name] = list(map(str.strip, column)) if " " in text else column
                if "'" in text:
                    cells[name] = [unprotected(cell, column=name) for cell in cells[name]]
        return places, cells

    def _odd(self, cells: Cells, size: int) -> set[int]:
        """The places of rows that have to be looked at closely; adds what is read of names, addresses and birth dates."""
        empty = [""] * size
        full = cells["full_name"] = _names(cells, empty)
        cells["emails"] = cells.pop("email", empty)
        odd = set[int]()
        if "" in full or max(map(len, full), default=0) > LONGEST_NAME:
            odd.update(place for place, name in enumerate(full) if not 0 < len(name) <= LONGEST_NAME)
        if _some_no_name(full):
            odd.update(place for place, name in enumerate(full) if name and is_no_name(name))
        if numbers := cells.get("customer_number"):
            cells["customer_number"] = ["" if text and not SURE(text) and is_no_number(text) else text for text in numbers]
        for column, sign in (("customer_number", "+"), ("phone", "E+")):
            if sign in "".join(cells.get(column, ())):
                odd.update(place for place, text in enumerate(cells[column]) if sign in text)
        for column in STAND_IN:
            odd.update(place for place, text in enumerate(cells.get(column, ())) if text)
        cells["ending"] = self._endings(cells["emails"])
        born = cells.get("date_of_birth")
        if born and self._dates:
            dated = list(map(self._dated.__getitem__, born))
            born = cells["date_of_birth"] = [text for text, _ in dated]
            odd.update(place for place, (_, contradicts) in enumerate(dated) if contradicts)
        cells["by_age"] = list(map(self._minors.__getitem__, born)) if born else empty
        for column in ("ending", "by_age"):
            if ODD in cells[column]:
                odd.update(place for place, text in enumerate(cells[column]) if text == ODD)
        return odd

    def _endings(self, emails: list[str]) -> list[str]:
        """Which country the ending of each address belongs to, if to any; ODD for an address that is not of the usual form."""
        locals_, domains = _parts(emails)
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

    def _profiles(self, cells: Cells, block: Block, places: Sequence[int]) -> list[int | None]:
        """The number of each row's profile; of the first of its kind by reading that row."""
        kinds = self._kinds_of(self._keys(cells, len(places)), block, places)
        if "street" in cells:
            kinds = self._kinds_of(list(zip(kinds, self._posted(cells, kinds), strict=True)), block, places)
        return list(map(self._numbers.__getitem__, zip(kinds, cells.get("language", repeat("")), strict=False)))

    def _keys(self, cells: Cells, size: int) -> list[tuple[Any, ...]]:
        """Of each row all that its profile depends on but language and post."""
        empty = [""] * size
        *said, hints = (cells.get(name, empty) for name in (*residence.COUNTRY_COLUMNS, "ip_country"))
        named = list(map(self._named.__getitem__, zip(*said, hints, strict=True)))
        codes: Sequence[object] = cells.get("postcode", empty)
        towns: Sequence[object] = cells.get("city", empty)
        beside = empty if codes is towns else list(map(residence.country_of_row, *said))
        if codes is not empty:
            regions = (region if not country else "" for country, region in zip(beside, cells.get("region", empty), strict=True))
            codes = list(map(self._codes.__getitem__, zip(beside, codes, regions, strict=True)))
        if towns is not empty:
            towns = list(map(self._towns.__getitem__, zip(beside, towns, strict=True)))
        boxes: Iterable[object] = [postal.is_box(street=text) for text in cells["street"]] if "street" in cells else empty
        phones = cells.get("phone_prefix", empty)
        if "phone" in cells:
            phones = [prefix or phone for prefix, phone in zip(phones, cells["phone"], strict=True)]
        stores = cells.get("loyalty_home_store", empty)
        points = map(self._points.__getitem__, zip(phones, stores, strict=True))
        spoken = (cells.get(name, empty) for name in ("elements", "flags", *self._answered))
        words = map(self._words.__getitem__, zip(*spoken, strict=True))
        has_email = map(bool, cells["emails"])
        return list(zip(
            named, cells.get("region", empty), codes, boxes, towns, points, words, cells["by_age"], cells["ending"], has_email,
            strict=True,
        ))  # fmt: skip

    def _kinds_of(self, keys: list[tuple[Any, ...]], block: Block, places: Sequence[int]) -> list[int]:
        """The place of each row's kind among the samples; the first row of a kind is its sample."""
        known = self._kinds
        found = list[Any](map(known.get, keys))
        for at in [at for at, kind in enumerate(found) if kind is None] if None in found else ():
            if (key := keys[at]) not in known:
                known[key] = len(self._samples)
                self._samples.append(self._prepare(block.numbers[places[at]], block.row(places[at])))
            found[at] = known[key]
        return found

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

    def _texts(self, cells: Cells) -> tuple[str, ...]:
        """The texts of the rows, in the order in which they are sent."""
        full = cells["full_name"]
        empty, names = [""] * len(full), normal_names(full)
        births, homes = empty, empty
        if born := cells.get("date_of_birth"):
            days = list(map(self._births.__getitem__, born))
            births = [f"{name}|{day}" if name and day else "" for name, day in zip(names, days, strict=True)]
            if "street" in cells and "postcode" in cells:
                homes = list(map(_home, births, names, days, cells["street"], cells["postcode"]))
        references = lines(cells.get("person_id", empty))
        if not REFERENCES.fullmatch(f"{references}\n"):
            references = lines([text if REFERENCE.fullmatch(text) else "" for text in cells["person_id"]])
        customers = cells.get("customer_number", empty)
        customers = [text if not text or SURE(text) or not is_filler_number(text) else "" for text in customers]
        # As `normal_address` has them; they are ASCII.
        emails = lines(cells["emails"]).lower()
        return references, "", self._records(cells), lines(customers), emails, *map(lines, (names, births, homes))

    def _records(self, cells: Cells) -> str:
        """What is sealed of each row: canonical JSON, as `PersonFields.encode` writes it."""
        size = len(cells["full_name"])
        if any(name in cells for name in EVIDENCE):
            texts = zip(*(cells.get(name, repeat("", size)) for name in EVIDENCE), strict=True)
            cells["evidence"] = list(map(self._evidence.__getitem__, texts))
        parts, between = list[Iterable[str]](), "{"
        for name, (before, after) in SIGNS.items():
            column = cells.get(name, ())
            if not column:
                continue
            if "" in column:
                column = [f"{before}{text}{after}" if text else "" for text in column]
                parts += (repeat(between, size), column)
                between = ""
            else:
                parts += (repeat(between + before, size), column)
                between = after
        return "".join(chain.from_iterable(zip(*parts, repeat(f"{between}}}\n", size), strict=True)))[:-1]


def lines(column: Sequence[str]) -> str:
    """A column as it is sent: a line for each row; nothing where all are empty."""
    return "\n".join(column) if any(column) else ""


def _names(cells: Cells, empty: list[str]) -> list[str]:
    """The whole name of each row; two family names become one."""
    if second := cells.pop("second_family_name", None):
        cells["family_name"] = list(map(family_of, cells.get("family_name", empty), second))
    full, given, family = (cells.get(name, empty) for name in ("full_name", "given_name", "family_name"))
    return full if given is empty and family is empty else list(map(whole_name, full, given, family))


def _without(odd: set[int], places: Sequence[int], cells: Cells) -> tuple[Sequence[int], Cells]:
    """The places and columns without some of them."""
    if not odd:
        return places, cells
    keep = [at not in odd for at in range(len(places))]
    return list(compress(places, keep)), {name: list(compress(column, keep)) for name, column in cells.items()}


def _parts(emails: list[str]) -> tuple[list[str], list[str]]:
    """Each address before and after its (last) @; nothing twice where there is no address. No address holds a line's end."""
    # One @ in each line, and a line's end before each but the first: all can be divided at once.
    parts = "\n@".join([email or "@" for email in emails]).split("@")
    locals_, domains = parts[::2], "".join(parts[1::2]).split("\n")
    if len(parts) == 2 * len(emails) and len(domains) == len(emails) and domains.count("") == emails.count(""):
        return locals_, domains
    found = [email.rpartition("@") for email in emails]
    domains = [domain or (email and ODD) for email, (_, _, domain) in zip(emails, found, strict=True)]
    return [local for local, _, _ in found], domains


def _countries(stated: str, billing: str, shipping: str, hint: str) -> tuple[str, str, str, str]:
    """The columns that name a country; the IP address is a hint only where none does."""
    return stated, billing, shipping, "" if residence.country_of_row(stated, billing, shipping) else hint


def _some_no_name(names: list[str]) -> bool:
    """Whether one of these names has to be looked at: asked of all at once, as most blocks have none."""
    text = "\n".join(names).lower()
    if "@" in text or "://" in text or "www." in text or NO_LETTER.search(text):
        return True
    return not NO_NAMES.isdisjoint(text.split("\n")) or not NO_NAMES.isdisjoint(text.split())


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


def _code(told: tuple[str, str, str], of_list: str) -> str:
    """What a postcode says beside its country, or beside no country with its region, in words that can be compared quickly.

    Beside no country also what it says beside the country of the whole list.
    """
    country, postcode, region = told
    if not postcode:
        return ""
    if country:
        return repr(postal.read_postcode(country, postcode))
    return repr((without_country(region, postcode), postal.read_postcode(of_list, postcode) if of_list else None))


def _evidence(texts: tuple[str, ...]) -> str:
    pairs = ",".join(f'["{name}","{text}"]' for name, text in zip(EVIDENCE, texts, strict=True) if text)
    return f'"evidence":[{pairs}],' if pairs else ""


def _home(birth: str, name: str, born: str, street: str, postcode: str) -> str:
    if not (birth and street and postcode) or is_filler(street):
        return ""
    return f"{name}|{normal_name(street)}|{normal_name(postcode).replace(' ', '')}|{born}"
