"""A letter that somebody else reads in the person's place: a guardian, the next of kin, an attorney. Nothing in it is changed.

The letter itself is the one that was signed. Above it stand a greeting to the one who reads, and a line that says whom the letter
is about and why it came to them.
"""

from __future__ import annotations

import html
from dataclasses import replace

from incidents.letters.language import FilledLetter, clean_value
from incidents.letters.wording import SUPPORTED, in_their_place, neutral_name
from incidents.record import PersonFields


def address_of(*, fields: PersonFields) -> str:
    """Where a person's letter goes: to whoever stands in for them, else to their first address; '' = nowhere."""
    return fields.representative_email if has_representative(fields=fields) else next(iter(fields.emails), "")


def has_representative(*, fields: PersonFields) -> bool:
    """Whether somebody is known who reads in this person's place, by name and address."""
    return bool(fields.representative_role and fields.representative_name and fields.representative_email)


def read_in_their_place(*, letter: FilledLetter, fields: PersonFields, language: str) -> FilledLetter:
    """The filled letter as its reader gets it: with the lines above it where somebody stands in for the person."""
    text, page = lines_above(fields=fields, language=language)
    return (
        replace(letter, text=_after(letter.text, "\n\n", text), html=_after(letter.html, "</header>\n", page)) if text else letter
    )


def lines_above(*, fields: PersonFields, language: str) -> tuple[str, str]:
    """What stands above the letter in the text and in the HTML; nothing where nobody stands in for the person."""
    if not has_representative(fields=fields):
        return "", ""
    spoken = language.split("-", maxsplit=1)[0]
    spoken = spoken if spoken in SUPPORTED else "en"
    words, unnamed = in_their_place(language=spoken), neutral_name(language=spoken)
    name = clean_value(value=fields.representative_name) or unnamed
    person = clean_value(value=fields.full_name) or unnamed
    greeting, about = words["greeting"], f"{words['about']} {words[fields.representative_role]}"
    plain = {"{name}": name, "{person}": person}
    text = "\n\n".join(_filled(line, plain) for line in (greeting, about))
    marked = {"{name}": _isolated(name), "{person}": _isolated(person)}
    paragraphs = "\n".join(f"<p>{_filled(html.escape(line), marked)}</p>" for line in (greeting, about))
    return f"{text}\n\n", f"{paragraphs}\n"


def _isolated(name: str) -> str:
    # <bdi>: a name in Arabic or Hebrew must not turn the words around it.
    return f"<bdi>{html.escape(name)}</bdi>"


def _filled(line: str, values: dict[str, str]) -> str:
    before, mark, after = line.partition("{")
    if not mark:
        return line
    name, _, rest = after.partition("}")
    return before + values[f"{{{name}}}"] + _filled(rest, values)


def _after(whole: str, mark: str, what: str) -> str:
    """`what` behind the letter's head, which every letter has."""
    head, found, rest = whole.partition(mark)
    return head + found + what + rest if found else what + whole
