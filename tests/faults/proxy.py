"""A TCP proxy that fails as it is told: before PostgreSQL, the broker and the sink. Runs in a thread; told by its methods.

Ways to fail: `refuse` (nobody listens), `hang` (accepts, answers nothing), `black_hole` (reads and forgets), `drip` (slowly),
`reset_after` N bytes, `half_close`, and `cut_at_commit` for PostgreSQL: the server's COMMIT is done and its answer never comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Any

PIECE = 65536


@dataclass
class How:
    """How connections behave from now on."""

    hang: bool = False
    black_hole: bool = False
    #: Bytes a second, to the client (0: as they come).
    drip: int = 0
    #: RST after so many bytes from the client (0: never).
    reset_after: int = 0
    half_close_after: int = 0
    #: How many answers to COMMIT are still to be lost; how many are let through first.
    cut_commits: int = 0
    spare_commits: int = 0


@dataclass
class Proxy:
    """One port before one server, which is reached by TCP (host, port) or by the path of its socket."""

    target: tuple[str, int] | str
    how: How = field(default_factory=How)
    port: int = 0
    cut: int = 0

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._listen())

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=20)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**22)
            self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Nobody listens any more; what is open is reset."""
        self._call(self._refuse())

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset_all()

    def accept(self) -> None:
        """Listen again, and behave."""
        self.how = How()
        self._call(self._listen())

    def behave(self, **how: Any) -> None:
        """From now on, on new and open connections: only these faults."""
        self.how = How(**how)

    def reset_all(self) -> None:
        """Every open connection gets an RST."""
        self._call(self._reset_all())

    async def _reset_all(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    def stop(self) -> None:
        """End everything."""
        with contextlib.suppress(Exception):
            self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    async def _end(self) -> None:
        await self._refuse()
        waiting = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=2)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self.how.hang:
                await asyncio.sleep(3600)
            if isinstance(self.target, str):
                there = await asyncio.open_unix_connection(self.target, limit=2**22)
            else:
                there = await asyncio.open_connection(*self.target, limit=2**22)
            self._open.add(there[1])
            await self._between(_Wire(reader, writer, *there))
            self._open.discard(there[1])
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # cancelled only at the end of all
        finally:
            self._open.discard(writer)
            with contextlib.suppress(Exception):
                writer.close()

    async def _between(self, wire: _Wire) -> None:
        up, down = asyncio.create_task(self._up(wire)), asyncio.create_task(self._down(wire))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down):
                task.cancel()
            with contextlib.suppress(Exception):
                wire.server_out.close()

    async def _up(self, wire: _Wire) -> None:
        """Client to server."""
        while piece := await wire.client_in.read(PIECE):
            wire.sent += len(piece)
            if self.how.black_hole:
                continue
            if self.how.cut_commits and b"COMMIT" in piece:
                wire.committing = self._count_commit()
            wire.server_out.write(piece)
            await wire.server_out.drain()
            if self.how.reset_after and wire.sent >= self.how.reset_after:
                _reset(wire.client_out)
                return
            if self.how.half_close_after and wire.sent >= self.how.half_close_after:
                wire.client_out.write_eof()

    def _count_commit(self) -> bool:
        if self.how.spare_commits:
            self.how.spare_commits -= 1
            return False
        self.how.cut_commits -= 1
        return True

    async def _down(self, wire: _Wire) -> None:
        """Server to client."""
        while piece := await wire.server_in.read(self.how.drip or PIECE):
            if wire.committing and b"COMMIT" in piece:
                self.cut += 1
                _reset(wire.client_out)
                return
            if self.how.hang or self.how.black_hole:
                continue
            if self.how.drip:
                await asyncio.sleep(len(piece) / self.how.drip)
            wire.client_out.write(piece)
            await wire.client_out.drain()


@dataclass
class _Wire:
    client_in: asyncio.StreamReader
    client_out: asyncio.StreamWriter
    server_in: asyncio.StreamReader
    server_out: asyncio.StreamWriter
    sent: int = 0
    committing: bool = False


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
