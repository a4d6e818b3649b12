"""What a person should know of a campaign although no number is wrong, in lines: for the desk and for `check_campaign`."""

from __future__ import annotations

from incidents.dispatch.events.refused import refused_lately
from incidents.models import Campaign, CampaignState

OVER = (CampaignState.STOPPED, CampaignState.CLOSED)


def alarms_of(*, campaign: Campaign) -> list[str]:
    """The lines, the most urgent first; empty when there is nothing."""
    if campaign.state in OVER:
        return []
    return [*_came_back_late(campaign), *refused_lately()]


def _came_back_late(campaign: Campaign) -> list[str]:
    """Letters to staff that bounced after the wave had passed: then people's letters go out, and may come back too."""
    if campaign.canary != "passed":
        return []
    letters = campaign.canaries.filter(staff__removed_at=None).order_by("id")
    newest = {staff: (state, detail) for staff, state, detail in letters.values_list("staff", "state", "detail")}
    back = [detail for state, detail in newest.values() if state == "failed"]
    if not back:
        return []
    number = "1 letter" if len(back) == 1 else f"{len(back)} letters"
    return [
        f"{number} of the first wave came back after it had passed ({'; '.join(dict.fromkeys(back))}). People's letters may come "
        "back too: look at the provider, and pause the campaign while it is not clear."
    ]
