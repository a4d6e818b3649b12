"""The gate on the desk: preflight, staff, first wave, and the letters that wait for a person."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings
from pytest_django.fixtures import DjangoAssertNumQueries

from incidents.admin.moments import local_text
from incidents.admin.true_now import true_now
from incidents.audit.log import database_now
from incidents.dispatch.campaign import pause, release, stop
from incidents.dispatch.receive import apply_events, store_events
from incidents.dispatch.staff import staff_of
from incidents.letters.approving import approve_content
from incidents.models import (
    AuditEvent,
    Campaign,
    CampaignState,
    CanaryLetter,
    Chunk,
    Doubt,
    InboxMessage,
    Incident,
    Message,
    MessageState,
    Obligation,
    StaffRecipient,
)
from incidents.people.amending import join
from incidents.people.opening import check_facts, open_incident
from incidents.scenarios.waves import doubts_left
from tests.admin.case import at, posted, signed_in
from tests.conftest import NOW
from tests.dispatch.late import amendment_of

ADA = {
    "brand": "Cartier",
    "full_name": "Ada Ames",
    "email": "ada@staff.example.com",
    "language": "fr",
    "reason": "call centre lead",
}


@pytest.fixture
def released(campaign: Campaign, officer: User, counsel: User) -> Campaign:
    approve_content(campaign=campaign, author=counsel, reason="read")
    campaign.refresh_from_db()
    return release(campaign=campaign, author=officer, reason="go", without_wave="as the test needs it")


def shown(client: Client, name: str, *where: object) -> str:
    response = client.get(at(name, *where))
    assert response.status_code == 200
    policy = response["Content-Security-Policy"]
    page = response.content.decode()
    assert "default-src 'self'" in policy and "style=" not in page and "<script>" not in page
    return page


def put(campaign: Campaign, reference: str, *states: str) -> Message:
    message = campaign.messages.get(entry__person__reference=reference)
    for state in states:
        Message.objects.filter(pk=message.pk).update(state=state, state_reason="as the test needs it")
    message.refresh_from_db()
    return message


# -- staff -------------------------------------------------------------------------------------------------------------


def test_staff_are_entered_shown_masked_and_removed_with_a_reason(desk: Client, campaign: Campaign) -> None:
    assert "Entered for Cartier" in posted(desk, "staff_act", "add", **ADA)
    page = shown(desk, "staff")
    assert "Ames" not in page and "ada@staff" not in page and "A" in page and "officer" in page
    assert "already" in posted(desk, "staff_act", "add", **ADA)
    assert "reason" in posted(desk, "staff_act", "add", **{**ADA, "email": "b@example.com", "reason": ""})
    (ada,) = staff_of(brand="Cartier")
    assert "reason" in posted(desk, "staff_act", "remove", staff=ada.pk, reason=" ")
    assert "destroyed" in posted(desk, "staff_act", "remove", staff=ada.pk, reason="left")
    assert not StaffRecipient.objects.filter(removed_at=None).exists()
    assert "Nobody is entered for Cartier" in shown(desk, "staff")


def test_an_act_on_the_staff_that_does_not_exist_is_no_page(desk: Client, campaign: Campaign) -> None:
    assert desk.post(at("staff_act", "change"), ADA).status_code == 404
    assert desk.post(at("staff_act", "remove"), {"staff": "x", "reason": "y"}).status_code == 404


# -- preflight ---------------------------------------------------------------------------------------------------------


def test_the_preflight_is_made_from_the_desk_and_stands_beside_the_release(
    desk: Client, campaign: Campaign, counsel: User
) -> None:  # fmt: skip
    where = (campaign.incident_id, campaign.pk)
    assert "Nobody has looked yet" in shown(desk, "preflight", *where)
    assert "nothing stops the release" in posted(desk, "preflight_make", *where)
    page = shown(desk, "preflight", *where)
    assert "nothing stops the release" in page and "No tracking in the bytes" in page and "look at it" in page
    approve_content(campaign=campaign, author=counsel, reason="read")
    assert "Open the preflight" in shown(desk, "campaign", *where)


def test_what_stops_the_release_is_accepted_only_where_it_may_be_and_with_a_reason(
    desk: Client, campaign: Campaign, settings: Settings
) -> None:  # fmt: skip
    settings.MAIL, where = "smtp://192.0.2.1:1", (campaign.incident_id, campaign.pk)
    settings.PROVIDER_TIMEOUT_SECONDS = 1
    posted(desk, "preflight_make", *where)
    page = shown(desk, "preflight", *where)
    assert "stops the release" in page and 'name="accept" value="transport"' in page
    assert 'value="credentials"' not in page
    assert "reason" in posted(desk, "preflight_make", *where, accept=["transport"], reason="")
    assert "cannot be accepted" in posted(desk, "preflight_make", *where, accept=["credentials"], reason="please")
    posted(desk, "preflight_make", *where, accept=["transport"], reason="a closed network, see ticket 7")
    assert "accepted by officer: a closed network, see ticket 7" in shown(desk, "preflight", *where)


# -- the first wave ----------------------------------------------------------------------------------------------------


def test_the_first_wave_is_shown_and_sent_again_after_a_failure(
    desk: Client, campaign: Campaign, officer: User, counsel: User
) -> None:  # fmt: skip
    posted(desk, "staff_act", "add", **ADA)
    approve_content(campaign=campaign, author=counsel, reason="read")
    assert "releases the campaign" in posted(desk, "move", campaign.incident_id, campaign.pk, "release", reason="go")
    campaign.refresh_from_db()
    where = (campaign.incident_id, campaign.pk)
    # A real incident takes every address: only a drill keeps to reserved names.
    assert campaign.canary == "waiting" and "Nobody else is written to" in shown(desk, "campaign", *where)
    CanaryLetter.objects.update(state="failed", detail="the relay refused the recipient (550)")
    Campaign.objects.update(canary="failed", state=CampaignState.PAUSED, pause_reason="the first wave failed")
    page = shown(desk, "campaign", *where)
    assert "the relay refused the recipient (550)" in page and "Send the first wave again" in page and "Ames" not in page
    assert "first wave" in posted(desk, "move", *where, "resume", reason="go on")
    assert "reason" in posted(desk, "canary_again", *where, reason=" ")
    assert "one more" in posted(desk, "canary_again", *where, reason="the allow list was mended")
    campaign.refresh_from_db()
    assert (campaign.state, campaign.canary) == (CampaignState.DISPATCHING, "waiting")
    assert sorted(CanaryLetter.objects.values_list("state", flat=True)) == ["failed", "planned"]


def test_a_release_without_a_first_wave_is_warned_of_at_the_button_and_taken_on_with_a_reason(
    desk: Client, campaign: Campaign, counsel: User
) -> None:
    where, staff = (campaign.incident_id, campaign.pk), f'href="{at("staff")}?brand=Cartier"'
    assert staff in shown(desk, "campaign", *where), "before the first signature as well"
    approve_content(campaign=campaign, author=counsel, reason="read")
    page = shown(desk, "campaign", *where)
    warning = page.index("Nobody of the staff is entered for Cartier: with this button people are written to at once")
    assert warning < page.index(staff, warning) < page.index("Release without a first wave to staff") < page.index("Release the")
    assert "to the staff of Cartier first" not in page
    for said in ({}, {"without_wave": "no tick"}, {"alone": "yes"}, {"alone": "yes", "without_wave": "\u200b"}):
        assert "no first wave goes" in posted(desk, "move", *where, "release", reason="go", **said)
        campaign.refresh_from_db()
        assert campaign.state == CampaignState.CONTENT_APPROVED
    said = {"alone": "yes", "without_wave": "five people, each letter was read aloud"}
    assert "releases the campaign" in posted(desk, "move", *where, "release", reason="go", **said)
    entry = json.loads(AuditEvent.objects.get(action="release.approved").line)["data"]
    assert (entry["reason"], entry["without_first_wave"]) == ("go", "five people, each letter was read aloud")
    assert "five people, each letter was read aloud" in shown(desk, "campaign", *where)


def test_a_drill_is_warned_of_the_missing_first_wave_and_goes_without_a_tick(
    desk: Client, campaign: Campaign, counsel: User
) -> None:
    Incident.objects.update(is_drill=True)
    approve_content(campaign=campaign, author=counsel, reason="read")
    where = (campaign.incident_id, campaign.pk)
    page = shown(desk, "campaign", *where)
    assert "under a reserved name" in page and "Release without a first wave to staff" not in page
    assert "releases the campaign" in posted(desk, "move", *where, "release", reason="go")
    assert "without_first_wave" not in AuditEvent.objects.get(action="release.approved").line


def test_the_command_releases_without_a_first_wave_only_with_the_reason_for_it(
    campaign: Campaign, officer: User, counsel: User, capsys: pytest.CaptureFixture[str]
) -> None:
    approve_content(campaign=campaign, author=counsel, reason="read")
    given: dict[str, Any] = {"user": "officer", "reason": "go"}
    with pytest.raises(SystemExit) as refused:
        call_command("release", campaign.reference, **given)
    assert refused.value.code == 2 and "--without-first-wave REASON" in capsys.readouterr().err
    call_command("release", campaign.reference, without_wave="five people", **given)
    entry = json.loads(AuditEvent.objects.get(action="release.approved").line)["data"]
    assert entry["without_first_wave"] == "five people"


def test_a_reason_to_go_without_a_first_wave_stops_no_wave_that_can_go(
    desk: Client, campaign: Campaign, officer: User, counsel: User
) -> None:
    posted(desk, "staff_act", "add", **ADA)
    approve_content(campaign=campaign, author=counsel, reason="read")
    assert "Nobody of the staff is entered" not in shown(desk, "campaign", campaign.incident_id, campaign.pk)
    campaign.refresh_from_db()
    assert release(campaign=campaign, author=officer, reason="go", without_wave="in a hurry").canary == "waiting"
    assert "without_first_wave" not in AuditEvent.objects.get(action="release.approved").line


def test_nothing_is_said_to_be_on_the_way_before_the_release_or_in_a_pause(
    desk: Client, campaign: Campaign, officer: User, counsel: User
) -> None:
    where = (campaign.incident_id, campaign.pk)
    frozen = shown(desk, "campaign", *where)
    approve_content(campaign=campaign, author=counsel, reason="read")
    for page in (frozen, shown(desk, "campaign", *where)):
        assert "3 ready, none released" in page and "on the way" not in page
    campaign.refresh_from_db()
    released = release(campaign=campaign, author=officer, reason="go", without_wave="as the test needs it")
    assert "3 on the way" in shown(desk, "campaign", *where)
    pause(campaign=released, author=officer, reason="a call")
    assert "3 not out yet, paused" in shown(desk, "campaign", *where)


def test_staff_are_entered_for_the_brand_of_the_campaign_and_a_brand_without_anybody_is_named(
    desk: Client, campaign: Campaign, officer: User, facts: dict[str, Any]
) -> None:
    acme = {**facts, "reference": "acme-2026", "controller": {**facts["controller"], "brand": "Acme & Sons"}}
    open_incident(facts=check_facts(acme, now=NOW), author=officer)
    where = f"{at('staff')}?brand="
    assert f'href="{where}Cartier"' in shown(desk, "preflight", campaign.incident_id, campaign.pk)
    page = desk.get(f"{where}Acme%20%26%20Sons").content.decode()
    assert 'name="brand" maxlength="200" required autocomplete="off" list="brands" value="Acme &amp; Sons"' in page
    assert "Nobody is entered for Acme &amp; Sons: its campaigns are released without a first wave." in page
    posted(desk, "staff_act", "add", **ADA)
    page = shown(desk, "staff")
    assert "Nobody is entered for Acme" in page and "Nobody is entered for Cartier" not in page
    assert 'list="brands" value=""' in page, "of two brands none is guessed"


def test_an_address_that_no_person_could_be_written_to_is_refused_for_staff_and_for_a_test(
    desk: Client, campaign: Campaign
) -> None:
    said = posted(desk, "staff_act", "add", **{**ADA, "email": "sam@x"})
    assert "no address that mail can be sent to (the domain cannot be reached from outside)" in said and "sam@x" not in said
    letter = campaign.incident.letters.earliest("id")
    for address in ("not-an-address@x", "nobody"):
        said = posted(desk, "test_letter", campaign.incident_id, letter.pk, to=address)
        assert "this is no address that mail can be sent to" in said and address not in said
    assert not InboxMessage.objects.exists() and not StaffRecipient.objects.exists()
    assert "on its way" in posted(desk, "test_letter", campaign.incident_id, letter.pk, to="officer@cartier.example")


def test_beside_the_first_signature_stand_numbers_letters_and_warnings_and_the_hashes_below(
    desk: Client, campaign: Campaign
) -> None:
    page = shown(desk, "campaign", campaign.incident_id, campaign.pk)
    letter = campaign.incident.letters.select_related("cohort").get(language="fr")
    content, hashes = page.index("What the first signature stands under"), page.index("Register root")
    assert content < page.index("By law") < page.index("By language") < hashes < page.index("Sign the content")
    assert content < page.index(f'href="{at("letter", campaign.incident_id, letter.pk)}"') < hashes
    assert f"of {campaign.people} people on the register get one of 3 letters; 2 get none (held, or no notice)." in page


# -- letters that wait for a person ------------------------------------------------------------------------------------


def test_who_needs_another_channel_is_listed_masked_with_the_time_left(desk: Client, released: Campaign) -> None:
    message = put(released, "claire", "sending", "needs_other_channel")
    page = shown(desk, "waiting_letters", released.incident_id, released.pk, "another-channel")
    assert "1 wait for a decision" in page and "as the test needs it" in page and "Dubois" not in page
    assert "no law that covers this person gives a date" in page
    assert f'value="{message.pk}"' in page


def test_somebody_who_needs_another_channel_has_the_date_of_their_own_page_there(desk: Client, released: Campaign) -> None:
    japan = put(released, "yuki", "sending", "needs_other_channel")
    ours = Obligation.objects.get(cohort=japan.entry.person.cohort, addressee="person", superseded=False)
    assert ours.due_at is None and ours.internal_target_at
    where, person = (released.incident_id, released.pk, "another-channel"), (released.incident_id, japan.entry.person_id)
    date = local_text(ours.internal_target_at, "Asia/Tokyo")
    for page in (shown(desk, "waiting_letters", *where), shown(desk, "person", *person)):
        assert date in page and "internal target (ours, not the law's); JP gives no date" in page
    law = released.frozen_at + timedelta(days=2)
    Obligation.objects.filter(pk=ours.pk).update(due_at=law, internal_target_at=None)
    for page in (shown(desk, "waiting_letters", *where), shown(desk, "person", *person)):
        assert local_text(law, "Asia/Tokyo") in page and "JP</small>" in page and "ours, not the law" not in page


def test_the_people_and_each_persons_page_say_what_became_of_the_letter(
    desk: Client, released: Campaign, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    put(released, "claire", "sending", "accepted", "delivered")
    Message.objects.filter(pk=put(released, "carl", "sending", "needs_other_channel").pk).update(attempts=1)
    people = list(released.incident.people.order_by("reference"))
    for person in people:
        wanted = {
            "claire": "letter delivered",
            "carl": "letter came back, needs another channel",
            "yuki": "letter waits to leave",
        }
        said = wanted.get(person.reference, "held until a date")
        assert f">{said}</span>" in shown(desk, "person", released.incident_id, person.pk)
        assert f">{said}</span>" in shown(desk, "people", released.incident_id)
    assert "ready for a letter" not in shown(desk, "people", released.incident_id)
    with django_assert_num_queries(1):
        assert [len(pills) for pills in true_now(people=people)] == [1] * len(people)


def test_a_letter_that_was_replaced_says_so_only_until_the_next_one(released: Campaign, officer: User) -> None:
    first = put(released, "claire", "sending", "needs_other_channel", "replaced")
    person = first.entry.person
    assert true_now(people=[person])[0][0].text == "letter taken back, in no amendment yet"
    amendment = amendment_of(released.incident, officer)
    assert true_now(people=[person])[0][0].text == "letter taken back, in no amendment yet", "open, and they are not in it"
    join(amendment=amendment, people=released.incident.people.filter(pk=person.pk), reason="corrected", author=officer)
    assert true_now(people=[person])[0][0].text == "goes with an amendment"
    first.pk, first.channel, first.state, first.message_ref = None, "post", "accepted", "0" * 32
    first.save(force_insert=True)
    assert true_now(people=[person])[0][0].text == "letter left"


def test_nobody_whose_letter_was_tried_reads_after_the_stop_that_it_never_left(released: Campaign, officer: User) -> None:
    tried, untried = put(released, "claire", "sending", "accepted", "ready"), put(released, "yuki", "ready")
    Message.objects.filter(pk=tried.pk).update(attempts=1)
    stop(campaign=released, author=officer, reason="a wrong number in the letter")
    said = [true_now(people=[one.entry.person])[0][0].text for one in (tried, untried)]
    assert said == ["letter tried, not again: the campaign was stopped", "letter never left: the campaign was stopped"]


def test_ticked_letters_are_sent_again_with_one_reason(desk: Client, released: Campaign) -> None:
    message, where = (
        put(released, "claire", "sending", "needs_other_channel"),
        (released.incident_id, released.pk, "another-channel"),
    )
    assert "Tick at least one" in posted(desk, "decide_letters", *where, do="again", reason="x")
    assert "Choose what" in posted(desk, "decide_letters", *where, message=message.pk, do="let-out", reason="x")
    assert "reason" in posted(desk, "decide_letters", *where, message=message.pk, do="again", reason=" ")
    assert "1 letter: sent again" in posted(desk, "decide_letters", *where, message=message.pk, do="again", reason="it works")
    message.refresh_from_db()
    assert message.state == MessageState.READY


def test_giving_up_takes_two_people_on_the_desk(desk: Client, released: Campaign, counsel: User) -> None:
    message, where = (
        put(released, "claire", "sending", "needs_other_channel"),
        (released.incident_id, released.pk, "another-channel"),
    )
    assert "second person" in posted(desk, "decide_letters", *where, message=message.pk, do="unreachable", reason="all tried")
    proposal = message.unreachables.get()
    assert "cannot confirm" in posted(desk, "decide_unreachable", released.incident_id, proposal.pk, "confirm")
    assert "Withdraw" in posted(desk, "decide_letters", *where, message=message.pk, do="again", reason="it works")
    assert "reason" in posted(desk, "decide_unreachable", released.incident_id, proposal.pk, "withdraw", reason="")
    assert "said by two" in posted(signed_in(counsel), "decide_unreachable", released.incident_id, proposal.pk, "confirm")
    message.refresh_from_db()
    assert message.state == MessageState.UNREACHABLE
    assert "officer and counsel" in shown(desk, "waiting_letters", *where)


def test_quarantine_has_its_own_page_and_decisions(desk: Client, released: Campaign) -> None:
    message, where = put(released, "claire", "sending", "quarantined"), (released.incident_id, released.pk, "quarantine")
    assert "I have looked" in shown(desk, "waiting_letters", *where)
    posted(desk, "decide_letters", *where, message=message.pk, do="other-channel", reason="cannot be written")
    message.refresh_from_db()
    assert message.state == MessageState.NEEDS_OTHER_CHANNEL
    assert desk.get(at("waiting_letters", *where[:2], "elsewhere")).status_code == 404


def test_a_doubt_is_settled_by_hand_with_a_reason_and_stays_on_the_list(desk: Client, released: Campaign) -> None:
    message = put(released, "claire", "sending", "in_doubt")
    chunk = Chunk.objects.create(
        campaign=released, message_ids=[message.pk], token=1, owner_lock=1, lease_until=database_now(), claimed_at=database_now(),
        state="taken_over",
    )  # fmt: skip
    doubt = Doubt.objects.create(message=message, chunk=chunk, reason="its worker died", opened_at=database_now())
    where = (released.incident_id, released.pk)
    page = shown(desk, "doubts", *where)
    assert "1</strong> open of 1 ever" in page and f"ends with the wait at {doubt.ends_by_itself:%-d %b %Y}" in page
    assert doubts_left(released, {"in_doubt": 1}) == f"wait for 1 in doubt, the first until {doubt.ends_by_itself:%H:%M:%S} UTC"
    assert doubts_left(released, {"in_doubt": 1, "ready": 1}) == "", "others are on their way"
    assert "how do you know" in posted(desk, "settle", *where, doubt.pk, arrived="yes", reason="")
    assert "Say whether" in posted(desk, "settle", *where, doubt.pk, arrived="perhaps", reason="x")
    assert "settled" in posted(desk, "settle", *where, doubt.pk, arrived="yes", reason="she rang us")
    message.refresh_from_db()
    assert message.state == MessageState.ACCEPTED and "by officer" in shown(desk, "doubts", *where)


@pytest.mark.parametrize("name", ["staff", "preflight", "doubts", "waiting_letters"])
def test_nobody_sees_these_pages_without_signing_in(released: Campaign, name: str) -> None:
    where = (
        () if name == "staff" else (released.incident_id, released.pk) + (("quarantine",) if name == "waiting_letters" else ())
    )
    response = Client().get(at(name, *where))
    assert response.status_code == 302 and "login" in response["Location"]


def test_a_letter_of_which_two_things_were_told_is_decided_on_the_desk(desk: Client, released: Campaign) -> None:
    message, where = put(released, "claire", "sending", "accepted"), (released.incident_id, released.pk)
    for key, kind in (("a", "delivered"), ("b", "bounced_hard")):
        store_events(provider="inbox", events=[{"event_key": key, "message_ref": message.message_ref, "kind": kind}])
        apply_events()
    assert "Told two things" in shown(desk, "campaign", *where)
    page = shown(desk, "waiting_letters", *where, "told-twice")
    assert "1 wait for a decision" in page and "bounced_hard" in page and "Dubois" not in page and "unreachable" not in page
    post = {"message": message.pk, "reason": "the mailbox is gone"}
    assert "Choose what" in posted(desk, "decide_letters", *where, "told-twice", do="again", **post)
    assert "another channel" in posted(desk, "decide_letters", *where, "told-twice", do="came-back", **post)
    message.refresh_from_db()
    assert message.state == MessageState.NEEDS_OTHER_CHANNEL
    assert "Nobody." in shown(desk, "waiting_letters", *where, "told-twice")
    assert "Told two things" not in shown(desk, "campaign", *where)
