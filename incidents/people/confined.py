"""Lets a stranger's file be read by a child process that has nothing: no database, no keys, little memory and little time.

The child (`parsing`) gets one descriptor to talk over, and one of the file or the right to ask for pieces of it. It answers in
JSON, never in anything that could run; what it says is checked here before it is believed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from incidents.people.reading import FileAsked, FileRefused
from incidents.refusal import Refused

ROOT = Path(__file__).resolve().parents[2]
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from incidents.people.parsing import main; main()"
MEMORY = 512 * 1024**2
#: Seconds of processor time: some for any file, more for every MiB; a packed file unfolds to much more than its size.
LEAST_SECONDS, SECONDS_A_MIB, UNFOLDS = 60, 4, 12
#: Longest message of the child, in bytes, and longest piece of a file that it may ask for.
LONGEST_MESSAGE, LONGEST_PIECE = 96 * 1024**2, 4 * 1024**2
#: How long to wait for its next word, in seconds of the clock.
PATIENCE = 600
LENGTH = struct.Struct(">I")


class ReaderStopped(Refused):
    """The child ended without a word about the file: nothing is lost, the next start goes on."""


class ReaderBroken(Exception):
    """A fault of the program in the child; carries the kind and the place of the fault, never a value."""


class ListSource(Protocol):
    """A list's bytes: a descriptor that may be handed over, or pieces on request."""

    size: int

    def descriptor(self) -> int | None:
        """The open file, where there is one."""

    def piece(self, *, offset: int, size: int) -> bytes:
        """Some bytes; asked for only where there is no descriptor."""


class Reader:
    """One child reading one list; use as a context manager. Commands go in, messages come out."""

    def __init__(self, *, source: ListSource) -> None:
        self._source, self._seconds = source, LEAST_SECONDS + source.size * UNFOLDS * SECONDS_A_MIB // 1024**2
        ours, theirs = socket.socketpair()
        file = source.descriptor()
        shared = [theirs.fileno()] if file is None else [theirs.fileno(), file]
        limits = {"memory": MEMORY, "seconds": self._seconds}
        told = json.dumps({"wire": shared[0], "file": file, "size": source.size, "limits": limits})
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-c", BOOT, str(ROOT), told],
                pass_fds=shared, env={"LANG": "C.UTF-8"}, cwd="/", start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        ours.settimeout(PATIENCE)
        self._wire, self._incoming = ours, ours.makefile("rb", buffering=1024**2)
        #: Called before a piece is asked of the source.
        self.before_piece: Callable[[], None] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._incoming.close()
        self._wire.close()
        self._child.wait()

    def ask(self, **command: Any) -> Iterator[dict[str, Any]]:
        """Give a command and yield the messages of its answer. Raises FileRefused, ReaderStopped, ReaderBroken."""
        with contextlib.suppress(OSError):  # a child that is gone is noticed when its answer is read
            self._send(json.dumps(command).encode())
        while True:
            message = self._message()
            if "piece" in message:
                self._serve(*message["piece"])
            elif "refused" in message:
                raise _refusal(**message)
            elif "fault" in message:
                raise ReaderBroken(str(message["fault"]))
            elif "end" in message:
                return
            else:
                yield message

    def _send(self, data: bytes) -> None:
        self._wire.sendall(LENGTH.pack(len(data)) + data)

    def _serve(self, offset: int, size: int) -> None:
        if offset < 0 or not 0 < size <= LONGEST_PIECE:
            raise ReaderBroken("a piece of the file that cannot be")
        if self.before_piece:
            self.before_piece()
        data = self._source.piece(offset=offset, size=size)
        with contextlib.suppress(OSError):
            self._send(data)

    def _message(self) -> dict[str, Any]:
        try:
            head = self._incoming.read(LENGTH.size)
            size = LENGTH.unpack(head)[0] if len(head) == LENGTH.size else 0
            if size > LONGEST_MESSAGE:
                raise FileRefused("A row of this list is larger than any can be. Look for a missing quotation mark.")
            raw = self._incoming.read(size)
            found: dict[str, Any] = json.loads(raw) if raw and len(raw) == size else {}
            if "texts" in found:
                found["texts"] = self._texts(list(map(int, found["texts"])))
        except TimeoutError:
            raise FileRefused(f"Reading this list stood still for {PATIENCE} seconds. Save it as CSV in UTF-8.") from None
        except OSError:
            raw, size = b"", 1
        if not raw or len(raw) < size:
            raise self._ended()
        return found

    def _texts(self, sizes: list[int]) -> list[list[bytes]]:
        """The columns that follow a message: lines in UTF-8; none where all are empty."""
        size = sum(sizes)
        if min(sizes, default=0) < 0 or size > LONGEST_MESSAGE:
            raise ReaderBroken("texts of a length that cannot be")
        raw = self._incoming.read(size)
        if len(raw) < size:
            raise self._ended()
        raw.decode()  # checked here, and needed nowhere: what is not UTF-8 would be sealed and never opened
        ends = list(accumulate(sizes))
        return [raw[end - own : end].split(b"\n") if own else [] for own, end in zip(sizes, ends, strict=True)]

    def _ended(self) -> Exception:
        """Why the child is gone."""
        code = self._child.wait()
        if code == -signal.SIGXCPU:
            return FileRefused(
                f"Reading this list took more than {self._seconds} seconds of processor time, which no list of its size needs. "
                "Save it as CSV in UTF-8, or split it."
            )
        if code in (-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGILL):
            return FileRefused("This list makes its reader crash. Save it as CSV in UTF-8 and import that.")
        return ReaderStopped(
            "The process that reads the list was stopped from outside. Nothing is lost: start the import again, it goes on."
        )


def _refusal(*, refused: list[str], question: str = "", choices: Sequence[str] = (), for_good: bool = False) -> FileRefused:
    lines = [str(line) for line in refused]
    found = FileAsked(*lines, question=question, choices=choices) if question else FileRefused(*lines)
    found.for_good = for_good
    return found


class OpenFile:
    """A list that lies on this machine, opened by us; the child never sees its name."""

    def __init__(self, *, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (IsADirectoryError, PermissionError):
            raise FileRefused("The file cannot be opened. Give a readable file, not a folder.") from None
        except (OSError, ValueError):
            raise FileRefused("There is no such file. Give the path of the list.") from None
        found = os.fstat(self._file)
        self.size = found.st_size
        os.set_blocking(self._file, True)
        if not stat.S_ISREG(found.st_mode):
            os.close(self._file)
            raise FileRefused("The file cannot be opened. Give a readable file, not a folder.")

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def descriptor(self) -> int | None:
        """The open file."""
        return self._file

    def piece(self, *, offset: int, size: int) -> bytes:
        """Some bytes of it."""
        return os.pread(self._file, size, offset)
