"""Why a provider's request is not taken, and the status that says so to it."""

from __future__ import annotations


class EventsRefused(Exception):
    """Nothing of this request was kept. `reason` holds no personal data and nothing of the request."""

    def __init__(self, *, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def malformed(reason: str) -> EventsRefused:
    """The request cannot be read."""
    return EventsRefused(status=400, reason=reason)


def forged(reason: str) -> EventsRefused:
    """The request is not proved to come from the provider."""
    return EventsRefused(status=403, reason=reason)
