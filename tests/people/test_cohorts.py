"""Every person stands in exactly one cohort, that of their profile; asked again, nothing is written."""

from __future__ import annotations

from typing import Any

from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidents.models import AffectedPerson, Amendment, Cohort, Incident, PersonStatus
from incidents.people.cohorts import refresh_cohorts
from tests.conftest import CAST
from tests.people.conftest import Importer

MINOR_FLAGS = {"minor_under_16", "minor_16_17"}
Profile = tuple[str, tuple[str, ...], bool, int | None]

person = st.fixed_dictionaries(
    {
        "residence": st.sampled_from(["FR", "JP", "US-CA", "US", "ZZ"]),
        "elements": st.lists(st.sampled_from(["country", "date_of_birth", "email", "name", "ssn"]), unique=True, max_size=4).map(
            sorted
        ),
        "flags": st.lists(st.sampled_from(["employee", "minor_16_17", "minor_under_16"]), unique=True, max_size=2),
        "status": st.sampled_from([one for one in PersonStatus if one != PersonStatus.MERGED]),  # who is merged has a keeper
    }
)


def profile(someone: AffectedPerson) -> Profile:
    return (someone.residence, tuple(someone.elements), bool(MINOR_FLAGS & set(someone.flags)), someone.amendment_id)


def profile_of(cohort: Cohort) -> Profile:
    return (cohort.residence, tuple(cohort.elements), cohort.minors, cohort.amendment_id)


def put(incident: Incident, people: list[dict[str, Any]]) -> None:
    AffectedPerson.objects.bulk_create(
        AffectedPerson(incident=incident, reference=f"p{number}", subject=f"s{number}", **one)
        for number, one in enumerate(people)
    )


def assert_sorted(incident: Incident) -> None:
    """Everyone who lives in the register is in the one cohort of their profile, and the counts are those of the living."""
    everyone = list(incident.people.select_related("cohort"))
    living = [one for one in everyone if one.status not in (PersonStatus.REJECTED, PersonStatus.MERGED)]
    cohorts = list(incident.cohorts.all())
    assert len({profile_of(cohort) for cohort in cohorts}) == len(cohorts)
    assert all(one.cohort and profile_of(one.cohort) == profile(one) for one in living)
    assert {cohort.pk: cohort.count for cohort in cohorts} == {
        cohort.pk: sum(one.cohort_id == cohort.pk for one in living) for cohort in cohorts
    }


def versions() -> list[tuple[Any, ...]]:
    """Where every row of people and cohorts lies, and which command wrote it: a row written again lies elsewhere."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'p', id, ctid, xmin, cmin FROM incidents_affectedperson ORDER BY id")
        people = cursor.fetchall()
        cursor.execute("SELECT 'c', id, ctid, xmin, cmin FROM incidents_cohort ORDER BY id")
        return [*people, *cursor.fetchall()]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=st.lists(person, max_size=12), moved=st.lists(st.tuples(st.integers(0, 11), person), max_size=4))
def test_everyone_is_in_exactly_one_cohort_however_people_change(
    incident: Incident, people: list[dict[str, Any]], moved: list[tuple[int, dict[str, Any]]]
) -> None:
    incident.people.all().delete()
    put(incident, people)
    refresh_cohorts(incident=incident)
    assert_sorted(incident)
    for number, becomes in moved:
        incident.people.filter(reference=f"p{number}").update(**becomes)
    inhabited = refresh_cohorts(incident=incident)
    assert_sorted(incident)
    assert inhabited == incident.cohorts.filter(count__gt=0).count()
    before = versions()
    refresh_cohorts(incident=incident)
    assert versions() == before


def test_people_found_late_are_cohorts_of_their_own(incident: Incident) -> None:
    late = Amendment.objects.create(
        incident=incident, number=1, reason="a second server", aware_at=incident.created_at, author=incident.created_by,
        recorded_at=incident.created_at,
    )  # fmt: skip
    alike = {"residence": "US-CA", "elements": ["name"]}
    put(incident, [alike, {**alike, "amendment": late}])
    assert refresh_cohorts(incident=incident) == 2
    assert_sorted(incident)
    assert set(incident.cohorts.values_list("amendment", "count")) == {(None, 1), (late.pk, 1)}


def test_only_people_whose_profile_changed_are_written_to(imported: Incident) -> None:
    imported.people.filter(reference="carl").update(residence="US-NY")
    before = {row[:2]: row for row in versions()}
    refresh_cohorts(incident=imported)
    written = {key for key, row in {row[:2]: row for row in versions()}.items() if before.get(key) != row}
    carl = imported.people.get(reference="carl")
    old = imported.cohorts.get(residence="US-CA")
    assert written == {("p", carl.pk), ("c", carl.cohort_id), ("c", old.pk)}
    assert (old.count, carl.cohort.count if carl.cohort else None) == (0, 1)


def test_imported_people_come_with_their_cohort_and_are_written_once(incident: Incident, bring: Importer) -> None:
    inserted, updated = writes()
    bring(*CAST)
    assert writes() == (inserted + len(CAST), updated)
    assert_sorted(incident)


def writes() -> tuple[int, int]:
    """How many rows of people this connection has inserted and updated since it last reported."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT n_tup_ins, n_tup_upd FROM pg_stat_xact_user_tables WHERE relname = 'incidents_affectedperson'")
        found: tuple[int, int] = cursor.fetchone()
        return found


def test_a_cohort_of_another_incident_stays_as_it_is(imported: Incident) -> None:
    other = Cohort.objects.create(
        incident=Incident.objects.create(
            reference="other", title="Other", wrapped_key=b"", created_by=imported.created_by, created_at=imported.created_at
        ),
        residence="FR", elements=["country", "email", "name"], count=7,
    )  # fmt: skip
    refresh_cohorts(incident=imported)
    other.refresh_from_db()
    assert other.count == 7


def test_the_planner_is_as_free_afterwards_as_before(imported: Incident) -> None:
    imported.people.update(cohort=None)
    refresh_cohorts(incident=imported)
    assert_sorted(imported)
    with connection.cursor() as cursor:
        cursor.execute("SHOW enable_nestloop")
        assert cursor.fetchone() == ("on",)
