"""What a provider refuses for us, our account or the letter's form gives nobody up; what it says of the person does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from incidents.dispatch.events.deciding import PROVES
from incidents.dispatch.events.parse import Source, parse
from incidents.models import MessageState as S
from tests.dispatch.events.posted import BOUNCED, Request, event, mailgun, sign, sns


def told(provider: str, ref: str, change: dict[str, Any]) -> Request:
    """A bounce of the provider that says something else."""
    document = event(provider, BOUNCED, ref=ref)
    if provider == "ses":
        return sign(provider, sns(json.dumps({**json.loads(document["Message"]), **change})))
    if provider == "mailgun":
        return sign(provider, mailgun({**document["event-data"], **change}))
    return sign(provider, [{**document[0], **change}] if isinstance(document, list) else {**document, **change})


def failed(reason: str, code: int, message: str = "") -> dict[str, Any]:
    """Mailgun's failure."""
    return {"reason": reason, "severity": "permanent", "delivery-status": {"code": code, "message": message}}


def blocked(related: str, error: str) -> dict[str, Any]:
    """Mailjet's."""
    return {"event": "blocked", "error_related_to": related, "error": error, "hard_bounce": False}


def hard(diagnosis: str) -> dict[str, Any]:
    """SES's."""
    one = {"emailAddress": "claire@example.org", "action": "failed", "status": "5.7.1", "diagnosticCode": diagnosis}
    return {"bounce": {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [one]}}


OURS = [
    ("ses", {"eventType": "Reject", "reject": {"reason": "Bad content"}}),
    ("ses", {"eventType": "Rendering Failure", "failure": {"errorMessage": "a variable is missing", "templateName": "t"}}),
    ("ses", hard("smtp; 550 5.7.1 mail from 192.0.2.7 blocked using zen.spamhaus.example")),
    ("postmark", {"Type": "SMTPApiError", "Details": "401: the sender signature is not confirmed"}),
    ("postmark", {"Type": "DMARCPolicy"}),
    ("postmark", {"Type": "TemplateRenderingFailed"}),
    ("mailgun", {"event": "rejected", "reject": {"reason": "Sandbox subdomains are for test purposes only"}}),
    ("mailgun", failed("espblock", 550, "5.7.1 our policy")),
    ("mailgun", failed("generic", 603, "Domain is disabled")),
    ("mailgun", failed("bounce", 550, "5.7.26 unauthenticated mail (DMARC)")),
    ("brevo", {"event": "error", "reason": "the sender you used is not valid"}),
    ("brevo", {"event": "blocked", "reason": "blacklisted sender"}),
    ("brevo", {"event": "blocked", "reason": "no credits are left"}),
    ("mailjet", blocked("spam", "content blocked")),
    ("mailjet", blocked("spam", "sender blocked")),
    ("mailjet", blocked("domain", "relay/access denied")),
    ("mailjet", blocked("mailjet", "duplicate in campaign")),
    ("mailjet", blocked("", "")),
    ("mailjet", {"hard_bounce": True, "error_related_to": "spam", "error": "policy issue"}),
]
PERSONS = [
    ("postmark", {"Type": "SMTPApiError", "Details": "406: the recipient is inactive"}),
    ("postmark", {"Type": "ManuallyDeactivated"}),
    ("mailgun", failed("suppress-complaint", 607)),
    ("mailgun", failed("generic", 605, "Not delivering to previously bounced address")),
    ("mailgun", failed("bounce", 550, "5.1.1 no such user")),
    ("brevo", {"event": "blocked", "reason": ""}),
    ("brevo", {"event": "blocked", "reason": "due to blacklist user"}),
    ("mailjet", blocked("mailjet", "preblocked")),
    ("mailjet", blocked("recipient", "spam reporter")),
    ("ses", hard("smtp; 550 5.1.1 user unknown")),
]


def kind_of(provider: str, change: dict[str, Any]) -> str:
    source = Source({}, datetime.now(UTC))
    [found] = parse(provider=provider, document=json.loads(told(provider, "0" * 32, change).body), source=source)
    return str(found["kind"])


@pytest.mark.parametrize(("provider", "change"), OURS)
def test_a_refusal_that_means_us_or_the_letter_gives_nobody_up(provider: str, change: dict[str, Any]) -> None:
    assert PROVES[kind_of(provider, change)] == S.READY


@pytest.mark.parametrize(("provider", "change"), PERSONS)
def test_a_refusal_that_means_the_person_needs_another_channel(provider: str, change: dict[str, Any]) -> None:
    assert PROVES[kind_of(provider, change)] == S.NEEDS_OTHER_CHANNEL
