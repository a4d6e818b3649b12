"""The incident: its facts in numbered versions, and what people have found and signed about it."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Incident(models.Model):
    """One personal data breach of one controller. The facts themselves are in `FactVersion`, newest last."""

    reference = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=200)
    is_drill = models.BooleanField(default=False, help_text="A rehearsal on synthetic people; marked as drill everywhere.")
    #: The incident's key, wrapped by the master key; it wraps every person's key and makes the blind index.
    wrapped_key = models.BinaryField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.reference

    @property
    def facts(self) -> FactVersion:
        """The newest version of the facts."""
        return self.fact_versions.order_by("-number")[0]


class FactVersion(models.Model):
    """One version of an incident's facts (`people/facts_file.py` gives their shape). Never changed, only followed."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="fact_versions")
    number = models.PositiveIntegerField()
    facts = models.JSONField()
    sha256 = models.CharField(max_length=64)
    reason = models.TextField(blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "number"], name="one_fact_version_per_number")]

    def __str__(self) -> str:
        return f"{self.incident} facts v{self.number}"


class Finding(models.Model):
    """An answer that only a person can give, with the reason and the author. The newest of a key and scope counts.

    Keys: risk, misuse_likely, serious_harm_likely and every other question of the law packs; voluntary_notice
    (scope: jurisdiction or empty);
    law_unknown (scope: residence or empty); count_difference.
    """

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="findings")
    key = models.CharField(max_length=80)
    scope = models.CharField(max_length=24, blank=True)
    value = models.CharField(max_length=40)
    #: What a method suggested, with every input it used; the finding may differ, and the reason then says why.
    suggestion = models.JSONField(null=True)
    reason = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=~models.Q(reason=""), name="a_finding_has_a_reason")]

    def __str__(self) -> str:
        return f"{self.key}{':' + self.scope if self.scope else ''} = {self.value}"
