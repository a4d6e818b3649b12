"""What stops a freeze, and what keeps a campaign from closing: every open point, in words, with its remedy."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from incidents.dispatch.conservation import count_states
from incidents.dispatch.contradictions import told_twice
from incidents.letters.check import BLOCK
from incidents.letters.standing import MAKE_AGAIN, OVER, Standing, standing
from incidents.models import AffectedPerson, Amendment, Campaign, Incident, Message, PersonStatus
from incidents.models import MessageState as S
from incidents.models.duties import Handling
from incidents.models.messages import FINAL_STATES, IN_FLIGHT, in_states
from incidents.models.people import QueueStatus
from incidents.people.amending import (
    count_inside,
    current_amendment,
    inside,
    is_frozen,
    living,
    on_standing_register,
    people_are,
    people_of,
    waiting_counts,
)
from incidents.people.deciding import undecided
from incidents.people.importing import account, not_imported
from incidents.people.opening import newest_findings
from incidents.people.staleness import ASK_AGAIN, stale_duties
from incidents.people.taken_back import taken_back, taken_back_lines


def freeze_obstacles(*, incident: Incident) -> list[str]:
    """Everything that has to be done before the next register can be frozen; empty when nothing.

    The first register covers everybody; a later one the people of the open amendment, and only what is about them stops it.
    """
    if is_frozen(incident=incident):
        return ["The register of this incident is frozen already. Who comes later goes with an amendment: open one."]
    amendment, numbers = current_amendment(incident=incident), account(incident=incident)
    people = people_of(incident=incident, amendment=amendment)
    found = [f"{line.capitalize()}." for line in not_imported(incident=incident)]
    found += _about_people(incident, amendment, people)
    if not numbers.adds_up:
        found.append(f"The rows do not add up: {numbers.in_words}. Do not go on; look for the missing ones.")
    found += _about_law(incident, amendment, people)
    found += _stale(standing(incident=incident))
    differs = None if amendment else count_difference(incident=incident)
    return [*found, differs.in_words] if differs else found


def _about_people(incident: Incident, amendment: Amendment | None, people: QuerySet[AffectedPerson]) -> list[str]:
    found, entries = _nothing_exposed(incident), undecided(incident=incident)
    if not people.filter(status=PersonStatus.CLEAR).exists():
        remedy = "let them join the amendment" if amendment else "import the list and decide the queues"
        found.append(f"No people are ready for a letter: {remedy}.")
    if amendment:
        # Held ones have a day on which they are looked at again; everybody else would be forgotten.
        found += [f"{line}." for line in taken_back_lines(incident=incident, but_for=[PersonStatus.HELD])]
        # Rows that became nobody belong to the register for which their list was imported.
        entries = entries.filter(Q(person__in=people) | Q(person=None, row__batch__amendment=amendment))
    over = entries.filter(status=QueueStatus.HELD).count()
    if over:
        found.append(f"{over} queue entries were held until a day that has passed: decide again, or hold them until another day.")
    waiting = entries.count() - over
    if waiting:
        found.append(f"{waiting} queue entries have no decision: correct them, hold them until a date, or reject them by two.")
    unsigned = incident.people.filter(status=PersonStatus.REJECTED).exclude(queue__status=QueueStatus.REJECTED)
    nobody = unsigned.exclude(exclusions__confirmed_by__isnull=False).count()
    if nobody:
        found.append(
            f"{nobody} people count as rejected, and no two people decided that. Somebody changed the database behind the desk: "
            "find out who before you go on, and put a backup beside it."
        )
    flying = Message.objects.filter(entry__person__in=people, state__in=IN_FLIGHT).count() if amendment else 0
    if flying:
        found.append(f"{flying} earlier letters to these people are on their way: wait until their outcome is known.")
    return found


def _nothing_exposed(incident: Incident) -> list[str]:
    """Nobody is told of a breach of data that nobody has confirmed."""
    if any(state.startswith("exposed") for state in incident.facts.facts["elements"].values()):
        return []
    return ["No data element is confirmed as exposed: nobody may be told before one is. Record it in the facts, with the reason."]


def _about_law(incident: Incident, amendment: Amendment | None, people: QuerySet[AffectedPerson]) -> list[str]:
    found, duties = [], incident.obligations.filter(addressee="person", superseded=False, cohort__count__gt=0)
    if amendment:
        duties = duties.filter(cohort__in=people.values("cohort"))
    if not duties.exists():
        found.append("The law has not been asked yet: run the assessment.")
    open_duties = sorted(set(duties.filter(handling=Handling.UNDECIDED).values_list("jurisdiction", flat=True)))
    if open_duties:
        found.append(f"Decisions are missing for {', '.join(open_duties)}: record a finding, or whether to write voluntarily.")
    if not incident.letters.filter(amendment=amendment).exists():
        found.append("There are no letters yet: make them.")
    return found + _blocked(incident, amendment)


def _blocked(incident: Incident, amendment: Amendment | None) -> list[str]:
    """Letters that nobody could approve. Frozen they cannot be made again, so they are mended before."""
    made = incident.letters.filter(amendment=amendment, findings__contains=[{"level": BLOCK}]).select_related("cohort")
    blocked = list(made.defer("compiled").order_by("id"))
    if not blocked:
        return []
    first = next(finding["message"] for finding in blocked[0].findings if finding["level"] == BLOCK)
    return [
        f"{len(blocked)} letters have findings that block and could not be approved; the first, {blocked[0]}: {first} "
        f"Mend what each of them says. {MAKE_AGAIN}"
    ]


def _stale(now: Standing) -> list[str]:
    """What no longer stands on what is known: first the law is asked again, then the letters are made again."""
    found, duties = [], now.duties.towards_people
    if duties:
        found.append(f"{len(duties)} duties towards {now.duties.people} people would be different ({now.titles}). {ASK_AGAIN}")
    if now.letters:
        found.append(f"{len(now.letters)} letters no longer say what is known ({now.titles}). {MAKE_AGAIN}")
    return found


@dataclass(frozen=True)
class Difference:
    """How many people the facts expect, and how many the lists hold."""

    expected: int
    imported: int

    @property
    def in_words(self) -> str:
        """Both numbers, and where the answer is recorded."""
        return (
            f"The facts speak of {self.expected:,} people, the lists of {self.imported:,}: say why under Findings, "
            "'The list differs from the number expected', or correct the number in the facts."
        )


def count_difference(*, incident: Incident, explained: bool = False) -> Difference | None:
    """The difference between the people expected and those on the lists, while nobody has explained it; with `explained` also
    one that was. None before the first list."""
    expected = incident.facts.facts.get("expected_people")
    if not expected or (not explained and ("count_difference", "") in newest_findings(incident=incident)):
        return None
    numbers = account(incident=incident)
    imported = numbers.rows_in - numbers.merged
    return Difference(expected, imported) if numbers.rows_in and imported != expected else None


# -- closing -----------------------------------------------------------------------------------------------------------

#: What providers told of a campaign's letters, by our name or by their own, and nobody has applied yet.
UNAPPLIED = """
SELECT count(*) FROM incidents_providerevent v WHERE v.applied_at IS NULL AND (
  EXISTS (SELECT 1 FROM incidents_message m WHERE m.message_ref = v.message_ref AND m.campaign_id = %(campaign)s)
  OR (v.provider_id <> '' AND EXISTS (
    SELECT 1 FROM incidents_attempt a JOIN incidents_message m ON m.id = a.message_id
    WHERE a.provider_id = v.provider_id AND a.provider_id <> '' AND a.provider NOT IN ('smtp', 'inbox')
      AND m.campaign_id = %(campaign)s)))"""


def closing_questions(*, campaign: Campaign) -> list[str]:
    """Everything that keeps the campaign from closing, in words; empty when it may be closed.

    A campaign closes when its people are final, and nobody whose letter a correction took back is in none. The last one that is
    not over closes the incident's questions with it.
    """
    found = campaign_questions(campaign=campaign)
    others = campaign.incident.campaigns.exclude(pk=campaign.pk).exclude(state__in=OVER)
    return found if others.exists() else found + incident_questions(incident=campaign.incident)


def campaign_questions(*, campaign: Campaign) -> list[str]:
    """What is open about the people of this campaign alone."""
    states = count_states(campaign=campaign)
    found = [f"{people_are(n)} '{S(state).label}'" for state, n in states.items() if state not in FINAL_STATES]
    twice = told_twice(campaign=campaign).count()
    found += [f"letters that arrived and came back, as providers told: {twice}; decide which is true"] if twice else []
    untold = _unapplied(campaign)
    found += [f"events of its letters came and are not applied yet: {untold}; housekeeping does it"] if untold else []
    found += taken_back_lines(incident=campaign.incident)
    return found


def _unapplied(campaign: Campaign) -> int:
    with connection.cursor() as cursor:
        cursor.execute(UNAPPLIED, {"campaign": campaign.pk})
        return int(cursor.fetchone()[0])


def incident_questions(*, incident: Incident) -> list[str]:
    """What is open about the incident as a whole: law, authorities, people on no register, open amendments."""
    found = []
    unknown = incident.obligations.filter(owed="ask", superseded=False, cohort__count__gt=0)
    places = sorted(set(unknown.values_list("jurisdiction", flat=True)))
    if places:
        found.append(f"law to be checked for {len(places)} residences: {', '.join(places)}")
    authorities = incident.obligations.filter(owed="yes", superseded=False, cohort=None, filings=None)
    found += [f"{duty.jurisdiction}: the {duty.addressee} has not been notified" for duty in authorities]
    stale = stale_duties(incident=incident).stale
    found += [f"{len(stale)} obligations no longer follow from what is known. {ASK_AGAIN}"] if stale else []
    return found + _people_questions(incident)


def _people_questions(incident: Incident) -> list[str]:
    found, current = not_imported(incident=incident), current_amendment(incident=incident)
    people = count_inside(amendment=current) if current else 0
    if people:
        found.append(f"an amendment is open: {people} people of amendment {current} wait for its freeze")
    # Whose letter a correction took back is named apart, with each campaign.
    others = living(incident=incident).exclude(pk__in=taken_back(incident=incident).values("pk"))
    on_a_register = Message.objects.filter(in_states(S.HELD), entry__person=OuterRef("pk"))
    number = others.filter(~Exists(on_a_register), status=PersonStatus.HELD).count()
    found += [f"{people_are(number)} held until a date by a recorded decision"] if number else []
    # A line that is held or quarantined is asked about with its own campaign.
    waiting = sum(waiting_counts(incident=incident, standing=("", S.CANCELLED)).values())
    if waiting:
        found.append(f"{waiting} people stand on no register that counts: let them join an amendment, or exclude them")
    asked_about = others.filter(status=PersonStatus.ATTENTION)
    if current:
        asked_about = asked_about.filter(~inside(current))
    number = asked_about.count() - len(on_standing_register(asked_about))
    found += [f"{number} people on no register that counts wait for a decision: decide their entries"] if number else []
    asked = incident.exclusions.filter(confirmed_at=None, withdrawn_at=None).count()
    return found + ([f"{asked} exclusions wait for a second person"] if asked else [])
