"""Letters on the desk: how many people get each of them, before the freeze and after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from incidents.dispatch.campaign import freeze
from incidents.letters.gets import who_gets
from incidents.letters.render import make_letters
from incidents.models import ImportRow, Incident, RegisterEntry, RowOutcome
from incidents.people.assessing import assess_incident
from incidents.people.deciding import hold
from incidents.people.importing import import_people
from incidents.people.opening import record_finding
from tests.admin.case import A_MONTH_ON, NORA, SAM, at
from tests.admin.conftest import FINDINGS
from tests.changes import amend
from tests.conftest import CAST
from tests.dispatch.late import amendment_of, bring_late, found_late

GERD = {
    "person_id": "gerd", "customer_number": "C7", "full_name": "Gerd Grau", "email": "gerd@example.org",
    "stated_country": "FR", "language": "de", "elements": "name;email;country",
}  # fmt: skip


@pytest.fixture
def list_file(write_list: Callable[..., Path]) -> Path:
    return write_list(*CAST, GERD, SAM, NORA)


def numbers(incident: Incident) -> dict[tuple[str, str], int]:
    """Residence and language of each letter -> people who get it."""
    made = list(incident.letters.select_related("cohort", "amendment"))
    (gets,) = who_gets(incident=incident, letters=made)
    return {(one.cohort.residence, one.language): gets.letters.get(one.pk, 0) for one in made}


def test_a_letter_is_counted_for_those_who_read_its_language_and_the_sum_is_that_of_the_freeze(
    desk: Client, case: Incident, officer: User
) -> None:
    make_letters(incident=case, author=officer)
    page = desk.get(at("letters", case.pk)).content.decode()
    assert "<strong>4</strong> of 6 people on the register get one of these letters, 2 wait for a decision." in page
    before = numbers(case)
    assert (before["FR", "fr"], before["FR", "de"]) == (1, 1), "the two in France are one cohort and read two letters"
    hold(incident=case, entries=case.queue.all(), until=A_MONTH_ON, reason="the shop asks", author=officer)
    frozen = freeze(incident=case, author=officer)
    assert numbers(case) == before and sum(before.values()) == RegisterEntry.objects.exclude(letter=None).count()
    page = desk.get(at("letters", case.pk)).content.decode()
    assert (
        f"{frozen.reference}</a>: <strong>4</strong> of {frozen.people} people on the register" in page and "2 are held." in page
    )
    with CaptureQueriesContext(connection) as asked:
        assert numbers(case) == before
    assert not [one for one in asked.captured_queries if "registerentry" in one["sql"]], "of a million lines it is counted once"
    german = case.letters.get(cohort__residence="FR", language="de")
    assert "1 person in FR" in desk.get(at("letter", case.pk, german.pk)).content.decode()


def test_who_reads_a_rare_language_is_offered_for_its_preview_behind_however_many_others(
    desk: Client, opened: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    rows = [found_late(number) for number in range(301)] + [found_late(400, language="it")]
    import_people(incident=opened, path=write_list(*rows), author=officer)
    for key, value in FINDINGS:
        record_finding(incident=opened, key=key, value=value, reason="as the case file says", author=officer)
    assess_incident(incident=opened, author=officer)
    make_letters(incident=opened, author=officer)
    page = desk.get(at("letter", opened.pk, opened.letters.get(language="it").pk)).content.decode()
    assert "1 person in FR" in page and f'<option value="{opened.people.get(reference="late400").pk}">' in page


def test_a_letter_of_an_amendment_is_said_to_be_stale_on_its_own_page_too(
    desk: Client, case: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    hold(incident=case, entries=case.queue.all(), until=A_MONTH_ON, reason="the shop asks", author=officer)
    make_letters(incident=case, author=officer)
    freeze(incident=case, author=officer)
    bring_late(amendment_of(case, officer), officer, write_list, found_late(1))
    make_letters(incident=case, author=officer)
    late = case.letters.get(amendment__isnull=False)
    stale = '<span class="pill bad">stale</span>'
    assert stale not in desk.get(at("letter", case.pk, late.pk)).content.decode()
    amend(case, officer, experts_engaged=not case.facts.facts["experts_engaged"])
    assert stale in desk.get(at("letter", case.pk, late.pk)).content.decode()


def test_the_languages_count_nobody_who_was_merged_into_somebody(desk: Client, case: Incident) -> None:
    assert '<th scope="row">de</th>' in desk.get(at("languages", case.pk)).content.decode()
    claire = case.people.get(reference="claire")
    ImportRow.objects.filter(person__reference="gerd").update(outcome=RowOutcome.MERGED, person=claire)
    case.people.filter(reference="gerd").update(status="merged", merged_into=claire)
    assert '<th scope="row">de</th>' not in desk.get(at("languages", case.pk)).content.decode()
