"""What is true of people now, for lists: the question that waits, or how far their letter came; one query for a page.

Where letters were taken back, some more say who of them goes with the open amendment.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from incidents.models import AffectedPerson, Message, MessageState, PersonStatus
from incidents.models.messages import LEFT_STATES
from incidents.people.amending import current_amendment, people_of

#: State of the letter -> its pill's tone and what it says of the person.
LETTERS = {
    MessageState.PLANNED: ("owed", "register frozen, letter waits for its release"),
    MessageState.READY: ("owed", "letter waits to leave"),
    MessageState.SENDING: ("owed", "letter is leaving"),
    MessageState.IN_DOUBT: ("ask", "letter perhaps left: in doubt"),
    MessageState.ACCEPTED: ("met", "letter left"),
    MessageState.DELIVERED: ("met", "letter delivered"),
    MessageState.ACCEPTED_UNCONFIRMED: ("met", "letter left, no answer"),
    MessageState.NEEDS_OTHER_CHANNEL: ("bad", "needs another channel"),
    MessageState.HELD: ("held", "held"),
    MessageState.QUARANTINED: ("bad", "letter in quarantine"),
    MessageState.UNREACHABLE: ("quiet", "cannot be reached"),
    MessageState.EXCLUDED: ("quiet", "excluded by two"),
    MessageState.CANCELLED: ("bad", "letter never left: the campaign was stopped"),
    MessageState.NOT_OWED: ("quiet", "no notice"),
    MessageState.REPLACED: ("ask", "letter taken back, in no amendment yet"),
}
#: What is said instead where it was tried: it came back, or may have reached them before the stop.
TRIED_ONCE = {
    MessageState.NEEDS_OTHER_CHANNEL: "letter came back, needs another channel",
    MessageState.CANCELLED: "letter tried, not again: the campaign was stopped",
}
GOES_ALONG = "goes with an amendment"
#: What a filter calls people without a question: some of them have their letter.
NO_QUESTION = "no open question"


@dataclass(frozen=True)
class Now:
    """One pill."""

    tone: str
    text: str


def true_now(*, people: Sequence[AffectedPerson]) -> list[list[Now]]:
    """For each of these people, all of one incident, in their order: the question that waits, and the newest letter that still
    speaks for them."""
    letters: dict[int, tuple[str, int]] = {}
    rows = Message.objects.filter(entry__person__in=people).order_by("id")
    for person_id, state, attempts in rows.values_list("entry__person_id", "state", "attempts"):
        if state not in LEFT_STATES or letters.get(person_id, (state,))[0] in LEFT_STATES:
            letters[person_id] = (state, attempts)
    along = _go_along([person for person in people if letters.get(person.pk, ("",))[0] == MessageState.REPLACED])
    return [_of(person, letters.get(person.pk), along) for person in people]


def _go_along(people: Sequence[AffectedPerson]) -> frozenset[int]:
    """Who of these goes with the amendment that is open."""
    amendment = current_amendment(incident=people[0].incident) if people else None
    if amendment is None:
        return frozenset()
    inside = people_of(incident=amendment.incident, amendment=amendment).filter(pk__in=[person.pk for person in people])
    return frozenset(inside.values_list("pk", flat=True))


def _of(person: AffectedPerson, letter: tuple[str, int] | None, along: Collection[int]) -> list[Now]:
    status = Now(person.status, str(PersonStatus(person.status).label))
    if letter is None or (person.status == PersonStatus.HELD and letter[0] == MessageState.HELD):
        return [status]
    tone, text = LETTERS[MessageState(letter[0])]
    if letter[1] and letter[0] in TRIED_ONCE:
        text = TRIED_ONCE[MessageState(letter[0])]
    said = Now(tone, GOES_ALONG if person.pk in along else text)
    return [said] if person.status == PersonStatus.CLEAR else [status, said]
