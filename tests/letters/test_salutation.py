"""Texts stored before letters greeted whoever reads them are named, and greet the reader once somebody says so."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from incidents.letters.render import newest_texts, save_text, standard_texts
from incidents.letters.salutation import of_before, take_salutations, with_reader
from incidents.models import Incident
from incidents.models.refusal import Refused

LANGUAGES = sorted(language for form, language in standard_texts() if form == "notice")


def as_before(incident: Incident, author: User, *, language: str, hello: str = "") -> str:
    """The standard notice as older code stored it; `hello`: with words of one's own before the name."""
    source = standard_texts()[("notice", language)].replace("[[reader_name]]", f"{hello}[[person_name]]")
    save_text(incident=incident, form="notice", language=language, source=source, author=author)
    return source


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_of_before_takes_the_salutation_of_the_standard_text(incident: Incident, officer: User, language: str) -> None:
    as_before(incident, officer, language=language)
    assert take_salutations(incident=incident, author=officer) == 1
    assert newest_texts(incident=incident)[("notice", language)].source == standard_texts()[("notice", language)]
    assert of_before(incident=incident) == []


def test_a_salutation_in_somebody_s_own_words_is_named_and_never_changed(incident: Incident, officer: User) -> None:
    own = as_before(incident, officer, language="en", hello="most esteemed ")
    (text,) = of_before(incident=incident)
    assert with_reader(text=text) == ""
    with pytest.raises(Refused, match="edit it by hand"):
        take_salutations(incident=incident, author=officer)
    assert newest_texts(incident=incident)[("notice", "en")].source == own


def test_the_desk_names_such_texts_and_one_click_mends_them(incident: Incident, officer: User) -> None:
    desk, letters = Client(), reverse("admin:letters", args=[incident.pk])
    desk.force_login(officer)
    assert "Salutations of before" not in desk.get(letters).content.decode()
    as_before(incident, officer, language="de")
    as_before(incident, officer, language="en", hello="most esteemed ")
    shown = desk.get(letters).content.decode()
    assert "2 texts greet the person" in shown and shown.count("edit it by hand") == 1
    said = desk.post(reverse("admin:letter_salutations", args=[incident.pk]), follow=True).content.decode()
    assert "1 text greets whoever reads the letter" in said and "1 text greets the person" in said
