"""The bundle of a real campaign: it verifies with the very file inside it, names every flipped byte, and holds nobody's data."""

from __future__ import annotations

import csv
import json
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, connections

from incidents.audit import log, verify_bundle
from incidents.audit.actions import Action
from incidents.audit.export import export_evidence
from incidents.dispatch.campaign import send_test, stop
from incidents.dispatch.outbox import take_over
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.work import dispatch, keep_house
from incidents.models import AffectedPerson, Campaign, Letter
from tests.conftest import CAST, COLUMNS, copy_database, with_database
from tests.dispatch.campaigns import CROWD, HANNA, SVEN, answer, let_go, prepare, states, taken

SUE = {"person_id": "sue", "customer_number": "C77-SECRET", "full_name": "Sue Ann Peterson", "email": "sue.peterson@example.org",
       "stated_country": "US", "loyalty_home_store": "US-WA Bellevue", "language": "en", "date_of_birth": "1979-03-14",
       "elements": "name;email;country;date_of_birth"}  # fmt: skip
PEOPLE = (*CAST, SUE, HANNA, SVEN)
SHIPPED = ("entries/", "register/", "letters/", "checkpoints/")


@dataclass(frozen=True)
class Evidence:
    """Two exports of one campaign, the key they are signed with, and how it ended."""

    first: Path
    second: Path
    key: str
    states: dict[str, int]
    message_refs: list[str]


def write_list(folder: Path, *people: dict[str, str]) -> Path:
    with (folder / "list.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(people)
    return folder / "list.csv"


def database_of_its_own(template: str, blocker: Any, folder: Path) -> Iterator[None]:
    """A copy of the migrated database and a key folder, for a whole module of tests."""
    at, kept = connections["default"].settings_dict, settings.AUDIT_KEY_FILE
    before, name = dict(at), f"evidence_{random.getrandbits(40):x}"
    with psycopg.connect(with_database(before, "postgres"), autocommit=True) as server:
        connections.close_all()
        copy_database(server, name, of=template)
        with blocker.unblock():
            at.update(NAME=name)
            settings.AUDIT_KEY_FILE = folder / "keys" / "audit.pem"
            try:
                yield
            finally:
                connections.close_all()
                at.update(before)
                settings.AUDIT_KEY_FILE = kept
                server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def exported(campaign: Campaign, folder: Path) -> Evidence:
    incident = campaign.incident
    return Evidence(
        first=export_evidence(incident=incident, out=folder / "first.zip", actor="officer"),
        second=export_evidence(incident=incident, out=folder / "second.zip", actor="officer"),
        key=log.fingerprint_of_key(),
        states=states(campaign),
        message_refs=list(campaign.messages.values_list("message_ref", flat=True)),
    )


@pytest.fixture(scope="module")
def calm(migrated_template: str, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """Everything went as it should, but for two bounces."""
    folder = tmp_path_factory.mktemp("calm")
    for _ in database_of_its_own(migrated_template, django_db_blocker, folder):
        campaign, officer, _ = prepare(people=PEOPLE, write_list=lambda *people: write_list(folder, *people))
        letter = Letter.objects.filter(language="fr").first()
        assert letter
        send_test(letter=letter, author=officer, to="officer@cartier.example")
        dispatch(campaign=let_go(campaign))
        yield exported(campaign, folder)


@pytest.fixture(scope="module")
def stormy(migrated_template: str, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """Workers died in the middle, a record was exchanged, one letter was refused, one failed, and in the end it was stopped."""
    folder = tmp_path_factory.mktemp("stormy")
    for _ in database_of_its_own(migrated_template, django_db_blocker, folder):
        campaign, _, _ = prepare(people=(*PEOPLE, *CROWD[:20]), write_list=lambda *people: write_list(folder, *people))
        let_go(campaign)
        for kinds in (["accepted", "refused"], ["failed"], [], ["doubt", "accepted"]):
            die_after(campaign, kinds)
        one, other = (m.entry.person for m in campaign.messages.filter(state="ready", attempts=0).order_by("id")[:2])
        AffectedPerson.objects.filter(pk=one.pk).update(sealed=other.sealed, wrapped_key=other.wrapped_key)
        keep_house()
        dispatch(campaign=campaign)
        campaign.refresh_from_db()
        stop(campaign=campaign, author=User.objects.get(username="officer"), reason="enough")
        keep_house()
        yield exported(campaign, folder)


def die_after(campaign: Campaign, kinds: list[str]) -> None:
    """A worker claims four letters and dies when so many are answered."""
    with Owner() as dying:
        answer(dying, taken(campaign, dying, size=4), *[Outcome(kind, detail="as played") for kind in kinds])
    take_over()


def unpacked(bundle: Path, folder: Path) -> Path:
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder


def check(place: Path, key: str, verify: Path) -> subprocess.CompletedProcess[str]:
    """The shipped checker in a bare Python: isolated, without site packages."""
    command = [sys.executable, "-I", "-S", str(verify), str(place), "--key", key]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("which", ["calm", "stormy"])
def test_the_bundle_verifies_with_the_file_inside_it_as_zip_and_as_folder(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    evidence: Evidence = request.getfixturevalue(which)
    folder = unpacked(evidence.first, tmp_path / "folder")
    for place in (evidence.first, evidence.second, folder):
        done = check(place, evidence.key, folder / "verify.py")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "PASSED" in done.stdout
    wrong = check(evidence.first, "0" * 64, folder / "verify.py")
    assert wrong.returncode == 1


def test_the_storm_was_one(stormy: Evidence) -> None:
    assert {"delivered", "needs_other_channel", "quarantined"} <= set(stormy.states)
    assert sum(stormy.states.values()) == 26


def test_the_checker_counts_the_same_people_in_the_same_states(stormy: Evidence) -> None:
    report = verify_bundle.verify(path=str(stormy.first), fingerprint=stormy.key)
    [line] = [line for line in report.lines if "campaign cartier-2025-c1" in line]
    assert "26 people" in line
    for state, number in stormy.states.items():
        assert f"'{state}': {number}" in line


def test_one_flipped_byte_in_any_file_is_found_and_named(calm: Evidence, tmp_path: Path) -> None:
    folder, dice = unpacked(calm.first, tmp_path / "folder"), random.Random(4)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    assert len(files) > 20
    for file in files:
        whole = file.read_bytes()
        at = dice.randrange(len(whole))
        file.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << dice.randrange(8))]) + whole[at + 1 :])
        report = verify_bundle.verify(path=str(folder), fingerprint=calm.key)
        failed = [line for line in report.lines if line.startswith("FAILED")]
        name = file.relative_to(folder).as_posix()
        # Another key no longer fits the checkpoint it signed: then that is what is named.
        named = (name, "checkpoint.txt") if name == "log.pem" else (name,)
        assert any(each in line for line in failed for each in named), (name, failed)
        file.write_bytes(whole)
    assert verify_bundle.verify(path=str(folder), fingerprint=calm.key).faults == 0


def test_a_missing_or_added_file_is_found_and_named(calm: Evidence, tmp_path: Path) -> None:
    folder = unpacked(calm.first, tmp_path / "folder")
    shutil.move(folder / "facts.json", tmp_path / "facts.json")
    (folder / "letters" / "extra.txt").write_text("x")
    text = "\n".join(verify_bundle.verify(path=str(folder), fingerprint=calm.key).lines)
    assert "FAILED  facts.json" in text
    assert "letters/extra.txt" in text


@pytest.mark.parametrize("which", ["calm", "stormy"])
def test_nobodys_data_are_anywhere_in_the_bundle(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    evidence: Evidence = request.getfixturevalue(which)
    folder = unpacked(evidence.first, tmp_path / "folder")
    whole = b"\n".join([evidence.first.read_bytes(), *(file.read_bytes() for file in folder.rglob("*") if file.is_file())])
    lower = whole.decode("utf-8", "replace").lower()
    for one in (*PEOPLE, *(CROWD[:20] if which == "stormy" else ())):
        for field in ("full_name", "email", "date_of_birth"):
            value = one.get(field, "")
            assert not value or value.lower() not in lower, value
    for part in ("dubois", "o'brien", "o’brien", "佐藤", "peterson", "14 march 1979", "c77-secret", "hard-bounce.test"):
        assert part not in lower, part
    assert "officer@cartier.example" not in lower


def test_what_is_in_the_bundle_is_what_its_readme_says(calm: Evidence) -> None:
    with zipfile.ZipFile(calm.first) as archive:
        names = set(archive.namelist())
        readme = archive.read("README.txt").decode()
        register = archive.read("register/cartier-2025-c1.jsonl").decode().splitlines()
    loose = {"README.txt", "facts.json", "findings.json", "duties.json", "filings.json", "amendments.json",
             "corrections.json", "exclusions.json", "SHA256SUMS", "checkpoint.txt",
             "log.pem", "verify.py"}  # fmt: skip
    assert {name for name in names if not name.startswith(SHIPPED)} == loose
    assert calm.key in readme
    assert len(register) == len(PEOPLE)
    subjects = [json.loads(line)["subject"] for line in register]
    assert subjects == sorted(subjects)
    for line in register:
        letter = json.loads(line)["letter"]
        assert {f"letters/{letter}.json", f"letters/{letter}.txt"} <= names


def test_two_exports_differ_only_in_the_log_that_tells_of_the_first(calm: Evidence) -> None:
    with zipfile.ZipFile(calm.first) as one, zipfile.ZipFile(calm.second) as two:
        first, second = ({name: each.read(name) for name in each.namelist()} for each in (one, two))
    added = set(second) - set(first)
    assert set(first) <= set(second)
    assert len(added) == 1
    assert next(iter(added)).startswith("checkpoints/")
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"entries/00000.jsonl", "SHA256SUMS", "checkpoint.txt"}
    assert second["entries/00000.jsonl"].startswith(first["entries/00000.jsonl"])
    [more] = second["entries/00000.jsonl"][len(first["entries/00000.jsonl"]) :].splitlines()
    assert json.loads(more)["action"] == Action.ACCESS_EXPORTED


@pytest.mark.committed
def test_heads_signed_while_we_write_are_left_to_the_next_export(released: Campaign, tmp_path: Path) -> None:
    """Workers go on during an export; what they add is not in the tree that is exported."""
    incident = released.incident
    real = log.checkpoint

    def and_then_somebody_else(**given: Any) -> Any:
        head = real(**given)
        log.record(incident=incident, action=Action.ACCESS_VIEWED, actor="officer", data={"purpose": "meanwhile"})
        real(incident=incident)
        return head

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "checkpoint", and_then_somebody_else)
        bundle = export_evidence(incident=incident, out=tmp_path / "bundle.zip", actor="officer")
    assert verify_bundle.verify(path=str(bundle), fingerprint=log.fingerprint_of_key()).faults == 0
    with zipfile.ZipFile(bundle) as archive:
        heads = sorted(name for name in archive.namelist() if name.startswith("checkpoints/"))
        signed = int(archive.read("checkpoint.txt").decode().split("\n")[1])
        assert int(heads[-1].split("/")[1].removesuffix(".txt")) == signed
        assert b"meanwhile" not in archive.read("entries/00000.jsonl")
    connection.close()
