"""How many people get each letter, and whom a register leaves without one: as frozen, or as a freeze would count them now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from django.db import connection
from django.db.models import Count, Q

from incidents.letters.readers import readers
from incidents.letters.render import available, newest_texts
from incidents.letters.wording import choose_language
from incidents.models import Amendment, Campaign, Incident, Letter, PersonStatus, RegisterEntry
from incidents.people.amending import people_of


@dataclass
class Gets:
    """The people of one register, each once: by the letter that they get, or by why they get none."""

    amendment: Amendment | None
    #: None: the register is not frozen yet.
    campaign: Campaign | None
    #: Letter -> people who get it.
    letters: dict[int, int] = field(default_factory=dict)
    held: int = 0
    #: No law asks for a notice to them and none was chosen, or (as frozen) also: their record does not open.
    no_notice: int = 0
    #: An open question about them keeps the register from being frozen.
    asked: int = 0
    #: Their letter was not made yet, or another one than they would get now.
    unmade: int = 0

    @property
    def told(self) -> int:
        """People who get a letter."""
        return sum(self.letters.values())

    @property
    def people(self) -> int:
        """Everybody on the register."""
        return self.told + self.held + self.no_notice + self.asked + self.unmade


def who_gets(*, incident: Incident, letters: list[Letter]) -> list[Gets]:
    """By register, the first one first; a query for each that is not frozen, and for a frozen one the first time."""
    frozen = {one.amendment_id: one for one in incident.campaigns.all()}
    amendments = {letter.amendment_id: letter.amendment for letter in letters}
    for_each = sorted(amendments.items(), key=lambda one: one[0] or 0)
    return [
        _frozen(frozen[pk], amendment) if pk in frozen else _as_now(incident, amendment, letters) for pk, amendment in for_each
    ]


class Lines(NamedTuple):
    """The lines of a frozen register, counted."""

    #: Cohort, letter (0: none) -> people.
    people: Mapping[tuple[int, int], int]
    #: Held lines, which have no letter.
    held: int


def frozen_lines(*, campaign: Campaign) -> Lines:
    """What was frozen for this campaign, in numbers."""
    return _counted(str(connection.settings_dict["NAME"]), campaign.pk, campaign.register_root)


@lru_cache(maxsize=64)
def _counted(_database: str, campaign_id: int, _register_root: str) -> Lines:
    """A frozen register never changes: of a million lines it is counted once."""
    held = Count("id", filter=Q(letter=None, line__contains='"state":"held"'))
    lines = RegisterEntry.objects.filter(campaign=campaign_id).order_by().values_list("cohort_id", "letter_id")
    rows = list(lines.annotate(n=Count("id"), held=held))
    return Lines({(cohort or 0, letter or 0): n for cohort, letter, n, _ in rows}, sum(row[-1] for row in rows))


def _frozen(campaign: Campaign, amendment: Amendment | None) -> Gets:
    found, letters = frozen_lines(campaign=campaign), dict[int, int]()
    for (_, letter), number in found.people.items():
        if letter:
            letters[letter] = letters.get(letter, 0) + number
    no_notice = campaign.people - found.held - sum(letters.values())
    return Gets(amendment, campaign, letters, held=found.held, no_notice=no_notice)


def _as_now(incident: Incident, amendment: Amendment | None, letters: list[Letter]) -> Gets:
    """As the freeze would plan them (`dispatch.plan`), counted by cohort and language instead of one by one."""
    found, told, texts = Gets(amendment, None), readers(incident=incident), newest_texts(incident=incident)
    made = {(one.cohort_id, one.language): one for one in letters if one.amendment_id == (amendment.pk if amendment else None)}
    people = people_of(incident=incident, amendment=amendment).order_by()
    for cohort, wanted, status, number in people.values_list("cohort_id", "language", "status").annotate(n=Count("id")):
        reader = told.get(cohort or 0)
        if status == PersonStatus.HELD:
            found.held += number
        elif status != PersonStatus.CLEAR:
            found.asked += number
        elif reader is None:
            found.no_notice += number
        else:
            known = available(form=reader.form, texts=texts)
            language = choose_language(wanted=wanted, residence=reader.cohort.residence, available=known).language
            letter = made.get((cohort, language))
            if letter is None or letter.form != reader.form:
                found.unmade += number
            else:
                found.letters[letter.pk] = found.letters.get(letter.pk, 0) + number
    return found
