"""The nouns: state, constraints and querysets. No sending, no rendering; sealed bytes are read and written by `vault` only."""

from incidents.models.audit import AuditCheckpoint, AuditEvent, AuditLeaf, AuditLog, AuditPending
from incidents.models.duties import Cohort, Filing, Obligation
from incidents.models.incident import FactVersion, Finding, Incident
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
from incidents.models.people import AffectedPerson, ImportBatch, ImportRow, PersonStatus, QueueEntry, RowOutcome

__all__ = [
    "AffectedPerson",
    "Approval",
    "Attempt",
    "AuditCheckpoint",
    "AuditEvent",
    "AuditLeaf",
    "AuditLog",
    "AuditPending",
    "Campaign",
    "CampaignState",
    "Chunk",
    "ChunkState",
    "Cohort",
    "Doubt",
    "FactVersion",
    "Filing",
    "Finding",
    "ImportBatch",
    "ImportRow",
    "InboxMessage",
    "Incident",
    "Letter",
    "LetterText",
    "Message",
    "MessageState",
    "Obligation",
    "PersonStatus",
    "ProviderEvent",
    "QueueEntry",
    "RegisterEntry",
    "RowOutcome",
]
