"""The name of a sheet may be that of a person: kept sealed with a source and as a place with a list. Those in clear are forgotten.

A list of a workbook that is confirmed and not imported yet waits for its columns once more, where its sheet is asked or told anew.
"""

from django.db import migrations, models

FORGET = "UPDATE incidents_importsource SET sheet = '' WHERE sheet <> ''"
FORGET_OF_LISTS = """
UPDATE incidents_importbatch SET sheet = '',
  state = CASE WHEN state IN ('waiting', 'reading', 'settling') THEN 'uploaded' ELSE state END WHERE sheet <> ''"""
#: 'Sheet 'x', cell B7: a formula' is kept as 'Sheet, cell B7: a formula'.
FORGET_OF_REFUSALS = """
UPDATE incidents_importbatch SET refusal = CASE
  WHEN refusal LIKE 'The workbook % sheet%: %' THEN 'The workbook has several sheets. Give it again, and say which holds the list.'
  ELSE regexp_replace(refusal, '^Sheet ''.*''(: the cells |, cell |, row )', 'Sheet\\1') END
WHERE refusal LIKE 'Sheet ''%' OR refusal LIKE 'The workbook % sheet%: %'"""


class Migration(migrations.Migration):
    dependencies = [("incidents", "0025_list_country")]

    operations = [
        migrations.RunSQL(FORGET, migrations.RunSQL.noop),
        migrations.RunSQL(FORGET_OF_LISTS, migrations.RunSQL.noop),
        migrations.RunSQL(FORGET_OF_REFUSALS, migrations.RunSQL.noop),
        migrations.AlterField("importsource", "sheet", models.TextField(blank=True)),
    ]
