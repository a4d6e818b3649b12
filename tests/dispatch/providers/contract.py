"""What every provider must pass. Whoever adds one writes its dialect (`dialects.py`) and adds it to `DIALECTS`; nothing else.

docs/adding-providers.md explains the contract.
"""

from __future__ import annotations

import logging
import socket
import time
import traceback
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from incidents.dispatch.channels.choose import provider_for
from incidents.dispatch.channels.contract import Answer, Lanes, Prepared, Provider, SendError, SendErrorKind
from incidents.letters.mail import OutgoingMail
from incidents.letters.ready import Built
from tests.dispatch.providers.dialects import DIALECTS, Dialect, as_json
from tests.dispatch.providers.stub import Play, Stub, drip, hang, reset, says, served, status, truncated

K = SendErrorKind
#: Ways out whose requests can name Message-ID, and those that can turn tracking off.
KEEPS_MESSAGE_ID = {name for name in DIALECTS if not name.startswith(("brevo", "mailjet"))}
TRACKING_OFF = {
    "postmark:": (False, "None"), "postmark:?batch=1": (False, "None"), "mailjet:": ("disabled", "disabled"),
    "mailgun:?domain=mg.cartier.example": ("no", "no", "no"),
    "sendgrid:": dict.fromkeys(("open_tracking", "click_tracking", "subscription_tracking", "ganalytics"), False),
}  # fmt: skip


def mail_to(address: str = "claire@example.org", *, number: int = 0) -> OutgoingMail:
    return OutgoingMail(
        message_ref=f"{number:032x}", to=address, sender="notice@cartier.example", sender_name="Cartier, “le joaillier”",
        reply_to="dpo@cartier.example", language="fr", subject="Vos données — ce qui s’est passé",
        text=f"Chère Claire,\n\nLe n° {number:04d} : voilà ce qui s’est passé.\n", html=f"<p>Chère Claire, n° {number:04d} &amp; fin</p>",
    )  # fmt: skip


def prepared(mail: OutgoingMail) -> Prepared:
    return Built(mail, "Mon, 05 Jan 2026 09:00:00 +0000", mail.sender)


def handed_over(lanes: Lanes, *letters: Prepared, seconds: float = 20) -> list[Answer]:
    lanes.begin(lane=0, letters=letters)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for lane, answers in lanes.answers(seconds=1):
            assert lane == 0
            return answers
    raise AssertionError("no answer at all")


@pytest.fixture
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stub(way: str, settings: Settings) -> Iterator[Stub]:
    with served(DIALECTS[way]) as found:
        point_at(settings, way, found.url)
        yield found


def point_at(settings: Settings, way: str, url: str) -> None:
    settings.PROVIDER_KEYS = dict.fromkeys(settings.PROVIDER_KEYS, "secret-key")
    settings.PROVIDER_URLS = {way.partition(":")[0]: url}
    settings.PROVIDER_TIMEOUT_SECONDS = 5


@pytest.fixture
def provider(way: str, stub: Stub) -> Iterator[Provider]:
    found = provider_for(way)
    yield found
    found.close()


@pytest.fixture
def lanes(provider: Provider) -> Iterator[Lanes]:
    # No test of this suite may use the database here: a thread that asked for it would be refused by pytest-django.
    found = provider.lanes(incident=None, number=2)  # type: ignore[arg-type]
    yield found
    found.close()


def person(dialect: Dialect) -> Play:
    return lambda handler, letters: dialect.person(letters[0])


def ours(dialect: Dialect) -> Play:
    return lambda handler, letters: dialect.ours(letters[0])


def odd(dialect: Dialect) -> Play:
    return lambda handler, letters: dialect.odd(letters[0])


#: What happens -> what it means.
FAULTS: dict[str, tuple[Play | str, SendErrorKind]] = {
    "too fast": (status(429), K.NOT_SENT),
    "request timeout": (status(408), K.NOT_SENT),
    "too early": (status(425), K.NOT_SENT),
    "a refusal that nobody understands": ("odd", K.NOT_SENT),
    "this person's address": ("person", K.REFUSED),
    "our sender": ("ours", K.ACCOUNT),
    "a wrong key": (status(401), K.ACCOUNT),
    "no more credit": (status(402), K.ACCOUNT),
    "suspended": (status(403), K.ACCOUNT),
    "another address of the API": (status(307, location="http://127.0.0.1:9/elsewhere"), K.ACCOUNT),
    "500": (status(500), K.DOUBTFUL),
    "502": (status(502), K.DOUBTFUL),
    "503": (status(503), K.DOUBTFUL),
    "504": (status(504), K.DOUBTFUL),
    "taken, and the line cut": (reset, K.DOUBTFUL),
    "taken, and half an answer": (truncated, K.DOUBTFUL),
    "a page of somebody's proxy": (says((200, {"Content-Type": "text/html"}, b"<html>Please sign in</html>")), K.DOUBTFUL),
    "an empty answer": (says((200, {}, b"")), K.DOUBTFUL),
    "an answer without an id": ("nameless", K.DOUBTFUL),
    "JSON of another kind": (says(as_json(200, [[1], None, "x"])), K.DOUBTFUL),
    "a number": (says(as_json(200, 7)), K.DOUBTFUL),
}


def play_of(fault: Play | str, dialect: Dialect) -> Play:
    if isinstance(fault, str):
        return {"person": person, "ours": ours, "odd": odd, "nameless": lambda known: says(known.nameless)}[fault](dialect)
    return fault


@pytest.mark.parametrize("way", DIALECTS, indirect=True)
class ProviderContract:
    """The tests. Each runs against every way out."""

    def test_a_letter_arrives_as_it_was_approved(self, way: str, stub: Stub, lanes: Lanes) -> None:
        mail = mail_to(number=7)
        [answer] = handed_over(lanes, prepared(mail))
        assert (answer.error, bool(answer.provider_id)) == (None, True)
        [letter] = stub.letters
        assert (letter.to, letter.sender, letter.sender_name) == (mail.to, mail.sender, mail.sender_name)
        assert (letter.reply_to, letter.subject) == (mail.reply_to, mail.subject)
        assert (letter.text.split("\n"), letter.html.rstrip("\n")) == (mail.text.split("\n"), mail.html)
        assert letter.ref == mail.message_ref
        assert (letter.heads["auto-submitted"], letter.heads["content-language"]) == ("auto-generated", "fr")
        if way in KEEPS_MESSAGE_ID:
            assert letter.heads["message-id"] == mail.message_id

    def test_tracking_is_off_where_the_request_can_say_so(self, way: str, stub: Stub, lanes: Lanes) -> None:
        handed_over(lanes, prepared(mail_to()))
        assert stub.letters[0].tracking == TRACKING_OFF.get(way)

    def test_letters_share_one_connection(self, stub: Stub, lanes: Lanes) -> None:
        for number in range(3):
            assert handed_over(lanes, prepared(mail_to(number=number)))[0].error is None
        assert (len(stub.letters), stub.connections) == (3, 1)

    @pytest.mark.parametrize("fault", FAULTS)
    def test_what_an_answer_means_and_the_next_letter_goes_through(self, fault: str, stub: Stub, lanes: Lanes) -> None:
        what, kind = FAULTS[fault]
        stub.plays = [play_of(what, stub.dialect)]
        [answer] = handed_over(lanes, prepared(mail_to()))
        assert (answer.error, answer.provider_id) == (kind, ""), answer.detail
        assert 0 < len(answer.detail) <= 200
        assert "claire" not in answer.detail and "example.org" not in answer.detail and "secret" not in answer.detail
        stub.letters.clear()
        [next_one] = handed_over(lanes, prepared(mail_to("carl@example.com", number=1)))
        assert (next_one.error, [letter.to for letter in stub.letters]) == (None, ["carl@example.com"])

    def test_the_wait_that_is_asked_for_is_told(self, stub: Stub, lanes: Lanes) -> None:
        stub.plays = [status(429, retry_after="7")]
        [answer] = handed_over(lanes, prepared(mail_to()))
        assert (answer.retry_after, answer.throttled) == (7.0, True)

    def test_a_provider_that_never_answers_is_a_doubt_in_time(self, way: str, stub: Stub, settings: Settings) -> None:
        settings.PROVIDER_TIMEOUT_SECONDS = 1
        ends = provider_for(way).lanes(incident=None, number=1)  # type: ignore[arg-type]
        for endless in (hang, drip):
            stub.plays = [endless]
            [answer] = handed_over(ends, prepared(mail_to()), seconds=8)
            assert answer.error == K.DOUBTFUL
        assert handed_over(ends, prepared(mail_to()))[0].error is None
        ends.close()

    def test_a_provider_that_is_not_there_means_not_sent(self, way: str, stub: Stub, settings: Settings) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            closed = nobody.getsockname()[1]  # bound and not listening: nobody else gets it
            tls_to_plain = stub.url.replace("http://", "https://")
            for url in (f"http://127.0.0.1:{closed}/v3.1/", "https://provider.invalid/v3.1/", tls_to_plain):
                point_at(settings, way, url)
                lanes = provider_for(way).lanes(incident=None, number=1)  # type: ignore[arg-type]
                [answer] = handed_over(lanes, prepared(mail_to()))
                assert answer.error == K.NOT_SENT
                lanes.close()
            assert not stub.requests

    def test_proxies_of_the_environment_are_not_used(self, stub: Stub, lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert handed_over(lanes, prepared(mail_to()))[0].error is None

    def test_nothing_about_anybody_is_logged_or_shown(
        self, provider: Provider, stub: Stub, lanes: Lanes, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        stub.plays = [person(stub.dialect), says(as_json(200, [[1]]))]
        shown = [repr(handed_over(lanes, prepared(mail_to()))) for _ in range(3)]
        whole = " ".join(
            [*shown, repr(provider), repr(lanes), *(record.getMessage() for record in caplog.records if ours_is(record))]
        )
        assert not any(secret in whole for secret in ("claire", "Claire", "example.org", "secret-key"))

    @pytest.mark.django_db
    def test_a_single_mail_goes_the_same_way(self, provider: Provider, stub: Stub) -> None:
        assert provider.send(mail=mail_to(number=3), incident=None, test=True)  # type: ignore[arg-type]
        assert [letter.ref for letter in stub.letters] == [f"{3:032x}"]
        stub.plays = [person(stub.dialect)]
        with pytest.raises(SendError) as refused:
            provider.send(mail=mail_to(), incident=None)  # type: ignore[arg-type]
        assert refused.value.kind == K.REFUSED, refused.value.detail
        shown = "".join(traceback.format_exception(refused.value))
        assert "claire@" not in shown and "secret-key" not in shown

    def test_an_address_beyond_ascii_is_written_or_refused_but_never_a_crash(self, stub: Stub, lanes: Lanes) -> None:
        [answer] = handed_over(lanes, prepared(mail_to("jürgen@bücher.example")))
        if answer.error is None:
            assert stub.letters[0].to in {"jürgen@xn--bcher-kva.example", "jürgen@bücher.example"}
        else:
            assert answer.error == K.REFUSED

    def test_what_cannot_be_an_address_hurts_nobody_else(self, stub: Stub, lanes: Lanes) -> None:
        stub.plays = [person(stub.dialect)]
        [answer] = handed_over(lanes, prepared(mail_to("not an address")))
        assert answer.error == K.REFUSED
        stub.plays.clear()
        assert handed_over(lanes, prepared(mail_to()))[0].error is None

    def test_an_unknown_message_is_no_proof_of_anything(self, provider: Provider) -> None:
        assert provider.look_up(message_ref="ab" * 16) is None


def ours_is(record: logging.LogRecord) -> bool:
    """Our loggers; what libraries log at DEBUG is kept out by the settings of logging, which a test's handler passes by."""
    return record.name.startswith(("incidents", "notifier", "django"))
