"""Our counts beside the provider's: asked at its own address, explained, kept; and nobody is asked what we cannot read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from incidents.dispatch.receive import apply_events, store_events
from incidents.dispatch.reconcile import CannotBeAsked, Span, reconcile
from incidents.models import Campaign, Reconciliation
from incidents.refusal import Refused
from tests.dispatch.events.conftest import handed_over

#: Provider -> MAIL, the answer in the shape of its reference, what we read out of it, and what it was asked.
ANSWERS: dict[str, tuple[str, Any, dict[str, int], str]] = {
    "postmark": ("postmark:", {"Sent": 615, "Bounced": 64, "SMTPApiErrors": 25, "BounceRate": 10.406, "SpamComplaints": 10},
                 {"taken": 615, "bounced": 64, "complained": 10}, "/stats/outbound?fromdate="),
    "mailgun": ("mailgun:?domain=mg.example.com", {"start": "x", "end": "y", "resolution": "day", "stats": [
        {"time": "t", "accepted": {"incoming": 1, "outgoing": 10, "total": 11}, "delivered": {"smtp": 8, "http": 0, "total": 8},
         "failed": {"temporary": {"espblock": 4}, "permanent": {"bounce": 2, "total": 2}}, "complained": {"total": 1}}] * 2},
                {"taken": 20, "delivered": 16, "bounced": 4, "complained": 2}, "/mg.example.com/stats/total?start="),
    "sendgrid": ("sendgrid:", [{"date": "2026-11-22", "stats": [{"metrics": {
        "blocks": 1, "bounces": 2, "delivered": 8, "processed": 10, "requests": 10, "spam_reports": 3}}]}],
                 {"taken": 10, "delivered": 8, "bounced": 3, "complained": 3}, "/stats?start_date="),
    "brevo": ("brevo:", {"range": "x", "requests": 10, "delivered": 8, "hardBounces": 1, "softBounces": 1, "blocked": 0, "invalid": 0,
                         "spamReports": 2, "opens": 5}, {"taken": 10, "delivered": 8, "bounced": 2, "complained": 2},
              "/smtp/statistics/aggregatedReport?startDate="),
}  # fmt: skip


@pytest.fixture
def stand_in() -> Iterator[HTTPServer]:
    """A provider's API on this machine; `answer` is what it says, `asked` what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server: Any = self.server
            server.asked.append(self.path)
            status, body = server.answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server: Any = HTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answer = [], (200, b"{}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def at(settings: Settings, provider: str, server: HTTPServer) -> None:
    settings.MAIL = ANSWERS[provider][0]
    settings.PROVIDER_URLS = {**settings.PROVIDER_URLS, provider: f"http://127.0.0.1:{server.server_port}/"}
    settings.PROVIDER_KEYS = dict.fromkeys(settings.PROVIDER_KEYS, "a-key")


@pytest.mark.parametrize("provider", ANSWERS)
def test_a_provider_s_own_counts_are_asked_and_kept(five: Campaign, settings: Settings, stand_in: Any, provider: str) -> None:
    _, answer, read, asked = ANSWERS[provider]
    handed_over(five, provider)
    at(settings, provider, stand_in)
    stand_in.answer = (200, json.dumps(answer).encode())
    (made,) = reconcile(campaign=five, look_ups=0)
    assert made.theirs == read and made.ours["taken"] == 1
    assert stand_in.asked[0].startswith(asked)
    assert any(line.startswith(f"taken: {read['taken'] - 1} more there") for line in made.differences)
    assert Reconciliation.objects.get().differences == made.differences


@pytest.mark.parametrize(
    "answer", [(500, b"{}"), (200, b"<html>"), (200, b"{}"), (200, b"[]"), (200, b'{"Sent": "many"}'), (302, b"")]
)
def test_an_answer_that_cannot_be_read_is_no_count(
    five: Campaign, settings: Settings, stand_in: Any, answer: tuple[int, bytes]
) -> None:
    handed_over(five, "postmark")
    at(settings, "postmark", stand_in)
    stand_in.answer = answer
    (made,) = reconcile(campaign=five, look_ups=0)
    assert made.theirs == {} and "could not be asked" in made.differences[0]


def test_who_has_no_counts_is_said_to_have_none(five: Campaign, settings: Settings) -> None:
    handed_over(five, "resend")
    settings.MAIL = "resend:"
    (made,) = reconcile(campaign=five, look_ups=0)
    assert "cannot be asked" in made.differences[0]
    settings.MAIL = "inbox:"
    assert "no setting names" in reconcile(campaign=five, look_ups=0)[0].differences[0]


def test_equal_counts_need_no_explanation_and_fewer_need_one(five: Campaign) -> None:
    claire = handed_over(five, "postmark")
    store_events(provider="postmark", events=[{"event_key": "e", "message_ref": claire.message_ref, "kind": "delivered"}])
    apply_events()
    same = {"taken": 1, "delivered": 1, "bounced": 0, "complained": 0}
    assert reconcile(campaign=five, ask=lambda *_: dict(same), look_ups=0)[0].differences == []
    (fewer,) = reconcile(campaign=five, ask=lambda *_: {"taken": 0, "delivered": 0}, look_ups=0)
    assert [line.partition(":")[0] for line in fewer.differences] == ["taken", "delivered", "it does not count"]


class LooksUp:
    """A provider that can be asked about one letter."""

    def __init__(self, answer: bool | None) -> None:
        self.answer, self.asked, self.closed = answer, list[str](), False

    def look_up(self, *, message_ref: str) -> bool | None:
        self.asked.append(message_ref)
        return self.answer

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("answer", "word", "lines"), [(True, "has", 1), (False, "has not", 2), (None, "cannot tell", 1)])
def test_a_letter_of_which_nobody_tells_is_asked_about(five: Campaign, answer: bool | None, word: str, lines: int) -> None:
    claire, asked = handed_over(five, "postmark"), LooksUp(answer)

    def none(_: str, __: Span) -> dict[str, int]:
        raise CannotBeAsked("down")

    (made,) = reconcile(campaign=five, ask=none, provider_of=lambda _: asked)  # type: ignore[arg-type,return-value]
    assert asked.asked == [claire.message_ref] and asked.closed
    assert made.ours["silent"]["letters"] == 1 and made.ours["silent"][word] == 1
    assert len(made.differences) == 1 + lines


def test_the_command_prints_each_provider_and_refuses_before_anything_was_sent(
    five: Campaign, capsys: Any, settings: Settings
) -> None:
    with pytest.raises(Refused, match="nothing to compare"):
        reconcile(campaign=five)
    handed_over(five, "resend")
    settings.MAIL = "resend:"
    call_command("reconcile", five.reference, "--look-ups", "0")
    assert "resend:" in (printed := capsys.readouterr().out) and "ours         1" in printed
    call_command("reconcile", five.reference, "--look-ups", "0", "--json")
    assert json.loads(capsys.readouterr().out)[0]["provider"] == "resend"


def test_fewer_than_no_look_ups_are_refused_before_anybody_is_asked(
    five: Campaign, stand_in: HTTPServer, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    handed_over(five, "postmark")
    settings.MAIL = "postmark:"
    settings.PROVIDER_URLS = {"postmark": f"http://127.0.0.1:{stand_in.server_port}/"}
    with pytest.raises(CommandError, match="0 or more"):
        call_command("reconcile", five.reference, "--look-ups", "-1")
    assert not stand_in.asked and not Reconciliation.objects.exists()  # type: ignore[attr-defined]
