"""Asking providers by API about our account: each question is a GET that sends nothing and proves the key.

Asked is only what a provider documents: Postmark "Server API", Resend "List Domains", Mailgun "Get domain details" (v4), SendGrid
"Retrieve a list of scopes", "List all authenticated domains" and "Get All Verified Senders", Brevo "Get your account information"
and "Get the list of all sender domains", Mailjet "sender". No word of an answer is repeated, and no key.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from incidents.dispatch.channels.address import MailAddress
from incidents.dispatch.channels.contract import SendError
from incidents.dispatch.channels.http import HttpLine, provider_key, provider_url
from incidents.dispatch.channels.meanings import read_json
from incidents.dispatch.events.bodies import items, part, text_of
from incidents.dispatch.gate.findings import BLOCK, OK, WARN, Finding

#: A call that takes longer than this is no answer.
SECONDS = 8
REFUSED = frozenset({401, 403})
LOOK_THERE = "Sign in at the provider and look; then send a test letter to yourself."
#: Where questions are asked at another version of the API than letters are handed over at.
VERSIONS: Mapping[str, tuple[str, str]] = MappingProxyType({"mailgun": ("v3/", "v4/"), "mailjet": ("v3.1/", "v3/")})


class Unclear(Exception):
    """No answer, or none that says anything of our account. Its text holds neither keys nor words of the answer."""


@dataclass(frozen=True)
class Told:
    """200, 401, 403 or 404, and the answer's JSON."""

    status: int
    data: Any


class Account:
    """One account with our keys. The same question is asked once."""

    def __init__(self, address: MailAddress) -> None:
        """Raises ImproperlyConfigured when a key is not set."""
        # Loaded when it is asked for: its HTTP library takes long to import, and every command comes by here.
        where = "incidents.dispatch.channels.anymail"
        service, regions = import_string(f"{where}.SERVICES")[address.kind], import_string(f"{where}.REGIONS")
        self.kind, self.options = address.kind, address.options
        keys = [provider_key(kind=address.kind, name=name) for name in service.keys.values()]
        default = regions.get((address.kind, address.options.get("region", "")), service.url)
        self._line = HttpLine(base=provider_url(kind=address.kind, default=default), seconds=SECONDS)
        self._root = self._line.path.replace(*VERSIONS.get(address.kind, ("v3/", "v3/")))
        self._heads = {"Accept": "application/json", "User-Agent": "breach-notifier", **HEADS[address.kind](*keys)}
        self._told = dict[str, Told]()

    def get(self, path: str) -> Told:
        """Raises SendError, Unclear, ImproperlyConfigured."""
        if path not in self._told:
            self._told[path] = self._get(path)
        return self._told[path]

    def _get(self, path: str) -> Told:
        try:
            answer = self._line.ask(method="GET", path=self._root + path, heads=self._heads)
        except ValueError:  # its text holds the key
            raise ImproperlyConfigured(f"The key for {self.kind} holds characters that no key has.") from None
        if answer.status not in {200, 404, *REFUSED}:
            raise Unclear(f"it answers {answer.status}")
        data = read_json(answer.body) if answer.whole else None
        if answer.status == 200 and not isinstance(data, dict | list):
            raise Unclear("its answer cannot be read")
        return Told(answer.status, data)

    def close(self) -> None:
        """End the connection."""
        self._line.close()


def ask_api(address: MailAddress, sender: str) -> Iterator[Finding]:
    """Does the provider know our key, and may we send under our address? Nothing is sent."""
    try:
        account = Account(address)
    except ImproperlyConfigured as error:
        yield no_key(str(error))
        return
    prove, allow = QUESTIONS[address.kind]
    try:
        proved = answered("credentials", address.kind, lambda: prove(account))
        yield proved
        if proved.level != BLOCK:
            yield answered("sender", address.kind, lambda: allow(account, sender.lower()))
    finally:
        account.close()


def answered(name: str, kind: str, question: Callable[[], Finding]) -> Finding:
    """What was found, or why nothing was: that may be accepted, since it says nothing against our account."""
    try:
        return question()
    except ImproperlyConfigured as error:
        return no_key(str(error))
    except SendError as error:
        why = error.detail
    except Unclear as error:
        why = str(error)
    text = f"{kind} could not be asked: {why}."
    return Finding(name, BLOCK, text, "Look at the network and at the provider's status page.", acceptable=True)


def no_key(why: str) -> Finding:
    """A key that is missing, or is none."""
    return Finding("credentials", BLOCK, why, "Set it where the desk and the workers run; it never stands in MAIL.")


def key_refused(kind: str, status: int, *, acceptable: bool = False, more: str = "") -> Finding:
    """401 or 403."""
    text = f"{kind} refuses our key ({status}).{more}"
    return Finding("credentials", BLOCK, text, "Correct the key; look at what it may do, and from where.", acceptable=acceptable)


def key_taken(kind: str, more: str = "") -> Finding:
    """The provider knows us."""
    return Finding("credentials", OK, f"{kind} takes our key.{more}")


def domains_of(sender: str) -> list[str]:
    """The sender's domain and those above it, down to two labels."""
    labels = sender.rpartition("@")[2].lower().split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]


def unverified(kind: str, sender: str, what: str) -> Finding:
    """The provider would refuse our letters, or send them under another name."""
    text = f"{kind} {what} {domains_of(sender)[0]}."
    return Finding("sender", BLOCK, text, "Verify that domain there, or correct the controller's sender address in the facts.")


def not_asked(kind: str, name: str, why: str) -> Finding:
    """Whether it is so cannot be asked."""
    return Finding(name, WARN, f"{kind}: {why}", LOOK_THERE)


# -- does it know our key? ---------------------------------------------------------------------------------------------


def _key_by(path: str) -> Callable[[Account], Finding]:
    def prove(account: Account) -> Finding:
        told = account.get(path)
        if told.status in REFUSED:
            return key_refused(account.kind, told.status)
        if told.status != 200:
            raise Unclear(f"it answers {told.status}")
        return key_taken(account.kind)

    return prove


def _postmark_key(account: Account) -> Finding:
    found = _key_by("server")(account)
    if found.level == OK and part(account.get("server").data).get("DeliveryType") == "Sandbox":
        text = "The key is that of a Postmark sandbox, which takes letters and delivers none."
        return Finding("credentials", BLOCK, text, "Use the token of a server whose delivery type is Live.")
    return found


def _resend_key(account: Account) -> Finding:
    told = account.get("domains")
    if told.status == 401 and part(told.data).get("name") == "restricted_api_key":
        return not_asked("resend", "credentials", "our key is known and may only send, so nothing more can be asked with it.")
    return _key_by("domains")(account)


def _mailgun_path(account: Account) -> str:
    return f"domains/{quote(account.options['domain'], safe='')}"


def _mailgun_key(account: Account) -> Finding:
    told = account.get(_mailgun_path(account))
    if told.status in REFUSED:
        more = " A domain sending key may only send, and looks the same from here."
        return key_refused("mailgun", told.status, acceptable=True, more=more)
    return key_taken("mailgun")  # 404: it knows us, but not the domain


def _sendgrid_key(account: Account) -> Finding:
    found = _key_by("scopes")(account)
    scopes = part(account.get("scopes").data).get("scopes")
    if found.level == OK and isinstance(scopes, list) and "mail.send" not in scopes:
        text = "sendgrid knows our key, but the key may not send (it lacks mail.send)."
        return Finding("credentials", BLOCK, text, "Give the key the permission Mail Send.")
    return found


# -- may we send under our address? ------------------------------------------------------------------------------------


def _may_send(kind: str, sender: str, *, verified: set[str], waiting: set[str]) -> Finding:
    """By the addresses and domains that it lists. Whether a domain covers those below it, not all of them say."""
    own, *above = domains_of(sender)
    if verified & {sender, own}:
        return Finding("sender", OK, f"{kind} has verified {own}.")
    if verified & set(above):
        return not_asked(kind, "sender", f"it has verified a domain above {own}; whether that covers {own} is not documented.")
    return unverified(kind, sender, "has not verified" if waiting & {sender, own} else "does not know")


def _split(rows: list[dict[str, Any]], name: str, good: Callable[[dict[str, Any]], bool]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"verified": set(), "waiting": set()}
    for row in rows:
        found["verified" if good(row) else "waiting"].add(text_of(row.get(name)).lower())
    return found


def _postmark_sender(account: Account, sender: str) -> Finding:
    return not_asked("postmark", "sender", f"whether {domains_of(sender)[0]} is verified cannot be asked with a server's token.")


def _resend_sender(account: Account, sender: str) -> Finding:
    told = account.get("domains")
    if told.status != 200:
        return not_asked("resend", "sender", "our key may not ask which domains are verified.")
    rows = items(part(told.data).get("data"))
    own = domains_of(sender)[0]
    if any(text_of(row.get("name")).lower() == own and row.get("status") == "partially_verified" for row in rows):
        return not_asked("resend", "sender", f"{own} is verified in part only; look whether sending is.")
    return _may_send("resend", sender, **_split(rows, "name", lambda row: row.get("status") == "verified"))


def _mailgun_sender(account: Account, sender: str) -> Finding:
    told, domain = account.get(_mailgun_path(account)), account.options["domain"].lower()
    remedy = "Verify the domain that MAIL names at Mailgun, or correct MAIL (domain, region)."
    if told.status == 404:
        return Finding("sender", BLOCK, f"mailgun does not know {domain} in this region.", remedy)
    state = part(told.data, "domain").get("state")
    if state in ("unverified", "disabled"):
        return Finding("sender", BLOCK, f"mailgun: {domain} is {state}.", remedy)
    if state != "active":
        return not_asked("mailgun", "sender", f"it does not say whether {domain} is active.")
    if domain not in domains_of(sender) and domains_of(sender)[0] not in domains_of(domain):
        why = f"{domain} is active, but it is another domain than the sender's."
        return not_asked("mailgun", "sender", why)
    return Finding("sender", OK, f"mailgun: {domain} is active.")


def _sendgrid_sender(account: Account, sender: str) -> Finding:
    asked = [account.get(f"whitelabel/domains?domain={quote(domain, safe='')}&limit=50") for domain in domains_of(sender)]
    rows = [row for told in asked for row in items(told.data)]
    known = _split(rows, "domain", lambda row: row.get("valid") is True)
    if not known["verified"] & set(domains_of(sender)):
        asked.append(account.get("verified_senders"))
        single = _split(items(part(asked[-1].data).get("results")), "from_email", lambda row: row.get("verified") is True)
        known = {name: known[name] | single[name] for name in known}
    found = _may_send("sendgrid", sender, **known)
    if found.level == BLOCK and any(told.status != 200 for told in asked):
        return not_asked("sendgrid", "sender", "our key may not ask which domains and senders are verified.")
    return found


def _brevo_sender(account: Account, sender: str) -> Finding:
    told = account.get("senders/domains")
    if told.status != 200:
        return not_asked("brevo", "sender", "our key may not ask which domains are authenticated.")
    rows = items(part(told.data).get("domains"))
    good = _split(rows, "domain_name", lambda row: row.get("authenticated") is True and row.get("verified") is not False)
    return _may_send("brevo", sender, **good)


def _mailjet_sender(account: Account, sender: str) -> Finding:
    rows = items(part(account.get(MAILJET_SENDERS).data).get("Data"))
    own = domains_of(sender)[0]
    ours = [row for row in rows if text_of(row.get("Email")).lower() in (sender, f"*@{own}")]
    if any(row.get("Status") == "Active" for row in ours):
        return Finding("sender", OK, f"mailjet: a sender of {own} is active.")
    if ours:
        return unverified("mailjet", sender, "has not verified")
    return not_asked("mailjet", "sender", f"our address is not among its senders; whether it knows all of {own} cannot be told.")


MAILJET_SENDERS = "REST/sender?Limit=1000"


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


#: Kind -> the heads that its keys make.
HEADS: Mapping[str, Callable[..., dict[str, str]]] = MappingProxyType(
    {
        "postmark": lambda token: {"X-Postmark-Server-Token": token}, "resend": _bearer, "sendgrid": _bearer,
        "mailgun": lambda key: _basic("api", key), "brevo": lambda key: {"api-key": key}, "mailjet": _basic,
    }
)  # fmt: skip
Prove = Callable[[Account], Finding]
Allow = Callable[[Account, str], Finding]
QUESTIONS: Mapping[str, tuple[Prove, Allow]] = MappingProxyType(
    {
        "postmark": (_postmark_key, _postmark_sender), "resend": (_resend_key, _resend_sender),
        "mailgun": (_mailgun_key, _mailgun_sender), "sendgrid": (_sendgrid_key, _sendgrid_sender),
        "brevo": (_key_by("account"), _brevo_sender), "mailjet": (_key_by(MAILJET_SENDERS), _mailjet_sender),
    }
)  # fmt: skip
