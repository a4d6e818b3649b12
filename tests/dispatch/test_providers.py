"""Where mail is handed over: what `MAIL` may say, what the inbox plays, and what each answer of a relay means."""

from __future__ import annotations

import email
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from email.message import EmailMessage
from email.policy import default

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from incidents.dispatch.channels.address import MailAddress, read_mail_setting
from incidents.dispatch.channels.choose import UnknownProvider, provider_for, provider_named, providers
from incidents.dispatch.channels.contract import Answer, Prepared, SendError, SendErrorKind
from incidents.dispatch.channels.inbox import InboxProvider, open_inbox_message, read_inbox_message, simulated_events
from incidents.dispatch.channels.smtp import SmtpProvider
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.owner import Owner
from incidents.dispatch.work import dispatch, send_ready
from incidents.letters.mail import OutgoingMail
from incidents.letters.ready import Built
from incidents.models import Campaign, CampaignState, InboxMessage, Incident, Message
from incidents.models import MessageState as S
from tests.dispatch.campaigns import states

K = SendErrorKind


def mail_to(address: str, *, ref: str = "ab" * 16) -> OutgoingMail:
    return OutgoingMail(
        message_ref=ref, to=address, sender="notice@cartier.example", sender_name="Cartier", reply_to="dpo@cartier.example",
        language="fr", subject="Vos données — ce qui s’est passé", text="Chère Claire,\n.\nFin", html="<p>Chère Claire</p>",
    )  # fmt: skip


# MAIL


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("inbox:", MailAddress("inbox")),
        ("inbox:?delay_ms=20", MailAddress("inbox", delay_ms=20)),
        ("smtp://relay.example:2525", MailAddress("smtp", "relay.example", 2525)),
        ("smtp://relay.example", MailAddress("smtp", "relay.example", 25)),
        ("smtp://[::1]:25", MailAddress("smtp", "::1", 25)),
        (
            "smtp://me%40brand:p%3Aw%2Fd@relay.example:587?tls=starttls",
            MailAddress("smtp", "relay.example", 587, "me@brand", "p:w/d", "starttls"),
        ),
        ("smtp://relay.example:465?tls=tls", MailAddress("smtp", "relay.example", 465, tls="tls")),
        ("smtp://relay.example?name=second", MailAddress("smtp", "relay.example", 25, name="second")),
        ("postmark:", MailAddress("postmark")),
        ("postmark:?stream=broadcast&batch=100", MailAddress("postmark", batch=100, options={"stream": "broadcast"})),
        ("resend:", MailAddress("resend")),
        ("ses:?region=eu-west-1", MailAddress("ses", options={"region": "eu-west-1"})),
        (
            "mailgun:?domain=mg.cartier.example&region=eu",
            MailAddress("mailgun", options={"domain": "mg.cartier.example", "region": "eu"}),
        ),
        ("sendgrid:", MailAddress("sendgrid")),
        ("brevo:", MailAddress("brevo")),
        ("mailjet:?name=jet", MailAddress("mailjet", name="jet")),
    ],
)
def test_the_mail_setting_is_read(value: str, address: MailAddress) -> None:
    assert read_mail_setting(value) == address


@pytest.mark.parametrize(
    "value",
    [
        "", "inbox", "smtp:", "smtp://", "smtp://relay:25?tls=maybe", "http://relay", "relay:25",
        "smtp://relay:port", "smtp://relay:99999", "inbox:?delay_ms=soon", "inbox:?delay_ms=-5", "inbox:?delay=5",
        "smtp://relay/path", "smtp://relay#x", "smtp://[::1", "ses:", "ses:?region=", "mailgun:?region=eu", "postmark://api.example",
        "postmark:secret-token", "smtp://ho st", "smtp://relay..example", "resend:?key=re_1", "resend:?batch=many", "brevo:?name=Not A Name", "mandrill:",
    ],
)  # fmt: skip
def test_a_mail_setting_that_cannot_be_meant_is_refused_in_words(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="MAIL"):
        read_mail_setting(value)


@pytest.mark.parametrize(
    "value", ["smtp://user:hunter2@relay:port", "smtp://user:hunter2@relay?tls=maybe", "hunter2", "resend:hunter2"]
)
def test_a_refusal_repeats_no_password(value: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        read_mail_setting(value)
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(read_mail_setting("smtp://user:hunter2@relay"))


def test_the_setting_chooses_the_provider() -> None:
    assert isinstance(provider_for("inbox:"), InboxProvider)
    assert isinstance(provider_for("smtp://relay.example"), SmtpProvider)


def test_every_provider_is_known_by_its_kind_or_by_the_name_it_was_given(settings: Settings) -> None:
    settings.PROVIDER_KEYS = dict.fromkeys(settings.PROVIDER_KEYS, "secret-key")
    ways = ["inbox:", "smtp://r", "postmark:", "resend:", "ses:?region=a", "mailgun:?domain=a", "sendgrid:", "brevo:", "mailjet:"]
    found = [provider_for(way) for way in ways]
    assert [provider.name for provider in found] == [way.partition(":")[0] for way in ways]
    assert [provider.reports_delivery for provider in found].count(False) == 1
    assert provider_for("brevo:?name=eu-brevo").name == "eu-brevo"


def test_the_fallback_comes_second_and_both_are_found_by_name(settings: Settings) -> None:
    settings.MAIL, settings.MAIL_FALLBACK = "inbox:", ""
    assert providers() == ["inbox"]
    settings.MAIL_FALLBACK = "smtp://relay.example"
    assert providers() == ["inbox", "smtp"]
    assert isinstance(provider_named("inbox"), InboxProvider)
    assert isinstance(provider_named("smtp"), SmtpProvider)
    with pytest.raises(UnknownProvider):
        provider_named("postmark")


def test_two_relays_need_two_names(settings: Settings) -> None:
    settings.MAIL, settings.MAIL_FALLBACK = "smtp://a.example", "smtp://b.example"
    with pytest.raises(ImproperlyConfigured, match="MAIL_FALLBACK.*name=second"):
        providers()
    settings.MAIL_FALLBACK = "smtp://b.example?name=second"
    assert providers() == ["smtp", "second"]
    assert provider_named("second").name == "second"


def test_a_fallback_that_cannot_be_meant_is_refused_under_its_own_name(settings: Settings) -> None:
    settings.MAIL, settings.MAIL_FALLBACK = "inbox:", "smtp://b.example?tls=maybe"
    with pytest.raises(ImproperlyConfigured, match="^MAIL_FALLBACK"):
        providers()


# The inbox


def pending(incident: Incident, ref: str) -> list[str]:
    return list(InboxMessage.objects.filter(message_ref=ref).order_by("id").values_list("pending_event", flat=True))


@pytest.mark.parametrize(
    ("address", "answers"),
    [
        ("claire@example.org", ["delivered", "delivered"]),
        ("hanna@hard-bounce.test", ["bounced_hard", "bounced_hard"]),
        ("sven@soft-bounce.test", ["bounced_soft", "delivered"]),
    ],
)
def test_the_inbox_plays_bounces_by_address(incident: Incident, address: str, answers: list[str]) -> None:
    inbox = InboxProvider()
    for _ in answers:
        inbox.send(mail=mail_to(address), incident=incident)
    assert pending(incident, "ab" * 16) == answers
    assert [event["kind"] for event in simulated_events()] == answers
    assert list(simulated_events()) == []


def test_the_inbox_keeps_mail_sealed_and_opens_it_whole(incident: Incident) -> None:
    InboxProvider().send(mail=mail_to("claire@example.org"), incident=incident)
    stored = InboxMessage.objects.get()
    assert b"claire" not in bytes(stored.sealed).lower()
    shown = open_inbox_message(message=stored)
    assert shown["to"] == "claire@example.org"
    assert shown["subject"] == "Vos données — ce qui s’est passé"
    assert shown["text"].splitlines() == ["Chère Claire,", ".", "Fin"]
    assert "<p>Chère Claire</p>" in shown["html"]


def test_the_inbox_knows_what_it_holds_but_not_tests(incident: Incident) -> None:
    inbox = InboxProvider()
    assert inbox.look_up(message_ref="ab" * 16) is False
    inbox.send(mail=mail_to("claire@example.org"), incident=incident, test=True)
    assert inbox.look_up(message_ref="ab" * 16) is False
    inbox.send(mail=mail_to("claire@example.org"), incident=incident)
    assert inbox.look_up(message_ref="ab" * 16) is True


def prepared(mail: OutgoingMail) -> Prepared:
    return Built(mail, "Mon, 05 Jan 2026 09:00:00 +0000", mail.sender)


def test_lanes_of_the_inbox_store_what_was_begun_and_answer_it_once(incident: Incident) -> None:
    lanes = InboxProvider().lanes(incident=incident, number=3)
    for lane in range(3):
        lanes.begin(lane=lane, letters=[prepared(mail_to("claire@example.org", ref=f"{lane:032x}"))])
    assert not InboxMessage.objects.exists()
    found = dict(lanes.answers(seconds=1))
    assert [len(found[lane]) for lane in range(3)] == [1, 1, 1]
    assert lanes.answers(seconds=0) == []
    stored = InboxMessage.objects.order_by("message_ref")
    assert [message.message_ref for message in stored] == [f"{lane:032x}" for lane in range(3)]
    assert {answer.provider_id for answers in found.values() for answer in answers} == {f"inbox-{one.pk}" for one in stored}
    assert str(read_inbox_message(message=stored[0])["Date"]) == "Mon, 05 Jan 2026 09:00:00 +0000"
    lanes.close()


def test_a_slow_inbox_answers_when_its_delay_is_over(incident: Incident) -> None:
    lanes = InboxProvider(delay_ms=300).lanes(incident=incident, number=1)
    lanes.begin(lane=0, letters=[prepared(mail_to("claire@example.org"))])
    assert lanes.answers(seconds=0.01) == []
    assert [lane for lane, _ in lanes.answers(seconds=5)] == [0]


def test_what_an_inbox_refuses_is_an_answer_and_no_crash(incident: Incident) -> None:
    class Refusing(InboxProvider):
        def keep(self, **anything: object) -> str:
            raise SendError(kind=K.NOT_SENT, detail="full", retry_after=5, throttled=True)

    lanes = Refusing().lanes(incident=incident, number=1)
    lanes.begin(lane=0, letters=[prepared(mail_to("claire@example.org"))])
    assert lanes.answers(seconds=1) == [(0, [Answer(error=K.NOT_SENT, detail="full", retry_after=5, throttled=True)])]


# A relay


class Relay:
    """A relay that answers as told: stage -> replies, used up in order."""

    def __init__(self) -> None:
        self.mails: list[tuple[Envelope, EmailMessage]] = []
        self.replies: dict[str, list[str]] = {}
        self.sessions = 0

    def _next(self, stage: str) -> str | None:
        left = self.replies.get(stage) or []
        return left.pop(0) if left else None

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        answer = self._next("MAIL")
        if answer is None:
            envelope.mail_from = address
        return answer or "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        answer = self._next("RCPT")
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self._next("after DATA")
        if answer == "hang up":
            server.transport.abort()  # type: ignore[union-attr]
            return "250 never heard"
        if answer is None or answer.startswith("2"):
            parsed = email.message_from_bytes(envelope.original_content or b"", policy=default)
            assert isinstance(parsed, EmailMessage)
            self.mails.append((envelope, parsed))
        return answer or "250 queued as 4711"


class Server(SMTP):
    """aiosmtpd that may also refuse the DATA command itself."""

    async def smtp_DATA(self, arg: str) -> None:
        answer = self.event_handler._next("DATA") if self.envelope.rcpt_tos else None
        if answer:
            await self.push(answer)
            return
        await super().smtp_DATA(arg)


class RelayController(Controller):
    def factory(self) -> SMTP:
        self.handler.sessions += 1
        return Server(self.handler, **self.SMTP_kwargs)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def relay(settings: Settings) -> Iterator[Relay]:
    found = Relay()
    controller = RelayController(found, hostname="127.0.0.1", port=free_port())
    controller.start()
    settings.PROVIDER_TIMEOUT_SECONDS = 5
    settings.MAIL = f"smtp://127.0.0.1:{controller.port}"
    try:
        yield found
    finally:
        controller.stop()


@pytest.fixture
def by_smtp(relay: Relay) -> Iterator[SmtpProvider]:
    provider = provider_for()
    assert isinstance(provider, SmtpProvider)
    yield provider
    provider.close()


def handed_over(provider: SmtpProvider, address: str = "claire@example.org") -> SendErrorKind | str:
    """The relay's answer, or what its failure means."""
    try:
        return provider.send(mail=mail_to(address), incident=None, test=False)  # type: ignore[arg-type]
    except SendError as error:
        assert address not in error.detail
        return error.kind


@pytest.mark.django_db
def test_a_mail_arrives_with_its_fixed_heads_and_both_parts_equal(by_smtp: SmtpProvider, relay: Relay) -> None:
    assert handed_over(by_smtp) == "queued as 4711"
    [(envelope, mail)] = relay.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("notice@cartier.example", ["claire@example.org"])
    heads = {name: str(mail[name]) for name in ("From", "To", "Reply-To", "Subject", "Auto-Submitted", "Content-Language")}
    assert heads == {
        "From": "Cartier <notice@cartier.example>", "To": "claire@example.org", "Reply-To": "dpo@cartier.example",
        "Subject": "Vos données — ce qui s’est passé", "Auto-Submitted": "auto-generated", "Content-Language": "fr",
    }  # fmt: skip
    assert mail["Message-ID"] == f"<{'ab' * 16}@cartier.example>"
    assert mail["Date"].datetime is not None
    assert mail.get_content_type() == "multipart/alternative"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text
    assert html
    assert text.get_content().splitlines() == ["Chère Claire,", ".", "Fin"]
    assert "Chère Claire" in html.get_content()


@pytest.mark.django_db
def test_a_second_copy_carries_the_same_message_id(by_smtp: SmtpProvider, relay: Relay) -> None:
    before = relay.sessions  # the controller looked whether its server is up
    handed_over(by_smtp)
    handed_over(by_smtp)
    assert [mail["Message-ID"] for _, mail in relay.mails] == [f"<{'ab' * 16}@cartier.example>"] * 2
    assert relay.sessions == before + 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("stage", "reply", "kind"),
    [
        ("MAIL", "451 later", K.NOT_SENT),
        ("MAIL", "550 who are you", K.ACCOUNT),
        ("RCPT", "450 mailbox busy", K.NOT_SENT),
        ("RCPT", "550 no such user", K.REFUSED),
        ("DATA", "451 later", K.NOT_SENT),
        ("DATA", "554 no", K.REFUSED),
        ("after DATA", "451 greylisted", K.NOT_SENT),
        ("after DATA", "554 no", K.REFUSED),
        ("after DATA", "554 spam", K.ACCOUNT),
        ("after DATA", "hang up", K.DOUBTFUL),
    ],
)
def test_what_an_answer_of_the_relay_means_and_the_next_mail_goes_through(
    by_smtp: SmtpProvider, relay: Relay, stage: str, reply: str, kind: SendErrorKind
) -> None:
    relay.replies[stage] = [reply]
    assert handed_over(by_smtp) == kind
    assert relay.mails == []
    assert handed_over(by_smtp, "carl@example.com") == "queued as 4711"
    [(envelope, _)] = relay.mails
    assert envelope.rcpt_tos == ["carl@example.com"]


@pytest.mark.django_db
def test_an_address_beyond_ascii_arrives_where_the_relay_takes_it(by_smtp: SmtpProvider, relay: Relay) -> None:
    assert handed_over(by_smtp, "josé@example.org") == "queued as 4711"
    [(envelope, _)] = relay.mails
    assert envelope.rcpt_tos == ["josé@example.org"]


@pytest.mark.django_db
def test_a_relay_that_is_not_there_means_not_sent(settings: Settings) -> None:
    with pytest.raises(SendError) as told:
        SmtpProvider(MailAddress("smtp", "127.0.0.1", free_port())).send(mail=mail_to("a@example.org"), incident=None)  # type: ignore[arg-type]
    assert (told.value.kind, told.value.unreached) == (SendErrorKind.NOT_SENT, True)
    assert handed_over(SmtpProvider(MailAddress("smtp", "relay.invalid", 25))) == K.NOT_SENT


@pytest.mark.django_db
@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_relay_without_the_encryption_asked_for_gets_nothing(relay: Relay, settings: Settings, tls: str) -> None:
    port = read_mail_setting(settings.MAIL).port
    assert handed_over(SmtpProvider(MailAddress("smtp", "127.0.0.1", port, tls=tls))) == K.NOT_SENT
    assert relay.mails == []


@pytest.mark.django_db
def test_a_sign_in_that_the_relay_does_not_offer_sends_nothing(relay: Relay, settings: Settings) -> None:
    port = read_mail_setting(settings.MAIL).port
    assert handed_over(SmtpProvider(MailAddress("smtp", "127.0.0.1", port, "user", "wrong"))) == K.NOT_SENT
    assert relay.mails == []


def scripted_server(*lines: bytes | None) -> tuple[int, threading.Thread]:
    """A server that says these lines, one after each line it hears; None hangs up, the end stays silent."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError), listener, listener.accept()[0] as peer, peer.makefile("rwb") as stream:
            for number, line in enumerate(lines):
                if number:
                    stream.readline()
                if line is None:
                    return
                stream.write(line + b"\r\n")
                stream.flush()
            while stream.readline():
                pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return listener.getsockname()[1], thread


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ((b"220 hello", b"250 me", b"250 mail", None), K.NOT_SENT),
        ((b"220 hello", b"250 me", b"250 mail", b"250 rcpt", b"354 go on"), K.DOUBTFUL),
        ((b"220 hello", b"250 me"), K.NOT_SENT),
        ((b"554 go away",), K.NOT_SENT),
        ((b"not SMTP at all",), K.NOT_SENT),
        ((b"220-hello", None), K.NOT_SENT),
    ],
)
def test_a_server_that_falls_silent_or_hangs_up(settings: Settings, lines: tuple[bytes | None, ...], kind: SendErrorKind) -> None:
    settings.PROVIDER_TIMEOUT_SECONDS = 1
    port, _ = scripted_server(*lines)
    assert handed_over(SmtpProvider(MailAddress("smtp", "127.0.0.1", port))) == kind


@pytest.mark.django_db
def test_a_wrong_password_is_our_account_not_the_persons(settings: Settings) -> None:
    port, _ = scripted_server(
        b"220 hello", b"250-me\r\n250 AUTH PLAIN", b"535 wrong password", b"535 still wrong", b"535 no", b"221 bye"
    )
    assert handed_over(SmtpProvider(MailAddress("smtp", "127.0.0.1", port, "user", "wrong"))) == K.ACCOUNT


# A campaign by SMTP


def test_a_campaign_by_smtp_ends_accepted_without_an_answer(five: Campaign, relay: Relay) -> None:
    dispatch(campaign=five)
    five.refresh_from_db()
    assert (five.state, states(five)) == (CampaignState.DRAINED, {S.ACCEPTED_UNCONFIRMED: 5})
    letters = [mail for envelope, mail in relay.mails if envelope.rcpt_tos != ["dpo@cartier.com"]]
    refs = set(Message.objects.values_list("message_ref", flat=True))
    told = [str(mail["Message-ID"])[1:33] for _, mail in relay.mails if str(mail["Message-ID"])[1:33] in refs]
    assert sorted(told) == sorted(refs)
    anchors = [mail for mail in letters if str(mail["Subject"]).startswith("[Drill] Checkpoint of the log")]
    assert len(anchors) == 1
    assert check_campaign(campaign=five).holds


def test_a_relay_that_hangs_up_after_the_letter_makes_one_doubt(five: Campaign, owner: Owner, relay: Relay) -> None:
    relay.replies["after DATA"] = ["hang up"]
    with_relay = provider_for()
    assert send_ready(campaign_id=five.pk, owner=owner, provider=with_relay, seconds=30).answered == 5
    with_relay.close()
    assert states(five) == {S.ACCEPTED: 4, S.IN_DOUBT: 1}
    check = check_campaign(campaign=five)
    assert (check.doubts_open, check.violations) == (1, [])


def test_a_refused_person_does_not_hold_up_the_next(five: Campaign, owner: Owner, relay: Relay) -> None:
    relay.replies["RCPT"] = ["550 no such user"]
    with_relay = provider_for()
    send_ready(campaign_id=five.pk, owner=owner, provider=with_relay, seconds=30)
    with_relay.close()
    assert states(five) == {S.ACCEPTED: 4, S.NEEDS_OTHER_CHANNEL: 1}
