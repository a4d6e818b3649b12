"""Moves of messages and campaigns that amendments need."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("incidents", "0007_matching")]
    operations = []
