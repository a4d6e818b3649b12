"""Case files are read strictly: what is malformed says where and why; what fails says what was wanted and what came."""

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
