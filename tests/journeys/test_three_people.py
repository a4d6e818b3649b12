"""The whole line in one process, without a broker: three people from a list to a verified bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from incidents.audit.export import export_evidence
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.work import dispatch
from incidents.models import Campaign, CampaignState, InboxMessage
from incidents.scenarios.story import verify_bundle


@pytest.mark.committed
def test_three_people_get_their_letters_and_the_bundle_verifies(released: Campaign, tmp_path: Path) -> None:
    dispatch(campaign=released)

    check = check_campaign(campaign=released)
    assert check.states == {"delivered": 3}
    assert check.holds
    assert released.state == CampaignState.DRAINED
    assert InboxMessage.objects.filter(is_test=False).count() == 3
    bundle = export_evidence(incident=released.incident, out=tmp_path / "bundle.zip", actor="officer")
    assert verify_bundle(bundle=bundle) == 0
