"""The check of the finished letter: each rule fires on a letter that breaks it, and on no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from incidents.letters.check import CALIFORNIA_HEADINGS, LetterFinding, check_letter
from incidents.letters.gaps import LettersIncomplete
from incidents.letters.language import CompiledLetter, compile_letter, parse_letter
from incidents.letters.reading import reading_grade, sentences_of, syllables_of

FIELDS: dict[str, str | tuple[str, ...]] = {
    "brand": "Cartier",
    "legal_entity": "Cartier SA",
    "letter_date": "June 3, 2025",
    "discovered_on": "May 27, 2025",
    "occurred_on": "May 12, 2025",
    "website": "cartier.com",
    "website_page": "cartier.com, section Security",
    "phone": "+41 22 555 01 00",
    "dpo_name": "Marie Laurent",
    "dpo_email": "privacy@cartier.com",
    "sender_email": "privacy@cartier.com",
    "elements": ("your name", "your email address"),
    "not_involved": ("your payment card number",),
}
FACTS = {"has_not.any": True, "is.occurred_known": True, "is.statutory": True, "is.police_delay": False}
ELEMENTS = frozenset({"name", "email"})
GOOD = """Subject: [[brand]]: data incident that concerns your data

# A data incident

[[letter_date]]

Dear [[reader_name]],

[[says types_of_information]] Someone got into a system that holds our data. They saw:

- [[elements]]

These were not involved:

- [[not_involved]]

1. Be wary of messages in our name from today. They can look real.
2. Never give anyone a password. We will never ask for it.
3. Choose a new password this week. Then one theft opens one door.

[[says what_happened date_of_breach date_of_discovery]]
It happened on [[occurred_on]]. We found it on [[discovered_on]].

[[says contact dpo_contact]]
Type [[website]] by hand and use the code [[reference_code]]. Or ask [[dpo_name]] ([[dpo_email]]).
"""


def make(source: str = GOOD, *, language: str = "en", **fields: str | tuple[str, ...]) -> CompiledLetter:
    tree = parse_letter(source=source, name="t")
    return compile_letter(tree=tree, facts=FACTS, fields={**FIELDS, **fields}, language=language)


def findings(
    letter: CompiledLetter | None = None,
    *,
    required: tuple[str, ...] = (),
    barred: tuple[str, ...] = (),
    facts: dict[str, bool] | None = None,
    elements: frozenset[str] = ELEMENTS,
    **fields: str | tuple[str, ...],
) -> tuple[LetterFinding, ...]:
    return check_letter(
        letter=letter or make(),
        required=required,
        barred=barred,
        facts=FACTS if facts is None else facts,
        fields={**FIELDS, **fields},
        elements=elements,
    )


def codes(found: tuple[LetterFinding, ...]) -> set[str]:
    return {finding.code for finding in found if finding.code != "form.length"}


def with_sentence(sentence: str) -> CompiledLetter:
    return make(GOOD + f"\n{sentence}\n")


def test_a_good_letter_has_no_findings_but_that_it_is_short() -> None:
    assert codes(findings()) == set()
    assert [finding.code for finding in findings()] == ["form.length"]


def test_a_missing_statement_blocks_and_names_the_item() -> None:
    found = findings(required=("contact", "likely_consequences"))
    assert [(f.code, f.level, f.reference) for f in found[:1]] == [("content.missing", "block", "likely_consequences")]


@pytest.mark.parametrize("given", ["required", "barred"])
def test_a_bar_blocks_whether_it_comes_with_the_required_or_the_barred(given: str) -> None:
    bar = ("must_not_describe_nature",)
    found = findings(required=bar) if given == "required" else findings(barred=bar)
    assert "content.barred" in codes(found)


def test_nobody_may_forget_to_say_whether_the_police_asked_for_a_delay() -> None:
    letter = with_sentence("[[says law_enforcement_delay_statement]] The police did not ask us to delay this letter.")
    required = ("law_enforcement_delay_statement",)
    assert codes(findings(letter, required=required)) == set()
    facts = {name: value for name, value in FACTS.items() if name != "is.police_delay"}
    assert codes(findings(letter, required=required, facts=facts)) == {"content.police_delay"}


def test_the_californian_title_and_headings_are_exact_and_in_order() -> None:
    def california(headings: tuple[str, ...], title: str = "Notice of Data Breach") -> CompiledLetter:
        source = GOOD.replace("# A data incident", f"# {title}\n\n" + "\n\n".join(f"## {h}" for h in headings))
        return make(source)

    required = ("prescribed_headings",)
    assert codes(findings(california(CALIFORNIA_HEADINGS), required=required)) == set()
    assert "content.headings" in codes(findings(california(CALIFORNIA_HEADINGS[::-1]), required=required))
    assert "content.headings" in codes(findings(california(CALIFORNIA_HEADINGS[:4]), required=required))
    assert "content.headings" in codes(findings(california(CALIFORNIA_HEADINGS, "Notice of data breach"), required=required))


def test_each_of_the_readers_elements_has_to_be_named() -> None:
    found = findings(elements=ELEMENTS | {"date_of_birth"})
    assert ("elements.missing", "your date of birth") in {(f.code, f.reference) for f in found}


def test_an_element_of_other_people_blocks_in_a_list_and_in_prose() -> None:
    listed = make(elements=("your name", "your email address", "your passport number"))
    assert ("elements.foreign", "your passport number") in {(f.code, f.reference) for f in findings(listed)}
    prose = with_sentence("They saw your date of birth as well.")
    assert ("elements.foreign", "your date of birth") in {(f.code, f.reference) for f in findings(prose)}


def test_a_shorter_label_within_a_longer_one_is_not_another_element() -> None:
    long = "your bank account number with its access code"
    letter = make(elements=("your name", "your email address", long))
    found = findings(letter, elements=ELEMENTS | {"financial_account_with_access_code"})
    assert codes(found) == set()


def test_the_not_involved_list_is_no_list_of_the_readers_data() -> None:
    assert "elements.missing" in codes(findings(elements=ELEMENTS | {"payment_card"}))
    assert "elements.contradiction" in codes(findings(elements=ELEMENTS | {"payment_card"}))


def test_a_not_involved_list_needs_a_confirmation() -> None:
    assert "elements.unconfirmed" in codes(findings(facts={**FACTS, "has_not.any": False}))


@pytest.mark.parametrize("rest", ["[[phone]]", "{{ name }}", "{% x %}"])
def test_an_unresolved_placeholder_blocks(rest: str) -> None:
    letter = make()
    assert "slots.unresolved" in codes(findings(replace(letter, text=letter.text + rest)))


def test_a_letter_that_nobody_can_verify_blocks() -> None:
    assert "slots.reference_code" in codes(findings(make(GOOD.replace("[[reference_code]]", "1"))))


@pytest.mark.parametrize(
    "markup",
    [
        '<a href="https://cartier.com">x</a>',
        '<img src="cid:1" width="1">',
        "<form></form>",
        "<script>x</script>",
        "<style>p{}</style>",
        "<iframe></iframe>",
        '<p onclick="x()">x</p>',
        '<p style="background:url(//t.example/x)">x</p>',
        '<meta http-equiv="refresh" content="0">',
        "<table></table>",
    ],
)
def test_html_that_links_loads_or_runs_blocks(markup: str) -> None:
    letter = make()
    changed = replace(letter, html=letter.html.replace("</main>", markup + "</main>"))
    assert "html.refused" in codes(findings(changed))


@pytest.mark.parametrize("address", ["https://cartier.com", "ftp://x.y", "www.cartier.com", "mailto:privacy@cartier.com"])
def test_a_link_that_comes_in_through_a_field_blocks(address: str) -> None:
    assert "links.link" in codes(findings(make(website=address), website=address))


def test_an_address_that_is_not_in_the_incident_record_blocks() -> None:
    found = findings(with_sentence("Write to help@cartier-support.com or see cartier-support.com today."))
    assert {f.reference for f in found if f.code == "links.unknown"} == {
        "help@cartier-support.com",
        "cartier-support.com",
    }


def test_a_page_away_from_the_brands_own_domain_blocks_and_a_sender_warns() -> None:
    page = findings(website_page="cartier-incident.com, section Security")
    assert ("links.other_domain", "block") in {(f.code, f.level) for f in page}
    sender = findings(sender_email="privacy@richemont.com")
    assert ("links.other_domain", "warn") in {(f.code, f.level) for f in sender}
    assert "links.other_domain" not in codes(findings(sender_email="privacy@mail.cartier.com"))


@pytest.mark.parametrize(
    ("sentence", "code"),
    [
        ("Your data may have been affected.", "hedge"),
        ("Data that might be accessed can include more.", "hedge"),
        ("This may include your details.", "hedge"),
        ("Potentially affected data is listed.", "hedge"),
        ("We have no evidence of misuse.", "no_evidence"),
        ("We are not aware of any misuse.", "no_evidence"),
        ("We take the security of your data very seriously.", "empty_phrase"),
        ("We write out of an abundance of caution.", "empty_phrase"),
        ("We regret any inconvenience.", "empty_phrase"),
        ("Act now to protect yourself.", "urgency"),
        ("Please change it immediately.", "urgency"),
        ("This is urgent.", "urgency"),
        ("Here is a voucher for you.", "marketing"),
        ("Enjoy 20% off.", "marketing"),
        ("No action is required.", "no_action"),
        ("You do not need to take any action.", "no_action"),
    ],
)
def test_wording_that_misleads_blocks(sentence: str, code: str) -> None:
    assert f"wording.{code}" in codes(findings(with_sentence(sentence)))


@pytest.mark.parametrize(
    ("language", "sentence", "code"),
    [
        ("fr", "Vos données peuvent avoir été consultées.", "hedge"),
        ("fr", "Nous n’avons aucune preuve d’un usage abusif.", "no_evidence"),
        ("fr", "Nous prenons la protection de vos données très au sérieux.", "empty_phrase"),
        ("fr", "Agissez sans tarder.", "urgency"),
        ("fr", "Aucune démarche n’est requise.", "no_action"),
        ("fr", "Nous y sommes tenus par la loi.", "statutory"),
        ("fr", "Voir l’article 34 du RGPD.", "statutory"),
        ("de", "Ihre Daten sind möglicherweise betroffen.", "hedge"),
        ("de", "Es gibt keine Hinweise auf Missbrauch.", "no_evidence"),
        ("de", "Wir nehmen den Schutz Ihrer Daten sehr ernst.", "empty_phrase"),
        ("de", "Handeln Sie sofort.", "urgency"),
        ("de", "Es besteht kein Handlungsbedarf.", "no_action"),
        ("de", "Dazu sind wir gesetzlich verpflichtet.", "statutory"),
        ("ja", "お客様の情報が流出した可能性がございます。", "hedge"),
        ("ja", "悪用された事実はありません。", "no_evidence"),
        ("ja", "本件を重く受け止めております。", "empty_phrase"),
        ("ja", "至急ご確認ください。", "urgency"),
        ("ja", "お客様の対応は必要ありません。", "no_action"),
        ("ja", "本状は法令に基づくものです。", "statutory"),
    ],
)
def test_wording_that_misleads_blocks_in_every_language(language: str, sentence: str, code: str) -> None:
    letter = make(GOOD + f"\n{sentence}\n", language=language)
    assert f"wording.{code}" in codes(findings(letter, facts={**FACTS, "is.statutory": False}))


@pytest.mark.parametrize(
    "sentence",
    [
        "We are required by law to tell you.",
        "This is a legal notice.",
        "See Article 34.",
        "This letter is our notice to you under: GDPR.",
    ],
)
def test_a_courtesy_letter_must_not_read_as_a_statutory_one(sentence: str) -> None:
    assert "wording.statutory" not in codes(findings(with_sentence(sentence)))
    assert "wording.statutory" in codes(findings(with_sentence(sentence), facts={**FACTS, "is.statutory": False}))


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ("A data incident", "subject.brand"),
        ("Urgent: Cartier data incident", "wording.urgency"),
        ("Cartier: important security alert", "subject.urgency"),
        ("Cartier: data incident " + "x" * 60, "subject.length"),
        ("Cartier: data incident!", "wording.urgency"),
    ],
)
def test_a_subject_names_the_brand_stays_short_and_is_calm(subject: str, code: str) -> None:
    assert code in codes(findings(replace(make(), subject=subject)))


@pytest.mark.parametrize(
    ("old", "new"),
    [("They can look real.", "They can look good."), ("- your name\n", ""), ("1. Be wary", "- Be wary")],
)
def test_a_text_that_differs_from_the_html_blocks(old: str, new: str) -> None:
    letter = make()
    assert old in letter.text
    assert "parity" in codes(findings(replace(letter, text=letter.text.replace(old, new))))


def test_the_reader_gets_three_to_five_things_to_do() -> None:
    third = "3. Choose a new password this week. Then one theft opens one door.\n"
    assert "form.actions" in codes(findings(make(GOOD.replace(third, ""))))
    more = "".join(f"{n}. Wait a day. It helps.\n" for n in (4, 5, 6))
    assert "form.actions" in codes(findings(make(GOOD.replace(third, third + more))))


def test_actions_that_come_late_are_a_warning() -> None:
    late = make(GOOD.replace("1. Be wary", "One word more. " * 60 + "\n\n1. Be wary"))
    assert ("form.actions_late", "warn") in {(f.code, f.level) for f in findings(late)}


@pytest.mark.parametrize("name", ["letter_date", "discovered_on", "occurred_on"])
def test_the_dates_of_the_record_stand_in_the_letter(name: str) -> None:
    found = check_letter(
        letter=make(),
        required=(),
        barred=(),
        facts=FACTS,
        fields={**FIELDS, name: "January 1, 2020"},
        elements=ELEMENTS,
    )
    assert ("dates.missing", name) in {(f.code, f.reference) for f in found}


def test_an_unknown_day_has_to_be_called_unknown() -> None:
    facts = {**FACTS, "is.occurred_known": False}
    silent = make(GOOD.replace("date_of_breach ", "").replace("It happened on [[occurred_on]]. ", ""))
    assert "dates.unknown" in codes(findings(silent, facts=facts))
    assert "dates.unknown" not in codes(findings(facts=facts))


def test_a_day_that_is_recorded_and_called_unknown_warns_and_names_the_box() -> None:
    unticked = {**FACTS, "is.occurred_known": False}
    (found,) = [f for f in findings(facts=unticked) if f.code.startswith("dates.")]
    assert (found.code, found.level) == ("dates.not_ticked", "warn")
    assert "'The day on which it happened is known' is not ticked" in found.message and "'Occurred'" in found.message
    assert not any(f.code.startswith("dates.") for f in findings(facts=unticked, occurred_on=""))


def test_a_ticked_box_without_its_day_blocks_and_names_both() -> None:
    (found,) = [f for f in findings(occurred_on="") if f.code == "dates.missing"]
    assert found.level == "block" and "is ticked under Facts, and 'Occurred' beside it is empty" in found.message
    assert "untick 'The day on which it happened is known'" in str(LettersIncomplete({"occurred_on": frozenset({"notice/en"})}))


def test_prose_of_grade_ten_blocks_and_long_sentences_warn() -> None:
    sentence = (
        "Notwithstanding the implementation of comprehensive organizational countermeasures, unauthorized individuals"
        " successfully exfiltrated informational assets belonging to numerous international clientele communities."
    )
    hard = make(GOOD + "\n" + " ".join([sentence] * 6) + "\n")
    assert ("reading.grade", "block") in {(f.code, f.level) for f in findings(hard)}
    long = make(GOOD + "\n" + " ".join(["We tell you this now,"] * 6) + " and no more.\n")
    assert ("reading.longest", "warn") in {(f.code, f.level) for f in findings(long)}


def test_blocks_come_before_warnings() -> None:
    levels = [f.level for f in findings(with_sentence("This is urgent."), required=("cause",))]
    assert levels == sorted(levels) and levels[0] == "block" and levels[-1] == "warn"


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("data", 2),
        ("information", 4),
        ("people", 2),
        ("changed", 1),
        ("wanted", 2),
        ("table", 2),
        ("client", 2),
        ("used", 1),
    ],
)
def test_syllables_are_counted_as_they_are_spoken(word: str, count: int) -> None:
    assert syllables_of(word=word) == count


def test_the_grade_is_that_of_flesch_and_kincaid() -> None:
    # 6 words, 1 sentence, 6 syllables; 0.39 * 6 + 11.8 * 1 - 15.59
    assert reading_grade(sentences=["The cat sat on the mat."]) == pytest.approx(-1.45)


def test_addresses_and_salutations_are_not_prose() -> None:
    assert sentences_of(text="Dear [[person_name]],") == ()
    assert sentences_of(text="Cartier SA, Route des Biches 10") == ()
    assert sentences_of(text="Write to a@b.com. Call us.") == ("Write to X.", "Call us.")
    assert len(sentences_of(text="これは文です。次の文です。")) == 2


def test_a_text_that_greets_the_person_and_not_its_reader_is_warned_about() -> None:
    found = findings(make(GOOD.replace("[[reader_name]]", "[[person_name]]")))
    (one,) = [finding for finding in found if finding.code == "slots.reader_name"]
    assert one.level == "warn" and "Begin the letter with [[reader_name]]" in one.message
