"""Real Celery workers on a real broker: wake-ups carry a number and nothing else, and losing them loses nobody."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from incidents import tasks, wakeups
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.doubts import settle_doubts
from incidents.dispatch.outbox import take_over
from incidents.models import Campaign, CampaignState, Chunk, Doubt, InboxMessage
from incidents.models import MessageState as S
from incidents.tasks import tick, wake, wake_campaign
from notifier.celery import app
from notifier.processes import house_command
from tests.dispatch.campaigns import ROOT, app_environment, states
from tests.roles import address_of


@contextmanager
def broker() -> Iterator[Any]:
    """The broker as a client of its own sees it."""
    with app.connection_for_write() as connection:
        yield connection.default_channel.client


@pytest.fixture
def queue() -> Iterator[str]:
    """A queue of this test's own."""
    name, before = f"wake-{uuid4().hex[:8]}", app.conf.task_default_queue
    app.conf.task_default_queue = name
    app.amqp.queues = app.amqp.Queues({})
    try:
        yield name
    finally:
        app.conf.task_default_queue = before
        with broker() as server:
            server.delete(name)
        app.amqp.queues = app.amqp.Queues({})


def start_worker(queue: str, *, processes: int, **more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "celery", "-A", "notifier", "worker", "-Q", queue, "-c", str(processes), "-l", "WARNING",
               "-n", f"{queue}@test", "--without-gossip", "--without-mingle"]  # fmt: skip
    environment = app_environment(DATABASE_URL=address_of("worker"), **more)
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def ended(worker: subprocess.Popen[str]) -> None:
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=40)
    if worker.stderr:
        worker.stderr.close()


def children(worker: subprocess.Popen[str]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()]


def until(what: str, holds: object, *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_a_wake_up_holds_a_campaigns_number_and_nothing_else(five: Campaign, queue: str) -> None:
    assert wake_campaign(five.pk)
    with broker() as server:
        [raw] = server.lrange(queue, 0, -1)
    message = json.loads(raw)
    arguments, keywords, _ = json.loads(base64.b64decode(message["body"]))
    assert (arguments, keywords) == ([five.pk], {})
    assert message["headers"]["task"] == "incidents.tasks.wake"
    assert message["headers"]["expires"] is None, "a machine whose clock is ahead would throw it away"


def test_wake_ups_that_nobody_hears_do_not_pile_up(five: Campaign, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "MOST_WAITING", 3)
    assert all(wake_campaign(five.pk) for _ in range(5))
    with broker() as server:
        assert server.llen(queue) == 3


def test_a_lost_broker_loses_no_wake_up_that_matters(five: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no broker")

    monkeypatch.setattr(wake, "apply_async", refuse)
    assert wake_campaign(five.pk) is False
    tick()
    assert states(five) == {S.READY: 5}


def test_a_wake_up_for_nobody_or_for_a_finished_campaign_does_nothing(five: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks._owner.cache_clear()
    monkeypatch.setattr(tasks, "wake_campaign", lambda campaign_id: pytest.fail("nothing is left"))
    Campaign.objects.filter(pk=five.pk).update(state=CampaignState.STOPPED)
    wake(five.pk + 999)
    wake(five.pk)
    assert not Chunk.objects.exists()
    tasks._owner().__exit__()
    tasks._owner.cache_clear()


def test_a_celery_worker_sends_a_whole_campaign_and_survives_the_death_of_a_child(crowd: Campaign, queue: str) -> None:
    """One of two children is killed in the middle: nobody is lost, at most one letter a lane is in doubt, and it is settled."""
    worker = start_worker(queue, processes=2, MAIL="inbox:?delay_ms=10", CHUNK_SIZE="25")
    try:
        for _ in range(30):  # far more wake-ups than needed, and stale ones
            wake_campaign(crowd.pk)
        until("nobody began", lambda: InboxMessage.objects.count() > 10)
        os.kill(children(worker)[0], signal.SIGKILL)

        def all_sent() -> bool:
            take_over()
            settle_doubts()
            wake_campaign(crowd.pk)
            return states(crowd) == {S.ACCEPTED: 200}

        until("not everybody was told", all_sent)
    finally:
        ended(worker)
    assert Doubt.objects.count() <= settings.LANES
    assert Doubt.objects.filter(settled_at=None).count() == 0
    assert InboxMessage.objects.count() == InboxMessage.objects.values("message_ref").distinct().count() == 200
    assert check_campaign(campaign=crowd).holds


def test_a_worker_that_is_asked_to_end_finishes_what_it_holds_and_leaves_no_doubt(five: Campaign, queue: str) -> None:
    worker = start_worker(queue, processes=1, MAIL="inbox:?delay_ms=800", CHUNK_SIZE="5", LANES="1")
    try:
        wake_campaign(five.pk)
        until("nobody began", lambda: InboxMessage.objects.count() > 0)
        assert S.SENDING in states(five)
    finally:
        ended(worker)
    assert take_over() == 0
    assert states(five) == {S.ACCEPTED: 5}
    assert check_campaign(campaign=five).doubts_total == 0


def test_a_house_whose_beat_dies_ends_so_that_both_are_started_again(five: Campaign, tmp_path: Path) -> None:
    """Else all looks alive, and no take-over, no doubt, no event and no check is done any more."""
    environment = app_environment(DATABASE_URL=address_of("worker"))
    with (tmp_path / "log").open("w") as log:
        house = subprocess.Popen(house_command(tmp_path), cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            until("it has its beat", lambda: house.poll() is not None or children(house))
            os.kill(children(house)[0], signal.SIGKILL)
            until("it ends as well", lambda: house.poll() is not None)
            assert house.returncode == 0, (tmp_path / "log").read_text()
        finally:
            house.kill()
            house.wait()
