"""The beat: what is due every few seconds is due by any clock, also one that was set back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from celery.beat import PersistentScheduler

from incidents.wakeups import is_needed

#: So far a clock may be corrected without being set back.
SLACK: Final = timedelta(seconds=1)
#: Longer than anything waits for its next time: it is due at once.
LONG_AGO: Final = timedelta(days=1)


class Beat(PersistentScheduler):
    """Celery's scheduler remembers by the machine's time when each task ran last; in the future nothing has run."""

    def tick(self, *arguments: Any, **named: Any) -> Any:
        """One turn. A clock that went back would keep everything waiting for as long as it went back by."""
        if self._set_back():
            self._heap = None  # its times are of the other clock; it is made anew
        return super().tick(*arguments, **named)

    def _set_back(self) -> bool:
        ahead = [one for one in self.schedule.values() if one.last_run_at and one.last_run_at > one.default_now() + SLACK]
        for one in ahead:
            one.last_run_at = one.default_now() - LONG_AGO
        return bool(ahead)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Wake whoever is not woken already. Without a broker nobody is; the next turn tries again."""
        try:
            needed = is_needed(self.app.tasks[entry.task], channel=(producer or self.producer).channel)
        except Exception:
            needed = True  # what sends it says what is wrong
        if needed:
            super().apply_entry(entry, producer=producer)
