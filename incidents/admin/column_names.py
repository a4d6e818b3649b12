"""Our columns in words, for those who say what a list's columns hold."""

from __future__ import annotations

import re

LABELS = {
    "person_id": "the list's own number of the person",
    "customer_number": "customer number",
    "full_name": "whole name",
    "given_name": "given name",
    "family_name": "family name",
    "second_family_name": "second family name",
    "email": "e-mail address",
    "phone": "telephone number",
    "street": "street and number",
    "city": "city",
    "region": "state or province",
    "postcode": "postcode",
    "stated_country": "country that the person stated",
    "billing_country": "country of the bill",
    "shipping_country": "country of the delivery",
    "phone_prefix": "telephone prefix",
    "loyalty_home_store": "home store",
    "ip_country": "country of the IP address (weak)",
    "language": "language",
    "elements": "data of this person that leaked",
    "date_of_birth": "date of birth; what may be two days is asked",
    "date_of_birth_day_first": "date of birth, the day first (31/12/1980)",
    "date_of_birth_month_first": "date of birth, the month first (12/31/1980)",
    "flags": "marks (minor, deceased, safe address ...)",
    "representative_role": "representative: guardian, next of kin ...",
    "representative_name": "representative's name",
    "representative_email": "representative's e-mail address",
    "deceased": "dead: yes or no, or the date",
    "date_of_death": "date of death",
    "minor": "a minor: yes or no",
    "safe_address": "protected address, confidential: yes or no",
    "do_not_contact": "not to be contacted: yes or no",
    "employee": "an employee: yes or no",
    "opted_out": "opted out of marketing: yes or no",
    "correction_of": "the row that this one corrects",
}
#: Fields that an officer corrects on the person's page, with their names; the rest is decided in the queues.
CORRECTABLE = {
    "full_name": "Whole name",
    "email": "E-mail address",
    "residence": "Residence (FR, US-WA, CA-QC)",
    "language": "Language",
    "elements": "Data exposed (words of the law's vocabulary, separated by ;)",
    "flags": "Marks, separated by ;",
    "street": "Street and number",
    "city": "City",
    "region": "State or province",
    "postcode": "Postcode",
    "phone": "Telephone",
    "date_of_birth": "Date of birth (year-month-day)",
    "representative_role": "Representative: guardian, next_of_kin or attorney",
    "representative_name": "Representative's name",
    "representative_email": "Representative's e-mail address",
}


def field_in_words(line: str) -> str:
    """A refusal that begins with the name of a field, with the field's words in its place."""
    name, colon, rest = line.partition(": ")
    return f"{re.split('[(,:]', CORRECTABLE[name])[0].strip()}{colon}{rest}" if name in CORRECTABLE and colon else line


def column_in_words(name: str) -> str:
    """A column of a list as it is named in the queues; a name that is not ours as it is."""
    return re.split("[(,:;]", LABELS[name])[0].strip() if name in LABELS else name
