"""Our columns in words, for those who say what a list's columns hold."""

from __future__ import annotations

LABELS = {
    "person_id": "the list's own number of the person",
    "customer_number": "customer number",
    "full_name": "whole name",
    "given_name": "given name",
    "family_name": "family name",
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
    "date_of_birth": "date of birth",
    "flags": "marks (minor, deceased, safe address ...)",
    "representative_role": "representative: guardian, next of kin ...",
    "representative_name": "representative's name",
    "representative_email": "representative's e-mail address",
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
