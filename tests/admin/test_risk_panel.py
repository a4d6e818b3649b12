"""The severity method beside the risk finding: shown with every default, kept with the finding, told to the log, never in charge."""

from __future__ import annotations

import io
import json
import re
import zipfile

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from incidents.law.severity import COMMON_USE
from incidents.models import AuditEvent, Finding, Incident
from incidents.people.assessing import assess_incident
from incidents.people.opening import FactsRefused, amend_facts, record_finding
from tests.admin.case import at, posted, said, signed_in

pytestmark = pytest.mark.django_db

LUXURY = {"severity-simple-controller": "+1", "severity-grounds": "The brand sells luxury goods; its list shows wealth."}
OTHERWISE = "Contact data alone open nothing, and every client is warned."


def page_of(desk: Client, incident: Incident) -> str:
    return desk.get(at("findings", incident.pk)).content.decode()


def mark(body: str) -> str:
    """The mark of the suggestion that a page shows."""
    found = re.search(r'name="shown" value="(\w+)"', body)
    assert found
    return found[1]


def weighed(desk: Client, incident: Incident, **fields: str) -> str:
    """The page after 'Show the suggestion for these answers'."""
    response = desk.post(at("find", incident.pk), {"key": "risk", "do": "weigh", **fields})
    assert response.status_code == 200
    return response.content.decode()


def recorded(desk: Client, incident: Incident, **fields: str) -> HttpResponse:
    """Show the suggestion for these answers, then record with the same ones."""
    shown = mark(weighed(desk, incident, **fields))
    return desk.post(at("find", incident.pk), {"key": "risk", "shown": shown, **fields})


def newest(incident: Incident) -> Finding:
    return incident.findings.filter(key="risk").latest("id")


def checked(body: str, value: str) -> bool:
    return re.search(rf'name="value" value="{value}" required checked', body) is not None


# -- shown ---------------------------------------------------------------------------------------------------------


def test_the_suggestion_stands_beside_the_finding_with_every_default_and_its_source(desk: Client, case: Incident) -> None:
    body = page_of(desk, case)
    assert "Severity 2.0 to 4.0" in body and "a risk, but not a high one, or a high risk" in body
    assert COMMON_USE in body and "December 2013" in body
    for text in ("default: the name was exposed", "default: cause: attack", "default: sector: retail"):
        assert text in body
    assert "5 people (flag: more than 100)" in body


def test_every_box_has_its_label_and_its_hint(desk: Client, case: Incident) -> None:
    body = page_of(desk, case)
    boxes = re.findall(r'<select id="(severity-[\w-]+)"[^>]*aria-describedby="([\w-]+)"', body)
    assert len(boxes) == 11
    for box, hint in boxes:
        assert f'<label for="{box}"' in body and f'id="{hint}"' in body


def test_an_incident_whose_list_is_not_in_yet_says_that_the_number_is_not_known(desk: Client, opened: Incident) -> None:
    assert "The number of people is not known" in page_of(desk, opened)


def test_other_answers_give_another_suggestion_and_nothing_is_recorded(desk: Client, case: Incident) -> None:
    before, entries = case.findings.count(), AuditEvent.objects.count()
    body = weighed(desk, case, value="risk", reason="Contact data only.", why_different="because", **LUXURY)
    assert "Severity 3.0" in body and "by default “not said yet: 0 to +2”" in body
    assert checked(body, "risk") and "Contact data only." in body and ">because</textarea>" in body
    assert LUXURY["severity-grounds"] in body
    assert (case.findings.count(), AuditEvent.objects.count()) == (before, entries)


def test_what_was_typed_is_shown_as_text(desk: Client, case: Incident) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    fields = {"reason": hostile, "why_different": hostile, "severity-grounds": hostile}
    assert "<img src=x" not in weighed(desk, case, **fields)


@pytest.mark.parametrize("value", ["", "+4", "perhaps", "<b>"])
def test_an_answer_that_the_question_does_not_have_counts_as_none(desk: Client, case: Incident, value: str) -> None:
    assert mark(weighed(desk, case, **{"severity-simple-controller": value})) == mark(page_of(desk, case))


def test_unclear_elements_are_asked_about_and_credentials_take_what_they_open(
    desk: Client, case: Incident, officer: User
) -> None:
    facts = dict(case.facts.facts)
    elements = {**facts["elements"], "online_credentials": "exposed", "medical_information": "unknown"}
    amend_facts(incident=case, facts={**facts, "elements": elements}, author=officer, reason="forensics")
    body = page_of(desk, case)
    assert "Sign-in data" in body and "not said yet: 1 to 4" in body and "not known whether exposed" in body
    assert "Severity 2.0 to 5.0" in body
    fields = {"severity-credentials-class": "2", "severity-simple-controller": "0"}
    assert "Kind of data (2 to 4)" in weighed(desk, case, **fields)


# -- recorded ------------------------------------------------------------------------------------------------------


def test_a_finding_keeps_the_inputs_and_the_result(desk: Client, case: Incident) -> None:
    response = recorded(desk, case, value="high", reason="Wealthy clients, unknown attacker.", **LUXURY)
    assert response.status_code == 302 and "recorded under your name" in said(response)
    kept = newest(case).suggestion
    assert (kept["score"], kept["band"], kept["risks"], kept["differs"]) == ("3.0", "high", ["high"], False)
    assert (kept["found"], kept["facts_version"], kept["grounds"]) == ("high", 1, LUXURY["severity-grounds"])
    lines = {line["key"]: line for line in kept["inputs"]}
    assert len(lines) == 11 and lines["simple.controller"]["source"] == "officer" and lines["intent"]["source"] == "default"
    assert {line["default"] for line in kept["inputs"]} and all(line["because"] for line in kept["inputs"])


def test_a_finding_other_than_suggested_needs_its_own_reason_and_loses_nothing_that_was_typed(
    desk: Client, case: Incident
) -> None:
    before = case.findings.count()
    response = recorded(desk, case, value="risk", reason="Contact data only.", **LUXURY)
    body = response.content.decode()
    assert response.status_code == 200 and "The suggestion is: a high risk. Say why you find otherwise" in body
    assert checked(body, "risk") and "Contact data only." in body and case.findings.count() == before
    assert recorded(desk, case, value="risk", reason="Contact data only.", why_different=OTHERWISE, **LUXURY).status_code == 302
    kept = newest(case).suggestion
    assert (kept["differs"], kept["why_different"], newest(case).reason) == (True, OTHERWISE, "Contact data only.")


@pytest.mark.parametrize(("value", "needs"), [("unlikely", True), ("risk", False), ("high", False)])
def test_within_what_agrees_with_the_answers_no_second_reason_is_asked(
    desk: Client, case: Incident, value: str, needs: bool
) -> None:
    assert (recorded(desk, case, value=value, reason="as weighed").status_code == 200) is needs


def test_a_step_needs_its_ground_in_words(desk: Client, case: Incident) -> None:
    before = case.findings.count()
    fields = {"value": "high", "reason": "weighed", "severity-simple-controller": "+1"}
    body = recorded(desk, case, **fields).content.decode()
    assert "say in words what speaks for it" in body and case.findings.count() == before


def test_a_finding_without_a_reason_is_refused_as_ever(desk: Client, case: Incident) -> None:
    body = recorded(desk, case, value="high", reason=" ", **LUXURY).content.decode()
    assert "needs its reason in words" in body


def test_answers_that_were_never_shown_are_shown_before_anything_is_recorded(desk: Client, case: Incident) -> None:
    before, shown = case.findings.count(), mark(page_of(desk, case))
    for stale in ({"shown": shown, **LUXURY}, {"shown": ""}, {}):
        fields = {"key": "risk", "value": "high", "reason": "weighed", **stale}
        body = desk.post(at("find", case.pk), fields).content.decode()
        assert "The suggestion has changed with the answers or the facts" in body and checked(body, "high")
    assert case.findings.count() == before


def test_facts_that_changed_meanwhile_are_weighed_before_anything_is_recorded(
    desk: Client, case: Incident, officer: User
) -> None:
    shown, before = mark(page_of(desk, case)), case.findings.count()
    amend_facts(incident=case, facts={**case.facts.facts, "cause": "error"}, author=officer, reason="no attack")
    body = desk.post(at("find", case.pk), {"key": "risk", "value": "risk", "reason": "weighed", "shown": shown}).content.decode()
    assert "default: cause: error" in body and case.findings.count() == before


def test_the_law_is_asked_again_with_the_finding_and_never_with_the_number(desk: Client, case: Incident) -> None:
    recorded(desk, case, value="risk", reason="Contact data only.", why_different=OTHERWISE, **LUXURY)
    assert case.obligations.get(jurisdiction="FR", addressee="person", superseded=False, cohort__count=2).owed == "no"
    recorded(desk, case, value="high", reason="Misused already.", **LUXURY)
    assert case.obligations.get(jurisdiction="FR", addressee="person", superseded=False, cohort__count=2).owed == "yes"


def test_other_findings_have_no_suggestion(desk: Client, case: Incident) -> None:
    assert "recorded" in posted(desk, "find", case.pk, key="misuse_likely", value="no", reason="nothing seen")
    assert case.findings.latest("id").suggestion is None


# -- told ----------------------------------------------------------------------------------------------------------


def test_the_log_tells_what_was_suggested_without_a_word_of_its_grounds(desk: Client, case: Incident) -> None:
    recorded(desk, case, value="risk", reason="Contact data only.", why_different=OTHERWISE, **LUXURY)
    entry = AuditEvent.objects.filter(action="assessment.recorded").latest("id")
    told = json.loads(entry.line)["data"]["suggestion"]
    assert (told["score"], told["band"], told["risks"], told["differs"]) == ("3.0", "high", ["high"], True)
    assert "ENISA" in told["method"] and len(told["sha256"]) == 64
    assert OTHERWISE not in entry.line and LUXURY["severity-grounds"] not in entry.line


def test_the_suggestion_is_shown_wherever_the_finding_is(desk: Client, case: Incident) -> None:
    recorded(desk, case, value="risk", reason="Contact data only.", why_different=OTHERWISE, **LUXURY)
    for url, times in ((at("findings", case.pk), 2), (at("law", case.pk), 1), (at("jurisdiction", case.pk, "FR"), 1)):
        body = desk.get(url).content.decode()
        assert body.count("Suggested: severity 3.0 (high), a high risk") == times, url
        assert body.count(f"Why otherwise: {OTHERWISE}") == times and "found otherwise" in body


def test_a_later_finding_leaves_the_earlier_suggestion_where_it_was(desk: Client, case: Incident) -> None:
    recorded(desk, case, value="high", reason="first view", **LUXURY)
    first = newest(case)
    recorded(desk, case, value="risk", reason="second view", why_different=OTHERWISE, **LUXURY)
    first.refresh_from_db()
    assert first.suggestion["found"] == "high" and newest(case).suggestion["found"] == "risk"
    assert "first view" in page_of(desk, case)


def test_the_bundle_holds_the_suggestion_beside_the_finding(desk: Client, case: Incident) -> None:
    recorded(desk, case, value="high", reason="weighed", **LUXURY)
    response = desk.post(at("bundle", case.pk))
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as bundle:
        [name] = [one for one in bundle.namelist() if one.endswith("findings.json")]
        found = [one for one in json.loads(bundle.read(name)) if one["key"] == "risk"]
    assert found[0]["suggestion"] is None and found[-1]["suggestion"]["score"] == "3.0"


def test_a_second_officer_sees_the_same_suggestion(desk: Client, case: Incident, counsel: User) -> None:
    assert mark(page_of(desk, case)) == mark(page_of(signed_in(counsel), case))


def test_findings_of_drills_and_commands_stand_without_a_suggestion(case: Incident, officer: User) -> None:
    record_finding(incident=case, key="risk", value="high", reason="as the drill says", author=officer)
    assess_incident(incident=case, author=officer)
    assert newest(case).suggestion is None
    assert "suggestion" not in AuditEvent.objects.filter(action="assessment.recorded").latest("id").line


def test_a_value_outside_the_list_is_refused_before_anything_is_weighed(case: Incident, officer: User) -> None:
    with pytest.raises(FactsRefused, match="is no answer"):
        record_finding(incident=case, key="risk", value="medium", reason="weighed", author=officer)
