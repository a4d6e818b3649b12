"""A country that somebody says of everybody on a list, who says it, and how many rows live by it."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("incidents", "0024_accepted_since"),
    ]

    operations = [
        migrations.AddField("importbatch", "list_country", models.CharField(blank=True, default="", max_length=8)),
        migrations.AddField(
            "importbatch",
            "country_by",
            models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField("importbatch", "country_rows", models.PositiveIntegerField(default=0)),
    ]
