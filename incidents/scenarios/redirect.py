"""A drill over a real way out: every address of the invented people becomes one of a domain that is the operator's own.

The names under which people are invented belong to nobody and take no mail; sent through a real provider, letters to them would
bounce by the thousand and harm the sender's name. So such a drill goes to a domain whose mailbox takes everything (a catch-all).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TextIO

from incidents.dispatch.staff import is_reserved
from incidents.models import Incident
from incidents.scenarios.catalog import Scenario
from incidents.scenarios.plot import decisions_of
from incidents.vault import Vault

_ADDRESS = re.compile(r"[^\s,;@<>]+@[^\s,;@<>]+")


def redirected(*, text: str, domain: str) -> str:
    """A text with each address in it replaced by one of the domain: the same for the same address, another for another."""
    return _ADDRESS.sub(lambda found: _local(found[0]) + f"@{domain}", text)


def _local(address: str) -> str:
    return f"drill-{hashlib.sha256(address.lower().encode()).hexdigest()[:20]}"


class Redirecting:
    """A file to write the table to, in which every address is replaced on the way."""

    def __init__(self, out: TextIO, domain: str) -> None:
        self._out, self._domain = out, domain

    def write(self, text: str) -> int:
        """One line of the table."""
        return self._out.write(redirected(text=text, domain=self._domain))


def to_domain(*, scenario: Scenario, domain: str) -> Scenario:
    """The scenario with the controller's addresses and those in its decisions at the domain, too."""
    controller = scenario.facts["controller"]
    own = {name: f"{name.removesuffix('_email').replace('_', '-')}-drill@{domain}" for name in _addresses_in(controller)}
    facts = {**scenario.facts, "controller": {**controller, **own}}
    plot = {**scenario.plot, "decisions": [_decision(one, domain) for one in decisions_of(scenario=scenario)], "redirected": True}
    return replace(scenario, facts=facts, plot=plot)


def _addresses_in(controller: dict[str, Any]) -> Iterator[str]:
    return (name for name, value in controller.items() if _ADDRESS.fullmatch(str(value)))


def _decision(decision: Mapping[str, Any], domain: str) -> Mapping[str, Any]:
    return (
        {**decision, "to": redirected(text=str(decision["to"]), domain=domain)}
        if "@" in str(decision.get("to", ""))
        else decision
    )


def strangers(*, incident: Incident, domain: str = "") -> int:
    """How many people of a drill have an address that is not at the domain, or without one not under a name that is nobody's."""
    vault, people = Vault(incident=incident), incident.people.exclude(sealed=None).iterator(2000)
    fits = (lambda address: address.endswith(f"@{domain}")) if domain else (lambda address: is_reserved(address=address))
    return sum(not all(map(fits, vault.open(person=person).emails)) for person in people)
