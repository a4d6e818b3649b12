"""One ground for all runs of a process, and a stage on it for each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.faults.ground import Ground, ground
from tests.faults.stage import Stage, stage

MakeStage = Callable[..., Stage]


@pytest.fixture(scope="session")
def on() -> Iterator[Ground]:
    """Servers, and the campaigns that were made ready on them."""
    with ground() as made:
        yield made


@pytest.fixture
def make_stage(on: Ground) -> Iterator[MakeStage]:
    """A run in a fresh copy of a campaign: `make_stage(people=, state=, proxies=, mail=, SETTING=...)`; ended after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **asked: stack.enter_context(stage(on, **asked))
