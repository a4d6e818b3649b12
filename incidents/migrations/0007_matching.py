"""What the database itself checks of merges and decisions."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("incidents", "0006_keeping")]
    operations = []
