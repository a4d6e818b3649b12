"""Events that named nothing of ours, looked at again: a letter or its provider's name of it may be known by now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection

#: A provider's name of a letter counts where that provider said it: two may use the same. Attempts are under the name that our
#: settings give it, events under its kind.
LOOK_AGAIN = """
WITH page AS (SELECT id, message_ref, provider, provider_id FROM incidents_providerevent
              WHERE effect = 'unknown message' AND id > %(after)s ORDER BY id LIMIT %(number)s),
  called AS (SELECT * FROM unnest(%(names)s::text[], %(kinds)s::text[]) AS c(name, kind)),
  known AS (UPDATE incidents_providerevent e SET applied_at = NULL, effect = '' FROM page WHERE e.id = page.id
            AND (EXISTS (SELECT 1 FROM incidents_message m WHERE m.message_ref = page.message_ref)
                 OR (page.provider_id <> '' AND EXISTS (SELECT 1 FROM incidents_attempt a WHERE a.provider_id = page.provider_id
                     AND a.provider_id <> '' AND a.provider NOT IN ('smtp', 'inbox')
                     AND page.provider = coalesce((SELECT kind FROM called WHERE name = a.provider), a.provider)))
                 OR (page.provider_id <> '' AND EXISTS (SELECT 1 FROM incidents_canaryletter l
                     WHERE l.provider_id = page.provider_id AND l.provider NOT IN ('smtp', 'inbox')
                     AND page.provider = coalesce((SELECT kind FROM called WHERE name = l.provider), l.provider)))))
SELECT max(id), count(*) FROM page"""


@dataclass
class _Round:
    """How far this process has looked at unknown events: a page of them at a time, round and round, so that a flood of
    strangers' events costs a page and not a scan."""

    after: int = 0


_ROUND = _Round()


def look_again(*, number: int, kinds: Mapping[str, str]) -> None:
    """Have the next so many matched anew, where something of ours has their name now. `kinds`: name of a provider -> its kind."""
    with connection.cursor() as cursor:
        cursor.execute(LOOK_AGAIN, {"after": _ROUND.after, "number": number, "names": list(kinds), "kinds": list(kinds.values())})
        last, found = cursor.fetchone()
    _ROUND.after = last if found == number else 0
