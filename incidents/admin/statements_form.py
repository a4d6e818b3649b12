"""The boxes for the facts that only the letters need: what some laws want stated, what is offered, which contacts are checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from babel import Locale
from django import forms

from incidents.letters.contacts import contacts
from incidents.people.statements import ANSWERS, TEXTS

NOT_RECORDED = "not recorded"
ANSWER_LABELS = {
    "police_asked_delay": ("Did the police ask for a delay?", "California's and Wyoming's letters say whether they did."),
    "phone_toll_free": (
        "Free to call",
        "Whether the telephone above costs the reader nothing. Some US states ask for it.",
    ),
}
TEXT_LABELS = {
    "parent_company": ("Parent company", "Who owns the legal entity; 'none' if nobody does. Massachusetts asks."),
    "delay_reason": ("Why people are told late", "A whole sentence, for laws that want the reason of a late letter."),
    "recipient": ("Who received the data", "Only if readers need to know it to protect themselves (New Zealand)."),
    "intruder": ("Who was behind it", "Only if known (South Africa, Kenya)."),
}
#: The words for `statements.OFFERED_TO`.
OFFERED = {
    "everyone": "everyone who gets a letter",
    "where_owed": "people to whom a law owes them",
    "nobody": "nobody: decided against",
}
SERVICE_LABELS = {
    "provider": ("Provider", "As the letter names it."),
    "months": ("Months", "A whole number; the check compares it with what each law asks."),
    "enrolment": ("How to enrol", "Ends the sentence 'To enrol: ...'. No link; addresses are typed by hand."),
}


def _text(label: str, help_text: str = "") -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off"})
    return forms.CharField(label=label, help_text=help_text, required=False, widget=widget, max_length=2000)


def _choice(label: str, help_text: str, choices: list[tuple[str, str]]) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, help_text=help_text, required=False, choices=[("", NOT_RECORDED), *choices])


def statement_fields(*, languages: tuple[str, ...]) -> dict[str, forms.Field]:
    """All boxes by name, in their order."""
    yes_or_no = [("yes", "yes"), ("no", "no")]
    services = _choice("Protection services are offered to", "Such as credit monitoring, at no cost.", list(OFFERED.items()))
    confirmed = forms.MultipleChoiceField(
        label="Contacts confirmed", required=False, widget=forms.CheckboxSelectMultiple,
        choices=[(contact.id, contact.shown()) for contact in contacts().values() if not contact.checked],
    )  # fmt: skip
    return {
        **{name: _choice(*ANSWER_LABELS[name], yes_or_no) for name in ANSWERS},
        **{name: _text(*words) for name, words in TEXT_LABELS.items()},
        "services_offered_to": services,
        **{f"services_{name}": _text(*words) for name, words in SERVICE_LABELS.items()},
        **{f"told_{name}_{language}": _text(label) for name, language, label in _worded(languages)},
        "contacts_confirmed": confirmed,
    }


def _worded(languages: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """The texts that readers see in their own language, with the language and a label."""
    labels = {**{name: TEXT_LABELS[name][0] for name in TEXTS}, "enrolment": SERVICE_LABELS["enrolment"][0]}
    return [
        (name, language, f"{label}, in {Locale(language).get_display_name('en')}")
        for language in languages
        for name, label in labels.items()
    ]


def said_statements(
    *, data: Mapping[str, Any], confirmed: list[str], languages: tuple[str, ...], stored: Mapping[str, Any]
) -> dict[str, Any]:
    """What the boxes say, as the domain wants it; texts in languages without a box stay as they are stored."""

    def said(name: str) -> str:
        return str(data.get(name, "")).strip()

    worded = {(name, language): said(f"told_{name}_{language}") for name, language, _ in _worded(languages)}
    months = said("services_months")
    services = {
        **_unboxed(stored.get("services") or {}, languages),
        "offered_to": said("services_offered_to"),
        "provider": said("services_provider"),
        "months": int(months) if months.isdecimal() else months,
        "enrolment": said("services_enrolment"),
        **{f"enrolment_{language}": text for (name, language), text in worded.items() if name == "enrolment"},
    }
    return {
        **_unboxed(stored, languages),
        **{name: {"yes": True, "no": False}.get(said(name)) for name in ANSWERS},
        **{name: said(name) for name in TEXT_LABELS},
        **{f"{name}_{language}": text for (name, language), text in worded.items() if name in TEXTS},
        "services": services if any(services.values()) else None,
        "contacts_confirmed": confirmed,
    }


def _unboxed(stored: Mapping[str, Any], languages: tuple[str, ...]) -> dict[str, Any]:
    names = tuple(f"{name}_" for name in (*TEXTS, "provider", "enrolment"))
    boxes = {f"{name}_{language}" for name, language, _ in _worded(languages)}
    return {name: value for name, value in stored.items() if name.startswith(names) and name not in boxes}


def initial_statements(*, stored: Mapping[str, Any], languages: tuple[str, ...]) -> dict[str, Any]:
    """Stored facts as the boxes' first values."""
    services = stored.get("services") or {}
    answers = {name: "yes" if stored[name] else "no" for name in ANSWERS if name in stored}
    texts = {name: stored[name] for name in TEXT_LABELS if stored.get(name)}
    offer = {f"services_{name}": services[name] for name in ("offered_to", *SERVICE_LABELS) if services.get(name)}
    worded = {
        f"told_{name}_{language}": text
        for name, language, _ in _worded(languages)
        if (text := (services if name == "enrolment" else stored).get(f"{name}_{language}"))
    }
    confirmed = {"contacts_confirmed": stored["contacts_confirmed"]} if stored.get("contacts_confirmed") else {}
    return {**answers, **texts, **offer, **worded, **confirmed}
