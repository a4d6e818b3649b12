"""What somebody corrected by hand stands against every list: where a list would change it back, it is asked and not done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from incidents.models import PersonVersion
from incidents.people.joining import POSTAL, REPRESENTATIVE, Question, Whole, posted_anew
from incidents.people.kept import KeptRow
from incidents.people.questions import DATA

OTHERWISE = "a list says otherwise than what was corrected by hand"
REMEDY = "correct the person if the list is right; else accept this entry"
#: Parts of one answer: none of them is kept without the others.
TOGETHER = (POSTAL, REPRESENTATIVE)
#: What the law sees, and the language; a residence that somebody set is kept where rows are joined.
SEEN = ("elements", "flags", "language")
LONGEST = 200


def corrected_by_hand(people: Iterable[int]) -> dict[int, frozenset[str]]:
    """Which fields of these people somebody corrected, by name."""
    found: dict[int, frozenset[str]] = {}
    for person, names in PersonVersion.objects.filter(person__in=list(people)).values_list("person_id", "changed"):
        found[person] = found.get(person, frozenset()) | {*names}
    return found


def standing(*, before: KeptRow, whole: Whole, corrected: frozenset[str]) -> Whole:
    """The person with what was corrected by hand as it was before a list, and a question for each field that it would change."""
    if before.fields is None or not corrected:
        return whole
    names = corrected | {name for group in TOGETHER if corrected & {*group} for name in group}
    texts = {name: old for name, old in vars(before.fields).items() if name in names and old != getattr(whole.fields, name)}
    seen = {name: getattr(before, name) for name in SEEN if name in names and getattr(before, name) != getattr(whole, name)}
    if not texts and not seen:
        return whole
    asked = [_question(name, whole, old) for name, old in (texts | seen).items()]
    problems = [*whole.problems, *(one for one in asked if one not in whole.problems)]
    return posted_anew(replace(whole, fields=replace(whole.fields, **texts), problems=problems, **seen))


def _question(name: str, whole: Whole, old: Any) -> Question:
    """One for each field; of elements and flags the words are said, so that others are asked about anew."""
    more = sorted({*getattr(whole, name)} - {*old}) if name in ("elements", "flags") else []
    reason = f"{OTHERWISE}: {', '.join(more)}" if more else OTHERWISE
    return {"kind": DATA, "column": "email" if name == "emails" else name, "reason": reason[:LONGEST], "remedy": REMEDY}
