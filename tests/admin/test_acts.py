"""What people do at the desk: each act, and each refusal with its remedy."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from incidents.admin.facts_form import FactsForm
from incidents.admin.overview import Overview
from incidents.dispatch.campaign import release
from incidents.letters.approving import approve_content
from incidents.models import Approval, AuditEvent, Campaign, CampaignState, Incident, Letter
from incidents.models.people import QueueKind, QueueStatus
from incidents.people import country_words
from incidents.people.importing import import_people
from tests.admin.case import A_MONTH_ON, FRAME_POLICY, at, posted, signed_in
from tests.conftest import CLAIRE

pytestmark = pytest.mark.django_db


def sent(campaign: Campaign, officer: User, counsel: User) -> Campaign:
    approve_content(campaign=campaign, author=counsel, reason="read")
    campaign.refresh_from_db()
    release(campaign=campaign, author=officer, reason="go", without_wave="as the test needs it")
    return campaign


# -- facts ---------------------------------------------------------------------------------------------------------


def form_of(incident: Incident, **changed: str) -> dict[str, str]:
    """The incident form as the browser would post it, with some boxes changed."""
    form = FactsForm(stored=incident.facts.facts)
    values = {field.name: field.value() for field in form if field.value() not in (None, False, "")}
    values["version"] = incident.facts.number
    return {**{name: "on" if value is True else str(value) for name, value in values.items()}, **changed}


def test_an_incident_is_opened_by_the_form(desk: Client, opened: Incident) -> None:
    response = desk.post(at("incidents_incident_add"), form_of(opened, reference="sole-2026", drill="on"))
    incident = Incident.objects.get(reference="sole-2026")
    assert response["Location"] == at("desk", incident.pk) and incident.is_drill
    assert incident.facts.facts["anchors"]["aware_at"] == "2025-05-30T11:00:00+02:00"


def test_the_clocks_of_authorities_stand_on_the_desk_before_anybody_is_on_the_list(
    desk: Client, opened: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    aware = (datetime.now(UTC) - timedelta(hours=10)).strftime("%Y-%m-%dT%H:%M")
    desk.post(at("incidents_incident_add"), form_of(opened, reference="sole-2026", anchors_aware_at=aware, zone="UTC"))
    view = Overview(incident=Incident.objects.get(reference="sole-2026"), user=officer)
    assert view.due[0].text.startswith("FR: ") and view.due[0].moment
    assert view.decide[-1].text == "Import the list of people"
    assert [(step.name, step.state) for step in view.steps[:3]] == [("Facts", "done"), ("People", "now"), ("Law", "todo")]
    import_people(incident=view.incident, path=write_list(CLAIRE), author=officer)
    view = Overview(incident=view.incident, user=officer)
    assert "Ask what the law wants of the people" in [item.text for item in view.decide]
    assert not view.stuck and view.steps[2].state == "now", "what was never asked is not stale"


def test_an_untouched_form_makes_no_new_version(desk: Client, opened: Incident) -> None:
    desk.post(at("facts", opened.pk), form_of(opened, reason="nothing new"))
    assert opened.fact_versions.count() == 1


def test_a_change_makes_a_version_with_author_and_reason(desk: Client, opened: Incident) -> None:
    desk.post(at("facts", opened.pk), form_of(opened, reason="the log was read", elements_phone="exposed"))
    page = desk.get(at("facts", opened.pk)).content.decode()
    assert opened.facts.number == 2 and "the log was read" in page and "elements.phone" in page


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"anchors_aware_at": ""}, "Aware: missing"),
        ({"anchors_aware_at": "2025-03-30T02:30"}, "does not exist in Europe/Paris"),
        ({"anchors_aware_at": "yesterday"}, '<a href="#id_anchors_aware_at">Aware: '),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"controller_dpo_email": "two@a.example, other@b.example"}, "Officer&#x27;s e-mail: "),
        ({"controller_brand": ""}, '<a href="#id_controller_brand">Brand: missing; the letter needs it.'),
        ({"expected_people": "many"}, "expected_people"),
        ({"reason": ""}, "Say why the facts change"),
    ],
)
def test_refused_facts_say_which_field_and_keep_what_was_typed(
    desk: Client, opened: Incident, changed: dict[str, str], line: str
) -> None:
    fields = {**form_of(opened, reason="a reason", title="A title to keep"), **changed}
    response = desk.post(at("facts", opened.pk), fields)
    body = response.content.decode()
    assert response.status_code == 200 and line in body and "A title to keep" in body
    assert opened.fact_versions.count() == 1


def test_a_taken_reference_is_refused(desk: Client, opened: Incident) -> None:
    response = desk.post(at("incidents_incident_add"), form_of(opened, reference=opened.reference))
    assert "exists already" in response.content.decode() and Incident.objects.count() == 1


# -- people and queues ---------------------------------------------------------------------------------------------


def test_a_whole_queue_is_held_at_once(desk: Client, case: Incident) -> None:
    fields = {"scope": "all", "do": "hold", "until": A_MONTH_ON.isoformat(), "reason": "the shop asks"}
    assert "1 entry held" in posted(desk, "decide", case.pk, QueueKind.STATE_UNKNOWN, **fields)
    entry = case.queue.get(kind=QueueKind.STATE_UNKNOWN)
    assert (entry.status, entry.held_until) == (QueueStatus.HELD, A_MONTH_ON)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"do": "hold", "until": A_MONTH_ON.isoformat(), "reason": "x"}, "No entry is chosen"),
        ({"scope": "all", "do": "hold", "until": "soon", "reason": "x"}, "as year-month-day"),
        ({"scope": "all", "do": "hold", "until": "2000-01-01", "reason": "x"}, "not in the future"),
        ({"scope": "all", "do": "hold", "until": "9999-12-31", "reason": "x"}, "more than 366 days ahead"),
        ({"scope": "all", "do": "hold", "until": A_MONTH_ON.isoformat(), "reason": " "}, "reason"),
        ({"scope": "all", "do": "residence", "residence": "Oz", "reason": "x"}, "no residence"),
        ({"scope": "all", "do": "dance"}, "Choose what to do"),
    ],
)
def test_a_decision_that_does_not_hold_is_refused(desk: Client, case: Incident, fields: dict[str, str], line: str) -> None:
    assert line in posted(desk, "decide", case.pk, QueueKind.STATE_UNKNOWN, **fields)
    assert case.queue.filter(status=QueueStatus.OPEN).count() == 2


def test_a_state_and_an_address_are_corrected(desk: Client, case: Incident) -> None:
    state, address = case.queue.get(kind=QueueKind.STATE_UNKNOWN), case.queue.get(kind=QueueKind.ADDRESS)
    fields = {"entry": str(state.pk), "do": "residence", "residence": "us-wa", "reason": "shop card"}
    assert "residence is set" in posted(desk, "decide", case.pk, state.kind, **fields)
    fields = {"entry": str(address.pk), "do": "address", "address": "nora.w@example.org", "reason": "she called"}
    assert "corrected" in posted(desk, "decide", case.pk, address.kind, **fields)
    assert case.people.get(reference="sam").residence == "US-WA" and case.people.get(reference="nora").has_email


def test_pages_say_of_a_decided_question_what_was_done_and_call_nothing_corrected_that_was_accepted(
    desk: Client, case: Incident
) -> None:
    state = case.queue.filter(kind=QueueKind.STATE_UNKNOWN).order_by("id")[0]
    fields = {"entry": str(state.pk), "do": "accept", "reason": "the strictest law holds"}
    assert "accepted as they stand" in posted(desk, "decide", case.pk, state.kind, **fields)
    state.refresh_from_db()
    assert state.status == QueueStatus.CORRECTED
    queue = desk.get(at("queue", case.pk, state.kind), {"status": state.status}).content.decode()
    assert "decided (1)" in queue and "<strong>Accepted as it stands</strong>" in queue and "corrected (" not in queue
    assert '<th scope="col" class="number">Decided</th>' in desk.get(at("queues", case.pk)).content.decode()
    person = desk.get(at("person", case.pk, state.person_id)).content.decode()
    assert "accepted as it stands</span>" in person and ">corrected<" not in person


def test_a_refused_birth_date_is_named_in_words_with_its_own_reason(desk: Client, case: Incident) -> None:
    nora = case.people.get(reference="nora")
    for typed, why in (("2/3/1980", "may mean several days"), ("31.02.1980", "is no plausible date")):
        told = posted(desk, "correct", case.pk, nora.pk, date_of_birth=typed, reason="she called")
        assert f"Date of birth: {why}; write it as" in told and "ate_of_birth" not in told
    state = case.queue.filter(kind=QueueKind.STATE_UNKNOWN).order_by("id")[0]
    case.queue.filter(pk=state.pk).update(column="date_of_birth")
    assert ">date of birth</td>" in desk.get(at("queue", case.pk, state.kind)).content.decode()


def test_a_rejection_takes_two_people(desk: Client, case: Incident, counsel: User) -> None:
    kind = QueueKind.ADDRESS
    posted(desk, "decide", case.pk, kind, scope="all", do="propose", reason="a test row")
    confirm = {"scope": "all", "do": "confirm", "status": QueueStatus.REJECTION_PROPOSED}
    assert "second person" in posted(desk, "decide", case.pk, kind, **confirm)
    assert "1 rejection confirmed" in posted(signed_in(counsel), "decide", case.pk, kind, **confirm)
    assert case.queue.get(kind=kind).status == QueueStatus.REJECTED


def test_a_rejection_is_refused_by_the_second_person_and_taken_back_by_the_first(
    desk: Client, case: Incident, counsel: User
) -> None:
    kind, waits = QueueKind.ADDRESS, QueueStatus.REJECTION_PROPOSED
    refuse = {"scope": "all", "do": "refuse", "status": waits}
    for client in (signed_in(counsel), desk):
        posted(desk, "decide", case.pk, kind, scope="all", do="propose", reason="a test row")
        assert 'value="refuse"' in client.get(f"{at('queue', case.pk, kind)}?status={waits}").content.decode()
        assert "reason" in posted(client, "decide", case.pk, kind, **refuse)
        assert case.queue.get(kind=kind).status == waits
        assert "1 rejection refused or taken back" in posted(
            client, "decide", case.pk, kind, **refuse, reason="she is one of ours"
        )
        assert case.queue.get(kind=kind).status == QueueStatus.OPEN


def test_a_refusal_that_comes_after_the_confirmation_says_that_nothing_was_decided(
    desk: Client, case: Incident, counsel: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = QueueKind.ADDRESS
    posted(desk, "decide", case.pk, kind, scope="all", do="propose", reason="a test row")
    monkeypatch.setattr("incidents.admin.queues.refuse_rejection", lambda **_: 0)  # it waited for the one who confirmed
    refuse = {"scope": "all", "do": "refuse", "status": QueueStatus.REJECTION_PROPOSED, "reason": "she is one of ours"}
    told = posted(signed_in(counsel), "decide", case.pk, kind, **refuse)
    assert "Nothing was decided" in told and "0 rejections" not in told


def test_the_second_of_two_clicks_does_not_say_that_none_was_confirmed(
    desk: Client, case: Incident, counsel: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = QueueKind.ADDRESS
    posted(desk, "decide", case.pk, kind, scope="all", do="propose", reason="a test row")
    monkeypatch.setattr("incidents.admin.queues.confirm_rejection", lambda **_: 0)  # it waited for the first, which took all
    confirm = {"scope": "all", "do": "confirm", "status": QueueStatus.REJECTION_PROPOSED}
    told = posted(signed_in(counsel), "decide", case.pk, kind, **confirm)
    assert "decided a moment ago" in told and "0 rejections" not in told


def test_a_finding_without_a_reason_is_refused_and_one_with_it_asks_the_law_again(desk: Client, case: Incident) -> None:
    before = case.findings.count()
    assert "reason" in posted(desk, "find", case.pk, key="misuse_likely", value="no", reason="")
    assert "no answer" in posted(desk, "find", case.pk, key="misuse_likely", value="perhaps", reason="x")
    assert case.findings.count() == before
    shown = re.search(r'name="shown" value="(\w+)"', desk.get(at("findings", case.pk)).content.decode())
    assert shown
    assert "changed" in posted(desk, "find", case.pk, key="risk", value="high", reason="misused already", shown=shown[1])
    assert case.obligations.get(jurisdiction="FR", addressee="person", cohort__minors=False, cohort__count=2).owed == "yes"


def test_a_filing_in_the_future_or_without_its_reasons_is_refused(desk: Client, case: Incident) -> None:
    duty = case.obligations.get(jurisdiction="FR", addressee="regulator")
    fields = {"filed_at": "2099-01-01T10:00", "zone": "Europe/Paris", "reference": "CNIL-1"}
    assert "future" in posted(desk, "file_notice", case.pk, duty.pk, **fields)
    fields["filed_at"] = "2025-06-20T10:00"
    assert "reasons for the delay" in posted(desk, "file_notice", case.pk, duty.pk, **fields)
    assert "not a date" in posted(desk, "file_notice", case.pk, duty.pk, filed_at="then", zone="UTC", reference="x")
    fields["reason_for_delay"] = "the scope was not known"
    assert "CNIL-1" in posted(desk, "file_notice", case.pk, duty.pk, **fields)
    assert "CNIL-1" in desk.get(at("desk", case.pk)).content.decode()


# -- letters -------------------------------------------------------------------------------------------------------


def test_a_mistake_in_a_letter_is_named_by_line_and_column_and_the_text_is_kept(desk: Client, case: Incident) -> None:
    source = "Subject: [[brand]]\n\nDear [[person_name]],\n\nsee http://cartier.com now\n"
    response = desk.post(at("letter_text", case.pk, "notice", "en"), {"source": source})
    body = response.content.decode()
    assert response.status_code == 200 and "Line 5, column 5" in body and "see http://cartier.com now" in body
    assert not case.letter_texts.exists()


def test_a_preview_is_logged_and_its_frame_has_a_policy_of_its_own(desk: Client, campaign: Campaign) -> None:
    case = campaign.incident
    claire, letter = case.people.get(reference="claire"), Letter.objects.get(incident=case, language="fr")
    url = desk.post(at("open_preview", case.pk, letter.pk), {"person": claire.pk})["Location"]
    page = desk.get(url).content.decode()
    frame = re.search(r'<iframe[^>]*sandbox=""[^>]*src="([^"]+)"', page)
    assert frame and "Claire Dubois" in page and "srcdoc" not in page
    body = desk.get(frame[1])
    assert body["Content-Security-Policy"] == FRAME_POLICY and "Claire Dubois" in body.content.decode()
    assert AuditEvent.objects.filter(action="access.viewed", subject=claire.subject, line__contains="preview").exists()


def test_nobody_outside_the_cohort_can_be_previewed(desk: Client, campaign: Campaign) -> None:
    case = campaign.incident
    yuki, letter = case.people.get(reference="yuki"), Letter.objects.get(incident=case, language="fr")
    assert desk.post(at("open_preview", case.pk, letter.pk), {"person": yuki.pk}).status_code == 404


def test_a_test_letter_reaches_the_inbox_and_opens_there(desk: Client, campaign: Campaign) -> None:
    case, letter = campaign.incident, Letter.objects.get(incident=campaign.incident, language="ja")
    assert "own e-mail" in posted(desk, "test_letter", case.pk, letter.pk, to="nobody")
    posted(desk, "test_letter", case.pk, letter.pk, to="officer@example.com")
    mail = case.inbox.get(is_test=True)
    url = desk.post(at("open_message", case.pk, mail.pk))["Location"]
    page = desk.get(url).content.decode()
    frame = re.search(r'<iframe[^>]*src="([^"]+)"', page)
    assert frame and "Auto-Submitted" in page and "officer@example.com" in page
    assert desk.get(frame[1])["Content-Security-Policy"] == FRAME_POLICY


# -- the campaign --------------------------------------------------------------------------------------------------


def test_a_freeze_names_everything_that_is_missing(desk: Client, case: Incident) -> None:
    page = desk.get(at("campaigns", case.pk)).content.decode()
    assert "2 queue entries have no decision" in page and "There are no letters yet" in page
    assert "no decision" in posted(desk, "freeze", case.pk) and not case.campaigns.exists()


def test_whoever_wrote_the_letters_cannot_sign_them(desk: Client, campaign: Campaign) -> None:
    page = desk.get(at("campaign", campaign.incident.pk, campaign.pk)).content.decode()
    assert "You cannot sign" in page and campaign.register_root in page and campaign.letters_root in page
    answer = posted(desk, "move", campaign.incident.pk, campaign.pk, "approve", reason="looks good to me")
    assert "somebody who edited" in answer and not Approval.objects.exists()
    assert AuditEvent.objects.filter(action="approval.refused", actor="officer").exists()


def test_two_signatures_by_two_people_release_the_campaign(desk: Client, campaign: Campaign, counsel: User) -> None:
    where, second = (campaign.incident.pk, campaign.pk), signed_in(counsel)
    assert "not approved yet" in posted(desk, "move", *where, "release", reason="go")
    assert "needs its reason" in posted(second, "move", *where, "approve", reason="")
    assert "signature stands" in posted(second, "move", *where, "approve", reason="read every letter")
    assert "somebody else" in posted(second, "move", *where, "release", reason="go")
    alone = {"alone": "yes", "without_wave": "five people"}
    assert "releases" in posted(desk, "move", *where, "release", reason="the call centre is open", **alone)
    campaign.refresh_from_db()
    assert campaign.state == CampaignState.DISPATCHING


def test_a_campaign_is_paused_resumed_and_stopped_each_with_a_reason(
    desk: Client, campaign: Campaign, officer: User, counsel: User
) -> None:
    where = (sent(campaign, officer, counsel).incident.pk, campaign.pk)
    assert "reason" in posted(desk, "move", *where, "pause", reason="")
    assert "Paused" in posted(desk, "move", *where, "pause", reason="a call from the police")
    assert "a call from the police" in desk.get(at("campaign", *where)).content.decode()
    assert "Resumed" in posted(desk, "move", *where, "resume", reason="cleared")
    assert "cannot be closed" in posted(desk, "move", *where, "close", reason="done")
    assert "Stopped" in posted(desk, "move", *where, "stop", reason="wrong letter")
    assert desk.post(at("move", *where, "dance")).status_code == 404


def test_the_progress_adds_up_and_stands_alone(desk: Client, campaign: Campaign) -> None:
    part = desk.get(at("progress", campaign.incident.pk, campaign.pk)).content.decode()
    assert "<html" not in part and "= 5 in named states" in part and "As of" in part


# -- to take away --------------------------------------------------------------------------------------------------


def test_the_bundle_is_a_zip_with_its_checker(desk: Client, campaign: Campaign) -> None:
    response = desk.post(at("bundle", campaign.incident.pk))
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as bundle:
        assert any(name.endswith("verify.py") for name in bundle.namelist())
    assert AuditEvent.objects.filter(action="access.exported", actor="officer").exists()


def test_the_reject_file_is_logged_and_not_kept(desk: Client, case: Incident, tmp_path: Path) -> None:
    assert "purpose" in posted(desk, "reject_file", case.pk)
    response = desk.post(at("reject_file", case.pk), {"purpose": "the shop corrects them"})
    assert response.content.decode("utf-8-sig").startswith("correction_of,row,") and "no-store" in response["Cache-Control"]
    assert AuditEvent.objects.filter(action="access.exported", line__contains="reject file").exists()
    assert not list(tmp_path.rglob("*rejects*"))


def test_the_log_filters_by_action_and_shows_the_fingerprint(desk: Client, campaign: Campaign) -> None:
    page = desk.get(at("log", campaign.incident.pk) + "?action=register.frozen").content.decode()
    assert campaign.register_root in page and "Key fingerprint" in page
    assert "<code>letter.made</code>" not in page


# -- a word for a country that several rows share ------------------------------------------------------------------


def people_of(country: str, *numbers: int) -> list[dict[str, str]]:
    own = {"language": "en", "elements": "name;email;country", "stated_country": country}
    return [
        {"person_id": f"p{n}", "customer_number": f"K{n}", "full_name": f"Person {n}", "email": f"p{n}@example.org", **own}
        for n in numbers
    ]


def test_a_word_that_several_rows_have_as_their_country_is_decided_once_for_all_of_them(
    desk: Client, opened: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    rows = [*people_of("England", 1, 2), *people_of("ENGLAND", 3), *people_of("Atlantis", 4, 5, 6), *people_of("UK", 7)]
    import_people(incident=opened, path=write_list(*rows), author=officer)
    page = desk.get(at("queue", opened.pk, "residence_unknown")).content.decode()
    found = dict(re.findall(r'value="(word:\w+)"> the 3 whose country reads “<bdi>(\w+)</bdi>”', page))
    assert sorted(found.values()) == ["Atlantis", "England"] and "(is GB meant?)" in page
    scope = next(key for key, word in found.items() if word == "England")
    given = {"status": "open", "scope": scope, "do": "residence", "residence": "GB", "reason": "England is in GB"}
    assert "3 entries: the residence is set" in posted(desk, "decide", opened.pk, "residence_unknown", **given)
    known = dict(opened.people.values_list("reference", "residence"))
    assert [known[f"p{n}"] for n in range(1, 8)] == ["GB"] * 3 + ["ZZ"] * 4
    assert "No entry is chosen" in posted(desk, "decide", opened.pk, "residence_unknown", **given)


def test_a_word_that_was_offered_is_decided_also_where_others_are_more_frequent_among_all(
    desk: Client, opened: Incident, officer: User, write_list: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in (("LOOKED_AT", 4), ("OFFERED", 1), ("PAGE", 3)):
        monkeypatch.setattr(country_words, name, number)
    rows = [*people_of("England", 1, 2, 3), *people_of("Atlantis", 4, 5, 6, 7, 8), *people_of("England", 9)]
    import_people(incident=opened, path=write_list(*rows), author=officer)
    page = desk.get(at("queue", opened.pk, "residence_unknown")).content.decode()
    [scope] = re.findall(r'value="(word:\w+)"', page)
    given = {"status": "open", "scope": scope, "do": "residence", "residence": "GB", "reason": "England is in GB"}
    assert "4 entries: the residence is set" in posted(desk, "decide", opened.pk, "residence_unknown", **given)
    assert set(opened.people.filter(residence="GB").values_list("reference", flat=True)) == {"p1", "p2", "p3", "p9"}


def test_what_may_be_personal_in_the_column_of_the_country_is_not_shown(
    desk: Client, opened: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    rows = [*people_of("06 12 34 56 78", 1, 2, 3), *people_of("Claire Dubois", 4, 5)]
    import_people(incident=opened, path=write_list(*rows), author=officer)
    page = desk.get(at("queue", opened.pk, "residence_unknown")).content.decode()
    assert "0… (it may be personal)" in page and "12 34" not in page and "Dubois" not in page
    [scope] = re.findall(r'value="word:(\w+)"', page)
    assert hashlib.sha256(b"06 12 34 56 78").hexdigest()[:24] != scope
    given = {"status": "open", "scope": f"word:{scope}", "do": "residence", "residence": "FR", "reason": "the numbers are French"}
    assert "3 entries: the residence is set" in posted(desk, "decide", opened.pk, "residence_unknown", **given)
