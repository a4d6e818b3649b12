"""Coming to a session with a relay: encryption, trust and sign-in, and what each failure of them means."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from incidents.dispatch import pacing
from incidents.dispatch.channels.contract import SendErrorKind
from incidents.dispatch.pace_shown import pace_of
from incidents.models import Incident
from tests.dispatch.relays import Act, Relay, Step, handed_over, lanes_to, large_letter_to, letters
from tests.dispatch.test_smtp import kinds, told

K = SendErrorKind


def certificate(folder: Path, *, address: str = "127.0.0.1") -> Path:
    """A certificate of its own authority, with its key, for one address."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = folder / f"{address}.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + made.public_bytes(pem))
    return file


def tls_with(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A relay's encryption that this machine trusts."""
    file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return tls_with(file)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize("number", [1, 4])
def test_letters_go_encrypted_where_that_is_asked_for(trusted: ssl.SSLContext, tls: str, number: int) -> None:
    relay = Relay(offers=("PIPELINING", "STARTTLS"), tls=trusted, implicit_tls=tls == "tls")
    with relay, lanes_to(relay, number=number, tls=tls) as lanes:
        assert kinds(handed_over(lanes, letters(20), number=number)) == ["taken"] * 20
        assert sorted(told(relay)) == sorted(f"<person{each}@example.org>" for each in range(20))
        assert relay.sessions == number
        assert (b"STARTTLS" in relay.heard) == (tls == "starttls")


def test_a_large_letter_goes_encrypted_and_whole(trusted: ssl.SSLContext) -> None:
    letter = large_letter_to("claire@example.org")
    with Relay(tls=trusted, implicit_tls=True) as relay, lanes_to(relay, tls="tls", seconds=30) as lanes:
        assert kinds(handed_over(lanes, [letter, *letters(1)])) == ["taken", "taken"]
        assert relay.taken[0].body.replace(b"\r\n..", b"\r\n.") == letter.raw


@pytest.mark.parametrize("act", [Act.HANG_UP, Act.RESET, Act.SILENCE])
@pytest.mark.parametrize(("stage", "kind"), [("MAIL", K.NOT_SENT), ("DATA", K.NOT_SENT), ("DOT", K.DOUBTFUL)])
def test_encryption_changes_nothing_about_what_is_in_doubt(
    trusted: ssl.SSLContext, stage: str, kind: SendErrorKind, act: Act
) -> None:
    relay = Relay(tls=trusted, implicit_tls=True, steps={stage: [act]})
    with relay, lanes_to(relay, tls="tls", seconds=1) as lanes:
        assert kinds(handed_over(lanes, letters(2))) == [kind, "taken"]


@pytest.mark.parametrize("act", [Act.RESET, Act.DEAF])
def test_an_encrypted_body_cut_short_before_its_end_could_leave_is_not_sent(trusted: ssl.SSLContext, act: Act) -> None:
    relay = Relay(tls=trusted, implicit_tls=True, in_the_body=[(1000, act)])
    with relay, lanes_to(relay, tls="tls", seconds=3) as lanes:
        assert kinds(handed_over(lanes, [large_letter_to("claire@example.org")])) == [K.NOT_SENT]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_that_is_not_trusted_is_named_and_nothing_is_sent(tmp_path: Path, tls: str) -> None:
    relay = Relay(offers=("PIPELINING", "STARTTLS"), tls=tls_with(certificate(tmp_path)), implicit_tls=tls == "tls")
    with relay, lanes_to(relay, tls=tls) as lanes:
        [answer] = handed_over(lanes, letters(1))
        assert answer.error == K.NOT_SENT
        assert answer.detail == "the relay's certificate is not trusted: self-signed certificate"
        assert not any(line.startswith((b"MAIL", b"AUTH")) for line in relay.heard)


def test_a_certificate_for_another_machine_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = certificate(tmp_path, address="192.0.2.7")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with Relay(tls=tls_with(file), implicit_tls=True) as relay, lanes_to(relay, tls="tls") as lanes:
        [answer] = handed_over(lanes, letters(1))
        assert answer.error == K.NOT_SENT
        assert "not trusted" in answer.detail
        assert "127.0.0.1" in answer.detail


@pytest.mark.parametrize(
    ("relay", "detail"),
    [
        (Relay(), "the relay does not offer STARTTLS"),
        (Relay(offers=("STARTTLS",), steps={"STARTTLS": [b"454 4.7.0 not now"]}), "the relay refused STARTTLS (454 4.7.0)"),
        # Said in clear, to be heard as if it had come encrypted.
        (
            Relay(offers=("STARTTLS",), steps={"STARTTLS": [b"220 go on\r\n250 injected"]}),
            "no connection to the relay: what answers there does not speak SMTP",
        ),
        (
            Relay(offers=("STARTTLS",), steps={"STARTTLS": [(b"220 go on\r\n250-inj", Act.SILENCE)]}),
            "no connection to the relay: what answers there does not speak SMTP",
        ),
    ],
)
def test_without_the_encryption_asked_for_nothing_is_sent(relay: Relay, detail: str) -> None:
    with relay, lanes_to(relay, tls="starttls", user="me", password="secret") as lanes:
        [answer] = handed_over(lanes, letters(1))
        assert (answer.error, answer.detail) == (K.NOT_SENT, detail)
        assert not any(line.startswith((b"MAIL", b"AUTH")) for line in relay.heard)


# Sign-in


def test_plain_sign_in_says_who_we_are() -> None:
    with Relay(offers=("AUTH LOGIN PLAIN", "PIPELINING"), steps={"AUTH": [b"235 2.7.0 yes"]}) as relay:
        with lanes_to(relay, user="me@brand", password="pässw:örd") as lanes:
            assert kinds(handed_over(lanes, letters(2))) == ["taken"] * 2
        [said] = [line for line in relay.heard if line.startswith(b"AUTH PLAIN ")]
        assert b64decode(said.split(b" ")[2]).decode() == "\0me@brand\0pässw:örd"


@pytest.mark.parametrize("offer", ["AUTH LOGIN", "AUTH=LOGIN", "auth login"])
def test_login_sign_in_gives_the_name_and_the_password_when_asked(offer: str) -> None:
    steps: dict[str, list[Step]] = {"AUTH": [b"334 VXNlcm5hbWU6"], "BWU=": [b"334 UGFzc3dvcmQ6"], "C2VJCMV0": [b"235 2.7.0 yes"]}
    with Relay(offers=(offer, "PIPELINING"), steps=steps) as relay, lanes_to(relay, user="me", password="secret") as lanes:
        assert kinds(handed_over(lanes, letters(1))) == ["taken"]
        assert relay.heard[1:4] == [b"AUTH LOGIN", b"bWU=", b"c2VjcmV0"]


@pytest.mark.parametrize(
    ("steps", "kind", "detail"),
    [
        ([b"535 5.7.8 wrong password"], K.ACCOUNT, "the relay refused our sign-in (535 5.7.8)"),
        ([b"534 5.7.9 too weak"], K.ACCOUNT, "the relay refused our sign-in (534 5.7.9)"),
        ([b"454 4.7.0 later"], K.NOT_SENT, "the relay refused our sign-in (454 4.7.0)"),
        ([b"334 more"], K.NOT_SENT, "the relay refused our sign-in (334)"),
        ([Act.HANG_UP], K.NOT_SENT, "no connection to the relay: ConnectionResetError"),
        ([b"wrong"], K.NOT_SENT, "no connection to the relay: what answers there does not speak SMTP"),
    ],
)
def test_a_refused_sign_in_is_our_accounts_trouble(steps: list[Step], kind: SendErrorKind, detail: str) -> None:
    with Relay(offers=("AUTH PLAIN",), steps={"AUTH": steps}) as relay:
        with lanes_to(relay, user="me", password="wrong") as lanes:
            [answer] = handed_over(lanes, letters(1))
        assert (answer.error, answer.detail) == (kind, detail)
        assert not any(line.startswith(b"MAIL") for line in relay.heard)


def test_a_sign_in_that_is_not_offered_is_not_tried() -> None:
    with Relay(offers=("AUTH CRAM-MD5",)) as relay, lanes_to(relay, user="me", password="secret") as lanes:
        assert kinds(handed_over(lanes, letters(1))) == [K.NOT_SENT]
        assert not any(line.startswith((b"AUTH", b"MAIL")) for line in relay.heard)


# Greetings


def test_a_relay_from_before_1995_is_greeted_its_way() -> None:
    steps: dict[str, list[Step]] = {"EHLO": [b"502 5.5.1 what?"], "HELO": [b"250 hello"]}
    with Relay(steps=steps) as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, letters(2))) == ["taken"] * 2
        assert [line.split(b" ")[0] for line in relay.heard[:2]] == [b"EHLO", b"HELO"]


@pytest.mark.parametrize(("words", "throttled", "unreached"), [
    (b"554 5.7.1 go away", False, False), (b"250 hm", False, False), (b"421 4.7.0 too many connections", True, False),
    (b"421 Too many concurrent connections", True, False), (b"450 4.7.28 unusual rate", True, False),
    (b"421 4.3.2 service not available", False, True), (b"421 relay.example closing", False, True),
])  # fmt: skip
def test_a_relay_that_does_not_greet_us_gets_nothing(words: bytes, throttled: bool, unreached: bool) -> None:
    with Relay(steps={"greeting": [words]}) as relay, lanes_to(relay) as lanes:
        [answer] = handed_over(lanes, letters(1))
        assert (answer.error, answer.throttled, answer.unreached) == (K.NOT_SENT, throttled, unreached)
        assert relay.taken == []


def test_a_relay_that_is_not_available_is_left_alone_and_the_pace_stays(incident: Incident) -> None:
    pacing.forget()
    with Relay(steps={"greeting": [b"421 4.3.2 service not available"] * 5}) as relay, lanes_to(relay) as lanes:
        answers = [answer for each in letters(5) for answer in handed_over(lanes, [each])]
    pacing.told(provider="smtp", results=[("d" * 16, answer) for answer in answers])
    now = pace_of(provider="smtp")
    assert (now.breaker, now.is_lowered) == ("open", False) and now.blocked_until is not None
    assert now.row.reason == "the relay did not greet us (421 4.3.2)"


def test_a_name_that_is_not_found_is_said() -> None:
    with Relay() as relay, lanes_to(relay, host="relay.invalid") as lanes:
        [answer] = handed_over(lanes, letters(1))
        assert (answer.error, answer.detail) == (K.NOT_SENT, "no connection to the relay: its name is not found")


def test_a_session_that_comes_too_late_is_given_up() -> None:
    with Relay(steps={"greeting": [Act.SILENCE]}) as relay, lanes_to(relay, seconds=0.5) as lanes:
        assert kinds(handed_over(lanes, letters(1))) == [K.NOT_SENT]
        assert kinds(handed_over(lanes, letters(1))) == ["taken"]
