"""What a channel must offer, and what a failure means. docs/adding-providers.md explains it for whoever adds one.

A hand-over that fails says one of four things: certainly not sent, refused for this person, refused for our account, or doubtful.
Whatever cannot be told apart is doubtful.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from incidents.letters.mail import OutgoingMail
from incidents.letters.mime import Heads
from incidents.models import Incident


class SendErrorKind(StrEnum):
    """What a failed hand-over means for the message."""

    NOT_SENT = "not_sent"  # certain: nothing was taken; try again later
    REFUSED = "refused"  # this person's address is refused; another channel is needed
    ACCOUNT = "account"  # we are refused; pause the campaign, nothing was taken
    DOUBTFUL = "doubtful"  # perhaps taken


class SendError(Exception):
    """A hand-over that did not succeed; carries the decision. `detail` holds no personal data."""

    def __init__(
        self,
        *,
        kind: SendErrorKind,
        detail: str,
        retry_after: float | None = None,
        throttled: bool = False,
        unreached: bool = False,
        spent: bool = False,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.retry_after = kind, detail[:200], retry_after
        self.throttled, self.unreached, self.spent = throttled, unreached, spent


class Answer(NamedTuple):
    """What became of one letter that was handed over: `error` None = taken, under the provider's id."""

    provider_id: str = ""
    error: SendErrorKind | None = None
    #: In words, without personal data, at most 200 characters.
    detail: str = ""
    #: Seconds that the provider asked us to wait, whoever the letter is for (`Retry-After`), if it did; it waits, the letter does
    #: not. `throttled`: it said that we are too fast.
    retry_after: float | None = None
    throttled: bool = False
    #: No connection to the provider came about, or it was lost: says something of the provider, nothing of this letter.
    unreached: bool = False
    #: What it gives us for a day or a month is used up: nothing leaves by it before the next day.
    spent: bool = False
    #: This letter is to come again a little later, as every first one is (greylisting, RFC 6647): nothing against its domain.
    greylisted: bool = False


class Prepared(Protocol):
    """A letter that was compared with what was approved and may be handed over (`letters.ready`)."""

    @property
    def to(self) -> str:
        """The address."""

    @property
    def message_ref(self) -> str:
        """The message's name."""

    @property
    def return_path(self) -> str:
        """Where bounces go (RFC 5321, 4.4)."""

    @property
    def heads(self) -> Heads:
        """What other letters of the same text have too."""

    @property
    def mail(self) -> OutgoingMail:
        """The whole mail."""

    @property
    def raw(self) -> bytes:
        """The message as bytes with CRLF line ends. ValueError when it cannot be written."""

    @property
    def stuffed(self) -> bytes:
        """The message as it travels by SMTP, with its end. ValueError when it cannot be written."""

    def json_parts(self) -> tuple[str, str]:
        """Text and HTML as JSON strings in ASCII."""


class Lanes(Protocol):
    """Open connections, each with at most one hand-over on its way. Touched by one thread only."""

    def begin(self, *, lane: int, letters: Sequence[Prepared], following: Prepared | None = None) -> None:
        """Start to hand over `letters` on a lane that is idle. Never raises SendError: the answer comes with `answers`.

        `following` will be the next letter of this lane, if all goes well: its envelope may already travel (RFC 2920), its
        body may not.
        """
        ...

    def answers(self, *, seconds: float) -> list[tuple[int, list[Answer]]]:
        """Wait until at least one lane is answered, at most `seconds`; for each such lane one answer a letter, in order."""
        ...

    def rest(self, *, lane: int) -> None:
        """The lane has nothing more to hand over now: take back an envelope that travelled ahead."""
        ...

    def close(self) -> None:
        """End all connections, politely where possible; nothing is on its way any more."""
        ...


class Provider(Protocol):
    """One way out. `name` is what attempts, doubts and events are recorded under."""

    name: str
    #: Whether events will tell of delivery; where none can come, an accepted letter stays "accepted, no answer".
    reports_delivery: bool
    #: The most letters in one hand-over; after a crash that many are in doubt.
    batch: int

    def lanes(self, *, incident: Incident, number: int) -> Lanes:
        """Open up to `number` connections for letters of one incident; they may connect when first used."""
        ...

    def send(self, *, mail: OutgoingMail, incident: Incident, test: bool = False) -> str:
        """Hand over a single mail that is no person's letter (a test, a first-wave letter, a checkpoint); returns the
        provider's id. Raises SendError."""
        ...

    def look_up(self, *, message_ref: str) -> bool | None:
        """Whether the provider has this message; None when it cannot tell."""
        ...

    def close(self) -> None:
        """Give back everything."""
        ...
