"""The desk as officer and counsel use it, in a real browser: from an empty machine to a bundle that verifies."""

from __future__ import annotations

import csv
import json
import re
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect

from tests.browser import browser as chromium
from tests.installation import Installation

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PARIS = ZoneInfo("Europe/Paris")
GAP = "2025-03-30T02:30"  # summer time began at two in Paris: this minute never was
REFERENCE = "maison-doree-2026"
CONTROLLER = {
    "Brand": "Maison Dorée",
    "Legal entity": "Maison Dorée SA",
    "Trusted site": "maison-doree.example",
    "Telephone (needed)": "+33 1 00 00 00 00",
    "Sender's name": "Maison Dorée",
    "Sender's e-mail": "privacy@maison-doree.example",
    "Data protection officer": "The data protection office",
    "Officer's e-mail": "dpo@maison-doree.example",
}
PEOPLE = (
    ("claire", "Claire Dubois", "claire@example.org", "FR", "", "fr"),
    ("dieter", "Dieter Weiß", "dieter@example.org", "DE", "", "de"),
    ("carl", "Carl O'Brien", "carl@example.com", "US", "US-CA Beverly Hills", "en"),
    ("yuki", "佐藤 由紀", "yuki@example.net", "JP", "", "ja"),
    ("marc", "Marc Petit", "marc.petit@@example", "FR", "", "fr"),
    ("hanna", "Hanna Hart", "hanna@hard-bounce.test", "IE", "", "en"),
)  # fmt: skip
ELEMENTS = "name;email;country"


@dataclass
class Person:
    """Somebody at a browser of their own. Every page they come to is looked at, wide and narrow."""

    name: str
    page: Page
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        self.page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(f"console at {self.page.url}: {message.text}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status} {response.request.method} {response.url}")

    def look(self, heading: str) -> None:
        """The page has come; it holds together on a desk and on a telephone."""
        expect(self.page.locator("h1").last).to_contain_text(heading)
        for size in (NARROW, WIDE):
            self.page.set_viewport_size(size)
            wide, room = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            if wide > room + 1:
                self.faults.append(f"{self.page.url} ('{heading}') is {wide} px wide in {room}")

    def press(self, button: str, *, then: str) -> None:
        """Press a button that leads to a page."""
        self.page.get_by_role("button", name=button, exact=True).click()
        self.look(then)

    def follow(self, link: str | re.Pattern[str], *, then: str) -> None:
        """Follow a link of the page."""
        self.page.get_by_role("main").get_by_role("link", name=link, exact=True).first.click()
        self.look(then)

    def tab(self, name: str, *, then: str = "") -> None:
        """Go to another page of this incident."""
        self.page.get_by_role("navigation", name="Pages of this incident").get_by_role("link", name=name, exact=True).click()
        self.look(then or name)

    def sees(self, text: str | re.Pattern[str]) -> None:
        """The text stands somewhere on the page."""
        expect(self.page.locator("#container")).to_contain_text(text)

    def walk_to(self, selector: str) -> None:
        """Press Tab until this has the focus, as somebody without a mouse does; the focus shows."""
        for _ in range(250):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("one => document.activeElement.matches(one)", selector):
                return
        raise AssertionError(f"{selector} cannot be reached with Tab on {self.page.url}")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A fresh machine after `manage.py up`."""
    var = tmp_path_factory.mktemp("desk") / "var"
    var.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    here = Installation(var, {"PORT": str(port)})
    try:
        here.start("up")
        here.wait_for("The desk:")
        yield here
    finally:
        here.stop()


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def sit_down(machine: Installation, running: Browser) -> Iterator[Callable[[str], Person]]:
    """Give somebody a browser of their own, at the front door; at the end nothing must have gone wrong in any."""
    people: list[Person] = []

    def sit(name: str) -> Person:
        context = running.new_context(viewport=WIDE, locale="en-GB", timezone_id="Europe/Paris", accept_downloads=True)
        context.set_default_timeout(15_000)
        page = context.new_page()
        person = Person(name, page)
        people.append(person)
        page.goto(f"http://127.0.0.1:{machine.extra['PORT']}/admin/")
        return person

    yield sit
    for person in people:
        person.page.context.close()


def test_from_an_empty_machine_to_a_bundle_that_verifies(
    machine: Installation, sit_down: Callable[[str], Person], tmp_path: Path
) -> None:
    file = machine.var / "sign-ins.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    passwords: dict[str, str] = json.loads(file.read_text())

    officer = sit_down("officer")
    sign_in_by_keyboard(officer, passwords["officer"])
    aware = datetime.now(PARIS).replace(second=0, microsecond=0) - timedelta(hours=5)
    open_an_incident(officer, aware)
    import_the_list(officer, write_list(tmp_path / "clients.csv"))
    hold_the_bad_address(officer)
    ask_the_law(officer, aware)
    record_findings(officer)
    read_a_letter_as_its_reader(officer)
    freeze(officer)
    approving_ones_own_work_is_refused(officer)

    counsel = sit_down("counsel")
    counsel_signs(counsel, passwords["counsel"])
    officer_releases(officer)
    everybody_is_accounted_for(officer)
    letters_lie_in_the_inbox(officer)
    look_behind_a_mask(officer)
    take_the_proof_away(officer, tmp_path)
    for person in (officer, counsel):
        person.press("Log out", then="Logged out")
    assert officer.faults == []
    assert counsel.faults == []


def write_list(path: Path) -> Path:
    columns = ("person_id", "full_name", "email", "stated_country", "loyalty_home_store", "language", "elements")
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows([*person, ELEMENTS] for person in PEOPLE)
    return path


def sign_in_by_keyboard(person: Person, password: str) -> None:
    keyboard = person.page.keyboard
    expect(person.page.locator("#id_username")).to_be_focused()
    keyboard.type(person.name)
    keyboard.press("Tab")
    keyboard.type(password)
    keyboard.press("Enter")
    person.look("Incidents")


def open_an_incident(officer: Person, aware: datetime) -> None:
    """First with an hour that never was and without the moment of awareness: both are named, and nothing typed is lost."""
    officer.sees("There is no incident yet")
    page, keyboard = officer.page, officer.page.keyboard
    officer.walk_to("a[href$='/incident/add/']")
    keyboard.press("Enter")
    officer.look("New incident")
    for box, text in (("reference", REFERENCE), ("title", "Client list of a boutique system copied")):
        officer.walk_to(f"#id_{box}")
        keyboard.type(text)
    page.get_by_label("Occurred").fill(GAP)
    officer.walk_to("form.facts-form button[type=submit]")
    keyboard.press("Enter")
    officer.look("New incident")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("does not exist in Europe/Paris")
    keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#errors') !== null"), "the first message is a link to its box"
    expect(page.get_by_label("Reference")).to_have_value(REFERENCE)

    page.get_by_label("Cause").select_option("attack")
    page.get_by_label("Based in").select_option("FR")
    page.get_by_label("Main establishment in the EU").select_option("FR")
    for label, moment in (("Occurred", aware - timedelta(days=3)), ("Discovered", aware), ("Aware", aware)):
        page.get_by_label(label).fill(moment.strftime("%Y-%m-%dT%H:%M"))
    for label in ("Contained", "Outside experts engaged"):
        page.get_by_label(label).check()
    for element in ELEMENTS.split(";"):
        page.locator(f"#id_elements_{element}").select_option("exposed")
    for label, text in CONTROLLER.items():
        page.get_by_label(label).first.fill(text)
    officer.press("Open the incident", then="Client list")
    officer.sees("Import the list of people")


def import_the_list(officer: Person, path: Path) -> None:
    officer.tab("People")
    officer.page.get_by_label("CSV file with a header row").set_input_files(path)
    officer.press("Import", then="People")
    officer.sees("6 rows read. The list now: 5 clear, 0 merged, 1 need a decision")
    officer.sees("The rows add up")
    assert "Claire Dubois" not in officer.page.content(), "lists are masked"


def hold_the_bad_address(officer: Person) -> None:
    officer.tab("Queues")
    officer.follow("address", then="address")
    page = officer.page
    page.get_by_role("checkbox", name=re.compile("Choose row")).check()
    page.get_by_label("Reason").fill("The boutique asks him for a working address.")
    page.get_by_label("Hold until").fill((datetime.now(PARIS) + timedelta(days=5)).strftime("%Y-%m-%d"))
    officer.press("Hold", then="address")
    officer.sees("1 entry held until")
    officer.tab("People")
    officer.sees("(1 held)")


def ask_the_law(officer: Person, aware: datetime) -> None:
    """France: the CNIL within 72 hours of the awareness, with the article."""
    officer.tab("Law")
    officer.press("Ask the law again", then="Law")
    for name in ("FR", "DE", "US-CA", "JP", "IE"):
        expect(officer.page.get_by_role("link", name=name, exact=True)).to_be_visible()


def record_findings(officer: Person) -> None:
    officer.tab("Findings")


def read_a_letter_as_its_reader(officer: Person) -> None:
    officer.tab("Letters")


def freeze(officer: Person) -> None: ...
def approving_ones_own_work_is_refused(officer: Person) -> None: ...
def counsel_signs(counsel: Person, password: str) -> None: ...
def officer_releases(officer: Person) -> None: ...
def everybody_is_accounted_for(officer: Person) -> None: ...
def letters_lie_in_the_inbox(officer: Person) -> None: ...
def look_behind_a_mask(officer: Person) -> None: ...
def take_the_proof_away(officer: Person, folder: Path) -> None: ...
