"""How far a worker may run ahead of the last marker that is on the disk: the bound of doubts when the server crashes with it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("incidents", "0018_counted_registers")]

    operations = [migrations.AddField("chunk", "flush", models.PositiveSmallIntegerField(db_default=0))]
