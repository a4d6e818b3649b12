"""The letter language: what it reads, what it refuses and where, and that a value is never more than text."""

from __future__ import annotations

import json
import time

import pytest

from incidents.letters.language import (
    FACTS,
    FIELDS,
    CompiledLetter,
    LetterSyntaxError,
    LetterTree,
    compile_letter,
    fill,
    parse_law_block,
    parse_letter,
)

FIELD_VALUES: dict[str, str | tuple[str, ...]] = {
    "brand": "Cartier",
    "legal_entity": "Cartier SA",
    "elements": ("your name", "your email address"),
    "discovered_on": "27 May 2025",
}
CLAIRE = {"person_name": "Claire Martin", "reference_code": "7Q2K-M4XD"}


def letter(body: str, *, subject: str = "[[brand]]: data incident") -> LetterTree:
    return parse_letter(source=f"Subject: {subject}\n\n{body}\n", name="notice/en")


def compiled(
    body: str, *, language: str = "en", facts: dict[str, bool] | None = None, **fields: str | tuple[str, ...]
) -> CompiledLetter:
    values = {**FIELD_VALUES, **fields}
    return compile_letter(tree=letter(body), facts=facts or {}, fields=values, language=language)


def error_of(source: str) -> LetterSyntaxError:
    with pytest.raises(LetterSyntaxError) as caught:
        parse_letter(source=source, name="draft")
    return caught.value


HOSTILE = {
    "an unknown field": ("Dear [[password]],", 3, 6),
    "an attribute of a field": ("[[brand.name]]", 3, 1),
    "a private attribute": ("[[brand.__class__]]", 3, 9),
    "a filter": ("Hello [[brand|safe]]", 3, 7),
    "arithmetic": ("[[7*7]]", 3, 1),
    "an index": ("[[elements[0]]]", 3, 1),
    "an unknown fact": ("[[#if is.rich]]\nx\n[[/if]]", 3, 1),
    "a fact of an unknown element": ("a [[#if has.soul]]x[[/if]]", 3, 3),
    "two facts at once": ("[[#if in.us and in.gb]]\nx\n[[/if]]", 3, 1),
    "a negated fact": ("[[#if not in.us]]\nx\n[[/if]]", 3, 1),
    "a loop": ("[[#each elements]]\nx\n[[/each]]", 3, 1),
    "an include": ("[[include secrets]]", 3, 1),
    "an unclosed if": ("text\n\n[[#if in.us]]\nx", 5, 1),
    "an unclosed if within a line": ("a [[#if in.us]] b\n\nc", 3, 3),
    "an if that closes in another block": ("a [[#if in.us]] b\n\nc [[/if]]", 3, 3),
    "a stray end": ("a\n[[/if]]", 4, 1),
    "a second else": ("[[#if in.us]]\na\n[[#else]]\nb\n[[#else]]\nc\n[[/if]]", 7, 1),
    "half a bracket": ("a [[brand b", 3, 3),
    "the other half": ("a brand]] b", 3, 8),
    "brackets within brackets": ("[[[[brand]]]]", 3, 1),
    "a law block outside its folder": ("[[law:../../settings]]", 3, 1),
    "a law block by absolute path": ("[[law:/etc/passwd]]", 3, 1),
    "a law block within a line": ("see [[law:us-wa/credit-bureaus]]", 3, 5),
    "an unknown content item": ("[[says nothing_at_all]]\ntext", 3, 1),
    "statements without a block": ("[[says what_happened]]\n[[#if in.us]]\nx\n[[/if]]", 3, 1),
    "statements at the end": ("text\n\n[[says what_happened]]", 5, 1),
    "a list within a line": ("Your data: [[elements]]", 3, 12),
    "a list with words around it": ("- also [[elements]]", 3, 8),
    "a tag": ("a <b>bold</b>", 3, 3),
    "a comment": ("a <!-- x -->", 3, 3),
    "an entity": ("a &nbsp; b", 3, 3),
    "a link": ("see https://cartier.com", 3, 5),
    "a link without a scheme": ("see www.cartier.com", 3, 5),
    "a mail link": ("mailto:a@cartier.com", 3, 1),
    "a script": ("javascript:alert(1)", 3, 1),
    "a Markdown link": ("see [our site](cartier.com)", 3, 5),
    "a Markdown image": ("![x](y.png)", 3, 2),
    "emphasis": ("this is **important**", 3, 9),
    "code": ("`rm -rf`", 3, 1),
    "a Django tag": ("{% include 'x' %}", 3, 1),
    "a Django variable": ("{{ settings.SECRET_KEY }}", 3, 1),
    "a shell variable": ("${HOME}", 3, 1),
    "a deeper heading": ("### Small", 3, 1),
    "another kind of bullet": ("* item", 3, 1),
    "a quotation": ("> quoted", 3, 1),
    "a table": ("| a | b |", 3, 1),
    "a rule": ("---", 3, 1),
    "a nested list": ("- a\n  - b", 4, 3),
    "a list that interrupts a paragraph": ("am\n3. Juni", 4, 1),
    "a list item within an if on one line": ("[[#if in.us]]- item[[/if]]", 3, 14),
    "a control character": ("a\x00b", 3, 2),
    "a character that turns the text": ("abc\u202egnp.exe", 3, 4),
    "a space of no width": ("a\u200bb", 3, 2),
}


@pytest.mark.parametrize("case", HOSTILE, ids=list(HOSTILE))
def test_what_is_not_in_the_language_is_refused_with_line_and_column(case: str) -> None:
    body, line, column = HOSTILE[case]
    error = error_of(f"Subject: [[brand]]\n\n{body}\n")
    assert (error.name, error.line, error.column) == ("draft", line, column), error.message
    assert error.message


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("", 1),
        ("Dear reader", 1),
        ("Subject: ", 10),
        ("Subject: for [[person_name]]", 14),
        ("Subject: [[reference_code]]", 10),
        ("Subject: [[elements]]", 10),
        ("Subject: [[nobody]]", 10),
    ],
)
def test_a_letter_begins_with_a_subject_that_all_readers_can_share(source: str, column: int) -> None:
    error = error_of(source)
    assert (error.line, error.column) == (1, column)


def test_a_source_over_100_kilobytes_is_refused() -> None:
    assert "100000" in error_of("Subject: x\n\n" + "a" * 100_000).message


def test_twenty_nested_ifs_are_read_and_twenty_one_are_not() -> None:
    def nested(depth: int) -> str:
        return "Subject: x\n\n" + "[[#if in.us]]\n" * depth + "x\n" + "[[/if]]\n" * depth

    parse_letter(source=nested(20), name="deep")
    error = error_of(nested(21))
    assert (error.line, error.column) == (23, 1)


def test_inline_ifs_count_towards_the_same_nesting() -> None:
    body = "[[#if in.us]]\n" * 20 + "x [[#if in.us]]y[[/if]]\n" + "[[/if]]\n" * 20
    assert "nested" in error_of("Subject: x\n\n" + body).message


def test_an_output_over_200_kilobytes_is_refused() -> None:
    tree = letter("[[#if in.us]]\n" + "[[legal_entity]] " * 4_000 + "\n[[/if]]")
    with pytest.raises(LetterSyntaxError, match="200000"):
        compile_letter(tree=tree, facts={"in.us": True}, fields={**FIELD_VALUES, "legal_entity": "x" * 900}, language="en")


def test_facts_choose_paragraphs_items_and_words() -> None:
    body = (
        "[[#if in.us]]\nIn the [[#if in.us_wa]]West[[#else]]East[[/if]].\n[[#else]]\nElsewhere.\n[[/if]]\n\n"
        "1. a\n[[#if in.us]]\n2. b\n[[/if]]\n3. c"
    )
    assert "In the West.\n\n1. a\n2. b\n3. c" in compiled(body, facts={"in.us": True, "in.us_wa": True}).text
    assert "In the East." in compiled(body, facts={"in.us": True}).text
    assert "Elsewhere.\n\n1. a\n2. c" in compiled(body).text


def test_a_group_of_elements_follows_from_the_readers_own() -> None:
    body = "[[#if any.payment]]Money.[[#else]]No money.[[/if]]"
    assert "Money." in compiled(body, facts={"has.payment_card": True}).text
    assert "No money." in compiled(body, facts={"has.email": True}).text


def test_a_list_becomes_one_bullet_per_item_and_an_empty_one_states_nothing() -> None:
    body = "Yours:\n\n[[says types_of_information]]\n- [[elements]]"
    full, empty = compiled(body), compiled(body, elements=())
    assert "- your name\n- your email address" in full.text
    assert full.html.count("<li") == 2
    assert "types_of_information" in full.said and not empty.said


def test_only_paragraphs_that_remain_state_something() -> None:
    body = "[[says what_happened]]\n[[#if is.attack]]An attack.[[/if]]\n\n[[#if in.us]]\n[[says contact]]\nCall.\n[[/if]]"
    assert compiled(body).said == frozenset()
    assert compiled(body, facts={"is.attack": True}).said == {"what_happened", "nature_of_breach"}
    assert "contact" in compiled(body, facts={"in.us": True}).said


def test_statements_can_stand_before_a_paragraph_heading_or_item() -> None:
    body = "[[says contact]]\n# Title\n\n[[says date_of_breach cause]] A day.\n\n[[says what_you_can_do]]\n1. Wait."
    assert compiled(body).said >= {"contact", "date_of_breach", "cause", "what_you_can_do"}


def test_a_law_block_is_fetched_by_id_and_marked_as_law() -> None:
    block = parse_law_block(source="## Bureaus\n\n[[says credit_bureau_contacts]]\n- Equifax: 1-888-298-0045\n", name="law")
    result = compile_letter(
        tree=letter("Text.\n\n[[law:us-wa/credit-bureaus]]"),
        facts={},
        fields=FIELD_VALUES,
        law_block={"us-wa/credit-bureaus": block}.__getitem__,
        language="en",
    )
    assert "Bureaus\n\n- Equifax" in result.text
    assert '<section id="law-us-wa-credit-bureaus"' in result.html
    assert "credit_bureau_contacts" in result.said


def test_a_law_block_holds_no_other_and_is_no_letter() -> None:
    with pytest.raises(LetterSyntaxError, match="another"):
        parse_law_block(source="[[law:us-wa/x]]", name="law")
    with pytest.raises(LetterSyntaxError, match="subject"):
        compile_letter(tree=parse_law_block(source="Hi.", name="law"), facts={}, fields=FIELD_VALUES, language="en")


def test_a_law_block_without_a_source_of_law_blocks_is_an_error_at_its_place() -> None:
    with pytest.raises(LetterSyntaxError, match="line 5, column 1"):
        compile_letter(tree=letter("a\n\n[[law:us-wa/x]]"), facts={}, fields=FIELD_VALUES, language="en")


def test_a_field_without_a_value_is_an_error_where_it_stands_but_only_if_it_remains() -> None:
    body = "[[#if in.us]]\nCall [[phone]].\n[[/if]]\n\nx"
    assert compiled(body).text
    with pytest.raises(LetterSyntaxError, match=r"line 4, column 6: \[\[phone\]\] has no value"):
        compiled(body, facts={"in.us": True})


@pytest.mark.parametrize("value", ["[[person_name]]", "a]]", "x" * 1_001])
def test_a_field_cannot_smuggle_in_the_letter_language(value: str) -> None:
    with pytest.raises(LetterSyntaxError, match="legal_entity"):
        compiled("[[legal_entity]]", legal_entity=value)


def test_a_name_outside_the_closed_lists_is_refused_on_the_callers_side_too() -> None:
    with pytest.raises(ValueError, match=r"in\.mars"):
        compiled("x", facts={"in.mars": True})
    with pytest.raises(ValueError, match="salary"):
        compiled("x", salary="1")


def test_an_address_of_several_lines_becomes_one() -> None:
    assert "A street, 1217 Meyrin" in compiled("[[legal_entity]]", legal_entity="A street\r\n1217 Meyrin\u202e").text


def test_japanese_lines_join_without_a_space_and_english_ones_with_one() -> None:
    assert "お客様へお知らせ" in compiled("お客様へ\nお知らせ", language="ja").text
    assert "one two" in compiled("one\ntwo").text


def test_the_page_is_whole_names_its_language_and_direction_and_loads_nothing() -> None:
    page = compiled("# Title\n\n## Part\n\nText [[person_name]].", language="fr").html
    assert page.startswith('<!doctype html>\n<html lang="fr" dir="ltr">') and page.endswith("</html>\n")
    assert "<h1 " in page and "<h2 " in page and "max-width:640px" in page and "font-size:17px" in page
    assert not any(word in page for word in ("<a", "<img", "<script", "<link", "<style", "href", "src=", "url(", "http"))
    assert 'dir="rtl"' in compiled("x", language="ar").html


HOSTILE_VALUES = [
    "[[secret]]",
    "[[brand]]",
    "[[reference_code]]",
    "[[#if in.us]]x[[/if]]",
    "{{7*7}}",
    "{% debug %}",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><a href='x'>",
    "Tom & Jerry's",
    "\\1 \\g<0>",
    "%s %(x)s {0}",
    "=cmd|'/c calc'!A1",
]


@pytest.mark.parametrize("value", HOSTILE_VALUES)
def test_a_hostile_value_stays_text(value: str) -> None:
    made = compiled("Dear [[person_name]], code [[reference_code]].")
    filled = fill(letter=made, values={"person_name": value, "reference_code": "C-1"})
    assert f"Dear {value}, code C-1." in filled.text
    assert filled.html.count("<") == made.html.count("<") and filled.html.count(">") == made.html.count(">")
    assert value in filled.text and ("<" not in value or value not in filled.html)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Claire\r\nBcc: x@y.z", "Claire Bcc: x@y.z"),
        ("Claire\u202eniatraM", "ClaireniatraM"),
        ("\u2066Claire\u2069\u200f", "Claire"),
        ("Cla\x00ire\x1b[31m", "Claire[31m"),
        ("Claire\u2028Martin", "Claire Martin"),
        ("Claire\ud800", "Claire"),
        ("山田　花子", "山田　花子"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("O’Hara-Søderström", "O’Hara-Søderström"),
    ],
)
def test_a_value_stays_on_one_line_without_characters_that_deceive(value: str, shown: str) -> None:
    filled = fill(letter=compiled("Dear [[person_name]],"), values={"person_name": value})
    assert f"Dear {shown}," in filled.text
    filled.html.encode()


@pytest.mark.parametrize("values", [{}, {"person_name": ""}, {"person_name": "\u202e\n"}, {"person_name": "x" * 1_001}])
def test_a_letter_without_a_usable_name_is_not_made(values: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        fill(letter=compiled("Dear [[person_name]],"), values=values)


def test_one_persons_values_do_not_reach_the_next_letter() -> None:
    made = compiled("Dear [[person_name]],")
    fill(letter=made, values=CLAIRE)
    other = fill(letter=made, values={"person_name": "Carl"})
    assert "Claire" not in other.text + other.html


def test_a_compiled_letter_survives_json_and_is_the_same_every_time() -> None:
    body = "[[says contact]]\nDear [[person_name]], [[reference_code]] & more."
    first, second = compiled(body), compiled(body)
    assert json.dumps(first.to_json()) == json.dumps(second.to_json())
    again = CompiledLetter.from_json(json.loads(json.dumps(first.to_json())))
    assert again == first and fill(letter=again, values=CLAIRE) == fill(letter=first, values=CLAIRE)
    assert first.slots == {"person_name", "reference_code"}


def test_a_person_costs_less_than_thirty_microseconds() -> None:
    made = compiled("Dear [[person_name]],\n\n" + "A paragraph of the letter.\n\n" * 60 + "[[reference_code]]")
    best = min(_seconds(made) for _ in range(5))
    assert best < 30e-6, f"{best * 1e6:.1f} microseconds"


def _seconds(made: CompiledLetter) -> float:
    start = time.perf_counter()
    for _ in range(2_000):
        fill(letter=made, values=CLAIRE)
    return (time.perf_counter() - start) / 2_000


def test_the_closed_lists_hold_what_the_product_promises() -> None:
    assert {"brand", "elements", "website_page", "subject_line", "authority_site"} <= FIELDS
    assert {"has.date_of_birth", "has_not.any", "in.us_nd", "is.law_unknown", "has.authority"} <= FACTS
    assert not any("person" in name for name in FIELDS | FACTS)
