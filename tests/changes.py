"""What changes after the law was asked, for tests of the stale marks: the facts, the packs, one person more."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from incidents.law import pack
from incidents.models import Incident
from incidents.people.opening import amend_facts
from tests.conftest import CLAIRE

ANNA = {**CLAIRE, "person_id": "anna", "customer_number": "C7", "full_name": "Anna Rossi", "email": "anna@example.it",
        "stated_country": "IT", "language": "it"}  # fmt: skip
LATER = "2025-05-30T17:00:00+02:00"


def amend(incident: Incident, author: User, **changed: Any) -> None:
    """A new version of the facts; a mapping is changed inside."""
    facts = dict(incident.facts.facts)
    for name, value in changed.items():
        facts[name] = {**facts[name], **value} if isinstance(value, dict) else value
    amend_facts(incident=incident, facts=facts, author=author, reason="the log was read again")


def other_packs(monkeypatch: pytest.MonkeyPatch, folder: Path, file: str, *changes: tuple[str, str]) -> None:
    """From now on the shipped packs are loaded with some words of one file replaced, each at its first occurrence."""
    shutil.copytree(pack.PACKS_FOLDER, folder)
    path = folder / file
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{file} does not say {old!r}"
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(pack, "PACKS_FOLDER", folder)
