"""What the database itself refuses: changing the log, moves that no state machine allows, and signatures of the wrong hand."""

from django.db import migrations

# A snapshot of models.messages.MESSAGE_MOVES and CAMPAIGN_MOVES; a test compares them.
MESSAGE_MOVES = [
    ("planned", "ready"), ("planned", "cancelled"),
    ("ready", "sending"), ("ready", "cancelled"), ("ready", "delivered"),
    ("sending", "ready"), ("sending", "accepted"), ("sending", "in_doubt"), ("sending", "needs_other_channel"),
    ("sending", "quarantined"),
    ("in_doubt", "accepted"), ("in_doubt", "ready"), ("in_doubt", "delivered"), ("in_doubt", "needs_other_channel"),
    ("accepted", "delivered"), ("accepted", "accepted_unconfirmed"), ("accepted", "needs_other_channel"),
    ("accepted", "ready"),
    ("accepted_unconfirmed", "delivered"), ("accepted_unconfirmed", "needs_other_channel"),
    ("needs_other_channel", "unreachable"), ("needs_other_channel", "excluded"),
    ("held", "ready"), ("held", "excluded"), ("held", "unreachable"),
    ("quarantined", "ready"), ("quarantined", "excluded"),
]
CAMPAIGN_MOVES = [
    ("frozen", "content_approved"), ("frozen", "stopped"),
    ("content_approved", "dispatching"), ("content_approved", "stopped"),
    ("dispatching", "paused"), ("dispatching", "stopped"), ("dispatching", "drained"),
    ("paused", "dispatching"), ("paused", "stopped"),
    ("drained", "dispatching"), ("drained", "closed"), ("drained", "stopped"),
]
APPEND_ONLY = (
    "incidents_auditevent", "incidents_auditleaf", "incidents_auditcheckpoint", "incidents_factversion",
    "incidents_finding", "incidents_approval", "incidents_registerentry",
)


def pairs(moves):
    return ", ".join(f"('{a}','{b}')" for a, b in moves)


REFUSE_CHANGE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: rows are only ever added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""
APPEND_TRIGGERS = "".join(
    f"CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change();"
    f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();"
    for table in APPEND_ONLY
)
PENDING = """
CREATE FUNCTION audit_pending() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO incidents_auditpending (event_id) SELECT id FROM added;
  RETURN NULL;
END $$;
CREATE TRIGGER audit_event_pending AFTER INSERT ON incidents_auditevent
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION audit_pending();
"""
MOVES = f"""
CREATE FUNCTION check_message_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.state, NEW.state) NOT IN ({pairs(MESSAGE_MOVES)}) THEN
    RAISE EXCEPTION 'a message cannot move from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER message_move BEFORE UPDATE OF state ON incidents_message FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION check_message_move();
CREATE FUNCTION check_campaign_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.state, NEW.state) NOT IN ({pairs(CAMPAIGN_MOVES)}) THEN
    RAISE EXCEPTION 'a campaign cannot move from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
  END IF;
  -- Only the freeze itself fills them, in the transaction that creates the row.
  IF OLD.register_root <> '' AND (OLD.register_root <> NEW.register_root OR OLD.letters_root <> NEW.letters_root
     OR OLD.author_ids <> NEW.author_ids OR OLD.people <> NEW.people OR OLD.headers <> NEW.headers
     OR OLD.frozen_by_id <> NEW.frozen_by_id OR OLD.facts_id <> NEW.facts_id) THEN
    RAISE EXCEPTION 'what was frozen cannot change' USING ERRCODE = 'check_violation';
  END IF;
  IF OLD.state = 'frozen' AND NEW.state = 'content_approved' AND NOT EXISTS
     (SELECT 1 FROM incidents_approval WHERE campaign_id = NEW.id AND kind = 'content')
     OR OLD.state = 'content_approved' AND NEW.state = 'dispatching' AND NOT EXISTS
     (SELECT 1 FROM incidents_approval WHERE campaign_id = NEW.id AND kind = 'release') THEN
    RAISE EXCEPTION 'the signature for this step is missing' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER campaign_move BEFORE UPDATE ON incidents_campaign FOR EACH ROW EXECUTE FUNCTION check_campaign_move();
"""
# A move that only changes a frozen value has OLD.state = NEW.state; allow the pair so that the second test speaks.
MOVES = MOVES.replace(
    "IF (OLD.state, NEW.state) NOT IN (('frozen'",
    "IF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (('frozen'",
)
LETTERS = """
CREATE FUNCTION check_letter_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM incidents_registerentry WHERE letter_id = OLD.id) THEN
    RAISE EXCEPTION 'a letter on a frozen register cannot change' USING ERRCODE = 'check_violation';
  END IF;
  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER letter_frozen BEFORE UPDATE OR DELETE ON incidents_letter
  FOR EACH ROW EXECUTE FUNCTION check_letter_frozen();
"""
SIGNATURES = """
CREATE FUNCTION check_signature() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE c incidents_campaign%ROWTYPE; first incidents_approval%ROWTYPE;
BEGIN
  SELECT * INTO c FROM incidents_campaign WHERE id = NEW.campaign_id FOR UPDATE;
  IF NEW.register_root <> c.register_root OR NEW.letters_root <> c.letters_root THEN
    RAISE EXCEPTION 'the signature is not over what was frozen' USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.kind = 'content' AND NEW.author_id = ANY (c.author_ids) THEN
    RAISE EXCEPTION 'an author of the campaign cannot approve its content' USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.kind = 'release' THEN
    SELECT * INTO first FROM incidents_approval WHERE campaign_id = NEW.campaign_id AND kind = 'content';
    IF NOT FOUND THEN
      RAISE EXCEPTION 'the content is not approved yet' USING ERRCODE = 'check_violation';
    END IF;
    IF first.author_id = NEW.author_id THEN
      RAISE EXCEPTION 'whoever approved the content cannot release it' USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER approval_signature BEFORE INSERT ON incidents_approval
  FOR EACH ROW EXECUTE FUNCTION check_signature();
CREATE FUNCTION check_released() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM incidents_approval WHERE campaign_id = NEW.campaign_id AND kind = 'release') THEN
    RAISE EXCEPTION 'no work may be claimed before the release is signed' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER chunk_after_release BEFORE INSERT ON incidents_chunk
  FOR EACH ROW EXECUTE FUNCTION check_released();
CREATE SEQUENCE incidents_chunk_token;
"""


class Migration(migrations.Migration):
    dependencies = [("incidents", "0001_initial")]
    operations = [
        migrations.RunSQL(part, migrations.RunSQL.noop)
        for part in (REFUSE_CHANGE, APPEND_TRIGGERS, PENDING, MOVES, LETTERS, SIGNATURES)
    ]
