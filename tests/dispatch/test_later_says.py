"""What a later list says of somebody on a signed register is named with what it changes in law, and decided person by person."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import QuerySet

from incidents.models import Campaign, QueueEntry
from incidents.people.deciding import DecisionRefused, accept, hold, propose_rejection
from incidents.people.decisions import LATER
from incidents.people.later import names_grave
from tests.conftest import CARL, CLAIRE, YUKI
from tests.dispatch.late import Lists, amendment_of, bring_late
from tests.people.test_deciding import LATER as IN_A_MONTH


def said(campaign: Campaign, officer: User, lists: Lists, *rows: dict[str, str]) -> list[str]:
    """What waits after a later list."""
    amendment = campaign.incident.amendments.filter(campaigns=None).first() or amendment_of(campaign.incident, officer)
    bring_late(amendment, officer, lists, *rows)
    return list(campaign.incident.queue.filter(status="open").order_by("id").values_list("reason", flat=True))


def decided(entries: QuerySet[QueueEntry], author: User) -> Any:
    return {"entries": entries, "reason": "r", "author": author}


def test_another_place_is_named_beside_the_signed_one_with_the_laws_of_both(
    frozen: Campaign, officer: User, write_list: Lists
) -> None:
    rows = ({**CLAIRE, "stated_country": "DE"}, {**CARL, "stated_country": "ES", "loyalty_home_store": ""})
    reasons = said(frozen, officer, write_list, *rows)
    assert reasons[0].startswith(f"{LATER}: residence DE beside FR (laws DE, FR)")
    assert reasons[1].startswith(f"{LATER}: residence ES beside US-CA (laws ES, US-CA)")
    assert [one.residence for one in frozen.incident.people.order_by("id")[:2]] == ["FR", "US-CA"], "nothing signed changes"


def test_notes_that_touch_law_or_protection_are_accepted_person_by_person(
    frozen: Campaign, officer: User, write_list: Lists
) -> None:
    incident = frozen.incident
    said(frozen, officer, write_list, {**CLAIRE, "flags": "deceased"}, {**CARL, "email": "n@example.org"}, {**YUKI, "language": "en",
         "email": "y@example.org"})  # fmt: skip
    everything = incident.queue.filter(status="open")
    with pytest.raises(DecisionRefused, match="1 of these entries say of people on a signed register"):
        accept(incident=incident, **decided(everything, officer))
    assert accept(incident=incident, **decided(everything.exclude(person__reference="claire"), officer)) == 2
    assert accept(incident=incident, **decided(everything, officer)) == 1


def test_no_note_is_held_or_rejected_while_the_letter_stands_on_the_register(
    frozen: Campaign, officer: User, write_list: Lists
) -> None:
    said(frozen, officer, write_list, {**CLAIRE, "flags": "deceased"})
    entries = frozen.incident.queue.filter(status="open")
    with pytest.raises(DecisionRefused, match="register is frozen"):
        hold(incident=frozen.incident, until=IN_A_MONTH, **decided(entries, officer))
    with pytest.raises(DecisionRefused, match="register is frozen"):
        propose_rejection(incident=frozen.incident, **decided(entries, officer))


def test_a_note_that_names_nothing_may_be_about_anything() -> None:
    assert names_grave(LATER) and names_grave(f"{LATER}: language fr; residence DE beside FR (laws DE, FR)")
    assert not names_grave(f"{LATER}: language fr; e-mail address; date of birth")
