"""What the database itself refuses around keys, holds and erasures."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("incidents", "0005_staging")]
    operations = []
