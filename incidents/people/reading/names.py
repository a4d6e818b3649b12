"""Our columns, and the names that columns of customer lists have in the world (column-names.yaml)."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from pathlib import Path

import yaml

KNOWN_COLUMNS = (
    "person_id", "customer_number", "given_name", "family_name", "full_name", "email", "phone", "street", "city", "region",
    "postcode", "billing_country", "shipping_country", "stated_country", "phone_prefix", "loyalty_home_store",
    "ip_country", "language", "elements", "date_of_birth", "flags", "representative_role", "representative_name",
    "representative_email", "correction_of",
)  # fmt: skip
NAMING = ("full_name", "given_name", "family_name", "customer_number")
REACHING = ("email", "street")
#: A list has a column of each group, or nobody on it could be known or reached.
REQUIRED = (NAMING, REACHING)


def lacking(columns: Collection[str]) -> str:
    """What these columns lack, in words with the remedy; empty when they are enough."""
    if not set(columns) & set(NAMING):
        return f"Row 1: no column for a name or a customer number. Name one of: {', '.join(NAMING)}, or say which column it is."
    if not set(columns) & set(REACHING):
        return f"Row 1: no column for an e-mail or a street. Name one of: {', '.join(REACHING)}, or say which column it is."
    return ""


def key_of(name: str) -> str:
    """A name without case, accents, spaces and marks: 'E-Mail' and 'e_mail' are one."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", name.casefold()) if letter.isalnum())


def _names(words: str) -> list[str]:
    return [key_of(name) for name in words.split(",")]


_KNOWN = yaml.safe_load(Path(__file__).with_name("column-names.yaml").read_text("utf-8"))
MEANINGS = {key: ours for ours, words in _KNOWN["meanings"].items() for key in _names(words)}
EMAIL_OR_STREET = frozenset(_names(_KNOWN["email_or_street"]))
EMAIL_IF_SO = frozenset(_names(_KNOWN["email_if_so"]))
NAME_OR_FAMILY_NAME = frozenset(_names(_KNOWN["name_or_family_name"]))
