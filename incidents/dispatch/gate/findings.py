"""One finding of the gate, in words, with its remedy."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARN, BLOCK, ACCEPTED = "ok", "warn", "block", "accepted"


@dataclass(frozen=True)
class Finding:
    """`level`: ok, warn, block, or accepted (a block that a person took on, with `reason`)."""

    name: str
    level: str
    text: str
    remedy: str = ""
    #: Whether a person who knows more than the program may take it on.
    acceptable: bool = False
    accepted_by: str = ""
    reason: str = ""
