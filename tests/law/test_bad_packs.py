"""A malformed pack names file, line, key and remedy, whatever is wrong with it; none stalls the reader or gets through."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from incidents.law.pack import PACKS_FOLDER, PackError, load_packs

NEVER = [
    "null", "true", ".nan", ".inf", "-1", "9" * 5000, "010", "[]", "{}", "[[[[]]]]", "[null]", "''", "2026-02-30", "!!int x",
    "!!set {a}", "&a [*a]", "'x\n    y'", "{", "\t- x",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("eu.yaml", "fr.yaml", "jp.yaml", "calendars.yaml", "vocabulary.yaml", "schema.json"):
        shutil.copy(PACKS_FOLDER / name, tmp_path / name)
    return tmp_path


def refused(folder: Path) -> PackError:
    started = time.monotonic()
    with pytest.raises(PackError) as caught:
        load_packs(folder=folder)
    assert time.monotonic() - started < 5 and len(str(caught.value)) < 1000
    return caught.value


def japan(folder: Path) -> str:
    return (folder / "jp.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "key", ["id", "kind", "zone", "checked_on", "verified", "version", "judged_on", "regimes", "law", "content_vocabulary"]
)
@pytest.mark.parametrize("value", NEVER, ids=lambda value: value[:10])
def test_a_value_that_cannot_be_is_refused_at_its_key(folder: Path, key: str, value: str) -> None:
    lines = japan(folder).splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if line.strip(" -").startswith(f"{key}:"))
    head = lines[at][: lines[at].index(f"{key}:")]
    lines[at] = f"{head}{key}: {value}\n"
    (folder / "jp.yaml").write_text("".join(lines), encoding="utf-8")
    if (key, value) in {("version", "''"), ("version", "2026-02-30"), ("version", "'x\n    y'")}:
        return  # a version is any text
    error = refused(folder)
    assert error.file == "jp.yaml" and error.line >= 1 and error.key and error.problem and error.remedy


@pytest.mark.parametrize("name", ["jp.yaml", "vocabulary.yaml", "calendars.yaml"])
@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b"", 1, "not a mapping"),
        (b"- a\n- b\n", 1, "not a mapping"),
        (b"just words", 1, "not a mapping"),
        ("id: JP".encode("utf-16"), 1, "not UTF-8"),
        (b"id: JP\nname: Jap\xe3o\n", 2, "not UTF-8"),
        (b"id: JP\nname: \x00\n", 2, "control character"),
        (b"id: JP\nid: JP\n", 2, "written twice"),
        (b"id: JP\nNO: 1\n", 2, "write it in quotes: 'NO'"),
        (b"id: JP\n1: 1\n", 2, "must be text"),
        (b"id: JP\n\tname: x\n", 2, "check the indentation"),
        (b"id: &a [x]\nname: *a\n", 2, "refers to another place"),
        (b"id: JP\n---\nid: JP\n", 2, "another document"),
        (b"id: !thing JP\n", 1, "without a tag"),
        (b"a: " + b"x" * 10_000_000, 1, "larger than"),
        (b"[" * 900_000, 1, "deep in one another"),
    ],
    ids=["empty", "list", "words", "utf-16", "latin-1", "nul", "twice", "norway", "number", "tab", "alias", "two", "tag", "10-mb", "deep"],
)  # fmt: skip
def test_a_file_that_is_no_pack_is_refused_with_its_line(folder: Path, name: str, data: bytes, line: int, says: str) -> None:
    (folder / name).write_bytes(data)
    error = refused(folder)
    assert (error.file, error.line) == (name, line) and says in error.problem and error.remedy


@pytest.mark.parametrize("change", ["bom", "crlf"])
def test_a_byte_order_mark_and_line_ends_of_windows_change_nothing(folder: Path, change: str) -> None:
    data = japan(folder).encode()
    (folder / "jp.yaml").write_bytes(b"\xef\xbb\xbf" + data if change == "bom" else data.replace(b"\n", b"\r\n"))
    assert load_packs(folder=folder).packs["JP"].regimes == load_packs().packs["JP"].regimes


@pytest.mark.parametrize("name", ["vocabulary.yaml", "calendars.yaml"])
def test_a_file_that_every_pack_needs_is_missed(folder: Path, name: str) -> None:
    (folder / name).unlink()
    error = refused(folder)
    assert error.file == name and "cannot be read" in error.problem and error.remedy
