"""A letter of the first wave that failed stays, and only then another may be sent; how often it was tried."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('incidents', '0012_events'),
    ]

    operations = [
        migrations.AddField(
            model_name='canaryletter',
            name='tries',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='canaryletter',
            name='planned_at',
            field=models.DateTimeField(default=django.utils.timezone.now),
            preserve_default=False,
        ),
        migrations.RemoveConstraint(
            model_name='canaryletter',
            name='one_canary_letter_each',
        ),
        migrations.AddConstraint(
            model_name='canaryletter',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'failed'), _negated=True), fields=('campaign', 'staff'), name='one_canary_letter_each'),
        ),
    ]
