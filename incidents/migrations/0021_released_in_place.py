"""A release touches no index: what is planned stands where it will wait."""

from django.db import migrations, models

PHASE = models.Case(
    models.When(state__in=["planned", "ready", "sending"], then=models.Value("waiting")), default=models.F("state")
)


class Migration(migrations.Migration):
    dependencies = [("incidents", "0020_witnessed")]

    operations = [
        migrations.AddField("campaign", "let_go_at", models.DateTimeField(null=True)),
        migrations.RemoveIndex("message", "message_ready"),
        migrations.RemoveIndex("message", "message_by_phase"),
        migrations.RemoveField("message", "phase"),
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
    ]
