"""What stands beside the first signature: the numbers by law and language, every letter, and what changed since the last one."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

from django.contrib.auth.models import User

from incidents.letters.signed_content import _changes, signed_content
from incidents.models import Campaign, Cohort, Letter, RegisterEntry
from incidents.people.amending import open_amendment


def test_the_numbers_by_law_and_language_are_those_of_the_frozen_register(frozen: Campaign) -> None:
    content = signed_content(campaign=frozen)
    assert sorted(content.languages) == [("en", 1), ("fr", 1), ("ja", 1)]
    assert content.told == 3 == RegisterEntry.objects.filter(campaign=frozen).exclude(letter=None).count()
    assert {law: people for law, _, people in content.laws} == {"FR": 1, "JP": 1, "US-CA": 1}
    assert [one.people for one in content.variants] == [1, 1, 1] and content.without == 0
    assert not content.has_earlier and all(one.changes == () for one in content.variants)


def test_people_whose_law_is_not_the_one_of_their_frozen_cohort_any_more_are_missing_in_no_sum(frozen: Campaign) -> None:
    yuki = RegisterEntry.objects.get(campaign=frozen, person__reference="yuki")
    Cohort.objects.filter(pk=yuki.cohort_id).update(count=0)
    content = signed_content(campaign=frozen)
    assert content.lawless == 1 and sum(people for *_, people in content.laws) + content.lawless == content.told


def test_warnings_of_the_check_stand_beside_their_letter(frozen: Campaign) -> None:
    content = signed_content(campaign=frozen)
    for one in content.variants:
        assert one.warnings == [found["message"] for found in one.letter.findings if found["level"] == "warn"]
    assert content.warned == sum(bool(one.warnings) for one in content.variants) > 0


def test_a_letter_of_a_later_campaign_shows_what_changed_since_the_one_before(frozen: Campaign, officer: User) -> None:
    amendment = open_amendment(incident=frozen.incident, reason="more", aware_at=datetime.now(UTC), author=officer)
    first = Letter.objects.get(language="fr")
    later = Campaign.objects.get(pk=frozen.pk)
    later.pk, later.reference, later.amendment, later.register_root = None, "later-c2", amendment, "f" * 64
    later.save()
    entry = RegisterEntry.objects.get(letter=first)
    second = Letter.objects.get(pk=first.pk)
    second.pk, second.amendment = None, amendment
    second.compiled = first.compiled.replace("Cartier", "Maison Dorée")
    second.save(force_insert=True)
    RegisterEntry.objects.create(campaign=later, person=entry.person, cohort=entry.cohort, letter=second, line=entry.line)
    (only,) = signed_content(campaign=later).variants
    assert only.earlier == frozen.reference and {sign for sign, _ in only.changes} == {"-", "+"}
    assert all(("Cartier" in line) is (sign == "-") for sign, line in only.changes)


def test_letters_that_differ_in_every_line_hold_up_no_page(frozen: Campaign) -> None:
    letter = Letter.objects.filter(language="en").first()
    assert letter
    compiled = json.loads(letter.compiled)
    compiled["text"] = "\n".join(f"Line {number} of {compiled['subject']} says the same of everybody" for number in range(200))
    before = Letter(compiled=json.dumps(compiled))
    compiled["text"] = compiled["text"].replace("everybody", "nobody")
    began = time.monotonic()
    changes = _changes(before, Letter(compiled=json.dumps(compiled)))
    assert time.monotonic() - began < 0.5, "a campaign has hundreds of letters, and its page shows what changed in each"
    assert len(changes) == 400 and {sign for sign, _ in changes} == {"-", "+"}
