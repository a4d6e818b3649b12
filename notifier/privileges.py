"""Which database role may do what: one line a table. The seven roles carry the database's name: `<database>_web` and so on.

| role      | whose it is                                                                                           |
| --------- | ----------------------------------------------------------------------------------------------------- |
| owner     | migrations, sign-ins, a fresh start of the drill; owns everything, and nothing runs as it             |
| web       | the desk, and the commands that do what people do there                                               |
| worker    | sending, provider events, doubts, housekeeping; knows no user and signs nothing                       |
| sequencer | the log's order and its signed heads; changes nothing else                                            |
| importer  | lists -> people; approves, writes to and erases nobody                                                |
| auditor   | reads, and only what names nobody: no sealed record, no key, no blind index, no customer's reference  |
| door      | the later public page on which a letter can be checked: may connect, and until then nothing else      |
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

#: The roles that processes run as, in the order of the table's columns (the door has no table yet, and so no column).
COLUMNS = ("web", "worker", "sequencer", "importer", "auditor")
RUNTIME_ROLES = (*COLUMNS, "door")
ROLES = ("owner", *RUNTIME_ROLES)

#: s select, i insert, u update, d delete; c: update of the columns in CHANGEABLE; o: select of the columns in OPEN;
#: l: no more than lock a row (the update of `id` alone, which foreign keys refuse). `-`: nothing.
PRIVILEGES = """
                                      web   worker sequencer importer auditor
django_migrations                     s     s      s         s        s    # whether the schema is the code's
django_content_type                   s     -      -         -        -
django_session                        siud  -      -         -        -    # who is signed in
django_admin_log                      si    -      -         -        -
auth_user                             sc    -      -         o        o    # made by the owner only (`sign_in`); authors by name
auth_group                            s     -      -         s        -    # who only reads: nothing is done in their name
auth_group_permissions                s     -      -         -        -
auth_permission                       s     -      -         -        -
auth_user_groups                      s     -      -         s        -
auth_user_user_permissions            s     -      -         -        -

incidents_incident                    siu   s      -         sl       o    # web re-wraps its key; the importer locks
incidents_incidentkey                 siu   s      -         s        -
incidents_factversion                 si    s      -         s        s    # append-only
incidents_finding                     si    s      -         s        s    # append-only
incidents_cohort                      siu   s      -         siu      s
incidents_obligation                  siu   s      -         s        s
incidents_filing                      si    s      -         -        s

incidents_importsource                siu   -      -         siu      s    # web: how the columns of a list are read
incidents_importbatch                 siu   sc     -         siu      s
incidents_importpart                  sid   sd     -         sid      -    # web: uploads, sealed; gone when the list is in
incidents_importrow                   siu   sc     -         siu      o    # web: decisions about rows
incidents_stagedrow                   sud   -      -         siud     -    # web: a list that is given up
incidents_affectedperson              siu   sc     -         siu      o    # web: decisions, corrections; worker: erasure when due
incidents_personversion               siu   sc     -         si       o
incidents_queueentry                  siu   sc     -         siu      s
incidents_merge                       siu   -      -         siu      s

incidents_amendment                   si    s      -         s        s    # append-only
incidents_joining                     si    s      -         si       s    # append-only
incidents_exclusion                   siu   s      -         s        s
incidents_legalhold                   siu   s      -         s        s
incidents_erasure                     siu   sic    -         si       s    # importer: rows that say a request is pending
incidents_retentionperiod             si    s      -         -        s

incidents_lettertext                  si    s      -         -        s
incidents_letter                      siud  s      -         -        s    # made anew until frozen; a trigger keeps frozen ones
incidents_approval                    si    s      -         -        s    # append-only; only the desk signs
incidents_campaign                    siu   su     -         s        s    # worker: drained, paused by the check
incidents_registerentry               si    s      -         s        s    # append-only
incidents_message                     siu   su     -         s        s    # web plans, cancels, decides; the worker moves
incidents_chunk                       s     siu    -         -        s
incidents_presence                    -     sid    -         -        s    # workers that live; a crash of the server empties it
incidents_attempt                     s     si     -         -        s
incidents_doubt                       su    siu    -         -        s    # web: a person settles one
incidents_providerevent               sic   siu    -         -        s    # web: webhooks store, workers apply
incidents_lateresult                  s     si     -         -        s
incidents_providerlimit               su    siu    -         -        s    # web: a person closes a breaker
incidents_staffrecipient              siu   s      -         -        -    # sealed; the controller's own people
incidents_canaryletter                si    su     -         -        s
incidents_preflightreport             si    si     -         -        s
incidents_reconciliation              si    si     -         -        s
incidents_unreachable                 siu   s      -         -        s
incidents_inboxmessage                sic   siu    -         -        -    # the stand-in of a provider; web: test letters

incidents_auditlog                    si    si     sc        si       s    # opened by whoever writes first; grown by one
incidents_auditevent                  si    si     s         si       s    # append-only
incidents_auditpending                -     -      sd        -        s    # filled by the owner's trigger
incidents_auditleaf                   s     s      si        s        s    # append-only
incidents_auditcheckpoint             s     s      si        s        s    # append-only
"""
#: Tables to which rows are only ever added, whoever it is: a trigger refuses everything else even to the owner.
APPEND_ONLY = (
    "incidents_auditevent", "incidents_auditleaf", "incidents_auditcheckpoint", "incidents_factversion",
    "incidents_finding", "incidents_approval", "incidents_registerentry",
)  # fmt: skip
#: What the role may change of a table where it may not change all.
CHANGEABLE = {
    ("web", "auth_user"): ("last_login", "password"),
    ("sequencer", "incidents_auditlog"): ("size", "frontier"),
    # Erasure on request and at the end of retention (people/shredding.py, people/retention.py): by housekeeping, and at the desk.
    ("worker", "incidents_affectedperson"): (
        "sealed", "wrapped_key", "customer_index", "email_index", "name_index", "name_birth_index", "address_index",
        "other_email_indexes", "reference", "flags", "erased_at",
    ),
    ("worker", "incidents_personversion"): ("sealed", "wrapped_key"),
    ("worker", "incidents_importrow"): ("sealed",),
    ("worker", "incidents_importbatch"): ("state", "finished_at"),
    ("worker", "incidents_queueentry"): ("reason", "remedy"),
    ("worker", "incidents_erasure"): ("state", "done_at", "waits_for"),
    ("web", "incidents_inboxmessage"): ("sealed",),
    ("web", "incidents_providerevent"): ("detail", "recipient_hash", "effect"),
}  # fmt: skip
#: What is shown of a table where not all is: nothing that names a person or would help to find one.
OPEN = {
    "auth_user": (
        "id", "username", "first_name", "last_name", "email", "is_active", "is_staff", "is_superuser", "last_login",
        "date_joined",
    ),
    "incidents_incident": ("id", "reference", "title", "is_drill", "created_by_id", "created_at"),
    "incidents_importrow": (
        "id", "batch_id", "number", "outcome", "person_id", "column", "reason", "remedy", "merged_from_id", "corrected_by_id",
    ),
    "incidents_affectedperson": (
        "id", "incident_id", "subject", "cohort_id", "residence", "residence_from", "confidence", "possible_residences",
        "elements", "flags", "language", "has_email", "has_post", "status", "amendment_id", "merged_into_id", "version",
        "erased_at",
    ),
    "incidents_personversion": (
        "id", "person_id", "number", "residence", "language", "changed", "reason", "author_id", "recorded_at",
    ),
}  # fmt: skip
#: Sequences of no table; those of the tables go with the right to insert, since ids are taken in bulk beforehand.
SEQUENCES = {
    "web": ("incidents_registerentry_id_seq",),
    "worker": ("incidents_chunk_token",),
    "importer": ("incidents_affectedperson_id_seq",),
}
#: Who may make temporary tables: matching, and cohorts found anew.
TEMPORARY = ("web", "importer")
VERBS = {"s": "SELECT", "i": "INSERT", "u": "UPDATE", "d": "DELETE"}


@dataclass(frozen=True)
class Right:
    """One verb on one table for one role; `columns` empty = the whole table."""

    role: str
    table: str
    verb: str
    columns: tuple[str, ...] = ()


def rights() -> Iterator[Right]:
    """The table above, right by right."""
    for line in PRIVILEGES.strip().splitlines()[1:]:
        table, *cells = line.partition("#")[0].split() or [""]
        for role, cell in zip(COLUMNS, cells, strict=bool(table)):
            for letter in cell.replace("-", ""):
                yield _right(role, table, letter)


def _right(role: str, table: str, letter: str) -> Right:
    narrow = {"o": ("SELECT", OPEN.get(table, ())), "c": ("UPDATE", CHANGEABLE.get((role, table), ())), "l": ("UPDATE", ("id",))}
    verb, columns = narrow.get(letter) or (VERBS[letter], ())
    return Right(role, table, verb, columns)


def tables() -> list[str]:
    """Every table that the table above knows."""
    return [line.split()[0] for line in PRIVILEGES.strip().splitlines()[1:] if line.strip()]


def fingerprint() -> str:
    """Changes when any right does: a database that was granted other rights is granted these at the next start."""
    told = f"{sorted(map(str, rights()))} {SEQUENCES}"
    return f"rights {hashlib.sha256(told.encode()).hexdigest()[:32]}"


def grants(*, prefix: str, existing: frozenset[str]) -> Iterator[sql.Composed]:
    """The statements that give the roles `<prefix>_<role>` exactly these rights on the tables and sequences that there are."""
    everybody = sql.SQL(", ").join(sql.Identifier(f"{prefix}_{role}") for role in RUNTIME_ROLES)
    for what in ("ALL ON ALL TABLES IN SCHEMA public", "ALL ON ALL SEQUENCES IN SCHEMA public", "ALL ON SCHEMA public"):
        yield sql.SQL("REVOKE {} FROM PUBLIC, {}").format(sql.SQL(what), everybody)
    readers = sql.SQL(", ").join(sql.Identifier(f"{prefix}_{role}") for role in COLUMNS)
    yield sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(readers)
    whole: dict[tuple[str, str], list[str]] = {}
    for right in rights():
        if right.table not in existing:
            continue
        if right.columns:
            yield _grant(right.verb, right.columns, [right.table], f"{prefix}_{right.role}")
        else:
            whole.setdefault((right.role, right.verb), []).append(right.table)
    for (role, verb), names in whole.items():
        yield _grant(verb, (), names, f"{prefix}_{role}")
    asked = [(right.role, f"{right.table}_id_seq") for right in rights() if right.verb == "INSERT"]
    for role, name in asked + [(role, name) for role, names in SEQUENCES.items() for name in names]:
        if name in existing:
            yield sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(sql.Identifier(name), sql.Identifier(f"{prefix}_{role}"))


def _grant(verb: str, columns: tuple[str, ...], names: list[str], role: str) -> sql.Composed:
    narrowed = sql.SQL(" ({})").format(sql.SQL(", ").join(map(sql.Identifier, columns))) if columns else sql.SQL("")
    return sql.SQL("GRANT {}{} ON {} TO {}").format(
        sql.SQL(verb),
        narrowed,
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.Identifier(role),
    )
