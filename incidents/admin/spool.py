"""An upload on its way to the sealed parts: what lies on the disk is encrypted, under a key that is never written down."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import IO

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload

#: Bytes in one sealed piece.
PIECE = 1024**2
#: Larger lists are refused while they arrive; the same limit as for reading.
LARGEST = 2 * 1024**3


class Spool:
    """Takes bytes in order and gives them back once; what is on the disk is AES-256-GCM, its key only in this object."""

    def __init__(self) -> None:
        self._key = AESGCM(AESGCM.generate_key(256))
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the upload)
        self._lengths: list[int] = []
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Seal one piece."""
        number = len(self._lengths)
        sealed = self._key.encrypt(number.to_bytes(12, "big"), piece, None)
        self._file.write(sealed)
        self._lengths.append(len(sealed))
        self.size += len(piece)

    def pieces(self) -> Iterator[bytes]:
        """Everything again, in order."""
        self._file.seek(0, os.SEEK_SET)
        for number, length in enumerate(self._lengths):
            yield self._key.decrypt(number.to_bytes(12, "big"), self._file.read(length), None)

    def close(self) -> None:
        """Let go of the file; it has no name and is gone with this."""
        self._file.close()


class SpooledUpload(UploadedFile):  # type: ignore[type-arg]  # generic in the stubs only
    """An uploaded file whose bytes are read by `chunks` only. Its name, as the browser gave it, is never used."""

    def __init__(self, spool: Spool) -> None:
        super().__init__(file=None, name="list", size=spool.size)
        self.spool = spool

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The pieces as they came."""
        return self.spool.pieces()

    def close(self) -> None:
        """Forget the bytes."""
        self.spool.close()


class SealingHandler(FileUploadHandler):
    """Instead of Django's handlers, which would write a large upload to the disk as it is."""

    chunk_size = PIECE

    def new_file(self, *args: object, **kwargs: object) -> None:
        """A file begins."""
        super().new_file(*args, **kwargs)  # type: ignore[arg-type]
        self.spool = Spool()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """A piece of it arrives; beyond the limit the connection is closed."""
        if start + len(raw_data) > LARGEST:
            raise StopUpload(connection_reset=True)
        self.spool.write(raw_data)

    def file_complete(self, file_size: int) -> SpooledUpload:
        """All of it is here."""
        return SpooledUpload(self.spool)
