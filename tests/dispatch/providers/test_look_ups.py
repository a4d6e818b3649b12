"""Asking a provider whether it has a letter: only its naming our reference says yes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from incidents.dispatch.channels.choose import provider_for
from tests.dispatch.providers.contract import point_at
from tests.dispatch.providers.dialects import DIALECTS, Reply, as_json
from tests.dispatch.providers.stub import Stub, served

REF = "ab" * 16
MAILGUN = "mailgun:?domain=mg.cartier.example"
PAGES = {
    "postmark:": f"/messages/outbound?count=1&offset=0&metadata_message_ref={REF}",
    "postmark:?batch=1": f"/messages/outbound?count=1&offset=0&metadata_message_ref={REF}",
    "mailjet:": f"/v3/REST/message?Limit=1&ShowCustomID=true&CustomID={REF}",
    MAILGUN: f"/mg.cartier.example/events?limit=1&message-id={REF}%40mg.cartier.example",
}


def found(way: str, ref: str) -> Any:
    if way.startswith("postmark"):
        return {"TotalCount": 1, "Messages": [{"MessageID": "x", "Metadata": {"message_ref": ref}}]}
    if way == "mailjet:":
        return {"Count": 1, "Data": [{"ID": 1, "CustomID": ref}]}
    return {"items": [{"event": "accepted", "message": {"headers": {"message-id": f"{ref}@mg.cartier.example"}}}]}


@pytest.fixture
def stub(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Stub]:
    with served(DIALECTS[request.param]) as serving:
        point_at(settings, request.param, serving.url)
        yield serving


def asked(way: str, stub: Stub, reply: Reply) -> bool | None:
    stub.pages = {PAGES[way]: reply}
    return provider_for(way).look_up(message_ref=REF)


ways = pytest.mark.parametrize(("way", "stub"), [(way, way) for way in PAGES], indirect=["stub"])


@ways
def test_a_provider_that_names_our_reference_has_the_letter(way: str, stub: Stub) -> None:
    assert asked(way, stub, as_json(200, found(way, REF))) is True


@ways
@pytest.mark.parametrize(
    "data", [{}, [], None, {"Messages": [], "Data": [], "items": []}, {"Messages": 1, "Data": "x", "items": {}}]
)
def test_finding_nothing_is_no_proof_that_there_is_nothing(way: str, stub: Stub, data: Any) -> None:
    assert asked(way, stub, as_json(200, data)) is None


@ways
def test_a_filter_that_was_not_understood_finds_somebody_elses_letter(way: str, stub: Stub) -> None:
    assert asked(way, stub, as_json(200, found(way, "cd" * 16))) is None


@ways
@pytest.mark.parametrize("reply", [(500, {}, b""), (401, {}, b"{}"), (200, {}, b"<html>")])
def test_a_provider_that_cannot_answer_says_nothing(way: str, stub: Stub, reply: Reply) -> None:
    assert asked(way, stub, reply) is None


def test_mailgun_is_also_asked_under_the_domain_above_its_own(settings: Settings) -> None:
    with served(DIALECTS[MAILGUN]) as stub:
        point_at(settings, MAILGUN, stub.url)
        above = f"/mg.cartier.example/events?limit=1&message-id={REF}%40cartier.example"
        item = {"message": {"headers": {"message-id": f"{REF}@cartier.example"}}}
        stub.pages = {above: as_json(200, {"items": [item]})}
        assert provider_for(MAILGUN).look_up(message_ref=REF) is True
