"""ENISA's severity of a breach, SE = DPC x EI + CB, as a suggestion beside the officer's finding; every input is shown.

ENISA, Recommendations for a methodology of the assessment of severity of personal data breaches, v1.0, December 2013.
The number decides nothing: ENISA ties no duty to it, and Articles 33 and 34 GDPR ask a person for a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from incidents.law.severity_inputs import KINDS, STEPS, Circumstances, Kind, Option, Question, Range, exactly, questions

METHOD = "ENISA, Recommendations for a methodology of the assessment of severity of personal data breaches, v1.0, December 2013"
COMMON_USE = (
    "Common use thinks of Art 33 GDPR from 2 and of Art 34 from 3. ENISA does not set this: the law asks how likely and how "
    "high a risk is, not for a number."
)
BELOW_TWO = "Below 2 neither ENISA nor common use says that a risk is unlikely: Art 33(1) GDPR asks a person to find that."
LEFT_OPEN = "More than one finding agrees with these answers; its reason should say what decided."
#: The first score of each band. The edge at 2 is quoted from the method; those above it are the ones in common use.
BANDS = {0.0: "low", 2.0: "medium", 3.0: "high", 4.0: "very high"}
BAND_MEANS = {
    "low": "small annoyances",
    "medium": "notable, but can be overcome",
    "high": "serious, overcome with difficulty",
    "very high": "perhaps never overcome",
}
BAND_RISKS = {"low": ("unlikely", "risk"), "medium": ("risk",), "high": ("high",), "very high": ("high",)}
RISK_WORDS = {"unlikely": "a risk is unlikely", "risk": "a risk, but not a high one", "high": "a high risk"}
CIRCUMSTANCES = ("confidentiality", "integrity", "availability", "intent")
LOWEST, HIGHEST = 1, 4
MANY_PEOPLE = 100


@dataclass(frozen=True)
class Input:
    """One answer as it counted."""

    question: Question
    option: Option

    @property
    def by_officer(self) -> bool:
        """Whether somebody chose another answer than the default."""
        return self.option != self.default

    @property
    def default(self) -> Option:
        """The answer out of the facts."""
        return next(option for option in self.question.options if option.value == self.question.default)


@dataclass(frozen=True)
class KindScore:
    """The class of one kind of data after its steps, held within 1 to 4. Not `sure`: perhaps it was not exposed at all."""

    kind: Kind
    elements: tuple[str, ...]
    sure: bool
    base: Range
    steps: Range

    @property
    def score(self) -> Range:
        """Base and steps, held within 1 to 4."""
        moved = self.base + self.steps
        return Range(min(max(moved.low, LOWEST), HIGHEST), min(max(moved.high, LOWEST), HIGHEST))


@dataclass(frozen=True)
class Flag:
    """What the method tells beside the sum; `holds` is None when it is not known."""

    key: str
    holds: bool | None
    text: str


@dataclass(frozen=True)
class Suggestion:
    """The severity with everything it was made from; `grounds` are the officer's words for the steps taken."""

    inputs: tuple[Input, ...]
    kinds: tuple[KindScore, ...]
    dpc: Range
    ei: Range
    cb: Range
    flags: tuple[Flag, ...]
    grounds: str = ""

    @property
    def score(self) -> Range:
        """SE = DPC x EI + CB, from 0.25 to 6."""
        return self.dpc * self.ei + self.cb

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands that the score touches, the lowest first."""
        return bands_of(score=self.score)

    @property
    def risks(self) -> tuple[str, ...]:
        """The findings of `risk` that agree with the score as it is commonly read; below 2 this leaves two."""
        found = {risk for band in self.bands for risk in BAND_RISKS[band]}
        return tuple(risk for risk in RISK_WORDS if risk in found)

    @property
    def ungrounded(self) -> bool:
        """Whether somebody moved a class without saying why."""
        return not self.grounds.strip() and any(one.by_officer and "." in one.question.key for one in self.inputs)


class UnknownAnswer(ValueError):
    """An answer that the question does not have."""


def bands_of(*, score: Range) -> tuple[str, ...]:
    """Low below 2, medium below 3, high below 4, else very high; of a span every band that it touches."""
    edges = pairwise([*BANDS, float("inf")])
    return tuple(BANDS[start] for start, end in edges if score.low < end and score.high >= start)


def weigh(*, circumstances: Circumstances, answers: Mapping[str, str] | None = None, grounds: str = "") -> Suggestion:
    """SE = DPC x EI + CB (ENISA 2013) of the answers, by question; defaults stand for the rest. Raises UnknownAnswer."""
    said = answers or {}
    inputs = tuple(_answered(one, said.get(one.key, one.default)) for one in questions(circumstances=circumstances))
    adds = {one.question.key: one.option.adds for one in inputs}
    kinds = tuple(_score(kind, adds, circumstances) for kind in circumstances.kinds)
    return Suggestion(
        inputs=inputs,
        kinds=kinds,
        dpc=_highest(kinds),
        ei=adds["identification"],
        cb=_sum(adds[key] for key in CIRCUMSTANCES),
        flags=_flags(circumstances),
        grounds=grounds.strip(),
    )


def _answered(question: Question, value: str) -> Input:
    for option in question.options:
        if option.value == value:
            return Input(question, option)
    raise UnknownAnswer(f"'{value}' is no answer to '{question.key}'; use one of {[one.value for one in question.options]}.")


def _score(kind: Kind, adds: Mapping[str, Range], circumstances: Circumstances) -> KindScore:
    elements = circumstances.kinds[kind]
    base = adds.get(f"{kind}.class", KINDS[kind][1])
    steps = _sum(adds[f"{kind}.{ground}"] for ground in STEPS)
    return KindScore(kind, elements, not set(elements).isdisjoint(circumstances.exposed), base, steps)


def _highest(kinds: Iterable[KindScore]) -> Range:
    """Of several kinds the highest counts; one that perhaps was not exposed only raises the upper end."""
    scores = [(one.score, one.sure) for one in kinds]
    low = max((score.low for score, sure in scores if sure), default=LOWEST)
    return Range(low, max((score.high for score, _ in scores), default=HIGHEST))


def _sum(ranges: Iterable[Range]) -> Range:
    return sum(ranges, start=exactly(0))


def _flags(circumstances: Circumstances) -> tuple[Flag, ...]:
    people, taken = circumstances.people, circumstances.key_taken
    number = "The number of people is not known" if people is None else f"{people:,} people"
    cover = f"Encrypted, and the key was {'taken too' if taken else 'not taken'}" if circumstances.encrypted else "Not encrypted"
    return (
        Flag("many_people", None if people is None else people > MANY_PEOPLE, f"{number} (flag: more than {MANY_PEOPLE})"),
        Flag("unintelligible", circumstances.encrypted and not taken, f"{cover} (flag: nobody can read the data)"),
    )


# -- as it is kept -------------------------------------------------------------------------------------------------


def document(*, suggestion: Suggestion, found: str = "", why_different: str = "") -> dict[str, Any]:
    """The suggestion as it is shown, and stored beside a finding: texts only. `found` is the officer's own value."""
    bands, risks, score = suggestion.bands, suggestion.risks, suggestion.score
    return {
        "method": METHOD,
        "score": score_text(score=score),
        "band": bands[0] if len(bands) == 1 else f"{bands[0]} to {bands[-1]}",
        "means": "; ".join(f"{band}: {BAND_MEANS[band]}" for band in bands),
        "risks": list(risks),
        "says": ", or ".join(RISK_WORDS[risk] for risk in risks),
        **{part: getattr(suggestion, part).text for part in ("dpc", "ei", "cb")},
        "kinds": [_kind_line(one) for one in suggestion.kinds],
        "inputs": [_input_line(one) for one in suggestion.inputs],
        "flags": [{"key": flag.key, "holds": flag.holds, "text": flag.text} for flag in suggestion.flags],
        "notes": [COMMON_USE, *([BELOW_TWO] if "low" in bands else []), *([LEFT_OPEN] if len(risks) > 1 else [])],
        "grounds": suggestion.grounds,
        "found": found,
        "differs": bool(found) and found not in risks,
        "why_different": why_different.strip(),
    }


def score_text(*, score: Range) -> str:
    """A score with one or two decimals: '3.0', '2.5 to 3.0'."""
    low, high = (f"{end:.2f}".removesuffix("0") for end in (score.low, score.high))
    return low if low == high else f"{low} to {high}"


def _kind_line(one: KindScore) -> dict[str, Any]:
    label, _, source = KINDS[one.kind]
    numbers = {name: getattr(one, name).text for name in ("base", "steps", "score")}
    return {"kind": one.kind.value, "label": label, "elements": list(one.elements), "sure": one.sure, "source": source, **numbers}


def _input_line(one: Input) -> dict[str, Any]:
    group, _, _ = one.question.key.rpartition(".")
    return {
        "key": one.question.key,
        "of": KINDS[Kind(group)][0] if group else "",
        "question": one.question.text,
        "value": one.option.value,
        "answer": one.option.label,
        "source": "officer" if one.by_officer else "default",
        "default": one.default.label,
        "because": one.question.because,
    }


def summary(*, kept: Mapping[str, Any]) -> dict[str, Any]:
    """What the log tells of a stored suggestion: the result, without words that a person wrote."""
    return {name: kept[name] for name in ("method", "score", "band", "risks", "differs")}
