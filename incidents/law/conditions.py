"""Conditions of the packs: a small tree (all, any, exposed, readable, finding, cause, affected, notified ...) that is
weighed against the facts. Each node gives yes, no or "not known" (None), the reason, and the questions that are open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from incidents.law.elements import Exposure, list_is_met, name_is_met, names_of
from incidents.law.facts import Anchor, IncidentFacts, Moment, Question, Reason
from incidents.law.questions import cause_key, sector_key
from incidents.law.thresholds import Notified, is_reached, is_reached_by

RISKS = ("unlikely", "risk", "high")
CAUSES = ("attack", "error", "loss", "insider")
_QUESTIONS = {
    "risk": "How high is the risk to these people: unlikely, risk or high?",
    "misuse_likely": "Has misuse of the data happened, or is it reasonably likely?",
    "serious_harm_likely": "Is serious harm to these people likely?",
}


@dataclass(frozen=True)
class Scene:
    """What a condition may look at: the facts, what the people in question lost, and the counts."""

    facts: IncidentFacts
    exposures: Sequence[Exposure]
    affected: int
    reference: str
    notified: Notified = field(default_factory=Notified)
    minors: bool = False
    open_questions: tuple[Question, ...] = ()
    #: When the controller learnt of these people, where they were found late; only their clocks run from it.
    clock: datetime | None = None


@dataclass(frozen=True)
class Outcome:
    """A weighed condition: `holds` (None = not known), why, and what a person must answer where it is not known."""

    reason: Reason
    questions: tuple[Question, ...] = ()
    #: Special cases that would count if somebody recorded them; nothing waits for them.
    may_record: tuple[Question, ...] = ()

    @property
    def holds(self) -> bool | None:
        """Whether the condition is met."""
        return self.reason.holds


#: What a finding says, as the second half of "the officer found ...".
_SAYS = {
    ("risk", "unlikely"): "that a risk is unlikely",
    ("risk", "risk"): "a risk, not a high one",
    ("risk", "high"): "a high risk",
    ("misuse_likely", "yes"): "that misuse has happened or is likely",
    ("misuse_likely", "no"): "that misuse is not likely",
    ("serious_harm_likely", "yes"): "that serious harm is likely",
    ("serious_harm_likely", "no"): "that serious harm is not likely",
}
_OPEN = {
    "risk": "how high the risk is",
    "misuse_likely": "whether misuse is likely",
    "serious_harm_likely": "whether serious harm is likely",
}

Spec = Mapping[str, Any]


def weigh(*, condition: Spec, scene: Scene) -> Outcome:
    """Weighs one condition of a pack against the scene."""
    for word, weigher in _WEIGHERS.items():
        if word in condition:
            return weigher(condition, scene)
    raise ValueError(f"a condition without a known word: {sorted(condition)}")


def _leaf(
    scene: Scene,
    condition: str,
    holds: bool | None,
    fact: str,
    would_change: str = "",
    *,
    questions: Sequence[Question] = (),
) -> Outcome:
    reason = Reason(condition, holds, fact, scene.reference, would_change)
    return Outcome(reason=reason, questions=tuple(questions) if holds is None else ())


def _all(condition: Spec, scene: Scene) -> Outcome:
    parts = [weigh(condition=part, scene=scene) for part in condition["all"]]
    holds = _and([part.holds for part in parts])
    return _joined(condition.get("text", "all of these hold"), parts, holds, scene)


def _any(condition: Spec, scene: Scene) -> Outcome:
    parts = [weigh(condition=part, scene=scene) for part in condition["any"]]
    holds = _or([part.holds for part in parts])
    return _joined(condition.get("text", "one of these holds"), parts, holds, scene)


def _joined(text: str, parts: Sequence[Outcome], holds: bool | None, scene: Scene) -> Outcome:
    deciding = [part for part in parts if part.holds is holds] or list(parts)
    fact = "; ".join(dict.fromkeys(part.reason.fact for part in deciding))
    changes = "; ".join(dict.fromkeys(part.reason.would_change for part in deciding if part.reason.would_change))
    reason = Reason(text, holds, fact, scene.reference, changes, tuple(part.reason for part in parts))
    questions = tuple(dict.fromkeys(question for part in parts for question in part.questions))
    may_record = tuple(dict.fromkeys(question for part in parts for question in part.may_record))
    return Outcome(reason=reason, questions=questions if holds is None else (), may_record=may_record)


def _and(values: Sequence[bool | None]) -> bool | None:
    return False if False in values else None if None in values else True


def _or(values: Sequence[bool | None]) -> bool | None:
    return True if True in values else None if None in values else False


def _breach(condition: Spec, scene: Scene) -> Outcome:
    fact = f"{scene.affected:,} people affected"
    return _leaf(scene, condition.get("text", "a breach of personal data"), True, fact, "no breach of personal data")


def _never(condition: Spec, scene: Scene) -> Outcome:
    change = "a change of the law, or the condition named"
    return _leaf(scene, condition.get("text", "the law knows this duty"), False, condition["never"], change)


def _readable(condition: Spec, scene: Scene) -> Outcome:
    text, facts = condition.get("text", "the data were readable to the taker"), scene.facts
    if not facts.encrypted:
        return _leaf(scene, text, True, "the data were not encrypted", "encrypted data whose key was not taken")
    if not facts.key_taken:
        return _leaf(scene, text, False, "encrypted, and the key was not taken", "the key being taken as well")
    said = condition["readable"]["key_exception"] == "not_stated"
    fact = "encrypted, and the key was taken" + (" (the statute is silent on keys; read as lost)" if said else "")
    return _leaf(scene, text, True, fact, "the key not being taken")


def _exposed(condition: Spec, scene: Scene) -> Outcome:
    spec = condition["exposed"]
    tried = [_exposed_in(spec, exposure, scene) for exposure in scene.exposures]
    holds = _or([met for met, _ in tried])
    questions = dict.fromkeys(question for met, asked in tried if met is None for question in asked)
    text = condition.get("text") or _list_text(spec)
    return _leaf(scene, text, holds, _exposed_fact(spec, scene, holds), _exposed_change(spec, holds), questions=list(questions))


def _exposed_in(spec: Spec, exposure: Exposure, scene: Scene) -> tuple[bool | None, list[Question]]:
    any_of, only_if = spec["any_of"], spec.get("only_if")
    listed, named = list_is_met(exposure=exposure, any_of=any_of), name_is_met(exposure=exposure, name=spec["name"])
    met = _and([listed, named])
    questions = _element_questions(exposure, spec, listed, named, scene.reference) if met is None else []
    if met is False or not only_if:
        return met, questions
    answer = {"yes": True, "no": False}.get(scene.facts.findings.answers.get(only_if["finding"], "unknown"))
    if answer is None:
        text = f"Is it so that {only_if['text']}?"
        questions.append(Question(only_if["finding"], text, scene.reference))
    return _and([met, answer]), questions


def _element_questions(
    exposure: Exposure, spec: Spec, listed: bool | None, named: bool | None, reference: str
) -> list[Question]:  # fmt: skip
    """Only what is still open is asked: the list, the name (or another identifier), or both."""
    wanted = [*(spec["any_of"] if listed is None else ()), *(sorted(names_of(name=spec["name"])) if named is None else ())]
    doubtful = sorted({exposure.maybe[element] for element in exposure.maybe_of(wanted)})
    asked = [Question(f"element:{e}", f"Was the element {e} exposed (or opened by what was)?", reference) for e in doubtful]
    unknown = "The word {} is not in the vocabulary of data elements: which element is meant?"
    words = sorted(exposure.unknown) if listed is None else []
    return asked + [Question(f"element:{word}", unknown.format(word), reference) for word in words]


def _list_text(spec: Spec) -> str:
    named = {"required": "the name with one of: ", "or_other_identifier": "a name or other identifier with one of: "}
    only_if = f" (only if {spec['only_if']['text']})" if "only_if" in spec else ""
    return named.get(spec["name"], "one of: ") + _plain(spec["any_of"]) + only_if


def _exposed_fact(spec: Spec, scene: Scene, holds: bool | None) -> str:
    wanted = [*spec["any_of"], *(["name"] if spec["name"] != "not_required" else [])]
    sure = dict.fromkeys(element for exposure in scene.exposures for element in exposure.sure_of(wanted))
    maybe = dict.fromkeys(element for exposure in scene.exposures for element in exposure.maybe_of(wanted))
    if holds is False and not set(sure) - {"name"}:
        lost = dict.fromkeys(element for exposure in scene.exposures for element in sorted(exposure.lost))
        return f"none of the listed elements was exposed, but: {_plain(lost) or 'nothing'}"
    fact = "exposed: " + (_plain(sure) or "none of the list for certain")
    return fact + (f"; not known: {_plain(maybe)}" if maybe else "")


def _plain(elements: Iterable[str]) -> str:
    return ", ".join(element.replace("_", " ") for element in elements)


def _exposed_change(spec: Spec, holds: bool | None) -> str:
    if holds:
        return "none of the listed elements being exposed"
    name = {"required": " together with the name", "or_other_identifier": " together with an identifier"}
    return "exposure of one of the listed elements" + name.get(spec["name"], "")


def _finding(condition: Spec, scene: Scene) -> Outcome:
    spec = condition["finding"]
    key, text = spec["key"], condition.get("text", spec["key"].replace("_", " "))
    found = _found(scene, key)
    wanted = RISKS[RISKS.index(spec["at_least"]) :] if "at_least" in spec else (spec.get("is", "yes"),)
    holds = found in wanted if found in (RISKS if "at_least" in spec else ("yes", "no")) else None
    if holds is None and "stand_in" in spec:
        return _stand_in(condition, scene)
    fact = _nothing_found(key, text) if holds is None else f"the officer found {_says(key, found, text)}"
    others = tuple(word for word in (RISKS if "at_least" in spec else ("yes", "no")) if word not in wanted)
    change = "another finding: " + ", or ".join(_says(key, word, text) for word in (others if holds else wanted))
    return _leaf(scene, text, holds, fact, change, questions=[_question(key, text, scene)])


def _says(key: str, value: str, text: str) -> str:
    return _SAYS.get((key, value)) or f"that {'' if value == 'yes' else 'it is not so that '}{text}"


def _nothing_found(key: str, text: str) -> str:
    return f"no one has found yet {_OPEN.get(key, f'whether {text}')}"


def _found(scene: Scene, key: str) -> str:
    own = getattr(scene.facts.findings, key, None)
    return own if isinstance(own, str) else scene.facts.findings.answers.get(key, "unknown")


def _question(key: str, text: str, scene: Scene) -> Question:
    asked = f"{_QUESTIONS[key]} ({text})" if key in _QUESTIONS else f"Is it so that {text}?"
    return Question(key, asked, scene.reference)


def _stand_in(condition: Spec, scene: Scene) -> Outcome:
    """Another finding that already answers the question; what it leaves open stays a question."""
    spec = condition["finding"]
    key, text, other = spec["key"], condition.get("text", spec["key"].replace("_", " ")), spec["stand_in"]["key"]
    found = _found(scene, other)
    holds = True if found in spec["stand_in"]["yes"] else False if found in spec["stand_in"]["no"] else None
    known = "" if found == "unknown" else f"the officer found {_says(other, found, text)}"
    fact = _nothing_found(key, text) + (f"; {known}" if known else "") if holds is None else f"{known}, which answers this"
    change = f"another finding: {_says(key, 'no' if holds else 'yes', text)}"
    return _leaf(scene, text, holds, fact, change, questions=[_question(key, text, scene)])


def _said(condition: Spec, scene: Scene) -> Outcome:
    """An exception or special case that counts only once somebody has recorded it; no question stops the work for it."""
    spec = condition["said"]
    text = condition.get("text", spec["finding"].replace("_", " "))
    answer = scene.facts.findings.answers.get(spec["finding"], "unknown")
    holds = ("no" if answer == "unknown" else answer) == spec.get("is", "yes")
    facts = {"yes": f"recorded: {text}", "no": f"recorded: it is not so that {text}"}
    fact, change = facts.get(answer, f"no one has recorded that {text}"), f"a record that {text}"
    outcome = _leaf(scene, text, holds, fact, "a record to the contrary" if answer == "yes" else change)
    return replace(outcome, may_record=(_question(spec["finding"], text, scene),))


def _recorded(condition: Spec, scene: Scene) -> Outcome:
    """Something that somebody must determine: recorded with its moment, or answered; else it is a question."""
    key, anchor = condition["recorded"]["finding"], Anchor(condition["recorded"]["anchor"])
    text = condition.get("text", f"{anchor.value} is recorded")
    answer = {"yes": True, "no": False}.get(_found(scene, key))
    known = anchor in scene.facts.anchors
    moment = anchor.value.removesuffix("_at").replace("_", " ")
    fact = f"{moment} on {_day(scene.facts.anchors[anchor])}" if known else f"the moment ({moment}) is not recorded"
    holds = answer if answer is not None else True if known else None
    change = f"a finding that it is not so that {text}" if holds else f"a record that {text}"
    return _leaf(scene, text, holds, fact, change, questions=[_question(key, text, scene)])


def _day(moment: Moment) -> str:
    return moment.isoformat(timespec="minutes") if isinstance(moment, datetime) else moment.isoformat()


def _not(condition: Spec, scene: Scene) -> Outcome:
    inner = weigh(condition=condition["not"], scene=scene)
    holds = None if inner.holds is None else not inner.holds
    text = condition.get("text", f"not so: {inner.reason.condition}")
    reason = Reason(text, holds, inner.reason.fact, scene.reference, inner.reason.would_change, inner.reason.parts)
    return replace(inner, reason=reason)


def _sector(condition: Spec, scene: Scene) -> Outcome:
    spec, sector = condition["sector"], scene.facts.sector
    text = condition.get("text", f"the sector is one of: {', '.join(spec['any_of'])}")
    finding = sector_key(spec=spec)
    open_answer = {"yes": True, "no": False}.get(scene.facts.findings.answers.get(finding, "unknown"))
    holds = True if sector in spec["any_of"] else open_answer if sector in spec.get("ask_if", ()) else False
    question = Question(finding, f"Is it so that {text}?", scene.reference)
    return _leaf(scene, text, holds, f"sector: {sector}", "another sector", questions=[question])


def _minors(condition: Spec, scene: Scene) -> Outcome:
    text = condition.get("text", "children are among these people")
    fact = "children are among them" if scene.minors else "no one is marked as a child"
    return _leaf(scene, text, scene.minors, fact, "no children among them" if scene.minors else "children among these people")


def _cause(condition: Spec, scene: Scene) -> Outcome:
    spec, cause = condition["cause"], scene.facts.cause
    open_question = cause in spec.get("ask_if", ()) or cause not in CAUSES
    holds = True if cause in spec["any_of"] else None if open_question else False
    text = condition.get("text", f"the cause is one of: {', '.join(spec['any_of'])}")
    finding = cause_key(spec=spec)
    answer = {"yes": True, "no": False}.get(scene.facts.findings.answers.get(finding, "unknown"))
    holds = answer if holds is None else holds
    change = f"a cause other than {', '.join(spec['any_of'])}" if holds else f"a cause of: {', '.join(spec['any_of'])}"
    return _leaf(
        scene,
        text,
        holds,
        f"cause: {cause}",
        change,
        questions=[Question(finding, f"Is it so: {text}?", scene.reference)],
    )


def _affected(condition: Spec, scene: Scene) -> Outcome:
    spec = condition["affected"]
    holds = is_reached(count=scene.affected, op=spec["op"], n=spec["n"])
    text = condition.get("text", f"people affected {spec['op']} {spec['n']:,}")
    return _leaf(scene, text, holds, f"{scene.affected:,} people affected", f"a count on the other side of {spec['n']:,}")


def _notified(condition: Spec, scene: Scene) -> Outcome:
    return _counted(condition, scene, scene.notified, "notified", "people")


def _notified_in_one_place(condition: Spec, scene: Scene) -> Outcome:
    return _counted(condition, scene, scene.notified.largest, "notified_in_one_place", "people of one state")


def _counted(condition: Spec, scene: Scene, notified: Notified, word: str, whom: str) -> Outcome:
    spec = condition[word]
    holds = is_reached_by(notified=notified, op=spec["op"], n=spec["n"])
    text = condition.get("text", f"{whom} to be told {spec['op']} {spec['n']:,}")
    fact = f"{notified.sure:,} {whom} must be told" + (f", {notified.open:,} more perhaps" if notified.open else "")
    return _leaf(scene, text, holds, fact, f"a count on the other side of {spec['n']:,}", questions=scene.open_questions)


_WEIGHERS: dict[str, Callable[[Spec, Scene], Outcome]] = {
    "all": _all,
    "any": _any,
    "exposed": _exposed,
    "readable": _readable,
    "finding": _finding,
    "cause": _cause,
    "affected": _affected,
    "notified": _notified,
    "notified_in_one_place": _notified_in_one_place,
    "said": _said,
    "not": _not,
    "recorded": _recorded,
    "sector": _sector,
    "minors": _minors,
    "breach": _breach,
    "never": _never,
}
