"""Amendments: people who go out with a later register of a running incident, and whose clocks run from when.

Two things are kept apart. The *register*: an amendment's people are those first known in it (`AffectedPerson.amendment`) and
those who joined it (`Joining`). The *clock*: only people first known in an amendment have its moment of awareness; whoever
joined after a correction or a hold keeps the clock they had, so that no correction ever gives a later legal deadline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from incidents.audit.actions import Action
from incidents.audit.log import Entry, database_now, record, record_many
from incidents.law.facts import Anchor
from incidents.models import (
    AffectedPerson,
    Amendment,
    Attempt,
    Doubt,
    ImportRow,
    Incident,
    Joining,
    Message,
    MessageState,
    PersonStatus,
    RegisterEntry,
)
from incidents.models.messages import BY_DEATHS, BY_POLICY, LEFT_STATES, MESSAGE_MOVES, in_states
from incidents.models.refusal import Refused
from incidents.people.cohorts import refresh_cohorts
from incidents.people.erasing import refuse_returned
from incidents.people.locking import locked_messages
from incidents.people.moving import move_all, standing_messages
from incidents.visible import visible

#: Nobody of these goes on a register.
GONE = (PersonStatus.REJECTED, PersonStatus.MERGED)
S = MessageState
#: Why somebody without a letter under way may join, by the state of their newest message ("" = never on a register).
WAITS: dict[str, str] = {
    "": "found late, or split from another person: on no register yet",
    S.REPLACED: "corrected after the freeze",
    S.CANCELLED: "the campaign was stopped before the letter left",
    S.HELD: "the hold was lifted",
    S.QUARANTINED: "the letter could not be made as approved: look at the record, correct it",
}
BY_NAME = "an earlier letter may have arrived before a stop or a quarantine: joins by name only"
#: Why somebody cannot join, by the state in which they stand on a register.
CANNOT: dict[str, str] = {
    S.PLANNED: "stand on a register that is not released yet and will get their letter from there",
    S.READY: "stand on a register that is being sent and will get their letter from there",
    S.SENDING: "have a letter that is being sent at this moment: wait until its outcome is known",
    S.IN_DOUBT: "have a letter of which nobody knows whether it left: wait until the doubt is settled",
    S.NEEDS_OTHER_CHANNEL: "have an address that did not work: correct it first, else the new letter would come back too",
}


class AmendmentRefused(Refused):
    """An amendment cannot be opened, or somebody cannot join it; nothing changed."""


def current_amendment(*, incident: Incident) -> Amendment | None:
    """The amendment that people may join: the newest, unless its register is frozen already."""
    newest = incident.amendments.order_by("-number").first()
    return newest if newest and not newest.campaigns.exists() else None


def living(*, incident: Incident) -> QuerySet[AffectedPerson]:
    """Everybody on the list who is neither rejected nor merged into somebody else."""
    return incident.people.exclude(status__in=GONE)


def people_of(*, incident: Incident, amendment: Amendment | None) -> QuerySet[AffectedPerson]:
    """Whom a register covers: of an amendment exactly its people, of the first register (None) everybody who is known."""
    people = living(incident=incident)
    return people.filter(inside(amendment)) if amendment else people


def inside(amendment: Amendment) -> Q:
    """The people of an amendment: those first known in it, and those who joined it."""
    return Q(amendment=amendment) | Q(Exists(Joining.objects.filter(amendment=amendment, person=OuterRef("pk"))))


def count_inside(*, amendment: Amendment) -> int:
    """How many people an amendment has. Found by two indexes: to look at everybody on the list takes seconds of a million."""
    known, joined = AffectedPerson.objects.filter(amendment=amendment), Joining.objects.filter(amendment=amendment)
    return living(incident=amendment.incident).filter(pk__in=known.values("pk").union(joined.values("person"))).count()


def covered(*, incident: Incident, amendment: Amendment | None) -> QuerySet[AffectedPerson]:
    """Whom a register covers now: once it is frozen, those for whom its lines still speak."""
    if not incident.campaigns.filter(amendment=amendment).exists():
        return people_of(incident=incident, amendment=amendment)
    lines = Message.objects.filter(campaign__incident=incident, campaign__amendment=amendment, entry__person=OuterRef("pk"))
    return living(incident=incident).filter(Exists(lines.exclude(state__in=LEFT_STATES)))


def is_frozen(*, incident: Incident) -> bool:
    """Whether letters and people can no longer change: a register is frozen, and no amendment is open."""
    return incident.campaigns.exists() and current_amendment(incident=incident) is None


def next_register(*, incident: Incident) -> Amendment | None:
    """For whom letters are made and what is frozen next: none = the first register. Raises AmendmentRefused: none is open."""
    amendment = current_amendment(incident=incident)
    if is_frozen(incident=incident):
        raise AmendmentRefused(
            "The register is frozen already. Whoever comes later needs a new campaign of their own: open an amendment "
            "(amend open), let them join it, then make letters and freeze."
        )
    return amendment


def on_standing_register(people: QuerySet[AffectedPerson] | Iterable[int]) -> set[int]:
    """Which of these people (a queryset, or keys) stand on a frozen register that still speaks for them.

    A line left by a correction (replaced) or by a stopped campaign (cancelled) no longer does.
    """
    found = Message.objects.filter(entry__person__in=people).exclude(state__in=LEFT_STATES)
    return set(found.values_list("entry__person_id", flat=True))


def beside_freezes(incident: Incident) -> None:
    """Waits for a freeze that is under way, and makes one wait for this transaction; imports go on beside it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM incidents_incident WHERE id = %s FOR KEY SHARE", [incident.pk])


def _reason(text: str) -> str:
    if not visible(text):
        raise AmendmentRefused("An amendment, and joining one, needs its reason in words.")
    return text.strip()


@transaction.atomic
def open_amendment(*, incident: Incident, reason: str, aware_at: datetime, author: User) -> Amendment:
    """Open the next amendment. `aware_at`: when the controller learnt of the late-found people. Raises AmendmentRefused."""
    Incident.objects.select_for_update(no_key=True).get(pk=incident.pk)
    why = _reason(reason)
    if not incident.campaigns.exists():
        raise AmendmentRefused("No register is frozen yet: people found now are simply imported and go with the first one.")
    _refuse_moment(incident, aware_at)
    _refuse_second(incident)
    number = incident.amendments.count() + 1
    data = {"amendment": number, "aware_at": aware_at.isoformat(), "reason": why}
    record(incident=incident, action=Action.AMENDMENT_OPENED, actor=author.username, data=data)
    return Amendment.objects.create(
        incident=incident, number=number, reason=why, aware_at=aware_at, author=author, recorded_at=database_now()
    )


def _refuse_moment(incident: Incident, aware_at: datetime) -> None:
    if aware_at.tzinfo is None:
        raise AmendmentRefused("The moment of awareness has no zone. Give it with its offset, such as 2026-03-02T14:30+01:00.")
    if aware_at > database_now():
        raise AmendmentRefused(f"{aware_at.isoformat()} lies in the future. Give the moment at which you learnt of these people.")
    moments = {name: datetime.fromisoformat(text) for name, text in incident.facts.facts["anchors"].items()}
    hint = moments.get(Anchor.FIRST_HINT)
    first = hint or min(moment for name, moment in moments.items() if name in (Anchor.AWARE, Anchor.DISCOVERED))
    if aware_at < first:
        what = "first hint of the incident" if hint else "moment at which the incident itself was known"
        raise AmendmentRefused(f"{aware_at.isoformat()} is before the {what} ({first.isoformat()}). Check day, month and offset.")


def _refuse_second(incident: Incident) -> None:
    """One open amendment at a time. One that nobody joined is left behind: its moment may have been a slip of the pen."""
    current = current_amendment(incident=incident)
    if current is None:
        return
    if current.imports.exists() or people_of(incident=incident, amendment=current).exists():
        raise AmendmentRefused(
            f"Amendment {current.number} is open and has people. Freeze it first; who comes later goes with the next one."
        )


# -- who could join, and joining ---------------------------------------------------------------------------------------


def people_waiting(*, incident: Incident, standing: Collection[str] = tuple(WAITS)) -> QuerySet[AffectedPerson]:
    """Decided people with no letter under way who are in no open amendment; each has `was`, a key of WAITS, and `may_have_it`:
    an earlier letter may have arrived, so that another one is asked for by name. `standing` leaves out whoever stands otherwise.

    Empty before the first freeze: until then everybody goes with the first register.
    """
    if not incident.campaigns.exists():
        return AffectedPerson.objects.none()
    newest = Message.objects.filter(entry__person=OuterRef("pk")).order_by("-id").values("state")[:1]
    people = living(incident=incident).filter(status=PersonStatus.CLEAR, pk__in=_may_wait(incident, standing))
    found = people.annotate(was=Subquery(newest), may_have_it=_may_have_it())
    current = current_amendment(incident=incident)
    if current:
        found = found.filter(~inside(current))
    return found.order_by("id")


def _may_wait(incident: Incident, standing: Collection[str]) -> QuerySet[Any, Any]:
    """Ids of those who are on no register, or whose newest message is in one of these states; of rejected people, too.

    Found from the few messages, and from two indexes: to look for everybody's newest message takes half a minute of a million.
    """
    later = Message.objects.filter(entry__person=OuterRef("entry__person"), pk__gt=OuterRef("pk"))
    states = [state for state in standing if state]
    stood = Message.objects.filter(in_states(*states), campaign__incident=incident, entry__person__status=PersonStatus.CLEAR)
    left = stood.filter(~Exists(later)).values("entry__person")
    if "" not in standing:
        return left
    never = AffectedPerson.objects.values("pk").difference(RegisterEntry.objects.values("person"))
    return never.union(left)


def _may_have_it() -> Exists:
    """Whether a letter that a stop cancelled, or that is in quarantine, may have left: a provider took it, or a doubt about it
    ended by time only."""
    unknown = Q(settled_how=BY_POLICY) | Q(settled_how__endswith=BY_DEATHS)
    taken = Attempt.objects.filter(message=OuterRef("pk"), outcome="accepted")
    doubted = Doubt.objects.filter(unknown, message=OuterRef("pk"))
    ended = Message.objects.filter(entry__person=OuterRef("pk"), state__in=(S.CANCELLED, S.QUARANTINED))
    return Exists(ended.filter(Exists(taken) | Exists(doubted)))


def waiting_in_bulk(*, incident: Incident) -> QuerySet[AffectedPerson]:
    """Those of `people_waiting` who may join all at once: nobody who may have a letter already."""
    return people_waiting(incident=incident).filter(~_may_have_it())


def waiting_counts(*, incident: Incident, standing: Collection[str] = tuple(WAITS)) -> dict[str, int]:
    """How many wait, by the state of their newest message ("" = never on a register)."""
    found = people_waiting(incident=incident, standing=standing).order_by()
    return {str(was or ""): number for was, number in found.values_list("was").annotate(Count("pk"))}  # type: ignore[misc]


def waits_because(*, was: str | None, may_have_it: bool = False) -> str:
    """The reason why somebody of `people_waiting` could join, in words."""
    return BY_NAME if may_have_it else WAITS[was or ""]


@transaction.atomic
def join(*, amendment: Amendment, people: QuerySet[AffectedPerson], reason: str, author: User) -> int:
    """Put people into an open amendment; returns how many are new in it. All of them or nobody: raises AmendmentRefused.

    Whoever was told already, or may have been, gets a second letter by this: so it is asked for by name, never in bulk
    (`waiting_in_bulk`).
    """
    incident = amendment.incident
    beside_freezes(incident)
    refuse_returned(incident=incident)
    why = _reason(reason)
    if current_amendment(incident=incident) != amendment:
        raise AmendmentRefused(f"Amendment {amendment.number} is not open any more. Open a new one.")
    inside = set(
        people_of(incident=incident, amendment=amendment).filter(pk__in=people.values("pk")).values_list("pk", flat=True)
    )
    chosen = list(people.filter(incident=incident).exclude(pk__in=inside).select_for_update(of=("self",)).order_by("id"))
    keys = [person.pk for person in chosen]
    messages = locked_messages(of=standing_messages(people=AffectedPerson.objects.filter(pk__in=keys)))
    _refuse_who_cannot(chosen, messages)
    put_in(amendment=amendment, people=chosen, messages=messages, reason=why, author=author)
    return len(chosen)


def people_are(number: int) -> str:
    """So many people are: the beginning of a line about them."""
    return "1 person is" if number == 1 else f"{number} people are"


def _refuse_who_cannot(people: list[AffectedPerson], messages: list[Message]) -> None:
    problems = []
    undecided = [person for person in people if person.status != PersonStatus.CLEAR]
    for status in sorted({person.status for person in undecided}):
        number = sum(person.status == status for person in undecided)
        label = PersonStatus(status).label
        problems.append(f"{people_are(number)} '{label}': decide their entries first; who is rejected or merged cannot join.")
    for state, words in CANNOT.items():
        number = sum(message.state == state for message in messages)
        problems += [f"{number} people {words}."] if number else []
    if problems:
        raise AmendmentRefused(*problems)


def put_in(*, amendment: Amendment, people: list[AffectedPerson], messages: list[Message], reason: str, author: User) -> None:
    """Write who joined, in the caller's transaction; what was not sent of their earlier registers is replaced."""
    unsent = [message for message in messages if S.REPLACED in MESSAGE_MOVES[message.state]]
    actor, number = author.username, amendment.number
    move_all(messages=unsent, to=S.REPLACED, actor=actor, reason=f"goes with amendment {number}: {reason}")
    now = database_now()
    Joining.objects.bulk_create(
        [Joining(amendment=amendment, person=one, reason=reason, author=author, joined_at=now) for one in people],
        ignore_conflicts=True, batch_size=2000,
    )  # fmt: skip
    entries = [Entry(Action.PERSON_JOINED, {"amendment": number, "reason": reason}, one.subject) for one in people]
    record_many(incident=amendment.incident, actor=actor, entries=entries)
    late = _first_known_late(amendment.incident, [person.pk for person in people])
    if late.update(amendment=amendment):
        refresh_cohorts(incident=amendment.incident)


def _first_known_late(incident: Incident, keys: list[int]) -> QuerySet[AffectedPerson]:
    """Those of whom every row came after the first freeze and who were on no register: the clock of the amendment is theirs.

    Somebody split from another person by an undone merge has a row of the first list, and keeps the incident's clock.
    """
    first = incident.campaigns.order_by("id")[0]
    before = ImportRow.objects.filter(person=OuterRef("pk"), batch__imported_at__lte=first.frozen_at)
    after = ImportRow.objects.filter(person=OuterRef("pk"), batch__imported_at__gt=first.frozen_at)
    found = AffectedPerson.objects.filter(pk__in=keys, amendment=None, register_entries=None)
    return found.filter(Exists(after), ~Exists(before))
