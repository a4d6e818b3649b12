"""The questions that a residence leaves open: in which queue, about which column, and what may be meant. No Django here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from incidents.law.places import residence_of
from incidents.people.questions import DATA, RESIDENCE_CONFLICT, RESIDENCE_QUESTIONS, Problem
from incidents.people.residence import OF_LIST, UNKNOWN, Residence, is_residence, said_by

#: `Residence.postcode_problem` -> reason, remedy.
POSTCODE_QUESTIONS = {
    "unfit": ("no postcode of this country", "check the postcode and the country, then accept or correct"),
    "zero_lost": (
        "a postcode one digit short: a spreadsheet may have taken its first zero",
        "put the zero back, or check the country",
    ),
}
#: Country endings that addresses everywhere have.
OF_ANYBODY = frozenset(
    {"co", "io", "ai", "tv", "me", "cc", "ws", "fm", "to", "ly", "gg", "im", "je", "tk", "ml", "ga", "cf", "gq", "pw", "su"}
)


def ask_place(*, place: Residence, email: str, seat: str, problems: list[Problem]) -> Residence:
    """Ask what the evidence leaves open; a conflict also shows the country of the e-mail address, which decides nothing."""
    if place.postcode_problem:
        reason, remedy = POSTCODE_QUESTIONS[place.postcode_problem]
        problems.append(Problem(DATA, "postcode", reason, f"{_meant(place) if not place.question else ''}{remedy}"))
    if place.question == "residence_conflict":
        kind, reason, remedy = RESIDENCE_QUESTIONS[place.question]
        problems.append(Problem(kind, place.decided_by, reason, remedy))
        return replace(place, possible=tuple(dict.fromkeys((*place.possible, *place.unclear, *of_domain(email)))))
    unknown = place.place == UNKNOWN
    if place.unreadable and (unknown or not place.question):
        # Weaker evidence may have decided; it is asked all the same, in a queue where the residence can be set.
        kind, reason, remedy = RESIDENCE_QUESTIONS["country_unreadable"]
        problems.append(Problem(kind if unknown else RESIDENCE_CONFLICT, place.unreadable, reason, _meant(place) + remedy))
    elif place.question:
        kind, reason, remedy = RESIDENCE_QUESTIONS[place.question]
        suggested = _suggested(place, email, seat) if unknown else ""
        problems.append(Problem(kind, place.decided_by, reason, _meant(place) + suggested + remedy))
    return place


def _meant(place: Residence) -> str:
    """What an unclear word may mean, in codes; the word itself stays sealed."""
    possible = place.unclear or tuple(code for code in place.possible if code != place.weak_hint)
    return f"is {' or '.join(possible[:4])} meant? " if possible else ""


def _suggested(place: Residence, email: str, seat: str) -> str:
    """The default for somebody of whom nothing else is known. It is said, and taken by nobody but a person."""
    if place.possible and place.possible != (place.weak_hint,):
        return ""
    domain = next(iter(of_domain(email)), "")
    weak = ((place.weak_hint, "the IP address"), (domain, "the e-mail address"), (seat, "the seat of the sender"))
    code, source = next(((code, source) for code, source in weak if code), ("", ""))
    return f"suggested: {code}, by {source} alone; " if code else ""


@lru_cache(maxsize=1024)
def _domain_place(ending: str) -> tuple[str, ...]:
    code = {"UK": "GB"}.get(ending.upper(), ending.upper())
    known = ending not in OF_ANYBODY and is_residence(code)
    return (residence_of(code=code),) if known else ()


def of_domain(email: str) -> tuple[str, ...]:
    """The country of an e-mail address; those endings that the whole world uses tell none."""
    return _domain_place(email.rpartition(".")[2].lower()) if email else ()


def told_by(row: Mapping[str, str], *, of_list: str = "") -> list[tuple[str, tuple[str, ...]]]:
    """All that says where somebody lives, for whoever decides: column, and the place or what it may mean; the e-mail last.

    `of_list`: the country that was said of the whole list, where the row is read beside it.
    """
    said, by_domain = said_by(row), of_domain(row.get("email", "").strip())
    if of_list:
        beside = said_by({**row, "stated_country": of_list})
        said = [*(one for one in beside if one[0] != "stated_country"), (OF_LIST, (of_list,))]
    return [*said, *([("email", by_domain)] if by_domain else [])]
