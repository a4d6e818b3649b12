"""One worker's slice of work on one campaign: claims for its idle lanes, as pace and time allow, turn after turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings

from incidents.dispatch import brake, pacing
from incidents.dispatch.channels.contract import Answer, Lanes, Provider
from incidents.dispatch.outbox import claim
from incidents.dispatch.owner import AWAY, Owner
from incidents.dispatch.prepare import Letters
from incidents.dispatch.send import Hands
from incidents.models import Campaign

#: Seconds past the end of a slice for which its chunks may still be sent; then what was not begun is given back.
GRACE_SECONDS = 5.0
#: Seconds after which a worker that found nothing to claim looks again, while it still sends.
NOTHING_SECONDS = 0.5
#: So many answers are told to the pacing at once, if none of them is a failure.
TELL_AT = 200


@dataclass(frozen=True)
class Slice:
    """What one slice of work did; `more` says that something may be left."""

    answered: int
    more: bool
    #: Why the provider refuses our account; empty: it does not.
    account_refused: str = ""
    #: That too many addresses were refused running, in words; empty: they were not.
    braked: str = ""


class Shift:
    """Sends for at most `seconds` (and a little longer, to end what is begun)."""

    def __init__(self, *, campaign: Campaign, owner: Owner, provider: Provider, lanes: Lanes, seconds: float) -> None:
        self._campaign, self._owner, self._provider = campaign, owner, provider
        self._hands = Hands(owner=owner, lanes=lanes, letters=Letters(campaign=campaign), batch=provider.batch)
        self._began = time.monotonic()
        self._end, self._look_again, self._open = self._began + seconds, 0.0, True
        #: Nothing may be claimed for a moment, but there is something.
        self._paced = False
        #: Why the brake was pulled (`brake.py`).
        self._braked = ""
        #: What was granted to a claim of which nothing is heard yet.
        self._granted: pacing.Grant | None = None

    def run(self) -> Slice:
        """Claim and send until nothing is left, or time is over. Leaves nothing in hand, whatever fails."""
        hands = self._hands
        try:
            self._work()
        except Exception:
            # The database may be away just for a claim or for the pacing: what is on its way is heard and written all the same.
            hands.bring_home("its worker failed")
            raise
        finally:
            self._return_quota()
        if hands.answered and time.monotonic() >= self._end:
            self._owner.paces[self._provider.name] = self._pace()
        return Slice(
            hands.answered, time.monotonic() >= self._end or hands.database_was_away, hands.account_refused, self._braked
        )

    def _return_quota(self) -> None:
        """What was granted and did not leave counts against no quota; while the database is away, that is not told."""
        for day, letters in self._hands.fetch_not_left().items():
            with suppress(*AWAY):
                pacing.return_quota_of(provider=self._provider.name, incident=self._campaign.incident, day=day, letters=letters)
        if self._granted is not None:  # its claim failed; what was claimed all the same is with the strays
            with suppress(*AWAY):
                pacing.settle_up(grant=self._granted, claimed=self._hands.strays)

    def _work(self) -> None:
        hands = self._hands
        while True:
            self._claim()
            if not hands.busy and self._paced:
                continue
            if not hands.busy:
                break
            hands.turn()
            self._tell()
            if time.monotonic() > self._end + GRACE_SECONDS:
                hands.stop("its worker's time was over")
        self._tell(all_of_it=True)

    def _claim(self) -> None:
        """Give every idle lane a chunk: as one claim, so that few letters are spread over all lanes."""
        now, hands, self._paced = time.monotonic(), self._hands, False
        if len(hands.busy) == settings.LANES:
            return
        idle = [number for number in range(settings.LANES) if number not in hands.busy]
        over = now >= self._end or hands.account_refused or self._braked or hands.database_was_away or not self._open
        if over or now < self._look_again:
            return
        size = self._size() * len(idle)
        grant = pacing.grant(provider=self._provider.name, wanted=size, incident=self._campaign.incident)
        claims = []
        if grant.number:
            self._granted = grant
            claims = claim(
                campaign=self._campaign, owner=self._owner, provider=self._provider.name, size=grant.number, pieces=len(idle),
                step=settings.MARKER_STEP * self._provider.batch, avoid=grant.avoid, caps=grant.caps, tries=grant.tries,
            )  # fmt: skip
            self._granted = None
            hands.take(chunks=dict(zip(idle, claims, strict=False)))
            pacing.settle_up(grant=grant, claimed=[letter.domain_key for one in claims for letter in one.letters])
        if not claims:
            self._wait(min(grant.wait_seconds or NOTHING_SECONDS, NOTHING_SECONDS), paced=not grant.number)

    def _wait(self, seconds: float, *, paced: bool) -> None:
        """Look again after a while: with nothing in hand, and if it is only the pace that says wait, by waiting here."""
        self._paced = paced and not self._hands.busy and time.monotonic() + seconds < self._end
        if self._paced:
            time.sleep(seconds)
        else:
            self._look_again = time.monotonic() + seconds

    def _size(self) -> int:
        """Letters for one lane: a chunk, or what it can send in the time that is left."""
        pace = self._pace() if self._hands.answered else self._owner.paces.get(self._provider.name)
        left = settings.CHUNK_SIZE if pace is None else max(self._end - time.monotonic(), 0.0) * pace
        return max(1, min(settings.CHUNK_SIZE, int(left) + 1))

    def _pace(self) -> float:
        """Letters a second on one connection, so far."""
        return self._hands.answered / settings.LANES / max(time.monotonic() - self._began, 0.1)

    def _tell(self, *, all_of_it: bool = False) -> None:
        """Tell the pacing what was answered; when the provider's circuit opened, begin nothing more."""
        number, failed = len(self._hands.heard), self._hands.heard_a_failure
        if number and (failed or all_of_it or number >= TELL_AT):
            heard = self._hands.fetch_heard()
            pacing.told(provider=self._provider.name, results=heard)
            self._brake([answer for _, answer in heard] if failed else [])
        if failed and not pacing.may_go_on(provider=self._provider.name):
            self._open = False
            self._hands.stop("the provider asked us to wait, or its circuit is open")

    def _brake(self, answers: Sequence[Answer]) -> None:
        """Begin nothing more when too many addresses were refused running. `answers` in their order; none: all were taken."""
        running = brake.hear(owner=self._owner, campaign=self._campaign, provider=self._provider.name, answers=answers)
        if running:
            said = f"{running} addresses running were refused and none was taken; look at the relay"
            self._braked = self._braked or said
            self._hands.stop(said)
