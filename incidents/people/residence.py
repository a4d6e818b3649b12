"""Evidence -> residence, or a question for a person. Stated beats postal beats billing ... beats the IP address, which is weak.

Residence is ISO 3166-1, or ISO 3166-2 for the United States, Canada and territories that live under their country's law
(`law/places.yaml`). 'US' means: United States, state unknown. 'ZZ': unknown. Codes are read in small letters too, and the
full name of a country where it is the name of one country alone; any other word is asked, with what it may mean.
docs/residence.md tells the rules to those who have to defend them. No Django here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from incidents.law.places import WITH_PARTS, country_named, known_parts, may_mean, own_part, part_named, plain, residence_of
from incidents.people import postal
from incidents.people.calling import SILENT, Phone, prefixes, read_phone
from incidents.people.country_codes import known_countries, names_of_countries, three_letters
from incidents.people.elsewhere import NOWHERE, Elsewhere, elsewhere, is_own_region
from incidents.people.fillers import half_width, is_filler
from incidents.people.regions import without_country

UNKNOWN = "ZZ"
#: Countries whose law depends on the part: alone, they leave a question.
PART_UNKNOWN = {"US": "state_unknown", "CA": "province_unknown"}
#: In order of trust; the IP address alone never decides.
EVIDENCE = (
    "stated_country", "region", "city", "postcode", "billing_country", "shipping_country", "phone_prefix", "loyalty_home_store",
)  # fmt: skip
#: What was said of a whole list, which is no column of it; what made it finer is named behind it.
OF_LIST = "list_country"
COUNTRY_COLUMNS = ("stated_country", "billing_country", "shipping_country")
#: Evidence that points to a place without saying that somebody lives there counts half.
INDIRECT = frozenset({"phone_prefix", "loyalty_home_store"})
CERTAIN, GOOD, WEAK, NONE = "certain", "good", "weak", "none"
LONGEST_PLACE = 80
#: 'U.S.A.' is written for the code, with dots.
DOTTED = re.compile(r"\s*(?:[A-Za-z]\.){2,3}\s*")
#: 'CH-ZRH01', 'DE_12', 'US-WA-014': a country, a few letters of a town, and a number. Without a number the letters are as often a
#: word ('IN-STORE', 'NO-WEB', 'CO-OP'), and some are without a town: a store, a shop, a branch, a number.
NUMBERED_SHOP = re.compile(
    r"(?!(?:BR|CC|ID|IN|NO|PS|SC|SH|SN|ST|TV)[-_]\d)([A-Z]{2})[-_](?:[A-Z]{2,4}[-_]?)?\d{1,6}", re.IGNORECASE
)
#: Written for a state in addresses of the American forces and embassies.
FORCES_STATES = frozenset({"AA", "AE", "AP"})
#: No code of ISO 3166-1, but one that a person may set: the European Union and the postal unions use it.
SETTABLE = frozenset({"XK"})


@dataclass(frozen=True)
class Residence:
    """Where the law is to find this person. `possible`: every residence the evidence allows, when it disagrees or is unclear."""

    place: str
    decided_by: str
    possible: tuple[str, ...] = ()
    #: "" or one of `questions.RESIDENCE_QUESTIONS`.
    question: str = ""
    weak_hint: str = ""
    #: The deciding evidence was the name of a country, not its code.
    by_name: bool = False
    #: How far the evidence carries: certain, good, weak, none.
    confidence: str = NONE
    #: The first country column whose text is neither a code nor one country's name ('England', 'UK'), and what it may mean;
    #: else what a postcode may mean that is one digit short.
    unreadable: str = ""
    unclear: tuple[str, ...] = ()
    #: What is wrong with the postcode: "", unfit, zero_lost.
    postcode_problem: str = ""
    #: It rests on what was said of the whole list (`said_of_all`).
    of_list: bool = False

    @property
    def recorded(self) -> str:
        """The evidence that decided, as it is kept beside the residence."""
        if self.of_list:
            return f"{OF_LIST}+{self.decided_by}" if self.decided_by in ("region", "city", "postcode") else OF_LIST
        return f"{self.decided_by} (name)" if self.by_name else self.decided_by


class Read(NamedTuple):
    """What one cell says: a place, or what it may mean where it is sure of none."""

    place: str = ""
    may_mean: tuple[str, ...] = ()
    by_name: bool = False


class Evidence(NamedTuple):
    """The evidence of one row, read as far as it can be without the rest: few rows differ in it, so answers are remembered."""

    stated: str = ""
    billing: str = ""
    shipping: str = ""
    region: str = ""
    postcode: postal.Postcode = postal.NOTHING
    #: The state of a ZIP code beside no country.
    zip_state: str = ""
    #: The postal address is a post-office box, or one of the American forces' or embassies' post offices.
    box: bool = False
    forces: bool = False
    #: The town is one of another place than the country.
    town: Elsewhere = NOWHERE
    phone: Phone = SILENT
    store: Read = Read()
    hint: str = ""


def subdivisions() -> frozenset[str]:
    """The states, territories and provinces that evidence can name."""
    return known_parts()


def is_residence(text: str) -> bool:
    """Whether a text is a residence that a person may set: a country, or a US state or Canadian province."""
    return text in known_countries() or text in subdivisions() or text in SETTABLE


@lru_cache(maxsize=4096)
def _country(text: str) -> Read:
    """A cell that should hold a country: its code, its full name, or a word that has to be asked about."""
    code = residence_of(code=half_width(text))
    if code in known_countries() or code in subdivisions():
        return Read(code)
    unclear = may_mean(word=text)
    named = residence_of(code=country_named(word=text) or names_of_countries().get(plain(text), ""))
    # 'Puerto Rico' names a part of the United States and a code of ISO 3166-1: the same place.
    sure = named and (not unclear or ("-" in named and unclear == (named,)))
    return Read(named, by_name=True) if sure else Read(may_mean=unclear)


@lru_cache(maxsize=4096)
def _region(text: str, country: str) -> Read:
    """A state or province beside its country. 'WA' alone is Washington or Western Australia, and says nothing."""
    if re.match(r"(US|CA)-", text.upper()):
        return Read(part_named(country=text[:2].upper(), word=text))
    if country in WITH_PARTS:
        return Read(part_named(country=country, word=text), may_mean(word=text))
    if not country:
        return Read(may_mean=may_mean(word=text))
    if meant := elsewhere(country, "region", text).places:
        return Read(meant[0], meant)
    named = _country(text).place
    own = own_part(country=country, code=named or text.upper())
    place = own or (
        named if named.startswith(f"{country}-") else _part_of_another(text, country) or _other_country(text, country)
    )
    # Shown where the evidence disagrees anyway; 'MO' beside Italy is Modena, and no sign of Missouri.
    return Read(place, () if place or postal.is_part(country=country, word=text) else may_mean(word=text))


def _part_of_another(text: str, country: str) -> str:
    """'California' beside France is a contradiction; 'CA' is a province of Italy too, and Georgia a country."""
    if len(text.strip()) <= 3 or country in may_mean(word=text):
        return ""
    return next((part for other in WITH_PARTS if (part := part_named(country=other, word=text))), "")


def _other_country(text: str, country: str) -> str:
    """'Bermuda' beside the United Kingdom is a contradiction; 'Luxembourg' is a province of Belgium too."""
    # Two or three letters may be the code of a state or province.
    if len(text.strip()) <= 3 or postal.is_part(country=country, word=text) or is_own_region(country, text):
        return ""
    named = _country(text).place
    return named if named[:2] != country else ""


def read_store(text: str) -> Read:
    """A code and a town, or a code and the shop's own number; a name would run into the town."""
    begins = text[:LONGEST_PLACE].split(" ", maxsplit=1)[0]
    numbered = NUMBERED_SHOP.fullmatch(half_width(begins))
    store = _country(numbered[1] if numbered else begins)
    return Read() if store.by_name else store


def _named(text: str) -> Read:
    """A cell of a column of countries. Elsewhere three letters are a town's beginning, a state or a shop."""
    if not text or len(text) > LONGEST_PLACE or is_filler(text):
        return Read()
    text = half_width(text)
    letters = text.replace(".", "") if DOTTED.fullmatch(text) else text
    code = three_letters().get(letters.strip().upper(), "") if letters.isascii() else ""
    return Read(residence_of(code=code)) if code else _country(letters)


@lru_cache(maxsize=4096)
def country_of_row(stated: str, billing: str, shipping: str) -> str:
    """The country beside which the region and the postcode of a row are read; '' where none is written."""
    named = (_named(text).place for text in (stated, billing, shipping))
    return next((place[:2] for place in named if place), "")


@lru_cache(maxsize=4096)
def read_town(country: str, text: str) -> tuple[bool, Elsewhere]:
    """Whether a town is one of the American forces' post offices, and which other place than the country it names."""
    return postal.is_forces_town(city=text), elsewhere(country, "city", text)


def gather(
    stated: str, billing: str, shipping: str, region: str, postcode: str, city: str, street: str, phone: str, store: str, ip: str
) -> Evidence:
    """Read the cells of one row. The IP address is read only where no column names a country. Called once a row: positional."""
    country = country_of_row(stated, billing, shipping)
    forces, town = read_town(country, city) if city else (False, NOWHERE)
    code, state = (postal.read_postcode(country, postcode), "") if country else without_country(region, postcode)
    return Evidence(
        stated, billing, shipping, region, code, state, bool(street) and postal.is_box(street=street), forces, town,
        read_phone(phone) if phone else SILENT, read_store(store) if store else Read(),
        _named(ip).place if ip and not country else "",
    )  # fmt: skip


def decide(row: Mapping[str, str]) -> Residence:
    """Weigh one row's evidence, given by column."""
    return weigh(_gathered(row))


def said_by(row: Mapping[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    """What each piece of one row's evidence says, in the order of trust: column, and the place or what it may mean.

    No place: something stands there that names none. The IP address is told where nothing better names a country.
    """
    evidence = _gathered(row)
    read = _all_read(evidence, country_of_row(evidence.stated, evidence.billing, evidence.shipping))
    written = {name for name, text in _texts(evidence).items() if text and not is_filler(text)}
    found = [(name, (read[name].place,) if read[name].place else read[name].may_mean) for name in EVIDENCE]
    found += [("ip_country", (evidence.hint,))] if evidence.hint else []
    return [(name, places) for name, places in found if places or name in written]


def _gathered(row: Mapping[str, str]) -> Evidence:
    def get(name: str) -> str:
        return row.get(name, "").strip()

    return gather(
        stated=get("stated_country"), billing=get("billing_country"), shipping=get("shipping_country"), region=get("region"),
        postcode=get("postcode"), city=get("city"), street=get("street"), phone=get("phone_prefix") or get("phone"),
        store=get("loyalty_home_store"), ip=get("ip_country"),
    )  # fmt: skip


@lru_cache(maxsize=4096)
def weigh(evidence: Evidence) -> Residence:
    """The residence that the evidence gives, with its confidence and the question that it leaves."""
    country = country_of_row(evidence.stated, evidence.billing, evidence.shipping)
    read = _all_read(evidence, country)
    found = _without_confirmation([(column, read[column].place) for column in EVIDENCE if read[column].place])
    # The law of a free zone may be in question, but the zone is nobody's residence: it is never the one that is assumed.
    found.sort(key=lambda one: not is_residence(one[1]))
    written = [name for name, text in _texts(evidence).items() if text and not is_filler(text)]
    unreadable = [name for name in written if not read[name].place]
    unclear = tuple(dict.fromkeys(place for name in COUNTRY_COLUMNS for place in read[name].may_mean))
    decided = _decide(evidence, read, found)
    return replace(
        decided,
        confidence=_confidence(evidence, decided, found, bool(unreadable)),
        unreadable=unreadable[0] if unreadable else "",
        unclear=unclear or (() if decided.question else evidence.postcode.may_mean),
        postcode_problem=_postcode_problem(evidence, decided),
    )


def _postcode_problem(evidence: Evidence, decided: Residence) -> str:
    """Between two countries the postcode need not be that of the first: the conflict is asked, and that is enough."""
    problem = evidence.postcode.problem
    return problem if problem in {"unfit", "zero_lost"} and decided.question != "residence_conflict" else ""


def _texts(evidence: Evidence) -> Mapping[str, str]:
    return {"stated_country": evidence.stated, "billing_country": evidence.billing, "shipping_country": evidence.shipping}


def _all_read(evidence: Evidence, country: str) -> Mapping[str, Read]:
    """What each column says, in the order of trust."""
    beside = country or evidence.postcode.place[:2] or evidence.zip_state[:2]
    region = _region(evidence.region, beside) if evidence.region and len(evidence.region) <= LONGEST_PLACE else Read()
    if evidence.zip_state and region.place != evidence.zip_state:
        # Five digits alone are no ZIP code, and a state's letters alone no state: only together they are sure.
        meant = (region.place, evidence.zip_state) if region.place else region.may_mean
        region = Read("", tuple(dict.fromkeys((*meant, *region.may_mean))))
    code = evidence.postcode
    forces = evidence.forces or code.problem == "military" or (country == "US" and evidence.region.upper() in FORCES_STATES)
    return {
        **{name: _named(text) for name, text in _texts(evidence).items()},
        "region": region,
        "city": _town(evidence),
        "postcode": Read("US" if forces else code.place, code.may_mean),
        "phone_prefix": Read(evidence.phone.place, () if evidence.phone.place else evidence.phone.may_mean),
        "loyalty_home_store": evidence.store,
    }


def _town(evidence: Evidence) -> Read:
    """The other place that the town names, unless the country's own postcode shows a town of that name in the country."""
    meant, code = evidence.town, evidence.postcode
    settled = meant.settled and code.fits and not code.place
    return Read(meant.places[0], meant.places) if meant.places and not settled else Read()


def _decide(evidence: Evidence, read: Mapping[str, Read], found: list[tuple[str, str]]) -> Residence:
    hint = evidence.hint
    if not found:
        unclear = dict.fromkeys(place for column in EVIDENCE for place in read[column].may_mean)
        return Residence(UNKNOWN, "", tuple(unclear) or ((hint,) if hint else ()), "residence_unknown", hint)
    if read["postcode"].place == "US" and len({place[:2] for _, place in found} - {"US"}) <= 1:
        return _of_the_forces(found, hint)
    if any(place[:2] != found[0][1][:2] for _, place in found):
        return _conflict(found, read, hint)
    if read["phone_prefix"].may_mean:
        return _conflict(found, read, hint)
    if [column for column, _ in found] == ["phone_prefix"] and evidence.phone.may_mean:
        return Residence(found[0][1], "phone_prefix", evidence.phone.may_mean, "residence_conflict", hint)
    return _finest(found, read, hint)


def _of_the_forces(found: list[tuple[str, str]], hint: str) -> Residence:
    """The forces' and embassies' post is American wherever its office stands; the country of the office stays possible."""
    column = next(column for column, place in found if place[:2] == "US")
    finer = [place for _, place in found if "-" in place]
    abroad = [place for _, place in found if place[:2] != "US"]
    possible = dict.fromkeys((*finer, *abroad) if finer else ("US", *abroad) if abroad else ())
    return Residence("US", column, tuple(possible), "military_address", hint)


def _without_confirmation(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without a telephone code that the named place shares with another: '+44' beside Jersey is no other evidence."""
    phone = next((place for column, place in found if column == "phone_prefix"), "")
    shared = prefixes()[2].get(phone, [])
    if any(place in shared for column, place in found if column != "phone_prefix"):
        return [(column, place) for column, place in found if column != "phone_prefix"]
    return found


def _finest(found: list[tuple[str, str]], read: Mapping[str, Read], hint: str) -> Residence:
    """The evidence agrees on the country: the state or province that it names, or that question."""
    finer = list(dict.fromkeys(place for _, place in found if "-" in place))
    if not all(map(is_residence, finer)):
        return _conflict(found, read, hint)
    if len(finer) > 1:
        return _conflict([(column, place) for column, place in found if "-" in place], read, hint)
    if finer:
        column = next(column for column, place in found if place == finer[0])
        if column == "phone_prefix" and found[0][0] != column and found[0][1] not in PART_UNKNOWN:
            # 'US' leaves the state open, and the telephone tells it; 'FI' is a place, and Åland another.
            return _conflict(found, read, hint)
        return Residence(finer[0], column, by_name=read[column].by_name)
    column, country = found[0]
    question = PART_UNKNOWN.get(country, "")
    meant = dict.fromkeys((*read["region"].may_mean, *read["postcode"].may_mean))
    possible = tuple(place for place in meant if place.startswith(f"{country}-")) if question else ()
    return Residence(country, column, possible, question, hint if question else "", read[column].by_name)


def _conflict(found: list[tuple[str, str]], read: Mapping[str, Read], hint: str) -> Residence:
    """Every place that the evidence names, in the order of trust; also what its unclear words may mean."""
    unclear = (place for column in EVIDENCE for place in read[column].may_mean)
    places = tuple(dict.fromkeys((*(place for _, place in found), *unclear)))
    return Residence(found[0][1], found[0][0], places, "residence_conflict", hint)


def _confidence(evidence: Evidence, decided: Residence, found: list[tuple[str, str]], unreadable: bool) -> str:
    """Direct evidence of the very place counts two, indirect one; three and more are certain, two good. Asked is none."""
    if decided.question or unreadable:
        return WEAK if decided.weak_hint and decided.place == UNKNOWN else NONE
    points = 0
    for column, place in found:
        boxed = evidence.box and column in {"region", "postcode"}
        points += 0 if place != decided.place else 1 if column in INDIRECT or boxed else 2
    if evidence.postcode.fits and not evidence.postcode.place and decided.place not in PART_UNKNOWN:
        # The address has the country's form: it is evidence of its own.
        points += 1 if evidence.box else 2
    return CERTAIN if points > 2 else GOOD if points == 2 else WEAK
