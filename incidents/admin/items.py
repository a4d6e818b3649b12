"""The lines of the desk's boxes and the steps of its way."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from incidents.admin.moments import Shown


@dataclass(frozen=True)
class Item:
    """One line of a box, with the page where it is dealt with."""

    text: str
    link: str = ""
    moment: Shown | None = None
    note: str = ""
    #: Waits for somebody else than the reader.
    other: bool = False


@dataclass(frozen=True)
class Step:
    """One step of the way: state is done, now, todo or stuck."""

    name: str
    state: str
    line: str
    link: str


def cut(items: list[Item], most: int, link: str) -> list[Item]:
    """The first lines; when there are more, the last one says how many, and leads to all of them."""
    left = len(items) - most
    return items if left <= 0 else [*items[:most], Item(f"and {left} more", link)]


def is_late(item: Item) -> bool:
    """Whether its moment is over."""
    return item.moment is not None and item.moment.tone == "late"


def time_left(item: Item) -> float:
    """Seconds to its moment; what has none comes last."""
    return item.moment.left_seconds if item.moment else inf
