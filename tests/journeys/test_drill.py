"""The full-size drill, small: real workers, a report that holds, marked as a drill, and gone again without a trace."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from pytest_django import Settings

from incidents.models.refusal import Refused
from incidents.scenarios.catalog import load_scenario
from incidents.scenarios.plot import plot_of
from incidents.scenarios.redirect import Redirecting, redirected, to_domain
from notifier.rehearsal import refuse_way_out
from tests.installation import Installation

OUT = "smtp://relay.example.com:587?tls=starttls"


@pytest.mark.parametrize("mail", [OUT, "postmark:"])
def test_invented_people_are_not_written_to_over_a_real_way_out(settings: Settings, mail: str) -> None:
    settings.MAIL = mail
    with pytest.raises(Refused, match="belong to nobody") as refused:
        refuse_way_out(domain="")
    assert any("--to-domain" in line for line in refused.value.lines)
    refuse_way_out(domain="drill.brand.example")


def test_a_fallback_that_leads_out_is_refused_too(settings: Settings) -> None:
    settings.MAIL, settings.MAIL_FALLBACK = "inbox:", OUT
    with pytest.raises(Refused, match="belong to nobody"):
        refuse_way_out(domain="")


@pytest.mark.parametrize("mail", ["inbox:", "smtp://127.0.0.1:2525", "smtp://localhost:25"])
def test_what_stays_on_this_machine_needs_no_domain(settings: Settings, mail: str) -> None:
    settings.MAIL, settings.MAIL_FALLBACK = mail, ""
    refuse_way_out(domain="")


def test_a_sink_in_the_place_of_a_provider_on_this_machine_is_no_way_out(settings: Settings) -> None:
    settings.MAIL, settings.MAIL_FALLBACK = "postmark:", ""
    settings.PROVIDER_URLS = {**settings.PROVIDER_URLS, "postmark": "http://127.0.0.1:2525/"}
    refuse_way_out(domain="")
    settings.PROVIDER_URLS = {**settings.PROVIDER_URLS, "postmark": "https://proxy.example/"}
    with pytest.raises(Refused, match="belong to nobody"):
        refuse_way_out(domain="")


@pytest.mark.parametrize("domain", ["no domain", "a@b.example", "-.example"])
def test_a_domain_that_takes_no_mail_is_refused(domain: str) -> None:
    with pytest.raises(Refused, match="no domain"):
        refuse_way_out(domain=domain)


def test_every_address_becomes_its_own_of_the_domain_and_the_same_one_twice_stays_the_same() -> None:
    out = io.StringIO()
    Redirecting(out, "drill.example").write("1,Ada,ada@example.com,FR\n2,Bo,Bo@Hard-Bounce.test,DE\n3,Ada,ada@example.com,FR\n")
    lines = [line.split(",")[2] for line in out.getvalue().splitlines()]
    assert lines[0] == lines[2] != lines[1] and all(line.endswith("@drill.example") for line in lines)
    assert "example.com" not in out.getvalue()
    assert redirected(text="ada@@example.com; no address", domain="d.example").count("@d.example") <= 1


def test_the_controllers_addresses_and_those_in_decisions_go_to_the_domain_too() -> None:
    found = to_domain(scenario=load_scenario(scenario_id="cartier-2025"), domain="drill.example")
    controller = found.facts["controller"]
    assert {controller[name].rpartition("@")[2] for name in ("sender_email", "dpo_email")} == {"drill.example"}
    written = [one.to for one in plot_of(scenario=found).decisions if "@" in one.to]
    assert written and all(to.endswith("@drill.example") for to in written), "also of those that all scenarios share"


@pytest.mark.slow
def test_a_drill_is_played_reported_marked_and_taken_away(installation: Installation, tmp_path: Path) -> None:
    report = tmp_path / "drill.json"
    played = installation.manage("drill", "--people", "60", "--json", str(report))
    assert played.returncode == 0, played.stdout + played.stderr
    told = json.loads(report.read_text())
    assert told["holds"] and told["people"] == 60 and told["letters"] > 40 and told["unlisted_second_copies"] == 0
    assert told["incident"] == "drill-cartier-2025" and told["letters_per_second"] > 0

    assert "removed with its log" in installation.manage("drill", "--remove").stdout
    known = installation.manage("check_campaign", "drill-cartier-2025-c1")
    assert known.returncode == 2 and "none yet" in known.stderr
    assert "no drill" in installation.manage("drill", "--remove").stdout
