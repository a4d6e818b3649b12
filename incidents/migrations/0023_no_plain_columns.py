"""Names of columns that were remembered in clear are forgotten: without a header they are somebody's data. They are asked once more."""

from django.db import migrations

FORGET = "UPDATE incidents_importsource SET mapping = '{}' WHERE mapping <> '{}' AND NOT (mapping ? 'sealed')"


class Migration(migrations.Migration):
    dependencies = [("incidents", "0022_told_twice")]

    operations = [migrations.RunSQL(FORGET, migrations.RunSQL.noop)]
