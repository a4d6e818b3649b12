"""Of several columns with one meaning, which is read: the person's own number, one address of several, a code beside its name.

Only what the names or the values themselves say decides. Where they do not, none of the columns is read and somebody says which.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from incidents.people.fillers import is_no_number
from incidents.people.reading import names
from incidents.people.residence import COUNTRY_COLUMNS, country_of_row

#: Of the rows in a column of numbers that many may stand beside the name of somebody else: the same number twice is somebody's
#: second row, and one in five was written in another way.
MOST_OTHERS, FEWEST_OTHERS = 1 / 5, 3
NAME_COLUMNS = ("full_name", "given_name", "family_name", "second_family_name")
#: An address of which only the country or the state is there keeps no other out.
OF_AN_ADDRESS = frozenset({"street", "city", "postcode"})
Claims = Mapping[str, str]
Values = Mapping[str, Sequence[str]]


def said_by_others(header: Sequence[str], values: Values) -> dict[str, str]:
    """What a few exporters mean by names that tell nothing, or something else, elsewhere: told by the names beside them."""
    keys = {name: names.known_key(name) for name in header}
    found: dict[str, str] = {}
    for name, key in keys.items():
        known = [text for text in values[name] if text]
        beside = [values[other] for other in header if keys[other] in names.OWN_ID_BESIDE]
        if key == names.OWN_ID and beside and len({*known}) == len(known) and not _of_orders(beside, keys, values):
            found[name] = "customer_number"
        if key in names.OF_THE_SIGN_UP and not names.SIGN_UP_BESIDE.isdisjoint(keys.values()):
            found[name] = names.OF_THE_SIGN_UP[key]
    return found


def _of_orders(beside: Sequence[Sequence[str]], keys: Mapping[str, str], values: Values) -> bool:
    """Whether one account stands beside one e-mail address twice: then the rows are orders, and what they number is no person."""
    emails = [values[name] for name, key in keys.items() if names.MEANINGS.get(key) == "email"]
    rows = [row for row in zip(*beside, *emails, strict=True) if all(row)] if emails else []
    return len({*rows}) < len(rows)


def one_address(claims: Claims, exact: Claims, values: Values) -> dict[str, str]:
    """All claims, without those of every address but the one that is read; that with a street of our own names always is."""
    every = {**claims, **exact}
    of = {name: 0 if name in exact else names.ADDRESS_OF.get(names.known_key(name), 0) for name, ours in every.items() if ours}
    # 'Mailing Street' beside 'City' and 'ZIP' is one address.
    if same := _same_as_plain({(of[name], ours) for name, ours in every.items() if ours in OF_AN_ADDRESS}):
        of = {name: 0 if place == same else place for name, place in of.items()}
    parts: dict[int, list[str]] = {}
    for name, ours in every.items():
        if ours in OF_AN_ADDRESS:
            parts.setdefault(of[name], []).append(name)
    if not parts:
        return every
    read = _address_read(parts, every, exact, values)
    return {name: "" if ours and _of_another(name, ours, of[name], read, values) else ours for name, ours in every.items()}


def _same_as_plain(parts: Collection[tuple[int, str]]) -> int:
    """Which address is the one without a word before its parts: one has the street that the other lacks. 0 where none is."""
    of: dict[int, set[str]] = {}
    for place, ours in parts:
        of.setdefault(place, set()).add(ours)
    plain = of.pop(0, set())
    lacked = {place for place, other in of.items() if plain and not plain & other and ("street" in other or plain == {"street"})}
    return lacked.pop() if len(lacked) == 1 else 0


def _address_read(parts: Mapping[int, Sequence[str]], every: Claims, exact: Claims, values: Values) -> int:
    """Which address is read: the first with a street that most people have; without one nobody can be written to there.

    Streets alone, several of them beside one town without a word before it, are all left out: of which the town is nobody says.
    """
    written = {place: sum(map(any, zip(*(values[name] for name in of), strict=True))) for place, of in parts.items()}
    # An address that only a few gave does not take from all others the one that they have.
    full = [place for place, rows in written.items() if rows * 2 >= max(written.values())]
    whole = [place for place in full if 0 not in parts or {every[name] for name in parts[place]} != {"street"}]
    streets = [place for place in whole if any(_is_street(name, every, values, written[place]) for name in parts[place])]
    own = any(ours in OF_AN_ADDRESS and any(values[name]) for name, ours in exact.items())
    own_street = any(every[name] == "street" and any(values[name]) for name in parts.get(0, ()))
    return 0 if own and (own_street or not streets) else min(streets or full)


def _is_street(name: str, every: Claims, values: Values, written: int) -> bool:
    return every[name] == "street" and (any(values[name]) or not written)


def _of_another(name: str, ours: str, place: int, read: int, values: Values) -> bool:
    """Whether a column is part of an address that is not read; without a word before it, only where something stands in it."""
    # What billing and shipping say of a country has columns of its own, and is evidence beside any address.
    if place == read or not _of_a_place(ours):
        return False
    return place > 0 or (ours in OF_AN_ADDRESS and any(values[name]))


def _of_a_place(ours: str) -> bool:
    return ours in OF_AN_ADDRESS or ours in ("region", "stated_country")


def winner(rivals: Sequence[str], ours: str, values: Values) -> str:
    """The one of several names with one meaning that is read; '' where nothing says which."""
    # 'Date of birth' beside 'Date of birth (dd.mm.yyyy)' is the one that is known as it stands.
    known = [name for name in rivals if names.known_key(name) == names.key_of(name)] or list(rivals)
    far = {name: names.YIELDING.get(names.known_key(name), 0) for name in known}
    first = [name for name in known if far[name] == min(far.values())]
    if len(first) == 1:
        return first[0]
    if ours == "phone":
        return first[0]  # somebody may have several, and one of them is better than none
    if ours == "street":
        return next((name for name in first if _holds_all(name, first, values)), "")
    codes = [name for name in first if names.known_key(name).endswith(names.CODES)]
    if len(first) == 2 and len(codes) == 1:
        (other,) = (name for name in first if name not in codes)
        return codes[0] if _agree(values[codes[0]], values[other], ours) else ""
    return ""


def _holds_all(name: str, others: Sequence[str], values: Values) -> bool:
    """Whether a street holds in every row what the others say: 'High Street 1, Flat 2' beside 'High Street 1'."""
    rows = [(line, [values[other][at] for other in others]) for at, line in enumerate(values[name])]
    return any(line for line, _ in rows) and all(part.casefold() in line.casefold() for line, parts in rows for part in parts)


def _agree(codes: Sequence[str], words: Sequence[str], ours: str) -> bool:
    """Whether codes say what the words beside them say, in every row and wherever there are words."""
    pairs = {(code, word) for code, word in zip(codes, words, strict=True) if word}
    if not pairs or not all(code for code, _ in pairs):
        return False
    if ours in COUNTRY_COLUMNS:
        return all(country_of_row(code, "", "") == country_of_row(word, "", "") != "" for code, word in pairs)
    # Which word a part of a country has is not known here; one code for one word is enough beside the same country.
    return ours == "region" and len({code for code, _ in pairs}) == len({word for _, word in pairs}) == len(pairs)


def is_shared(name: str, found: Claims, values: Values) -> bool:
    """Whether the numbers of a column are those of households or companies: one stands beside the names of many people."""
    people: dict[str, str] = {}
    rows = others = 0
    named = [values[column] for column, ours in found.items() if ours in NAME_COLUMNS]
    for number, *parts in zip(values[name], *named, strict=True):
        who = names.key_of(" ".join(parts))
        if number and who and not is_no_number(number):
            rows += 1
            others += people.setdefault(number, who) != who
    return others >= FEWEST_OTHERS and others > rows * MOST_OTHERS
