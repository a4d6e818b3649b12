"""The gate before a release: whether letters can leave, will be let in, and what comes back will be heard.

Each finding has a name, a level, words and a remedy. `block` stops the release; some blocks (what only the DNS or another network
can tell) may be accepted by a person with a reason, which is kept in the report and in the log.
"""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.dispatch.channels.address import MailAddress, read_mail_setting
from incidents.dispatch.channels.choose import providers
from incidents.dispatch.conservation import changed_since_freeze
from incidents.dispatch.events.bounces import return_path
from incidents.dispatch.events.secrets import missing_for
from incidents.dispatch.events.shapes import BOUNCE_ADDRESS
from incidents.dispatch.forecast import forecast, spent_in_words
from incidents.dispatch.gate.asking import is_stand_in, look_at_provider, look_at_stand_in, stays_here
from incidents.dispatch.gate.findings import ACCEPTED, BLOCK, OK, WARN, Finding
from incidents.dispatch.gate.machine import look_at_machine
from incidents.dispatch.gate.sender_dns import NoDns, Resolver, Told, look_at_sender, txt_records
from incidents.dispatch.prepare import person_mail
from incidents.dispatch.staff import brand_of, opened, wave_of
from incidents.letters.tracking import foreign_content
from incidents.models import Campaign, Letter, PreflightReport
from incidents.models.refusal import Refused
from incidents.record import PersonFields
from incidents.vault import CannotOpen
from incidents.visible import visible

#: A report older than this says nothing about today.
FRESH = timedelta(hours=24)
SECONDS = 5
#: A letter that is nobody's, and a reader who is nobody, in place of the people whose records the gate has no reason to open.
NO_REF = "0" * 32
NOBODY = PersonFields.of(full_name="Nobody", emails=("nobody@example.org",))


class PreflightRefused(Refused):
    """The gate stays shut, or a finding cannot be accepted."""


def preflight(
    *, campaign: Campaign, author: User, accept: Mapping[str, str] | None = None, resolver: Resolver = txt_records
) -> PreflightReport:
    """Look at everything and keep the report. `accept`: name of a finding that may be accepted -> the reason.

    Raises PreflightRefused when something is accepted that may not be, or without a reason.
    """
    findings = _accepted(findings_of(campaign=campaign, resolver=resolver), accept or {}, author)
    blocked = [finding.name for finding in findings if finding.level == BLOCK]
    taken_on = {finding.name: finding.reason for finding in findings if finding.level == ACCEPTED}
    with transaction.atomic():
        report = PreflightReport.objects.create(
            campaign=campaign, provider=_provider(), findings=[asdict(finding) for finding in findings],
            blocked=bool(blocked), made_at=database_now(), made_by=author.username,
        )  # fmt: skip
        data = {"campaign": campaign.reference, "report": report.pk, "blocked": blocked, "accepted": taken_on}
        record(incident=campaign.incident, action=Action.PREFLIGHT_MADE, actor=author.username, data=data)
    return report


def fresh_report(*, campaign: Campaign) -> PreflightReport | None:
    """The newest report of the last 24 hours about what `MAIL` names now: another relay under the same name is another one."""
    asked = _asked_about()
    about = [{"name": asked.name, "text": asked.text}]
    found = campaign.preflights.filter(made_at__gt=database_now() - FRESH, provider=_provider(), findings__contains=about)
    return found.order_by("-id").first()


def _asked_about() -> Finding:
    """A fingerprint of what `MAIL` names, without its password: who reads a report learns no host and no name from it."""
    at = read_mail_setting(settings.MAIL)
    url = urlsplit(settings.PROVIDER_URLS.get(at.kind, ""))
    parts = [
        at.kind,
        at.known_as,
        at.host,
        at.port,
        at.user,
        at.tls,
        sorted(at.options.items()),
        url.hostname,
        url.port,
        url.path,
    ]
    fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    return Finding("asked", OK, f"What MAIL names ({at.known_as}, fingerprint {fingerprint}).")


def _provider() -> str:
    """What `MAIL` calls its provider. It is not made: that would need its key, which who only reads reports may not have."""
    return read_mail_setting(settings.MAIL).known_as


def gate_obstacle(*, campaign: Campaign, author: User) -> str:
    """Why the gate is shut, after looking (again) unless a fresh report opens it; empty when it is open."""
    report = fresh_report(campaign=campaign)
    if report is None or report.blocked:
        report = preflight(campaign=campaign, author=author)
    lines = [f"{found['name']}: {found['text']} {found['remedy']}" for found in report.findings if found["level"] == BLOCK]
    return f"The preflight stops the release. {' '.join(lines)}" if report.blocked else ""


def findings_of(*, campaign: Campaign, resolver: Resolver = txt_records) -> list[Finding]:
    """Everything that the gate looks at, in the order of the way of a letter."""
    address, sender = read_mail_setting(settings.MAIL), str(campaign.headers["sender"])
    found = [_asked_about(), *_content(campaign)]
    if campaign.incident.is_drill and is_stand_in(address):
        found += look_at_stand_in(address=address)
    else:
        found += [*_provider_asked(address, sender, campaign), *_sender_domain(address, sender, resolver)]
        found.append(_webhook(address))
    found += [*_fallback(sender, campaign), _quota(campaign)]
    found += look_at_machine(people=campaign.people)
    found.append(_first_wave(campaign))
    return found


def _accepted(findings: list[Finding], accept: Mapping[str, str], author: User) -> list[Finding]:
    may = {finding.name for finding in findings if finding.level == BLOCK and finding.acceptable}
    for name, reason in accept.items():
        if name not in may:
            raise PreflightRefused(f"'{name}' cannot be accepted: it does not stop the release, or it has to be mended.")
        if not visible(reason):
            raise PreflightRefused(f"Accepting '{name}' needs its reason in words.")
    return [
        replace(finding, level=ACCEPTED, accepted_by=author.username, reason=accept[finding.name].strip())
        if finding.name in accept and finding.level == BLOCK
        else finding
        for finding in findings
    ]


# -- what is sent ------------------------------------------------------------------------------------------------------


def _content(campaign: Campaign) -> Iterator[Finding]:
    changed = changed_since_freeze(campaign=campaign)
    if changed:
        text = f"Something was changed behind the signature ({'; '.join(changed)})."
        yield Finding("content", BLOCK, text, "Stop this campaign and look into it.")
    else:
        yield Finding("content", OK, "Register and letters are as they were frozen.")
    yield _tracking(campaign)


def _tracking(campaign: Campaign) -> Finding:
    """Every letter of the campaign once, put into bytes for a reader who is nobody."""
    used = campaign.register.exclude(letter=None).values("letter_id").distinct()
    letters, wrong = list(Letter.objects.filter(pk__in=used)), dict[str, None]()
    for letter in letters:
        mail = person_mail(
            fields=NOBODY, letter_sha256=letter.sha256, body=letter.compiled, message_ref=NO_REF, headers=campaign.headers
        )
        wrong |= dict.fromkeys(foreign_content(mail=mail))
    if wrong:
        text = f"Reading a letter would tell somebody: {'; '.join(wrong)}."
        return Finding("tracking", BLOCK, text, "Stop this campaign, take it out of the letters, freeze again.")
    return Finding("tracking", OK, f"{len(letters)} letters in bytes: nothing is loaded, no link, nothing runs.")


# -- who carries it ----------------------------------------------------------------------------------------------------


def _provider_asked(address: MailAddress, sender: str, campaign: Campaign) -> Iterator[Finding]:
    recipient = _one_of_the_wave(campaign) if address.kind == "smtp" else ""
    bounces_to = _bounces_to(address, sender)
    yield from look_at_provider(address=address, sender=sender, bounces_to=bounces_to, recipient=recipient)


def _bounces_to(address: MailAddress, sender: str) -> str:
    return return_path(message_ref=NO_REF, sender=sender) if address.kind == "smtp" else sender


def _one_of_the_wave(campaign: Campaign) -> str:
    """The address of one of the staff who will get the first wave, such as any relay can be asked about; empty: there is none."""
    try:
        known = [opened(staff=one).email for one in wave_of(campaign=campaign)]
    except CannotOpen:
        return ""
    return next((email for email in known if email.isascii()), "")


# -- the sender's name in the world ------------------------------------------------------------------------------------


def _sender_domain(address: MailAddress, sender: str, resolver: Resolver) -> Iterator[Finding]:
    if stays_here(address):
        for name in ("spf", "dkim", "dmarc", "alignment"):
            yield Finding(name, OK, "Not applicable: letters stay on this machine.")
        return
    envelope = _bounces_to(address, sender).rpartition("@")[2].lower()
    try:
        told = list(look_at_sender(sender=sender, envelope=envelope, selectors=settings.DKIM_SELECTORS, resolver=resolver))
    except NoDns as error:
        text = f"No name server answers ({error}), so SPF, DKIM and DMARC of {sender.rpartition('@')[2]} are not known."
        yield Finding("dns", BLOCK, text, "Let this machine ask the DNS, or accept it with what you know.", acceptable=True)
        return
    yield from map(_as_finding, told)


def _as_finding(told: Told) -> Finding:
    return Finding(told.name, OK if told.good else BLOCK, told.text, told.remedy, acceptable=not told.good)


# -- what comes back ---------------------------------------------------------------------------------------------------


def _webhook(address: MailAddress) -> Finding:
    if address.kind == "inbox":
        return Finding("webhook", OK, "Not applicable: the local inbox tells by itself.")
    if address.kind == "smtp":
        return _bounces()
    if not settings.PUBLIC_URL:
        text = "PUBLIC_URL is not set, so the provider cannot tell what became of the letters: bounces would stay unknown."
        remedy = "Set PUBLIC_URL to this desk's https address, and enter the webhook at the provider."
        return Finding("webhook", BLOCK, text, remedy, acceptable=True)
    answer = webhook_answer(url=settings.PUBLIC_URL, provider=address.kind)
    missing = missing_for(address.kind)
    if answer == SHUT or (answer == OURS and missing):
        remedy = " ".join(one.remedy for one in missing) or f"Set EVENTS_PATH and the secret of {address.kind} for the desk."
        text = f"The webhook under PUBLIC_URL answers, but takes no event of {address.kind}: {UNHEARD}"
        return Finding("webhook", WARN, text, f"{remedy} Then enter the address at the provider (docs/events.md).")
    if answer == OURS:
        return Finding("webhook", OK, f"The webhook under PUBLIC_URL answers ({answer}) and takes events of {address.kind}.")
    what = f"answers {answer}" if answer else "does not answer"
    text = f"The webhook under PUBLIC_URL {what}, seen from this machine."
    remedy = "Look at the proxy and at PUBLIC_URL; the provider must reach it by https."
    return Finding("webhook", BLOCK, text, remedy, acceptable=True)


def _bounces() -> Finding:
    if BOUNCE_ADDRESS.fullmatch(settings.BOUNCE_ADDRESS):
        text = (
            "A relay tells by bounce mails: each letter names itself in its return path, and read_bounces reads what comes there."
        )
        return Finding("webhook", OK, text)
    text = f"BOUNCE_ADDRESS is not set: bounces go to the sender's mailbox, where no program reads them, and {UNHEARD}"
    remedy = "Set BOUNCE_ADDRESS and let read_bounces read what comes there (docs/events.md), or read that mailbox by hand."
    return Finding("webhook", WARN, text, remedy)


#: What takes events takes them by POST only, and says so to a plain look (RFC 9110, 15.5.6); or that nothing is set up for them.
OURS, SHUT = 405, 503
UNHEARD = "letters that come back stay counted as taken ('accepted, no answer'), and doubts end by time, never by an event."


def webhook_answer(*, url: str, provider: str) -> int:
    """The status with which the webhook answers a plain look; 0 when nothing answers."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    at = kind(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        at.request("GET", f"{parts.path.rstrip('/')}/events/{provider}/preflight/")
        return at.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        at.close()


def _quota(campaign: Campaign) -> Finding:
    """Whether all that the provider may be given is enough for the deadlines. A late letter is better than none: a warning."""
    try:
        now = forecast(campaign=campaign)
    except ImproperlyConfigured as error:
        return Finding("quota", WARN, f"Nothing can be forecast: {error}", "Mend that first; then make the preflight again.")
    ahead = [one for one in now.deadlines if one.due_at and one.due_at > now.as_of]
    missed = [one for one in ahead if one.is_limited and (one.missed_by_allowed or one.ends_at_allowed is None)]
    text = f"{now.letters_left} letters wait; {now.allowed_in_words}."
    if missed:
        text += f" The deadline of {missed[0].name} ({missed[0].letters} of them) would be missed even so."
        return Finding("quota", WARN, text, "Raise the limit at the provider and in PROVIDER_RATES, or add a second provider.")
    if now.pace.blocked_until:
        text += f" It takes nothing before {now.pace.blocked_until:%Y-%m-%d %H:%M} UTC."
        return Finding("quota", WARN, text, "Look at the provider.")
    if now.letters_left and now.pace.spent_until:
        text += f" {spent_in_words(pace=now.pace)}."
        remedy = "Wait for it, or add a second provider."
        return Finding("quota", WARN, text, "MAIL_FALLBACK carries them until then." if settings.MAIL_FALLBACK else remedy)
    return Finding("quota", OK, text)


# -- the second provider -----------------------------------------------------------------------------------------------


def _fallback(sender: str, campaign: Campaign) -> Iterator[Finding]:
    """The one that takes over is asked the same. Letters can leave without it, so it only warns."""
    if not settings.MAIL_FALLBACK:
        return
    try:
        providers()  # two of one name cannot be told apart
        address = read_mail_setting(settings.MAIL_FALLBACK, "MAIL_FALLBACK")
    except ImproperlyConfigured as error:
        found = [Finding("credentials", WARN, str(error), "Correct MAIL_FALLBACK.")]
    else:
        found = [*_provider_asked(address, sender, campaign), _webhook(address)]
    for one in found:
        yield replace(one, name=f"fallback {one.name}", level=WARN if one.level == BLOCK else one.level, acceptable=False)


# -- the first wave ----------------------------------------------------------------------------------------------------


def _first_wave(campaign: Campaign) -> Finding:
    number, brand = len(wave_of(campaign=campaign)), brand_of(incident=campaign.incident)
    if number:
        return Finding("first_wave", OK, f"{number} of the staff get a letter each before anybody else.")
    reserved = " under a reserved name, the only ones that a drill writes to" if campaign.incident.is_drill else ""
    text = f"Nobody of the staff is entered for {brand}{reserved}: there is no first wave."
    return Finding("first_wave", WARN, text, "Enter staff recipients; then a wrong letter stops with them.")
