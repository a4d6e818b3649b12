"""Texts stored before letters greeted whoever reads them: they greet the dead, or a child, in a representative's letter.

A text is somebody's words and may be signed: none is changed by itself. The line of the standard text is offered, and taken by
somebody who thereby becomes an author.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from incidents.letters.render import newest_texts, save_text, standard_texts
from incidents.models import Incident, LetterText
from incidents.models.refusal import Refused

PERSON, READER = "[[person_name]]", "[[reader_name]]"


def of_before(*, incident: Incident) -> list[LetterText]:
    """The texts that count and name the person, but not whoever reads the letter."""
    found = newest_texts(incident=incident)
    return [found[key] for key in sorted(found) if PERSON in found[key].source and READER not in found[key].source]


def with_reader(*, text: LetterText) -> str:
    """The text with the salutation of the standard one; '' where its own is another, which only somebody can reword."""
    standard = standard_texts().get((text.form, text.language), "")
    greeting = next((line for line in standard.splitlines() if READER in line), "")
    lines = text.source.split("\n")
    places = [place for place, line in enumerate(lines) if PERSON in line]
    if not greeting or not places or lines[places[0]].strip() != greeting.strip().replace(READER, PERSON):
        return ""
    lines[places[0]] = lines[places[0]].replace(PERSON, READER)
    return "\n".join(lines)


@transaction.atomic
def take_salutations(*, incident: Incident, author: User) -> int:
    """Save each such text with the standard salutation as a new version; returns how many. Raises Refused where there is none."""
    found = [(text, source) for text in of_before(incident=incident) if (source := with_reader(text=text))]
    if not found:
        raise Refused("No text has the standard salutation of before. Where one greets [[person_name]], edit it by hand.")
    for text, source in found:
        save_text(incident=incident, form=text.form, language=text.language, source=source, author=author)
    return len(found)
