"""The first wave's readers: the controller's own people, entered per brand. Name and address are sealed, each to its row.

They are nobody's affected persons and are counted nowhere among them.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, QuerySet

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.dispatch.prepare import person_mail
from incidents.letters.mail import OutgoingMail
from incidents.models import AuditEvent, Campaign, CanaryLetter, Incident, Letter, Message, StaffRecipient
from incidents.models import MessageState as S
from incidents.models.messages import in_states
from incidents.models.refusal import Refused
from incidents.people.addresses import check_address
from incidents.record import PersonFields
from incidents.vault.own_key import open_row, seal_row
from incidents.visible import visible

TABLE = StaffRecipient._meta.db_table
LONGEST_NAME = 200
#: Names that belong to nobody (RFC 2606, RFC 6761): the only ones to which a drill's first wave goes.
RESERVED = ("test", "example", "invalid", "localhost", "example.com", "example.net", "example.org")


class StaffRefused(Refused):
    """A staff recipient cannot be entered or removed; nothing changed."""


@dataclass(frozen=True)
class StaffFields:
    """What is sealed of one of the staff."""

    name: str
    email: str


def brand_of(*, incident: Incident) -> str:
    """The brand of an incident, as its facts say now."""
    return str(incident.facts.facts["controller"]["brand"])


def staff_of(*, brand: str) -> list[StaffRecipient]:
    """Who gets the first wave of this brand's campaigns."""
    return list(StaffRecipient.objects.filter(brand=brand, removed_at=None).order_by("id"))


def opened(*, staff: StaffRecipient) -> StaffFields:
    """Name and address. Raises CannotOpen."""
    return StaffFields(**json.loads(open_row(sealed=bytes(staff.sealed), table=TABLE, row=staff.pk)))


@transaction.atomic
def add_staff(*, brand: str, name: str, email: str, language: str, reason: str, author: User) -> StaffRecipient:
    """Enter one of the staff for a brand; from the next release on they get one letter each. Raises StaffRefused."""
    fields = StaffFields(" ".join(name.split()), _address(email))
    if not brand.strip() or not fields.name or len(fields.name) > LONGEST_NAME:
        raise StaffRefused(f"Give the brand and the name that stands in the letter (at most {LONGEST_NAME} characters).")
    if not visible(reason):
        raise StaffRefused("Entering somebody needs its reason in words.")
    if any(opened(staff=known).email.casefold() == fields.email.casefold() for known in staff_of(brand=brand.strip())):
        raise StaffRefused(f"This address is entered for {brand} already; everyone gets exactly one letter.")
    made = StaffRecipient.objects.create(
        brand=brand.strip(), sealed=b"", language=language.strip()[:20], added_by=author, added_at=database_now()
    )
    plain = json.dumps({"name": fields.name, "email": fields.email}).encode()
    # The row's own number is part of what it is sealed to, so that no row can be put in another's place.
    made.sealed = seal_row(plain=plain, table=TABLE, row=made.pk)
    made.save(update_fields=["sealed"])
    data = {"staff": made.pk, "brand": made.brand, "reason": reason.strip()}
    record(incident=None, action=Action.STAFF_ADDED, actor=author.username, data=data)
    return made


@transaction.atomic
def remove_staff(*, staff: StaffRecipient, reason: str, author: User) -> None:
    """From now on they get no letter; name and address are destroyed with it. Raises StaffRefused."""
    found = StaffRecipient.objects.select_for_update().get(pk=staff.pk)
    if found.removed_at:
        raise StaffRefused("They are removed already.")
    if not visible(reason):
        raise StaffRefused("Removing somebody needs its reason in words.")
    found.removed_at, found.sealed = database_now(), b""
    found.save(update_fields=["removed_at", "sealed"])
    data = {"staff": found.pk, "brand": found.brand, "reason": reason.strip()}
    record(incident=None, action=Action.STAFF_REMOVED, actor=author.username, data=data)


def _address(email: str) -> str:
    ready, problem = check_address(email)
    if not ready:
        # The reason is the check's own: it never quotes the address.
        why = f" ({problem.reason})" if problem else ""
        raise StaffRefused(f"This is no address that mail can be sent to{why}. Give one such as name@yourcompany.example.")
    return ready


# -- the wave ----------------------------------------------------------------------------------------------------------


def wave_of(*, campaign: Campaign) -> list[StaffRecipient]:
    """Who gets a letter of this campaign's first wave. A drill writes to nobody real: only to names that belong to nobody."""
    staff = staff_of(brand=brand_of(incident=campaign.incident))
    return [one for one in staff if is_reserved(address=opened(staff=one).email)] if campaign.incident.is_drill else staff


def lacks_wave(*, campaign: Campaign) -> bool:
    """Whether a release would write to people at once: letters wait, and nobody of the staff would get one first.

    Raises CannotOpen, KeyAway: whom a drill may write to is sealed.
    """
    return _unsent(campaign).exists() and not wave_of(campaign=campaign)


def wave_obstacle(*, campaign: Campaign, without: str) -> str:
    """Why a release first needs staff, or a reason to go without a first wave (`without`); empty when it does not.

    A drill writes to nobody real: nobody has to take it on.
    """
    if campaign.incident.is_drill or visible(without) or not lacks_wave(campaign=campaign):
        return ""
    return (
        f"Nobody of the staff is entered for {brand_of(incident=campaign.incident)}: no first wave goes, and people are written "
        "to at once. Enter staff recipients (on the desk, or staff add), or release without a first wave to staff, with a reason "
        "(tick the box, or add --without-first-wave REASON)."
    )


def taken_on(*, campaign: Campaign, without: str) -> dict[str, str]:
    """What a release without a first wave adds to its entry in the log; nothing where a wave goes."""
    reason = without.strip() if visible(without) and lacks_wave(campaign=campaign) else ""
    return {"without_first_wave": reason} if reason else {}


def went_without(*, campaign: Campaign) -> str:
    """With which reason a campaign was released without a first wave, as its log says; empty when it was not."""
    events = AuditEvent.objects.filter(log__incident=campaign.incident, subject="", action=Action.RELEASE_APPROVED)
    entries = [json.loads(line)["data"] for line in events.values_list("line", flat=True)]
    said = [one.get("without_first_wave", "") for one in entries if one["campaign"] == campaign.reference]
    return str(said[-1]) if said else ""


def is_reserved(*, address: str) -> bool:
    """Whether an address is under a name that belongs to nobody (RFC 2606)."""
    domain = address.rpartition("@")[2].lower()
    return any(domain == name or domain.endswith(f".{name}") for name in RESERVED)


def plan_wave(*, campaign: Campaign, actor: str) -> str:
    """Plan one letter for everyone of the staff who has none yet that did not fail, in the caller's transaction.

    Returns the campaign's canary: waiting, or none where nobody is entered. Raises CannotOpen.
    """
    sent = set(campaign.canaries.exclude(state="failed").values_list("staff_id", flat=True))
    staff = [one for one in wave_of(campaign=campaign) if one.pk not in sent]
    letters = _letters(campaign)
    if not letters or not (staff or sent):
        return "none"
    used = Counter(campaign.canaries.exclude(state="failed").values_list("letter_id", flat=True))
    for one in staff:
        letter = _next_letter(letters, used, one.language)
        used[letter.pk] += 1
        _plan(campaign, one, letter)
    data = {"campaign": campaign.reference, "n": len(staff), "letters": len({pk for pk in used if used[pk]})}
    record(incident=campaign.incident, action=Action.CANARY_PLANNED, actor=actor, data=data)
    return "waiting"


def canary_mail(*, canary: CanaryLetter, fields: StaffFields) -> OutgoingMail:
    """The letter exactly as people get it, with the name of one of the staff and a reference code of its own."""
    return person_mail(
        fields=PersonFields.of(full_name=fields.name, emails=(fields.email,)), letter_sha256=canary.letter.sha256,
        body=canary.letter.compiled, message_ref=canary.message_ref, headers=canary.campaign.headers,
    )  # fmt: skip


def _unsent(campaign: Campaign) -> QuerySet[Message]:
    return campaign.messages.filter(in_states(S.PLANNED, S.READY), entry__letter__isnull=False)


def _letters(campaign: Campaign) -> list[Letter]:
    """The campaign's letters, those first that most people get."""
    numbers = Counter(dict(_unsent(campaign).values_list("entry__letter").annotate(n=Count("id")).order_by()))
    letters = Letter.objects.in_bulk(list(numbers))
    return [letters[pk] for pk, _ in numbers.most_common()]


def _next_letter(letters: list[Letter], used: Counter[int], language: str) -> Letter:
    """A letter that fewest have seen so far; among these one in the reader's language, then one that most people get."""
    return min(letters, key=lambda letter: (used[letter.pk], bool(language) and letter.language != language))


def _plan(campaign: Campaign, staff: StaffRecipient, letter: Letter) -> None:
    planned = CanaryLetter(
        campaign=campaign, staff=staff, letter=letter, message_ref=secrets.token_hex(16), planned_at=database_now()
    )
    planned.content_sha256 = canary_mail(canary=planned, fields=opened(staff=staff)).content_sha256
    planned.save()
