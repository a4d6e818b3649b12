"""Why somebody gets a letter, condition by condition; and what else a duty asks, on the command line and on the desk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from incidents.law.pack import load_packs
from incidents.models import Incident
from incidents.people import deciding
from incidents.people.assessing import assess_incident
from incidents.people.duty_details import duty_details
from incidents.people.explaining import explain, in_words
from incidents.people.importing import import_people
from incidents.people.opening import record_finding
from tests.conftest import CARL, CLAIRE, YUKI

WANDA = {**CARL, "person_id": "wanda", "customer_number": "C9", "full_name": "Wanda Lee", "email": "wanda@example.com",
         "loyalty_home_store": "US-WA Seattle", "elements": "name;email;country;date_of_birth"}  # fmt: skip
#: A stored duty in which every part says something.
FULL: dict[str, Any] = {
    "copy_to": ["Department of Justice"],
    "assess_by": "2026-06-03",
    "reasons_for_delay_required": True,
    "channels_barred": ["compromised_email"],
    "monitoring_months": 24,
    "substitute": {"cost_over_usd": 5000, "persons_over": 1000, "insufficient_contact": True, "means": ["email", "website"]},
    "substitute_grounds": ["2,000 people, more than 1,000"],
    "on_no_harm": ["write the reasons down", "keep them for five years"],
    "deadline": {
        "second_by": "2026-07-28",
        "final_by": "2026-06-30T12:00:00+02:00",
        "left_out": ["2026-07-03 Independence Day"],
        "other_readings": ["2026-06-04: counted from the next working day"],
    },
}
SAYS = {
    "Copy to": ["Department of Justice"],
    "Second report by": ["2026-07-28, at the end of the day"],
    "Final report by": ["2026-06-30 12:00:00+02:00"],
    "Left out of the count": ["2026-07-03 Independence Day"],
    "Other readings of the period": ["2026-06-04: counted from the next working day"],
    "Assessment to be finished by": ["2026-06-03, at the end of the day"],
    "Reasons for the delay": ["must be given with the notice: it comes after its deadline"],
    "Not by": ["the mailbox whose own credentials leaked"],
    "Free services": ["for at least 24 months, free for these people"],
    "Notice in other ways": [
        "where the cost would be over USD 5,000 or more than 1,000 people are to be told or contact data are missing",
        "by: email, website",
        "met by what is known: 2,000 people, more than 1,000",
    ],
    "Asked of those who rely on no harm": ["write the reasons down", "keep them for five years"],
}


@pytest.fixture
def known(incident: Incident, officer: User, write_list: Any) -> Incident:
    """Claire, Carl, Yuki and Wanda, with findings, assessed."""
    import_people(incident=incident, path=write_list(CLAIRE, CARL, YUKI, WANDA), author=officer)
    for key, value in (("risk", "risk"), ("misuse_likely", "yes")):
        record_finding(incident=incident, key=key, value=value, reason="as the tests need it", author=officer)
    assess_incident(incident=incident, author=officer)
    return incident


def conditions(reasons: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for reason in reasons:
        yield reason
        yield from conditions(reason["parts"])


@pytest.mark.parametrize("reference", ["wanda", "claire", "carl", "yuki"])
def test_every_condition_says_fact_answer_reference_and_what_would_change_it(known: Incident, reference: str) -> None:
    (duty,) = explain(incident=known, reference=reference)["obligations"]
    found = list(conditions(duty["reasons"]))
    assert found and {one["verdict"] for one in found} <= {"met", "not met", "not known"}
    for one in found:
        assert one["condition"] and one["fact"] and one["reference"] and one["would_change"], one
        assert one["verdict"] == {True: "met", False: "not met", None: "not known"}[one["holds"]]


def test_what_nobody_has_found_is_not_known(incident: Incident, officer: User, write_list: Any) -> None:
    import_people(incident=incident, path=write_list(CLAIRE), author=officer)
    assess_incident(incident=incident, author=officer)
    (duty,) = explain(incident=incident, reference="claire")["obligations"]
    assert duty["owed"] == "ask" and "not known" in {one["verdict"] for one in conditions(duty["reasons"])}


def test_the_text_says_the_same_in_lines(known: Incident) -> None:
    found = explain(incident=known, reference="wanda")
    lines = list(in_words(found))
    for one in conditions(found["obligations"][0]["reasons"]):
        at = next(number for number, line in enumerate(lines) if line.strip() == f"- {one['condition']}: {one['verdict']}")
        assert lines[at + 1].strip() == f"fact: {one['fact']} [{one['reference']}]"
        assert lines[at + 2].strip() == f"would change with: {one['would_change']}"


def test_a_duty_says_what_else_it_asks() -> None:
    assert dict(duty_details(duty=FULL)) == SAYS


@pytest.mark.parametrize("part", [*FULL, *(f"deadline.{name}" for name in FULL["deadline"])])
def test_what_a_duty_does_not_ask_is_left_out(part: str) -> None:
    head, _, rest = part.partition(".")
    duty = {**FULL, head: {**FULL[head], rest: None} if rest else None}
    assert len(duty_details(duty=duty)) < len(SAYS) or part.startswith("substitute")
    assert duty_details(duty={}) == [] == duty_details(duty={"deadline": None})


def test_what_a_duty_asks_stands_in_the_explanation_and_on_the_page(known: Incident, officer: User) -> None:
    obligation = known.obligations.get(jurisdiction="US-WA", addressee="person")
    obligation.duty = {**obligation.duty, **FULL, "deadline": {**obligation.duty["deadline"], **FULL["deadline"]}}
    obligation.save()
    found = explain(incident=known, reference="wanda")
    (duty,) = found["obligations"]
    assert {detail["title"]: detail["lines"] for detail in duty["details"]} == SAYS
    assert duty["copy_to"] == FULL["copy_to"] and duty["on_no_harm"] == FULL["on_no_harm"]
    text = "\n".join(in_words(found))
    browser = Client()
    browser.force_login(officer)
    page = browser.get(reverse("admin:jurisdiction", args=[known.pk, "US-WA"])).content.decode()
    for title, lines in SAYS.items():
        for line in lines:
            assert f"  {title.lower()}: {line}" in text
            assert title == "Second report by" or (f"<dt>{title}</dt>" in page and line in page), line


def test_doubts_stand_in_the_explanation(known: Incident) -> None:
    found = explain(incident=known, reference="wanda")
    assert found["obligations"][0]["doubt"] and "  doubt: " in "\n".join(in_words(found))


# -- a residence in doubt ----------------------------------------------------------------------------------------------

#: Stated in France, billed in California, with a Swiss store: three laws.
DORA = {**CLAIRE, "person_id": "dora", "customer_number": "C11", "full_name": "Dora Dent", "email": "dora@example.org",
        "stated_country": "FR", "billing_country": "CH", "loyalty_home_store": "US-CA San Jose"}  # fmt: skip


@pytest.fixture
def in_doubt(incident: Incident, officer: User, write_list: Any) -> Incident:
    """Claire, and Dora of whom nobody can say where she lives; findings are recorded, the law is asked."""
    columns = tuple(dict.fromkeys((*CLAIRE, *DORA)))
    import_people(incident=incident, path=write_list(CLAIRE, DORA, columns=columns), author=officer)
    record_finding(incident=incident, key="risk", value="high", reason="as the tests need it", author=officer)
    assess_incident(incident=incident, author=officer)
    return incident


def test_a_residence_in_doubt_shows_every_law_that_might_apply(in_doubt: Incident) -> None:
    found = explain(incident=in_doubt, reference="dora")
    might = found["might_apply"]
    assert [(one["place"], one["assumed"]) for one in might["places"]] == [("FR", True), ("CH", False), ("US-CA", False)]
    assert [{duty["jurisdiction"] for duty in one["duties"]} for one in might["places"]] == [{"FR"}, {"CH"}, {"US-CA"}]
    assumed = might["places"][0]["duties"][0]
    (stored,) = found["obligations"]
    assert (assumed["owed"], assumed["handling"], assumed["deadline"]) == ("yes", stored["handling"], stored["deadline"])
    assert any(duty["addressee"] == "regulator" for duty in might["places"][1]["others_told"])
    text = "\n".join(in_words(found))
    assert "Might live in FR (assumed), CH, US-CA: waits for a person's decision" in text
    for law in ("  in FR (assumed now):", "  in CH:", "  in US-CA:", "    US-CA (California"):
        assert law in text, law


def test_of_whom_no_state_is_known_the_laws_of_all_states_might_apply_the_strictest_first(
    incident: Incident, officer: User, write_list: Any
) -> None:
    columns = tuple(dict.fromkeys((*CLAIRE, *DORA)))
    sam = {**CLAIRE, "person_id": "sam", "customer_number": "C12", "full_name": "Sam Stone", "email": "sam@example.org",
           "stated_country": "US", "elements": "name;email;ssn"}  # fmt: skip
    import_people(incident=incident, path=write_list(CLAIRE, sam, columns=columns), author=officer)
    assess_incident(incident=incident, author=officer)
    might = explain(incident=incident, reference="sam")["might_apply"]
    states = {pack.id for pack in load_packs() if pack.id.startswith("US-")}
    assert len(states) == 54 and {one["place"] for one in might["places"]} == {"US", *states}
    named = [place for group in might["alike"] for place in group["places"]]
    assert sorted(named) == sorted(states), "each state once, the country itself never"
    owed = [group["duty"]["owed"] for group in might["alike"]]
    assert owed == sorted(owed, key=["yes", "ask", "no"].index) and len(set(owed)) > 1
    dated = [group["duty"]["deadline"]["shown_at"] for group in might["alike"] if group["duty"]["owed"] == "yes"]
    assert [day for day in dated if day] == sorted(day for day in dated if day)
    text = "\n".join(in_words(explain(incident=incident, reference="sam")))
    assert "Lives in US, which part is unknown: waits for a person's decision" in text and "  letter owed: yes" in text
    browser = Client()
    browser.force_login(officer)
    pages = [reverse("admin:queue", args=[incident.pk, "state_unknown"])]
    pages.append(reverse("admin:person", args=[incident.pk, incident.people.get(reference="sam").pk]))
    for address in pages:
        page = browser.get(address).content.decode()
        assert "might apply" in page and "US-CA" in page and "letter owed</span> by" in page, address
        assert "Laws of 54 states" in page or address != pages[0]
        for words in (
            "US-CA (California: Cal. Civ. Code 1798.82)",
            "Alaska: Alaska Stat. 45.48.010",
            "US law depends on the state",
        ):
            assert words in page, (address, words)


def test_beside_another_country_the_united_states_stand_for_the_laws_of_their_states(
    incident: Incident, officer: User, write_list: Any
) -> None:
    columns = tuple(dict.fromkeys((*CLAIRE, *DORA)))
    dan = {**DORA, "person_id": "dan", "billing_country": "US", "loyalty_home_store": ""}
    import_people(incident=incident, path=write_list(CLAIRE, dan, columns=columns), author=officer)
    assess_incident(incident=incident, author=officer)
    places = explain(incident=incident, reference="dan")["might_apply"]["places"]
    states = [pack for pack in load_packs() if pack.id.startswith("US-")]
    assert [(one["place"], len(one["parts"])) for one in places] == [("FR", 0), ("US", len(states))]
    text = "\n".join(in_words(explain(incident=incident, reference="dan")))
    assert f"    {len(states)} laws of its parts might apply: US-AK (Alaska: Alaska Stat." in text
    browser = Client()
    browser.force_login(officer)
    page = browser.get(reverse("admin:queue", args=[incident.pk, "residence_conflict"])).content.decode()
    for words in (
        f"{len(states)} laws of its states or provinces",
        "US-CA (California: Cal. Civ. Code 1798.82)",
        "depends on the state",
    ):
        assert words in page, words


def test_what_the_law_says_of_a_possible_place_is_what_it_says_once_that_place_is_decided(
    in_doubt: Incident, officer: User
) -> None:
    (_, swiss, _) = explain(incident=in_doubt, reference="dora")["might_apply"]["places"]
    entries = in_doubt.queue.filter(kind="residence_conflict")
    deciding.correct_residence(incident=in_doubt, entries=entries, residence="CH", reason="she said so", author=officer)
    assess_incident(incident=in_doubt, author=officer)
    found = explain(incident=in_doubt, reference="dora")
    (duty,) = found["obligations"]
    assert [(one["owed"], one["handling"], one["deadline"]) for one in swiss["duties"]] == [
        (duty["owed"], duty["handling"], duty["deadline"])
    ]
    assert found["might_apply"]["places"] == [] and "Might live" not in "\n".join(in_words(found))


def test_a_doubt_says_until_when_it_waits(in_doubt: Incident, officer: User) -> None:
    until = date.today() + timedelta(days=30)  # noqa: DTZ011
    deciding.hold(incident=in_doubt, entries=in_doubt.queue.all(), until=until, reason="asked", author=officer)
    assert explain(incident=in_doubt, reference="dora")["might_apply"]["waits"].startswith(f"held until {until.isoformat()}")
    deciding.accept(incident=in_doubt, entries=in_doubt.queue.all(), reason="it is the best we know", author=officer)
    might = explain(incident=in_doubt, reference="dora")["might_apply"]
    assert might["waits"] == "a person accepted it as it stands" and len(might["places"]) == 3


def test_the_queue_and_the_page_of_the_person_show_those_laws(in_doubt: Incident, officer: User) -> None:
    browser, dora = Client(), in_doubt.people.get(reference="dora")
    browser.force_login(officer)
    for address in (
        reverse("admin:queue", args=[in_doubt.pk, "residence_conflict"]),
        reverse("admin:person", args=[in_doubt.pk, dora.pk]),
    ):
        page = browser.get(address).content.decode()
        assert "Laws that might apply" in page and "California" in page and "Switzerland" in page, address
        assert "waits for a person&#x27;s decision" in page
        for place, column in (("FR", "country that the person stated"), ("CH", "country of the bill"), ("US-CA", "home store")):
            assert f"<strong>{place}</strong> <small>by {column}" in page, (address, place)
    claire = in_doubt.people.get(reference="claire")
    assert "Laws that might apply" not in browser.get(reverse("admin:person", args=[in_doubt.pk, claire.pk])).content.decode()
