"""The values of a pack in plain English: what a condition asks, how a period runs, what a letter must say.

Nothing is left out and nothing is added: a word that has no sentence here is shown as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from incidents.law.compare import shown
from incidents.law.pack import PACKS_FOLDER
from incidents.law.strict_yaml import read_yaml

Spec = Mapping[str, Any]
_WHEN = {
    "required": "together with the name, ",
    "or_other_identifier": "together with the name or another identifier, ",
    "not_required": "",
}
_KEYS = {
    "safe_harbor_lost_if_key_taken": "encryption helps only while the key was not taken",
    "lost_if_key_taken_by_wording": "by its wording, encryption helps only while the key was not taken",
    "not_stated": "the law is silent on a taken key; read as: encryption then no longer helps",
    "exemption": "encryption is an exemption of this law; it helps only while the key was not taken",
}
_FINDINGS = {
    "misuse_likely": "misuse of the data has happened or is reasonably likely",
    "serious_harm_likely": "serious harm to these people is likely",
}
_STARTS = {
    "individual_notice": "the day the people are told",
    "end_of_law_enforcement_hold": "the end of the law-enforcement hold",
    "end_of_year_of_discovery": "the end of the year of discovery",
}
#: Kinds of deadline that need more than their own words.
_KINDS = {
    "none": "no duty or no period",
    "unspecified": "the law names no time",
    "on_awareness": "at once, on awareness",
    "contractual": "left to the contract",
    "sector_rule": "left to the sector's regulator",
    "per_regulations": "left to regulations",
    "as_ordered": "when the authority orders it",
    "before_individuals": "before the people are told",
    "same_time_as_individuals": "at the same time as the people",
    "no_later_than_individuals": "no later than the people",
}
#: A text shorter than this is a remark on a word (such as a country), and no description of it.
_SHORTEST_TEXT = 6


@cache
def _vocabulary() -> Mapping[str, Any]:
    found: Mapping[str, Any] = read_yaml(path=PACKS_FOLDER / "vocabulary.yaml")
    return found


def word(*, table: str, key: str) -> str:
    """A word of the vocabulary in English: table `elements`, `methods`, `exemptions` or `content_items`."""
    tables = _vocabulary()[table].values() if table == "content_items" else [_vocabulary().get(table, {})]
    text = next((str(words[key]) for words in tables if key in words), "")
    return text if len(text) >= _SHORTEST_TEXT else _plain(key)


def _plain(key: str) -> str:
    return key.replace("_", " ")


def _words(table: str, keys: Iterable[str]) -> str:
    return "; ".join(word(table=table, key=key) for key in keys)


# -- conditions ----------------------------------------------------------------------------------------------------


def condition_lines(*, condition: Spec, depth: int = 0) -> Iterator[str]:
    """A condition as an indented list: one line for each node."""
    indent, text = "  " * depth, condition.get("text", "")
    for name, what in (("all", "all of these"), ("any", "at least one of these")):
        if name in condition:
            yield f"{indent}{text + ': ' if text else ''}{what}"
            for part in condition[name]:
                yield from condition_lines(condition=part, depth=depth + 1)
            return
    if "not" in condition:
        yield f"{indent}{text + ': ' if text else ''}not so"
        yield from condition_lines(condition=condition["not"], depth=depth + 1)
        return
    yield indent + _leaf(condition, text)


def _leaf(condition: Spec, text: str) -> str:
    name, sentence = next((name, say) for name, say in _LEAVES.items() if name in condition)
    said, spec = sentence(condition[name]), condition[name]
    note = f" ({condition['note']})" if "note" in condition else ""
    if name == "readable" and text:
        return f"{text} ({_KEYS[spec['key_exception']]}){note}"
    enough = not text or (isinstance(spec, Mapping) and "n" in spec and f"{spec['n']:,}" in text)
    return f"{text or said}{note}" if enough else f"{text}: {said}{note}"


def _exposed(spec: Spec) -> str:
    only_if = f"; only if {spec['only_if']['text']}" if "only_if" in spec else ""
    return f"{_WHEN[spec['name']]}one of these was exposed: {_words('elements', spec['any_of'])}{only_if}"


def _finding(spec: Spec) -> str:
    key = spec["key"]
    if "at_least" in spec:
        said = f"the officer has found the risk to be at least '{spec['at_least']}'"
    else:
        said = f"the officer has found{'' if spec.get('is', 'yes') == 'yes' else ' not'}: {_FINDINGS.get(key, _plain(key))}"
    if "stand_in" not in spec:
        return said
    other = spec["stand_in"]
    answers = " and ".join(f"{word_} where it is {' or '.join(other[word_])}" for word_ in ("yes", "no") if other[word_])
    return f"{said}; until then the finding on {_plain(other['key'])} answers: {answers}"


def _cause(spec: Spec) -> str:
    asked = f"; a person is asked where it is {' or '.join(spec['ask_if'])}" if spec.get("ask_if") else ""
    return f"the cause is {' or '.join(spec['any_of'])}{asked}"


def _sector(spec: Spec) -> str:
    asked = f"; a person is asked where it is {' or '.join(map(_plain, spec['ask_if']))}" if spec.get("ask_if") else ""
    return f"the sector is {' or '.join(map(_plain, spec['any_of']))}{asked}"


def _said(spec: Spec) -> str:
    said = f"somebody has recorded '{_plain(spec['finding'])}' with {spec.get('is', 'yes')}"
    return f"{said} (nothing waits for it: without an answer it counts as no)"


def _recorded(spec: Spec) -> str:
    return f"the moment {spec['anchor']} is recorded, or '{_plain(spec['finding'])}' is answered with yes"


def _number(spec: Spec, what: str) -> str:
    return f"more than {spec['n']:,} {what}" if spec["op"] == ">" else f"{spec['n']:,} or more {what}"


_LEAVES: dict[str, Callable[[Any], str]] = {
    "exposed": _exposed,
    "readable": lambda spec: f"the data could be read ({_KEYS[spec['key_exception']]})",
    "finding": _finding,
    "cause": _cause,
    "affected": lambda spec: _number(spec, "people are affected there"),
    "notified": lambda spec: _number(spec, "people there must be told"),
    "notified_in_one_place": lambda spec: _number(spec, "people of one state must be told"),
    "said": _said,
    "recorded": _recorded,
    "sector": _sector,
    "minors": lambda spec: "children are among these people",
    "breach": lambda spec: "any breach of personal data",
    "never": lambda spec: f"no such duty: {spec}",
}

# -- values --------------------------------------------------------------------------------------------------------


def value_lines(*, path: str, value: Spec) -> list[str]:
    """One version of one value, as lines of plain English; its dates, reference and marks are not among them."""
    sentences = _VALUES.get(path.partition(".")[2], _anything)
    return [line for line in sentences(value) if line.strip()] or ["nothing named"]


def _owed(value: Spec) -> Iterator[str]:
    if "never" in value["when"]:
        yield f"not owed: {value['when']['never']}"
        return
    yield "owed if:"
    yield from condition_lines(condition=value["when"], depth=1)


def _clocks(value: Spec) -> Iterator[str]:
    if len(value["clocks"]) > 1:
        yield "of these the one that ends last:" if value.get("pick") == "latest" else "of these the one that ends first:"
    for clock in value["clocks"]:
        yield from clock_lines(clock=clock)


def clock_lines(*, clock: Spec) -> Iterator[str]:
    """One clock: its length, where it starts, how it is counted, under which condition it runs."""
    kind, start = clock["kind"], clock.get("runs_from")
    length = f"{clock['n']} {_plain(kind)}" if "n" in clock else _KINDS.get(kind, _plain(kind))
    parts = [f"{length} from {_STARTS.get(start, _plain(start))}" if start else length]
    parts += ["the law gives no number"] if "n" not in clock and kind not in _KINDS else []
    parts += [f"or from {_plain(clock['or_from'])}"] if "or_from" in clock else []
    parts += [f"counted as {clock['calendar']}"] if "calendar" in clock else []
    parts += [f"'{clock['qualifier']}'"] if "qualifier" in clock else []
    parts += [f"rests on: {_plain(clock['basis'])}"] if "basis" in clock else []
    parts += [f"falls away if {_plain(clock['lapses_if_later'])} comes after its end"] if "lapses_if_later" in clock else []
    parts += [clock["note"]] if "note" in clock else []
    yield "; ".join(parts)
    if "when" in clock:
        yield "  runs only if:"
        yield from condition_lines(condition=clock["when"], depth=2)


def _hold(value: Spec) -> Iterator[str]:
    if not value["allowed"]:
        yield "no waiting for law enforcement"
        return
    then = value.get("then")
    after = (
        f"; then {then['n']} {_plain(then['kind'])}" if then else "; the days start anew at its end" if value["restarts"] else ""
    )
    yield f"may wait where law enforcement asks for it in writing{after}"
    if value.get("extensions"):
        yield f"longer for: {', '.join(map(_plain, value['extensions']))}"


def _content(value: Spec) -> Iterator[str]:
    always = [item for item in value["required"] if isinstance(item, str)]
    if always:
        yield f"must say: {_words('content_items', always)}"
    for item in value["required"]:
        if isinstance(item, Mapping):
            when = f"where one of these was exposed: {_words('elements', item['if_any_of'])}" if "if_any_of" in item else ""
            when = when or f"where {_number(item['if_notified'], 'people there must be told')}"
            yield f"must say {word(table='content_items', key=item['item'])}, {when}"
    if value["barred"]:
        yield f"must not say: {_words('content_items', value['barred'])}"
    if "format" in value:
        yield f"form: {shown(value['format'])}"


def _channels(value: Spec) -> Iterator[str]:
    yield f"by: {_words('methods', value['allowed']) or 'no way is named'}"
    if value.get("credentials_only_rule"):
        yield f"where only credentials leaked: {_flat(value['credentials_only_rule'])}"


def _substitute(value: Spec) -> Iterator[str]:
    grounds = value["grounds"]
    if not isinstance(grounds, Mapping):
        yield from (_flat(ground) if isinstance(ground, Mapping) else _plain(str(ground)) for ground in grounds)
        return
    cost, persons = grounds.get("cost_over_usd"), grounds.get("persons_over")
    allowed = [
        f"the cost would be over USD {cost:,}" if cost is not None else "",
        f"more than {persons:,} people are to be told" if persons is not None else "",
        "contact data are missing" if grounds.get("insufficient_contact") else "",
    ]
    yield f"where {' or '.join(part for part in allowed if part)}"
    yield f"by: {', '.join(map(_plain, grounds.get('means', ())))}"
    if grounds.get("website_days"):
        yield f"on the website for at least {grounds['website_days']} days"
    yield str(grounds.get("note", ""))


def _flat(found: Spec) -> str:
    return "; ".join(f"{_plain(str(name))}: {_plain(shown(inner))}" for name, inner in found.items())


def _monitoring(value: Spec) -> Iterator[str]:
    if not value["months"]:
        yield "no free service has to be offered"
        return
    limits = f", if {value['condition']}" if "condition" in value else ""
    yield f"{value['months']} months free where one of these was exposed: {_words('elements', value['if_any_of'])}{limits}"
    if "months_if_sender_is_credit_bureau" in value:
        yield f"{value['months_if_sender_is_credit_bureau']} months if the sender is a credit bureau"
    if "plus" in value:
        yield f"also: {value['plus']}"


def _names(value: Spec) -> Iterator[str]:
    for name in value["names"]:
        about = {key: inner for key, inner in name.items() if key not in {"name", "copy"}}
        role = "copy to " if name.get("copy") else ""
        yield f"{role}{name['name']}" + (f" ({_flat(about)})" if about else "")


def _record(value: Spec) -> Iterator[str]:
    yield value["text"]
    yield "every breach is entered in a register" if value["every_breach"] else "no register of every breach"
    if "years_if_no_notice" in value:
        yield f"kept for {value['years_if_no_notice']} years where no notice is given"
    if value.get("on_no_harm"):
        yield f"who relies on no harm: {'; '.join(value['on_no_harm'])}"


def _text(value: Spec) -> Iterator[str]:
    yield value["text"]


def _anything(value: Spec) -> Iterator[str]:
    about = {"from", "until", "status", "reference", "changed_by", "note", "from_memory", "checked_on", "verified"}
    yield from (f"{_plain(name)}: {shown(inner)}" for name, inner in value.items() if name not in about)


_VALUES: dict[str, Callable[[Spec], Iterator[str]]] = {
    "owed": _owed,
    "deadline": _clocks,
    "second": _clocks,
    "final": _clocks,
    "hold": _hold,
    "content": _content,
    "channels": _channels,
    "substitute": _substitute,
    "monitoring": _monitoring,
    "exemptions": lambda value: iter([_words("exemptions", value["list"])]),
    "to": _names,
    "late": _text,
    "phased": _text,
    "duty": _record,
    "lead": _text,
}
