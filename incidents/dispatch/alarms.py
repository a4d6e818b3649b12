"""What a person should know of a campaign although no number is wrong, in lines: for the desk and for `check_campaign`."""

from __future__ import annotations

from incidents.dispatch.events.against_us import against_us_lately
from incidents.dispatch.events.refused import refused_lately
from incidents.models import Campaign, CampaignState

#: In what was heard of a letter to staff.
AFTER_IT_PASSED = ", after the wave had passed"
OVER = (CampaignState.STOPPED, CampaignState.CLOSED)


def alarms_of(*, campaign: Campaign) -> list[str]:
    """The lines, the most urgent first; empty when there is nothing."""
    if campaign.state in OVER:
        return []
    return [*against_us_lately(campaign=campaign), *_came_back_late(campaign), *refused_lately()]


def _came_back_late(campaign: Campaign) -> list[str]:
    """Letters to staff that bounced after the wave had passed: then people's letters go out, and may come back too."""
    if campaign.canary != "passed":
        return []
    late = campaign.canaries.filter(state="failed", detail__endswith=AFTER_IT_PASSED).order_by("id")
    back = list(late.values_list("detail", flat=True))
    if not back:
        return []
    number = "1 letter" if len(back) == 1 else f"{len(back)} letters"
    details = "; ".join(dict.fromkeys(detail.removesuffix(AFTER_IT_PASSED) for detail in back))
    return [
        f"{number} of the first wave came back after it had passed ({details}). People's letters may come back too: look at the "
        "provider, and pause the campaign while it is not clear."
    ]
