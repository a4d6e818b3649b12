"""What nobody should send: refused by a number, never by a traceback; and texts that run nowhere."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from incidents.dispatch.events.bodies import MARK, harmless, moment, recipient_hash, ref_in
from incidents.dispatch.events.parse import Source, parse
from incidents.dispatch.events.refusing import EventsRefused
from incidents.dispatch.receive import apply_events, store_events
from incidents.models import Campaign, ProviderEvent
from incidents.models import MessageState as S
from tests.dispatch.campaigns import state_of
from tests.dispatch.events.conftest import Post, handed_over, nothing_kept
from tests.dispatch.events.posted import ARRIVED, BOUNCED, PROVIDERS, Request, event, request, sign, sns

REF = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HOSTILE = {
    "nothing": b"",
    "depth": b"[" * 10_000 + b"]" * 10_000,
    "depth of objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "beyond all bounds": b'{"event": "delivered", "time": 1e400}',
    "no number": b'{"event": "delivered", "time": NaN}',
    "a number of 5,000 digits": b'{"time": ' + b"9" * 5000 + b"}",
    "a field twice": b'{"event": "delivered", "event": "spam"}',
    "latin-1": '{"event": "Zoë"}'.encode("latin-1"),
    "utf-16": '{"event": "delivered"}'.encode("utf-16"),
    "half of it": b'{"event": "deliv',
    "a text": b'"delivered"',
    "null": b"null",
    "numbers": b"[1, 2, 3]",
    "form": b"event=delivered&token=x",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_cannot_be_read_is_refused_by_a_number(post: Post, database: None, provider: str, body: bytes) -> None:
    proved = request(provider, ARRIVED, ref=REF)
    assert post(proved, body=body).status_code in (400, 403, 411)
    if provider in ("sendgrid", "resend", "postmark", "brevo", "mailjet"):
        again = sign(provider, json.loads(body)) if body in (b'"delivered"', b"null", b"[1, 2, 3]") else proved
        assert post(again, body=again.body if again is not proved else body).status_code in (200, 400, 403, 411)
    assert nothing_kept()


def test_a_body_of_fifty_megabytes_is_not_even_read(post: Post, database: None) -> None:
    asked = request("postmark", ARRIVED, ref=REF)
    assert post(asked, body=b" " * 50_000_000).status_code == 413
    assert post(asked, body=asked.body + b" " * (1_000_001 - len(asked.body))).status_code == 413
    assert post(asked, body=asked.body + b" " * (1_000_000 - len(asked.body))).status_code == 200


def test_a_packed_body_is_never_unpacked(post: Post, database: None) -> None:
    bomb = gzip.compress(b" " * 500_000_000, compresslevel=1)[:900_000]
    asked = request("postmark", ARRIVED, ref=REF)
    assert post(asked, body=bomb, **{"content-encoding": "gzip"}).status_code == 415
    assert post(asked, body=gzip.compress(asked.body), **{"content-encoding": "gzip"}).status_code == 415
    assert post(asked, **{"content-type": "application/json; charset=utf-16"}).status_code == 415


#: Types where other types stand in the providers' references.
ODD = (None, 7, 1.5, True, "", "x" * 5000, [], [[]], {}, {"a": {"b": []}}, "\x00\ud800", -1, 10**30)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_any_field_of_any_strange_type_is_survived(set_up: Settings, database: None, provider: str) -> None:
    source = Source(heads={"svix-id": "msg_1"}, now=NOW)
    document = event(provider, BOUNCED, ref=REF)
    inner = json.loads(document["Message"]) if provider == "ses" else document
    for path in paths(inner):
        for odd in ODD:
            changed = swapped(inner, path, odd)
            try:
                found = parse(
                    provider=provider, document=sns(json.dumps(changed)) if provider == "ses" else changed, source=source
                )
            except EventsRefused as refused:
                assert refused.status == 400, (path, odd)
            else:
                store_events(provider=provider, events=found)
    assert "claire" not in json.dumps(list(ProviderEvent.objects.values()), default=str)


def swapped(document: Any, path: tuple[Any, ...], value: object) -> Any:
    """The document with another value at a path."""
    if not path:
        return value
    if isinstance(document, list):
        return [swapped(one, path[1:], value) for one in document]
    return {**document, path[0]: swapped(document[path[0]], path[1:], value)}


def paths(document: Any, so_far: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    found = [so_far]
    inner = document.items() if isinstance(document, dict) else enumerate(document[:1]) if isinstance(document, list) else ()
    return found + [path for name, value in inner for path in paths(value, (*so_far, name))]


TEXTS = (
    ("550 <b onclick=x>user</b> unknown", "550 user unknown"),
    ("\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07", "red bell"),
    ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
    ("@SUM(1+1)", "[address](1+1)"),
    ("＝HYPERLINK(1)", "'＝HYPERLINK(1)"),
    ("user claire@example.org unknown", "user [address] unknown"),
    ("<claire.dubois@example.org>: unknown", "[address]: unknown"),
    ('"claire dubois"@example.org unknown', "[address] unknown"),
    ("see https://x.example/?u=claire%40example.org", "see https:[address]"),
    ("a\x00b\r\nc\u202ed\ud800e", "a b c d e"),
    (None, ""), (True, ""), (["550"], ""), (550, "550"),
)  # fmt: skip


@pytest.mark.parametrize(("text", "kept"), TEXTS, ids=range(len(TEXTS)))
def test_a_providers_text_runs_nowhere_and_names_nobody(text: object, kept: str) -> None:
    assert harmless(text) == kept


def test_a_long_text_is_cut_and_costs_little() -> None:
    began = time.process_time()
    assert len(harmless("<" * 100_000 + "a@" * 100_000)) <= 200
    assert len(harmless("x" * 10_000)) == 200
    assert time.process_time() - began < 5  # a guard against a pattern that explodes, not a measure


@pytest.mark.parametrize(("value", "kept", "marked"), [
    (0, datetime(1970, 1, 1, tzinfo=UTC), True), ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC), True),
    ("2100-01-01T00:00:00Z", datetime(2100, 1, 1, tzinfo=UTC), True), (1.79e9, datetime.fromtimestamp(1.79e9, UTC), False),
    ("2026-11-22T10:00:00+01:00", NOW, False), ("2026-11-22 09:00:00 UTC", NOW, False), ("2026-11-22T09:00:00", NOW, False),
    (1e300, None, True), (-1e300, None, True), ("soon", None, True), (None, None, False), ([1], None, True), ("0001-01-01T00:00:00+23:00", None, True),
])  # fmt: skip
def test_a_time_that_cannot_be_right_is_kept_with_a_mark(value: object, kept: datetime | None, marked: bool) -> None:
    assert moment(value, now=NOW) == (kept, MARK if marked else "")


def test_an_event_of_1970_counts_all_the_same(five: Campaign, post: Post) -> None:
    claire = handed_over(five, "sendgrid")
    post(sign("sendgrid", [{**event("sendgrid", ARRIVED, ref=claire.message_ref)[0], "timestamp": 0}]))
    apply_events()
    kept = ProviderEvent.objects.get()
    assert state_of(claire) == S.DELIVERED
    assert kept.happened_at == datetime(1970, 1, 1, tzinfo=UTC) and kept.detail.startswith(MARK.strip())


@pytest.mark.parametrize("name", ["", "x" * 10_000, "a\x00b", "é", None, 5, {"a": 1}])
def test_a_provider_s_name_of_any_kind_is_kept_as_a_key(post: Post, database: None, name: object) -> None:
    documents = [{**event("sendgrid", ARRIVED, ref=REF)[0], "sg_event_id": name, "sg_message_id": name}]
    assert [post(sign("sendgrid", documents)).status_code for _ in range(2)] == [200, 200]
    assert ProviderEvent.objects.count() == 1


@pytest.mark.parametrize(("values", "found"), [
    (({"message_ref": REF},), REF), ((f"<{REF}@example.com>",), REF), ((f"{REF}@example.com",), REF), ((REF,), REF),
    (({"message_ref": REF.upper()},), ""), (({"message_ref": [REF]},), ""), ((f"x{REF}@example.com",), ""), ((f"{REF}\n",), REF),
    (({"other": REF},), ""), ((None, 5, [], ""), ""), ((f"<{'a' * 33}@example.com>",), ""),
])  # fmt: skip
def test_only_our_own_name_of_a_letter_is_one(values: tuple[object, ...], found: str) -> None:
    assert ref_in(*values) == found


def test_the_same_address_has_one_hash_however_it_is_written() -> None:
    plain = recipient_hash("claire@example.org")
    same = [" Claire@EXAMPLE.org ", "Claire <claire@example.org>", "claire@example.org."]
    assert [recipient_hash(one) for one in same] == [plain] * 3 and len(plain) == 64
    assert recipient_hash("user@bücher.example") == recipient_hash("user@xn--bcher-kva.example")
    assert len({plain, recipient_hash("claire@example.com"), recipient_hash("carl@example.org")}) == 3
    assert [recipient_hash(one) for one in ("", "nobody", None, 5, ["a@b.co"])] == [""] * 5


def test_values_of_any_length_are_cut_and_not_refused(database: None) -> None:
    given = {"event_key": "k" * 500, "message_ref": "m" * 500, "kind": "x" * 500, "detail": "d" * 5000, "provider_id": "p" * 9999}
    assert store_events(provider="inbox", events=[given]) == 1
    assert ProviderEvent.objects.get().provider_id == "p" * 200


def test_a_request_of_another_provider_does_not_pass_as_this_one_s(post: Post, database: None) -> None:
    for provider in PROVIDERS:
        for other in PROVIDERS:
            if provider != other and {provider, other} - {"postmark", "brevo", "mailjet"}:
                asked = request(other, BOUNCED, ref=REF)
                assert post(Request(provider, asked.body, asked.heads)).status_code in (400, 403), (provider, other)
    assert nothing_kept()
