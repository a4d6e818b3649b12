"""The message machine against a model of a page: whatever is done in whatever order, and whoever dies, the two agree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

from django.db import connection, transaction
from django.test import override_settings
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from incidents.dispatch import pacing
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.doubts import DEADLY, settle_doubts
from incidents.dispatch.outbox import Claim, Fenced, claim, finish, keep_late, take_over
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.models import Campaign, CampaignState, Chunk, Doubt, LateResult, Message
from incidents.models import MessageState as S
from tests.dispatch.campaigns import Mute, marked, sql, states

KINDS = {
    "accepted": S.ACCEPTED, "refused": S.NEEDS_OTHER_CHANNEL, "failed": S.READY, "doubt": S.IN_DOUBT,
    "quarantined": S.QUARANTINED,
}  # fmt: skip
STEPS_IN_A_STORY, STORIES, FLUSH = 40, 52, 3


class Model:
    """What must be true of every message, and of the one chunk that is out. No database, no clock."""

    def __init__(self, messages: list[int]) -> None:
        self.state = dict.fromkeys(messages, str(S.READY))
        self.deaths, self.doubts = Counter[int](), Counter[int]()
        self.out: list[int] = []
        self.said: list[str] = []
        self.step, self.marked, self.sends = 1, 0, True
        #: Letters of dead workers that count against no quota.
        self.back = 0

    def claimed(self, ids: list[int], step: int) -> None:
        assert self.sends and all(self.state[pk] == S.READY for pk in ids)
        self.out, self.said, self.marked, self.step = ids, [], 0, step
        self.state |= dict.fromkeys(ids, str(S.SENDING))

    def given(self, pk: int, kind: str) -> None:
        self.state[pk] = str(KINDS.get(kind, S.READY))
        self.doubts[pk] += kind == "doubt"

    def ended(self) -> None:
        """By its worker: what was answered is known, the rest was not begun."""
        for at, pk in enumerate(self.out):
            self.given(pk, self.said[at] if at < len(self.said) else "unsent")
        self.out = []

    def died(self, *, with_the_server: bool = False) -> None:
        """Without its worker: what was marked is known, so much past it is in doubt, the rest was not begun.

        With the server its last markers may be lost as well: of so many more nobody knows, too.
        """
        for at, pk in enumerate(self.out):
            dead = self.marked <= at < self.marked + self.step
            lost = with_the_server and self.marked <= at < self.marked + FLUSH
            became = self.said[at] if at < self.marked else "doubt" if dead or lost else "unsent"
            self.given(pk, became)
            self.back += became in ("unsent", "failed", "account", "quarantined")
            self.deaths[pk] += dead
        self.out = []

    def settled(self, late: dict[int, str]) -> None:
        """The deadline is over: again, but for what is proved and for what three processes died with."""
        for pk in [pk for pk, state in self.state.items() if state == S.IN_DOUBT]:
            again = S.QUARANTINED if self.deaths[pk] >= DEADLY else S.READY
            self.state[pk] = str({"accepted": S.ACCEPTED, "refused": S.NEEDS_OTHER_CHANNEL}.get(late.get(pk, ""), again))


class Here(Owner):
    """An owner that writes its markers on the test's own connection, so that a whole story can be rolled back."""

    def execute_again(self, query: str, values: Sequence[str]) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(re.sub(r"\$\d", "%s", query), values)  # the places stand in their order
            return list(cursor.fetchall())


def present() -> None:
    sql("INSERT INTO incidents_presence (owner_lock) VALUES (1)")


class World:
    """The same deeds, done to both."""

    def __init__(self, campaign: Campaign, owner: Owner) -> None:
        self.campaign, self.owner, self.claim, self.back = campaign, owner, None, 0
        self.model = Model(list(campaign.messages.values_list("pk", flat=True)))

    claim: Claim | None

    def return_quota(self, *, number: int, **_: object) -> None:
        """In place of the pacing's own, which commits by itself, and so cannot be rolled back with a story."""
        self.back += number

    def take(self, number: int) -> None:
        if self.claim is None:
            sql("UPDATE incidents_message SET not_before = NULL WHERE not_before IS NOT NULL")
            step = 1 + number % 2
            found = claim(campaign=self.campaign, owner=self.owner, provider="inbox", size=1 + number % 4, step=step)
            ready = [pk for pk, state in self.model.state.items() if state == S.READY]
            assert bool(found) == bool(ready and self.model.sends)
            if found:
                [self.claim] = found
                self.model.claimed(list(self.claim.message_ids), step)

    def answer(self, number: int) -> None:
        room = len(self.model.out) - len(self.model.said)
        if self.claim and room and len(self.model.said) - self.model.marked < self.model.step:
            self.model.said.append(list(KINDS)[number % len(KINDS)])

    def mark(self, _: int) -> None:
        if self.claim:
            new = [Outcome(kind) for kind in self.model.said[self.model.marked :]]
            assert marked(self.owner, self.claim, len(self.model.said), *new) is self.model.sends
            self.model.marked = len(self.model.said)

    def outcomes(self) -> list[Outcome]:
        assert self.claim
        rest = len(self.model.out) - len(self.model.said)
        return [Outcome(kind) for kind in self.model.said] + [Outcome("unsent")] * rest

    def end(self, _: int) -> None:
        if self.claim:
            for _twice in range(2):  # whoever did not hear that it was written writes again
                finish(claimed=self.claim, outcomes=self.outcomes())
            self.model.ended()
            self.claim = None

    def crash(self, number: int) -> None:
        """The worker stalls past its lease and is taken over; it may come back late with what it knows."""
        self.gone(number, with_the_server=False)

    def flood(self, number: int) -> None:
        """The database server crashes as well: the table of owners, which is not logged, is empty when it stands again."""
        sql("DELETE FROM incidents_presence")
        self.gone(number, with_the_server=True)
        present()

    def gone(self, number: int, *, with_the_server: bool) -> None:
        if self.claim:
            dead, outcomes, said = self.claim, self.outcomes(), len(self.model.said)
            sql("UPDATE incidents_chunk SET lease_until = clock_timestamp() - interval '1 second' WHERE state = 'claimed'")
            assert take_over() == 1
            self.model.died(with_the_server=with_the_server)
            self.claim = None
            if number % 2:
                assert marked(self.owner, dead, said) is None
                try:
                    finish(claimed=dead, outcomes=outcomes)
                except Fenced:
                    keep_late(claimed=dead, outcomes=outcomes[:said])
                else:
                    raise AssertionError("a fenced worker wrote")

    def settle(self, _: int) -> None:
        open_doubts = Doubt.objects.filter(settled_at=None)
        late = {
            doubt.message_id: found.outcome
            for doubt in open_doubts
            if (found := LateResult.objects.filter(chunk=doubt.chunk_id, message=doubt.message_id).first())
        }
        sql("UPDATE incidents_doubt SET opened_at = clock_timestamp() - interval '1 day'")
        settle_doubts(provider_of=lambda _: Mute())
        self.model.settled(late)

    def pause(self, _: int) -> None:
        self.model.sends = not self.model.sends
        state = CampaignState.DISPATCHING if self.model.sends else CampaignState.PAUSED
        Campaign.objects.filter(pk=self.campaign.pk).update(state=state)

    def agrees(self) -> None:
        assert dict(self.campaign.messages.values_list("pk", "state")) == self.model.state
        assert sum(states(self.campaign).values()) == self.campaign.people
        assert Counter(Doubt.objects.values_list("message_id", flat=True)) == +self.model.doubts
        deaths = dict(Message.objects.filter(deaths__gt=0).values_list("pk", "deaths"))
        assert deaths == dict(+self.model.deaths)
        assert Chunk.objects.filter(state="claimed").count() == bool(self.claim)
        assert self.back == self.model.back


DEEDS: dict[str, Callable[[World, int], None]] = {
    "take": World.take, "answer": World.answer, "mark": World.mark, "end": World.end, "crash": World.crash,
    "flood": World.flood, "settle": World.settle, "pause": World.pause,
}  # fmt: skip
#: Mostly the way of a letter; a crash is among what may come next at every step.
OFTEN = [*["take"] * 3, *["answer"] * 4, *["mark"] * 4, "end", "crash", "flood", "settle", "pause"]


@override_settings(MARKER_FLUSH=FLUSH)
def test_the_machine_and_the_model_agree_after_every_step_of_every_story(five: Campaign) -> None:
    done = Counter[str]()

    @settings(max_examples=STORIES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.sampled_from(OFTEN), st.integers(0, 59)), min_size=STEPS_IN_A_STORY, max_size=STEPS_IN_A_STORY))
    def story(steps: list[tuple[str, int]]) -> None:
        with transaction.atomic():
            present()
            world = World(five, Here(lock=1))
            with patch.object(pacing, "return_quota", world.return_quota):
                for name, number in steps:
                    DEEDS[name](world, number)
                    world.agrees()
                    done[name] += 1
                    event(name)
            assert check_campaign(campaign=five).holds
            transaction.set_rollback(True)

    story()
    assert sum(done.values()) >= 2000
    assert set(done) == set(DEEDS)
    assert connection.in_atomic_block is False
