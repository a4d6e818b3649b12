"""What a run of answers says about a provider and about recipient domains. Touches no database.

An answer speaks for the provider (it took the letter, refused the person, put it off as greylisting does, said "too fast" or
that a quota is used up: it is there) or against it (no connection, or silence). What certainly failed can be either's fault: of
several domains without a sign of life between them it counts against the provider, once a domain; of one and the same domain,
between two signs of life, against that domain. A letter that is greylisted says nothing against its domain: every first one is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from incidents.dispatch.channels.contract import Answer, SendErrorKind


@dataclass
class Verdict:
    """What the answers say, in their order."""

    #: What counts against the provider since its last sign of life; whether there was one among these answers.
    outages: int = 0
    reached: bool = False
    throttled: bool = False
    #: In which words it said that our quota is used up; empty: it did not.
    spent: str = ""
    #: The longest wait that it asked for, in seconds.
    asked: float | None = None
    #: Why it refuses us altogether; empty: it does not.
    account: str = ""
    #: What is to be shown when the breaker opens.
    reason: str = ""
    #: Domain key -> whether a letter to it got through, and its failures running since.
    domains: dict[str, tuple[bool, int]] = field(default_factory=dict)

    @property
    def speaks_of_the_provider(self) -> bool:
        """Whether its row has to change, whatever stands there."""
        return bool(self.outages or self.throttled or self.spent or self.asked or self.account)


def judge(*, results: Sequence[tuple[str, Answer]], silent: Counter[str]) -> Verdict:
    """Read answers in their order. `silent`: certain failures by domain since the last sign of life; carried on."""
    verdict = Verdict()
    for domain, answer in results:
        if answer.retry_after is not None:
            verdict.asked = max(answer.retry_after, verdict.asked or 0.0)
        if answer.error == SendErrorKind.DOUBTFUL or answer.unreached:
            verdict.outages, verdict.reason = verdict.outages + 1, answer.detail
        elif answer.error == SendErrorKind.NOT_SENT and not (answer.throttled or answer.spent or answer.greylisted):
            silent[domain] += 1
            if not domain or silent[domain] == 1:
                verdict.outages, verdict.reason = verdict.outages + 1, answer.detail
        else:
            _sign_of_life(verdict, domain, answer, silent)
    return verdict


def _sign_of_life(verdict: Verdict, domain: str, answer: Answer, silent: Counter[str]) -> None:
    if len(silent) == 1:
        _against(verdict, *silent.popitem())
    silent.clear()
    verdict.outages, verdict.reached, verdict.reason = 0, True, ""
    if answer.spent:
        verdict.spent = answer.detail or "it says so"
    elif answer.throttled:
        verdict.throttled = True
    elif answer.error == SendErrorKind.ACCOUNT:
        verdict.account = answer.detail or "refused"
    elif answer.error == SendErrorKind.REFUSED:
        _against(verdict, domain, 1)
    elif not answer.greylisted:
        verdict.domains[domain] = (True, 0)


def _against(verdict: Verdict, domain: str, failures: int) -> None:
    through, running = verdict.domains.get(domain, (False, 0))
    verdict.domains[domain] = (through, running + failures)
