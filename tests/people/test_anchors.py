"""Moments of an incident: what never was, was twice, lies ahead or out of order is refused with what to write instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incidents.law.facts import Anchor
from incidents.people.anchors import HOLD_UNTIL, NAMES, MomentRefused, instants, local_moment, odd_moments, read_anchors
from tests.conftest import NOW

AWARE = "2026-03-02T14:30:00+01:00"


def refused(anchors: object, zone: str = "Europe/Paris") -> list[str]:
    problems: list[str] = []
    read_anchors(value=anchors, zone=zone, now=NOW, problems=problems)
    return problems


def odd(zone: str = "Europe/Paris", **anchors: str) -> tuple[str, ...]:
    problems: list[str] = []
    kept = read_anchors(value={"aware_at": AWARE, **anchors}, zone=zone, now=NOW, problems=problems)
    assert not problems
    return odd_moments(facts={"anchors": kept, "zone": zone})


# -- every anchor --------------------------------------------------------------------------------------------------

BAD = {
    "ahead": ((NOW + timedelta(seconds=1)).isoformat(), "lies in the future (it is 2026-11-22T10:00+01:00)"),
    "year-9999": ("9999-12-31T23:59:59-12:00", "lies in the future"),
    "year-1": ("0001-01-01T00:00:00+14:00", "lies before 1970. Check the year."),
    "no-offset": ("2026-03-02T14:30", "has no zone; add its offset. In Europe/Paris that is 2026-03-02T14:30+01:00."),
    "a-day": ("2026-03-02", "has no zone; add its offset. Give the hour too, such as"),
    "gap": ("2026-03-29T02:30", "does not exist in Europe/Paris: the clocks were put forward over it. The next time that exists "
            "is 2026-03-29T03:00+02:00."),
    "twice": ("2025-10-26T02:30", "2025-10-26T02:30+02:00 (00:30 UTC) for the first, 2025-10-26T02:30+01:00 (01:30 UTC)"),
    "no-place": ("2026-03-02T14:30+20:00", "no place has this offset. Offsets go from -12:00 to +14:00"),
    "west-of-all": ("2026-03-02T14:30-13:00", "no place has this offset"),
    "no-offset-at-all": ("2026-03-02T14:30+25:00", "is not an ISO 8601 moment such as"),
    "hour-24": ("2026-03-02T24:00+01:00", "is not an ISO 8601 moment such as"),
    "no-day": ("2026-02-30T10:00+01:00", "is not an ISO 8601 moment such as"),
    "a-number": (20260302, "has no zone; add its offset"),
    "yes": (True, "is not an ISO 8601 moment such as"),
    "a-list": (["2026-03-02"], "'a list or mapping' is not an ISO 8601 moment such as"),
    "long": ("9" * 5000, "is not an ISO 8601 moment such as"),
}  # fmt: skip


@pytest.mark.parametrize("anchor", NAMES)
@pytest.mark.parametrize(("value", "says"), BAD.values(), ids=BAD.keys())
def test_a_moment_that_cannot_be_is_refused_at_every_anchor_with_the_remedy(anchor: str, value: object, says: str) -> None:
    if anchor == HOLD_UNTIL and "future" in says:
        return  # a wait ends ahead
    lines = refused({"aware_at": AWARE, anchor: value})
    assert any(line.startswith(f"anchors.{anchor}: ") and says in line and len(line) < 400 for line in lines), lines


def test_a_wait_may_end_ahead_and_not_beyond_all_clocks() -> None:
    assert refused({"aware_at": AWARE, HOLD_UNTIL: "2027-03-02T10:00+01:00"}) == []
    for beyond in ("2226-03-02T10:00+01:00", "9999-12-31T23:59:59-12:00"):
        [line] = refused({"aware_at": AWARE, HOLD_UNTIL: beyond})
        assert line.startswith(f"anchors.{HOLD_UNTIL}: ") and "years ahead. Check the year." in line


def test_this_very_moment_is_not_the_future() -> None:
    assert refused({"aware_at": NOW.isoformat()}) == []


@pytest.mark.parametrize("later", [name for name in NAMES if name != Anchor.OCCURRED])
def test_nothing_of_an_incident_lies_before_it_happened(later: str) -> None:
    anchors = {"aware_at": "2026-03-02T14:30+01:00", "occurred_at": "2026-03-01T00:00Z", later: "2026-02-28T23:59Z"}
    assert any(
        line.startswith(f"anchors.{later}: ") and "is before occurred_at" in line and "correct one" in line
        for line in refused(anchors)
    )


def test_nobody_is_certain_before_the_first_sign() -> None:
    [line] = refused({"aware_at": AWARE, "first_hint_at": "2026-03-02T14:30:01+01:00"})
    assert line.startswith("anchors.aware_at: ") and "is before first_hint_at" in line


@pytest.mark.parametrize("later", [anchor for anchor in Anchor if anchor != Anchor.OCCURRED])
def test_all_in_one_instant_is_possible_whatever_the_offsets(later: Anchor) -> None:
    assert refused({"aware_at": AWARE, "occurred_at": AWARE, later.value: "2026-03-02T13:30:00+00:00"}) == []


def test_anchors_that_are_no_mapping_say_so() -> None:
    assert refused(["aware_at"])[0].startswith("anchors: must be a mapping; write")


def test_a_zone_that_is_none_does_not_hide_what_is_wrong_with_a_moment() -> None:
    [line] = refused({"aware_at": "2026-03-02T14:30"}, zone="Mars/Olympus")
    assert "has no zone; add its offset. 'Mars/Olympus' is not a known zone" in line


# -- possible, and odd ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early", ["determined_at", "assessed_at", "people_told_at"])
def test_what_usually_follows_certainty_may_lie_before_it_and_is_pointed_out(early: str) -> None:
    [line] = odd(**{early: "2026-03-01T10:00+01:00"})
    assert line.startswith(f"anchors.{early}: 2026-03-01T10:00+01:00 is before aware_at") and "check both" in line


def test_certainty_before_discovery_is_pointed_out() -> None:
    [line] = odd(discovered_at="2026-03-02T15:00+01:00")
    assert line.startswith("anchors.aware_at: ") and "is before discovered_at" in line


def test_an_offset_that_is_not_the_zones_is_kept_and_shown_in_the_zone() -> None:
    [line] = odd(discovered_at="2026-03-02T10:00+09:00")
    assert "has not the offset of Europe/Paris" in line and "2026-03-02T02:00+01:00 there" in line


@pytest.mark.parametrize("discovered", ["2026-03-02T09:00+01:00", "2026-03-02T08:00Z", "2026-03-02T08:00+00:00"])
def test_the_zones_own_offset_and_utc_are_not_odd(discovered: str) -> None:
    assert odd(discovered_at=discovered) == ()


# -- wall clocks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "zone", "after"),
    [
        ("2025-03-30T02:00", "Europe/Paris", "2025-03-30T03:00+02:00"),
        ("2025-03-30T02:59:59", "Europe/Paris", "2025-03-30T03:00+02:00"),
        ("2025-03-09T02:30", "America/New_York", "2025-03-09T03:00-04:00"),
        ("2025-10-05T02:15", "Australia/Lord_Howe", "2025-10-05T02:30+11:00"),
        ("2011-12-30T12:00", "Pacific/Apia", "2011-12-31T00:00+14:00"),
    ],
)
def test_an_hour_that_the_clocks_jumped_over_is_refused_with_the_next_that_exists(text: str, zone: str, after: str) -> None:
    with pytest.raises(MomentRefused, match="does not exist") as caught:
        local_moment(text=text, zone=zone)
    assert f"The next time that exists is {after}." in caught.value.lines[0]
    assert instants(naive=datetime.fromisoformat(text), zone=zone) == ()


@pytest.mark.parametrize(
    ("text", "zone", "both"),
    [
        ("2025-10-26T02:30", "Europe/Paris", ["2025-10-26T02:30+02:00", "2025-10-26T02:30+01:00"]),
        ("2025-11-02T01:00", "America/New_York", ["2025-11-02T01:00-04:00", "2025-11-02T01:00-05:00"]),
        ("2025-04-06T01:45", "Australia/Lord_Howe", ["2025-04-06T01:45+11:00", "2025-04-06T01:45+10:30"]),
    ],
)
def test_an_hour_that_came_twice_is_asked_and_either_answer_is_read(text: str, zone: str, both: list[str]) -> None:
    with pytest.raises(MomentRefused, match="came twice") as caught:
        local_moment(text=text, zone=zone)
    assert all(answer in caught.value.lines[0] for answer in both)
    first, second = (local_moment(text=answer, zone=zone) for answer in both)
    assert first < second and (first, second) == instants(naive=datetime.fromisoformat(text), zone=zone)


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2025-03-30T01:59", "Europe/Paris", "2025-03-30T00:59"),
        ("2025-03-30T03:00", "Europe/Paris", "2025-03-30T01:00"),
        ("2025-10-26T01:59", "Europe/Paris", "2025-10-25T23:59"),
        ("2025-10-26T03:00", "Europe/Paris", "2025-10-26T02:00"),
        ("2025-03-30T02:30+01:00", "Europe/Paris", "2025-03-30T01:30"),
        ("2025-05-30T11:00+02:00", "Asia/Tokyo", "2025-05-30T09:00"),
        ("2025-05-30T14:45", "Asia/Kathmandu", "2025-05-30T09:00"),
    ],
)
def test_a_wall_clock_is_read_in_its_zone_and_an_offset_as_written(text: str, zone: str, utc: str) -> None:
    assert local_moment(text=text, zone=zone).astimezone(UTC) == datetime.fromisoformat(f"{utc}+00:00")


@pytest.mark.parametrize(
    ("text", "zone"),
    [("soon", "UTC"), ("", "UTC"), ("2025-02-29T10:00", "UTC"), ("2025-05-30T11:00", "Mars"), ("2025-05-30T11:00", "../UTC"),
     ("2025-05-30T11:00", ""), ("2025-05-30T11:00", "Europe"), ("0001-01-01T00:00", "Asia/Tokyo"), ("2025-05-30T11:00", "a\0b"),
     ("9999-12-31T23:59", "Pacific/Niue"), ("2025-05-30T11:00-20:00", "UTC"), ("2025-05-30T11:00", "x" * 5000)],
)  # fmt: skip
def test_what_is_no_moment_or_no_zone_is_refused(text: str, zone: str) -> None:
    with pytest.raises(MomentRefused) as caught:
        local_moment(text=text, zone=zone)
    assert len(caught.value.lines[0]) < 300


def test_reading_is_stable(facts: dict[str, Any]) -> None:
    problems: list[str] = []
    once = read_anchors(value=facts["anchors"], zone=facts["zone"], now=NOW, problems=problems)
    assert once == read_anchors(value=once, zone=facts["zone"], now=NOW, problems=problems) and not problems
