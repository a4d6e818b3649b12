"""Providers that take complete letters, many in one request: each as it was approved, and with an answer of its own.

The requests are JSON of pieces that are written once a letter form: what stands around a person's values is escaped once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from django.conf import settings

from incidents.dispatch.channels.contract import Answer, Lanes, Prepared, SendError, SendErrorKind
from incidents.dispatch.channels.http import HttpAnswer, HttpLine
from incidents.dispatch.channels.meanings import refused
from incidents.dispatch.channels.single import send_single
from incidents.dispatch.channels.threads import ThreadLanes, answer_of
from incidents.letters.mail import OutgoingMail
from incidents.letters.mime import wire_address
from incidents.models import Incident

#: A refusal of a whole request that may be about one letter in it: the halves are tried.
PERHAPS_ONE = frozenset({400, 413, 422})
#: So many requests may one hand-over become at most; the rest of it is left for later.
MOST_REQUESTS = 24


class BatchApi(Protocol):
    """How one provider's requests are written and its answers read."""

    kind: str
    path: str
    #: The most letters, and the most bytes, of one request.
    most: int
    most_bytes: int

    def heads(self, *, letters: Sequence[Prepared]) -> Mapping[str, str]:
        """The heads of the HTTP request."""
        ...

    def letter(self, *, letter: Prepared) -> str:
        """One letter as JSON, in ASCII."""
        ...

    def answers(self, *, letters: Sequence[Prepared], answer: HttpAnswer) -> list[Answer]:
        """One answer a letter, of an answer with status 200; doubtful where the answer does not say."""
        ...

    def refusal(self, *, answer: HttpAnswer) -> Answer | None:
        """What an answer that is no success means for all its letters, where this provider means more than HTTP says."""
        ...


class BatchProvider:
    """A provider of complete letters."""

    reports_delivery = True

    def __init__(self, *, api: BatchApi, base: str, batch: int) -> None:
        """`batch`: so many letters a request, which is how many are in doubt when its answer is lost."""
        self.name, self.kind, self.batch = api.kind, api.kind, min(batch, api.most)
        self._api, self.base, self._own = api, base, None

    _own: BatchSession | None

    def lanes(self, *, incident: Incident, number: int) -> Lanes:
        """A connection and a thread a lane."""
        return ThreadLanes(make=self.session, seconds=settings.PROVIDER_TIMEOUT_SECONDS + 1)

    def session(self) -> BatchSession:
        """A connection of one's own; nothing is opened yet."""
        return BatchSession(api=self._api, line=HttpLine(base=self.base, seconds=settings.PROVIDER_TIMEOUT_SECONDS))

    def send(self, *, mail: OutgoingMail, incident: Incident, test: bool = False) -> str:
        """Hand over a single mail; returns the provider's id. Raises SendError."""
        self._own = self._own or self.session()
        return send_single(session=self._own, mail=mail)

    def look_up(self, *, message_ref: str) -> bool | None:
        """None: it cannot be asked; providers that can be say so."""
        return None

    def close(self) -> None:
        """Give back the connection of single mails."""
        if self._own is not None:
            self._own.close()
        self._own = None


class BatchSession:
    """Requests of many letters over one line."""

    def __init__(self, *, api: BatchApi, line: HttpLine) -> None:
        self._api, self._line, self._left, self._end = api, line, 0, 0.0

    def hand_over(self, *, letters: Sequence[Prepared]) -> list[Answer]:
        """All in one request, if it is neither too long nor refused as a whole."""
        self._left, self._end = MOST_REQUESTS, time.monotonic() + settings.PROVIDER_TIMEOUT_SECONDS
        return self._sent(letters, [self._api.letter(letter=letter) for letter in letters])

    def _sent(self, letters: Sequence[Prepared], written: Sequence[str]) -> list[Answer]:
        if len(letters) > 1 and (len(letters) > self._api.most or sum(map(len, written)) > self._api.most_bytes):
            return self._halves(letters, written)
        if not self._left or time.monotonic() > self._end:
            detail = f"{self._api.kind}: left for later, after requests that were refused as a whole"
            return [Answer(error=SendErrorKind.NOT_SENT, detail=detail)] * len(letters)
        self._left -= 1
        body = ("[" + ",".join(written) + "]").encode("ascii")
        try:
            answer = self._line.ask(method="POST", path=self._path(), heads=self._api.heads(letters=letters), body=body)
        except SendError as error:
            # Of these letters only: others of the same hand-over may have been answered.
            return [answer_of(error)] * len(letters)
        if 200 <= answer.status < 300:
            return self._api.answers(letters=letters, answer=answer)
        meant = self._api.refusal(answer=answer) or refused(kind=self._api.kind, answer=answer, now=datetime.now(tz=UTC))
        if len(letters) > 1 and answer.status in PERHAPS_ONE and meant.error != SendErrorKind.ACCOUNT:
            return self._halves(letters, written)
        return [meant] * len(letters)

    def _path(self) -> str:
        return f"{self._line.path}{self._api.path}"

    def _halves(self, letters: Sequence[Prepared], written: Sequence[str]) -> list[Answer]:
        at = len(letters) // 2
        return self._sent(letters[:at], written[:at]) + self._sent(letters[at:], written[at:])

    def close(self) -> None:
        """End the connection."""
        self._line.close()


def mailbox(*, name: str, address: str) -> str:
    """A mailbox as JSON APIs want it: the name in clear, in quotes where it needs them."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{wire_address(address=address)}>' if name else wire_address(address=address)
