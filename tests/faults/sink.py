"""The other side: an SMTP relay and an ESP's HTTP API (Postmark's shape) that write down every letter before they take it.

`python -m tests.faults.sink --folder F` is a process of its own and imports nothing of the product. `ledger.jsonl` gets one line a
letter, forced to disk before the answer leaves; `mails.raw` the letters as they came. It misbehaves as it is told over its control
port: one line of JSON in, one out.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import re
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATE = re.compile(rb"^Date:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*", re.IGNORECASE | re.MULTILINE)
MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([0-9a-zA-Z]+)@", re.IGNORECASE | re.MULTILINE)
CAPABILITIES = (b"sink.example", b"PIPELINING", b"8BITMIME", b"SMTPUTF8", b"SIZE 20000000")


@dataclass
class Rule:
    """One way to misbehave. `at`: connect, mail, rcpt, data, body, dot, accepted (all after the ledger's line), or for HTTP
    request, entry, accepted. `do`: reply, hang, reset, close, delay, truncate, garbage, shuffle, omit."""

    at: str
    do: str
    code: int = 0
    text: str = ""
    seconds: float = 0.0
    share: float = 1.0
    match: str = ""
    #: How often at most (0: always), and how many are let pass first.
    times: int = 0
    after: int = 0
    retry_after: str = ""
    met: int = 0
    done: int = 0

    def applies(self, at: str, recipient: str) -> bool:
        """Whether it is this rule's turn; counts."""
        if self.at != at or (self.match and not re.search(self.match, recipient)):
            return False
        self.met += 1
        if self.met <= self.after or (self.times and self.done >= self.times) or random.random() >= self.share:
            return False
        self.done += 1
        return True


class Cut(Exception):
    """The connection ends here."""


@dataclass
class Sink:
    """The ledger, the rules, and what is counted."""

    folder: Path
    sync: bool = True
    rules: list[Rule] = field(default_factory=list)
    delay: float = 0.0
    events: dict[str, Any] = field(default_factory=dict)
    letters: int = 0
    connections: int = 0

    def __post_init__(self) -> None:
        self.ledger = os.open(self.folder / "ledger.jsonl", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self.raw = os.open(self.folder / "mails.raw", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self.place = os.fstat(self.raw).st_size
        self.lock = asyncio.Lock()
        self.told: list[dict[str, Any]] = []

    def take(self, *, recipient: str, sender: str, body: bytes, reference: str, via: str) -> int:
        """Write a letter down for good; its number."""
        line = {
            "ref": reference, "to": recipient, "from": sender, "via": via, "at": [self.place, len(body)],
            "sha256": hashlib.sha256(DATE.sub(b"", body, count=1)).hexdigest(), "mono": time.monotonic(), "wall": time.time(),
        }  # fmt: skip
        os.write(self.raw, body)
        self.place += len(body)
        os.write(self.ledger, json.dumps(line).encode() + b"\n")
        if self.sync:
            os.fdatasync(self.raw)
            os.fdatasync(self.ledger)
        self.letters += 1
        if self.events:
            self.told.append({"ref": reference, "to": recipient, "id": f"sink-{self.letters}"})
        return self.letters

    def rule(self, at: str, recipient: str = "") -> Rule | None:
        return next((rule for rule in self.rules if rule.applies(at, recipient)), None)


def reset(writer: asyncio.StreamWriter) -> None:
    """End with RST instead of FIN, as a crashed host's successor does."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def obey(rule: Rule, writer: asyncio.StreamWriter) -> None:
    """Everything that a rule can do on any kind of connection."""
    if rule.do == "delay":
        await asyncio.sleep(rule.seconds)
    elif rule.do == "hang":
        await asyncio.sleep(rule.seconds or 3600)
        raise Cut
    elif rule.do == "reset":
        reset(writer)
        raise Cut
    elif rule.do == "close":
        raise Cut
    elif rule.do == "garbage":
        writer.write(b"\x00\xff\xfe<html>what?</html>\r\n\r\n")
        await writer.drain()
        raise Cut
    elif rule.do == "truncate":
        writer.write(b"25")
        await writer.drain()
        raise Cut


@dataclass
class Smtp:
    """One SMTP session (RFC 5321), with PIPELINING (RFC 2920): replies go out when nothing more waits to be read."""

    sink: Sink
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sender: str = ""
    recipient: str = ""

    async def run(self) -> None:
        """From the greeting to QUIT."""
        self.sink.connections += 1
        try:
            await self.say(b"220 sink.example ESMTP", at="connect")
            while line := await self.reader.readline():
                if not await self.command(line.rstrip(b"\r\n")):
                    break
        except (Cut, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self.sink.connections -= 1
            with suppress(Exception):
                self.writer.close()

    async def say(self, reply: bytes, *, at: str = "") -> bool:
        """Answer, or what a rule says; whether it was the proper answer."""
        rule = self.sink.rule(at, self.recipient) if at else None
        if rule and rule.do == "reply":
            self.writer.write(f"{rule.code} {rule.text or 'as told'}\r\n".encode())
            await self.writer.drain()
            if rule.code == 421:
                raise Cut
            return False
        if rule:
            await obey(rule, self.writer)
        self.writer.write(reply + b"\r\n")
        await self.writer.drain()
        return True

    async def command(self, line: bytes) -> bool:
        word, _, rest = line.partition(b" ")
        match word.upper():
            case b"EHLO" | b"HELO":
                for capability in CAPABILITIES[:-1]:
                    self.writer.write(b"250-" + capability + b"\r\n")
                await self.say(b"250 " + CAPABILITIES[-1])
            case b"MAIL":
                self.sender, self.recipient = address(rest), ""
                if not await self.say(b"250 ok", at="mail"):
                    self.sender = ""
            case b"RCPT" if self.sender:
                self.recipient = address(rest)
                if not await self.say(b"250 ok", at="rcpt"):
                    self.recipient = ""
            case b"DATA" if self.recipient:
                if await self.say(b"354 go on", at="data"):
                    await self.letter()
            case b"RSET":
                self.sender = self.recipient = ""
                await self.say(b"250 ok")
            case b"NOOP":
                await self.say(b"250 ok")
            case b"QUIT":
                await self.say(b"221 bye")
                return False
            case _:
                await self.say(b"503 bad sequence")
        return True

    async def letter(self) -> None:
        if rule := self.sink.rule("body", self.recipient):
            await self.reader.readline()
            await obey(rule, self.writer)
        # The terminator is CRLF.CRLF; an empty letter would be ".CRLF" right after DATA.
        raw = await self.reader.readuntil(b"\r\n.\r\n")
        body = raw[:-3].replace(b"\r\n..", b"\r\n.")
        if self.sink.delay:
            await asyncio.sleep(self.sink.delay)
        if rule := self.sink.rule("dot", self.recipient):
            if rule.do == "reply":
                await self.refuse(rule)
                return
            await obey(rule, self.writer)
        found = MESSAGE_ID.search(body)
        number = self.sink.take(
            recipient=self.recipient, sender=self.sender, body=body, reference=found[1].decode() if found else "", via="smtp"
        )
        await self.say(f"250 ok sink-{number}".encode(), at="accepted")
        self.sender = self.recipient = ""

    async def refuse(self, rule: Rule) -> None:
        self.writer.write(f"{rule.code} {rule.text or 'as told'}\r\n".encode())
        await self.writer.drain()
        self.sender = self.recipient = ""
        if rule.code == 421:
            raise Cut


def address(rest: bytes) -> str:
    """`FROM:<a@b> SIZE=1` -> a@b."""
    return rest.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace")


@dataclass
class Http:
    """Requests on one kept connection: `/email` and `/email/batch` as Postmark has them."""

    sink: Sink
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def run(self) -> None:
        """Until the client goes or a rule cuts."""
        self.sink.connections += 1
        try:
            while head := await self.reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
                body = await self.reader.readexactly(int(fields.get("content-length", "0")))
                await self.request(*lines[0].split(" ")[:2], body)
        except (Cut, ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            self.sink.connections -= 1
            with suppress(Exception):
                self.writer.close()

    async def request(self, method: str, path: str, body: bytes) -> None:
        if self.sink.delay:
            await asyncio.sleep(self.sink.delay)
        if rule := self.sink.rule("request"):
            if rule.do == "reply":
                await self.answer(rule.code, {"ErrorCode": rule.code, "Message": rule.text or "as told"}, rule.retry_after)
                return
            await obey(rule, self.writer)
        if method != "POST" or not path.startswith("/email"):
            await self.answer(200, {"Name": "sink"} if method == "GET" else {})
            return
        asked = json.loads(body)
        results = [self.entry(one) for one in (asked if isinstance(asked, list) else [asked])]
        if rule := self.sink.rule("accepted"):
            await self.spoiled(rule, results)
            return
        single = not isinstance(asked, list)
        await self.answer(200 if not single or not results[0]["ErrorCode"] else 422, results[0] if single else results)

    def entry(self, one: dict[str, Any]) -> dict[str, Any]:
        recipient = address(f"<{one['To']}>".encode()) if "<" not in one["To"] else address(one["To"].encode())
        if (rule := self.sink.rule("entry", recipient)) and rule.do == "reply":
            return {"ErrorCode": rule.code or 406, "Message": rule.text or "inactive recipient"}
        body = json.dumps(one, sort_keys=True).encode()
        number = self.sink.take(recipient=recipient, sender=one["From"], body=body, reference=reference_in(one), via="http")
        return {"ErrorCode": 0, "Message": "OK", "MessageID": f"sink-{number}", "To": one["To"], "SubmittedAt": "2026-01-01"}

    async def spoiled(self, rule: Rule, results: list[dict[str, Any]]) -> None:
        """The letters are taken; only the answer is not as it should be."""
        if rule.do == "shuffle":
            random.shuffle(results)
            await self.answer(200, results)
        elif rule.do == "omit":
            del results[len(results) // 2]
            await self.answer(200, results)
        elif rule.do == "reply":
            await self.answer(rule.code, {"Message": rule.text or "as told"}, rule.retry_after)
        elif rule.do == "truncate":
            whole = json.dumps(results).encode()
            self.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(whole))
            self.writer.write(whole[: len(whole) // 2])
            await self.writer.drain()
            raise Cut
        elif rule.do == "garbage":
            await self.answer(200, None)
        else:
            await obey(rule, self.writer)

    async def answer(self, code: int, value: Any, retry_after: str = "") -> None:
        whole = b"<html>Welcome</html>" if value is None else json.dumps(value).encode()
        later = f"Retry-After: {retry_after}\r\n" if retry_after else ""
        kind = "text/html" if value is None else "application/json"
        head = f"HTTP/1.1 {code} X\r\nContent-Type: {kind}\r\nContent-Length: {len(whole)}\r\n{later}\r\n"
        self.writer.write(head.encode() + whole)
        await self.writer.drain()


def reference_in(one: dict[str, Any]) -> str:
    """The message's reference as the ESP was given it: in the metadata, or in the Message-ID head."""
    for head in one.get("Headers") or []:
        if head["Name"].lower() == "message-id":
            return str(head["Value"]).strip("<>").partition("@")[0]
    return next((str(value) for name, value in (one.get("Metadata") or {}).items() if "ref" in name), "")


@dataclass
class Control:
    """One line of JSON in, one out: rules, delay, events, listen, or nothing but the state."""

    sink: Sink
    ports: dict[str, int]
    servers: dict[str, asyncio.Server] = field(default_factory=dict)

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the other side goes."""
        while line := await reader.readline():
            asked = json.loads(line)
            if "rules" in asked:
                self.sink.rules = [Rule(**rule) for rule in asked["rules"]]
            self.sink.delay = asked.get("delay", self.sink.delay)
            self.sink.events = asked.get("events", self.sink.events)
            if "listen" in asked:
                await self.listen(asked["listen"])
            told, self.sink.told = (self.sink.told, []) if asked.get("take_events") else ([], self.sink.told)
            state = {"letters": self.sink.letters, "connections": self.sink.connections, "events": told,
                     "rules": [rule.done for rule in self.sink.rules]}  # fmt: skip
            writer.write(json.dumps(state).encode() + b"\n")
            await writer.drain()

    async def listen(self, wanted: bool) -> None:
        for name, server in list(self.servers.items()):
            if not wanted:
                server.close()
                del self.servers[name]
        for name, kind in (("smtp", Smtp), ("http", Http)):
            if wanted and name not in self.servers:
                self.servers[name] = await self.serve(kind, self.ports.get(name, 0))
                self.ports[name] = self.servers[name].sockets[0].getsockname()[1]

    async def serve(self, kind: type[Smtp] | type[Http], port: int) -> asyncio.Server:
        async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await kind(self.sink, reader, writer).run()

        return await asyncio.start_server(serve_one, "127.0.0.1", port, limit=2**24, reuse_address=True)


async def main() -> None:
    """Listen on free ports, say which on the first line, and serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--no-sync", action="store_true", help="do not force each line to disk (benchmarks)")
    given = parser.parse_args()
    control = Control(Sink(given.folder, sync=not given.no_sync), {})
    await control.listen(True)
    server = await asyncio.start_server(control.run, "127.0.0.1", 0)
    print(json.dumps({**control.ports, "control": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
