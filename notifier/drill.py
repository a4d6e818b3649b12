"""The demo around the story: sign-ins, a fresh start, workers, progress on a terminal or in plain lines, and the report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, TypeVar

from django.conf import settings
from django.db import connections

from incidents.audit.log import fingerprint_of_key
from incidents.dispatch.owner import AWAY
from incidents.models import ImportRow, Incident
from incidents.models.refusal import Refused
from incidents.scenarios.catalog import Scenario, UnknownScenario, load_scenario, people_in, size_label
from incidents.scenarios.plot import Cast
from incidents.scenarios.story import Outcome, run_story
from incidents.scenarios.waves import Progress as Story
from notifier import database, environment, schema, signins

Step = TypeVar("Step")
#: How often in one run the database may go away, and how long its return is waited for.
INTERRUPTIONS, DATABASE_WAIT_SECONDS = 3, 60


@dataclass(frozen=True)
class Order:
    """What was asked for."""

    scenario: Scenario
    people: int
    fresh: bool

    @property
    def size(self) -> str:
        return size_label(scenario=self.scenario, people=self.people)


def read_order(*, scenario: str, size: str | None, fresh: bool) -> Order:
    """The scenario and size asked for; without a size, the one that stands there. Raises Refused naming those that exist."""
    try:
        found = load_scenario(scenario_id=scenario)
        if size is None:
            known = None if fresh else Incident.objects.filter(reference=found.id).first()
            size = str((known and _size_of(known)) or "small")
        return Order(found, people_in(scenario=found, size=size), fresh)
    except (UnknownScenario, ValueError) as error:
        raise Refused(str(error.args[0])) from None


def make_room(order: Order, out: TextIO) -> None:
    """Start anew where asked, or where the drill stands there in another size. Raises Refused beside real incidents."""
    known = Incident.objects.filter(reference=order.scenario.id).first()
    if known and not known.is_drill:
        raise Refused(f"'{known.reference}' is a real incident in this database; a drill never touches it.")
    other_size = known is not None and _size_of(known) not in (None, order.people)
    if not (order.fresh or other_size):
        return
    if Incident.objects.filter(is_drill=False).exists():
        raise Refused("This database holds incidents that are no drills; it is never emptied. Use another DATABASE_URL.")
    owner = os.environ.get("DATABASE_OWNER_URL")
    if owner is None:
        raise Refused("A fresh start needs the owner's address of the database: set DATABASE_OWNER_URL.")
    if known:
        why = "as asked" if order.fresh else "it stood there in another size"
        others = ", ".join(Incident.objects.exclude(pk=known.pk).order_by("reference").values_list("reference", flat=True))
        out.write(f"The drill {known.reference} is removed with its log ({why}) and begins anew.\n")
        out.write(f"So are the other drills of this database: {others}.\n" if others else "")
    connections.close_all()
    database.erase_schema(owner)
    schema.migrate(owner)
    for head in (settings.AUDIT_KEY_FILE.parent / "heads").glob("*"):
        head.unlink()
    bundle = settings.VAR / "bundles" / f"{order.scenario.id}.zip"
    if bundle.exists():
        kept = bundle.with_name(f"{order.scenario.id}-until-{datetime.now(UTC):%Y%m%dT%H%M%S}.zip")
        bundle.rename(kept)
        out.write(f"Its evidence stays as {kept.name}; it still proves itself.\n")


def _size_of(incident: Incident) -> int | None:
    rows = ImportRow.objects.filter(batch__incident=incident)
    return rows.exclude(outcome="merged").count() if rows.exists() else None


@dataclass
class Progress:
    """Bars on a terminal, plain lines otherwise."""

    out: TextIO
    step: str = ""
    started: float = field(default_factory=time.monotonic)
    last_line: float = 0.0
    bar_open: bool = False

    def __call__(self, step: str, done: int, total: int) -> None:
        if step != self.step:
            self.end()
            self.step = step
            self.last_line = 0.0
        if self.out.isatty() and total:
            filled = int(30 * done / total)
            self.out.write(f"\r  {step:34} [{'#' * filled}{'.' * (30 - filled)}] {done}/{total} ")
            self.bar_open = True
        elif not self.last_line or time.monotonic() - self.last_line > 5:
            self.out.write(f"  {time.monotonic() - self.started:6.1f} s  {step}{f' {done}/{total}' if total else ''}\n")
            self.last_line = time.monotonic()
        self.out.flush()

    def end(self) -> None:
        """Close an open bar."""
        if self.bar_open:
            self.out.write("\n")
            self.bar_open = False


def play(order: Order, out: TextIO) -> Outcome:
    """Run the story with the demo's two people."""
    passwords = signins.demo_passwords(settings.VAR)
    users = signins.ensure_users(passwords)
    cast = Cast(users["officer"], users["counsel"])
    progress = Progress(out)
    try:
        return _told_to_the_end(order, cast, progress)
    finally:
        progress.end()


def _told_to_the_end(order: Order, cast: Cast, progress: Progress) -> Outcome:
    """The story goes on where it stood when the database was away for a moment."""
    place = Path(settings.VAR)
    return through_restarts(
        lambda: run_story(scenario=order.scenario, people=order.people, cast=cast, var=place, progress=progress), progress
    )


def through_restarts(step: Callable[[], Step], progress: Story, *, interruptions: int = INTERRUPTIONS) -> Step:
    """Do a step that goes on where it stood, again whenever the database goes away under it, so many times."""
    for left in range(interruptions, -1, -1):
        try:
            return step()
        except AWAY:
            if not left:
                raise
            connections.close_all()
            progress("the database went away; wait for it", 0, 0)
            environment.wait_for_database(os.environ["DATABASE_URL"], seconds=DATABASE_WAIT_SECONDS)
    raise AssertionError("unreachable")


def report(outcome: Outcome, order: Order, out: TextIO) -> None:
    """What the demo shows at its end."""
    write = out.write
    if outcome.found_finished:
        write(f"{order.scenario.name}: the campaign was finished before; nothing was sent.\n")
    for name, holds in outcome.checks.items():
        write(f"  {'holds' if holds else 'FAILS':6} {name.replace('_', ' ')}\n")
    if outcome.campaign:
        write(f"Campaign {outcome.campaign.reference} is {outcome.campaign.state}. What keeps it from closing:\n")
    else:
        write("Nothing was sent, as it should be. What keeps letters from leaving:\n")
    for question in outcome.open_questions or ["nothing"]:
        write(f"  - {question}\n")
    write(f"Evidence: {outcome.bundle}\n  python3 verify.py {outcome.bundle.name} --key {fingerprint_of_key()}\n")
    write(f"{order.people} people in {outcome.seconds} s.\n")
    out.flush()
