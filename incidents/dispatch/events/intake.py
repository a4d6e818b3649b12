"""One request of a provider, from its bytes to stored events. The answer 200 is given only after their commit."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from django.conf import settings

from incidents.dispatch.events import parse, signatures, sns
from incidents.dispatch.events.bodies import read_json, text_of
from incidents.dispatch.events.fetching import fetch
from incidents.dispatch.events.refusing import EventsRefused, forged, malformed
from incidents.dispatch.events.secrets import PROVES, missing_for
from incidents.dispatch.receive import body_of_event, store_events

MOST_BYTES = 1_000_000
UTF8 = re.compile(r"utf-?8", re.IGNORECASE)
CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
logger = logging.getLogger(__name__)


def admit(*, provider: str, path: str, heads: Mapping[str, str]) -> None:
    """Whether a request is looked at at all, before its body is read. Raises EventsRefused."""
    if provider not in PROVES:
        raise EventsRefused(status=404, reason="an unknown provider")
    if missing := missing_for(provider):
        _say_once("; ".join(map(str, missing)))
        raise EventsRefused(status=503, reason=f"{provider} is not set up for events")
    if not hmac.compare_digest(path.encode("utf-8", "replace"), settings.EVENTS_PATH.encode()):
        raise EventsRefused(status=404, reason="a wrong path")
    length = heads.get("content-length", "")
    if not re.fullmatch(r"[0-9]{1,19}", length):
        raise EventsRefused(status=411, reason="a body without its length")
    if int(length) > MOST_BYTES:
        raise EventsRefused(status=413, reason="a body that is too long")
    # Nothing is ever unpacked, so nothing can grow.
    if heads.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise EventsRefused(status=415, reason="a packed body")
    charset = CHARSET.search(heads.get("content-type", ""))
    if charset and not UTF8.fullmatch(charset[1]):
        raise EventsRefused(status=415, reason="a body that is not UTF-8")


def take(*, provider: str, heads: Mapping[str, str], body: bytes, now: datetime, fetch: sns.Fetch = fetch) -> int:
    """Prove, read and store an admitted request's events; returns how many it held. Raises EventsRefused."""
    if len(body) > MOST_BYTES:
        raise EventsRefused(status=413, reason="a body that is too long")
    try:
        asked = signatures.Asked(heads=heads, body=body, document=read_json(body), now=now, fetch=fetch)
        proof = signatures.prove(provider=provider, asked=asked)
        if provider == "ses" and asked.document["Type"] != "Notification":
            return _subscription(asked.document, fetch)
        events = parse.parse(provider=provider, document=asked.document, source=parse.Source(heads=heads, now=now))
    except RecursionError:
        raise malformed("the body is nested too deeply") from None
    digest = hashlib.sha256(body).hexdigest()
    store_events(provider=provider, events=events, strength=proof.strength, signed_at=proof.signed_at, raw_sha256=digest)
    if provider == "mailgun" and body_of_event(provider=provider, event_key=events[0]["event_key"]) != digest:
        raise forged("a token that came with another body before")
    return len(events)


def _subscription(message: Mapping[str, object], fetch: sns.Fetch) -> int:
    if message["Type"] == "SubscriptionConfirmation":
        sns.confirm(message=message, fetch=fetch)
        logger.warning("events: the subscription of %s is confirmed", text_of(message.get("TopicArn")))
    else:
        logger.error("events: SNS says that %s does not tell us any more", text_of(message.get("TopicArn")))
    return 0


@lru_cache(maxsize=32)
def _say_once(line: str) -> None:
    """Whoever finds the address may knock often; the log says once what is missing."""
    logger.error("events are refused: %s", line)
