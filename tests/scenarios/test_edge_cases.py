"""Every hard case of every drill ends where it is said: the list is imported, decided and sent, and each of its people looked up.

Who carries what is known from the painting, not from what the product read of the list.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from email.message import EmailMessage
from functools import cache
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from incidents.dispatch import outcomes
from incidents.dispatch.campaign import freeze, release
from incidents.dispatch.channels.inbox import read_inbox_message
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.obstacles import freeze_obstacles
from incidents.dispatch.work import dispatch
from incidents.letters.approving import approve_content
from incidents.letters.render import compiled, make_letters
from incidents.models import Campaign, CampaignState, InboxMessage, Incident, ProviderEvent
from incidents.models import MessageState as S
from incidents.models.people import QueueKind
from incidents.people.assessing import assess_incident
from incidents.people.erasing import erase_due
from incidents.people.importing import import_people
from incidents.people.opening import check_facts, open_incident
from incidents.people.possible_laws import possible_laws
from incidents.scenarios.catalog import Scenario, load_scenario, read_data, scenario_ids
from incidents.scenarios.concluding import DECIDED, broken, conclusions_of, said_of
from incidents.scenarios.generator import crowd_of, write_people
from incidents.scenarios.painting import Edge
from incidents.scenarios.plot import Cast, Decision, Plot, decide, plot_of, record_findings
from incidents.vault import Vault
from tests.conftest import NOW
from tests.scenarios.ends import ENDS, Ended, questions_of

PEOPLE = 200
#: So many per 10,000 that a rare case falls on one of so few.
ONE_OF_THEM = 10_000 // PEOPLE
#: At two hundred people nobody there is American, has a postal address and is in no pinned cell.
NO_FORCES = ("adidas-2025", "marks-and-spencer-2025")
SENT = [name for name in scenario_ids() if name != "victorias-secret-2025"]
AT_A_PROVIDER = "A company that works for us held this data. We remain responsible for it."
#: What the English letters of a scenario have to say beside what every letter says: to whom lost this ("": to all), which words.
SAYS = {
    "adidas-2025": {"": AT_A_PROVIDER},
    "harrods-2025": {"": AT_A_PROVIDER},
    "north-face-2025": {"online_credentials": "\n1. Today, change your password with us and"},
    "marks-and-spencer-2025": {"payment_card_last4": "\n- the last digits of your payment card number"},
}
SAFE = Decision(kind="safe_address", do="accept", reason="Asked by telephone: nobody else reads this e-mail.")


@cache
def scenario_of(name: str) -> Scenario:
    """The scenario with each of its cases on somebody, also of those that are rare."""
    scenario = load_scenario(scenario_id=name)
    often = {case: max(number, ONE_OF_THEM) for case, number in scenario.population.edge_cases.items()}
    often |= {"APO_FPO_US": 0} if name in NO_FORCES else {}
    return replace(scenario, population=replace(scenario.population, edge_cases=often))


def imported(name: str, officer: User, folder: Path) -> Incident:
    incident = open_incident(facts=check_facts(dict(scenario_of(name).facts), now=NOW), author=officer, drill=True)
    path = folder / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        write_people(scenario=scenario_of(name), people=PEOPLE, out=out)
    import_people(incident=incident, path=path, author=officer)
    return incident


def people_of(name: str, incident: Incident) -> list[Ended]:
    """Everybody of the list as the import left them."""
    crowd, vault = crowd_of(scenario=scenario_of(name), people=PEOPLE), Vault(incident=incident)
    people = list(incident.people.filter(merged_into=None).prefetch_related("queue", "merges", "erasures").order_by("id"))
    laws = possible_laws(incident=incident, people=people)
    opened = {person.pk: vault.open(person=person) for person in people}
    first = Counter(fields.emails[0] for fields in opened.values() if fields.emails)
    return [
        Ended(
            edges=crowd.edges_of(number := int(person.reference.rpartition("-")[2]) - 1),
            residency=crowd.residency_of(number),
            elements=frozenset(crowd.set_of(number).elements),
            person=person,
            fields=opened[person.pk],
            asked={entry.kind: entry.reason for entry in person.queue.all()},
            merges=[merge.reason for merge in person.merges.all()],
            places=[place["place"] for place in laws.get(person.pk, ())],
            erasure="".join(erasure.state for erasure in person.erasures.all()),
            sharing=first[opened[person.pk].emails[0]] if opened[person.pk].emails else 0,
        )
        for person in people
    ]


def sent(incident: Incident, name: str, officer: User, counsel: User) -> Campaign:
    """Decided as in the drill (and who lives at a protected address was asked), signed by two, sent."""
    plot, cast = plot_in(name), Cast(officer, counsel)
    decide(incident=incident, plot=plot, cast=cast)
    record_findings(incident=incident, findings=plot.findings, cast=cast)
    assess_incident(incident=incident, author=officer)
    make_letters(incident=incident, author=officer)
    campaign = freeze(incident=incident, author=officer)
    approve_content(campaign=campaign, author=counsel, reason="read")
    campaign.refresh_from_db()
    dispatch(campaign=release(campaign=campaign, author=officer, reason="go"))
    campaign.refresh_from_db()
    return campaign


def plot_in(name: str) -> Plot:
    plot = plot_of(scenario=scenario_of(name))
    return replace(plot, decisions=(SAFE, *plot.decisions))


def waits(one: Ended, plot: Plot) -> bool:
    """Whether a question about this person is left for somebody to find out."""
    wrote = {"accept", "residence"}
    decided: set[str] = {each.kind for each in plot.decisions if each.do in wrote and each.without not in one.person.elements}
    # The first of the unusable addresses is corrected in the drill.
    return bool(questions_of(one) - decided - ({QueueKind.ADDRESS} if one.fields.emails else set()))


def look_up(people: Iterable[Ended], campaign: Campaign) -> None:
    """What became of everybody: letter, tries, events and mails; and of those who asked for it, the erasure."""
    letters = {one.entry.person_id: one for one in campaign.messages.select_related("entry__letter").prefetch_related("tries")}
    mails: dict[str, list[InboxMessage]] = {}
    for stored in InboxMessage.objects.filter(is_test=False).select_related("incident").order_by("id"):
        mails.setdefault(stored.message_ref, []).append(stored)
    vault = Vault(incident=campaign.incident)
    for one in people:
        one.person.refresh_from_db()
        one.fields = vault.open(person=one.person)
        one.message = message = letters[one.person.pk]
        one.mails = [read_inbox_message(message=stored) for stored in mails.get(message.message_ref, ())]
        one.tries = [each.outcome for each in message.tries.order_by("number")]
        one.events = list(
            ProviderEvent.objects.filter(message_ref=message.message_ref).order_by("id").values_list("kind", flat=True)
        )
    erase_due(incident=campaign.incident)
    for one in people:
        one.erasure = "".join(one.person.erasures.values_list("state", flat=True))


def asked_wrongly(people: Iterable[Ended]) -> Iterator[str]:
    """Who was asked about for too much or too little, or stands otherwise than their cases say."""
    for one in people:
        who = f"{one.person.reference} {sorted(one.edges)}"
        if set(one.asked) != questions_of(one):
            yield f"{who}: asked {sorted(one.asked)}, not {sorted(questions_of(one))}"
        yield from (f"{who}: {edge}" for edge in one.edges if not ENDS[edge].imported(one))


def ended_wrongly(people: Iterable[Ended], plot: Plot) -> Iterator[str]:
    """Who ended elsewhere than said: who waits is held, everybody else has a letter as approved, at their own address."""
    for one in people:
        who = f"{one.person.reference} {sorted(one.edges)}"
        if waits(one, plot):
            yield from [f"{who}: {one.state}, {one.mails}"] if one.state != S.HELD or one.mails else ()
            continue
        if not one.arrived:
            yield f"{who}: {one.state} after {one.tries} and {one.events}"
        yield from (f"{who}: {edge}" for edge in one.edges if not ENDS[edge].sent(one))
        yield from (f"{who}: a mail without the name, or to another" for mail in one.mails if not is_theirs(mail, one))


def says_wrongly(incident: Incident, name: str) -> Iterator[str]:
    """English letters that leave out what the scenario asks of them, or frighten those whose credit nobody can use."""
    for letter in incident.letters.filter(language="en").select_related("cohort"):
        text, elements = compiled(letter.sha256, letter.compiled).text, letter.cohort.elements
        for lost, words in SAYS.get(name, {}).items():
            if (not lost or lost in elements) != (words in text):
                yield f"{letter}: {words}"
        if "Credit bureaus" in text and not {"date_of_birth", "online_credentials"} & set(elements):
            yield f"{letter}: credit bureaus"


def is_theirs(mail: EmailMessage, one: Ended) -> bool:
    """To their first address; the name stands in both parts as it is, in HTML kept apart, whichever way it is written."""
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text and page
    name = f"<bdi>{html.escape(one.fields.full_name)}</bdi>"
    return mail["To"] == one.fields.emails[0] and one.fields.full_name in text.get_content() and name in page.get_content()


def test_every_case_that_is_painted_has_an_end() -> None:
    assert set(ENDS) == set(Edge)
    scenarios = [load_scenario(scenario_id=name) for name in scenario_ids()]
    named = {case for scenario in scenarios for case in scenario.population.edge_cases}
    assert named | set(read_data(name="common/edge-cases.yaml")) | {Edge.STATE_UNKNOWN} == {edge.value for edge in ENDS}


@pytest.mark.parametrize("name", scenario_ids())
def test_each_case_of_a_list_falls_on_somebody_and_is_asked_about(name: str, officer: User, tmp_path: Path) -> None:
    incident = imported(name, officer, tmp_path)
    people = people_of(name, incident)
    assert len(people) == PEOPLE
    wanted = {Edge(case) for case, number in scenario_of(name).population.edge_cases.items() if number}
    assert wanted <= {edge for one in people for edge in one.edges}
    assert list(asked_wrongly(people)) == []
    assert any("queue entries have no decision" in line for line in freeze_obstacles(incident=incident))


@pytest.mark.committed
@pytest.mark.parametrize("name", SENT)
def test_each_case_ends_where_it_is_said_when_the_letters_are_sent(
    name: str, officer: User, counsel: User, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDIT_KEY_FILE = tmp_path / "keys" / "audit.pem"
    settings.AUDIT_KEY_FILE.parent.mkdir()
    monkeypatch.setattr(outcomes, "backoff", lambda **_: 0.0)
    incident = imported(name, officer, tmp_path)
    people = people_of(name, incident)
    campaign = sent(incident, name, officer, counsel)
    assert (campaign.state, campaign.people) == (CampaignState.DRAINED, PEOPLE)
    lines = conclusions_of(scenario=scenario_of(name), when=DECIDED, size="small")
    assert broken(conclusions=lines, said=said_of(incident=incident, scenario=scenario_of(name))) == []
    assert check_campaign(campaign=campaign).holds
    assert list(says_wrongly(incident, name)) == []
    look_up(people, campaign)
    assert list(ended_wrongly(people, plot_in(name))) == []
