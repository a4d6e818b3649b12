"""Where somebody lives: the order of trust, the states, and everything that has to be asked instead of guessed."""

from __future__ import annotations

import itertools

import pytest
import yaml
from babel import Locale

from incidents.law.pack import load_packs
from incidents.law.places import residence_of
from incidents.people.calling import FILE, LONGEST_BEGINNING, prefixes, read_phone
from incidents.people.country_codes import NAME_LANGUAGES, known_countries
from incidents.people.residence import (
    EVIDENCE,
    decide,
    is_residence,
    read_store,
    said_by,
    subdivisions,
)

STATES = [
    "AL",
    "AK",
    "AZ",
    "AR",
    "CA",
    "CO",
    "CT",
    "DE",
    "DC",
    "FL",
    "GA",
    "HI",
    "ID",
    "IL",
    "IN",
    "IA",
    "KS",
    "KY",
    "LA",
    "ME",
    "MD",
    "MA",
    "MI",
    "MN",
    "MS",
    "MO",
    "MT",
    "NE",
    "NV",
    "NH",
    "NJ",
    "NM",
    "NY",
    "NC",
    "ND",
    "OH",
    "OK",
    "OR",
    "PA",
    "RI",
    "SC",
    "SD",
    "TN",
    "TX",
    "UT",
    "VT",
    "VA",
    "WA",
    "WV",
    "WI",
    "WY",
]
PROVINCES = ["AB", "BC", "MB", "NB", "NL", "NS", "NT", "NU", "ON", "PE", "QC", "SK", "YT"]


@pytest.mark.parametrize(
    ("row", "place", "decided_by"),
    [
        ({"stated_country": "FR"}, "FR", "stated_country"),
        ({"stated_country": "fr "}, "FR", "stated_country"),
        ({"billing_country": "FR"}, "FR", "billing_country"),
        ({"shipping_country": "FR"}, "FR", "shipping_country"),
        ({"phone_prefix": "+33"}, "FR", "phone_prefix"),
        ({"loyalty_home_store": "FR Paris Rue de la Paix"}, "FR", "loyalty_home_store"),
        ({"stated_country": "FR", "billing_country": "FR", "ip_country": "US"}, "FR", "stated_country"),
        ({"billing_country": "FR", "shipping_country": "FR", "phone_prefix": "+33"}, "FR", "billing_country"),
    ],
)
def test_the_most_trusted_evidence_decides(row: dict[str, str], place: str, decided_by: str) -> None:
    found = decide(row)
    assert (found.place, found.decided_by, found.question) == (place, decided_by, "")


@pytest.mark.parametrize(("stronger", "weaker"), list(itertools.pairwise(EVIDENCE[4:])))
def test_each_kind_of_evidence_stands_above_the_next_and_is_asked_when_they_differ(stronger: str, weaker: str) -> None:
    values = {"phone_prefix": ("+33", "+49"), "loyalty_home_store": ("FR Paris", "DE Berlin")}
    row = {stronger: values.get(stronger, ("FR", ""))[0], weaker: values.get(weaker, ("", "DE"))[1]}
    found = decide(row)
    assert (found.place, found.decided_by, found.possible, found.question) == ("FR", stronger, ("FR", "DE"), "residence_conflict")


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"stated_country": "US", "loyalty_home_store": "US-CA Beverly Hills"}, "US-CA"),
        ({"stated_country": "US", "phone_prefix": "+1-206"}, "US-WA"),
        ({"stated_country": "US", "phone_prefix": "+1 701"}, "US-ND"),
        ({"stated_country": "US", "phone_prefix": "+1"}, "US"),
        ({"stated_country": "US", "region": "NY"}, "US-NY"),
        ({"stated_country": "US", "region": "us-ny"}, "US-NY"),
        ({"billing_country": "US", "region": "NY"}, "US-NY"),
        ({"phone_prefix": "+1-212"}, "US-NY"),
        ({"stated_country": "CA", "phone_prefix": "+1-514"}, "CA-QC"),
        ({"stated_country": "CA", "region": "ON"}, "CA-ON"),
        ({"billing_country": "CA", "region": "ON"}, "CA-ON"),
        ({"stated_country": "CA"}, "CA"),
        ({"stated_country": "PR"}, "US-PR"),
        ({"stated_country": "US", "billing_country": "PR"}, "US-PR"),
        ({"stated_country": "US", "phone_prefix": "+1-787"}, "US-PR"),
        ({"stated_country": "GU"}, "US-GU"),
        ({"stated_country": "VI"}, "US-VI"),
        ({"stated_country": "AS"}, "US-AS"),
        ({"stated_country": "MP"}, "US-MP"),
        ({"stated_country": "UM"}, "US-UM"),
        ({"stated_country": "Puerto Rico"}, "US-PR"),
        ({"stated_country": "us-ca"}, "US-CA"),
        ({"stated_country": "US", "region": "California"}, "US-CA"),
        ({"stated_country": "us", "region": " new york "}, "US-NY"),
        ({"stated_country": "US", "region": "Washington, D.C."}, "US-DC"),
        ({"stated_country": "US", "region": "Georgia"}, "US-GA"),
        ({"stated_country": "United States of America", "region": "Texas"}, "US-TX"),
        ({"stated_country": "CA", "region": "Québec"}, "CA-QC"),
        ({"stated_country": "Kanada", "region": "Alberta"}, "CA-AB"),
        ({"stated_country": "CA", "region": "Nouvelle-Ecosse"}, "CA-NS"),
    ],
)
def test_a_state_is_found_by_store_area_code_region_or_territory(row: dict[str, str], place: str) -> None:
    found = decide(row)
    assert found.place == place and not found.unreadable


def test_the_united_states_without_a_state_are_asked() -> None:
    found = decide({"stated_country": "US", "ip_country": "US"})
    assert (found.place, found.question) == ("US", "state_unknown")


@pytest.mark.parametrize(
    ("row", "possible"),
    [
        ({"stated_country": "FR", "billing_country": "DE"}, ("FR", "DE")),
        ({"stated_country": "US", "loyalty_home_store": "US-CA x", "phone_prefix": "+1-206"}, ("US-WA", "US-CA")),
        ({"stated_country": "PR", "loyalty_home_store": "US-NY x"}, ("US-PR", "US-NY")),
        (
            {"stated_country": "FR", "region": "US-CA", "shipping_country": "GB", "phone_prefix": "+49"},
            ("FR", "US-CA", "GB", "DE"),
        ),
        ({"stated_country": "CA", "phone_prefix": "+1-206"}, ("CA", "US-WA")),
        ({"stated_country": "GE", "phone_prefix": "+1-404"}, ("GE", "US-GA")),
    ],
)
def test_evidence_that_disagrees_shows_every_place_and_is_asked(row: dict[str, str], possible: tuple[str, ...]) -> None:
    found = decide(row)
    assert (found.possible, found.question) == (possible, "residence_conflict")


@pytest.mark.parametrize(
    "row",
    [{}, {"ip_country": "FR"}, {"phone_prefix": "+1-800"}, {"region": "WA"}, {"region": "Bavaria"}, {"region": "California"},
     {"loyalty_home_store": "Georgia Atlanta"}, {"loyalty_home_store": "UK London"}, {"loyalty_home_store": "France Paris"}],
)  # fmt: skip
def test_weak_or_missing_evidence_never_decides(row: dict[str, str]) -> None:
    found = decide(row)
    assert (found.place, found.question, found.decided_by) == ("ZZ", "residence_unknown", "")


def test_the_ip_address_is_kept_as_a_hint_only() -> None:
    assert decide({"ip_country": "FR"}).weak_hint == "FR"
    assert decide({"stated_country": "DE", "ip_country": "FR"}).question == ""


def test_a_region_of_a_country_without_states_of_its_own_says_nothing() -> None:
    assert decide({"billing_country": "AU", "region": "WA"}).place == "AU"
    assert decide({"stated_country": "England", "billing_country": "GB", "region": "WA"}).place == "GB"


@pytest.mark.parametrize(
    "text",
    [
        "UK",
        "England",
        "Schottland",
        "America",
        "Georgia",
        "XX",
        "ZZ",
        "EU",
        "Northern Cyprus",
        "Jersey",
        "F",
        "FRX",
        "IC",
        "EA",
        "AC",
        "TA",
    ],
)
@pytest.mark.parametrize("column", ["stated_country", "billing_country", "shipping_country"])
def test_what_is_no_iso_code_becomes_a_question(text: str, column: str) -> None:
    found = decide({column: text})
    assert (found.unreadable, found.place) == (column, "ZZ")
    assert not is_residence(text)


@pytest.mark.parametrize(
    ("word", "possible"),
    [
        ("UK", ("GB",)), ("England", ("GB",)), ("Schottland", ("GB",)), ("Écosse", ("GB",)), ("America", ("US",)), ("U.K.", ("GB",)),
        ("Nippon", ("JP",)), ("D", ("DE",)), ("A", ("AT",)), ("KKTC", ("CY",)),
        ("Georgia", ("US-GA", "GE")), ("GÉORGIE", ("US-GA", "GE")), ("EL", ("GR",)), ("Holland", ("NL",)), ("Korea", ("KR", "KP")),
        ("Congo", ("CG", "CD")), ("Jersey", ("JE", "US-NJ")), ("California", ("US-CA",)), ("NY", ("US-NY",)), ("wa", ("US-WA",)),
        ("Washington", ("US-WA", "US-DC")), ("Ontario", ("CA-ON",)), ("QC", ("CA-QC",)), ("Dubai", ("AE",)), ("DIFC", ("AE",)),
        ("AE-DIFC", ("AE",)), ("AE-ADGM", ("AE",)), ("Saint-Martin", ("FR-MF", "SX")), ("Virgin Islands", ("US-VI", "VG")),
        ("Canarias", ("ES",)), ("AN", ("SX", "CW", "BQ")), ("JA", ("JP",)), ("XX", ()), ("Atlantis", ()), ("US-ZZ", ()), ("CA-XX", ()),
        ("FR-75", ()), ("x" * 100_000, ()),
    ],
)  # fmt: skip
def test_a_word_that_is_not_sure_is_asked_with_what_it_may_mean(word: str, possible: tuple[str, ...]) -> None:
    found = decide({"stated_country": word})
    assert (found.place, found.question, found.decided_by) == ("ZZ", "residence_unknown", "")
    assert found.unclear == possible == found.possible


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("UAE", "AE"), ("U.A.E.", "AE"), ("BAE", "AE"), ("VAE", "AE"), ("KSA", "SA"), ("PRC", "CN"), ("BRD", "DE"),
        ("France métropolitaine", "FR"), ("FRANCE (Métropolitaine)", "FR"),
        ("USA", "US"), ("U.S.A.", "US"), ("u.s.a.", "US"), ("U.S.", "US"), ("FRA", "FR"), ("deu", "DE"), ("GBR", "GB"), ("CHE", "CH"),
        ("REU", "FR-974"), ("PRI", "US-PR"), ("Hong Kong SAR", "HK"), ("Viet Nam", "VN"), ("Republic of Korea", "KR"),
        ("Korea, Republic of", "KR"), ("Korea (Democratic People's Republic of)", "KP"), ("Iran (Islamic Republic of)", "IR"),
        ("Taiwan, Province of China", "TW"), ("Tanzania, United Republic of", "TZ"), ("Deutschland", "DE"), ("Slovak Republic", "SK"),
        ("United Kingdom of Great Britain and Northern Ireland", "GB"), ("Virgin Islands (U.S.)", "US-VI"),
    ],
)  # fmt: skip
def test_three_letters_of_iso_and_the_formal_name_of_one_country_are_read(word: str, place: str) -> None:
    assert decide({"stated_country": word}).place == place


@pytest.mark.parametrize("beside", [{"region": "California"}, {"region": "CA"}, {"postcode": "90210"}])
def test_usa_with_its_state_beside_it_is_not_asked_again(beside: dict[str, str]) -> None:
    found = decide({"stated_country": "USA", **beside})
    assert (found.place, found.question, found.unreadable) == ("US-CA", "", "")
    assert decide({"stated_country": "USA"}).question == "state_unknown"


@pytest.mark.parametrize(
    ("store", "place"),
    [
        ("CH-ZRH01", "CH"), ("CH_ZRH01", "CH"), ("ch-zrh01", "CH"), ("DE-12", "DE"), ("FR-PAR-003", "FR"), ("CH-ZRH01 Zürich", "CH"),
        ("GB_0042", "GB"), ("RE-1", "FR-974"), ("NO-OSL1", "NO"), ("US-WA Seattle", "US-WA"), ("CH Zürich", "CH"), ("CH", "CH"),
    ],
)  # fmt: skip
def test_a_store_is_read_by_the_code_before_its_town_or_its_number(store: str, place: str) -> None:
    assert read_store(store).place == place


def test_a_numbered_store_of_another_country_contradicts_it() -> None:
    row = {"stated_country": "FR", "city": "Lyon", "postcode": "69002", "loyalty_home_store": "CH-ZRH01"}
    assert (decide(row).possible, decide(row).question) == (("FR", "CH"), "residence_conflict")
    assert said_by(row)[-1] == ("loyalty_home_store", ("CH",))


@pytest.mark.parametrize(
    "store",
    [
        "IN-STORE",
        "IN-STORE-01",
        "NO-STORE",
        "NO-WEB",
        "CO-OP",
        "ST-12",
        "NO_5",
        "BR-003",
        "CH-ZRH",
        "XX-12",
        "UK-12",
        "A-1",
        "CHE-12",
        "12-CH",
        "EN-1",
        "DE-",
    ],
)
def test_letters_before_a_hyphen_that_may_be_a_word_are_no_country(store: str) -> None:
    assert read_store(store).place == ""


@pytest.mark.parametrize("store", ["Mar del Plata", "PER Perth", "CAN Toronto"])
def test_three_letters_before_a_shop_are_no_country(store: str) -> None:
    assert decide({"loyalty_home_store": store}).place == "ZZ"


@pytest.mark.parametrize(
    ("phone", "place"),
    [
        ("+234 803 1234567", "NG"), ("+7 912 345 67 89", "RU"), ("+7 701 123 45 67", "KZ"), ("+58 412 1234567", "VE"),
        ("+998 90 1234567", "UZ"), ("+1 876 123 4567", "JM"), ("+1 809 123 4567", "DO"), ("+1 684 123 4567", "US-AS"),
        ("+262 692 12 34 56", "FR-974"), ("+383 44 123456", ""), ("+672 3 12345", ""), ("+999 1", ""),
        ("0016715550101", "US-GU"), ("0033 6 12 34 56 78", "FR"), ("00-49", "DE"), ("0612345678", ""), ("0000000000", ""), ("00", ""), ("+800 1234", ""),
    ],
)  # fmt: skip
def test_a_calling_code_of_any_country_is_evidence(phone: str, place: str) -> None:
    assert read_phone(phone).place == place


def test_every_calling_code_and_area_code_leads_to_a_place_that_may_be_set() -> None:
    countries, areas, shared = prefixes()
    assert {place for place in (*countries.values(), *areas.values()) if not is_residence(place)} == set()
    assert set(shared) <= set(countries.values()) and all(place in meant for place, meant in shared.items())
    assert not {code for code in countries for other in countries if code != other and code.startswith(other)}


def test_a_region_without_a_country_is_shown_and_decides_nothing() -> None:
    assert decide({"region": "WA"}).possible == ("US-WA",) and decide({"region": "Ontario"}).possible == ("CA-ON",)


def test_washington_alone_is_the_state_or_the_district() -> None:
    found = decide({"stated_country": "US", "region": "Washington"})
    assert (found.place, found.question, found.possible) == ("US", "state_unknown", ("US-WA", "US-DC"))
    assert decide({"stated_country": "US", "region": "Washington", "phone_prefix": "+1-206"}).place == "US-WA"


# -- names of countries --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("France", "FR"), ("FRANCE", "FR"), ("Frankreich", "FR"), ("Francia", "FR"), ("フランス", "FR"), ("프랑스", "FR"), ("法国", "FR"),
        ("Deutschland", "DE"), ("Allemagne", "DE"), ("Suisse", "CH"), ("Österreich", "AT"), ("Osterreich", "AT"), ("España", "ES"),
        ("Espana", "ES"), ("Ελλάδα", "GR"), ("Россия", "RU"), ("الإمارات العربية المتحدة", "AE"), ("Türkiye", "TR"), ("Turkey", "TR"),
        ("United Kingdom", "GB"), ("Royaume-Uni", "GB"), ("The Netherlands", "NL"), ("South Korea", "KR"), ("한국", "KR"),
        ("Hong Kong", "HK"), ("香港", "HK"), ("Côte d’Ivoire", "CI"), ("cote d'ivoire", "CI"), ("Ireland", "IE"), ("Norge", "NO"),
        ("Guadeloupe", "FR-971"), ("La Réunion", "FR-974"), ("Åland Islands", "FI-01"), ("Nouvelle-Calédonie", "NC"),
    ],
)  # fmt: skip
def test_the_full_name_of_one_country_is_read_and_recorded_as_a_name(name: str, place: str) -> None:
    found = decide({"billing_country": f" {name} "})
    assert (found.place, found.question, found.recorded) == (place, "", "billing_country (name)")
    assert not found.unreadable


def test_the_evidence_that_is_kept_has_room_for_its_remark() -> None:
    assert all(
        len(decide({column: "France"}).recorded) <= 24 for column in ("stated_country", "billing_country", "shipping_country")
    )
    assert decide({"stated_country": "FR", "billing_country": "France"}).recorded == "stated_country"


def test_the_name_of_the_united_states_or_canada_leaves_the_part_open() -> None:
    assert decide({"stated_country": "Vereinigte Staaten"}).question == "state_unknown"
    assert decide({"stated_country": "Kanada"}).question == "province_unknown"


@pytest.mark.parametrize("language", NAME_LANGUAGES)
def test_every_country_is_read_by_its_name_or_asked_and_never_taken_for_another(language: str) -> None:
    wrong = {}
    for code in sorted(known_countries()):
        found = decide({"stated_country": Locale.parse(language).territories[code]})
        if found.place != "ZZ" and found.place != residence_of(code=code):
            wrong[code] = found.place
    assert not wrong


@pytest.mark.parametrize(
    ("text", "place"),
    [("ＤＥ", "DE"), ("ｆｒ", "FR"), ("ＵＳＡ", "US"), ("Ｕ．Ｓ．", "US"), ("ＵＳ－ＣＡ", "US-CA"), ("Ｎ／Ａ", "ZZ")],
)
def test_a_country_in_letters_of_full_width_is_read(text: str, place: str) -> None:
    found = decide({"stated_country": text})
    assert (found.place, found.unreadable) == (place, "")


@pytest.mark.parametrize("text", ["ﬁ", "ıt", "ß"])
def test_letters_that_only_become_a_code_in_capitals_are_no_code(text: str) -> None:
    assert decide({"stated_country": text}).place == "ZZ"


# -- provinces, territories, free zones ----------------------------------------------------------------------------


def test_canada_without_a_province_is_asked_because_two_provinces_have_laws_of_their_own() -> None:
    found = decide({"stated_country": "CA"})
    assert (found.place, found.question) == ("CA", "province_unknown")
    assert {"CA-QC", "CA-AB"} <= set(load_packs().packs)


@pytest.mark.parametrize(("code", "place"), [(code, f"CA-{code}") for code in PROVINCES])
def test_every_province_finds_its_own_law_or_canadas(code: str, place: str) -> None:
    assert decide({"stated_country": "CA", "region": code}).place == place
    pack = load_packs().find(residence=place)
    assert pack is not None and pack.id == (place if code in {"AB", "QC"} else "CA")


@pytest.mark.parametrize(
    ("code", "place", "law"),
    [
        ("PR", "US-PR", "US-PR"), ("GU", "US-GU", "US-GU"), ("VI", "US-VI", "US-VI"), ("AS", "US-AS", ""), ("MP", "US-MP", ""),
        ("UM", "US-UM", ""), ("GP", "FR-971", "FR"), ("MQ", "FR-972", "FR"), ("GF", "FR-973", "FR"), ("RE", "FR-974", "FR"),
        ("YT", "FR-976", "FR"), ("MF", "FR-MF", "FR"), ("AX", "FI-01", "FI"), ("BL", "BL", ""), ("PM", "PM", ""), ("NC", "NC", ""),
        ("PF", "PF", ""), ("WF", "WF", ""), ("TF", "TF", ""), ("SJ", "SJ", ""), ("GL", "GL", ""), ("FO", "FO", ""), ("AW", "AW", ""),
        ("CW", "CW", ""), ("SX", "SX", ""), ("BQ", "BQ", ""), ("GI", "GI", "GI"), ("JE", "JE", "JE"), ("GG", "GG", "GG"),
        ("IM", "IM", "IM"), ("HK", "HK", "HK"), ("MO", "MO", "MO"), ("TW", "TW", "TW"), ("BM", "BM", ""), ("FK", "FK", ""),
        ("AE", "AE", "AE"),
    ],
)  # fmt: skip
def test_a_territory_has_the_law_that_applies_there_or_none_that_we_hold(code: str, place: str, law: str) -> None:
    found, pack = decide({"stated_country": code.lower()}), load_packs().find(residence=place)
    assert (found.place, found.question) == (place, "") and is_residence(code) and is_residence(place)
    assert (pack.id if pack else "") == law


@pytest.mark.parametrize(
    ("region", "other"),
    [("NC", "NC"), ("Nouvelle-Calédonie", "NC"), ("Polynésie française", "PF"), ("BL", "BL"), ("Saint-Pierre-et-Miquelon", "PM")],
)
def test_a_region_of_france_with_a_law_of_its_own_is_asked(region: str, other: str) -> None:
    found = decide({"stated_country": "FR", "region": region})
    assert (found.possible, found.question) == (("FR", other), "residence_conflict")


@pytest.mark.parametrize(("region", "place"), [("Réunion", "FR-974"), ("GP", "FR-971"), ("Bretagne", "FR"), ("RE", "FR-974")])
def test_a_region_of_france_in_the_union_is_france(region: str, place: str) -> None:
    found = decide({"billing_country": "FR", "region": region})
    assert (found.place, found.question) == (place, "")


def test_a_region_of_another_country_that_looks_like_a_territory_is_none() -> None:
    assert decide({"stated_country": "IT", "region": "RE"}).place == "IT"
    assert decide({"stated_country": "DE", "region": "BY"}).place == "DE"


@pytest.mark.parametrize(
    ("country", "prefix"), [("JE", "+44"), ("GG", "+44"), ("IM", "+44"), ("GB", "+44"), ("SM", "+39"), ("SJ", "+47")]
)
def test_a_telephone_code_that_several_places_share_confirms_each_and_decides_for_none(country: str, prefix: str) -> None:
    found = decide({"stated_country": country, "phone_prefix": prefix})
    assert (found.place, found.decided_by, found.question) == (country, "stated_country", "")
    alone = decide({"phone_prefix": prefix})
    assert alone.question == "residence_conflict" and country in alone.possible and len(alone.possible) > 1
    assert decide({"stated_country": "FR", "phone_prefix": prefix}).question == "residence_conflict"


@pytest.mark.parametrize(
    ("phone", "country", "place"),
    [
        ("+44 1534 555555", "GB", "JE"), ("+44 (0)1534 555555", "GB", "JE"), ("0044 7797 712345", "GB", "JE"), ("+44-7700-300123", "GB", "JE"),
        ("+44 1481 555555", "GB", "GG"), ("+44 7781 123456", "GB", "GG"), ("+44 7911 123456", "GB", "GG"), ("+44 1624 675555", "GB", "IM"),
        ("+44 7624 123456", "GB", "IM"), ("+358 18 12345", "FI", "FI-01"),
    ],
)  # fmt: skip
def test_a_number_of_an_island_contradicts_the_country_that_has_its_calling_code(phone: str, country: str, place: str) -> None:
    found = decide({"stated_country": country, "phone": phone})
    assert (found.place, found.possible, found.question) == (country, (country, place), "residence_conflict")
    assert said_by({"stated_country": country, "phone": phone})[-1] == ("phone_prefix", (place,))
    there = decide({"stated_country": place, "phone": phone})
    assert (there.place, there.question, there.confidence) == (place, "", "certain")
    alone = decide({"phone": phone})
    assert (alone.place, alone.question) == (place, "residence_conflict") and country in alone.possible


def test_a_number_of_a_part_is_asked_beside_the_country_and_never_takes_its_place() -> None:
    assert decide({"stated_country": "FR", "postcode": "69002", "phone": "+262 692 12 34 56"}).possible == ("FR", "FR-974")
    assert decide({"stated_country": "FI", "postcode": "00100", "phone": "+358 18 12345"}).possible == ("FI", "FI-01")
    assert decide({"stated_country": "FR", "postcode": "97400", "phone": "+262 692 12 34 56"}).question == ""
    assert decide({"stated_country": "US", "phone": "+1 206 555 01 00"}).place == "US-WA"


@pytest.mark.parametrize(
    ("phone", "country"),
    [
        ("+44 7700 900123", "GB"), ("+44 7911 223456", "GB"), ("+44 7624 700123", "GB"), ("+44 20 7946 0000", "GB"), ("+44", "GB"),
        ("+44 1535 555555", "GB"), ("+358 9 12345", "FI"), ("+358 45 1812345", "FI"), ("+90 324 1234567", "TR"), ("+381 11 123456", "RS"),
    ],
)  # fmt: skip
def test_any_other_number_of_the_country_asks_nothing_beside_it(phone: str, country: str) -> None:
    assert decide({"stated_country": country, "phone": phone}).question == ""


def test_a_number_of_kosovo_or_of_the_north_of_cyprus_decides_for_no_place_and_is_asked_beside_any() -> None:
    for phone, meant in (("+383 44 123456", ("XK",)), ("+90 392 815 1234", ("TR", "CY"))):
        alone = decide({"phone": phone})
        assert (alone.place, alone.possible, alone.question) == ("ZZ", meant, "residence_unknown")
        for country in ("RS", "TR", "CY", "DE"):
            found = decide({"stated_country": country, "phone": phone})
            assert (found.place, found.question, found.confidence) == (country, "residence_conflict", "none")
            assert found.possible == tuple(dict.fromkeys((country, *meant)))
        assert said_by({"stated_country": "DE", "phone": phone})[-1] == ("phone_prefix", meant)


def test_every_finer_beginning_of_a_number_stands_under_a_calling_code_and_leads_to_places_that_may_be_set() -> None:
    found = yaml.safe_load(FILE.read_text())
    countries = prefixes()[0]
    within = {number: [place] for place, numbers in found["within"].items() for number in numbers}
    asked = {number: line["means"] for line in found["asked"] for number in line["numbers"]}
    assert all(number[:2] in countries or number[:3] in countries for number in within)
    assert all(is_residence(place) for places in (within | asked).values() for place in places)
    every = [*within, *asked]
    assert max(map(len, every)) <= LONGEST_BEGINNING and not {n for n in every for m in every if n != m and n.startswith(m)}


def test_a_free_zone_is_never_guessed() -> None:
    for cells in ({"region": "DIFC"}, {"region": "Dubai International Financial Centre"}, {"city": "DIFC, Dubai"}):
        found = decide({"stated_country": "AE", **cells})
        assert (found.place, found.possible, found.question) == ("AE", ("AE", "AE-DIFC"), "residence_conflict")
    assert decide({"billing_country": "AE", "region": "ADGM"}).possible == ("AE", "AE-ADGM")
    both = decide({"billing_country": "AE", "region": "ADGM", "city": "DIFC", "phone_prefix": "+33"})
    assert (both.place, both.possible) == ("AE", ("AE", "FR", "AE-ADGM", "AE-DIFC"))
    assert decide({"stated_country": "AE", "region": "Dubai"}).question == ""
    assert decide({"stated_country": "AE", "phone_prefix": "+971"}).place == "AE"


@pytest.mark.parametrize("text", ["FR", "GB", "GE", "JE", "CY", "US", "PR", "US-WA", "US-PR", "CA-QC", "TW", "PS"])
def test_countries_states_and_provinces_may_be_set_by_a_person(text: str) -> None:
    assert is_residence(text)


def test_every_state_and_province_is_known() -> None:
    assert {f"US-{state}" for state in STATES} | {f"CA-{province}" for province in PROVINCES} <= subdivisions()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+33", "FR"), ("+33 1", "FR"), ("+1-415", "US-CA"), ("+1 415", "US-CA"), ("+1", ""), ("+1-800", ""), ("+852", "HK"),
        ("33", ""), ("0033", "FR"), ("", ""), ("+", ""), ("+999", ""), ("abc", ""), ("+1-868", "TT"), ("+7", ""),
    ],
)  # fmt: skip
def test_a_telephone_prefix_tells_a_place_or_nothing(text: str, place: str) -> None:
    assert read_phone(text).place == place


def test_kosovo_is_asked_and_may_be_set_by_a_person() -> None:
    assert {decide({"stated_country": text}).unclear for text in ("XK", "Kosovo", "kosova")} == {("XK",)}
    assert is_residence("XK") and decide({"stated_country": "XK"}).place == "ZZ"


# -- the postal address --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "place", "decided_by"),
    [
        ({"stated_country": "US", "postcode": "90210"}, "US-CA", "postcode"),
        ({"stated_country": "US", "region": "CA", "postcode": "90210"}, "US-CA", "region"),
        ({"stated_country": "CA", "postcode": "H3Z 2Y7"}, "CA-QC", "postcode"),
        ({"stated_country": "CA", "region": "ON", "postcode": "K1A 0B1"}, "CA-ON", "region"),
        ({"billing_country": "FR", "postcode": "97110"}, "FR-971", "postcode"),
        ({"stated_country": "FI", "postcode": "22100"}, "FI-01", "postcode"),
        ({"stated_country": "FR", "postcode": "75001"}, "FR", "stated_country"),
        ({"postcode": "SW1A 1AA"}, "GB", "postcode"),
        ({"postcode": "JE2 3AB"}, "JE", "postcode"),
        ({"postcode": "H3Z 2Y7"}, "CA-QC", "postcode"),
        ({"postcode": "90210", "region": "CA"}, "US-CA", "region"),
        ({"postcode": "90210", "region": "California"}, "US-CA", "region"),
        ({"phone": "+33 6 12 34 56 78"}, "FR", "phone_prefix"),
        ({"phone": "+33 6 12 34 56 78", "phone_prefix": "+49"}, "DE", "phone_prefix"),
    ],
)
def test_a_postal_address_tells_the_state_and_where_its_form_is_its_own_the_country(
    row: dict[str, str], place: str, decided_by: str
) -> None:
    found = decide(row)
    assert (found.place, found.decided_by, found.question) == (place, decided_by, "")


@pytest.mark.parametrize(
    ("row", "possible"),
    [
        ({"stated_country": "US", "region": "NY", "postcode": "90210"}, ("US-NY", "US-CA")),
        ({"stated_country": "CA", "region": "ON", "postcode": "H3Z 2Y7"}, ("CA-ON", "CA-QC")),
        ({"stated_country": "FR", "postcode": "SW1A 1AA"}, ("FR", "GB")),
        ({"stated_country": "Ireland", "city": "London", "postcode": "SW1A 1AA"}, ("IE", "GB")),
        ({"stated_country": "IE", "city": "Derry", "postcode": "BT48 6AA"}, ("IE", "GB")),
        ({"stated_country": "IE", "city": "Dublin", "postcode": "M1 1AE"}, ("IE", "GB")),
        ({"stated_country": "FR", "postcode": "98800"}, ("FR", "NC")),
        ({"stated_country": "US", "postcode": "96941"}, ("US", "FM")),
        ({"stated_country": "DE", "region": "California"}, ("DE", "US-CA")),
        ({"stated_country": "US", "postcode": "90210", "loyalty_home_store": "US-NY x"}, ("US-CA", "US-NY")),
    ],
)
def test_a_state_that_contradicts_its_zip_and_a_country_that_contradicts_its_postcode_are_asked(
    row: dict[str, str], possible: tuple[str, ...]
) -> None:
    found = decide(row)
    assert (found.possible, found.question, found.confidence) == (possible, "residence_conflict", "none")


@pytest.mark.parametrize(
    ("country", "code", "possible"),
    [("MO", "63101", ("MO", "US-MO")), ("MO", "63101-1234", ("MO", "US-MO")), ("mo", "90210", ("MO", "US-CA")),
     ("MS", "39201", ("MS", "US-MS")), ("AE", "12345", ()), ("HK", "63101", ()), ("MO", "999078", ()), ("MO", "09012", ()), ("MO", "", ()),
     ("DE", "19901", ("DE", "US-DE")), ("DE", "19417", ()), ("MA", "02139", ("MA", "US-MA")), ("MA", "20000", ()),
     ("CA", "94105", ("CA", "US-CA")), ("CA", "94105-1234", ("CA", "US-CA")), ("AL", "35203", ("AL", "US-AL")), ("AL", "90210", ()),
     ("KY", "40202", ("KY", "US-KY")), ("KY", "KY1-1001", ()), ("TN", "37201", ("TN", "US-TN")), ("TN", "1002", ()), ("CO", "110111", ())],
)  # fmt: skip
def test_a_zip_code_beside_the_letters_of_a_state_that_no_postcode_of_the_country_can_be_is_asked(
    country: str, code: str, possible: tuple[str, ...]
) -> None:
    found = decide({"stated_country": country, "city": "St. Louis", "postcode": code})
    assert (found.place, found.possible) == (country.upper(), possible)
    assert found.question == ("residence_conflict" if possible else "")


def test_six_digits_short_of_one_may_be_a_zip_code_beside_the_letters_of_its_state() -> None:
    found = decide({"stated_country": "IN", "postcode": "46201"})
    assert (found.postcode_problem, found.unclear) == ("zero_lost", ("US-IN",))


@pytest.mark.parametrize(
    ("row", "possible"),
    [({"postcode": "90210"}, ()), ({"postcode": "90210", "region": "NY"}, ("US-NY", "US-CA")), ({"postcode": "80331", "region": "Bayern"}, ()),
     ({"postcode": "BFPO 61"}, ("GB",))],
)  # fmt: skip
def test_five_digits_alone_decide_for_no_state(row: dict[str, str], possible: tuple[str, ...]) -> None:
    found = decide(row)
    assert (found.place, found.question, found.possible) == ("ZZ", "residence_unknown", possible)


def test_a_shared_canadian_postcode_leaves_the_province_open_and_shows_both() -> None:
    found = decide({"stated_country": "CA", "postcode": "K1A 0B1"})
    assert (found.place, found.question, set(found.possible)) == ("CA", "province_unknown", {"CA-ON", "CA-QC"})


@pytest.mark.parametrize(
    "row",
    [
        {"stated_country": "US", "region": "AE"},
        {"stated_country": "US", "region": "ap", "postcode": "96201"},
        {"billing_country": "US", "postcode": "34002"},
        {"stated_country": "US", "city": "DPO"},
        {"city": "APO", "region": "AE", "postcode": "09012"},
    ],
)
def test_the_forces_and_embassies_post_leaves_the_state_open(row: dict[str, str]) -> None:
    found = decide(row)
    assert (found.place, found.question) == ("US", "military_address")
    assert decide({**row, "phone_prefix": "+1-206"}).possible == ("US-WA",)


@pytest.mark.parametrize(
    ("cells", "possible"),
    [({"city": "APO", "postcode": "09012"}, ("US", "DE")), ({"city": "APO AE", "postcode": "09096"}, ("US", "DE")),
     ({"city": "DPO, AE 09096"}, ("US", "DE")), ({"city": "FPO", "phone_prefix": "+1-206"}, ("US-WA", "DE"))],
)  # fmt: skip
def test_the_forces_post_in_another_country_is_americas_and_that_country_stays_possible(
    cells: dict[str, str], possible: tuple[str, ...]
) -> None:
    found = decide({"stated_country": "DE", **cells})
    assert (found.place, found.question, found.possible) == ("US", "military_address", possible)


def test_the_forces_post_between_two_other_countries_is_no_more_than_evidence_that_disagrees() -> None:
    found = decide({"stated_country": "DE", "billing_country": "FR", "city": "APO"})
    assert (found.question, found.possible) == ("residence_conflict", ("DE", "US", "FR"))


@pytest.mark.parametrize(
    ("row", "problem"),
    [({"stated_country": "FR", "postcode": "1234"}, "zero_lost"), ({"stated_country": "FR", "postcode": "ABC"}, "unfit"),
     ({"stated_country": "FR", "postcode": "75001"}, ""), ({"stated_country": "FR", "billing_country": "DE", "postcode": "ABC"}, "")],
)  # fmt: skip
def test_a_postcode_that_no_country_has_is_asked_once(row: dict[str, str], problem: str) -> None:
    assert decide(row).postcode_problem == problem


# -- confidence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "confidence"),
    [
        ({"stated_country": "FR"}, "good"),
        ({"billing_country": "FR"}, "good"),
        ({"stated_country": "FR", "billing_country": "FR"}, "certain"),
        ({"stated_country": "FR", "phone_prefix": "+33"}, "certain"),
        ({"stated_country": "FR", "postcode": "75001"}, "certain"),
        ({"stated_country": "FR", "postcode": "75001", "street": "BP 12"}, "certain"),
        ({"phone_prefix": "+33"}, "weak"),
        ({"loyalty_home_store": "FR Paris"}, "weak"),
        ({"phone_prefix": "+33", "loyalty_home_store": "FR Paris"}, "good"),
        ({"stated_country": "US", "region": "NY"}, "good"),
        ({"stated_country": "US", "region": "NY", "postcode": "10001"}, "certain"),
        ({"stated_country": "US", "phone_prefix": "+1-206"}, "weak"),
        ({"stated_country": "US", "region": "ND", "postcode": "58102", "street": "PO Box 1"}, "good"),
        ({"stated_country": "US", "postcode": "58102", "street": "PO Box 1"}, "weak"),
        ({"stated_country": "FR", "ip_country": "FR"}, "good"),
        ({"ip_country": "FR"}, "weak"),
        ({}, "none"),
        ({"stated_country": "US"}, "none"),
        ({"stated_country": "FR", "billing_country": "DE"}, "none"),
        ({"stated_country": "England", "phone_prefix": "+49"}, "none"),
        ({"stated_country": "JE", "phone_prefix": "+44"}, "good"),
    ],
)
def test_the_confidence_says_how_far_the_evidence_carries(row: dict[str, str], confidence: str) -> None:
    assert decide(row).confidence == confidence


@pytest.mark.parametrize(
    "row", [{"stated_country": "FR"}, {"stated_country": "US", "postcode": "90210"}, {"phone_prefix": "+33"}]
)
def test_the_ip_address_never_changes_what_better_evidence_says(row: dict[str, str]) -> None:
    assert decide({**row, "ip_country": "JP"}).place == decide(row).place
    assert decide({**row, "ip_country": "JP"}).confidence == decide(row).confidence


OTHERS = [
    ("GB", "Jersey", "JE"), ("GB", "Guernsey", "GG"), ("GB", "Isle of Man", "IM"), ("GB", "Bermuda", "BM"), ("GB", "Gibraltar", "GI"),
    ("DK", "Greenland", "GL"), ("DK", "Grønland", "GL"), ("CY", "Northern Cyprus", "TR"), ("CY", "KKTC", "TR"), ("TR", "KKTC", "CY"),
    ("TR", "TRNC", "CY"), ("GB", "Northern Cyprus", "CY"), ("AU", "Norfolk Island", "NF"), ("ES", "Gibraltar", "GI"),
]  # fmt: skip


@pytest.mark.parametrize(("country", "region", "other"), OTHERS)
def test_a_region_that_names_another_country_than_the_one_beside_it_is_asked(country: str, region: str, other: str) -> None:
    found = decide({"stated_country": country, "region": region})
    assert found.question == "residence_conflict" and set(found.possible) >= {country, other}


OWN = [
    ("US", "Georgia", "US-GA"), ("BE", "Luxembourg", "BE"), ("BE", "Limburg", "BE"), ("NL", "Limburg", "NL"), ("MX", "México", "MX"),
    ("MX", "Mexico", "MX"), ("PA", "Panamá", "PA"), ("ES", "Granada", "ES"), ("NG", "Niger", "NG"), ("GB", "England", "GB"),
    ("GB", "Jersey City", "GB"), ("GB", "Wales", "GB"), ("GR", "Macedonia", "GR"), ("IT", "MO", "IT"), ("CH", "SH", "CH"),
    ("ES", "Canarias", "ES"), ("AO", "Zaire", "AO"), ("EC", "Santa Elena", "EC"), ("DE", "Deutschland", "DE"), ("JE", "Jersey", "JE"),
    ("NL", "Holland", "NL"), ("TR", "Lefkoşa", "TR"),
]  # fmt: skip


@pytest.mark.parametrize(("country", "region", "place"), OWN)
def test_a_region_that_is_called_like_another_country_by_chance_is_no_contradiction(
    country: str, region: str, place: str
) -> None:
    found = decide({"stated_country": country, "region": region})
    assert (found.place, found.question) == (place, "")
