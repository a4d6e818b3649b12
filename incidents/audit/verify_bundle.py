"""Checks the evidence bundle of a breach notification: offline, with Python 3.9 or later and nothing else.

Usage: python verify.py BUNDLE [--key FINGERPRINT]. BUNDLE: the zip, or the folder it was unpacked to. FINGERPRINT: the
SHA-256 of the log's public key, come to you another way. Exit code 0: all passed; 1: not all, places named; 2: usage."""

import argparse
import base64
import json
import re
import struct
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any, NamedTuple

SLICE, LINE_LIMIT, FAULTS_SHOWN = 1 << 20, 1 << 20, 20
MOMENT = re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{6}Z")
HEX, ROOTS = re.compile("[0-9a-f]+"), ["register_root", "letters_root"]
LEFT = frozenset({"replaced", "cancelled", "excluded"})  # a register's line that speaks for nobody any more
DECODER = json.JSONDecoder(parse_float=int, parse_constant=int)  # int refuses fractions and NaN
ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
ENTRY = {"action": str, "actor": str, "at": str, "data": dict, "id": str, "incident": str, "subject": str, "v": int}
PERSON = dict.fromkeys(["subject", "cohort", "commitment", "letter", "content_sha256", "state"], str)
CAMPAIGN = re.compile("(content|release).approved|chunk.claimed|campaign.(stopped|drained|closed)")
MESSAGE = re.compile("attempt.(accepted|refused|failed_certain|doubt)|doubt.resolved|event.received|message.moved")
P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # RFC 8032 5.1
D = -121665 * pow(121666, -1, P) % P


class Fault(Exception):
    """What is not as it must be and, when that is closer than the thing being checked, its place."""


def require(truth: object, why: str, *place: str) -> None:
    """Raise Fault unless `truth`."""
    if not truth:
        raise Fault(why, *place)


class Report:
    """What was checked, in plain language."""

    def __init__(self) -> None:
        self.lines, self.faults = list[str](), 0

    @contextmanager
    def checking(self, place: str, title: str = "") -> Iterator[None]:
        """Run one check: whatever the bundle holds, it passes or it names a place; it never ends in a traceback."""
        before = self.faults
        try:
            yield
            self.lines += [f"ok      {title}"] if title and self.faults == before else []
        except Exception as error:
            self.faults += 1
            why, at, *_ = *(error.args if isinstance(error, Fault) else (f"cannot be read: {error!r}",)), place
            self.lines += [f"FAILED  {at[:300]}: {why[:300]}"] if self.faults <= FAULTS_SHOWN else []


class Source(NamedTuple):
    """The files of a bundle by name, read a slice or a line at a time."""

    names: set[str]
    opener: Any
    sealed: str = ""

    def read(self, name: str) -> Iterator[bytes]:
        require(name in self.names, "is missing", name)
        try:
            with self.opener(name) as file:
                yield from iter(lambda: file.read(SLICE), b"")
        except Exception as error:
            raise Fault(f"cannot be read ({error})", name) from error

    def read_lines(self, name: str) -> Iterator[tuple[str, bytes]]:
        """The place and the bytes of each line; the newline that ends it is taken off."""
        number, rest = 0, b""
        for piece in self.read(name):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield f"{name}, line {(number := number + 1)}", line
            require(len(rest) < LINE_LIMIT, "is too long", f"{name}, line {number + 1}")
        require(not rest, "does not end with a newline", f"{name}, line {number + 1}")


def open_folder(path: Path) -> Source:
    """The unpacked bundle; Fault on anything but files and folders."""
    found = {each.relative_to(path).as_posix(): each for each in path.rglob("*")}
    for name, each in found.items():
        require(not each.is_symlink() and (each.is_dir() or each.is_file()), "is neither a file nor a folder", name)
    return Source({name for name, each in found.items() if each.is_file()}, lambda name: found[name].open("rb"))


def open_zip(path: Path) -> Source:
    """The zip: members without gaps, checkpoint.txt the last, then the directory, which only repeats their headers."""
    directory, name, sealed = [], "", sha256()
    with path.open("rb") as file:
        while name != "checkpoint.txt":
            start, header = file.tell(), file.read(30)
            require(header[:4] == b"PK\3\4" and len(header) == 30, "no member starts here", f"byte {start} of the zip")
            packed, size, length, extra = struct.unpack("<LLHH", header[18:])
            raw = file.read(length)
            name, line = raw.decode("ascii", "replace"), b"PK\1\2\x14\0" + header[4:] + bytes(10)
            directory.append((name, line + struct.pack("<L", start) + raw))
            file.seek(packed + extra, 1)
        form = header[4:14] + header[28:] == b"\x14\0\0\0\0\0\0\0!\0\0\0" and packed == size
        require(form, "its header in the zip is not the only one it can have", name)
        end, count, length = file.tell(), len(directory) & 0xFFFF, sum(len(line) for _, line in directory)
        closing = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, length, end, 0)
        for name, line in [*directory, ("the end of the zip", closing)]:
            require(file.read(len(line)) == line, "its header and the directory of the zip do not agree", name)
        require(not file.read(1), "bytes follow it", "the end of the zip")
        file.seek(0)
        for at in range(0, start, SLICE):
            sealed.update(file.read(min(SLICE, start - at)))
    archive = zipfile.ZipFile(path)
    return Source(set(archive.namelist()), archive.open, sealed.hexdigest())


def _add(p: Any, q: Any) -> Any:
    """Add two points (x, y, z, t) in extended coordinates (RFC 8032 5.1.4)."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(number: int, point: Any) -> Any:
    total = (0, 1, 1, 0)
    for bit in f"{number:b}":
        total = _add(_add(total, total), point if bit == "1" else (0, 1, 1, 0))
    return total


def _decode_point(data: bytes) -> Any:
    """The point that 32 bytes stand for, or None (RFC 8032 5.1.3)."""
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x * pow(2, (P - 1) // 4, P) % P if (x * x - square) % P else x
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def ed25519_valid(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the private half of this key signed the message (RFC 8032 5.1.7)."""
    base, key = _decode_point(b"\x58" + b"\x66" * 31), _decode_point(public)
    s = int.from_bytes(signature[32:], "little")
    if key is None or len(signature) != 64 or s >= ORDER:
        return False
    k = int.from_bytes(sha512(signature[:32] + public + message).digest(), "little") % ORDER
    x, y, z, _ = _add(_times(s, base), _times(k, (P - key[0], key[1], 1, P - key[3])))  # sB - kA must be R
    x, y = x * pow(z, -1, P) % P, y * pow(z, -1, P) % P
    return bool((y | (x & 1) << 255).to_bytes(32, "little") == signature[:32])


def read_key(source: Source) -> bytes:
    """The 32 bytes of the public key in log.pem (RFC 8410 section 4: they follow a fixed prefix)."""
    form = rb"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA([A-Za-z0-9+/]{43}=)\n-----END PUBLIC KEY-----\n"
    pem: Any = re.fullmatch(form, next(source.read("log.pem"), b""))
    require(pem, "is not an Ed25519 public key", "log.pem")
    return base64.b64decode(pem[1])


def read_checkpoint(source: Source, key: bytes) -> dict[str, str]:
    """The head of the log, its signature checked; signatures by further keys are for their owners to check."""
    form = (
        r"(?P<text>(?P<origin>.+)\n(?P<size>\d{1,16})\n(?P<root>[\w+/]{43}=)\nsha256sums (?P<sums>.{64})\n"
        r"container (?P<container>.{64})\n)\n(?P<signatures>(— \S+ \S+\n)+)"
    )
    head = re.fullmatch(form, next(source.read("checkpoint.txt"), b"").decode("utf-8", "replace"))
    for name, text in re.findall(r"— (\S+) ([A-Za-z0-9+/]{91}=)\n", head["signatures"]) if head else ():
        blob, key_id = base64.b64decode(text), sha256(name.encode() + b"\n\1" + key).digest()[:4]
        ours = blob[:4] == key_id and base64.b64encode(blob) == text.encode()
        if head and ours and ed25519_valid(key, head["text"].encode(), blob[4:]):
            return head.groupdict()
    raise Fault("does not have its form and a valid signature by the key in log.pem", "checkpoint.txt")


def check_files(source: Source, sums: dict[str, str], signed: str, report: Report) -> None:
    """Read SHA256SUMS, whose own hash was signed, into `sums` and compare every file with it."""
    listed = sha256()
    for place, line in source.read_lines("SHA256SUMS"):
        expected, _, name = line.decode("ascii", "replace").partition("  ")
        require(HEX.fullmatch(expected) and name and name not in sums, "is not a checksum", place)
        listed.update(line + b"\n")
        sums[name], digest = expected, sha256()
        with report.checking(name):
            for piece in source.read(name):
                digest.update(piece)
            require(digest.hexdigest() == expected, "is not the file that SHA256SUMS lists")
    require(listed.hexdigest() == signed, "is not the list that the checkpoint signed")
    extra = sorted(source.names - {*sums, "SHA256SUMS", "checkpoint.txt"})
    require(not extra, "is in the bundle but not in SHA256SUMS", *extra[:1])


class Tree:
    """A growing list and its root (RFC 9162 2.1.1), kept as the hashes of its full subtrees."""

    def __init__(self) -> None:
        self.size, self.parts = 0, list[bytes]()

    def add(self, data: bytes) -> None:
        node, size, self.size = sha256(b"\0" + data).digest(), self.size, self.size + 1
        while size & 1:
            node, size = sha256(b"\1" + self.parts.pop() + node).digest(), size >> 1
        self.parts.append(node)

    def root(self) -> bytes:
        node = self.parts[-1] if self.parts else sha256(b"").digest()
        for left in self.parts[-2::-1]:
            node = sha256(b"\1" + left + node).digest()
        return node


def parse(line: bytes, fields: dict[str, Any], place: str) -> Any:
    """The object on a line, which must be in its one canonical form and have these fields and no others."""
    value: Any = None
    with suppress(ValueError, RecursionError):
        value = DECODER.decode(line.decode())
    canonical = isinstance(value, dict) and ENCODER.encode(value).encode(errors="replace") == line
    require(canonical, "is not a JSON object in its canonical form", place)
    require({name: type(each) for name, each in value.items()} == fields, "has missing or other fields", place)
    return value


class Campaign:
    """One frozen register: who approved it, and what has become of each person in it."""

    def __init__(self, entry: Any) -> None:
        self.roots = [entry["data"].get(each) for each in ROOTS]
        self.actors, self.counts = dict[str, str](), dict[str, int]()  # who did what last; the counts stated last
        self.state, self.content, self.doubts = dict[str, str](), dict[str, str](), dict[str, str]()  # by subject
        self.chunks, self.letters = set[str](), set[str]()

    def read_register(self, source: Source, sums: dict[str, str], name: str) -> None:
        """Take in the register; it and the letters it names must have the roots that were frozen."""
        people, letters, last = Tree(), Tree(), ""
        for place, line in source.read_lines(name):
            person = parse(line, PERSON, place)
            subject, letter = person["subject"], person["letter"]
            require(HEX.fullmatch(subject) and subject > last, "is not in the order of subjects", place)
            require(letter in ("", sums.get(f"letters/{letter}.json")), f"has no letters/{letter}.json", place)
            self.state[(last := subject)], self.content[subject] = sys.intern(person["state"]), person["content_sha256"]
            self.letters |= {letter} - {""}
            people.add(line)
        for letter in sorted(self.letters):
            letters.add(letter.encode())
        require(self.roots[0] == people.root().hex(), f"register_root is not the root of {name}")
        require(self.roots[1] == letters.root().hex(), f"letters_root is not the root of the letters in {name}")

    def count(self, data: Any, n: int) -> None:
        """The counts an entry states must be those of the people as the entries so far leave them."""
        found, self.counts = Counter(self.state.values()), {state: n for state, n in data["states"].items() if n}
        require(self.counts == found and n == len(self.state), f"does not count what is there: {dict(found)}")

    def follow(self, action: str, actor: str, data: Any) -> None:
        """An entry about the campaign as a whole."""
        approver, released = self.actors.get("content.approved"), "release.approved" in self.actors
        if action.endswith(".approved"):
            require([data.get(each) for each in ROOTS] == self.roots, "approves other roots than those frozen")
            second = approver and actor not in ("", approver)
            require(second or action != "release.approved", f"is by {actor}, but content.approved by {approver}")
        elif action == "chunk.claimed":
            require(released and "campaign.stopped" not in self.actors, "comes before release.approved or after a stop")
            self.chunks.add(str(data["chunk"]))
        elif action != "campaign.stopped":
            self.count(data, data.get("n", len(self.state)))
        self.actors[action] = actor

    def move(self, action: str, subject: str, data: Any, place: str) -> None:
        """An entry about one person's message."""
        require(subject in self.state, "is about a person outside the register")
        require(self.state[subject] not in LEFT or action[:8] != "attempt.", f"tells somebody who is {self.state[subject]}")
        self.state[subject] = sys.intern(data["state"]) or self.state[subject]
        if action == "doubt.resolved":
            self.doubts.pop(subject, None)
        elif data["state"] == "in_doubt":
            self.doubts[subject] = place
        if action.startswith("attempt."):
            require(str(data.get("chunk")) in self.chunks, "comes before release.approved and chunk.claimed")
            same = data.get("content_sha256") == self.content[subject]
            require(same or action != "attempt.accepted", "its content_sha256 is not the register's")


class Log:
    """All entries in order, and what they add up to."""

    def __init__(self, source: Source, sums: dict[str, str]) -> None:
        self.source, self.sums, self.ids, self.campaigns = source, sums, set[str](), dict[str, Campaign]()
        self.editors, self.anchors, self.marks = set[Any](), list[Any](), set[Any]()

    def lines(self) -> Iterator[tuple[str, bytes]]:
        for name in sorted(each for each in self.source.names if re.fullmatch(r"entries/.*\.jsonl", each)):
            yield from self.source.read_lines(name)

    def follow(self, entry: Any, place: str) -> None:
        """Add one entry; Fault if it cannot follow from those before it."""
        action, actor, data, incident, subject = (entry[each] for each in ("action", "actor", "data", "incident", "subject"))
        form = entry["v"] == 1 and MOMENT.fullmatch(entry["at"]) and HEX.fullmatch(entry["id"] + subject)
        require(form and entry["id"] not in self.ids, "has a malformed field, or the id of an earlier entry")
        self.ids.add(entry["id"])
        campaign = self.campaigns.get(name := str(data.get("campaign")))
        if action == "register.frozen":
            require(not campaign, "freezes a register again")
            self.editors.add((name, actor))
            self.campaigns[name] = frozen = Campaign(entry)
            frozen.read_register(self.source, self.sums, f"register/{name}.jsonl")
            frozen.count(data, data["n"])
            late, others = data.get("amendment"), (each for each in self.campaigns.values() if each is not frozen)
            earlier = (pair for each in others for pair in each.state.items())
            twice = {one for one, state in earlier if state not in LEFT and one in frozen.state}
            require(late is None or all((one, late) in self.marks for one in {"", *twice}), "has people who did not join it")
            self.marks.discard(("", late))
        elif action == "letter.edited":
            self.editors.add((data.get("campaign") or incident, actor))
        elif action in ("anchor.sent", "database.restored"):
            require(data["size"] < len(self.ids), "anchors entries that were not there yet")
            place += f" (which says that a signed log of {data['lost_size']} was lost)" if action != "anchor.sent" else ""
            self.anchors.append((place, data["size"], data["root"]))
        elif action in ("person.excluded", "queue.rejected"):
            require(actor and data.get("second") not in ("", None, actor), "needs two different people")
            self.marks.add((subject, "excluded"))
        elif action in ("amendment.opened", "person.joined"):
            self.marks.add((subject, data["amendment"]))
        elif CAMPAIGN.fullmatch(action) or (MESSAGE.fullmatch(action) and (subject or "campaign" in data)):
            require(name in self.campaigns, "is about a campaign that was not frozen")
            edited = actor == "" or {(name, actor), (incident, actor)} & self.editors
            require(not edited or action != "content.approved", f"is by {actor}, who froze or edited what it approves")
            about = self.campaigns[name]
            about.follow(action, actor, data) if CAMPAIGN.fullmatch(action) else about.move(action, subject, data, place)

    def conclude(self, head: dict[str, str], report: Report) -> None:
        """The roots signed and anchored must be the entries'; doubts must have ended; then what it adds up to."""
        claims = [("checkpoint.txt", int(head["size"]), base64.b64decode(head["root"]).hex()), *self.anchors]
        tree, sizes, roots = Tree(), {size for _, size, _ in claims}, {0: sha256(b"").hexdigest()}
        for _, line in self.lines():
            tree.add(line)
            if tree.size in sizes:
                roots[tree.size] = tree.root().hex()
        with report.checking(f"entry {tree.size}"):
            require(str(tree.size) == head["size"], f"is the last one here, but {head['size']} were signed")
        for place, size, root in claims:
            with report.checking(place, f"entries 1 to {size} have the root given in {place}: {root}"):
                require(roots.get(size) == root, f"entries 1 to {size} do not have the root given here")
        for name, each in self.campaigns.items():
            with report.checking(next(iter(each.doubts.values()), name)):
                ended = {"campaign.drained", "campaign.closed"} & set(each.actors)
                require(not ended or len(each.doubts) <= each.counts.get("in_doubt", 0), "is a doubt left open")
                require({i for i in each.state.items() if i[1] == "excluded"} <= self.marks, "is no exclusion by two")
            people = f"{len(each.state)} people, {len(each.letters)} letters, {dict(Counter(each.state.values()))}"
            report.lines.append(f"        campaign {name}: {people}")


def verify(*, path: str, fingerprint: str = "") -> Report:
    """Check the bundle at `path`; with a fingerprint (64 hexadecimal digits) also that its key is that key."""
    report, sums = Report(), dict[str, str]()
    with report.checking(path):
        source = (open_folder if Path(path).is_dir() else open_zip)(Path(path))
        key = read_key(source)
        found, head = sha256(key).hexdigest(), read_checkpoint(source, key)
        report.lines.append(f"ok      checkpoint.txt of {head['origin']} is signed by the key with fingerprint {found}")
        report.lines += [] if fingerprint else ["WARNING compare that fingerprint with one that came to you another way"]
        with report.checking("log.pem", fingerprint and "the key is the one whose fingerprint you gave"):
            require(fingerprint in ("", found), f"is the key with fingerprint {found}, not the one you gave")
        with report.checking("the zip before checkpoint.txt", source.sealed and "no byte of the zip was changed"):
            require(source.sealed in ("", head["container"]), "is not what checkpoint.txt sealed")
        with report.checking("SHA256SUMS", "every file is as SHA256SUMS lists it, none is missing, none was added"):
            check_files(source, sums, head["sums"], report)
        log = Log(source, sums)
        with report.checking("entries", "every entry is canonical and follows from those before it"):
            for place, line in log.lines():
                with report.checking(place):
                    log.follow(parse(line, ENTRY, place), place)
        log.conclude(head, report)
    return report


def main() -> int:
    """Read the command line, print what was checked, return the exit code."""
    parser = argparse.ArgumentParser(description="Check the evidence bundle of a breach notification.")
    parser.add_argument("bundle", help="the zip, or the folder it was unpacked to")
    parser.add_argument("--key", metavar="FINGERPRINT", help="SHA-256 of the log's public key, given by another way")
    asked = parser.parse_args()
    pinned = re.sub("[: ]", "", asked.key or "").lower()
    if not Path(asked.bundle).exists() or (asked.key is not None and not re.fullmatch("[0-9a-f]{64}", pinned)):
        parser.error("there is no such bundle, or the fingerprint is not 64 hexadecimal digits")
    report = verify(path=asked.bundle, fingerprint=pinned)
    for line in [*report.lines, f"FAILED  {report.faults} checks" if report.faults else "PASSED  every check"]:
        print(line.encode("unicode_escape").decode())
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
