"""What the database itself checks of merges and decisions, and how people with several addresses are found."""

import django.contrib.postgres.fields
from django.db import migrations, models

#: A merge is evidence: it can be undone once, by somebody, with a reason, and never be rewritten. Both sides are of one incident.
GUARDS = """
CREATE FUNCTION check_merge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND (OLD.undone_at IS NOT NULL OR (OLD.incident_id, OLD.person_id, OLD.tier, OLD.reason, OLD.merged_at)
      IS DISTINCT FROM (NEW.incident_id, NEW.person_id, NEW.tier, NEW.reason, NEW.merged_at)
      OR (OLD.row_id, OLD.other_id, OLD.author_id) IS DISTINCT FROM (NEW.row_id, NEW.other_id, NEW.author_id)) THEN
    RAISE EXCEPTION 'a merge can only be undone, and once' USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.other_id IS NOT NULL AND NEW.other_id = NEW.person_id THEN
    RAISE EXCEPTION 'nobody is merged into themselves' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER merge_stands BEFORE INSERT OR UPDATE ON incidents_merge FOR EACH ROW
  WHEN (NEW.other_id IS NOT NULL OR NEW.undone_at IS NOT NULL) EXECUTE FUNCTION check_merge();
CREATE TRIGGER merge_kept BEFORE UPDATE ON incidents_merge FOR EACH ROW
  WHEN (NEW.other_id IS NULL AND NEW.undone_at IS NULL) EXECUTE FUNCTION check_merge();
CREATE FUNCTION check_keeper() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM incidents_affectedperson k WHERE k.id = NEW.merged_into_id AND k.incident_id = NEW.incident_id) THEN
    RAISE EXCEPTION 'a person can only be merged into somebody of the same incident' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER person_keeper BEFORE INSERT OR UPDATE OF merged_into_id ON incidents_affectedperson FOR EACH ROW
  WHEN (NEW.merged_into_id IS NOT NULL) EXECUTE FUNCTION check_keeper();
CREATE FUNCTION check_rejection_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what two people rejected stays rejected' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER rejection_stands BEFORE UPDATE ON incidents_queueentry FOR EACH ROW
  WHEN (OLD.status = 'rejected' AND (NEW.status <> 'rejected' OR NEW.second_by_id IS DISTINCT FROM OLD.second_by_id
    OR NEW.decided_by_id IS DISTINCT FROM OLD.decided_by_id)) EXECUTE FUNCTION check_rejection_stands();
"""
UNGUARD = """
DROP FUNCTION check_merge() CASCADE; DROP FUNCTION check_keeper() CASCADE; DROP FUNCTION check_rejection_stands() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("incidents", "0006_keeping")]
    operations = [
        migrations.AddField(
            "affectedperson",
            "other_email_indexes",
            django.contrib.postgres.fields.ArrayField(base_field=models.BinaryField(), null=True, size=None),
        ),
        migrations.AddIndex(
            "affectedperson",
            models.Index(
                fields=["incident"], name="person_of_several_addresses", condition=models.Q(other_email_indexes__isnull=False)
            ),
        ),
        migrations.AddConstraint(
            "affectedperson",
            models.CheckConstraint(
                condition=models.Q(merged_into__isnull=True) & ~models.Q(status="merged")
                | models.Q(merged_into__isnull=False, status="merged") & ~models.Q(merged_into=models.F("id")),
                name="merged_people_have_a_keeper",
            ),
        ),
        migrations.AddConstraint(
            "affectedperson",
            models.CheckConstraint(
                condition=models.Q(erased_at__isnull=True) | models.Q(other_email_indexes__isnull=True),
                name="an_erased_person_is_not_found",
            ),
        ),
        migrations.AddConstraint(
            "queueentry",
            models.CheckConstraint(
                condition=models.Q(other__isnull=True) | ~models.Q(other=models.F("person")), name="nobody_is_doubted_with_self"
            ),
        ),
        migrations.AddConstraint(
            "merge",
            models.CheckConstraint(
                condition=models.Q(undone_at__isnull=True, undone_by__isnull=True)
                | models.Q(undone_at__isnull=False, undone_by__isnull=False),
                name="an_undo_has_an_author",
            ),
        ),
        migrations.AddConstraint(
            "merge", models.CheckConstraint(condition=~models.Q(reason=""), name="a_merge_has_a_reason")
        ),
        migrations.RunSQL(GUARDS, UNGUARD),
    ]
