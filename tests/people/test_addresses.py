"""An address is used as it was given, or not at all; the reason never repeats it, because reasons are shown and logged."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.people.addresses import (
    AddressProblem,
    check_address,
    check_fully,
    placeholder_problem,
)
from incidents.people.compared import normal_address, normal_name, normal_names

LONG_LOCAL = "a" * 65 + "@example.org"
LONG_WHOLE = "a" * 64 + "@" + ".".join(["b" * 60] * 4) + ".example"


def problem_of(raw: str) -> AddressProblem:
    ready, problem = check_address(raw)
    assert ready == "" and problem is not None
    return problem


@pytest.mark.parametrize(
    "address",
    [
        "claire@example.org",
        "Claire.DUBOIS@example.org",
        "first.last+jewels@example.org",
        "o'brien@example.org",
        "g.m.a.i.l@example.com",
        "a@b.co",
        "a" * 64 + "@example.org",
        "123@456.example",
        "under_score-hyphen@sub.sub.example.org",
        "x@bounce.test",
    ],
)
def test_a_good_address_stays_as_it_was_given(address: str) -> None:
    assert check_address(address) == (address, None)


@pytest.mark.parametrize(
    ("raw", "ready"),
    [
        ("  claire@example.org ", "claire@example.org"),
        ("Claire@EXAMPLE.Org", "Claire@example.org"),
        ("user@bücher.example", "user@xn--bcher-kva.example"),
        ("user@例子.广告", "user@xn--fsqu00a.xn--4rr70v"),
    ],
)
def test_only_the_domain_is_written_for_the_wire(raw: str, ready: str) -> None:
    assert check_address(raw) == (ready, None)


@pytest.mark.parametrize("raw", ["", "   ", "n/a", "N/A", "none", "NULL", "-", "unknown", "none@none", "No email"])
def test_a_placeholder_is_no_address_and_no_mistake(raw: str) -> None:
    assert check_address(raw) == ("", None)


@pytest.mark.parametrize(
    "raw",
    [
        "claire@example.org\r\nBcc: spy@example.net",
        "claire@example.org\nBcc:spy@example.net",
        "claire\t@example.org",
        "claire@example.org%0aBcc:spy@example.net",
        "claire@example.org%0D%0ABcc:spy@example.net",
        "cla\0ire@example.org",
        "\u202eclaire@example.org",
        "claire\x7f@example.org",
    ],
    ids=lambda raw: re.sub(r"[^a-z@.%0-9]", "_", str(raw), flags=re.IGNORECASE),
)
def test_what_could_become_a_header_is_called_refused(raw: str) -> None:
    problem = problem_of(raw)
    assert problem.refused and "claire" not in problem.reason


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("claire@example.org,claire@example.com", "two addresses"),
        ("cla\u200bire@example.org", "invisible"),
        ("cla\u00adire@example.org", "invisible"),
        ("claire@exam\u2060ple.org", "invisible"),
        ("\ufeffclaire@example.org", "invisible"),
        ("claire@printer.corp", "cannot be reached from outside"),
        ("Claire <claire@example.org>", "comma, semicolon, bracket or space"),
        ('"claire d"@example.org', "comma, semicolon, bracket or space"),
        ("claire@example.org\u2028x", "comma, semicolon, bracket or space"),
        ("claire", "not an e-mail address"),
        ("claire@", "not an e-mail address"),
        ("@example.org", "not an e-mail address"),
        ("claire@@example.org", "not an e-mail address"),
        ("claire@carl@example.org", "not an e-mail address"),
        ("claire..d@example.org", "not an e-mail address"),
        (".claire@example.org", "not an e-mail address"),
        ("claire.@example.org", "not an e-mail address"),
        ("claire@example.org.", "not an e-mail address"),
        ("claire@example..org", "not an e-mail address"),
        ("claire@-example.org", "not an e-mail address"),
        ("claire@example-.org", "not an e-mail address"),
        ("claire@exa_mple.org", "not an e-mail address"),
        ("claire@[127.0.0.1]", "not an e-mail address"),
        ("claire@[IPv6:::1]", "not an e-mail address"),
        ("claire(home)@example.org", "not an e-mail address"),
        ('"cl\\"@aire"@example.org', "not an e-mail address"),
        ("claire@127.0.0.1", "cannot be reached from outside"),
        ("claire@localhost", "special-use"),
        ("claire@example", "cannot be reached from outside"),
        ("claire@mail.internal", "cannot be reached from outside"),
        ("claire@printer.local", "special-use"),
        ("用户@例子.广告", "outside ASCII"),
        ("as\u212aelvin@example.com", "outside ASCII"),
        ("claire@pаypal.example", "look-alike alphabets"),
        ("claire@exαmple.org", "look-alike alphabets"),
    ],
)
def test_a_bad_address_has_a_reason_and_a_remedy_that_do_not_quote_it(raw: str, reason: str) -> None:
    problem = problem_of(raw)
    assert reason in problem.reason and problem.remedy and not problem.refused
    shown = f"{problem.reason} {problem.remedy}"
    assert not any(part in shown for part in ("claire", "carl", "aire", "example", "127.0", "paypal")), shown
    assert len(problem.reason) <= 200


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("claire@example.org,carl@example.com", "two addresses"),
        ("claire@example.org;carl@example.com", "two addresses"),
        ("claire@example.org carl@example.com", "two addresses"),
        ("Claire <claire@example.org>, carl@example.com", "two addresses"),
        (LONG_WHOLE + "x" * 80, "longer than 254"),
        ("claire@" + "b" * 313, "longer than 254"),
        (LONG_LOCAL, "64 before the @"),
    ],
)
def test_an_address_of_two_people_or_of_no_possible_length_refuses_its_row(raw: str, reason: str) -> None:
    problem = problem_of(raw)
    assert reason in problem.reason and problem.refused and "claire" not in problem.reason + problem.remedy


@pytest.mark.parametrize("local", ["test", "TEST", "no-reply", "none", "n.a", "dummy"])
def test_an_address_that_somebody_typed_to_get_past_a_form_is_asked(local: str) -> None:
    ready, problem = check_address(f"{local}@example.com")
    assert problem is None and placeholder_problem(address=ready) is not None


@pytest.mark.parametrize("local", ["claire", "testa", "anna.none", "info"])
def test_an_address_with_another_name_is_no_placeholder(local: str) -> None:
    assert placeholder_problem(address=f"{local}@example.com") is None


SIGNS = st.sampled_from([*"abzAZ09.-_+'!#%&*/=?^`{|}~$@ ,;<>()[]\"\\:", "é", "ü", "\u200b", "\t", "\n", "用", "а"])
LOCALS = st.one_of(
    st.text(SIGNS, max_size=70), st.sampled_from(["claire", "o'brien", "a" * 64, "a" * 65, "", "test", "none", "n/a"])
)
DOMAINS = st.one_of(
    st.text(SIGNS, max_size=40),
    st.sampled_from(["example.org", "EXAMPLE.Org", "example", "localhost", "a.corp", "127.0.0.1", "exa_mple.org", "xn--bcher-kva.de",
                     "bücher.example", "-a.org", "a-.org", "a..org", "a.org.", "[127.0.0.1]", "none", "x.test", "b" * 64 + ".org",
                     ".".join(["b" * 60] * 4) + ".example", ".".join(["b" * 20] * 5) + ".example", "xn--a.org", "a.123", "xn--.org"]),
)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(local=LOCALS, domain=DOMAINS, at=st.sampled_from(["@", "@", "@", "", "@@"]))
def test_the_quick_check_says_to_the_letter_what_the_full_one_says(local: str, domain: str, at: str) -> None:
    raw = f"{local}{at}{domain}"
    assert check_address(raw) == check_fully(raw.strip(" "))


def test_dots_and_plus_tags_are_never_normalised_away_and_capitals_only_to_compare() -> None:
    given = ["Claire@example.org", "claire@example.org", "c.laire@example.org", "claire+x@example.org"]
    assert len({normal_address(address) for address in given}) == 3
    assert check_address(given[0]) == (given[0], None) and normal_address("claire@EXAMPLE.org") == "claire@example.org"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Claire  Dubois", "claire dubois"), ("Ｃlaire Dubois", "Claire Dubois"), ("STRASSE", "straße"), ("e\u0301", "é"),
        ("Carl O'Brien", "Carl O’Brien"), ("Carl O`Brien", "CARL OBRIEN"), ("Jean-Pierre Roy", "Jean Pierre Roy"),
        ("Zoé Léger", "ZOE LEGER"), ("J. R. Ewing", "J R Ewing"), ("Łukasz Żak", "Lukasz Zak"), ("Søren Æbel", "Soren Aebel"),
        ("IŞIK", "ışık"), ("Γιώργος", "ΓΙΩΡΓΟΣ"), ("Артём", "Артем"), ("Nguyễn Thị Hoà", "Nguyen Thi Hoa"), ("x\u030c", "x"),
    ],
)  # fmt: skip
def test_names_are_compared_without_case_width_spacing_accents_apostrophes_and_hyphens(one: str, other: str) -> None:
    assert normal_name(one) == normal_name(other)
    assert normal_names([one, "Anna", other, ""]) == [normal_name(one), "anna", normal_name(one), ""]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Claire Dubois", "Clara Dubois"), ("Müller", "Mueller"), ("がき", "かき"), ("Андрей", "Андреи"), ("कि", "क"), ("น้ำ", "นำ"),
        ("한", "하"), ("René", "Renée"), ("'", "-"),
    ],
)  # fmt: skip
def test_different_names_stay_different(one: str, other: str) -> None:
    assert normal_name(one) != normal_name(other)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.text(st.sampled_from("aZé'’-. \u0301\u3099かйİſΣ\u00a0ß한"), max_size=6), max_size=5))
def test_names_are_compared_alike_one_by_one_and_in_a_block(names: list[str]) -> None:
    assert normal_names(names) == [normal_name(name) for name in names]
