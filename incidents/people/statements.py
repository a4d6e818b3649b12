"""Facts that only the letters need: what some laws want stated, and what is offered. All optional; absent = not recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: A question with yes and no; nobody has answered it while it is absent.
ANSWERS = ("police_asked_delay", "phone_toll_free")
#: Texts that readers see; the plain one is English, `delay_reason_fr` the same in French.
TEXTS = ("delay_reason", "recipient", "intruder")
SERVICES_TEXTS = ("provider", "enrolment")
OFFERED_TO = ("everyone", "where_owed", "nobody")
NO_PARENT = "none"
LONGEST = 400
MOST_MONTHS = 120
_LANGUAGE = re.compile(r"(?P<name>[a-z_]+?)_(?P<language>[a-z]{2}|zh_hans|zh_hant)")
_IDENTIFIER = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def statement_facts(*, found: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """What was said of these facts, in their stored shape; what is wrong goes to `problems` with field and remedy."""
    given = {
        **{name: _answer(name, found.get(name), problems) for name in ANSWERS},
        **{name: _text(name, found.get(name), problems) for name in _texts(found, TEXTS)},
        "parent_company": _parent(found.get("parent_company"), problems),
        "services": _services(found.get("services"), problems),
        "contacts_confirmed": _contacts(found.get("contacts_confirmed"), problems),
    }
    return {name: value for name, value in given.items() if value not in (None, "", {}, [])}


def in_language(*, facts: Mapping[str, Any], name: str, language: str) -> str:
    """A text of these facts in a language, or in English where it was not given in it."""
    return str(facts.get(_key(name, language)) or facts.get(name) or "")


def is_translated(*, facts: Mapping[str, Any], name: str, language: str) -> bool:
    """Whether the text was given in this language; English is the plain one."""
    return language == "en" or bool(facts.get(_key(name, language)))


def _key(name: str, language: str) -> str:
    return f"{name}_{language.lower().replace('-', '_')}"


def _texts(found: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    """The names, and those of them that are given in another language."""
    worded = [match.string for name in map(str, found) if (match := _LANGUAGE.fullmatch(name)) and match["name"] in names]
    return [*names, *worded]


def _answer(name: str, value: object, problems: list[str]) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    problems.append(f"{name}: '{value}' is neither yes nor no; write true or false, or leave it out while nobody knows.")
    return None


def _text(name: str, value: object, problems: list[str]) -> str:
    if isinstance(value, bool | Mapping | list):
        problems.append(f"{name}: '{value}' is not a text; write it in quotes.")
        return ""
    text = " ".join(str(value if value is not None else "").split())
    if len(text) > LONGEST:
        problems.append(f"{name}: {len(text)} characters; at most {LONGEST} fit into a letter. Shorten it.")
    if "[[" in text or "]]" in text:
        problems.append(f"{name}: double brackets belong to the letter language; write the text without them.")
    return text


def _parent(value: object, problems: list[str]) -> str:
    if isinstance(value, bool):
        problems.append(f"parent_company: '{value}' is not a name; write the company's name, or none when nobody owns it.")
        return ""
    text = _text("parent_company", value, problems)
    return NO_PARENT if text.casefold() == NO_PARENT else text


def _services(value: object, problems: list[str]) -> dict[str, Any]:
    if value in (None, {}, ""):
        return {}
    if not isinstance(value, Mapping):
        problems.append("services: give offered_to (everyone, where_owed, nobody), provider, months and enrolment.")
        return {}
    to = str(value.get("offered_to") or "")
    texts = {name: _text(f"services.{name}", value.get(name), problems) for name in _texts(value, SERVICES_TEXTS)}
    months = _months(value.get("months"), problems)
    said = {name: text for name, text in texts.items() if text} | ({"months": months} if months else {})
    if to not in OFFERED_TO:
        problems.append(f"services.offered_to: '{to}' is not known; use one of: {', '.join(OFFERED_TO)}.")
    elif to == "nobody" and said:
        problems.append(f"services.offered_to: offered to nobody, yet {', '.join(said)} is given; say who gets the offer.")
    elif to != "nobody":
        missing = [name for name in ("provider", "months", "enrolment") if name not in said]
        problems.extend(f"services.{name}: missing; an offer names provider, months and how to enrol." for name in missing)
    return {"offered_to": to, **said}


def _months(value: object, problems: list[str]) -> int | None:
    if value in (None, ""):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_MONTHS:
        return value
    problems.append(f"services.months: '{value}' is not a whole number of months from 1 to {MOST_MONTHS}.")
    return None


def _contacts(value: object, problems: list[str]) -> list[str]:
    names = value if isinstance(value, list) else [] if value in (None, "") else [value]
    wrong = [str(name) for name in names if not _IDENTIFIER.fullmatch(str(name))]
    if wrong:
        problems.append(f"contacts_confirmed: {', '.join(wrong)} names no contact; write it as ftc or us-md (docs/facts.md).")
    return sorted({str(name) for name in names} - set(wrong))
