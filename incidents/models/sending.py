"""Around the messages: late answers, pace and breakers of providers, the first wave to staff, the gate before release, counts."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from incidents.models.incident import Incident
from incidents.models.keeping import SaidByTwo
from incidents.models.letters import Letter
from incidents.models.messages import Campaign, Chunk, Message
from incidents.models.people import AffectedPerson


class LateResult(models.Model):
    """An answer that came to a worker after its chunk was taken over. It changes nothing by itself; it is evidence."""

    chunk = models.ForeignKey(Chunk, on_delete=models.PROTECT, related_name="late_results")
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="late_results")
    outcome = models.CharField(max_length=20)
    provider = models.CharField(max_length=30)
    provider_id = models.CharField(max_length=200, blank=True)
    detail = models.CharField(max_length=200, blank=True)
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["chunk", "message"], name="one_late_result_per_message")]

    def __str__(self) -> str:
        return f"late result of {self.message}"


class ProviderLimit(models.Model):
    """The token bucket and the circuit breaker of one provider, or of one recipient domain at it (`scope`)."""

    provider = models.CharField(max_length=30)
    #: Empty: the provider as a whole; else a domain key of `Message.domain_key`, or "refused" (`brake.py`)
    #: or "told" (`events/against_us.py`) and a campaign.
    scope = models.CharField(max_length=16, blank=True)
    #: Letters a second that are allowed now (None: no limit), and how many could leave at once.
    rate = models.FloatField(null=True)
    tokens = models.FloatField(default=0)
    refilled_at = models.DateTimeField(null=True)
    #: Letters handed over on `day` (UTC), for daily quotas and warm-up.
    day = models.DateField(null=True)
    sent_today = models.PositiveIntegerField(default=0)
    warm_since = models.DateField(null=True)
    #: Breaker: closed, open (until), half_open (one letter tries).
    breaker = models.CharField(max_length=10, default="closed")
    failures = models.PositiveIntegerField(default=0)
    open_until = models.DateTimeField(null=True)
    opened = models.PositiveSmallIntegerField(default=0)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "scope"], name="one_limit_per_provider_and_domain")]

    def __str__(self) -> str:
        return f"{self.provider} {self.scope}".strip()


class StaffRecipient(models.Model):
    """One of the controller's own people who gets the first wave of every campaign of a brand. Address and name are sealed."""

    brand = models.CharField(max_length=200)
    sealed = models.BinaryField()
    language = models.CharField(max_length=20, blank=True)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    added_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"staff recipient {self.pk} of {self.brand}"


class CanaryLetter(models.Model):
    """One letter of the first wave: which letter, to which of the staff, and what became of it. Counted as nobody's."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="canaries")
    staff = models.ForeignKey(StaffRecipient, on_delete=models.PROTECT, related_name="letters")
    letter = models.ForeignKey(Letter, on_delete=models.PROTECT, related_name="+")
    message_ref = models.CharField(max_length=32, unique=True)
    content_sha256 = models.CharField(max_length=64)
    #: planned, sending (committed before the call), accepted, delivered, failed, doubt.
    state = models.CharField(max_length=10, default="planned")
    provider = models.CharField(max_length=30, blank=True)
    provider_id = models.CharField(max_length=200, blank=True)
    detail = models.CharField(max_length=200, blank=True)
    #: How often it was tried and certainly not taken; each try begins with a committed `sending`.
    tries = models.PositiveSmallIntegerField(default=0)
    planned_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # One that failed stays as it is; only then may an officer have another sent, with a reason.
            models.UniqueConstraint(
                fields=["campaign", "staff"], condition=~models.Q(state="failed"), name="one_canary_letter_each"
            )
        ]

    def __str__(self) -> str:
        return f"canary {self.pk}"


class PreflightReport(models.Model):
    """What the gate before a release found. Never changed."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="preflights")
    provider = models.CharField(max_length=30)
    #: Each: name, level (ok, warn, block), text, remedy.
    findings = models.JSONField()
    blocked = models.BooleanField()
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=150)

    def __str__(self) -> str:
        return f"preflight {self.pk} of {self.campaign}"


class Reconciliation(models.Model):
    """Our counts of a campaign beside the provider's own, and each difference with its explanation. Never changed."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="reconciliations")
    provider = models.CharField(max_length=30)
    ours = models.JSONField()
    theirs = models.JSONField()
    differences = models.JSONField()
    taken_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"reconciliation {self.pk} of {self.campaign}"


class Unreachable(SaidByTwo):
    """Nobody can reach this person by any channel. Moves the message to its final state."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="unreachables")
    person = models.ForeignKey(AffectedPerson, on_delete=models.PROTECT, related_name="unreachables")
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="unreachables")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(reason=""), name="unreachable_has_a_reason"),
            models.CheckConstraint(
                condition=models.Q(confirmed_by__isnull=True) | ~models.Q(confirmed_by=models.F("proposed_by")),
                name="two_different_people_give_up",
            ),
            models.UniqueConstraint(
                fields=["message"], condition=models.Q(withdrawn_at__isnull=True), name="one_unreachable_of_a_message"
            ),
        ]

    def __str__(self) -> str:
        return f"unreachable: {self.person}"
