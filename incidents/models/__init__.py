"""The nouns: state, constraints and querysets. No sending, no rendering; sealed bytes are read and written by `vault` only."""

from incidents.models.audit import AuditCheckpoint, AuditEvent, AuditLeaf, AuditLog, AuditPending
from incidents.models.duties import Cohort, Filing, Obligation
from incidents.models.imports import BatchState, ImportBatch, ImportPart, ImportRow, ImportSource, RowOutcome
from incidents.models.incident import FactVersion, Finding, Incident
from incidents.models.keeping import (
    Amendment,
    Erasure,
    ErasureState,
    Exclusion,
    IncidentKey,
    LegalHold,
    RetentionPeriod,
)
from incidents.models.letters import Approval, Letter, LetterText
from incidents.models.messages import (
    Attempt,
    Campaign,
    CampaignState,
    Chunk,
    ChunkState,
    Doubt,
    InboxMessage,
    Message,
    MessageState,
    ProviderEvent,
    RegisterEntry,
)
from incidents.models.people import (
    AffectedPerson,
    Confidence,
    Merge,
    PersonStatus,
    PersonVersion,
    QueueEntry,
)

__all__ = [
    "AffectedPerson",
    "Amendment",
    "Approval",
    "Attempt",
    "AuditCheckpoint",
    "AuditEvent",
    "AuditLeaf",
    "AuditLog",
    "AuditPending",
    "BatchState",
    "Campaign",
    "CampaignState",
    "Chunk",
    "ChunkState",
    "Cohort",
    "Confidence",
    "Doubt",
    "Erasure",
    "ErasureState",
    "Exclusion",
    "FactVersion",
    "Filing",
    "Finding",
    "ImportBatch",
    "ImportPart",
    "ImportRow",
    "ImportSource",
    "InboxMessage",
    "Incident",
    "IncidentKey",
    "LegalHold",
    "Letter",
    "LetterText",
    "Merge",
    "Message",
    "MessageState",
    "Obligation",
    "PersonStatus",
    "PersonVersion",
    "ProviderEvent",
    "QueueEntry",
    "RegisterEntry",
    "RetentionPeriod",
    "RowOutcome",
]
