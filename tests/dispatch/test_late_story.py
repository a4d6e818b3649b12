"""Five people are found late in a running incident, one is corrected, one excluded: told, accounted for and proved."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from incidents.audit import log, verify_bundle
from incidents.audit.export import export_evidence
from incidents.dispatch.campaign import close, release
from incidents.dispatch.channels.inbox import read_inbox_message
from incidents.dispatch.conservation import check_campaign, count_states
from incidents.dispatch.obstacles import closing_questions
from incidents.dispatch.work import dispatch
from incidents.letters.approving import ApprovalRefused, approve_content
from incidents.models import Campaign, InboxMessage, Incident
from incidents.models import MessageState as S
from incidents.people.amending import join
from incidents.people.correcting import correct_person
from incidents.people.excluding import confirm_exclusion, propose_exclusion
from incidents.people.importing import account
from tests.conftest import COLUMNS
from tests.dispatch.late import LATE, Lists, amendment_of, bring_late, found_late, freeze_next, message_of, someone

COUNTRIES = ("FR", "DE", "JP", "GB", "US")


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    def write(*people: dict[str, str]) -> Path:
        path = tmp_path / "late.csv"
        rows = [",".join(f'"{one.get(name, "")}"' for name in COLUMNS) for one in people]
        path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n", encoding="utf-8")
        return path

    return write


def user(name: str) -> User:
    return User.objects.get(username=name)


def sign_and_send(campaign: Campaign) -> Campaign:
    approve_content(campaign=campaign, author=user("counsel"), reason="read")
    campaign.refresh_from_db()
    released = release(campaign=campaign, author=user("officer"), reason="go")
    dispatch(campaign=released)
    released.refresh_from_db()
    return released


def addresses(incident: Incident) -> list[str]:
    """To whom letters went (test mails aside)."""
    kept = InboxMessage.objects.filter(incident=incident, is_test=False).order_by("id")
    return [read_inbox_message(message=message)["to"] for message in kept]


def verified(incident: Incident, out: Path) -> list[str]:
    """What the checker says of the bundle; fails when anything fails."""
    path = export_evidence(incident=incident, out=out, actor="officer")
    report = verify_bundle.verify(path=str(path), fingerprint=log.fingerprint_of_key())
    assert report.faults == 0, report.lines
    return report.lines


def test_people_found_late_are_told_by_an_amendment_with_its_own_signatures_and_the_bundle_proves_all(
    five: Campaign, lists: Lists, tmp_path: Path
) -> None:
    incident, officer, counsel = five.incident, user("officer"), user("counsel")
    dispatch(campaign=five)
    five.refresh_from_db()
    assert five.state == "drained" and message_of(five, "hanna").state == S.NEEDS_OTHER_CHANNEL
    told = len(addresses(incident))

    amendment = amendment_of(incident, officer)
    rows = [
        found_late(n, stated_country=COUNTRIES[n], loyalty_home_store="US-CA Beverly Hills" if n == 4 else "") for n in range(5)
    ]
    hanna = someone(incident, "hanna")
    correct_person(person=hanna, changes={"email": "hanna.hart@example.org"}, reason="she telephoned", author=officer)
    bring_late(amendment, officer, lists, *rows)
    exclusion = propose_exclusion(person=someone(incident, "late3"), reason="a test record", author=officer)
    confirm_exclusion(exclusion=exclusion, author=counsel)
    second = freeze_next(incident, officer)
    assert sorted(second.register.values_list("person__reference", flat=True)) == ["hanna", "late0", "late1", "late2", "late4"]
    with pytest.raises(ApprovalRefused, match="edited none of it"):
        approve_content(campaign=second, author=officer, reason="read")
    second = sign_and_send(second)

    assert (second.state, count_states(campaign=second)) == ("drained", {S.DELIVERED: 5})
    assert message_of(five, "hanna").state == S.REPLACED
    new = addresses(incident)[told:]
    assert sorted(new) == ["hanna.hart@example.org", *(f"late{n}@example.org" for n in (0, 1, 2, 4))]
    assert check_campaign(campaign=five).holds and check_campaign(campaign=second).holds
    assert account(incident=incident).adds_up
    living = incident.people.exclude(status="rejected").count()
    assert sum(count_states(campaign=one)[S.DELIVERED] for one in (five, second)) == living == 9

    lines = verified(incident, tmp_path / "bundle.zip")
    assert any("campaign cartier-2025-c1: 5 people" in line for line in lines)
    assert any("campaign cartier-2025-c2: 5 people" in line for line in lines)
    assert closing_questions(campaign=five) == []
    close(campaign=five, author=officer, reason="everybody final")
    verified(incident, tmp_path / "closed.zip")


def test_the_same_by_commands(five_frozen: Campaign, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A frozen campaign is stopped; its people go again, one corrected, one excluded."""
    incident = five_frozen.incident

    def run(*arguments: str) -> str:
        out = StringIO()
        call_command(*arguments, stdout=out, stderr=out)
        return out.getvalue()

    name, by = incident.reference, ("--as", "officer", "--reason", "a wrong paragraph")
    run("stop", five_frozen.reference, *by)
    assert "5 people wait: the campaign was stopped before the letter left" in run("amend", "list", name)
    run("amend", "open", name, "--aware-at", LATE.isoformat(), *by)
    monkeypatch.setattr("sys.stdin", StringIO("email: claire.new@example.org\n"))
    assert "emails corrected; version 2" in run("correct", name, "claire", *by)
    run("exclude", "propose", name, "sven", *by)
    assert "excluded by two" in run("exclude", "confirm", name, "sven", "--as", "counsel")
    assert "4 people joined" in run("amend", "join", name, "--waiting", *by)
    assert "amendment 1: 4 people, aware at" in run("amend", "list", name)
    assert run("freeze", name, "--as", "officer").strip() == "cartier-2025-c2"
    second = sign_and_send(Campaign.objects.get(reference="cartier-2025-c2"))
    assert count_states(campaign=second) == {S.DELIVERED: 3, S.NEEDS_OTHER_CHANNEL: 1}
    assert "claire.new@example.org" in addresses(incident)
    verified(incident, tmp_path / "bundle.zip")


@pytest.mark.parametrize("arguments", [("amend", "join"), ("correct", "nobody"), ("exclude", "confirm")])
def test_commands_refuse_in_words(five_frozen: Campaign, arguments: tuple[str, ...]) -> None:
    step, more = arguments
    name, by = five_frozen.incident.reference, ("--as", "officer", "--reason", "why")
    given = {
        "amend": (more, name, "claire", *by),
        "correct": (name, more, *by),
        "exclude": (more, name, "claire", "--as", "officer"),
    }
    with pytest.raises(SystemExit) as end:
        call_command(step, *given[step], stdout=StringIO(), stderr=StringIO())
    assert end.value.code == 2


def test_a_letter_that_is_replaced_is_never_claimed_by_a_worker(five: Campaign) -> None:
    """The correction comes after the release: the worker sends the four others and never the old letter."""
    incident, officer = five.incident, user("officer")
    correct_person(person=someone(incident, "claire"), changes={"full_name": "Claire Martin"}, reason="married", author=officer)
    dispatch(campaign=five)
    assert "claire@example.org" not in addresses(incident)
    assert message_of(five, "claire").tries.count() == 0
    assert check_campaign(campaign=five).holds
    amendment = amendment_of(incident, officer)
    assert join(amendment=amendment, people=incident.people.filter(reference="claire"), reason="married", author=officer) == 1
