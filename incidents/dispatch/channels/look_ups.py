"""Asking a provider whether it has a message. Only an answer that names our reference counts.

A filter that the provider does not understand would find anybody's message; and what is not found may only not be found yet.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from incidents.dispatch.channels.http import HttpLine
from incidents.dispatch.channels.meanings import read_json

#: (line, keys, options of the address, our reference) -> whether the provider names it.
LookUp = Callable[[HttpLine, Mapping[str, str], Mapping[str, str], str], bool]


def at_postmark(line: HttpLine, keys: Mapping[str, str], options: Mapping[str, str], message_ref: str) -> bool:
    """Messages API: outbound message search by metadata."""
    path = f"{line.path}messages/outbound?count=1&offset=0&metadata_message_ref={message_ref}"
    found = _rows(_get(line, path, {"X-Postmark-Server-Token": keys["server_token"]}), "Messages")
    return any(_in(one, "Metadata", "message_ref") == message_ref for one in found)


def at_mailgun(line: HttpLine, keys: Mapping[str, str], options: Mapping[str, str], message_ref: str) -> bool:
    """Events API: any event of our Message-ID, whose domain is the sender's: Mailgun's sending domain or the one above it."""
    domain = options["domain"]
    for host in (domain, domain.partition(".")[2]):
        message_id = f"{message_ref}@{host}"
        path = f"{line.path}{quote(domain, safe='')}/events?limit=1&message-id={quote(message_id, safe='')}"
        found = _rows(_get(line, path, _basic("api", keys["api_key"])), "items")
        if any(str(_in(one, "message", "headers", "message-id")).strip("<>") == message_id for one in found):
            return True
    return False


def at_mailjet(line: HttpLine, keys: Mapping[str, str], options: Mapping[str, str], message_ref: str) -> bool:
    """Message resource, by the CustomID that the request gave."""
    path = f"{line.path.replace('v3.1', 'v3')}REST/message?Limit=1&ShowCustomID=true&CustomID={message_ref}"
    found = _rows(_get(line, path, _basic(keys["api_key"], keys["secret_key"])), "Data")
    return any(_in(one, "CustomID") == message_ref for one in found)


LOOK_UPS: Mapping[str, LookUp] = MappingProxyType({"postmark": at_postmark, "mailgun": at_mailgun, "mailjet": at_mailjet})


def _get(line: HttpLine, path: str, heads: Mapping[str, str]) -> Any:
    answer = line.ask(method="GET", path=path, heads={"Accept": "application/json", **heads})
    return read_json(answer.body) if answer.status == 200 and answer.whole else None


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def _rows(found: Any, name: str) -> Iterator[Any]:
    rows = found.get(name) if isinstance(found, dict) else None
    yield from rows if isinstance(rows, list) else []


def _in(found: Any, *names: str) -> Any:
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found
