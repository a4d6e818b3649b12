"""The law packs checked in full, against the letters that there are for them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from incidents.law.check import PackReport, check_packs
from incidents.law.check_rules import ENGLISH, Forms
from incidents.law.overlay import sources_of
from incidents.letters.readers import COURTESY, NOTICE, OWN_FORMS
from incidents.letters.render import standard_texts
from incidents.letters.wording import SUPPORTED


def law_report(*, path: Path | None = None) -> PackReport:
    """Every problem of the shipped packs, or of those of `path` laid over them; raises PackError where one is no YAML."""
    return check_packs(sources=sources_of(path=path), forms=letter_forms(), today=datetime.now(UTC).date())


def letter_forms() -> Forms:
    """The letters there are: whose law has a form of its own, and in which languages each form exists."""
    texts = standard_texts()
    languages = {form: frozenset(language for known, language in texts if known == form) for form, _ in texts}
    general = {form: SUPPORTED | {ENGLISH} for form in (COURTESY, NOTICE)}
    return Forms(own=OWN_FORMS, general=general, languages=languages)
