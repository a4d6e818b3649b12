"""Events: the provider's own name of a letter, and the lists of what contradicts or names nothing of ours."""

from django.db import migrations, models

#: A relay's answer names nothing that an event would name again.
NAMED = ~models.Q(provider_id="") & ~models.Q(provider__in=["smtp", "inbox"])


class Migration(migrations.Migration):

    dependencies = [
        ('incidents', '0011_import_speed'),
    ]

    operations = [
        migrations.AddField(
            model_name='providerevent',
            name='provider_id',
            field=models.CharField(blank=True, db_default='', max_length=200),
        ),
        migrations.AddIndex(
            model_name='attempt',
            index=models.Index(condition=NAMED, fields=['provider_id'], name='attempt_by_provider_id'),
        ),
        migrations.AddIndex(
            model_name='providerevent',
            index=models.Index(condition=models.Q(effect='unknown message'), fields=['id'], name='event_unknown'),
        ),
        migrations.AddIndex(
            model_name='providerevent',
            index=models.Index(condition=models.Q(effect__startswith='conflict'), fields=['id'], name='event_conflict'),
        ),
    ]
