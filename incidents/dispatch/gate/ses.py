"""Asking SES about our account in one region (API v2: GetAccount, GetEmailIdentity), signed by the AWS client, over our line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from incidents.dispatch.channels.address import MailAddress
from incidents.dispatch.channels.contract import SendError
from incidents.dispatch.channels.http import provider_url
from incidents.dispatch.gate.api import (
    REFUSED,
    SECONDS,
    Unclear,
    answered,
    domains_of,
    key_refused,
    key_taken,
    not_asked,
    unverified,
)
from incidents.dispatch.gate.findings import BLOCK, OK, Finding

KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
#: What the AWS client calls it when it has no keys of ours, and finds no role of the machine.
NO_KEYS = frozenset({"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


class _Said(Exception):
    """An error that SES answered with: its code and status."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code, self.status = code, status


def ask_ses(address: MailAddress, sender: str) -> Iterator[Finding]:
    """Does SES know our key, may the account send to everybody, and under our address? Nothing is sent."""
    opened: list[Any] = []
    try:
        proved = answered("credentials", "ses", lambda: _account(_client(address, opened)))
        yield proved
        if proved.level != BLOCK:
            yield answered("sender", "ses", lambda: _identity(opened[0].client, sender.lower()))
    finally:
        for one in opened:
            with suppress(Exception):
                one.close()


def _client(address: MailAddress, opened: list[Any]) -> Any:
    base = provider_url(kind="ses", default="") if settings.PROVIDER_URLS.get("ses") else ""
    make = import_string("anymail.backends.amazon_ses.EmailBackend")
    over = import_string("incidents.dispatch.channels.over_lines.ses_backend")
    try:
        opened.extend(over(make, base, address.options, SECONDS))
    except Exception as error:  # botocore makes its classes of errors at run time; their texts may hold a key
        meant = _meaning(error)
        raise Unclear(f"it answers {meant.status}") if isinstance(meant, _Said) else meant from None
    return opened[0].client


def _ask(call: Any, **about: str) -> dict[str, Any]:
    """Raises SendError, _Said, Unclear, ImproperlyConfigured."""
    try:
        found: dict[str, Any] = call(**about)
    except Exception as error:
        raise _meaning(error) from None
    return found


def _meaning(error: Exception) -> Exception:
    name, response = type(error).__name__, getattr(error, "response", None)
    if isinstance(error, SendError):
        return error
    if name in NO_KEYS:
        return ImproperlyConfigured(f"{KEYS} are not both set, and this machine has no role that SES could know.")
    if isinstance(response, dict) and "Error" in response:
        return _Said(str(response["Error"].get("Code", "")), int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)))
    return Unclear(f"the AWS client says {name}")


def _account(client: Any) -> Finding:
    try:
        found = _ask(client.get_account)
    except _Said as said:
        if said.code in DENIED:
            return not_asked("ses", "credentials", "our key is known, but it may not ask about the account (ses:GetAccount).")
        if said.status in REFUSED or said.code in ("UnrecognizedClientException", "InvalidSignatureException"):
            return key_refused("ses", said.status)
        raise Unclear(f"it answers {said.status}") from None
    if not {"SendingEnabled", "ProductionAccessEnabled"} <= set(found):
        raise Unclear("its answer cannot be read")
    if not found["SendingEnabled"] or found.get("EnforcementStatus") == "SHUTDOWN":
        return Finding("credentials", BLOCK, "ses: sending is paused for this account in this region.", "Ask AWS Support why.")
    if not found["ProductionAccessEnabled"]:
        text = "ses: the account is in the sandbox of this region and may write to verified addresses only."
        return Finding("credentials", BLOCK, text, "Request production access, or correct the region in MAIL.")
    return key_taken("ses", _left_today(found.get("SendQuota") or {}))


def _left_today(quota: dict[str, Any]) -> str:
    most, sent = quota.get("Max24HourSend"), quota.get("SentLast24Hours")
    if not isinstance(most, int | float) or not isinstance(sent, int | float) or most < 0:
        return ""
    return f" {max(0, most - sent):.0f} of {most:.0f} letters in 24 hours are left."


def _identity(client: Any, sender: str) -> Finding:
    """The address, its domain, or one above it: a verified domain covers those below it, says AWS."""
    known = False
    for name in (sender, *domains_of(sender)):
        try:
            found = _ask(client.get_email_identity, EmailIdentity=name)
        except _Said as said:
            if said.code == "NotFoundException":
                continue
            if said.code in DENIED or said.status in REFUSED:
                return not_asked("ses", "sender", "our key may not ask whether the sender is verified (ses:GetEmailIdentity).")
            raise Unclear(f"it answers {said.status}") from None
        if found.get("VerifiedForSendingStatus") is True:
            return Finding("sender", OK, f"ses has verified {name.rpartition('@')[2]}.")
        known = True
    return unverified("ses", sender, "has not verified" if known else "does not know")
