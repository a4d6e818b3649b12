"""What we can prove: events as they were written, their order in the tree, and the signed checkpoints."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

#: Actions after which the head is signed at once, and not at the end of the minute.
DECISIVE = (
    "source.imported", "register.frozen", "content.approved", "release.approved", "campaign.stopped", "campaign.drained",
    "campaign.closed", "anchor.sent", "access.exported", "database.restored",
)  # fmt: skip


class AuditLog(models.Model):
    """One tree: an incident's, or the installation's own (no incident). Keeps the compact frontier of RFC 9162."""

    incident = models.OneToOneField("incidents.Incident", on_delete=models.PROTECT, null=True, related_name="audit_log")
    origin = models.CharField(max_length=200, unique=True)
    size = models.BigIntegerField(default=0)
    frontier = ArrayField(models.CharField(max_length=64), default=list)

    def __str__(self) -> str:
        return self.origin


class AuditEvent(models.Model):
    """One entry, as canonical JSON; only ever inserted, in the transaction of the change that it tells of."""

    log = models.ForeignKey(AuditLog, on_delete=models.PROTECT, related_name="events", db_index=False, db_constraint=False)
    action = models.CharField(max_length=40)
    subject = models.CharField(max_length=32, blank=True)
    actor = models.CharField(max_length=150)
    happened_at = models.DateTimeField()
    line = models.TextField()

    class Meta:
        indexes = [
            models.Index(fields=["log", "subject"], name="event_by_subject"),
            models.Index(fields=["log", "id"], name="event_decisive", condition=models.Q(action__in=DECISIVE)),
        ]

    def __str__(self) -> str:
        return f"{self.action} at {self.happened_at:%Y-%m-%d %H:%M:%S}"


class AuditPending(models.Model):
    """Entries that have no place in the tree yet; filled by a trigger, emptied by the sequencer."""

    event_id = models.BigIntegerField(primary_key=True)

    def __str__(self) -> str:
        return str(self.event_id)


class AuditLeaf(models.Model):
    """The place of an entry in its tree: gapless `seq` from 0, and the leaf's hash."""

    # A trigger looks once a statement whether the entries are there; a check for each would cost every entry (`0016`).
    log = models.ForeignKey(AuditLog, on_delete=models.PROTECT, related_name="leaves", db_index=False, db_constraint=False)
    seq = models.BigIntegerField()
    event = models.OneToOneField(AuditEvent, on_delete=models.PROTECT, related_name="leaf", db_constraint=False)
    leaf_hash = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["log", "seq"], name="one_leaf_per_place")]

    def __str__(self) -> str:
        return f"leaf {self.seq}"


class AuditCheckpoint(models.Model):
    """A signed tree head (C2SP checkpoint)."""

    log = models.ForeignKey(AuditLog, on_delete=models.PROTECT, related_name="checkpoints")
    size = models.BigIntegerField()
    root = models.CharField(max_length=64)
    note = models.TextField()
    signed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"checkpoint of {self.size}"
