"""What a letter states and what the law wants stated: the closed list of content items, and what is missing or barred.

The names are those of the law packs: the US table and the table for the rest of the world call some of the same
statements by different names (`SAME`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

#: Content items a paragraph can state (`[[says ...]]`), described for the officer.
STATEMENTS: Mapping[str, str] = MappingProxyType(
    {
        "what_happened": "What happened, in general terms",
        "nature_of_breach": "The nature of the breach",
        "circumstances": "How it came about",
        "cause": "The cause",
        "statement_of_unauthorized_acquisition": "That the sender knows of an unauthorised acquisition",
        "date_of_breach": "When it happened: a date, an estimate, a period, or that this is not known yet",
        "date": "When it happened: a date, a period, or that this is not known yet",
        "date_of_discovery": "When it was discovered",
        "date_discovered": "When it was discovered",
        "types_of_information": "Which kinds of this reader's information are involved",
        "data_categories": "Which kinds of this reader's data are involved",
        "number_affected": "How many people are affected",
        "likely_consequences": "What may follow for the reader",
        "what_we_are_doing": "What the sender has done and is doing",
        "measures_taken": "What the sender has done and is doing",
        "measures_to_reduce_harm": "What the sender does to reduce harm to the reader",
        "what_you_can_do": "What the reader can do",
        "recommendations_to_individual": "What the reader can do",
        "contact": "Where the reader can ask, with name and contact details",
        "dpo_contact": "The data protection officer or other contact point",
        "controller_identity": "Who is writing, with the legal name",
        "toll_free": "A telephone number of the sender that is free to call",
        "sender_website": "The sender's own website",
        "parent_company_name": "The name of the parent or affiliated company",
        "regulator_informed": "That the authority has been informed",
        "regulator_complaint_right": "The right to complain, and to which authority",
        "legal_rights_and_how_to_use_them": "Legal rights (damages, mediation) and how to use them",
        "remedies": "Available remedies",
        "assistance_offered": "Help offered to the reader",
        "reasons_for_delay": "Why the notice comes late",
        "identity_of_recipient_if_needed": "Who received the data, where the reader needs to know",
        "identity_of_intruder_if_known": "Who the intruder is, if known",
        "other_reference_matters": "Other matters of reference (how news will be given, and the like)",
        "credit_bureau_contacts": "Toll-free numbers and addresses of the credit bureaus",
        "ftc_contact": "Number, address and website of the Federal Trade Commission",
        "state_ag_contact": "Number, address and website of the state attorney general",
        "state_agency_info_contact": "Telephone and website of state and federal agencies on identity theft",
        "security_freeze_info": "How to place a security freeze",
        "freeze_free_of_charge": "That a freeze costs nothing",
        "fraud_alert_info": "What a fraud alert is and how to place one",
        "police_report_right": "The right to file or obtain a police report",
        "report_identity_theft_advice": "Advice to report suspected identity theft",
        "vigilance_advice": "Advice to review statements and free credit reports",
        "fcra_rights": "Rights under the Fair Credit Reporting Act",
        "id_theft_services_offer": "An offer of free identity-theft services and how to enrol",
        "credit_monitoring": "Credit monitoring, and how to enrol",
        "remediation_services": "Remediation services and how to reach them",
        "password_change_advice": "Advice to change the password and security answers",
        "law_enforcement_delay_statement": "Whether the police asked for a delay",
    }
)

#: Items that a form has, rather than a paragraph states: the check of the finished letter answers for them.
FORM_ITEMS: Mapping[str, str] = MappingProxyType(
    {
        "plain_language": "Written in plain language",
        "prescribed_headings": "The title and headings that the statute prescribes",
    }
)

#: Bars, and the statements each one forbids.
BARS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "must_not_describe_nature": frozenset(
            {
                "what_happened",
                "nature_of_breach",
                "circumstances",
                "cause",
                "statement_of_unauthorized_acquisition",
            }
        ),
        "must_not_state_number_of_residents": frozenset({"number_affected"}),
    }
)

_BAR_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "must_not_describe_nature": "Must not describe the nature of the breach",
        "must_not_state_number_of_residents": "Must not state how many residents of the state are affected",
    }
)

#: Two names for one statement: who states the one has stated the other.
SAME: tuple[frozenset[str], ...] = (
    frozenset({"what_happened", "nature_of_breach"}),
    frozenset({"date_of_breach", "date"}),
    frozenset({"date_of_discovery", "date_discovered"}),
    frozenset({"types_of_information", "data_categories"}),
    frozenset({"what_we_are_doing", "measures_taken"}),
    frozenset({"what_you_can_do", "recommendations_to_individual"}),
    frozenset({"id_theft_services_offer", "credit_monitoring"}),
)

_PAYMENT = frozenset(
    {
        "payment_card",
        "payment_card_with_code",
        "financial_account",
        "financial_account_with_access_code",
        "financial_account_usable_without_code",
        "financial_access_code",
        "electronic_id_with_code",
    }
)
_IDENTITY = frozenset(
    {
        "ssn",
        "drivers_license",
        "state_id",
        "tribal_id",
        "passport",
        "military_id",
        "tax_id",
        "irs_ip_pin",
        "other_government_id",
        "national_id",
        "birth_certificate",
    }
)

#: Groups of data elements that the texts and the conditions below speak of; the fact is `any.<group>`.
GROUPS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "credentials": frozenset(
            {
                "online_credentials",
                "email_account_credentials",
                "password_hash",
                "shared_secret",
                "employer_assigned_id_with_code",
            }
        ),
        "payment": _PAYMENT,
        "identity": _IDENTITY,
        "credit": _PAYMENT | _IDENTITY,
        "bureau_identity": frozenset({"ssn", "drivers_license", "state_id"}),
        "offer_identity": frozenset(
            {"ssn", "drivers_license", "state_id", "tax_id", "passport", "military_id", "other_government_id"}
        ),
        "health": frozenset(
            {
                "medical_information",
                "medical_id",
                "health_insurance_id",
                "health_insurance_id_with_code",
                "health_claims",
                "genetic",
                "dna",
            }
        ),
    }
)


#: Statements that one law block makes together; the fact is `owes.<name>`, true where the law asks for one of them.
ANNEXES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "bureaus": frozenset({"credit_bureau_contacts", "security_freeze_info", "freeze_free_of_charge", "fraud_alert_info"}),
        "identity_help": frozenset(
            {
                "vigilance_advice",
                "security_freeze_info",
                "freeze_free_of_charge",
                "fraud_alert_info",
                "report_identity_theft_advice",
                "police_report_right",
                "ftc_contact",
            }
        ),
        "incident_facts": frozenset(
            {
                "parent_company_name",
                "number_affected",
                "statement_of_unauthorized_acquisition",
                "law_enforcement_delay_statement",
                "reasons_for_delay",
                "identity_of_recipient_if_needed",
                "identity_of_intruder_if_known",
                "toll_free",
                "remediation_services",
                "measures_to_reduce_harm",
                "assistance_offered",
                "remedies",
            }
        ),
    }
)

#: An offer of services, under both its names.
OFFERS: frozenset[str] = frozenset({"id_theft_services_offer", "credit_monitoring"})

#: Laws that want a free telephone number only of those who have one (Md. Com. Law 14-3504(g); 9 V.S.A. 2435(b)(5)).
_FREE_NUMBER_IF_ANY = ("in.us_md", "in.us_vt")

#: What some items need recorded: the facts of which one has to be true, and what to record where.
_NEEDS: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "toll_free": (
            ("is.toll_free",),
            "Record under Facts, 'Free to call' (phone_toll_free), that the number costs nothing, or give one that is free.",
        ),
        "parent_company_name": (
            ("is.parent_known",),
            "Record the parent company under Facts (parent_company): its name, or 'none' if nobody owns the sender.",
        ),
        "reasons_for_delay": (
            ("is.delay_explained",),
            "The letter is late: record under Facts why (delay_reason).",
        ),
        "remediation_services": (
            ("is.services_offered", "is.no_services"),
            "Record under Facts, 'Protection services' (services), what is offered to whom, or that it is offered to nobody.",
        ),
        **dict.fromkeys(
            sorted(OFFERS),
            (
                ("is.services_offered",),
                "Record the offer under Facts, 'Protection services' (services): to whom, provider, months, how to enrol.",
            ),
        ),
        "cause": (
            ("is.attack", "is.mistake", "is.loss", "is.insider"),
            "Record the cause under Facts (cause); while it is unknown no letter can state it.",
        ),
        "regulator_informed": (
            ("is.authorities_informed",),
            "Record the filing with the authority on its page under Law, or tick 'Authorities informed' under Facts.",
        ),
        "regulator_complaint_right": (
            ("has.authority",),
            "The pack names no authority for complaints: name it in the letter's text, after [[says regulator_complaint_right]].",
        ),
        "state_ag_contact": (
            ("has.attorney_general",),
            "No contact of this attorney general is kept: write it into the letter's text, after [[says state_ag_contact]].",
        ),
    }
)


def with_synonyms(*, said: frozenset[str]) -> frozenset[str]:
    """The statements together with their other names."""
    return said.union(*(group for group in SAME if group & said))


def holds_any(*, group: str, facts: Mapping[str, bool]) -> bool:
    """Whether the reader's data include an element of the group."""
    return any(facts.get(f"has.{element}", False) for element in GROUPS[group])


def owes_any(*, annex: str, facts: Mapping[str, bool]) -> bool:
    """Whether the law asks the letter for a statement of this group."""
    return any(facts.get(f"owes.{item}", False) for item in ANNEXES[annex])


def is_due(*, item: str, facts: Mapping[str, bool]) -> bool:
    """Whether a required item is due for this reader: some depend on what leaked, some on what happened.

    Password advice: only when credentials leaked. California (Civil Code 1798.82(d)(2)(F)-(G)): the bureaus only for
    SSN, licence and state card. Services: where the law sets months for the reader's data (`is.offer_owed`); without
    that fact, only for government identifiers. Recipient and intruder: if needed, if known.
    """
    if item in OFFERS:
        return facts.get("is.offer_owed", holds_any(group="offer_identity", facts=facts))
    rule = _DUE.get(item)
    return rule is None or rule(facts)


_DUE: Mapping[str, Callable[[Mapping[str, bool]], bool]] = MappingProxyType(
    {
        "password_change_advice": lambda facts: holds_any(group="credentials", facts=facts),
        "credit_bureau_contacts": lambda facts: (
            not facts.get("in.us_ca", False) or holds_any(group="bureau_identity", facts=facts)
        ),
        "parent_company_name": lambda facts: not facts.get("is.without_parent", False),
        "toll_free": lambda facts: (
            not facts.get("is.toll_call", False) or not any(facts.get(place, False) for place in _FREE_NUMBER_IF_ANY)
        ),
        "reasons_for_delay": lambda facts: facts.get("is.late", True) or facts.get("is.delay_explained", False),
        "identity_of_recipient_if_needed": lambda facts: facts.get("is.recipient_known", False),
        "identity_of_intruder_if_known": lambda facts: facts.get("is.intruder_known", False),
    }
)


def remedy(*, item: str, facts: Mapping[str, bool]) -> str:
    """What to do about a statement that is missing: which fact to record and where, or what to write."""
    needed, what = _NEEDS.get(item, ((), ""))
    if needed and not any(facts.get(fact, False) for fact in needed):
        return what
    return f"The letter's text needs a paragraph with [[says {item}]]."


def missing_statements(*, required: Sequence[str], said: frozenset[str], facts: Mapping[str, bool]) -> tuple[str, ...]:
    """Required items that are due and that no remaining paragraph states, in the order required.

    Form items and bars are not statements: the check of the finished letter answers for them.
    """
    stated = with_synonyms(said=said)
    asked = (item for item in dict.fromkeys(required) if item not in FORM_ITEMS and item not in BARS)
    return tuple(item for item in asked if item not in stated and is_due(item=item, facts=facts))


def barred_statements(*, barred: Sequence[str], said: frozenset[str]) -> tuple[str, ...]:
    """Bars that the letter breaks: `must_not_...` through what it forbids, any other name as the statement itself."""
    stated = with_synonyms(said=said)
    return tuple(item for item in dict.fromkeys(barred) if BARS.get(item, frozenset({item})) & stated)


def contradictions(*, required: Sequence[str], barred: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of a required item and a bar that forbids it: two laws that one letter cannot both obey."""
    bars = {
        bar: with_synonyms(said=BARS.get(bar, frozenset({bar}))) for bar in (*barred, *required) if bar in BARS or bar in barred
    }
    return tuple((item, bar) for item in dict.fromkeys(required) for bar, forbidden in bars.items() if item in forbidden)


def describe(*, item: str) -> str:
    """A content item in English for the officer; an unknown one by its name."""
    return STATEMENTS.get(item) or FORM_ITEMS.get(item) or _BAR_TEXTS.get(item) or item.replace("_", " ")
