"""What a stored duty asks beside its date: titles with lines, the same for `explain` and for the desk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from incidents.law.duties import COMPROMISED_MAILBOX
from incidents.law.in_words import value_lines, word

Stored = Mapping[str, Any]
SECOND_REPORT = "Second report by"
MAILBOX = "the mailbox whose own credentials leaked"
#: Parts of a stored duty that `explain --json` gives as they are.
PARTS = (
    "copy_to", "channels_barred", "monitoring_months", "substitute", "substitute_grounds", "assess_by", "on_no_harm",
    "reasons_for_delay_required",
)  # fmt: skip


def duty_details(*, duty: Stored) -> list[tuple[str, list[str]]]:
    """What a stored duty says beside deadline, content, channels and reasons: titles with lines; empty ones are left out."""
    found = [(title, [str(line) for line in lines(duty) if line]) for title, lines in _DETAILS]
    return [(title, lines) for title, lines in found if lines]


def _deadline(part: str) -> Callable[[Stored], Iterable[Any]]:
    return lambda duty: (duty.get("deadline") or {}).get(part) or ()


def _moment(moment: Any) -> str:
    text = str(moment)
    return f"{text}, at the end of the day" if len(text) == len("2026-01-31") else text.replace("T", " ")


def _by(*names: str) -> Callable[[Stored], Iterable[str]]:
    """A moment inside the duty, by its names."""

    def read(duty: Stored) -> Iterator[str]:
        found: Any = duty
        for name in names:
            found = (found or {}).get(name)
        if found:
            yield _moment(found)

    return read


def _substitute(duty: Stored) -> Iterator[str]:
    if duty.get("substitute"):
        yield from value_lines(path="person.substitute", value={"grounds": duty["substitute"]})
    for ground in duty.get("substitute_grounds") or ():
        yield f"met by what is known: {ground}"


def _monitoring(duty: Stored) -> Iterator[str]:
    if duty.get("monitoring_months"):
        yield f"for at least {duty['monitoring_months']} months, free for these people"


def _late(duty: Stored) -> Iterator[str]:
    if duty.get("reasons_for_delay_required"):
        yield "must be given with the notice: it comes after its deadline"


def _not_by(duty: Stored) -> Iterator[str]:
    for way in duty.get("channels_barred") or ():
        yield MAILBOX if way == COMPROMISED_MAILBOX else word(table="methods", key=way)


_DETAILS: tuple[tuple[str, Callable[[Stored], Iterable[Any]]], ...] = (
    ("Copy to", lambda duty: duty.get("copy_to") or ()),
    (SECOND_REPORT, _by("deadline", "second_by")),
    ("Final report by", _by("deadline", "final_by")),
    ("Left out of the count", _deadline("left_out")),
    ("Other readings of the period", _deadline("other_readings")),
    ("Assessment to be finished by", _by("assess_by")),
    ("Reasons for the delay", _late),
    ("Not by", _not_by),
    ("Free services", _monitoring),
    ("Notice in other ways", _substitute),
    ("Asked of those who rely on no harm", lambda duty: duty.get("on_no_harm") or ()),
)
