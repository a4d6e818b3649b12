"""The people: who they are (sealed), what was merged or corrected, and which of them wait for a person's decision."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import HashIndex
from django.db import models

from incidents.models.duties import Cohort
from incidents.models.incident import Incident


class PersonStatus(models.TextChoices):
    CLEAR = "clear", "ready for a letter"
    ATTENTION = "attention", "needs a decision"  # at least one open queue entry
    HELD = "held", "held until a date"  # decided: waits, in the register, clock running
    REJECTED = "rejected", "rejected by two"  # not a person of this incident, or cannot be one
    MERGED = "merged", "merged into another person"  # decided: the same person as `merged_into`; can be undone


class Confidence(models.TextChoices):
    """How far the evidence of a residence carries."""

    DECIDED = "decided", "decided by a person"
    CERTAIN = "certain", "several pieces of evidence agree"
    GOOD = "good", "one piece of good evidence"
    WEAK = "weak", "weak evidence only"
    NONE = "none", "no evidence, or evidence that disagrees"


class AffectedPerson(models.Model):
    """One person on the leaked list. Everything personal is in `sealed`; the law sees only the cohort.

    What its references name is checked by triggers (migration 0005), once for all rows of a statement: foreign keys ask for each.
    """

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="people", db_index=False, db_constraint=False)
    #: The reference that the person's page and `explain` use; given by the file or made by us. Not in the log.
    reference = models.CharField(max_length=64)
    #: The random name under which the log knows this person.
    subject = models.CharField(max_length=32)
    sealed = models.BinaryField(null=True)
    #: This person's key, wrapped by the incident's. Deleting it erases the person; the proofs stay valid.
    wrapped_key = models.BinaryField(null=True)
    #: Under which version of the incident's wrapping key `wrapped_key` stands (rotation is by re-wrapping).
    key_version = models.PositiveSmallIntegerField(default=1, db_default=1)
    #: HMACs under the incident's blind-index key, for matching and subject requests only.
    customer_index = models.BinaryField(null=True)
    email_index = models.BinaryField(null=True)
    name_index = models.BinaryField(null=True)
    name_birth_index = models.BinaryField(null=True)
    #: Of a person with several addresses all but the first, so that they are found by each of them.
    other_email_indexes = ArrayField(models.BinaryField(), null=True)
    #: Name, postal address and birth date together.
    address_index = models.BinaryField(null=True)
    cohort = models.ForeignKey(Cohort, on_delete=models.PROTECT, null=True, related_name="people", db_constraint=False)
    residence = models.CharField(max_length=8, help_text="ISO 3166; 'US' = state unknown, 'ZZ' = unknown.")
    residence_from = models.CharField(max_length=24, blank=True, help_text="The evidence that decided it.")
    confidence = models.CharField(max_length=8, choices=Confidence, default=Confidence.GOOD, db_default=Confidence.GOOD)
    possible_residences = ArrayField(models.CharField(max_length=8), default=list)
    elements = ArrayField(models.CharField(max_length=40))
    flags = ArrayField(models.CharField(max_length=24), default=list)
    language = models.CharField(max_length=12, blank=True)
    has_email = models.BooleanField(default=False)
    has_post = models.BooleanField(default=False, db_default=False, help_text="A postal address that can be written to.")
    status = models.CharField(max_length=10, choices=PersonStatus, default=PersonStatus.CLEAR)
    #: Joined a running incident with this amendment; none = on the first register.
    amendment = models.ForeignKey(
        "incidents.Amendment", on_delete=models.PROTECT, null=True, related_name="people", db_index=False, db_constraint=False
    )
    merged_into = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="merged", db_index=False, db_constraint=False
    )
    #: The number of the sealed record's version: corrections after a freeze keep the earlier ones (`PersonVersion`).
    version = models.PositiveIntegerField(default=1, db_default=1)
    erased_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["incident", "reference"], name="a_reference_names_one_person"),
            models.UniqueConstraint(fields=["subject"], name="a_subject_names_one_person"),
            models.CheckConstraint(
                condition=models.Q(erased_at__isnull=True)
                | models.Q(
                    sealed__isnull=True, wrapped_key__isnull=True, customer_index__isnull=True, email_index__isnull=True,
                    name_index__isnull=True, name_birth_index__isnull=True, address_index__isnull=True,
                    reference__startswith="erased-",
                ),
                name="an_erased_person_is_blank",
            ),
            models.CheckConstraint(
                condition=models.Q(merged_into__isnull=True) & ~models.Q(status="merged")
                | models.Q(merged_into__isnull=False, status="merged") & ~models.Q(merged_into=models.F("id")),
                name="merged_people_have_a_keeper",
            ),
            models.CheckConstraint(
                condition=models.Q(erased_at__isnull=True) | models.Q(other_email_indexes__isnull=True),
                name="an_erased_person_is_not_found",
            ),
        ]  # fmt: skip
        #: Each incident has an index key of its own: the same person in two incidents has two different values.
        indexes = [
            HashIndex(fields=["email_index"], name="person_by_email"),
            models.Index(fields=["incident", "status"], name="person_by_status", condition=~models.Q(status="clear")),
            models.Index(fields=["merged_into"], name="person_by_keeper", condition=models.Q(merged_into__isnull=False)),
            models.Index(fields=["amendment"], name="person_by_amendment", condition=models.Q(amendment__isnull=False)),
            models.Index(
                fields=["incident"], name="person_of_several_addresses", condition=models.Q(other_email_indexes__isnull=False)
            ),
            models.Index(fields=["incident"], name="person_erased", condition=models.Q(erased_at__isnull=False)),
            models.Index(fields=["incident"], name="person_with_flags", condition=~models.Q(flags=[])),
        ]

    def __str__(self) -> str:
        return self.reference


class QueueKind(models.TextChoices):
    ADDRESS = "address", "E-mail address unusable"
    NO_CHANNEL = "no_channel", "No address at all"
    STATE_UNKNOWN = "state_unknown", "US, state unknown"
    RESIDENCE_UNKNOWN = "residence_unknown", "Residence unknown"
    RESIDENCE_CONFLICT = "residence_conflict", "Residence evidence disagrees"
    MATCH_CONFLICT = "match_conflict", "One person or two?"
    GUARDIAN = "guardian", "A minor: who is the guardian?"
    NEXT_OF_KIN = "next_of_kin", "Said to be deceased: who is next of kin?"
    SAFE_ADDRESS = "safe_address", "Safe address: is e-mail safe?"
    DO_NOT_CONTACT = "do_not_contact", "Not to be contacted, for safety"
    DELAY_ORDER = "delay_order", "The police asked to wait with this person"
    DATA = "data", "A value that needs a look"
    ROW = "row", "A row that cannot be a person"


class QueueStatus(models.TextChoices):
    OPEN = "open", "needs a decision"
    CORRECTED = "corrected", "corrected"
    HELD = "held", "held until a date"
    REJECTION_PROPOSED = "rejection_proposed", "rejection waits for a second person"
    REJECTED = "rejected", "rejected by two"

    @property
    def words(self) -> str:
        """What is true of all entries with this status: `corrected` are also those that were accepted as they stand."""
        return "decided" if self is QueueStatus.CORRECTED else str(self.label)


class QueueEntry(models.Model):
    """One question about one person (or one row that became nobody) that only a person can answer."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="queue", db_index=False)
    person = models.ForeignKey(AffectedPerson, on_delete=models.PROTECT, null=True, related_name="queue")
    row = models.ForeignKey("incidents.ImportRow", on_delete=models.PROTECT, null=True, related_name="queue", db_index=False)
    kind = models.CharField(max_length=20, choices=QueueKind)
    column = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=200)
    remedy = models.CharField(max_length=200)
    status = models.CharField(max_length=20, choices=QueueStatus, default=QueueStatus.OPEN)
    decision_reason = models.TextField(blank=True)
    #: The other person that the question is about (one person or two?).
    other = models.ForeignKey(AffectedPerson, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    held_until = models.DateField(null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True)
    second_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)

    class Meta:
        #: A list brings open questions about people: the other columns are empty then.
        indexes = [
            models.Index(fields=["incident", "kind", "status"], name="queue_by_kind"),
            *(
                models.Index(fields=[name], name=f"queue_by_{name}", condition=models.Q(**{f"{name}__isnull": False}))
                for name in ("row", "other", "decided_by", "second_by")
            ),
        ]
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
            models.CheckConstraint(
                condition=models.Q(other__isnull=True) | ~models.Q(other=models.F("person")), name="nobody_is_doubted_with_self"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.status})"


class PersonVersion(models.Model):
    """An earlier sealed record of a person, kept when it was corrected after a freeze. Erased with the person."""

    person = models.ForeignKey(AffectedPerson, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    sealed = models.BinaryField(null=True)
    wrapped_key = models.BinaryField(null=True)
    key_version = models.PositiveSmallIntegerField(default=1, db_default=1)
    residence = models.CharField(max_length=8)
    language = models.CharField(max_length=12, blank=True)
    #: Which fields the next version changed, by name only.
    changed = ArrayField(models.CharField(max_length=40), default=list)
    reason = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "number"], name="one_person_version_per_number")]

    def __str__(self) -> str:
        return f"{self.person} v{self.number}"


class Merge(models.Model):
    """Why a row, or a person, was taken for the same person as another; kept for the undo."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="merges")
    #: The person who stays.
    person = models.ForeignKey(AffectedPerson, on_delete=models.PROTECT, related_name="merges")
    #: The row that was merged at import, or the person that was merged by a decision.
    row = models.ForeignKey("incidents.ImportRow", on_delete=models.PROTECT, null=True, related_name="merges")
    other = models.ForeignKey(AffectedPerson, on_delete=models.PROTECT, null=True, related_name="+")
    tier = models.CharField(max_length=24)
    reason = models.TextField()
    #: Nobody for the rules of the import.
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    merged_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    undo_reason = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["incident", "tier"], name="merge_by_tier")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(row__isnull=False) | models.Q(other__isnull=False), name="a_merge_has_two_sides"
            ),
            models.CheckConstraint(
                condition=models.Q(undone_at__isnull=True) | ~models.Q(undo_reason=""), name="an_undo_has_a_reason"
            ),
            models.CheckConstraint(
                condition=models.Q(undone_at__isnull=True, undone_by__isnull=True)
                | models.Q(undone_at__isnull=False, undone_by__isnull=False),
                name="an_undo_has_an_author",
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="a_merge_has_a_reason"),
        ]

    def __str__(self) -> str:
        return f"merge {self.pk}: {self.tier}"
