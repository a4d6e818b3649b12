"""What must hold of the place we run in (asked at every start, and by `check --database default`), and of the law packs.

Checking the packs in full takes seconds, so it is a deployment check: never at a normal start.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections

LAW = "law"
logger = logging.getLogger(__name__)
#: Imported only when asked for: it brings the letters and the calendars, for which no normal start should pay.
PACK_CHECK = "incidents.letters.pack_check"
#: Brings the models, which are not there yet when this module is loaded.
KEYS = "incidents.people.rotating"
MASTER = "incidents.vault.master"
#: What proves the events of providers; brings cryptography, which no normal start needs.
EVENTS = "incidents.dispatch.events.secrets"
#: Who we are in the database, and what we could do there beside our rights on tables.
ROLE = """
SELECT r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication,
  EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relowner = r.oid)
  OR EXISTS (SELECT 1 FROM pg_namespace n WHERE n.nspname = 'public' AND n.nspowner = r.oid)
  OR EXISTS (SELECT 1 FROM pg_database d WHERE d.datname = current_database() AND d.datdba = r.oid),
  (SELECT string_agg(DISTINCT g.rolname, ', ' ORDER BY g.rolname) FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
   WHERE m.member = r.oid)
FROM pg_roles r WHERE r.rolname = current_user"""
ATTRIBUTES = ("SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION")
SHORTEST_KEY = 32


@dataclass(frozen=True)
class Fault:
    """Why we refuse to start, and the remedy, each in one sentence."""

    id: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}"


def faults_of_role(row: Sequence[Any]) -> list[Fault]:
    """What is wrong with the role that the row of `ROLE` describes: it could change the log, or lift its own limits."""
    name, *powers, owns, memberships = row
    too_much = [attribute for attribute, has in zip(ATTRIBUTES, powers, strict=True) if has]
    found = []
    if owns:
        remedy = "Run as one of the roles that 'manage.py roles' makes; <database>_owner only migrates."
        found.append(Fault("incidents.E001", f"The database role {name} owns the tables, the schema or the database.", remedy))
    if too_much:
        off = " ".join(f"NO{attribute}" for attribute in too_much)
        remedy = f"Run as one of the roles that 'manage.py roles' makes; where this is one: ALTER ROLE {name} {off}."
        found.append(Fault("incidents.E003", f"The database role {name} has {' and '.join(too_much)}.", remedy))
    if memberships:
        remedy = f"Take that away: REVOKE {memberships} FROM {name}."
        found.append(Fault("incidents.E004", f"The database role {name} may act as {memberships}.", remedy))
    return found


def faults_of_settings() -> list[Fault]:
    """What is wrong with the settings where people work."""
    found = []
    if settings.DEBUG:
        remedy = "Unset DEBUG where people work."
        found.append(Fault("incidents.E005", "DEBUG is on: pages would show tracebacks with personal data.", remedy))
    if len(settings.SECRET_KEY) < SHORTEST_KEY or len(set(settings.SECRET_KEY)) < 8 or "insecure" in settings.SECRET_KEY:
        remedy = f"Set one of at least {SHORTEST_KEY} random characters, or leave it unset and start through manage.py."
        found.append(Fault("incidents.E006", "SECRET_KEY is short, repeats itself or is an example.", remedy))
    if any(import_module(MASTER).is_an_example(key=key) for key in (settings.MASTER_KEY, settings.MASTER_KEY_OLD)):
        remedy = "Make one from random bytes (openssl rand -hex 32); where it seals data already: manage.py rotate_keys."
        found.append(Fault("incidents.E007", "The master key is an example, not 32 random bytes.", remedy))
    return found


def refuse_to_serve() -> None:
    """For processes that serve (web, workers), at their start. Raises ImproperlyConfigured with every fault and its remedy."""
    with connection.cursor() as cursor:
        cursor.execute(ROLE)
        found = faults_of_role(cursor.fetchone()) + faults_of_settings()
        cursor.execute("SELECT has_table_privilege(to_regclass('incidents_incident'), 'SELECT')")
        reads_keys = cursor.fetchone()[0]  # the sequencer opens nothing, and cannot look either
    if reads_keys:
        found += [Fault("incidents.E008", what, remedy) for what, remedy in import_module(KEYS).faults_of_keys()]
    connection.close()
    for missing in import_module(EVENTS).unsaid():
        logger.error("%s", missing)
    if found:
        raise ImproperlyConfigured("\n".join(map(str, found)))


@register(Tags.database)
def check_database(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Refuse a role that could change the log, and a server that may forget what it has confirmed."""
    found: list[CheckMessage] = []
    for alias in databases or []:
        with connections[alias].cursor() as cursor:
            cursor.execute(ROLE)
            faults = faults_of_role(cursor.fetchone())
            cursor.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
            durable = cursor.fetchone()
        found += [Error(fault.what, hint=fault.remedy, id=fault.id) for fault in faults]
        if "off" in durable:
            hint = "Set fsync and synchronous_commit to on: what is written before a letter goes out must survive a power cut."
            found.append(Error("The database may lose confirmed writes.", hint=hint, id="incidents.E002"))
    return found


@register(Tags.security, deploy=True)
def check_settings(**_: Any) -> list[CheckMessage]:
    """Refuse settings with which nothing is served."""
    return [Error(fault.what, hint=fault.remedy, id=fault.id) for fault in faults_of_settings()]


@register(Tags.security, deploy=True)
def check_events(**_: Any) -> list[CheckMessage]:
    """Name every secret without which what a provider tells of its letters is not taken."""
    return [Error(missing.what, hint=missing.remedy, id="incidents.E009") for missing in import_module(EVENTS).unsaid()]


@register(LAW, deploy=True)
def check_law(**_: Any) -> list[CheckMessage]:
    """Refuse packs that name what does not exist, and say which entries are old or from memory."""
    try:
        report = import_module(PACK_CHECK).law_report()
    except ValueError as error:  # a pack that is no YAML
        return [Error(str(error), id="law.E001")]
    kinds = {"error": (Error, "law.E002"), "warning": (Warning, "law.W001")}
    found: list[CheckMessage] = []
    for problem in report.problems:
        kind, id_ = kinds[problem.level]
        found.append(kind(f"{problem.file}:{problem.line}: {problem.key}: {problem.problem}", hint=problem.remedy, id=id_))
    return [*found, Info(report.summary, id="law.I001")]
