"""One e-mail address, or the reason why it cannot be written to. Nothing is repaired silently and nothing is resolved."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from incidents.people.fillers import is_filler

#: Also written where there is no address.
EMPTY = frozenset({"na", "none@none", "no@email", "noemail", "no email"})
#: Local parts that somebody typed to get past a form; a real person may have one, so it is asked.
PLACEHOLDERS = frozenset({
    "test", "testing", "none", "null", "nil", "na", "n.a", "noemail", "no-email", "no.email", "nomail", "no-mail", "noreply",
    "no-reply", "donotreply", "do-not-reply", "unknown", "invalid", "dummy", "fake", "nobody", "noone", "xxx", "asdf", "example",
})  # fmt: skip
CONTROL = re.compile(r"[\x00-\x1f\x7f\x85]|%0[ad]", re.IGNORECASE)
BIDI = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
INVISIBLE = re.compile(r"[\u00ad\u034f\u180e\u200b-\u200d\u2060-\u2064\ufe00-\ufe0f\ufeff]")
#: RFC 5321 4.5.3.1.3 and 4.5.3.1.1.
LONGEST, LONGEST_LOCAL = 254, 64
#: Never delegated in the DNS, or used inside companies: names of hosts that nobody outside can reach.
INSIDE = frozenset(
    {"internal", "local", "localhost", "localdomain", "corp", "home", "lan", "intranet", "private", "mail", "host"}
)
#: An ordinary local part (dot-atom of RFC 5322, ASCII): then only the domain needs the full check, once.
ORDINARY = re.compile(r"[A-Za-z0-9!#$&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$&'*+/=?^_`{|}~-]+)*")
#: Below this length no limit of the whole address is near, whatever its domain becomes on the wire.
SHORT = 128


@dataclass(frozen=True)
class AddressProblem:
    """Why an address cannot be used and what to do about it. `refused`: the row cannot be read safely, or names two people."""

    reason: str
    remedy: str
    refused: bool = False


def check_address(raw: str) -> tuple[str, AddressProblem | None]:
    """The address ready for sending (domain lower-case), or '' with the problem. An empty field is '' without a problem."""
    text = raw.strip(" ")
    local, _, domain = text.rpartition("@")
    # The whole check costs as much as everything else of a row: it is made once for each domain.
    if len(text) < SHORT and len(local) <= LONGEST_LOCAL and domain.isascii() and ORDINARY.fullmatch(local):
        ready, problem = _domain(domain) if text.lower() not in EMPTY else ("", None)
        return (f"{local}@{ready}" if ready else ""), problem
    return check_fully(text)


@lru_cache(maxsize=8192)
def _domain(domain: str) -> tuple[str, AddressProblem | None]:
    ready, problem = check_fully(f"a@{domain}")
    return ready.removeprefix("a@"), problem


def check_fully(text: str) -> tuple[str, AddressProblem | None]:
    """The whole check of one address, without memory."""
    if not text or text.lower() in EMPTY or is_filler(text):
        return "", None
    problem = _shape_problem(text)
    if problem:
        return "", problem
    try:
        # .test (RFC 6761) is let through: drills bounce by it, and elsewhere it bounces of its own accord.
        checked = validate_email(text, check_deliverability=False, globally_deliverable=False, test_environment=True, strict=True)
    except EmailNotValidError as error:
        return "", AddressProblem(f"not an e-mail address: {_impersonal(str(error))}", "correct it from another source, or hold")
    if not text.rpartition("@")[0].isascii():  # as it came: a few signs become ASCII when they are normalised
        # RFC 6531 would need every relay on the way to speak SMTPUTF8.
        reason = "letters outside ASCII before the @, which not every relay carries"
        return "", AddressProblem(reason, "ask for another address, or hold")
    last = checked.ascii_domain.rpartition(".")[2]
    if "." not in checked.domain or last in INSIDE or last.isdigit():
        return "", AddressProblem("the domain cannot be reached from outside", "ask for another address, or hold")
    return f"{checked.local_part}@{checked.ascii_domain}", None


def placeholder_problem(*, address: str) -> AddressProblem | None:
    """The question about an address that looks like one typed to get past a form ('test@...')."""
    if address.rpartition("@")[0].lower() not in PLACEHOLDERS:
        return None
    return AddressProblem("looks like a placeholder, not like somebody's address", "give the real address, or this one if it is")


def _impersonal(message: str) -> str:
    """The validator's sentence without the quoted parts of the address: reasons are shown and logged, addresses are not."""
    return re.sub(r"['\"\u201c\u2018].*?['\"\u201d\u2019]", "a part", message)[:120]


def _shape_problem(text: str) -> AddressProblem | None:
    if CONTROL.search(text) or BIDI.search(text):
        return AddressProblem("control characters in the address", "retype it and import the corrected row", refused=True)
    if INVISIBLE.search(text):
        return AddressProblem("invisible characters in the address", "retype the address by hand")
    if text.count("@") > 1 and re.search(r"[,;\s<>]", text):
        return _several(text)
    if len(text) > LONGEST or len(text.rpartition("@")[0]) > LONGEST_LOCAL:
        reason = f"longer than {LONGEST} characters, or {LONGEST_LOCAL} before the @"
        return AddressProblem(reason, "correct it in the source and import the corrected row", refused=True)
    if re.search(r"[,;<>\s]", text):
        return AddressProblem("a comma, semicolon, bracket or space in the address", "keep one plain address in the field")
    if not text.isascii() and _mixes_scripts(text.rpartition("@")[2]):
        return AddressProblem("the domain mixes look-alike alphabets", "check the domain with the customer record")
    return None


def _several(text: str) -> AddressProblem:
    """Two addresses of one name are one person's; of different names the row may stand for two people."""
    names = {found.lower() for found in re.findall(r"([^\s,;<>@\"]+)@", text)}
    remedy = "keep one address in the field and add a row for the other"
    return AddressProblem("two addresses in one field", remedy, refused=len(names) > 1)


def _mixes_scripts(domain: str) -> bool:
    scripts = {unicodedata.name(c, "?").split(" ")[0] for c in domain if c.isalpha()}
    return "LATIN" in scripts and bool(scripts & {"CYRILLIC", "GREEK", "ARMENIAN"})
