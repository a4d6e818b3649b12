"""Amendments: who joins them, their letters and registers; and the moves of messages that corrections and exclusions need."""

import importlib

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

GUARDS = importlib.import_module("incidents.migrations.0002_guards")
#: A snapshot of models.messages.MESSAGE_MOVES; a test compares them.
MESSAGE_MOVES = [
    *GUARDS.MESSAGE_MOVES,
    ("planned", "excluded"), ("ready", "excluded"), ("not_owed", "excluded"),
    ("planned", "replaced"), ("ready", "replaced"), ("held", "replaced"), ("quarantined", "replaced"),
    ("needs_other_channel", "replaced"), ("not_owed", "replaced"),
]
STATES = [
    ("planned", "planned"), ("ready", "ready"), ("sending", "sending"), ("in_doubt", "in doubt"), ("accepted", "accepted"),
    ("delivered", "delivered"), ("accepted_unconfirmed", "accepted, no answer"),
    ("needs_other_channel", "needs another channel"), ("held", "held"), ("quarantined", "quarantined"),
    ("unreachable", "unreachable"), ("excluded", "excluded"), ("cancelled", "cancelled"), ("not_owed", "no notice"),
    ("replaced", "replaced by an amendment"),
]
MOVES = f"""
CREATE OR REPLACE FUNCTION check_message_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.state, NEW.state) NOT IN ({GUARDS.pairs(MESSAGE_MOVES)}) THEN
    RAISE EXCEPTION 'a message cannot move from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.state = 'excluded' AND NOT EXISTS
     (SELECT 1 FROM incidents_exclusion x JOIN incidents_registerentry e ON e.person_id = x.person_id
      WHERE e.id = NEW.entry_id AND x.confirmed_by_id IS NOT NULL AND x.withdrawn_at IS NULL) THEN
    RAISE EXCEPTION 'an exclusion is confirmed by a second person first' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
"""
APPEND_ONLY = ("incidents_amendment", "incidents_joining")
KEEP = "".join(
    f"CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change();"
    f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();"
    for table in APPEND_ONLY
)
FORGET = "".join(f"DROP TRIGGER {t}_rows ON {t}; DROP TRIGGER {t}_whole ON {t};" for t in APPEND_ONLY)


class Migration(migrations.Migration):
    dependencies = [("incidents", "0007_matching"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            name="Joining",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.TextField()),
                ("joined_at", models.DateTimeField()),
                ("amendment", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="joinings", to="incidents.amendment")),
                ("author", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("person", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="joinings", to="incidents.affectedperson")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["amendment", "person"], name="a_person_joins_an_amendment_once"),
                    models.CheckConstraint(condition=~models.Q(reason=""), name="a_joining_has_a_reason"),
                ],
            },
        ),
        migrations.AddField(
            model_name="letter",
            name="amendment",
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="letters", to="incidents.amendment"),
        ),
        migrations.RemoveConstraint(model_name="letter", name="one_letter_per_cohort_and_language"),
        migrations.AddConstraint(
            model_name="letter",
            constraint=models.UniqueConstraint(
                fields=["incident", "cohort", "language", "amendment"], nulls_distinct=False,
                name="one_letter_per_cohort_and_language",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.UniqueConstraint(
                fields=["incident", "amendment"], nulls_distinct=False, name="one_register_per_amendment"
            ),
        ),
        migrations.AlterField(model_name="message", name="state", field=models.CharField(choices=STATES, max_length=20)),
        migrations.RunSQL(MOVES, migrations.RunSQL.noop),
        migrations.RunSQL(KEEP, FORGET),
    ]
