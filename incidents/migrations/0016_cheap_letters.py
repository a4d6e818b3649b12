"""What a letter costs in the database: moves that touch no index, places in the log that are checked once a statement."""

import django.db.models.deletion
from django.db import migrations, models

#: A row's next version has room beside it. Set first: the new column writes the table anew.
ROOM = "ALTER TABLE incidents_message SET (fillfactor = 50)"
ROOM_BACK = "ALTER TABLE incidents_message RESET (fillfactor)"
PHASE = models.Case(
    models.When(state__in=["ready", "sending"], then=models.Value("waiting")), default=models.F("state")
)
#: The moves that nearly every letter makes; they are listed, and are not looked up again for each. All others are.
USUAL = [("planned", "ready"), ("ready", "sending"), ("sending", "accepted"), ("accepted", "accepted_unconfirmed")]
#: After the row is written: before it, the row would be locked once more for the question.
MOVE = f"""
DROP TRIGGER message_move ON incidents_message;
CREATE TRIGGER message_move AFTER UPDATE OF state ON incidents_message FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state
    AND {" AND ".join(f"NOT (OLD.state = '{a}' AND NEW.state = '{b}')" for a, b in USUAL)})
  EXECUTE FUNCTION check_message_move();
"""
MOVE_BACK = """
DROP TRIGGER message_move ON incidents_message;
CREATE TRIGGER message_move BEFORE UPDATE OF state ON incidents_message FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state AND NOT (OLD.state = 'ready' AND NEW.state = 'sending')
        AND NOT (OLD.state = 'sending' AND NEW.state = 'accepted'))
  EXECUTE FUNCTION check_message_move();
"""
#: Once for all places of a statement: each names an entry of the very log that it stands in.
LEAVES = """
CREATE FUNCTION check_new_leaves() RETURNS trigger LANGUAGE plpgsql
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE missing boolean;
BEGIN
  EXECUTE 'SELECT EXISTS (SELECT FROM added a LEFT JOIN incidents_auditevent e ON e.id = a.event_id
    WHERE e.log_id IS DISTINCT FROM a.log_id)' INTO missing;
  IF missing THEN
    RAISE EXCEPTION 'a place in the log names no entry of it' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER audit_leaves_named AFTER INSERT ON incidents_auditleaf
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION check_new_leaves();
"""
LEAVES_BACK = "DROP TRIGGER audit_leaves_named ON incidents_auditleaf; DROP FUNCTION check_new_leaves()"
#: A snapshot of models.audit.DECISIVE.
DECISIVE = [
    "source.imported", "register.frozen", "content.approved", "release.approved", "campaign.stopped", "campaign.drained",
    "campaign.closed", "anchor.sent", "access.exported", "database.restored",
]  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("incidents", "0015_recovering")]

    operations = [
        migrations.RunSQL(ROOM, ROOM_BACK),
        migrations.RemoveIndex("message", "message_ready"),
        migrations.RemoveIndex("message", "message_by_state"),
        migrations.AddField(
            "message",
            "phase",
            models.GeneratedField(expression=PHASE, output_field=models.CharField(max_length=20), db_persist=True),
        ),
        migrations.AddIndex(
            "message",
            models.Index(fields=["campaign", "due_at", "id"], name="message_ready", condition=models.Q(phase="waiting")),
        ),
        migrations.AddIndex("message", models.Index(fields=["campaign", "phase"], name="message_by_phase")),
        migrations.RunSQL(MOVE, MOVE_BACK),
        migrations.RunSQL(LEAVES, LEAVES_BACK),
        migrations.AlterField(
            "auditleaf",
            "log",
            models.ForeignKey(
                db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="leaves",
                to="incidents.auditlog",
            ),
        ),
        migrations.AlterField(
            "auditleaf",
            "event",
            models.OneToOneField(
                db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name="leaf", to="incidents.auditevent"
            ),
        ),
        migrations.AddIndex(
            "auditevent",
            models.Index(fields=["log", "id"], name="event_decisive", condition=models.Q(action__in=DECISIVE)),
        ),
    ]
