"""One figure of a benchmark, and how it is timed. Figures are ratios inside one run: a busy machine slows both sides alike."""

from __future__ import annotations

import gc
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A measured value: what it is, how large it was, and on how much work. Without a target it is only shown."""

    name: str
    value: float
    unit: str
    note: str
    target: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the target is met; true where there is none."""
        return self.target is None or self.value >= self.target

    @property
    def line(self) -> str:
        """Name, value, unit, target and verdict, note."""
        verdict = "" if self.target is None else f" (target >= {self.target:g}: {'holds' if self.holds else 'short'})"
        return f"{self.name:<28} {self.value:>12,.4g} {self.unit}{verdict}; {self.note}"

    def as_dict(self) -> dict[str, Any]:
        """The figure for var/bench.json."""
        return {**asdict(self), "holds": self.holds}


def seconds(work: Callable[[], object]) -> float:
    """How long one run took, on the wall clock."""
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turn(*works: Callable[[], object], times: int) -> list[float]:
    """The median seconds of each, run in turn, so that what else the machine does falls on all of them."""
    rounds = [[seconds(work) for work in works] for _ in range(times)]
    return [median(taken) for taken in zip(*rounds, strict=True)]


def machine() -> str:
    """What the figures were measured on, and what else it was doing."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, load {load}, Python {platform.python_version()} on {platform.system()} {platform.machine()}"
