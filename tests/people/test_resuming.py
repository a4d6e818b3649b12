"""An import is killed, robbed of its reader or its staged rows, or stopped by a person: nothing is lost and nothing is twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction

from incidents.models import AuditEvent, ImportBatch, ImportRow, Incident, QueueEntry
from incidents.people import confined, importing, settling, staging
from incidents.people.confined import ReaderBroken, ReaderStopped
from incidents.people.importing import account, carry_on, import_people
from incidents.people.opening import amend_facts
from incidents.people.reading import FileRefused
from incidents.people.staging import FileNeeded
from tests.conftest import CARL, CAST
from tests.people.conftest import Importer

ROOT = Path(__file__).resolve().parents[2]
#: Kills itself, without any chance to tidy up, at its DIE-th statement, line of COPY or commit; prints how many there were.
DOOMED = """
import json, os, signal, sys
sys.path.insert(0, sys.argv[1])
import django
django.setup()
from pathlib import Path
from django.contrib.auth.models import User
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from incidents.models import Incident
from incidents.people import staging
from incidents.people.importing import import_people
reference, path, die = sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
staging.SLICE, done = 600, 0
def tick():
    global done
    done += 1
    if done == die:
        os.kill(os.getpid(), signal.SIGKILL)
def ticking(real):
    def call(*given, **named):
        tick()
        return real(*given, **named)
    return call
staging._Copying.write = ticking(staging._Copying.write)
DatabaseWrapper._commit = ticking(DatabaseWrapper._commit)
connection.ensure_connection()
with connection.execute_wrapper(lambda execute, *given: (tick(), execute(*given))[1]):
    report = import_people(
        incident=Incident.objects.get(reference=reference), path=path, author=User.objects.get(username="officer"))
print(json.dumps([done, report.already_known, report.rows]))
"""


def many(path: Path, rows: int) -> Path:
    """A list in which somebody stands twice, somebody without an address, and a row that is nobody."""
    lines = ["person_id,customer_number,full_name,email,stated_country"]
    for number in range(rows):
        email = "" if number % 97 == 5 else f"p{number}@example.org"
        name = '"line\nbreak"' if number % 301 == 7 else f"Person {number}"
        country = "" if number % 53 == 9 else ("FR", "DE", "IT")[number % 3]
        lines.append(f"id{number},C{number - number % 10 if number % 10 == 1 else number},{name},{email},{country}")
    path.write_text("\n".join(lines) + "\n")
    return path


def told(incident: Incident) -> dict[str, Any]:
    """What an import has left, without what is random."""
    rows = ImportRow.objects.filter(batch__incident=incident).order_by("number")
    people = incident.people.order_by("import_rows__number")
    log = AuditEvent.objects.filter(log__incident=incident)
    return {
        "account": account(incident=incident),
        "rows": list(rows.values_list("number", "outcome", "column", "reason", "remedy", "person__reference")),
        "people": list(people.values_list("reference", "residence", "status", "elements", "flags", "cohort__residence")),
        "queue": sorted(QueueEntry.objects.filter(incident=incident).values_list("kind", "column", "person__reference")),
        "log": sorted(log.values_list("action", flat=True)),
        "cohorts": sorted(incident.cohorts.values_list("residence", "count")),
    }


def doomed(database: str, incident: Incident, path: Path, die: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "notifier.settings"}
    command = [sys.executable, "-c", DOOMED, str(ROOT), incident.reference, str(path), str(die)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def another(incident: Incident, officer: User, reference: str) -> Incident:
    """A second incident with the same facts."""
    from incidents.people.opening import check_facts, open_incident
    from incidents.scenarios.catalog import load_scenario

    facts = {**load_scenario(scenario_id="cartier-2025").facts, "id": reference, "reference": reference}
    return open_incident(facts=check_facts(facts, now=datetime(2026, 11, 22, tzinfo=UTC)), author=officer, drill=True)


@pytest.mark.committed
@pytest.mark.usefixtures("quick_passwords")
def test_an_import_killed_at_any_moment_goes_on_and_ends_as_if_nothing_had_been(
    incident: Incident, officer: User, committed: str, tmp_path: Path
) -> None:
    path, twin = many(tmp_path / "many.csv", 2000), another(incident, officer, "twin-2026")
    whole = doomed(committed, twin, path, 0)
    assert whole.returncode == 0, whole.stderr[-2000:]
    steps, known, rows = json.loads(whole.stdout)
    assert (known, rows) == (False, 2000)
    seed = random.randrange(10**6)
    moments = sorted({1, steps // 3, steps - 1, *random.Random(seed).sample(range(2, steps), 5)})
    for moment in moments:
        killed = doomed(committed, incident, path, moment)
        assert killed.returncode in (-signal.SIGKILL, 0), (seed, moment, killed.stderr[-2000:])
    last = doomed(committed, incident, path, 0)
    assert last.returncode == 0, (seed, last.stderr[-2000:])
    assert told(incident) == told(twin), seed
    assert account(incident=incident).adds_up
    assert incident.imports.count() == 1 and _staged() == 0


def _staged() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM incidents_stagedrow")
        return int(cursor.fetchone()[0])


def stop_after(monkeypatch: pytest.MonkeyPatch, slices: int) -> None:
    """The process ends after some slices; what they staged stays."""
    monkeypatch.setattr(staging, "SLICE", 500)
    real, done = staging._Stager._slice, [0]

    def slice_(self: Any, *given: Any) -> bool:
        if done[0] == slices:
            raise KeyboardInterrupt
        done[0] += 1
        return real(self, *given)

    monkeypatch.setattr(staging._Stager, "_slice", slice_)


def begun(incident: Incident, officer: User, path: Path, monkeypatch: pytest.MonkeyPatch, slices: int = 2) -> ImportBatch:
    """A list of which some slices are staged."""
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        stop_after(patched, slices)
        import_people(incident=incident, path=path, author=officer)
    return ImportBatch.objects.get(state="reading")


def test_what_is_staged_is_not_read_again(
    incident: Incident, officer: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = many(tmp_path / "many.csv", 1500), []
    batch = begun(incident, officer, path, monkeypatch)
    assert (batch.rows_staged, batch.rows, _staged()) == (1000, 0, 1000)
    report = import_people(incident=incident, path=path, author=officer, progress=lambda rows, _: seen.append(rows))
    assert seen[0] == 1500 and (report.rows, report.accounting.adds_up) == (1500, True) and _staged() == 0


def test_staged_rows_that_a_crash_of_the_database_took_are_read_again(
    incident: Incident, officer: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = many(tmp_path / "many.csv", 1500)
    begun(incident, officer, path, monkeypatch)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM incidents_stagedrow WHERE number > 700")
    report = import_people(incident=incident, path=path, author=officer)
    assert (report.rows, report.accounting.rows_in, report.accounting.adds_up) == (1500, 1500, True)


def test_rows_are_read_again_when_the_facts_of_the_incident_changed_meanwhile(
    incident: Incident, officer: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = many(tmp_path / "many.csv", 1500)
    begun(incident, officer, path, monkeypatch)
    facts = {**incident.facts.facts, "elements": {**incident.facts.facts["elements"], "phone": "exposed"}}
    amend_facts(incident=incident, facts=facts, reason="forensics found more", author=officer)
    import_people(incident=incident, path=path, author=officer)
    assert set(map(tuple, incident.people.values_list("elements", flat=True))) == {("country", "email", "name", "phone")}


def test_a_list_begun_from_a_file_needs_the_file_again_until_it_is_read_to_its_end(
    incident: Incident, officer: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = begun(incident, officer, many(tmp_path / "many.csv", 1500), monkeypatch)
    assert list(importing.unfinished()) == []
    with pytest.raises(FileNeeded, match="Give the same file again"):
        carry_on(batch=batch)
    assert ImportBatch.objects.get().state == "reading" and _staged() == 1000


def test_a_reader_that_is_killed_stops_the_import_and_loses_nothing(
    incident: Incident, officer: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = many(tmp_path / "many.csv", 6000), confined.Reader._message

    def kills(self: confined.Reader) -> dict[str, Any]:
        found = real(self)
        if found.get("rows"):
            self._child.kill()  # what it said before may still lie in the pipe, but not the whole list
            self._child.wait()
        return found

    with monkeypatch.context() as patched, pytest.raises(ReaderStopped, match="start the import again"):
        patched.setattr(staging, "SLICE", 100)
        patched.setattr(confined.Reader, "_message", kills)
        import_people(incident=incident, path=path, author=officer)
    assert not incident.people.exists()
    assert import_people(incident=incident, path=path, author=officer).accounting.rows_in == 6000


# -- limits --------------------------------------------------------------------------------------------------------


def test_a_list_that_costs_too_much_time_is_refused_in_words(
    incident: Incident, officer: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confined, "LEAST_SECONDS", 1)
    monkeypatch.setattr(confined, "SECONDS_A_MIB", 0)
    with pytest.raises(FileRefused, match="more than 1 seconds of processor time"):
        import_people(incident=incident, path=many(tmp_path / "many.csv", 600_000), author=officer)
    assert not incident.people.exists() and _staged() == 0


def test_a_list_that_costs_too_much_memory_is_refused_in_words(
    incident: Incident, officer: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confined, "MEMORY", 1)
    path = tmp_path / "wide.csv"
    path.write_text("full_name,email,street\n" + f"A,a@example.org,{'x' * 100_000}\n" * 200)
    with pytest.raises(FileRefused, match="more memory than any list needs"):
        import_people(incident=incident, path=path, author=officer)


@pytest.mark.parametrize(
    "deed",
    [
        "open('/etc/passwd')", "open('/tmp/escaped', 'w')", "__import__('socket').create_connection(('127.0.0.1', 9))",
        "__import__('subprocess').run(['true'])", "__import__('os').fork()", "__import__('os').remove('/etc/hostname')",
        "__import__('os').system('true')",
    ],
)  # fmt: skip
def test_the_reader_can_do_nothing_but_read_its_list(deed: str) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import socket, subprocess, os\n"
        "from incidents.people.parsing import give_up\n"
        f"give_up(memory={confined.MEMORY}, seconds=20)\n"
        f"try:\n    {deed}\nexcept PermissionError:\n    print('refused')"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "refused\n", done


def test_the_reader_knows_no_key_no_database_and_no_environment(tmp_path: Path) -> None:
    path = many(tmp_path / "many.csv", 10)
    with confined.OpenFile(path=path) as opened, confined.Reader(source=opened) as reader:
        folder = Path(f"/proc/{reader._child.pid}")
        list(reader.ask(do="inspect", mapping=None))
        environment = (folder / "environ").read_bytes()
        files = {os.readlink(found) for found in (folder / "fd").iterdir()}
        command = (folder / "cmdline").read_bytes().decode()
    assert environment == b"LANG=C.UTF-8\0"
    assert {file for file in files if not file.startswith(("socket:", "/dev/null"))} == {str(path)}
    assert len([file for file in files if file.startswith("socket:")]) == 1 and path.name not in command


def test_a_fault_of_the_reader_tells_its_place_and_never_a_value(tmp_path: Path) -> None:
    path, broken = many(tmp_path / "many.csv", 10), r"^KeyError at [^'\"]*parsing.py:\d+$"
    with (
        confined.OpenFile(path=path) as opened,
        confined.Reader(source=opened) as reader,
        pytest.raises(ReaderBroken, match=broken),
    ):
        list(reader.ask(do="secret-of-somebody"))


# -- what the database refuses -------------------------------------------------------------------------------------


def test_the_database_refuses_a_list_that_lost_a_row(imported: Incident) -> None:
    with pytest.raises(IntegrityError, match="4 rows were read, 3 are accounted for"), transaction.atomic():
        ImportBatch.objects.update(rows=4)
        connection.check_constraints()


def test_the_database_refuses_a_list_whose_rows_lead_to_nobody(
    incident: Incident, officer: User, write_list: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = settling.INSERT_ROWS.replace("coalesce(s.known_person, s.person_id)", "NULL::bigint")
    assert lost != settling.INSERT_ROWS
    monkeypatch.setattr(settling, "INSERT_ROWS", lost)
    with pytest.raises(IntegrityError, match="of them lead to nobody"), transaction.atomic():
        import_people(incident=incident, path=write_list(*CAST), author=officer)
        connection.check_constraints()


def test_the_database_refuses_an_import_whose_sum_does_not_hold(imported: Incident, bring: Importer) -> None:
    with pytest.raises(IntegrityError, match="does not hold"), transaction.atomic():
        ImportRow.objects.filter(number=2).update(outcome="merged")
        bring({**CARL, "person_id": "dora", "full_name": "Dora Late", "customer_number": "C9", "email": "d@example.org"})
        connection.check_constraints()


def test_nothing_personal_lies_open_among_staged_rows(
    incident: Incident, officer: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "planted.csv"
    header = "person_id,customer_number,full_name,email,phone,street,city,postcode,date_of_birth,stated_country"
    row = ",".join(f"plant{n}" for n in range(1, 4)) + ",plant4@example.org,plant5,plant6,plant7,plant8,1980-01-01,FR"
    path.write_text(f'{header}\nid1,{row.split(",", 1)[1]}\nid2,"pl\nant",x,plant@example.org,,,,,,FR\n')
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(importing, "_settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        import_people(incident=incident, path=path, author=officer)
    with connection.cursor() as cursor:
        cursor.execute("SELECT s::text FROM incidents_stagedrow s")
        stored = "\n".join(row for (row,) in cursor.fetchall())
    # Whole words only: four digits alone turn up by chance in what is sealed.
    for secret in ("plant", "1980-01-01"):
        assert secret not in stored
        assert secret.encode().hex() not in stored
    assert stored.count("\n") == 1
