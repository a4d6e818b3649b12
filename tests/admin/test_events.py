"""The desk shows what providers told that does not fit, as text and nothing else, and nobody's data."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from incidents.dispatch.receive import apply_events, store_events
from incidents.models import Campaign


def test_conflicts_and_unknown_events_are_listed(released: Campaign, officer: User) -> None:
    message = released.messages.order_by("id").first()
    assert message is not None
    told = [
        {"event_key": "a", "message_ref": message.message_ref, "kind": "delivered", "detail": "<script>alert(1)</script>"},
        {"event_key": "b", "message_ref": "f" * 32, "kind": "bounced_hard", "detail": "of nobody"},
    ]
    store_events(provider="postmark", events=told, strength="password")
    apply_events()
    client = Client()
    client.force_login(officer)
    shown = client.get(reverse("admin:events", args=[released.incident_id])).content.decode()
    assert "it was never sent" in shown and "of nobody" in shown and "<script>alert" not in shown
    assert "password" in shown and not any(name in shown for name in ("Dubois", "claire@", "O&#x27;Brien"))
    assert (
        reverse("admin:events", args=[released.incident_id])
        in client.get(reverse("admin:log", args=[released.incident_id])).content.decode()
    )


def test_without_a_sign_in_nothing_is_shown(released: Campaign) -> None:
    assert Client().get(reverse("admin:events", args=[released.incident_id])).status_code == 302


def test_the_campaign_s_page_names_letters_that_arrived_and_came_back(released: Campaign, officer: User) -> None:
    message = released.messages.filter(state="ready").earliest("id")
    released.messages.filter(pk=message.pk).update(state="delivered")
    store_events(provider="inbox", events=[{"event_key": "a", "message_ref": message.message_ref, "kind": "bounced_hard"}])
    apply_events()
    client = Client()
    client.force_login(officer)
    shown = client.get(reverse("admin:campaign", args=[released.incident_id, released.pk])).content.decode()
    assert "1 letter stands as &#x27;delivered&#x27;, but a provider also told that it came back" in shown
    assert reverse("admin:events", args=[released.incident_id]) in shown
