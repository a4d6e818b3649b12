"""What a reader is to do stands in the order in which it is urgent."""

from __future__ import annotations

import re

import pytest

from tests.letters.test_texts import TEXTS, Made, typical


def actions(made: Made) -> list[str]:
    """The numbered items of a letter, without their numbers. A German date begins like one."""
    return re.findall(r"(?m)^\d\. (?!Juni)(.+)$", made.letter.text)


@pytest.mark.parametrize(("form", "language"), TEXTS)
def test_somebody_whose_password_leaked_reads_first_that_it_has_to_be_changed(form: str, language: str) -> None:
    leaked, contact = (actions(typical(form, language, elements)) for elements in ("password", "contact"))
    assert leaked[1:3] == contact[:2] and leaked[0] not in contact, leaked
    assert contact[2] not in leaked, "that passwords should be strong is said once"
