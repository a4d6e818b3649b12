"""Bounces by mail: the return path names the letter; only what is a bounce counts as one, and nothing by mail is a delivery."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import OperationalError
from pytest_django import Settings

from incidents.dispatch import receive
from incidents.dispatch.events.bodies import recipient_hash
from incidents.dispatch.events.bounces import MOST_BYTES, NoMail, read_bounce, return_path
from incidents.dispatch.events.mailbox import read_maildir
from incidents.dispatch.receive import apply_events
from incidents.models import Campaign, ProviderEvent
from incidents.models import MessageState as S
from incidents.refusal import Refused
from tests.dispatch.campaigns import state_of
from tests.dispatch.events.conftest import handed_over

REF = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TO = f"bounces+{REF}@mail.example.com"


@pytest.fixture(autouse=True)
def address(settings: Settings) -> None:
    settings.BOUNCE_ADDRESS = "bounces@mail.example.com"


def report(
    *,
    action: str = "failed",
    status: str = "5.1.1",
    diagnosis: str = "smtp; 550 5.1.1 unknown user",
    more: str = "",
    to: str = TO,
) -> bytes:
    """A delivery status notification in the shape of RFC 3464, Appendix E."""
    return f"""From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.org>
To: {to}
Date: Sun, 22 Nov 2026 08:00:00 +0000
Message-ID: <dsn-1@mx.example.org>
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="BOUND"

--BOUND
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.

--BOUND
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org
Arrival-Date: Sun, 22 Nov 2026 07:59:00 +0000

Final-Recipient: rfc822; forwarded@elsewhere.example
{more}Action: {action}
Status: {status}
Diagnostic-Code: {diagnosis}
Last-Attempt-Date: Sun, 22 Nov 2026 07:59:30 +0000

--BOUND
Content-Type: message/rfc822

From: Acme <privacy@example.com>
Message-ID: <{REF}@example.com>
Subject: A letter

the letter
--BOUND--
""".encode()


def plain(*, sender: str, subject: str, text: str, heads: str = "") -> bytes:
    head = f"From: {sender}\nTo: {TO}\nSubject: {subject}\nDate: Sun, 22 Nov 2026 08:00:00 +0000\nMessage-ID: <m1@x.example>\n"
    return f"{head}{heads}\n{text}\n".encode()


def encoded(raw: bytes) -> bytes:
    """A report whose fields are in base64, as some servers send it."""
    before, head, rest = raw.partition(b"Content-Type: message/delivery-status\n\n")
    fields, end, after = rest.partition(b"\n--BOUND")
    head = head[:-1] + b"Content-Transfer-Encoding: base64\n\n"
    return before + head + base64.encodebytes(fields.replace(b"\n", b"\r\n")) + end + after


DAEMON = "MAILER-DAEMON@mx.example.org (Mail Delivery System)"
ARF = f"""From: <complaints@isp.example>
To: {TO}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="B"

--B
Content-Type: text/plain

This is an abuse report.
--B
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1

--B--
""".encode()
RECEIPT = f"""From: <claire@example.org>
To: {TO}
Content-Type: multipart/report; report-type=disposition-notification; boundary="B"

--B
Content-Type: message/disposition-notification

Disposition: manual-action/MDN-sent-manually; displayed
--B--
""".encode()
#: Mail -> the kind of the event in it.
MAILS = {
    "unknown user (RFC 3464)": (report(), "bounced_hard"),
    "full mailbox": (report(status="5.2.2", diagnosis="smtp; 552 5.2.2 over quota"), "bounced_soft"),
    "given up after days": (report(status="4.4.7", diagnosis="smtp; 451 timed out"), "bounced_soft"),
    "no status, but a code": (report(status="", diagnosis="smtp; 550 no such user"), "bounced_hard"),
    "neither status nor code": (report(status="", diagnosis="x; it failed"), "bounced_soft"),
    "delayed": (report(action="delayed", status="4.4.1"), "deferred"),
    "delivered, says the server": (report(action="delivered", status="2.1.5"), "delivered"),
    "relayed into the dark": (report(action="relayed", status="2.1.9"), "notice"),
    "expanded": (report(action="expanded", status="2.1.5"), "notice"),
    "an action that nobody knows": (report(action="lost", status="5.0.0"), "notice"),
    "abuse report (RFC 5965)": (ARF, "complained"),
    "receipt (RFC 8098)": (RECEIPT, "notice"),
    "Exim": (plain(sender=DAEMON, subject="Mail delivery failed", text="SMTP error: 550 5.1.1 no such user", heads="X-Failed-Recipients: claire@example.org\n"), "bounced_hard"),
    "qmail": (plain(sender="<MAILER-DAEMON@q.example>", subject="failure notice", text="Hi. This is the qmail-send program at q.example.\n<claire@example.org>:\nSorry, no mailbox here by that name. (#5.1.1)"), "bounced_hard"),
    "a daemon without a code": (plain(sender=DAEMON, subject="Undeliverable", text="It could not be delivered."), "bounced_soft"),
    "a daemon that goes on trying": (plain(sender=DAEMON, subject="Warning: message delayed 4 hours", text="I will keep trying. 451 4.4.1 no answer"), "deferred"),
    "out of office (RFC 3834)": (plain(sender="Claire <claire@example.org>", subject="Re: A letter", text="550 days of holiday", heads="Auto-Submitted: auto-replied (vacation)\n"), "notice"),
    "out of office, no head": (plain(sender="Claire <claire@example.org>", subject="Out of office: A letter", text="Back on 5.1.1"), "notice"),
    "out of office, in German": (plain(sender="<hanna@example.de>", subject="Abwesenheitsnotiz: A letter", text="Ich bin nicht da."), "notice"),
    "out of office, by precedence": (plain(sender="<c@example.org>", subject="x", text="y", heads="Precedence: auto_reply\n"), "notice"),
    "challenge": (plain(sender="<confirm@spamfilter.example>", subject="Please confirm your message", text="Click here to have your mail delivered. Error 550 otherwise."), "notice"),
    "spam notice": (plain(sender="<filter@isp.example>", subject="[SPAM] A letter", text="Your message was put into quarantine (5.7.1)."), "notice"),
    "Exim, which calls itself a machine": (plain(sender="Mail Delivery System <Mailer-Daemon@exim.example>", subject="Mail delivery failed: returning message to sender", text="This message was created automatically by mail delivery software.\n\n  claire@example.org\n    Unrouteable address", heads="X-Failed-Recipients: claire@example.org\nAuto-Submitted: auto-replied\n"), "bounced_hard"),
    "Postfix, its report torn": (plain(sender="MAILER-DAEMON@mx.example (Mail Delivery System)", subject="Undelivered Mail Returned to Sender", text="This is the mail system at host mx.example.\n\n<claire@example.org>: host mx said: 550 5.1.1 unknown", heads="Auto-Submitted: auto-replied\n"), "bounced_hard"),
    "an action with a comment": (report(action="Failed (bad mailbox)"), "bounced_hard"),
    "a full mailbox behind an empty status": (report(status="5.0.0", diagnosis="smtp; 552 5.2.2 mailbox over quota"), "bounced_soft"),
    "our own server on a block list": (report(status="5.7.1", diagnosis="smtp; 550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using Spamhaus"), "bounced_soft"),
    "a report in one group": (report().replace(b"07:59:00 +0000\n\nFinal", b"07:59:00 +0000\nFinal"), "bounced_hard"),
    "out of office of somebody at postmaster.co.uk": (plain(sender="Claire <claire@postmaster.co.uk>", subject="Automatic reply: Your data", text="I am away. Call 020 555 1234", heads="Auto-Submitted: auto-generated\n"), "notice"),
    "out of office of a postmaster": (plain(sender="Postmaster <postmaster@firma.example>", subject="Automatische Antwort: Ihre Daten", text="Ich bin nicht da, Telefon 0551 550 12", heads="Auto-Submitted: auto-generated\n"), "notice"),
    "a postmaster writes": (plain(sender="postmaster@firma.example", subject="Re: Ihre Daten", text="Was wurde von mir gestohlen?\n0551 555 12"), "notice"),
    "quarantine of a firm": (plain(sender="postmaster@corp.example", subject="[Postmaster] Message quarantined", text="Your message was quarantined by rule 550"), "notice"),
    "a challenge of a daemon": (plain(sender="Mail Delivery System <mailer-daemon@box.example>", subject="Your email requires verification verify#abc", text="Reply to be let in."), "notice"),
    "a daemon that calls itself a machine": (plain(sender="\"GMX Mailer Daemon\" <mailer-daemon@gmx.example>", subject="Mail delivery failed: returning message to sender", text="The following address failed:\n\nclaire@example.org:\nSMTP error from remote server, reason: 550-Requested action not taken: mailbox unavailable", heads="Auto-Submitted: auto-replied\n"), "bounced_hard"),
    "Exim without its head": (plain(sender=DAEMON, subject="Zustellung fehlgeschlagen", text="This message was created automatically by mail delivery software.\n\n  claire@example.org\n    Unrouteable address", heads="Auto-Submitted: auto-replied\n"), "bounced_hard"),
    "a daemon about an absent mailbox": (plain(sender=DAEMON, subject="Delivery failure: absence of mailbox", text="<claire@example.org>: 550 5.1.1 User unknown"), "bounced_hard"),
    "Exim goes on trying": (plain(sender=DAEMON, subject="Warnung", text="This message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of its recipients.\n    Delay reason: 451 4.7.1 Greylisted", heads="Auto-Submitted: auto-replied\n"), "deferred"),
    "a challenge of a daemon with a code": (plain(sender=DAEMON, subject="Please confirm your message", text="Your message is held. 550 5.7.1 until you confirm"), "notice"),
    "a postmaster on holiday until a day that looks like a code": (plain(sender="postmaster@firma.example", subject="Automatische Antwort: Ihre Daten", text="Ich bin ab 5.1.1 wieder da."), "notice"),
    "a report whose fields are encoded": (encoded(report()), "bounced_hard"),
    "a person writes": (plain(sender="<claire@example.org>", subject="Re: A letter", text="Who are you? 550"), "notice"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "kind"), MAILS.values(), ids=MAILS.keys())
def test_a_mail_is_taken_for_what_it_is(raw: bytes, kind: str) -> None:
    (event,) = read_bounce(raw=raw, now=NOW)
    assert (event["kind"], event["message_ref"]) == (kind, REF)
    assert "claire" not in json.dumps(event, default=str) and "@" not in event["detail"]


def test_the_return_path_names_the_letter_where_there_is_an_address_for_bounces(settings: Settings) -> None:
    assert return_path(message_ref=REF, sender="privacy@example.com") == TO
    assert return_path(message_ref="x", sender="privacy@example.com") == "privacy@example.com"
    settings.BOUNCE_ADDRESS = ""
    assert return_path(message_ref=REF, sender="privacy@example.com") == "privacy@example.com"


@pytest.mark.parametrize("to", [
    TO, TO.upper().replace(REF.upper(), REF), f"<{TO}>", f"Bounces <{TO}>",
])  # fmt: skip
def test_the_letter_is_found_by_the_address_that_it_came_to(to: str) -> None:
    raw = report(to="somebody@example.com").replace(b"Message-ID: <0123", b"X-Other: <0123")
    assert read_bounce(raw=raw, now=NOW) == []
    assert read_bounce(raw=raw, now=NOW, to=to)[0]["message_ref"] == REF


@pytest.mark.parametrize("to", [
    f"other+{REF}@mail.example.com", f"bounces+{REF}@mail.example.com.evil.example", f"xbounces+{REF}@mail.example.com",
    f"bounces+{REF[:-1]}@mail.example.com", "bounces@mail.example.com", "",
])  # fmt: skip
def test_another_address_names_no_letter(to: str) -> None:
    raw = report(to="somebody@example.com").replace(b"Message-ID: <0123", b"X-Other: <0123")
    assert read_bounce(raw=raw, now=NOW, to=to) == []


def test_without_the_address_the_returned_letter_names_itself(settings: Settings) -> None:
    settings.BOUNCE_ADDRESS = ""
    assert read_bounce(raw=report(), now=NOW)[0]["message_ref"] == REF


def test_only_the_recipient_to_whom_we_wrote_is_compared() -> None:
    assert read_bounce(raw=report(), now=NOW)[0]["recipient_hash"] == ""
    named = report(more="Original-Recipient: rfc822; claire@example.org\n")
    assert read_bounce(raw=named, now=NOW)[0]["recipient_hash"] == recipient_hash("claire@example.org")


def test_the_same_bounce_twice_has_one_key() -> None:
    again = b"Received: from elsewhere\n" + report()
    assert read_bounce(raw=report(), now=NOW)[0]["event_key"] == read_bounce(raw=again, now=NOW)[0]["event_key"]
    assert (
        read_bounce(raw=report(action="delayed"), now=NOW)[0]["event_key"] != read_bounce(raw=report(), now=NOW)[0]["event_key"]
    )


def nested(depth: int) -> bytes:
    """Parts within parts."""
    heads = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(depth))
    return f"To: {TO}\n{heads}".encode()


HOSTILE = {
    "nothing": b"", "zeros": b"\0" * 1000, "noise": bytes(range(256)) * 100, "no heads": b"\n\n\n", "half": report()[:700],
    "parts within parts": nested(5000), "parts within parts, not too deep to read": nested(200), "a thousand parts": f'To: {TO}\nContent-Type: multipart/mixed; boundary="b"\n\n'.encode() + b"--b\n\nx\n" * 5000,
    "broken charset": f"To: {TO}\nContent-Type: text/plain; charset=\"\xff\"\nSubject: =?no-such?Q?=ff=?=\n\n\xff\xfe".encode("latin-1"),
    "broken base64": f"To: {TO}\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!!".encode(),
    "no boundary": f"To: {TO}\nContent-Type: multipart/report; report-type=delivery-status\n\nx".encode(),
    "status is no message": report().replace(b"message/delivery-status", b"message/delivery-status; x=\"").replace(b"\n\nFinal", b"\nFinal"),
    "long head": b"To: " + b"a" * 500_000 + b"\n\n", "many heads": b"To: x@y.example\n" * 20_000 + b"\n",
    "strange date": report().replace(b"Sun, 22 Nov 2026 07:59:30 +0000", b"Sun, 99 Nov 99999 99:99:99 +9999"),
    "ANSI and markup": report(diagnosis="smtp; 550 5.1.1 \x1b[31m<script>alert(1)</script> =cmd|' /C calc'!A0"),
}  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_mail_proves_nothing_and_breaks_nothing(raw: bytes) -> None:
    try:
        found = read_bounce(raw=raw, now=NOW, to=TO)
    except NoMail:
        return
    assert all(event["message_ref"] == REF and "<" not in event["detail"] and "\x1b" not in event["detail"] for event in found)
    assert not [event for event in found if event["kind"] == "delivered"]


def test_a_report_about_a_thousand_recipients_gives_no_thousand_events() -> None:
    many = report().replace(
        b"\n--BOUND\nContent-Type: message/rfc822",
        b"\nFinal-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\n" * 1000
        + b"\n--BOUND\nContent-Type: message/rfc822",
    )
    assert len(read_bounce(raw=many, now=NOW)) <= 20


# -- the command ------------------------------------------------------------------------------------------------------------


def piped(raw: bytes, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The command with a mail on its standard input; returns its exit code."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    try:
        call_command("read_bounces", *arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_a_bounce_from_a_pipe_moves_the_letter(five: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    claire = handed_over(five, "smtp")
    assert piped(report().replace(REF.encode(), claire.message_ref.encode()) + b"x" * 2 * MOST_BYTES, monkeypatch) == 0
    apply_events()
    assert state_of(claire) == S.NEEDS_OTHER_CHANNEL
    assert claire.state_reason == "smtp: bounced_hard (5.1.1)"
    kept = ProviderEvent.objects.get()
    assert (kept.provider, kept.strength) == ("smtp", "mail")
    assert "inform you" not in json.dumps(list(ProviderEvent.objects.values()), default=str)


def test_a_mail_server_keeps_the_mail_while_the_database_is_away(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: str) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(receive, "reach", away)
    assert piped(report(), monkeypatch) == 75


def test_a_maildir_is_read_and_tidied(database: None, tmp_path: Path) -> None:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "1.M1.host").write_bytes(report())
    (tmp_path / "new" / "2.M2.host:2,").write_bytes(report())
    (tmp_path / "new" / "3.M3.host").write_bytes(
        plain(sender="<a@b.example>", subject="x", text="y").replace(TO.encode(), b"me@x.example")
    )
    os.symlink("/etc/hostname", tmp_path / "new" / "4.M4.host")
    os.mkfifo(tmp_path / "new" / "5.M5.host")
    (tmp_path / "new" / "0.M0.folder").mkdir()
    done = read_maildir(folder=tmp_path, now=NOW)
    assert (done.mails, done.events, done.strangers, done.unreadable) == (3, 2, 1, 0)
    assert sorted(path.name for path in (tmp_path / "cur").iterdir()) == ["1.M1.host:2,S", "2.M2.host:2,S", "3.M3.host:2,S"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["0.M0.folder", "4.M4.host", "5.M5.host"]
    assert ProviderEvent.objects.count() == 1
    assert read_maildir(folder=tmp_path, now=NOW).mails == 0


def test_a_folder_that_is_no_maildir_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no Maildir"):
        read_maildir(folder=tmp_path, now=NOW)
