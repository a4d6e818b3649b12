"""Our counts of a campaign beside the provider's own, each difference with its explanation; and letters that nobody tells of.

Only what a provider documents is asked: Postmark "Stats API", Mailgun "Totals for entire domain", SendGrid "Retrieve global email
statistics", Brevo "Get your transactional email activity aggregated over a period of time", SES GetSendStatistics. They count all
mail of the account on whole days, so theirs may be more than ours and never fewer. The others cannot be asked.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.models import Count
from django.utils.module_loading import import_string

from incidents.audit.log import database_now
from incidents.dispatch.channels.choose import UnknownProvider, provider_named, read_mail_setting
from incidents.dispatch.channels.contract import Provider, SendError
from incidents.dispatch.channels.http import HttpLine, provider_key, provider_url
from incidents.dispatch.conservation import count_states
from incidents.dispatch.events.bodies import items, part, read_json, text_of
from incidents.dispatch.events.refusing import EventsRefused
from incidents.models import Attempt, Campaign, Message, Reconciliation
from incidents.models import MessageState as S
from incidents.models.refusal import Refused

SECONDS = 20.0
#: Letters without any event that are asked about one by one, in one go.
MOST_LOOK_UPS = 200
#: What is compared, where the provider counts it; the rest of its counts is kept beside.
COMPARED = ("taken", "delivered", "bounced", "complained")
Counts = dict[str, int]


class CannotBeAsked(Exception):
    """A provider has no counts that we know how to ask for, or gives none now; says why."""


@dataclass(frozen=True)
class Span:
    """Whole days (UTC) on which the campaign sent, one more at each end: some providers count in other zones."""

    first: date
    last: date


def reconcile(
    *, campaign: Campaign, look_ups: int = MOST_LOOK_UPS, ask: Callable[[str, Span], Counts] | None = None,
    provider_of: Callable[[str], Provider] = provider_named,
) -> list[Reconciliation]:  # fmt: skip
    """Count, ask each provider that had letters of the campaign, explain, and keep it. Raises Refused when nothing was sent."""
    names = list(Attempt.objects.filter(message__campaign=campaign).order_by().values_list("provider", flat=True).distinct())
    if not names:
        raise Refused(f"Nothing of {campaign.reference} was handed to any provider yet: there is nothing to compare.")
    span = Span(_day(campaign.released_at or campaign.frozen_at, -1), _day(campaign.drained_at or database_now(), 1))
    made = []
    for name in sorted(names):
        ours, silent = _ours(campaign, name), _look_up(campaign, name, look_ups, provider_of)
        try:
            theirs, why = (ask or _ask)(name, span), ""
        except CannotBeAsked as error:
            theirs, why = {}, str(error)
        lines = [f"its counts: {why}"] if why else _explain(ours, theirs)
        lines += _about_silence(silent)
        made.append(
            Reconciliation.objects.create(
                campaign=campaign, provider=name, ours=ours | {"silent": silent}, theirs=theirs, differences=lines,
                taken_at=database_now(),
            )
        )  # fmt: skip
    return made


def _day(moment: datetime, days: int) -> date:
    return (moment.astimezone(UTC) + timedelta(days=days)).date()


# -- ours ---------------------------------------------------------------------------------------------------------------


def _ours(campaign: Campaign, provider: str) -> dict[str, Any]:
    """Tries that it took, letters by event, and the register's states."""
    tries = Attempt.objects.filter(message__campaign=campaign, provider=provider)
    outcomes = dict(tries.order_by().values_list("outcome").annotate(n=Count("id")))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.kind, count(DISTINCT m.id) FROM incidents_message m JOIN incidents_providerevent e "
            "ON e.message_ref = m.message_ref WHERE m.campaign_id = %s AND e.provider = %s AND e.effect NOT LIKE 'conflict%%' "
            "GROUP BY 1",
            [campaign.pk, _kind(provider)],
        )
        told = dict(cursor.fetchall())
    return {
        "taken": outcomes.get("accepted", 0), "doubts": outcomes.get("doubt", 0), "delivered": told.get("delivered", 0),
        "bounced": sum(told.get(kind, 0) for kind in ("bounced_hard", "bounced_soft", "suppressed")),
        "complained": told.get("complained", 0), "states": count_states(campaign=campaign),
    }  # fmt: skip


def _kind(provider: str) -> str:
    try:
        return read_mail_setting(_setting(provider)).kind
    except CannotBeAsked:
        return provider


def _setting(provider: str) -> str:
    """The setting that names a provider. Raises CannotBeAsked when none does any more."""
    for value in filter(None, (settings.MAIL, settings.MAIL_FALLBACK)):
        if read_mail_setting(value).known_as == provider:
            return str(value)
    raise CannotBeAsked("no setting names this provider any more")


# -- letters of which nobody tells ----------------------------------------------------------------------------------------


def _look_up(campaign: Campaign, provider: str, most: int, provider_of: Callable[[str], Provider]) -> Counts:
    """Ask about letters that were taken and of which no event came: how many it has, has not, and cannot tell of."""
    quiet = Message.objects.filter(campaign=campaign, state__in=[S.ACCEPTED, S.ACCEPTED_UNCONFIRMED], tries__provider=provider)
    found = {"letters": quiet.distinct().count(), "has": 0, "has not": 0, "cannot tell": 0}
    try:
        asked = provider_of(provider)
    except (UnknownProvider, ImproperlyConfigured):
        return found
    try:
        for ref in quiet.order_by("id").distinct().values_list("message_ref", flat=True)[:most]:
            known = asked.look_up(message_ref=ref)
            found["cannot tell" if known is None else "has" if known else "has not"] += 1
            if known is None and found["cannot tell"] == 3 and not found["has"]:
                break  # it is not one that can be asked
    finally:
        asked.close()
    return found


def _about_silence(silent: Counts) -> list[str]:
    lines = [f"{silent['letters']} letters were taken and nothing was told of them since"] if silent["letters"] else []
    if silent["has not"]:
        lines.append(
            f"{silent['has not']} of those that were asked about it does not have: look at each before the campaign is closed"
        )
    return lines


# -- theirs ---------------------------------------------------------------------------------------------------------------


def _explain(ours: Mapping[str, Any], theirs: Counts) -> list[str]:
    lines = []
    for name in COMPARED:
        if name not in theirs or theirs[name] == ours[name]:
            continue
        if theirs[name] > ours[name]:
            lines.append(f"{name}: {theirs[name] - ours[name]} more there: it counts all mail of the account on these days")
        elif name == "taken":
            lines.append(
                f"taken: {ours[name] - theirs[name]} fewer there: it has not counted all of them yet, or does not have them"
            )
        else:
            lines.append(f"{name}: {ours[name] - theirs[name]} fewer there: it has not counted all of them yet")
    missing = [name for name in COMPARED if name not in theirs]
    return lines + ([f"it does not count: {', '.join(missing)}"] if missing else [])


def _ask(provider: str, span: Span) -> Counts:
    """The provider's own counts. Raises CannotBeAsked."""
    at = read_mail_setting(_setting(provider))
    asker = ASKERS.get(at.kind)
    if asker is None:
        raise CannotBeAsked("cannot be asked: it has no counts of its own that we know how to ask for")
    try:
        return asker(at.options, span)
    except (ImproperlyConfigured, SendError) as error:
        raise CannotBeAsked(f"could not be asked: {error}") from None
    except (EventsRefused, KeyError, TypeError, ValueError):
        raise CannotBeAsked("could not be asked: its answer cannot be read") from None


def _get(kind: str, default: str, path: str, heads: Mapping[str, str]) -> Any:
    line = HttpLine(base=provider_url(kind=kind, default=default), seconds=SECONDS)
    try:
        answer = line.ask(method="GET", path=line.path + path, heads={"Accept": "application/json", **heads})
    finally:
        line.close()
    if answer.status != 200 or not answer.whole:
        raise CannotBeAsked(f"could not be asked: it answered {answer.status}")
    return read_json(answer.body)


def _number(value: object) -> int:
    return int(text_of(value) or 0)


def _postmark(options: Mapping[str, str], span: Span) -> Counts:
    """GET /stats/outbound, by message stream where one is set; days by US Eastern time."""
    heads = {"X-Postmark-Server-Token": provider_key(kind="postmark", name="POSTMARK_SERVER_TOKEN")}
    stream = f"&messagestream={quote(options['stream'], safe='')}" if options.get("stream") else ""
    path = f"stats/outbound?fromdate={span.first}&todate={span.last}{stream}"
    found = _get("postmark", "https://api.postmarkapp.com/", path, heads)
    return {"taken": _number(found["Sent"]), "bounced": _number(found["Bounced"]), "complained": _number(found["SpamComplaints"])}


def _mailgun(options: Mapping[str, str], span: Span) -> Counts:
    """GET /v3/{domain}/stats/total; it counts to the hour, by whole days here."""
    default = "https://api.eu.mailgun.net/v3/" if options.get("region") == "eu" else "https://api.mailgun.net/v3/"
    basic = b64encode(f"api:{provider_key(kind='mailgun', name='MAILGUN_API_KEY')}".encode()).decode()
    events = "".join(f"&event={name}" for name in ("accepted", "delivered", "failed", "complained"))
    path = f"{quote(options['domain'], safe='')}/stats/total?start={_epoch(span.first)}&end={_epoch(span.last)}{events}"
    rows = items(_get("mailgun", default, path, {"Authorization": f"Basic {basic}"})["stats"])
    return {
        "taken": sum(_number(part(row, "accepted").get("outgoing")) for row in rows),
        "delivered": sum(_number(part(row, "delivered").get("total")) for row in rows),
        "bounced": sum(_number(part(row, "failed", "permanent").get("total")) for row in rows),
        "complained": sum(_number(part(row, "complained").get("total")) for row in rows),
    }


def _epoch(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _sendgrid(options: Mapping[str, str], span: Span) -> Counts:
    """GET /v3/stats."""
    default = "https://api.eu.sendgrid.com/v3/" if options.get("region") == "eu" else "https://api.sendgrid.com/v3/"
    heads = {"Authorization": f"Bearer {provider_key(kind='sendgrid', name='SENDGRID_API_KEY')}"}
    days = items(_get("sendgrid", default, f"stats?start_date={span.first}&end_date={span.last}&aggregated_by=day", heads))
    rows = [part(one, "metrics") for day in days for one in items(day.get("stats"))]
    names = {
        "taken": ("requests",),
        "delivered": ("delivered",),
        "bounced": ("bounces", "blocks"),
        "complained": ("spam_reports",),
    }
    return {ours: sum(_number(row.get(name)) for row in rows for name in theirs) for ours, theirs in names.items()}


def _brevo(_: Mapping[str, str], span: Span) -> Counts:
    """GET /v3/smtp/statistics/aggregatedReport."""
    heads = {"api-key": provider_key(kind="brevo", name="BREVO_API_KEY")}
    path = f"smtp/statistics/aggregatedReport?startDate={span.first}&endDate={span.last}"
    found = _get("brevo", "https://api.brevo.com/v3/", path, heads)
    return {
        "taken": _number(found["requests"]), "delivered": _number(found["delivered"]),
        "bounced": sum(_number(found.get(name)) for name in ("hardBounces", "softBounces", "blocked", "invalid")),
        "complained": _number(found.get("spamReports")),
    }  # fmt: skip


def _ses(options: Mapping[str, str], span: Span) -> Counts:
    """GetSendStatistics: quarters of an hour, kept for two weeks."""
    client = import_string("boto3.client")(
        "ses", region_name=options["region"], aws_access_key_id=provider_key(kind="ses", name="AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=provider_key(kind="ses", name="AWS_SECRET_ACCESS_KEY"),
    )  # fmt: skip
    try:
        points = client.get_send_statistics()["SendDataPoints"]
    except Exception as error:  # botocore makes its classes of errors at run time
        raise CannotBeAsked(f"could not be asked: {type(error).__name__}") from None
    rows = [one for one in points if span.first <= one["Timestamp"].date() <= span.last]
    names = {"taken": "DeliveryAttempts", "bounced": "Bounces", "complained": "Complaints"}
    return {ours: sum(_number(row.get(theirs)) for row in rows) for ours, theirs in names.items()}


ASKERS: dict[str, Callable[[Mapping[str, str], Span], Counts]] = {
    "postmark": _postmark, "mailgun": _mailgun, "sendgrid": _sendgrid, "brevo": _brevo, "ses": _ses,
}  # fmt: skip
