"""Import a list of affected people, or go on with one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from incidents.management.operator import FAILED, OperatorCommand, incident_named, operator_user, user_named
from incidents.models import Amendment, ImportBatch, Incident
from incidents.models.refusal import Refused
from incidents.people.comparing import WORDS
from incidents.people.importing import ImportReport, Look, carry_on, import_people, preview, unfinished
from incidents.people.reading import plain_columns
from incidents.people.reading.names import DATES as SAID
from incidents.people.said_of_all import NOBODY_SAYS, country_said
from incidents.vault import mask

#: What stands first in dates of birth -> what a column of them is called here.
DATES = {form: name for name, form in SAID.items()}
#: Rows between two lines of progress where nobody watches a terminal.
STEP = 100_000
#: And, once all are read, hundredths between two.
TENTH = 10


class Command(OperatorCommand):
    help = "Import a list of affected people (CSV or .xlsx): import_people INCIDENT FILE"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident")
        parser.add_argument("file", type=Path, nargs="?")
        parser.add_argument("--encoding", help="only for files that are neither UTF-8 nor UTF-16 with BOM, e.g. cp1252")
        parser.add_argument("--delimiter", help="only where it is not plain which one it is; 'tab' for a tab")
        parser.add_argument("--sheet", help="the sheet of a workbook that has several")
        parser.add_argument(
            "--map", dest="columns", action="append", metavar="COLUMN=OURS", help="what a column is; '' = not read"
        )
        parser.add_argument("--dates", choices=[*DATES, "ask"], help="what stands first in the dates of birth; ask = of each row")
        parser.add_argument("--source", default="", help="where the list comes from: its columns are remembered under this name")
        parser.add_argument("--elements", default="", help="what leaked of everybody on this list, with commas between")
        parser.add_argument(
            "--country", help="where everybody on this list lives whose row says nothing of it, e.g. DE; 'none' = nobody says"
        )
        parser.add_argument("--no-names", action="store_true", help="import a list although nobody on it has a name")
        parser.add_argument("--amendment", type=int, help="the open amendment that late-found people join")
        parser.add_argument("--newer", action="store_true", help="import a newer version of a list, its difference being seen")
        parser.add_argument("--dry-run", action="store_true", help="show columns and masked sample rows, store nothing")
        parser.add_argument("--batch", type=int, help="go on with this list of the incident")
        parser.add_argument("--resume", action="store_true", help="go on with every list that was confirmed and is not in yet")
        parser.add_argument("--as", dest="user", help="the author; default: operator")

    def work(self, *, incident: str, file: Path | None, user: str | None, **options: Any) -> int | None:
        author, found = user_named(user) if user else operator_user(), incident_named(incident)
        if options["batch"] or options["resume"]:
            if options["country"] is not None:
                raise Refused("--country is said before a list is confirmed: give the file with it, not --batch or --resume.")
            return max((self._report(carry_on(batch=one, progress=self._progress)) for one in _begun(found, options)), default=0)
        if file is None:
            raise Refused("Name the file: import_people INCIDENT FILE. A list that was begun goes on with --batch or --resume.")
        said = {"encoding": options["encoding"], "delimiter": _mark(options["delimiter"]), "sheet": options["sheet"]}
        seen = {**said, "source": options["source"], "mapping": self._mapping(found, file, author, said, options)}
        country = _country(options["country"])
        if options["dry_run"]:
            self._show(preview(incident=found, path=file, author=author, **seen), country)
            return 0
        elements = [name.strip() for name in options["elements"].split(",") if name.strip()]
        report = import_people(
            incident=found, path=file, author=author, elements=elements, amendment=_amendment(found, options["amendment"]),
            progress=self._progress, judge=lambda changes: self._judge(changes, options["newer"]),
            no_names=options["no_names"], country=country, **seen,
        )  # fmt: skip
        return self._report(report)

    def _mapping(
        self, incident: Incident, file: Path, author: User, said: dict[str, Any], options: dict[str, Any]
    ) -> dict[str, str] | None:
        """What is guessed or remembered of the columns, with what was said in its place."""
        if not options["columns"] and not options["dates"]:
            return None
        seen = preview(incident=incident, path=file, author=author, source=options["source"], **said)
        guessed, dates = dict(seen.mapping), dict(zip(seen.file.header, seen.file.dates, strict=True))
        for pair in options["columns"] or ():
            name, equals, ours = pair.rpartition("=")
            if not equals or name not in guessed:
                raise Refused(f"--map: there is no column '{name}'. The columns are: {', '.join(guessed)}.")
            same = [other for other, known in guessed.items() if {*plain_columns([known])} == {*plain_columns([ours])}]
            # As it is where the column is known by its name: its own dates say which stands first.
            said_so = DATES.get(dates[name], ours) if ours == "date_of_birth" else ours
            guessed |= dict.fromkeys(same, "") | {name: said_so}
        return _with_dates(guessed, options["dates"])

    def _progress(self, rows: int, percent: int) -> None:
        told = f"{rows:,} rows read" + (f"; {percent} % written as people" if percent else "")
        if self.stderr.isatty():
            self.stderr.write(f"\r{told}", ending="")
        elif percent % TENTH == 0 if percent else rows % STEP == 0:
            self.stderr.write(told)

    def _judge(self, changes: dict[str, int], agreed: bool) -> bool:
        """A newer version of a list is imported when somebody has seen what it changes."""
        if not changes:
            return True
        told = ", ".join(f"{changes[name]} {words}" for name, words in WORDS.items() if name in changes)
        self.say(f"An earlier list came from this source. This one has: {told}.")
        if not agreed:
            self.say("Say --newer to import it. People who are missing from it stay on the list.")
        return agreed

    def _show(self, seen: Look, country: str | None) -> None:
        for name, ours in seen.mapping.items():
            self.say(f"{name} = {ours or '(not read)'}")
        for unlike in seen.unlike:
            self.say(unlike)
        if seen.file.nameless:
            self.say(seen.file.nameless)
        if seen.file.hidden:
            self.say(seen.file.hidden)
        if country:
            self.say(f"Assumed of all rows that say no country of their own: {country}.")
        for number, cells in seen.samples:
            self.say(f"row {number}: " + " | ".join(mask(cell) for cell in cells))
        self.say("Nothing was imported. Other columns are said with --map COLUMN=OURS.")

    def _report(self, report: ImportReport) -> int:
        if self.stderr.isatty():
            self.stderr.write("")
        counts = report.accounting
        if report.already_known:
            self.say("This very file was imported before; nothing was changed.")
        elif report.rows:
            self.say(f"{report.rows} rows read.")
        else:
            self.say("No line of this reject file was changed; nothing is different.")
        for unlike in report.unlike:
            self.say(unlike)
        if report.unread:
            self.say(f"Columns that were not read: {', '.join(report.unread)}. What they hold is said with --map COLUMN=OURS.")
        if report.dates:
            self.say(f"Dates of birth were read with the {report.dates} first; --dates says it otherwise.")
        if report.hidden:
            self.say(report.hidden)
        if report.country:
            self.say(
                f"{report.living_by} rows live by what was said of the whole list: {report.country}, said by {report.country_by}."
                " It is an assumption about all rows; whatever a row says itself counts before it."
            )
        if report.again.number:
            named = ", ".join(reference for _, reference in report.again.people)
            self.say(
                f"{report.again.number} people of this list seem to be somebody whom two people rejected before ({named}). "
                "They are people of their own now and are written to: exclude by two whoever is still nobody of this incident."
            )
        self.say(
            f"Rows in {counts.rows_in} = people {counts.people} + merged {counts.merged} + needs attention "
            f"{counts.needs_attention} + rejection pending {counts.rejection_pending} + rejected {counts.rejected}"
        )
        return 0 if counts.adds_up else FAILED


def _with_dates(mapping: dict[str, str], said: str | None) -> dict[str, str]:
    """The columns with that of the dates of birth as somebody says it."""
    if not said:
        return mapping
    ours = {name for name, known in mapping.items() if plain_columns([known]) == ("date_of_birth",)}
    if not ours:
        raise Refused("--dates: no column of dates of birth is read. Say which it is with --map COLUMN=date_of_birth.")
    return mapping | dict.fromkeys(ours, DATES.get(said, "date_of_birth"))


def _begun(incident: Incident, options: dict[str, Any]) -> Sequence[ImportBatch]:
    if not options["batch"]:
        return list(unfinished().filter(incident=incident))
    found = incident.imports.filter(pk=options["batch"]).first()
    if found is None:
        known = ", ".join(str(pk) for pk in incident.imports.order_by("-pk").values_list("pk", flat=True)[:5]) or "none yet"
        raise Refused(f"This incident has no list {options['batch']}. Known: {known}.")
    return [found]


def _country(said: str | None) -> str | None:
    """The country of everybody on the list; '' where nobody says one, None where nothing is said now. Raises FileRefused."""
    if said is None:
        return None
    return "" if said.strip().lower() in {"", NOBODY_SAYS} else country_said(said)


def _mark(said: str | None) -> str | None:
    return "\t" if said and said.lower() in {"tab", "\\t"} else said


def _amendment(incident: Incident, number: int | None) -> Amendment | None:
    if number is None:
        return None
    found = incident.amendments.filter(number=number).first()
    if found is None:
        raise Refused(f"This incident has no amendment {number}. 'amend open' opens one and prints its number.")
    return found
