"""Reads what strangers send: one strict JSON document (RFC 8259), and texts and times out of it that can harm nobody.

No address is kept: a recipient becomes a keyed hash (HMAC-SHA256, RFC 2104), addresses within texts are taken out.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings

from incidents.dispatch.events.refusing import malformed
from incidents.people.inert import inert
from incidents.vault.sealing import quick_hmac

LONGEST_DETAIL, LONGEST_KEY, LONGEST_ID = 200, 100, 200
#: How much of a provider's text is looked at at all.
LONGEST_TEXT = 4000
REF = re.compile(r"[0-9a-f]{32}")
REF_IN_MESSAGE_ID = re.compile(r"<?([0-9a-f]{32})@")
ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*|.)?", re.DOTALL)
TAG = re.compile(r"<[^<>]{0,500}>")
ADDRESS = re.compile(r"""(?:"[^"]{0,64}")?[^\s<>"'(),;:\[\]]*(?:@|＠|%40)[^\s<>"'(),;:\[\]]*""", re.IGNORECASE)
#: Before the first provider, and further ahead than any clock that is only wrong: kept, and marked.
EARLIEST, AHEAD = datetime(2015, 1, 1, tzinfo=UTC), timedelta(days=1)
MARK = "(its clock is wrong) "


def read_json(body: bytes) -> Any:
    """The document of a body. Raises EventsRefused for anything that two readers could understand differently."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_float=_finite, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise malformed("the body is not UTF-8") from None
    except RecursionError:
        raise malformed("the body is nested too deeply") from None
    except ValueError as error:
        raise malformed(str(error) if isinstance(error, _Unclear) else "the body is no JSON document") from None


class _Unclear(ValueError):
    """JSON that readers take differently."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unclear("the body names a field twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Unclear("the body holds a number beyond all bounds")
    return number


def _no_constant(_: str) -> float:
    raise _Unclear("the body holds a number that JSON does not know")


def inner_json(text: object) -> dict[str, Any]:
    """An object that was sent as text within a document; empty when it is none."""
    if isinstance(text, dict):
        return text
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return {}
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def part(of: object, *names: str) -> dict[str, Any]:
    """The object at a path of names; empty when there is none."""
    for name in names:
        of = of.get(name) if isinstance(of, dict) else None
    return of if isinstance(of, dict) else {}


def items(value: object) -> list[dict[str, Any]]:
    """The objects in a list; what is no object is left out."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text_of(value: object) -> str:
    """A text or a number as text; empty for everything else."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def harmless(*values: object) -> str:
    """Provider's texts as one line that no page, terminal or spreadsheet runs, and without addresses; at most 200 characters."""
    text = ADDRESS.sub("[address]", TAG.sub(_without_tag, ANSI.sub(" ", ": ".join(filter(None, map(text_of, values))))))
    kept = "".join(" " if unicodedata.category(one)[0] == "C" or one in "<>" else one for one in text)
    return inert(" ".join(kept.split()))[:LONGEST_DETAIL]


def _without_tag(found: re.Match[str]) -> str:
    return "[address]" if "@" in found[0] else " "


def name_of(value: object, *, longest: int = LONGEST_ID) -> str:
    """A provider's own name for something, as a key: printable ASCII; what is too long or strange is named by its hash."""
    text = text_of(value).strip()
    if len(text) <= longest and text.isascii() and text.isprintable():
        return text
    return "sha256-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def key_of(value: object, *more: object) -> str:
    """The key under which an event is kept once: the provider's own where it gives one."""
    return name_of(":".join(filter(None, (text_of(value), *map(text_of, more)))), longest=LONGEST_KEY)


def key_of_content(event: Mapping[str, Any]) -> str:
    """The key of an event that its provider gives no name: the hash of all that it says."""
    whole = json.dumps(event, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return "content-" + hashlib.sha256(whole.encode()).hexdigest()


def ref_in(*values: object) -> str:
    """Our own name of a message in metadata, or in a Message-ID of ours; empty when none of the values holds one."""
    for value in values:
        text = text_of(inner_json(value).get("message_ref", "") if isinstance(value, dict) else value).strip()
        if REF.fullmatch(text):
            return text
        found = REF_IN_MESSAGE_ID.match(text)
        if found:
            return found[1]
    return ""


def moment(value: object, *, now: datetime, scale: float = 1.0) -> tuple[datetime | None, str]:
    """A provider's time (epoch seconds times `scale`, or ISO 8601) and a mark where it cannot be right."""
    try:
        if isinstance(value, int | float) or (isinstance(value, str) and re.fullmatch(r"\d{1,16}(\.\d{1,9})?", value)):
            found = datetime.fromtimestamp(float(value) / scale, tz=UTC)
        else:
            found = datetime.fromisoformat(text_of(value).strip().replace(" UTC", "+00:00"))
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        found = found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None, MARK if value else ""
    return found, "" if EARLIEST <= found <= now + AHEAD else MARK


@lru_cache(maxsize=4)
def _recipient_key(secret: str) -> bytes:
    return quick_hmac(hashlib.sha256(secret.encode()).digest(), b"recipient of a provider event\x01")


def recipient_hash(address: object) -> str:
    """An address under a key of ours, however it is written: HMAC-SHA256 in hexadecimal; empty for none."""
    text = text_of(address).strip()
    if "@" not in text:
        return ""
    local, _, domain = text.rpartition("<")[2].partition(">")[0].rpartition("@")
    domain = domain.strip().rstrip(".").lower()
    with suppress(UnicodeError):  # then it is compared as it is written
        domain = domain if domain.isascii() else domain.encode("idna").decode()
    same = f"{local.strip().lower()}@{domain}".encode("utf-8", "surrogatepass")
    return quick_hmac(_recipient_key(settings.SECRET_KEY), same).hex()
