"""A provider on this machine: takes requests over HTTP in its provider's dialect and misbehaves as told."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from tests.dispatch.providers.dialects import Dialect, Letter, Reply

#: What a request is answered with: a reply, or None to answer as a provider that works.
Play = Callable[["Handler", list[Letter]], Reply | None]


@dataclass
class Stub:
    """What came, and what is played next; without anything to play, every request succeeds."""

    dialect: Dialect
    url: str = ""
    plays: list[Play] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], list[Letter]]] = field(default_factory=list)
    #: Path (with its query) -> what a GET is answered with.
    pages: dict[str, Reply] = field(default_factory=dict)
    connections: int = 0
    problems: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    @property
    def stub(self) -> Stub:
        return cast("StubServer", self.server).stub

    def setup(self) -> None:
        super().setup()
        self.stub.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        heads = {name.lower(): value for name, value in self.headers.items()}
        try:
            letters = self.stub.dialect.read(self.path, heads, body)
        except Exception as error:
            self.stub.problems.append(f"{type(error).__name__}: {error}")
            self.answer((500, {}, b"the stub does not understand the request"))
            return
        self.stub.requests.append((self.path, heads, letters))
        reply = self.stub.plays.pop(0)(self, letters) if self.stub.plays else None
        if self.close_connection:
            return
        if reply is None:
            self.stub.letters += letters
            reply = self.stub.dialect.success(letters)
        self.answer(reply)

    def do_GET(self) -> None:
        self.answer(self.stub.pages.get(self.path, (404, {}, b"{}")))

    def answer(self, reply: Reply) -> None:
        status, heads, body = reply
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **heads}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


class StubServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests want."""


@contextmanager
def served(dialect: Dialect) -> Iterator[Stub]:
    stub = Stub(dialect)
    server = StubServer(stub)
    stub.url = f"http://127.0.0.1:{server.server_address[1]}{dialect.base}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.over.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
    assert not stub.problems


# Plays


def says(reply: Reply) -> Play:
    return lambda handler, letters: reply


def status(number: int, **heads: str) -> Play:
    return says((number, {name.replace("_", "-"): value for name, value in heads.items()}, b"{}"))


def hang(handler: Handler, letters: list[Letter]) -> None:
    """Take the request, and say nothing until the test is over."""
    handler.stub.over.wait(timeout=30)
    handler.close_connection = True


def drip(handler: Handler, letters: list[Letter]) -> None:
    """Begin an answer, and go on with it byte by byte for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.stub.over.wait(timeout=0.1):
        handler.wfile.write(b" ")
        handler.wfile.flush()
    handler.close_connection = True


def reset(handler: Handler, letters: list[Letter]) -> None:
    """Take the request whole, accept it, and cut the line."""
    handler.stub.letters += letters
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def truncated(handler: Handler, letters: list[Letter]) -> None:
    """Accept the request, and lose the second half of the answer."""
    handler.stub.letters += letters
    number, heads, body = handler.stub.dialect.success(letters)
    body = body or b"{}"
    handler.send_response(number)
    for name, value in heads.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.wfile.flush()
    handler.close_connection = True
