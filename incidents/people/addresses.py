"""One e-mail address, or the reason why it cannot be written to. Nothing is repaired silently and nothing is resolved."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

PLACEHOLDERS = frozenset({"n/a", "na", "none", "null", "-", "unknown", "none@none", "noemail", "no email"})
FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\u00ad\u200b-\u200d\u2060\ufeff]|%0[ad]", re.IGNORECASE)
BIDI = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LONGEST = 254


@dataclass(frozen=True)
class AddressProblem:
    """Why an address cannot be used and what to do about it. `hostile`: it looks like an attempt to inject a header."""

    reason: str
    remedy: str
    hostile: bool = False


def check_address(raw: str) -> tuple[str, AddressProblem | None]:
    """The address ready for sending (domain lower-case), or '' with the problem. An empty field is '' without a problem."""
    text = raw.strip(" ")
    if not text or text.lower() in PLACEHOLDERS:
        return "", None
    problem = _shape_problem(text)
    if problem:
        return "", problem
    try:
        # .test (RFC 6761) is let through: drills bounce by it, and elsewhere it bounces of its own accord.
        checked = validate_email(text, check_deliverability=False, globally_deliverable=False, test_environment=True, strict=True)
    except EmailNotValidError as error:
        return "", AddressProblem(f"not an e-mail address: {_impersonal(str(error))}", "correct it from another source, or hold")
    last = checked.ascii_domain.rpartition(".")[2]
    if "." not in checked.domain or last in {"internal", "local", "localhost"} or last.isdigit():
        return "", AddressProblem("the domain cannot be reached from outside", "ask for another address, or hold")
    return f"{checked.local_part}@{checked.ascii_domain}", None


def _impersonal(message: str) -> str:
    """The validator's sentence without the quoted parts of the address: reasons are shown and logged, addresses are not."""
    return re.sub(r"['\"\u201c\u2018].*?['\"\u201d\u2019]", "a part", message)[:120]


def _shape_problem(text: str) -> AddressProblem | None:
    if FORBIDDEN.search(text) or BIDI.search(text):
        return AddressProblem("control or invisible characters in the address", "retype the address by hand", hostile=True)
    if len(text) > LONGEST:
        return AddressProblem("longer than 254 characters", "correct it from another source")
    if text.count("@") > 1 and re.search(r"[,;\s<>]", text):
        return AddressProblem("two addresses in one field", "keep one address in the field and add a row for the other")
    if re.search(r"[,;<>\s]", text):
        return AddressProblem("a comma, semicolon, bracket or space in the address", "keep one plain address in the field")
    if not text.isascii() and _mixes_scripts(text.rpartition("@")[2]):
        return AddressProblem("the domain mixes look-alike alphabets", "check the domain with the customer record")
    return None


def _mixes_scripts(domain: str) -> bool:
    scripts = {unicodedata.name(c, "?").split(" ")[0] for c in domain if c.isalpha()}
    return "LATIN" in scripts and bool(scripts & {"CYRILLIC", "GREEK", "ARMENIAN"})


def normal_address(address: str) -> str:
    """For matching only: the domain in lower case, the local part as given (dots and plus tags are kept)."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def normal_name(name: str) -> str:
    """For matching only: compatibility-normalised, case-folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
