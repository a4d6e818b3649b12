"""A list -> messages about its rows, ready to be sealed. Runs in a child process that has nothing else (see `confined`).

Pure Python without Django. Before it reads the first byte it gives up what it does not need: memory and processor time beyond a
limit, writing files, starting programs, opening connections.
"""

from __future__ import annotations

import gc
import io
import json
import os
import re
import resource
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

from incidents.people import reading
from incidents.people.blockwise import Blockwise, Ready, lines
from incidents.people.come_back import ComeBack
from incidents.people.compared import match_values
from incidents.people.rows import Expected, Prepared, Preparer

#: Different kinds of people (residence, elements, flags ...) that are remembered before their numbers start anew.
MOST_PROFILES = 20_000
LENGTH = struct.Struct(">I")
PIECE = 1024**2
#: Questions about a value that could not be taken; of the others the record itself keeps what was said.
UNTAKEN = ("address", "data")
CORRECTION = re.compile(r"[A-Za-z0-9:._-]{1,60}")
TOO_MUCH = "Reading this list needs more memory than any list needs. Save it as CSV in UTF-8 and import that."
#: What nobody who reads a list needs (names of Python's audit events).
FORBIDDEN = (
    "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.__new__", "socket.sendto", "subprocess.", "os.exec", "os.fork",
    "os.posix_spawn", "os.system", "os.remove", "os.rename", "os.mkdir", "os.chmod", "os.kill", "ctypes.",
)  # fmt: skip
#: Where the program itself lies, and what says which time it is; everything else is closed.
PROGRAM = tuple(
    f"{place}/" for place in (Path(__file__).resolve().parents[2], sys.prefix, Path(sys.prefix).resolve(), sys.base_prefix)
)
OPEN_PLACES = (*PROGRAM, "/usr/share/zoneinfo/", "/etc/localtime", "/etc/timezone")

Message = dict[str, Any]
#: Number, profile, and the texts in the order of TEXTS.
Row = tuple[Any, ...]
#: Of each row, column by column; none of them can hold a line break. The last are the values that are matched.
TEXTS = ("reference", "correction_of", "plain", "customer", "email", "name", "name_birth", "address")


def main() -> None:
    """Answer the commands of the process that started us, until it is gone."""
    told = json.loads(sys.argv[2])
    wire = Wire(socket.socket(fileno=told["wire"]))
    served = io.BufferedReader(_Pieces(wire, told["size"]), PIECE)
    raw: BinaryIO = served if told["file"] is None else os.fdopen(told["file"], "rb", PIECE)
    give_up(**told["limits"])
    while command := wire.receive():
        _answer(wire, raw, told["size"], json.loads(command))


def give_up(*, memory: int, seconds: int) -> None:
    """Lower every limit for good."""
    limits = {"AS": memory, "CPU": seconds, "FSIZE": 0, "CORE": 0, "NPROC": 0, "NOFILE": 32}
    for name, limit in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        # One second more for the hard limit: reaching the soft one is told by a signal of its own.
        resource.setrlimit(kind, (most, most + 1 if name == "CPU" and hard in (resource.RLIM_INFINITY, most + 1) else most))
    sys.dont_write_bytecode = True
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    sys.addaudithook(_refuse)


def _refuse(event: str, args: Sequence[Any]) -> None:
    if event == "open":
        path, _, flags = args
        writing = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writing or (isinstance(path, str) and not path.startswith(OPEN_PLACES)):
            raise PermissionError("the reader of a list opens no other file")
    elif event.startswith(FORBIDDEN):
        raise PermissionError(f"the reader of a list never needs {event}")


def _answer(wire: Wire, raw: BinaryIO, size: int, command: dict[str, Any]) -> None:
    try:
        work = COMMANDS[command.pop("do")]
        for message in work(raw, size, **command):
            wire.send(message)
        wire.send({"end": True})
    except reading.FileRefused as refused:
        asked = {"question": refused.question, "choices": refused.choices} if isinstance(refused, reading.FileAsked) else {}
        wire.send({"refused": refused.lines, "for_good": refused.for_good, **asked})
    except MemoryError:
        wire.send({"refused": [TOO_MUCH]})
    except ConnectionError:  # nobody listens any more
        raise
    except Exception as fault:
        # The kind and the place only: the text of an exception may quote what it stumbled over.
        places = traceback.extract_tb(fault.__traceback__)[-3:]
        way = " > ".join(f"{Path(place.filename).name}:{place.lineno}" for place in places)
        wire.send({"fault": f"{type(fault).__name__} at {way}"})


def _inspect(raw: BinaryIO, size: int, **options: Any) -> Iterator[Message]:
    yield {"file": asdict(reading.inspect(raw=raw, size=size, **options))}


def _look(raw: BinaryIO, size: int, *, most: int, remembered: dict[str, str] | None, **options: Any) -> Iterator[Message]:
    file = reading.inspect(raw=raw, size=size, **options)
    guessed = not (remembered and set(remembered) == set(file.header))
    if remembered and not guessed:
        columns = [remembered[name] for name in file.header]
        file = replace(file, columns=reading.with_own_dates(columns, file.dates))
    samples = reading.sample(raw=raw, file=file, most=most)
    yield {"file": asdict(file), "samples": samples, "guessed": guessed}


def _rows(raw: BinaryIO, size: int, *, file: Message, expected: Message, today: str, after: int) -> Iterator[Message]:
    yield from messages(
        raw=raw, file=list_file(file), expected=_expected(expected), today=date.fromisoformat(today), after=after
    )  # fmt: skip


COMMANDS: dict[str, Callable[..., Iterator[Message]]] = {"inspect": _inspect, "look": _look, "rows": _rows}


def list_file(told: Mapping[str, Any]) -> reading.ListFile:
    """A ListFile from its JSON form."""
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    return reading.ListFile(**fields)


def _expected(told: Message) -> Expected:
    elements, aware_on = told["elements"], told["aware_on"]
    return Expected(
        vocabulary=frozenset(told["vocabulary"]), states=told["states"], elements=None if elements is None else tuple(elements),
        aware_on=date.fromisoformat(aware_on) if aware_on else None, seat=told["seat"],
        lists=frozenset(told["lists"]),
        without={key: None if said is None else tuple(said) for key, said in told["without"].items()},
        country=told["country"], countries=told["countries"],
    )  # fmt: skip


class Wire:
    """Messages over the one connection: a length in four bytes, then JSON (or, of a file, bytes).

    Texts of which there are many (`texts`, columns of lines) follow their message as they are, which costs a tenth of JSON.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._incoming = connection, connection.makefile("rb", buffering=PIECE)

    def send(self, message: Message) -> None:
        """One message."""
        columns = [text.encode() for text in message.get("texts", ())]
        if columns:
            message = {**message, "texts": list(map(len, columns))}
        data = json.dumps(message).encode()
        self._connection.sendall(b"".join((LENGTH.pack(len(data)), data, *columns)))

    def receive(self) -> bytes:
        """The next message; nothing when the other side is gone."""
        head = self._incoming.read(LENGTH.size)
        return self._incoming.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""


class _Pieces(io.RawIOBase):
    """A file that somebody else holds, as one that can be read and wound back."""

    def __init__(self, wire: Wire, size: int) -> None:
        self._wire, self._size, self._at = wire, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), PIECE, self._size - self._at)
        if wanted <= 0:
            return 0
        self._wire.send({"piece": [self._at, wanted]})
        data = self._wire.receive()
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def messages(*, raw: BinaryIO, file: reading.ListFile, expected: Expected, today: date, after: int = 0) -> Iterator[Message]:
    """The rows after row `after`, some hundred at a time. Raises FileRefused naming the row."""
    preparer, writer = (
        Preparer(columns=file.columns, expected=expected, today=today),
        _Writer(reading.plain_columns(file.columns)),
    )
    blockwise = Blockwise(
        preparer=preparer, columns=file.columns, today=today, expected=expected, number_of=writer.number_of
    )  # fmt: skip
    came_back = ComeBack(file=file, expected=expected, today=today) if "correction_of" in file.columns else None
    for block in (found.after(after) for found in reading.blocks(raw=raw, file=file)):
        if came_back:
            others = came_back.changed(block.rows())
        else:
            ready, others = blockwise.read(block)
            writer.extend(ready)
        for number, cells in others:
            reads = came_back.reader_of(cells) if came_back else preparer
            writer.add(reads.prepare(number, cells), cells)
        if block.numbers or others:
            yield writer.message()
            if writer.begins_anew:
                blockwise.forget()


class _Writer:
    """Collects rows into messages. What many rows have in common is sent once and named by its number afterwards."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._correction = columns.index("correction_of") if "correction_of" in columns else None
        self._profiles: dict[tuple[Any, ...], int] = {}
        self._rows: list[Row] = []
        self._ready: Ready | None = None
        self._new: list[tuple[Any, ...]] = []
        self._rejected: list[tuple[Any, ...]] = []
        self._columns, self._kept = columns, list[tuple[int, list[str]]]()
        self.begins_anew = True

    def extend(self, ready: Ready | None) -> None:
        """The ordinary rows of a block; they go before the others."""
        self._ready = ready

    def add(self, row: Prepared, cells: list[str]) -> None:
        """One row."""
        corrects = self._corrects(cells) if self._correction is not None else ""
        if row.rejected:
            self._rejected.append((row.number, corrects, vars(row.rejected), cells))
        else:
            plain = row.fields.encode().decode()
            matched = match_values(row.fields).values()
            self._rows.append((row.number, self._profile(row), row.reference, corrects, plain, *matched))
            if row.problems and self._untaken(row, cells):
                self._kept.append((row.number, cells))

    def number_of(self, row: Prepared) -> int | None:
        """The number of an ordinary row's profile; none for a row of which more than its record has to be kept."""
        if row.rejected or any(problem.kind in UNTAKEN for problem in row.problems):
            return None
        return self._profile(row)

    def _corrects(self, cells: list[str]) -> str:
        """The row of an earlier list that this one corrects: a reference of ours, or nothing."""
        if self._correction is None or self._correction >= len(cells):
            return ""
        said = cells[self._correction].strip()
        # What is no reference of ours is passed on as one that names nothing: the list is refused with its row.
        return said if not said or CORRECTION.fullmatch(said) else "?"

    def _untaken(self, row: Prepared, cells: list[str]) -> bool:
        """Whether a cell holds what could not be taken: it stands nowhere else, and whoever is asked has to see it."""
        asked = {problem.column for problem in row.problems if problem.kind in UNTAKEN}
        return "" in asked or any(cell.strip() and name in asked for name, cell in zip(self._columns, cells, strict=False))

    def _profile(self, row: Prepared) -> int:
        profile = (
            row.place.place, row.place.recorded, row.confidence, row.place.possible, row.elements, row.flags, row.language,
            bool(row.fields.emails), row.has_post, row.problems,
        )  # fmt: skip
        known = self._profiles.get(profile)
        if known is None:
            known = self._profiles[profile] = len(self._profiles)
            self._new.append((*profile[:-1], [vars(problem) for problem in row.problems]))
        return known

    def message(self) -> Message:
        """What was collected since the last message."""
        others = list(zip(*self._rows, strict=True)) or [()] * (2 + len(TEXTS))
        numbers, profiles, *columns = others
        if ready := self._ready:
            numbers, profiles = (*ready.numbers, *numbers), (*ready.profiles, *profiles)
            many = len(ready.numbers)
            texts = [_below(many, first, more) for first, more in zip(ready.texts, columns, strict=True)]
        else:
            texts = list(map(lines, columns))
        found = {
            "profiles": self._new, "rejected": self._rejected, "anew": self.begins_anew, "kept": self._kept,
            "rows": numbers, "known": profiles, "texts": texts,
        }  # fmt: skip
        self._new, self._rows, self._rejected, self._kept, self._ready = [], [], [], [], None
        self.begins_anew = len(self._profiles) > MOST_PROFILES
        if self.begins_anew:
            self._profiles.clear()
        return found


def _below(many: int, text: str, more: Sequence[str]) -> str:
    """The lines of `many` rows, and those of more rows below them."""
    if not (more and (text or any(more))):
        return text
    return "\n".join((text or "\n" * (many - 1), *more))
