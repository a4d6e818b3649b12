"""The content signature: bound to what was frozen, by somebody who wrote none of it, and every refusal is kept."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.db import connection

from incidents.letters.approving import ApprovalRefused, approve_content, content_obstacle
from incidents.models import Approval, AuditEvent, Campaign, CampaignState, Letter
from incidents.models.letters import ApprovalKind


def test_the_signature_names_what_was_frozen_and_moves_the_campaign_on(frozen: Campaign, counsel: User) -> None:
    approval = approve_content(campaign=frozen, author=counsel, reason="  read in all languages ")
    frozen.refresh_from_db()
    assert frozen.state == CampaignState.CONTENT_APPROVED
    assert (approval.register_root, approval.letters_root) == (frozen.register_root, frozen.letters_root)
    assert (approval.kind, approval.reason) == (ApprovalKind.CONTENT, "read in all languages")
    entry = json.loads(AuditEvent.objects.get(action="content.approved").line)
    assert entry["actor"] == "counsel"
    assert entry["data"] == {
        "campaign": frozen.reference, "reason": "read in all languages", "register_root": frozen.register_root,
        "letters_root": frozen.letters_root,
    }  # fmt: skip


def test_every_author_of_facts_texts_or_freeze_is_shut_out(frozen: Campaign, officer: User, counsel: User) -> None:
    assert officer.pk in frozen.author_ids
    assert counsel.pk not in frozen.author_ids
    assert "somebody who edited none of it" in content_obstacle(campaign=frozen, author=officer, reason="fine")
    assert content_obstacle(campaign=frozen, author=counsel, reason="fine") == ""


def test_a_letter_with_a_blocking_finding_cannot_be_approved(frozen: Campaign, counsel: User) -> None:
    found = json.dumps([{"level": "block", "code": "x", "reference": "", "text": "x"}])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # without it, a frozen letter cannot change
        cursor.execute("UPDATE incidents_letter SET findings = %s WHERE language = 'fr'", [found])
        cursor.execute("SET LOCAL session_replication_role = origin")
    with pytest.raises(ApprovalRefused, match="1 letters have blocking findings"):
        approve_content(campaign=frozen, author=counsel, reason="read")
    assert not Approval.objects.exists()


def test_a_blocked_letter_that_nobody_gets_is_no_obstacle(frozen: Campaign, counsel: User) -> None:
    spare = Letter.objects.filter(language="fr").get()
    spare.pk, spare.language = None, "de"
    spare.findings = [{"level": "block", "code": "x", "reference": "", "text": "x"}]
    spare.save()
    assert content_obstacle(campaign=frozen, author=counsel, reason="read") == ""


def test_a_second_content_signature_is_refused_and_the_refusals_are_in_the_log(
    frozen: Campaign, officer: User, counsel: User
) -> None:
    approve_content(campaign=frozen, author=counsel, reason="read")
    stale = Campaign.objects.get()
    for campaign, author in ((stale, counsel), (stale, officer)):
        with pytest.raises(ApprovalRefused, match="only a frozen one waits"):
            approve_content(campaign=campaign, author=author, reason="again")
    assert Approval.objects.count() == 1
    refusals = AuditEvent.objects.filter(action="approval.refused").order_by("id").values_list("actor", flat=True)
    assert list(refusals) == ["counsel", "officer"]


def test_a_stale_page_cannot_sign_twice(frozen: Campaign, counsel: User) -> None:
    stale = Campaign.objects.get()
    approve_content(campaign=frozen, author=counsel, reason="read")
    with pytest.raises(ApprovalRefused, match="in the meantime"):
        approve_content(campaign=stale, author=counsel, reason="read")
