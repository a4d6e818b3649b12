"""Our columns, and the names that columns of customer lists have in the world (column-names.yaml)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from pathlib import Path

import yaml

KNOWN_COLUMNS = (
    "person_id", "customer_number", "given_name", "family_name", "second_family_name", "full_name", "email", "phone", "street",
    "city", "region", "postcode", "billing_country", "shipping_country", "stated_country", "phone_prefix", "loyalty_home_store",
    "ip_country", "language", "elements", "date_of_birth", "flags", "representative_role", "representative_name",
    "representative_email", "deceased", "date_of_death", "minor", "safe_address", "do_not_contact", "employee", "opted_out",
    "correction_of",
)  # fmt: skip
#: What a column of dates of birth may be said to be beside `date_of_birth`, where what may be two days is asked.
DATES = {"date_of_birth_day_first": "day", "date_of_birth_month_first": "month"}
#: All that may be said of a column.
SAYABLE = (*KNOWN_COLUMNS, *DATES)
NAMES = ("full_name", "given_name", "family_name")
NAMING = (*NAMES, "customer_number", "email")
REACHING = ("email", "street")
#: A list has a column of each group, or nobody on it could be known or reached.
REQUIRED = (NAMING, REACHING)


ASKED_OF_VALUES = ("email_or_street", "email_if_so", "street_if_so", "name_or_part")
BRACKETS = re.compile(r"[(\[{]([^()\[\]{}]*)[)\]}]")
#: What Salesforce writes behind the names of fields that somebody added: 'Language__c'.
OWN_FIELD = "__c"
SLASHES = re.compile(r"[/|\\]|_-_")
#: What a bracket behind a name says of its values and of nobody else: the order of a date, a kind of code, whether it is needed.
FORM = re.compile(
    r"(?:(?:d{1,2}|t{1,2}|g{1,2}|m{1,3}|[yja]{2,4})[./ -]?){2,4}"
    r"|(?:iso|alpha)[- ]?[0-9]*(?:[- :]?(?:[0-9]+|alpha|code))*|codes?|[0-9]+ (?:letters|digits|characters)"
    r"|y/?n|yes/no|j/?n|ja/nein|o/?n|oui/non|s/n|s[iíì]/no|true/false|[01]/[01]"
    r"|required|mandatory|optional|if known|pflicht(?:feld|angabe)?|obligatoire|facultatif|obligatorio|opcional|\*",
    re.IGNORECASE,
)


def plain_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns without the form of their dates."""
    return tuple("date_of_birth" if name in DATES else name for name in columns)


def dates_of(columns: Sequence[str]) -> str:
    """Which stands first in the dates of birth as the columns say: day or month; '' where it is asked, or nothing to say."""
    return next((DATES[name] for name in columns if name in DATES), "")


def lacking(columns: Collection[str]) -> str:
    """What these columns lack, in words with the remedy; empty when they are enough."""
    if not set(columns) & set(NAMING):
        either = ", ".join(NAMING)
        return f"Row 1: no column for a name, a customer number or an e-mail. Name one of: {either}, or say which column it is."
    if not set(columns) & set(REACHING):
        return f"Row 1: no column for an e-mail or a street. Name one of: {', '.join(REACHING)}, or say which column it is."
    return ""


def key_of(name: str) -> str:
    """A name without case, accents, spaces and marks: 'E-Mail' and 'e_mail' are one."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", name.casefold()) if letter.isalnum())


def known_key(name: str) -> str:
    """The key of a name as it is known here: without a bracket about its form, and of two names with one meaning the first.

    'Date of birth (dd.mm.yyyy)' and 'ZIP / Postcode' are known, 'E-mail (guardian)' and 'City / State' are not. 'City (Billing)'
    is 'Billing City'.
    """
    key = key_of(name.removesuffix(OWN_FIELD))
    if _meaning(key):
        return key
    outer, inner = BRACKETS.sub(" ", name), BRACKETS.findall(name)
    if len(inner) == 1 and key_of(inner[0]) in BEFORE and _meaning(turned := key_of(inner[0] + outer)):
        return turned
    if any(not _says_nothing_else(words, outer) for words in inner):
        return key
    parts = [key_of(part) for part in SLASHES.split(outer) if key_of(part)]
    meant = {_meaning(part) for part in parts}
    return parts[0] if len(meant) == 1 and meant != {""} else key


def is_known(name: str) -> bool:
    """Whether a name means a column of ours, be it that its values decide which."""
    return bool(_meaning(known_key(name)))


def _says_nothing_else(words: str, outer: str) -> bool:
    """Whether a bracket tells the form of the values, or the same as what stands before it."""
    meaning = _meaning(key_of(words))
    return bool(FORM.fullmatch(words.replace("_", " ").strip())) or bool(meaning and meaning == _meaning(key_of(outer)))


def _meaning(key: str) -> str:
    """What a name means, be it that its values decide; '' where it is not known."""
    if key in MEANINGS:
        return str(MEANINGS[key])
    return next((said for said in ASKED_OF_VALUES if key in _KNOWN_BY_VALUES[said]), "")


def _names(words: str) -> list[str]:
    return [key_of(name) for name in words.split(",")]


_KNOWN = yaml.safe_load(Path(__file__).with_name("column-names.yaml").read_text("utf-8"))
MEANINGS = {key: ours for ours, words in _KNOWN["meanings"].items() for key in _names(words)}
#: The names of parts of an address -> which address, by its place in that order; a part without a word before it is in the first.
ADDRESS_OF: dict[str, int] = {}
STREET_IF_SO = {*_names(_KNOWN["street_if_so"])}
for _place, _address in enumerate(_KNOWN["addresses"].values()):
    for _part, _words in _KNOWN["address_parts"].items():
        _ours = _address["country"] if _part == "country" else _part
        _keys = [before + part for before in _names(_address["before"]) for part in _names(_words)]
        ADDRESS_OF |= {key: _place for key in _keys if MEANINGS.setdefault(key, _ours) == _ours}
    _wholes = [before.removesuffix("address") + "address" for before in _names(_address["before"])]
    STREET_IF_SO |= {key for key in _wholes if key not in MEANINGS and key not in _names(_KNOWN["email_or_street"])}
    ADDRESS_OF |= dict.fromkeys(_wholes, _place)
#: What says which address is meant.
BEFORE = {word for address in _KNOWN["addresses"].values() for word in _names(address["before"])}
#: Names that yield to another of the same meaning -> how far.
YIELDING = {key: place for place, words in enumerate(_KNOWN["yielding"], start=1) for key in _names(words)}
OWN_ID, OWN_ID_BESIDE = key_of(_KNOWN["own_id"]), frozenset(_names(_KNOWN["own_id_beside"]))
OF_THE_SIGN_UP = {key_of(name): ours for name, ours in _KNOWN["of_the_sign_up"].items()}
SIGN_UP_BESIDE = frozenset(_names(_KNOWN["sign_up_beside"]))
CODES = tuple(_names(_KNOWN["codes"]))
EMAIL_OR_STREET = frozenset(_names(_KNOWN["email_or_street"]))
EMAIL_IF_SO = frozenset(_names(_KNOWN["email_if_so"]))
REGION_IF_CODES = frozenset(_names(_KNOWN["region_if_codes"]))
COUNTRY_IF_SO = frozenset(_names(_KNOWN["country_if_so"]))
NAME_OF_ACCOUNT = frozenset(_names(_KNOWN["name_of_account"]))
NAME_OR_PART = frozenset(_names(_KNOWN["name_or_part"]))
_KNOWN_BY_VALUES = dict(zip(ASKED_OF_VALUES, (EMAIL_OR_STREET, EMAIL_IF_SO, STREET_IF_SO, NAME_OR_PART), strict=True))
