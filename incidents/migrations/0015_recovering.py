"""A doubt may be about work that the database does not know any more: it was put back from a backup."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("incidents", "0014_core")]

    operations = [
        migrations.AlterField(
            model_name="doubt",
            name="chunk",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="doubts", to="incidents.chunk"
            ),
        ),
    ]
