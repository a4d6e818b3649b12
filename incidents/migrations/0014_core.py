"""The fast path: who is alive, fewer indexes a letter, and chunks whose marker moves without copying the chunk."""

from django.db import migrations, models
import django.db.models.deletion

#: The list of a chunk's messages is stored beside its row, and the row's page has room: a marker is a small update in place.
CHUNK = """
ALTER TABLE incidents_chunk ALTER COLUMN message_ids SET STORAGE EXTERNAL;
ALTER TABLE incidents_chunk SET (toast_tuple_target = 128, fillfactor = 50);
"""
CHUNK_BACK = """
ALTER TABLE incidents_chunk ALTER COLUMN message_ids SET STORAGE EXTENDED;
ALTER TABLE incidents_chunk RESET (toast_tuple_target, fillfactor);
"""

#: The two moves that every letter makes are listed, and are not looked up again for each; all others are.
QUICK = """
CREATE OR REPLACE TRIGGER message_move BEFORE UPDATE OF state ON incidents_message FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state AND NOT (OLD.state = 'ready' AND NEW.state = 'sending')
        AND NOT (OLD.state = 'sending' AND NEW.state = 'accepted'))
  EXECUTE FUNCTION check_message_move();
"""
QUICK_BACK = """
CREATE OR REPLACE TRIGGER message_move BEFORE UPDATE OF state ON incidents_message FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION check_message_move();
"""


class Migration(migrations.Migration):

    dependencies = [("incidents", "0013_gate")]

    operations = [
        migrations.CreateModel(
            name="Presence",
            fields=[("owner_lock", models.BigIntegerField(primary_key=True, serialize=False))],
        ),
        migrations.RunSQL("ALTER TABLE incidents_presence SET UNLOGGED", migrations.RunSQL.noop),
        migrations.RunSQL(CHUNK, CHUNK_BACK),
        migrations.RunSQL(QUICK, QUICK_BACK),
        migrations.AlterField(
            model_name="message", name="campaign",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="messages", to="incidents.campaign"),
        ),
        migrations.AlterField(
            model_name="message", name="entry",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="messages", to="incidents.registerentry"),
        ),
        migrations.AlterField(model_name="message", name="message_ref", field=models.CharField(max_length=32)),
        migrations.AddConstraint(
            model_name="message",
            constraint=models.UniqueConstraint(fields=("message_ref",), name="a_message_ref_names_one_message"),
        ),
        migrations.AlterField(
            model_name="attempt", name="message",
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="tries", to="incidents.message"),
        ),
        migrations.AlterField(
            model_name="attempt", name="chunk",
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="attempts", to="incidents.chunk"),
        ),
    ]
