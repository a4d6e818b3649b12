"""The one base of all refusals: bad input or a rule that forbids a step. Its text is what the user reads, with the remedy.

No Django here: lists are read in a process that has none.
"""

from __future__ import annotations


class Refused(Exception):
    """A step was refused and nothing was changed. `lines` are shown one below the other."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
