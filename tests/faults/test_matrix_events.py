"""Rows 21 and 28 to 30: what the provider tells afterwards comes early, twice, in disorder, for nobody, all at once, or is forged."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.faults.conftest import MakeStage
from tests.faults.ground import until
from tests.faults.stage import Stage

pytestmark = pytest.mark.matrix
PATH, AUTH = "only-for-tests-and-long-enough", "hook:only-for-tests-and-long-enough"


class Web:
    """The product's web server, and a provider that knocks at it."""

    def __init__(self, run: Stage) -> None:
        from notifier.processes import web_command

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        run.add("web", web_command(self.port), "web")
        until(self._answers, seconds=60, why=run.said)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def tell(self, *events: dict[str, Any], auth: str = AUTH, path: str = PATH) -> int:
        """One request; its status, or 0 when nobody answers."""
        heads = {"Content-Type": "application/json", "Authorization": "Basic " + base64.b64encode(auth.encode()).decode()}
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            line.request("POST", f"/events/postmark/{path}/", json.dumps(events[0] if len(events) == 1 else events), heads)
            return line.getresponse().status
        except OSError:
            return 0
        finally:
            line.close()


def delivered(ref: str, number: int = 0, *, kind: str = "Delivery", to: str = "") -> dict[str, Any]:
    """An event as Postmark sends it."""
    at = "DeliveredAt" if kind == "Delivery" else "BouncedAt"
    more = {"ID": number or 1, "Type": "HardBounce"} if kind == "Bounce" else {}
    who = {"Recipient" if kind == "Delivery" else "Email": to or f"x{number}@example.org"} if to else {}
    return {
        "RecordType": kind,
        "MessageID": f"sink-{number}",
        at: "2026-11-22T10:00:00Z",
        "Metadata": {"message_ref": ref},
        **more,
        **who,
    }


@pytest.fixture
def run(make_stage: MakeStage) -> Stage:
    return make_stage(mail="http", EVENTS_PATH=PATH, POSTMARK_WEBHOOK_AUTH=AUTH, SETTLE_AFTER_SECONDS="20")


@pytest.fixture
def web(run: Stage) -> Iterator[Web]:
    yield Web(run)


def refs(run: Stage) -> list[str]:
    return [ref for (ref,) in run.sql("SELECT message_ref FROM incidents_message ORDER BY id")]


def numbers(run: Stage) -> dict[str, int]:
    """Reference -> the number under which the provider took it; an event under another letter's number is believed by nobody."""
    return {ref: int(at[5:]) for ref, at in run.sql("SELECT message_ref, provider_id FROM incidents_message ORDER BY id")}


def deliver_all(run: Stage, web: Web, ending: threading.Event) -> None:
    """The ESP's own teller: what the sink took is told as delivered, again until it is answered with 200."""
    waiting: list[dict[str, Any]] = []
    run.sink.tell(events={"on": True})
    while not ending.wait(0.2):
        waiting += run.sink.tell(take_events=True)["events"]
        waiting = [one for one in waiting if web.tell(delivered(one["ref"], int(one["id"][5:]), to=one["to"])) != 200]


def test_row_21_with_events_a_cut_after_the_letter_was_taken_makes_no_second_one(run: Stage, web: Web) -> None:
    run.sink.misbehave({"at": "accepted", "do": "reset", "times": 3})
    ending = threading.Event()
    teller = threading.Thread(target=deliver_all, args=(run, web, ending))
    teller.start()
    run.start()
    try:
        until(lambda: run.states() == {"delivered": 60}, seconds=60, why=lambda: f"{run.states()} {run.said()}")
    finally:
        ending.set()
        teller.join()
    found = run.ends_well(duplicates=0)
    assert found.doubts >= 3


def test_row_28_events_early_doubled_disordered_and_for_nobody(run: Stage, web: Web) -> None:
    known = refs(run)
    # Before our own commit, even before our own letter.
    assert web.tell(delivered(known[0], 100_000)) == 200
    run.start()
    until(lambda: run.states().get("accepted", 0) + run.states().get("delivered", 0) == 60, seconds=60, why=run.said)
    given = numbers(run)
    for place, (ref, number) in enumerate(given.items(), start=1):
        if place % 7 == 0:
            assert web.tell(delivered(ref, number, kind="Bounce")) == 200
            assert web.tell(delivered(ref, number)) == 200
        else:
            assert {web.tell(delivered(ref, number)) for _ in range(2)} == {200}
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: web.tell(delivered(known[1], given[known[1]])), range(100))) == {200}
    assert web.tell(delivered("f" * 32, 999)) == 200
    assert web.tell(delivered(known[2], given[known[2]] + 1000, to="somebody@else.example")) == 200
    until(lambda: not run.value("SELECT count(*) FROM incidents_providerevent WHERE applied_at IS NULL"), seconds=30)
    states = run.states()
    assert states["needs_other_channel"] == 8 and states["delivered"] == 52, states
    assert run.value("SELECT count(*) FROM incidents_providerevent WHERE message_ref = %s", "f" * 32) == 1
    assert run.value("SELECT count(*) FROM incidents_providerevent WHERE message_ref = %s", known[1]) == 1
    run.ends_well(doubts=0, duplicates=0)


def test_row_29_events_after_a_silence_all_at_once_are_answered_when_they_are_safe(run: Stage, web: Web) -> None:
    run.start()
    until(lambda: run.states() == {"accepted": 60}, seconds=60, why=run.said)
    run.child("web").signal(9)
    known, taken = refs(run), list[float]()

    def tell(number: int) -> int:
        started = time.monotonic()
        status = 0
        while status != 200:
            started = time.monotonic()
            status = web.tell(delivered(known[number % 60], number))
            if status != 200:
                time.sleep(0.2)
        taken.append(time.monotonic() - started)
        return status

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(tell, range(1500))) == {200}
    taken.sort()
    print(f"1500 events: median {taken[750] * 1e3:.0f} ms, p99 {taken[1485] * 1e3:.0f} ms")
    assert run.value("SELECT count(*) FROM incidents_providerevent") >= 60
    until(lambda: run.states() == {"delivered": 60}, seconds=60)
    run.ends_well(doubts=0, duplicates=0)


def test_row_30_forged_events_move_nobody(run: Stage, web: Web) -> None:
    run.start()
    until(lambda: run.states() == {"accepted": 60}, seconds=60, why=run.said)
    ref = refs(run)[5]
    assert web.tell(delivered(ref, 6, kind="Bounce"), auth="hook:guessed-and-long-enough-too") in {401, 403}
    assert web.tell(delivered(ref, 6, kind="Bounce"), path="guessed-and-long-enough-too") == 404
    # The right password, and somebody else's letter: neither the address nor another letter's number fits the reference.
    assert web.tell(delivered(ref, 999, kind="Bounce", to="not-theirs@example.net")) in {200, 401, 403}
    another = numbers(run)[refs(run)[6]]
    assert web.tell(delivered(ref, another, kind="Bounce")) in {200, 401, 403}
    time.sleep(5)
    assert run.states() == {"accepted": 60}
    assert run.check().holds
