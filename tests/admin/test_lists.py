"""A list on the desk: sealed while it arrives, looked at with masked samples, confirmed, imported, accounted for."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from incidents import tasks
from incidents.admin.lists import ENCODINGS, MOVING, on_the_page
from incidents.admin.spool import PIECE, Spool
from incidents.models import AuditEvent, BatchState, ImportBatch, ImportPart, Incident
from incidents.people.amending import open_amendment
from incidents.people.confined import ReaderBroken
from incidents.people.importing import carry_on
from incidents.people.reading.encodings import OFFERED
from incidents.people.uploads import receive
from incidents.vault.master import MasterKeyWrong
from tests.admin.case import PERSONAL, at, posted, said, signed_in
from tests.conftest import NOW
from tests.people.workbooks import workbook


@pytest.fixture(autouse=True)
def importer(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the importer was woken for; in these tests it works at once."""
    woken: list[int] = []

    def wake(batch_id: int, *, compare: bool = False) -> bool:
        woken.append(batch_id)
        (tasks.import_difference if compare else tasks.import_list)(batch_id)
        return True

    monkeypatch.setattr("incidents.admin.lists.wake_import", wake)
    return woken


def sent(desk: Client, incident: Incident, content: bytes, *, source: str = "", name: str = "list.csv") -> str:
    fields = {"list": SimpleUploadedFile(name, content), "source": source}
    return posted(desk, "upload", incident.pk, **fields)


def newest(incident: Incident) -> ImportBatch:
    return incident.imports.order_by("-id")[0]


def confirmed(desk: Client, batch: ImportBatch) -> str:
    page = desk.get(at("list", batch.incident_id, batch.pk))
    columns = [(column["name"], column["ours"]) for column in page.context["columns"]]
    fields = {"column": [name for name, _ in columns], "ours": [ours for _, ours in columns]}
    return posted(desk, "list_confirm", batch.incident_id, batch.pk, **fields)


def test_a_list_is_uploaded_looked_at_confirmed_and_imported(
    desk: Client, opened: Incident, list_file: Path, importer: list[int]
) -> None:
    assert "sealed" in sent(desk, opened, list_file.read_bytes(), source="shop")
    batch = newest(opened)
    assert (batch.state, opened.people.count()) == (BatchState.UPLOADED, 0)
    assert "1 list uploaded: confirm the columns, then import" in desk.get(at("desk", opened.pk)).content.decode()
    assert "import begins" in confirmed(desk, batch)
    batch.refresh_from_db()
    assert (batch.state, batch.rows, importer) == (BatchState.DONE, 5, [batch.pk])
    shown = desk.get(at("list", opened.pk, batch.pk)).content.decode()
    assert "became a person" in shown
    assert not ImportPart.objects.exists()
    assert "done" in newest(opened).state


def test_the_page_counts_the_hidden_sheets_of_a_workbook(desk: Client, opened: Incident) -> None:
    sent(desk, opened, workbook(change=lambda sheet: setattr(sheet.parent.create_sheet("Old"), "sheet_state", "hidden")))
    shown = desk.get(at("list", opened.pk, newest(opened).pk)).content.decode()
    assert "The workbook has 1 hidden sheet: not read." in shown and "Old" not in shown


def test_the_page_shows_which_stands_first_in_dates_of_birth_and_lets_somebody_say_it(desk: Client, opened: Incident) -> None:
    rows = "full_name,email,stated_country,Birthday\nAnna Berg,a@example.org,DE,02/03/1980\nBen Roy,b@example.org,DE,25/03/1980\n"
    sent(desk, opened, rows.encode())
    batch = newest(opened)
    page = desk.get(at("list", opened.pk, batch.pk))
    assert page.context["columns"][-1]["ours"] == "date_of_birth_day_first"
    assert "The day stands first in its dates." in page.content.decode() and "the month first" in page.content.decode()
    confirmed(desk, batch)
    assert "read with the day first" in desk.get(at("list", opened.pk, batch.pk)).content.decode()


def test_a_list_without_a_name_is_imported_when_the_box_is_ticked(desk: Client, opened: Incident) -> None:
    sent(desk, opened, b"Customer ID,Who,email,stated_country\nC1,Anna Berg,a@example.org,DE\n")
    batch = newest(opened)
    assert "nobody on this list will have a name" in desk.get(at("list", opened.pk, batch.pk)).content.decode()
    assert "nobody on this list will have a name" in confirmed(desk, batch) and not opened.people.exists()
    fields = {
        "column": ["customer_id", "who", "email", "stated_country"],
        "ours": ["customer_number", "", "email", "stated_country"],
    }
    assert "import begins" in posted(desk, "list_confirm", opened.pk, batch.pk, **fields, no_names="1")
    assert opened.people.count() == 1


def test_the_sample_rows_are_masked_until_somebody_says_why(desk: Client, opened: Incident, list_file: Path) -> None:
    sent(desk, opened, list_file.read_bytes())
    batch = newest(opened)
    masked = desk.get(at("list", opened.pk, batch.pk)).content.decode()
    assert not [word for word in PERSONAL if word in masked]
    for unseen in ("", " ", "\u200b", "\u202e", "\u3164"):
        refused = desk.post(at("list_reveal", opened.pk, batch.pk), {"purpose": unseen})
        assert "purpose" in said(refused) and not AuditEvent.objects.filter(action="access.viewed").exists()
    opened_page = desk.post(at("list_reveal", opened.pk, batch.pk), {"purpose": "to check the columns"}, follow=True)
    assert "Wandermann" in opened_page.content.decode()
    entry = AuditEvent.objects.get(action="access.viewed")
    assert "to check the columns" in entry.line
    assert "Wandermann" not in entry.line


def test_a_list_in_another_encoding_is_asked_and_then_read(desk: Client, opened: Incident) -> None:
    sent(desk, opened, "full_name;email;stated_country\nZoë Müller;zoe@example.org;DE\n".encode("cp1252"))
    batch = newest(opened)
    page = desk.get(at("list", opened.pk, batch.pk))
    assert "is not UTF-8" in page.context["problem"]
    shown = page.content.decode()
    assert "--encoding" not in shown and "the field Encoding (cp1252) under &#x27;Read the file in another way&#x27;" in shown
    assert "seen" not in page.context
    page = desk.get(at("list", opened.pk, batch.pk), {"encoding": "cp1252"})
    assert page.context["problem"] == ""
    assert [column["ours"] for column in page.context["columns"]] == ["full_name", "email", "stated_country"]


def test_a_newer_list_is_read_as_its_own_bytes_are_and_the_page_says_that_the_last_was_otherwise(
    desk: Client, opened: Incident
) -> None:
    rows = "Kunden-Nr;Vorname;Nachname;E-Mail;Straße;Land\n1001;Jürgen;Müller;juergen@example.com;Hauptstraße 1;DE\n"
    sent(desk, opened, rows.encode("cp1252"), source="shop")
    batch = newest(opened)
    page = desk.get(at("list", opened.pk, batch.pk), {"encoding": "cp1252"})
    names = [column["name"] for column in page.context["columns"]]
    fields = {"column": names, "ours": [column["ours"] for column in page.context["columns"]], "encoding": "cp1252"}
    posted(desk, "list_confirm", opened.pk, batch.pk, **fields)
    sent(desk, opened, rows.replace("e 1;", "e 2;").replace(";", ",").encode(), source="shop")
    newer = newest(opened)
    page = desk.get(at("list", opened.pk, newer.pk))
    assert [column["name"] for column in page.context["columns"]] == names and page.context["seen"].guessed is False
    shown = page.content.decode()
    assert "The last list of this source was cp1252; this one is read as UTF-8." in shown
    assert "The last list of this source was divided by semicolon; this one by comma." in shown
    confirmed(desk, newer)
    confirmed(desk, newer)
    newer.refresh_from_db()
    assert (newer.state, newer.encoding, newer.delimiter) == (BatchState.DONE, "utf-8-sig", ",")
    assert newer.difference == {**(newer.difference or {}), "new": 0, "missing": 0}


def test_a_list_of_one_column_is_imported_and_a_delimiter_that_is_asked_for_is_named_in_words(
    desk: Client, opened: Incident
) -> None:
    sent(desk, opened, b"News\nof today\n")
    page = desk.get(at("list", opened.pk, newest(opened).pk)).content.decode()
    assert "Possible: comma, semicolon, tab, bar" in page
    sent(desk, opened, b"email\nreader1@example.org\nreader2@example.org\nReader1@example.org\n")
    batch = newest(opened)
    fields = {"column": ["email"], "ours": ["email"], "no_names": "1"}
    posted(desk, "list_confirm", opened.pk, batch.pk, **fields)
    batch.refresh_from_db()
    assert (batch.state, batch.rows, opened.people.count()) == (BatchState.DONE, 3, 2)


def test_of_a_list_that_cannot_be_read_nobody_is_asked_for_its_columns_and_the_way_out_is_said(
    desk: Client, opened: Incident
) -> None:
    sent(desk, opened, b'full_name,email,country\n"Ann Lee,ann@example.com,GB\nBob Ray,bob@example.com,GB\n')
    batch = newest(opened)
    page = desk.get(at("list", opened.pk, batch.pk)).content.decode()
    assert "quotation mark" in page and "uploaded, cannot be read as it is" in page and "waits for its columns" not in page
    assert "correct it where it was made, and upload it again" in page and 'href="#give-up"' in page
    assert "uploaded, not read yet" in desk.get(at("lists", opened.pk)).content.decode()
    shown = desk.get(at("desk", opened.pk)).content.decode()
    assert "1 list uploaded and not read: look why" in shown and "confirm the columns" not in shown


def test_the_same_list_again_changes_nothing_and_says_so(desk: Client, opened: Incident, list_file: Path) -> None:
    sent(desk, opened, list_file.read_bytes())
    confirmed(desk, newest(opened))
    before = opened.people.count()
    sent(desk, opened, list_file.read_bytes())
    assert opened.people.count() == before
    assert opened.imports.filter(state=BatchState.DONE).count() == 1


def test_a_newer_version_shows_what_it_changes_before_it_is_imported(desk: Client, opened: Incident, list_file: Path) -> None:
    sent(desk, opened, list_file.read_bytes(), source="shop")
    confirmed(desk, newest(opened))
    people = opened.people.count()
    lines = list_file.read_text().splitlines()
    newer = "\n".join([*lines, lines[1].replace("claire", "dora").replace("Claire", "Dora").replace("C1", "C77")]) + "\n"
    sent(desk, opened, newer.encode(), source="shop")
    batch = newest(opened)
    assert "found out" in confirmed(desk, batch)
    batch.refresh_from_db()
    assert (batch.state, batch.difference["new"], opened.people.count()) == (BatchState.UPLOADED, 1, people)
    assert "What this newer version changes" in desk.get(at("list", opened.pk, batch.pk)).content.decode()
    confirmed(desk, batch)
    assert opened.people.count() == people + 1


def test_a_refused_list_says_why_and_nothing_of_it_is_kept(desk: Client, opened: Incident) -> None:
    sent(desk, opened, b"%PDF-1.7 not a list")
    batch = opened.imports.order_by("-id").first()
    page = desk.get(at("list", opened.pk, batch.pk)) if batch else desk.get(at("lists", opened.pk))
    assert "PDF" in page.content.decode()
    assert not opened.people.exists()


def test_a_bomb_is_refused_for_good_with_the_reason_on_its_page_and_no_part_is_kept(desk: Client, opened: Incident) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("[Content_Types].xml", bytes(32 * 1024**2))
    sent(desk, opened, bomb.getvalue())
    batch = newest(opened)
    shown = desk.get(at("list", opened.pk, batch.pk)).content.decode()
    batch.refresh_from_db()
    assert (batch.state, ImportPart.objects.exists()) == (BatchState.REFUSED, False)
    assert "more than 100 times its size" in batch.refusal and "more than 100 times its size" in shown
    assert '<span class="pill bad">refused</span>' in shown and "Read the file in another way" not in shown
    assert AuditEvent.objects.filter(action="source.refused").count() == 1


def test_loading_the_page_of_a_list_changes_nothing_of_it(desk: Client, opened: Incident, officer: User) -> None:
    listed = receive(incident=opened, chunks=["full_name;email\nZoë;zoe@example.org\n".encode("cp1252")], author=officer)
    # As if it came before lists were looked at on arrival: no reading of it would help.
    hopeless = receive(incident=opened, chunks=[b"%PDF-1.7 not a list"], author=officer)
    before, parts = list(opened.imports.order_by("id").values()), ImportPart.objects.count()
    for batch in (listed, hopeless):
        for asked in ({}, {"encoding": "cp1252"}, {"encoding": "koi8-r", "delimiter": "|"}):
            assert desk.get(at("list", opened.pk, batch.pk), asked).status_code == 200
    assert "PDF" in desk.get(at("list", opened.pk, hopeless.pk)).content.decode()
    assert list(opened.imports.order_by("id").values()) == before and ImportPart.objects.count() == parts
    assert not AuditEvent.objects.filter(action="source.refused").exists()
    assert "PDF" in posted(desk, "list_confirm", opened.pk, hopeless.pk)
    assert (newest(opened).state, ImportPart.objects.count()) == (BatchState.REFUSED, parts - 1)


def test_a_list_that_cannot_be_read_in_any_way_is_refused_as_it_arrives(desk: Client, opened: Incident) -> None:
    assert "PDF" in sent(desk, opened, b"%PDF-1.7 not a list")
    assert (newest(opened).state, ImportPart.objects.exists()) == (BatchState.REFUSED, False)


def test_a_sheet_is_carried_on_by_its_place_for_it_may_be_called_after_somebody(desk: Client, opened: Incident) -> None:
    sent(desk, opened, workbook(change=lambda sheet: sheet.parent.create_sheet("Petra Planted")))
    where = (opened.pk, newest(opened).pk)
    assert "#1 &#x27;Sheet&#x27;, #2 &#x27;Petra Planted&#x27;" in desk.get(at("list", *where)).content.decode()
    shown = desk.get(at("list", *where), {"sheet": "Sheet"}).content.decode()
    assert shown.count('name="sheet" value="#1"') == 3 and 'value="Sheet"' not in shown


def test_unmasked_rows_are_read_as_the_page_reads_them(desk: Client, opened: Incident) -> None:
    sent(desk, opened, "full_name;email\nZoë Müller;zoe@example.org\n".encode("cp1252"))
    where, asked = (opened.pk, newest(opened).pk), {"encoding": "cp1252"}
    assert 'name="encoding" value="cp1252"' in desk.get(at("list", *where), asked).content.decode()
    shown = desk.post(at("list_reveal", *where), {"purpose": "to check the columns", **asked}, follow=True)
    assert "Zoë Müller" in shown.content.decode()


@pytest.mark.parametrize("asked", ["--encoding utf-16-le", "--delimiter ';'", "--sheet 'Kunden 2'"])
def test_no_refusal_on_a_page_names_an_option_of_the_command_line(asked: str) -> None:
    name, _, value = asked.partition(" ")
    shown = on_the_page(f"Say it, for example {asked}.")
    assert "--" not in shown and f"({value})" in shown and name[2:4] in shown.lower()


@pytest.mark.parametrize("mark", OFFERED)
def test_every_encoding_that_a_refusal_offers_can_be_chosen_on_the_page(mark: str) -> None:
    assert mark in dict(ENCODINGS)


@pytest.mark.parametrize(
    ("encoding", "name", "other", "wrong"),
    [
        ("cp1251", "Дарья", "cp1252", "Ä"),
        ("cp932", "髙橋花子", "gb18030", "钹"),
        ("euc-kr", "김철수", "big5", "梯"),
        ("koi8-r", "Дарья", "cp1251", "д"),
    ],
)
def test_the_first_rows_are_shown_under_the_encoding_that_is_chosen(
    desk: Client, opened: Incident, encoding: str, name: str, other: str, wrong: str
) -> None:
    sent(desk, opened, f"full_name,email\n{name},d@example.org\n".encode(encoding))
    where = at("list", opened.pk, newest(opened).pk)
    assert "is not UTF-8" in desk.get(where).content.decode()
    for chosen, first in ((other, wrong), (encoding, name[0])):
        page = desk.get(where, {"encoding": chosen}).content.decode()
        assert f">{first}•••" in page and f'<option value="{chosen}" selected>' in page


def test_a_list_can_be_given_up_and_leaves_no_part_behind(desk: Client, opened: Incident, list_file: Path) -> None:
    sent(desk, opened, list_file.read_bytes())
    batch = newest(opened)
    assert ImportPart.objects.filter(batch=batch).exists()
    assert "given up" in posted(desk, "list_cancel", opened.pk, batch.pk)
    assert not ImportPart.objects.filter(batch=batch).exists()


def test_the_name_that_the_browser_gives_is_never_kept(desk: Client, opened: Incident, list_file: Path) -> None:
    sent(desk, opened, list_file.read_bytes(), name='"><img src=x>../../etc/passwd\u202egpj.csv')
    shown = desk.get(at("list", opened.pk, newest(opened).pk)).content.decode()
    assert "passwd" not in shown
    assert not AuditEvent.objects.filter(line__contains="passwd").exists()


def test_an_upload_without_a_file_or_without_its_token_is_refused(opened: Incident, desk: Client, officer: User) -> None:
    assert "Choose a file" in posted(desk, "upload", opened.pk, source="shop")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(officer)
    response = strict.post(at("upload", opened.pk), {"list": SimpleUploadedFile("a.csv", b"email\n")})
    assert response.status_code == 403
    assert not opened.imports.exists()


def test_what_lies_on_the_disk_while_a_list_arrives_is_encrypted() -> None:
    spool = Spool()
    secret = b"Wandermann;" * (PIECE // 8)
    spool.write(secret)
    spool.write(b"end")
    spool._file.flush()
    spool._file.seek(0)
    assert b"Wandermann" not in spool._file.read()
    assert b"".join(spool.pieces()) == secret + b"end"
    spool.close()


def test_the_progress_of_a_list_is_a_part_of_the_page_that_holds_no_personal_data(
    desk: Client, opened: Incident, list_file: Path
) -> None:
    sent(desk, opened, list_file.read_bytes())
    batch = newest(opened)
    ImportBatch.objects.filter(pk=batch.pk).update(state=BatchState.READING, rows_staged=3)
    assert BatchState.READING in MOVING
    assert "3 rows read" in desk.get(at("list_progress", opened.pk, batch.pk)).content.decode()


def test_after_the_freeze_a_list_joins_the_open_amendment(desk: Client, campaign: object, case: Incident, officer: User) -> None:
    late = b"person_id,full_name,email,stated_country\nlate-1,Lara Late,lara@example.org,FR\n"
    sent(desk, case, late)
    batch = case.imports.order_by("-id").first()
    assert batch is not None
    assert "frozen" in confirmed(desk, batch)
    open_amendment(incident=case, reason="found in a second database", aware_at=NOW, author=officer)
    assert "import begins" in confirmed(desk, batch)
    batch.refresh_from_db()
    person = case.people.get(reference="late-1")
    assert (batch.state, person.amendment) == (BatchState.DONE, case.amendments.get())


def test_a_list_that_nobody_carries_on_is_picked_up_by_the_tick(
    desk: Client, opened: Incident, list_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("incidents.admin.lists.wake_import", lambda batch_id, **_: False)
    sent(desk, opened, list_file.read_bytes())
    batch = newest(opened)
    assert "when the importer looks again" in confirmed(desk, batch)
    tasks.import_waiting()
    assert ImportBatch.objects.get(pk=batch.pk).state == BatchState.DONE
    assert carry_on(batch=batch).already_known


def test_a_fault_with_one_list_is_told_on_its_page_and_holds_up_no_other(
    desk: Client, opened: Incident, list_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("incidents.admin.lists.wake_import", lambda batch_id, **_: False)
    sent(desk, opened, list_file.read_bytes())
    broken = newest(opened)
    confirmed(desk, broken)
    sent(desk, opened, b"person_id,full_name,email,stated_country\nnew-1,Nora New,nora@example.org,FR\n")
    other = newest(opened)
    confirmed(desk, other)
    assert other.pk > broken.pk
    carry = tasks.carry_on

    def fails(*, batch: ImportBatch, wait: bool) -> object:
        if batch.pk == broken.pk:
            raise ReaderBroken("IndexError at line 7")
        return carry(batch=batch, wait=wait)

    monkeypatch.setattr(tasks, "carry_on", fails)
    tasks.import_waiting()
    assert ImportBatch.objects.get(pk=other.pk).state == BatchState.DONE
    page = desk.get(at("list", opened.pk, broken.pk)).content.decode()
    assert "A fault of the program stops this list (ReaderBroken)" in page and "tried again by itself" in page
    assert "line 7" not in caplog.text
    monkeypatch.setattr(tasks, "carry_on", carry)
    tasks.import_waiting()
    broken.refresh_from_db()
    assert (broken.state, broken.refusal) == (BatchState.DONE, "")


def test_a_wrong_master_key_is_told_in_words_on_every_page(desk: Client, case: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(**_: object) -> None:
        raise MasterKeyWrong("The master key does not open this incident.")

    monkeypatch.setattr("incidents.admin.people.Vault", wrong)
    response = desk.get(at("people", case.pk))
    assert response.status_code == 503
    assert "The master key does not open this incident." in response.content.decode()


def chosen_on(desk: Client, batch: ImportBatch, query: str = "") -> list[str]:
    return [column["ours"] for column in desk.get(at("list", batch.incident_id, batch.pk) + query).context["columns"]]


def test_columns_that_are_refused_are_shown_as_they_were_chosen_and_not_as_they_are_guessed(
    desk: Client, opened: Incident
) -> None:
    content = "full_name;email;language;stated_country\nZoë Müller;zoe@example.org;de;DE\n"
    sent(desk, opened, content.encode("cp1252"), source="shop")
    batch, where = newest(opened), "?encoding=cp1252"
    chosen = ["full_name", "email", "", "email"]
    fields = {"column": ["full_name", "email", "language", "stated_country"], "ours": chosen, "elements": "username"}
    refused = desk.post(at("list_confirm", opened.pk, batch.pk), {**fields, "encoding": "cp1252"})
    assert refused["Location"] == at("list", opened.pk, batch.pk) + where
    page = desk.get(refused["Location"])
    assert 'role="alert"' in page.content.decode() and "<title>Refused: " in page.content.decode()
    assert chosen_on(desk, batch, where) == chosen
    shown = page.content.decode()
    assert re.findall(r'value="(\w+)" checked', shown) == ["username"] and "as it was chosen before" in shown
    batch.refresh_from_db()
    assert batch.state == BatchState.UPLOADED
    assert "import begins" in posted(
        desk, "list_confirm", opened.pk, batch.pk, encoding="cp1252", **fields | {"ours": ["full_name", "email", "", ""]}
    )
    assert "columns" not in desk.session


def test_choices_hold_for_their_own_list_only_and_name_no_column(desk: Client, opened: Incident) -> None:
    for content in (b"full_name;email;Zoe Private\nZoe;zoe@example.org;1\n", b"full_name;email\nAda;ada@example.org\n"):
        sent(desk, opened, content)
    first, second = opened.imports.order_by("id")
    fields = {"column": ["full_name", "email", "Zoe Private"], "ours": ["email", "email", "sql"], "elements": "no-such-word"}
    posted(desk, "list_confirm", opened.pk, first.pk, **fields)
    assert "Zoe" not in str(dict(desk.session))
    assert chosen_on(desk, first) == ["email", "email", ""]
    assert chosen_on(desk, second) == ["full_name", "email"]


def test_after_the_comparison_the_columns_are_those_that_were_compared(desk: Client, opened: Incident, counsel: User) -> None:
    sent(desk, opened, b"full_name;email;language\nAda;ada@example.org;en\n", source="shop")
    confirmed(desk, newest(opened))
    sent(desk, opened, b"full_name;email;language\nAda;ada@example.org;en\nBea;bea@example.org;en\n", source="shop")
    batch, chosen = newest(opened), ["full_name", "email", ""]
    fields = {"column": ["full_name", "email", "language"], "ours": chosen, "elements": ["username"]}
    assert "found out" in posted(desk, "list_confirm", opened.pk, batch.pk, **fields)
    for reader in (desk, signed_in(counsel)):
        assert chosen_on(reader, batch) == chosen
    assert "checked" in desk.get(at("list", opened.pk, batch.pk)).content.decode()


def test_what_is_changed_after_the_comparison_is_compared_anew_before_anything_is_imported(
    desk: Client, opened: Incident, importer: list[int]
) -> None:
    sent(desk, opened, b"full_name;email;language\nAda;ada@example.org;en\n", source="shop")
    confirmed(desk, newest(opened))
    sent(desk, opened, b"full_name;email;language\nAda;ada@example.org;fr\nBea;bea@example.org;en\n", source="shop")
    batch, names = newest(opened), ["full_name", "email", "language"]
    whole = {"column": names, "ours": names, "elements": [], "country": ""}
    posted(desk, "list_confirm", opened.pk, batch.pk, **whole)
    assert (seen := newest(opened).difference) and (seen["language"], seen["unchanged"]) == (1, 0)
    for changed, language in (({"ours": ["full_name", "email", ""]}, 0), ({"elements": ["username"]}, 1), ({"country": "FR"}, 1)):
        answer = posted(desk, "list_confirm", opened.pk, batch.pk, **(whole | changed))
        assert "found out anew" in answer
        assert newest(opened).state == BatchState.UPLOADED, "nothing is imported that was not shown"
        assert (seen := newest(opened).difference)
        assert seen.get("language", 0) + seen["changed"] == (0 if not language else 1)
    woken = len(importer)
    assert "Confirmed" in posted(desk, "list_confirm", opened.pk, batch.pk, **(whole | {"country": "FR"}))
    assert newest(opened).state == BatchState.DONE and len(importer) == woken + 1


def test_a_list_that_was_imported_after_the_comparison_is_compared_with(desk: Client, opened: Incident) -> None:
    sent(desk, opened, b"full_name;email\nAda;ada@example.org\n", source="shop")
    confirmed(desk, newest(opened))
    sent(desk, opened, b"full_name;email\nAda;ada@example.org\nBea;bea@example.org\n", source="shop")
    batch = newest(opened)
    confirmed(desk, batch)
    sent(desk, opened, b"full_name;email\nBea;bea@example.org\nCid;cid@example.org\n", source="shop")
    other = newest(opened)
    confirmed(desk, other)
    confirmed(desk, other)
    batch.refresh_from_db()
    assert batch.difference and (batch.difference["new"], batch.difference["unchanged"]) == (1, 1)
    assert "found out anew" in confirmed(desk, batch)
    batch.refresh_from_db()
    assert batch.replaces_id == other.pk and batch.difference and batch.difference["unchanged"] == 2
    assert "Confirmed" in confirmed(desk, batch)


def test_a_file_that_is_already_imported_is_said_to_be_and_nothing_is_offered_for_it(
    desk: Client, opened: Incident, list_file: Path
) -> None:
    sent(desk, opened, list_file.read_bytes())
    batch = newest(opened)
    assert 'id="give-up"' in desk.get(at("list", opened.pk, batch.pk)).content.decode()
    confirmed(desk, batch)
    again = sent(desk, opened, list_file.read_bytes())
    assert again.splitlines()[-1] == f"This very file is already imported, as list {batch.pk}. Nothing was changed."
    page = desk.get(at("list", opened.pk, batch.pk)).content.decode()
    assert "Give this list up" not in page and "data-refresh" not in page
    progress = desk.get(at("list_progress", opened.pk, batch.pk)).content.decode()
    assert 'data-gone="give-up"' in progress and "data-settled" in progress, "a page left open takes both buttons away"


def test_a_page_that_waits_for_a_comparison_asks_again_by_itself_and_goes_on_to_what_was_found(
    desk: Client, opened: Incident, list_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(desk, opened, list_file.read_bytes(), source="shop")
    confirmed(desk, newest(opened))
    sent(desk, opened, list_file.read_bytes() + b"\n", source="shop")
    batch = newest(opened)
    monkeypatch.setattr("incidents.admin.lists.wake_import", lambda *_, **__: True)
    page = desk.get(at("list", opened.pk, batch.pk))
    columns = {"column": [c["name"] for c in page.context["columns"]], "ours": [c["ours"] for c in page.context["columns"]]}
    answer = desk.post(at("list_confirm", opened.pk, batch.pk), columns)
    assert answer["Location"] == f"{at('list', opened.pk, batch.pk)}?comparing=1"
    waits = desk.get(answer["Location"]).content.decode()
    progress = f"{at('list_progress', opened.pk, batch.pk)}?comparing=1"
    assert f'data-refresh="{progress}"' in waits and "being compared" in waits and "Confirm the columns and compare" not in waits
    assert "data-next" not in desk.get(progress).content.decode()
    tasks.import_difference(batch.pk)
    assert f'data-next="{at("list", opened.pk, batch.pk)}"' in desk.get(progress).content.decode()
    assert "What this newer version changes" in desk.get(answer["Location"]).content.decode()


def words(page: HttpResponse) -> str:
    """What a page says, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", "", page.content.decode()).split())


def selected(page: str) -> list[str]:
    """What is chosen in the field of the country that holds for everybody."""
    field = re.search(r'<select id="country".*?</select>', page, re.DOTALL)
    return re.findall(r'value="([^"]*)" selected', field[0]) if field else ["no field"]


NOWHERE = b"full_name;email\nAda;ada@example.org\nBea;bea@example.org\n"


def test_where_everybody_lives_is_said_on_the_page_and_shown_with_who_said_it(desk: Client, opened: Incident) -> None:
    sent(desk, opened, NOWHERE)
    batch = newest(opened)
    page = desk.get(at("list", opened.pk, batch.pk)).content.decode()
    assert selected(page) == [] and "an assumption about all rows" in page and '<option value="DE">Germany' in page
    assert '<option value="US">United States' in page and '<option value="EU"' not in page and '<option value="US-CA"' not in page
    fields = {"column": ["full_name", "email"], "ours": ["full_name", "email"], "country": "DE"}
    assert "import begins" in posted(desk, "list_confirm", opened.pk, batch.pk, **fields)
    assert {(one.residence, one.residence_from, one.confidence) for one in opened.people.all()} == {
        ("DE", "list_country", "weak")
    }
    shown = words(desk.get(at("list", opened.pk, batch.pk)))
    assert (
        "Germany (DE), said by officer of all rows that name no country of their own: 2 rows lived by it when it was imported"
        in shown
    )
    one = opened.people.first()
    assert one and f"DE was said of the whole list {batch.pk} by officer" in words(desk.get(at("person", opened.pk, one.pk)))


def test_a_country_that_is_refused_or_chosen_stays_chosen_and_what_is_none_is_not_kept(desk: Client, opened: Incident) -> None:
    sent(desk, opened, NOWHERE)
    batch = newest(opened)
    fields = {"column": ["full_name", "email"], "ours": ["email", "email"]}
    posted(desk, "list_confirm", opened.pk, batch.pk, **fields, country="AT")
    assert selected(desk.get(at("list", opened.pk, batch.pk)).content.decode()) == ["AT"]
    fields["ours"] = ["full_name", "email"]
    assert "EU is no country" in posted(desk, "list_confirm", opened.pk, batch.pk, **fields, country="EU")
    assert "no code of a country" in posted(desk, "list_confirm", opened.pk, batch.pk, **fields, country="<b>x</b>")
    batch.refresh_from_db()
    assert selected(desk.get(at("list", opened.pk, batch.pk)).content.decode()) == []
    assert (batch.state, batch.list_country) == (BatchState.UPLOADED, "")


def test_a_newer_version_shows_what_was_said_of_the_earlier_one_and_lets_somebody_say_nothing(
    desk: Client, opened: Incident
) -> None:
    fields = {"column": ["full_name", "email"], "ours": ["full_name", "email"]}
    sent(desk, opened, NOWHERE, source="shop")
    posted(desk, "list_confirm", opened.pk, newest(opened).pk, **fields, country="DE")
    first = newest(opened)
    sent(desk, opened, NOWHERE + b"Cyd;cyd@example.org\n", source="shop")
    batch = newest(opened)
    page = desk.get(at("list", opened.pk, batch.pk))
    assert selected(page.content.decode()) == ["DE"] and f"As officer said of list {first.pk}, the earlier version." in words(
        page
    )
    assert "found out" in posted(desk, "list_confirm", opened.pk, batch.pk, **fields, country="")
    assert selected(desk.get(at("list", opened.pk, batch.pk)).content.decode()) == []
    assert "import begins" in posted(desk, "list_confirm", opened.pk, batch.pk, **fields, country="")
    assert sorted(opened.people.values_list("residence", flat=True)) == ["DE", "DE", "ZZ"]


def test_a_reject_file_offers_no_country_for_all(desk: Client, opened: Incident) -> None:
    sent(desk, opened, b"correction_of;full_name;email\n1-2;Ada;ada@example.org\n")
    assert selected(desk.get(at("list", opened.pk, newest(opened).pk)).content.decode()) == ["no field"]
