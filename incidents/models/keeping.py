"""What happens to people after a freeze, and at the end: amendments, exclusions, keys, holds and erasures."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from incidents.models.incident import Incident
from incidents.models.people import AffectedPerson


class Amendment(models.Model):
    """People who join a running incident later (found late, corrected, freed from a hold): own register, own signatures."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="amendments")
    number = models.PositiveIntegerField()
    reason = models.TextField()
    #: When the controller became aware that the people found late are affected: their clocks run from here, nobody else's.
    aware_at = models.DateTimeField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["incident", "number"], name="one_amendment_per_number"),
            models.CheckConstraint(condition=~models.Q(reason=""), name="an_amendment_has_a_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.incident} amendment {self.number}"


class Joining(models.Model):
    """Somebody on the list goes out with an amendment's register: corrected, freed from a hold, or left by a stopped campaign.

    People who were first known in an amendment have no such row: `AffectedPerson.amendment` says it, and their clock.
    """

    amendment = models.ForeignKey(Amendment, on_delete=models.PROTECT, related_name="joinings")
    person = models.ForeignKey(AffectedPerson, on_delete=models.PROTECT, related_name="joinings")
    reason = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    joined_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["amendment", "person"], name="a_person_joins_an_amendment_once"),
            models.CheckConstraint(condition=~models.Q(reason=""), name="a_joining_has_a_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.person} in {self.amendment}"


class SaidByTwo(models.Model):
    """What one person proposes about somebody, with a reason, and a second one confirms; until then it changes nothing."""

    reason = models.TextField()
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    confirmed_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class Exclusion(SaidByTwo):
    """The only removal after a freeze. The register keeps its line."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="exclusions")
    person = models.ForeignKey(AffectedPerson, on_delete=models.PROTECT, related_name="exclusions")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(reason=""), name="an_exclusion_has_a_reason"),
            models.CheckConstraint(
                condition=models.Q(confirmed_by__isnull=True) | ~models.Q(confirmed_by=models.F("proposed_by")),
                name="two_different_people_exclude",
            ),
            models.UniqueConstraint(
                fields=["person"], condition=models.Q(withdrawn_at__isnull=True), name="one_exclusion_of_a_person"
            ),
        ]

    def __str__(self) -> str:
        return f"exclusion of {self.person}"


class IncidentKey(models.Model):
    """A later version of the key that wraps the keys of an incident's people (version 1 is the incident's own key)."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="keys")
    version = models.PositiveSmallIntegerField()
    wrapped_key = models.BinaryField(null=True)
    made_at = models.DateTimeField()
    #: From then on nobody's key is wrapped by it, and it is destroyed; version 1 has a row only when it is retired.
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["incident", "version"], name="one_key_of_a_version"),
            models.CheckConstraint(
                condition=models.Q(retired_at__isnull=True, wrapped_key__isnull=False)
                | models.Q(retired_at__isnull=False, wrapped_key__isnull=True),
                name="a_retired_key_is_destroyed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.incident} key {self.version}"


class LegalHold(models.Model):
    """An order or a decision to keep an incident's data: while it stands nothing is erased."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="legal_holds")
    reason = models.TextField()
    placed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    placed_at = models.DateTimeField()
    lifted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    lifted_at = models.DateTimeField(null=True)
    lift_reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(reason=""), name="a_legal_hold_has_a_reason"),
            models.CheckConstraint(
                condition=models.Q(lifted_at__isnull=True) | ~models.Q(lift_reason=""), name="lifting_a_hold_has_a_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"legal hold on {self.incident}"


class ErasureState(models.TextChoices):
    """How far an erasure is."""

    WAITING = "waiting", "waits until the legal duty is met"
    DONE = "done", "erased"
    WITHDRAWN = "withdrawn", "withdrawn"
    REFUSED = "refused", "refused"  # nothing obliges us to: with the reason that the person was told


class Erasure(models.Model):
    """A person's data to be erased: on request (Art 17 GDPR), or because the time of keeping is over."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="erasures")
    person = models.ForeignKey(AffectedPerson, on_delete=models.PROTECT, related_name="erasures")
    basis = models.CharField(max_length=12, help_text="request or retention")
    state = models.CharField(max_length=10, choices=ErasureState, default=ErasureState.WAITING)
    waits_for = models.CharField(max_length=200, blank=True)
    reason = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    asked_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    #: Why it was withdrawn or refused, and by whom.
    ending_reason = models.TextField(blank=True, default="")
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(reason=""), name="an_erasure_has_a_reason"),
            models.CheckConstraint(
                condition=~models.Q(state__in=["withdrawn", "refused"]) | ~models.Q(ending_reason=""),
                name="an_erasure_not_made_has_a_reason",
            ),
            models.UniqueConstraint(fields=["person"], condition=models.Q(state="waiting"), name="one_open_erasure"),
        ]

    def __str__(self) -> str:
        return f"erasure of {self.person} ({self.state})"


class RetentionPeriod(models.Model):
    """How long a class of data of one incident is kept after its close, where it differs from the installation's."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="retention_periods")
    data_class = models.CharField(max_length=24)
    days = models.PositiveIntegerField()
    reason = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=~models.Q(reason=""), name="a_period_has_a_reason")]

    def __str__(self) -> str:
        return f"{self.data_class}: {self.days} days"
