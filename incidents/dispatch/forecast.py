"""When the letters will be out, and which deadline will be missed: at the rate of the last minutes, and at the rate allowed.

Each letter stands on the line of the laws that cover its person, once. Letters leave by the earliest legal deadline, then by how
long they wait; so the letters of a law are out when the last of them is, with all that stand before it (`letters_left.py`). By
which provider they go until then is reckoned as dispatch chooses it (`ahead.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from incidents.dispatch import limits
from incidents.dispatch.ahead import Way, end_of
from incidents.dispatch.alarms import alarms_of
from incidents.dispatch.channels.choose import UnknownProvider, provider_named, providers
from incidents.dispatch.letters_left import Left, letters_left
from incidents.dispatch.measured import WINDOW_SECONDS, Measured, begun_at, measure
from incidents.dispatch.order import proven_first
from incidents.dispatch.pace_shown import Pace, paces_of, rate_in_words
from incidents.models import Campaign, CampaignState

#: So long after a release, a resume or the end of the first wave no rate is known, and none is warned of: unless the deadline is
#: so near that nobody should wait for one.
NO_RATE_YET, NEAR = timedelta(minutes=2), timedelta(minutes=15)
UNRELEASED = frozenset({CampaignState.FROZEN, CampaignState.CONTENT_APPROVED})


@dataclass(frozen=True)
class Deadline:
    """The letters left of the people whom the same laws cover, and when the last of them will be out."""

    #: The laws whose earliest deadline this is, by jurisdiction; empty: no dated law covers these people, nor a target of ours.
    laws: tuple[str, ...]
    #: The law's deadline; None: no law gives a date.
    due_at: datetime | None
    #: Our own target where no law gives a date. Never the law's.
    ours_at: datetime | None
    letters: int
    #: Letters of others that leave before the last of these.
    before: int
    #: When the last will have left, at the rate of the last minutes; None: not in sight.
    ends_at: datetime | None
    #: The same at the rate and the quotas that are allowed; None: not in sight, or nothing is limited.
    ends_at_allowed: datetime | None
    warning: str = ""
    #: Whether the providers by which these letters go are limited.
    is_limited: bool = False

    @property
    def missed_by(self) -> timedelta | None:
        """By how much the law's deadline will be missed at the rate of the last minutes; None: it is kept, or nobody knows."""
        return _over(self.ends_at, self.due_at)

    @property
    def missed_by_allowed(self) -> timedelta | None:
        """The same at the allowed rate."""
        return _over(self.ends_at_allowed, self.due_at)

    @property
    def name(self) -> str:
        """The laws in a line."""
        return ", ".join(self.laws) or ("no law on record" if self.due_at else "under no dated law")

    def to_json(self) -> dict[str, Any]:
        """Moments in ISO 8601 (UTC), spans in seconds."""
        return {
            "laws": list(self.laws), "due_at": _iso(self.due_at), "our_target_at": _iso(self.ours_at), "letters": self.letters,
            "letters_before": self.before, "ends_at": _iso(self.ends_at), "ends_at_allowed": _iso(self.ends_at_allowed),
            "missed_by_seconds": _seconds(self.missed_by), "missed_by_seconds_allowed": _seconds(self.missed_by_allowed),
            "warning": self.warning,
        }  # fmt: skip

    def line(self, *, now: datetime, paused: bool = False) -> str:
        """The deadline in a line of text."""
        if self.due_at:
            when = f"due {_moment(self.due_at)} ({in_words(self.due_at - now)})"
        elif self.ours_at:
            when = f"no date in the law; our own target {_moment(self.ours_at)} ({in_words(self.ours_at - now)})"
        else:
            when = "no date in the law"
        none = "paused, so no end is in sight" if paused else "end not in sight"
        end = f"out by {_moment(whole_minute(self.ends_at))}" if self.ends_at else none
        allowed = f"; at the allowed rate by {_moment(whole_minute(self.ends_at_allowed))}" if self.ends_at_allowed else ""
        return f"{self.name}: {_letters(self.letters)} left, {when}; {end}{allowed}"


@dataclass(frozen=True)
class Forecast:
    """A campaign's pace and its deadlines at one moment."""

    campaign: str
    state: str
    as_of: datetime
    measured: Measured
    #: The providers in the order in which letters would go by them; the first is `pace`.
    paces: tuple[Pace, ...]
    deadlines: tuple[Deadline, ...]
    #: Letters that may be doubtful on each connection when a worker is killed, and connections of each worker.
    doubt_bound: int
    connections: int
    #: And how many when the database server crashes together with the worker.
    crash_bound: int
    #: What else a person should know (`alarms.py`).
    alarms: tuple[str, ...] = ()

    @property
    def pace(self) -> Pace:
        """What may be done by the first provider."""
        return self.paces[0]

    @property
    def goes_by(self) -> Pace | None:
        """The provider by which letters go now; None: all of them wait, or are only tried with one letter."""
        working = (pace for pace in self.paces if pace.row.breaker == limits.CLOSED)
        return next((pace for pace in working if Way(pace, None).is_free(pace.as_of)), None)

    @property
    def is_limited(self) -> bool:
        """Whether a limit says when some of the letters can leave."""
        return any(one.is_limited for one in self.deadlines)

    @property
    def is_paused(self) -> bool:
        """Whether somebody paused it: then no end is named."""
        return self.state == CampaignState.PAUSED

    @property
    def letters_left(self) -> int:
        """Letters that have not left."""
        return sum(one.letters for one in self.deadlines)

    @property
    def ends_at(self) -> datetime | None:
        """When the last letter will have left at the rate of the last minutes."""
        ends = [one.ends_at for one in self.deadlines]
        return None if None in ends else max(filter(None, ends), default=None)

    @property
    def doubt_sentence(self) -> str:
        """What a killed worker costs at most, and what a crash of the database with it, in a sentence."""
        each = "1 letter" if self.doubt_bound == 1 else f"{self.doubt_bound} letters"
        worker = "1 connection" if self.connections == 1 else f"{self.connections} connections"
        return (
            f"If a worker is killed, at most {each} on each of its connections can be doubtful (a worker has up to {worker}); "
            f"if the database server crashes and its worker with it, at most {_letters(self.crash_bound)} on each; "
            "whatever is doubtful is listed before any second copy leaves."
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know now, the most urgent first."""
        return tuple(one.warning for one in self.deadlines if one.warning) + tuple(_of_the_providers(self)) + self.alarms

    def to_json(self) -> dict[str, Any]:
        """As `check_campaign --json` prints it."""
        return {
            "letters_left": self.letters_left, "letters_per_second": round(self.measured.per_second, 3),
            "measured_over_seconds": round(self.measured.seconds, 1), "provider": self.pace.provider,
            "allowed_per_second": self.pace.per_second, "left_today": self.pace.left_today, "breaker": self.pace.breaker,
            "goes_by": self.goes_by.provider if self.goes_by else "", "fallback": [pace.provider for pace in self.paces[1:]],
            "blocked_until": _iso(self.pace.blocked_until), "doubt_bound_per_connection": self.doubt_bound,
            "doubt_bound_per_connection_when_the_database_crashes": self.crash_bound,
            "deadlines": [one.to_json() for one in self.deadlines], "warnings": list(self.warnings), "as_of": _iso(self.as_of),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """As `check_campaign` prints it; warnings begin with "warning:"."""
        found = [f"{_letters(self.letters_left)} left; {self.rate_in_words}; {self.allowed_in_words}"]
        found += [one.line(now=self.as_of, paused=self.is_paused) for one in self.deadlines]
        return [*found, *(f"warning: {line}" for line in self.warnings), self.doubt_sentence]

    @property
    def rate_in_words(self) -> str:
        """The rate of the last minutes."""
        if not self.measured.letters:
            return f"nothing was handed over in the last {WINDOW_SECONDS // 60} min"
        return f"{rate_in_words(per_second=self.measured.per_second)} over the last {_short(self.measured.seconds)}"

    @property
    def allowed_in_words(self) -> str:
        """What the providers are allowed to be given, in the order in which letters go by them."""
        first, *others = map(_allowed, self.paces)
        now = self.goes_by
        instead = f"; now letters go by {now.provider}" if others and now and now is not self.pace else ""
        return "; when it is used up or fails: ".join([first, *others]) + instead


def _allowed(pace: Pace) -> str:
    if not pace.is_limited:
        return f"{pace.provider} is not limited"
    rate = f"{pace.rate_text or 'any rate'}{' (lowered)' if pace.is_lowered else ''}"
    left = "" if pace.left_today is None else f", {_letters(pace.left_today)} left today"
    left += f" and {_letters(pace.in_hand)} with its connections" if left and pace.in_hand else ""
    return f"{pace.provider} may be given {rate}{left}{' (warm-up)' if pace.is_warming_up else ''}"


def forecast(*, campaign: Campaign) -> Forecast:
    """The pace and the deadlines of a campaign now. Reads counts only; changes nothing."""
    measured = measure(campaign=campaign)
    names = proven_first(campaign_id=campaign.pk, providers=providers())
    paces = tuple(paces_of(providers=names))
    left = letters_left(campaign=campaign)
    bound = settings.MARKER_STEP * _batch(measured.provider or names[0])
    return Forecast(
        campaign.reference, campaign.state, paces[0].as_of, measured, paces,
        tuple(_deadlines(campaign, left, measured, paces)), bound, settings.LANES,
        min(settings.CHUNK_SIZE, max(settings.MARKER_FLUSH, bound)), tuple(alarms_of(campaign=campaign)),
    )  # fmt: skip


def _batch(provider: str) -> int:
    try:
        return provider_named(provider).batch
    except (UnknownProvider, ImproperlyConfigured):
        return 1  # it sent lately, but no setting names it any more, or this process has no key for it


def _deadlines(campaign: Campaign, left: list[Left], measured: Measured, paces: tuple[Pace, ...]) -> list[Deadline]:
    found, young = list[Deadline](), _has_no_rate_yet(campaign, paces[0].as_of)
    for one in left:
        now_rate = end_of(letters=one.place, ways=_at_the_rate(measured, paces)).at if measured.letters else None
        allowed = end_of(letters=one.place, ways=[Way(pace, pace.per_second) for pace in paces])
        is_limited = any(pace.is_limited for pace in allowed.by or paces)
        line = Deadline(
            one.laws, one.due_at, one.ours_at, one.letters, one.place - one.letters, _not_earlier(now_rate, one.not_before),
            _not_earlier(allowed.at, one.not_before) if is_limited else None, is_limited=is_limited,
        )  # fmt: skip
        warned = _warned(line, campaign, measured, allowed.by or paces, paces[0].as_of, young=young)
        # While it is paused nothing leaves at any rate: no end is named.
        found.append(replace(warned, ends_at=None, ends_at_allowed=None) if campaign.state == CampaignState.PAUSED else warned)
    return found


def _not_earlier(end: datetime | None, not_before: datetime | None) -> datetime | None:
    """A letter that was put off leaves no earlier than it is tried again, whatever the rate."""
    return max(end, not_before) if end and not_before else end


def _at_the_rate(measured: Measured, paces: tuple[Pace, ...]) -> list[Way]:
    """All at the rate of the last minutes; another provider than that was at no more than it may be given."""
    most = measured.per_second
    return [
        Way(pace, most if pace.provider == measured.provider or pace.per_second is None else min(most, pace.per_second))
        for pace in paces
    ]


def _has_no_rate_yet(campaign: Campaign, now: datetime) -> bool:
    """Whether it began, or went on, just now: nothing says yet how fast letters leave. While the first wave waits, none does."""
    if campaign.state != CampaignState.DISPATCHING:
        return False
    wave = timedelta(minutes=settings.CANARY_MINUTES if campaign.canary == "waiting" else 0)
    begun = begun_at(campaign=campaign)
    return begun is not None and now < begun + NO_RATE_YET + wave


def _warned(
    one: Deadline, campaign: Campaign, measured: Measured, by: tuple[Pace, ...], now: datetime, *, young: bool
) -> Deadline:
    """The deadline with its warning in words. Only the law's deadlines are warned of; our own target is no deadline.

    `by`: the providers by which its letters go, as fast as is allowed. `young`: no rate is known yet.
    """
    if one.due_at is None:
        return one
    whose, waiting = f"The deadline of {one.name} ({_moment(one.due_at)})", _letters(one.letters + one.before)
    if one.due_at <= now:
        has = "has" if one.letters == 1 else "have"
        text = f"{whose} passed {_short((now - one.due_at).total_seconds())} ago; {_letters(one.letters)} {has} not left."
    elif one.is_limited and (one.missed_by_allowed or one.ends_at_allowed is None):
        given = " and ".join(pace.provider for pace in by)
        late = f" by {_short(one.missed_by_allowed.total_seconds())}" if one.missed_by_allowed else ""
        text = f"{whose} will be missed{late} even at all that {given} may be given. Raise the limit, or use another provider."
    elif campaign.state == CampaignState.PAUSED:
        text = f"{whose} runs on while the campaign is paused: {waiting} must leave before it."
    elif young and one.due_at > now + NEAR:
        text = ""
    elif one.missed_by:
        text = f"{whose} will be missed by {_short(one.missed_by.total_seconds())} at the rate of the last minutes."
    elif campaign.state == CampaignState.DISPATCHING and one.ends_at is None:
        text = f"{whose} will be missed if this goes on: {waiting} must leave before it, {_stillness(measured)}."
    else:
        text = ""
    return replace(one, warning=text)


def _stillness(measured: Measured) -> str:
    return "and the end is not in sight" if measured.letters else f"and nothing left in the last {WINDOW_SECONDS // 60} min"


def _of_the_providers(now: Forecast) -> list[str]:
    if not now.letters_left:
        return []
    instead = "" if now.goes_by is None else f" Letters go by {now.goes_by.provider} until then."
    return [f"{said}.{'' if pace is now.goes_by else instead}" for pace in now.paces if (said := _waits(pace))]


def _waits(pace: Pace) -> str:
    """Why and until when nothing leaves by this provider; empty: letters may."""
    until, because = pace.blocked_until, f": {pace.row.reason}" if pace.row.reason else ""
    if until is None and pace.row.breaker != limits.CLOSED:
        return f"{pace.provider} is asked again with one letter{because}"
    if until is None:
        return spent_in_words(pace=pace) if pace.spent_until else ""
    if pace.breaker == "paused" and not pace.says_used_up:
        return f"{pace.provider} asked us to wait until {_moment(until)}"
    if pace.breaker == limits.HALF_OPEN:
        return f"{pace.provider} is being tried with one letter{because}"
    if limits.refuses_us(row=pace.row):
        said = pace.row.reason.removeprefix(limits.REFUSES)
        return f"{pace.provider} refuses us ({said}); somebody has to put that right. It is not asked until {_moment(until)}"
    return f"{pace.provider} is not asked until {_moment(until)}{because}"


def spent_in_words(*, pace: Pace) -> str:
    """That the day's quota is used up, and until when; or that its connections hold the rest of it."""
    until = _moment(pace.spent_until) if pace.spent_until else ""
    if pace.in_hand:
        held = f"the last {_letters(pace.in_hand)} of it are with its connections and not out yet"
        return f"Today's quota of {pace.provider} is taken: {held}; before {until} it is given more only where some come back"
    return f"Today's quota of {pace.provider} is used up: it is given nothing before {until}"


def whole_minute(moment: datetime) -> datetime:
    """The full minute by which it is over, for an end named in minutes: cut off, it would have passed while letters wait."""
    cut = moment.replace(second=0, microsecond=0)
    return cut if cut == moment else cut + timedelta(minutes=1)


def _over(end: datetime | None, due_at: datetime | None) -> timedelta | None:
    return end - due_at if end and due_at and end > due_at else None


def _iso(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else ""


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds())


def _moment(moment: datetime) -> str:
    """In the zone of whoever reads: the incident's on its page, else UTC."""
    return timezone.localtime(moment).strftime("%a %-d %b %Y, %H:%M %Z")


def _letters(number: int) -> str:
    return f"{number:,} letter{'' if number == 1 else 's'}"


def _short(seconds: float) -> str:
    """'40 s', '12 min', '5 h 10 min', '3 d 4 h'."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{int(seconds)} s"
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    if days:
        return f"{days:,} d {hours} h"
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def in_words(left: timedelta) -> str:
    """'in 5 h 10 min', '3 d 4 h ago'."""
    text = _short(abs(left.total_seconds()))
    return f"{text} ago" if left < timedelta() else f"in {text}"
