"""Which place the calling code of a telephone number tells, as `prefixes.yaml` has them. No Django here."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import yaml

from incidents.law.places import residence_of


@lru_cache(maxsize=1)
def prefixes() -> tuple[dict[str, str], dict[str, str], dict[str, list[str]]]:
    """Calling codes and North American area codes with their places, and the places that share a code."""
    found = yaml.safe_load((Path(__file__).parent / "prefixes.yaml").read_text())
    areas = {str(code): place for place, codes in found["north_america"].items() for code in codes}
    return {code: residence_of(code=country) for code, country in found["countries"].items()}, areas, found["shared"]


@lru_cache(maxsize=4096)
def from_prefix(text: str) -> str:
    """The place of a telephone prefix such as '+33', '0033' or '+1-206', or of a whole number; '' when it tells nothing."""
    if text.startswith("00"):
        text = f"+{text[2:]}"
    if not (text.startswith("+") and text.isascii()):
        return ""
    countries, areas, _ = prefixes()
    digits = "".join([sign for sign in text[1:12] if sign.isdecimal()])
    if digits.startswith("1"):
        return areas.get(digits[1:4], "")
    # No calling code is the beginning of another.
    return countries.get(digits[:3]) or countries.get(digits[:2], "")
