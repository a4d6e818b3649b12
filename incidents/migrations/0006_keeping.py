"""What the database itself refuses around keys, holds and erasures."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

STATES = [
    ("waiting", "waits until the legal duty is met"), ("done", "erased"), ("withdrawn", "withdrawn"), ("refused", "refused"),
]  # fmt: skip
#: The lock that makes a hold that is being placed, and a key that is being destroyed (both lock the incident FOR UPDATE), wait
#: for this transaction; taken as the owner, because not every role that comes here may lock that row.
LOCK = """
CREATE FUNCTION lock_incident(incident bigint) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS 'SELECT FROM incidents_incident WHERE id = incident FOR KEY SHARE';
"""
#: Nobody who was erased comes back, and nobody is erased while a legal hold stands; whoever it is that asks.
ERASED = """
CREATE FUNCTION check_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.erased_at IS NOT NULL THEN
    RAISE EXCEPTION 'a person who was erased stays erased' USING ERRCODE = 'check_violation';
  END IF;
  PERFORM lock_incident(NEW.incident_id);
  IF EXISTS (SELECT 1 FROM incidents_legalhold WHERE incident_id = NEW.incident_id AND lifted_at IS NULL) THEN
    RAISE EXCEPTION 'a legal hold stands: nothing is erased' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER person_erasure BEFORE UPDATE OF erased_at ON incidents_affectedperson FOR EACH ROW
  WHEN (OLD.erased_at IS DISTINCT FROM NEW.erased_at) EXECUTE FUNCTION check_erasure();
"""
#: A key wrapped under a version that was destroyed meanwhile could never be opened again.
RETIRED = """
CREATE FUNCTION check_key_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM lock_incident(NEW.incident_id);
  IF EXISTS (SELECT 1 FROM incidents_incidentkey
             WHERE incident_id = NEW.incident_id AND version = NEW.key_version AND retired_at IS NOT NULL) THEN
    RAISE EXCEPTION 'version % of the key of this incident was retired meanwhile; try again', NEW.key_version
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER person_key_version BEFORE UPDATE OF wrapped_key ON incidents_affectedperson FOR EACH ROW
  WHEN (NEW.wrapped_key IS NOT NULL) EXECUTE FUNCTION check_key_version();
"""


class Migration(migrations.Migration):
    dependencies = [("incidents", "0005_staging"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.AlterField("erasure", "state", models.CharField(max_length=10, choices=STATES, default="waiting")),
        migrations.AddField("erasure", "ending_reason", models.TextField(blank=True, default="")),
        migrations.AddField(
            "erasure", "ended_by",
            models.ForeignKey(
                settings.AUTH_USER_MODEL, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+"
            ),
        ),
        migrations.AddConstraint(
            "erasure",
            models.CheckConstraint(
                condition=~models.Q(state__in=["withdrawn", "refused"]) | ~models.Q(ending_reason=""),
                name="an_erasure_not_made_has_a_reason",
            ),
        ),
        migrations.AddConstraint(
            "incidentkey",
            models.CheckConstraint(
                condition=models.Q(retired_at__isnull=True, wrapped_key__isnull=False)
                | models.Q(retired_at__isnull=False, wrapped_key__isnull=True),
                name="a_retired_key_is_destroyed",
            ),
        ),
        migrations.AddConstraint(
            "affectedperson",
            models.CheckConstraint(
                condition=models.Q(erased_at__isnull=True)
                | models.Q(
                    sealed__isnull=True, wrapped_key__isnull=True, customer_index__isnull=True, email_index__isnull=True,
                    name_index__isnull=True, name_birth_index__isnull=True, address_index__isnull=True,
                    reference__startswith="erased-",
                ),
                name="an_erased_person_is_blank",
            ),
        ),
        migrations.AddIndex(
            "affectedperson",
            models.Index(fields=["incident"], name="person_erased", condition=models.Q(erased_at__isnull=False)),
        ),
        migrations.RunSQL(LOCK, "DROP FUNCTION lock_incident(bigint)"),
        migrations.RunSQL(ERASED, "DROP FUNCTION check_erasure() CASCADE"),
        migrations.RunSQL(RETIRED, "DROP FUNCTION check_key_version() CASCADE"),
    ]  # fmt: skip
