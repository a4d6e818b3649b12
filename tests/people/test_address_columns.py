"""The columns of an address: each name that the docs give, those of exporters, one address of several, and of one piece."""

from __future__ import annotations

from pathlib import Path

import pytest

from incidents.people.reading import guess_mapping
from incidents.people.reading.names import KNOWN_COLUMNS
from tests.people.test_column_names import guess

LISTS = Path(__file__).parents[2] / "docs" / "lists.md"
FULL = {
    "email": "ann@example.org", "phone": "+44 113 496 0000", "street": "1 High Street", "city": "Leeds", "region": "NY", "postcode": "10001",
    "date_of_birth": "1980-02-29", "customer_number": "C1", "given_name": "Ann", "family_name": "Green", "full_name": "Ann Green",
    "stated_country": "GB", "billing_country": "GB", "shipping_country": "GB", "second_family_name": "Gil", "deceased": "no",
    "date_of_death": "2020-02-29", "minor": "no", "safe_address": "no", "do_not_contact": "no", "employee": "no", "opted_out": "no",
}  # fmt: skip
NAMED_IN_THE_DOCS = {
    "person_id": "person number, record id",
    "customer_number": "Customer ID, Account No, MRN, KUNNR, Kunden-Nr, Numéro client, Codice cliente, Número de cliente, 会員番号",
    "full_name": "Customer name, Nom et prénom, Nome e Cognome, Nombre completo, 氏名, 姓名",
    "given_name": "First name, Vorname, Prénom, Voornaam, Imię",
    "family_name": "Last name, Surname, Nachname, Nom de famille, Cognome, Apellidos, Achternaam",
    "second_family_name": "Segundo apellido, Apellido materno",
    "email": "E-Mail, Mail, Courriel, Correo electrónico, Indirizzo e-mail, メールアドレス",
    "phone": "Mobile, Tel, Telefon, Téléphone portable, Cellulare, 電話番号",
    "street": "Address line 1, Straße, Rue, Via, Calle, 住所",
    "city": "Town, Ort, Ville",
    "region": "State, Bundesland, Province",
    "postcode": "ZIP, PLZ, Code postal, CAP, 郵便番号",
    "stated_country": "Country, Land, Pays, País, Paese, 国",
    "billing_country": "Rechnungsland, Pays de facturation",
    "shipping_country": "Lieferland, Pays de livraison",
    "phone_prefix": "Ländervorwahl",
    "loyalty_home_store": "Home store, Stammfiliale",
    "ip_country": "IP country",
    "date_of_birth": "DOB, Birth date, Geburtsdatum, Date de naissance",
    "language": "Locale, Sprache, Langue, Idioma",
    "elements": "Leaked data, Exposed data",
    "deceased": "Deceased (Y/N), Verstorben",
    "date_of_death": "Date de décès",
    "minor": "Mineur",
    "safe_address": "Confidential communication",
    "do_not_contact": "Do not contact",
    "employee": "Mitarbeiter",
    "opted_out": "Opt-out",
    "representative_name": "Guardian, Next of kin",
}
NAMED = [(name, ours) for ours, words in NAMED_IN_THE_DOCS.items() for name in words.split(", ")]
WRITTEN = [
    str,
    str.upper,
    lambda name: name.replace(" ", "_"),
    lambda name: name.replace(" ", "."),
    lambda name: name.replace(" ", ""),
]


def reading(names: str) -> list[str]:
    """What the columns of a list are of which a full row is there; of each column its name says what stands in it."""
    bare = guess(names)
    return guess(names, ",".join(FULL.get(ours, "x") for ours in bare))


@pytest.mark.parametrize(("name", "ours"), NAMED)
def test_every_name_of_a_column_that_the_docs_give_is_read_as_they_say(name: str, ours: str) -> None:
    assert name in LISTS.read_text("utf-8") and ours in KNOWN_COLUMNS
    beside = [other for other in ("street", "city", "postcode", "customer_number") if other != ours]
    assert guess(", ".join([name, *beside]), ",".join(FULL.get(one, "x") for one in (ours, *beside))) == [ours, *beside]


#: Of each exporter, and as people write them: names of columns -> what they are, '-' for those that are left unread.
LISTS_OF_THE_WORLD = [
    # a call centre, with American and with British names
    ("Account No, Customer Name, Address Line 1, City, State, ZIP, Phone, Email, DOB", "customer_number full_name street city region postcode phone email date_of_birth"),
    ("Customer Name, Address Line 1, Address Line 2, City, State, ZIP, Email", "full_name street - city region postcode email"),
    ("First Name, Last Name, Address Line 1, Address Line 2, Town, Postcode, Country", "given_name family_name street - city postcode stated_country"),
    ("First Name, Last Name, Address 1, Address 2, Address 3, Town/City, County, Post Code", "given_name family_name street - - city - postcode"),
    ("Full Name, First line of address, Post town, Post code", "full_name street city postcode"),
    ("Full Name, Street Address Line 1, Street Address Line 2, Suburb, State/Territory, Postcode", "full_name street - city region postcode"),
    ("Full Name, Street and house number, ZIP code, City", "full_name street postcode city"),
    ("Full Name, Mailing Address, City, State, Zip Code", "full_name street city region postcode"),
    ("Full Name, Home Address, City, State, Zip Code", "full_name street city region postcode"),
    ("Full Name, Home Address Line 1, Home City, Home State, Home ZIP", "full_name street city region postcode"),
    ("Full Name, Physical Address, City, State, Zip Code", "full_name street city region postcode"),
    ("Full Name, Residential Address Line 1, Residential Suburb, Residential State, Residential Postcode", "full_name street city region postcode"),
    ("Patient Name, Patient Address, Patient City, Patient State, Patient Zip", "full_name street city region postcode"),
    ("Customer Name, Customer Address Line 1, Customer City, Customer Postcode, Customer Country", "full_name street city postcode stated_country"),
    ("Employee Name, Employee Address, Employee City, Employee Zip", "full_name street city postcode"),
    ("Full Name, Street (Mailing), City (Mailing), ZIP (Mailing)", "full_name street city postcode"),
    ("Full Name, Address Line 1 (Billing), City (Billing), State (Billing), ZIP (Billing), Country (Billing)", "full_name street city region postcode billing_country"),
    ("Full Name, Address (Home), City (Home), Postcode (Home), Country (Home)", "full_name street city postcode stated_country"),
    ("Full Name, Bill To Address, Bill To City, Bill To State, Bill To Zip", "full_name street city region postcode"),
    ("Full Name, Ship Address 1, Ship City, Ship State, Ship Zip", "full_name street city region postcode"),
    # Shopify: customers of now and of once
    ("First Name, Last Name, Default Address Address1, Default Address Address2, Default Address City, Default Address Province Code, Default Address Country Code, Default Address Zip", "given_name family_name street - city region stated_country postcode"),
    ("First Name, Last Name, Email, Company, Address1, Address2, City, Province, Country, Zip", "given_name family_name email - street - city region stated_country postcode"),
    # Salesforce: contacts, leads, accounts
    ("First Name, Last Name, Mailing Street, Mailing City, Mailing State/Province, Mailing Zip/Postal Code, Mailing Country", "given_name family_name street city region postcode stated_country"),
    ("LastName, Street, City, State, PostalCode, Country", "family_name street city region postcode stated_country"),
    ("Account Name, Billing Street, Billing City, Billing State/Province, Billing Zip/Postal Code, Billing Country", "full_name street city region postcode billing_country"),
    ("LastName, PersonMailingStreet, PersonMailingCity, PersonMailingState, PersonMailingPostalCode, PersonMailingCountry", "family_name street city region postcode stated_country"),
    # HubSpot, Mailchimp, Klaviyo
    ("First Name, Last Name, Street Address, Street Address 2, City, State/Region, Postal Code, Country/Region", "given_name family_name street - city region postcode stated_country"),
    ("Email Address, First Name, Last Name, Address, Phone Number", "email given_name family_name street phone"),
    # Magento: customers, their addresses, orders
    ("Name, Email, Phone, ZIP, Country, State/Province, Street Address, City, Date of Birth", "full_name email phone postcode stated_country region street city date_of_birth"),
    ("email, firstname, lastname, _address_street, _address_city, _address_region, _address_postcode, _address_country_id", "email given_name family_name street city region postcode stated_country"),
    ("firstname, lastname, street, city, region, postcode, country_id, telephone", "given_name family_name street city region postcode stated_country phone"),
    # WooCommerce: customers, and orders as its exporter writes them
    ("Name, Username, Email, Country / Region, City, Region, Postal code", "full_name - email stated_country city region postcode"),
    ("First Name (Billing), Last Name (Billing), Address 1&2 (Billing), City (Billing), State Code (Billing), Postcode (Billing), Country Code (Billing), Email (Billing), Phone (Billing)", "given_name family_name street city region postcode billing_country email phone"),
    ("billing_first_name, billing_last_name, billing_address_1, billing_address_2, billing_city, billing_postcode, billing_country, shipping_address_1, shipping_city, shipping_postcode", "given_name family_name street - city postcode billing_country - - -"),
    # SAP: tables of customers, of addresses, and the words on its screens
    ("KUNNR, NAME1, STRAS, ORT01, PSTLZ, REGIO, LAND1", "customer_number full_name street city postcode region stated_country"),
    ("NAME_FIRST, NAME_LAST, STREET, POST_CODE1, CITY1, REGION, COUNTRY", "given_name family_name street postcode city region stated_country"),
    ("Customer Number, Name 1, Street/House number, Postal Code, City, Country", "customer_number full_name street postcode city stated_country"),
    # Dynamics: names of fields and their labels
    ("firstname, lastname, address1_line1, address1_line2, address1_city, address1_stateorprovince, address1_postalcode, address1_country", "given_name family_name street - city region postcode stated_country"),
    ("Full Name, Address 1: Street 1, Address 1: Street 2, Address 1: City, Address 1: State/Province, Address 1: ZIP/Postal Code, Address 1: Country/Region", "full_name street - city region postcode stated_country"),
    ("Full Name, Street 1, Street 2, City, State/Province, ZIP/Postal Code, Country/Region", "full_name street - city region postcode stated_country"),
    # Stripe: cards, customers
    ("Name, Email, Card Address Line1, Card Address Line2, Card Address City, Card Address State, Card Address Zip, Card Address Country", "full_name email street - city region postcode billing_country"),
    ("name, email, address.line1, address.line2, address.city, address.state, address.postal_code, address.country", "full_name email street - city region postcode stated_country"),
    ("Name, Email, Shipping Address Line1, Shipping Address City, Shipping Address State, Shipping Address Postal Code, Shipping Address Country", "full_name email street city region postcode shipping_country"),
    # Zendesk Sell, QuickBooks and the like
    ("Name, Email, Address, City, State/Region, Zip/Post Code, Country", "full_name email street city region postcode stated_country"),
    ("name, mailing_address[line1], mailing_address[city], mailing_address[postal_code], mailing_address[country]", "full_name street city postcode stated_country"),
]  # fmt: skip


@pytest.mark.parametrize(("names", "ours"), LISTS_OF_THE_WORLD)
def test_no_address_of_an_exporter_is_left_unread(names: str, ours: str) -> None:
    wanted = [name.strip("-") for name in ours.split()]
    for written in WRITTEN:
        said = ",".join(written(name.strip()) for name in names.split(","))
        assert reading(said) == wanted, said


def test_an_address_without_a_word_before_its_town_is_of_one_piece_with_the_street_that_has_one() -> None:
    row = "1 High Street, Leeds, LS1 4AP"
    for street in ("Address Line 1", "Mailing Street", "Home Address", "Billing Address", "Delivery Street"):
        assert (
            guess(f"{street}, Town, Postcode", row) == guess(f"{street}, City, Postcode", row) == ["street", "city", "postcode"]
        )
    assert guess("Street, Mailing City, Mailing Zip", row) == ["street", "city", "postcode"]


def test_of_two_streets_and_one_town_nobody_knows_whose_the_town_is() -> None:
    assert guess("Billing Address, Shipping Address, City, ZIP", "1 High Street, 2 Rue B, Leeds, 10001") == [
        "",
        "",
        "city",
        "postcode",
    ]
    names = "Address Line 1, City, ZIP, Billing Street, Billing City, Billing ZIP"
    assert guess(names, "1 High Street, Leeds, 10001, 2 Rue B, Lyon, 69003") == ["street", "city", "postcode", "", "", ""]


def test_a_town_alone_does_not_take_the_whole_address_from_anybody() -> None:
    row = "Ann, Leeds, 1 High Street, York, 10001"
    for town in ("City", "Town"):
        assert guess(f"First name, {town}, Mailing Street, Mailing City, Mailing Zip", row) == [
            "given_name",
            "",
            "street",
            "city",
            "postcode",
        ]
    assert guess("Address, Mailing Street, Mailing City", "1 High Street, 1 High Street, York") == ["", "street", "city"]


def test_of_two_whole_addresses_that_both_are_at_home_one_is_read() -> None:
    names = "Mailing Street, Mailing City, Mailing Zip, Home Street, Home City, Home Zip"
    assert guess(names, "PO Box 1, Leeds, 10001, 1 High Street, York, 10002") == ["street", "city", "postcode", "", "", ""]


def test_of_two_lines_for_one_street_that_is_read_which_holds_the_other() -> None:
    names = "Billing Street, Billing Address1, Billing Address2, Billing City"  # as Shopify writes orders
    assert guess(names, "1 High Street Flat 2, 1 High Street, Flat 2, York", "3 Rue B, 3 Rue B, , Lyon") == [
        "street",
        "",
        "",
        "city",
    ]
    assert guess("Address, Address Line 1", "1 High Street, 1 High Street Flat 2") == ["", "street"]
    assert guess("Address, Address Line 1", "1 High Street, 2 Rue B") == ["", ""]


@pytest.mark.parametrize("said", ["yes", "ann@example.org", "TRUE"])
def test_a_column_called_an_address_that_holds_none_is_no_street(said: str) -> None:
    header = ["default_address", "name"]
    assert guess_mapping(header=header, samples=[[said, "Ann"]] * 3)["default_address"] == ""
