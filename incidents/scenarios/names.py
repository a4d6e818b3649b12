"""Invented names in the scripts that customers use, and e-mail addresses to go with them (example domains only)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import TypeVar

from incidents.scenarios.catalog import read_data

DOMAINS = ("example.com", "example.org", "example.net")
HARD_BOUNCE_DOMAIN = "hard-bounce.test"
SOFT_BOUNCE_DOMAIN = "soft-bounce.test"

_SINGLE_NAME_SHARE = 0.02
_PLUS_ADDRESS_EVERY = 100
_NO_DECOMPOSITION = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "ß": "ss", "œ": "oe", "æ": "ae", "þ": "th", "đ": "d", "ð": "d"})
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Name:
    """A person's name as written; `latin` is its plain ASCII form for an e-mail address."""

    given: str
    family: str
    full: str
    latin: str


@dataclass(frozen=True)
class NameList:
    """The names of one language. An entry is `native` or `native|latin`."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    single: tuple[str, ...]
    family_first: bool
    joint: str


@lru_cache(maxsize=1)
def load_names() -> Mapping[str, NameList]:
    """All lists of names, by their key in `names.yaml`."""
    return {
        key: NameList(
            given=tuple(raw["given"]),
            family=tuple(raw["family"]),
            single=tuple(raw.get("single", ())),
            family_first=raw["first"] == "family",
            joint=raw["joint"],
        )
        for key, raw in read_data(name="common/names.yaml").items()
    }


def pick(*, rng: Random, items: Sequence[_T]) -> _T:
    """One item. Uses `random()` alone: the only draw that Python promises to keep equal between versions."""
    return items[int(rng.random() * len(items))]


def draw_name(*, rng: Random, names: NameList) -> Name:
    """An invented name, now and then one of a single word."""
    if names.single and rng.random() < _SINGLE_NAME_SHARE:
        native, latin = _split(pick(rng=rng, items=names.single))
        return Name(given=native, family="", full=native, latin=_ascii(latin))
    return _compose(names, pick(rng=rng, items=names.given), pick(rng=rng, items=names.family))


def draw_name_beside(*, rng: Random, names: NameList, other: Name) -> Name:
    """A name in the household of `other`: their family name where the list has it, never the same given name."""
    given = pick(rng=rng, items=[entry for entry in names.given if _split(entry)[0] != other.given])
    same_family = [entry for entry in names.family if _split(entry)[0] == other.family]
    return _compose(names, given, pick(rng=rng, items=same_family or names.family))


def address_of(*, name: Name, number: int) -> str:
    """The person's own address; one in a hundred is a plus-address."""
    separator = "+n" if number % _PLUS_ADDRESS_EVERY == 0 else "."
    return f"{name.latin}{separator}{number}@{_domain(number)}"


def second_address_of(*, name: Name, number: int) -> str:
    """Another address of the same person."""
    return f"{name.latin}.{number}.private@{_domain(number + 1)}"


def bouncing_address_of(*, name: Name, number: int, domain: str) -> str:
    """An address whose domain tells every receiver how to bounce it."""
    return f"{name.latin}.{number}@{domain}"


def malformed_address_of(*, name: Name, number: int, variant: int) -> str:
    """An address that no sender may use as it stands; the variants take turns."""
    local, domain = f"{name.latin}.{number}", _domain(number)
    variants = (
        f"{local}@@{domain}",
        f"{local}(at){domain}",
        f"{local}.{domain}",
        f"{local}@{domain}.",
        f"{local}@example.com,{local}@example.org",
        f" {name.latin} {number}@{domain}",
        f"{local}.@{domain}",
        f"{local} @{domain}",
        f"{local}@",
        f"{local}@example..com",
    )
    return variants[variant % len(variants)]


def _compose(names: NameList, given_entry: str, family_entry: str) -> Name:
    given, given_latin = _split(given_entry)
    family, family_latin = _split(family_entry)
    parts = (family, given) if names.family_first else (given, family)
    return Name(given, family, names.joint.join(parts), f"{_ascii(given_latin)}.{_ascii(family_latin)}")


def _split(entry: str) -> tuple[str, str]:
    native, _, latin = entry.partition("|")
    return native, latin or native


@lru_cache(maxsize=4096)
def _ascii(text: str) -> str:
    lowered = text.lower().translate(_NO_DECOMPOSITION)
    plain = unicodedata.normalize("NFKD", lowered).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "", plain)


def _domain(number: int) -> str:
    return DOMAINS[number % len(DOMAINS)]
