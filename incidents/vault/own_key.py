"""A small record under a key of its own, which the master key wraps: for what belongs to the installation and to no incident.

The record and its key name the row they stand in, so that neither opens in another. A rotation of the master key wraps the key
anew and leaves the record as it is.
"""

from __future__ import annotations

import os

from incidents.vault.master import CannotOpen, MasterKeyWrong, decrypt, encrypt, unwrap, wrap

KEY_BYTES, LENGTH_BYTES = 32, 2


def seal_row(*, plain: bytes, table: str, row: int) -> bytes:
    """The record of one row, its wrapped key in front. Raises MasterKeyUnreachable."""
    key, context = os.urandom(KEY_BYTES), _context(table, row)
    wrapped = wrap(key=key, context=context)
    return len(wrapped).to_bytes(LENGTH_BYTES) + wrapped + encrypt(key, plain, context)


def open_row(*, sealed: bytes, table: str, row: int) -> bytes:
    """What `seal_row` sealed for this very row. Raises CannotOpen, MasterKeyUnreachable."""
    wrapped, record = _parted(sealed)
    context = _context(table, row)
    try:
        return decrypt(unwrap(wrapped=wrapped, context=context).key, record, context)
    except MasterKeyWrong:
        raise CannotOpen(f"{table} does not open with this master key") from None


def wrap_row_again(*, sealed: bytes, table: str, row: int) -> bytes | None:
    """The same record with its key under the present master key; None when it stands there already. Raises MasterKeyWrong."""
    wrapped, record = _parted(sealed)
    found = unwrap(wrapped=wrapped, context=_context(table, row))
    if found.by_present:
        return None
    again = wrap(key=found.key, context=_context(table, row))
    return len(again).to_bytes(LENGTH_BYTES) + again + record


def _parted(sealed: bytes) -> tuple[bytes, bytes]:
    end = LENGTH_BYTES + int.from_bytes(sealed[:LENGTH_BYTES])
    return sealed[LENGTH_BYTES:end], sealed[end:]


def _context(table: str, row: int) -> str:
    return f"{table}|{row}|1"
