"""The gate before a release: what it looks at, what stops the release, and what a person may take on with a reason."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.db.utils import Error
from pytest_django import Settings

from incidents.audit.actions import Action
from incidents.dispatch.campaign import release
from incidents.dispatch.channels.address import read_mail_setting
from incidents.dispatch.gate import machine
from incidents.dispatch.gate.asking import look_at_provider
from incidents.dispatch.gate.findings import BLOCK
from incidents.dispatch.gate.sender_dns import NoDns, look_at_sender
from incidents.dispatch.preflight import PreflightRefused, findings_of, fresh_report, gate_obstacle, preflight
from incidents.letters.approving import ApprovalRefused, approve_content
from incidents.letters.mail import OutgoingMail
from incidents.letters.tracking import foreign_content, foreign_in_bytes
from incidents.models import AuditEvent, Campaign, CampaignState, PreflightReport
from tests.dispatch.campaigns import superuser
from tests.dispatch.events.posted import PATH, SECRETS
from tests.dispatch.test_canary import ADA, entered

GOOD = {
    "brand.example": ["v=spf1 include:_spf.relay.example -all", "some-verification=1"],
    "_spf.relay.example": ["v=spf1 ip4:192.0.2.0/24 -all"],
    "s1._domainkey.brand.example": ["v=DKIM1; k=rsa; p=MIIB"],
    "_dmarc.brand.example": ["v=DMARC1; p=reject; rua=mailto:d@brand.example"],
}


def dns_of(records: dict[str, list[str]]):  # type: ignore[no-untyped-def]
    return lambda name: records.get(name, [])


def no_dns(name: str) -> list[str]:
    raise NoDns("LifetimeTimeout")


def told(
    records: dict[str, list[str]], *, envelope: str = "brand.example", selectors: tuple[str, ...] = ("s1",)
) -> dict[str, str]:
    """Name of each finding about no-reply@brand.example -> 'good', or what is wrong."""
    found = look_at_sender(
        sender="no-reply@brand.example", envelope=envelope, selectors=list(selectors), resolver=dns_of(records)
    )
    return {one.name: "good" if one.good else one.text for one in found}


def officer() -> User:
    return User.objects.get(username="officer")


def levels(campaign: Campaign, resolver=no_dns) -> dict[str, str]:  # type: ignore[no-untyped-def]
    return {found.name: found.level for found in findings_of(campaign=campaign, resolver=resolver)}


def approved(campaign: Campaign) -> Campaign:
    approve_content(campaign=campaign, author=User.objects.get(username="counsel"), reason="read")
    campaign.refresh_from_db()
    return campaign


# -- DNS ---------------------------------------------------------------------------------------------------------------


def test_a_domain_with_spf_dkim_and_dmarc_is_good() -> None:
    assert set(told(GOOD).values()) == {"good"} and set(told(GOOD)) == {"spf", "dkim", "dmarc", "alignment"}


@pytest.mark.parametrize(
    ("records", "name", "word"),
    [
        ({"brand.example": []}, "spf", "no SPF"),
        ({"brand.example": ["v=spf1 -all", "v=spf1 ~all"]}, "spf", "2 SPF records"),
        ({"brand.example": ["v=spf1 +all"]}, "spf", "everybody"),
        ({"brand.example": ["v=spf1 " + " ".join(f"a:h{n}.example" for n in range(11)) + " -all"]}, "spf", "11 look-ups"),
        ({"s1._domainkey.brand.example": []}, "dkim", "no DKIM key"),
        ({"s1._domainkey.brand.example": ["v=DKIM1; p="]}, "dkim", "revoked"),
        ({"_dmarc.brand.example": []}, "dmarc", "no DMARC"),
        ({"_dmarc.brand.example": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}, "dmarc", "no DMARC"),
    ],
)
def test_what_is_missing_or_wrong_in_the_dns_is_named(records: dict[str, list[str]], name: str, word: str) -> None:
    assert word in told({**GOOD, **records})[name]


def test_included_records_count_among_the_look_ups_and_a_circle_ends() -> None:
    chain = {f"i{n}.example": [f"v=spf1 include:i{n + 1}.example -all"] for n in range(12)}
    assert "look-ups" in told({**GOOD, **chain, "brand.example": ["v=spf1 include:i0.example -all"]})["spf"]
    circle = {"a.example": ["v=spf1 include:b.example -all"], "b.example": ["v=spf1 include:a.example -all"]}
    assert told({**GOOD, **circle, "brand.example": ["v=spf1 include:a.example -all"]})["spf"] == "good"


def test_without_a_selector_no_key_was_looked_for() -> None:
    assert "No DKIM selector" in told(GOOD, selectors=())["dkim"]


def test_an_envelope_of_another_domain_aligns_only_by_dkim() -> None:
    elsewhere = {**GOOD, "bounces.relay.example": ["v=spf1 ip4:192.0.2.1 -all"]}
    assert told(elsewhere, envelope="bounces.relay.example")["alignment"] == "good"
    assert "cannot pass" in told(elsewhere, envelope="bounces.relay.example", selectors=())["alignment"]


def test_a_subdomain_in_the_envelope_aligns_unless_the_policy_is_strict() -> None:
    below = {**GOOD, "mail.brand.example": ["v=spf1 ip4:192.0.2.1 -all"]}
    assert told(below, envelope="mail.brand.example", selectors=())["alignment"] == "good"
    strict = {**below, "_dmarc.brand.example": ["v=DMARC1; p=reject; aspf=s"]}
    assert "cannot pass" in told(strict, envelope="mail.brand.example", selectors=())["alignment"]


# -- tracking ----------------------------------------------------------------------------------------------------------

PLAIN = OutgoingMail("0" * 32, "a@example.org", "b@example.org", "Brand", "", "en", "Subject", "text", "<p>text</p>")


@pytest.mark.parametrize(
    "html",
    [
        '<img src="https://t.example/p.gif">',
        '<p><a href="https://t.example/c?u=1">here</a></p>',
        '<p style="background:url(https://t.example/p)">x</p>',
        "<style>@import 'https://t.example/s.css';</style>",
        '<table background="https://t.example/p"></table>',
        "<script>1</script>",
        '<p onclick="x()">x</p>',
        '<LINK REL="prefetch" HREF="//t.example">',
        '<svg><image href="//t.example/p"/></svg>',
    ],
)
def test_whatever_could_tell_on_a_reader_is_found_in_the_bytes(html: str) -> None:
    assert foreign_content(mail=replace(PLAIN, html=f"<html><body>{html}</body></html>"))


def test_a_plain_letter_holds_nothing_foreign_and_words_about_addresses_are_words() -> None:
    assert foreign_content(mail=PLAIN) == []
    typed = "<p>Type www.brand.example by hand; we never send &lt;img src=x&gt; or links.</p>"
    assert foreign_content(mail=replace(PLAIN, html=typed)) == []


def test_a_part_that_nobody_planned_is_found() -> None:
    message = PLAIN.build(date=datetime(2026, 1, 1, tzinfo=UTC))
    message.add_attachment(b"x", maintype="image", subtype="gif", filename="p.gif")
    assert "image/gif" in foreign_in_bytes(raw=message.as_bytes())[0]


def test_every_letter_of_a_campaign_is_free_of_tracking(five_frozen: Campaign) -> None:
    found = {one.name: one for one in findings_of(campaign=five_frozen)}
    assert found["tracking"].level == "ok" and found["tracking"].text.startswith("4 letters")


# -- the provider ------------------------------------------------------------------------------------------------------


class Refuses:
    """A relay that refuses every sender."""

    async def handle_MAIL(self, server: object, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        return "550 not here"


def only_ada(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
    return AuthResult(success=getattr(data, "password", b"") == b"right")


@pytest.fixture
def relay() -> Iterator[Controller]:
    """A relay that asks for a sign-in."""
    running = Controller(
        object(), hostname="127.0.0.1", port=free_port(), authenticator=only_ada, auth_require_tls=False, auth_required=True
    )
    running.start()
    yield running
    running.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asked(mail: str) -> dict[str, str]:
    return {one.name: one.level for one in look_at_provider(address=read_mail_setting(mail), sender="a@brand.example")}


def test_a_relay_that_takes_our_sign_in_and_sender_is_fine(relay: Controller) -> None:
    assert asked(f"smtp://ada:right@127.0.0.1:{relay.port}") == {"transport": "ok", "credentials": "ok", "sender": "ok"}


def test_a_wrong_password_stops_the_release_and_is_not_repeated(relay: Controller) -> None:
    address = read_mail_setting(f"smtp://ada:wr0ng-secret@127.0.0.1:{relay.port}")
    found = list(look_at_provider(address=address, sender="a@brand.example"))
    assert found[-1].name == "credentials" and found[-1].level == "block" and not found[-1].acceptable
    assert "wr0ng" not in str(found)


def test_a_relay_that_refuses_our_sender_stops_the_release() -> None:
    running = Controller(Refuses(), hostname="127.0.0.1", port=free_port())
    running.start()
    try:
        assert asked(f"smtp://127.0.0.1:{running.port}")["sender"] == "block"
    finally:
        running.stop()


class Hears:
    """A relay that remembers what it was asked; `says` answers to some of it; None hangs up."""

    def __init__(self, **says: str | None) -> None:
        self.asked, self.says = list[str](), says

    def answer(self, server: SMTP, verb: str, said: str) -> str:
        self.asked.append(said)
        found = self.says.get(verb, "250 fine")
        if found is None:
            server.transport.abort()
        return found or ""

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        envelope.mail_from = address
        return self.answer(server, "mail", f"MAIL {address}")

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        return self.answer(server, "rcpt", f"RCPT {address}")

    async def handle_RSET(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return self.answer(server, "rset", "RSET")

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return self.answer(server, "quit", "QUIT")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return self.answer(server, "data", "DATA")


@contextmanager
def hearing(**says: str | None) -> Iterator[tuple[Hears, str]]:
    """Such a relay, and the MAIL that names it."""
    relay = Hears(**says)
    running = Controller(relay, hostname="127.0.0.1", port=free_port())
    running.start()
    try:
        yield relay, f"smtp://127.0.0.1:{running.port}"
    finally:
        running.stop()


@pytest.mark.parametrize("verb", ["quit", "rset"])
def test_a_relay_that_hangs_up_instead_of_saying_goodbye_stops_nothing(verb: str) -> None:
    with hearing(**{verb: None}) as (relay, mail):
        assert asked(mail) == {"transport": "ok", "credentials": "ok", "sender": "ok"}
    assert relay.asked[0] == "MAIL a@brand.example"


def test_a_relay_is_asked_what_letters_will_ask_it_and_given_none(five_frozen: Campaign, settings: Settings) -> None:
    entered(ADA)
    settings.BOUNCE_ADDRESS = "bounces@mail.example.com"
    with hearing() as (relay, settings.MAIL):
        found = {one.name: one for one in findings_of(campaign=five_frozen, resolver=no_dns)}
    assert relay.asked == [f"MAIL bounces+{'0' * 32}@mail.example.com", "RCPT ada@staff.example.com", "RSET", "QUIT"]
    assert (found["sender"].level, found["recipient"].level) == ("ok", "ok")


@pytest.mark.parametrize(("says", "level"), [("550 5.7.1 relaying denied", "block"), ("451 greylisted", "warn"), (None, "block")])
def test_a_relay_that_takes_no_letter_for_the_staff_is_named_before_the_release(
    five_frozen: Campaign, settings: Settings, says: str | None, level: str
) -> None:
    entered(ADA)
    with hearing(rcpt=says) as (_, settings.MAIL):
        found = {one.name: one for one in findings_of(campaign=five_frozen, resolver=no_dns)}
    assert (found["sender"].level, found["recipient"].level, found["recipient"].acceptable) == ("ok", level, level == "block")
    assert "ada@" not in str(found)


def test_a_relay_that_is_not_there_stops_the_release() -> None:
    assert asked(f"smtp://127.0.0.1:{free_port()}")["credentials"] == "block"


def test_a_letter_is_not_sent_unencrypted_over_a_network_unless_somebody_takes_it_on(settings: Settings) -> None:
    found = {one.name: one for one in look_at_provider(address=read_mail_setting("smtp://192.0.2.1:9"), sender="a@b.example")}
    assert found["transport"].level == "block" and found["transport"].acceptable


# -- the machine -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "level"), [(0.3, "ok"), (-4.9, "ok"), (5.1, "block"), (-3600, "block")])
def test_clocks_that_differ_by_more_than_five_seconds_stop_the_release(seconds: float, level: str) -> None:
    assert machine.skew_found(seconds=seconds).level == level


def test_the_clocks_of_one_machine_agree(five_frozen: Campaign) -> None:
    assert abs(machine.clock_skew()) < 5


def test_too_little_room_is_told(tmp_path: Path) -> None:
    assert machine.room_found(name="disk", what="x", folder=tmp_path, wanted=1).level == "ok"
    assert machine.room_found(name="disk", what="x", folder=tmp_path, wanted=10**18).level in ("warn", "block")
    assert machine.room_found(name="disk", what="x", folder=tmp_path / "gone", wanted=1).level == "warn"


# -- the report --------------------------------------------------------------------------------------------------------


def test_with_the_local_inbox_the_dns_does_not_apply_and_nothing_stops(five_frozen: Campaign) -> None:
    found = levels(five_frozen)
    assert found.pop("first_wave") == "warn" and set(found.values()) == {"ok"}
    assert {"content", "tracking", "credentials", "spf", "dkim", "dmarc", "webhook", "clock", "disk"} <= set(found)


def test_a_drill_to_what_stands_in_for_a_provider_here_asks_nobody_and_a_real_campaign_does(
    five_frozen: Campaign, settings: Settings
) -> None:
    settings.MAIL = "postmark:"
    settings.PROVIDER_URLS = {**settings.PROVIDER_URLS, "postmark": "http://127.0.0.1:9/"}
    settings.PROVIDER_KEYS = {**settings.PROVIDER_KEYS, "POSTMARK_SERVER_TOKEN": "only-for-tests"}
    assert BLOCK not in levels(five_frozen).values()
    five_frozen.incident.is_drill = False
    assert {name for name, level in levels(five_frozen).items() if level == BLOCK} >= {"credentials", "dns", "webhook"}


def test_staff_that_are_entered_end_the_warning(five_frozen: Campaign) -> None:
    entered(ADA)
    assert levels(five_frozen)["first_wave"] == "ok"


def test_without_dns_the_release_is_stopped_unless_somebody_accepts_it_with_a_reason(
    five_frozen: Campaign, settings: Settings
) -> None:  # fmt: skip
    settings.MAIL = f"smtp://192.0.2.1:{free_port()}?tls=tls"
    with pytest.raises(PreflightRefused, match="reason"):
        preflight(campaign=five_frozen, author=officer(), accept={"dns": " "}, resolver=no_dns)
    with pytest.raises(PreflightRefused, match="cannot be accepted"):
        preflight(campaign=five_frozen, author=officer(), accept={"credentials": "it will work"}, resolver=no_dns)
    report = preflight(campaign=five_frozen, author=officer(), accept={"dns": "the records are in ticket 7"}, resolver=no_dns)
    found = {one["name"]: one for one in report.findings}
    assert (found["dns"]["level"], found["dns"]["accepted_by"]) == ("accepted", "officer")
    assert report.blocked, "the relay itself still cannot be reached"
    entry = AuditEvent.objects.filter(action=Action.PREFLIGHT_MADE).order_by("-id")[0]
    assert "ticket 7" in entry.line


def test_a_changed_register_stops_it(admin_url: str) -> None:
    campaign = Campaign.objects.select_related("incident").get()
    with superuser(admin_url) as server:
        server.execute("SET session_replication_role = replica")
        server.execute("UPDATE incidents_message SET content_sha256 = repeat('0', 64)")
        server.execute("UPDATE incidents_registerentry SET line = replace(line, 'planned', 'held')")
    assert levels(campaign)["content"] == "block"


def test_a_report_is_never_changed(five_frozen: Campaign) -> None:
    report = preflight(campaign=five_frozen, author=officer())
    with pytest.raises(Error), transaction.atomic():
        PreflightReport.objects.filter(pk=report.pk).update(blocked=True)


def test_a_release_looks_by_itself_when_nobody_has(five_frozen: Campaign) -> None:
    release(campaign=approved(five_frozen), author=officer(), reason="go")
    assert five_frozen.preflights.count() == 1


def test_a_fresh_report_that_is_open_is_not_made_again_and_an_old_one_is(admin_url: str) -> None:
    campaign = Campaign.objects.select_related("incident").get()
    before = campaign.preflights.count()
    assert gate_obstacle(campaign=campaign, author=officer()) == "" and campaign.preflights.count() == before
    with superuser(admin_url) as server:
        server.execute("SET session_replication_role = replica")
        server.execute("UPDATE incidents_preflightreport SET made_at = made_at - interval '25 hours'")
    assert gate_obstacle(campaign=campaign, author=officer()) == "" and campaign.preflights.count() == before + 1


def test_a_blocked_release_is_refused_with_the_findings_and_their_remedies(five_frozen: Campaign, settings: Settings) -> None:
    settings.MAIL = f"smtp://127.0.0.1:{free_port()}"
    campaign = approved(five_frozen)
    with pytest.raises(ApprovalRefused, match="cannot be reached"):
        release(campaign=campaign, author=officer(), reason="go")
    campaign.refresh_from_db()
    assert campaign.state == CampaignState.CONTENT_APPROVED
    assert AuditEvent.objects.filter(action=Action.APPROVAL_REFUSED, line__contains="credentials").exists()


def test_a_report_about_another_provider_opens_nothing(five_frozen: Campaign, settings: Settings) -> None:
    preflight(campaign=five_frozen, author=officer())
    settings.MAIL = f"smtp://127.0.0.1:{free_port()}"
    assert fresh_report(campaign=five_frozen) is None
    assert "cannot be reached" in gate_obstacle(campaign=five_frozen, author=officer())


@pytest.mark.parametrize(("mail", "still"), [
    ("smtp://ada:secret@127.0.0.1:1", True), ("smtp://ada:another-secret@127.0.0.1:1", True), ("smtp://ada:secret@127.0.0.1:2", False),
    ("smtp://ada:secret@localhost:1", False), ("smtp://bo:secret@127.0.0.1:1", False),
    ("smtp://ada:secret@127.0.0.1:1?tls=tls", False), ("smtp://ada:secret@127.0.0.1:1?name=second", False),
])  # fmt: skip
def test_a_report_about_another_relay_of_the_same_kind_opens_nothing(
    five_frozen: Campaign, settings: Settings, mail: str, still: bool
) -> None:
    settings.MAIL = "smtp://ada:secret@127.0.0.1:1"
    report = preflight(campaign=five_frozen, author=officer())
    assert not any(word in json.dumps(report.findings[0]) for word in ("ada", "secret", "127.0.0.1"))
    settings.MAIL = mail
    assert (fresh_report(campaign=five_frozen) is not None) == still


def test_who_only_looks_needs_no_key_and_hears_which_one_is_missing(five_frozen: Campaign, settings: Settings) -> None:
    settings.MAIL = "postmark:?name=first"
    report = preflight(campaign=five_frozen, author=officer(), resolver=no_dns)
    found = {one["name"]: one for one in report.findings}
    assert report.provider == "first" and fresh_report(campaign=five_frozen) == report
    assert found["credentials"]["level"] == "block" and "POSTMARK_SERVER_TOKEN is not set" in found["credentials"]["text"]


def test_the_second_provider_is_asked_the_same_and_only_warns(five_frozen: Campaign, settings: Settings) -> None:
    settings.MAIL_FALLBACK = "resend:"
    found = levels(five_frozen)
    assert (found["fallback credentials"], found["fallback webhook"], found["credentials"]) == ("warn", "warn", "ok")
    settings.MAIL_FALLBACK = "inbox:"  # of the same name as the first
    assert [one.level for one in findings_of(campaign=five_frozen) if one.name.startswith("fallback")] == ["warn"]


def test_spf_is_looked_for_where_a_relay_sends_bounces_to(five_frozen: Campaign, settings: Settings) -> None:
    settings.MAIL, settings.BOUNCE_ADDRESS = f"smtp://192.0.2.1:{free_port()}?tls=tls", "b@bounces.example"
    found = {one.name: one for one in findings_of(campaign=five_frozen, resolver=dns_of({}))}
    assert found["spf"].text.startswith("bounces.example ")


# -- the webhook -------------------------------------------------------------------------------------------------------


class Answers(http.server.BaseHTTPRequestHandler):
    """A desk that takes events by POST only."""

    def do_GET(self) -> None:
        known = {"/desk/events/postmark": 405, "/unset/events/postmark": 503}
        self.send_response(known.get(self.path.removesuffix("/preflight/"), 404))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def public() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize(("path", "level"), [("/desk", "ok"), ("/unset", "warn"), ("/elsewhere", "block")])
def test_the_webhook_is_looked_at_where_the_world_would(
    five_frozen: Campaign, settings: Settings, public: str, path: str, level: str
) -> None:  # fmt: skip
    settings.MAIL, settings.PUBLIC_URL = "postmark:", public + path
    settings.EVENTS_PATH, settings.EVENTS_SECRETS = PATH, dict(SECRETS)
    assert levels(five_frozen)["webhook"] == level


def test_a_webhook_that_answers_and_takes_nothing_is_named_with_what_will_not_be_known(
    five_frozen: Campaign, settings: Settings, public: str
) -> None:
    settings.MAIL, settings.PUBLIC_URL, settings.EVENTS_PATH = "postmark:", public + "/desk", ""
    found = {one.name: one for one in findings_of(campaign=five_frozen, resolver=no_dns)}["webhook"]
    assert found.level == "warn" and "letters that come back stay counted as taken" in found.text
    assert "Set EVENTS_PATH" in found.remedy and "POSTMARK_WEBHOOK_AUTH" not in found.text


def test_a_relay_whose_bounces_nobody_reads_is_named_with_what_will_not_be_known(
    five_frozen: Campaign, settings: Settings
) -> None:
    settings.MAIL = f"smtp://127.0.0.1:{free_port()}"
    found = {one.name: one for one in findings_of(campaign=five_frozen)}["webhook"]
    assert found.level == "warn" and "BOUNCE_ADDRESS" in found.remedy and "come back" in found.text
    settings.BOUNCE_ADDRESS = "bounces@mail.example.com"
    assert levels(five_frozen)["webhook"] == "ok"


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1"])
def test_a_webhook_that_is_not_set_or_not_there_stops_the_release(five_frozen: Campaign, settings: Settings, url: str) -> None:
    settings.MAIL, settings.PUBLIC_URL = "postmark:", url
    assert levels(five_frozen)["webhook"] == "block"


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_ends_with_one_when_something_stops_the_release(
    five_frozen: Campaign, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    call_command("preflight", five_frozen.reference, "--json", "--as", "officer")
    assert json.loads(capsys.readouterr().out)["blocked"] is False
    settings.MAIL = f"smtp://127.0.0.1:{free_port()}"
    with pytest.raises(SystemExit) as ended:
        call_command("preflight", five_frozen.reference, "--as", "officer")
    assert ended.value.code == 1 and "the release is stopped" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        call_command("preflight", five_frozen.reference, "--accept", "dns")
    assert ended.value.code == 2
