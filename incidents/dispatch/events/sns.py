"""Proves that a request comes from Amazon SNS, by the book of "Verifying the signatures of Amazon SNS messages".

Anymail checks none of this. The certificate comes from a host that is pinned by name, is fetched once and kept; topics that are
not ours are refused before anything is fetched, and a subscription is confirmed only at the same pinned hosts.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from incidents.dispatch.events.bodies import text_of
from incidents.dispatch.events.fetching import NotFetched, fetch
from incidents.dispatch.events.refusing import EventsRefused, forged, malformed

Fetch = Callable[[str], bytes]
HOST = re.compile(r"sns\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?")
#: The whole address: no user, port, query or fragment, also no empty one, and no blank that a parser would take away.
CERTIFICATE = re.compile(
    r"https://sns\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?/SimpleNotificationService-[0-9a-zA-Z]{1,64}\.pem"
)
TOPIC = re.compile(r"arn:aws(?:-cn|-us-gov)?:sns:(?P<region>[a-z0-9-]+):\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?")
#: The fields under the signature, in their order; each gives its name and its value, a line each.
SIGNED_FIELDS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303  (SNS's version 1)
#: Certificates that are kept, and seconds for which one that could not be had is not asked for again.
MOST_CERTIFICATES, AGAIN_AFTER = 16, 60.0
#: How many are fetched at once, and seconds for which anybody waits for somebody else's fetch.
MOST_FETCHES, LONGEST_WAIT = 4, 10.0


class Certificates:
    """Certificates by their address: each fetched once, a failure remembered for a minute.

    Nothing is fetched while the lock is held: whoever asks for one that is kept never waits for one that is fetched.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[x509.Certificate | None, float]] = OrderedDict()
        self._coming: dict[str, Future[x509.Certificate | None]] = {}

    def get(self, *, url: str, fetch: Fetch) -> x509.Certificate:
        """The certificate at a pinned address. Raises EventsRefused (503: it may be there later)."""
        found, coming, ours = self._known(url)
        if ours:
            self._fetch(url, fetch)
        if coming is not None:
            with suppress(TimeoutError):
                found = coming.result(timeout=LONGEST_WAIT)
        if found is None:
            raise EventsRefused(status=503, reason="the certificate of SNS cannot be had")
        return found

    def _known(self, url: str) -> tuple[x509.Certificate | None, Future[x509.Certificate | None] | None, bool]:
        """The certificate, or the fetch that is under way, and whether it is ours to do; neither where it failed lately."""
        with self._lock:
            found, since = self._kept.get(url, (None, float("-inf")))
            if found is not None or time.monotonic() - since <= AGAIN_AFTER:
                return found, None, False
            if url in self._coming:
                return None, self._coming[url], False
            if len(self._coming) >= MOST_FETCHES:
                return None, None, False
            return None, self._coming.setdefault(url, Future()), True

    def _fetch(self, url: str, fetch: Fetch) -> None:
        found: x509.Certificate | None = None
        try:
            found = x509.load_pem_x509_certificate(fetch(url))
        except (NotFetched, ValueError):
            pass
        finally:
            with self._lock:
                self._keep(url, found)
                self._coming.pop(url).set_result(found)

    def _keep(self, url: str, found: x509.Certificate | None) -> None:
        self._kept[url] = (found, time.monotonic())
        self._kept.move_to_end(url)
        while len(self._kept) > MOST_CERTIFICATES:
            # Failures first: they cost whoever forges them nothing.
            self._kept.pop(next((one for one, (kept, _) in self._kept.items() if kept is None), next(iter(self._kept))))


CERTIFICATES = Certificates()


def verify(
    *,
    message: Mapping[str, Any],
    topics: Sequence[str],
    now: datetime,
    fetch: Fetch = fetch,
    certificates: Certificates = CERTIFICATES,
) -> datetime:
    """When SNS signed this message. Raises EventsRefused."""  # fmt: skip
    fields = SIGNED_FIELDS.get(text_of(message.get("Type")))
    if fields is None:
        raise malformed("an SNS message of an unknown type")
    topic = TOPIC.fullmatch(text_of(message.get("TopicArn")))
    if topic is None or topic[0] not in topics:
        raise forged("a topic that is not in SES_TOPIC_ARNS")
    url = text_of(message.get("SigningCertURL"))
    place = CERTIFICATE.fullmatch(url)
    if place is None or place["region"] != topic["region"]:
        raise forged("a certificate that is not at SNS's own address")
    algorithm = HASHES.get(text_of(message.get("SignatureVersion")))
    if algorithm is None:
        raise forged("an unknown version of SNS's signature")
    certificate = certificates.get(url=url, fetch=fetch)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise forged("a certificate that is not valid now")
    _check(certificate, algorithm, _signed_text(message, fields), text_of_signature(message))
    return _moment(text_of(message.get("Timestamp")))


def text_of_signature(message: Mapping[str, Any]) -> bytes:
    """The signature's bytes. Raises EventsRefused."""
    try:
        return base64.b64decode(text_of(message.get("Signature")), validate=True)
    except (binascii.Error, ValueError):
        raise forged("a signature that is no base64") from None


def _signed_text(message: Mapping[str, Any], fields: Sequence[str]) -> bytes:
    # A missing Subject is left out; every other field has to be there, and is a text.
    found = [(name, message[name]) for name in fields if message.get(name) is not None]
    if any(not isinstance(value, str) for _, value in found) or len(found) < len(fields) - ("Subject" in fields):
        raise malformed("an SNS message without all its fields")
    return "".join(f"{name}\n{value}\n" for name, value in found).encode("utf-8", "surrogatepass")


def _check(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm, text: bytes, signature: bytes) -> None:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise forged("a certificate without an RSA key")
    try:
        key.verify(signature, text, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        raise forged("a wrong signature of SNS") from None


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise malformed("an SNS message without a time") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _pinned(url: str, *, region: str) -> bool:
    """Whether an address is https at the root of SNS in the region of the topic, with nothing but a query in it."""
    if len(url) > 2048 or not url.isascii() or not url.isprintable() or any(one in url for one in "\\ #"):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = HOST.fullmatch(parts.netloc)
    return bool(parts.scheme == "https" and port is None and host and host["region"] == region and parts.path == "/")


def confirm(*, message: Mapping[str, Any], fetch: Fetch = fetch) -> None:
    """Confirm the subscription of a message that `verify` let through. Raises EventsRefused; 503 = SNS shall ask again."""
    url, topic = text_of(message.get("SubscribeURL")), TOPIC.fullmatch(text_of(message.get("TopicArn")))
    if topic is None or not _pinned(url, region=topic["region"]):
        raise forged("a SubscribeURL that is not at SNS's own address")
    asked = parse_qs(urlsplit(url).query)
    if asked.get("Action") != ["ConfirmSubscription"] or asked.get("TopicArn") != [topic[0]]:
        raise forged("a SubscribeURL that does something else")
    try:
        fetch(url)
    except NotFetched as error:
        raise EventsRefused(status=503, reason=f"the subscription was not confirmed: {error}") from None
