"""The guarantees stand in the README word for word, and what docs/dispatch.md names as their proof exists."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
DISPATCH = (ROOT / "docs" / "dispatch.md").read_text()
#: Guarantee -> SHA-256 of its words, one space between them. Whoever changes a promise changes it here as well, knowingly.
WORDS = {
    "G1": "5dabf79f45481faef4c078b24620e93d0c85503ec8c09fcf1a95c7bd6c198402",
    "G2": "ded627240863f4e043c802573e73638a8de8258090c815121a5e9d55cde89a41",
    "G3": "41752ea339234048c5e7648fea1818842b4c56b6f9f899c02d178d775210f229",
    "G4": "27d576867889823d9782c45c936c12afa0561b88ab45cd1a96114310931fa3fb",
    "G5": "762a2266309745493cde0c894e755c8bb63a619b54f01395a98427cc9918d2e0",
    "G6": "d547960cf3745c9693f281ab09f27d4519f2bf2fb3e4aa53144303eb45e6af8c",
}


def promised() -> dict[str, str]:
    """The README's quotation, guarantee by guarantee, each with single spaces."""
    lines = [line.removeprefix("> ") for line in README.splitlines() if line.startswith("> ")]
    parts = re.split(r"(?=\*\*G\d )", " ".join(lines))
    return {part[2:4]: " ".join(part.split()) for part in parts if part.strip()}


def test_there_are_six_guarantees() -> None:
    assert list(promised()) == ["G1", "G2", "G3", "G4", "G5", "G6"]


@pytest.mark.parametrize("name", WORDS)
def test_a_guarantee_stands_word_for_word(name: str) -> None:
    assert hashlib.sha256(promised()[name].encode()).hexdigest() == WORDS[name], promised()[name]


@pytest.mark.parametrize("name", WORDS)
def test_a_guarantee_names_its_proof(name: str) -> None:
    (row,) = [line for line in DISPATCH.splitlines() if line.startswith(f"| {name} ")]
    proofs = re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1])
    assert proofs
    for proof in proofs:
        path = proof.split()[0]
        where = [ROOT / path, ROOT / "tests" / "dispatch" / path]
        assert any(place.exists() for place in where), f"{name}: {proof} is not there"


def test_a_promise_has_no_number_that_the_code_does_not_keep() -> None:
    from django.conf import settings

    assert settings.SETTLE_AFTER_SECONDS == 900 and "`SETTLE_AFTER_SECONDS` (900)" in DISPATCH
    assert settings.CHANNEL_SWITCH_HOURS == 24 and "`CHANNEL_SWITCH_HOURS` (24)" in DISPATCH
    assert settings.QUIET_HOURS == 72 and "`QUIET_HOURS` (72)" in DISPATCH
    assert settings.MARKER_STEP == 1 and "(step W = 1)" in DISPATCH
    assert settings.MARKER_FLUSH == 50 and "`MARKER_FLUSH` (50)" in DISPATCH
