"""The order in which a campaign's letters go by the providers that are set."""

from __future__ import annotations

from collections.abc import Sequence

from incidents.models import CanaryLetter


def proven_first(*, campaign_id: int, providers: Sequence[str]) -> list[str]:
    """These providers in the order in which a campaign's letters go by them: first what its first wave has proved, if one did."""
    taken = CanaryLetter.objects.filter(campaign=campaign_id, state__in=("accepted", "delivered"))
    proven = set(taken.values_list("provider", flat=True)) if len(providers) > 1 else set()
    return sorted(providers, key=lambda name: name not in proven)
