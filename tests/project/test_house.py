"""The house keeps its own rules: sizes, tables that must agree, and nothing that belongs to one machine."""

from __future__ import annotations

import ast
import fnmatch
import importlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from incidents.models.messages import CAMPAIGN_MOVES, MESSAGE_MOVES
from notifier import privileges

ROOT = Path(__file__).resolve().parents[2]
GUARDS = importlib.import_module("incidents.migrations.0002_guards")
LATEST = importlib.import_module("incidents.migrations.0022_told_twice")
ROOMS = ("incidents", "notifier")
LONGEST_FUNCTION, LONGEST_FILE = 60, 400
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
#: Absolute folders of one machine; put together here so that this file does not hold them itself.
OF_ONE_MACHINE = re.compile("(?<![\\w.])/" + "(?:" + "|".join(("wo" + "rk", "ro" + "ot", "ho" + "me", "Us" + "ers")) + ")/")


def project_files() -> Iterator[Path]:
    """Everything that belongs to the project: what `.gitignore` does not leave out."""
    ignored = [line.strip("/\n") for line in (ROOT / ".gitignore").read_text().splitlines() if line.strip()]
    waiting = [ROOT]
    while waiting:
        for entry in sorted(waiting.pop().iterdir()):
            if entry.name == ".git" or any(fnmatch.fnmatch(entry.name, pattern) for pattern in ignored):
                continue
            if entry.is_dir():
                waiting.append(entry)
            else:
                yield entry


def code() -> Iterator[tuple[str, ast.Module, int]]:
    """Path, tree and number of lines of each module of the rooms, without migrations."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts:
                text = path.read_text(encoding="utf-8")
                yield str(path.relative_to(ROOT)), ast.parse(text), len(text.splitlines())


def moves(table: Mapping[str, frozenset[str]]) -> set[tuple[str, str]]:
    return {(str(before), str(after)) for before, afters in table.items() for after in afters}


def test_the_locked_requirements_name_no_place() -> None:
    found = sorted(ROOT.glob("requirements*.txt"))
    assert len(found) >= 2 and not [path.name for path in found if "://" in path.read_text()]


def test_every_locked_requirement_has_its_hash() -> None:
    for path in ROOT.glob("requirements*.txt"):
        blocks = re.split(r"\n(?=[a-z])", path.read_text())
        assert not [block.splitlines()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block]


def test_no_file_holds_a_path_of_one_machine() -> None:
    found = []
    for path in project_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in OF_ONE_MACHINE.finditer(text)]
    assert not found


@pytest.mark.parametrize(
    ("in_code", "in_database"), [(MESSAGE_MOVES, LATEST.MESSAGE_MOVES), (CAMPAIGN_MOVES, GUARDS.CAMPAIGN_MOVES)],
    ids=["messages", "campaigns"],
)  # fmt: skip
def test_the_database_allows_the_moves_that_the_code_allows(
    in_code: Mapping[str, frozenset[str]], in_database: list[tuple[str, str]]
) -> None:
    assert moves(in_code) == set(in_database) and len(in_database) == len(set(in_database))


@pytest.mark.parametrize("table", [MESSAGE_MOVES, CAMPAIGN_MOVES], ids=["messages", "campaigns"])
def test_every_state_has_its_line_of_moves(table: Mapping[str, frozenset[str]]) -> None:
    states = type(next(iter(table)))
    assert set(table) == set(states)  # type: ignore[arg-type]


def test_triggers_and_grants_guard_the_same_tables() -> None:
    assert tuple(GUARDS.APPEND_ONLY) == tuple(privileges.APPEND_ONLY)


OUR_COMMANDS = sorted(name for name, app in get_commands().items() if app in ROOMS)


def test_there_are_commands() -> None:
    assert {"incident_new", "import_people", "assess", "freeze", "approve", "release", "export_evidence"} <= set(OUR_COMMANDS)


@pytest.mark.parametrize("name", OUR_COMMANDS)
def test_every_command_says_what_it_does(name: str) -> None:
    command = load_command_class(get_commands()[name], name)
    assert len(command.help) > 10 and command.create_parser("manage.py", name).format_help()


def test_functions_are_short() -> None:
    found = [
        f"{path}:{node.lineno} {node.name} has {length} lines"
        for path, tree, _ in code()
        for node in ast.walk(tree)
        if isinstance(node, FUNCTIONS) and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not found


def test_files_are_short() -> None:
    assert not [f"{path} has {lines} lines" for path, _, lines in code() if lines > LONGEST_FILE]


def test_every_module_says_what_it_is_for() -> None:
    assert not [path for path, tree, lines in code() if lines and not ast.get_docstring(tree)]


def test_nothing_of_our_own_is_imported_inside_a_function() -> None:
    found = [
        f"{path}:{inner.lineno} in {node.name}"
        for path, tree, _ in code()
        for node in ast.walk(tree)
        if isinstance(node, FUNCTIONS) and not (path.endswith("apps.py") and node.name == "ready")
        for inner in ast.walk(node)
        if (isinstance(inner, ast.ImportFrom) and (inner.module or "").split(".")[0] in ROOMS)
        or (isinstance(inner, ast.Import) and any(name.name.split(".")[0] in ROOMS for name in inner.names))
    ]
    assert not found


@pytest.mark.parametrize(
    ("template", "cells"), [("queue", {"Row", "Person", "Why", "Remedy", "Decision"}), ("list", {"holds", "First rows"})]
)
def test_on_a_narrow_screen_every_cell_of_a_decision_stands_under_the_other_with_its_name(template: str, cells: set[str]) -> None:
    text = (ROOT / "templates" / "admin" / "desk" / f"{template}.html").read_text()
    (table,) = re.findall(r'<table class="wide cards">.*?</table>', text, re.DOTALL)
    assert cells <= set(re.findall(r'data-label="([^"]+)"', table))
    assert not [cell for cell in re.findall(r"<td[^%>]*>(?!<input type=\"checkbox\")", table) if "data-label" not in cell]


def test_no_two_files_of_tests_have_one_name() -> None:
    """They are imported by their bare names: the second of two would not be run."""
    names = Counter(path.name for path in project_files() if path.name.startswith("test_") and path.suffix == ".py")
    assert [name for name, times in names.items() if times > 1] == []
    assert len(names) > 100
