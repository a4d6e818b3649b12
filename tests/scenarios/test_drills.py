"""Every scenario opens as a drill: its list is imported, read as it is, the law concludes as expected, and only then letters leave."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from incidents.audit import log
from incidents.audit.actions import Action
from incidents.dispatch.campaign import CampaignRefused, freeze
from incidents.letters.render import compiled, make_letters
from incidents.models import AffectedPerson, AuditEvent, Campaign, Filing, Incident, Message, QueueEntry
from incidents.models.messages import MessageState
from incidents.models.people import QueueKind, QueueStatus
from incidents.people.assessing import assess_incident
from incidents.people.importing import account, import_people
from incidents.people.opening import check_facts, open_incident
from incidents.scenarios import story
from incidents.scenarios.catalog import Scenario, load_scenario, scenario_ids
from incidents.scenarios.checking import NoDrill, check_cells
from incidents.scenarios.concluding import BEFORE, SECOND, broken, conclusions_of, said_of
from incidents.scenarios.generator import write_people
from incidents.scenarios.plot import Cast, decide, plot_of, record_findings
from incidents.scenarios.waves import second_campaign
from tests.conftest import NOW


def opened(name: str, officer: User, folder: Path) -> tuple[Scenario, Incident]:
    """The scenario's incident with its small list."""
    scenario = load_scenario(scenario_id=name)
    incident = open_incident(facts=check_facts(dict(scenario.facts), now=NOW), author=officer, drill=True)
    path = folder / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        write_people(scenario=scenario, people=200, out=out)
    import_people(incident=incident, path=path, author=officer)
    return scenario, incident


def decided(name: str, officer: User, counsel: User, folder: Path) -> tuple[Scenario, Incident]:
    """Queues decided, findings recorded, the law asked."""
    scenario, incident = opened(name, officer, folder)
    plot, cast = plot_of(scenario=scenario), Cast(officer, counsel)
    decide(incident=incident, plot=plot, cast=cast)
    record_findings(incident=incident, findings=plot.findings, cast=cast)
    assess_incident(incident=incident, author=officer)
    return scenario, incident


@pytest.mark.parametrize("name", scenario_ids())
def test_everybody_of_the_list_is_there_once_and_read_as_they_are(name: str, officer: User, tmp_path: Path) -> None:
    _, incident = opened(name, officer, tmp_path)
    check = check_cells(incident=incident)
    assert check.truth_holds and check.reading_holds, check.lines()
    assert sum(check.by_truth.values()) == 200
    assert account(incident=incident).adds_up


@pytest.mark.parametrize("name", scenario_ids())
def test_before_anybody_has_found_anything_the_law_asks_what_is_for_a_person(name: str, officer: User, tmp_path: Path) -> None:
    scenario, incident = opened(name, officer, tmp_path)
    assess_incident(incident=incident, author=officer)
    lines = conclusions_of(scenario=scenario, when=BEFORE, size="small")
    assert broken(conclusions=lines, said=said_of(incident=incident, scenario=scenario)) == []


def test_where_no_data_element_is_confirmed_nothing_may_be_sent(officer: User, counsel: User, tmp_path: Path) -> None:
    _, incident = decided("victorias-secret-2025", officer, counsel, tmp_path)
    with pytest.raises(CampaignRefused) as refusal:
        freeze(incident=incident, author=officer)
    assert any(line.startswith("No data element is confirmed as exposed") for line in refusal.value.lines)
    assert not Campaign.objects.exists() and not Message.objects.exists()


def test_where_nothing_may_be_sent_the_authority_that_wants_the_incident_itself_is_told_once_it_is_known(
    officer: User, counsel: User, tmp_path: Path
) -> None:
    scenario, incident = opened("victorias-secret-2025", officer, tmp_path)
    plot = plot_of(scenario=scenario)
    assert story._played(scenario, incident, 200, plot, Cast(officer, counsel), lambda *_: None) is None
    [filing] = Filing.objects.all()
    aware_at = datetime.fromisoformat(scenario.facts["anchors"]["aware_at"])
    assert (filing.obligation.jurisdiction, filing.obligation.regime, filing.filed_at) == ("IN", "cert_in", aware_at)


def test_counsel_answers_whether_passwords_known_from_elsewhere_count(officer: User, counsel: User, tmp_path: Path) -> None:
    _, incident = opened("north-face-2025", officer, tmp_path)
    asked = QueueEntry.objects.filter(incident=incident, kind=QueueKind.DATA, column="elements")
    assert asked.filter(status=QueueStatus.OPEN).count() == 200
    decide(incident=incident, plot=plot_of(scenario=load_scenario(scenario_id="north-face-2025")), cast=Cast(officer, counsel))
    assert set(asked.values_list("status", "decided_by__username")) == {(QueueStatus.CORRECTED, "counsel")}
    assert all("elsewhere" in reason for reason in asked.values_list("decision_reason", flat=True))


def test_of_each_person_it_is_asked_which_document_leaked(officer: User, tmp_path: Path) -> None:
    _, incident = opened("dior-2025", officer, tmp_path)
    asked = QueueEntry.objects.filter(incident=incident, kind=QueueKind.DATA, column="elements")
    documents = AffectedPerson.objects.filter(incident=incident, elements__contains=["other_government_id"])
    assert Counter(asked.values_list("person_id", flat=True)) == Counter(documents.values_list("pk", flat=True))
    assert len(documents) == 1


def test_the_check_of_cells_names_who_is_missing_and_who_was_misread(officer: User, tmp_path: Path) -> None:
    _, incident = opened("harrods-2025", officer, tmp_path)
    queued = QueueEntry.objects.filter(incident=incident).values("person")
    somebody = AffectedPerson.objects.filter(incident=incident, residence="KR").exclude(pk__in=queued)[0]
    AffectedPerson.objects.filter(pk=somebody.pk).update(residence="JP")
    check = check_cells(incident=incident)
    assert check.truth_holds and not check.reading_holds
    assert "  1 of KR contact read as JP contact" in check.lines()
    AffectedPerson.objects.filter(pk=somebody.pk).update(reference="harrods-2025-small-0000999")
    check = check_cells(incident=incident)
    assert (check.truth_holds, check.strangers) == (False, 1)
    assert "  KR contact: 0 instead of 1" in check.lines()


def test_people_of_no_drill_cannot_be_checked(imported: Incident) -> None:
    with pytest.raises(NoDrill, match="do not come from a scenario's list"):
        check_cells(incident=imported)


def test_a_second_wave_goes_to_those_whom_the_first_reached(officer: User, counsel: User, tmp_path: Path) -> None:
    scenario, incident = decided("harrods-2025", officer, counsel, tmp_path)
    make_letters(incident=incident, author=officer)
    first = freeze(incident=incident, author=officer)
    planned = Message.objects.filter(campaign=first, state=MessageState.PLANNED).order_by("id")[:5]
    reached = Message.objects.filter(pk__in=[message.pk for message in planned])
    for state in (MessageState.READY, MessageState.SENDING, MessageState.ACCEPTED):
        reached.update(state=state)
    persons = set(reached.values_list("entry__person_id", flat=True))
    wave = plot_of(scenario=scenario).second_wave
    assert wave is not None
    second = second_campaign(incident=incident, wave=wave, cast=Cast(officer, counsel), progress=lambda step, done, total: None)
    assert set(second.register.values_list("person_id", flat=True)) == persons
    lines = conclusions_of(scenario=scenario, when=SECOND, size="small")
    assert broken(conclusions=lines, said=said_of(incident=incident, scenario=scenario)) == []
    for letter in incident.letters.select_related("amendment"):
        told = wave.first_action[letter.language] in compiled(letter.sha256, letter.compiled).text
        assert told == (letter.amendment is not None), letter
        assert [each for each in letter.findings if each["level"] == "block"] == []
    versions = incident.letter_texts.count()
    again = second_campaign(incident=incident, wave=wave, cast=Cast(officer, counsel), progress=lambda step, done, total: None)
    assert (again, incident.letter_texts.count()) == (second, versions)


def test_what_is_told_while_the_log_is_looked_at_does_not_make_it_incomplete(
    incident: Incident, officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(seconds: float) -> None:
        log.sequence()
        log.record(incident=incident, action=Action.ACCESS_VIEWED, actor=officer.username, data={"what": "more"})

    monkeypatch.setattr(story, "PLACES_SECONDS", 0)
    assert not story._log_complete(incident), "nobody gives the entries their places"
    monkeypatch.setattr(story, "PLACES_SECONDS", 60)
    monkeypatch.setattr("incidents.scenarios.story.time.sleep", meanwhile)
    assert story._log_complete(incident)
    assert AuditEvent.objects.filter(log=log.log_of(incident), leaf=None).count() == 1
