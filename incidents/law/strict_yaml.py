"""YAML read strictly: every key once, every key a string, every value with its line. Dates stay text.

Law files are read by people under pressure; a key written twice or an unquoted NO must be an error, not a surprise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # libyaml is not there: slower, the same meaning
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

QUOTE_NORWAY = "write it in quotes: 'NO' (YAML reads an unquoted NO as false)"


class StrictYamlError(ValueError):
    """A file that cannot be read: `path`, `line` (from 1), `key` and what to do about it."""

    def __init__(self, path: Path | str, line: int, key: str, problem: str) -> None:
        self.path, self.line, self.key, self.problem = str(path), line, key, problem
        super().__init__(f"{path}:{line}: {key}: {problem}")


class Lined(dict[str, Any]):
    """A mapping that knows the line of itself and of each key."""

    __slots__ = ("line", "lines")

    def __init__(self) -> None:
        super().__init__()
        self.line = 0
        self.lines: dict[str, int] = {}

    def line_of(self, key: str) -> int:
        """Line of `key`, or of the mapping where the key is not there."""
        return self.lines.get(key, self.line)


class _Loader(_Base):
    """The safe loader without dates, with strict mappings."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Lined:
    found = Lined()
    found.line = node.start_mark.line + 1
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        _check_key(key, key_node, line, found)
        found[key] = loader.construct_object(value_node, deep=True)
        found.lines[key] = line
    return found


def _check_key(key: object, node: yaml.Node, line: int, found: Lined) -> None:
    written = str(node.value) if isinstance(node, yaml.ScalarNode) else "?"
    if isinstance(key, bool):
        raise StrictYamlError("", line, written, QUOTE_NORWAY)
    if not isinstance(key, str):
        raise StrictYamlError("", line, written, "a key must be text; write it in quotes")
    if key in found:
        raise StrictYamlError("", line, key, "this key is written twice; keep one")


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: str(node.value))


def read_yaml(*, path: Path) -> Any:
    """The content of one YAML file, mappings as `Lined`; raises StrictYamlError with file, line and key."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
    except StrictYamlError as error:
        raise StrictYamlError(path, error.line, error.key, error.problem) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise StrictYamlError(path, line, "YAML", str(error.problem)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StrictYamlError(path, 1, "YAML", str(error)) from None
    except OSError as error:
        raise StrictYamlError(path, 1, "file", f"cannot be read: {error.strerror}") from None
