"""A line to a provider is encrypted to the provider itself, also through a proxy that was asked for; else nothing is sent."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pytest_django import Settings

from incidents.dispatch.channels import http
from incidents.dispatch.channels.contract import SendError, SendErrorKind
from incidents.dispatch.channels.http import HttpLine
from tests.dispatch.test_smtp_connect import certificate, tls_with

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Served:
    """A provider that speaks TLS, and a proxy that lets through to it."""

    url: str
    proxy: str = ""
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0
    asked_of_proxy: list[bytes] = field(default_factory=list)


@pytest.fixture
def own_certificate(tmp_path: Path) -> Path:
    return certificate(tmp_path)


@pytest.fixture
def provider(own_certificate: Path) -> Iterator[Served]:
    listener, proxy = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    served = Served(f"https://127.0.0.1:{port}/", f"http://127.0.0.1:{proxy.getsockname()[1]}")

    def answer(plain: socket.socket) -> None:
        served.connections += 1
        with suppress(OSError), plain, tls_with(own_certificate).wrap_socket(plain, server_side=True) as peer:
            while heard := peer.recv(65536):
                served.heard.append(heard)
                if heard.endswith(b"letter"):
                    peer.sendall(ANSWER)

    def let_through(client: socket.socket) -> None:
        served.asked_of_proxy.append(client.recv(65536))
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", port)) as upstream:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(upstream, client), daemon=True)
            back.start()
            pump(client, upstream)
            back.join(timeout=5)

    threads = [threading.Thread(target=accept, args=at, daemon=True) for at in ((listener, answer), (proxy, let_through))]
    for thread in threads:
        thread.start()
    yield served
    listener.close()
    proxy.close()


def accept(listener: socket.socket, serve: object) -> None:
    with suppress(OSError):
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()  # type: ignore[arg-type]


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def trusted(own_certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An operator's own root, as OpenSSL finds it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(own_certificate))
    http._trust.cache_clear()
    yield
    http._trust.cache_clear()


def ask(line: HttpLine) -> int:
    return line.ask(method="POST", path="/x", heads={"X-Key": "secret"}, body=b"letter").status


def test_a_trusted_provider_is_asked_over_one_kept_connection(provider: Served, trusted: None) -> None:
    line = HttpLine(base=provider.url, seconds=5)
    assert [ask(line) for _ in range(3)] == [200, 200, 200]
    line.close()
    assert provider.connections == 1


def test_a_provider_that_nobody_vouches_for_gets_nothing(provider: Served) -> None:
    http._trust.cache_clear()
    with pytest.raises(SendError) as refused:
        ask(HttpLine(base=provider.url, seconds=5))
    assert (refused.value.kind, refused.value.unreached, provider.heard) == (SendErrorKind.NOT_SENT, True, [])


def test_a_name_that_the_certificate_does_not_hold_gets_nothing(provider: Served, trusted: None) -> None:
    with pytest.raises(SendError) as refused:
        ask(HttpLine(base=provider.url.replace("127.0.0.1", "localhost"), seconds=5))
    assert (refused.value.kind, provider.heard) == (SendErrorKind.NOT_SENT, [])


def test_a_proxy_that_was_asked_for_hears_the_host_and_nothing_else(provider: Served, trusted: None, settings: Settings) -> None:
    settings.PROVIDER_PROXY = provider.proxy
    line = HttpLine(base=provider.url, seconds=5)
    assert ask(line) == 200
    line.close()
    [asked] = provider.asked_of_proxy
    assert asked.startswith(b"CONNECT 127.0.0.1:") and b"secret" not in asked and b"letter" not in asked


def test_a_proxy_that_is_not_there_means_not_sent(provider: Served, trusted: None, settings: Settings) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.PROVIDER_PROXY = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    with pytest.raises(SendError) as refused:
        ask(HttpLine(base=provider.url, seconds=5))
    assert (refused.value.kind, provider.heard) == (SendErrorKind.NOT_SENT, [])


def test_tls_is_never_older_than_its_second_last_version() -> None:
    assert http._trust().minimum_version >= ssl.TLSVersion.TLSv1_2
