"""How fast a provider, or a recipient domain at it, may be written to: the settings' text as numbers. docs/pacing.md."""

from __future__ import annotations

import re
from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured

#: Seconds in the units of a rate; a day is no rate but a quota.
UNITS = {"s": 1, "min": 60, "h": 3600}
AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)/(s|min|h|day)")
PROVIDER = re.compile(r"[a-z][a-z0-9_-]{0,29}")
DOMAIN = re.compile(r"(?=.{3,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
#: More than any provider takes, and what a whole number of the database holds.
FASTEST, MOST_A_DAY, LONGEST_WARM_UP = 100_000, 2_000_000_000, 120


class Limit(NamedTuple):
    """Letters a second, letters a day (UTC), letters on the first days; None and () mean no such limit."""

    per_second: float | None = None
    per_day: int | None = None
    warm_up: tuple[int, ...] = ()


def provider_limits(*, rates: str, warm_up: str) -> dict[str, Limit]:
    """`smtp 50/s 20000/day; postmark 100/s` and `smtp 500 1000 5000` as limits by provider. Raises ImproperlyConfigured."""
    found = {
        _provider(name, "PROVIDER_RATES"): _limit(name, words, "PROVIDER_RATES")
        for name, words in _entries(rates, "PROVIDER_RATES")
    }
    for name, words in _entries(warm_up, "WARM_UP"):
        found[name] = found.get(_provider(name, "WARM_UP"), Limit())._replace(warm_up=_days(name, words))
    return found


def domain_limits(*, rates: str) -> dict[tuple[str, str], Limit]:
    """`gmail.com 20/s; smtp:outlook.com 5/s 10000/day` by provider ("": each) and domain. Raises ImproperlyConfigured."""
    found = {}
    for name, words in _entries(rates, "DOMAIN_RATES"):
        provider, _, domain = name.rpartition(":")
        if provider:
            _provider(provider, "DOMAIN_RATES")
        if not DOMAIN.fullmatch(domain):
            raise ImproperlyConfigured(f"DOMAIN_RATES: '{domain}' is no mail domain (gmail.com; one with umlauts as xn--...).")
        found[provider, domain] = _limit(name, words, "DOMAIN_RATES")
    return found


def _entries(text: str, setting: str) -> list[tuple[str, list[str]]]:
    entries = [words for entry in text.lower().split(";") if (words := entry.split())]
    names = [words[0] for words in entries]
    for name in names:
        if names.count(name) > 1:
            raise ImproperlyConfigured(f"{setting} names {name} twice; say everything about it in one place.")
    return [(words[0], words[1:]) for words in entries]


def _provider(name: str, setting: str) -> str:
    if not PROVIDER.fullmatch(name):
        raise ImproperlyConfigured(
            f"{setting}: '{name}' is no provider's name; each entry begins with one (smtp, ses, postmark)."
        )
    return name


def _limit(name: str, words: list[str], setting: str) -> Limit:
    per_second: float | None = None
    per_day: int | None = None
    if not words:
        raise ImproperlyConfigured(f"{setting} names {name} without a limit; write for instance '{name} 50/s 20000/day'.")
    for word in words:
        amount = AMOUNT.fullmatch(word)
        if amount is None:
            raise ImproperlyConfigured(f"{setting}: '{word}' of {name} is no limit; use N/s, N/min, N/h or N/day.")
        number, unit = float(amount[1]), amount[2]
        if unit == "day" and per_day is None:
            per_day = _whole(number, word, name, setting)
        elif unit != "day" and per_second is None:
            per_second = _rate(number / UNITS[unit], word, name, setting)
        else:
            raise ImproperlyConfigured(f"{setting} gives {name} two limits of one kind; give one rate and one number a day.")
    return Limit(per_second, per_day)


def _whole(number: float, word: str, name: str, setting: str) -> int:
    if number != int(number) or not 1 <= number <= MOST_A_DAY:
        raise ImproperlyConfigured(f"{setting}: '{word}' of {name} is no number of letters a day (1 to {MOST_A_DAY:,}).")
    return int(number)


def _rate(per_second: float, word: str, name: str, setting: str) -> float:
    if not 1 / 3600 <= per_second <= FASTEST:
        raise ImproperlyConfigured(
            f"{setting}: '{word}' of {name} is outside of 1/h to {FASTEST:,}/s. To send nothing, pause the campaign."
        )
    return per_second


def _days(name: str, words: list[str]) -> tuple[int, ...]:
    if not words or len(words) > LONGEST_WARM_UP or not all(word.isascii() and word.isdigit() for word in words):
        raise ImproperlyConfigured(
            f"WARM_UP of {name} must be the letters of the first day, the second, ... (at most {LONGEST_WARM_UP} whole numbers)."
        )
    days = tuple(int(word) for word in words)
    if not all(1 <= day <= MOST_A_DAY for day in days) or list(days) != sorted(days):
        raise ImproperlyConfigured(f"WARM_UP of {name} must begin with at least 1 and may not fall from one day to the next.")
    return days
