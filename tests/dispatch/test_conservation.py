"""People in = the sum of named states, at every moment; and each thing that must not be is found when it is made by hand."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command
from pytest_django import Settings

from incidents.dispatch.conservation import VIOLATIONS, check_campaign
from incidents.dispatch.outbox import finish
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.work import dispatch
from incidents.models import Campaign
from incidents.models import MessageState as S
from incidents.people.later import MARKED
from tests.dispatch.campaigns import process, sql, taken, unguarded

#: What must not be -> how a superuser without guards makes it so.
BREAKAGES = {
    "people on the register without a message": "DELETE FROM incidents_message WHERE id = %(ready)s",
    "messages being sent that are in no claimed chunk": "UPDATE incidents_message SET state = 'sending' WHERE id = %(ready)s",
    "messages sent without an attempt": "UPDATE incidents_message SET state = 'delivered' WHERE id = %(ready)s",
    "attempts whose content is not the approved one": "UPDATE incidents_attempt SET content_sha256 = repeat('0', 64) "
    "WHERE message_id = %(accepted)s",
    "messages in doubt that are not on the doubt list": "UPDATE incidents_message SET state = 'in_doubt' WHERE id = %(ready)s",
    "messages tried a second time without a listed doubt, a bounce or a certain failure": "INSERT INTO incidents_attempt "
    "(message_id, number, chunk_id, outcome, provider, provider_id, detail, content_sha256) SELECT message_id, 2, chunk_id, "
    "outcome, provider, '', '', content_sha256 FROM incidents_attempt WHERE message_id = %(accepted)s",
    "letters that are not as they were frozen": "UPDATE incidents_letter SET compiled = 'x' WHERE id = (SELECT e.letter_id FROM "
    "incidents_registerentry e JOIN incidents_message m ON m.entry_id = e.id WHERE m.id = %(ready)s)",
    "messages whose planned content is not the register's": "UPDATE incidents_message SET content_sha256 = repeat('0', 64) "
    "WHERE id = %(ready)s",
    "people who wait for a letter on two registers": "WITH second AS (INSERT INTO incidents_campaign "
    """SELECT (jsonb_populate_record(c, '{"id": 0, "reference": "second", "amendment_id": 0}')).* FROM incidents_campaign c), """
    "other AS (INSERT INTO incidents_registerentry (campaign_id, person_id, "
    "line) SELECT 0, e.person_id, '{}' FROM incidents_registerentry e JOIN incidents_message m ON m.entry_id = e.id "
    "WHERE m.id = %(ready)s RETURNING id) INSERT INTO incidents_message (entry_id, campaign_id, channel, message_ref, state, "
    "state_reason, attempts, content_sha256, provider_id) SELECT id, 0, 'email', 'twice', 'ready', '', 0, '', '' FROM other",
    "letters that may still leave to people who were excluded": "INSERT INTO incidents_exclusion (incident_id, person_id, reason, "
    "proposed_by_id, proposed_at, confirmed_by_id, confirmed_at) SELECT c.incident_id, e.person_id, 'why', 1, now(), 2, now() "
    "FROM incidents_registerentry e JOIN incidents_message m ON m.entry_id = e.id JOIN incidents_campaign c "
    "ON c.id = e.campaign_id WHERE m.id = %(ready)s",
    "letters that may still leave to people whom a later list marks (dead, a minor, not to be written to), undecided": "INSERT INTO "
    'incidents_queueentry (incident_id, person_id, kind, "column", reason, remedy, status, decision_reason) SELECT c.incident_id, '
    f"e.person_id, 'data', '', '{MARKED}deceased', '', 'open', '' FROM incidents_registerentry e JOIN incidents_message m "
    "ON m.entry_id = e.id JOIN incidents_campaign c ON c.id = e.campaign_id WHERE m.id = %(ready)s",
    "work claimed before the release was signed": "UPDATE incidents_chunk SET claimed_at = '2020-01-01'",
    "work claimed before the first wave to the staff passed": "UPDATE incidents_campaign SET canary = 'failed'",
    "late answers of work that was not taken over": "INSERT INTO incidents_lateresult (chunk_id, message_id, outcome, provider, "
    "provider_id, detail, recorded_at) SELECT id, message_ids[1], 'accepted', 'inbox', '', '', now() FROM incidents_chunk",
}


def test_every_violation_has_a_test_that_makes_it() -> None:
    assert set(BREAKAGES) == set(VIOLATIONS)


@pytest.mark.parametrize("name", BREAKAGES)
def test_each_thing_that_must_not_be_is_found_and_only_it(five: Campaign, owner: Owner, admin_url: str, name: str) -> None:
    claimed = taken(five, owner, size=2)
    finish(claimed=claimed, outcomes=[Outcome("accepted", "p")] * 2)
    assert check_campaign(campaign=five).holds
    ready = five.messages.filter(state=S.READY).order_by("id")[0].pk
    with unguarded(admin_url) as server:
        server.execute(BREAKAGES[name], {"ready": ready, "accepted": claimed.message_ids[0]})
    check = check_campaign(campaign=five)
    assert check.violations == [f"{name}: 1"]
    assert not check.holds


def test_a_second_letter_after_a_listed_doubt_or_a_soft_bounce_is_no_violation(five: Campaign) -> None:
    dispatch(campaign=five)
    sven = five.messages.get(entry__person__reference="sven")
    assert sven.tries.filter(outcome="accepted").count() == 2
    assert check_campaign(campaign=five).holds


@pytest.mark.parametrize("change", ["people = people + 1", "people = people - 1"])
def test_a_register_of_another_size_does_not_add_up(five: Campaign, admin_url: str, change: str) -> None:
    with unguarded(admin_url) as server:
        server.execute(f"UPDATE incidents_campaign SET {change}")
    check = check_campaign(campaign=Campaign.objects.get())
    assert (check.sum_ok, check.holds, check.violations) == (False, False, [])


def test_the_command_prints_the_agreed_shape_and_fails_on_a_violation(five: Campaign, admin_url: str) -> None:
    def run() -> tuple[int, dict[str, object]]:
        out = StringIO()
        code = 0
        try:
            call_command("check_campaign", five.reference, as_json=True, stdout=out)
        except SystemExit as end:
            code = int(end.code or 0)
        return code, json.loads(out.getvalue())

    code, found = run()
    assert isinstance(found.pop("forecast"), dict)
    assert (code, found) == (0, {
        "campaign": "cartier-2025-c1", "state": "dispatching", "people_in": 5, "states": {"ready": 5}, "sum_ok": True,
        "doubts_open": 0, "doubts_total": 0, "violations": [], "contradictions": [], "left_behind": 0, "stale": [],
            "rests_on_stale": False,
    })  # fmt: skip
    with unguarded(admin_url) as server:
        server.execute("DELETE FROM incidents_message WHERE id = (SELECT min(id) FROM incidents_message)")
    code, found = run()
    assert (code, found["sum_ok"], found["violations"]) == (1, False, ["people on the register without a message: 1"])


def test_the_sum_holds_at_every_moment_while_workers_send(crowd: Campaign, settings: Settings) -> None:
    """Two processes send and keep house; we count from a third connection, all the time."""
    code = """
    from incidents.dispatch.work import dispatch
    from incidents.models import Campaign
    dispatch(campaign=Campaign.objects.get())
    """
    workers = [process(code, CHUNK_SIZE="10") for _ in range(2)]
    looks, seen = 0, set[str]()
    while any(worker.poll() is None for worker in workers):
        check = check_campaign(campaign=crowd)
        assert check.holds, check
        assert sum(check.states.values()) == check.people_in == 200
        seen |= set(check.states)
        looks += 1
    assert [worker.wait() for worker in workers] == [0, 0]
    assert looks > 20
    assert {S.READY, S.SENDING, S.DELIVERED} <= seen
    assert check_campaign(campaign=crowd).states == {S.DELIVERED: 200}


def test_counting_inside_a_transaction_works_too(five: Campaign) -> None:
    from django.db import transaction

    with transaction.atomic():
        sql("SELECT 1")
        with transaction.atomic():
            assert check_campaign(campaign=five).holds
