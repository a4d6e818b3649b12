"""Where the hard cases of an invented list end: the table, case by case, and what is looked at of each person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage

from incidents.law.pack import load_packs
from incidents.letters.wording import SUPPORTED
from incidents.models import AffectedPerson, Message
from incidents.models import MessageState as S
from incidents.models.people import QueueKind as Q
from incidents.record import PersonFields
from incidents.scenarios.crowd import UNKNOWN
from incidents.scenarios.painting import Edge

#: Places that share their calling code with others: the code alone leaves a question.
SHARED_CODE = ("GB", "JE", "GG", "IM", "IT", "AU")
#: What stands in the list of elements that only a person can read, and where no element is confirmed.
NO_WORD_OF_THE_LAW = {"passport_or_government_id", "password_valid_at_attack"}
SAME_NUMBER = ["same customer number and name"]


@dataclass
class Ended:
    """One person of a list: what was painted, what the import asked (kind -> reason), and what became of them."""

    edges: frozenset[Edge]
    residency: str
    #: As the list names them.
    elements: frozenset[str]
    person: AffectedPerson
    fields: PersonFields
    asked: dict[str, str]
    merges: list[str]
    #: The possible places that are shown, each with what its law would ask.
    places: list[str]
    #: The state of a request for erasure; empty without one.
    erasure: str
    #: How many people of the list have this one's first address.
    sharing: int
    message: Message | None = None
    mails: list[EmailMessage] = field(default_factory=list)
    tries: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """Of the letter."""
        return self.message.state if self.message else ""

    @property
    def arrived(self) -> bool:
        """Accepted and delivered, or as the domain of the address says."""
        ended = (self.state, self.tries, self.events)
        if Edge.HARD_BOUNCE in self.edges:
            return ended == (S.NEEDS_OTHER_CHANNEL, ["accepted"], ["bounced_hard"])
        if Edge.SOFT_BOUNCE in self.edges:
            return ended == (S.DELIVERED, ["accepted", "accepted"], ["bounced_soft", "delivered"])
        return ended == (S.DELIVERED, ["accepted"], ["delivered"])


@dataclass(frozen=True)
class End:
    """One case: the question that it raises, what is true after the import, and of those who are written to, at last."""

    asks: str = ""
    imported: Callable[[Ended], bool] = lambda one: True
    sent: Callable[[Ended], bool] = lambda one: True


def flagged(flag: str) -> Callable[[Ended], bool]:
    return lambda one: flag in one.person.flags


def merged(addresses: int) -> Callable[[Ended], bool]:
    return lambda one: one.merges == SAME_NUMBER and len(one.fields.emails) == addresses


def by_post(one: Ended) -> bool:
    """The question says whether a letter by post can be addressed, which is sent elsewhere."""
    return not one.fields.emails and ("a complete postal address is there" in one.asked[Q.NO_CHANNEL]) == one.person.has_post


def kept_as_given(one: Ended) -> bool:
    return not one.fields.emails and "email" in dict(one.fields.evidence)


def every_home(one: Ended) -> bool:
    """All places that the evidence names are shown with their laws, the true home among them."""
    countries = {place[:2] for place in one.places}
    return one.residency[:2] in countries and len(countries) > 1 and set(one.person.possible_residences) <= set(one.places)


def every_state(one: Ended) -> bool:
    """In the United States, nobody knows where: the laws of all states are shown."""
    return one.person.residence == "US" and {pack.id for pack in load_packs() if pack.id.startswith("US-")} <= set(one.places)


def by_prefix(one: Ended) -> bool:
    """The place of the calling code, as the weak evidence that it is; of a shared one, all places."""
    if one.residency in SHARED_CODE:
        return one.residency in one.places and len(one.places) > 1
    return (one.person.residence, one.person.residence_from, one.person.confidence) == (one.residency, "phone_prefix", "weak")


def preferred(one: Ended) -> bool:
    """In the preferred language, where there are letters in it; what a US state prescribes is in English."""
    assert one.message and one.message.entry.letter
    letter, wanted = one.message.entry.letter, one.person.language.split("-")[0]
    return letter.language == wanted or wanted not in SUPPORTED or letter.form not in ("notice", "courtesy")


def when_told(one: Ended) -> bool:
    """The erasure waits for the letter, and no longer."""
    return one.erasure == ("done" if one.state == S.DELIVERED else "waiting")


ENDS: dict[Edge, End] = {
    Edge.EXACT_DUPLICATE: End(imported=merged(1)),
    Edge.TWO_EMAILS: End(imported=merged(2)),
    Edge.SAME_EMAIL: End(imported=lambda one: one.sharing == 2 and not one.merges),
    Edge.NO_EMAIL: End(Q.NO_CHANNEL, by_post),
    Edge.MALFORMED: End(Q.ADDRESS, kept_as_given),
    Edge.HARD_BOUNCE: End(sent=lambda one: one.state == S.NEEDS_OTHER_CHANNEL),
    Edge.SOFT_BOUNCE: End(sent=lambda one: one.state == S.DELIVERED),
    Edge.NO_POST: End(imported=lambda one: not one.person.has_post),
    Edge.POST_RETURNED: End(),  # nothing goes by post from here: told by e-mail, where there is one
    Edge.RESIDENCY_CONFLICT: End(Q.RESIDENCE_CONFLICT, every_home),
    Edge.STATE_UNKNOWN: End(Q.STATE_UNKNOWN, every_state),
    Edge.FORCES: End(Q.STATE_UNKNOWN, every_state),
    Edge.PREFIX_ONLY: End(imported=by_prefix),
    Edge.MINOR_UNDER_16: End(Q.GUARDIAN, flagged("minor_under_16")),
    Edge.MINOR_16_17: End(Q.GUARDIAN, flagged("minor_16_17")),
    Edge.DECEASED: End(Q.NEXT_OF_KIN, flagged("deceased")),
    Edge.SAFE_ADDRESS: End(Q.SAFE_ADDRESS, lambda one: not one.person.has_post),
    Edge.OTHER_LANGUAGE: End(sent=preferred),
    Edge.RTL_SCRIPT: End(),  # that every name stands in its letter as it is, is looked at of everybody
    Edge.OPTED_OUT: End(imported=flagged("opted_out")),
    Edge.EMPLOYEE: End(imported=flagged("employee")),
    Edge.ERASURE_PENDING: End(imported=lambda one: one.erasure == "waiting", sent=when_told),
}


def questions_of(one: Ended) -> set[str]:
    """What must be asked about a person: for each case, and for what the list lacks of people of this kind."""
    asks: set[str] = {ENDS[edge].asks for edge in one.edges} - {""}
    asks |= {Q.RESIDENCE_UNKNOWN} if one.residency == UNKNOWN else set()
    asks |= {Q.RESIDENCE_CONFLICT} if Edge.PREFIX_ONLY in one.edges and one.residency in SHARED_CODE else set()
    asks |= {Q.DATA} if not one.elements or one.elements & NO_WORD_OF_THE_LAW else set()
    return asks | ({Q.NO_CHANNEL} if one.elements and "email" not in one.elements else set())
