"""What schema.json refuses, said with the key and with what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from incidents.law.check_rules import File, PackProblem
from incidents.law.pack_files import CALENDARS, VOCABULARY

_DEFINITIONS = {VOCABULARY: "vocabulary", CALENDARS: "calendars"}
_SEE = "see schema.json and docs/packs.md"
_DAY = "^\\d{4}"


def schema_problems(*, file: File, schema: Mapping[str, Any]) -> Iterator[PackProblem]:
    """Every place of the file that the schema refuses, in the order of the lines."""
    from jsonschema import Draft202012Validator  # only here: a normal start does without it

    wanted = {"$ref": f"#/$defs/{_DEFINITIONS.get(file.name, 'pack')}", "$defs": schema["$defs"]}
    found = [_problem(file, _nearest(error)) for error in Draft202012Validator(wanted).iter_errors(file.document)]
    yield from sorted(dict.fromkeys(found), key=lambda problem: problem.line)


def _nearest(error: Any) -> Any:
    """Of several shapes that a value may have, the mistake against the one that it is nearest to."""
    while error.validator == "anyOf" and error.context:
        error = max(error.context, key=lambda inner: (len(inner.absolute_path), inner.validator != "type"))
    return error


def _problem(file: File, error: Any) -> PackProblem:
    keys = tuple(error.absolute_path)
    say = {"required": _missing, "dependentRequired": _missing, "additionalProperties": _unknown, "oneOf": _one_word}.get(
        error.validator, _other
    )
    key, problem, remedy = say(error)
    return file.problem(keys=(*keys, key) if key else keys, rule="schema", problem=problem, remedy=remedy)


def _missing(error: Any) -> tuple[str, str, str]:
    name = error.message.split("'")[1]
    if name == "reference":
        return name, "a value without a reference", "add 'reference' with title, section and address: where is it written?"
    return name, f"'{name}' is missing", f"add it; {_SEE}"


def _unknown(error: Any) -> tuple[str, str, str]:
    known = sorted(error.schema.get("properties", ()))
    name = next(key for key in error.instance if key not in known)
    near = get_close_matches(name, known, n=1)
    meant = f"is '{near[0]}' meant?" if near else f"remove it, or write one of: {', '.join(known)}"
    return name, f"'{name}' is no key of this place", meant


def _one_word(error: Any) -> tuple[str, str, str]:
    words = [part["required"][0] for part in error.schema["oneOf"]]
    had = [word for word in words if word in error.instance]
    problem = f"a condition has exactly one word; this has {', '.join(had) or 'none'}"
    return "", problem, f"write one of: {', '.join(words)}"


def _other(error: Any) -> tuple[str, str, str]:
    if error.validator == "pattern" and error.validator_value.startswith(_DAY):
        return "", f"{error.instance!r} is no day", "write it as 2026-01-31, or null where there is none"
    if error.validator in {"enum", "const"}:
        allowed = error.validator_value if error.validator == "enum" else [error.validator_value]
        return "", f"{error.instance!r} is not known here", f"write one of: {', '.join(map(str, allowed))}"
    return "", error.message[:300], _SEE
