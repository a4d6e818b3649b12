"""Clock arithmetic: hours under Regulation 1182/71, plain hours, days, Japanese days, business days, months."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from incidents.law.deadlines import (
    business_days_after,
    end_of_period,
    instant_of,
    is_after,
    local_day,
    months_after,
    next_full_hour,
)
from incidents.law.facts import Moment
from incidents.law.pack import load_packs
from incidents.law.working_days import working_days_of

RULES = load_packs().calendars
PARIS, TOKYO, KOLKATA = ZoneInfo("Europe/Paris"), ZoneInfo("Asia/Tokyo"), ZoneInfo("Asia/Kolkata")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("aware", "shown", "legal"),
    [
        ("2020-12-22T12:17+01:00", "2020-12-25T12:17+01:00", "2020-12-25T13:00+01:00"),
        ("2020-12-22T12:59:59+01:00", "2020-12-25T12:59:59+01:00", "2020-12-25T13:00+01:00"),
        ("2020-12-22T12:00+01:00", "2020-12-25T12:00+01:00", "2020-12-25T13:00+01:00"),
        ("2026-09-12T22:40+02:00", "2026-09-15T22:40+02:00", "2026-09-15T23:00+02:00"),
        ("2026-12-31T23:30+01:00", "2027-01-03T23:30+01:00", "2027-01-04T00:00+01:00"),
        ("2026-03-27T09:30+01:00", "2026-03-30T10:30+02:00", "2026-03-30T11:00+02:00"),
        ("2026-10-23T09:30+02:00", "2026-10-26T08:30+01:00", "2026-10-26T09:00+01:00"),
        ("2026-10-25T02:30+02:00", "2026-10-28T01:30+01:00", "2026-10-28T02:00+01:00"),
        ("2026-10-25T02:30+01:00", "2026-10-28T02:30+01:00", "2026-10-28T03:00+01:00"),
    ],
)
def test_72_hours_of_the_regulation_run_through_everything(aware: str, shown: str, legal: str) -> None:
    period = end_of_period(start=at(aware), n=72, rule=RULES["EU_1182_71_hours"], zone=PARIS)
    assert period.shown_at == at(shown)
    assert period.legal_end_at == at(legal)


def test_a_date_alone_means_the_last_hour_of_that_day() -> None:
    period = end_of_period(start=date(2026, 6, 1), n=72, rule=RULES["EU_1182_71_hours"], zone=PARIS)
    assert period.shown_at == at("2026-06-04T23:00+02:00")
    assert period.legal_end_at == at("2026-06-05T00:00+02:00")


def test_the_hour_of_the_event_is_that_of_the_local_clock() -> None:
    assert next_full_hour(after=at("2026-06-01T10:40+05:30"), zone=KOLKATA) == at("2026-06-01T11:00+05:30")


def test_plain_hours_have_one_end_only() -> None:
    period = end_of_period(start=at("2026-10-23T09:30+02:00"), n=24, rule=RULES["plain_hours"], zone=PARIS)
    assert (period.shown_at, period.legal_end_at) == (at("2026-10-24T09:30+02:00"), None)


@pytest.mark.parametrize(
    ("rule", "start", "n", "end"),
    [
        ("plain_calendar_days", date(2025, 5, 30), 30, date(2025, 6, 29)),
        ("plain_calendar_days", date(2026, 5, 11), 60, date(2026, 7, 10)),
        ("plain_calendar_days", date(2028, 2, 28), 1, date(2028, 2, 29)),
        ("plain_calendar_days", at("2025-05-30T09:00+00:00"), 30, date(2025, 6, 29)),
        ("JP_days", at("2025-05-30T09:00+00:00"), 5, date(2025, 6, 3)),
        ("JP_days", at("2025-05-30T16:00+00:00"), 5, date(2025, 6, 4)),
        ("JP_report_days", date(2025, 5, 30), 60, date(2025, 7, 28)),
        ("JP_report_days", date(2026, 6, 6), 30, date(2026, 7, 6)),
        ("JP_report_days", date(2025, 12, 1), 30, date(2026, 1, 5)),
        ("EU_1182_71_days", date(2026, 3, 2), 3, date(2026, 3, 5)),
        ("EU_1182_71_days", date(2026, 3, 4), 3, date(2026, 3, 9)),
        ("EU_1182_71_days", date(2026, 3, 6), 2, date(2026, 3, 10)),
        ("EU_1182_71_months", date(2026, 1, 30), 1, date(2026, 3, 2)),
        ("plain_months", date(2026, 1, 31), 1, date(2026, 2, 28)),
        ("plain_business_days", date(2026, 9, 11), 5, date(2026, 9, 18)),
        ("plain_business_days", date(2026, 9, 12), 1, date(2026, 9, 14)),
        ("SG_days", date(2026, 9, 11), 3, date(2026, 9, 14)),
    ],
)
def test_periods_of_days_end_on(rule: str, start: Moment, n: int, end: date) -> None:
    assert end_of_period(start=start, n=n, rule=RULES[rule], zone=TOKYO).shown_at == end


def test_a_period_that_may_hang_on_a_public_holiday_says_so() -> None:
    period = end_of_period(start=date(2026, 3, 2), n=5, rule=RULES["plain_business_days"], zone=PARIS)
    assert "public holidays" in period.notes[0]


def test_months_keep_the_day_or_take_the_last_one() -> None:
    assert months_after(day=date(2027, 12, 31), n=2) == date(2028, 2, 29)
    assert months_after(day=date(2026, 11, 15), n=14) == date(2028, 1, 15)


def test_closed_days_are_no_business_days() -> None:
    working = working_days_of(place="", closed=frozenset({"12-31", "01-01"}))
    assert business_days_after(day=date(2026, 12, 30), n=1, working=working) == date(2027, 1, 4)


def test_a_time_without_its_offset_is_refused() -> None:
    naive = datetime(2026, 1, 1, 9)  # noqa: DTZ001 - the point of the test
    for ask in (instant_of, local_day):
        with pytest.raises(ValueError, match="offset"):
            ask(moment=naive, zone=PARIS)


def test_a_day_is_later_than_an_instant_only_when_the_local_day_is() -> None:
    end = datetime(2026, 1, 1, 23, 30, tzinfo=UTC)  # already 2 January in Paris
    assert not is_after(moment=date(2026, 1, 2), end=end, zone=PARIS)
    assert is_after(moment=date(2026, 1, 3), end=end, zone=PARIS)
    assert is_after(moment=datetime(2026, 1, 1, 23, 31, tzinfo=UTC), end=end, zone=PARIS)
