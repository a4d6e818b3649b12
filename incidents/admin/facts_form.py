"""The incident form: text in boxes to facts as the domain wants them, and back. What they must hold is judged there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale
from django import forms
from django.http import QueryDict
from django.utils import timezone

from incidents.admin.statements_form import (
    ANSWER_LABELS,
    TEXT_LABELS,
    initial_statements,
    said_statements,
    statement_fields,
)
from incidents.law.facts import Anchor
from incidents.law.pack import load_packs
from incidents.letters.content import GROUPS
from incidents.letters.gaps import DAY_KNOWN
from incidents.letters.wording import SUPPORTED
from incidents.models.refusal import Refused
from incidents.people.anchors import HOLD_UNTIL, PROCESSOR_AWARE, MomentRefused, instants, local_moment
from incidents.people.country_codes import known_countries
from incidents.people.opening import CONTROLLER, FLAGS, FactsRefused, check_facts

CAUSES = {
    "unknown": "Not known yet",
    "attack": "Attack from outside",
    "insider": "Insider",
    "error": "Our own error",
    "loss": "Loss of a device or paper",
}
CONTROLLER_LABELS = {
    "brand": ("Brand", "As clients know it; it heads the letter."),
    "legal_entity": ("Legal entity", "The controller, as registered."),
    "legal_address": ("Legal address", "Needed before letters can be made: the standard letters end with it."),
    "website": ("Trusted site", "Clients type it by hand, such as brand.com. No link in any letter."),
    "website_page": ("Page on the trusted site", "Where the incident is told, in words."),
    "phone": ("Telephone", "Where clients can ask."),
    "phone_hours": ("Telephone hours", "Needed before letters can be made: the standard letters name them beside the number."),
    "sender_name": ("Sender's name", ""),
    "sender_email": ("Sender's e-mail", "The only address these letters come from."),
    "reply_to": ("Replies go to", "Empty: to the sender."),
    "dpo_name": ("Data protection officer", "Name or office."),
    "dpo_email": ("Officer's e-mail", ""),
}
#: It stands beside the moment of which it speaks.
DAY_BOX = "occurred_known"
FLAG_LABELS = {
    "contained": ("Contained", "The access is ended."),
    "experts_engaged": ("Outside experts engaged", ""),
    "authorities_informed": ("Authorities informed", "Police or regulators know already; the letter says so."),
    "encrypted": ("The data were encrypted", ""),
    "key_taken": ("The key was taken too", ""),
    DAY_BOX: (DAY_KNOWN, "Ticked, the letters name the day of 'Occurred'. Unticked, they say that it is not yet known."),
}
ANCHOR_LABELS = {
    Anchor.OCCURRED: ("Occurred", "Empty if not known. The letters name the day only if the box beside it is ticked."),
    Anchor.FIRST_HINT: ("First hint", "The first sign that something was wrong."),
    Anchor.DISCOVERED: ("Discovered", "US statutes count from here."),
    Anchor.AWARE: (
        "Aware",
        "Reasonable certainty that personal data are affected. Every clock of the GDPR runs from here.",
    ),
    Anchor.DETERMINED: ("Determined", "The breach was determined (some US states)."),
    Anchor.ASSESSED: ("Assessed", "The assessment was concluded."),
    Anchor.PEOPLE_TOLD: ("People told", "Only if letters left outside this system."),
    PROCESSOR_AWARE: (
        "Processor aware",
        "When a supplier knew. It starts the supplier's clock, never the controller's own; letters then say that a company that "
        "works for you held the data.",
    ),
    HOLD_UNTIL: ("Law enforcement asks to wait until", "A written request. The wait is a clock too: it is shown, and ends."),
}
STATES = (
    ("", "not part of this system"),
    ("exposed", "exposed"),
    ("exposed_for_some", "exposed for some"),
    ("not_involved", "confirmed not involved"),
    ("unknown", "unknown"),
)
ELEMENT_GROUPS = {
    "credentials": "Sign-in data",
    "payment": "Payment and bank data",
    "identity": "Identity documents and numbers",
    "health": "Health data",
}
#: What readers see in their own language; the plain box is English.
IN_WORDS = ("website_page", "phone_hours", "dpo_name")
OTHER_LANGUAGES = tuple(sorted(SUPPORTED - {"en"}))
WALL_CLOCK = "%Y-%m-%dT%H:%M"


def _text(label: str, help_text: str = "", *, required: bool = False, long: bool = False) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 2}) if long else forms.TextInput(attrs={"autocomplete": "off"})
    return forms.CharField(label=label, help_text=help_text, required=required, widget=widget, max_length=2000)


def _countries() -> list[tuple[str, str]]:
    names = Locale("en").territories
    return [("", "not said"), *sorted(((code, names[code]) for code in known_countries()), key=lambda pair: pair[1])]


class FactsForm(forms.Form):
    """The facts of an incident. Only reads; `facts` gives the checked facts or raises FactsRefused."""

    def __init__(self, data: QueryDict | None = None, *, stored: Mapping[str, Any] | None = None) -> None:
        self.stored = stored or {}
        super().__init__(data, initial=initial_of(self.stored))
        self.fields.update(_head(new=not self.stored))
        for name, (label, help_text) in CONTROLLER_LABELS.items():
            self.fields[f"controller_{name}"] = _text(label, help_text, required=CONTROLLER[name])
        for language in OTHER_LANGUAGES:
            for name in IN_WORDS:
                label = f"{CONTROLLER_LABELS[name][0]}, in {Locale(language).get_display_name('en')}"
                self.fields[f"words_{name}_{language}"] = _text(label)
        for anchor, (label, help_text) in ANCHOR_LABELS.items():
            name = f"anchors_{anchor}"
            value = self._said(name) if self.is_bound else self.initial.get(name, "")
            clock = _clock(value, self._said("zone") if self.is_bound else self.initial["zone"])
            self.fields[name] = forms.CharField(label=label, help_text=help_text, required=anchor == Anchor.AWARE, widget=clock)
        for flag in FLAGS:
            label, help_text = FLAG_LABELS.get(flag, (flag.replace("_", " ").capitalize(), ""))
            self.fields[flag] = forms.BooleanField(label=label, help_text=help_text, required=False)
        self.fields.update(statement_fields(languages=OTHER_LANGUAGES))
        for element, words in load_packs().vocabulary.elements.items():
            self.fields[f"elements_{element}"] = forms.ChoiceField(label=words, choices=STATES, required=False)

    def group(self, prefix: str) -> list[forms.BoundField]:
        """The fields whose names start alike."""
        return [self[name] for name in self.fields if name.startswith(prefix)]

    @property
    def controller(self) -> list[forms.BoundField]:
        """Brand, contact, officer, trusted site."""
        return self.group("controller_")

    @property
    def words(self) -> list[forms.BoundField]:
        """The same in the other languages of the letters."""
        return self.group("words_")

    @property
    def clocks(self) -> list[forms.BoundField]:
        """The anchors, and beside the first whether its day is told."""
        occurred, *later = self.group("anchors_")
        return [occurred, self[DAY_BOX], *later]

    @property
    def measures(self) -> list[forms.BoundField]:
        """Containment, experts, authorities, encryption."""
        return [self[flag] for flag in FLAGS if flag != DAY_BOX]

    @property
    def statements(self) -> list[forms.BoundField]:
        """What only some laws' letters state."""
        return [self[name] for name in (*ANSWER_LABELS, *TEXT_LABELS)]

    @property
    def services(self) -> list[forms.BoundField]:
        """The offer of protection services."""
        return self.group("services_")

    @property
    def told(self) -> list[forms.BoundField]:
        """The texts of both in the other languages of the letters."""
        return self.group("told_")

    @property
    def element_groups(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """Elements by kind; a group with something said, and the first one, stand open."""
        kinds: dict[str, list[forms.BoundField]] = {"": [], **{title: [] for title in ELEMENT_GROUPS.values()}}
        for field in self.group("elements_"):
            kinds[_kind(field.name.removeprefix("elements_"))].append(field)
        for fields in kinds.values():
            fields.sort(key=lambda field: not field.value())
        return [
            (title or "Contact, profile and other data", fields, not title or any(field.value() for field in fields))
            for title, fields in kinds.items()
        ]

    def facts(self) -> dict[str, Any]:
        """The facts in their stored shape. Raises FactsRefused."""
        problems: list[str] = []
        found = {
            **{name: self._said(name) for name in ("reference", "title", "zone", "cause", "role", "sector")},
            **{name: self._said(name) or None for name in ("based_in", "established_in")},
            **{flag: flag in self.data for flag in FLAGS},
            "controller": self._controller(),
            "anchors": self._anchors(problems),
            "elements": self._elements(),
            "expected_people": self._expected(problems),
            **said_statements(
                data=self.data, confirmed=self["contacts_confirmed"].data, languages=OTHER_LANGUAGES, stored=self.stored
            ),
        }
        if self.stored:
            found["reference"] = self.stored["reference"]
        return _checked(found, problems)

    def _said(self, name: str) -> str:
        return str(self.data.get(name, "")).strip()

    def _controller(self) -> dict[str, str]:
        """The boxes, and whatever was stored for which there is no box."""
        boxes = {field.name.removeprefix("words_"): self._said(field.name) for field in self.words}
        kept = {name: value for name, value in self.stored.get("controller", {}).items() if name not in boxes}
        said = {name: value for name, value in boxes.items() if value}
        return {**kept, **said, **{name: self._said(f"controller_{name}") for name in CONTROLLER}}

    def _elements(self) -> dict[str, str]:
        states = {field.name.removeprefix("elements_"): self._said(field.name) for field in self.group("elements_")}
        return {name: state for name, state in states.items() if state}

    def _anchors(self, problems: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for anchor in ANCHOR_LABELS:
            text = self._said(f"anchors_{anchor}")
            if text:
                found[str(anchor)] = self._moment(str(anchor), text, problems)
        return {name: moment for name, moment in found.items() if moment}

    def _moment(self, name: str, text: str, problems: list[str]) -> str:
        zone, stored = self._said("zone"), self.stored.get("anchors", {}).get(name, "")
        # Untouched, the stored moment stays to the second, and on the right side of an hour that came twice.
        if stored and zone == self.stored["zone"] and text == wall_clock(stored, zone):
            return str(stored)
        try:
            return local_moment(text=text, zone=zone).isoformat()
        except Refused as refusal:
            problems.extend(f"anchors.{name}: {line}" for line in refusal.lines)
            return ""

    def _expected(self, problems: list[str]) -> int | None:
        text = self._said("expected_people").replace(",", "")
        if text and not (text.isdecimal() and len(text) <= 12):
            problems.append(f"expected_people: '{text[:60]}' is not a whole number of people.")
            return None
        return int(text) if text else None


def _head(*, new: bool) -> dict[str, forms.Field]:
    zones = [(zone, zone) for zone in sorted(available_timezones())]
    reference = {
        "reference": _text(
            "Reference", "Lower-case letters, digits and hyphens; it names the incident everywhere.", required=True
        )
    }
    drill = {"drill": forms.BooleanField(label="This is a drill", help_text="On synthetic people only.", required=False)}
    return {
        **(reference if new else {}),
        "title": _text("Title", "One line: what, whose data, when.", required=True),
        **(drill if new else {}),
        "zone": forms.ChoiceField(label="Zone of these times", choices=zones, help_text="All times below are local there."),
        "cause": forms.ChoiceField(label="Cause", choices=list(CAUSES.items())),
        "role": forms.ChoiceField(label="We are the", choices=[("controller", "controller"), ("processor", "processor")]),
        "sector": _text("Sector", "Such as retail."),
        "based_in": forms.ChoiceField(label="Based in", choices=_countries(), required=False),
        "established_in": forms.ChoiceField(
            label="Main establishment in the EU",
            choices=_countries(),
            required=False,
            help_text="Names the lead authority.",
        ),
        "expected_people": _text("People expected", "If a number is known; the list is compared with it."),
    }


def _kind(element: str) -> str:
    return next((title for group, title in ELEMENT_GROUPS.items() if element in GROUPS[group]), "")


def _checked(found: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """The domain's check, with what the boxes themselves held wrong in front of it."""
    try:
        facts = check_facts(found, now=timezone.now())
    except Refused as refusal:
        known = {line.split(":")[0] for line in problems}
        raise FactsRefused(*problems, *(line for line in refusal.lines if line.split(":")[0] not in known)) from None
    if problems:
        raise FactsRefused(*problems)
    return facts


def wall_clock(iso: str, zone: str) -> str:
    """A stored moment as the box shows it; in an hour that came twice with its offset."""
    moment = datetime.fromisoformat(iso).astimezone(ZoneInfo(zone))
    twice = len(instants(naive=moment.replace(tzinfo=None), zone=zone)) > 1
    return moment.isoformat(timespec="minutes") if twice else moment.strftime(WALL_CLOCK)


def _clock(value: str, zone: str) -> forms.TextInput:
    """A box for a moment: the browser's clock, or plain text where an offset has to be written or seen."""
    try:
        naive = datetime.strptime(value, WALL_CLOCK) if value else None  # noqa: DTZ007 - the zone stands beside it
        offset = naive is not None and len(instants(naive=naive, zone=zone)) > 1
    except (ValueError, MomentRefused):
        offset = "+" in value or "Z" in value or value.count("-") > 2
    if offset:
        return forms.TextInput(attrs={"autocomplete": "off"})
    return forms.TextInput(attrs={"type": "datetime-local", "step": "60"})


def initial_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Stored facts as the boxes' first values."""
    if not stored:
        return {"zone": "Europe/Paris", "sector": "retail", "cause": "unknown", "role": "controller"}
    plain = {name: value for name, value in stored.items() if name not in {"controller", "anchors", "elements"}}
    return {
        **plain,
        **{f"controller_{name}": value for name, value in stored["controller"].items()},
        **{f"words_{name}": value for name, value in stored["controller"].items() if name not in CONTROLLER},
        **{f"anchors_{name}": wall_clock(iso, stored["zone"]) for name, iso in stored["anchors"].items()},
        **{f"elements_{name}": state for name, state in stored["elements"].items()},
        **initial_statements(stored=stored, languages=OTHER_LANGUAGES),
    }


def place_of(line: str) -> str:
    """The id of the box that a line of a refusal speaks of ('anchors.aware_at: ...'); empty when of none."""
    name = line.split(":", maxsplit=1)[0].replace(".", "_")
    return f"id_{name}" if name.replace("_", "").isalnum() and " " not in name and ":" in line else ""


#: Names of facts in the lines of a refusal -> their boxes as the form names them.
WORDS = {
    **{f"controller.{name}": label for name, (label, _) in CONTROLLER_LABELS.items()},
    **{f"anchors.{name}": label for name, (label, _) in ANCHOR_LABELS.items()},
}


def in_words(line: str) -> str:
    """The same line with the box named as the form names it."""
    name, colon, said = line.partition(":")
    return f"{WORDS.get(name, name)}{colon}{said}"
