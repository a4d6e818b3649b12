"""Joins the sink's ledger, the database by plain SQL and the evidence bundle, and says in one line whether the promise was kept.

It imports nothing of the product: what a letter's hash is, is written down here a second time, from the bundle's own README.

    python -m tests.faults.checker --database URL --sink FOLDER --bundle FILE.zip
"""

from __future__ import annotations

import argparse
import email
import hashlib
import json
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from email import policy
from pathlib import Path
from typing import Any

import psycopg

TOLD = {"accepted", "delivered", "accepted_unconfirmed"}
WAITING = {"planned", "ready", "sending", "in_doubt"}
#: Seconds after "stop" and "pause" in which what was on its way may still arrive.
GRACE = 2.0


@dataclass
class Verdict:
    """What was found; `why` names the first few of each sort, by their random references."""

    people: int = 0
    taken: int = 0
    lost: int = 0
    duplicates: int = 0
    unlisted: int = 0
    wrong: int = 0
    early: int = 0
    late: int = 0
    doubts: int = 0
    waiting: int = 0
    states: dict[str, int] = field(default_factory=dict)
    sums: list[str] = field(default_factory=list)
    why: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is broken; duplicates that were listed before they left are no breach."""
        return not (self.lost or self.unlisted or self.wrong or self.early or self.late or self.sums)

    @property
    def line(self) -> str:
        """The one line."""
        total = "ok" if not self.sums else f"BROKEN({'; '.join(self.sums)})"
        return (
            f"lost={self.lost} duplicates={self.duplicates} unlisted={self.unlisted} wrong={self.wrong} early={self.early} "
            f"late={self.late} sum={total}"
        )

    def blame(self, sort: str, what: str) -> None:
        """Remember an example."""
        if sum(one.startswith(sort) for one in self.why) < 5:
            self.why.append(f"{sort}: {what}")


@dataclass
class Letter:
    """One line of the ledger."""

    ref: str
    to: str
    sha256: str
    wall: float
    at: tuple[int, int]
    via: str


class Ledger:
    """What the sink has taken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.by_ref: dict[str, list[Letter]] = defaultdict(list)
        file = folder / "ledger.jsonl"
        for line in file.read_text().splitlines() if file.exists() else []:
            found = json.loads(line)
            names = ("ref", "to", "sha256", "wall", "via")
            self.by_ref[found["ref"]].append(Letter(**{name: found[name] for name in names}, at=tuple(found["at"])))

    def raw(self, letter: Letter) -> bytes:
        """The letter as it came."""
        with (self.folder / "mails.raw").open("rb") as file:
            file.seek(letter.at[0])
            return file.read(letter.at[1])

    def content(self, letter: Letter) -> dict[str, str]:
        """What the reader sees and where it goes, however it was packed."""
        return content_of_json(self.raw(letter)) if letter.via == "http" else content_of_mail(self.raw(letter))


def content_of_mail(raw: bytes) -> dict[str, str]:
    """The nine values that the register's content_sha256 is made of, from a MIME message."""
    message = email.message_from_bytes(raw, policy=policy.default)
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None and html is not None, "both parts"
    sender = message["From"].addresses[0]
    found = {
        "message_ref": str(message["Message-ID"]).strip("<> ").partition("@")[0], "to": message["To"].addresses[0].addr_spec,
        "sender": sender.addr_spec, "sender_name": sender.display_name, "language": str(message["Content-Language"]),
        "reply_to": message["Reply-To"].addresses[0].addr_spec if message["Reply-To"] else "", "subject": str(message["Subject"]),
        "text": text.get_content(), "html": html.get_content(),
    }  # fmt: skip
    return {name: value.replace("\r\n", "\n") for name, value in found.items()}


def content_of_json(raw: bytes) -> dict[str, str]:
    """The same from an ESP's JSON (Postmark's names)."""
    one = json.loads(raw)
    heads = {head["Name"].lower(): head["Value"] for head in one.get("Headers") or []}
    fake = email.message_from_string(f"From: {one['From']}\nTo: {one['To']}\n\n", policy=policy.default)
    reply = email.message_from_string(f"To: {one.get('ReplyTo') or heads.get('reply-to', '')}\n\n", policy=policy.default)["To"]
    return {
        "message_ref": heads.get("message-id", "").strip("<>").partition("@")[0] or one.get("Metadata", {}).get("message_ref", ""),
        "to": fake["To"].addresses[0].addr_spec, "sender": fake["From"].addresses[0].addr_spec,
        "sender_name": fake["From"].addresses[0].display_name, "reply_to": reply.addresses[0].addr_spec if reply else "",
        "language": heads.get("content-language", ""), "subject": one["Subject"], "text": one["TextBody"], "html": one["HtmlBody"],
    }  # fmt: skip


def content_sha256(content: dict[str, str]) -> str:
    """SHA-256 of the values as canonical JSON: NFC, sorted names, no spaces, UTF-8."""
    plain = {name: unicodedata.normalize("NFC", value) for name, value in content.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def hashes_of(content: dict[str, str]) -> set[str]:
    """The hash, and those of the same content without the line end that MIME adds to a part that has none."""
    found = set()
    for text in {content["text"], content["text"].removesuffix("\n")}:
        for html in {content["html"], content["html"].removesuffix("\n")}:
            found.add(content_sha256({**content, "text": text, "html": html}))
    return found


@dataclass
class Bundle:
    """What the evidence says: registers, entries, and who gets the checkpoints."""

    registers: dict[str, list[dict[str, Any]]]
    entries: list[dict[str, Any]]
    dpo: str
    verifies: bool


def read_bundle(path: Path, key: str) -> Bundle:
    """Open the bundle and run the checker that is in it, in a bare Python."""
    with zipfile.ZipFile(path) as pack, tempfile.TemporaryDirectory() as folder:
        names = pack.namelist()
        registers = {
            Path(name).stem: [json.loads(line) for line in pack.read(name).splitlines()]
            for name in names if name.startswith("register/")
        }  # fmt: skip
        entries = [
            json.loads(line) for name in sorted(names) if name.startswith("entries/") for line in pack.read(name).splitlines()
        ]
        dpo = json.loads(pack.read("facts.json"))[-1]["facts"]["controller"]["dpo_email"]
        pack.extract("verify.py", folder)
        command = [sys.executable, "-I", "-S", f"{folder}/verify.py", str(path), "--key", key]
        done = subprocess.run(command, capture_output=True, check=False)
    return Bundle(registers, entries, dpo, done.returncode == 0)


MESSAGES = """
SELECT p.subject, m.message_ref, m.state, m.state_reason, m.attempts, c.reference, m.id
FROM incidents_message m JOIN incidents_registerentry e ON e.id = m.entry_id JOIN incidents_affectedperson p ON p.id = e.person_id
JOIN incidents_campaign c ON c.id = m.campaign_id"""


def check(*, database: str, sink: Path, bundle: Path, key: str, content: bool = True) -> Verdict:
    """Everything, at the end of a run."""
    found, ledger, proof = Verdict(), Ledger(sink), read_bundle(bundle, key)
    found.taken = sum(map(len, ledger.by_ref.values()))
    with psycopg.connect(database) as server:
        messages = server.execute(MESSAGES).fetchall()
        _lost(found, proof, messages, ledger, _states(server))
        _duplicates(found, server, messages, ledger)
        _wrong(found, server, proof, messages, ledger, content)
        _times(found, server, proof, messages, ledger)
        _sums(found, server, proof, messages)
    return found


def _states(server: psycopg.Connection[Any]) -> dict[str, str]:
    return dict(server.execute("SELECT reference, state FROM incidents_campaign").fetchall())


def _lost(found: Verdict, proof: Bundle, messages: list[Any], ledger: Ledger, campaigns: dict[str, str]) -> None:
    by_person = {(campaign, subject): (ref, state, reason) for subject, ref, state, reason, _, campaign, _ in messages}
    for campaign, lines in proof.registers.items():
        for line in lines:
            found.people += 1
            ref, state, reason = by_person.get((campaign, line["subject"]), ("", "no message", ""))
            found.states[state] = found.states.get(state, 0) + 1
            waits = state in WAITING
            found.waiting += waits
            without = state in TOLD and ref not in ledger.by_ref
            aside = state in {"needs_other_channel", "quarantined", "unreachable"} and not reason
            ended = waits and campaigns.get(campaign) in {"drained", "closed", "stopped"}
            if without or aside or ended or state == "no message":
                found.lost += 1
                found.blame("lost", f"{ref} is {state} ({reason or 'no reason'})")


def _duplicates(found: Verdict, server: psycopg.Connection[Any], messages: list[Any], ledger: Ledger) -> None:
    """Each copy after the first needs a doubt of its own, listed before it left (or a soft bounce, which asks for one)."""
    excuses: dict[str, list[float]] = defaultdict(list)
    listed = "SELECT m.message_ref, extract(epoch FROM d.opened_at)::float8 FROM incidents_doubt d JOIN incidents_message m ON m.id = d.message_id"
    bounced = (
        "SELECT message_ref, extract(epoch FROM received_at)::float8 FROM incidents_providerevent WHERE kind = 'bounced_soft'"
    )
    for query in (listed, bounced):
        rows = server.execute(query).fetchall()
        found.doubts += len(rows) if query == listed else 0
        for ref, moment in rows:
            excuses[ref].append(moment)
    for _, ref, *_ in messages:
        copies = sorted(letter.wall for letter in ledger.by_ref.get(ref, ()))
        known = sorted(excuses[ref])
        for number, moment in enumerate(copies[1:]):
            found.duplicates += 1
            if number >= len(known) or known[number] > moment:
                found.unlisted += 1
                found.blame("unlisted", f"{ref}, copy {number + 2}, {len(known)} doubts")


def _wrong(
    found: Verdict, server: psycopg.Connection[Any], proof: Bundle, messages: list[Any], ledger: Ledger, content: bool
) -> None:
    """Not the approved content, not the approved address, or a letter that is nobody's."""
    approved = {
        (campaign, line["subject"]): line["content_sha256"] for campaign, lines in proof.registers.items() for line in lines
    }
    by_ref = {ref: approved.get((campaign, subject), "") for subject, ref, _, _, _, campaign, _ in messages}
    canaries = dict(server.execute("SELECT message_ref, content_sha256 FROM incidents_canaryletter").fetchall())
    for ref, letters in ledger.by_ref.items():
        expected = by_ref.get(ref) or canaries.get(ref)
        if expected is None:
            for letter in letters:
                if letter.to != proof.dpo:
                    found.wrong += 1
                    found.blame("wrong", f"{ref} is nobody's")
            continue
        # The bytes of two copies may differ (their boundaries do); what is in them may not.
        alike = {(letter.sha256, letter.to): letter for letter in letters}
        for letter in alike.values() if content else ():
            values = ledger.content(letter)
            if values["to"] != letter.to or values["message_ref"] != ref or expected not in hashes_of(values):
                found.wrong += 1
                found.blame("wrong", f"{ref} is not as approved")


def _times(found: Verdict, server: psycopg.Connection[Any], proof: Bundle, messages: list[Any], ledger: Ledger) -> None:
    released = dict(server.execute(
        "SELECT c.reference, extract(epoch FROM min(a.approved_at))::float8 FROM incidents_approval a "
        "JOIN incidents_campaign c ON c.id = a.campaign_id WHERE a.kind = 'release' GROUP BY 1"
    ).fetchall())  # fmt: skip
    closed = _closed(proof)
    for _, ref, _, _, _, campaign, _ in messages:
        for letter in ledger.by_ref.get(ref, ()):
            if letter.wall < released.get(campaign, float("inf")):
                found.early += 1
                found.blame("early", ref)
            if any(start + GRACE < letter.wall < end for start, end in closed[campaign]):
                found.late += 1
                found.blame("late", ref)


def _closed(proof: Bundle) -> dict[str, list[tuple[float, float]]]:
    """Campaign -> when it was paused or stopped, from the log."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for entry in proof.entries:
        campaign, moment = entry["data"].get("campaign", ""), datetime.fromisoformat(entry["at"]).timestamp()
        if entry["action"] in {"campaign.paused", "campaign.stopped"}:
            spans[campaign].append((moment, float("inf")))
        elif entry["action"] == "campaign.resumed" and spans[campaign]:
            spans[campaign][-1] = (spans[campaign][-1][0], moment)
    return spans


def _sums(found: Verdict, server: psycopg.Connection[Any], proof: Bundle, messages: list[Any]) -> None:
    """Register = messages = sum of states, in the bundle and in the database; every try has its entry; the bundle proves itself."""
    per_campaign: dict[str, int] = defaultdict(int)
    for *_, campaign, _ in messages:
        per_campaign[campaign] += 1
    rows = server.execute("SELECT reference, people, (SELECT count(*) FROM incidents_registerentry e WHERE e.campaign_id = c.id) "
                          "FROM incidents_campaign c").fetchall()  # fmt: skip
    for campaign, people, registered in rows:
        exported = len(proof.registers.get(campaign, ()))
        if len({people, registered, exported, per_campaign[campaign]}) != 1:
            found.sums.append(
                f"{campaign}: {people} frozen, {registered} registered, {exported} exported, {per_campaign[campaign]} messages"
            )
    tries = dict(server.execute("SELECT m.message_ref, count(*) FROM incidents_attempt a JOIN incidents_message m ON m.id = a.message_id "
                                "WHERE a.outcome <> 'quarantined' GROUP BY 1").fetchall())  # fmt: skip
    told: dict[str, int] = defaultdict(int)
    for entry in proof.entries:
        if entry["action"].startswith("attempt."):
            told[entry["data"]["message"]] += 1
    unlike = [ref for ref in tries.keys() | told.keys() if tries.get(ref, 0) != told.get(ref, 0)]
    if unlike:
        found.sums.append(f"{len(unlike)} messages whose tries are not those in the log, as {unlike[0]}")
    if not proof.verifies:
        found.sums.append("the bundle does not verify")


def main() -> int:
    """Print the line; 1 when something is broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True)
    parser.add_argument("--sink", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--key", required=True, help="the fingerprint of the log's key")
    given = parser.parse_args()
    found = check(database=given.database, sink=given.sink, bundle=given.bundle, key=given.key)
    print(found.line)
    for why in found.why:
        print("  " + why)
    return 0 if found.holds else 1


if __name__ == "__main__":
    sys.exit(main())
