"""The questions that a row of a list can raise: which queue, why, and what to do. No Django and no personal data here."""

from __future__ import annotations

from dataclasses import dataclass

#: The queues, by the names that the database has for them.
ADDRESS = "address"
NO_CHANNEL = "no_channel"
STATE_UNKNOWN = "state_unknown"
RESIDENCE_UNKNOWN = "residence_unknown"
RESIDENCE_CONFLICT = "residence_conflict"
GUARDIAN = "guardian"
NEXT_OF_KIN = "next_of_kin"
SAFE_ADDRESS = "safe_address"
DO_NOT_CONTACT = "do_not_contact"
DELAY_ORDER = "delay_order"
DATA = "data"
ROW = "row"


@dataclass(frozen=True)
class Problem:
    """A question about a row: which queue, which column, why, and what to do. Shown and logged: it never quotes the row."""

    kind: str
    column: str
    reason: str
    remedy: str


#: Flag -> queue, reason, remedy. The other flags only describe.
FLAG_QUESTIONS = {
    "minor_under_16": (GUARDIAN, "under 16: a guardian may have to be told", "name the guardian or hold"),
    "minor_16_17": (GUARDIAN, "16 or 17: a guardian may have to be told", "confirm who reads the letter, or hold"),
    "under_guardianship": (GUARDIAN, "under guardianship: the guardian may have to be told", "name the guardian or hold"),
    "deceased": (NEXT_OF_KIN, "said to be deceased", "find the next of kin or hold"),
    "safe_address": (SAFE_ADDRESS, "lives at a protected address", "confirm that e-mail is safe, never by post"),
    "do_not_contact": (
        DO_NOT_CONTACT,
        "not to be contacted; the legal notice is still due",
        "say by which channel it is safe to write, or hold with the reason",
    ),
    "delay_order": (
        DELAY_ORDER,
        "the police asked to wait with this person",
        "hold until the day the order ends; keep the order with the reason",
    ),
}
FLAGS = frozenset({*FLAG_QUESTIONS, "moved", "employee", "opted_out", "erasure_pending"})

#: What `Residence.question` says -> queue, reason, remedy.
RESIDENCE_QUESTIONS = {
    "state_unknown": (
        STATE_UNKNOWN,
        "lives in the United States, state unknown",
        "ask the shop for the state, or hold",
    ),
    "province_unknown": (
        STATE_UNKNOWN,
        "lives in Canada, province unknown",
        "ask the shop for the province (Quebec and Alberta have laws of their own), or hold",
    ),
    "military_address": (
        STATE_UNKNOWN,
        "a military or diplomatic post address (APO, FPO, DPO) tells no state",
        "ask for the home state, or hold",
    ),
    "residence_unknown": (
        RESIDENCE_UNKNOWN,
        "no evidence of residence",
        "set the residence with its evidence, or hold",
    ),
    "country_unreadable": (
        RESIDENCE_UNKNOWN,
        "the country is no ISO code and no name of one country alone",
        "set the residence with its evidence, or hold",
    ),
    "residence_conflict": (
        RESIDENCE_CONFLICT,
        "the evidence names several places",
        "choose one with its evidence, or hold",
    ),
}
