"""What has to be done before a register is frozen: afterwards some of it could not be mended any more."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from incidents.dispatch.campaign import CampaignRefused, freeze
from incidents.dispatch.obstacles import freeze_obstacles
from incidents.letters.render import make_letters
from incidents.models import Campaign, Incident

BLOCKED = {"level": "block", "code": "x", "reference": "", "message": "Record under Facts why (delay_reason)."}
WARNING = {**BLOCKED, "level": "warn"}


def test_a_letter_that_nobody_could_approve_stops_the_freeze_until_it_is_made_again(assessed: Incident, officer: User) -> None:
    letters = list(assessed.letters.order_by("id"))
    assessed.letters.filter(pk=letters[0].pk).update(findings=[WARNING])
    assert freeze_obstacles(incident=assessed) == [], "a warning blocks nothing"
    assessed.letters.filter(pk__in=[one.pk for one in letters[:2]]).update(findings=[WARNING, BLOCKED])
    with pytest.raises(CampaignRefused) as refused:
        freeze(incident=assessed, author=officer)
    (line,) = refused.value.lines
    assert line.startswith(f"2 letters have findings that block and could not be approved; the first, {letters[0]}: Record under")
    assert "Make the letters again" in line
    assert not Campaign.objects.exists()
    make_letters(incident=assessed, author=officer)
    assert freeze(incident=assessed, author=officer).people == 3
