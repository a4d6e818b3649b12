"""A mail that is no person's letter, handed over through the same session as letters are."""

from __future__ import annotations

from email.utils import format_datetime

from incidents.audit.log import database_now
from incidents.dispatch.channels.contract import Answer, SendError
from incidents.dispatch.channels.threads import Session
from incidents.letters.mail import OutgoingMail
from incidents.letters.ready import Built


def send_single(*, session: Session, mail: OutgoingMail) -> str:
    """Hand it over and wait; returns the provider's id. Raises SendError."""
    date = format_datetime(database_now())
    [answer] = session.hand_over(letters=[Built(mail, date, mail.sender)])
    return taken(answer=answer)


def taken(*, answer: Answer) -> str:
    """The provider's id of a single mail. Raises SendError with all that the answer says, where it was not taken."""
    if answer.error is not None:
        raise SendError(
            kind=answer.error, detail=answer.detail, retry_after=answer.retry_after, throttled=answer.throttled,
            unreached=answer.unreached, spent=answer.spent,
        )  # fmt: skip
    return answer.provider_id
