"""The people: what was imported, who they are (sealed), and which of them wait for a person's decision."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from incidents.models.duties import Cohort
from incidents.models.incident import Incident


class ImportBatch(models.Model):
    """One imported file, known by its SHA-256: the same file twice changes nothing."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="imports")
    sha256 = models.CharField(max_length=64)
    rows = models.PositiveIntegerField(default=0)
    encoding = models.CharField(max_length=20)
    delimiter = models.CharField(max_length=4)
    columns = ArrayField(models.CharField(max_length=60))
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    imported_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "sha256"], name="a_file_is_imported_once")]

    def __str__(self) -> str:
        return f"{self.incident} file {self.sha256[:12]}"


class PersonStatus(models.TextChoices):
    CLEAR = "clear", "ready for a letter"
    ATTENTION = "attention", "needs a decision"  # at least one open queue entry
    HELD = "held", "held until a date"  # decided: waits, in the register, clock running
    REJECTED = "rejected", "rejected by two"  # not a person of this incident, or cannot be one


class AffectedPerson(models.Model):
    """One person on the leaked list. Everything personal is in `sealed`; the law sees only the cohort."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="people")
    #: The reference that the person's page and `explain` use; given by the file or made by us. Not in the log.
    reference = models.CharField(max_length=64)
    #: The random name under which the log knows this person.
    subject = models.CharField(max_length=32, unique=True)
    sealed = models.BinaryField(null=True)
    #: This person's key, wrapped by the incident's. Deleting it erases the person; the proofs stay valid.
    wrapped_key = models.BinaryField(null=True)
    #: HMACs under the incident's blind-index key, for matching and subject requests only.
    customer_index = models.BinaryField(null=True)
    email_index = models.BinaryField(null=True)
    name_index = models.BinaryField(null=True)
    name_birth_index = models.BinaryField(null=True)
    cohort = models.ForeignKey(Cohort, on_delete=models.PROTECT, null=True, related_name="people")
    residence = models.CharField(max_length=8, help_text="ISO 3166; 'US' = state unknown, 'ZZ' = unknown.")
    residence_from = models.CharField(max_length=24, blank=True, help_text="The evidence that decided it.")
    possible_residences = ArrayField(models.CharField(max_length=8), default=list)
    elements = ArrayField(models.CharField(max_length=40))
    flags = ArrayField(models.CharField(max_length=20), default=list)
    language = models.CharField(max_length=12, blank=True)
    has_email = models.BooleanField(default=False)
    status = models.CharField(max_length=10, choices=PersonStatus, default=PersonStatus.CLEAR)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "reference"], name="a_reference_names_one_person")]
        indexes = [
            models.Index(fields=["incident", "customer_index"], name="person_by_customer"),
            models.Index(fields=["incident", "email_index"], name="person_by_email"),
            models.Index(fields=["incident", "status"], name="person_by_status"),
        ]

    def __str__(self) -> str:
        return self.reference


class RowOutcome(models.TextChoices):
    PERSON = "person", "became a person"
    MERGED = "merged", "merged into a person"
    REJECTION_PENDING = "rejection_pending", "cannot be a person; waits for two to reject it"
    REJECTED = "rejected", "rejected by two"


class ImportRow(models.Model):
    """One row of one file and what became of it. Rows in = people + merged + needs attention + rejected."""

    batch = models.ForeignKey(ImportBatch, on_delete=models.PROTECT, related_name="import_rows")
    number = models.PositiveIntegerField(help_text="The line's place in the file, counting the header as row 1.")
    outcome = models.CharField(max_length=20, choices=RowOutcome)
    person = models.ForeignKey(AffectedPerson, on_delete=models.PROTECT, null=True, related_name="import_rows")
    column = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    remedy = models.CharField(max_length=200, blank=True)
    #: The row as it came, sealed under the incident's key, kept for rows that became nobody.
    sealed = models.BinaryField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "number"], name="a_row_is_counted_once")]
        indexes = [models.Index(fields=["batch", "outcome"], name="row_by_outcome")]

    def __str__(self) -> str:
        return f"row {self.number}: {self.outcome}"


class QueueKind(models.TextChoices):
    ADDRESS = "address", "E-mail address unusable"
    NO_CHANNEL = "no_channel", "No address at all"
    STATE_UNKNOWN = "state_unknown", "US, state unknown"
    RESIDENCE_UNKNOWN = "residence_unknown", "Residence unknown"
    RESIDENCE_CONFLICT = "residence_conflict", "Residence evidence disagrees"
    MATCH_CONFLICT = "match_conflict", "Same customer number, different names"
    GUARDIAN = "guardian", "A minor: who is the guardian?"
    NEXT_OF_KIN = "next_of_kin", "Said to be deceased: who is next of kin?"
    SAFE_ADDRESS = "safe_address", "Safe address: is e-mail safe?"
    DATA = "data", "A value that needs a look"
    ROW = "row", "A row that cannot be a person"


class QueueStatus(models.TextChoices):
    OPEN = "open", "needs a decision"
    CORRECTED = "corrected", "corrected"
    HELD = "held", "held until a date"
    REJECTION_PROPOSED = "rejection_proposed", "rejection waits for a second person"
    REJECTED = "rejected", "rejected by two"


class QueueEntry(models.Model):
    """One question about one person (or one row that became nobody) that only a person can answer."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="queue")
    person = models.ForeignKey(AffectedPerson, on_delete=models.PROTECT, null=True, related_name="queue")
    row = models.ForeignKey(ImportRow, on_delete=models.PROTECT, null=True, related_name="queue")
    kind = models.CharField(max_length=20, choices=QueueKind)
    column = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=200)
    remedy = models.CharField(max_length=200)
    status = models.CharField(max_length=20, choices=QueueStatus, default=QueueStatus.OPEN)
    decision_reason = models.TextField(blank=True)
    held_until = models.DateField(null=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    second_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["incident", "kind", "status"], name="queue_by_kind")]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(status="rejected") | models.Q(second_by__isnull=False), name="rejected_by_two"
            ),
            models.CheckConstraint(
                condition=models.Q(second_by__isnull=True)
                | models.Q(decided_by__isnull=False) & ~models.Q(second_by=models.F("decided_by")),
                name="two_different_people_reject",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="held") | models.Q(held_until__isnull=False), name="held_until_a_date"
            ),
            models.CheckConstraint(
                condition=models.Q(status="open") | ~models.Q(decision_reason=""), name="a_decision_has_a_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.status})"
