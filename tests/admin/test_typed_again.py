"""What somebody typed is back in its form when it is refused: in a real browser, whose requests the desk answers here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.db import connections
from django.test import Client
from django.test.testcases import LiveServerThread
from playwright.sync_api import Page

from incidents.models import Campaign, Incident
from incidents.people.uploads import receive
from tests.admin.case import at, signed_in
from tests.browser import browser as chromium

pytestmark = pytest.mark.django_db
KEPT = "sessionStorage.getItem('desk.kept')"


@pytest.fixture
def here(desk: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The desk's address. It sees what the test has written, which is rolled back afterwards."""
    connection = connections["default"]
    monkeypatch.setattr(connection, "close", lambda: None)  # it is the test's own, and no request's
    connection.inc_thread_sharing()
    server = LiveServerThread("127.0.0.1", StaticFilesHandler, {"default": connection})
    server.daemon = True
    server.start()
    server.is_ready.wait()
    assert server.error is None
    yield f"http://127.0.0.1:{server.port}"
    server.terminate()
    connection.dec_thread_sharing()


@contextmanager
def tab(client: Client, here: str, *, script: bool = True) -> Iterator[Page]:
    """A browser's tab with the session of this client. While it is open only the desk asks the database."""
    with chromium() as running:
        context = running.new_context(java_script_enabled=script)
        context.set_default_timeout(20_000)
        comes_in(context.new_page(), client.cookies, here)
        yield context.pages[0]


def comes_in(page: Page, cookies: SimpleCookie, here: str) -> None:
    page.context.add_cookies([{"name": "sessionid", "value": cookies["sessionid"].value, "url": here}])


def sent(page: Page, button: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=button, exact=True).click()


def test_somebody_whose_decision_is_refused_finds_ticks_date_and_reason_again_and_hears_why(
    here: str, desk: Client, case: Incident
) -> None:
    with tab(desk, here) as page:
        page.goto(here + at("queue", case.pk, "address"))
        page.locator("input[name=entry]").first.check()
        page.get_by_label("all 1 in this list").check()
        page.locator("#reason").fill("the shop asks")
        page.locator("#until").fill("2020-01-01")
        sent(page, "Hold")
        assert page.title().startswith("Refused: ")
        assert page.evaluate("document.activeElement.getAttribute('role')") == "alert"
        assert page.locator("input[name=entry]").first.is_checked() and page.get_by_label("all 1 in this list").is_checked()
        assert (page.locator("#reason").input_value(), page.locator("#until").input_value()) == ("the shop asks", "2020-01-01")
        assert page.evaluate(KEPT) is None, "it stands in the form now, and nowhere else"
        page.goto(here + at("queue", case.pk, "address"))
        assert page.locator("#reason").input_value() == "" and not page.title().startswith("Refused")


def test_a_form_in_a_closed_box_is_open_when_it_was_refused(here: str, desk: Client, case: Incident) -> None:
    person = case.people.get(reference="claire")
    with tab(desk, here) as page:
        page.goto(here + at("person", case.pk, person.pk))
        form = page.locator(f"form[action='{at('correct', case.pk, person.pk)}']")
        page.evaluate("for (const box of document.querySelectorAll('details')) box.open = true")
        form.locator("[name=reason]").fill("she called")
        form.locator("[name=date_of_birth]").evaluate("box => { box.type = 'text'; box.value = 'in spring' }")
        with page.expect_navigation():
            form.evaluate("form => form.requestSubmit()")
        assert page.title().startswith("Refused: ")
        assert form.locator("[name=reason]").is_visible() and form.locator("[name=reason]").input_value() == "she called"


def test_what_was_typed_is_back_after_a_session_that_ended_but_only_for_who_typed_it(
    here: str, desk: Client, campaign: Campaign, counsel: User
) -> None:
    where, both = here + at("campaign", campaign.incident_id, campaign.pk), (desk.cookies, signed_in(counsel).cookies)
    with tab(desk, here) as page:
        for cookies, back in zip(both, ("a mistake", ""), strict=True):
            comes_in(page, desk.cookies, here)
            page.goto(where)
            page.evaluate("for (const box of document.querySelectorAll('details')) box.open = true")
            page.locator("#stop-reason").fill("a mistake")
            page.context.clear_cookies(name="sessionid")
            with page.expect_navigation():
                page.locator("form[action$='/stop/']").evaluate("form => form.requestSubmit()")
            assert "was not done" in page.content() and "a mistake" in page.evaluate(KEPT)
            comes_in(page, cookies, here)
            page.goto(where)
            assert page.locator("#stop-reason").input_value() == back
            assert page.evaluate(KEPT) is None


def test_whoever_looks_at_the_rows_before_an_import_finds_what_was_chosen_for_the_columns_again(
    here: str, desk: Client, opened: Incident, officer: User
) -> None:
    rows = b"Name,Mail,Wo\nAnna Berg,anna@example.org,DE\n"
    batch = receive(incident=opened, chunks=[rows], author=officer)
    with tab(desk, here) as page:
        page.goto(here + at("list", opened.pk, batch.pk))
        page.get_by_label("What wo holds").select_option("shipping_country")
        page.get_by_label("Everybody on this list lives in").select_option("FR")
        page.get_by_label("Purpose of seeing them unmasked").fill("which column is the country")
        sent(page, "Show (it is logged)")
        assert "anna@example.org" in page.content()
        assert page.get_by_label("What wo holds").input_value() == "shipping_country"
        assert page.get_by_label("Everybody on this list lives in").input_value() == "FR"


def test_nothing_hidden_is_kept_nothing_beyond_a_quarter_of_an_hour_and_nothing_after_sign_out(
    here: str, desk: Client, case: Incident
) -> None:
    where = here + at("queue", case.pk, "address")
    with tab(desk, here) as page:
        page.goto(where)
        page.evaluate("addEventListener('submit', event => event.preventDefault())")
        page.locator("#reason").fill("the shop asks")
        page.get_by_role("button", name="Hold", exact=True).click()
        kept = page.evaluate(KEPT)
        assert "the shop asks" in kept and "csrf" not in kept and "status" not in kept
        page.evaluate("document.getElementById('logout-form').requestSubmit()")
        assert page.evaluate(KEPT) is None
        page.get_by_role("button", name="Hold", exact=True).click()
        page.evaluate(f"sessionStorage.setItem('desk.kept', {KEPT}.replace(/\"at\":\\d+/, '\"at\":' + (Date.now() - 900001)))")
        with page.expect_navigation():
            page.evaluate("document.querySelector('form[action$=\"decide/\"]').submit()")  # which keeps nothing anew
        assert page.title().startswith("Refused: ") and page.locator("#reason").input_value() == ""
        assert page.evaluate(KEPT) is None


def test_without_script_a_refusal_is_still_told(here: str, desk: Client, case: Incident) -> None:
    with tab(desk, here, script=False) as page:
        page.goto(here + at("queue", case.pk, "address"))
        sent(page, "Hold")
        assert page.title().startswith("Refused: ")
        assert "No entry is chosen" in page.get_by_role("alert").inner_text()
