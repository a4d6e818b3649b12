"""Writes small synthetic evidence bundles: an honest story that tests may bend before it is signed, or after."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from incidents.audit.bundle_format import canonical_json, fingerprint, write_bundle
from incidents.audit.merkle import leaf_hash, root

KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"the log of the drill").digest())
STRANGER = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"somebody else").digest())
ORIGIN = "cartier.example/breach-audit/0d9d9a4e"
CAMPAIGN = "c-2025-06"

Row = dict[str, Any]


def pinned(key: Ed25519PrivateKey = KEY) -> str:
    """The fingerprint a regulator was given beforehand."""
    return fingerprint(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def subject(number: int) -> str:
    """A person's random name; ascending, so that registers stay sorted."""
    return f"{number:08x}" + hashlib.sha256(str(number).encode()).hexdigest()[:24]


def content(number: int) -> str:
    """The hash of the letter as sent to a person."""
    return hashlib.sha256(b"content %d" % number).hexdigest()


def list_root(lines: list[bytes]) -> str:
    """The root over a list, in hexadecimal as entries hold it."""
    return root(leaf_hash(line) for line in lines).hex()


@dataclass
class Draft:
    """A bundle before it is written; change anything, then `write` signs what is there."""

    entries: list[Row] = field(default_factory=list)
    registers: dict[str, list[Row]] = field(default_factory=dict)
    letters: dict[str, bytes] = field(default_factory=dict)
    per_file: int = 1000

    def add(self, action: str, *, actor: str = "system", subject: str = "", **data: Any) -> None:
        """One more entry, a millisecond after the one before."""
        at = f"2025-06-03T09:{len(self.entries) // 1000 % 60:02d}:00.{len(self.entries) % 1000:03d}000Z"
        identity = hashlib.sha256(b"entry %d" % len(self.entries)).hexdigest()[:32]
        entry = {"action": action, "actor": actor, "at": at, "data": data, "id": identity}
        self.entries.append({**entry, "incident": "cartier-2025", "subject": subject, "v": 1})

    def find(self, action: str) -> Row:
        """The first entry of an action."""
        return next(each for each in self.entries if each["action"] == action)

    def lines(self) -> list[bytes]:
        """The entries as the tree holds them."""
        return [canonical_json(each) for each in self.entries]

    def roots(self, campaign: str) -> dict[str, str]:
        """The two roots that freezing and approving a campaign name."""
        people = self.registers[campaign]
        letters = sorted({each["letter"] for each in people} - {""})
        return {
            "register_root": list_root([canonical_json(each) for each in people]),
            "letters_root": list_root([each.encode() for each in letters]),
        }

    def letter(self, text: str) -> str:
        """Keep a letter and return its hash."""
        source = canonical_json({"text": text})
        self.letters[hashlib.sha256(source).hexdigest()] = source
        return hashlib.sha256(source).hexdigest()

    def anchor(self) -> None:
        """Log that all entries so far were anchored."""
        lines = self.lines()
        self.add("anchor.sent", size=len(lines), root=list_root(lines), kind="rfc3161")

    def files(self) -> dict[str, bytes]:
        """What the bundle holds beside what writing it adds."""
        lines = [line + b"\n" for line in self.lines()]
        chunks = range(0, len(lines), self.per_file)
        entries = {f"entries/{at:09d}.jsonl": b"".join(lines[at : at + self.per_file]) for at in chunks}
        registers = {
            f"register/{name}.jsonl": b"".join(canonical_json(each) + b"\n" for each in people)
            for name, people in self.registers.items()
        }
        return entries | registers | {f"letters/{name}.json": text for name, text in self.letters.items()}

    def write(self, out: Path, *, key: Ed25519PrivateKey = KEY, files: dict[str, bytes] | None = None) -> Path:
        """Sign and write the bundle, with other files than its own if the test asks."""
        lines = self.lines()
        write_bundle(
            out=out,
            files=(self.files() if files is None else files).items(),
            origin=ORIGIN,
            size=len(lines),
            root=bytes.fromhex(list_root(lines)),
            key_name="cartier.example/log",
            private_key=key,
        )
        return out


def honest(*, people: int = 4) -> Draft:
    """Claire is told at once, Carl after a doubt, Yuki by letter after a refusal, everybody else is held."""
    draft = Draft()
    draft.add("incident.opened", actor="dora", title="Boutique database copied")
    draft.add("letter.edited", actor="ada", letter="fr")
    draft.add("person.excluded", actor="ada", subject=subject(99), second="dora", reason="a test record — effacé")
    freeze(draft, people=people)
    draft.anchor()
    roots = draft.roots(CAMPAIGN)
    draft.add("content.approved", actor="dora", campaign=CAMPAIGN, **roots)
    draft.add("release.approved", actor="lena", campaign=CAMPAIGN, **roots)
    send(draft)
    states = {"delivered": 1, "accepted": 1, "needs_other_channel": 1, "held": people - 3}
    draft.add("campaign.drained", campaign=CAMPAIGN, n=people, states=states)
    draft.anchor()
    draft.add("campaign.closed", actor="lena", campaign=CAMPAIGN, n=people, states=states)
    return draft


def freeze(draft: Draft, *, people: int, campaign: str = CAMPAIGN) -> None:
    """Freeze a register of so many people, three of them ready."""
    letters = [draft.letter("Chère Claire"), draft.letter("Dear Carl")]
    draft.registers[campaign] = [
        {
            "subject": subject(number),
            "cohort": "fr-mail",
            "commitment": hashlib.sha256(b"person %d" % number).hexdigest(),
            "letter": letters[number % 2] if number < 3 else "",
            "content_sha256": content(number) if number < 3 else "",
            "state": "ready" if number < 3 else "held",
        }
        for number in range(people)
    ]
    states = {"ready": 3, "held": people - 3}
    draft.add("register.frozen", actor="felix", campaign=campaign, n=people, states=states, **draft.roots(campaign))


def send(draft: Draft, *, campaign: str = CAMPAIGN) -> None:
    """What happened to the three who were ready."""

    def tell(action: str, number: int, state: str, **data: Any) -> None:
        about = {"campaign": campaign, "content_sha256": content(number), "state": state}
        draft.add(action, subject=subject(number), **about, **data)

    draft.add("chunk.claimed", campaign=campaign, chunk="k1", token=1, n=3, list_sha256="0" * 64)
    tell("attempt.accepted", 0, "accepted", chunk="k1")
    tell("attempt.doubt", 1, "in_doubt", chunk="k1")
    tell("attempt.refused", 2, "refused", chunk="k1")
    tell("event.received", 0, "delivered")
    tell("doubt.resolved", 1, "accepted", how="provider event")
    tell("event.received", 1, "")
    tell("message.moved", 2, "needs_other_channel")
