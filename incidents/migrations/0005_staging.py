"""The staging table, and what the database itself checks of an import."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("incidents", "0004_people_at_scale")]
    operations = []
