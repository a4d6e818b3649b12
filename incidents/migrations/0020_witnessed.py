"""Whether the head over a drained campaign was mailed: who dies just before is made up for. Those of before count as mailed."""

from django.db import migrations, models

BEFORE = "UPDATE incidents_campaign SET witnessed_at = drained_at WHERE drained_at IS NOT NULL"


class Migration(migrations.Migration):
    dependencies = [("incidents", "0019_bound_after_a_crash")]

    operations = [
        migrations.AddField("campaign", "witnessed_at", models.DateTimeField(null=True)),
        migrations.RunSQL(BEFORE, migrations.RunSQL.noop),
    ]
