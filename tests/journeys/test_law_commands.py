"""The commands about the law as people type them: what they answer, their exit codes, and that most need no database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from incidents.law.pack import PACKS_FOLDER
from tests.installation import ROOT, Installation
from tests.journeys.conftest import Played

NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"
Run = Callable[..., str]


def answered(at: Installation, *arguments: str, code: int = 0, says: str = "", **extra: str) -> str:
    """Run a command to its end; none may ever show a traceback."""
    done = at.manage(*arguments, seconds=90, **extra)
    everything = done.stdout + done.stderr
    assert done.returncode == code, (arguments, done.returncode, everything)
    assert "Traceback" not in everything
    assert says in (done.stderr if code else done.stdout), (arguments, everything)
    return done.stdout


@pytest.fixture
def changed_pack(tmp_path: Path) -> Path:
    """California with 45 days instead of 30."""
    path = tmp_path / "ca.yaml"
    text = (PACKS_FOLDER / "us-ca.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("n: 30\n", "n: 45\n"), encoding="utf-8")
    return path


@pytest.mark.slow
def test_the_law_is_shown_and_compared_without_a_database(installation: Installation, changed_pack: Path, tmp_path: Path) -> None:
    def run(*arguments: str, code: int = 0, says: str = "") -> str:
        return answered(installation, *arguments, code=code, says=says, DATABASE_URL=NO_DATABASE)

    run("law", "show", "us-ca", "--on", "2026-03-01", says="30 days from discovery")
    assert json.loads(run("law", "show", "US-CA", "--on", "2026-03-01", "--json"))["regimes"][0]["values"]
    run("law", "show", "UK", code=2, says="is GB meant?")
    run("law", "show", "US-CA", "--on", "1 March", code=2, says="Write it as 2026-01-31")
    run("law", "diff", "--from", "2025-12-31", "--to", "2026-01-01", "US-CA", says="is: 30 days from discovery")
    run("law", "diff", "--from", "2026-02-01", "--to", "2026-02-02", "US-CA", says="Nothing changed between these days.")
    run("law", "diff", "--from", "2026-02-02", "--to", "2026-02-01", code=2, says="Give the earlier day first")
    run("law", "diff", code=2, says="--from DATE --to DATE")
    run("law", "diff", "--pack", str(changed_pack), says="is: 45 days from discovery")
    run("law", "diff", "--pack", str(changed_pack), "US-NY", says="Nothing is written otherwise.")
    run("law", "diff", "--pack", str(changed_pack), "--to", "2026-01-01", code=2, says="either")
    run("law", "diff", "--pack", str(tmp_path / "none.yaml"), code=2, says="cannot be read")
    run("check_law", "--pack", str(changed_pack), says="0 errors")
    run("check_law", "--pack", str(tmp_path / "none.yaml"), code=2, says="cannot be read")
    changed_pack.write_text(changed_pack.read_text().replace("- ssn\n", "- snn\n"))
    assert "is 'ssn' meant?" in run("check_law", "--pack", str(changed_pack), code=1)
    run("law", "diff", "--pack", str(changed_pack), code=2, says="check_law --pack")
    assert not (installation.var / "postgres").exists()


@pytest.mark.slow
def test_what_would_change_is_told_and_nothing_is_kept(played: Played, changed_pack: Path) -> None:
    def run(*arguments: str, code: int = 0, says: str = "", **extra: str) -> str:
        return answered(played.at, "law", "whatif", *arguments, code=code, says=says, **extra)

    found = json.loads(run("cartier-2025", "--set", "encrypted=true", "--json"))
    assert found["written"] is False and found["people"]["by_residence"]["US-WA"] == 1
    run("cartier-2025", "--set", "encrypted=false", says="Nothing would change.")
    run("cartier-2025", "--set", "findings.risk=high", says="findings.risk: risk -> high")
    run("cartier-2025", "--pack", str(changed_pack), says="pack US-CA: 1 things are written otherwise")
    run("cartier-2025", "--set", "encypted=true", code=2, says="Is 'encrypted' meant?")
    run("cartier-2025", code=2, says="--set FACT=VALUE")
    run("nothing", "--set", "encrypted=true", code=2, says="no incident 'nothing'")
    run(
        "cartier-2025",
        "--set",
        "encrypted=true",
        code=3,
        says="unset DATABASE_URL",
        DATABASE_URL="postgresql://me@127.0.0.1:1/breach",
    )
    check = played.at.manage("check", "--deploy", "--tag", "law")
    assert check.returncode == 0 and "law.I001" in check.stdout + check.stderr


def test_every_example_of_the_page_on_commands_that_needs_no_database_works(installation: Installation) -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    lines = [line.partition("#")[0].strip() for line in page.splitlines() if line.startswith("python manage.py ")]
    examples = [line.removeprefix("python manage.py ").split() for line in lines]
    asked = [words for words in examples if words[0] == "check_law" or words[:2] in (["law", "show"], ["law", "diff"])]
    shipped = [words for words in asked if "--pack" not in words]
    assert len(shipped) >= 4
    for words in shipped:
        answered(installation, *words, DATABASE_URL=NO_DATABASE)
