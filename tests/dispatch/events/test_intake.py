"""What providers post: believed only with their proof, fresh, once, and kept before they are told so."""

from __future__ import annotations

import io
import json
import logging
import time

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from incidents.dispatch import receive
from incidents.dispatch.events.refused import refused_lately
from incidents.dispatch.events.secrets import PROVES, unsaid
from incidents.dispatch.forecast import forecast
from incidents.dispatch.receive import apply_events
from incidents.models import Campaign, ProviderEvent
from incidents.models import MessageState as S
from incidents.tasks import check_campaigns
from notifier.logs import WithoutWords
from tests.dispatch.campaigns import state_of, superuser
from tests.dispatch.events.conftest import Post, handed_over, kept_events, nothing_kept
from tests.dispatch.events.posted import (
    ARRIVED,
    BOUNCED,
    FULL,
    NAMES,
    PATH,
    PROVIDERS,
    SIGNING,
    Request,
    event,
    mailgun,
    request,
    sign,
    sns,
)

REF = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(("kind", "state"), [(ARRIVED, S.DELIVERED), (BOUNCED, S.NEEDS_OTHER_CHANNEL), (FULL, S.READY)])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_a_provider_tells_moves_the_letter(five: Campaign, post: Post, provider: str, kind: str, state: str) -> None:
    claire = handed_over(five, provider)
    assert post(request(provider, kind, ref=claire.message_ref)).status_code == 200
    assert apply_events() == 1
    assert state_of(claire) == state
    kept = ProviderEvent.objects.get()
    assert (kept.strength, kept.kind, kept.provider_id) == (PROVES[provider][1], kind, NAMES[provider])
    assert kept.raw_sha256 and (kept.signed_at is not None) == (provider in SIGNING)
    assert kept.happened_at is not None and abs(kept.happened_at.timestamp() - time.time()) < 60


def test_a_bounce_that_postmark_calls_by_a_new_name_is_kept_and_brings_no_second_letter(five: Campaign, post: Post) -> None:
    claire = handed_over(five, "postmark")
    told = {**event("postmark", FULL, ref=claire.message_ref), "Type": "Greylisted", "TypeCode": 9_999}
    assert post(sign("postmark", told)).status_code == 200
    assert apply_events() == 1
    kept = ProviderEvent.objects.get()
    assert (kept.kind, kept.effect, state_of(claire)) == ("other", "noted", S.ACCEPTED)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_address_of_anybody_is_kept(post: Post, database: None, provider: str) -> None:
    document = json.dumps(event(provider, BOUNCED, ref=REF)).replace("5.1.1", "5.1.1 <claire@example.org> claire%40example.org")
    asked = sign(provider, json.loads(document)) if provider != "ses" else request(provider, BOUNCED, ref=REF)
    assert post(asked).status_code == 200
    row = json.dumps(list(ProviderEvent.objects.values()), default=str)
    assert "claire" not in row and "example.org" not in row
    assert len(ProviderEvent.objects.get().recipient_hash) == 64


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_same_request_a_second_time_changes_nothing(post: Post, database: None, provider: str) -> None:
    asked = request(provider, ARRIVED, ref=REF)
    assert [post(asked).status_code for _ in range(3)] == [200] * 3
    assert ProviderEvent.objects.count() == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_forged_request_is_refused_and_nothing_is_kept(post: Post, database: None, provider: str) -> None:
    asked = request(provider, BOUNCED, ref=REF)
    bare = Request(provider, asked.body, {})
    if provider == "mailgun":
        bare = Request(provider, asked.body.replace(b'"signature": "', b'"signature": "00'))
    assert post(bare).status_code == 403
    assert nothing_kept()


@pytest.mark.parametrize("provider", ["ses", "sendgrid", "resend"])
def test_a_right_signature_under_another_body_is_refused(post: Post, database: None, provider: str) -> None:
    asked = request(provider, ARRIVED, ref=REF)
    assert post(asked, body=asked.body.replace(REF.encode(), b"f" * 32)).status_code == 403
    assert nothing_kept()


def test_a_token_of_mailgun_is_good_for_one_body_only(post: Post, database: None) -> None:
    said = event("mailgun", ARRIVED, ref=REF)["event-data"]
    first = sign("mailgun", mailgun(said, token="t" * 50))
    assert post(first).status_code == 200
    other = sign("mailgun", mailgun({**said, "event": "complained"}, token="t" * 50))
    assert post(other).status_code == 403
    assert post(first).status_code == 200  # Mailgun itself, who had not heard our answer
    assert kept_events().get().kind == ARRIVED


def test_a_token_that_came_with_something_ignored_is_used_up_too(post: Post, database: None) -> None:
    said = event("mailgun", ARRIVED, ref=REF)["event-data"]
    assert post(sign("mailgun", mailgun({**said, "event": "opened"}, token="t" * 50))).status_code == 200
    assert post(sign("mailgun", mailgun(said, token="t" * 50))).status_code == 403
    kept = kept_events().get()
    assert (kept.kind, kept.effect, kept.message_ref, kept.recipient_hash) == ("ignored", "ignored", "", "")


@pytest.mark.parametrize("hours", [25, -1])
@pytest.mark.parametrize("provider", SIGNING)
def test_what_was_signed_too_long_ago_or_in_the_future_is_refused(post: Post, database: None, provider: str, hours: int) -> None:
    at = time.time() - hours * 3600
    document = event(provider, ARRIVED, ref=REF)
    if provider == "mailgun":
        document = mailgun(document["event-data"], at=at)
    if provider == "ses":
        from_then = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))
        document = sns(document["Message"], Timestamp=from_then)
    assert post(sign(provider, document, at=at)).status_code == 403
    assert nothing_kept()


def test_many_events_in_one_request_are_each_kept(post: Post, database: None) -> None:
    documents = [event("sendgrid", ARRIVED, ref=f"{n:032x}")[0] for n in range(1000)]
    assert post(sign("sendgrid", documents)).status_code == 200
    assert ProviderEvent.objects.count() == 1000
    assert post(sign("sendgrid", documents[:500])).status_code == 200
    assert ProviderEvent.objects.count() == 1000


@pytest.mark.parametrize("provider", PROVIDERS)
def test_opening_and_clicking_are_nobodys_business(post: Post, database: None, provider: str) -> None:
    words = {
        "ses": "Open",
        "mailgun": "opened",
        "sendgrid": "open",
        "resend": "email.opened",
        "postmark": "Open",
        "brevo": "opened",
        "mailjet": "open",
    }
    field = {"ses": "eventType", "resend": "type", "postmark": "RecordType"}.get(provider, "event")
    document = event(provider, ARRIVED, ref=REF)
    if provider == "ses":
        document = sns(json.dumps({**json.loads(document["Message"]), field: words[provider]}))
    elif provider == "mailgun":
        document = mailgun({**document["event-data"], field: words[provider]})
    elif isinstance(document, list):
        document = [{**document[0], field: words[provider]}]
    else:
        document[field] = words[provider]
    assert post(sign(provider, document)).status_code == 200
    assert list(ProviderEvent.objects.exclude(kind="ignored")) == []


def test_unsubscribing_from_advertisements_never_stops_a_notice(five: Campaign, post: Post) -> None:
    claire = handed_over(five, "postmark")
    document = {"RecordType": "SubscriptionChange", "MessageID": NAMES["postmark"], "Recipient": "claire@example.org",
                "SuppressSending": True, "SuppressionReason": "ManualSuppression", "ChangedAt": "2026-11-22T09:00:00Z",
                "Origin": "Recipient", "Metadata": {"message_ref": claire.message_ref}}  # fmt: skip
    assert post(sign("postmark", document)).status_code == 200
    apply_events()
    assert (state_of(claire), ProviderEvent.objects.get().effect) == (S.ACCEPTED, "noted")


@pytest.mark.parametrize(("provider", "change"), [
    ("ses", {"bounceType": "Permanent", "bounceSubType": "OnAccountSuppressionList"}),
    ("resend", {"type": "Permanent", "subType": "Suppressed", "message": "on the suppression list"}),
])  # fmt: skip
def test_whom_the_provider_does_not_write_to_needs_another_channel(
    five: Campaign, post: Post, provider: str, change: dict[str, str]
) -> None:
    claire = handed_over(five, provider)
    document = event(provider, BOUNCED, ref=claire.message_ref)
    if provider == "ses":
        said = json.loads(document["Message"])
        document = sns(json.dumps({**said, "bounce": {**said["bounce"], **change}}))
    else:
        document["data"]["bounce"] |= change
    post(sign(provider, document))
    apply_events()
    due = claire.due_at
    assert state_of(claire) == S.NEEDS_OTHER_CHANNEL
    assert claire.state_reason.startswith(f"{provider}: suppressed") and claire.due_at == due


@pytest.mark.parametrize(
    ("provider", "reason", "state"),
    [
        ("resend", "reached_daily_quota", S.READY),
        ("resend", "API key is invalid", S.READY),
        ("resend", "the domain of the sender is not verified", S.READY),
        ("resend", "invalid_recipient", S.NEEDS_OTHER_CHANNEL),
        ("sendgrid", "Recipient List over Package Quota", S.READY),
        ("sendgrid", "Invalid SMTPAPI header", S.READY),
        ("sendgrid", "", S.READY),
        ("sendgrid", "Bounced Address", S.NEEDS_OTHER_CHANNEL),
        ("sendgrid", "Invalid", S.NEEDS_OTHER_CHANNEL),
    ],
)
def test_a_letter_that_failed_for_a_reason_of_ours_is_tried_again_and_gives_nobody_up(
    five: Campaign, post: Post, provider: str, reason: str, state: str
) -> None:
    claire = handed_over(five, provider)
    document = event(provider, ARRIVED, ref=claire.message_ref)
    if provider == "resend":
        document |= {"type": "email.failed", "data": {**document["data"], "failed": {"reason": reason}}}
    else:
        document = [{**document[0], "event": "dropped", "reason": reason, "response": ""}]
    assert post(sign(provider, document)).status_code == 200
    apply_events()
    assert state_of(claire) == state


def test_an_answering_machine_behind_ses_is_no_bounce(five: Campaign, post: Post) -> None:
    claire = handed_over(five, "ses")
    said = json.loads(event("ses", FULL, ref=claire.message_ref)["Message"])
    said["bounce"] |= {"bounceSubType": "General", "bouncedRecipients": [{"emailAddress": "claire@example.org"}]}
    post(sign("ses", sns(json.dumps(said))))
    apply_events()
    assert (state_of(claire), ProviderEvent.objects.get().kind) == (S.ACCEPTED, "notice")


@pytest.mark.parametrize("path", [f"/events/resend/{PATH}/", f"/events/resend/{PATH}x/", f"/events/{PATH}", f"/events//{PATH}//"])
def test_no_log_names_the_secret_path_of_a_request_that_is_refused(
    set_up: Settings, database: None, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(WithoutWords("%(message)s"))
    monkeypatch.setattr(logging.getLogger("django.request"), "handlers", [handler])
    client = Client(enforce_csrf_checks=True)
    assert client.post(path, b"{}", content_type="application/json").status_code >= 400
    assert client.get(path).status_code >= 400
    assert out.getvalue().count("/events/") == 2 and PATH not in out.getvalue(), out.getvalue()


# -- what is refused raises an alarm ----------------------------------------------------------------------------------------


def test_notifications_that_are_refused_are_counted_and_named_with_their_reason(
    post: Post, five: Campaign, caplog: pytest.LogCaptureFixture
) -> None:
    asked = request("postmark", BOUNCED, ref=REF)
    assert refused_lately() == []
    assert post(Request("postmark", asked.body, {})).status_code == 403
    assert [post(asked, body=b'{"said": claire@example.org').status_code for _ in range(3)] == [400, 400, 400]
    [line] = refused_lately()
    assert line.startswith("4 notifications of postmark refused in the last hour, the newest because of ")
    assert "(400)" in line and "claire" not in line
    assert forecast(campaign=five).alarms == (line,) and line in forecast(campaign=five).to_json()["warnings"]
    check_campaigns()
    assert line in caplog.text
    assert apply_events() == 0 and nothing_kept()


def test_forged_ones_beside_genuine_ones_are_called_so_and_not_that_nothing_is_known(
    post: Post, five: Campaign, admin_url: str
) -> None:
    asked = request("postmark", ARRIVED, ref=REF)
    assert [post(Request("postmark", asked.body, {})).status_code for _ in range(2)] == [403, 403]
    assert "is not known while this lasts" in refused_lately()[0], "none was believed yet"
    assert post(asked).status_code == 200
    [line] = refused_lately()
    assert line.startswith("2 notifications of postmark refused") and "not known" not in line
    assert "Others are read meanwhile, the newest at " in line and "somebody who knows the address sends forged ones" in line
    assert post(asked, body=b"{").status_code == 400
    assert "what those that were refused tell of letters is not known" in refused_lately()[0]
    with superuser(admin_url) as server:
        server.execute("UPDATE incidents_providerevent SET received_at = now() - interval '6 minutes' WHERE kind <> 'refused'")
    assert "is not known while this lasts" in refused_lately()[0], "genuine ones came before, and none since"


def test_what_was_refused_an_hour_ago_is_no_alarm_any_more(post: Post, admin_url: str) -> None:
    assert post(request("postmark", BOUNCED, ref=REF), body=b"{").status_code == 400
    with superuser(admin_url) as server:
        server.execute("UPDATE incidents_providerevent SET event_key = 'refused ' || to_char("
                       "now() AT TIME ZONE 'UTC' - interval '62 minutes', 'YYYY-MM-DD\"T\"HH24:MI') || ' x'")  # fmt: skip
    assert refused_lately() == []
    assert post(request("postmark", BOUNCED, ref=REF), body=b"{").status_code == 400
    assert refused_lately()[0].startswith("1 notification of postmark")


def test_whoever_does_not_know_the_address_raises_no_alarm(post: Post, settings: Settings, five: Campaign) -> None:
    asked = request("postmark", ARRIVED, ref=REF)
    assert post(asked, path="another-address-that-nobody-knows").status_code == 404
    assert post(Request("sparkpost", asked.body, asked.heads)).status_code == 404
    settings.EVENTS_PATH = "short"
    assert post(asked, path="short").status_code == 503
    assert refused_lately() == []


# -- who is let in at all -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
def test_without_its_secret_a_provider_is_not_believed_and_a_check_says_so(
    post: Post, settings: Settings, database: None, caplog: pytest.LogCaptureFixture, provider: str
) -> None:
    name = PROVES[provider][0]
    settings.EVENTS_SECRETS = {one: secret for one, secret in settings.EVENTS_SECRETS.items() if one != name}
    settings.EVENTS_PATH = "another-address-that-nobody-guesses-" + provider
    settings.MAIL = f"{provider}:"
    with caplog.at_level(logging.ERROR):
        assert post(request(provider, ARRIVED, ref=REF)).status_code == 503
    assert name in caplog.text
    assert [missing.setting for missing in unsaid()] == [name]
    assert nothing_kept()


def test_without_a_secret_path_nobody_is_let_in(post: Post, settings: Settings, database: None) -> None:
    settings.EVENTS_PATH = "short"
    assert post(request("postmark", ARRIVED, ref=REF), path="short").status_code == 503
    assert {missing.setting for missing in unsaid()} == {"EVENTS_PATH"}


@pytest.mark.parametrize(("name", "secret"), [
    ("SENDGRID_WEBHOOK_KEY", "no key"), ("RESEND_WEBHOOK_SECRET", "whsec_short"), ("POSTMARK_WEBHOOK_AUTH", "only-a-password-of-some-length"),
    ("BREVO_WEBHOOK_AUTH", "user:short"), ("MAILGUN_WEBHOOK_KEY", "tiny"), ("SES_TOPIC_ARNS", "arn:aws:sqs:eu-west-1:1:q"),
])  # fmt: skip
def test_a_secret_that_cannot_be_one_is_named_without_being_shown(set_up: Settings, name: str, secret: str) -> None:
    set_up.EVENTS_SECRETS = {**set_up.EVENTS_SECRETS, name: secret}
    found = unsaid()
    assert [missing.setting for missing in found] == [name]
    assert secret not in str(found[0])


def test_a_bounce_address_that_cannot_name_a_letter_is_named(set_up: Settings) -> None:
    set_up.BOUNCE_ADDRESS = "bounces+x@example.com"
    assert [missing.setting for missing in unsaid()] == ["BOUNCE_ADDRESS"]


def test_only_posts_to_the_right_address_are_answered(post: Post, database: None) -> None:
    asked = request("postmark", ARRIVED, ref=REF)
    assert post(asked, path="another-address-that-nobody-knows").status_code == 404
    assert post(Request("sparkpost", asked.body, asked.heads)).status_code == 404
    for method in ("get", "head", "put", "delete", "options"):
        assert getattr(Client(), method)("/events/postmark/an-address-that-nobody-guesses/").status_code == 405
    assert nothing_kept()


def test_a_plain_look_at_the_address_tells_when_no_event_is_taken(post: Post, settings: Settings, database: None) -> None:
    assert Client().get("/events/postmark/preflight/").status_code == 405
    settings.EVENTS_PATH = ""
    assert Client().get("/events/postmark/preflight/").status_code == 503
    assert Client().get("/events/sparkpost/preflight/").status_code == 405


def test_every_answer_keeps_the_browser_s_rules_and_is_kept_by_nobody(post: Post, database: None) -> None:
    asked = request("postmark", ARRIVED, ref=REF)
    answers = [post(asked), post(asked, path="another-address-that-nobody-knows"), post(Request("postmark", b"{", {}))]
    for answer in (*answers, Client().get("/events/postmark/an-address-that-nobody-guesses/")):
        assert {name: answer.headers[name] for name in ("X-Content-Type-Options", "X-Frame-Options", "Cache-Control")} == {
            "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store"}  # fmt: skip
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "Set-Cookie" not in answer.headers and "Vary" not in answer.headers


def test_a_foreign_host_name_and_an_address_of_another_form_are_refused(post: Post, database: None) -> None:
    assert post(request("postmark", ARRIVED, ref=REF), host="attacker.example").status_code == 400
    assert post(request("postmark", ARRIVED, ref=REF), path="one/more").status_code == 404
    assert nothing_kept()


def test_a_connection_that_died_since_the_last_event_is_no_reason_to_refuse_the_next(
    post: Post, five: Campaign, admin_url: str
) -> None:
    assert post(request("postmark", ARRIVED, ref=REF)).status_code == 200
    with superuser(admin_url) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    assert post(request("postmark", BOUNCED, ref=REF)).status_code == 200
    assert ProviderEvent.objects.count() == 2


@pytest.mark.committed("web")
def test_the_desk_s_own_role_may_keep_events(post: Post, database: None) -> None:
    answer = post(request("sendgrid", ARRIVED, ref=REF))
    assert (answer.status_code, answer.content, "Set-Cookie" in answer.headers) == (200, b"", False)
    assert ProviderEvent.objects.get().message_ref == REF


def test_a_subscription_is_confirmed_and_an_unknown_topic_is_not(post: Post, database: None) -> None:
    other = sns("hello", TopicArn="arn:aws:sns:eu-west-1:210987654321:others")
    assert post(sign("ses", other)).status_code == 403
    assert post(sign("ses", sns("Successfully validated SNS topic for Amazon SES event publishing."))).status_code == 200
    assert nothing_kept()


def test_two_hundred_is_said_only_after_the_commit(post: Post, five: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(_: str) -> None:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(receive, "reach", cut)
    assert post(request("postmark", ARRIVED, ref=REF)).status_code == 503
    monkeypatch.undo()
    assert nothing_kept()
