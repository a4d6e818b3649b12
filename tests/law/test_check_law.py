"""The packs as shipped hold; and every way in which a pack can be wrong is refused with file, line, key and remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.core.management import call_command

from incidents.checks import LAW
from incidents.law.check import PackReport, UnreadablePack, check_packs
from incidents.law.check_rules import Forms, PackProblem, countries
from incidents.law.overlay import sources_of
from incidents.law.pack import PACKS_FOLDER, PackError
from incidents.letters import pack_check
from incidents.letters.pack_check import law_report, letter_forms
from incidents.management.commands.check_law import Command

CHECKED = date(2026, 11, 21)
FORMS = letter_forms()
Edit = Callable[..., Path]


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """A copy of a shipped pack under another name, with one piece of its text written otherwise."""

    def edit(name: str, was: str, becomes: str, count: int = 1) -> Path:
        text = (PACKS_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
        assert was in text, was
        path = tmp_path / f"my-{name}.yaml"
        path.write_text(text.replace(was, becomes, count), encoding="utf-8")
        return path

    return edit


def report(path: Path | None = None, *, today: date = CHECKED, forms: Forms = FORMS) -> PackReport:
    return check_packs(sources=sources_of(path=path), forms=forms, today=today)


def line_with(path: Path, text: str) -> int:
    return next(number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if text in line)


# -- the packs as shipped ------------------------------------------------------------------------------------------


def test_nothing_in_the_shipped_packs_is_refused() -> None:
    found = report()
    assert [problem.words for problem in found.problems] == [] and found.exit_code == 0


def test_every_entry_that_is_not_sure_is_counted() -> None:
    found = report()
    assert found.counts["packs"] == len(list(PACKS_FOLDER.glob("*.yaml"))) - 2
    for name in ("values", "values_from_memory", "packs_partly_from_memory", "packs_in_doubt", "doubts", "not_law"):
        assert found.counts[name] > 0, name
    assert found.counts["old"] == found.counts["errors"] == found.counts["warnings"] == 0
    assert str(found.counts["values_from_memory"]) in found.summary and str(found.counts["doubts"]) in found.summary


# -- what is refused -----------------------------------------------------------------------------------------------

REFUSED = [
    # what schema.json refuses
    ("us-ca", "kind: us_state\n", "kind: state\n", "kind: state", "kind", "'state' is not known here", "us_state"),
    ("us-ca", "zone: America/Los_Angeles\n", "", "id: US-CA", "zone", "'zone' is missing", "add it"),
    ("us-ca", "  judged_on: discovered_at\n", "  judgd_on: discovered_at\n", "judgd_on", "regimes.0.judgd_on", "no key of this place", "is 'judged_on' meant?"),
    ("us-ca", "      reference:\n", "      source:\n", "source:", "regimes.0.person.owed.0.source", "no key", "remove it, or write one of"),
    ("us-ca", "        n: 30\n", "        n: thirty\n", "n: thirty", "regimes.0.person.deadline.1.clocks.0.n", "thirty", "schema.json"),
    ("us-ca", "        runs_from: discovery\n", "", "kind: days", "regimes.0.person.deadline.1.clocks.0.runs_from", "'runs_from' is missing", "add it"),
    ("us-ca", "    - from: 2026-01-01\n", "    - from: 2026-1-1\n", "from: 2026-1-1", "regimes.0.person.deadline.1.from", "no day", "2026-01-31"),
    ("us-ca", "        notified:\n", "        breach: true\n        notified:\n", "", "regimes.0.regulator.owed.0.when", "exactly one word; this has", "write one of: all, any"),
    ("us-ca", "        notified:\n", "        told:\n", "told:", "regimes.0.regulator.owed.0.when", "", ""),
    # words
    ("us-ca", "- ssn\n", "- snn\n", "- snn", "regimes.0.person.owed.0.when.all.0.any.0.exposed", "'snn' is no known data element", "is 'ssn' meant?"),
    ("us-ca", "      - plain_language\n", "      - plane_language\n", "plane_language", "regimes.0.person.content.0", "no known content item", "plain_language"),
    ("us-ca", "calendar: plain_calendar_days", "calendar: moon_days", "moon_days", "regimes.0.person.deadline.1.clocks.0.calendar", "no known calendar rule", "calendars.yaml"),
    ("us-ca", "runs_from: discovery", "runs_from: discoverie", "discoverie", "regimes.0.person.deadline.1.clocks.0.runs_from", "no known starting point", "is 'discovery' meant?"),
    ("us-ca", "kind: immediately", "kind: imediately", "imediately", "regimes.0.processor.deadline.0.clocks.0.kind", "no known kind of deadline", "is 'immediately' meant?"),
    ("us-ca", "      - written\n", "      - pigeon\n", "pigeon", "regimes.0.person.channels.0.allowed", "no known way of telling people", "vocabulary.yaml"),
    # days
    ("us-ca", "    - from: 2026-01-01\n", "    - from: 2026-02-30\n", "2026-02-30", "regimes.0.person.deadline.1.from", "no day of the calendar", "2026-01-31"),
    ("us-ca", "checked_on: 2026-11-21", "checked_on: 2026-13-01", "2026-13-01", "checked_on", "no day of the calendar", "2026-01-31"),
    ("us-ca", "    - from: 2026-01-01\n      until: null", "    - from: 2026-01-01\n      until: 2025-06-01", "until: 2025-06-01", "regimes.0.person.deadline.1.until", "ends on 2025-06-01, and starts on 2026-01-01", "after 'from'"),
    ("us-ca", "    - from: 2026-01-01\n      until: null", "    - from: 2026-01-01\n      until: 2026-01-01", "", "regimes.0.person.deadline.1.until", "ends on 2026-01-01", "after 'from'"),
    ("us-ca", "    - from: 2026-01-01\n", "    - from: 2025-12-31\n", "from: 2025-12-31", "regimes.0.person.deadline.1.from", "two versions are in force on 2025-12-31", "end the one"),
    ("us-ca", "    - from: 2026-01-01\n", "    - from: null\n", "", "regimes.0.person.deadline.1.from", "two versions are in force on the first day", "end the one"),
    # references
    ("us-ca", "      reference:\n        title: Cal. Civ. Code 1798.82\n        address: https://lexace.ai/us/statute/california/civ-1798.82\n", "", "", "regimes.0.person.owed.0.reference", "a value without a reference", "where is it written?"),
    ("us-ca", "        title: Cal. Civ. Code 1798.82\n", "        title: ' '\n", "title: ' '", "regimes.0.person.owed.0.reference.title", "without a title", "name the statute"),
    # places
    ("us-ca", "id: US-CA\n", "id: US-QQ\n", "id: US-QQ", "id", "no residence 'US-QQ'", "ISO 3166"),
    ("fr", "id: FR\n", "id: UK\n", "id: UK", "id", "no residence 'UK'", "ISO 3166"),
    ("ca-qc", "id: CA-QC\n", "id: CA-ZZ\n", "id: CA-ZZ", "id", "no residence 'CA-ZZ'", "ISO 3166"),
    ("fr", "inherits: EU\n", "inherits: EEC\n", "inherits: EEC", "inherits", "no union 'EEC'", "EU"),
    ("fr", "inherits: EU\n", "inherits: DE\n", "inherits: DE", "inherits", "no union 'DE'", "EU"),
    ("fed-hipaa", "covers:\n- US\n", "covers:\n- UQ\n", "UQ", "covers.0", "no pack of 'UQ'", "write a country"),
    ("fr", "zone: Europe/Paris\n", "zone: Europe/Lutetia\n", "Lutetia", "zone", "no time zone", "IANA"),
    ("fed-hipaa", "holidays_of: US\n", "holidays_of: US-QQ\n", "US-QQ", "holidays_of", "not known", "US-VT"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "was", "becomes", "at", "key", "says", "remedy"), REFUSED)
def test_a_wrong_pack_is_refused_with_file_line_key_and_remedy(
    edited: Edit, name: str, was: str, becomes: str, at: str, key: str, says: str, remedy: str
) -> None:
    path = edited(name, was, becomes)
    found = report(path)
    assert found.exit_code == 1, [problem.words for problem in found.problems]
    fitting = [one for one in found.errors if one.key.startswith(key) and says in one.problem and remedy in one.remedy]
    assert fitting, [problem.words for problem in found.errors]
    assert {problem.file for problem in found.problems} == {str(path)}
    assert not at or line_with(path, at) in {problem.line for problem in fitting}
    assert all(problem.line > 0 and problem.remedy for problem in found.errors)


def test_every_problem_is_told_and_not_only_the_first(edited: Edit) -> None:
    path = edited("us-ca", "- ssn\n", "- snn\n", -1)
    path.write_text(path.read_text().replace("runs_from: discovery", "runs_from: nothing_known"))
    kinds = [problem.problem.split(" is no known ")[1] for problem in report(path).errors]
    assert kinds.count("data element") == 4 and kinds.count("starting point") == 2


def test_a_value_without_a_reference_is_said_to_be_just_that(edited: Edit) -> None:
    path = edited("us-ca", "      reference:\n", "      note: none\n      reference_:\n")
    assert "a value without a reference" in [problem.problem for problem in report(path).errors]


def test_two_packs_with_one_id_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_bytes((PACKS_FOLDER / "us-ca.yaml").read_bytes())
    assert [problem.problem.split(" of ")[0] for problem in report(tmp_path).errors] == ["'US-CA' is the id"] * 2


def test_a_new_pack_of_a_country_that_exists_holds(edited: Edit) -> None:
    assert report(edited("jp", "id: JP\n", "id: LK\n")).exit_code == 0
    assert {"LK", "GB", "FR"} <= countries() and "UK" not in countries()


def test_only_the_files_asked_about_are_told(edited: Edit) -> None:
    found = report(edited("us-ca", "n: 30\n", "n: 31\n"))
    assert found.counts["packs"] == 1 and found.problems == ()


# -- files that cannot be read -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"id: [", "YAML"),
        (b"id: US-CA\nid: US-CA\n", "written twice"),
        (b"NO: 1\n", "quotes"),
        (b"\xff\xfe", "UTF-8"),
        (b"- a\n", "mapping"),
    ],
)
def test_a_file_that_is_no_yaml_is_not_checked_at_all(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(PackError, match=says) as caught:
        report(path)
    assert caught.value.file == str(path) and caught.value.line > 0


def test_a_mapping_that_is_no_pack_is_refused_key_by_key(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("id: 7\n")
    said = {problem.key for problem in report(path).errors}
    assert {"id", "name", "kind", "zone", "law", "regimes"} <= said


# -- letters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forms", "says"),
    [
        (replace(FORMS, own={"US-CA": "us-cal"}), "no letter form 'us-cal'"),
        (replace(FORMS, own={"FR": "us-ca"}), "no text in 'fr'"),
        (replace(FORMS, own={"XX": "notice"}), "kept for XX, which has no pack"),
        (replace(FORMS, languages={**FORMS.languages, "notice": frozenset({"en", "fr"})}), "'notice' has no text in 'de'"),
        (replace(FORMS, languages={**FORMS.languages, "us-ca": frozenset({"es"})}), "'us-ca' has no text in 'en'"),
        (replace(FORMS, general={**FORMS.general, "reminder": frozenset({"en"})}), "no letter form 'reminder'"),
    ],
)
def test_a_letter_form_that_does_not_exist_is_refused(forms: Forms, says: str) -> None:
    found = report(forms=forms)
    assert any(says in problem.problem for problem in found.errors), [problem.words for problem in found.errors]
    assert all("templates/letters" in problem.remedy or "drop the form" in problem.remedy for problem in found.errors)


def test_the_forms_are_those_by_which_letters_are_made() -> None:
    assert set(FORMS.own.values()) <= set(FORMS.languages) and {"notice", "courtesy"} == set(FORMS.general)


# -- what is old ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("today", "warnings"), [(date(2027, 5, 20), 0), (date(2027, 5, 21), 1)])
def test_an_entry_is_old_after_180_days(edited: Edit, today: date, warnings: int) -> None:
    path = edited("us-ca", "name: California", "name: California")
    found = report(path, today=today)
    assert (len(found.warnings), found.exit_code, found.counts["old"]) == (warnings, 0, warnings)
    assert all(problem.key == "checked_on" and "set checked_on" in problem.remedy for problem in found.warnings)


def test_a_value_with_its_own_check_is_old_by_itself(edited: Edit) -> None:
    path = edited("us-ca", "      changed_by: SB 446 (2025)", "      checked_on: 2026-01-05\n      changed_by: SB 446 (2025)")
    (found,) = report(path).warnings
    assert found.key == "regimes.0.person.deadline.1.checked_on" and found.line == line_with(path, "checked_on: 2026-01-05")


def test_a_value_may_be_from_memory_by_itself(edited: Edit) -> None:
    before = report(edited("us-ca", "name: California", "name: California")).counts["values_from_memory"]
    path = edited("us-ca", "      changed_by: SB 446 (2025)", "      verified: memory\n      changed_by: SB 446 (2025)")
    assert report(path).counts["values_from_memory"] == before + 1


# -- as a system check ---------------------------------------------------------------------------------------------


def test_it_is_a_deployment_check_and_no_part_of_a_normal_start() -> None:
    registered = {one.__name__ for one in checks.registry.registry.registered_checks if LAW in getattr(one, "tags", ())}
    at_deployment = {one.__name__ for one in checks.registry.registry.deployment_checks if LAW in getattr(one, "tags", ())}
    assert (registered, at_deployment) == (set(), {"check_law"})


def test_the_system_check_says_what_the_command_says(monkeypatch: pytest.MonkeyPatch) -> None:
    (only,) = checks.run_checks(tags=[LAW], include_deployment_checks=True)
    assert (only.id, only.level) == ("law.I001", checks.INFO) and "from memory" in only.msg
    wrong = PackProblem("error", "word", "us-ca.yaml", 7, "regimes.0", "'snn' is no known data element", "is 'ssn' meant?")
    old = replace(wrong, level="warning", rule="old")
    monkeypatch.setattr(pack_check, "law_report", lambda: replace(law_report(), problems=(wrong, old)))
    found = checks.run_checks(tags=[LAW], include_deployment_checks=True)
    assert [(one.id, one.level) for one in found[:2]] == [("law.E002", checks.ERROR), ("law.W001", checks.WARNING)]
    assert found[0].msg == "us-ca.yaml:7: regimes.0: 'snn' is no known data element" and found[0].hint == "is 'ssn' meant?"


def test_a_pack_that_cannot_be_read_is_an_error_of_the_system_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable() -> Any:
        raise UnreadablePack(file="us-ca.yaml", line=3, key="YAML", problem="broken", remedy="correct it")

    monkeypatch.setattr(pack_check, "law_report", unreadable)
    (only,) = checks.run_checks(tags=[LAW], include_deployment_checks=True)
    assert (only.id, only.level) == ("law.E001", checks.ERROR) and "us-ca.yaml:3" in only.msg


# -- the command ---------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command(Command(), *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_the_command_ends_with_0_where_everything_holds() -> None:
    code, out, _ = run()
    assert code == 0 and out.splitlines()[-1].startswith("0 errors, ") and "from memory" in out


def test_the_command_ends_with_1_where_something_is_refused(edited: Edit) -> None:
    path = edited("us-ca", "- ssn\n", "- snn\n")
    code, out, _ = run("--pack", str(path))
    assert code == 1 and f"error: {path}:{line_with(path, '- snn')}: regimes.0.person.owed.0" in out
    code, out, _ = run("--pack", str(path), "--json")
    found = json.loads(out)
    assert code == 1 and found["counts"]["errors"] == 1
    assert set(found["errors"][0]) == {"level", "rule", "file", "line", "key", "problem", "remedy"}


@pytest.mark.parametrize(("name", "says"), [("none.yaml", "cannot be read"), ("bad.yaml", "bad.yaml:2"), ("", "holds no pack")])
def test_the_command_ends_with_2_for_what_cannot_be_read(tmp_path: Path, name: str, says: str) -> None:
    if name == "bad.yaml":
        (tmp_path / name).write_text("id: [")
    code, out, err = run("--pack", str(tmp_path / name))
    assert (code, out) == (2, "") and re.search(re.escape(says), err)
