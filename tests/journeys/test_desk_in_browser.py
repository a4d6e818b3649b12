"""The desk as officer and counsel use it, in a real browser: from an empty machine to a bundle that verifies."""

from __future__ import annotations

import csv
import json
import re
import socket
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Response, expect

from tests.browser import browser as chromium
from tests.installation import Installation

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PARIS = ZoneInfo("Europe/Paris")
GAP = "2025-03-30T02:30"  # summer time began at two in Paris: this minute never was
REFERENCE = "maison-doree-2026"
CAMPAIGN = f"{REFERENCE}-c1"
CONTROLLER = {
    "Brand": "Maison Dorée",
    "Legal entity": "Maison Dorée SA",
    "Legal address": "1 rue de l'Exemple, Paris",
    "Trusted site": "maison-doree.example",
    "Telephone": "+33 1 00 00 00 00",
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
        if message.type == "error":  # a violation of the content security policy is one
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
        self._go(self.page.get_by_role("button", name=button, exact=True), then)

    def follow(self, link: str | re.Pattern[str], *, then: str) -> None:
        """Follow a link of the page."""
        self._go(self.page.get_by_role("main").get_by_role("link", name=link, exact=True).first, then)

    def tab(self, name: str, *, then: str = "") -> None:
        """Go to another page of this incident."""
        pages = self.page.get_by_role("navigation", name="Pages of this incident")
        self._go(pages.get_by_role("link", name=name, exact=True), then or name)

    def _go(self, to: Locator, then: str) -> None:
        with self.page.expect_navigation():
            to.click()
        self.look(then)

    def sees(self, text: str | re.Pattern[str]) -> None:
        """The text stands somewhere on the page."""
        expect(self.page.locator("#container")).to_contain_text(text)

    def box(self, label: str) -> Locator:
        """The box with exactly this label, needed or not."""
        return self.page.get_by_label(re.compile(rf"^{re.escape(label)}( \(needed\))?$"))

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
        context.set_default_timeout(30_000)
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
    aware = (datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=5)).astimezone(PARIS)
    open_an_incident(officer, aware)
    import_the_list(officer, write_list(tmp_path / "clients.csv"))
    hold_the_bad_address(officer)
    ask_the_law(officer)
    record_findings(officer, aware)
    fill_in_what_the_letters_miss(officer)
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
    officer.box("Occurred").fill(GAP)
    officer.walk_to("form.facts-form button[type=submit]")
    keyboard.press("Enter")
    officer.look("New incident")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("does not exist in Europe/Paris")
    keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#errors') !== null"), "the first message is a link to its box"
    expect(officer.box("Reference")).to_have_value(REFERENCE)

    for label, choice in (("Cause", "attack"), ("Based in", "FR"), ("Main establishment in the EU", "FR")):
        officer.box(label).select_option(choice)
    for label, moment in (("Occurred", aware - timedelta(days=3)), ("Discovered", aware), ("Aware", aware)):
        officer.box(label).fill(moment.strftime("%Y-%m-%dT%H:%M"))
    for label in ("Contained", "Outside experts engaged"):
        officer.box(label).check()
    for element in ELEMENTS.split(";"):
        page.locator(f"#id_elements_{element}").select_option("exposed")
    for label, text in CONTROLLER.items():
        officer.box(label).fill(text)
    officer.press("Open the incident", then="Client list")
    officer.sees("Import the list of people")


def import_the_list(officer: Person, path: Path) -> None:
    """Uploaded sealed, its columns looked at beside masked rows, confirmed; the importer's process does the rest."""
    officer.tab("People")
    officer.follow("Import a list", then="Lists")
    page = officer.page
    page.get_by_label("Where it comes from").fill("boutique system")
    page.get_by_label("CSV or Excel").set_input_files(path)
    officer.press("Upload", then="List")
    officer.sees("6 sample rows (masked)")
    expect(page.get_by_label("What full_name holds")).to_have_value("full_name")
    assert "Claire Dubois" not in page.content(), "samples are masked"
    officer.press("Import this list", then="List")
    expect(page.get_by_role("link", name="Show what became of it").or_(page.get_by_text("became a person"))).to_be_visible(
        timeout=60_000
    )
    officer.tab("People")
    officer.sees("The rows add up")
    expect(page.locator(".tiles").first).to_contain_text("5 clear")
    assert "Claire Dubois" not in officer.page.content(), "lists are masked"


def hold_the_bad_address(officer: Person) -> None:
    officer.tab("Queues")
    officer.follow("E-mail address unusable", then="E-mail address unusable")
    page = officer.page
    page.get_by_role("checkbox", name=re.compile("Choose row")).check()
    page.get_by_label("Reason").fill("The boutique asks him for a working address.")
    page.get_by_label("Hold until").fill((datetime.now(PARIS) + timedelta(days=5)).strftime("%Y-%m-%d"))
    officer.press("Hold", then="E-mail address unusable")
    officer.sees("1 entry held until")
    officer.tab("People")
    officer.sees("(1 held)")


def ask_the_law(officer: Person) -> None:
    officer.tab("Law", then="What the law asks")
    officer.press("Ask the law again", then="What the law asks")
    for name in ("FR", "DE", "US-CA", "JP", "IE"):
        expect(officer.page.get_by_role("link", name=name, exact=True)).to_be_visible()


def record_findings(officer: Person, aware: datetime) -> None:
    """What only a person can say: the first with the mouse, the second by keyboard. Then the CNIL is owed its notice."""
    officer.tab("Findings")
    page, keyboard = officer.page, officer.page.keyboard
    risk = page.locator("#risk")
    risk.get_by_label("A risk, but not a high one").check()
    risk.get_by_label("Reason, as a regulator will read it").fill("Contact data only; no passwords, no payment data.")
    risk.get_by_role("button", name="Record under my name").click()
    officer.look("Findings")
    officer.sees("The finding is recorded under your name.")

    officer.walk_to("#voluntary_notice summary, #voluntary_notice input[type=radio]")
    if page.evaluate("document.activeElement.matches('summary')"):
        if not page.locator("#voluntary_notice details[open]").count():
            keyboard.press("Enter")
        officer.walk_to("#voluntary_notice input[type=radio]")
    keyboard.press("Space")
    officer.walk_to("#voluntary_notice textarea")
    keyboard.type("Clients should hear it from us.")
    officer.walk_to("#voluntary_notice button[type=submit]")
    keyboard.press("Enter")
    officer.look("Findings")
    expect(page.locator("#voluntary_notice blockquote")).to_contain_text("Clients should hear it from us.")

    officer.tab("Desk", then="Client list")
    row = page.get_by_role("table").filter(has_text="Who is told").get_by_role("row").filter(has_text="CNIL")
    end = (aware.astimezone(UTC) + timedelta(hours=72)).astimezone(PARIS)  # hours that pass, not hours of the wall clock
    expect(row).to_contain_text(end.strftime("%a %-d %b %Y, %H:%M %Z"))
    expect(row).to_contain_text("(GDPR), Art 33")
    expect(row.locator(".left")).to_have_text(re.compile("in 2 d 1[89] h"))
    expect(row.locator(".pill").first).to_have_text("owed")
    officer.follow("FR", then="FR")
    officer.sees("Commission nationale de l’informatique et des libertés (CNIL)")
    officer.sees("from aware")


def fill_in_what_the_letters_miss(officer: Person) -> None:
    """The letters name the telephone's hours, which the form does not insist on: the refusal says where they belong."""
    officer.tab("Letters")
    officer.press("Make and check the letters", then="Letters")
    officer.sees("The letters need 'Telephone hours'. Fill it in under Facts")
    officer.tab("Facts")
    officer.box("Telephone hours").fill("Monday to Friday, 09:00 to 18:00 (Paris time)")
    officer.box("Why do the facts change?").fill("The hours were missing.")
    officer.press("Save as a new version", then="Facts")
    officer.sees("The facts stand at version 2.")
    officer.tab("Law", then="What the law asks")
    officer.press("Ask the law again", then="What the law asks")


def read_a_letter_as_its_reader(officer: Person) -> None:
    """In a frame that can do nothing, under a policy of its own; the page around it keeps the strict one."""
    officer.tab("Letters")
    officer.press("Make and check the letters", then="Letters")
    officer.sees("none blocked")
    officer.follow("languages and fallback", then="Languages and fallback")
    officer.tab("Letters")
    officer.follow("us-ca", then="Text: us-ca, en")
    officer.tab("Letters")
    officer.page.locator("summary#courtesy-fr").click()
    officer.follow("Read the letter for FR in fr", then="FR")
    officer.press("Preview (it is logged)", then="Preview as a real person")
    page = officer.page
    frame = page.locator("iframe.letter")
    expect(frame).to_have_attribute("sandbox", "")
    letter = page.frame_locator("iframe.letter").locator("body")
    for text in ("Claire Dubois", "Maison Dorée", "CNIL"):
        expect(letter).to_contain_text(text)
    expect(page.locator("pre.letter")).to_contain_text("Claire Dubois")
    own = page.request.get(f"{page.url.split('/admin/')[0]}{frame.get_attribute('src')}")
    assert own.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'; sandbox")
    around = page.request.get(page.url)
    assert "unsafe-inline" not in around.headers["content-security-policy"]


def freeze(officer: Person) -> None:
    officer.tab("Campaign")
    officer.sees("Nothing stands in the way.")
    officer.press("Freeze register and letters", then=CAMPAIGN)
    officer.sees(f"Frozen as {CAMPAIGN}, with 6 people on the register.")


def approving_ones_own_work_is_refused(officer: Person) -> None:
    officer.sees("You cannot sign:")
    officer.page.get_by_label("What you read and checked").fill("I wrote it, so it is right.")
    officer.press("Sign the content", then=CAMPAIGN)
    expect(officer.page.locator(".messagelist .error")).to_contain_text("wrote")
    officer.sees("Waits for the content's signature.")


def counsel_signs(counsel: Person, password: str) -> None:
    page = counsel.page
    page.get_by_label("Username").fill("counsel")
    page.get_by_label("Password").fill(password)
    counsel.press("Log in", then="Incidents")
    counsel.follow("Sign the content", then=CAMPAIGN)
    page.get_by_label("What you read and checked").fill("Every letter, and the law behind it.")
    counsel.press("Sign the content", then=CAMPAIGN)
    counsel.sees("Your signature stands under the content.")
    counsel.sees("You cannot release:")
    page.get_by_label("Reason", exact=True).first.fill("And I release it myself.")
    without_a_first_wave(counsel)
    counsel.press("Release the campaign", then=CAMPAIGN)
    expect(page.locator(".messagelist .error")).to_be_visible()


def without_a_first_wave(somebody: Person) -> None:
    """Nobody of the staff is entered: that is said at the button, and taken on with a reason."""
    somebody.sees("Nobody of the staff is entered for")
    somebody.page.get_by_label("Release without a first wave to staff").check()
    somebody.page.get_by_label("Why nobody of the staff gets a letter first").fill("Six people; each letter was read aloud.")


def officer_releases(officer: Person) -> None:
    """The page counts on by itself until nothing is left to send."""
    officer.tab("Desk", then="Client list")
    officer.follow("Release the campaign", then=CAMPAIGN)
    officer.page.locator("#release-reason").fill("Counsel has signed; clients wait.")
    without_a_first_wave(officer)
    officer.press("Release the campaign", then=CAMPAIGN)
    expect(officer.page.locator("#progress")).to_contain_text("campaign drained", timeout=60_000)


def everybody_is_accounted_for(officer: Person) -> None:
    officer.tab("Campaign")
    officer.sees("6 people in = 6 in named states")
    officer.sees("people in = sum of the states")
    officer.sees("no violation found")
    officer.follow("needs another channel", then="channel")
    officer.sees("hanna")
    officer.page.go_back()
    officer.follow("held", then="held")
    officer.sees("marc")


def letters_lie_in_the_inbox(officer: Person) -> None:
    officer.tab("Inbox")
    rows = officer.page.locator("tbody tr").filter(has_not_text="test or witness")
    expect(rows).to_have_count(5)
    rows.filter(has_text="JP").get_by_role("button").click()
    officer.look("Letter in the inbox")
    expect(officer.page.frame_locator("iframe.letter").locator("body")).to_contain_text("佐藤 由紀")
    officer.sees("Message-ID")
    officer.follow("Why this person got this letter", then="Person yuki")


def look_behind_a_mask(officer: Person) -> None:
    officer.tab("People")
    officer.follow("claire", then="Person claire")
    page = officer.page
    assert "claire@example.org" not in page.content()
    purpose = page.get_by_label("For what purpose do you look behind the mask?")
    page.get_by_role("button", name="Show (it is logged)").click()
    expect(purpose).to_be_focused()  # the browser asks for the purpose before anything is sent
    purpose.fill("She asks on the telephone which address we hold.")
    officer.press("Show (it is logged)", then="Person claire")
    officer.sees("claire@example.org")
    officer.tab("Log")
    page.get_by_label("Action").select_option("access.viewed")
    officer.press("Show", then="Log")
    officer.sees("She asks on the telephone")
    expect(page.locator("tbody tr").filter(has_text="access.viewed")).to_have_count(3)


def take_the_proof_away(officer: Person, folder: Path) -> None:
    """The checker out of the bundle needs nothing of ours: a bare Python, with no packages and another folder."""
    fingerprint = officer.page.locator("code.long").first.inner_text()
    officer.tab("Desk", then="Client list")
    with officer.page.expect_download() as coming:
        officer.page.get_by_role("button", name="Evidence bundle (.zip)").click()
    bundle = folder / "bundle.zip"
    coming.value.save_as(bundle)
    with zipfile.ZipFile(bundle) as inside:
        (folder / "verify.py").write_bytes(inside.read("verify.py"))
    bare = [sys.executable, "-I", "-S", "verify.py", "bundle.zip", "--key", fingerprint]
    done = subprocess.run(bare, cwd=folder, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED  every check" in done.stdout
