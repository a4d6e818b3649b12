"""The lists as they came: where from, how their columns are read, how far the import is, and what became of each row."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from incidents.models.incident import Incident
from incidents.models.people import AffectedPerson


class ImportSource(models.Model):
    """One system that lists come from ("shop CRM"), and how its columns are read; remembered for its next list."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="sources")
    name = models.CharField(max_length=80)
    #: Column of the file (as normalised) -> our column, "" = not read; sealed, because names of columns can be somebody's data.
    mapping = models.JSONField(default=dict)
    encoding = models.CharField(max_length=20, blank=True)
    delimiter = models.CharField(max_length=4, blank=True)
    #: The name of a workbook's sheet, sealed as the names of columns are.
    sheet = models.TextField(blank=True)
    #: What leaked of everybody on lists from here; empty = the incident's facts say it.
    elements = ArrayField(models.CharField(max_length=40), default=list)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    saved_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "name"], name="one_source_of_a_name")]

    def __str__(self) -> str:
        return f"{self.incident}: {self.name}"


class BatchState(models.TextChoices):
    """How far the import of one file is."""

    UPLOADING = "uploading", "being uploaded"  # parts arrive
    UPLOADED = "uploaded", "uploaded, waits for its columns to be confirmed"
    WAITING = "waiting", "confirmed, waits for the importer"
    READING = "reading", "being read"  # rows are staged, slice by slice
    SETTLING = "settling", "being matched"  # one transaction
    DONE = "done", "imported"
    REFUSED = "refused", "refused"  # `refusal` says why; nothing of it was stored
    CANCELLED = "cancelled", "cancelled"


class ImportBatch(models.Model):
    """One imported file, known by its SHA-256: the same file twice changes nothing."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="imports")
    source = models.ForeignKey(ImportSource, on_delete=models.PROTECT, null=True, related_name="batches")
    amendment = models.ForeignKey("incidents.Amendment", on_delete=models.PROTECT, null=True, related_name="imports")
    state = models.CharField(max_length=12, choices=BatchState, default=BatchState.DONE)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField(default=0, help_text="Bytes.")
    file_kind = models.CharField(max_length=4, default="csv")
    rows = models.PositiveIntegerField(default=0)
    rows_staged = models.PositiveIntegerField(default=0)
    encoding = models.CharField(max_length=20)
    delimiter = models.CharField(max_length=4)
    #: The place of a workbook's sheet, as '#2': its name may be that of a person.
    sheet = models.CharField(max_length=80, blank=True)
    #: What the staged rows were read with (columns, elements); read otherwise, they are staged anew.
    read_with = models.CharField(max_length=64, blank=True, default="")
    #: Our name of each column of the file, in its order; "" = not read.
    columns = ArrayField(models.CharField(max_length=60))
    elements = ArrayField(models.CharField(max_length=40), default=list)
    #: Where everybody on the list lives, as somebody said of all rows that say nothing of it; "" = nobody said.
    list_country = models.CharField(max_length=8, blank=True, default="")
    #: Who said so, or said that no country holds for all; nobody = it was not asked.
    country_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    #: How many of its rows were of people who live by that alone, when it was imported: counting a million anew takes seconds.
    country_rows = models.PositiveIntegerField(default=0)
    #: The rows of a reject file that was corrected belong to this list.
    corrects = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="corrections")
    #: The list of which this is a newer version.
    replaces = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="replaced_by")
    #: What a newer version changes, in counts, as it was shown before it was confirmed.
    difference = models.JSONField(null=True)
    refusal = models.TextField(blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    imported_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "sha256"], name="a_file_is_imported_once",
                condition=~models.Q(state__in=["refused", "cancelled", "uploading"]),
            )
        ]  # fmt: skip

    @property
    def stands(self) -> str:
        """Where the list is, in words; of one that arrived and could not be read, not that its columns can be confirmed."""
        if self.state == BatchState.UPLOADED and not self.columns:
            return "uploaded, not read yet"
        return str(self.get_state_display())

    def __str__(self) -> str:
        return f"{self.incident} file {self.sha256[:12]}"


class ImportPart(models.Model):
    """A piece of an uploaded file, sealed under the incident's key; deleted when the import has ended."""

    batch = models.ForeignKey(ImportBatch, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    sealed = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "number"], name="one_part_of_a_number")]

    def __str__(self) -> str:
        return f"{self.batch} part {self.number}"


class RowOutcome(models.TextChoices):
    PERSON = "person", "became a person"
    MERGED = "merged", "merged into a person"
    REJECTION_PENDING = "rejection_pending", "cannot be a person; waits for two to reject it"
    REJECTED = "rejected", "rejected by two"
    CORRECTED = "corrected", "corrected by a row of a later list"  # counted by that row, not by this one


class ImportRow(models.Model):
    """One row of one file and what became of it. Rows in = people + merged + needs attention + rejected.

    Its references are checked by triggers, as those of people are.
    """

    batch = models.ForeignKey(
        ImportBatch, on_delete=models.PROTECT, related_name="import_rows", db_index=False, db_constraint=False
    )
    number = models.PositiveIntegerField(help_text="The line's place in the file, counting the header as row 1.")
    outcome = models.CharField(max_length=20, choices=RowOutcome)
    person = models.ForeignKey(
        AffectedPerson, on_delete=models.PROTECT, null=True, related_name="import_rows", db_constraint=False
    )
    column = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    remedy = models.CharField(max_length=200, blank=True)
    #: The row as it came, sealed under the incident's key: kept for rows that became nobody or were merged.
    sealed = models.BinaryField(null=True)
    #: The person that this row was before a decision merged it into `person`.
    merged_from = models.ForeignKey(
        AffectedPerson, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    #: The row of a later list that stands in this one's place.
    corrected_by = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="corrected", db_index=False, db_constraint=False
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "number"], name="a_row_is_counted_once")]
        #: Of a million rows nearly all became a person: these are for the others.
        indexes = [
            models.Index(fields=["batch", "outcome"], name="row_by_outcome", condition=~models.Q(outcome="person")),
            models.Index(fields=["merged_from"], name="row_by_merged", condition=models.Q(merged_from__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"row {self.number}: {self.outcome}"
