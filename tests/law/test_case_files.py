"""Case files are read strictly: what is malformed says where, why and what to write; what fails says what came instead."""

import re
import time
from pathlib import Path

import pytest

from incidents.law.cases import CaseFileError, CaseReport, run_case_files
from incidents.law.pack import load_packs

GOOD = """\
meta: {whatever: 1}
cases:
  - name: A sentence
    incident: {aware_at: 2026-03-02T10:00+01:00, findings: {risk: risk}}
    people:
      - {residence: GB, elements: [name], count: 5}
    expect:
      GB: {regulator: {owed: yes}}
"""


def run(tmp_path: Path, text: str) -> CaseReport:
    path = tmp_path / "case.yaml"
    path.write_text(text, encoding="utf-8")
    return run_case_files(paths=[path], packs=load_packs())


def refused(tmp_path: Path, text: str) -> CaseFileError:
    with pytest.raises(CaseFileError) as caught:
        run(tmp_path, text)
    return caught.value


def test_a_good_file_passes_and_other_top_level_keys_are_ignored(tmp_path: Path) -> None:
    assert run(tmp_path, GOOD).lines == ["1 passed, 0 failed"]


def test_a_failure_is_one_line_with_all_that_one_needs(tmp_path: Path) -> None:
    report = run(tmp_path, GOOD.replace("owed: yes", "owed: no, by: 2026-03-09"))
    assert report.exit_code == 1
    assert report.lines == [
        "A sentence: GB regulator: expected owed no, got yes [UK GDPR, Art 33]; "
        "GB regulator: expected by 2026-03-09, got 2026-03-05T09:00+00:00 [UK GDPR, Art 33]",
        "0 passed, 1 failed",
    ]
    assert report.as_dict()["failures"][0]["differences"][0]["got"] == "yes"


@pytest.mark.parametrize(
    ("was", "becomes", "line", "key", "says"),
    [
        ("aware_at: 2026-03-02T10:00+01:00", "aware_at: 2026-03-02T10:00", 4, "aware_at", "offset"),
        ("aware_at: 2026-03-02T10:00+01:00", "aware_at: 2026-03-02T10:00:00", 4, "aware_at", "offset"),
        ("aware_at: 2026-03-02T10:00+01:00", "aware_at: 2026-13-02", 4, "aware_at", "ISO 8601"),
        ("aware_at:", "awar_at:", 4, "awar_at", "not a key of incident"),
        ("risk: risk", "risk: medium", 4, "risk", "is not one of"),
        ("risk: risk", "danger: high", 4, "danger", "not a key of findings"),
        ("residence: GB", "residence: NO", 6, "residence", "'NO'"),
        ("count: 5", "count: many", 6, "count", "whole number"),
        ("count: 5", "count: -1", 6, "count", "whole number"),
        ("elements: [name]", "elements: name", 6, "elements", "list"),
        ("GB: {", "NO: {", 8, "NO", "quotes: 'NO'"),
        ("owed: yes", "owed: perhaps", 8, "owed", "is not one of"),
        ("owed: yes", "owned: yes", 8, "owned", "not a key of an expectation"),
        ("owed: yes", "by: [2026-03-01]", 8, "by", "[earliest, latest]"),
        ("regulator:", "regulators:", 8, "regulators", "not a key of the expectations of GB"),
        ("    expect:\n", "    expect: {}\n    expect:\n", 8, "expect", "written twice"),
        ("    incident:", "    name: Again\n    incident:", 4, "name", "written twice"),
        ("  - name: A sentence\n    incident", "  - incident", 3, "name", "missing"),
        ("cases:", "case:", 1, "cases", "list named cases"),
        ("expect:\n", "expect: [\n", 8, "YAML", "while parsing|did not find|expected|mapping"),
    ],
)
def test_a_malformed_file_names_line_key_and_remedy(
    tmp_path: Path, was: str, becomes: str, line: int, key: str, says: str
) -> None:
    assert was in GOOD
    error = refused(tmp_path, GOOD.replace(was, becomes, 1))
    assert error.file.endswith("case.yaml")
    assert (error.key, any(part in error.problem for part in says.split("|"))) == (key, True), str(error)
    assert key == "YAML" or error.line == line, str(error)


def test_a_missing_file_is_malformed_too(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match="cannot be read"):
        run_case_files(paths=[tmp_path / "none.yaml"], packs=load_packs())


def test_yes_and_no_are_words_and_an_absent_establishment_is_not_null(tmp_path: Path) -> None:
    text = GOOD.replace("findings: {risk: risk}", "based_in: FR, findings: {risk: risk, misuse_likely: no}")
    assert run(tmp_path, text.replace("expect:", "expect:\n      lead_authority: FR")).exit_code == 0
    null = text.replace("based_in: FR", "based_in: FR, established_in: null")
    assert run(tmp_path, null.replace("expect:", "expect:\n      lead_authority: null")).exit_code == 0


# -- whatever is written wrongly -----------------------------------------------------------------------------------

FULL = """\
cases:
  - name: A sentence
    incident:
      aware_at: 2026-03-02T10:00+01:00
      filed_at: {FR: 2026-03-03}
      based_in: FR
      established_in: FR
      sector: retail
      role: controller
      cause: attack
      encrypted: false
      findings: {risk: risk, misuse_likely: no, answers: {x: yes}}
    people:
      - residence: GB
        elements: [name]
        maybe: [ssn]
        count: 5
        minors: false
    expect:
      lead_authority: FR
      record: true
      GB:
        regulator:
          owed: yes
          by: 2026-03-05T09:00Z
          second_by: [2026-03-05, 2026-03-06]
          relative: before_individuals
          to: [Information Commissioner]
          monitoring_months: 0
          no_fixed_date: false
          must_state: [nature]
          because: Art 33
"""
ONE_LINE = re.compile(r".*case\.yaml:(\d+): ([^\n:]+): ([^\n]+); ([^\n]+)")
#: What no key of a case takes; where one is right after all, the table below leaves it out.
NEVER = [
    ".nan", ".inf", "9" * 5000, "010", "1:30", "+5", "!!int x", "!!binary eA==", "!!set {a}", "!thing x", "&a [*a]", "*a",
    "[[[[]]]]", "{a: {b: c}}", "[true]", "[null]", "[1]", "{", "[", "'", "@", "%", "\t- x", "a: b: c", "'a'b", "<<",
]  # fmt: skip
KEYS = [
    "aware_at", "filed_at", "based_in", "established_in", "sector", "role", "cause", "encrypted", "findings", "residence",
    "elements", "maybe", "count", "minors", "lead_authority", "record", "owed", "by", "second_by", "relative", "to",
    "monitoring_months", "no_fixed_date", "must_state", "because", "name",
]  # fmt: skip


def written(key: str, value: str) -> tuple[str, int]:
    """FULL with another value of one key, and the key's line."""
    found = re.search(rf"^( +(?:- )?){key}: .*$|^( +(?:- )?){key}:$", FULL, re.MULTILINE)
    assert found
    return FULL[: found.start()] + f"{found[1] or found[2]}{key}: {value}" + FULL[found.end() :], FULL.count(
        "\n", 0, found.start()
    ) + 1


def test_the_full_case_is_well_formed(tmp_path: Path) -> None:
    assert len(run(tmp_path, FULL).lines) == 2


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", NEVER, ids=lambda value: value[:12])
def test_no_key_takes_what_is_no_value_and_the_message_ends_with_what_to_write(tmp_path: Path, key: str, value: str) -> None:
    if (key, value) == ("name", "<<"):
        return
    text, line = written(key, value)
    said = str(refused(tmp_path, text))
    found = ONE_LINE.fullmatch(said)
    assert found and len(said) < 600, said
    assert int(found[1]) >= line or "anchor" in said


WRONG = [
    ("aware_at", "2026-03-02T10:00", "has no offset; add it, such as +02:00, or Z for UTC"),
    (
        "aware_at",
        "2026-03-02T10:00+20:00",
        "no place has the offset of 2026-03-02T10:00+20:00; write an offset from -12:00 to +14:00",
    ),
    ("aware_at", "2026-03-02T10:00+25:00", "is no ISO 8601 date or timestamp; write 2026-05-11 or"),
    ("aware_at", "2026-02-30", "is no ISO 8601 date or timestamp; write 2026-05-11 or"),
    ("aware_at", "2026-03-02T24:00Z", "is no ISO 8601 date or timestamp; write"),
    ("aware_at", "0001-01-01T00:00+14:00", "cannot be counted with; write a year from 1970 to 2199"),
    ("aware_at", "9999-12-31", "cannot be counted with; write a year from 1970 to 2199"),
    ("aware_at", "2026", "2026 is no ISO 8601 date"),
    ("aware_at", "''", "'' is no ISO 8601 date"),
    ("filed_at", "[FR]", "must be a mapping, not a list; write filed_at: {FR: 2026-05-11}"),
    ("filed_at", "false", "must be a mapping, not false; write filed_at: {FR: 2026-05-11}"),
    ("filed_at", "''", "must be a mapping, not ''; write filed_at: {FR: 2026-05-11}"),
    ("filed_at", "{UK: 2026-03-03}", "there is no law pack of this name; write GB"),
    ("filed_at", "{Oz: 2026-03-03}", "there is no law pack of this name; write the id of a pack"),
    ("based_in", "NO", "false is no text; YAML reads an unquoted NO as false; write it in quotes: 'NO'"),
    ("based_in", "France", "'France' is no code of a country; write two capitals of ISO 3166-1"),
    ("established_in", "EL", "'EL' is no code of a country; write GR"),
    ("established_in", "UK", "'UK' is no code of a country; write GB"),
    ("established_in", "EU", "'EU' is no code of a country; write two capitals"),
    ("established_in", "XX", "'XX' is no code of a country; write two capitals"),
    ("established_in", "fr", "'fr' is no code of a country; write FR"),
    ("established_in", "US-CA", "'US-CA' is no code of a country; write two capitals"),
    ("lead_authority", "Germany", "'Germany' is no code of a country; write two capitals"),
    ("sector", "[retail]", "must be text, not a list; write it in quotes"),
    ("role", "owner", "'owner' is not one of: controller, processor; write one of these"),
    ("role", "{a: b}", "a mapping is not one of: controller, processor; write one of these"),
    ("cause", "aliens", "'aliens' is not one of: attack, error"),
    ("encrypted", "1", "must be true or false, not 1; write true or false, without quotes"),
    ("encrypted", "'true'", "must be true or false, not 'true'; write"),
    ("findings", "{risk: medium}", "'medium' is not one of: high, risk, unknown, unlikely; write one of these"),
    ("findings", "{danger: high}", "not a key of findings; known: answers"),
    ("findings", "{answers: {x: maybe}}", "'maybe' is not one of: no, unknown, yes"),
    ("findings", "[]", "must be a mapping, not a list; write findings: {risk: high}"),
    ("residence", "NO", "false is no text; YAML reads an unquoted NO as false; write it in quotes: 'NO'"),
    ("residence", "''", "is missing; write - {residence: FR"),
    ("residence", "null", "is missing; write - {residence: FR"),
    ("residence", "x" * 61, "is no place; write a code: FR, US-CA, CA-ON"),
    ("residence", '"a\\u0000b"', "is no place; write a code"),
    ("elements", "name", "must be a list of words, not 'name'; write elements: [a, b], or [] for none"),
    ("elements", "", "is missing; write - {residence: FR"),
    ("elements", "false", "must be a list of words, not false; write elements: [a, b]"),
    ("elements", "{}", "must be a list of words, not a mapping; write elements"),
    ("elements", "[name, 1]", "1 in the list of words; write words, in quotes if they look like numbers"),
    ("elements", "[name, NO]", "false in the list of words; YAML reads an unquoted NO as false"),
    ("elements", "[name, '']", "'' in the list of words; write words"),
    ("count", "-1", "must be a whole number, not -1; write digits: 0 or more"),
    ("count", "many", "must be a whole number, not 'many'; write digits"),
    ("count", "1.5", "must be a whole number, not 1.5; write digits"),
    ("count", "true", "must be a whole number, not true; write digits"),
    ("count", "99999999999999999999", "is more than there can be; write at most 10000000000"),
    ("count", "", "is missing; write - {residence: FR"),
    ("minors", "some", "must be true or false, not 'some'"),
    ("owed", "1", "1 is not one of: ask, no, yes; write one of these"),
    ("owed", "perhaps", "'perhaps' is not one of: ask, no, yes"),
    ("owed", "{a: b}", "a mapping is not one of: ask, no, yes"),
    ("by", "[2026-03-01]", "must be a moment or two; write one moment, or [earliest, latest]"),
    ("by", "[2026-03-06, 2026-03-05]", "the first moment lies after the second; write [earliest, latest]"),
    ("by", "null", "nothing is no ISO 8601 date"),
    ("relative", "soon", "'soon' is not one of: before_individuals"),
    ("monitoring_months", "-12", "must be a whole number, not -12; write digits: 0 or more"),
    ("monitoring_months", "99999", "is more than there can be; write at most 1200"),
    ("to", "''", "must be a list of words, not ''; write to: [a, b], or [] for none"),
    ("must_state", "null", "must be a list of words, not nothing; write must_state: [a, b]"),
    ("because", "''", "is empty; write a part of the reference"),
    ("because", "null", "is empty; write a part of the reference"),
    ("because", "[Art 33]", "must be text, not a list; write it in quotes"),
    ("record", "perhaps", "must be true or false, not 'perhaps'"),
    ("name", "''", "must be a sentence; write what must follow, in words"),
    ("name", "[a]", "must be a sentence; write what must follow"),
    ("name", '"a\\u0007b"', "must be a sentence; write what must follow"),
]


@pytest.mark.parametrize(("key", "value", "says"), WRONG)
def test_each_wrong_value_is_named_with_its_line_and_key(tmp_path: Path, key: str, value: str, says: str) -> None:
    text, line = written(key, value)
    error = refused(tmp_path, text)
    assert says in error.problem and error.line == line, str(error)


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ("", 1, "cases", "the file must hold a list named cases; write cases: and below it - name:"),
        ("just words", 1, "cases", "the file must hold a list"),
        ("- a\n- b", 1, "cases", "the file must hold a list"),
        ("cases: []", 1, "cases", "the file must hold a list"),
        ("meta: 1\ncases: {a: b}", 2, "cases", "the file must hold a list"),
        ("cases:\n  - name: x\n    expect: {}", 3, "expect", "is empty, so that nothing would be checked; write FR:"),
        ("cases:\n  - name: x\n    expect: {FR: {}}", 3, "FR", "is empty, so that nothing would be checked; write FR:"),
        ("cases:\n  - name: x\n    expect: {FR: {person: {}}}", 3, "person", "is empty, so that nothing"),
        ("cases:\n  - name: x\n    expect: {FR: yes}", 3, "FR", "must be a mapping, not true; write FR: {person: {owed: yes}}"),
        (
            "cases:\n  - name: x\n    expect: {FR: {people: {owed: yes}}}",
            3,
            "people",
            "not a key of the expectations of FR; known: bureaus",
        ),
        ("cases:\n  - name: x\n    expect: {'': {person: {owed: yes}}}", 3, "''", "is no jurisdiction; write FR:"),
        ("cases:\n  - name: x\n    expects: {}", 3, "expects", "not a key of a case; write expect, if that is meant; known:"),
        ("cases:\n  - expect: {FR: {person: {owed: yes}}}", 2, "name", "is missing; write - name: A sentence"),
        ("cases:\n  - name: x", 2, "expect", "is missing; write - name: A sentence, with expect: below it"),
        (
            "cases:\n  - name: x\n    expect: {FR: {person: {owed: yes}}}\n  - just words",
            4,
            "cases",
            "must be a mapping, not 'just words'",
        ),
        (
            "cases:\n  - name: x\n    people: {residence: FR}\n    expect: {FR: {person: {owed: yes}}}",
            3,
            "people",
            "must be a list of groups",
        ),
        (
            "cases:\n  - name: x\n    people: false\n    expect: {FR: {person: {owed: yes}}}",
            3,
            "people",
            "must be a list of groups; write - {",
        ),
        (
            "cases:\n  - name: x\n    people:\n      - FR\n    expect: {FR: {person: {owed: yes}}}",
            4,
            "people",
            "must be a mapping, not 'FR'",
        ),
        (
            "cases:\n  - name: x\n    incident: []\n    expect: {FR: {person: {owed: yes}}}",
            3,
            "incident",
            "must be a mapping, not a list; write",
        ),
        ("cases:\n  - name: x\n    name: y", 3, "name", "this key is written twice; keep one"),
        ("cases:\n  - 1: x", 2, "1", "a key must be text; write it in quotes"),
        ("cases:\n  - [a]: x", 2, "?", "a key must be text; write it in quotes"),
        ("cases:\n  - yes: x", 2, "yes", "YAML reads an unquoted yes as true; write it in quotes"),
        ("cases:\n\t- name: x", 2, "YAML", "check the indentation, brackets and quotes of this line"),
        ("cases: [\n{name: x\n", 3, "YAML", "while parsing a flow mapping, line 2"),
        ("cases:\n  - &a {name: x}\n  - *a", 3, "YAML", "'*a' refers to another place; write the value out"),
        ("cases: []\n---\ncases: []", 2, "YAML", "another document"),
        ("cases:\n  - {<<: {name: x}}", 2, "cases", "'merge' is not read here; write the value out, without a tag"),
    ],
)
def test_a_file_of_another_shape_says_what_shape_it_must_have(tmp_path: Path, text: str, line: int, key: str, says: str) -> None:
    error = refused(tmp_path, text)
    assert (error.line, error.key) == (line, key) and says in error.problem, str(error)


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (FULL.encode("utf-16"), 1, "this is not UTF-8; save the file as UTF-8"),
        (FULL.encode("utf-16-le"), 1, "a control character (U+0000); remove it, and save the file as UTF-8"),
        (FULL.encode() + "# é".encode("latin-1"), 33, "this is not UTF-8; save the file as UTF-8"),
        (FULL.encode() + b"\n\xff", 34, "this is not UTF-8"),
        (FULL.replace("retail", "re\x00tail").encode(), 8, "a control character (U+0000); remove it"),
        (FULL.replace("retail", "re\x1btail").encode(), 8, "a control character (U+001B); remove it"),
        (b"a: " + b"x" * 10_000_000, 1, "is larger than 1,000,000 bytes; split it into several files"),
        (b"[" * 900_000, 1, "more than 40 deep in one another; flatten them"),
        (b"- " * 400_000, 1, "more than 40 deep"),
        (b"{a: " * 200_000, 1, "more than 40 deep"),
        (b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (98 + n, 98 + n, 97 + n, 97 + n) for n in range(20)), 2, "'*a' refers"),
    ],
    ids=["utf-16", "utf-16-le", "latin-1", "ff", "nul", "escape", "10-mb", "lists", "dashes", "mappings", "laughs"],
)  # fmt: skip
def test_bytes_that_are_no_readable_file_are_refused_at_once(tmp_path: Path, data: bytes, line: int, says: str) -> None:
    path, started = tmp_path / "case.yaml", time.monotonic()
    path.write_bytes(data)
    with pytest.raises(CaseFileError) as caught:
        run_case_files(paths=[path], packs=load_packs())
    assert caught.value.line == line and says in caught.value.problem and time.monotonic() - started < 5


@pytest.mark.parametrize("change", ["\ufeff{}", "{}\n\n", "---\n{}", "# a remark\n{}"])
def test_a_byte_order_mark_line_ends_of_windows_and_remarks_do_no_harm(tmp_path: Path, change: str) -> None:
    assert run(tmp_path, change.format(GOOD).replace("{}", GOOD)).exit_code == 0
    path = tmp_path / "crlf.yaml"
    path.write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert run_case_files(paths=[path], packs=load_packs()).exit_code == 0


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/zero")):
        with pytest.raises(CaseFileError, match="no regular file; give the path of a YAML file"):
            run_case_files(paths=[path], packs=load_packs())


def test_a_malformed_file_stops_the_run_before_any_case_is_judged(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(GOOD, encoding="utf-8")
    bad.write_text("cases: 1", encoding="utf-8")
    with pytest.raises(CaseFileError, match=r"bad\.yaml:1: cases: "):
        run_case_files(paths=[good, bad], packs=load_packs())


# -- odd, and well-formed ------------------------------------------------------------------------------------------


def case(people: str, expect: str, incident: str = "{aware_at: 2026-03-02T10:00+01:00, findings: {risk: high}}") -> str:
    return f"cases:\n  - name: A sentence\n    incident: {incident}\n    people: {people}\n    expect: {expect}\n"


@pytest.mark.parametrize(
    "text",
    [
        case("[]", "{FR: {person: {owed: no}}}"),
        case("", "{FR: {person: {owed: no}, regulator: {owed: no}}}"),
        case("[]", "{lead_authority: null}"),
        case("[{residence: FR, elements: [name], count: 0}]", "{FR: {person: {owed: yes}}}"),
        case("[{residence: US-CA, elements: [name, ssn], count: 0}]", "{US-CA: {person: {owed: yes}, regulator: {owed: no}}}"),
        case("[{residence: FR, elements: [], count: 3}]", "{FR: {person: {owed: yes}}}"),
        case("[{residence: FR, elements: [name], count: 10000000000}]", "{FR: {person: {owed: yes}}}"),
        case("[{residence: US-CA, elements: [name, ssn], count: 300}, {residence: US-CA, elements: [name, ssn], count: 201}]",
             "{US-CA: {regulator: {owed: yes}}}"),
        case("[{residence: US-CA, elements: [name, ssn], count: 300}, {residence: US-CA, elements: [name], count: 201}]",
             "{US-CA: {person: {owed: yes}, regulator: {owed: no}}}"),
        case("[{residence: FR, elements: [name], count: 2, minors: true}, {residence: FR, elements: [name], count: 2}]", "{FR: {person: {owed: yes}}}"),
        case("[{residence: 'NO', elements: [name], count: 2}]", "{'NO': {person: {owed: yes}, regulator: {owed: yes}}}"),
        case("[{residence: fr, elements: [name], count: 2}]", "{FR: {person: {owed: yes}}}"),
        case("[{residence: RE, elements: [name], count: 2}]", "{FR: {person: {owed: yes}}, RE: {person: {owed: yes}}}"),
        case("[{residence: PR, elements: [name, ssn], count: 2}]", "{US-PR: {person: {owed: yes}}}"),
        case("[{residence: CA-ON, elements: [name], count: 2}]", "{CA-ON: {person: {owed: yes}}, CA: {person: {owed: yes}}}"),
        case("[{residence: FR, elements: [name, shoe_size], count: 2}]", "{FR: {person: {owed: yes}}}"),
        case("[{residence: US-CA, elements: [name, shoe_size], count: 2}]", "{US-CA: {person: {owed: ask}}}"),
        case("[{residence: US-CA, elements: [name], maybe: [ssn], count: 2}]", "{US-CA: {person: {owed: ask}}}"),
        case("[]", "{FR: {regulator: {owed: yes}}}", "{aware_at: 2199-12-31, established_in: FR, findings: {risk: high}}"),
        case("[]", "{FR: {regulator: {owed: yes}}}", "{aware_at: 2026-03-02, occurred_at: 2027-01-01, established_in: FR, findings: {risk: high}}"),
    ],
)  # fmt: skip
def test_odd_and_well_formed_cases_are_judged(tmp_path: Path, text: str) -> None:
    assert run(tmp_path, text).lines == ["1 passed, 0 failed"]


@pytest.mark.parametrize("sector", ["hospitality", "luxury", "x", "healthcare", "Retail"])
def test_a_sector_that_no_law_names_has_the_general_law(tmp_path: Path, sector: str) -> None:
    facts = f"{{aware_at: 2026-03-02T10:00Z, sector: {sector}, findings: {{risk: high}}}}"
    text = case("[{residence: FR, elements: [name], count: 2}]", "{FR: {person: {owed: yes}}}", facts)
    assert run(tmp_path, text).exit_code == 0


@pytest.mark.parametrize("country", ["US", "GB", "CH", "JP", "NC", "null"])
def test_an_establishment_outside_the_eea_gives_no_lead_authority(tmp_path: Path, country: str) -> None:
    facts = f"{{aware_at: 2026-03-02T10:00Z, established_in: {country}, findings: {{risk: high}}}}"
    expect = "{lead_authority: null, FR: {regulator: {owed: yes}}, DE: {regulator: {owed: yes}}}"
    people = "[{residence: FR, elements: [name], count: 2}, {residence: DE, elements: [name], count: 2}]"
    assert run(tmp_path, case(people, expect, facts)).exit_code == 0


@pytest.mark.parametrize("place", ["XX", "UK", "England", "US", "NC", "FR-NC", "AS", "CA-XX", "Georgia"])
def test_a_place_without_a_law_pack_says_so_and_only_the_question_about_its_people_is_met(tmp_path: Path, place: str) -> None:
    people = f"[{{residence: {place}, elements: [name], count: 2}}]"
    assert run(tmp_path, case(people, f"{{{place}: {{person: {{owed: ask}}}}}}")).exit_code == 0
    for check in (
        "owed: no",
        "owed: yes",
        "owed: ask",
        "no_fixed_date: true",
        "monitoring_months: 0",
        "to: []",
        "must_state: []",
    ):
        [failure, _] = run(tmp_path, case(people, f"{{{place}: {{regulator: {{{check}}}}}}}")).lines
        assert "got unknown (no law pack)" in failure
    for check in ("owed: ask", "no_fixed_date: true", "must_state: []"):
        [failure, _] = run(tmp_path, case("[]", f"{{{place}: {{person: {{{check}}}}}}}")).lines
        assert "got unknown (no law pack)" in failure, "nobody lives there, so that the engine asked nothing"


def test_a_sentence_over_several_lines_is_reported_in_one(tmp_path: Path) -> None:
    text = GOOD.replace("name: A sentence", "name: |\n      A sentence\n      over lines").replace("owed: yes", "owed: no")
    assert run(tmp_path, text).lines[0].startswith("A sentence over lines: GB regulator: expected owed no")
