"""Names and addresses as they are compared, and only compared: what is shown, sealed and written to stays as it was given.

One source writes O'Brien, Zoé and Jean-Pierre, another O’Brien, ZOE and Jean Pierre: the same people. Marks over letters are left
out in Latin and Greek only: elsewhere they are letters (が is not か, й is not и), and in India and Thailand vowels.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from incidents.people.fillers import is_filler, is_filler_number, is_no_name
from incidents.people.person_facts import birth_date
from incidents.record import PersonFields

#: Left out, for a space is as often missing as an apostrophe: those of keyboards, of printers, and letters that look like one.
APOSTROPHES = "'`´‘’‛ʹʼʻ＇"
#: As good as a space: hyphens, dashes, and the point behind an initial.
DASHES = "-‐‑‒–—."
#: Letters with a stroke or of two letters, which Unicode does not take apart; small, as `casefold` leaves them.
OTHER = {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "ё": "е"}
#: The blocks of precomposed letters: Latin-1 to Latin Extended-B, Greek, Latin Extended Additional, Greek Extended.
BLOCKS = (range(0xC0, 0x250), range(0x370, 0x400), range(0x1E00, 0x2000))
MARKS = range(0x300, 0x370)


def _plain_letters() -> Iterator[tuple[str, str]]:
    yield from OTHER.items()
    for code in (code for block in BLOCKS for code in block):
        whole = unicodedata.normalize("NFD", chr(code))
        letter, marks = whole[0], whole[1:]
        if marks and all(ord(mark) in MARKS for mark in marks) and letter.casefold() == letter:
            yield chr(code), letter


#: Letters, each to the one below its marks; and marks that stand for themselves, where no letter with them is in Unicode.
PLAIN = str.maketrans({**dict.fromkeys(map(chr, MARKS)), **dict(_plain_letters())})
IN_ASCII = str.maketrans(dict.fromkeys(DASHES, " ") | dict.fromkeys("'`"))


def normal_name(name: str) -> str:
    """One name or line of an address."""
    whole = " ".join(name.split())
    return " ".join(_folded(whole)[0].split()) or unicodedata.normalize("NFKC", whole).casefold()


def normal_names(names: Sequence[str]) -> list[str]:
    """`normal_name` of each: in one text, where none has more than single spaces inside and none is nothing but marks."""
    found = _folded("\n".join(names))
    text = "\n".join(found)
    odd = "  " in text or "\n " in text or " \n" in text or text != text.strip(" ")
    if odd or len(found) != len(names) or found.count("") != names.count(""):
        return [normal_name(name) for name in names]
    return found


def _folded(joined: str) -> list[str]:
    if joined.isascii():
        return joined.lower().translate(IN_ASCII).split("\n")
    text = unicodedata.normalize("NFKC", joined).casefold()
    for sign in APOSTROPHES:
        text = text.replace(sign, "")
    for sign in DASHES:
        text = text.replace(sign, " ")
    return [part if part.isascii() else part.translate(PLAIN) for part in text.split("\n")]


def normal_address(address: str) -> str:
    """In lower case; dots and plus tags are kept.

    RFC 5321 2.4 lets a host tell local parts apart by case; hardly one does, and people write theirs either way. One address
    makes one person only beside an equal name, and is written to as given.
    """
    return address.lower()


def as_indexed_before(address: str) -> str:
    """For finding people of lists that were imported when the case of a local part still counted; their index stays as it is."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def match_values(fields: PersonFields) -> dict[str, str]:
    """The normalised values by which people are matched, by blind index; '' where one is missing. Of the addresses, the first.

    A filler is no value: strangers of one name who were all 'born' on 1900-01-01 are not one person, nor those called 'N/A'.
    """
    name, day = normal_name(fields.full_name), birth_date(fields.date_of_birth) if fields.date_of_birth else None
    # However a list writes the day, it is the same.
    by_birth = f"{name}|{day}" if name and day and not is_no_name(fields.full_name) else ""
    home = bool(by_birth and fields.street and fields.postcode) and not is_filler(fields.street)
    return {
        "customer": "" if is_filler_number(fields.customer_number) else fields.customer_number,
        "email": normal_address(fields.emails[0]) if fields.emails else "",
        "name": name,
        "name_birth": by_birth,
        "address": f"{name}|{normal_name(fields.street)}|{normal_name(fields.postcode).replace(' ', '')}|{day}" if home else "",
    }


def match_addresses(fields: PersonFields) -> tuple[str, ...]:
    """All e-mail addresses of a person as they are matched."""
    return tuple(dict.fromkeys(normal_address(address) for address in fields.emails))
