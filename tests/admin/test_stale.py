"""The stale marks at the desk: on every page that rests on what changed, with cause and remedy, until somebody acts."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from incidents.letters.render import make_letters
from incidents.letters.standing import standing_of
from incidents.models import Approval, Campaign, Incident
from incidents.people.opening import record_finding
from tests.admin.case import at, posted, signed_in
from tests.changes import LATER, amend, other_packs

pytestmark = pytest.mark.django_db

MARK = '<span class="pill bad">stale</span>'
PHONE = {"phone": "+33 1 23 45 67 89"}


def body(client: Client, name: str, *where: object) -> str:
    return client.get(at(name, *where)).content.decode()


def pages(incident: Incident) -> list[tuple[object, ...]]:
    """The pages that show marks."""
    person, pk = incident.people.get(reference="yuki"), incident.pk
    found: list[tuple[object, ...]] = [("desk", pk), ("law", pk), ("jurisdiction", pk, "JP"), ("person", pk, person.pk)]
    letter = incident.letters.filter(language="ja").first()
    found += [("letters", pk), ("letter", pk, letter.pk)] if letter else []
    return found + [("campaign", pk, one.pk) for one in incident.campaigns.all()]


def test_nothing_is_marked_while_everything_stands(desk: Client, campaign: Campaign) -> None:
    for name, *where in pages(campaign.incident):
        assert MARK not in body(desk, str(name), *where), name
    assert "Stale:" not in desk.get("/admin/").content.decode()


def test_a_changed_fact_is_marked_on_every_page_that_rests_on_it(desk: Client, campaign: Campaign, officer: User) -> None:
    amend(campaign.incident, officer, encrypted=True)
    for name, *where in pages(campaign.incident):
        assert MARK in body(desk, str(name), *where), name
    assert "Stale: " in desk.get("/admin/").content.decode()


def test_the_law_page_names_the_change_its_values_and_offers_the_remedy(desk: Client, case: Incident, officer: User) -> None:
    amend(case, officer, anchors={"aware_at": LATER})
    page = body(desk, "law", case.pk)
    for part in ("fact anchors.aware_at", LATER, "facts version 2", "general.regulator.deadline.shown_at", "1 stale"):
        assert part in page, part
    posted(desk, "assess", case.pk)
    assert MARK not in body(desk, "law", case.pk)


def test_the_desk_says_in_one_line_how_much_is_touched_and_where_to_look(desk: Client, case: Incident, officer: User) -> None:
    make_letters(incident=case, author=officer)
    amend(case, officer, encrypted=True, controller=PHONE)
    page = body(desk, "desk", case.pk)
    assert "because of fact encrypted" in page and f"{at('law', case.pk)}#stale" in page
    assert "Ask the law again: fact encrypted" in page


def test_when_only_letters_are_stale_the_desk_sends_the_officer_to_the_letters(
    desk: Client, case: Incident, officer: User
) -> None:
    make_letters(incident=case, author=officer)
    amend(case, officer, controller=PHONE)
    assert "Make the letters again: fact controller.phone changed" in body(desk, "desk", case.pk)
    page = body(desk, "letters", case.pk)
    assert "Compiled now, it would read differently: fact controller.phone" in page
    posted(desk, "make_letters", case.pk)
    assert MARK not in body(desk, "letters", case.pk)


def test_a_changed_pack_is_named_on_the_page_of_its_jurisdiction(
    desk: Client, case: Incident, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other_packs(monkeypatch, tmp_path / "packs", "eu.yaml", ("n: 72", "n: 48"))
    page = body(desk, "jurisdiction", case.pk, "FR")
    assert "general.regulator.deadline.shown_at" in page and "Because of pack EU" in page
    assert MARK not in body(desk, "jurisdiction", case.pk, "JP")


def test_a_freeze_says_what_has_to_be_asked_and_made_again(desk: Client, case: Incident, officer: User) -> None:
    make_letters(incident=case, author=officer)
    amend(case, officer, encrypted=True)
    page = body(desk, "campaigns", case.pk)
    assert "duties towards" in page and "Ask the law again" in page and "Make the letters again" in page


def test_the_signer_sees_the_marks_and_signs_knowing_them_or_not_at_all(
    desk: Client, campaign: Campaign, officer: User, counsel: User
) -> None:
    amend(campaign.incident, officer, controller=PHONE)
    second, where = signed_in(counsel), (campaign.incident.pk, campaign.pk)
    page = body(second, "campaign", *where)
    shown = standing_of(campaign=campaign).fingerprint
    assert "You cannot sign: " in page and f'name="despite" value="{shown}"' in page
    assert "no longer say what is known" in posted(second, "move", *where, "approve", reason="read")
    assert not Approval.objects.exists()
    assert "signature stands" in posted(second, "move", *where, "approve", reason="forwarded", despite=shown)
    assert "rests on what is stale" in body(desk, "campaign", *where)


def test_what_can_be_mended_cannot_be_signed_away(desk: Client, campaign: Campaign, officer: User, counsel: User) -> None:
    record_finding(incident=campaign.incident, key="risk", value="high", reason="misused already", author=officer)
    second, where = signed_in(counsel), (campaign.incident.pk, campaign.pk)
    assert 'name="despite"' not in body(second, "campaign", *where)
    assert "Ask the law again" in posted(second, "move", *where, "approve", reason="read", despite="anything")
    assert not Approval.objects.exists()
