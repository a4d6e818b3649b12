"""Providers that are set up, and a way to post to them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from incidents.dispatch.events import intake, sns
from incidents.models import Campaign, Message, ProviderEvent
from tests.dispatch.campaigns import person, sql
from tests.dispatch.events.posted import CERTIFICATE_URL, NAMES, PATH, SECRETS, Request, certificate

Post = Callable[..., HttpResponse]


@pytest.fixture
def set_up(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Every provider has its secrets; SNS's certificate is there, and fetched from nowhere else."""
    settings.EVENTS_PATH, settings.EVENTS_SECRETS = PATH, dict(SECRETS)

    def fetch(url: str) -> bytes:
        assert url == CERTIFICATE_URL
        return certificate()

    monkeypatch.setattr(sns, "CERTIFICATES", sns.Certificates())
    monkeypatch.setitem(sns.verify.__kwdefaults__, "certificates", sns.CERTIFICATES)
    monkeypatch.setitem(intake.take.__kwdefaults__, "fetch", fetch)
    return settings


@pytest.fixture
def post(set_up: Settings) -> Post:
    """Post a request to the address of its provider."""
    client = Client(enforce_csrf_checks=True)

    def to(asked: Request, *, path: str = PATH, body: bytes | None = None, **heads: str) -> HttpResponse:
        given = asked.body if body is None else body
        address = f"/events/{asked.provider}/{path}/"
        return client.post(address, given, content_type="application/json", headers={**asked.heads, **heads})

    return to


def kept_events() -> QuerySet[ProviderEvent]:
    """The events that were stored: of what was refused only the number is."""
    return ProviderEvent.objects.exclude(kind="refused")


def nothing_kept() -> bool:
    return not kept_events().exists()


def handed_over(campaign: Campaign, provider: str, *, outcome: str = "accepted") -> Message:
    """Claire's letter, accepted by a provider under a name of its own, or in doubt without one."""
    claire = person(campaign, "claire")
    sql("UPDATE incidents_message SET state = 'sending', attempts = 1 WHERE id = %s", claire.pk)
    sql("UPDATE incidents_message SET state = %s WHERE id = %s", "in_doubt" if outcome == "doubt" else outcome, claire.pk)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO incidents_chunk (campaign_id, message_ids, provider, step, state, token, owner_lock, lease_until, confirmed, "
            "exceptions, claimed_at, ended_at) VALUES (%s, %s, %s, 1, 'done', 1, 1, now(), 1, '{}', now(), now()) RETURNING id",
            [campaign.pk, [claire.pk], provider],
        )
        chunk = cursor.fetchone()[0]
    attempt(claire, chunk, provider=provider, name=NAMES.get(provider, "") if outcome == "accepted" else "", outcome=outcome)
    claire.refresh_from_db()
    return claire


def attempt(message: Message, chunk: int, *, provider: str, name: str, number: int = 1, outcome: str = "accepted") -> None:
    """One try at a letter."""
    sql(
        "INSERT INTO incidents_attempt (message_id, number, chunk_id, outcome, provider, provider_id, detail, content_sha256, answered_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, '', %s, now())",
        message.pk, number, chunk, outcome, provider, name, message.content_sha256,
    )  # fmt: skip
