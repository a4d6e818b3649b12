"""Offices and bureaus whose contacts stand in letters: `wording/contacts.yaml`, and which of them a finished letter prints.

Nobody here looks anything up: an entry stays unchecked until an officer has compared it with the office's own site.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

_FILE = Path(__file__).with_name("wording") / "contacts.yaml"


@dataclass(frozen=True)
class Contact:
    """One office as letters print it. `checked` is the day of the comparison; `from_memory` names parts read nowhere."""

    id: str
    name: str
    address: str = ""
    phone: str = ""
    site: str = ""
    state: str = ""
    checked: str = ""
    from_memory: tuple[str, ...] = ()
    doubt: str = ""

    def shown(self) -> str:
        """The contact in one line, for the officer."""
        return "; ".join(part for part in (self.name, self.address, self.phone, self.site) if part)

    def stands_in(self, *, text: str) -> bool:
        """Whether the text prints its number or its site."""
        marks = [mark for mark in (self.phone, self.site) if mark]
        return any(re.search(rf"(?<![\w.-]){re.escape(mark)}(?![\w-])", text) for mark in marks)


@cache
def contacts() -> Mapping[str, Contact]:
    """All contacts by id, in the order of the file."""
    found = yaml.safe_load(_FILE.read_text("utf-8"))
    return {name: _contact(name, entry) for name, entry in found.items()}


def _contact(name: str, entry: Mapping[str, object]) -> Contact:
    words = {key: str(entry.get(key) or "") for key in ("name", "address", "phone", "site", "state", "doubt", "checked")}
    memory = entry.get("from_memory") or ()
    return Contact(id=name, from_memory=tuple(map(str, memory if isinstance(memory, list) else ())), **words)


def attorney_general(*, residence: str) -> Contact | None:
    """The attorney general of a US place, where the file has one."""
    return next((contact for contact in contacts().values() if contact.state and contact.state == residence), None)


def unconfirmed(*, text: str, confirmed: frozenset[str]) -> Iterator[Contact]:
    """Contacts that the text prints and that nobody has compared with the office's own site."""
    for contact in contacts().values():
        if not contact.checked and contact.id not in confirmed and contact.stands_in(text=text):
            yield contact
