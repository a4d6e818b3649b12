"""Many entries that differ in a few words only: the same bytes as `log.record_many` writes, put together column by column."""

from __future__ import annotations

import os
import re
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any

from django.db import connection

from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json
from incidents.audit.log import log_number, stamp
from incidents.models import Incident

COPY = "COPY incidents_auditevent (log_id, action, subject, actor, happened_at, line) FROM STDIN"
_COPY_SIGNS = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def record_alike(
    *, incident: Incident, action: Action, actor: str, data: dict[str, Any], subjects: Sequence[str],
    columns: Mapping[str, Sequence[str]], at: datetime,
) -> int:  # fmt: skip
    """Write one entry a subject, in the caller's transaction; returns how many. `data` is what all have, `columns` the texts that
    differ: under each key one for every subject. `at`: by the database's clock."""
    marks = {name: secrets.token_hex(16) for name in ("own id", "own subject", *columns)}
    whole = {
        "action": action.value, "actor": actor, "at": stamp(at), "data": {**data, **{name: marks[name] for name in columns}},
        "id": marks["own id"], "incident": incident.reference, "subject": marks["own subject"], "v": 1,
    }  # fmt: skip
    random = os.urandom(16 * len(subjects)).hex()
    texts = {
        marks["own id"]: [random[place : place + 32] for place in range(0, len(random), 32)],
        marks["own subject"]: subjects,
        **{marks[name]: _in_json(column) for name, column in columns.items()},
    }
    parts = re.split(f"({'|'.join(marks.values())})", canonical_json(whole).decode())
    fixed = [f"{log_number(incident)}\t{action.value}\t", f"\t{copied(actor)}\t{at.isoformat()}\t{copied(parts[0])}"]
    fixed += map(copied, parts[2::2])
    line = "%s".join(part.replace("%", "%%") for part in fixed) + "\n"
    rows = zip(subjects, *(texts[mark] for mark in parts[1::2]), strict=True)
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        copy.write("".join(map(line.__mod__, rows)))
    return len(subjects)


def plain(texts: Sequence[str]) -> bool:
    """Whether all of them stand as they are in JSON, in COPY's text form and, quoted, in an array of PostgreSQL's."""
    joined = "".join(texts)
    return joined.isascii() and joined.isprintable() and '"' not in joined and "\\" not in joined


def _in_json(texts: Sequence[str]) -> Sequence[str]:
    """As canonical JSON has them between the quotation marks, and COPY reads that."""
    if plain(texts):
        return texts
    return [copied(encode_basestring(unicodedata.normalize("NFC", text))[1:-1]) for text in texts]


def copied(text: str) -> str:
    """As COPY reads it in its text form."""
    return text.translate(_COPY_SIGNS) if "\\" in text or not text.isprintable() else text
