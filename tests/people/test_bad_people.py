"""Bad input about people and addresses, case by case: refused with its reason, asked of a person, or read as it stands.

Nothing is repaired silently, nothing is guessed, and no reason or remedy repeats what the row says.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import date

import pytest

from incidents.law.pack import load_packs
from incidents.letters.language import clean_value
from incidents.letters.wording import choose_language
from incidents.models import Incident
from incidents.people.asking import told_by
from incidents.people.compared import match_values
from incidents.people.importing import account
from incidents.people.questions import Problem
from incidents.people.rows import Expected, Prepared, prepare
from incidents.record import PersonFields
from incidents.vault import Vault, mask
from tests.conftest import CLAIRE
from tests.people.conftest import Importer

TODAY = date(2026, 11, 22)
AWARE = date(2025, 5, 21)
ANNA = {
    "customer_number": "C9",
    "full_name": "Anna Berg",
    "email": "anna@example.org",
    "stated_country": "FR",
    "language": "fr",
    "elements": "name;email",
}
IN_PARIS = {"street": "1 rue de l’Exemple", "city": "Paris", "postcode": "75001"}
EXPECTED = Expected(
    vocabulary=frozenset(load_packs().vocabulary.elements),
    states={"name": "exposed", "email": "exposed", "date_of_birth": "exposed_for_some"},
    aware_on=AWARE,
    seat="FR",
)


def read(**cells: str) -> Prepared:
    row = {**ANNA, **cells}
    return prepare(number=2, cells=list(row.values()), columns=tuple(row), expected=EXPECTED, today=TODAY)


def asked(row: Prepared) -> set[tuple[str, str]]:
    assert row.rejected is None, row.rejected
    assert all(problem.reason and problem.remedy for problem in row.problems)
    assert all(len(problem.reason) <= 200 and len(problem.remedy) <= 200 for problem in row.problems)
    return {(problem.kind, problem.column) for problem in row.problems}


def refused(row: Prepared, column: str) -> Problem:
    assert row.rejected is not None and (row.rejected.kind, row.rejected.column) == ("row", column)
    assert "anna" not in (row.rejected.reason + row.rejected.remedy).lower()
    return row.rejected


# -- addresses -----------------------------------------------------------------------------------------------------


def test_28_a_person_without_any_address_is_kept_counted_and_asked(bring: Importer, incident: Incident) -> None:
    bring({**CLAIRE, "email": ""})
    assert incident.queue.get().kind == "no_channel" and account(incident=incident).needs_attention == 1
    assert "postal" not in read(email="").problems[0].reason


def test_28_a_person_with_a_postal_address_alone_is_asked_and_the_address_is_said() -> None:
    row = read(email="", **IN_PARIS)
    assert row.has_post and asked(row) == {("no_channel", "email")}
    assert "postal address is there" in row.problems[0].reason and "by post" in row.problems[0].remedy


@pytest.mark.parametrize(("email", "kind"), [("   ", "no_channel"), ("n/a", "no_channel"), ("none@none", "no_channel"),
                                             ("test@example.com", "address"), ("NoReply@example.org", "address")])  # fmt: skip
def test_29_what_is_written_where_there_is_no_address_is_asked_and_never_written_to(email: str, kind: str) -> None:
    row = read(email=email)
    assert asked(row) == {(kind, "email")} and row.fields.emails == ()


@pytest.mark.parametrize("email", ["a@b.co,c@d.co", "a@b.co;c@d.co", "Name <a@b.co>, x@y.z", "a@b.co c@d.co"])
def test_30_two_addresses_in_one_field_may_be_two_people(email: str) -> None:
    assert "two addresses" in refused(read(email=email), "email").reason


def test_30_two_addresses_of_one_name_are_one_person_who_is_asked() -> None:
    assert asked(read(email="anna@example.org;anna@example.com")) == {("address", "email")}


@pytest.mark.parametrize("column", ["email", "full_name", "given_name", "customer_number", "language", "stated_country", "city"])
@pytest.mark.parametrize("text", ["anna@example.org\r\nBcc: spy@example.net", "Anna\nBcc: spy@example.net", "Anna\rSubject: x"])
def test_31_a_line_break_that_could_become_a_header_refuses_the_row(column: str, text: str) -> None:
    assert "line break" in refused(read(**{column: text}), column).reason


@pytest.mark.parametrize("email", ["a@b.co%0aBcc:x@y.example", "a@b.co%0D%0ABcc:x@y.example", "a%0a@b.co"])
def test_32_a_line_break_in_disguise_refuses_the_row(email: str) -> None:
    assert "control" in refused(read(email=email), "email").reason


def test_33_a_nul_in_a_name_refuses_the_row() -> None:
    refused(read(full_name="Anna\0Berg"), "full_name")


@pytest.mark.parametrize(
    "email",
    ['"a b"@x.example', '"a\\"@b"@x.example', "a(home)@x.example", "a@[127.0.0.1]", "a@[IPv6:::1]", "a@localhost", "a@internal.corp",
     "a@127.0.0.1", "a@mail.internal", "a@printer.local", "a@nas.lan"],
)  # fmt: skip
def test_34_an_address_that_leads_inside_is_asked_and_no_host_is_looked_up(email: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked_up(*_: object, **__: object) -> None:
        raise AssertionError("a host was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    assert asked(read(email=email)) == {("address", "email")}


def test_35_a_domain_in_other_letters_is_written_for_the_wire_and_kept_as_given() -> None:
    row = read(email="anna@bücher.example")
    assert asked(row) == set() and row.fields.emails == ("anna@xn--bcher-kva.example",)
    assert dict(row.fields.evidence)["email"] == "anna@bücher.example"


@pytest.mark.parametrize("email", ["用户@例子.广告", "anna@pаypal.example", "аnna@example.org"])
def test_35_letters_that_cannot_be_carried_or_look_like_others_are_asked(email: str) -> None:
    assert asked(read(email=email)) == {("address", "email")}


@pytest.mark.parametrize("email", ["a@" + "b" * 318, "a" * 65 + "@example.org", "a" * 60 + "@" + "b." * 95 + "exam"])
def test_36_an_address_longer_than_any_can_be_refuses_the_row(email: str) -> None:
    assert len(email) > 254 or len(email.split("@", maxsplit=1)[0]) > 64
    assert "longer than" in refused(read(email=email), "email").reason


def test_36_an_address_of_the_full_length_is_used() -> None:
    email = "a" * 64 + "@" + ".".join(["b" * 61] * 3) + ".ex"
    assert len(email) == 253 and asked(read(email=email)) == set()


@pytest.mark.parametrize("email", ["anna@example.org.", "anna..b@example.org", "anna@example..org", "anna@-example.org",
                                   "an\u200bna@example.org", "an\u00adna@example.org", ".anna@example.org"])  # fmt: skip
def test_37_a_slip_of_the_pen_in_an_address_is_asked_and_kept_as_given(email: str) -> None:
    row = read(email=email)
    assert asked(row) == {("address", "email")} and dict(row.fields.evidence)["email"] == email


def test_38_capitals_tags_and_dots_are_kept_and_only_capitals_are_compared_away() -> None:
    given = ["Anna@example.org", "anna@example.org", "an.na@example.org", "anna+shop@example.org"]
    rows = [read(email=email) for email in given]
    assert [row.fields.emails for row in rows] == [(email,) for email in given]
    assert len({match_values(row.fields)["email"] for row in rows}) == 3


def test_39_two_people_with_one_address_stay_two(bring: Importer, incident: Incident) -> None:
    shared = "family@example.org"
    bring(
        {**CLAIRE, "email": shared}, {**CLAIRE, "person_id": "b", "customer_number": "C7", "full_name": "Bo Li", "email": shared}
    )
    assert incident.people.filter(has_email=True, status="clear").count() == 2


def test_40_one_person_in_three_rows_with_three_addresses_is_one_with_three(bring: Importer, incident: Incident) -> None:
    addresses = ("claire@example.org", "claire@example.com", "claire@example.net")
    bring(*({**CLAIRE, "email": email} for email in addresses))
    found = incident.people.exclude(status="merged").get()
    assert Vault(incident=incident).open(person=found).emails == addresses


# -- names ---------------------------------------------------------------------------------------------------------

LITERAL = [
    "A", "x" * 500, "O'Brien", "Robert'); DROP TABLE people;--", "<script>alert(1)</script>", '{% include "x" %}',
    "[[secret]]", "%s%n", "=HYPERLINK(\"x\")", "=cmd|' /C calc'!A0", "Mr Anna Null", "Nana", "J.-P. Nil-Test", "Mary - Ann",
    "محمد بن علي", "שרה לוי", "สมชาย", "👩‍👩‍👧 Berg", "Z" + "\u0301" * 200, "I\u0307brahim ışık",
]  # fmt: skip


@pytest.mark.parametrize("name", LITERAL, ids=range(len(LITERAL)))
def test_42_to_44_a_name_is_literal_text_whatever_it_holds(name: str) -> None:
    row = read(full_name=name)
    assert asked(row) == set() and row.fields.full_name == name
    assert PersonFields.decode(row.fields.encode()).full_name == name


@pytest.mark.parametrize("name", ["", "   ", "\u202e\u2066", "\u200b", "x" * 501])
def test_42_no_name_or_one_of_a_whole_page_is_asked(name: str) -> None:
    assert asked(read(full_name=name)) == {("data", "full_name")}


NO_NAMES = [
    "#REF!", "#N/A", "#DIV/0!", "N/A", "n/a N/A", "Anna N/A", "#NAME? Berg", "NULL", "null Null", "unknown", "-", ".", "12345",
    "Mr", "Mr. N/A", "TRUE", "Guest", "anna@example.org", "Visit http://evil.example now", "www.evil.example", "${jndi:ldap://x}",
    "-2+3", "{{7*7}}", "@SUM(A1)", '"=1"', "+1", "＝1+1",
]  # fmt: skip


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_filler_an_error_of_a_spreadsheet_a_number_or_a_link_is_asked_before_a_letter_begins_with_it(name: str) -> None:
    row = read(full_name=name)
    assert asked(row) == {("data", "full_name")} and row.fields.full_name == name
    assert match_values(replace(row.fields, date_of_birth="1980-01-02"))["name_birth"] == ""


@pytest.mark.parametrize("number", ["#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#N/A", "TRUE", "GUEST"])
def test_an_error_of_a_spreadsheet_is_nobodys_customer_number(number: str) -> None:
    assert match_values(read(customer_number=number).fields)["customer"] == ""


@pytest.mark.parametrize("unseen", ["\u202e", "\u2066", "\u200b", "\u200f", "\u2060", "\ufeff"])
def test_43_an_unseen_character_in_a_name_is_asked_and_never_in_a_letter(unseen: str) -> None:
    row = read(full_name=f"Anna {unseen}Berg")
    assert asked(row) == {("data", "full_name")} and "unseen" in row.problems[0].reason and row.problems[0].remedy
    assert clean_value(value=row.fields.full_name) == "Anna Berg"


@pytest.mark.parametrize("name", ["علی\u200cرضا", "क्\u200dष", "Zoë O'Brien", "李 小龍", "Å\u030angström"])
def test_43_joiners_that_a_script_needs_are_not_asked(name: str) -> None:
    assert asked(read(full_name=name)) == set()


def test_43_an_unseen_character_in_the_name_of_a_representative_is_asked_and_names_nobody() -> None:
    row = read(representative_role="guardian", representative_name="Eva\u202e Berg", representative_email="eva@example.org")
    assert asked(row) == {("data", "representative_name")} and row.fields.representative_name == ""


def test_43_characters_that_turn_the_writing_stay_in_the_record_and_out_of_the_letter() -> None:
    row = read(full_name="Anna \u202egreB\u2066")
    assert "\u202e" in row.fields.full_name and mask("\u202eAnna") == "A•••"
    assert clean_value(value=row.fields.full_name) == "Anna greB"


# -- where somebody lives ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("phone", "place"), [("+33 6 12 34 56 78", "FR"), ("+33612345678", "FR"), ("+1 206 555 0100", "US-WA")])
def test_45_a_telephone_number_is_kept_as_given_and_tells_its_place(phone: str, place: str) -> None:
    row = read(phone=phone, stated_country="")
    assert (row.fields.phone, row.place.place, row.place.decided_by, row.confidence) == (phone, place, "phone_prefix", "weak")


def test_46_an_address_of_twelve_lines_is_kept_and_asked() -> None:
    row = read(**{**IN_PARIS, "street": "\r\n".join(f"line {n}" for n in range(12))})
    assert asked(row) == {("data", "street")} and row.fields.street.count("\n") == 11 and not row.has_post


def test_46_an_address_of_a_few_lines_is_an_address() -> None:
    row = read(**{**IN_PARIS, "street": "chez Dubois\n\n 1 rue de l’Exemple \n"})
    assert asked(row) == set() and row.fields.street == "chez Dubois\n1 rue de l’Exemple" and row.has_post


def test_46_without_a_postcode_the_residence_is_sure_and_the_post_is_not() -> None:
    row = read(**{**IN_PARIS, "postcode": ""})
    assert asked(row) == set() and row.place.place == "FR" and not row.has_post


def test_46_a_box_is_written_to_and_says_little_of_where_its_holder_lives() -> None:
    row = read(stated_country="US", street="PO Box 12", city="Fargo", region="ND", postcode="58102")
    own = read(stated_country="US", street="12 Elm", city="Fargo", region="ND", postcode="58102")
    assert row.has_post and (row.place.place, row.confidence, own.confidence) == ("US-ND", "good", "certain")


@pytest.mark.parametrize(
    ("cells", "place", "kind", "possible"),
    [
        ({"stated_country": "GB", "postcode": "BFPO 61"}, "GB", "", ()),
        ({"stated_country": "", "postcode": "BFPO 61"}, "ZZ", "residence_unknown", ("GB",)),
        ({"stated_country": "DE", "postcode": "BFPO 40"}, "DE", "residence_conflict", ("DE", "GB")),
        ({"stated_country": "JE", "postcode": "JE2 3AB"}, "JE", "", ()),
        ({"stated_country": "GB", "postcode": "JE2 3AB"}, "GB", "residence_conflict", ("GB", "JE")),
        ({"stated_country": "GB", "postcode": "IM1 1AA"}, "GB", "residence_conflict", ("GB", "IM")),
        ({"stated_country": "Jersey"}, "ZZ", "residence_unknown", ("JE", "US-NJ")),
        ({"stated_country": "Northern Cyprus"}, "ZZ", "residence_unknown", ("CY",)),
        ({"stated_country": "TR", "postcode": "99010"}, "TR", "residence_conflict", ("TR", "CY")),
        ({"stated_country": "UK"}, "ZZ", "residence_unknown", ("GB",)),
        ({"stated_country": "GB"}, "GB", "", ()),
        ({"stated_country": "England"}, "ZZ", "residence_unknown", ("GB",)),
        ({"stated_country": "Schottland"}, "ZZ", "residence_unknown", ("GB",)),
        ({"stated_country": "USA"}, "US", "state_unknown", ()),
        ({"stated_country": "America"}, "ZZ", "residence_unknown", ("US",)),
        ({"stated_country": "Georgia"}, "ZZ", "residence_unknown", ("US-GA", "GE")),
        ({"stated_country": "US", "region": "Georgia"}, "US-GA", "", ()),
        ({"stated_country": "GE"}, "GE", "", ()),
        ({"stated_country": "XX"}, "ZZ", "residence_unknown", ()),
        ({"stated_country": "", "ip_country": "DE"}, "ZZ", "residence_unknown", ("DE",)),
        ({"stated_country": ""}, "ZZ", "residence_unknown", ()),
        ({"stated_country": "Kosovo"}, "ZZ", "residence_unknown", ("XK",)),
        ({"stated_country": "US", "region": "AE", "city": "APO", "postcode": "09012"}, "US", "state_unknown", ()),
        ({"stated_country": "US", "city": "FPO", "loyalty_home_store": "US-CA x"}, "US", "state_unknown", ("US-CA",)),
        ({"stated_country": "PR"}, "US-PR", "", ()),
        ({"stated_country": "US", "postcode": "00901"}, "US-PR", "", ()),
        ({"stated_country": "US", "postcode": "96910"}, "US-GU", "", ()),
        ({"stated_country": "HK"}, "HK", "", ()),
        ({"stated_country": "CN", "postcode": "999078"}, "CN", "residence_conflict", ("CN", "MO")),
    ],
)  # fmt: skip
def test_46_a_place_is_certain_or_asked_with_what_it_may_be(
    cells: dict[str, str], place: str, kind: str, possible: tuple[str, ...]
) -> None:
    row = read(**cells)
    assert row.place.place == place and {found for found, _ in asked(row)} == ({kind} if kind else set())
    assert row.place.possible == possible


def test_46_a_person_without_evidence_is_asked_with_a_default_that_nobody_takes_silently() -> None:
    remedies = [read(stated_country="", **cells).problems[0].remedy for cells in ({}, {"ip_country": "DE"})]
    assert remedies[0].startswith("suggested: FR, by the seat of the sender alone; ")
    assert remedies[1].startswith("suggested: DE, by the IP address alone; ")


def test_47_evidence_that_disagrees_shows_every_law_that_might_apply_and_decides_for_none() -> None:
    row = read(stated_country="FR", region="CA", postcode="SW1A 1AA", email="anna@example.de")
    assert asked(row) == {("residence_conflict", "stated_country")} and row.confidence == "none"
    assert row.place.possible == ("FR", "GB", "US-CA", "DE")
    told = told_by({"stated_country": "FR", "region": "CA", "postcode": "SW1A 1AA", "email": "anna@example.de"})
    assert told == [("stated_country", ("FR",)), ("region", ("US-CA",)), ("postcode", ("GB",)), ("email", ("DE",))]


def test_47_words_that_name_no_place_are_told_as_such_and_unclear_ones_with_what_they_may_mean() -> None:
    told = dict(told_by({"stated_country": "Atlantis", "billing_country": "UK", "ip_country": "FR"}))
    assert told.pop("billing_country")[0] == "GB"
    assert told == {"stated_country": (), "ip_country": ("FR",)}


def test_46_a_postcode_of_the_faroes_beside_denmark_is_asked_with_the_faroes() -> None:
    row = read(stated_country="DK", street="Tórsgøta 1", city="Havn", postcode="100")
    assert asked(row) == {("data", "postcode")} and (row.place.place, row.place.possible) == ("DK", ())
    assert row.problems[0].remedy == "is FO meant? put the zero back, or check the country"


@pytest.mark.parametrize(("code", "said"), [("1234", "one digit short"), ("ABC", "no postcode of this country")])
def test_46_a_postcode_that_is_none_of_the_country_is_asked_and_nothing_is_posted(code: str, said: str) -> None:
    row = read(**{**IN_PARIS, "postcode": code})
    assert asked(row) == {("data", "postcode")} and said in row.problems[0].reason and not row.has_post
    assert row.place.place == "FR" and row.fields.postcode == code


# -- what is special about a person --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "kind"),
    [("minor_under_16", "guardian"), ("minor_16_17", "guardian"), ("under_guardianship", "guardian"), ("deceased", "next_of_kin"),
     ("delay_order", "delay_order"), ("police_hold", "delay_order"), ("safe_address", "safe_address"), ("moved", ""), ("employee", ""),
     ("opted_out", ""), ("erasure_pending", "")],
)  # fmt: skip
def test_48_each_special_case_has_a_flag_of_its_own_and_is_asked_where_it_matters(flag: str, kind: str) -> None:
    row = read(flags=flag)
    assert len(row.flags) == 1 and asked(row) == ({(kind, "flags")} if kind else set())


@pytest.mark.parametrize(("flag", "has_post"), [("moved", False), ("safe_address", False), ("employee", True)])
def test_48_nothing_is_posted_to_an_old_address_or_a_protected_one(flag: str, has_post: bool) -> None:
    assert read(flags=flag, **IN_PARIS).has_post is has_post


#: No day, two days, or a day in another zone.
NO_ONE_DAY = ["02-03-1980", "1980-13-02", "29.02.1981", "1980-02-29 22:00:00", "02-03-80", "29-Feb-80", "29-Fev-1980", "19800230"]
ONE_DAY = [
    "1980-02-29", "1980/02/29", "1980.2.29", "19800229", "1980-02-29 00:00:00", "1980-02-29T00:00:00", "1980-02-29 00:00:00.000",
    "1980-02-29T00:00:00Z", "29-Feb-1980", "29 February 1980", "29. feb. 1980", "Feb 29, 1980", "February 29th 1980", "29.02.1980",
    "29/2/1980", "02/29/1980", "29.02.1980 00:00:00",
]  # fmt: skip


@pytest.mark.parametrize("born", ONE_DAY)
def test_49_a_birth_date_that_means_one_day_is_read_however_it_is_written_and_matched_as_that_day(born: str) -> None:
    row = read(date_of_birth=born)
    assert asked(row) == set() and row.fields.date_of_birth == born
    assert match_values(row.fields)["name_birth"].endswith("|1980-02-29")


@pytest.mark.parametrize("born", ["1900-01-01", "2030-01-01", "2001-02-29", "02/03/1980", "2001-W01-1", *NO_ONE_DAY])
def test_49_a_birth_date_that_cannot_be_or_can_be_read_twice_is_asked(born: str) -> None:
    row = read(date_of_birth=born)
    assert asked(row) == {("data", "date_of_birth")} and row.fields.date_of_birth == born and row.flags == ()


@pytest.mark.parametrize(
    ("born", "why"),
    [("12/05/1980", "may mean two days"), ("02-03-80", "its year has two digits"), ("31.02.1980", "not a plausible date of birth"),
     ("02/03/2030", "not a plausible date of birth")],
)  # fmt: skip
def test_49_the_question_says_whether_a_birth_date_cannot_be_or_may_be_several(born: str, why: str) -> None:
    assert why in read(date_of_birth=born).problems[0].reason


@pytest.mark.parametrize(
    ("born", "flag"),
    [
        ("2009-05-22", "minor_under_16"),
        ("2009-05-21", "minor_16_17"),
        ("2007-05-22", "minor_16_17"),
        ("2007-05-21", ""),
        ("1960-01-01", ""),
    ],
)
def test_49_somebody_under_age_when_it_became_known_is_asked_for_a_guardian_without_any_flag(born: str, flag: str) -> None:
    row = read(date_of_birth=born)
    assert row.flags == ((flag,) if flag else ()) and asked(row) == ({("guardian", "date_of_birth")} if flag else set())


@pytest.mark.parametrize(
    ("born", "flag"),
    [("02/03/2015", "minor_under_16"), ("02-03-2010", "minor_under_16"), ("02/03/2008", "minor_16_17"),
     ("01/06/2009", "minor_under_16"), ("04/06/2007", "minor_16_17"), ("02/03/15", "minor_under_16"), ("03-03-15", "minor_under_16"),
     ("02/03/2007", ""), ("02/03/80", ""), ("02/03/2030", "")],
)  # fmt: skip
def test_49_a_birth_date_that_can_be_read_twice_counts_by_the_youngest_age_and_is_asked_all_the_same(
    born: str, flag: str
) -> None:
    row = read(date_of_birth=born)
    assert row.flags == ((flag,) if flag else ()) and row.fields.date_of_birth == born
    assert asked(row) == {("data", "date_of_birth")} | ({("guardian", "date_of_birth")} if flag else set())
    assert not match_values(row.fields)["name_birth"]


def test_49_the_question_says_where_one_reading_of_a_birth_date_makes_a_minor_and_another_does_not() -> None:
    both, one = (read(date_of_birth=born).problems[0].reason for born in ("02/03/2015", "04/06/2007"))
    assert both.startswith("a date of birth that may mean two days") and "the youngest age counts, that of a minor" in one


@pytest.mark.parametrize(
    ("language", "letter", "rule"),
    [("", "fr", "official language of FR"), ("fr-CA", "fr", "stated"), ("zh-Hant", "fr", "official language of FR"),
     ("xx", "fr", "official language of FR"), ("en; DROP", "fr", "official language of FR")],
)  # fmt: skip
def test_50_a_language_that_no_letter_has_falls_back_by_a_rule_that_is_stated(language: str, letter: str, rule: str) -> None:
    row = read(language=language)
    choice = choose_language(wanted=row.language, residence=row.place.place, available=frozenset({"en", "fr", "de"}))
    assert asked(row) == set() and choice.language == letter and rule in choice.rule


@pytest.mark.parametrize(
    "elements", ["", ";", "shoe_size", "name;passport_or_government_id", "password_valid_at_attack", "name;ssn"]
)
def test_51_elements_that_are_missing_unknown_or_of_another_country_are_asked(elements: str) -> None:
    row = read(elements=elements)
    assert {found for found, _ in asked(row)} == {"data"} and {"name", "email"} <= set(row.elements)


def test_51_a_number_of_ones_own_country_is_not_asked() -> None:
    assert asked(read(stated_country="PR", elements="name;ssn")) == set()


def test_52_who_must_not_be_contacted_still_has_the_notice_due_by_another_way() -> None:
    row = read(flags="do_not_contact")
    assert asked(row) == {("do_not_contact", "flags")} and "still due" in row.problems[0].reason


# -- who reads in a person's place ---------------------------------------------------------------------------------

GUARDIAN = {"representative_role": "guardian", "representative_name": "Ida Berg", "representative_email": "ida@example.org"}


@pytest.mark.parametrize(
    ("cells", "found", "kept"),
    [
        ({}, set(), "ida@example.org"),
        ({"representative_role": "Attorney"}, set(), "ida@example.org"),
        ({"representative_email": ""}, {("guardian", "flags")}, ""),
        ({"representative_email": "ida@"}, {("guardian", "flags"), ("data", "representative_email")}, ""),
        ({"representative_name": ""}, {("guardian", "flags"), ("data", "representative_name")}, ""),
        ({"representative_role": "friend"}, {("guardian", "flags"), ("data", "representative_role")}, ""),
        ({"representative_role": "next_of_kin"}, {("guardian", "flags")}, "ida@example.org"),
    ],
)
def test_48_a_guardian_on_the_list_answers_the_question_only_when_they_can_be_written_to(
    cells: dict[str, str], found: set[tuple[str, str]], kept: str
) -> None:
    row = read(flags="minor_under_16", **{**GUARDIAN, **cells})
    assert asked(row) == found and row.fields.representative_email == kept


def test_48_the_next_of_kin_on_the_list_answers_for_the_deceased() -> None:
    assert asked(read(flags="deceased", **{**GUARDIAN, "representative_role": "next of kin"})) == set()
    assert asked(read(flags="deceased", **{**GUARDIAN, "representative_role": "attorney"})) == set()
    assert asked(read(flags="deceased", **GUARDIAN)) == {("next_of_kin", "flags")}


def test_48_a_child_without_an_address_is_written_to_at_the_guardians() -> None:
    assert asked(read(flags="minor_under_16", email="", **GUARDIAN)) == set()
    assert asked(read(flags="minor_under_16", email="n/a", **{**GUARDIAN, "representative_email": "n/a"})) == {
        ("guardian", "flags"), ("no_channel", "email"),
    }  # fmt: skip
