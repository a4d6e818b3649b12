"""With an open amendment, and after its freeze, the desk still knows everybody who is owed a letter and has none."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from incidents.admin import running
from incidents.admin.overview import Overview
from incidents.dispatch import untold
from incidents.dispatch.campaign import release, stop
from incidents.dispatch.obstacles import closing_questions
from incidents.letters.approving import approve_content
from incidents.letters.render import make_letters
from incidents.models import Campaign, Cohort, Incident
from incidents.models import MessageState as S
from incidents.people.amending import join, waiting_in_bulk
from tests.admin.case import at
from tests.conftest import YUKI
from tests.dispatch.late import amendment_of, bring_late, found_late, freeze_next, message_of, put_into, someone

pytestmark = pytest.mark.django_db
Lists = Callable[..., Path]

SIGNATURES = ("Content signature", "Release")
JP_DATE = "JP: letters to people"
LATE_IN_JAPAN = {**YUKI, "person_id": "late9", "customer_number": "L9", "full_name": "Late Nine", "email": "late9@example.net"}


@pytest.fixture
def drained(campaign: Campaign, officer: User, counsel: User) -> Campaign:
    """Claire and Yuki have their letters, Carl's came back, Sam and Nora are held; nothing is left to send."""
    approve_content(campaign=campaign, author=counsel, reason="read")
    campaign.refresh_from_db()
    release(campaign=campaign, author=officer, reason="go", without_wave="as the test needs it")
    for reference in ("claire", "yuki"):
        put_into(message_of(campaign, reference), S.SENDING, S.ACCEPTED, S.DELIVERED)
    put_into(message_of(campaign, "carl"), S.SENDING, S.NEEDS_OTHER_CHANNEL)
    Campaign.objects.filter(pk=campaign.pk).update(state="drained", drained_at=timezone.now())
    campaign.refresh_from_db()
    return campaign


@pytest.fixture
def late(drained: Campaign, officer: User, write_list: Lists) -> Incident:
    """Two more people wait in an amendment."""
    bring_late(amendment_of(drained.incident, officer), officer, write_list, found_late(1), LATE_IN_JAPAN)
    return drained.incident


def desk_of(incident: Incident, user: User) -> Overview:
    return Overview(incident=incident, user=user)


def steps(incident: Incident, user: User) -> dict[str, str]:
    return {step.name: step.state for step in desk_of(incident, user).steps}


def texts(view: Overview, box: str) -> list[str]:
    return [item.text for item in getattr(view, box)]


# -- the open amendment --------------------------------------------------------------------------------------------


def test_people_of_an_open_amendment_are_no_done_step_and_somebodys_to_decide(
    late: Incident, officer: User, counsel: User
) -> None:
    now = steps(late, officer)
    for name in ("Letters", "Freeze", "Content signature", "Release", "Sending"):
        assert now[name] != "done", name
    view = desk_of(late, officer)
    [line] = [item for item in view.decide if "amendment 1" in item.text]
    assert line.text == "Make and check the letters of amendment 1 (2 people)" and line.link == at("letters", late.pk)
    assert "amendment 1: 0 letters" in [step.line for step in view.steps]


def test_with_its_letters_made_the_amendment_waits_for_its_freeze_and_then_for_its_signatures(
    late: Incident, officer: User, counsel: User
) -> None:
    make_letters(incident=late, author=officer)
    assert steps(late, officer)["Letters"] == "done" and steps(late, officer)["Freeze"] != "done"
    assert "Freeze amendment 1 (2 people)" in texts(desk_of(late, officer), "decide")
    second = freeze_next(late, officer)
    now = steps(late, officer)
    assert (now["Freeze"], now["Content signature"], now["Sending"]) == ("done", "now", "todo")
    assert f"{second.reference}: Sign the content" in texts(desk_of(late, counsel), "decide")


def test_an_amendment_with_nobody_in_it_is_named_and_undoes_no_step(drained: Campaign, officer: User) -> None:
    before = steps(drained.incident, officer)
    amendment_of(drained.incident, officer)
    assert any(line.startswith("Nobody is in amendment 1 yet") for line in texts(desk_of(drained.incident, officer), "decide"))
    assert steps(drained.incident, officer) == before


def test_how_many_wait_in_an_amendment_is_found_by_an_index_and_not_among_everybody(late: Incident, officer: User) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert desk_of(late, officer).running.inside == 2
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {asked.captured_queries[-1]['sql']}")
        assert any("person_by_amendment" in line for (line,) in cursor.fetchall())


# -- the earlier campaign ------------------------------------------------------------------------------------------


def test_what_is_open_in_an_earlier_campaign_stays_on_the_desk_by_its_name(
    desk: Client, late: Incident, drained: Campaign, officer: User
) -> None:
    freeze_next(late, officer)
    stuck = texts(desk_of(late, officer), "stuck")
    assert f"{drained.reference}: 1 person: needs another channel" in stuck
    assert f"{drained.reference}: Keeps it open: 2 people are 'held'" in stuck
    assert any(line.startswith("Keeps the incident open: ") and "has not been notified" in line for line in stuck)
    page = desk.get(at("desk", late.pk)).content.decode()
    assert at("waiting_letters", late.pk, drained.pk, "another-channel") in page
    board = desk.get("/admin/").content.decode()
    assert f"{drained.reference}: 1 person: needs another channel" in board


def test_what_takes_long_to_ask_of_everybody_is_shown_for_a_while_as_it_was_and_closing_asks_anew(
    drained: Campaign, officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    def slow(incident: Incident) -> list[str]:
        asked.append(incident.reference)
        time.sleep(0.3)
        return ["reason"]

    monkeypatch.setattr(running, "incident_questions", slow)
    shown = [texts(desk_of(drained.incident, officer), "stuck") for _ in range(3)]
    assert len(asked) == 1 and all("Keeps it open: reason" in lines for lines in shown)
    assert "reason" not in closing_questions(campaign=drained)


def test_the_campaign_tab_leads_to_every_campaign_and_each_says_what_keeps_the_incident_open(
    desk: Client, late: Incident, drained: Campaign, officer: User
) -> None:
    assert at("campaign", late.pk, drained.pk) in desk.get(at("campaigns", late.pk) + "?next=1").content.decode()
    second = freeze_next(late, officer)
    shown = desk.get(at("campaigns", late.pk), follow=True)
    assert shown.redirect_chain[-1][0] == at("campaign", late.pk, second.pk)
    assert f'Other campaigns: <a href="{at("campaign", late.pk, drained.pk)}">' in shown.content.decode()
    earlier = desk.get(at("campaign", late.pk, drained.pk)).content.decode()
    assert 'id="qi-h"' in earlier and "has not been notified" in earlier


def test_a_later_campaign_that_was_stopped_unsigned_leaves_the_desk_with_the_signatures_of_the_one_that_runs(
    desk: Client, late: Incident, drained: Campaign, officer: User, counsel: User
) -> None:
    stop(campaign=freeze_next(late, officer), author=officer, reason="the wrong list")
    assert desk.get(at("desk", late.pk)).status_code == 200 and desk.get("/admin/").status_code == 200
    signed = {step.name: (step.state, step.line) for step in desk_of(late, officer).steps if step.name in SIGNATURES}
    assert signed == {"Content signature": ("done", "by counsel"), "Release": ("done", "by officer")}


# -- the law's date ------------------------------------------------------------------------------------------------


def test_the_date_for_letters_stays_while_anybody_it_covers_has_no_letter(
    drained: Campaign, officer: User, write_list: Lists
) -> None:
    incident, yuki = drained.incident, message_of(drained, "yuki")
    assert JP_DATE not in texts(desk_of(incident, officer), "due"), "Yuki has hers, nobody else lives there"
    put_into(yuki, S.NEEDS_OTHER_CHANNEL)
    assert JP_DATE in texts(desk_of(incident, officer), "due"), "it came back"
    put_into(yuki, S.DELIVERED)
    bring_late(amendment_of(incident, officer), officer, write_list, LATE_IN_JAPAN)
    assert JP_DATE in texts(desk_of(incident, officer), "due"), "found late, on no register"
    freeze_next(incident, officer)
    assert JP_DATE in texts(desk_of(incident, officer), "due"), "frozen, not sent"


def test_the_law_page_counts_on_for_them_too(desk: Client, drained: Campaign, officer: User, write_list: Lists) -> None:
    def counts() -> bool:
        page = desk.get(at("law", drained.incident_id)).content.decode()
        row = re.findall(r'<tr><th scope="row"><a href="[^"]*/law/JP/">.*?</tr>', page, re.S)[0]
        return "data-until" in row

    assert not counts()
    bring_late(amendment_of(drained.incident, officer), officer, write_list, LATE_IN_JAPAN)
    assert counts()


def test_the_date_goes_with_the_letters_that_make_up_for_a_campaign_that_was_stopped(
    campaign: Campaign, officer: User, counsel: User
) -> None:
    incident = campaign.incident
    stop(campaign=campaign, author=officer, reason="a wrong number in the letter")
    assert JP_DATE in texts(desk_of(incident, officer), "due"), "cancelled, and owed"
    amendment, waiting = amendment_of(incident, officer), waiting_in_bulk(incident=incident).values_list("pk", flat=True)
    join(amendment=amendment, people=incident.people.filter(pk__in=[*waiting]), reason="stopped", author=officer)
    second = freeze_next(incident, officer)
    assert JP_DATE in texts(desk_of(incident, officer), "due"), "frozen again, not sent"
    approve_content(campaign=second, author=counsel, reason="read")
    second.refresh_from_db()
    release(campaign=second, author=officer, reason="go", without_wave="as the test needs it")
    put_into(message_of(second, "yuki"), S.SENDING, S.ACCEPTED, S.DELIVERED)
    assert JP_DATE not in texts(desk_of(incident, officer), "due"), "Yuki has hers, nobody else lives there"


def test_everybody_is_compared_with_the_registers_only_where_the_counts_say_that_somebody_stands_on_none(
    drained: Campaign, officer: User, write_list: Lists
) -> None:
    """Of a million people that takes seconds, and the desk, the law page and the first page of all ask each time."""

    def looks_through() -> bool:
        return "IS NOT NULL" not in str(untold._on_no_register(drained).query)

    incident = drained.incident
    assert not looks_through() and not untold._on_no_register(drained).exists()
    amendment = amendment_of(incident, officer)
    bring_late(amendment, officer, write_list, LATE_IN_JAPAN)
    late = someone(incident, "late9")
    assert not looks_through() and list(untold._on_no_register(drained)) == [late], "first known in an amendment"
    freeze_next(incident, officer)
    assert not looks_through() and not untold._on_no_register(drained).exists()
    Cohort.objects.filter(pk=late.cohort_id).update(count=F("count") + 1)
    assert looks_through(), "as somebody who is split off by a merge that was taken back"


def test_who_was_excluded_or_given_up_by_two_keeps_no_date(drained: Campaign, officer: User) -> None:
    put_into(message_of(drained, "yuki"), S.NEEDS_OTHER_CHANNEL)
    assert JP_DATE in texts(desk_of(drained.incident, officer), "due")
    drained.incident.people.filter(reference="yuki").update(status="rejected")
    assert JP_DATE not in texts(desk_of(drained.incident, officer), "due")


# -- lists that are cut --------------------------------------------------------------------------------------------


def test_a_list_that_is_cut_says_how_many_more_there_are_and_leads_to_them(
    drained: Campaign, officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "incident_questions", lambda incident: [f"reason {number}" for number in range(7)])
    stuck = desk_of(drained.incident, officer).stuck
    more = next(item for item in stuck if item.text == "and 3 more")
    assert more.link == at("campaign", drained.incident_id, drained.pk) + "#qi-h"
    monkeypatch.setattr("incidents.admin.overview.SHOWN_ITEMS", 0)
    due = desk_of(drained.incident, officer).due
    assert re.fullmatch(r"and \d+ more", due[0].text) and due[0].link == at("law", drained.incident_id) and len(due) == 1
