"""A list imported as an operator does it, against a raw COPY of the same file and against Django's bulk_create of plain rows.

The list is the drill's own. Everything is held against the COPY of this very run: a busy machine slows both. Memory is the largest
resident size of the importing process and of its reader, each measured in a process of its own.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from tests.benchmarks.figures import Figure, in_turn
from tests.benchmarks.stage import VAR, throwaway_database

ROWS = 200_000
#: Rows for Django's own way, which is too slow for all of them.
SAMPLE = 20_000
SCENARIO = "cartier-2025"
MEMORY_MB, GROWTH, MATCHING = 200.0, 1.2, 12.0
IMPORT = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
from tests.benchmarks.importing import timed_import
print(json.dumps(timed_import(sys.argv[2], sys.argv[3])))
"""


def run() -> Iterator[Figure]:
    """Rows a second and its ratios, memory, and how the work grows with the list."""
    with throwaway_database(), tempfile.TemporaryDirectory(prefix="bench-lists-", dir=VAR) as folder:
        from django.contrib.auth.models import User

        User.objects.create_user("officer")
        small, large = (_list(Path(folder), rows) for rows in (ROWS // 10, ROWS))
        few, many = _imported(small, 1), None
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as own:
            _raw_table(own, large)
            raw, plain = in_turn(partial(_raw_copy, own, large), partial(_bulk_create, large), times=3)
        many = _imported(large, 2)
        yield from _ratios(many, raw, plain)
        yield from _growth(few, many)
        yield _grows(
            "known_grows", *(_imported(_another(path), at, known=True) for at, path in enumerate((small, large), start=1))
        )


def _list(folder: Path, rows: int) -> Path:
    from incidents.scenarios.catalog import load_scenario
    from incidents.scenarios.generator import write_people

    path = folder / f"people-{rows}.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        write_people(scenario=load_scenario(scenario_id=SCENARIO), people=rows, out=out)
    return path


def _ratios(done: dict[str, Any], raw: float, plain: float) -> Iterator[Figure]:
    rows, size = done["rows"], f"N={done['rows']:,} rows"
    whole, staged = rows / done["seconds"], rows / done["staged"]
    note = f"{size}: raw COPY {rows / raw:,.0f} rows/s; parsed, checked, sealed, indexed, staged {staged:,.0f}; imported {whole:,.0f}"
    yield Figure("import.rows_per_second", whole, "rows/s", note)
    yield Figure("import.staged_of_raw_copy", raw / done["staged"], "times", size, target=0.20)
    yield Figure("import.whole_of_raw_copy", raw / done["seconds"], "times", size, target=0.08)
    each = plain / SAMPLE
    note = f"bulk_create of {SAMPLE:,} plain rows of the same columns: {each * 1e6:.0f} us each"
    yield Figure("import.of_bulk_create", each * rows / done["seconds"], "times", note, target=2.0)


def _growth(few: dict[str, Any], many: dict[str, Any]) -> Iterator[Figure]:
    size = f"N={few['rows']:,} and {many['rows']:,} rows"
    for who in ("importer", "reader"):
        largest, grown = many[f"{who}_mb"], many[f"{who}_mb"] / few[f"{who}_mb"]
        note = f"{size}: {few[f'{who}_mb']:.0f} and {largest:.0f} MB resident at most, {grown:.2f} times"
        yield Figure(f"import.{who}_memory_left", MEMORY_MB / largest, "times", note, target=1.0)
        yield Figure(f"import.{who}_memory_flat", GROWTH / grown, "times", note, target=1.0)
    yield _grows("matching_grows", few, many)


def _grows(name: str, few: dict[str, Any], many: dict[str, Any]) -> Figure:
    """What ten times the rows cost in matching; the target is the bound over that."""
    grown = many["matched"] / few["matched"] * 10 * few["rows"] / many["rows"]
    size = f"N={few['rows']:,} and {many['rows']:,} rows" + (" of people who are known" if "known" in name else "")
    note = f"{size}: matched in {few['matched']:.2f} and {many['matched']:.2f} s; ten times the rows cost {grown:.1f} times"
    return Figure(f"import.{name}", MATCHING / grown, "times", note, target=1.0)


def _another(path: Path) -> Path:
    """A second list of the same people, but for the last one."""
    other = path.with_stem(f"{path.stem}-again")
    with path.open(encoding="utf-8", newline="") as text, other.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(list(csv.reader(text))[:-1])
    return other


def _raw_table(own: psycopg.Connection, path: Path) -> None:
    """A logged table as wide as the file, committed before anything is timed, on a server that makes everything durable."""
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        assert own.execute(f"SHOW {setting}").fetchone() == ("on",), setting
    assert own.execute("SHOW wal_level").fetchone() != ("minimal",)
    with path.open(encoding="utf-8", newline="") as text:
        names = ", ".join(f"c{number} text" for number in range(len(next(csv.reader(text)))))
    own.execute(f"CREATE TABLE raw_copy ({names})")


def _raw_copy(own: psycopg.Connection, path: Path) -> None:
    """The same bytes, by COPY alone; returns when they are committed."""
    with path.open("rb") as raw, own.cursor().copy("COPY raw_copy FROM STDIN (FORMAT csv, HEADER)") as out:
        while part := raw.read(1024**2):
            out.write(part)


def _bulk_create(path: Path) -> None:
    """The first rows through Django: read, made objects, written, in clear and checked by nobody."""
    from django.db import connection, models

    with path.open(encoding="utf-8", newline="") as text:
        reader = csv.reader(text)
        header = next(reader)
        fields = {f"c{number}": models.TextField() for number in range(len(header))}
        meta = type("Meta", (), {"app_label": "bench", "db_table": "plain_rows"})
        kind = type("PlainRow", (models.Model,), {"__module__": __name__, "Meta": meta, **fields})
        _owner(f"DROP TABLE IF EXISTS plain_rows; CREATE TABLE plain_rows (id bigserial PRIMARY KEY, "
               f"{', '.join(f'{name} text' for name in fields)}); GRANT ALL ON plain_rows, plain_rows_id_seq TO PUBLIC")  # fmt: skip
        assert not connection.in_atomic_block
        while page := list(islice(reader, 2000)):
            kind.objects.bulk_create([kind(**dict(zip(fields, row, strict=False))) for row in page])
            if reader.line_num > SAMPLE:
                return


def _owner(statements: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as own:
        own.execute(statements)


def _imported(path: Path, number: int, *, known: bool = False) -> dict[str, Any]:
    """One import in a process of its own, as a command is, into a new incident or into that of before."""
    from django.contrib.auth.models import User
    from django.db import connections

    from incidents.models import Incident
    from tests.benchmarks.people import _incident

    incident = Incident.objects.order_by("pk")[number - 1] if known else _incident(User.objects.get(), number)
    settings = connections["default"].settings_dict
    url = f"postgresql://{settings['USER']}:{settings['PASSWORD']}@/{settings['NAME']}?host={settings['HOST']}"
    if not str(settings["HOST"]).startswith("/"):
        url = f"postgresql://{settings['USER']}:{settings['PASSWORD']}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"
    command = [sys.executable, "-c", IMPORT, str(Path(__file__).resolve().parents[2]), incident.reference, str(path)]
    done = subprocess.run(
        command, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, timeout=3600, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def timed_import(reference: str, path: str) -> dict[str, Any]:
    """In the process of the import: how long each part took, and the largest memory of this process and of the reader."""
    import django

    django.setup()
    from django.contrib.auth.models import User

    from incidents.models import Incident
    from incidents.people import importing, settling

    taken: dict[str, float] = {}
    importing.stage_list = _timing(importing.stage_list, "staged", taken)  # type: ignore[attr-defined]
    settling.match = _timing(settling.match, "matched", taken)
    started = time.perf_counter()
    report = importing.import_people(
        incident=Incident.objects.get(reference=reference), path=Path(path), author=User.objects.get(username="officer")
    )
    taken["seconds"] = time.perf_counter() - started
    assert report.accounting.adds_up and not report.already_known
    peaks = {who: resource.getrusage(which).ru_maxrss / 1024 for who, which in
             (("importer_mb", resource.RUSAGE_SELF), ("reader_mb", resource.RUSAGE_CHILDREN))}  # fmt: skip
    return {"rows": report.rows, **taken, **peaks}


def _timing(work: Any, name: str, taken: dict[str, float]) -> Any:
    def timed(*given: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return work(*given, **named)
        finally:
            taken[name] = taken.get(name, 0.0) + time.perf_counter() - started

    return timed
