"""Conditions of the packs: a small tree (all, any, exposed, readable, finding, cause, affected, notified ...) that is
weighed against the facts. Each node gives yes, no or "not known" (None), the reason, and the questions that are open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from incidents.law.elements import Exposure, list_is_met, name_is_met
from incidents.law.facts import IncidentFacts, Question, Reason
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
    open_questions: tuple[Question, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """A weighed condition: `holds` (None = not known), why, and what a person must answer where it is not known."""

    reason: Reason
    questions: tuple[Question, ...] = ()

    @property
    def holds(self) -> bool | None:
        """Whether the condition is met."""
        return self.reason.holds


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
    return Outcome(reason=reason, questions=questions if holds is None else ())


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
    met = _and([list_is_met(exposure=exposure, any_of=any_of), name_is_met(exposure=exposure, name=spec["name"])])
    questions = _element_questions(exposure, [*any_of, "name"], scene.reference) if met is None else []
    if met is False or not only_if:
        return met, questions
    answer = {"yes": True, "no": False}.get(scene.facts.findings.answers.get(only_if["finding"], "unknown"))
    if answer is None:
        text = f"Is it so that {only_if['text']}?"
        questions.append(Question(only_if["finding"], text, scene.reference))
    return _and([met, answer]), questions


def _element_questions(exposure: Exposure, wanted: Sequence[str], reference: str) -> list[Question]:
    doubtful = sorted({exposure.maybe[element] for element in exposure.maybe_of(wanted)})
    asked = [Question(f"element:{e}", f"Was the element {e} exposed (or opened by what was)?", reference) for e in doubtful]
    unknown = "The word {} is not in the vocabulary of data elements: which element is meant?"
    return asked + [Question(f"element:{w}", unknown.format(w), reference) for w in sorted(exposure.unknown)]


def _list_text(spec: Spec) -> str:
    named = {"required": "the name with one of: ", "or_other_identifier": "a name or other identifier with one of: "}
    only_if = f" (only if {spec['only_if']['text']})" if "only_if" in spec else ""
    return named.get(spec["name"], "one of: ") + ", ".join(spec["any_of"]) + only_if


def _exposed_fact(spec: Spec, scene: Scene, holds: bool | None) -> str:
    wanted = [*spec["any_of"], *(["name"] if spec["name"] != "not_required" else [])]
    sure = dict.fromkeys(element for exposure in scene.exposures for element in exposure.sure_of(wanted))
    maybe = dict.fromkeys(element for exposure in scene.exposures for element in exposure.maybe_of(wanted))
    if holds is False and not set(sure) - {"name"}:
        return "none of the listed elements was exposed"
    fact = "exposed: " + (", ".join(sure) or "none of the list for certain")
    return fact + (f"; not known: {', '.join(maybe)}" if maybe else "")


def _exposed_change(spec: Spec, holds: bool | None) -> str:
    if holds:
        return "none of the listed elements being exposed"
    name = {"required": " together with the name", "or_other_identifier": " together with an identifier"}
    return "exposure of one of the listed elements" + name.get(spec["name"], "")


def _finding(condition: Spec, scene: Scene) -> Outcome:
    spec = condition["finding"]
    key, text = spec["key"], condition.get("text", spec["key"])
    found = getattr(scene.facts.findings, key, None) or scene.facts.findings.answers.get(key, "unknown")
    wanted = RISKS[RISKS.index(spec["at_least"]) :] if "at_least" in spec else (spec.get("is", "yes"),)
    holds = found in wanted if found in (RISKS if "at_least" in spec else ("yes", "no")) else None
    question = Question(key, f"{_QUESTIONS.get(key, key)} ({text})", scene.reference)
    fact = f"no one has found on {key} yet" if holds is None else f"the officer found {key}: {found}"
    change = f"a finding of {key} other than {' or '.join(wanted)}" if holds else f"a finding of {key}: {' or '.join(wanted)}"
    return _leaf(scene, text, holds, fact, change, questions=[question])


def _cause(condition: Spec, scene: Scene) -> Outcome:
    spec, cause = condition["cause"], scene.facts.cause
    open_question = cause in spec.get("ask_if", ()) or cause not in CAUSES
    holds = True if cause in spec["any_of"] else None if open_question else False
    text = condition.get("text", f"the cause is one of: {', '.join(spec['any_of'])}")
    finding = f"cause:{'_or_'.join(spec['any_of'])}"
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
    spec, notified = condition["notified"], scene.notified
    holds = is_reached_by(notified=notified, op=spec["op"], n=spec["n"])
    text = condition.get("text", f"people to be told {spec['op']} {spec['n']:,}")
    fact = f"{notified.sure:,} people must be told" + (f", {notified.open:,} more perhaps" if notified.open else "")
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
    "breach": _breach,
    "never": _never,
}
