"""YAML read strictly: every key once, every key a string, every value with its line. Dates stay text.

Law files are read by people under pressure; a key written twice or an unquoted NO must be an error, not a surprise.
What could stop or stall the reader (nesting without end, references that multiply, a giant file) is refused before it is built.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # libyaml is not there: slower, the same meaning
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

QUOTE_NORWAY = "YAML reads an unquoted NO as false; write it in quotes: 'NO'"
LARGEST_FILE = 1_000_000
DEEPEST = 40
#: A text that cannot nest deeper than this many brackets and columns is not looked through for depth.
_PLAIN = 2_000
_ALIAS = re.compile(r"(?:^|[\s\[{,:])\*[^\s*]", re.MULTILINE)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_WHOLE = re.compile(r"-?(0|[1-9][0-9_]{0,30})")
_CHECK_LINE = "check the indentation, brackets and quotes of this line"


class StrictYamlError(ValueError):
    """A file that cannot be read: `path`, `line` (from 1), `key` and what to do about it."""

    def __init__(self, path: Path | str, line: int, key: str, problem: str) -> None:
        self.path, self.line, self.key, self.problem = str(path), line, key, problem
        super().__init__(f"{path}:{line}: {key}: {problem}")


class Lined(dict[str, Any]):
    """A mapping that knows the line of itself, of each key, and of the items of a list."""

    __slots__ = ("item_lines", "line", "lines")

    def __init__(self) -> None:
        super().__init__()
        self.line = 0
        self.lines: dict[str, int] = {}
        self.item_lines: dict[str, list[int]] = {}

    def line_of(self, key: str, item: int | None = None) -> int:
        """Line of `key`, or of one item of its list, or of the mapping where the key is not there."""
        items = self.item_lines.get(key, ())
        return items[item] if item is not None and item < len(items) else self.lines.get(key, self.line)


class _Loader(_Base):
    """The safe loader without dates, with strict mappings and numbers."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Lined:
    found = Lined()
    found.line = node.start_mark.line + 1
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        _check_key(key, key_node, line, found)
        try:
            found[key] = loader.construct_object(value_node, deep=True)
        except StrictYamlError as error:
            # A number or tag that cannot be read knows its line, not the key it stands under.
            raise StrictYamlError("", error.line, error.key or key, error.problem) from None
        found.lines[key] = line
        if isinstance(value_node, yaml.SequenceNode):
            found.item_lines[key] = [item.start_mark.line + 1 for item in value_node.value]
    return found


def _check_key(key: object, node: yaml.Node, line: int, found: Lined) -> None:
    written = str(node.value) if isinstance(node, yaml.ScalarNode) else "?"
    if isinstance(key, bool):
        other = f"YAML reads an unquoted {written} as {str(key).lower()}; write it in quotes"
        raise StrictYamlError("", line, written, QUOTE_NORWAY if written.upper() == "NO" else other)
    if not isinstance(key, str):
        raise StrictYamlError("", line, written, "a key must be text; write it in quotes")
    if key in found:
        raise StrictYamlError("", line, key, "this key is written twice; keep one")


def _whole(_: _Loader, node: yaml.ScalarNode) -> int:
    """A plain decimal number: 010 would be eight, 1:30 ninety, and a plus sign would be lost."""
    if not _WHOLE.fullmatch(node.value):
        problem = f"{node.value[:40]!r} is no plain whole number; write digits only (1500), or put it in quotes if it is a text"
        raise StrictYamlError("", node.start_mark.line + 1, "", problem)
    return int(node.value)


def _decimal(_: _Loader, node: yaml.ScalarNode) -> float:
    try:
        found = float(node.value)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        problem = f"{node.value[:40]!r} is no number; write digits, or put it in quotes if it is a text"
        raise StrictYamlError("", node.start_mark.line + 1, "", problem)
    return found


def _yes_no(_: _Loader, node: yaml.ScalarNode) -> bool:
    word = str(node.value).lower()
    if word not in _Base.bool_values:
        problem = f"{node.value[:40]!r} is neither true nor false; write one of them"
        raise StrictYamlError("", node.start_mark.line + 1, "", problem)
    return bool(_Base.bool_values[word])


def _no_tag(_: _Loader, node: yaml.Node) -> None:
    tag = node.tag.removeprefix("tag:yaml.org,2002:")
    raise StrictYamlError("", node.start_mark.line + 1, "", f"{tag!r} is not read here; write the value out, without a tag")


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole)
_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)
_Loader.add_constructor("tag:yaml.org,2002:bool", _yes_no)
for _tag in ("timestamp", "value"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", lambda loader, node: str(node.value))
for _tag in ("set", "omap", "pairs", "binary"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _no_tag)
_Loader.add_constructor(None, _no_tag)


def read_yaml(*, path: Path) -> Any:
    """The content of one YAML file, mappings as `Lined`; raises StrictYamlError with file, line and key."""
    try:
        # A pipe or a device could be read for ever.
        if path.exists() and not path.is_file():
            raise StrictYamlError(path, 1, "file", "cannot be read: it is no regular file; give the path of a YAML file")
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise StrictYamlError(path, 1, "file", f"cannot be read: {error.strerror}; give the path of a YAML file") from None
    return parse_yaml(data=data, path=path)


def parse_yaml(*, data: bytes, path: Path | str) -> Any:
    """The same for bytes that were read already; `path` names them in the error."""
    try:
        text = _text(data)
        _refuse_bombs(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except StrictYamlError as error:
        raise StrictYamlError(path, error.line, error.key or "YAML", error.problem) from None
    except yaml.MarkedYAMLError as error:
        raise StrictYamlError(path, *_marked(error)) from None
    except (yaml.YAMLError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StrictYamlError(path, 1, "YAML", f"cannot be read ({type(error).__name__}); start from a file that works") from None


def _text(data: bytes) -> str:
    if len(data) > LARGEST_FILE:
        raise StrictYamlError("", 1, "file", f"is larger than {LARGEST_FILE:,} bytes; split it into several files")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise StrictYamlError("", line, "YAML", "this is not UTF-8; save the file as UTF-8") from None
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        problem = f"a control character (U+{ord(control[0]):04X}); remove it, and save the file as UTF-8"
        raise StrictYamlError("", line, "YAML", problem)
    return text


def _refuse_bombs(text: str) -> None:
    """No references, which can multiply without end, and no nesting that would exhaust the stack of the C parser."""
    steepest = text.count("[") + text.count("{") + max(map(len, text.splitlines()), default=0)
    if steepest <= _PLAIN and not _ALIAS.search(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.AliasEvent):
            problem = f"'*{event.anchor}' refers to another place; write the value out"
            raise StrictYamlError("", _line(event), "YAML", problem)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            problem = f"lists and mappings stand more than {DEEPEST} deep in one another; flatten them"
            raise StrictYamlError("", _line(event), "YAML", problem)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _marked(error: yaml.MarkedYAMLError) -> tuple[int, str, str]:
    """Line, key and problem of a mistake in the YAML itself, with the line where the broken part began."""
    line = error.problem_mark.line + 1 if error.problem_mark else 1
    began = error.context_mark.line + 1 if error.context_mark else line
    where = f" ({error.context}, line {began})" if error.context and began != line else ""
    return line, "YAML", f"{error.problem}{where}; {_CHECK_LINE}"
