"""A campaign of invented people in the database that this process is given: frozen, approved or released. Run as a process.

python -m tests.faults.campaign --people 300 --until released
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import django

COLUMNS = ("person_id", "customer_number", "full_name", "email", "stated_country", "language", "elements")
NAMES = (
    "Claire Dubois",
    "Seán O'Brien",
    "佐藤 由紀",
    "Åsa Öberg",
    "Nguyễn Thị Hoa",
    'José-María "Pepe" Núñez',
    "J. Smith & Sons",
    "Øystein Æ. Müller-Lüdenscheidt",
)
PLACES = (("FR", "fr"), ("DE", "de"), ("JP", "ja"), ("GB", "en"), ("IT", "it"), ("ES", "es"))
FINDINGS = {
    "risk": "risk",
    "misuse_likely": "yes",
    "serious_harm_likely": "no",
    "voluntary_notice": "yes",
    "law_unknown": "courtesy",
}


def people(number: int) -> Iterator[tuple[str, ...]]:
    """Rows of a list: names that have to be escaped everywhere, each address its own."""
    for n in range(number):
        country, language = PLACES[n % len(PLACES)]
        name, domain = f"{NAMES[n % len(NAMES)]} {n}", f"mail{n % 7}.example.org"
        yield (f"p{n}", f"N{n}", name, f"person{n}@{domain}", country, language, "name;email;country")


def write_list(path: Path, number: int) -> Path:
    """The list as CSV."""
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(people(number))
    return path


def make(*, number: int, until: str) -> None:
    """Officer and counsel do everything up to there."""
    from django.contrib.auth.models import User

    from incidents.dispatch.campaign import freeze, release
    from incidents.letters.approving import approve_content
    from incidents.letters.render import make_letters
    from incidents.people.assessing import assess_incident
    from incidents.people.importing import import_people
    from incidents.people.opening import check_facts, open_incident, record_finding
    from incidents.scenarios.catalog import load_scenario

    officer, counsel = (
        User.objects.create_user(name, password=f"{name}-password-1", is_staff=True) for name in ("officer", "counsel")
    )
    facts = {**load_scenario(scenario_id="cartier-2025").facts, "expected_people": None}
    incident = open_incident(facts=check_facts(facts, now=datetime.now(UTC)), author=officer, drill=True)
    with tempfile.TemporaryDirectory() as folder:
        import_people(incident=incident, path=write_list(Path(folder) / "people.csv", number), author=officer)
    for key, value in FINDINGS.items():
        record_finding(incident=incident, key=key, value=value, reason="as the tests need it", author=officer)
    assess_incident(incident=incident, author=officer)
    make_letters(incident=incident, author=officer)
    if until == "assessed":
        return
    campaign = freeze(incident=incident, author=officer)
    if until in {"approved", "released"}:
        approve_content(campaign=campaign, author=counsel, reason="read")
        campaign.refresh_from_db()
    if until == "released":
        release(campaign=campaign, author=officer, reason="go")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--until", choices=("assessed", "frozen", "approved", "released"), default="released")
    given = parser.parse_args()
    django.setup()
    make(number=given.people, until=given.until)
