"""An incident of one's own, by command only; and what a command says when it is given something wrong."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from incidents.law.facts import Anchor
from incidents.people.opening import read_facts
from tests.conftest import CARL, CLAIRE, YUKI
from tests.installation import ROOT, Installation
from tests.journeys.conftest import Played

INCIDENT, CAMPAIGN = "acme-2026", "acme-2026-c1"
#: What the officer does on the incident's page: decide the queues, record findings with their reasons.
FINDINGS = """
from django.contrib.auth.models import User
from incidents.models import Incident
from incidents.people.opening import record_finding
officer, incident = User.objects.get(username="officer"), Incident.objects.get(reference="acme-2026")
for key, value in {"risk": "risk", "misuse_likely": "yes", "serious_harm_likely": "no", "voluntary_notice": "yes", "law_unknown": "courtesy"}.items():
    record_finding(incident=incident, key=key, value=value, reason="as counsel advised", author=officer)
"""
Result = subprocess.CompletedProcess[str]
Run = Callable[..., Result]


@pytest.fixture
def run(serving: Installation) -> Run:
    """Run a command; none of them may ever show a traceback."""

    def command(*arguments: str, code: int = 0, says: str = "", **extra: str) -> Result:
        done = serving.manage(*arguments, seconds=60, **extra)
        everything = done.stdout + done.stderr
        assert done.returncode == code, (arguments, done.returncode, everything)
        assert "Traceback" not in everything
        where = done.stderr if code else done.stdout
        assert says in where, (arguments, everything)
        return done

    return command


@pytest.mark.slow
def test_an_incident_of_ones_own_from_the_facts_to_the_proof(
    run: Run, facts_file: Path, write_list: Callable[..., Path], tmp_path: Path
) -> None:
    people = str(write_list(CLAIRE, CARL, YUKI))
    run("incident_new", "--facts", str(facts_file), "--as", "officer", says=INCIDENT)
    run("incident_new", "--facts", str(facts_file), code=2, says="exists already")
    run("freeze", INCIDENT, code=2, says="import the list")
    run("import_people", INCIDENT, people, says="Rows in 3 = people 3")
    run("import_people", INCIDENT, people, says="imported before; nothing was changed")
    run("freeze", INCIDENT, code=2, says="run the assessment")
    run("assess", INCIDENT, says="a person has to decide")
    run("freeze", INCIDENT, code=2, says="Decisions are missing for")
    run("shell", "-c", FINDINGS)
    run("assess", INCIDENT)
    assert run("freeze", INCIDENT, "--as", "officer").stdout.split()[-1] == CAMPAIGN
    run("import_people", INCIDENT, str(write_list(CLAIRE)), code=2, says="frozen")
    reason = ("--reason", "as it should be")
    run("dispatch", CAMPAIGN, code=2, says="has to be released")
    run("release", CAMPAIGN, "--as", "officer", *reason, code=2, says="not approved yet")
    run("approve", CAMPAIGN, "--as", "officer", *reason, code=2, says="officer")
    run("approve", CAMPAIGN, "--as", "counsel", "--reason", " ", code=2, says="reason")
    run("approve", CAMPAIGN, "--as", "counsel", *reason, says="content approved")
    run("release", CAMPAIGN, "--as", "counsel", *reason, code=2, says="somebody else has to release")
    run("release", CAMPAIGN, "--as", "officer", *reason, code=2, says="no first wave goes")
    run("release", CAMPAIGN, "--as", "officer", *reason, "--without-first-wave", "three people", says="released")
    run("pause", CAMPAIGN, "--as", "counsel", *reason, says="paused")
    run("dispatch", CAMPAIGN, code=2, says="resumed")
    run("resume", CAMPAIGN, "--as", "officer", *reason, says="resumed")
    run("dispatch", CAMPAIGN, says="drained")
    states = json.loads(run("check_campaign", CAMPAIGN, "--json").stdout)["states"]
    assert states == {"delivered": 3}
    run("explain", INCIDENT, "claire", says="log entry")
    run("export_evidence", INCIDENT, "--out", str(tmp_path / "acme.zip"), says="verify.py")
    run("stop", CAMPAIGN, "--as", "officer", *reason, says="stopped")
    run("demo", "--fresh", code=2, says="never emptied")


def test_the_documented_example_of_facts_shows_every_field(facts_file: Path) -> None:
    shown, stored = yaml.safe_load(facts_file.read_text()), read_facts(facts_file.read_bytes())
    assert set(shown) == set(stored)
    assert set(shown["controller"]) == set(stored["controller"])
    page = (ROOT / "docs" / "facts.md").read_text(encoding="utf-8")
    assert all(f"{anchor.value}:" in page for anchor in Anchor)


def test_names_that_nobody_knows(run: Run, tmp_path: Path) -> None:
    run("demo", "--scenario", "prada-1999", code=2, says="known: adidas-2025, cartier-2025")
    run("demo", "--size", "none", code=2, says="small")
    run("up", "--scenario", "prada-1999", code=2, says="known: adidas-2025, cartier-2025")
    run("scenario", "prada-1999", "--out", str(tmp_path / "x.csv"), code=2, says="known: adidas-2025, cartier-2025")
    run("assess", "nothing", code=2, says="no incident 'nothing'")
    run("explain", "cartier-2025", "nobody", code=2, says="nobody on the list")
    run("check_campaign", "cartier-2025-c9", code=2, says="Known: ")
    run("pause", "cartier-2025-c1", "--as", "stranger", "--reason", "because", code=2, says="no active user 'stranger'")
    run("approve", "cartier-2025-c1", code=2, says="--as")
    run("export_evidence", "cartier-2025", "--out", "/proc/none/x.zip", code=2, says="--out")


def test_lists_that_cannot_be_read(run: Run, facts_file: Path, tmp_path: Path) -> None:
    facts_file.write_text(facts_file.read_text().replace(INCIDENT, "lists-2026"))
    run("incident_new", "--facts", str(facts_file))
    files: dict[str, tuple[bytes, str]] = {
        "empty.csv": (b"", "The file is empty"),
        "header.csv": (b"full_name,email\n", "no rows"),
        "latin.csv": (
            "full_name,email\nJos\u00e9,j@example.org\n".encode("latin-1"),
            "Row 2 (line 2), column 1: byte 0xe9 is not UTF-8",
        ),
        "columns.csv": (b"shoe_size,colour\n42,red\n", "no column for a name"),
        "excel.csv": (b"PK\x03\x04whatever", "The workbook is cut or damaged"),
        "quote.csv": (b'full_name,email\n"Claire,c@example.org\n', "quotation mark"),
    }
    for name, (content, says) in files.items():
        (tmp_path / name).write_bytes(content)
        run("import_people", "lists-2026", str(tmp_path / name), code=2, says=says)
    run("import_people", "lists-2026", str(tmp_path / "not-there.csv"), code=2, says="no such file")
    run("import_people", "lists-2026", str(tmp_path), code=2, says="cannot be opened")
    run(
        "import_people",
        "lists-2026",
        str(tmp_path / "latin.csv"),
        "--encoding",
        "klingon",
        code=2,
        says="encoding that was said is not known",
    )
    (tmp_path / "odd.csv").write_text('full_name,email\n"Claire\r\nBcc: x",c@example.org\nCarl,"a@example.org; b@example.org"\n')
    run("import_people", "lists-2026", str(tmp_path / "odd.csv"), says="Rows in 2 =")


def test_facts_that_do_not_hold_together(run: Run, facts_file: Path, tmp_path: Path) -> None:
    facts = yaml.safe_load(facts_file.read_text())
    del facts["anchors"]["aware_at"]
    for number, (content, says) in enumerate(
        [
            (yaml.safe_dump(facts).encode(), "anchors.aware_at: missing. Every clock runs from it"),
            (b"reference: [", "not readable YAML"),
            (b"\xff\xfe\xff", "not readable YAML"),
            (b"", "must be a YAML mapping"),
        ]
    ):
        path = tmp_path / f"facts-{number}.yaml"
        path.write_bytes(content)
        run("incident_new", "--facts", str(path), code=2, says=says)
    run("incident_new", "--facts", str(tmp_path / "none.yaml"), code=2, says="cannot be read")


def test_services_that_are_down_and_settings_that_are_wrong(run: Run) -> None:
    dead_broker = "redis://127.0.0.1:1/0"
    run("demo", REDIS_URL=dead_broker, code=3, says="unset REDIS_URL")
    run("up", REDIS_URL=dead_broker, code=3, says="manage.py dispatch")
    run("check_campaign", "cartier-2025-c1", REDIS_URL=dead_broker)
    dead_database = "postgresql://me:hidden@127.0.0.1:1/breach"
    for command in (("check_campaign", "x"), ("demo",)):
        said = run(*command, DATABASE_URL=dead_database, code=3, says="unset DATABASE_URL").stderr
        assert "hidden" not in said
    run("check_campaign", "x", DATABASE_URL="mysql://127.0.0.1/breach", code=3, says="postgresql://")
    run("check_campaign", "x", PORT="many", code=2, says="PORT must be a whole number")
    run("demo", MAIL="pigeon:", code=2, says="smtp://")
    run("check_campaign", "x", MASTER_KEY="short", code=2, says="64 hexadecimal digits")


def test_a_fault_of_ours_is_one_line_and_the_way_to_it_is_in_a_file_without_its_words(played: Played, run: Run) -> None:
    broken = ("shell", "-c", "raise ZeroDivisionError('of ours')")
    said = run(*broken, code=1, says="This is a fault of the program (ZeroDivisionError at manage:").stderr
    faults = played.at.var / "log" / "faults.log"
    assert str(faults) in said and "of ours" not in said + faults.read_text() and "ZeroDivisionError" in faults.read_text()
    assert faults.stat().st_mode & 0o777 == 0o600
    shown = played.at.manage(*broken, DEBUG="1")
    assert shown.returncode == 1 and "ZeroDivisionError: of ours" in shown.stderr
    faults.unlink()


def test_commands_that_need_no_database_start_none(installation: Installation, tmp_path: Path) -> None:
    written = installation.manage("scenario", "cartier-2025", "--size", "50", "--out", str(tmp_path / "people.csv"))
    assert written.returncode == 0 and "50 people" in written.stdout, written.stderr
    cases = installation.manage("law_cases", "tests/law/cases/us-ca.yaml", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert cases.returncode == 0 and "0 failed" in cases.stdout, cases.stdout + cases.stderr
    assert installation.manage("law_cases", str(tmp_path / "none.yaml")).returncode == 2
    assert not (installation.var / "postgres").exists() and not (installation.var / "valkey").exists()
