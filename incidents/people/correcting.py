"""Corrections of one person, each as a version: the earlier sealed record is kept, and no letter leaves that differs from it.

A letter that was not sent yet is replaced: the person goes with an amendment, under a new letter and new signatures. Whoever was
told already keeps that letter; a second one is sent only when somebody lets the person join an amendment by name. Whoever a
correction calls dead, a minor, or not to be written to is asked about as on a list, and no letter leaves before the answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.law.pack import load_packs
from incidents.law.places import may_mean, residence_of
from incidents.models import AffectedPerson, Message, MessageState, PersonStatus, PersonVersion
from incidents.models.messages import IN_FLIGHT, MESSAGE_MOVES
from incidents.models.people import Confidence
from incidents.models.refusal import Refused
from incidents.people.addresses import check_address
from incidents.people.amending import GONE, beside_freezes, current_amendment, people_of, put_in
from incidents.people.cohorts import refresh_cohorts
from incidents.people.erasing import refuse_to_show
from incidents.people.locking import locked_messages, locked_people
from incidents.people.matching import INDEXES, blind_indexes
from incidents.people.moving import move_all, standing_messages
from incidents.people.person_facts import birth_date, may_be_several_days
from incidents.people.questions import FLAGS
from incidents.people.residence import is_residence
from incidents.people.reviewing import RAISING, ask_anew, ask_for_other_way, flags_with_age, raised
from incidents.people.rows import can_be_posted
from incidents.people.taken_back import go_along
from incidents.record import PersonFields
from incidents.vault import CannotOpen, Vault
from incidents.visible import has_unseen, visible

#: Sealed texts that may be corrected as they stand in the record; `email` is the address that is written to.
TEXTS = (
    "full_name", "given_name", "family_name", "phone", "street", "city", "region", "postcode", "customer_number",
    "date_of_birth", "representative_role", "representative_name",
)  # fmt: skip
EMAILS = ("email", "representative_email")
#: What the law sees of a person, and the language of their letter.
SEEN = ("residence", "elements", "flags", "language")
FIELDS = (*TEXTS, *EMAILS, *SEEN)
#: Corrections that change neither a letter nor where it goes: what is planned stands.
OF_NO_LETTER = frozenset({"phone"})
ROLES = ("", "guardian", "next_of_kin", "attorney")
LONGEST = 300
CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?")


class CorrectionRefused(Refused):
    """A correction was refused; names the field and the remedy. Nothing changed."""


@dataclass(frozen=True)
class Corrected:
    """A person as they were and will be: the sealed fields, the columns beside them, and what differs, by name."""

    before: PersonFields
    fields: PersonFields
    columns: Mapping[str, object]
    changed: tuple[str, ...]


@transaction.atomic
def correct_person(*, person: AffectedPerson, changes: Mapping[str, str], reason: str, author: User) -> PersonVersion:
    """Correct fields of one person (names of FIELDS -> new value); returns the version that was. Raises CorrectionRefused."""
    incident = person.incident
    vault = Vault(incident=incident)  # before any lock: a KMS may take its time, or not answer
    beside_freezes(incident)
    refuse_to_show(person=person)
    if not visible(reason):
        raise CorrectionRefused("A correction needs its reason in words.")
    [found] = locked_people(keys=[person.pk])
    messages = locked_messages(of=standing_messages(people=AffectedPerson.objects.filter(pk=person.pk)))
    _refuse(found, messages)
    corrected = _corrected(found, changes, vault)
    version = keep_version(person=found, changed=corrected.changed, reason=reason.strip(), author=author)
    asked = raised(person=found, fields=corrected.before)
    commitment = _write(found, corrected, vault)
    data = {"fields": list(corrected.changed), "version": found.version, "commitment": commitment, "reason": reason.strip()}
    record(incident=incident, action=Action.PERSON_CORRECTED, actor=author.username, data=data, subject=found.subject)
    if set(corrected.changed) & set(SEEN) - {"language"}:
        refresh_cohorts(incident=incident)
    if set(corrected.changed) & RAISING:
        ask_anew(person=found, fields=corrected.fields, before=asked)
    ask_for_other_way(person=found, reason=reason.strip(), author=author)
    if set(corrected.changed) - OF_NO_LETTER:
        _leave_register(found, messages, reason.strip(), author)
    go_along(people=[found.pk], reason=f"corrected: {reason.strip()}", author=author)
    return version


def _refuse(person: AffectedPerson, messages: list[Message]) -> None:
    if person.status in GONE:
        raise CorrectionRefused(f"{person.reference} is '{person.get_status_display()}' and is not written to.")
    if person.wrapped_key is None:
        raise CorrectionRefused(f"The data of {person.reference} were erased; nothing is left to correct.")
    if any(message.state in IN_FLIGHT for message in messages):
        raise CorrectionRefused(
            f"The letter to {person.reference} is on its way at this moment, and nobody knows yet whether it left. Wait until "
            "its outcome is known (a doubt is settled by itself), then correct."
        )


def keep_version(*, person: AffectedPerson, changed: tuple[str, ...], reason: str, author: User) -> PersonVersion:
    """Keep the sealed record as it is before a correction, and count the version up, in the caller's transaction."""
    kept = PersonVersion.objects.create(
        person=person, number=person.version, sealed=person.sealed, wrapped_key=person.wrapped_key,
        key_version=person.key_version, residence=person.residence, language=person.language, changed=list(changed),
        reason=reason, author=author, recorded_at=database_now(),
    )  # fmt: skip
    person.version += 1
    person.save(update_fields=["version"])
    return kept


def _write(person: AffectedPerson, corrected: Corrected, vault: Vault) -> str:
    """Seal the corrected record and store it with what is derived from it; returns its commitment."""
    fields = corrected.fields
    sealed, (*found, others) = vault.seal(fields=fields, subject=person.subject), blind_indexes(fields, vault)
    columns = {
        **corrected.columns,
        **{f"{kind}_index": value for kind, value in zip(INDEXES, found, strict=True)},
        "sealed": sealed.sealed, "wrapped_key": sealed.wrapped_key, "key_version": sealed.key_version,
        "has_email": bool(fields.emails), "other_email_indexes": others or None,
    }  # fmt: skip
    for name, value in columns.items():
        setattr(person, name, value)
    person.has_post = can_be_posted(fields=fields, place=person.residence, flags=person.flags)
    person.save(update_fields=[*columns, "has_post"])
    return sealed.commitment


def _leave_register(person: AffectedPerson, messages: list[Message], reason: str, author: User) -> None:
    """Take back what was not sent, and let the person go with the open amendment; without one they wait for the next."""
    unsent = [message for message in messages if MessageState.REPLACED in MESSAGE_MOVES[message.state]]
    if not unsent:
        return
    why = f"corrected: {reason}"
    amendment = current_amendment(incident=person.incident)
    if (
        amendment is None
        or person.status != PersonStatus.CLEAR
        or people_of(incident=person.incident, amendment=amendment).filter(pk=person.pk).exists()
    ):
        move_all(messages=unsent, to=MessageState.REPLACED, actor=author.username, reason=why)
    else:
        put_in(amendment=amendment, people=[person], messages=unsent, reason=why, author=author)


# -- what is corrected, checked field by field -------------------------------------------------------------------------


def _corrected(person: AffectedPerson, changes: Mapping[str, str], vault: Vault) -> Corrected:
    problems = [f"{name}: no field of this name. Known: {', '.join(FIELDS)}." for name in changes if name not in FIELDS]
    given = {name: unicodedata.normalize("NFC", value).strip() for name, value in changes.items() if name in FIELDS}
    problems += [line for name, value in given.items() if (line := _problem(name, value))]
    if problems:
        raise CorrectionRefused(*problems)
    try:
        before = vault.open(person=person)
    except CannotOpen:
        # A damaged record is kept as it is, beside the new one that stands in for it.
        before = PersonFields()
    fields, columns = _with_texts(before, given), _columns(given)
    if {"flags", "date_of_birth"} & set(given):
        flags = _words(given["flags"]) if "flags" in given else person.flags
        born = {"born": fields.date_of_birth, "born_before": before.date_of_birth}
        columns["flags"] = flags_with_age(person=person, flags=flags, **born)
    changed = [name for name in PersonFields.__dataclass_fields__ if getattr(fields, name) != getattr(before, name)]
    changed += [name for name in SEEN if name in columns and columns[name] != getattr(person, name)]
    if not changed:
        raise CorrectionRefused("Nothing would change: the record says this already.")
    return Corrected(before, fields, columns, tuple(changed))


def _with_texts(before: PersonFields, given: Mapping[str, str]) -> PersonFields:
    texts: dict[str, Any] = {name: given[name] for name in TEXTS if name in given}
    if born := birth_date(texts.get("date_of_birth", "")):
        # One day is one day however it is written; a new one is kept as nobody can misread it.
        same = born == birth_date(before.date_of_birth)
        texts["date_of_birth"] = before.date_of_birth if same else born.isoformat()
    fields = replace(before, **texts)
    parts = {"given_name", "family_name"} & set(given)
    if parts and "full_name" not in given:
        fields = replace(fields, full_name=" ".join(part for part in (fields.given_name, fields.family_name) if part))
    if "representative_email" in given:
        fields = replace(fields, representative_email=check_address(given["representative_email"])[0])
    if "email" in given:
        address, _ = check_address(given["email"])
        rest = (other for other in before.emails[1:] if other != address)
        fields = replace(fields, emails=tuple(one for one in (address, *rest) if one))
    return fields


def _columns(given: Mapping[str, str]) -> dict[str, object]:
    columns: dict[str, object] = {}
    if "residence" in given:
        place = residence_of(code=given["residence"])
        decided = {"residence_from": "decision", "possible_residences": [], "confidence": Confidence.DECIDED}
        columns |= {"residence": place, **decided}
    if "language" in given:
        columns["language"] = given["language"]
    return columns | {name: list(_words(given[name])) for name in ("elements",) if name in given}


def _words(text: str) -> tuple[str, ...]:
    return tuple(sorted({word.strip().lower() for word in text.split(";") if word.strip()}))


def _problem(name: str, value: str) -> str:
    """What is wrong with one value, with the remedy; the value itself is personal and is never repeated."""
    if CONTROL.search(value) or has_unseen(value) or len(value) > LONGEST:
        return f"{name}: has a line break or control character (also unseen), or more than {LONGEST} characters. Type it again."
    if name in EMAILS and value:
        problem = check_address(value)[1]
        return f"{name}: {problem.reason}; {problem.remedy}." if problem else ""
    checks: dict[str, Callable[[], str]] = {
        "residence": lambda: _residence_problem(value),
        "elements": lambda: _unknown(_words(value), frozenset(load_packs().vocabulary.elements), needed=True),
        "flags": lambda: _unknown(_words(value), FLAGS, needed=False),
        "language": lambda: (
            "" if not value or LANGUAGE.fullmatch(value) else "is no language tag; write one such as fr or zh-Hant"
        ),
        "representative_role": lambda: "" if value in ROLES else f"use one of {', '.join(ROLES[1:])}, or leave it empty",
        "date_of_birth": lambda: _birth_problem(value),
    }
    found = checks[name]() if name in checks else ""
    return f"{name}: {found}." if found else ""


def _residence_problem(value: str) -> str:
    if is_residence(value):
        return ""
    possible = (residence_of(code=value),) if is_residence(residence_of(code=value)) else may_mean(word=value)
    meant = f" Is {' or '.join(possible)} meant?" if possible else ""
    return f"is no residence; use an ISO code: a country (FR), a US state (US-WA) or a province (CA-QC).{meant}".rstrip(".")


def _unknown(words: tuple[str, ...], known: frozenset[str], *, needed: bool) -> str:
    if needed and not words:
        return "name at least one, separated by semicolons"
    wrong = [word for word in words if word not in known]
    return f"{len(wrong)} of the words are not known; use {', '.join(sorted(known))}" if wrong else ""


def _birth_problem(text: str) -> str:
    """Read as a list's: any form that means one day only."""
    born = birth_date(text) if text else None
    if not text or (born and born <= database_now().date()):
        return ""
    why = "may mean several days" if may_be_several_days(text) else "is no plausible date"
    return f"{why}; write it as YYYY-MM-DD, or such as 29.02.1980 or 29 Feb 1980"
