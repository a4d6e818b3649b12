"""A country that somebody says of a whole list: the last evidence of any row, and never against what a row says itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from incidents.models import AffectedPerson, AuditEvent, Incident
from incidents.people.explaining import explain, in_words
from incidents.people.importing import ImportReport, account, import_people
from incidents.people.joining import join
from incidents.people.kept import KeptRow
from incidents.people.later import differences
from incidents.people.reading import FileRefused
from incidents.people.rejects import write_reject_file
from incidents.people.residence import Residence, decide, gather, weigh
from incidents.people.said_of_all import Cells, country_said, weigh_beside
from incidents.record import PersonFields
from tests.conftest import CLAIRE, COLUMNS
from tests.people.conftest import Importer, Row, kinds
from tests.people.test_import_command import run

NAMES = (
    "stated_country", "billing_country", "shipping_country", "region", "postcode", "city", "street", "phone_prefix",
    "loyalty_home_store", "ip_country",
)  # fmt: skip
WIDE = (*COLUMNS, "postcode", "region", "billing_country", "phone", "ip_country")


def cells(row: Mapping[str, str]) -> Cells:
    return tuple(row.get(name, "") for name in NAMES)  # type: ignore[return-value]


def beside(country: str, **row: str) -> Residence:
    return weigh_beside(cells(row), country)


def alone(**row: str) -> Residence:
    return weigh(gather(*cells(row)))


def person(number: int, **cells: str) -> Row:
    own = {"person_id": f"p{number}", "customer_number": f"C{number}", "full_name": f"Person {number}"}
    return {**CLAIRE, **own, "email": f"p{number}@example.org", "stated_country": "", **cells}


def places(incident: Incident) -> dict[str, tuple[str, str, str]]:
    found = incident.people.values_list("reference", "residence", "residence_from", "confidence")
    return {reference: (place, by, confidence) for reference, place, by, confidence in found}


# -- one row ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [{}, {"stated_country": "n/a"}, {"street": "1 High Street", "city": "Ulm"}, {"ip_country": "DE"}])
def test_a_row_that_says_nothing_lives_where_the_whole_list_does(row: dict[str, str]) -> None:
    found = beside("DE", **row)
    assert (found.place, found.recorded, found.confidence, found.question) == ("DE", "list_country", "weak", "")


@pytest.mark.parametrize(
    "row",
    [
        {"stated_country": "FR"}, {"billing_country": "Frankreich"}, {"phone_prefix": "+33 1 23"}, {"loyalty_home_store": "FR Paris"},
        {"postcode": "SW1A 1AA"}, {"postcode": "JE2 3AB"}, {"region": "WA", "postcode": "98101"},
        {"region": "Okinawa", "postcode": "900-0001"}, {"city": "APO", "postcode": "09096"}, {"phone_prefix": "+44 20"},
        {"phone_prefix": "+44 1534"}, {"phone_prefix": "+383 44"}, {"phone_prefix": "+90 392"},
        {"stated_country": "DE", "billing_country": "FR"}, {"phone_prefix": "+49", "loyalty_home_store": "FR Paris"},
        {"stated_country": "UK"}, {"billing_country": "Atlantis"}, {"ip_country": "FR"}, {"stated_country": "US"},
    ],
)  # fmt: skip
def test_whatever_a_row_says_itself_holds_as_if_nothing_had_been_said_of_the_list(row: dict[str, str]) -> None:
    assert beside("DE", **row) == alone(**row)


@pytest.mark.parametrize(
    ("country", "row", "place", "recorded"),
    [
        ("US", {"postcode": "98101"}, "US-WA", "list_country+postcode"), ("US", {"region": "Texas"}, "US-TX", "list_country+region"),
        ("US", {"region": "WA", "city": "Seattle"}, "US-WA", "list_country+region"), ("CA", {"region": "QC"}, "CA-QC", "list_country+region"),
        ("FR", {"postcode": "97400"}, "FR-974", "list_country+postcode"), ("GB", {"phone_prefix": "+44 20"}, "GB", "list_country"),
        ("US", {"loyalty_home_store": "US Seattle", "postcode": "98101"}, "US-WA", "list_country+postcode"),
        ("JE", {"phone_prefix": "+44 1534"}, "JE", "list_country"), ("HK", {}, "HK", "list_country"), ("US-PR", {}, "US-PR", "list_country"),
    ],
)  # fmt: skip
def test_what_a_row_says_is_read_beside_the_country_of_the_list_and_stays_weak(
    country: str, row: dict[str, str], place: str, recorded: str
) -> None:
    found = beside(country, **row)
    assert (found.place, found.recorded, found.confidence, found.question) == (place, recorded, "weak", "")
    assert place == decide({**row, "stated_country": country}).place


@pytest.mark.parametrize(
    ("country", "row", "question"),
    [
        ("US", {}, "state_unknown"), ("CA", {"postcode": "00000"}, "province_unknown"), ("US", {"city": "APO"}, "military_address"),
        ("DE", {"region": "California"}, "residence_conflict"), ("GB", {"city": "St Helier"}, "residence_conflict"),
        ("US", {"phone_prefix": "+1-206", "postcode": "10001"}, "residence_conflict"),
    ],
)  # fmt: skip
def test_what_a_column_of_that_country_would_leave_open_is_asked(country: str, row: dict[str, str], question: str) -> None:
    found, column = beside(country, **row), decide({**row, "stated_country": country})
    assert (found.question, found.confidence) == (question, "none") == (column.question, column.confidence)
    assert found.possible == column.possible


def test_evidence_of_ones_own_for_the_same_country_keeps_its_confidence() -> None:
    for row in ({"billing_country": "GB", "postcode": "SW1A 1AA"}, {"postcode": "SW1A 1AA"}, {"phone_prefix": "+33"}):
        own = alone(**row)
        assert beside(own.place, **row) == own and own.confidence in ("certain", "good", "weak")
    assert beside("DE", phone_prefix="+49", postcode="1067").postcode_problem == "zero_lost"


@pytest.mark.parametrize(
    ("text", "code"),
    [("DE", "DE"), (" de ", "DE"), ("ｄｅ", "DE"), ("pr", "US-PR"), ("HK", "HK"), ("us-ca", "US-CA"), ("RE", "FR-974")],
)
def test_a_country_is_said_by_its_code(text: str, code: str) -> None:
    assert country_said(text) == code


@pytest.mark.parametrize(
    ("text", "says"),
    [("EU", "EU is no country"), ("eu", "one country where"), ("XX", "'XX' is no code"), ("UK", "Is GB meant?"), ("Germany", "Is DE meant?"),
     ("ZZ", "no code of a country"), ("US-XX", "no code"), ("AE-DIFC", "no code"), ("x" * 90, "'" + "x" * 20 + "'")],
)  # fmt: skip
def test_what_is_no_country_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(FileRefused, match=says.replace("?", r"\?")):
        country_said(text)


# -- a list ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def said(incident: Incident, officer: User, write_list: Callable[..., Path]) -> Importer:
    """Import rows of which a country is said."""

    def run(*rows: Row, country: str | None = "DE", **options: Any) -> ImportReport:
        path = write_list(*rows, columns=options.pop("columns", WIDE))
        return import_people(incident=incident, path=path, author=officer, country=country, **options)

    return run


def test_a_list_without_a_country_is_known_by_what_is_said_of_it_and_asks_nothing(said: Importer, incident: Incident) -> None:
    report = said(person(1), person(2, phone="+33 1 23 45"), person(3, stated_country="DE", billing_country="FR"), person(4))
    assert (report.country, report.country_by, report.living_by, report.accounting.adds_up) == ("DE", "officer", 2, True)
    assert places(incident) == {
        "p1": ("DE", "list_country", "weak"), "p2": ("FR", "phone_prefix", "weak"), "p3": ("DE", "stated_country", "none"),
        "p4": ("DE", "list_country", "weak"),
    }  # fmt: skip
    assert kinds(incident) == ["residence_conflict"]


def test_who_said_it_stands_in_the_entry_of_the_import_with_the_number_of_rows(said: Importer, incident: Incident) -> None:
    said(person(1), person(2, stated_country="FR"))
    (line,) = AuditEvent.objects.filter(action="source.imported").values_list("line", flat=True)
    assert '"list_country":{"country":"DE","rows":1,"said_by":"officer"}' in line


def test_the_explanation_of_somebody_names_the_list_and_who_said_it(said: Importer, incident: Incident) -> None:
    said(person(1, postcode="98101"), person(2, stated_country="FR"), country="US")
    batch, (one, other) = incident.imports.get(), (explain(incident=incident, reference=name) for name in ("p1", "p2"))
    assert [(told["list"], told["country"], told["by"]) for told in one["person"]["said_of_list"]] == [
        (batch.pk, "US", "officer")
    ]
    assert f"  US was said of the whole list {batch.pk} by officer: their own row does not say it" in list(in_words(one))
    assert other["person"]["said_of_list"] == []


def test_a_row_of_another_list_that_says_it_itself_counts_before_what_was_said_of_a_list(
    said: Importer, bring: Importer, incident: Incident
) -> None:
    said(person(1), person(2), person(3))
    bring(person(1, stated_country="FR"), person(2, stated_country="DE"), person(3))
    assert places(incident) == {
        "p1": ("FR", "stated_country", "good"), "p2": ("DE", "stated_country", "good"), "p3": ("DE", "list_country", "weak")
    }  # fmt: skip
    assert not kinds(incident) and account(incident=incident).adds_up


def test_what_is_said_of_a_later_list_changes_nobody_of_whom_more_is_known(
    said: Importer, bring: Importer, incident: Incident
) -> None:
    bring(person(1, stated_country="FR"), person(2))
    assert kinds(incident, status="open") == ["residence_unknown"]
    said(person(1), person(2))
    assert {name: place for name, (place, *_) in places(incident).items()} == {"p1": "FR", "p2": "DE"}
    assert not kinds(incident, status="open")


def test_a_newer_version_with_a_country_for_all_is_no_other_home_of_anybody_who_has_one(
    incident: Incident, write_list: Callable[..., Path]
) -> None:
    run(incident.reference, write_list(person(1, stated_country="FR"), person(2)), "--source", "shop")
    told = run(incident.reference, write_list(person(1), person(2)), "--source", "shop", "--country", "DE", code=2)
    assert "1 people known with other data" in told and "1 people known and unchanged" in told


def test_what_was_said_of_a_whole_list_is_nothing_grave_about_somebody_whose_record_was_signed() -> None:
    fields = PersonFields(full_name="Ada")
    signed, home = KeptRow(fields=fields, residence="FR"), KeptRow(fields=fields, residence="DE", residence_from="stated_country")
    by_list = replace(home, residence_from="list_country")
    assert differences(before=signed, whole=join([signed]), rows=[by_list]) == []
    assert differences(before=signed, whole=join([signed]), rows=[home]) == ["residence DE beside FR (laws DE, FR)"]


def test_a_postcode_beside_the_country_of_a_list_answers_what_another_list_left_open(
    said: Importer, bring: Importer, incident: Incident
) -> None:
    bring(person(1, stated_country="US"))
    assert kinds(incident, status="open") == ["state_unknown"]
    said(person(1, postcode="98101"), country="US")
    assert places(incident) == {"p1": ("US-WA", "list_country+postcode", "weak")} and not kinds(incident, status="open")


def test_two_rows_of_one_person_on_one_list_are_one_place(said: Importer, incident: Incident) -> None:
    said(person(1), person(1, stated_country="FR"))
    assert [place for place, *_ in places(incident).values()] == ["FR"] and not kinds(incident)


def test_a_list_that_was_begun_keeps_what_was_said_of_it(
    incident: Incident, officer: User, write_list: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_list(person(1), person(2))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("incidents.people.importing._settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        import_people(incident=incident, path=path, author=officer, country="DE")
    report = import_people(incident=incident, path=path, author=officer)
    assert (report.country, report.living_by) == ("DE", 2)


def test_a_newer_version_keeps_what_was_said_of_the_earlier_one_unless_it_is_said_otherwise(
    incident: Incident, write_list: Callable[..., Path]
) -> None:
    shop = ("--source", "shop")
    assert "1 rows live by what was said of the whole list: DE, said by officer" in run(
        incident.reference, write_list(person(1)), *shop, "--country", "de"
    )
    assert "said of the whole list: DE" in run(incident.reference, write_list(person(1), person(2)), *shop, "--newer")
    last = write_list(person(1), person(2), person(3))
    assert "3 rows in all" in run(incident.reference, last, *shop, "--country", "none", code=2)
    assert "of the whole list" not in run(incident.reference, last, *shop, "--newer")
    assert kinds(incident, status="open") == ["residence_unknown"]
    assert list(incident.imports.order_by("pk").values_list("list_country", flat=True)) == ["DE", "DE", ""]


def test_what_is_said_of_a_list_is_no_column_and_not_kept_for_the_next_list_of_the_source(
    incident: Incident, write_list: Callable[..., Path]
) -> None:
    path = write_list({**person(1), "xx": "FR"}, columns=(*WIDE[:-1], "xx"))
    run(incident.reference, path, "--source", "shop", "--map", "xx=billing_country", "--country", "DE")
    assert places(incident)["p1"][:2] == ("FR", "billing_country")
    assert set(incident.sources.get().mapping) == {"sealed"}


def test_the_same_file_with_another_country_is_refused_and_changes_nothing(
    incident: Incident, write_list: Callable[..., Path]
) -> None:
    path = write_list(person(1))
    run(incident.reference, path, "--country", "DE")
    assert "imported before; nothing was changed" in run(incident.reference, path, "--country", "de")
    refused = run(incident.reference, path, "--country", "FR", code=2)
    assert "with DE said of everybody on it, now FR" in refused and places(incident)["p1"][0] == "DE"


def test_what_holds_for_all_cannot_be_said_of_lists_that_were_confirmed(incident: Incident) -> None:
    assert "give the file with it" in run(incident.reference, "--resume", "--country", "DE", code=2)


@pytest.mark.parametrize(("said", "words"), [("EU", "EU is no country"), ("Narnia", "'Narnia' is no code")])
def test_a_command_with_no_country_imports_nothing(
    incident: Incident, write_list: Callable[..., Path], said: str, words: str
) -> None:
    assert words in run(incident.reference, write_list(person(1)), "--country", said, code=2)
    assert not incident.imports.exists()


def test_a_dry_run_says_what_is_assumed(incident: Incident, write_list: Callable[..., Path]) -> None:
    assert "Assumed of all rows that say no country of their own: US-PR." in run(
        incident.reference, write_list(person(1)), "--country", "pr", "--dry-run"
    )
    assert not incident.imports.exists()


@pytest.fixture
def rejects(incident: Incident, officer: User, tmp_path: Path) -> Callable[..., ImportReport]:
    """The reject file, with texts replaced as somebody corrects them, given back."""

    def give_back(corrected: Mapping[str, str], **options: Any) -> ImportReport:
        out, path = io.StringIO(), tmp_path / "rejects.csv"
        write_reject_file(incident=incident, out=out)
        text = out.getvalue()
        for was, now in corrected.items():
            text = text.replace(was, now)
        path.write_text(text, newline="")
        return import_people(incident=incident, path=path, author=officer, **options)

    return give_back


def test_a_reject_file_that_comes_back_keeps_what_was_said_of_the_list_of_each_line(
    said: Importer, bring: Importer, rejects: Callable[..., ImportReport], incident: Incident
) -> None:
    said(person(1, email="p1@@example.org"), person(2, full_name="No\nBody", postcode="98101"), country="US")
    bring(person(3, full_name="Some\nBody"), columns=WIDE)
    rejects({"p1@@example.org": "p1@example.org", "No\nBody": "No Body", "Some\nBody": "Some Body"})
    assert {place: by for place, by, _ in places(incident).values()} == {
        "US": "list_country", "US-WA": "list_country+postcode", "ZZ": ""
    }  # fmt: skip
    named = AffectedPerson.objects.get(incident=incident, residence="US-WA")
    assert explain(incident=incident, reference=named.reference)["person"]["said_of_list"][0]["country"] == "US"
    assert sorted(kinds(incident, status="open")) == ["residence_unknown", "state_unknown"]


def test_a_country_said_of_a_reject_file_is_refused(
    said: Importer, rejects: Callable[..., ImportReport], incident: Incident
) -> None:
    said(person(1, email="p1@@example.org"))
    with pytest.raises(FileRefused, match="leave the country out"):
        rejects({"p1@@example.org": "p1@example.org"}, country="FR")
