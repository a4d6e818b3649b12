"""Many complete letters in one request: each has an answer of its own, and what the provider does not say is a doubt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from incidents.dispatch.channels.choose import provider_for
from incidents.dispatch.channels.contract import Answer, Lanes, SendErrorKind
from incidents.dispatch.channels.http import HttpAnswer
from incidents.dispatch.channels.meanings import taken_or_not
from incidents.dispatch.channels.postmark import PostmarkApi
from incidents.dispatch.channels.resend import ResendApi, idempotency_key
from incidents.dispatch.events.bodies import name_of
from tests.dispatch.providers.contract import handed_over, mail_to, point_at, prepared
from tests.dispatch.providers.dialects import DIALECTS, Letter, Reply, as_json, postmark_entry, postmark_refused
from tests.dispatch.providers.stub import Handler, Play, Stub, reset, says, served, status

K = SendErrorKind


@pytest.fixture
def stub(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Stub]:
    with served(DIALECTS[request.param]) as found:
        point_at(settings, request.param, found.url)
        yield found


@pytest.fixture
def lanes(stub: Stub) -> Iterator[Lanes]:
    way = next(name for name, dialect in DIALECTS.items() if dialect is stub.dialect)
    found = provider_for(way).lanes(incident=None, number=1)  # type: ignore[arg-type]
    yield found
    found.close()


at_postmark = pytest.mark.parametrize("stub", ["postmark:"], indirect=True)
at_resend = pytest.mark.parametrize("stub", ["resend:"], indirect=True)
at_both = pytest.mark.parametrize("stub", ["postmark:", "resend:"], indirect=True)


def fifty() -> list[Any]:
    return [prepared(mail_to(f"person{number}@example.org", number=number)) for number in range(50)]


def kinds(answers: list[Answer]) -> list[SendErrorKind | None]:
    return [answer.error for answer in answers]


def entries(change: Any) -> Play:
    """Postmark takes all letters, and `change` makes its list of entries another."""

    def play(handler: Handler, letters: list[Letter]) -> Reply:
        return as_json(200, change([postmark_entry(letter) for letter in letters], letters))

    return play


@at_both
def test_fifty_letters_travel_in_one_request_and_each_gets_its_own_id(stub: Stub, lanes: Lanes) -> None:
    letters = fifty()
    answers = handed_over(lanes, *letters)
    assert len(stub.requests) == 1
    assert [letter.ref for letter in stub.letters] == [letter.mail.message_ref for letter in letters]
    assert [answer.provider_id[3:] for answer in answers] == [letter.mail.message_ref for letter in letters]


@at_both
def test_what_stands_in_each_letter_is_what_was_approved(stub: Stub, lanes: Lanes) -> None:
    letters = fifty()
    handed_over(lanes, *letters)
    for sent, letter in zip(stub.letters, letters, strict=True):
        mail = letter.mail
        assert (sent.to, sent.subject, sent.text, sent.html) == (mail.to, mail.subject, mail.text, mail.html)
        assert sent.heads["message-id"] == mail.message_id


@at_postmark
def test_of_fifty_thirteen_are_refused_and_only_they_are(stub: Stub, lanes: Lanes) -> None:
    def refuse(found: list[Any], letters: list[Letter]) -> list[Any]:
        return [postmark_refused(letters[at]) if at < 13 else entry for at, entry in enumerate(found)]

    stub.plays = [entries(refuse)]
    assert kinds(handed_over(lanes, *fifty())) == [K.REFUSED] * 13 + [None] * 37


@at_postmark
def test_entries_in_another_order_are_matched_by_their_recipient(stub: Stub, lanes: Lanes) -> None:
    letters = fifty()
    stub.plays = [entries(lambda found, sent: found[::-1])]
    answers = handed_over(lanes, *letters)
    assert [answer.provider_id for answer in answers] == [f"pm-{letter.mail.message_ref}" for letter in letters]


@at_postmark
def test_a_missing_entry_is_a_doubt_about_its_letter_alone(stub: Stub, lanes: Lanes) -> None:
    stub.plays = [entries(lambda found, sent: found[:20] + found[21:])]
    assert kinds(handed_over(lanes, *fifty())) == [None] * 20 + [K.DOUBTFUL] + [None] * 29


@at_postmark
def test_an_entry_too_many_is_no_letters_answer(stub: Stub, lanes: Lanes) -> None:
    stub.plays = [entries(lambda found, sent: [*found, {**found[0], "MessageID": "another"}])]
    assert kinds(handed_over(lanes, *fifty())) == [K.DOUBTFUL] + [None] * 49


@at_postmark
def test_two_people_with_one_address_are_not_mixed_up_into_certainty(stub: Stub, lanes: Lanes) -> None:
    shared = [prepared(mail_to("family@example.org", number=number)) for number in (1, 2)]
    alone = prepared(mail_to("carl@example.com", number=3))
    stub.plays = [entries(lambda found, sent: [found[2], found[0]])]
    assert kinds(handed_over(lanes, *shared, alone)) == [K.DOUBTFUL, K.DOUBTFUL, None]


@at_postmark
def test_refusals_that_name_nobody_are_doubts_once_the_order_is_lost(stub: Stub, lanes: Lanes) -> None:
    stub.plays = [entries(lambda found, sent: [{"ErrorCode": 300, "Message": "Zero recipients"}, *found[2:]])]
    assert kinds(handed_over(lanes, *fifty())) == [K.DOUBTFUL] * 2 + [None] * 48


@at_postmark
@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"ErrorCode": 300, "Message": "Invalid 'To' address: 'x'."}, K.REFUSED),
        ({"ErrorCode": 300, "Message": "Invalid 'From' address: 'x'."}, K.ACCOUNT),
        ({"ErrorCode": 405, "Message": "ran out of credits"}, K.ACCOUNT),
        ({"ErrorCode": 100, "Message": "maintenance"}, K.NOT_SENT),
        ({"ErrorCode": 429, "Message": "rate limit"}, K.NOT_SENT),
        ({"ErrorCode": 9999, "Message": "new"}, K.NOT_SENT),
        ({"ErrorCode": 0, "Message": "OK", "MessageID": ""}, K.DOUBTFUL),
        ({"ErrorCode": 0, "Message": "OK", "MessageID": 7}, K.DOUBTFUL),
        ({"ErrorCode": False, "MessageID": "x"}, K.DOUBTFUL),
        ({"ErrorCode": "0", "MessageID": "x"}, K.DOUBTFUL),
        ({}, K.DOUBTFUL),
        (None, K.DOUBTFUL),
        ("OK", K.DOUBTFUL),
    ],
)
def test_what_a_postmark_entry_means(stub: Stub, lanes: Lanes, entry: Any, kind: SendErrorKind) -> None:
    stub.plays = [says(as_json(200, [entry]))]
    assert kinds(handed_over(lanes, prepared(mail_to()))) == [kind]


STRANGE = ["a\x00b", "\ud800", "x" * 300, "ünïcode", "two\nlines"]


@at_postmark
@pytest.mark.parametrize("given", STRANGE)
def test_a_strange_id_of_postmarks_is_kept_as_its_events_will_name_it(stub: Stub, lanes: Lanes, given: str) -> None:
    stub.plays = [says(as_json(200, [{"ErrorCode": 0, "Message": "OK", "MessageID": given}]))]
    (answer,) = handed_over(lanes, prepared(mail_to()))
    assert (answer.error, answer.provider_id) == (None, name_of(given)) and answer.provider_id.startswith("sha256-")


@at_resend
@pytest.mark.parametrize("given", STRANGE)
def test_a_strange_id_of_resends_is_kept_as_its_events_will_name_it(stub: Stub, lanes: Lanes, given: str) -> None:
    stub.plays = [says(as_json(200, {"data": [{"id": given}]}))]
    (answer,) = handed_over(lanes, prepared(mail_to()))
    assert (answer.error, answer.provider_id) == (None, name_of(given))


@pytest.mark.parametrize("given", STRANGE)
def test_and_so_is_that_of_every_other_provider(given: str) -> None:
    answer = HttpAnswer(status=200, heads={}, body=b"{}", whole=True)
    found = taken_or_not(kind="brevo", answer=answer, provider_id=given, now=datetime.now(tz=UTC))
    assert (found.error, found.provider_id) == (None, name_of(given))


@at_resend
def test_letters_that_resend_lists_as_wrong_are_refused_and_the_others_taken(stub: Stub, lanes: Lanes) -> None:
    def play(handler: Handler, letters: list[Letter]) -> Reply:
        errors = [{"index": at, "message": "Invalid `to` field."} for at in (3, 11)]
        return as_json(200, {"data": [{"id": f"re-{at}"} for at in range(48)], "errors": errors})

    stub.plays = [play]
    answers = handed_over(lanes, *fifty())
    assert [at for at, answer in enumerate(answers) if answer.error] == [3, 11]
    assert {answers[3].error, answers[11].error} == {K.REFUSED}
    assert len({answer.provider_id for answer in answers if not answer.error}) == 48


@at_resend
@pytest.mark.parametrize(
    "data",
    [
        {"data": [{"id": f"re-{at}"} for at in range(49)]},
        {"data": [{"id": f"re-{at}"} for at in range(51)]},
        {"data": [{"id": "re-same"}] * 50},
        {"data": [{"id": ""}] * 50},
        {"data": [{"id": f"re-{at}"} for at in range(50)], "errors": [{"index": 99, "message": "?"}]},
        {"data": [{"id": f"re-{at}"} for at in range(50)], "errors": [{"message": "?"}]},
        {"data": None},
        {"errors": []},
    ],
)
def test_ids_that_do_not_fit_the_letters_make_doubts_of_all(stub: Stub, lanes: Lanes, data: Any) -> None:
    stub.plays = [says(as_json(200, data))]
    assert set(kinds(handed_over(lanes, *fifty()))) == {K.DOUBTFUL}


@at_resend
def test_the_same_letters_are_one_request_however_often_they_are_made(stub: Stub, lanes: Lanes) -> None:
    letters = fifty()
    stub.plays = [status(429)]
    for batch in (letters, letters, letters[1:]):
        handed_over(lanes, *batch)
    first, second, other = [heads["idempotency-key"] for _, heads, _ in stub.requests]
    assert first == second == idempotency_key(letters=letters) != other
    assert letters[0].mail.message_ref not in first


@at_resend
@pytest.mark.parametrize("name", ["concurrent_idempotent_requests", "invalid_idempotent_request"])
def test_a_key_that_was_seen_before_is_a_doubt_and_no_refusal(stub: Stub, lanes: Lanes, name: str) -> None:
    stub.plays = [says(as_json(409, {"statusCode": 409, "name": name, "message": "..."}))]
    assert set(kinds(handed_over(lanes, *fifty()))) == {K.DOUBTFUL}


@at_resend
@pytest.mark.parametrize(
    ("name", "spent"), [("daily_quota_exceeded", True), ("monthly_quota_exceeded", True), ("rate_limit_exceeded", False)]
)
def test_a_used_up_quota_of_resends_is_told_from_a_rate_that_is_too_high(
    stub: Stub, lanes: Lanes, name: str, spent: bool
) -> None:
    stub.plays = [says(as_json(429, {"statusCode": 429, "name": name, "message": "..."}))]
    found = {(answer.error, answer.spent, answer.throttled) for answer in handed_over(lanes, *fifty())}
    assert found == {(K.NOT_SENT, spent, not spent)} and len(stub.requests) == 1


@at_both
def test_a_request_refused_as_a_whole_is_halved_until_the_one_letter_is_found(stub: Stub, lanes: Lanes) -> None:
    def picky(handler: Handler, letters: list[Letter]) -> Reply | None:
        if any(letter.to == "person17@example.org" for letter in letters):
            return as_json(
                422, {"ErrorCode": 300, "Message": "Error parsing 'To': x", "name": "x"} | {"message": "Invalid `to` field"}
            )
        return None

    stub.plays = [picky] * 100
    answers = handed_over(lanes, *fifty())
    assert [at for at, answer in enumerate(answers) if answer.error] == [17]
    assert answers[17].error == K.REFUSED
    assert len(stub.letters) == len({letter.ref for letter in stub.letters}) == 49


@at_both
def test_a_refusal_of_all_is_not_asked_five_hundred_times(stub: Stub, lanes: Lanes) -> None:
    stub.plays = [says(as_json(400, {"message": "no"}))] * 1000
    assert set(kinds(handed_over(lanes, *fifty()))) == {K.NOT_SENT}
    assert len(stub.requests) <= 24


@at_both
def test_our_own_refusal_is_not_halved(stub: Stub, lanes: Lanes) -> None:
    stub.plays = [status(401)]
    assert set(kinds(handed_over(lanes, *fifty()))) == {K.ACCOUNT}
    assert len(stub.requests) == 1


@at_both
def test_a_line_cut_in_the_second_half_does_not_unsay_the_first(stub: Stub, lanes: Lanes) -> None:
    stub.plays = [says(as_json(413, {})), lambda handler, letters: None, reset]
    assert kinds(handed_over(lanes, *fifty())) == [None] * 25 + [K.DOUBTFUL] * 25


@at_resend
def test_more_letters_than_a_request_takes_become_two_requests(stub: Stub, lanes: Lanes) -> None:
    letters = [prepared(mail_to(f"p{number}@example.org", number=number)) for number in range(150)]
    assert set(kinds(handed_over(lanes, *letters))) == {None}
    assert [len(sent) for _, _, sent in stub.requests] == [75, 75]


def test_the_batch_is_what_the_provider_takes_or_less(settings: Settings) -> None:
    settings.PROVIDER_KEYS = dict.fromkeys(settings.PROVIDER_KEYS, "secret-key")
    found = {
        way: provider_for(way).batch
        for way in ("postmark:", "resend:", "postmark:?batch=40", "resend:?batch=4000", "postmark:?batch=1")
    }
    assert found == {
        "postmark:": 500,
        "resend:": 100,
        "postmark:?batch=40": 40,
        "resend:?batch=4000": 100,
        "postmark:?batch=1": 1,
    }


# JSON of a letter


@pytest.mark.parametrize("api", [PostmarkApi(token="t", stream="outbound"), ResendApi(key="k")], ids=["postmark", "resend"])
def test_a_letters_json_is_json_whatever_its_heads_hold(api: Any) -> None:
    mail = mail_to('o"brien\\@example.org')
    made = json.loads(api.letter(letter=prepared(mail)))
    whole = json.dumps(made)
    assert mail.message_ref in whole and made.get("TextBody", made.get("text")) == mail.text
