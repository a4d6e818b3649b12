"""The hash tree of the log: roots, inclusion proofs and consistency proofs as RFC 9162 defines them (section 2.1).

Pure and standard library only. It takes leaf hashes, never entries: a proof for one person shows nobody else's data.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()  # RFC 9162 2.1.1: the root of no entries


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data): the hash of one entry (RFC 9162 2.1.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right): the hash of an inner node (RFC 9162 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """The tree head over these leaf hashes in this order (RFC 9162 2.1.1)."""
    tree = Frontier()
    tree.extend(leaf_hashes)
    return tree.root()


class Frontier:
    """A growing tree kept as one hash per full subtree, the largest first: all that appending and the root need."""

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """Resume a tree of `size` leaves; ValueError unless there is one 32-byte hash per bit set in `size`."""
        self._size, self._hashes = size, list(hashes)
        if size < 0 or len(self._hashes) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves does not have {len(self._hashes)} full subtrees")
        if any(len(each) != HASH_SIZE for each in self._hashes):
            raise ValueError(f"a subtree hash is not {HASH_SIZE} bytes long")

    @classmethod
    def from_hex(cls, *, size: int, hashes: Iterable[str]) -> "Frontier":
        """Resume a tree from `to_hex`; ValueError when the text is not hexadecimal or does not fit the size."""
        return cls(size, [bytes.fromhex(each) for each in hashes])

    def to_hex(self) -> list[str]:
        """The subtree hashes as lower-case hexadecimal, the largest subtree first."""
        return [each.hex() for each in self._hashes]

    @property
    def size(self) -> int:
        """How many leaves the tree holds."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The subtree hashes, the largest subtree first."""
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash; every bit carried in the size merges two full subtrees into one."""
        size = self._size
        while size & 1:
            leaf = node_hash(self._hashes.pop(), leaf)
            size >>= 1
        self._hashes.append(leaf)
        self._size += 1

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Add leaf hashes in order."""
        for leaf in leaf_hashes:
            self.append(leaf)

    def root(self) -> bytes:
        """The tree head over all leaves so far (RFC 9162 2.1.1)."""
        if not self._hashes:
            return EMPTY_ROOT
        *larger, node = self._hashes
        for left in reversed(larger):
            node = node_hash(left, node)
        return node


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (RFC 9162 2.1.1, the k of a tree of n > 1 leaves)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(*, leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from leaf `index` (from 0) to the root, nearest first (RFC 9162 2.1.3.1)."""
    if not 0 <= index < len(leaf_hashes):
        raise ValueError(f"there is no leaf {index} in a tree of {len(leaf_hashes)}")
    proof: list[bytes] = []
    low, high = 0, len(leaf_hashes)
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(root(leaf_hashes[middle:high]))
            high = middle
        else:
            proof.append(root(leaf_hashes[low:middle]))
            low = middle
    return proof[::-1]


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` is leaf `index` of the tree of `size` leaves with this root (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, node = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            node = node_hash(step, node)
            while place & 1 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, step)
        place, last = place >> 1, last >> 1
    return last == 0 and node == root


def consistency_proof(*, leaf_hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """The hashes that show the first `old_size` leaves still begin the tree (RFC 9162 2.1.4.1); empty for 0 and all."""
    if not 0 <= old_size <= len(leaf_hashes):
        raise ValueError(f"a tree of {len(leaf_hashes)} leaves has no earlier size {old_size}")
    if old_size in (0, len(leaf_hashes)):
        return []
    proof: list[bytes] = []
    low, high, whole = 0, len(leaf_hashes), True
    while high != old_size:
        middle = low + _split(high - low)
        if old_size <= middle:
            proof.append(root(leaf_hashes[middle:high]))
            high = middle
        else:
            proof.append(root(leaf_hashes[low:middle]))
            low, whole = middle, False
    if not whole:  # the verifier knows the old root only when it is a subtree of its own
        proof.append(root(leaf_hashes[low:high]))
    return proof[::-1]


def verify_consistency(*, old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the new tree begins with every leaf of the old one, unchanged and in order (RFC 9162 2.1.4.2)."""
    if not 0 <= old_size <= new_size:
        return False
    if old_size == new_size:
        return not proof and old_root == new_root and (new_size > 0 or new_root == EMPTY_ROOT)
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT
    steps = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    return bool(steps) and _climb(steps, old_size, new_size) == (old_root, new_root)


def _climb(steps: Sequence[bytes], old_size: int, new_size: int) -> tuple[bytes, bytes] | None:
    """The old and the new root that the steps lead to (RFC 9162 2.1.4.2, steps 3 to 7), or None if they do not fit."""
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while place & 1 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, step)
        place, last = place >> 1, last >> 1
    return (old, new) if last == 0 else None
