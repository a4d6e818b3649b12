"""Rows 19 to 27: the provider refuses, hangs, cuts, answers nonsense, throttles, errs, refuses us, and takes part of a batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

import pytest

from tests.faults.conftest import MakeStage
from tests.faults.ground import CAMPAIGN, until
from tests.faults.stage import Stage

pytestmark = pytest.mark.matrix


def tried(run: Stage, outcome: str) -> int:
    """Attempts with this outcome."""
    return int(run.value("SELECT count(*) FROM incidents_attempt WHERE outcome = %s", outcome))


def test_row_19_without_a_connection_nothing_was_sent_and_nothing_is_doubtful(make_stage: MakeStage) -> None:
    run = make_stage()
    run.sink.tell(listen=False)
    run.start(workers=0)
    port = run.sink.ports["smtp"]
    troubles = {"nobody listens": f"smtp://127.0.0.1:{port}", "no such name": "smtp://no-such-relay.invalid:25",
                "no TLS offered": f"smtp://127.0.0.1:{port}?tls=starttls"}  # fmt: skip
    for trouble, mail in troubles.items():
        run.sink.tell(listen=trouble == "no TLS offered")
        before = tried(run, "failed")
        open_again(run)
        run.start(house=False, sequencer=False, MAIL=mail)
        with run.woken(every=0.3):
            until(lambda before=before: tried(run, "failed") > before, seconds=60, why=run.said)
        run.dismiss("worker0")
        assert run.sink.letters == 0, trouble
    until(lambda: "sending" not in run.states(), seconds=30)
    # A worker that is killed may have been about to connect: that much is doubtful, but nothing because of the relay.
    assert run.value("SELECT count(*) FROM incidents_doubt WHERE reason NOT LIKE '%%died%%'") == 0
    open_again(run)
    run.start(house=False, sequencer=False)
    run.ends_well(duplicates=0)


def open_again(run: Stage) -> None:
    """As if the time had gone by for which nothing is tried after failures."""
    run.sql("UPDATE incidents_providerlimit SET open_until = clock_timestamp() WHERE open_until IS NOT NULL")
    run.sql("UPDATE incidents_message SET not_before = NULL WHERE state = 'ready'")


@contextmanager
def time_flies(run: Stage) -> Iterator[None]:
    """For rows that are not about waiting: what nothing is tried for after failures is over within a second."""
    over = threading.Event()

    def hurry() -> None:
        while not over.wait(1):
            open_again(run)

    clock = threading.Thread(target=hurry)
    clock.start()
    try:
        yield
    finally:
        over.set()
        clock.join()


def test_row_20_a_provider_that_never_answers_leaves_a_doubt(make_stage: MakeStage) -> None:
    run = make_stage()
    run.sink.misbehave({"at": "dot", "do": "hang", "times": 4}, {"at": "accepted", "do": "hang", "times": 3})
    run.start()
    with time_flies(run):
        found = run.ends_well(duplicates=3)
    assert found.doubts == 7


def test_row_21_and_22_a_letter_taken_without_a_proper_answer_is_doubtful_and_never_accepted(make_stage: MakeStage) -> None:
    run = make_stage()
    run.sink.misbehave(*({"at": "accepted", "do": how, "times": 2} for how in ("reset", "close", "garbage", "truncate")))
    run.start()
    with time_flies(run):
        found = run.ends_well(duplicates=8)
    assert found.doubts == 8


def test_row_22_an_answer_of_an_api_that_cannot_be_read_is_a_doubt(make_stage: MakeStage) -> None:
    run = make_stage(mail="http", CHUNK_SIZE="5")
    run.sink.misbehave(*({"at": "accepted", "do": how, "times": 1} for how in ("truncate", "garbage", "reset", "hang")))
    run.start()
    with time_flies(run):
        found = _ends(run, doubts=60)
    assert found.doubts >= 4 and found.duplicates <= found.doubts
    assert run.value("SELECT count(*) FROM incidents_attempt WHERE outcome = 'accepted' AND provider_id = ''") == 0


@pytest.mark.parametrize("waits", [("", "2", "DATE"), ("1000000000",)], ids=["none, seconds, date", "for ever"])
def test_row_23_too_fast_is_heard_and_nobody_is_written_to_twice(make_stage: MakeStage, waits: tuple[str, ...]) -> None:
    run = make_stage(mail="http", CHUNK_SIZE="5")
    moments = (formatdate(time.time() + 20, usegmt=True) if wait == "DATE" else wait for wait in waits)
    run.sink.misbehave(*({"at": "request", "do": "reply", "code": 429, "times": 1, "retry_after": at} for at in moments))
    run.start()
    until(lambda: all(run.sink.tell()["rules"]), seconds=60, why=run.said)
    until(lambda: tried(run, "failed"), seconds=20)
    longest = (
        "SELECT coalesce(extract(epoch FROM max(not_before) - clock_timestamp()), 0) FROM incidents_message WHERE state = 'ready'"
    )
    assert run.value(longest) <= 3600 + 5, "at most an hour"
    open_again(run)
    _ends(run)


def _ends(run: Stage, *, doubts: int = 0, seconds: float = 90) -> Any:
    """With an API that tells of delivery, nothing is over before it told: only what left is looked at."""
    until(
        lambda: not {"ready", "sending", "in_doubt", "planned"} & set(run.states()),
        seconds=seconds,
        why=lambda: f"{run.states()}\n{run.said()}",
    )
    found = run.check()
    assert found.holds, (found.line, found.why)
    assert found.doubts <= doubts, found.doubts
    return found


@pytest.mark.parametrize("taken", [False, True], ids=["refused", "taken all the same"])
def test_row_24_an_error_of_the_providers_own_is_a_doubt_whether_it_took_the_letter_or_not(
    make_stage: MakeStage, taken: bool
) -> None:
    run = make_stage(mail="http", CHUNK_SIZE="5")
    at = "accepted" if taken else "request"
    run.sink.misbehave(*({"at": at, "do": "reply", "code": code, "times": 1} for code in (500, 502, 503, 504)))
    run.start()
    with time_flies(run):
        found = _ends(run, doubts=60)
    assert found.doubts >= 4 and found.duplicates <= found.doubts


def test_row_24_a_relay_that_puts_letters_off_gets_each_of_them_once(make_stage: MakeStage) -> None:
    run = make_stage()
    codes = {"mail": (421, 451), "rcpt": (450, 451, 452), "data": (451,), "dot": (421, 450, 451, 452)}
    run.sink.misbehave(*({"at": at, "do": "reply", "code": code, "times": 1} for at in codes for code in codes[at]))
    run.start()
    with time_flies(run):
        run.ends_well(doubts=0, duplicates=0)


def test_row_25_one_person_refused_is_put_aside_and_nobody_else(make_stage: MakeStage) -> None:
    run = make_stage()
    run.sink.misbehave(
        {"at": "rcpt", "do": "reply", "code": 550, "match": "person7@"},
        {"at": "dot", "do": "reply", "code": 554, "match": "person9@"},
    )
    run.start()
    found = run.ends_well(doubts=0, duplicates=0)
    assert found.states["needs_other_channel"] == 2


@pytest.mark.parametrize(("mail", "codes"), [("smtp", (530,)), ("http", (401, 403))])
def test_row_25_when_we_are_refused_the_campaign_waits_and_nobody_is_used_up(
    make_stage: MakeStage, mail: str, codes: tuple[int, ...]
) -> None:
    run = make_stage(mail=mail)
    # The first refusal is there before the first letter.
    run.sink.misbehave({"at": "mail" if mail == "smtp" else "request", "do": "reply", "code": codes[0]})
    run.start()
    for code in codes:
        run.sink.misbehave({"at": "mail" if mail == "smtp" else "request", "do": "reply", "code": code})
        until(lambda: run.state == "paused", seconds=60, why=run.said)
        assert run.sink.letters < 60 and "needs_other_channel" not in run.states()
        until(lambda: "sending" not in run.states(), seconds=20)
        open_again(run)
        if code == codes[-1]:
            run.sink.misbehave()
        done = run.manage("resume", CAMPAIGN, "--as", "officer", "--reason", "the key is right now")
        assert done.returncode == 0, done.stdout + done.stderr
    if mail == "smtp":
        run.ends_well(doubts=0, duplicates=0)
    else:
        _ends(run)


def test_row_26_of_a_batch_exactly_what_was_not_confirmed_is_tried_or_doubted(make_stage: MakeStage) -> None:
    run = make_stage(mail="http", people=60)
    refused = {"at": "entry", "do": "reply", "code": 406, "match": "person.*[37]@"}
    run.sink.misbehave(refused, *({"at": "accepted", "do": how, "times": 1} for how in ("shuffle", "omit")))
    run.start()
    with time_flies(run):
        found = _ends(run, doubts=60)
    assert found.states["needs_other_channel"] == 12
    assert found.duplicates <= found.doubts


def test_row_27_taken_and_nothing_heard_for_days_is_listed_as_that(make_stage: MakeStage) -> None:
    run = make_stage(mail="http", QUIET_HOURS="1")
    run.start()
    until(lambda: run.states() == {"accepted": 60}, seconds=60, why=lambda: f"{run.states()} {run.said()}")
    run.sql("UPDATE incidents_message SET accepted_at = accepted_at - interval '2 hours'")
    until(lambda: run.states() == {"accepted_unconfirmed": 60}, seconds=60, why=lambda: f"{run.states()} {run.said()}")
    assert run.check().holds
