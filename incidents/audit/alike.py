"""Many entries that differ in a few words only: the same bytes as `log.record_many` writes, put together from pieces."""

from __future__ import annotations

import os
import re
import secrets
import unicodedata
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring
from typing import Any

from django.db import connection

from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json
from incidents.audit.log import database_now, log_of, stamp
from incidents.models import Incident

COPY = "COPY incidents_auditevent (log_id, action, subject, actor, happened_at, line) FROM STDIN"
_COPY_SIGNS = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def record_alike(
    *, incident: Incident, action: Action, actor: str, data: dict[str, Any], holes: Sequence[str],
    rows: Iterable[tuple[str, Sequence[str]]],
) -> int:  # fmt: skip
    """Write one entry a row, in the caller's transaction; returns how many. `data` is what all have; a row: the subject, and the
    text that stands under each of the keys `holes`."""
    moment, before, after = database_now(), f"{log_of(incident).pk}\t{action.value}\t", ""
    marks = {name: secrets.token_hex(16) for name in ("own id", "own subject", *holes)}
    whole = {
        "action": action.value, "actor": actor, "at": stamp(moment), "data": {**data, **{name: marks[name] for name in holes}},
        "id": marks["own id"], "incident": incident.reference, "subject": marks["own subject"], "v": 1,
    }  # fmt: skip
    after = f"\t{copied(actor)}\t{moment.isoformat()}\t"
    parts = re.split(f"({'|'.join(marks.values())})", canonical_json(whole).decode())
    place = {marks[name]: at for at, name in enumerate(marks)}
    order = [place[part] for part in parts[1::2]]
    pieces, number, out = [copied(part) for part in parts[0::2]], 0, []
    for subject, texts in rows:
        values = [os.urandom(16).hex(), subject, *[copied(_in_json(text)) for text in texts]]
        line = [pieces[0]]
        for at, piece in zip(order, pieces[1:], strict=True):
            line += (values[at], piece)
        out.append(f"{before}{subject}{after}{''.join(line)}\n")
        number += 1
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        copy.write("".join(out))
    return number


def _in_json(text: str) -> str:
    """As canonical JSON has it between the quotation marks."""
    return encode_basestring(text if text.isascii() else unicodedata.normalize("NFC", text))[1:-1]


def copied(text: str) -> str:
    """As COPY reads it in its text form."""
    return text.translate(_COPY_SIGNS) if "\\" in text or not text.isprintable() else text
