"""A letter that somebody else reads in the person's place: a guardian, the next of kin, an attorney. Its body is not changed.

The letter itself is the one that was signed: it greets whoever reads it ([[reader_name]]). Above it stand lines that say whom it
is about, why it came to them, and whom its "you" means; its subject speaks of somebody else's data.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import replace

from incidents.letters.language import CompiledLetter, FilledLetter, clean_value, fill
from incidents.letters.wording import SUPPORTED, in_their_place, neutral_name
from incidents.record import PersonFields

#: In front of the subject of every mail of a drill: whoever finds one must not take it for news.
DRILL_MARK = "[Drill] "


def address_of(*, fields: PersonFields) -> str:
    """Where a person's letter goes: to whoever stands in for them, else to their first address; '' = nowhere."""
    return fields.representative_email if has_representative(fields=fields) else next(iter(fields.emails), "")


def has_representative(*, fields: PersonFields) -> bool:
    """Whether somebody is known who reads in this person's place, by name and address."""
    return bool(fields.representative_role and fields.representative_name and fields.representative_email)


def reader_of(*, fields: PersonFields) -> str:
    """The name of whoever reads the letter: who stands in for the person, else the person."""
    return fields.representative_name if has_representative(fields=fields) else fields.full_name


def read_in_their_place(*, letter: CompiledLetter, values: Mapping[str, str], fields: PersonFields) -> FilledLetter:
    """The letter filled as its reader gets it: with the lines above it where somebody stands in for the person."""
    text, page = lines_above(letter=letter, fields=fields)
    if not text:
        return fill(letter=letter, values=values)
    filled = fill(letter=addressed_elsewhere(letter=letter), values=values)
    return replace(filled, text=_after(filled.text, "\n\n", text), html=_after(filled.html, "</header>\n", page))


def addressed_elsewhere(*, letter: CompiledLetter) -> CompiledLetter:
    """The letter with the subject that whoever reads in the person's place sees: not "your data"."""
    if not _greets_its_reader(letter):
        return letter
    drill = DRILL_MARK if letter.subject.startswith(DRILL_MARK) else ""
    subject = _filled(_words(letter.language)["subject"], {"{brand}": letter.text.partition("\n\n")[0]})
    before, title, rest = letter.html.partition("<title>")
    page = before + title + html.escape(subject) + rest[rest.index("</title>") :] if title else letter.html
    return replace(letter, subject=drill + subject, html=page)


def lines_above(*, letter: CompiledLetter, fields: PersonFields) -> tuple[str, str]:
    """What stands above the letter in the text and in the HTML; nothing where nobody stands in for the person."""
    if not has_representative(fields=fields):
        return "", ""
    words, person = _words(letter.language), clean_value(value=fields.full_name)
    unnamed, role = neutral_name(language=_spoken(letter.language)), words[fields.representative_role]
    if _greets_its_reader(letter):
        space = "" if _spoken(letter.language) == "ja" else " "
        lines = (f"{words['about' if person else 'about_unnamed']}{space}{role}", words["you"])
    else:
        lines = (words["greeting"], f"{words['about']} {role}")
    name, person = clean_value(value=fields.representative_name) or unnamed, person or unnamed
    plain = {"{name}": name, "{person}": person}
    text = "\n\n".join(_filled(line, plain) for line in lines)
    marked = {"{name}": _isolated(name), "{person}": _isolated(person)}
    paragraphs = "\n".join(f"<p>{_filled(html.escape(line), marked)}</p>" for line in lines)
    return f"{text}\n\n", f"{paragraphs}\n"


def _greets_its_reader(letter: CompiledLetter) -> bool:
    # A text of before [[reader_name]], or one written without: its letters may be approved, and stay what was approved.
    return "reader_name" in letter.slots


def _spoken(language: str) -> str:
    spoken = language.split("-", maxsplit=1)[0]
    return spoken if spoken in SUPPORTED else "en"


def _words(language: str) -> Mapping[str, str]:
    return in_their_place(language=_spoken(language))


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
