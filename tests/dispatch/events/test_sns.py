"""SNS: its signature, its certificate's own place, and no visit to anywhere else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from incidents.dispatch.events import fetching
from incidents.dispatch.events.fetching import NotFetched, fetch
from incidents.dispatch.events.refusing import EventsRefused
from incidents.dispatch.events.sns import MOST_CERTIFICATES, Certificates, confirm, verify
from tests.dispatch.events.posted import CERTIFICATE_URL, TOPIC, certificate, sns

HOST = "sns.eu-west-1.amazonaws.com"
SUBSCRIBE = f"https://{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"


def now() -> datetime:
    return datetime.now(UTC)


def checked(message: dict[str, Any], *, fetch: Callable[[str], bytes] = lambda _: certificate(), **more: Any) -> datetime:
    return verify(message=message, topics=(TOPIC,), now=now(), fetch=fetch, certificates=more.pop("certificates", Certificates()))


def refused(message: dict[str, Any], **more: Any) -> str:
    with pytest.raises(EventsRefused) as found:
        checked(message, **more)
    return str(found.value)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "Amazon SES Email Event Notification"])
def test_both_versions_of_the_signature_are_known(version: str, subject: str | None) -> None:
    message = sns("{}", version=version, **({"Subject": subject} if subject else {}))
    assert abs(checked(message) - now()) < timedelta(minutes=1)


@pytest.mark.parametrize("field", ["Message", "MessageId", "Timestamp", "Subject"])
def test_every_signed_field_is_under_the_signature(field: str) -> None:
    assert refused({**sns("{}", Subject="s"), field: "2026-01-01T00:00:00Z"}) == "a wrong signature of SNS"


def test_another_key_s_signature_is_refused() -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert refused(sns("{}"), fetch=lambda _: certificate(key=other)) == "a wrong signature of SNS"


@pytest.mark.parametrize("version", ["0", "3", "", None])
def test_an_unknown_version_is_refused(version: Any) -> None:
    assert "version" in refused({**sns("{}"), "SignatureVersion": version})


def test_a_topic_that_is_not_ours_is_refused_before_anything_is_fetched() -> None:
    def never(_: str) -> bytes:
        raise AssertionError("fetched")

    assert "SES_TOPIC_ARNS" in refused(sns("{}", TopicArn="arn:aws:sns:eu-west-1:999999999999:theirs"), fetch=never)


PLACES = (
    "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0.pem",
    "https://evil.example/sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0.pem",
    "https://evil@sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0.pem",
    "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
    "https://s3.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com/../bucket/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com/other.pem",
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem#x",
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem#",
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem?x=1",
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem?",
    " https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem\n",
    "https://sns.eu-west-1.amazonaws.com:443/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com\\@evil.example/SimpleNotificationService-0.pem",
    "https://169.254.169.254/SimpleNotificationService-0.pem",
    "https://[::1]/SimpleNotificationService-0.pem",
    "file:///etc/passwd", "", None, 5,
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_certificate_from_anywhere_else_is_not_even_looked_at(place: Any) -> None:
    def never(_: str) -> bytes:
        raise AssertionError("fetched")

    assert "certificate" in refused({**sns("{}"), "SigningCertURL": place}, fetch=never)


def test_a_certificate_that_is_over_is_refused() -> None:
    assert "not valid now" in refused(sns("{}"), fetch=lambda _: certificate(days=-1))


def test_a_certificate_is_fetched_once_and_a_failure_is_not_asked_for_again_at_once() -> None:
    asked, kept = [], Certificates()

    def fails(url: str) -> bytes:
        asked.append(url)
        raise NotFetched("down")

    for _ in range(3):
        assert "cannot be had" in refused(sns("{}"), fetch=fails, certificates=kept)
    assert asked == [CERTIFICATE_URL]
    fresh = Certificates()
    for _ in range(3):
        checked(sns("{}"), fetch=lambda url: (asked.append(url), certificate())[1], certificates=fresh)
    assert len(asked) == 2


def test_no_more_certificates_are_kept_than_there_is_room_for() -> None:
    kept = Certificates()
    for number in range(3 * MOST_CERTIFICATES):
        kept.get(url=f"https://x/{number}", fetch=lambda _: certificate())
    assert len(kept._kept) == MOST_CERTIFICATES


def test_failures_do_not_drive_out_a_certificate_that_is_kept() -> None:
    kept = Certificates()
    kept.get(url=CERTIFICATE_URL, fetch=lambda _: certificate())
    for number in range(3 * MOST_CERTIFICATES):
        with pytest.raises(EventsRefused):
            kept.get(url=f"https://x/{number}", fetch=lambda _: b"nonsense")
    kept.get(url=CERTIFICATE_URL, fetch=lambda _: b"not asked for again")


def test_nobody_waits_for_a_certificate_that_is_fetched_but_whoever_needs_that_one() -> None:
    kept, asked, go = Certificates(), [], threading.Event()
    kept.get(url=CERTIFICATE_URL, fetch=lambda _: certificate())

    def slow(url: str) -> bytes:
        asked.append(url)
        assert go.wait(timeout=20)
        return certificate()

    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(kept.get(url="https://x/slow", fetch=slow))) for _ in range(3)]
    for thread in threads:
        thread.start()
    quick = threading.Thread(target=kept.get, kwargs={"url": CERTIFICATE_URL, "fetch": slow})
    quick.start()
    quick.join(timeout=5)
    waited = quick.is_alive()
    go.set()
    for thread in threads:
        thread.join(timeout=20)
    assert not waited and len(found) == 3 and asked == ["https://x/slow"]


@pytest.mark.parametrize("field", ["Message", "MessageId", "Timestamp", "TopicArn", "Type"])
@pytest.mark.parametrize("value", [None, 5, [], {}])
def test_a_message_without_its_fields_is_refused(field: str, value: Any) -> None:
    assert refused({**sns("{}"), field: value})


# -- subscriptions ----------------------------------------------------------------------------------------------------------


def test_a_subscription_is_confirmed_at_sns_s_own_address() -> None:
    visited: list[str] = []
    message = sns("You have chosen to subscribe", kind="SubscriptionConfirmation", SubscribeURL=SUBSCRIBE, Token="abc")
    checked(message)
    confirm(message=message, fetch=lambda url: (visited.append(url), b"")[1])
    assert visited == [SUBSCRIBE]


@pytest.mark.parametrize("place", [
    "http://169.254.169.254/latest/meta-data/", "https://169.254.169.254/?Action=ConfirmSubscription", "https://localhost/",
    f"http://{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}", f"https://{HOST}.evil.example/?Action=ConfirmSubscription&TopicArn={TOPIC}",
    f"https://{HOST}/?Action=Unsubscribe&TopicArn={TOPIC}", f"https://{HOST}/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-west-1:9:x",
    f"https://{HOST}/?Action=ConfirmSubscription&Action=DeleteTopic&TopicArn={TOPIC}", f"https://{HOST}:22/?Action=ConfirmSubscription&TopicArn={TOPIC}",
    f"https://user@{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}", "gopher://x", "", None,
])  # fmt: skip
def test_a_subscription_leads_nowhere_else(place: Any) -> None:
    def never(_: str) -> bytes:
        raise AssertionError("visited")

    with pytest.raises(EventsRefused) as found:
        confirm(message={"TopicArn": TOPIC, "SubscribeURL": place}, fetch=never)
    assert found.value.status == 403


# -- fetching ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("addresses", [
    ["169.254.169.254"], ["127.0.0.1"], ["10.0.0.1"], ["::1"], ["fe80::1%eth0"], ["0.0.0.0"], ["100.64.0.1"], ["::ffff:169.254.169.254"],
    ["52.1.2.3", "169.254.169.254"], [],
])  # fmt: skip
def test_a_name_that_points_inside_is_not_visited(addresses: list[str]) -> None:
    def never(*_: object) -> socket.socket:
        raise AssertionError("connected")

    with pytest.raises(NotFetched, match="no public address"):
        fetch(CERTIFICATE_URL, resolve=lambda _: addresses, dial=never)


def test_the_address_that_was_looked_at_is_the_one_that_is_visited() -> None:
    asked, dialled = [], []

    def rebinding(host: str) -> list[str]:
        asked.append(host)
        return ["52.1.2.3"] if len(asked) == 1 else ["169.254.169.254"]

    def dial(address: str, host: str, seconds: float) -> socket.socket:
        dialled.append((address, host))
        raise ConnectionRefusedError

    with pytest.raises(NotFetched, match="ConnectionRefusedError"):
        fetch(CERTIFICATE_URL, resolve=rebinding, dial=dial)
    assert dialled == [("52.1.2.3", HOST)] and len(asked) == 1


def served(answer: bytes) -> Callable[[str, str, float], socket.socket]:
    """A dialled connection whose other end gives this answer."""

    def dial(_: str, __: str, seconds: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(seconds)

        def serve() -> None:
            with theirs:
                theirs.recv(4096)
                with suppress(OSError):  # the other end may have had enough
                    theirs.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return ours

    return dial


def test_what_is_there_is_fetched() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    assert fetch(CERTIFICATE_URL, resolve=lambda _: ["52.1.2.3"], dial=served(answer)) == b"hello"


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 301 Moved\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n\r\n", b"",
    b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 200_000,
    b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
])  # fmt: skip
def test_redirects_and_endless_answers_are_not_followed(answer: bytes) -> None:
    with pytest.raises(NotFetched):
        fetch(CERTIFICATE_URL, resolve=lambda _: ["52.1.2.3"], dial=served(answer))


def test_a_host_that_drips_its_head_is_left_at_the_end_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 0.5)

    def dial(*_: object) -> socket.socket:
        ours, theirs = socket.socketpair()

        def serve() -> None:
            with theirs, suppress(OSError):
                for _ in range(50):
                    theirs.sendall(b"H")
                    time.sleep(0.1)

        threading.Thread(target=serve, daemon=True).start()
        return ours

    with pytest.raises(NotFetched, match="TimeoutError"):
        fetch(CERTIFICATE_URL, resolve=lambda _: ["52.1.2.3"], dial=dial)


@pytest.mark.parametrize("url", ["http://x.example/", "https://x.example:8443/", "https://u:p@x.example/", "ftp://x.example/"])
def test_only_plain_https_is_fetched(url: str) -> None:
    with pytest.raises(NotFetched, match="https"):
        fetch(url, resolve=lambda _: ["52.1.2.3"])
