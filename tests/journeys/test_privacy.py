"""What can be seen from outside while and after the drill runs holds nobody's name or address."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import pytest

from tests.journeys.conftest import Played


@pytest.fixture
def personal(played: Played, tmp_path: Path) -> list[str]:
    """Names and addresses of the people of the drill, as written and as JSON would write them."""
    path = tmp_path / "people.csv"
    assert played.at.manage("scenario", "cartier-2025", "--size", "small", "--out", str(path)).returncode == 0
    with path.open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    words = {row[column].strip() for row in rows for column in ("full_name", "email") if len(row[column].strip()) > 5}
    assert len(words) > 200
    return sorted(words | {json.dumps(word)[1:-1] for word in words})


def test_nobodys_name_or_address_is_in_logs_broker_command_lines_bundle_or_report(played: Played, personal: list[str]) -> None:
    places = {str(log.name): log.read_text(errors="replace") for log in (played.at.var / "log").iterdir()}
    places["what the demo printed"] = played.said
    places["the report"] = json.dumps(played.report, ensure_ascii=False)
    places["the broker"] = "\n".join(played.seen.broker)
    places["command lines"] = "\n".join(played.seen.command_lines)
    with zipfile.ZipFile(played.report["bundle"]) as bundle:
        places |= {name: bundle.read(name).decode(errors="replace") for name in bundle.namelist()}

    assert "wake" in places["the broker"], "the onlooker has heard the wake-ups"
    assert "sender@" in places["command lines"] and "postgres" in places["command lines"]
    found = {(place, word) for place, text in places.items() for word in personal if word in text}
    assert not found


def test_secrets_are_on_no_command_line_and_their_files_are_for_the_owner_only(played: Played) -> None:
    secrets = json.loads((played.at.var / "secrets.json").read_text())
    shown = "\n".join(played.seen.command_lines)
    assert not [name for name, value in secrets.items() if value in shown]
    for name in ("secrets.json", "sign-ins.json", "run.json", "keys/audit.pem"):
        assert not (played.at.var / name).stat().st_mode & 0o077, name
