"""The inputs of ENISA's severity method: kinds of data and their classes, the questions, and the defaults out of the facts.

ENISA, Recommendations for a methodology of the assessment of severity of personal data breaches, v1.0, December 2013: the
classes of data and the factors of context, identification and circumstances. `severity.py` makes the sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

OPEN = "open"


@dataclass(frozen=True)
class Range:
    """A number, or the span in which it lies while an input is not known."""

    low: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __mul__(self, other: Range) -> Range:
        return Range(self.low * other.low, self.high * other.high)

    @property
    def text(self) -> str:
        """'1', or '0.75 to 1'."""
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"


def exactly(number: float) -> Range:
    """A number that is known."""
    return Range(number, number)


class Kind(StrEnum):
    """The four classes of data, and three kinds whose class only a person can say."""

    SIMPLE = "simple"
    BEHAVIOURAL = "behavioural"
    FINANCIAL = "financial"
    SENSITIVE = "sensitive"
    CREDENTIALS = "credentials"
    IDENTITY = "identity"
    UNCLASSIFIED = "unclassified"


#: Label, class, and why this class.
KINDS = {
    Kind.SIMPLE: ("Simple data", exactly(1), "contact, biography, education, work: class 1"),
    Kind.BEHAVIOURAL: ("Behavioural data", exactly(2), "places, traffic, habits, preferences: class 2"),
    Kind.FINANCIAL: ("Financial data", exactly(3), "accounts, cards, income, tax: class 3"),
    Kind.SENSITIVE: ("Sensitive data", exactly(4), "health, politics, sex life, other data of Art 9 GDPR: class 4"),
    Kind.CREDENTIALS: ("Sign-in data", Range(1, 4), "the class of what they open"),
    Kind.IDENTITY: (
        "Identity numbers and documents",
        Range(1, 3),
        "named in none of the classes; 1 as biography, 3 where they open credit",
    ),
    Kind.UNCLASSIFIED: ("Other data", Range(1, 4), "these have no class yet; say which"),
}
ELEMENTS = {
    Kind.SIMPLE: (
        "name other_identifier email username phone postal_address country gender loyalty_number date_of_birth "
        "mothers_maiden_name birth_certificate marriage_certificate work_evaluation student_id employer_assigned_id "
        "employer_tax_id"
    ),
    Kind.BEHAVIOURAL: "purchase_history customer_profile ip_address geolocation plate_reader",
    Kind.FINANCIAL: (
        "financial_account financial_account_with_access_code financial_account_usable_without_code financial_access_code "
        "payment_card payment_card_with_code payment_card_last4 electronic_id_with_code tax_information irs_ip_pin"
    ),
    Kind.SENSITIVE: (
        "medical_information medical_id health_insurance_id health_insurance_id_with_code health_claims biometric genetic dna "
        "age_verification_data"
    ),
    Kind.CREDENTIALS: (
        "online_credentials email_account_credentials password_hash shared_secret private_key employer_assigned_id_with_code"
    ),
    Kind.IDENTITY: (
        "ssn ssn_last4 drivers_license state_id tribal_id passport military_id tax_id other_government_id voter_id national_id "
        "digital_signature"
    ),
}
KIND_OF = {element: kind for kind, elements in ELEMENTS.items() for element in elements.split()}
#: Steps that a word in the sector speaks for: the method's examples (supermarket 1, luxury goods 2, pharmacy 3).
FIELDS = {"supermarket": "0", "grocery": "0", "luxury": "+1", "jewellery": "+1", "pharmacy": "+2"}


@dataclass(frozen=True)
class Circumstances:
    """What the method sees of the facts. `maybe`: elements not known whether exposed; `people`: None if not known."""

    exposed: tuple[str, ...]
    maybe: tuple[str, ...] = ()
    cause: str = "unknown"
    encrypted: bool = False
    key_taken: bool = False
    contained: bool = False
    sector: str = "retail"
    people: int | None = None

    @property
    def kinds(self) -> dict[Kind, tuple[str, ...]]:
        """The kinds of data that were or may have been exposed, with their elements."""
        found: dict[Kind, list[str]] = {}
        for element in (*self.exposed, *self.maybe):
            found.setdefault(KIND_OF.get(element, Kind.UNCLASSIFIED), []).append(element)
        return {kind: tuple(found[kind]) for kind in Kind if kind in found}


def circumstances_of(*, facts: Mapping[str, Any], people: int | None) -> Circumstances:
    """What the method sees of stored facts (their shape: docs/facts.md) and of the number of people."""
    states = facts["elements"]
    return Circumstances(
        exposed=tuple(sorted(name for name, state in states.items() if state.startswith("exposed"))),
        maybe=tuple(sorted(name for name, state in states.items() if state == "unknown")),
        **{name: facts[name] for name in ("cause", "encrypted", "key_taken", "contained", "sector")},
        people=people,
    )


@dataclass(frozen=True)
class Option:
    """One possible answer and what it adds (identification: by what it multiplies)."""

    value: str
    label: str
    adds: Range


@dataclass(frozen=True)
class Question:
    """One input: its answers, the default out of the facts, and what the default rests on."""

    key: str
    text: str
    options: tuple[Option, ...]
    default: str
    because: str


def _steps(way: int, *labels: str) -> tuple[Option, ...]:
    signed = [(f"{way * n:+d}" if n else "0", way * n, label) for n, label in enumerate(labels)]
    return tuple(Option(text, f"{text}: {label}", exactly(number)) for text, number, label in signed)


def _added(*labels: tuple[str, float, str]) -> tuple[Option, ...]:
    known = [Option(value, f"{f'+{n:g}' if n else '0'}: {label}", exactly(n)) for value, n, label in labels]
    return (*known, Option(OPEN, "not known: 0 to +0.5", Range(0, 0.5)))


#: The grounds for whole steps up or down within 1 to 4.
STEPS = {
    "controller": (
        "What the controller's field reveals",
        _steps(
            1,
            "nothing more, as with a supermarket",
            "wealth, as with luxury goods",
            "health, sex life or belief, as with a pharmacy",
            "who is in danger",
        ),
    ),
    "volume": ("Volume for each person", _steps(1, "little, or a short time", "much", "very much", "nearly everything")),
    "vulnerable": (
        "Vulnerable people",
        _steps(1, "no", "some harm to them", "serious harm to them", "their safety, as with protected officers"),
    ),
    "old": ("Old or no longer valid", _steps(-1, "no", "partly", "mostly", "wholly")),
    "public": ("Public already", _steps(-1, "no", "partly", "mostly", "wholly")),
    "less": ("Tells less than its class", _steps(-1, "no", "somewhat", "much less", "next to nothing")),
}
FIELD_OPEN = Option(OPEN, "not said yet: 0 to +2", Range(0, 2))
CLASSES = tuple(Option(str(n), f"{n}: {kind.value}", exactly(n)) for n, kind in enumerate(list(Kind)[:4], start=1))
IDENTIFICATION = (
    Option("1", "1: the data name the person", exactly(1)),
    Option("0.75", "0.75: likely, with some link", exactly(0.75)),
    Option("0.5", "0.5: possible with effort", exactly(0.5)),
    Option("0.25", "0.25: practically impossible", exactly(0.25)),
    *(Option(f"{n:g}-{n + 0.25:g}", f"between {n:g} and {n + 0.25:g}", Range(n, n + 0.25)) for n in (0.75, 0.5, 0.25)),
    Option(OPEN, "not known: 0.25 to 1", Range(0.25, 1)),
)
CONFIDENTIALITY = _added(
    ("none", 0, "no sign of illegal processing"),
    ("known", 0.25, "known recipients"),
    ("unknown", 0.5, "an unknown number of recipients, or published"),
)
INTEGRITY = _added(
    ("none", 0, "no wrong use"), ("recoverable", 0.25, "changed, can be recovered"), ("lost", 0.5, "changed for good")
)
AVAILABILITY = _added(("none", 0, "easily recovered"), ("temporary", 0.25, "lost for a time"), ("lost", 0.5, "lost for good"))
INTENT = _added(("none", 0, "none"), ("malicious", 0.5, "malicious"))


def questions(*, circumstances: Circumstances) -> tuple[Question, ...]:
    """Every input of the method for these circumstances, each with its default: DPC by kind of data, then EI, then CB."""
    of_kinds = (question for kind in circumstances.kinds for question in _of_kind(kind, circumstances))
    return (
        *of_kinds,
        Question("identification", "How easily the data lead to a person", IDENTIFICATION, *_identification(circumstances)),
        Question("confidentiality", "Who has seen the data", CONFIDENTIALITY, *_confidentiality(circumstances)),
        Question("integrity", "Whether data were changed", INTEGRITY, "none", "the facts tell of no changed data"),
        Question("availability", "Whether data were lost", AVAILABILITY, *_availability(circumstances)),
        Question("intent", "Malicious intent", INTENT, *_intent(circumstances)),
    )


def _of_kind(kind: Kind, circumstances: Circumstances) -> Iterator[Question]:
    _, base, source = KINDS[kind]
    if base.low != base.high:
        not_said = Option(OPEN, f"not said yet: {base.text}", base)
        yield Question(f"{kind}.class", "Class", (not_said, *CLASSES), OPEN, source)
    for ground, (text, options) in STEPS.items():
        if ground == "controller" and kind in {Kind.SIMPLE, Kind.BEHAVIOURAL}:
            yield Question(f"{kind}.{ground}", text, (FIELD_OPEN, *options), *_field(circumstances.sector))
        else:
            yield Question(f"{kind}.{ground}", text, options, "0", "no step unless a person takes one")


def _field(sector: str) -> tuple[str, str]:
    for word, steps in FIELDS.items():
        if word in sector.lower():
            return steps, f"sector: {sector}"
    return OPEN, f"sector: {sector}; what being its client tells of a person is not in the facts"


def _identification(circumstances: Circumstances) -> tuple[str, str]:
    if "name" in circumstances.exposed:
        return "1", "the name was exposed"
    return OPEN, "no name was exposed for certain; how far the rest leads to a person is not in the facts"


def _confidentiality(circumstances: Circumstances) -> tuple[str, str]:
    match circumstances.cause, circumstances.contained:
        case "attack", _:
            return "unknown", "cause: attack; who has the data now is not in the facts"
        case "loss", _:
            return "none", "cause: loss; nobody is known to have read what was lost"
        case "error" | "insider", True:
            return "known", f"cause: {circumstances.cause}; contained"
    return OPEN, f"cause: {circumstances.cause}; {'contained' if circumstances.contained else 'not contained'}"


def _availability(circumstances: Circumstances) -> tuple[str, str]:
    if circumstances.cause == "loss":
        return OPEN, "cause: loss; whether a copy is left is not in the facts"
    return "none", "the facts tell of no lost data"


def _intent(circumstances: Circumstances) -> tuple[str, str]:
    known = {"attack": "malicious", "error": "none", "loss": "none"}
    return known.get(circumstances.cause, OPEN), f"cause: {circumstances.cause}"
