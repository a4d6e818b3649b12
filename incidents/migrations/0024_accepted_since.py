"""Letters whose doubt ended as accepted, without a moment: from now on they are quiet, and final like any other after a time."""

from django.db import migrations

SINCE = "UPDATE incidents_message SET accepted_at = clock_timestamp() WHERE state = 'accepted' AND accepted_at IS NULL"


class Migration(migrations.Migration):
    dependencies = [("incidents", "0023_no_plain_columns")]

    operations = [migrations.RunSQL(SINCE, migrations.RunSQL.noop)]
