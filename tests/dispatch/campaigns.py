"""Ready-made campaigns for the dispatch tests, and the small moves that many of them make."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from django.contrib.auth.models import User
from django.db import connection, connections

from incidents.dispatch.campaign import freeze, release
from incidents.dispatch.channels.contract import SendError
from incidents.dispatch.channels.inbox import InboxProvider
from incidents.dispatch.outbox import Claim, Mark, claim, mark_many
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.letters.approving import approve_content
from incidents.letters.mail import OutgoingMail
from incidents.letters.render import make_letters
from incidents.models import Campaign, Incident, Message
from incidents.people.assessing import assess_incident
from incidents.people.importing import import_people
from incidents.people.opening import check_facts, open_incident, record_finding
from incidents.scenarios.catalog import load_scenario
from tests import roles
from tests.conftest import CAST, NOW, with_database

ROOT = Path(__file__).resolve().parents[2]
HANNA = {"person_id": "hanna", "customer_number": "C4", "full_name": "Hanna Hart", "email": "hanna@hard-bounce.test",
         "stated_country": "DE", "language": "de", "elements": "name;email;country"}  # fmt: skip
SVEN = {"person_id": "sven", "customer_number": "C5", "full_name": "Sven Sand", "email": "sven@soft-bounce.test",
        "stated_country": "DE", "language": "de", "elements": "name;email;country"}  # fmt: skip
FIVE = (*CAST, HANNA, SVEN)
CROWD = tuple(
    {
        "person_id": f"p{n}",
        "customer_number": f"N{n}",
        "full_name": f"Person Number {n}",
        "email": f"person{n}@example.org",
        "stated_country": ("FR", "DE", "JP", "GB")[n % 4],
        "language": ("fr", "de", "ja", "en")[n % 4],
        "elements": "name;email;country",
    }
    for n in range(200)
)


def prepare(*, people: tuple[dict[str, str], ...], write_list: Callable[..., Path]) -> tuple[Campaign, User, User]:
    """Everything up to the frozen campaign, by officer and counsel."""
    with roles.acting("owner"):
        officer = User.objects.create_user("officer", password="officer-password-1", is_staff=True)
        counsel = User.objects.create_user("counsel", password="counsel-password-1", is_staff=True)
    facts = {**load_scenario(scenario_id="cartier-2025").facts, "expected_people": None}
    incident = open_incident(facts=check_facts(facts, now=NOW), author=officer, drill=True)
    import_people(incident=incident, path=write_list(*people), author=officer)
    for key, value in (
        ("risk", "risk"),
        ("misuse_likely", "yes"),
        ("serious_harm_likely", "no"),
        ("voluntary_notice", "yes"),
        ("law_unknown", "courtesy"),
    ):
        record_finding(incident=incident, key=key, value=value, reason="as the tests need it", author=officer)
    assess_incident(incident=incident, author=officer)
    make_letters(incident=incident, author=officer)
    return freeze(incident=incident, author=officer), officer, counsel


def let_go(campaign: Campaign) -> Campaign:
    """Both signatures."""
    approve_content(campaign=campaign, author=User.objects.get(username="counsel"), reason="read")
    campaign.refresh_from_db()
    return release(campaign=campaign, author=User.objects.get(username="officer"), reason="go")


def person(campaign: Campaign, reference: str) -> Message:
    """The message to one of the people."""
    return campaign.messages.get(entry__person__reference=reference)


def states(campaign: Campaign) -> dict[str, int]:
    """How many messages are in which state."""
    found: dict[str, int] = {}
    for state in campaign.messages.values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def state_of(message: Message) -> str:
    message.refresh_from_db()
    return message.state


def taken(campaign: Campaign, owner: Owner, *, size: int = 5, provider: str = "inbox", step: int = 1) -> Claim:
    """A claim that must succeed."""
    [claimed] = claim(campaign=campaign, owner=owner, provider=provider, size=size, step=step)
    return claimed


def marked(owner: Owner, claimed: Claim, confirmed: int, *news: Outcome) -> bool | None:
    """Move a chunk's marker past its latest outcomes: whether its campaign still dispatches; None: taken over."""
    known = {confirmed - len(news) + at: one for at, one in enumerate(news) if one.kind != "accepted"}
    return mark_many(owner=owner, marks=[Mark(claimed, confirmed, known)]).get(claimed.chunk_id)


def answer(owner: Owner, claimed: Claim, *outcomes: Outcome) -> None:
    """Move the marker past one message after the other."""
    for number, outcome in enumerate(outcomes, start=1):
        marked(owner, claimed, number, outcome)


def sql(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


class Scripted(InboxProvider):
    """An inbox that fails for some people as told, and remembers whom it served: address -> error, or a deed."""

    name = "scripted"

    def __init__(self, failures: dict[str, SendError | Callable[[], None]] | None = None) -> None:
        super().__init__()
        self.failures, self.served = failures or {}, list[str]()

    def keep(self, *, mail: OutgoingMail, raw: bytes, incident: Incident, test: bool = False) -> str:
        failure = self.failures.get(mail.to)
        if isinstance(failure, SendError):
            raise failure
        if failure is not None:
            failure()
        self.served.append(mail.message_ref)
        return super().keep(mail=mail, raw=raw, incident=incident, test=test)


class Mute(Scripted):
    """A provider that cannot be asked, and tells nothing by itself."""

    name = "mute"
    reports_delivery = False

    def look_up(self, *, message_ref: str) -> bool | None:
        return None


def together(*deeds: Callable[[], Any]) -> list[Any]:
    """Run these at the same moment, each in its thread with its own connection; exceptions are results too."""
    gate, results = threading.Barrier(len(deeds)), [None] * len(deeds)

    def run(at: int) -> None:
        try:
            gate.wait(timeout=20)
            results[at] = deeds[at]()
        except Exception as error:
            results[at] = error  # type: ignore[call-overload]
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(deeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    return results


def app_environment(**more: str) -> dict[str, str]:
    """The environment of a process that works in the test's own database as this one does."""
    at = connections["default"].settings_dict
    url = with_database(at, at["NAME"])
    if "options" in at["OPTIONS"]:
        url += f"{'&' if '?' in url else '?'}options={quote(at['OPTIONS']['options'])}"
    from django.conf import settings

    keys = {"AUDIT_KEY_FILE": str(settings.AUDIT_KEY_FILE), "DJANGO_SETTINGS_MODULE": "notifier.settings"}
    return {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(ROOT), **keys, **more}


def process(code: str, **environment: str) -> subprocess.Popen[str]:
    """A Python process of its own in which the product is set up and this code runs."""
    whole = "import django; django.setup()\n" + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", whole],
        cwd=ROOT,
        env=app_environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def superuser(url: str) -> Iterator[psycopg.Connection[Any]]:
    """The test's own database as its superuser: for what nobody may do."""
    with psycopg.connect(url, autocommit=True) as server:
        yield server


@contextlib.contextmanager
def unguarded(url: str) -> Iterator[psycopg.Connection[Any]]:
    """As the superuser with all triggers and foreign keys off: breaks what the database would keep whole."""
    with superuser(url) as server:
        server.execute("SET session_replication_role = replica")
        yield server
