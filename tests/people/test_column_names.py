"""What the columns of a list are taken to be: by names that mean one thing, by values where a name leaves it open, else not at all."""

from __future__ import annotations

import pytest

from incidents.people.reading import guess_mapping
from incidents.people.reading.names import KNOWN_COLUMNS, MEANINGS, key_of
from tests.people.reads import read, refusal

VALUES = {
    "email": "anna@example.org", "postcode": "01234", "phone": "+33 1 23 45 67 89", "date_of_birth": "1980-02-29",
    "customer_number": "C1", "street": "1 rue de l'Exemple",
}  # fmt: skip


def guess(names: str, *rows: str) -> list[str]:
    """What the columns of a header are, given as 'a, b, c' with rows of values."""
    header = [name.strip().lower().replace(" ", "_") for name in names.split(",")]
    return list(guess_mapping(header=header, samples=[[cell.strip() for cell in row.split(",")] for row in rows]).values())


@pytest.mark.parametrize(
    ("names", "ours"),
    [
        ("Customer ID, First Name, Last Name, E-Mail, ZIP, Country, DOB", "customer_number given_name family_name email postcode stated_country date_of_birth"),
        ("Kunden-Nr., Vorname, Nachname, E-Mail-Adresse, Straße, PLZ, Ort, Land, Geburtsdatum", "customer_number given_name family_name email street postcode city stated_country date_of_birth"),
        ("Numéro client, Prénom, Nom, Courriel, Rue, Code postal, Ville, Pays, Date de naissance", "customer_number given_name family_name email street postcode city stated_country date_of_birth"),
        ("Codice cliente, Nome e Cognome, Indirizzo e-mail, Via, CAP, Città, Provincia, Paese", "customer_number full_name email street postcode city region stated_country"),
        ("Número de cliente, Nombre completo, Correo electrónico, Teléfono, Código postal, País", "customer_number full_name email phone postcode stated_country"),
        ("Klantnummer, Voornaam, Achternaam, E-mailadres, Straat, Postcode, Woonplaats, Land", "customer_number given_name family_name email street postcode city stated_country"),
        ("Nr klienta, Imię, Nazwisko, Adres e-mail, Ulica, Kod pocztowy, Miasto", "customer_number given_name family_name email street postcode city"),
        ("会員番号, 氏名, メールアドレス, 電話番号, 郵便番号, 都道府県, 市区町村, 住所, 生年月日", "customer_number full_name email phone postcode region city street date_of_birth"),
        ("客户编号, 姓名, 电子邮件, 手机号, 邮政编码, 国家", "customer_number full_name email phone postcode stated_country"),
        ("고객번호, 성명, 이메일, 전화번호, 우편번호", "customer_number full_name email phone postcode"),
        ("Müşteri No, Ad Soyad, E-posta, Telefon, Posta Kodu, Ülke", "customer_number full_name email phone postcode stated_country"),
        ("Billing Country, Shipping Country, Language, Leaked data", "billing_country shipping_country language elements"),
    ],
)  # fmt: skip
def test_columns_are_known_by_the_names_that_lists_give_them(names: str, ours: str) -> None:
    assert guess(names) == ours.split()


@pytest.mark.parametrize(
    ("names", "row", "ours"),
    [
        ("会員番号, 氏名, 郵便番号, 都道府県, 市区町村, 町名・番地, 電話番号, 携帯電話番号", "", "customer_number full_name postcode region city street phone -"),
        ("Müşteri No, Adı, Soyadı, Cep Telefonu, İlçe, İl, Posta Kodu", "1, Ayşe, Kaya, 0532 00, Kadıköy, İstanbul, 34710",
         "customer_number given_name family_name phone city region postcode"),
        ("N° carte fidélité, Nom, Prénom, Tél. mobile, Tél. fixe, N° et voie", "", "customer_number family_name given_name phone - street"),
        ("ID_CLIENTE, NOMBRE, APELLIDO1, APELLIDO2, TLF_MOVIL, TLF_FIJO", "7, Ana, Ruiz, Gil, 600000000, 900000000",
         "customer_number given_name family_name second_family_name phone -"),
        ("Telefon, Mobil", "030 100, 0170 00", "phone -"), ("Mobil, Telefon", "0170 00, 030 100", "- phone"),
        ("Telefon, Festnetz", "030 100, 030 200", "phone -"), ("Telefon, Mobil (privat), Handy", "", "phone - -"),
        ("Telefon, Mobil", "030 100, Samsung", "phone -"), ("phone, Mobil", "", "phone -"),
    ],
)  # fmt: skip
def test_of_several_telephone_numbers_one_is_read_in_the_lists_of_the_world(names: str, row: str, ours: str) -> None:
    assert guess(names, *([row] if row else [])) == [name.strip("-") for name in ours.split()]


@pytest.mark.parametrize("name", ["E-Mail", "e_mail", "EMAIL", "E Mail", "é-mail", "Ｅ－Ｍａｉｌ", " E-MAIL: "])
def test_case_accents_and_marks_of_a_name_do_not_matter(name: str) -> None:
    assert guess(name) == ["email"]


@pytest.mark.parametrize("ours", KNOWN_COLUMNS)
def test_our_own_names_always_win(ours: str) -> None:
    assert guess(f"{ours}, E-Mail, Customer ID, Vorname")[0] == ours


def test_an_exact_name_leaves_the_others_unread() -> None:
    assert guess("email, E-Mail-Adresse, courriel") == ["email", "", ""]


@pytest.mark.parametrize(
    ("names", "ours"),
    [
        ("ZIP / Postcode", "postcode"), ("PLZ/Postleitzahl", "postcode"), ("Date of birth (dd.mm.yyyy)", "date_of_birth"),
        ("Geburtsdatum [TT.MM.JJJJ]", "date_of_birth"), ("Date de naissance (jj/mm/aaaa)", "date_of_birth"), ("Country (ISO 3166-1)", "stated_country"),
        ("Country (ISO alpha-2 code)", "stated_country"), ("Postcode (ZIP)", "postcode"), ("E-Mail (required)", "email"),
        ("Phone / Mobile", "phone"), ("First name / Vorname", "given_name"), ("Name / Nom", "full_name"), ("E-Mail *", "email"),
        ("E-Mail (guardian)", ""), ("E-Mail (mama)", ""), ("E-Mail (dad)", ""), ("City / State", ""), ("PLZ / Ort", ""), ("Phone (country code)", "phone_prefix"),
        ("E-Mail (2)", ""), ("Address (old)", ""), ("E-Mail / Login", ""), ("Date of birth (child)", ""), ("()", ""), ("/", ""),
    ],
)  # fmt: skip
def test_a_bracket_about_the_form_and_a_second_name_for_the_same_do_not_matter(names: str, ours: str) -> None:
    assert guess(names) == [ours]


@pytest.mark.parametrize(
    "name",
    ["Geb.-Datum", "Geb. Datum", "Geburtsdat.", "Geb.-Dat.", "GEB_DAT", "Geb.-Tag", "Geboren am", "D.O.B.", "Date de naiss.", "Né(e) le",
     "Data nascita", "Fecha nac.", "Fecha nacimiento", "Data de nasc.", "Geboortedat."],
)  # fmt: skip
def test_a_shortened_name_of_the_date_of_birth_is_known(name: str) -> None:
    assert guess(name, "1980-02-29") == ["date_of_birth"]


@pytest.mark.parametrize(
    ("names", "row", "ours"),
    [
        ("Verstorben (J/N)", "N", "deceased"), ("DECEASED_YN", "N", "deceased"), ("Décédé(e)", "", "deceased"), ("Deceased", "C", "deceased"),
        ("DATE_OF_DEATH", "", "date_of_death"), ("Fecha de fallecimiento", "", "date_of_death"), ("Todesdatum", "", "date_of_death"),
        ("Minderjährig", "nein", "minor"), ("Menor de edad", "sí", "minor"), ("Under 18", "Biology", ""),
        ("CONFIDENTIAL_COMM_FLAG", "N", "safe_address"), ("Auskunftssperre", "ja", "safe_address"), ("Do Not Contact", "FALSE", "do_not_contact"),
        ("Mitarbeiter", "nein", "employee"), ("Mitarbeiter", "Vera Berg", ""), ("Is staff", "Employee", "employee"), ("Opt-out", "0", "opted_out"),
        ("Employee", "Vera Berg", ""), ("Employee", "yes", "employee"), ("Employee", "", "employee"), ("Minor", "2", ""), ("minor", "nein", "minor"),
        ("opted_out", "Newsletter", ""), ("deceased", "unknown", "deceased"),
        ("GUARANTOR_NAME", "Vera Berg", ""), ("GUARANTOR_EMAIL", "vera@example.org", ""),
    ],
)  # fmt: skip
def test_a_column_that_says_yes_or_no_of_a_person_is_known_and_no_guarantor_is_a_guardian(
    names: str, row: str, ours: str
) -> None:
    assert guess(names, row) == [ours]


@pytest.mark.parametrize(
    ("name", "said", "ours"),
    [("사망여부", ["X", "X", "O"], ""), ("사망여부", ["X", "X", "X"], ""), ("未成年", ["○", "Ｘ", ""], ""), ("사망여부", ["Y", "N", ""], "deceased"),
     ("未成年", ["○", "", ""], "minor"), ("Deceased", ["O", "X", "X"], ""), ("Deceased", ["X", "", ""], "deceased"), ("Verstorben", ["ja", "x", ""], "deceased")],
)  # fmt: skip
def test_a_column_in_which_a_cross_may_say_no_is_left_unread(name: str, said: list[str], ours: str) -> None:
    assert guess(f"{name}, E-Mail", *(f"{one}, a@example.org" for one in said)) == [ours, "email"]


def test_a_name_as_it_is_known_goes_before_one_with_a_bracket() -> None:
    assert guess("DOB, Date of birth (dd.mm.yyyy), Vorname") == ["date_of_birth", "", "given_name"]
    assert guess("ZIP / Postcode, PLZ / Postleitzahl") == ["", ""]


def test_two_names_for_the_same_are_both_left_unread() -> None:
    assert guess("Vorname, Nachname, E-Mail, Mail") == ["given_name", "family_name", "", ""]


@pytest.mark.parametrize(
    ("names", "rows", "ours"),
    [
        ("Name, E-Mail", ["Anna Müller, anna@example.org"], "full_name email"),
        ("Name, Vorname", ["Müller, Anna", "Meier, Bob"], "family_name given_name"),
        ("Nom, Prénom", [], "family_name given_name"),
        ("Name, First name", ["Anna Miller, Anna", "Bob Meier, Bob"], "full_name given_name"),
        ("Name, First name, Last name", ["Anna Miller, Anna, Miller"], "full_name given_name family_name"),
        ("Nome, Cognome", ["Marco, Rossi", "Anna, Verdi"], "given_name family_name"),
        ("Nome, Cognome", [], "given_name family_name"),
        ("Nome, Cognome", ["Marco Rossi, Rossi", "Verdi Anna, Verdi"], "full_name family_name"),
        ("Nombre, Apellidos", ["José, García Pérez"], "given_name family_name"),
        ("Nombre, Apellidos", ["José García Pérez, García Pérez"], "full_name family_name"),
        ("Nombre, Primer apellido, Segundo apellido", ["Lucía, García, Pérez"], "given_name family_name second_family_name"),
        ("Ad, Soyad", ["Ayşe, Kaya"], "given_name family_name"),
        ("Name, Surname", ["Ann, Green"], "given_name family_name"),
        ("Surname, Name", ["Green, Ann"], "family_name given_name"),
        ("Nome, Sobrenome", ["Paulo, Silva"], "given_name family_name"),
        ("Namn, Efternamn", ["Lars, Berg"], "given_name family_name"),
        ("Naam, Achternaam", ["Jan, de Vries"], "given_name family_name"),
        ("Imię, Nazwisko", ["Jan, Nowak"], "given_name family_name"),
        ("Meno, Priezvisko", ["Ján, Novák"], "given_name family_name"),
        ("Nom, Nom de famille", ["Léa, Roy"], "given_name family_name"),
        ("Name, Vorname, Nachname", ["Example Ltd, Anna, Müller"], "- given_name family_name"),
        ("Adresse, Ort", ["1 rue de l'Exemple, Paris"], "street city"),
        ("Adresse, Ort", ["anna@example.org, Paris"], "email city"),
        ("Login, Vorname", ["anna@example.org, Anna"], "email given_name"),
        ("Login, Vorname", ["anna77, Anna"], "- given_name"),
        ("E-Mail, Vorname", ["yes, Anna", "no, Bob"], "- given_name"),
        ("E-Mail, Vorname", [", Anna", "b@example.org, Bob"], "email given_name"),
        ("Customer ID, Vorname", ["anna@example.org, Anna"], "- given_name"),
        ("Mobile, Vorname", ["Samsung, Anna"], "- given_name"),
    ],
)  # fmt: skip
def test_values_decide_only_what_a_name_leaves_open(names: str, rows: list[str], ours: str) -> None:
    assert guess(names, *rows) == [name.strip("-") for name in ours.split()]


@pytest.mark.parametrize(
    "name", ["ID", "Notes", "Address 2", "Points", "Newsletter", "Créé le", "x", "Mail sent", "Emailed", "Land area"]
)
def test_a_name_that_is_not_sure_is_left_unread(name: str) -> None:
    assert guess(name) == [""]


@pytest.mark.parametrize(
    ("names", "ours"),
    [
        ("First Name, Last Name, Email, Default Address Company, Default Address Address1, Default Address Address2, Default Address City, Default Address Province Code, Default Address Country Code, Default Address Zip, Default Address Phone, Phone",
         "given_name family_name email - street - city region stated_country postcode - phone"),
        ("Id, AccountId, LastName, FirstName, Name, OtherStreet, OtherCity, OtherState, OtherPostalCode, OtherCountry, MailingStreet, MailingCity, MailingState, MailingPostalCode, MailingCountry, Phone, Fax, MobilePhone, HomePhone, Email, Birthdate, Language__c",
         "customer_number - family_name given_name full_name - - - - - street city region postcode stated_country phone - - - email date_of_birth language"),
        ("Contact ID, First Name, Last Name, Mailing Street, Mailing City, Mailing State/Province, Mailing Zip/Postal Code, Mailing Country, Email, Account ID",
         "customer_number given_name family_name street city region postcode stated_country email -"),
        ("Name, BillingStreet, BillingCity, BillingState, BillingPostalCode, BillingCountry, ShippingStreet, ShippingCity, ShippingCountry, Phone",
         "full_name street city region postcode billing_country - - shipping_country phone"),
        ("Record ID, First Name, Last Name, Email, Phone Number, Mobile Phone Number, Street Address, City, State/Region, Postal Code, Country/Region, Date of birth",
         "person_id given_name family_name email phone - street city region postcode stated_country date_of_birth"),
        ("email, _website, dob, firstname, lastname, _address_city, _address_country_id, _address_firstname, _address_postcode, _address_region, _address_street, _address_telephone",
         "email - date_of_birth given_name family_name city stated_country - postcode region street phone"),
        ("customer_id, user_email, billing_first_name, billing_last_name, billing_company, billing_phone, billing_address_1, billing_city, billing_postcode, billing_state, billing_country, shipping_address_1, shipping_city, shipping_country",
         "customer_number email given_name family_name - phone street city postcode region billing_country - - shipping_country"),
        ("Email, Klaviyo ID, First Name, Last Name, Phone Number, Address, Address 2, City, State / Region, Country, Zip Code",
         "email person_id given_name family_name phone street - city region stated_country postcode"),
        ("Email Address, First Name, Last Name, Phone Number, Birthday, MEMBER_RATING, CC, REGION, EUID",
         "email given_name family_name phone date_of_birth - ip_country - -"),
        ("contactid, firstname, lastname, emailaddress1, address1_line1, address1_city, address1_postalcode, address1_stateorprovince, address1_country, telephone1, mobilephone, address2_city",
         "customer_number given_name family_name email street city postcode region stated_country phone - -"),
        ("Address 1: Street 1, Address 1: City, Address 1: ZIP/Postal Code, Address 1: State/Province, Address 1: Country/Region, Business Phone, Mobile Phone",
         "street city postcode region stated_country - phone"),
        ("MANDT, KUNNR, LAND1, NAME1, NAME2, ORT01, PSTLZ, REGIO, STRAS, TELF1, TELF2, SPRAS, SMTP_ADDR",
         "- customer_number stated_country full_name - city postcode region street phone - language email"),
        ("id, Description, Email, Name, Delinquent, Card Name, Card Address Line1, Card Address City, Card Address State, Card Address Country, Card Address Zip",
         "customer_number - email full_name - - street city region billing_country postcode"),
        ("MRN, PATIENT_LAST_NAME, PATIENT_FIRST_NAME, MEMBER_ID, HOME_PHONE, CELL_PHONE, PREF_LANG",
         "customer_number family_name given_name - - phone language"),
    ],
)  # fmt: skip
def test_the_headers_of_common_exporters_are_known_as_they_write_them(names: str, ours: str) -> None:
    assert guess(names) == [name.strip("-") for name in ours.split()]


def test_a_number_that_many_people_share_is_no_customer_number() -> None:
    shared = [f"A{n // 3}, Ann{n}, Green{n}, ann{n}@example.org" for n in range(12)]
    assert guess("Account ID, First name, Last name, E-Mail", *shared) == ["", "given_name", "family_name", "email"]
    assert guess("Customer ID, First name, Last name, E-Mail", *shared)[0] == ""
    assert guess("customer_number, First name, Last name, E-Mail", *shared)[0] == "customer_number"


def test_a_customer_who_stands_on_a_list_twice_keeps_the_number() -> None:
    rows = [f"C{n % 10}, Ann{n % 10}, Green, ann{n}@example.org" for n in range(20)] + ["C1, ANN, Green-Miller, ann@example.org"]
    assert guess("Customer ID, First name, Last name, E-Mail", *rows)[0] == "customer_number"


def test_an_id_beside_the_number_of_a_household_is_the_persons_own_where_no_two_are_alike() -> None:
    assert guess("Id, AccountId, E-Mail", "1, 9, a@example.org", "2, 9, b@example.org") == ["customer_number", "", "email"]
    assert guess("Id, AccountId, E-Mail", "1, 9, a@example.org", "1, 8, b@example.org") == ["", "customer_number", "email"]


def test_the_number_of_an_order_beside_an_account_is_no_customer_number() -> None:
    orders = "1, 7, Ann Green, ann@example.org", "2, 7, Ann Green, ann@example.org", "3, 8, Bob Gray, bob@example.org"
    assert guess("id, account_id, Name, E-Mail", *orders) == ["", "customer_number", "full_name", "email"]
    household = "1, 7, Ann Green, ann@example.org", "2, 7, Bob Green, bob@example.org"
    assert guess("id, account_id, Name, E-Mail", *household) == ["customer_number", "", "full_name", "email"]


def test_an_id_beside_the_number_of_an_account_leaves_that_of_the_customer_read() -> None:
    assert guess("id, Customer ID, Account ID, E-Mail", "1, C1, 7, a@example.org", "2, C2, 7, b@example.org") == [
        "",
        "customer_number",
        "",
        "email",
    ]
    assert guess("id, MRN, Delinquent, E-Mail", "1, M1, no, a@example.org")[:2] == ["", "customer_number"]


def test_the_name_of_a_clerk_leaves_that_of_the_customer_read() -> None:
    names = "Employee First Name, Employee Last Name, First Name, Last Name"
    assert guess(names, "Cy, Orr, Ann, Green") == ["", "", "given_name", "family_name"]
    assert guess("Employee Name, Name, E-Mail", "Cy Orr, Ann Green, ann@example.org") == ["", "full_name", "email"]
    assert guess("Employee Name, Customer Name", "Cy Orr, Ann Green") == ["", "full_name"]
    assert guess("Employee Name, E-Mail", "Cy Orr, cy@example.org") == ["full_name", "email"]


def test_the_code_of_a_country_goes_before_its_name_only_where_both_agree() -> None:
    names = "Country, Country Code, Province, Province Code"
    assert guess(names, "Germany, DE, , ", "Canada, CA, Ontario, ON") == ["", "stated_country", "", "region"]
    assert guess(names, "Germany, DE, Ontario, ON", "Spain, FR, Ontario, QC") == ["", "", "", ""]
    assert guess(names, "Germany, , , ", "Spain, ES, , ")[:2] == ["", ""]


def test_no_street_of_one_address_is_read_beside_the_town_of_another() -> None:
    names = "Billing Street, Billing City, Shipping Street, Shipping City, Shipping Zip"
    assert guess(names, "1 High Street, Paris, 2 Rue B, Lyon, 69003") == ["street", "city", "", "", ""]
    assert guess(names, ", , 2 Rue B, Lyon, 69003") == ["", "", "street", "city", "postcode"]


def test_an_address_that_few_people_gave_does_not_take_theirs_from_all_others() -> None:
    few, many = "1 High Street, Paris, , , ", ", , 2 Rue B, Lyon, 69003"
    names = "Mailing Street, Mailing City, Billing Street, Billing City, Billing Zip"
    assert guess(names, few, many, many, many) == ["", "", "street", "city", "postcode"]
    assert guess(names, few, few, many, many) == ["street", "city", "", "", ""]
    names = "Rue, Ville, Pays, Billing Street, Billing City, Billing Zip"
    assert guess(names, "1 High Street, Paris, FR, , , ", *[", , FR, 2 Rue B, Lyon, 69003"] * 3) == [
        "", "", "stated_country", "street", "city", "postcode"
    ]  # fmt: skip


def test_no_postcode_of_another_address_is_read_beside_a_street_of_our_own_names() -> None:
    names = "Street, City, Country, Billing Street, Billing City, Billing Zip"
    assert guess(names, "1 High Street, Paris, FR, 2 Rue B, Lyon, 69003") == ["street", "city", "stated_country", "", "", ""]
    assert guess(names, ", , FR, 2 Rue B, Lyon, 69003")[5] == "postcode"


def test_the_name_of_a_company_is_no_part_of_somebodys_name() -> None:
    names = "Account Name, First Name, Last Name"
    assert guess(names, "Example Ltd, Ann, Green", "Example Ltd, Bob, Gray") == ["", "given_name", "family_name"]
    assert guess(names, "Green Household, Ann, Green", "Gray Family, Bob, Gray") == ["", "given_name", "family_name"]
    assert guess("Name, First Name, Last Name", "Praxis Green, Ann, Green", "Praxis Gray, Bob, Gray") == [
        "",
        "given_name",
        "family_name",
    ]
    assert guess("Account Name, Last Name", "Green Household, Green") == ["", "family_name"]
    assert guess("Account Name, E-Mail", "Ann Green, ann@example.org") == ["full_name", "email"]


def test_one_word_is_a_country_in_polish_and_a_region_in_czech() -> None:
    assert guess("Miasto, Kraj", "Warszawa, Polska", "Berlin, Niemcy") == ["city", "stated_country"]
    assert guess("Miasto, Województwo, Kraj", "Warszawa, mazowieckie, PL") == ["city", "region", "stated_country"]
    assert guess("Město, Kraj, Stát", "Praha, Středočeský, Česko") == ["city", "region", "stated_country"]


def test_the_way_by_which_somebody_wrote_is_no_street_and_the_country_of_a_card_nobodys_address() -> None:
    assert guess("Name, Email, Via", "Ann Green, ann@example.org, Web", "Bob Gray, bob@example.org, Email")[2] == ""
    assert guess("Cognome, Via, CAP", "Rossi, Via Roma 1, 00100", "Verdi, Garibaldi 2, 00100")[1] == "street"
    assert guess("Name, Email, Card Country", "Ann Green, ann@example.org, US")[2] == ""


def test_two_letters_may_be_a_state_or_a_street() -> None:
    assert guess("ST, City", "WA, Seattle", "TX, Austin") == ["region", "city"]
    assert guess("ST, City", "1 High Street, Seattle") == ["", "city"] and guess("ST") == [""]


def test_what_a_reject_file_says_of_a_row_is_not_read_as_a_person() -> None:
    names = "correction_of, row, queue, column, reason, remedy, status, person, full_name, email, other_cells"
    assert guess(names) == ["correction_of", *[""] * 7, "full_name", "email", ""]


def test_no_name_means_two_things() -> None:
    assert set(MEANINGS.values()) <= set(KNOWN_COLUMNS) and not [
        ours for ours in KNOWN_COLUMNS if MEANINGS.get(key_of(ours), ours) != ours
    ]


def test_columns_that_are_not_read_are_listed() -> None:
    file, _ = read(b"Vorname,E-Mail,Notes,\nAnna,anna@example.org,x,\n")
    assert (file.columns, file.unread) == (("given_name", "email", "", ""), ("notes",))


# -- what is said --------------------------------------------------------------------------------------------------

RAW = b"A,B,C\nAnna,anna@example.org,x\n"


def test_what_is_said_of_the_columns_is_what_is_read() -> None:
    file, rows = read(RAW, mapping={"A": "full_name", "b": "email", "c": ""})
    assert file.columns == ("full_name", "email", "") and rows == [(2, ["Anna", "anna@example.org", "x"])]


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"a": "email", "b": "email", "c": "full_name"}, "the columns 1 and 2 are both to be read as 'email'. Choose one"),
        ({"a": "full_name"}, "no column for an e-mail or a street. Name one of: email, street"),
        ({"b": "street"}, "no column for a name, a customer number or an e-mail. Name one of: full_name"),
        ({"a": "full_name", "d": "email"}, "no column has the name that is to be read as 'email'"),
        ({"a": "name", "b": "email"}, "'name', which is not known. Use: person_id"),
        ({}, "no column for a name, a customer number or an e-mail"),
    ],
)
def test_columns_that_cannot_be_so_are_refused_with_the_remedy(mapping: dict[str, str], said: str) -> None:
    assert said in refusal(RAW, mapping=mapping)


def test_a_column_that_is_gone_and_was_not_read_anyway_does_not_matter() -> None:
    assert read(RAW, mapping={"a": "full_name", "b": "email", "gone": ""})[0].columns == ("full_name", "email", "")
