"""The line to a provider: what is certain and what is not, whom it talks to, and how long it may be made to wait."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from incidents.dispatch.channels.choose import provider_for
from incidents.dispatch.channels.contract import SendError, SendErrorKind
from incidents.dispatch.channels.http import HttpLine, provider_key, provider_url, retry_after

K = SendErrorKind
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0), (" 0 ", 0.0), ("3600", 3600.0), ("1000000000", 3600.0), ("9" * 400, 3600.0),
        ("Mon, 05 Jan 2026 09:00:30 GMT", 30.0), ("Mon, 05 Jan 2026 10:30:00 +0100", 1800.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("Mon, 05 Jan 2026 08:59:00 GMT", None), ("-1", None), ("1e12", None), ("soon", None), ("", None), (None, None),
        ("٧", None), ("3.5", None), ("nan", None), ("Mon, 99 Jan 2026 09:00:30 GMT", None),
    ],
)  # fmt: skip
def test_a_wait_is_read_capped_or_ignored(value: str | None, seconds: float | None) -> None:
    assert retry_after(value=value, now=NOW) == seconds


@pytest.mark.parametrize(
    "url", ["http://api.example/", "ftp://api.example/", "https://", "https://user:key@api.example/", "https://api.example/?key=1", "api.example", "http://localhost.example/"],
)  # fmt: skip
def test_a_place_without_tls_or_with_a_key_in_it_is_refused(settings: Settings, url: str) -> None:
    settings.PROVIDER_URLS = {"postmark": url}
    with pytest.raises(ImproperlyConfigured, match="POSTMARK_API_URL") as refused:
        provider_url(kind="postmark", default="https://api.postmarkapp.com/")
    assert "key" not in str(refused.value).replace("without keys in it", "")


@pytest.mark.parametrize(
    "url", ["https://api.example/v1", "http://127.0.0.1:8001/", "http://[::1]:8001/", "http://localhost:8001"]
)
def test_tls_or_this_machine_will_do(settings: Settings, url: str) -> None:
    settings.PROVIDER_URLS = {"postmark": url}
    assert provider_url(kind="postmark", default="https://api.postmarkapp.com/") == (url if url.endswith("/") else f"{url}/")


@pytest.mark.parametrize("way", ["postmark:", "resend:", "mailgun:?domain=a.example", "sendgrid:", "brevo:", "mailjet:"])
def test_a_missing_key_is_said_at_once_and_in_words(settings: Settings, way: str) -> None:
    settings.PROVIDER_KEYS = {}
    with pytest.raises(ImproperlyConfigured, match=r"_FILE"):
        provider_for(way)


def test_a_key_is_found_by_its_name(settings: Settings) -> None:
    settings.PROVIDER_KEYS = {"RESEND_API_KEY": "re_1"}
    assert provider_key(kind="resend", name="RESEND_API_KEY") == "re_1"


@contextmanager
def server(serve: Callable[[socket.socket], None], *, times: int = 1) -> Iterator[str]:
    """A server of a few lines: `serve` is given each connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with suppress(OSError), listener:
            for _ in range(times):
                peer, _ = listener.accept()
                with peer, suppress(OSError):
                    serve(peer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.close()


def asked(url: str, *, body: bytes = b"{}", seconds: float = 1) -> int | SendErrorKind:
    line = HttpLine(base=url, seconds=seconds)
    try:
        return line.ask(method="POST", path="/x", heads={"Content-Type": "application/json"}, body=body).status
    except SendError as error:
        return error.kind
    finally:
        line.close()


def test_an_early_refusal_of_a_long_request_is_read_though_the_line_is_cut() -> None:
    def refuse(peer: socket.socket) -> None:
        peer.recv(1000)
        peer.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass

    with server(refuse) as url:
        assert asked(url, body=b"x" * 5_000_000, seconds=5) == 413


@pytest.mark.parametrize(
    "words",
    [
        b"", b"nonsense\r\n\r\n", b"HTTP/1.1 40", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)  # fmt: skip
def test_words_that_are_no_answer_are_a_doubt(words: bytes) -> None:
    def serve(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(words)

    with server(serve) as url:
        assert asked(url) == K.DOUBTFUL


def test_an_answer_without_end_is_cut_off() -> None:
    def serve(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.sendall(b"x" * 65536)

    with server(serve) as url:
        assert asked(url, seconds=20) == K.DOUBTFUL


def test_a_kept_connection_that_ended_meanwhile_is_made_anew_and_nothing_is_doubted() -> None:
    gone = threading.Event()

    def serve(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        peer.close()
        gone.set()

    with server(serve, times=2) as url:
        line = HttpLine(base=url, seconds=2)
        for _ in range(2):
            gone.clear()
            assert line.ask(method="POST", path="/", heads={}, body=b"{}").status == 200
            assert gone.wait(timeout=5)
        line.close()


def drips(words: bytes, *, seconds: float = 12.0) -> Callable[[socket.socket], None]:
    """A server that says this, and then a byte now and then, so that no single wait is long."""

    def serve(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(words)
        for _ in range(int(seconds * 5)):
            peer.sendall(b"1")
            time.sleep(0.2)

    return serve


@pytest.mark.parametrize(
    "words",
    [
        b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
    ],
)  # fmt: skip
def test_a_server_that_drips_is_left_at_the_end_of_the_time(words: bytes) -> None:
    with server(drips(words)) as url:
        since = time.monotonic()
        assert asked(url, seconds=1) == K.DOUBTFUL
        assert time.monotonic() - since < 4


def test_a_proxy_that_drips_is_left_before_anything_leaves(settings: Settings) -> None:
    with server(drips(b"HTTP/1.1 200 ")) as url:
        settings.PROVIDER_PROXY = url
        since = time.monotonic()
        assert asked("https://provider.example/", seconds=1) == K.NOT_SENT
        assert time.monotonic() - since < 4
