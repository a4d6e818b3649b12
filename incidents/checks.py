"""System checks: of the place we run in (`check --database default`), and of the law packs (`check --deploy`).

Checking the packs in full takes seconds, so it is a deployment check: never at a normal start.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.db import connections

LAW = "law"
#: Imported only when asked for: it brings the letters and the calendars, for which no normal start should pay.
PACK_CHECK = "incidents.letters.pack_check"


@register(Tags.database)
def check_database(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Refuse a role that could change the log, and a server that may forget what it has confirmed."""
    found: list[CheckMessage] = []
    for alias in databases or []:
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT rolsuper, current_setting('fsync'), current_setting('synchronous_commit') FROM pg_roles "
                "WHERE rolname = current_user"
            )
            superuser, fsync, commit = cursor.fetchone()
            cursor.execute("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'incidents_%%' AND tableowner = current_user")
            owned = cursor.fetchone()[0]
        if superuser or owned:
            hint = "Run as <database>_app; <database>_owner only migrates."
            found.append(Error("The running database role owns tables or is a superuser.", hint=hint, id="incidents.E001"))
        if "off" in (fsync, commit):
            hint = "Set fsync and synchronous_commit to on: what is written before a letter goes out must survive a power cut."
            found.append(Error("The database may lose confirmed writes.", hint=hint, id="incidents.E002"))
    return found


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
