"""What we tell people: the letter as written, the letter as compiled for a cohort, and who signed it."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from incidents.models.duties import Cohort
from incidents.models.incident import Incident


class LetterText(models.Model):
    """One version of one letter's text in the letter language, as an officer chose or edited it for an incident."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="letter_texts")
    form = models.CharField(max_length=20)
    language = models.CharField(max_length=12)
    number = models.PositiveIntegerField()
    source = models.TextField()
    sha256 = models.CharField(max_length=64)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    saved_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["incident", "form", "language", "number"], name="one_letter_text_per_number")
        ]

    def __str__(self) -> str:
        return f"{self.form}/{self.language} v{self.number}"


class Letter(models.Model):
    """A letter compiled for one cohort in one language: everything but the reader's name and code is fixed and hashed."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="letters")
    cohort = models.ForeignKey(Cohort, on_delete=models.PROTECT, related_name="letters")
    #: Made for the people of this amendment, on its own day; none: for the first register.
    amendment = models.ForeignKey("incidents.Amendment", on_delete=models.PROTECT, null=True, related_name="letters")
    text = models.ForeignKey(LetterText, on_delete=models.PROTECT, related_name="letters")
    form = models.CharField(max_length=20)
    language = models.CharField(max_length=12)
    #: The canonical JSON of the compiled letter; `sha256` is its hash, and its file's name in the evidence bundle.
    compiled = models.TextField()
    sha256 = models.CharField(max_length=64)
    findings = models.JSONField(default=list)
    made_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "cohort", "language", "amendment"],
                nulls_distinct=False,
                name="one_letter_per_cohort_and_language",
            )
        ]

    def __str__(self) -> str:
        return f"{self.form}/{self.language} for {self.cohort}"

    @property
    def blocked(self) -> bool:
        """Whether a finding of the check forbids to send this letter."""
        return any(finding["level"] == "block" for finding in self.findings)


class ApprovalKind(models.TextChoices):
    CONTENT = "content", "content: the letters and the register"
    RELEASE = "release", "release of the campaign"


class Approval(models.Model):
    """A signature, bound to the hashes of what was signed. A trigger refuses authors and a second hat (`0002_guards`)."""

    campaign = models.ForeignKey("incidents.Campaign", on_delete=models.PROTECT, related_name="approvals")
    kind = models.CharField(max_length=10, choices=ApprovalKind)
    register_root = models.CharField(max_length=64)
    letters_root = models.CharField(max_length=64)
    reason = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    approved_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "kind"], name="one_signature_of_a_kind"),
            models.CheckConstraint(condition=~models.Q(reason=""), name="a_signature_has_a_reason"),
            models.CheckConstraint(condition=models.Q(kind__in=["content", "release"]), name="a_signature_is_first_or_second"),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} {self.kind}"
