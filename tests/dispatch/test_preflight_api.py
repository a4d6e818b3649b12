"""The gate asks providers by API, without sending: what their answers mean for our key and for our sender."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pytest_django import Settings

from incidents.dispatch.channels.address import read_mail_setting
from incidents.dispatch.gate.asking import look_at_provider
from incidents.dispatch.gate.findings import Finding
from tests.dispatch.providers.contract import point_at
from tests.dispatch.providers.dialects import DIALECTS, Reply, as_json
from tests.dispatch.providers.stub import Handler, Stub, served

MAILGUN, SES = "mailgun:?domain=mg.brand.example", "ses:?region=eu-west-1"
SENDER = "no-reply@brand.example"
SENDGRID_DOMAINS = "/whitelabel/domains?domain=brand.example&limit=50"
MAILJET = "/v3/REST/sender?Limit=1000"
IDENTITY = "/v2/email/identities/"
NOT_FOUND = as_json(404, {"message": "no"}, **{"x-amzn-errortype": "NotFoundException"})
QUOTA = {"Max24HourSend": 50000.0, "SentLast24Hours": 10.0, "MaxSendRate": 14.0}
HEALTHY = {"SendingEnabled": True, "ProductionAccessEnabled": True, "EnforcementStatus": "HEALTHY", "SendQuota": QUOTA}
#: Way -> the pages of an account that is in order: the first proves the key, the last tells of the sender.
GOOD: dict[str, dict[str, Any]] = {
    "postmark:": {"/server": {"ID": 1, "DeliveryType": "Live"}},
    "resend:": {"/domains": {"object": "list", "data": [{"name": "brand.example", "status": "verified"}]}},
    MAILGUN: {"/v4/domains/mg.brand.example": {"domain": {"name": "mg.brand.example", "state": "active"}}},
    "sendgrid:": {"/scopes": {"scopes": ["mail.send"]}, SENDGRID_DOMAINS: [{"domain": "brand.example", "valid": True}]},
    "brevo:": {
        "/account": {"email": "x"},
        "/senders/domains": {"domains": [{"domain_name": "brand.example", "authenticated": True, "verified": True}]},
    },
    "mailjet:": {MAILJET: {"Count": 1, "Data": [{"Email": SENDER, "Status": "Active"}]}},
    SES: {"/v2/email/account": HEALTHY, f"{IDENTITY}brand.example": {"VerifiedForSendingStatus": True}},
}
#: Way -> the pages of an account that knows our key and has not verified the sender's domain.
UNVERIFIED: dict[str, dict[str, Any]] = {
    "resend:": {"/domains": {"data": [{"name": "brand.example", "status": "pending"}]}},
    MAILGUN: {"/v4/domains/mg.brand.example": {"domain": {"state": "unverified"}}},
    "sendgrid:": {SENDGRID_DOMAINS: [{"domain": "brand.example", "valid": False}], "/verified_senders": {"results": []}},
    "brevo:": {"/senders/domains": {"domains": [{"domain_name": "brand.example", "authenticated": False}]}},
    "mailjet:": {MAILJET: {"Data": [{"Email": SENDER, "Status": "Inactive"}]}},
    SES: {f"{IDENTITY}brand.example": {"VerifiedForSendingStatus": False}},
}
KEYS = {
    "postmark:": ["POSTMARK_SERVER_TOKEN"], "resend:": ["RESEND_API_KEY"], MAILGUN: ["MAILGUN_API_KEY"],
    "sendgrid:": ["SENDGRID_API_KEY"], "brevo:": ["BREVO_API_KEY"], "mailjet:": ["MAILJET_API_KEY", "MAILJET_SECRET_KEY"],
    SES: ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
}  # fmt: skip
HEADS = {
    "postmark:": ("x-postmark-server-token", "secret-key"), "resend:": ("authorization", "Bearer secret-key"),
    MAILGUN: ("authorization", "Basic YXBpOnNlY3JldC1rZXk="), "sendgrid:": ("authorization", "Bearer secret-key"),
    "brevo:": ("api-key", "secret-key"), "mailjet:": ("authorization", "Basic c2VjcmV0LWtleTpzZWNyZXQta2V5"),
    SES: ("authorization", "AWS4-HMAC-SHA256 Credential=secret-key/"),
}  # fmt: skip
every = pytest.mark.parametrize("way", GOOD)


@dataclass
class Asked:
    """An account at a provider on this machine."""

    way: str
    stub: Stub
    heads: list[dict[str, str]] = field(default_factory=list)

    def pages(self, *, sort: dict[str, Any] | None = None) -> Asked:
        pages = {**GOOD[self.way], **(sort or {})}
        self.stub.pages = {path: data if isinstance(data, tuple) else as_json(200, data) for path, data in pages.items()}
        if self.way == SES:
            self.stub.pages = {f"{IDENTITY}no-reply%40brand.example": NOT_FOUND, **self.stub.pages}
        return self

    def first(self, reply: Reply) -> Asked:
        """What the question about the key is answered with."""
        self.pages().stub.pages[next(iter(GOOD[self.way]))] = reply
        return self

    def found(self, sender: str = SENDER) -> dict[str, Finding]:
        found = list(look_at_provider(address=read_mail_setting(self.way), sender=sender))
        assert "secret-key" not in str(found) and len({one.name for one in found}) == len(found)
        return {one.name: one for one in found}

    def levels(self, sender: str = SENDER) -> dict[str, str]:
        return {name: one.level for name, one in self.found(sender).items()}


@pytest.fixture
def account(way: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    dialect = DIALECTS["mailgun:?domain=mg.cartier.example" if way == MAILGUN else way]
    with served(dialect) as serving:
        point_at(settings, way, f"{serving.url}v3/" if way == MAILGUN else serving.url)
        made, answer = Asked(way, serving), Handler.do_GET

        def noted(handler: Handler) -> None:
            made.heads.append({name.lower(): value for name, value in handler.headers.items()})
            answer(handler)

        monkeypatch.setattr(Handler, "do_GET", noted)
        yield made


@every
def test_an_account_in_order_is_fine_and_nothing_is_sent(account: Asked) -> None:
    assert account.pages().levels() == {"credentials": "ok", "sender": "warn" if account.way == "postmark:" else "ok"}
    name, value = HEADS[account.way]
    assert account.heads and all(heads[name].startswith(value) for heads in account.heads)
    assert not account.stub.requests


@every
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_stops_the_release(account: Asked, status: int) -> None:
    found = account.first(as_json(status, {"message": "secret-key is wrong"})).found()
    assert list(found) == ["credentials"] and found["credentials"].level == "block"
    assert str(status) in found["credentials"].text
    assert found["credentials"].acceptable is (account.way == MAILGUN), "a domain sending key looks the same"


@pytest.mark.parametrize("way", UNVERIFIED)
def test_a_domain_that_is_not_verified_stops_the_release(account: Asked) -> None:
    found = account.pages(sort=UNVERIFIED[account.way]).found()
    assert (found["credentials"].level, found["sender"].level) == ("ok", "block")
    assert not found["sender"].acceptable and "brand.example" in found["sender"].text


@every
@pytest.mark.parametrize("reply", [as_json(503, {}), as_json(429, {}), (200, {}, b"<html>sign in</html>")])
def test_an_answer_that_says_nothing_of_our_account_may_be_accepted(account: Asked, reply: Reply) -> None:
    found = account.first(reply).found()["credentials"]
    assert found.level == "block" and found.acceptable


@every
def test_a_provider_that_is_not_there_may_be_accepted(way: str, settings: Settings) -> None:
    point_at(settings, way, "http://127.0.0.1:9/")
    found = list(look_at_provider(address=read_mail_setting(way), sender=SENDER))
    assert [(one.name, one.level, one.acceptable) for one in found] == [("credentials", "block", True)]


@every
def test_a_missing_key_is_named_and_stops_the_release(way: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    point_at(settings, way, "http://127.0.0.1:9/")
    for missing in KEYS[way]:
        settings.PROVIDER_KEYS = {**dict.fromkeys(settings.PROVIDER_KEYS, "secret-key"), missing: ""}
        if way == SES:
            settings.PROVIDER_KEYS = {}
        found = list(look_at_provider(address=read_mail_setting(way), sender=SENDER))
        assert [(one.name, one.level, one.acceptable) for one in found] == [("credentials", "block", False)]
        assert missing in found[0].text and "secret-key" not in str(found)


@every
def test_a_key_that_cannot_be_one_is_not_repeated(way: str, settings: Settings) -> None:
    point_at(settings, way, "http://127.0.0.1:9/")
    settings.PROVIDER_KEYS = dict.fromkeys(settings.PROVIDER_KEYS, "s3cret\nkey\u20ac")
    found = list(look_at_provider(address=read_mail_setting(way), sender=SENDER))
    assert found[0].level == "block" and "s3cret" not in str(found)


# -- what only one of them says ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "sort", "level"),
    [
        ("postmark:", {"/server": {"DeliveryType": "Sandbox"}}, "block"),
        ("resend:", {"/domains": as_json(401, {"name": "restricted_api_key"})}, "warn"),
        ("sendgrid:", {"/scopes": {"scopes": ["stats.read"]}}, "block"),
        (SES, {"/v2/email/account": {**HEALTHY, "ProductionAccessEnabled": False}}, "block"),
        (SES, {"/v2/email/account": {**HEALTHY, "SendingEnabled": False}}, "block"),
        (SES, {"/v2/email/account": as_json(403, {}, **{"x-amzn-errortype": "AccessDeniedException"})}, "warn"),
    ],
)
def test_what_a_key_may_do(account: Asked, sort: dict[str, Any], level: str) -> None:
    found = account.pages(sort=sort).found()
    assert found["credentials"].level == level and ("sender" in found) is (level == "warn")


@pytest.mark.parametrize(
    ("way", "sort", "sender", "level"),
    [
        ("resend:", {"/domains": {"data": [{"name": "brand.example", "status": "partially_verified"}]}}, SENDER, "warn"),
        ("resend:", {}, "a@mail.brand.example", "warn"),
        ("resend:", {}, "a@other.example", "block"),
        (MAILGUN, {"/v4/domains/mg.brand.example": as_json(404, {})}, SENDER, "block"),
        (MAILGUN, {"/v4/domains/mg.brand.example": {"domain": {}}}, SENDER, "warn"),
        (MAILGUN, {}, "a@other.example", "warn"),
        ("sendgrid:", {SENDGRID_DOMAINS: as_json(403, {}), "/verified_senders": as_json(403, {})}, SENDER, "warn"),
        (
            "sendgrid:",
            {SENDGRID_DOMAINS: [], "/verified_senders": {"results": [{"from_email": SENDER, "verified": True}]}},
            SENDER.upper(),
            "ok",
        ),
        ("brevo:", {"/senders/domains": as_json(403, {})}, SENDER, "warn"),
        ("mailjet:", {MAILJET: {"Data": [{"Email": "*@brand.example", "Status": "Active"}]}}, SENDER, "ok"),
        ("mailjet:", {MAILJET: {"Data": []}}, SENDER, "warn"),
        (
            SES,
            {f"{IDENTITY}a%40mail.brand.example": NOT_FOUND, f"{IDENTITY}mail.brand.example": NOT_FOUND},
            "a@mail.brand.example",
            "ok",
        ),
        (SES, {f"{IDENTITY}brand.example": NOT_FOUND}, SENDER, "block"),
        (
            SES,
            {f"{IDENTITY}no-reply%40brand.example": as_json(403, {}, **{"x-amzn-errortype": "AccessDeniedException"})},
            SENDER,
            "warn",
        ),
    ],
)
def test_what_a_sender_may_do(account: Asked, sort: dict[str, Any], sender: str, level: str) -> None:
    assert account.pages(sort=sort).levels(sender) == {"credentials": "ok", "sender": level}


@pytest.mark.parametrize("way", [SES])
def test_ses_tells_what_is_left_of_its_quota(account: Asked) -> None:
    assert "49990 of 50000" in account.pages().found()["credentials"].text
