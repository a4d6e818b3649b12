"""The main job: the drill from the leaked table to the verified bundle, and what can be asked of it afterwards."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.installation import Installation
from tests.journeys.conftest import Played

CONTRACT = {
    "scenario", "size", "rows_in", "people", "merged", "needs_attention", "rejected", "held", "cohorts", "obligations",
    "messages", "audit", "bundle", "checks", "seconds",
}  # fmt: skip


def mails_in_the_inbox(at: Installation) -> int:
    with at.database() as look:
        row = look.execute("SELECT count(*) FROM incidents_inboxmessage").fetchone()
    return int(row[0]) if row else -1


def verify(folder: Path, bundle: Path, *, key: str) -> subprocess.CompletedProcess[str]:
    """As on a machine without the project: a bare Python, and only the file from the bundle."""
    if bundle.is_file():
        with zipfile.ZipFile(bundle) as archive, contextlib.suppress(zipfile.BadZipFile):
            archive.extract("verify.py", folder)
    command = [sys.executable, "-I", "-S", str(folder / "verify.py"), str(bundle), "--key", key]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, timeout=60, check=False)


def test_the_report_holds_everything_that_was_promised_and_its_rows_add_up(played: Played) -> None:
    report = played.report
    assert set(report) >= CONTRACT
    assert (report["scenario"], report["size"]) == ("cartier-2025", "small")
    assert report["rows_in"] == sum(report[part] for part in ("people", "merged", "needs_attention", "rejected")) > 200
    assert sum(report["messages"].values()) == report["people"] + report["held"]
    assert report["checks"] and all(report["checks"].values())
    assert (
        report["obligations"]["US-ND"]["yes"]
        and report["obligations"]["US-WA"]["yes"]
        and "yes" not in report["obligations"]["DE"]
    )
    assert report["audit"]["entries"] > report["people"] and len(report["audit"]["root"]) == 64
    assert Path(report["bundle"]).is_file() and report["seconds"] < 90
    assert "send the letters" in played.said, "the progress shows as plain lines where there is no terminal"


def test_a_second_run_shows_the_finished_campaign_and_sends_nothing(serving: Installation, tmp_path: Path) -> None:
    before = mails_in_the_inbox(serving)

    again = serving.manage("demo", "--json", str(tmp_path / "again.json"))

    assert again.returncode == 0, again.stderr
    assert "nothing was sent" in again.stdout
    assert mails_in_the_inbox(serving) == before > 100
    assert json.loads((tmp_path / "again.json").read_text())["found_finished"]


def test_questions_that_are_asked_afterwards(serving: Installation, tmp_path: Path) -> None:
    check = serving.manage("check_campaign", "cartier-2025-c1", "--json")
    assert check.returncode == 0, check.stderr
    numbers = json.loads(check.stdout)
    assert set(numbers) >= {"campaign", "state", "people_in", "states", "sum_ok", "doubts_open", "doubts_total", "violations"}
    assert numbers["sum_ok"] and sum(numbers["states"].values()) == numbers["people_in"] and not numbers["violations"]

    with serving.database() as look:
        row = look.execute(
            "SELECT p.reference FROM incidents_affectedperson p WHERE residence = 'US-ND' AND status = 'clear' "
            "AND 'date_of_birth' = ANY (elements)"
        ).fetchone()
    assert row, "the drill has pinned somebody in North Dakota"
    words = serving.manage("explain", "cartier-2025", row[0])
    assert words.returncode == 0, words.stderr
    assert "letter owed: yes" in words.stdout and "51-30" in words.stdout and "log entry" in words.stdout
    told = json.loads(serving.manage("explain", "cartier-2025", row[0], "--json").stdout)
    duty = told["obligations"][0]
    assert duty["references"] and duty["reasons"] and duty["deadline"] and told["messages"][0]["state"] == "delivered"

    bundle = tmp_path / "evidence.zip"
    exported = serving.manage("export_evidence", "cartier-2025", "--out", str(bundle))
    assert exported.returncode == 0, exported.stderr
    key = exported.stdout.split("--key ")[1].strip()
    assert verify(tmp_path, bundle, key=key).returncode == 0


def test_one_flipped_byte_anywhere_is_found_and_named(played: Played, tmp_path: Path) -> None:
    whole, key, folder = Path(played.report["bundle"]), played.report["audit"]["key"], tmp_path / "unpacked"
    with zipfile.ZipFile(whole) as archive:
        archive.extractall(folder)
        names = [name for name in archive.namelist() if name != "verify.py"]
    assert verify(tmp_path, whole, key=key).returncode == 0
    one_of_each_folder = {name.rsplit("/", 1)[0] if "/" in name else name: name for name in names}
    for name in one_of_each_folder.values():
        place = folder / name
        before = place.read_bytes()
        place.write_bytes(flipped(before))
        found = verify(tmp_path, folder, key=key)
        assert found.returncode == 1, (name, found.stdout)
        assert name in found.stdout or name == "log.pem", (name, found.stdout)
        place.write_bytes(before)
    assert verify(tmp_path, folder, key=key).returncode == 0
    (tmp_path / "changed.zip").write_bytes(flipped(whole.read_bytes()))
    assert verify(tmp_path, tmp_path / "changed.zip", key=key).returncode == 1


def flipped(content: bytes) -> bytes:
    """The same with one bit changed, in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
