"""The local inbox: a stand-in for a provider that keeps every mail, sealed, and plays bounces by address."""

from __future__ import annotations

import email
import time
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from email.policy import default
from typing import Any

from incidents.audit.log import database_now
from incidents.dispatch.channels.contract import Answer, Lanes, Prepared, SendError, SendErrorKind
from incidents.dispatch.channels.threads import answer_of
from incidents.letters.heads import EXACT
from incidents.letters.mail import OutgoingMail
from incidents.models import InboxMessage, Incident
from incidents.vault import Vault


class InboxProvider:
    """Each hand-over commits by itself. `delay_ms` plays a slow provider."""

    reports_delivery = True
    batch = 1
    name = "inbox"

    def __init__(self, *, delay_ms: int = 0) -> None:
        self.delay = delay_ms / 1000

    def lanes(self, *, incident: Incident, number: int) -> Lanes:
        """Lanes that end in this database; they work in the caller's thread, on the caller's connection."""
        return InboxLanes(provider=self, incident=incident)

    def send(self, *, mail: OutgoingMail, incident: Incident, test: bool = False) -> str:
        """Store a single mail."""
        time.sleep(self.delay)
        raw = mail.build(date=database_now()).as_bytes(policy=EXACT)
        return self.keep(mail=mail, raw=raw, incident=incident, test=test)

    def keep(self, *, mail: OutgoingMail, raw: bytes, incident: Incident, test: bool = False) -> str:
        """Take one mail: single mails and letters from lanes end here. Raises SendError where a provider would."""
        sealed = Vault(incident=incident, people=False).seal_blob(plain=raw, bound_to=f"inbox|{mail.message_ref}")
        stored = InboxMessage.objects.create(
            incident=incident, message_ref=mail.message_ref, is_test=test, sealed=sealed, received_at=database_now(),
            pending_event="" if test else self._event_of(mail),
        )  # fmt: skip
        return f"inbox-{stored.pk}"

    def _event_of(self, mail: OutgoingMail) -> str:
        domain = mail.to.rpartition("@")[2]
        if domain == "hard-bounce.test":
            return "bounced_hard"
        if domain == "soft-bounce.test":
            again = InboxMessage.objects.filter(message_ref=mail.message_ref, is_test=False).exists()
            return "delivered" if again else "bounced_soft"
        return "delivered"

    def look_up(self, *, message_ref: str) -> bool | None:
        """The inbox knows what it holds."""
        return InboxMessage.objects.filter(message_ref=message_ref, is_test=False).exists()

    def close(self) -> None:
        """Nothing is kept open."""


class InboxLanes:
    """A hand-over begun is stored when its delay is over, by whoever waits for answers."""

    def __init__(self, *, provider: InboxProvider, incident: Incident) -> None:
        self._provider, self._incident = provider, incident
        self._begun: dict[int, tuple[float, Sequence[Prepared]]] = {}

    def begin(self, *, lane: int, letters: Sequence[Prepared], following: Prepared | None = None) -> None:
        """The lane is busy until its answer was fetched."""
        assert lane not in self._begun, "this lane is not idle"
        self._begun[lane] = (time.monotonic() + self._provider.delay, letters)

    def answers(self, *, seconds: float) -> list[tuple[int, list[Answer]]]:
        """What is due by now, or the first that is due within `seconds`."""
        if self._begun:
            wait = min(due for due, _ in self._begun.values()) - time.monotonic()
            time.sleep(max(0.0, min(wait, seconds)))
        now = time.monotonic()
        due = [lane for lane, (moment, _) in self._begun.items() if moment <= now]
        return [(lane, [self._taken(letter) for letter in self._begun.pop(lane)[1]]) for lane in due]

    def _taken(self, letter: Prepared) -> Answer:
        try:
            return Answer(provider_id=self._provider.keep(mail=letter.mail, raw=letter.raw, incident=self._incident))
        except SendError as error:
            return answer_of(error)
        except ValueError:
            return Answer(error=SendErrorKind.REFUSED, detail="the letter cannot be written as bytes")

    def rest(self, *, lane: int) -> None:
        """Nothing travels ahead."""

    def close(self) -> None:
        """What was begun and not fetched was never stored."""
        self._begun.clear()


def read_inbox_message(*, message: InboxMessage) -> EmailMessage:
    """A stored mail, opened. Raises vault.CannotOpen."""
    raw = Vault(incident=message.incident, people=False).open_blob(sealed=message.sealed, bound_to=f"inbox|{message.message_ref}")
    found = email.message_from_bytes(raw, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def open_inbox_message(*, message: InboxMessage) -> dict[str, Any]:
    """A stored mail as the admin shows it: subject, to, from, headers, text, html."""
    mail = read_inbox_message(message=message)
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    return {
        "subject": str(mail["Subject"]), "to": str(mail["To"]), "from": str(mail["From"]),
        "headers": [(name, str(value)) for name, value in mail.items()],
        "text": text.get_content() if text else "", "html": html.get_content() if html else "",
    }  # fmt: skip


def simulated_events(*, limit: int = 2000) -> Iterator[dict[str, Any]]:
    """What the inbox's simulated provider has to tell; run inside the transaction that stores the events."""
    due = list(InboxMessage.objects.select_for_update(skip_locked=True).exclude(pending_event="").order_by("id")[:limit])
    for message in due:
        yield {
            "event_key": f"inbox-{message.pk}-{message.pending_event}", "message_ref": message.message_ref,
            "kind": message.pending_event, "happened_at": message.received_at, "detail": "",
        }  # fmt: skip
    InboxMessage.objects.filter(pk__in=[message.pk for message in due]).update(pending_event="")
