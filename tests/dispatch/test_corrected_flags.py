"""Whom a correction calls dead, a minor or not to be written to is asked about as on a list, and no letter leaves before the answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from incidents.dispatch.obstacles import freeze_obstacles
from incidents.models import Campaign, Incident, QueueEntry
from incidents.models import MessageState as S
from incidents.people import deciding
from incidents.people.amending import AmendmentRefused, join, people_waiting
from incidents.people.correcting import correct_person
from incidents.people.importing import import_people
from incidents.people.questions import FLAG_QUESTIONS
from incidents.people.representing import confirm_safe, name_representative
from tests.conftest import CLAIRE
from tests.dispatch.late import amendment_of, message_of, put_into, someone

#: By the incident of the tests somebody of 11 and somebody of 16.
CHILD, YOUTH, GROWN = "2014-01-01", "2008-12-01", "1980-01-01"


def correct(incident: Incident, reference: str, author: User, **changes: str) -> None:
    correct_person(person=someone(incident, reference), changes=changes, reason="the client wrote to us", author=author)


def asked(incident: Incident, reference: str) -> list[tuple[str, str, str, str]]:
    """What waits for a decision of this person."""
    entries = QueueEntry.objects.filter(incident=incident, person__reference=reference, status="open").order_by("id")
    return list(entries.values_list("kind", "column", "reason", "remedy"))


def stands(incident: Incident, reference: str) -> tuple[str, list[str]]:
    person = someone(incident, reference)
    return person.status, person.flags


def row(name: str, **said: str) -> dict[str, str]:
    own = {"person_id": name, "customer_number": f"N-{name}", "full_name": f"Person {name}", "email": f"{name}@example.org"}
    return {**CLAIRE, **own, **said}


def test_a_correction_asks_of_each_flag_and_age_what_a_list_asks(
    incident: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    said = [{"flags": flag} for flag in FLAG_QUESTIONS] + [{"date_of_birth": CHILD}, {"date_of_birth": YOUTH}]
    rows = [row(f"list{n}", **one) for n, one in enumerate(said)] + [row(f"later{n}") for n in range(len(said))]
    import_people(incident=incident, path=write_list(*rows), author=officer)
    for n, one in enumerate(said):
        assert stands(incident, f"later{n}") == ("clear", [])
        correct(incident, f"later{n}", officer, **one)
        assert asked(incident, f"later{n}") == asked(incident, f"list{n}") != [], one
        assert stands(incident, f"later{n}") == stands(incident, f"list{n}"), one
    assert f"{2 * len(said)} queue entries have no decision" in "\n".join(freeze_obstacles(incident=incident))


def test_a_birth_date_answers_its_question_and_asks_for_the_guardian_of_a_child(
    incident: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    import_people(incident=incident, path=write_list(row("ada", date_of_birth="2/3/80")), author=officer)

    def born(day: str) -> int:
        entry = incident.queue.filter(status="open").get()
        what = {"changes": {"date_of_birth": day}, "reason": "her passport", "author": officer}
        return deciding.correct_fields(incident=incident, entry=entry, **what)  # type: ignore[arg-type]

    assert born(CHILD) == 1 and stands(incident, "ada") == ("attention", ["minor_under_16"])
    assert born("2013-05-05") == 0, "another day, still a child: the question stands"
    assert [one[0] for one in asked(incident, "ada")] == ["guardian"]
    assert born(GROWN) == 1 and stands(incident, "ada") == ("clear", []), "the flag came from the birth date, and goes with it"


def test_a_safety_question_that_was_answered_is_asked_again_only_where_the_flag_is_new(
    incident: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    import_people(incident=incident, path=write_list(row("ada", flags="do_not_contact")), author=officer)
    confirm_safe(incident=incident, entries=incident.queue.all(), reason="she said so", author=officer)
    correct(incident, "ada", officer, flags="do_not_contact;employee")
    assert stands(incident, "ada")[0] == "clear"
    correct(incident, "ada", officer, flags="employee")
    correct(incident, "ada", officer, flags="do_not_contact")
    assert stands(incident, "ada")[0] == "attention" and [one[0] for one in asked(incident, "ada")] == ["do_not_contact"]


def test_without_the_representative_it_is_asked_again_who_reads_the_letter(
    incident: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    import_people(incident=incident, path=write_list(row("ada", flags="deceased")), author=officer)
    what = {"role": "next_of_kin", "name": "Ida Lind", "email": "ida@example.org"}
    assert name_representative(entry=incident.queue.get(), reason="she wrote to us", author=officer, **what) == 1
    assert stands(incident, "ada")[0] == "clear"
    correct(incident, "ada", officer, representative_role="", representative_name="", representative_email="")
    assert stands(incident, "ada")[0] == "attention" and [one[0] for one in asked(incident, "ada")] == ["next_of_kin"]


@pytest.mark.parametrize("said", [{"flags": "do_not_contact"}, {"flags": "deceased"}, {"date_of_birth": CHILD}])
def test_after_the_freeze_whoever_is_asked_about_is_taken_off_and_joins_no_amendment(
    released: Campaign, officer: User, said: dict[str, str]
) -> None:
    incident = released.incident
    amendment = amendment_of(incident, officer)
    correct(incident, "claire", officer, **said)
    assert message_of(released, "claire").state == S.REPLACED and stands(incident, "claire")[0] == "attention"
    assert not people_waiting(incident=incident).exists()
    with pytest.raises(AmendmentRefused, match="decide their entries first"):
        join(amendment=amendment, people=incident.people.filter(reference="claire"), reason="r", author=officer)


def test_who_is_in_the_amendment_already_stops_its_freeze(released: Campaign, officer: User) -> None:
    incident = released.incident
    amendment_of(incident, officer)
    correct(incident, "claire", officer, city="Lyon")
    correct(incident, "claire", officer, flags="do_not_contact")
    assert "1 queue entries have no decision" in "\n".join(freeze_obstacles(incident=incident))
    confirm_safe(incident=incident, entries=incident.queue.filter(status="open"), reason="she said so", author=officer)
    assert "no decision:" not in "\n".join(freeze_obstacles(incident=incident))


def test_of_somebody_told_the_question_stands_before_a_second_letter_and_can_be_decided(
    released: Campaign, officer: User
) -> None:
    incident = released.incident
    amendment = amendment_of(incident, officer)
    put_into(message_of(released, "claire"), S.SENDING, S.ACCEPTED, S.DELIVERED)
    correct(incident, "claire", officer, flags="do_not_contact")
    claire = incident.people.filter(reference="claire")
    with pytest.raises(AmendmentRefused, match="decide their entries first"):
        join(amendment=amendment, people=claire, reason="r", author=officer)
    open_entries = incident.queue.filter(status="open")
    with pytest.raises(deciding.DecisionRefused, match="register is frozen"):
        deciding.propose_rejection(incident=incident, entries=open_entries, reason="r", author=officer)
    assert confirm_safe(incident=incident, entries=open_entries, reason="she said so", author=officer) == 1
    assert join(amendment=amendment, people=claire, reason="told again", author=officer) == 1
