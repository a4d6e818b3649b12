"""The letters the product brings: for every kind of reader, each passes its check and says what the law asks."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

from incidents.letters.check import CALIFORNIA_HEADINGS, LetterFinding, check_letter
from incidents.letters.language import (
    CompiledLetter,
    LetterSyntaxError,
    LetterTree,
    compile_letter,
    parse_law_block,
    parse_letter,
)
from incidents.letters.reading import Reading, read, word_count
from incidents.letters.wording import ELEMENTS, SUPPORTED, element_labels, long_date, long_period, neutral_name

LETTERS = Path(__file__).parents[2] / "templates" / "letters"
LANGUAGES = ("en", "fr", "de", "ja", "it", "es", "ko", "tr", "pt")
TEXTS = [(form, language) for form in ("notice", "courtesy") for language in LANGUAGES] + [("us-ca", "en")]

EUROPE = ("nature_of_breach", "dpo_contact", "likely_consequences", "measures_taken", "recommendations_to_individual")
KOREA = ("data_categories", "date", "circumstances", "recommendations_to_individual", "measures_taken", "contact")
REQUIRED: dict[str, tuple[str, ...]] = {
    "eea": EUROPE,
    "gb": EUROPE,
    "ch": ("nature_of_breach", "likely_consequences", "measures_taken", "contact"),
    "kr": (*KOREA, "legal_rights_and_how_to_use_them"),
    "jp": ("nature_of_breach", "data_categories", "cause", "likely_consequences", "other_reference_matters"),
    "tr": ("date", "data_categories", "likely_consequences", "measures_taken", "contact"),
    "us_wa": (
        "plain_language",
        "contact",
        "types_of_information",
        "date_of_breach",
        "date_of_discovery",
        "credit_bureau_contacts",
        "password_change_advice",
    ),
    "us_nd": (),
    "us_ny": ("contact", "state_agency_info_contact", "types_of_information"),
    "us_ca": (
        "plain_language",
        "prescribed_headings",
        "contact",
        "types_of_information",
        "date_of_breach",
        "law_enforcement_delay_statement",
        "what_happened",
        "credit_bureau_contacts",
        "id_theft_services_offer",
        "password_change_advice",
    ),
}
#: From mild to severe.
ELEMENT_SETS: dict[str, frozenset[str]] = {
    "contact": frozenset({"name", "email", "country"}),
    "birth": frozenset({"name", "email", "country", "date_of_birth"}),
    "customer": frozenset({"name", "email", "phone", "postal_address", "purchase_history", "date_of_birth"}),
    "password": frozenset({"name", "email", "online_credentials"}),
    "card": frozenset({"name", "payment_card_with_code"}),
    "identity": frozenset({"name", "date_of_birth", "ssn", "payment_card", "medical_information"}),
}
NOT_INVOLVED = frozenset({"financial_account", "biometric"})
PEOPLE = {"en": "Monday to Friday, 9 am to 6 pm", "fr": "du lundi au vendredi, de 9 h à 18 h"}
PEOPLE |= {"de": "Montag bis Freitag, 9 bis 18 Uhr", "ja": "月曜日から金曜日、9時から18時"}
PEOPLE |= {"it": "dal lunedì al venerdì, dalle 9 alle 18", "es": "de lunes a viernes, de 9 a 18 h"}
PEOPLE |= {"ko": "월요일부터 금요일까지 9시~18시", "tr": "pazartesiden cumaya 09.00–18.00"}
PEOPLE |= {"pt": "de segunda a sexta-feira, das 9 às 18 horas"}
#: The line with the reader's name, when there is none.
NAMELESS = {
    "en": "Dear Client,",
    "fr": "À l’attention de notre cliente, notre client",
    "de": "Guten Tag liebe Kundin, lieber Kunde,",
    "ja": "お客 様",
    "it": "Gentile cliente,",
    "es": "A la atención de la persona titular de los datos",
    "ko": "고객님께",
    "tr": "Sayın Müşterimiz,",
    "pt": "À atenção de quem recebe esta carta",
}
TIMES = ("is.occurred_known", "is.occurred_range", "")
CAUSES = ("is.attack", "is.mistake")
EXTRAS = tuple(
    "is.contained is.experts_engaged is.authorities_informed has_not.any has.authority is.child is.at_provider".split()
)


@dataclass(frozen=True)
class Made:
    """A letter with what it was made of and what the check found."""

    letter: CompiledLetter
    findings: tuple[LetterFinding, ...]
    body: tuple[str, ...]
    reading: Reading

    @property
    def blocks(self) -> list[tuple[str, str]]:
        return [(finding.code, finding.reference) for finding in self.findings if finding.level == "block"]

    @property
    def words(self) -> int:
        return sum(word_count(text=words, language=self.letter.language) for words in self.body)


class Visible(HTMLParser):
    """The words of a page outside its head, and apart from them those outside law blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[str] = []
        self.own: list[str] = []
        self.skip = self.law = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.skip |= tag == "title"
        self.law |= tag == "section"

    def handle_endtag(self, tag: str) -> None:
        self.skip &= tag != "title"
        self.law &= tag != "section"

    def handle_data(self, data: str) -> None:
        if not self.skip:
            self.all += data.split()
        if not (self.skip or self.law):
            self.own += data.split()


@cache
def tree_of(form: str, language: str) -> LetterTree:
    return parse_letter(source=(LETTERS / form / f"{language}.txt").read_text("utf-8"), name=f"{form}/{language}")


@cache
def law_of(block: str, language: str) -> LetterTree:
    return parse_law_block(source=(LETTERS / "law" / block / f"{language}.txt").read_text("utf-8"), name=block)


def fields_of(language: str, elements: frozenset[str], facts: frozenset[str]) -> dict[str, str | tuple[str, ...]]:
    def day(text: str) -> str:
        return long_date(moment=date.fromisoformat(text), zone="Europe/Zurich", language=language)

    period = long_period(
        start=date.fromisoformat("2025-05-01"),
        end=date.fromisoformat("2025-05-12"),
        zone="Europe/Zurich",
        language=language,
    )
    return {
        "brand": "Cartier",
        "legal_entity": "Cartier SA",
        "legal_address": "Route des Biches 10, 1752 Villars-sur-Glâne",
        "letter_date": day("2025-06-03"),
        "occurred_on": period if "is.occurred_range" in facts else day("2025-05-12"),
        "discovered_on": day("2025-05-27"),
        "elements": element_labels(elements=elements, language=language),
        "not_involved": element_labels(elements=NOT_INVOLVED - elements, language=language),
        "website": "cartier.com",
        "website_page": "cartier.com",
        "phone": "+41 22 555 01 00",
        "phone_hours": PEOPLE[language],
        "dpo_name": "Marie Laurent",
        "dpo_email": "privacy@cartier.com",
        "authority_name": "CNIL",
        "authority_site": "cnil.fr",
        "law_name": "Privacy Act",
        "sender_email": "privacy@cartier.com",
        "offer_provider": "Example Guard",
        "offer_months": "24",
        "offer_enrolment": "+1 800 555 0100",
    }


@cache
def made(form: str, language: str, place: str, elements: frozenset[str], given: frozenset[str]) -> Made:
    kind = {"is.voluntary"} if form == "courtesy" else {"is.statutory"}
    offer = {"is.services_offered"} if "ssn" in elements else set()
    places = {f"in.{place}", *(["in.us"] if place.startswith("us") else [])}
    true = given | kind | offer | places | {f"has.{element}" for element in elements}
    facts = {"is.police_delay": False, **dict.fromkeys(sorted(true), True)}
    fields = fields_of(language, elements, given)
    letter = compile_letter(
        tree=tree_of(form, language),
        facts=facts,
        fields=fields,
        law_block=lambda block: law_of(block, language),
        language=language,
    )
    required = () if form == "courtesy" else REQUIRED[place]
    found = check_letter(letter=letter, required=required, barred=(), facts=facts, fields=fields, elements=elements)
    return Made(letter, found, *_measured(letter))


def _measured(letter: CompiledLetter) -> tuple[tuple[str, ...], Reading]:
    own = re.sub(r"(?s)<section.*?</section>|<header.*?</header>|<head>.*?</head>", "", letter.html)
    body = tuple(re.sub(r"<[^>]+>", "", block) for block in re.findall(r"(?s)<(?:p|h1|h2|li)\b.*?</(?:p|h1|h2|li)>", own))
    prose = [words for words in body if not words.startswith(("your ", "Your "))]
    return body, read(prose=prose, language=letter.language)


def every_reader(form: str, language: str) -> Iterator[Made]:
    """Each place, element set, cause and kind of date, with the other facts all true and all false."""
    places = ["us_ca"] if form == "us-ca" else [place for place in REQUIRED if place != "us_ca"]
    kinds = itertools.product(places, ELEMENT_SETS.values(), CAUSES, TIMES, (EXTRAS, ()))
    for place, elements, cause, time, extras in kinds:
        yield made(form, language, place, elements, frozenset({cause, *extras, *([time] if time else [])}))


@pytest.fixture(scope="module", autouse=True)
def forgotten_afterwards() -> Iterator[None]:
    """Twelve thousand letters, each with its page and findings, are not kept for the rest of the run."""
    yield
    made.cache_clear()


ALL_TRUE = frozenset({"is.attack", *EXTRAS} - {"is.child", "is.at_provider"})


def typical(form: str, language: str, elements: str) -> Made:
    return made(form, language, "us_ca" if form == "us-ca" else "eea", ELEMENT_SETS[elements], ALL_TRUE)


@pytest.mark.parametrize(("form", "language"), TEXTS)
def test_no_reader_gets_a_letter_that_the_check_would_stop(form: str, language: str) -> None:
    stopped = [(letter.blocks, letter.letter.text) for letter in every_reader(form, language) if letter.blocks]
    assert not stopped, stopped[0]


@pytest.mark.parametrize(("form", "language"), TEXTS)
def test_the_text_and_the_html_say_the_same_words(form: str, language: str) -> None:
    for letter in every_reader(form, language):
        page = Visible()
        page.feed(letter.letter.html)
        text = re.sub(r"(?m)^(?:- |\d\. (?!Juni))", "", letter.letter.text)
        assert "".join(page.all) == "".join(text.split())


@pytest.mark.parametrize(("form", "language"), TEXTS)
def test_each_reader_sees_exactly_her_own_data(form: str, language: str) -> None:
    for letter, elements in ((typical(form, language, key), value) for key, value in ELEMENT_SETS.items()):
        bullets = re.findall(r"(?m)^- (.+)$", letter.letter.text.split("\n1. ")[0] if form != "us-ca" else letter.letter.text)
        expected = element_labels(elements=elements, language=language)
        assert tuple(bullets[: len(expected)]) == expected
        assert set(bullets[len(expected) :]) - set(_law_bullets()) == set(
            element_labels(elements=NOT_INVOLVED - elements, language=language)
        )


def _law_bullets() -> list[str]:
    files = (LETTERS / "law").rglob("*.txt")
    return [line[2:] for file in files for line in file.read_text("utf-8").split("\n") if line.startswith("- ")]


@pytest.mark.parametrize(("form", "language"), TEXTS)
def test_an_unknown_day_is_called_unknown_and_a_known_one_is_given(form: str, language: str) -> None:
    elements = ELEMENT_SETS["contact"]
    place = "us_ca" if form == "us-ca" else "eea"
    day = fields_of(language, elements, frozenset())["occurred_on"]
    assert str(day) in made(form, language, place, elements, frozenset({"is.attack", "is.occurred_known"})).letter.text
    assert str(day) not in made(form, language, place, elements, frozenset({"is.attack"})).letter.text


@pytest.mark.parametrize(("form", "language"), TEXTS)
def test_the_readers_data_comes_within_sixty_words_and_the_actions_within_150(form: str, language: str) -> None:
    late = [finding.code for finding in typical(form, language, "birth").findings if "late" in finding.code]
    assert not late


@pytest.mark.parametrize("form", ["notice", "courtesy", "us-ca"])
def test_english_reads_at_grade_eight_or_easier_for_every_reader(form: str) -> None:
    readings = [letter.reading for letter in every_reader(form, "en")]
    grades = [reading.grade for reading in readings if reading.grade is not None]
    assert len(grades) == len(readings) and statistics.median(grades) <= 8.0 and max(grades) <= 9.5
    assert max(reading.mean_sentence for reading in readings) <= 16
    assert max(reading.longest_length for reading in readings) <= 28


@pytest.mark.parametrize("form", ["notice", "courtesy", "us-ca"])
def test_a_severe_breach_is_no_harder_to_read_than_a_mild_one(form: str) -> None:
    mild, *others = [typical(form, "en", key).reading.grade or 0.0 for key in ELEMENT_SETS]
    assert max(others) - mild <= 0.5


@pytest.mark.parametrize("form", ["notice", "courtesy", "us-ca"])
@pytest.mark.parametrize("elements", ["contact", "birth"])
def test_an_english_body_has_250_to_400_words_before_law_blocks(form: str, elements: str) -> None:
    assert 250 <= typical(form, "en", elements).words <= 400


@pytest.mark.parametrize(("form", "language"), [text for text in TEXTS if text[1] in {"it", "es", "ko", "tr", "pt"}])
def test_a_typical_letter_has_the_length_and_the_short_sentences_of_its_language(form: str, language: str) -> None:
    for elements in ("contact", "birth"):
        assert not [f.code for f in typical(form, language, elements).findings if f.code == "form.length"]
    assert not [f for letter in every_reader(form, language) for f in letter.findings if f.code == "reading.longest"]


@pytest.mark.parametrize(("form", "language"), [text for text in TEXTS if text[1] != "en"])
def test_no_prose_takes_the_name_of_data_that_the_reader_does_not_have(form: str, language: str) -> None:
    for element in ELEMENTS:
        for given in (frozenset({"is.attack", *EXTRAS}), frozenset({"is.mistake"})):
            assert not made(form, language, "eea", frozenset({element}), given).blocks


@pytest.mark.parametrize(("form", "language"), TEXTS)
def test_every_language_states_and_asks_the_same_as_the_english_letter(form: str, language: str) -> None:
    def skeleton(of: str) -> list[str]:
        return re.findall(r"\[\[(?!person_name|reader_name)[^\]]+\]\]", (LETTERS / form / f"{of}.txt").read_text("utf-8"))

    assert sorted(skeleton(language)) == sorted(skeleton("en"))
    assert [each for each in skeleton(language) if each[2] in "#/s"] == [each for each in skeleton("en") if each[2] in "#/s"]


@pytest.mark.parametrize(("form", "language"), TEXTS)
def test_a_courtesy_letter_carries_no_law_block_and_does_not_call_itself_a_notice(form: str, language: str) -> None:
    has_law = any("<section" in letter.letter.html for letter in every_reader(form, language))
    assert has_law == (form != "courtesy")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_letter_under_an_unchecked_law_says_so(language: str) -> None:
    plain = made("courtesy", language, "eea", ELEMENT_SETS["contact"], frozenset({"is.attack"}))
    checking = made("courtesy", language, "eea", ELEMENT_SETS["contact"], frozenset({"is.attack", "is.law_unknown"}))
    assert len(checking.letter.text) > len(plain.letter.text) and not checking.blocks


def test_the_californian_letter_has_the_statutes_title_and_headings_in_order() -> None:
    page = typical("us-ca", "en", "identity").letter.html
    own = re.sub(r"(?s)<section.*?</section>", "", page)
    assert re.findall(r"<h1[^>]*>(.*?)</h1>", page) == ["Notice of Data Breach"]
    assert tuple(re.findall(r"<h2[^>]*>(.*?)</h2>", own)) == CALIFORNIA_HEADINGS


def test_california_needs_an_offer_when_government_numbers_leaked() -> None:
    letter = typical("us-ca", "en", "identity")
    assert "24 months" in letter.letter.text and "id_theft_services_offer" in letter.letter.said
    assert "id_theft_services_offer" not in typical("us-ca", "en", "contact").letter.said


@pytest.mark.parametrize(
    ("place", "elements", "words"),
    [
        ("us_wa", "birth", ["Equifax: 1-888-298-0045", "Experian: 1-888-397-3742", "TransUnion: 1-800-916-8800"]),
        ("us_nd", "birth", ["P.O. Box 105788", "P.O. Box 9554", "P.O. Box 160"]),
        ("us_ny", "password", ["New York Attorney General"]),
        ("us_ny", "identity", ["Federal Trade Commission", "Equifax"]),
        ("kr", "contact", ["Personal Information Dispute Mediation Committee"]),
    ],
)
def test_the_law_blocks_of_a_place_reach_its_people(place: str, elements: str, words: list[str]) -> None:
    text = made("notice", "en", place, ELEMENT_SETS[elements], ALL_TRUE).letter.text
    assert all(word in text for word in words)


@pytest.mark.parametrize("place", ["eea", "gb", "ch", "jp", "tr"])
def test_nobody_outside_america_reads_about_credit_bureaus(place: str) -> None:
    assert "Equifax" not in made("notice", "en", place, ELEMENT_SETS["identity"], ALL_TRUE).letter.text


def test_a_mistake_is_not_called_an_attack_and_an_unknown_cause_neither() -> None:
    mistake = made("notice", "en", "jp", ELEMENT_SETS["contact"], frozenset({"is.mistake"}))
    assert "mistake on our side" in mistake.letter.text and "got into" not in mistake.letter.text
    unknown = made("notice", "en", "jp", ELEMENT_SETS["contact"], frozenset())
    assert "attack" not in unknown.letter.text and ("content.missing", "cause") in unknown.blocks


def test_the_texts_are_those_of_the_supported_languages() -> None:
    assert set(LANGUAGES) == SUPPORTED
    assert {(form, file.stem) for form in ("notice", "courtesy") for file in (LETTERS / form).glob("*.txt")} <= set(TEXTS)


@pytest.mark.parametrize("language", sorted(SUPPORTED))
def test_every_law_block_that_a_letter_names_exists_in_its_language(language: str) -> None:
    letters = list(LETTERS.glob(f"*/{language}.txt"))
    named = {name for file in letters for name in re.findall(r"\[\[law:([^\]]+)\]\]", file.read_text("utf-8"))}
    assert {"kr/remedies", "us/identity-theft", "us-ny/state-agencies", "us-wa/credit-bureaus"} <= named
    for name in named:
        law_of(name, language)


@pytest.mark.parametrize(("form", "language"), TEXTS)
def test_a_salutation_reads_well_without_a_name(form: str, language: str) -> None:
    text = typical(form, language, "contact").letter.text.replace("[[reader_name]]", neutral_name(language=language))
    assert NAMELESS[language] in text.split("\n")


def test_a_missing_field_stops_the_letter_with_its_place() -> None:
    with pytest.raises(LetterSyntaxError, match=r"notice/en, line \d+, column \d+: \[\[phone"):
        fields = fields_of("en", ELEMENT_SETS["contact"], frozenset())
        del fields["phone"]
        compile_letter(tree=tree_of("notice", "en"), facts={"is.attack": True}, fields=fields, language="en")
