"""A million people assessed: cohorts found in SQL, the law asked once for each cohort, obligations and their entries written.

Held against reading the same rows alone, and against asking the law person by person. People come in as the import writes
them, with their cohort; what it costs to give cohorts to people who have none is shown beside it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.benchmarks.figures import Figure, in_turn, seconds
from tests.benchmarks.law import residences
from tests.benchmarks.stage import throwaway_database

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from incidents.models import Incident

PEOPLE = 1_000_000
BATCH = 100_000
#: People whose cohorts are found anew, and people asked about one by one.
LATE, SAMPLE = 100_000, 2_000
#: Seconds after which no further batch is inserted; N says how many people there are then.
LONGEST_FILL = 200
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
#: Invented people: every residence, four sets of elements, one in five hundred a minor; as wide as sealed rows are.
ROWS = """
SELECT n, (%(places)s::text[])[1 + (n::bigint * 7919) %% %(count)s] AS residence,
  CASE (n::bigint * 31) %% 11 WHEN 0 THEN '{country,date_of_birth,email,name}' WHEN 1 THEN '{email,name,ssn}'
    WHEN 2 THEN '{email,name,password}' ELSE '{country,email,name}' END::varchar[] AS elements,
  CASE WHEN n %% 500 = 3 THEN '{minor_16_17}' ELSE '{}' END::varchar[] AS flags, sha256(n::text::bytea) AS h
FROM generate_series(%(first)s, %(last)s) n"""
INSERT = """
INSERT INTO incidents_affectedperson (incident_id, reference, subject, sealed, wrapped_key, customer_index, email_index,
  name_index, residence, residence_from, possible_residences, elements, flags, language, has_email, status, cohort_id)
SELECT %(incident)s, 'p' || n, md5(%(incident)s || '.' || n), h || h || h || h || h, h || substr(h, 1, 28), substr(h, 1, 16),
  substr(h, 9, 16), substr(h, 17, 16), residence, 'stated_country', '{{}}', elements, flags, 'en', true, 'clear', {cohort}
FROM (SELECT r.*, {minor} AS minors FROM ({rows}) r) f"""
READ = "SELECT id, residence, elements, flags FROM incidents_affectedperson WHERE incident_id = %s"


def run() -> Iterator[Figure]:
    """People assessed a second and its ratios, then the cost of finding cohorts anew."""
    with throwaway_database():
        from django.contrib.auth.models import User

        officer = User.objects.create_user("officer")
        incident, late = (_incident(officer, number) for number in (1, 2))
        started = time.monotonic()
        people = _fill(incident, PEOPLE, with_cohort=True)
        yield from _assessed(incident, officer, people, f"inserted with their cohort in {time.monotonic() - started:.0f} s")
        yield _found_anew(late, _fill(late, min(LATE, people), with_cohort=False))


def _incident(officer: User, number: int) -> Incident:
    from incidents.people.opening import check_facts, open_incident, record_finding
    from incidents.scenarios.catalog import load_scenario

    facts = {**load_scenario(scenario_id="cartier-2025").facts, "id": f"bench-{number}", "reference": f"bench-{number}"}
    incident = open_incident(facts=check_facts(facts, now=NOW), author=officer, drill=True)
    for key, value in (("risk", "high"), ("misuse_likely", "yes")):
        record_finding(incident=incident, key=key, value=value, reason="as the benchmark needs it", author=officer)
    return incident


def _fill(incident: Incident, people: int, *, with_cohort: bool) -> int:
    """Insert invented people in bulk, by the same SQL for cohorts that the import uses; fewer where it takes too long."""
    from django.db import connection

    from incidents.law.pack import load_packs
    from incidents.people.cohorts import MINOR, SAME, create_cohorts

    places, end = residences(packs=load_packs()), time.monotonic() + LONGEST_FILL
    cohort = f"(SELECT c.id FROM incidents_cohort c WHERE {SAME})" if with_cohort else "NULL"
    insert = INSERT.format(rows=ROWS, minor=MINOR, cohort=cohort)
    for first in range(1, people + 1, BATCH):
        last = min(first + BATCH - 1, people)
        values: dict[str, Any] = {"incident": incident.pk, "places": places, "count": len(places), "first": first, "last": last}
        values["amendment"] = None
        with connection.cursor() as cursor:
            if with_cohort:
                cursor.execute(create_cohorts(rows=f"(SELECT r.*, {MINOR} AS minors FROM ({ROWS}) r)"), values)
            cursor.execute(insert, values)
        if time.monotonic() > end:
            return last
    return people


def _assessed(incident: Incident, officer: User, people: int, how: str) -> Iterator[Figure]:
    from incidents.people.assessing import assess_incident

    ask, read = partial(assess_incident, incident=incident, author=officer), partial(_read, incident)
    (reading_before,) = in_turn(read, times=1)
    taken = seconds(ask)
    again, looking_up, reading = in_turn(ask, partial(_look_up, incident), read, times=3)
    reading = median([reading_before, reading])
    cohorts, written = incident.cohorts.filter(count__gt=0).count(), incident.obligations.count()
    assert sum(incident.cohorts.values_list("count", flat=True)) == people
    note = f"N={people:,} people, {cohorts} cohorts, {written} obligations written in {taken:.2f} s; {how}"
    yield Figure("people.assessed_per_second", people / taken, "people/s", note)
    note = f"only reading the same rows takes {reading:.2f} s; asked again, writing nothing, {again:.2f} s"
    yield Figure("people.of_reading_alone", reading / taken, "times", note, target=0.5)
    note = f"the same with the {looking_up:.2f} s that the import takes to look up everyone's cohort"
    yield Figure("people.of_reading_with_lookup", reading / (taken + looking_up), "times", note, target=0.5)
    alone = seconds(lambda: _one_by_one(incident)) / SAMPLE
    note = f"N={SAMPLE:,} people asked about one by one: {alone * 1e3:.2f} ms each, nothing written"
    yield Figure("people.of_one_by_one", alone * people / taken, "times", note, target=50)


def _look_up(incident: Incident) -> None:
    """Find everyone's cohort by the import's own SQL."""
    from django.db import connection

    from incidents.people.cohorts import MINOR, SAME

    found = f"(SELECT c.id FROM incidents_cohort c WHERE {SAME})"
    rows = f"SELECT residence, elements, {MINOR} AS minors FROM incidents_affectedperson WHERE incident_id = %(incident)s"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count({found}) FROM ({rows}) f", {"incident": incident.pk, "amendment": None})


def _read(incident: Incident) -> int:
    """The columns that the law sees, of everyone, as a stream."""
    return sum(1 for _ in _rows(incident))


def _rows(incident: Incident) -> Iterator[tuple[Any, ...]]:
    from django.db import connection, transaction

    with transaction.atomic(), connection.connection.cursor(name="everyone") as cursor:
        cursor.itersize = 10_000
        yield from cursor.execute(READ, [incident.pk])


def _one_by_one(incident: Incident) -> None:
    from itertools import islice

    from incidents.law.engine import assess
    from incidents.law.facts import Group
    from incidents.law.pack import load_packs
    from incidents.people.opening import law_facts

    facts, packs = law_facts(incident=incident), load_packs()
    for _, residence, elements, flags in islice(_rows(incident), SAMPLE):
        person = Group(residence, frozenset(elements), 1, minors=bool(flags))
        assess(facts=facts, groups=[person], packs=packs)


def _found_anew(late: Incident, people: int) -> Figure:
    from incidents.people.cohorts import refresh_cohorts

    read = in_turn(partial(_read, late), times=3)[0]
    taken = seconds(lambda: refresh_cohorts(incident=late))
    assert not late.people.filter(cohort=None).exists()
    again = seconds(lambda: refresh_cohorts(incident=late))
    note = f"N={people:,} people without a cohort, each written to, in {taken:.2f} s (reading them {read:.2f} s); again {again:.2f} s"
    return Figure("people.cohorts_found_anew", people / taken, "people/s", note)
