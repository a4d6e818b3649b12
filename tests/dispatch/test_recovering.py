"""An older database is put back: nothing leaves, what may have left is listed, and the log names what it lost."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from pytest_django import Settings

from incidents.audit import log, verify_bundle, witness
from incidents.audit.actions import Action
from incidents.audit.export import export_evidence
from incidents.audit.log import TreeWentBack, record
from incidents.dispatch import work
from incidents.dispatch.campaign import CampaignRefused, drain_if_done, freeze, pause, resume, stop
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.doubts import settle_doubts
from incidents.dispatch.outbox import claim
from incidents.dispatch.owner import Owner
from incidents.dispatch.receive import apply_events, store_events
from incidents.dispatch.recovering import MAY_HAVE_LEFT, pause_older, recover, recover_log
from incidents.models import AuditCheckpoint, AuditEvent, Campaign, Doubt, InboxMessage, Incident
from incidents.models import MessageState as S
from tests.conftest import copy_database
from tests.dispatch.campaigns import Mute, person, sql, state_of, states, unguarded

Restore = Callable[[], None]


def copy_of(server: psycopg.Connection[Any], of: str, to: str) -> None:
    connections.close_all()
    server.execute(f"DROP DATABASE IF EXISTS {to} WITH (FORCE)")
    copy_database(server, to, of=of)


@pytest.fixture
def backup(admin_url: str) -> Any:
    """Makes a backup of the released campaign's database; what it gives puts that back."""
    name = str(connections["default"].settings_dict["NAME"])
    with psycopg.connect(admin_url, dbname="postgres", autocommit=True) as server:

        def make() -> Restore:
            copy_of(server, name, f"{name}_backup")
            return lambda: copy_of(server, f"{name}_backup", name)

        yield make
        connections.close_all()
        server.execute(f"DROP DATABASE IF EXISTS {name}_backup WITH (FORCE)")


def the_campaign() -> Campaign:
    return Campaign.objects.select_related("incident").get()


def user(name: str = "officer") -> User:
    return User.objects.get(username=name)


def signed() -> AuditCheckpoint:
    """One more entry, and a head over all, kept outside of the database."""
    log.record(incident=the_campaign().incident, action=Action.ACCESS_VIEWED, actor="officer")
    return log.checkpoint(incident=the_campaign().incident)


def send(number: int) -> int:
    """Let a worker work until so many letters were answered."""
    before, campaign = InboxMessage.objects.filter(is_test=False).count(), the_campaign()
    with Owner() as owner:
        provider = Mute()
        for _ in range(number):
            work.send_ready(campaign_id=campaign.pk, owner=owner, provider=provider, seconds=2)
    return InboxMessage.objects.filter(is_test=False).count() - before


@pytest.fixture
def restored(backup: Callable[[], Restore], settings: Settings) -> Campaign:
    """All five letters left and were signed for; then the database of before was put back."""
    put_back = backup()
    assert send(1) == 5
    signed()
    put_back()
    return the_campaign()


def recovered(campaign: Campaign) -> Campaign:
    pause_older()
    recover(campaign=campaign, author=user(), reason="the disk broke; backup of 9 o'clock")
    return the_campaign()


# Noticing


def test_nothing_leaves_from_an_older_database_and_the_pause_says_what_to_do(restored: Campaign) -> None:
    assert send(1) == 0
    paused = the_campaign()
    assert (paused.state, states(paused)) == ("paused", {S.READY: 5})
    assert f"manage.py recover {paused.reference} --as USER" in paused.pause_reason
    with pytest.raises(CampaignRefused, match="older than the log's last signed head"):
        resume(campaign=paused, author=user(), reason="go on")
    with pytest.raises(CampaignRefused, match=f"manage.py recover {paused.reference}"):
        freeze(incident=paused.incident, author=user())


def test_keeping_house_pauses_it_before_anything_else(restored: Campaign) -> None:
    assert work.keep_house() == []
    assert the_campaign().state == "paused"
    assert pause_older() == 0


def test_one_that_grew_on_after_the_restore_is_noticed_too(restored: Campaign) -> None:
    lost = witness.lost_head(incident=restored.incident)
    assert lost
    grown = [log.Entry(Action.ACCESS_VIEWED, {"purpose": "x"})] * (lost.size + 5)
    log.record_many(incident=restored.incident, actor="officer", entries=grown)
    log.sequence()
    assert send(1) == 0 and the_campaign().state == "paused"


def test_a_database_as_new_as_the_head_or_newer_sends(five: Campaign) -> None:
    signed()
    assert witness.head_file(five.incident.audit_log).exists() and witness.lost_head(incident=five.incident) is None
    assert send(1) == 5
    assert witness.lost_head(incident=five.incident) is None


def test_a_head_whose_signature_is_not_committed_yet_is_no_alarm(five: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "PATIENCE", 1)
    head = signed()
    log.record(incident=five.incident, action=Action.ACCESS_VIEWED, actor="officer")
    log.sequence()
    found = head.log
    found.refresh_from_db()
    grown = log.Frontier.from_hex(size=found.size, hashes=found.frontier).root().hex()
    witness.remember_head(found, grown)
    assert witness.lost_head(incident=five.incident) is None


def test_where_the_heads_are_kept_elsewhere_it_is_said_once_and_the_work_goes_on(
    five: Campaign, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "_unseen", set())
    signed()
    shutil.rmtree(settings.AUDIT_KEY_FILE.parent / "heads")
    with caplog.at_level(logging.WARNING):
        assert pause_older() == pause_older() == 0
    assert sum("cannot be read here" in line.message for line in caplog.records) == 1
    assert send(1) == 5


def test_a_torn_head_stops_no_signing_and_is_written_anew(
    five: Campaign, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    signed()
    kept = witness.head_file(five.incident.audit_log)
    kept.write_text("")  # as a power cut leaves a file that nobody waited for
    record(incident=five.incident, action=Action.SOURCE_CANCELLED, actor="officer", data={"file_sha256": "0" * 64})
    with caplog.at_level(logging.ERROR):
        head = log.checkpoint(incident=five.incident)
    assert (head.size, head.root) == tuple(vars(witness.read_head(five.incident.audit_log)).values())
    assert any("is torn" in line.message for line in caplog.records)


# Recovering


def test_every_letter_that_may_have_left_is_listed_and_settled_as_any_doubt(restored: Campaign) -> None:
    campaign = recovered(restored)
    assert (campaign.state, states(campaign)) == ("paused", {S.IN_DOUBT: 5})
    assert set(Doubt.objects.values_list("reason", "chunk", "settled_at", "provider")) == {(MAY_HAVE_LEFT, None, None, "inbox")}
    assert check_campaign(campaign=campaign).holds
    resume(campaign=campaign, author=user(), reason="looked at")
    assert send(1) == 0, "nothing in doubt leaves a second time"
    claire = person(campaign, "claire")
    asked = type("Asked", (Mute,), {"look_up": lambda self, *, message_ref: message_ref == claire.message_ref})
    assert settle_doubts(provider_of=lambda _: asked()) == 5
    assert states(campaign) == {S.ACCEPTED: 1, S.READY: 4} and state_of(claire) == S.ACCEPTED


def test_a_letter_that_had_left_before_the_restore_has_no_attempt_and_stops_nothing(restored: Campaign, tmp_path: Path) -> None:
    campaign = recovered(restored)
    resume(campaign=campaign, author=user(), reason="looked at")
    claire, carl = person(campaign, "claire"), person(campaign, "carl")
    store_events(provider="inbox", events=[{"event_key": "a", "message_ref": carl.message_ref, "kind": "delivered"}])
    apply_events()
    asked = type("Asked", (Mute,), {"look_up": lambda self, *, message_ref: message_ref == claire.message_ref})
    assert settle_doubts(provider_of=lambda _: asked()) == 4
    assert (state_of(claire), state_of(carl)) == (S.ACCEPTED, S.DELIVERED)
    assert check_campaign(campaign=campaign).violations == [] and work.check_running_campaigns() == 0
    assert the_campaign().state == "dispatching" and not claire.tries.exists(), "nothing is made up for what was lost"
    out = export_evidence(incident=campaign.incident, out=tmp_path / "evidence.zip", actor="officer")
    assert verify_bundle.verify(path=str(out), fingerprint=log.fingerprint_of_key()).faults == 0


def test_a_letter_taken_without_an_attempt_or_a_doubt_of_a_restore_is_still_amiss(five: Campaign, admin_url: str) -> None:
    with unguarded(admin_url) as server:
        server.execute("UPDATE incidents_message SET state = 'accepted', attempts = 1")
    assert check_campaign(campaign=five).violations == ["messages sent without an attempt: 5"]


def test_with_two_ways_out_no_look_up_at_one_of_them_settles_it(restored: Campaign, settings: Settings) -> None:
    settings.MAIL_FALLBACK = "smtp://relay.example"
    campaign = recovered(restored)
    assert settle_doubts() == 0
    sql("UPDATE incidents_doubt SET opened_at = clock_timestamp() - interval '1 day'")
    assert settle_doubts() == 5 and states(campaign) == {S.READY: 5}


def test_the_log_names_the_head_it_lost_and_its_new_bundle_verifies(restored: Campaign, tmp_path: Path) -> None:
    lost = witness.lost_head(incident=restored.incident)
    assert lost
    with pytest.raises(TreeWentBack, match="recover"):
        export_evidence(incident=restored.incident, out=tmp_path / "refused.zip", actor="officer")
    campaign = recovered(restored)
    data = json.loads(AuditEvent.objects.get(action=Action.DATABASE_RESTORED).line)["data"]
    assert (data["lost_size"], data["lost_root"]) == (lost.size, lost.root)
    kept = campaign.incident.audit_log.checkpoints.get(size=data["size"])
    assert (kept.root, data["doubts"]) == (data["root"], {campaign.reference: 5})
    resume(campaign=campaign, author=user(), reason="looked at")
    sql("UPDATE incidents_doubt SET opened_at = clock_timestamp() - interval '1 day'")
    work.dispatch(campaign=the_campaign())
    out = export_evidence(incident=campaign.incident, out=tmp_path / "after.zip", actor="officer")
    report = verify_bundle.verify(path=str(out), fingerprint=log.fingerprint_of_key())
    assert report.faults == 0, report.lines
    assert any(f"says that a signed log of {lost.size} was lost" in line for line in report.lines)
    assert drain_if_done(campaign=campaign) is False and the_campaign().state == "drained"


def test_an_even_older_backup_is_noticed_again_after_a_recovery(backup: Callable[[], Restore]) -> None:
    put_back = backup()
    send(1)
    signed()
    for _ in range(2):
        put_back()
        assert send(1) == 0 and the_campaign().state == "paused"
        assert states(recovered(the_campaign())) == {S.IN_DOUBT: 5}


def test_what_a_worker_held_when_the_backup_was_made_is_listed_too(backup: Callable[[], Restore]) -> None:
    with Owner() as owner:
        assert claim(campaign=the_campaign(), owner=owner, provider="inbox", size=3)
    put_back = backup()
    signed()
    put_back()
    campaign = recovered(the_campaign())
    assert states(campaign) == {S.IN_DOUBT: 5}
    assert Doubt.objects.filter(settled_at=None).count() == 5 and check_campaign(campaign=campaign).holds


def test_a_register_that_was_not_released_yet_is_listed_before_it_can_be(copy: Callable[[str], str], tmp_path: Path) -> None:
    from tests.dispatch.campaigns import let_go

    url = copy("frozen")
    name = str(connections["default"].settings_dict["NAME"])
    with psycopg.connect(url, dbname="postgres", autocommit=True) as server:
        copy_of(server, name, f"{name}_backup")
        let_go(the_campaign())
        assert send(1) == 5
        signed()
        copy_of(server, f"{name}_backup", name)
        server.execute(f"DROP DATABASE {name}_backup WITH (FORCE)")
    with pytest.raises(TreeWentBack):
        let_go(the_campaign())  # released all the same; what follows cannot be signed
    Campaign.objects.update(state="dispatching")
    assert send(1) == 0 and the_campaign().state == "paused"
    assert states(recovered(the_campaign())) == {S.IN_DOUBT: 5}


def test_a_recovery_is_refused_without_need_reason_or_pause(five: Campaign, restored: Campaign) -> None:
    with pytest.raises(CampaignRefused, match="its reason in words"):
        recover(campaign=restored, author=user(), reason=" ")
    with pytest.raises(CampaignRefused, match="pause it first"):
        recover(campaign=restored, author=user(), reason="a backup")
    recovered(restored)
    with pytest.raises(CampaignRefused, match="Nothing is to be recovered"):
        recover(campaign=restored, author=user(), reason="again")


def test_while_a_worker_may_still_hold_letters_it_is_asked_to_wait(backup: Callable[[], Restore]) -> None:
    put_back = backup()
    signed()
    put_back()
    with Owner() as owner:
        assert claim(campaign=the_campaign(), owner=owner, provider="inbox", size=2)
        pause(campaign=the_campaign(), author=user(), reason="wait")
        with pytest.raises(CampaignRefused, match="may still hold"):
            recover(campaign=the_campaign(), author=user(), reason="a backup")
        assert not Doubt.objects.exists()


def test_where_nothing_is_sent_any_more_the_log_goes_on_all_the_same(backup: Callable[[], Restore], tmp_path: Path) -> None:
    assert send(1) == 5
    stop(campaign=the_campaign(), author=user(), reason="enough")
    put_back = backup()
    signed()
    put_back()
    incident = the_campaign().incident
    before = AuditEvent.objects.count()
    with pytest.raises(TreeWentBack):
        export_evidence(incident=incident, out=tmp_path / "none.zip", actor="officer")
    assert AuditEvent.objects.count() == before, "nothing left, so the log says of nothing that it did"
    found = recover(campaign=the_campaign(), author=user(), reason="a backup")
    assert found.doubts == {} and states(the_campaign()) == {S.ACCEPTED: 5}
    assert export_evidence(incident=incident, out=tmp_path / "one.zip", actor="officer").exists()


def put_back_as(state: str, backup: Callable[[], Restore]) -> None:
    """The campaign is in this state; a backup is made, the log goes on, and the backup is put back."""
    sql("UPDATE incidents_campaign SET state = 'drained'")
    if state == "closed":
        sql("UPDATE incidents_campaign SET state = 'closed'")
    put_back = backup()
    signed()
    put_back()


@pytest.mark.parametrize(("state", "listed"), [("drained", {"cartier-2025-c1": 0}), ("closed", {})])
def test_after_the_end_of_a_campaign_its_log_is_recovered_and_its_state_stays(
    backup: Callable[[], Restore], state: str, listed: dict[str, int]
) -> None:
    assert send(1) == 5
    put_back_as(state, backup)
    found = recover(campaign=the_campaign(), author=user(), reason="a backup")
    assert (found.doubts, the_campaign().state, states(the_campaign())) == (listed, state, {S.ACCEPTED: 5})
    assert witness.lost_head(incident=the_campaign().incident) is None and not Doubt.objects.exists()


def test_what_was_drained_and_may_be_asked_for_again_is_listed(backup: Callable[[], Restore]) -> None:
    put_back_as("drained", backup)
    found = recover(campaign=the_campaign(), author=user(), reason="a backup")
    assert (found.doubts, states(the_campaign())) == ({"cartier-2025-c1": 5}, {S.IN_DOUBT: 5})


def test_a_frozen_campaign_is_recovered_before_anybody_signs_it(copy: Callable[[str], str]) -> None:
    url = copy("frozen")
    name = str(connections["default"].settings_dict["NAME"])
    with psycopg.connect(url, dbname="postgres", autocommit=True) as server:
        copy_of(server, name, f"{name}_backup")
        signed()
        copy_of(server, f"{name}_backup", name)
        server.execute(f"DROP DATABASE {name}_backup WITH (FORCE)")
    assert states(the_campaign()) == {S.PLANNED: 5}
    found = recover(campaign=the_campaign(), author=user(), reason="a backup")
    assert (found.doubts, the_campaign().state) == ({"cartier-2025-c1": 5}, "frozen")
    assert states(the_campaign()) == {S.IN_DOUBT: 5} and Doubt.objects.filter(reason=MAY_HAVE_LEFT).count() == 5


def test_an_incident_without_a_campaign_is_recovered_by_its_own_name(backup: Callable[[], Restore], tmp_path: Path) -> None:
    mine = the_campaign().incident
    other = Incident.objects.create(
        reference="other", title="Other", wrapped_key=mine.wrapped_key, created_by=mine.created_by, created_at=mine.created_at
    )
    log.record(incident=other, action=Action.ACCESS_VIEWED, actor="officer")
    log.checkpoint(incident=other)
    put_back = backup()
    log.record(incident=other, action=Action.ACCESS_VIEWED, actor="officer")
    log.checkpoint(incident=other)
    put_back()
    other = Incident.objects.get(reference="other")
    with pytest.raises(TreeWentBack):
        log.refuse_to_go_back(incident=other)
    out = StringIO()
    call_command("recover", "other", "--as", "officer", "--reason", "a backup", stdout=out)
    assert "lost: the entries after 1" in out.getvalue() and "resume" not in out.getvalue()
    log.refuse_to_go_back(incident=other)
    with pytest.raises(CampaignRefused, match="name its campaign"):
        recover_log(incident=mine, author=user(), reason="a backup")


def test_the_command_says_what_it_listed(restored: Campaign) -> None:
    pause_older()
    out = StringIO()
    call_command("recover", restored.reference, "--as", "officer", "--reason", "a backup", stdout=out)
    assert f"{restored.reference}: 5 letters may have left" in out.getvalue()
    with pytest.raises(CommandError):
        call_command("recover", restored.reference)
