"""What the tests of amendments, corrections and exclusions share: a late list, its register, small moves of messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from django.contrib.auth.models import User

from incidents.dispatch.campaign import freeze
from incidents.letters.render import make_letters
from incidents.models import AffectedPerson, Amendment, Campaign, Incident, Message
from incidents.people.amending import open_amendment
from incidents.people.assessing import assess_incident
from incidents.people.importing import import_people
from tests.conftest import CLAIRE
from tests.dispatch.campaigns import sql

#: After the incident's own awareness (June 2025), long before the tests' today.
LATE = datetime(2025, 9, 1, 8, 0, tzinfo=UTC)
Lists = Callable[..., Path]


def found_late(number: int, **other: str) -> dict[str, str]:
    """A person of the second list."""
    own = {"person_id": f"late{number}", "customer_number": f"L{number}", "full_name": f"Late Person {number}",
           "email": f"late{number}@example.org"}  # fmt: skip
    return {**CLAIRE, **own, **other}


def amendment_of(incident: Incident, author: User, *, aware_at: datetime = LATE) -> Amendment:
    return open_amendment(incident=incident, reason="a second server was copied too", aware_at=aware_at, author=author)


def bring_late(amendment: Amendment, author: User, lists: Lists, *rows: dict[str, str]) -> None:
    """Import a late list for an amendment, and ask the law about these people."""
    incident = amendment.incident
    import_people(incident=incident, path=lists(*rows), author=author, amendment=amendment)
    assess_incident(incident=incident, author=author)


def freeze_next(incident: Incident, author: User) -> Campaign:
    """Letters for the next register, and the register."""
    make_letters(incident=incident, author=author)
    return freeze(incident=incident, author=author)


def someone(incident: Incident, reference: str) -> AffectedPerson:
    return AffectedPerson.objects.get(incident=incident, reference=reference)


def message_of(campaign: Campaign, reference: str) -> Message:
    return campaign.messages.get(entry__person__reference=reference)


def put_into(message: Message, *states: str) -> None:
    """Walk a message through states that may follow each other."""
    for state in states:
        sql("UPDATE incidents_message SET state = %s WHERE id = %s", state, message.pk)
    message.refresh_from_db()
