"""The law cases: each is a sentence that the engine must agree with. Another jurisdiction needs a file, not a test."""

from pathlib import Path

import pytest

from incidents.law.case_files import Case, read_cases
from incidents.law.cases import run_case, run_case_files
from incidents.law.pack import load_packs

FILES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
CASES = [case for path in FILES for case in read_cases(path=path, packs=load_packs())]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{Path(case.file).stem}: {case.name}")
def test_the_engine_agrees_with(case: Case) -> None:
    failure = run_case(case=case, packs=load_packs())
    assert failure is None, str(failure)


def test_every_law_has_cases() -> None:
    wanted = {"eu", "gb", "ch", "jp", "kr", "tr", "us-ca", "us-ny", "us-nd", "us-wa"}
    assert wanted <= {path.stem for path in FILES}


def test_no_two_cases_share_a_name() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)


def test_all_files_run_as_one_report() -> None:
    report = run_case_files(paths=FILES, packs=load_packs())
    assert report.lines == [f"{len(CASES)} passed, 0 failed"]
    assert report.exit_code == 0
