"""Ask the packs: what is the law, what changed, and what would change. Nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from incidents.law.compare import between_sets
from incidents.law.overlay import packs_with
from incidents.law.pack import PackError, PackSet, load_packs
from incidents.law.showing import (
    UnknownJurisdiction,
    changes_document,
    changes_lines,
    pack_change_document,
    pack_document,
    pack_lines,
    pack_named,
)
from incidents.letters.whatif import what_if, what_if_lines
from incidents.management.operator import OperatorCommand, incident_named
from incidents.models.refusal import Refused
from incidents.people.assessing import plain

SAME_TEXT, SAME_LAW = "Nothing is written otherwise.", "Nothing changed between these days."


class Command(OperatorCommand):
    help = "The law of the packs: law show US-CA | law diff --from DATE --to DATE | law whatif INCIDENT --set FACT=VALUE"

    def add_arguments(self, parser: CommandParser) -> None:
        asked = parser.add_subparsers(dest="asked", required=True, metavar="show|diff|whatif")
        show = asked.add_parser("show", help="a whole pack in plain English, as it is in force on a day")
        show.add_argument("jurisdiction")
        show.add_argument("--on", metavar="DATE", help="default: today, at that place")
        diff = asked.add_parser("diff", help="what changed between two days, or between the shipped packs and a file")
        diff.add_argument("jurisdictions", nargs="*", metavar="JURISDICTION")
        diff.add_argument("--from", dest="first", metavar="DATE")
        diff.add_argument("--to", dest="last", metavar="DATE")
        diff.add_argument("--pack", type=Path, metavar="PATH", help="a pack or a folder, held against the shipped packs")
        whatif = asked.add_parser("whatif", help="what would change for an incident, before anything is saved")
        whatif.add_argument("incident")
        whatif.add_argument("--pack", type=Path, metavar="PATH")
        whatif.add_argument("--set", dest="supposed", action="append", default=[], metavar="FACT=VALUE")
        for one in (show, diff, whatif):
            one.add_argument("--json", action="store_true", dest="as_json")

    def work(self, *, asked: str, as_json: bool, **options: Any) -> int | None:
        try:
            document, lines = {"show": _show, "diff": _diff, "whatif": _what_if}[asked](options)
        except PackError as error:
            raise Refused(str(error), "See every problem of a pack with: check_law --pack PATH.") from None
        except UnknownJurisdiction as error:
            raise Refused(str(error)) from None
        for line in [json.dumps(plain(document), indent=1, ensure_ascii=False)] if as_json else lines:
            self.say(line)
        return None


Answer = tuple[Any, Iterable[str]]


def _show(options: dict[str, Any]) -> Answer:
    pack = pack_named(word=options["jurisdiction"], packs=load_packs())
    today = datetime.now(UTC).astimezone(pack.zone).date()
    document = pack_document(pack=pack, on=_day("--on", options["on"]) if options["on"] else today)
    return document, pack_lines(document=document)


def _diff(options: dict[str, Any]) -> Answer:
    packs, names = load_packs(), options["jurisdictions"]
    if options["pack"] and (options["first"] or options["last"]):
        raise Refused("Give either --from and --to (two days of the shipped packs) or --pack (their text against a file).")
    if options["pack"]:
        found, same = _between_texts(packs, packs_with(path=options["pack"]), names), SAME_TEXT
    else:
        found, same = _between_days(packs, options["first"], options["last"], names), SAME_LAW
    return {"packs": found}, changes_lines(documents=found) if found else [same]


def _between_texts(packs: PackSet, others: PackSet, names: Sequence[str]) -> list[dict[str, Any]]:
    known = {**others.packs, **packs.packs}
    wanted = {name.upper() if name.upper() in known else pack_named(word=name, packs=packs).id for name in names}
    changes = between_sets(before=packs, after=others)
    return [pack_change_document(change=change) for change in changes if not wanted or change.jurisdiction in wanted]


def _between_days(packs: PackSet, first: str | None, last: str | None, names: Sequence[str]) -> list[dict[str, Any]]:
    if not first or not last:
        raise Refused("Give two days: --from DATE --to DATE, such as --from 2025-12-31 --to 2026-01-01; or --pack PATH.")
    days = (_day("--from", first), _day("--to", last))
    if days[0] >= days[1]:
        raise Refused(f"--from {first} is not before --to {last}. Give the earlier day first.")
    chosen = [pack_named(word=name, packs=packs) for name in names] or list(packs)
    found = [changes_document(pack=pack, first=days[0], last=days[1], inherited=bool(names)) for pack in chosen]
    return [document for document in found if document["changes"]]


def _what_if(options: dict[str, Any]) -> Answer:
    others = packs_with(path=options["pack"]) if options["pack"] else None
    incident = incident_named(options["incident"])
    document = what_if(incident=incident, settings=options["supposed"], packs=others, now=datetime.now(UTC))
    return document, what_if_lines(document=document)


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(f"{option}: '{text}' is no day of the calendar. Write it as 2026-01-31.") from None
