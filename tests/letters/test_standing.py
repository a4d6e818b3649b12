"""Signatures rest on what is known: what can be mended is refused, what cannot is signed knowingly or not at all."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from incidents.dispatch.campaign import pause, release, stop
from incidents.letters.approving import ApprovalRefused, approve_content
from incidents.letters.render import make_letters
from incidents.letters.standing import standing, standing_of
from incidents.models import Approval, AuditEvent, Campaign, CampaignState, Incident
from incidents.models.messages import MessageState
from incidents.people.assessing import assess_incident
from tests.changes import amend, other_packs

PHONE = {"phone": "+33 1 23 45 67 89"}
SHORTER = ("n: 72", "n: 48")


def check(campaign: Campaign) -> tuple[int, dict[str, Any]]:
    """Exit code and data of the command."""
    out, code = StringIO(), 0
    try:
        call_command("check_campaign", campaign.reference, as_json=True, stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, json.loads(out.getvalue())


# -- before the freeze ---------------------------------------------------------------------------------------------


def test_a_plain_run_stands(frozen: Campaign, counsel: User, officer: User) -> None:
    assert standing(incident=frozen.incident).lines() == []
    approve_content(campaign=frozen, author=counsel, reason="read")
    frozen.refresh_from_db()
    released = release(campaign=frozen, author=officer, reason="go")
    assert standing_of(campaign=released).sound and check(released)[0] == 0


def test_counts_causes_and_the_remedy_before_the_freeze(assessed: Incident, officer: User) -> None:
    amend(assessed, officer, anchors={"aware_at": "2025-05-30T17:00:00+02:00"}, controller=PHONE)
    now = standing(incident=assessed)
    assert now.counts.startswith(f"{len(now.duties.stale)} obligations, 3 letters (")
    text = "\n".join(now.lines())
    for part in ("fact anchors.aware_at", "Ask the law again", "Make the letters again"):
        assert part in text
    assess_incident(incident=assessed, author=officer)
    assert standing(incident=assessed).remedies == (now.remedies[1],)
    make_letters(incident=assessed, author=officer)
    assert standing(incident=assessed).sound


# -- the signatures ------------------------------------------------------------------------------------------------


def test_nobody_signs_over_duties_that_would_be_different(frozen: Campaign, officer: User, counsel: User) -> None:
    amend(frozen.incident, officer, encrypted=True)
    with pytest.raises(ApprovalRefused, match="fact encrypted.*1 duties towards 1 people.*Ask the law again"):
        approve_content(campaign=frozen, author=counsel, reason="read")
    assert not Approval.objects.exists()
    assert "fact encrypted" in AuditEvent.objects.get(action="approval.refused").line


def test_asking_again_lets_the_signature_through_where_the_letters_read_the_same(
    frozen: Campaign, officer: User, counsel: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other_packs(monkeypatch, tmp_path / "packs", "jp.yaml", ("      - letter\n", "      - letter\n      - telephone\n"))
    with pytest.raises(ApprovalRefused, match="pack JP"):
        approve_content(campaign=frozen, author=counsel, reason="read")
    assess_incident(incident=frozen.incident, author=officer)
    assert approve_content(campaign=frozen, author=counsel, reason="read").pk


def test_a_duty_towards_an_authority_alone_stops_no_letter(
    frozen: Campaign, counsel: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other_packs(monkeypatch, tmp_path / "packs", "eu.yaml", SHORTER)
    now = standing_of(campaign=frozen)
    assert now.firm and not now.sound and "Ask the law again" in now.remedies[0]
    assert approve_content(campaign=frozen, author=counsel, reason="read").pk


def test_frozen_letters_that_say_something_else_are_signed_knowingly_or_not_at_all(
    frozen: Campaign, officer: User, counsel: User
) -> None:
    amend(frozen.incident, officer, controller=PHONE)
    shown = standing_of(campaign=frozen).fingerprint
    for despite in ("", "0" * 12):
        with pytest.raises(ApprovalRefused, match=f"3 letters no longer say what is known.*{shown}"):
            approve_content(campaign=frozen, author=counsel, reason="read", despite=despite)
    approve_content(campaign=frozen, author=counsel, reason="the old number is forwarded", despite=shown)
    entry = json.loads(AuditEvent.objects.get(action="content.approved").line)["data"]
    assert (entry["despite"], entry["stale_letters"], entry["changed"]) == (shown, 3, "fact controller.phone")
    assert "23 45 67 89" not in json.dumps(entry)


def test_each_of_the_two_signs_knowingly_and_a_later_change_is_not_covered(
    frozen: Campaign, officer: User, counsel: User
) -> None:
    amend(frozen.incident, officer, controller=PHONE)
    shown = standing_of(campaign=frozen).fingerprint
    approve_content(campaign=frozen, author=counsel, reason="forwarded", despite=shown)
    frozen.refresh_from_db()
    with pytest.raises(ApprovalRefused, match="no longer say"):
        release(campaign=frozen, author=officer, reason="go")
    amend(frozen.incident, officer, controller={"phone": "+33 1 99 99 99 99"})
    with pytest.raises(ApprovalRefused, match="no longer say"):
        release(campaign=frozen, author=officer, reason="go", despite=shown)
    released = release(campaign=frozen, author=officer, reason="go", despite=standing_of(campaign=frozen).fingerprint)
    assert released.state == CampaignState.DISPATCHING


def test_the_commands_take_the_fingerprint(frozen: Campaign, officer: User, counsel: User) -> None:
    amend(frozen.incident, officer, controller=PHONE)
    given = {"user": "counsel", "reason": "forwarded", "stdout": StringIO(), "stderr": StringIO()}
    with pytest.raises(SystemExit) as refused:
        call_command("approve", frozen.reference, **given)
    assert refused.value.code == 2 and "--despite" in given["stderr"].getvalue()
    call_command("approve", frozen.reference, despite=standing_of(campaign=frozen).fingerprint, **given)
    assert Approval.objects.get().author == counsel


# -- after the signatures ------------------------------------------------------------------------------------------


def test_a_signed_campaign_that_comes_to_rest_on_stale_law_fails_the_check_and_goes_on(released: Campaign, officer: User) -> None:
    amend(released.incident, officer, encrypted=True)
    now = standing_of(campaign=released)
    assert [one.kind for one in now.undermined] == ["content", "release"] and "2 signatures" in now.counts
    assert any("letters have not begun: pause or stop" in line for line in now.remedies)
    code, found = check(released)
    assert code == 1 and found["rests_on_stale"] and found["sum_ok"] and found["violations"] == []
    assert found["stale"][0].startswith("stale: ") and "because of fact encrypted: no -> yes" in found["stale"][1]
    released.refresh_from_db()
    assert released.state == CampaignState.DISPATCHING, "it is marked, and not stopped"


def test_a_paused_campaign_can_still_hold_letters_back(released: Campaign, officer: User) -> None:
    amend(released.incident, officer, controller=PHONE)
    paused = pause(campaign=released, author=officer, reason="the number is wrong")
    assert standing_of(campaign=paused).remedies[0].startswith("3 letters have not begun")


def test_what_was_signed_knowingly_does_not_fail_the_check(frozen: Campaign, officer: User, counsel: User) -> None:
    amend(frozen.incident, officer, controller=PHONE)
    shown = standing_of(campaign=frozen).fingerprint
    approve_content(campaign=frozen, author=counsel, reason="forwarded", despite=shown)
    code, found = check(frozen)
    assert code == 0 and found["stale"]


def test_when_all_letters_have_left_they_are_marked_and_nothing_fails(released: Campaign, officer: User) -> None:
    for state in (MessageState.SENDING, MessageState.ACCEPTED, MessageState.DELIVERED):
        released.messages.update(state=state)
    released.state = CampaignState.DRAINED
    released.save(update_fields=["state"])
    amend(released.incident, officer, controller=PHONE)
    now = standing_of(campaign=released)
    assert len(now.letters) == 3 and now.remedies[0].startswith("What has left cannot be recalled")


def test_a_stopped_campaign_is_marked_and_never_fails(frozen: Campaign, officer: User) -> None:
    stopped = stop(campaign=frozen, author=officer, reason="wrong list")
    amend(frozen.incident, officer, encrypted=True)
    code, found = check(stopped)
    assert code == 0 and found["stale"]


def test_the_words_of_the_check_stand_under_the_numbers(released: Campaign, officer: User) -> None:
    amend(released.incident, officer, encrypted=True)
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("check_campaign", released.reference, stdout=out)
    for part in ("stale: ", "because of fact encrypted: no -> yes", "JP person: general.person.owed: yes -> no"):
        assert part in out.getvalue(), part
