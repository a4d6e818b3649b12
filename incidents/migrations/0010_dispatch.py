"""Dispatch through any crash: late answers, limits, first wave, gate, counts, those nobody can reach; and their moves."""

import importlib

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

EARLIER = importlib.import_module("incidents.migrations.0008_amendments")
#: A snapshot of models.messages.MESSAGE_MOVES; a test compares them.
MESSAGE_MOVES = [
    *EARLIER.MESSAGE_MOVES,
    ("ready", "needs_other_channel"), ("ready", "in_doubt"), ("ready", "quarantined"), ("in_doubt", "quarantined"),
    ("quarantined", "needs_other_channel"), ("needs_other_channel", "ready"),
]
MOVES = f"""
CREATE OR REPLACE FUNCTION check_message_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.state, NEW.state) NOT IN ({EARLIER.GUARDS.pairs(MESSAGE_MOVES)}) THEN
    RAISE EXCEPTION 'a message cannot move from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.state = 'excluded' AND NOT EXISTS
     (SELECT 1 FROM incidents_exclusion x JOIN incidents_registerentry e ON e.person_id = x.person_id
      WHERE e.id = NEW.entry_id AND x.confirmed_by_id IS NOT NULL AND x.withdrawn_at IS NULL) THEN
    RAISE EXCEPTION 'an exclusion is confirmed by a second person first' USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.state = 'unreachable' AND NOT EXISTS
     (SELECT 1 FROM incidents_unreachable u
      WHERE u.message_id = NEW.id AND u.confirmed_by_id IS NOT NULL AND u.withdrawn_at IS NULL) THEN
    RAISE EXCEPTION 'that nobody can be reached is confirmed by a second person first' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
"""
APPEND_ONLY = ("incidents_preflightreport", "incidents_reconciliation", "incidents_lateresult")
KEEP = "".join(
    f"CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change();"
    f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();"
    for table in APPEND_ONLY
)
FORGET = "".join(f"DROP TRIGGER {t}_rows ON {t}; DROP TRIGGER {t}_whole ON {t};" for t in APPEND_ONLY)


class Migration(migrations.Migration):

    dependencies = [
        ('incidents', '0009_roles'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='campaign',
            name='canary',
            field=models.CharField(db_default='none', max_length=8),
        ),
        migrations.AddField(
            model_name='chunk',
            name='provider',
            field=models.CharField(blank=True, db_default='', max_length=30),
        ),
        migrations.AddField(
            model_name='chunk',
            name='step',
            field=models.PositiveSmallIntegerField(db_default=1),
        ),
        migrations.AddField(
            model_name='doubt',
            name='provider',
            field=models.CharField(blank=True, db_default='', max_length=30),
        ),
        migrations.AddField(
            model_name='message',
            name='deaths',
            field=models.PositiveSmallIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name='message',
            name='domain_key',
            field=models.CharField(blank=True, db_default='', max_length=16),
        ),
        migrations.AddField(
            model_name='providerevent',
            name='raw_sha256',
            field=models.CharField(blank=True, db_default='', max_length=64),
        ),
        migrations.AddField(
            model_name='providerevent',
            name='recipient_hash',
            field=models.CharField(blank=True, db_default='', max_length=64),
        ),
        migrations.AddField(
            model_name='providerevent',
            name='signed_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='providerevent',
            name='strength',
            field=models.CharField(blank=True, db_default='', max_length=12),
        ),
        migrations.CreateModel(
            name='PreflightReport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(max_length=30)),
                ('findings', models.JSONField()),
                ('blocked', models.BooleanField()),
                ('made_at', models.DateTimeField()),
                ('made_by', models.CharField(max_length=150)),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='preflights', to='incidents.campaign')),
            ],
        ),
        migrations.CreateModel(
            name='ProviderLimit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(max_length=30)),
                ('scope', models.CharField(blank=True, max_length=16)),
                ('rate', models.FloatField(null=True)),
                ('tokens', models.FloatField(default=0)),
                ('refilled_at', models.DateTimeField(null=True)),
                ('day', models.DateField(null=True)),
                ('sent_today', models.PositiveIntegerField(default=0)),
                ('warm_since', models.DateField(null=True)),
                ('breaker', models.CharField(default='closed', max_length=10)),
                ('failures', models.PositiveIntegerField(default=0)),
                ('open_until', models.DateTimeField(null=True)),
                ('opened', models.PositiveSmallIntegerField(default=0)),
                ('reason', models.CharField(blank=True, max_length=200)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('provider', 'scope'), name='one_limit_per_provider_and_domain')],
            },
        ),
        migrations.CreateModel(
            name='Reconciliation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(max_length=30)),
                ('ours', models.JSONField()),
                ('theirs', models.JSONField()),
                ('differences', models.JSONField()),
                ('taken_at', models.DateTimeField()),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reconciliations', to='incidents.campaign')),
            ],
        ),
        migrations.CreateModel(
            name='StaffRecipient',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('brand', models.CharField(max_length=200)),
                ('sealed', models.BinaryField()),
                ('language', models.CharField(blank=True, max_length=20)),
                ('added_at', models.DateTimeField()),
                ('removed_at', models.DateTimeField(null=True)),
                ('added_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='LateResult',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('outcome', models.CharField(max_length=20)),
                ('provider', models.CharField(max_length=30)),
                ('provider_id', models.CharField(blank=True, max_length=200)),
                ('detail', models.CharField(blank=True, max_length=200)),
                ('recorded_at', models.DateTimeField()),
                ('chunk', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='late_results', to='incidents.chunk')),
                ('message', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='late_results', to='incidents.message')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('chunk', 'message'), name='one_late_result_per_message')],
            },
        ),
        migrations.CreateModel(
            name='CanaryLetter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message_ref', models.CharField(max_length=32, unique=True)),
                ('content_sha256', models.CharField(max_length=64)),
                ('state', models.CharField(default='planned', max_length=10)),
                ('provider', models.CharField(blank=True, max_length=30)),
                ('provider_id', models.CharField(blank=True, max_length=200)),
                ('detail', models.CharField(blank=True, max_length=200)),
                ('sent_at', models.DateTimeField(null=True)),
                ('answered_at', models.DateTimeField(null=True)),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='canaries', to='incidents.campaign')),
                ('letter', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='incidents.letter')),
                ('staff', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='letters', to='incidents.staffrecipient')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('campaign', 'staff'), name='one_canary_letter_each')],
            },
        ),
        migrations.CreateModel(
            name='Unreachable',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.TextField()),
                ('proposed_at', models.DateTimeField()),
                ('confirmed_at', models.DateTimeField(null=True)),
                ('withdrawn_at', models.DateTimeField(null=True)),
                ('confirmed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('incident', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='unreachables', to='incidents.incident')),
                ('message', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='unreachables', to='incidents.message')),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='unreachables', to='incidents.affectedperson')),
                ('proposed_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='unreachable_has_a_reason'), models.CheckConstraint(condition=models.Q(('confirmed_by__isnull', True), models.Q(('confirmed_by', models.F('proposed_by')), _negated=True), _connector='OR'), name='two_different_people_give_up'), models.UniqueConstraint(condition=models.Q(('withdrawn_at__isnull', True)), fields=('message',), name='one_unreachable_of_a_message')],
            },
        ),
        migrations.RunSQL(MOVES, EARLIER.MOVES),
        migrations.RunSQL(KEEP, FORGET),
    ]
