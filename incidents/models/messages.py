"""How it reaches them: campaign, frozen register, messages, chunks of work, attempts, doubts and the provider's events."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from incidents.models.duties import Cohort
from incidents.models.incident import Incident
from incidents.models.letters import Letter
from incidents.models.people import AffectedPerson


class CampaignState(models.TextChoices):
    FROZEN = "frozen", "frozen"  # the register and the letters are fixed by hash
    CONTENT_APPROVED = "content_approved", "content approved"  # first signature
    DISPATCHING = "dispatching", "dispatching"  # second signature; workers send
    PAUSED = "paused", "paused"  # no new message starts; may be resumed
    STOPPED = "stopped", "stopped"  # no new message ever starts
    DRAINED = "drained", "drained"  # nothing left to send; answers may still come
    CLOSED = "closed", "closed"  # everyone final, every question answered


#: Which state may follow which; the database refuses the rest (`0002_guards`).
CAMPAIGN_MOVES: dict[str, frozenset[str]] = {
    CampaignState.FROZEN: frozenset({CampaignState.CONTENT_APPROVED, CampaignState.STOPPED}),
    CampaignState.CONTENT_APPROVED: frozenset({CampaignState.DISPATCHING, CampaignState.STOPPED}),
    CampaignState.DISPATCHING: frozenset({CampaignState.PAUSED, CampaignState.STOPPED, CampaignState.DRAINED}),
    CampaignState.PAUSED: frozenset({CampaignState.DISPATCHING, CampaignState.STOPPED}),
    CampaignState.DRAINED: frozenset({CampaignState.DISPATCHING, CampaignState.CLOSED, CampaignState.STOPPED}),
    CampaignState.STOPPED: frozenset(),
    CampaignState.CLOSED: frozenset(),
}


class Campaign(models.Model):
    """One frozen register, the letters for it, and their way to the people."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="campaigns")
    reference = models.SlugField(max_length=70, unique=True)
    #: None: the first register; else the people of this amendment.
    amendment = models.ForeignKey("incidents.Amendment", on_delete=models.PROTECT, null=True, related_name="campaigns")
    state = models.CharField(max_length=20, choices=CampaignState, default=CampaignState.FROZEN)
    register_root = models.CharField(max_length=64)
    letters_root = models.CharField(max_length=64)
    people = models.PositiveIntegerField()
    #: Everyone who wrote something that is frozen here; none of them may approve the content.
    author_ids = ArrayField(models.BigIntegerField())
    #: The letters' fixed heads: from, reply-to, and the domain of Message-ID.
    headers = models.JSONField()
    facts = models.ForeignKey("incidents.FactVersion", on_delete=models.PROTECT, related_name="+")
    frozen_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    frozen_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)
    #: When the last of those whom the release lets go was made ready.
    let_go_at = models.DateTimeField(null=True)
    drained_at = models.DateTimeField(null=True)
    #: When the signed head over it was mailed to the witness outside, or the log was told why not.
    witnessed_at = models.DateTimeField(null=True)
    pause_reason = models.TextField(blank=True)
    #: The first wave, to staff: none (nobody is entered), waiting, stopped, failed, passed: nobody else is written to before it.
    canary = models.CharField(max_length=8, db_default="none")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["incident", "amendment"], nulls_distinct=False, name="one_register_per_amendment")
        ]

    def __str__(self) -> str:
        return self.reference


class RegisterEntry(models.Model):
    """One person on a campaign's frozen register. Never changed."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="register")
    person = models.ForeignKey(AffectedPerson, on_delete=models.PROTECT, related_name="register_entries")
    cohort = models.ForeignKey(Cohort, on_delete=models.PROTECT, null=True, related_name="+")
    letter = models.ForeignKey(Letter, on_delete=models.PROTECT, null=True, related_name="+")
    #: The register line as hashed into the root and exported: subject, cohort, commitment, letter, content, state.
    line = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "person"], name="a_person_is_registered_once")]

    def __str__(self) -> str:
        return f"{self.campaign} entry {self.pk}"


class MessageState(models.TextChoices):
    PLANNED = "planned", "planned"  # frozen, not yet released
    READY = "ready", "ready"  # released; may be claimed from `not_before` on
    SENDING = "sending", "sending"  # in a claimed chunk: the intent is committed
    IN_DOUBT = "in_doubt", "in doubt"  # perhaps sent; listed, to be settled
    ACCEPTED = "accepted", "accepted"  # the provider took it
    DELIVERED = "delivered", "delivered"  # final: the provider says it arrived
    ACCEPTED_UNCONFIRMED = "accepted_unconfirmed", "accepted, no answer"  # final: taken, and no event can come
    NEEDS_OTHER_CHANNEL = "needs_other_channel", "needs another channel"  # this address does not work
    HELD = "held", "held"  # a person decided to wait until a date; the clock runs
    QUARANTINED = "quarantined", "quarantined"  # its letter could not be made as approved; a person must look
    UNREACHABLE = "unreachable", "unreachable"  # final: reason, two people
    EXCLUDED = "excluded", "excluded"  # final: reason, two people
    CANCELLED = "cancelled", "cancelled"  # final: the campaign was stopped
    NOT_OWED = "not_owed", "no notice"  # final: no law asks for it and the controller chose none, with a reason
    REPLACED = "replaced", "replaced by an amendment"  # final: never sent; corrected or freed, the person goes with an amendment


#: Which state may follow which; the database refuses the rest (`0002_guards`).
MESSAGE_MOVES: dict[str, frozenset[str]] = {
    MessageState.PLANNED: frozenset({MessageState.READY, MessageState.CANCELLED, MessageState.EXCLUDED, MessageState.REPLACED}),
    MessageState.READY: frozenset(
        {
            MessageState.SENDING,
            MessageState.CANCELLED,
            MessageState.DELIVERED,
            MessageState.EXCLUDED,
            MessageState.REPLACED,
            MessageState.NEEDS_OTHER_CHANNEL,
            MessageState.IN_DOUBT,
            MessageState.QUARANTINED,
        }
    ),
    MessageState.SENDING: frozenset(
        {
            MessageState.READY,
            MessageState.ACCEPTED,
            MessageState.IN_DOUBT,
            MessageState.NEEDS_OTHER_CHANNEL,
            MessageState.QUARANTINED,
        }
    ),
    MessageState.IN_DOUBT: frozenset(
        {
            MessageState.ACCEPTED,
            MessageState.READY,
            MessageState.DELIVERED,
            MessageState.NEEDS_OTHER_CHANNEL,
            MessageState.QUARANTINED,
        }
    ),
    MessageState.ACCEPTED: frozenset(
        {
            MessageState.DELIVERED,
            MessageState.ACCEPTED_UNCONFIRMED,
            MessageState.NEEDS_OTHER_CHANNEL,
            MessageState.READY,
        }
    ),
    MessageState.ACCEPTED_UNCONFIRMED: frozenset({MessageState.DELIVERED, MessageState.NEEDS_OTHER_CHANNEL}),
    MessageState.NEEDS_OTHER_CHANNEL: frozenset(
        {MessageState.UNREACHABLE, MessageState.EXCLUDED, MessageState.REPLACED, MessageState.READY, MessageState.DELIVERED}
    ),
    MessageState.HELD: frozenset({MessageState.READY, MessageState.EXCLUDED, MessageState.UNREACHABLE, MessageState.REPLACED}),
    MessageState.QUARANTINED: frozenset(
        {MessageState.READY, MessageState.EXCLUDED, MessageState.REPLACED, MessageState.NEEDS_OTHER_CHANNEL}
    ),
    MessageState.DELIVERED: frozenset({MessageState.NEEDS_OTHER_CHANNEL}),  # by a person only, where two things were told
    MessageState.UNREACHABLE: frozenset(),
    MessageState.EXCLUDED: frozenset(),
    MessageState.CANCELLED: frozenset(),
    MessageState.NOT_OWED: frozenset({MessageState.EXCLUDED, MessageState.REPLACED}),
    MessageState.REPLACED: frozenset(),
}

FINAL_STATES = frozenset(
    {
        MessageState.DELIVERED,
        MessageState.ACCEPTED_UNCONFIRMED,
        MessageState.UNREACHABLE,
        MessageState.EXCLUDED,
        MessageState.CANCELLED,
        MessageState.NOT_OWED,
        MessageState.REPLACED,
    }
)
#: The register's line no longer speaks for the person: they may, and have to, stand on a later one.
LEFT_STATES = frozenset({MessageState.REPLACED, MessageState.CANCELLED})
#: Told: the provider took a letter, or is thought to have; a second one only when somebody says so.
TOLD_STATES = frozenset({MessageState.ACCEPTED, MessageState.DELIVERED, MessageState.ACCEPTED_UNCONFIRMED})
#: On its way, nobody knows how far: nothing can be decided about it before this ended.
IN_FLIGHT = frozenset({MessageState.SENDING, MessageState.IN_DOUBT})


#: Indexes know a message by its phase, which is its state but for these: so that neither release nor claim touches an index.
WAITING = "waiting"
PHASES: dict[str, str] = dict.fromkeys((MessageState.PLANNED, MessageState.READY, MessageState.SENDING), WAITING)


def in_states(*states: str) -> models.Q:
    """Messages in one of these states, as an index finds them."""
    return models.Q(state__in=states, phase__in={PHASES.get(state, state) for state in states})


class Message(models.Model):
    """One letter to one person by one channel."""

    # Each index costs every letter at each change of its phase: those below serve the foreign keys as well.
    entry = models.ForeignKey(RegisterEntry, on_delete=models.PROTECT, related_name="messages", db_index=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="messages", db_index=False)
    channel = models.CharField(max_length=10, default="email")
    #: Random, not derived from the person: names the message to the provider, in Message-ID and as reference code.
    message_ref = models.CharField(max_length=32)
    state = models.CharField(max_length=20, choices=MessageState)
    state_reason = models.CharField(max_length=200, blank=True)
    not_before = models.DateTimeField(null=True)
    #: The earliest deadline that this letter serves; orders the sending.
    due_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    content_sha256 = models.CharField(max_length=64, blank=True)
    provider_id = models.CharField(max_length=200, blank=True)
    accepted_at = models.DateTimeField(null=True)
    #: Names the recipient's mail domain under the incident's key, to pace by domain without opening the record.
    domain_key = models.CharField(max_length=16, blank=True, db_default="")
    #: How many processes died with it in their hands; after three it is quarantined.
    deaths = models.PositiveSmallIntegerField(db_default=0)
    #: As PHASES has it; kept by the database.
    phase = models.GeneratedField(
        expression=models.Case(
            models.When(state__in=list(map(str, PHASES)), then=models.Value(WAITING)),
            default=models.F("state"),
        ),
        output_field=models.CharField(max_length=20),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entry", "channel"], name="one_message_per_channel"),
            models.UniqueConstraint(fields=["message_ref"], name="a_message_ref_names_one_message"),
        ]
        indexes = [
            models.Index(
                fields=["campaign", "due_at", "id"],
                name="message_ready",
                condition=models.Q(phase=WAITING),
            ),
            models.Index(fields=["campaign", "phase"], name="message_by_phase"),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}"


class ChunkState(models.TextChoices):
    CLAIMED = "claimed", "claimed"  # a worker holds it
    DONE = "done", "done"  # outcomes written by its worker
    TAKEN_OVER = "taken_over", "taken over"  # its worker died; outcomes written from the marker


class Chunk(models.Model):
    """An ordered piece of work. Its claim is the intent of all its messages; `confirmed` counts the answered ones."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="chunks")
    message_ids = ArrayField(models.BigIntegerField())
    state = models.CharField(max_length=12, choices=ChunkState, default=ChunkState.CLAIMED)
    #: Fencing token: every write of a worker names it; after a take-over it no longer matches.
    token = models.BigIntegerField()
    #: The session advisory lock that the owner holds for its life; free = the owner is gone.
    owner_lock = models.BigIntegerField()
    lease_until = models.DateTimeField()
    confirmed = models.PositiveIntegerField(default=0)
    #: To whom it is handed over, and how many messages may be handed over past the marker: the bound of its doubts.
    provider = models.CharField(max_length=30, blank=True, db_default="")
    step = models.PositiveSmallIntegerField(db_default=1)
    #: And how many past the last marker that is on the database's disk: the bound when its server crashed, too. 0: none was kept.
    flush = models.PositiveSmallIntegerField(db_default=0)
    #: Position in the chunk -> outcome, for answers other than "accepted"; written with the marker.
    exceptions = models.JSONField(default=dict)
    claimed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["state"], name="chunk_open", condition=models.Q(state="claimed"))]

    def __str__(self) -> str:
        return f"chunk {self.pk}"


class Presence(models.Model):
    """An owner of chunks who stands on its connection. The table is UNLOGGED: a crash of the server, which cuts off the last
    markers, empties it, and whose owner is missing here, of that chunk the marker may not be whole."""

    owner_lock = models.BigIntegerField(primary_key=True)

    def __str__(self) -> str:
        return f"owner {self.owner_lock}"


class Attempt(models.Model):
    """One try at one message: what the provider answered, or that nobody knows."""

    # Only `dispatch.outcomes` writes attempts, beside the very rows that they name; a check for each would cost every letter.
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="tries", db_index=False, db_constraint=False)
    number = models.PositiveSmallIntegerField()
    chunk = models.ForeignKey(Chunk, on_delete=models.PROTECT, related_name="attempts", db_index=False, db_constraint=False)
    outcome = models.CharField(max_length=20)
    provider = models.CharField(max_length=30)
    provider_id = models.CharField(max_length=200, blank=True)
    detail = models.CharField(max_length=200, blank=True)
    content_sha256 = models.CharField(max_length=64)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "number"], name="one_attempt_per_number")]
        # A relay's answer names nothing that an event would name again: those rows stay out of the index, and are cheap.
        indexes = [
            models.Index(
                fields=["provider_id"],
                name="attempt_by_provider_id",
                condition=~models.Q(provider_id="") & ~models.Q(provider__in=["smtp", "inbox"]),
            )
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.message}"


#: How doubts end without anybody knowing whether the letter arrived: by time, and when so many processes died with it.
BY_POLICY, BY_DEATHS = "deadline policy: sent again", "processes died with it"


class Doubt(models.Model):
    """A send of which nobody knows whether it happened. Listed before any second copy leaves; settled, and how."""

    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="doubts")
    #: None: the work itself was lost with a database that an older one took the place of.
    chunk = models.ForeignKey(Chunk, on_delete=models.PROTECT, null=True, related_name="doubts")
    reason = models.CharField(max_length=200)
    #: Who may have it, and can be asked.
    provider = models.CharField(max_length=30, blank=True, db_default="")
    opened_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    settled_how = models.CharField(max_length=30, blank=True)
    settled_by = models.CharField(max_length=150, blank=True)

    class Meta:
        indexes = [models.Index(fields=["opened_at"], name="doubt_open", condition=models.Q(settled_at__isnull=True))]

    def __str__(self) -> str:
        return f"doubt about {self.message}"

    @property
    def ends_by_itself(self) -> datetime:
        """When the deadline policy ends it, unless something is known earlier (`dispatch.doubts`)."""
        return self.opened_at + timedelta(seconds=settings.SETTLE_AFTER_SECONDS)


class ProviderEvent(models.Model):
    """What a provider told us later. Stored first, matched after, never dropped; the same event twice is one row."""

    provider = models.CharField(max_length=30)
    event_key = models.CharField(max_length=100)
    message_ref = models.CharField(max_length=32, blank=True)
    kind = models.CharField(max_length=20)
    detail = models.CharField(max_length=200, blank=True)
    happened_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    applied_at = models.DateTimeField(null=True)
    effect = models.CharField(max_length=40, blank=True)
    #: How it was proved to come from the provider: signed, password, mail (a bounce), polled, simulated; empty: of old.
    strength = models.CharField(max_length=12, blank=True, db_default="")
    signed_at = models.DateTimeField(null=True)
    #: The request's body as it came, and the address in it under a key of ours; neither is kept itself.
    raw_sha256 = models.CharField(max_length=64, blank=True, db_default="")
    recipient_hash = models.CharField(max_length=64, blank=True, db_default="")
    #: The provider's own name of the letter, as attempts hold it.
    provider_id = models.CharField(max_length=200, blank=True, db_default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "event_key"], name="an_event_is_stored_once")]
        indexes = [
            models.Index(fields=["id"], name="event_unapplied", condition=models.Q(applied_at__isnull=True)),
            models.Index(fields=["message_ref"], name="event_by_message"),
            models.Index(fields=["id"], name="event_unknown", condition=models.Q(effect="unknown message")),
            models.Index(fields=["id"], name="event_conflict", condition=models.Q(effect__startswith="conflict")),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.kind}"


class InboxMessage(models.Model):
    """The local inbox: a stand-in for a provider that keeps every rendered message, sealed under the incident's key."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="inbox")
    message_ref = models.CharField(max_length=32, db_index=True)
    is_test = models.BooleanField(default=False)
    sealed = models.BinaryField()
    received_at = models.DateTimeField()
    #: What the simulated provider still has to say: delivered, bounced, deferred; empty when said.
    pending_event = models.CharField(max_length=20, blank=True)

    class Meta:
        indexes = [models.Index(fields=["id"], name="inbox_pending", condition=~models.Q(pending_event=""))]

    def __str__(self) -> str:
        return f"inbox message {self.pk}"
