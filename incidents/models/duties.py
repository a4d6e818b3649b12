"""What the law asks: cohorts of people whom the law cannot tell apart, the obligations towards them, and the filings."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from incidents.models.incident import Incident


class Cohort(models.Model):
    """People who look alike to the law: residence, exposed elements, flags the law can see."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="cohorts")
    residence = models.CharField(max_length=8)
    elements = ArrayField(models.CharField(max_length=40))
    maybe = ArrayField(models.CharField(max_length=40), default=list)
    minors = models.BooleanField(default=False)
    #: Late-found people are cohorts of their own: the same law, another clock.
    amendment = models.ForeignKey("incidents.Amendment", on_delete=models.PROTECT, null=True, related_name="cohorts")
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "residence", "elements", "maybe", "minors", "amendment"],
                nulls_distinct=False,
                name="one_cohort_per_profile",
            )
        ]

    def __str__(self) -> str:
        return f"{self.residence}: {', '.join(self.elements)}{' (minors)' if self.minors else ''}"


class Handling(models.TextChoices):
    """What we do about a duty towards people."""

    STATUTORY = "statutory", "owed by law"
    VOLUNTARY = "voluntary", "the controller's own choice"
    LAW_UNKNOWN = "law_unknown", "courtesy notice, law to be checked"
    NONE = "none", "no notice"
    UNDECIDED = "undecided", "waits for a decision"


class Obligation(models.Model):
    """One duty of one jurisdiction: towards one cohort, or to a regulator or the consumer reporting agencies."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="obligations")
    cohort = models.ForeignKey(Cohort, on_delete=models.PROTECT, null=True, related_name="obligations")
    jurisdiction = models.CharField(max_length=24)
    addressee = models.CharField(max_length=12)
    #: Which law of the jurisdiction: the general one, or a sector's own.
    regime = models.CharField(max_length=40, default="general")
    owed = models.CharField(max_length=3)
    handling = models.CharField(max_length=12, choices=Handling, default=Handling.UNDECIDED)
    handling_reason = models.TextField(blank=True)
    deadline_kind = models.CharField(max_length=40, blank=True)
    #: The safe target; none where the law gives no number.
    due_at = models.DateTimeField(null=True)
    #: The end under Regulation (EEC, Euratom) 1182/71, where it differs from the target.
    legal_end_at = models.DateTimeField(null=True)
    second_due_at = models.DateTimeField(null=True)
    final_due_at = models.DateTimeField(null=True)
    relative = models.CharField(max_length=40, blank=True)
    #: Our own target where the law gives no date; never shown as the law's.
    internal_target_at = models.DateTimeField(null=True)
    #: The whole duty as the engine gave it: deadline, content, channels, reasons with references, questions.
    duty = models.JSONField()
    pack_sha256 = models.CharField(max_length=64, blank=True)
    facts = models.ForeignKey("incidents.FactVersion", on_delete=models.PROTECT, related_name="+")
    superseded = models.BooleanField(default=False, help_text="No longer follows from the newest facts.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "jurisdiction", "regime", "addressee", "cohort"],
                nulls_distinct=False,
                name="one_obligation_per_duty",
            )
        ]

    def __str__(self) -> str:
        return f"{self.jurisdiction} {self.addressee}: {self.owed}"


class Filing(models.Model):
    """A notice to an authority that was made: when, under which reference, by whom it was recorded."""

    obligation = models.ForeignKey(Obligation, on_delete=models.PROTECT, related_name="filings")
    filed_at = models.DateTimeField()
    reference = models.CharField(max_length=120)
    reason_for_delay = models.TextField(blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.obligation} filed {self.reference}"
