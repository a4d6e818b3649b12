"""What would change for an incident, before anything is saved: and nothing is saved."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.db.utils import InternalError
from django.test.utils import CaptureQueriesContext

from incidents.law.overlay import packs_with
from incidents.law.pack import PACKS_FOLDER, PackSet, load_packs
from incidents.letters import whatif
from incidents.letters.render import make_letters
from incidents.letters.whatif import what_if, what_if_lines
from incidents.models import Cohort, Incident
from incidents.models.refusal import Refused
from incidents.people.assessing import assess_incident
from incidents.people.opening import FactsRefused, record_finding
from incidents.people.supposing import NAMES, SuppositionRefused, crowds, exposed_as
from tests.conftest import CARL, CLAIRE, NOW, YUKI
from tests.people.conftest import Importer

WANDA = {**CARL, "person_id": "wanda", "customer_number": "C9", "full_name": "Wanda Lee", "email": "wanda@example.com",
         "loyalty_home_store": "US-WA Seattle", "elements": "name;email;country;date_of_birth"}  # fmt: skip
FINDINGS = (("risk", "risk"), ("misuse_likely", "yes"), ("voluntary_notice", "yes"))
Row = dict[str, Any]


@pytest.fixture
def four(bring: Importer, incident: Incident, officer: User) -> Incident:
    """Claire in Paris, Carl in California, Yuki in Tokyo, Wanda in Washington with her date of birth; assessed."""
    bring(CLAIRE, CARL, YUKI, WANDA)
    for key, value in FINDINGS:
        record_finding(incident=incident, key=key, value=value, reason="as the tests need it", author=officer)
    assess_incident(incident=incident, author=officer)
    return incident


def suppose(incident: Incident, *settings: str, packs: PackSet | None = None) -> Row:
    return what_if(incident=incident, settings=settings, packs=packs, now=NOW)


def duty(document: Row, jurisdiction: str, addressee: str = "person") -> Row:
    found: list[Row] = [d for d in document["duties"] if (d["jurisdiction"], d["addressee"]) == (jurisdiction, addressee)]
    assert len(found) == 1, [(one["jurisdiction"], one["addressee"]) for one in document["duties"]]
    return found[0]


def texts(found: Row) -> list[str]:
    return [difference["text"] for difference in found["differences"]]


# -- nothing is written --------------------------------------------------------------------------------------------


def rows() -> dict[str, int]:
    models: list[type[Model]] = apps.get_models()
    return {model.__name__: model._default_manager.count() for model in models}


def contents(incident: Incident) -> list[Any]:
    return [
        list(getattr(incident, name).order_by("id").values()) for name in ("obligations", "cohorts", "findings", "fact_versions")
    ]


@pytest.mark.parametrize(
    "setting",
    ["encrypted=true", "findings.risk=high", "anchors.aware_at=2025-05-30T15:00+02:00", "elements.date_of_birth=exposed",
     "findings.voluntary_notice=no", "sector=finance"],
)  # fmt: skip
def test_nothing_is_written(four: Incident, setting: str) -> None:
    before, kept = rows(), contents(four)
    with CaptureQueriesContext(connection) as seen:
        assert suppose(four, setting)["written"] is False
    verbs = {query["sql"].split()[0] for query in seen.captured_queries}
    assert verbs <= {"SELECT", "SAVEPOINT", "RELEASE", "SET"}, verbs
    assert (rows(), contents(four)) == (before, kept)


def test_the_database_itself_refuses_to_write_meanwhile(four: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(**_: Any) -> Any:
        Cohort.objects.create(incident=four, residence="XX", elements=["name"])

    monkeypatch.setattr(whatif, "crowds", careless)
    with pytest.raises(InternalError, match="read-only"):
        suppose(four, "encrypted=true")
    monkeypatch.undo()
    assert not four.cohorts.filter(residence="XX").exists()


def test_afterwards_the_incident_can_be_changed_as_before(four: Incident, officer: User) -> None:
    suppose(four, "encrypted=true")
    assert record_finding(incident=four, key="risk", value="high", reason="read again", author=officer).pk
    assert assess_incident(incident=four, author=officer).changed > 0


# -- facts ---------------------------------------------------------------------------------------------------------


def test_encrypted_data_end_the_duty_towards_washington(four: Incident) -> None:
    document = suppose(four, "encrypted=true")
    found = duty(document, "US-WA")
    assert (found["before"]["owed"], found["after"]["owed"], found["people"]) == ("yes", "no", 1)
    assert texts(found)[0] == "owed: yes -> no" and found["references"]
    assert document["people"]["by_residence"]["US-WA"] == 1 and document["supposed"][0]["text"] == "encrypted: no -> yes"


def test_a_later_awareness_moves_deadlines_of_authorities_too(four: Incident) -> None:
    found = duty(suppose(four, "anchors.aware_at=2025-05-30T15:00+02:00"), "FR", "regulator")
    assert "by: 2025-06-02T11:00+02:00 -> 2025-06-02T15:00+02:00" in texts(found) and found["people"] == 0


def test_a_high_risk_writes_to_claire_by_law(four: Incident) -> None:
    document = suppose(four, "findings.risk=high")
    assert texts(duty(document, "FR"))[0] == "owed: no -> yes"
    (claire,) = [one for one in document["cohorts"] if one["residence"] == "FR"]
    assert (claire["letter"]["before"]["form"], claire["letter"]["after"]["form"]) == ("courtesy", "notice")
    assert {"letter": "courtesy/fr", "before": 1, "after": 0} in document["letters"]
    assert {"letter": "notice/fr", "before": 0, "after": 1} in document["letters"]


def test_an_exposed_date_of_birth_is_supposed_of_everybody(four: Incident) -> None:
    document = suppose(four, "elements.date_of_birth=exposed")
    assert document["supposed"][0]["text"].startswith("elements.date_of_birth: ")
    assert "US-WA" not in document["people"]["by_residence"], "hers is exposed already"
    document = suppose(four, "elements.date_of_birth=not_involved")
    assert texts(duty(document, "US-WA"))[0] == "owed: yes -> no"


def test_an_element_that_is_not_known_becomes_a_question(four: Incident) -> None:
    found = duty(suppose(four, "elements.date_of_birth=unknown"), "US-WA")
    assert texts(found)[0] == "owed: yes -> ask" and any("date_of_birth" in text for text in texts(found))


def test_another_establishment_is_another_lead_authority(four: Incident) -> None:
    document = suppose(four, "established_in=DE")
    assert [one["text"] for one in document["whole"]] == ["lead_authority: FR -> DE"]
    assert {duty(document, place, "regulator")["after"]["owed"] for place in ("FR",)} == {"no"}


def test_no_establishment_can_be_supposed(four: Incident) -> None:
    assert suppose(four, "established_in=")["whole"][0]["after"] is None


def test_a_choice_of_the_controller_changes_letters_and_no_duty(four: Incident) -> None:
    document = suppose(four, "findings.voluntary_notice=no")
    assert document["duties"] == [] and document["people"]["by_residence"] == {"FR": 1, "US-CA": 1}
    assert all(one["letter"]["after"] is None for one in document["cohorts"])
    only = suppose(four, "findings.voluntary_notice:US-CA=no")
    assert only["people"]["by_residence"] == {"US-CA": 1}


def test_an_answer_to_a_question_of_a_pack_can_be_supposed(four: Incident) -> None:
    document = suppose(four, "findings.risk=high", "findings.answers.high_risk_removed=yes")
    assert not [one for one in document["duties"] if (one["jurisdiction"], one["addressee"]) == ("FR", "person")]


def test_a_filing_and_a_hold_can_be_supposed(four: Incident) -> None:
    late = suppose(four, "filed_at.FR=2025-06-05T09:00+02:00")
    assert "reasons for delay required: nothing -> yes" in texts(duty(late, "FR", "regulator"))
    held = suppose(four, "law_enforcement_hold_until=2025-09-01T00:00+00:00")
    assert any(text.startswith("by: ") for text in texts(duty(held, "US-WA")))


def test_several_things_are_supposed_together(four: Incident) -> None:
    document = suppose(four, "encrypted=true", "key_taken=true")
    assert document["duties"] == [] and len(document["supposed"]) == 2


def test_what_is_so_already_changes_nothing(four: Incident) -> None:
    document = suppose(four, "encrypted=false")
    assert (document["supposed"], document["duties"], document["cohorts"]) == ([], [], [])
    assert "Nothing would change." in "\n".join(what_if_lines(document=document))


# -- packs ---------------------------------------------------------------------------------------------------------


def test_another_pack_changes_deadlines_before_it_is_shipped(four: Incident, tmp_path: Path) -> None:
    text = (PACKS_FOLDER / "us-wa.yaml").read_text(encoding="utf-8")
    assert text.count("n: 30\n") >= 1
    (tmp_path / "wa.yaml").write_text(text.replace("n: 30\n", "n: 45\n"), encoding="utf-8")
    document = suppose(four, packs=packs_with(path=tmp_path / "wa.yaml"))
    assert texts(duty(document, "US-WA")) == ["by: 2025-06-29 -> 2025-07-14"]
    assert [pack["jurisdiction"] for pack in document["packs"]] == ["US-WA"] and document["supposed"] == []


def test_the_shipped_packs_change_nothing(four: Incident) -> None:
    assert suppose(four, packs=load_packs())["duties"] == []


# -- people --------------------------------------------------------------------------------------------------------


def test_people_are_counted_as_they_are_now_and_not_as_last_assessed(four: Incident) -> None:
    four.people.filter(reference="wanda").update(residence="US-ND")
    assert suppose(four, "encrypted=true")["people"]["by_residence"].get("US-ND") == 1
    four.people.filter(reference="wanda").update(status="rejected")
    assert sum(crowd.group.count for crowd in crowds(incident=four)) == 3


@pytest.mark.parametrize(
    ("state", "sure", "maybe"),
    [("exposed", {"name", "email"}, set()), ("not_involved", {"name"}, set()), ("unknown", {"name"}, {"email"}),
     ("exposed_for_some", {"name", "email"}, set())],
)  # fmt: skip
def test_an_element_is_supposed_for_a_group(four: Incident, state: str, sure: set[str], maybe: set[str]) -> None:
    (claire,) = [crowd.group for crowd in crowds(incident=four) if crowd.group.residence == "FR"]
    found = exposed_as(group=claire, elements={"email": state, "country": "not_involved"})
    assert (set(found.elements), set(found.maybe)) == (sure, maybe)


# -- what cannot be supposed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("encrypted", "is not FACT=VALUE"),
        ("=true", "is not FACT=VALUE"),
        ("encypted=true", "Is 'encrypted' meant?"),
        ("risk=high", "Is 'findings.risk' meant?"),
        ("title=x", "nothing the law looks at"),
        ("encrypted=maybe", "encrypted=true or encrypted=false"),
        ("cause=fire", "use one of: attack"),
        ("sector=fianance", "Is 'finance' meant?"),
        ("established_in=France", "ISO 3166"),
        ("anchors.aware_at=2025-05-30T15:00", "has no zone"),
        ("anchors.aware_at=soon", "ISO 8601"),
        ("anchors.aware_at=2099-01-01T00:00+00:00", "lies in the future"),
        ("anchors.aware_at=", "Every clock runs from it"),
        ("anchors.noticed_at=2025-05-30T15:00+00:00", "Is 'anchors."),
        ("elements.shoe_size=exposed", "not a word of the law pack's vocabulary"),
        ("elements.email=lost", "must be one of"),
        ("findings.risk=medium", "use one of: high, risk, unlikely, unknown"),
        ("findings.voluntary_notice=perhaps", "use one of: no, yes, unknown"),
        ("findings.answers.high_risk_remove=yes", "Is 'high_risk_removed' meant?"),
        ("findings.answers.zzz=yes", "no law pack asks this question"),
        ("findings.answers.high_risk_removed=perhaps", "use one of: no, yes, unknown"),
        ("filed_at.FR=yesterday", "ISO 8601"),
        ("processor_aware_at=2025-05-30T15:00", "has no zone"),
    ],
)
def test_what_cannot_be_supposed_says_what_can(four: Incident, setting: str, says: str) -> None:
    with pytest.raises((SuppositionRefused, FactsRefused)) as caught:
        suppose(four, setting)
    assert says in str(caught.value), str(caught.value)


def test_to_suppose_nothing_is_refused_with_an_example(four: Incident) -> None:
    with pytest.raises(Refused, match="--set encrypted=true"):
        suppose(four)


def test_every_name_shown_can_be_supposed(four: Incident) -> None:
    values = {"ELEMENT": "email", "JURISDICTION": "FR", "KEY": "high_risk_removed"}
    for shown in NAMES:
        name = next((shown.replace(word, real) for word, real in values.items() if word in shown), shown)
        moment = name.startswith(("anchors", "filed_at")) or name.endswith(("until", "aware_at"))
        value = "2025-05-30T15:00+00:00" if moment else "FR" if "_in" in name else "exposed" if "elements" in name else "no"
        value = {"cause": "error", "role": "processor", "sector": "bank", "findings.risk": "high"}.get(name, value)
        try:
            suppose(four, f"{name}={value}")
        except FactsRefused as refusal:
            assert "is before" in str(refusal), name  # the order of the anchors, a check of its own


# -- in words ------------------------------------------------------------------------------------------------------


def test_the_answer_in_words_names_people_duties_letters_and_references(four: Incident, officer: User) -> None:
    make_letters(incident=four, author=officer)
    said = "\n".join(what_if_lines(document=suppose(four, "findings.risk=high")))
    for words in (
        "What if, on cartier-2025 (facts version 1):",
        "findings.risk: risk -> high",
        "Nothing of this is saved.",
        "of 4 people something would change",
        "FR, people, 1 person in 1 cohort",
        "owed: no -> yes",
        "Regulation (EU) 2016/679 (GDPR), Art 34",
        "courtesy/fr: 1 -> 0",
        "notice/fr: 0 -> 1",
    ):
        assert words in said, said


def test_moments_are_supposed_with_their_offset(four: Incident) -> None:
    (change,) = suppose(four, "anchors.determined_at=2025-06-01T10:00+02:00")["supposed"]
    assert change["before"] is None and change["after"] == datetime.fromisoformat("2025-06-01T10:00+02:00")
