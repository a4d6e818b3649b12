"""The list of entries that wait for their place is filled by the owner's hand: whoever writes an entry cannot touch that list."""

from django.db import migrations

OWNERS = "ALTER FUNCTION audit_pending() SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp"
WRITERS = "ALTER FUNCTION audit_pending() SECURITY INVOKER RESET search_path"


class Migration(migrations.Migration):
    dependencies = [("incidents", "0008_amendments")]
    operations = [migrations.RunSQL(OWNERS, WRITERS)]
