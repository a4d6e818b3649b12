"""Erasure on request, legal holds, and erasures made again after a backup was put back.

A request waits while the law still asks that this person be told: the letter has to be final, or somebody has to decide that
none is owed. A legal hold stops everything. What a request waits for is written down and asked anew at every run.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from incidents.audit import witness
from incidents.audit.actions import Action
from incidents.audit.log import Entry, database_now, record, record_many
from incidents.models import (
    AffectedPerson,
    Erasure,
    ErasureState,
    Incident,
    Joining,
    LegalHold,
    Message,
    MessageState,
    PersonStatus,
)
from incidents.models.messages import FINAL_STATES, IN_FLIGHT, LEFT_STATES
from incidents.models.refusal import Refused
from incidents.people import erased_list
from incidents.people.shredding import lock_whole, shred
from incidents.visible import visible

PENDING_FLAG = "erasure_pending"
REQUEST, RETENTION = "request", "retention"
ASKED_BY_THE_LIST = "The list says that this person has asked for erasure."
HOLD = "a legal hold stands"
BATCH = 1000


class ErasureRefused(Refused):
    """An erasure, a hold or its end is refused; nothing changed."""


class NotReplayed(Refused):
    """The database holds people who were erased: it was put back from a backup. Nothing is sent until that is made good."""


def _words(text: str, what: str) -> str:
    if not visible(text):
        raise ErasureRefused(f"{what} needs its reason in words.")
    return text.strip()


# -- requests ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def request_erasure(*, person: AffectedPerson, reason: str, author: User) -> Erasure:
    """Record that a person's data are to be erased; `erase_due` does it once nothing stands against it. Raises ErasureRefused."""
    why = _words(reason, "A request for erasure")
    found = AffectedPerson.objects.select_for_update(of=("self",)).select_related("incident").get(pk=person.pk)
    if found.erased_at:
        raise ErasureRefused("This person's data were erased already.")
    if found.merged_into_id:
        raise ErasureRefused("This person was merged into another one; ask for the erasure of that one, and both go.")
    if found.erasures.filter(state=ErasureState.WAITING).exists():
        raise ErasureRefused("The erasure of this person is asked for already, and waits.")
    made = Erasure.objects.create(
        incident=found.incident, person=found, basis=REQUEST, reason=why, author=author, asked_at=database_now(),
        waits_for=waits_for(person=found)[:200],
    )  # fmt: skip
    data = {"basis": REQUEST, "waits_for": made.waits_for}
    record(incident=found.incident, action=Action.ERASURE_REQUESTED, actor=author.username, data=data, subject=found.subject)
    return made


def open_pending(*, incident: Incident, actor: str = RETENTION) -> int:
    """A waiting erasure for everybody whom a list marks as having asked for it and who has none yet; returns how many."""
    people = AffectedPerson.objects.filter(
        ~Q(flags=[]), incident=incident, flags__contains=[PENDING_FLAG], erased_at=None, merged_into=None, erasures=None
    )
    opened = 0
    while page := list(people.order_by("id")[:BATCH]):
        with transaction.atomic():
            _open(incident, page, actor)
        opened += len(page)
    return opened


def _open(incident: Incident, people: list[AffectedPerson], actor: str) -> None:
    now, waiting = database_now(), _what_they_wait_for(incident, people)
    Erasure.objects.bulk_create(
        Erasure(
            incident=incident, person=one, basis=REQUEST, reason=ASKED_BY_THE_LIST, asked_at=now, waits_for=waiting[one.pk]
        )
        for one in people
    )  # fmt: skip
    entries = [Entry(Action.ERASURE_REQUESTED, {"basis": REQUEST, "waits_for": waiting[one.pk]}, one.subject) for one in people]
    record_many(incident=incident, actor=actor, entries=entries)


@transaction.atomic
def end_request(*, erasure: Erasure, state: str, reason: str, author: User) -> Erasure:
    """End a waiting request without erasing: withdrawn by the person, or refused. Raises ErasureRefused."""
    why = _words(reason, "To withdraw or refuse an erasure")
    if state not in (ErasureState.WITHDRAWN, ErasureState.REFUSED):
        raise ErasureRefused("A request ends as withdrawn or refused; erased it is by the retention run.")
    found = Erasure.objects.select_for_update(of=("self",)).select_related("incident", "person").get(pk=erasure.pk)
    if found.state != ErasureState.WAITING:
        raise ErasureRefused(f"This request is {found.get_state_display()} already.")
    found.state, found.ending_reason, found.ended_by, found.waits_for = state, why, author, ""
    found.save(update_fields=["state", "ending_reason", "ended_by", "waits_for"])
    data = {"state": state, "reason": why}
    record(incident=found.incident, action=Action.ERASURE_ENDED, actor=author.username, data=data, subject=found.person.subject)
    return found


# -- what an erasure waits for -----------------------------------------------------------------------------------------


def waits_for(*, person: AffectedPerson) -> str:
    """What stands against erasing somebody now, in words; empty when nothing does."""
    return _what_they_wait_for(person.incident, [person])[person.pk]


def _what_they_wait_for(incident: Incident, people: list[AffectedPerson]) -> dict[int, str]:
    if standing_hold(incident=incident):
        return dict.fromkeys((one.pk for one in people), HOLD)
    return _duties(people)


def _duties(people: list[AffectedPerson]) -> dict[int, str]:
    """The duty to tell each of these people, in words; empty where it is met or none is owed."""
    messages = Message.objects.filter(entry__person__in=[one.pk for one in people]).order_by("id")
    states: dict[int, list[str]] = {}
    for person_id, state in messages.values_list("entry__person_id", "state"):
        states.setdefault(person_id, []).append(state)
    # Whoever joined an amendment is to get a letter of which no message tells before its register is frozen.
    joined = Joining.objects.filter(person__in=[one.pk for one in people], amendment__campaigns=None)
    going = set(joined.values_list("person_id", flat=True))
    return {one.pk: _against(one, states.get(one.pk, []), goes=one.pk in going) for one in people}


def _against(person: AffectedPerson, states: list[str], *, goes: bool) -> str:
    if person.status in (PersonStatus.REJECTED, PersonStatus.MERGED):
        return ""
    standing = [state for state in states if state not in LEFT_STATES]
    open_ = [state for state in standing if state not in FINAL_STATES]
    if open_:
        return f"the duty to tell this person: the letter is '{MessageState(open_[-1]).label}'"
    if goes:
        return "the duty to tell this person: they go with the open amendment, whose register is not frozen yet"
    return "" if standing else "the duty to tell this person: they stand on no register yet"


def refuse_older(*, incident: Incident) -> None:
    """Raises ErasureRefused when this database is an older one that was put back: what it holds of legal holds is old too."""
    lost = witness.lost_head(incident=incident)
    if lost:
        newest = incident.campaigns.order_by("-id").first()
        raise ErasureRefused(
            f"The database is older than the log's last signed head: {lost.size} entries of {incident.reference} were signed, "
            "and it does not hold all of these. It was put back from a backup, and a legal hold may have been placed since. "
            f"Nothing is erased until 'manage.py recover {newest or incident.reference} --as USER --reason TEXT' has named what "
            "was lost; place again first what holds were placed after the backup."
        )


def erase_due(*, incident: Incident, actor: str = RETENTION) -> int:
    """Erase everybody whose request waits for nothing any more; write down what the others wait for. Returns how many people.

    Raises ErasureRefused in an older database that was put back.
    """
    refuse_older(incident=incident)
    erased, last = 0, 0
    waiting = Erasure.objects.filter(incident=incident, state=ErasureState.WAITING).select_related("person").order_by("id")
    while page := list(waiting.filter(pk__gt=last)[:BATCH]):
        last = page[-1].pk
        with transaction.atomic():
            lock_whole(incident=incident, people=[_who_stays(one.person).pk for one in page])
            # Read again: a request may have been ended at the desk while this waited for a person.
            erased += _erase_page(incident, list(waiting.filter(pk__in=[one.pk for one in page])), actor)
    return erased


def _erase_page(incident: Incident, page: list[Erasure], actor: str) -> int:
    """In the caller's transaction, which has locked the people: their requests come after them (`locking`)."""
    people = [_who_stays(one.person) for one in page]
    against = _what_they_wait_for(incident, people)
    for one, person in zip(page, people, strict=True):
        if one.waits_for != (now := against[person.pk]):
            Erasure.objects.filter(pk=one.pk).update(waits_for=now[:200])
    free = [person.pk for person in people if not against[person.pk]]
    return shred(incident=incident, people=free, basis=REQUEST, actor=actor) if free else 0


def _who_stays(person: AffectedPerson) -> AffectedPerson:
    """Somebody merged into another since they asked is erased as that one: it is the same human being."""
    while person.merged_into is not None:
        person = person.merged_into
    return person


@transaction.atomic
def erase_person(*, person: AffectedPerson, actor: str, basis: str = REQUEST) -> int:
    """Erase somebody now. Raises ErasureRefused with what stands against it. Returns how many records (merged ones too)."""
    refuse_older(incident=person.incident)
    lock_whole(incident=person.incident, people=[person.pk])
    # Asked of what holds now, and until the end: somebody may have been written into an amendment a moment ago.
    against = waits_for(person=AffectedPerson.objects.select_related("incident").get(pk=person.pk))
    if against:
        raise ErasureRefused(f"This person cannot be erased yet: {against}.")
    return shred(incident=person.incident, people=[person.pk], basis=basis, actor=actor)


# -- legal holds -------------------------------------------------------------------------------------------------------


def standing_hold(*, incident: Incident) -> LegalHold | None:
    """The hold under which nothing of the incident is erased, if there is one."""
    return incident.legal_holds.filter(lifted_at=None).order_by("id").first()


@transaction.atomic
def place_hold(*, incident: Incident, reason: str, author: User) -> LegalHold:
    """Keep everything of an incident until the hold is lifted; an erasure that is being made is waited for."""
    why = _words(reason, "A legal hold")
    Incident.objects.select_for_update().get(pk=incident.pk)
    record(incident=incident, action=Action.HOLD_PLACED, actor=author.username, data={"reason": why})
    return LegalHold.objects.create(incident=incident, reason=why, placed_by=author, placed_at=database_now())


@transaction.atomic
def lift_hold(*, hold: LegalHold, reason: str, author: User) -> LegalHold:
    """End a hold; what was due meanwhile is erased by the next retention run. Raises ErasureRefused."""
    why = _words(reason, "Lifting a legal hold")
    found = LegalHold.objects.select_for_update(of=("self",)).select_related("incident").get(pk=hold.pk)
    if found.lifted_at:
        raise ErasureRefused("This hold was lifted already.")
    found.lifted_by, found.lifted_at, found.lift_reason = author, database_now(), why
    found.save(update_fields=["lifted_by", "lifted_at", "lift_reason"])
    record(incident=found.incident, action=Action.HOLD_LIFTED, actor=author.username, data={"reason": why})
    return found


# -- after a backup was put back ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Returned:
    """People of one incident whom the database holds again although they were erased."""

    incident: Incident
    people: tuple[int, ...]


def not_replayed() -> list[Returned]:
    """Whom the database holds although the list outside of it says that they were erased; empty in a sound installation."""
    found = ((incident, erased_list.not_replayed(incident=incident)) for incident in Incident.objects.order_by("id"))
    return [Returned(incident, tuple(people)) for incident, people in found if people]


def refuse_returned(*, incident: Incident) -> None:
    """Raises NotReplayed when this incident holds people who were erased."""
    number = len(erased_list.not_replayed(incident=incident))
    if number:
        raise NotReplayed(
            f"{number} people of {incident.reference} were erased and are here again: the database was put back from a backup. "
            "Nothing is sent until 'manage.py erase --replay' has erased them again."
        )


def refuse_to_show(*, person: AffectedPerson) -> None:
    """Raises NotReplayed for somebody who was erased and is here again."""
    if person.pk in erased_list.not_replayed(incident=person.incident):
        raise NotReplayed(
            "This person was erased and is here again: the database was put back from a backup. Nobody is shown the record "
            "before 'manage.py erase --replay' has erased it again."
        )


@dataclass(frozen=True)
class Replayed:
    """How many people were erased again, and who is not, since in this database a legal hold stands on their incident.

    `owed`: what is to be done about those who are erased again and whose letter this database still owes.
    """

    people: int
    held: tuple[Returned, ...] = ()
    owed: tuple[str, ...] = ()


def replay_erasures(*, actor: str) -> Replayed:
    """Erase again whoever was erased before a backup was put back, a batch a commit; a legal hold stops its own incident only."""
    done, held, owed = 0, list[Returned](), list[str]()
    for returned in not_replayed():
        # The backup may be older than the end of the hold under which nothing was erased then.
        if standing_hold(incident=returned.incident):
            held.append(returned)
            continue
        again = 0
        for start in range(0, len(returned.people), BATCH):
            part = returned.people[start : start + BATCH]
            again += shred(incident=returned.incident, people=part, basis="replay", actor=actor, replayed=True)
        record(incident=returned.incident, action=Action.ERASURES_REPLAYED, actor=actor, data={"people": again})
        done += again
        owed += erased_and_owed(incident=returned.incident)
    return Replayed(done, tuple(held), tuple(owed))


def erased_and_owed(*, incident: Incident) -> list[str]:
    """Who is erased although this database owes them a letter, by reference, and what to do; empty in a sound installation.

    They were excluded or rejected by two, or told, before they were erased, and a backup that was put back knows nothing of it.
    """
    theirs = Message.objects.filter(entry__person=OuterRef("pk"))
    standing = theirs.exclude(state__in=LEFT_STATES)
    erased = AffectedPerson.objects.filter(incident=incident, erased_at__isnull=False, merged_into=None)
    erased = erased.exclude(status__in=[PersonStatus.REJECTED, PersonStatus.MERGED])
    erased = erased.filter(Exists(theirs.exclude(state__in=FINAL_STATES)) | ~Exists(standing))
    people = list(erased.order_by("id"))
    duties = _duties(people)
    going = Message.objects.filter(entry__person__in=[one.pk for one in people], state__in=IN_FLIGHT)
    doubted = set(going.values_list("entry__person_id", flat=True))
    return [_owed(incident, one, duties[one.pk], doubted=one.pk in doubted) for one in people if duties[one.pk]]


def _owed(incident: Incident, person: AffectedPerson, duty: str, *, doubted: bool) -> str:
    who = f"{incident.reference} {person.reference}"
    first = f"Settle its doubt first: it may have left ('manage.py settle CAMPAIGN {person.reference}'). " if doubted else ""
    return (
        f"{who} is erased and can no longer be told, and the database still has {duty}: what two people decided after the backup "
        f"is not in it. {first}If two excluded or rejected this person, repeat it with its reason: 'manage.py exclude propose "
        f"{who} --as USER --reason TEXT', then somebody else 'manage.py exclude confirm {who} --as USER'."
    )
