"""The lanes of one worker: each has a chunk and an open connection, and at most `step` letters past its marker
(`flush` past the last one that is on the database's disk).

One turn: hand over what the markers allow, hear what is answered, write the markers, end the chunks that are answered
(`outbox.finish`: what was not begun by then goes back as unsent). Where a chunk was taken over meanwhile, somebody else gave its
letters their outcomes, and what this worker knows is kept beside. Where the database stays away, a chunk is let go as it stands
and is taken over when its lease ends. There is no fourth way out of `busy`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date

from django.conf import settings
from django.db import connection

from incidents import failpoints
from incidents.dispatch.channels.contract import Answer, Lanes, Prepared, SendErrorKind
from incidents.dispatch.outbox import Claim, Fenced, Mark, finish, give_back_strays, keep_late, mark_many
from incidents.dispatch.outcomes import NotLeft, Outcome, not_left
from incidents.dispatch.owner import AWAY, Owner
from incidents.dispatch.prepare import Letters
from incidents.vault import CannotOpen, PersonFields

logger = logging.getLogger(__name__)
#: Seconds after which a marker is looked at again before anything is begun: how late a pause or stop may be seen.
LOOK_SECONDS = 1.0
#: A marker costs as much for one lane as for all: so long it waits for those whose answer is nearly there.
GATHER_SECONDS = 0.001
#: Seconds for which a worker tries to write down what it knows, when the database is away.
PATIENCE_SECONDS = 600

KIND_OF_ERROR = {
    SendErrorKind.NOT_SENT: "failed",
    SendErrorKind.REFUSED: "refused",
    SendErrorKind.ACCOUNT: "account",
    SendErrorKind.DOUBTFUL: "doubt",
}


@dataclass(slots=True)
class Lane:
    """A chunk on one connection: `answered` letters have an outcome, `begun` were handed over, `marked` are on the chunk."""

    number: int
    claimed: Claim
    #: When the lease was renewed, by the monotonic clock.
    renewed: float
    #: The people of its letters; None: not opened yet.
    fields: list[PersonFields | CannotOpen] | None = None
    #: The letter that was made last, and its place.
    made: tuple[int, Prepared | Outcome] | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    begun: int = 0
    marked: int = 0
    #: As far as the markers that are on the database's disk.
    flushed: int = 0
    #: How many letters there are, and how many of them may have begun before the next marker is written.
    size: int = 0
    bound: int = 0
    #: Why no further letter is begun; empty: go on.
    stopped: str = ""

    def __post_init__(self) -> None:
        self.size = len(self.claimed.letters)
        self.bind()

    def bind(self) -> None:
        """See how far the markers reach now."""
        self.bound = min(self.marked + self.claimed.step, self.flushed + self.claimed.flush, self.size)

    @property
    def answered(self) -> int:
        """How many letters have an outcome."""
        return len(self.outcomes)

    @property
    def flying(self) -> int:
        """How many letters are handed over and not answered."""
        return self.begun - len(self.outcomes)

    @property
    def ended(self) -> bool:
        """Whether nothing is on its way and nothing will be."""
        return self.begun == len(self.outcomes) and (bool(self.stopped) or self.begun == self.size)

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way and something will be."""
        return self.begun == len(self.outcomes) and self.begun < self.size and not self.stopped

    @property
    def waits_for_marker(self) -> bool:
        """Whether the next letter may not begin before a marker is written."""
        return self.idle and (self.begun >= self.bound or time.monotonic() - self.renewed > LOOK_SECONDS)

    @property
    def waits_for_disk(self) -> bool:
        """Whether that marker has to be waited for until it is on the disk."""
        return self.begun - self.flushed >= self.claimed.flush

    def all_outcomes(self) -> list[Outcome]:
        """One for every message of the chunk."""
        rest = self.size - self.answered
        return [*self.outcomes, *[Outcome("unsent", detail=self.stopped)] * rest]


def longest_pause() -> float:
    """Seconds since the last marker after which a call to the provider could outlive the lease; then the marker comes first."""
    return max(settings.LEASE_SECONDS - settings.PROVIDER_TIMEOUT_SECONDS, 2 * LOOK_SECONDS)


class Hands:
    """All lanes of one worker for letters of one campaign by one provider."""

    def __init__(self, *, owner: Owner, lanes: Lanes, letters: Letters, batch: int) -> None:
        self._owner, self._lanes, self._letters, self._batch = owner, lanes, letters, batch
        self._longest_pause = longest_pause()
        self.busy: dict[int, Lane] = {}
        #: Letters that were answered, and why our account was refused, if it was.
        self.answered, self.account_refused = 0, ""
        #: (domain key, answer) since they were last fetched, for `pacing.told`; and whether one of them is a failure.
        self.heard: list[tuple[str, Answer]] = []
        self.heard_a_failure = False
        self.database_was_away = False
        #: Day of the claim -> letters of which certainly nothing left (`outcomes.not_left`): they count against no quota.
        self.not_left: dict[date, Counter[NotLeft]] = {}
        #: Domain keys of letters that were claimed without our hearing of it, and were given back.
        self.strays: list[str] = []

    def take(self, *, chunks: Mapping[int, Claim]) -> None:
        """Put fresh chunks on idle lanes. They are opened at their first letter: whatever fails then, they end as not begun."""
        self.busy |= {number: Lane(number, claimed, claimed.started) for number, claimed in chunks.items()}

    def turn(self) -> None:
        """One turn of all lanes. When the database is away, what was begun is heard to its end and written once it is back."""
        try:
            for lane in self.busy.values():
                if lane.idle and not lane.waits_for_marker:
                    self._begin(lane)
            self._hear()
            self._mark()
            self._end()
        except AWAY as error:
            logger.warning("the database is away (%s); what is known is written when it is back", type(error).__name__)
            self.database_was_away = True
            self.bring_home("the database was away")
        except Exception:
            self.bring_home("its worker failed")
            raise

    def fetch_heard(self) -> list[tuple[str, Answer]]:
        """What was answered since this was last asked."""
        heard, self.heard, self.heard_a_failure = self.heard, [], False
        return heard

    def fetch_not_left(self) -> dict[date, Counter[NotLeft]]:
        """What certainly did not leave since this was last asked, by the day of the claim."""
        found, self.not_left = {day: letters for day, letters in self.not_left.items() if letters}, {}
        return found

    def stop(self, reason: str) -> None:
        """Begin nothing more; what is on its way is heard."""
        for lane in self.busy.values():
            lane.stopped = lane.stopped or reason

    # -- handing over

    def _begin(self, lane: Lane) -> None:
        letters = self._next(lane)
        # Looked at last: a process that stood still meanwhile may have lost the chunk, and asks the marker first.
        if letters and time.monotonic() - lane.renewed < self._longest_pause:
            lane.begun += len(letters)
            self._lanes.begin(lane=lane.number, letters=letters, following=self._following(lane))
            failpoints.reach("after_bytes_sent")

    def _next(self, lane: Lane) -> list[Prepared]:
        """The next letters of one hand-over; one that cannot be sent ends it, and where it comes first it is set aside here."""
        room = min(self._batch, lane.bound - lane.begun)
        letters: list[Prepared] = []
        while len(letters) < room:
            made = self._made(lane, lane.begun + len(letters))
            if not isinstance(made, Outcome):
                letters.append(made)
            elif letters:
                break
            else:
                self._set_aside(lane, made)
                room -= 1
        return letters

    def _set_aside(self, lane: Lane, outcome: Outcome) -> None:
        """A letter that is not handed over has its outcome at once, in its place."""
        lane.outcomes.append(outcome)
        lane.begun, self.answered = lane.begun + 1, self.answered + 1

    def _following(self, lane: Lane) -> Prepared | None:
        if self._batch > 1 or lane.begun >= lane.size:
            return None
        made = self._made(lane, lane.begun)
        return None if isinstance(made, Outcome) else made

    def _made(self, lane: Lane, at: int) -> Prepared | Outcome:
        if lane.made is not None and lane.made[0] == at:
            return lane.made[1]
        if lane.fields is None:
            lane.fields = self._letters.open(claimed=lane.claimed)
        made = self._letters.make(claimed=lane.claimed, letter=lane.claimed.letters[at], fields=lane.fields[at])
        lane.made = at, made
        return made

    # -- hearing

    def _hear(self) -> None:
        if self._something_flies():
            self._hear_for(LOOK_SECONDS / 2)
            end = time.monotonic() + GATHER_SECONDS
            while self._marker_is_due() and self._something_flies() and (now := time.monotonic()) < end:
                self._hear_for(end - now)
            failpoints.reach("after_response_before_commit")

    def _hear_for(self, seconds: float) -> None:
        for number, answers in self._lanes.answers(seconds=seconds):
            self._hear_lane(self.busy[number], answers)

    def _marker_is_due(self) -> bool:
        for lane in self.busy.values():  # noqa: SIM110  (asked several times for each letter)
            if lane.waits_for_marker:
                return True
        return False

    def _something_flies(self) -> bool:
        for lane in self.busy.values():  # noqa: SIM110  (likewise)
            if lane.begun != len(lane.outcomes):
                return True
        return False

    def _hear_lane(self, lane: Lane, answers: Sequence[Answer]) -> None:
        now = lane.claimed.now()
        for answer in answers:
            letter = lane.claimed.letters[lane.answered]
            self.heard.append((letter.domain_key, answer))
            if answer.error is None:
                lane.outcomes.append(Outcome("accepted", answer.provider_id, answer.detail, answered_at=now))
                continue
            self.heard_a_failure = True
            if answer.error == SendErrorKind.ACCOUNT:
                self.account_refused = f"account: {answer.detail}"
            lane.outcomes.append(Outcome(KIND_OF_ERROR[answer.error], detail=answer.detail))
        self.answered += len(answers)

    # -- markers and ends

    def _mark(self) -> None:
        if self.account_refused:
            self.stop(self.account_refused)
        if self._marker_is_due():
            told = [lane for lane in self.busy.values() if lane.answered > lane.marked or lane.waits_for_marker]
            for_good = any(lane.waits_for_disk for lane in told)
            still = mark_many(owner=self._owner, marks=[self._news(lane) for lane in told], for_good=for_good)
            for lane in told:
                if lane.claimed.chunk_id not in still:
                    self._fenced(lane)
                    continue
                lane.marked, lane.renewed = lane.answered, time.monotonic()
                if not still[lane.claimed.chunk_id]:
                    lane.stopped = lane.stopped or "the campaign no longer dispatches"
            for lane in self.busy.values():
                lane.flushed = lane.marked if for_good else lane.flushed
                lane.bind()

    def _news(self, lane: Lane) -> Mark:
        new = enumerate(lane.outcomes[lane.marked :], start=lane.marked)
        return Mark(lane.claimed, lane.answered, {at: one for at, one in new if one.kind != "accepted"})

    def _end(self) -> None:
        for lane in [lane for lane in self.busy.values() if lane.ended]:
            self._lanes.rest(lane=lane.number)
            try:
                outcomes = lane.all_outcomes()
                finish(claimed=lane.claimed, outcomes=outcomes)
                day = lane.claimed.claimed_at.astimezone(UTC).date()
                self.not_left.setdefault(day, Counter()).update(not_left(letters=lane.claimed.letters, outcomes=outcomes))
            except Fenced:
                self._fenced(lane)
            else:
                self._owner.heard.discard(lane.claimed.chunk_id)
                del self.busy[lane.number]
            failpoints.reach("after_commit_before_wake")

    def _fenced(self, lane: Lane) -> None:
        """Somebody thought us dead. Hear what is on its way, keep what is known beside, and forget the chunk."""
        lane.stopped = lane.stopped or "taken over"
        if not lane.flying:
            keep_late(claimed=lane.claimed, outcomes=lane.outcomes)
            self._owner.heard.discard(lane.claimed.chunk_id)
            self._lanes.rest(lane=lane.number)
            self.busy.pop(lane.number, None)

    def bring_home(self, reason: str) -> None:
        """Begin nothing; hear everything that was begun; write it down, as often as it takes.

        Leaves no lane busy. A chunk that could not be written in all that time stays `claimed` and `heard`: `take_over` gives its
        letters their outcomes from the marker, when its lease ends.
        """
        self.stop(reason)
        last = time.monotonic() + settings.PROVIDER_TIMEOUT_SECONDS + 5
        while self._something_flies() and time.monotonic() < last:
            self._hear()
        for lane in self.busy.values():
            silent = Outcome("doubt", detail="no answer in time")
            lane.outcomes += [silent] * lane.flying
        last = time.monotonic() + PATIENCE_SECONDS
        while not self._written() and time.monotonic() < last:
            time.sleep(0.3)
        self.busy.clear()

    def _written(self) -> bool:
        try:
            if not self._owner.alive():
                connection.close()
                self._owner.stand()
            self._end()
            self.strays += give_back_strays(owner=self._owner)
        except AWAY:
            connection.close()
            return False
        return not self.busy
