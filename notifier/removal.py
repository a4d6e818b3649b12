"""Takes a drill away with its log, as the database's owner: it is evidence of nothing. A real incident cannot be removed."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.conf import settings
from django.db import connection, models, transaction

from incidents.acting import acting_as, can_act_as
from incidents.audit.log import log_of
from incidents.models import AuditEvent, AuditPending, Campaign, CampaignState, CanaryLetter, Incident, Message, ProviderEvent
from incidents.models.refusal import Refused

Model = type[models.Model]
#: Foreign keys that no index of their own table leads with: each deleted row of the other table would read the whole of it.
UNAIDED = """
SELECT DISTINCT c.conrelid::regclass::text, a.attname FROM pg_constraint c
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
WHERE c.contype = 'f' AND c.conrelid = ANY (%s::text[]::regclass[])
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1] AND i.indpred IS NULL)
ORDER BY 1, 2"""


def remove_drill(*, incident: Incident) -> None:
    """Delete every row of a drill, and its files. Raises Refused for a real incident, beside real letters, without the owner."""
    if not incident.is_drill:
        raise Refused(f"'{incident.reference}' is a real incident; only drills can be removed.")
    if not can_act_as("owner"):
        raise Refused("Removing a drill needs the owner's address of the database: set DATABASE_OWNER_URL.")
    if Campaign.objects.filter(incident__is_drill=False, state=CampaignState.DISPATCHING).exists():
        raise Refused("A real campaign is being sent in this database: removing would hold it up. Wait until it is through.")
    log = log_of(incident)
    with acting_as("owner"), transaction.atomic():
        # Foreign keys are checked at the end, so the order does not matter; the guards against deletion stand aside meanwhile.
        tables = [model._meta.db_table for model in _models()]
        _guards(tables, "DISABLE")
        aids = _aid_checks(tables)
        refs = [
            *Message.objects.filter(campaign__incident=incident).values_list("message_ref", flat=True),
            *CanaryLetter.objects.filter(campaign__incident=incident).values_list("message_ref", flat=True),
        ]
        for start in range(0, len(refs), 10_000):
            _delete(ProviderEvent, models.Q(message_ref__in=refs[start : start + 10_000]))
        _delete(AuditPending, models.Q(event_id__in=AuditEvent.objects.filter(log=log).values("id")))
        for model, path in _paths():
            _delete(model, models.Q(**{path: incident.pk}))
        _delete(Incident, models.Q(pk=incident.pk))
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for aid in aids:
                cursor.execute(f"DROP INDEX {aid}")
        _guards(tables, "ENABLE")
    head = settings.AUDIT_KEY_FILE.parent / "heads" / log.origin.rpartition("/")[2]
    for file in (head, settings.VAR / "bundles" / f"{incident.reference}.zip"):
        file.unlink(missing_ok=True)


def _models() -> list[Model]:
    return list(apps.get_app_config("incidents").get_models())


def _delete(model: Model, which: models.Q) -> None:
    # Not Django's own delete: it asks for what depends on each row, and refuses protected ones.
    found = model._base_manager.filter(which)
    found._raw_delete(found.db)


def _paths() -> Iterator[tuple[Model, str]]:
    """Every table that belongs to an incident, with the shortest way of foreign keys to it; the furthest first."""
    known: dict[Model, str] = {Incident: ""}
    grown = True
    while grown:
        grown = False
        for model in _models():
            if model not in known and (way := _way(model, known)):
                known[model], grown = way, True
    ways = [(model, way) for model, way in known.items() if way]
    yield from sorted(ways, key=lambda found: -found[1].count("__"))


def _way(model: Model, known: dict[Model, str]) -> str:
    for one in model._meta.get_fields():
        if isinstance(one, models.ForeignKey) and not one.null and one.related_model in known:
            further = known[one.related_model]
            return f"{one.name}__{further}" if further else one.name
    if hasattr(model, "incident"):  # the log of an incident: the installation's own has none
        return "incident"
    return ""


def _aid_checks(tables: list[str]) -> list[str]:
    """Indexes for the time of the removal, where checks would take the square of the people; returns their names."""
    with connection.cursor() as cursor:
        cursor.execute(UNAIDED, [tables])
        aids = {f"removal_{number}": found for number, found in enumerate(cursor.fetchall())}
        for name, (table, column) in aids.items():
            cursor.execute(f'CREATE INDEX {name} ON {table} ("{column}")')  # names of our own models
    return list(aids)


def _guards(tables: list[str], what: str) -> None:
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f'ALTER TABLE "{table}" {what} TRIGGER USER')  # names of our own models, and one of two words
