"""What can be seen from outside while and after the drill runs holds nobody's name or address."""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from notifier.embedded import Place, _runner
from tests.installation import Installation
from tests.journeys.conftest import Onlooker, Played, example_of_facts


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


# -- ten thousand planted people ---------------------------------------------------------------------------------------

#: Begins every planted name, address and number, so that one search finds any of them; in no language and no code.
MARK = "qzxvplant"
PEOPLE = 10_000
COLUMNS = ("person_id", "customer_number", "full_name", "email", "street", "city", "postcode", "stated_country", "elements",
           "date_of_birth", "flags")  # fmt: skip
#: By the desk's own steps: an upload, its columns as guessed, the wake-up of the importer. {path} and {incident} are filled in.
UPLOAD = """
from pathlib import Path
from django.contrib.auth.models import User
from incidents.models import Incident
from incidents.people import uploads
from incidents.people.looking import confirm, look
from incidents.tasks import wake_import
author = User.objects.order_by("id").first()
batch = uploads.receive(incident=Incident.objects.get(reference="{incident}"), chunks=[Path("{path}").read_bytes()], author=author)
seen = look(batch=batch)
confirm(batch=batch, mapping=seen.mapping, author=author)
wake_import(batch.pk)
"""


def planted_rows() -> Iterator[dict[str, str]]:
    """People as forensics delivers them: most in order, and of every tenth something wrong, double or doubtful."""
    for n in range(PEOPLE):
        word = f"{MARK}{n:05d}"
        row = {
            "person_id": f"{n}", "customer_number": f"{word}c", "full_name": f"{word.title()} {word.title()}sson",
            "email": f"{word}@mail.{MARK}.example", "street": f"{n} {word.title()} Lane", "city": "Lyon", "postcode": "69001",
            "stated_country": "FR", "elements": "name;email", "date_of_birth": "1980-02-01", "flags": "",
        }  # fmt: skip
        spoilt = {
            1: {"email": f"{word}@@{MARK}"}, 2: {"email": f"{word} at {MARK}.example"}, 3: {"stated_country": f"{word}land"},
            4: {"full_name": "", "email": "", "street": ""}, 5: {"date_of_birth": f"{word}"}, 6: {"flags": "erasure_pending"},
            7: {"elements": f"{word}"}, 8: {"postcode": f"{word}"}, 9: {"flags": f"{word}"},
        }  # fmt: skip
        yield row | spoilt.get(n % 100, {})
        if n % 100 == 10:
            yield row | {"email": f"{word}.second@mail.{MARK}.example"}


def write_planted(path: Path) -> None:
    """The list, with the planted people only."""
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        writer.writerows(planted_rows())


def in_any_writing(word: str) -> re.Pattern[bytes]:
    """The word as text of any case, as UTF-16, as hexadecimal, and inside of Base64 at each of its three offsets."""
    raw = word.encode()
    forms = {raw, word.encode("utf-16-le"), raw.hex().encode(), word.title().encode().hex().encode()}
    for text in (raw, word.title().encode()):
        # The first and last characters mix with what stands around; what is between does not.
        forms |= {base64.b64encode(b"\0" * before + text)[4:-4] for before in range(3)}
    return re.compile(b"|".join(re.escape(form) for form in sorted(forms)), re.IGNORECASE)


@dataclass
class Imported:
    """An installation that has imported the planted people while it was looked at."""

    at: Installation
    temporary: Path
    seen: Onlooker
    dump: bytes
    broker: bytes


def wait_for_list(at: Installation, incident: str) -> None:
    """Until the importer has brought the list in."""
    end = time.monotonic() + 120
    asked = "SELECT b.state FROM incidents_importbatch b JOIN incidents_incident i ON i.id = b.incident_id WHERE i.reference = %s"
    with at.database() as database:
        while True:
            row = database.execute(asked, [incident]).fetchone()
            if row and row[0] == "done":
                return
            assert time.monotonic() < end and (not row or row[0] != "refused"), (row, at.said()[-2000:])
            time.sleep(0.2)


def dumped(at: Installation) -> bytes:
    """The whole database by pg_dump as plain text, in which sealed bytes are hexadecimal."""
    known = json.loads((at.var / "secrets.json").read_text())
    sockets = json.loads((at.var / "run.json").read_text())["sockets"]
    with at.database() as database:
        database.execute("CHECKPOINT")
    done = subprocess.run(
        _runner(Place(var=at.var)).command("pg_dump", "-h", str(sockets), "-U", "bootstrap", "breach"),
        env={**os.environ, "PGPASSWORD": known["bootstrap_password"]}, capture_output=True, check=False, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def broker_dump(at: Installation) -> bytes:
    """What the broker writes to its disk when it is told to save."""
    sockets = json.loads((at.var / "run.json").read_text())["sockets"]
    with redis.Redis(unix_socket_path=f"{sockets}/valkey.sock") as broker:
        broker.save()
    return b"".join(file.read_bytes() for file in (at.var / "valkey").rglob("*") if file.is_file())


def free_port_now() -> int:
    """A port on which nothing listens at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def planted(played: Played, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imported]:
    """The played installation with its workers, into which the planted list was uploaded as a drill of its own."""
    folder = tmp_path_factory.mktemp("planted")
    temporary = folder / "tmp"
    temporary.mkdir()
    # Its temporary files go where they can be searched; sockets stay where they are short.
    runtime = {"TMPDIR": str(temporary), "XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", "/tmp")}
    at = Installation(played.at.var, {**runtime, "LOG_LEVEL": "DEBUG", "PORT": str(free_port_now())})
    write_planted(folder / "list.csv")
    # A reference of its own: the example's may have been opened by another story in this installation.
    facts = example_of_facts().replace("reference: acme-2026", "reference: planted-2026")
    (folder / "facts.yaml").write_text(facts, encoding="utf-8")
    seen = Onlooker(at)
    seen.start()
    try:
        at.start("up", "--scenario", "cartier-2025")
        at.wait_for("Ctrl-C stops everything.")
        made = at.manage("incident_new", "--facts", str(folder / "facts.yaml"), "--as", "officer")
        assert made.returncode == 0, made.stderr
        done = at.manage("shell", "-c", UPLOAD.format(incident="planted-2026", path=folder / "list.csv"))
        assert done.returncode == 0, done.stderr
        wait_for_list(at, "planted-2026")
        yield Imported(at, temporary, seen, dumped(at), broker_dump(at))
    finally:
        at.stop()
        seen.ending.set()
        # Whoever starts the same installation next waits for words of its own, not for these.
        (at.var / "out.log").unlink(missing_ok=True)


def found_in(places: dict[str, bytes]) -> dict[str, str]:
    """Where a planted value stands, with the words around it."""
    wanted = in_any_writing(MARK)
    hits = {place: wanted.search(text) for place, text in places.items()}
    return {
        place: places[place][max(0, hit.start() - 60) : hit.end() + 20].decode(errors="replace")
        for place, hit in hits.items()
        if hit
    }


def test_the_search_finds_a_planted_value_in_any_writing() -> None:
    word = f"{MARK}00042"
    for text in (word, word.upper(), word.title()):
        assert found_in({"text": text.encode()}) and found_in({"hex": text.lower().encode().hex().encode()})
    for before in range(3):
        coded = base64.b64encode(b"x" * before + word.encode() + b"@mail.example")
        assert found_in({"base64": coded}), before
    assert not found_in({"nothing": os.urandom(100_000)})


def test_a_dump_of_the_database_names_none_of_ten_thousand_people(planted: Imported) -> None:
    with planted.at.database() as database:
        row = database.execute(
            "SELECT count(*) FROM incidents_affectedperson p JOIN incidents_importrow r ON r.person_id = p.id "
            "WHERE p.sealed IS NOT NULL AND p.incident_id = (SELECT id FROM incidents_incident WHERE reference = 'planted-2026')"
        ).fetchone()
    assert row and row[0] >= PEOPLE * 0.9, "they are really in it"
    assert b"COPY public.incidents_affectedperson" in planted.dump and len(planted.dump) > PEOPLE * 200
    assert not found_in({"pg_dump": planted.dump})


def test_files_logs_broker_and_command_lines_name_none_of_them(planted: Imported) -> None:
    var, places = planted.at.var, dict[str, bytes]()
    for folder in (var / "log", var / "postgres", planted.temporary):
        places |= {str(f): f.read_bytes() for f in folder.rglob("*") if f.is_file() and not f.is_symlink()}
    places |= {"out.log": planted.at.said().encode(), "broker on disk": planted.broker}
    places |= {"broker, as heard": "\n".join(planted.seen.broker).encode()}
    places |= {"command lines": "\n".join(planted.seen.command_lines).encode()}
    assert b"import_list" in places["broker, as heard"], "the onlooker has heard the importer's wake-up"
    assert any("postgres/base/" in place for place in places) and any("pg_wal" in place for place in places)
    assert not found_in(places)
