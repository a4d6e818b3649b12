"""The tree of the log, checked against the definition of RFC 9162 written out naively, for every size up to 100."""

import functools
import hashlib
from typing import Any

import pytest

from incidents.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

SIZES = range(101)
DATA = [f"entry {number}".encode() for number in SIZES]
LEAVES = [leaf_hash(data) for data in DATA]

# The eight leaves and roots that implementations of RFC 6962 have shared since 2013.
SHARED_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
SHARED_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(data: list[bytes]) -> bytes:
    """RFC 9162 2.1.1, word for word."""
    if not data:
        return hashlib.sha256(b"").digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = naive_split(len(data))
    return hashlib.sha256(b"\x01" + naive_root(data[:k]) + naive_root(data[k:])).digest()


def naive_split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def naive_path(m: int, data: list[bytes]) -> list[bytes]:
    """RFC 9162 2.1.3.1, word for word."""
    if len(data) == 1:
        return []
    k = naive_split(len(data))
    if m < k:
        return [*naive_path(m, data[:k]), naive_root(data[k:])]
    return [*naive_path(m - k, data[k:]), naive_root(data[:k])]


def naive_subproof(m: int, data: list[bytes], whole: bool) -> list[bytes]:
    """RFC 9162 2.1.4.1, word for word."""
    if m == len(data):
        return [] if whole else [naive_root(data)]
    k = naive_split(len(data))
    if m <= k:
        return [*naive_subproof(m, data[:k], whole), naive_root(data[k:])]
    return [*naive_subproof(m - k, data[k:], False), naive_root(data[:k])]


ROOTS = [naive_root(DATA[:size]) for size in SIZES]


def test_the_shared_vectors_of_rfc_6962_give_the_shared_roots() -> None:
    leaves = [leaf_hash(bytes.fromhex(text)) for text in SHARED_LEAVES]
    assert [root(leaves[: size + 1]).hex() for size in range(8)] == SHARED_ROOTS


def test_a_leaf_can_never_pass_for_a_node() -> None:
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])


def test_no_entries_have_the_hash_of_nothing_as_root() -> None:
    assert root([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("size", SIZES)
def test_the_root_is_the_one_of_the_definition(size: int) -> None:
    assert root(LEAVES[:size]) == ROOTS[size]


def test_a_frontier_has_the_right_root_after_every_single_append() -> None:
    tree = Frontier()
    for size in SIZES[1:]:
        tree.append(LEAVES[size - 1])
        assert (tree.size, tree.root()) == (size, ROOTS[size])


@pytest.mark.parametrize("size", SIZES)
def test_a_frontier_written_down_and_taken_up_again_goes_on_as_if_nothing_had_been(size: int) -> None:
    tree = Frontier()
    tree.extend(LEAVES[:size])
    resumed = Frontier.from_hex(size=tree.size, hashes=tree.to_hex())
    resumed.extend(LEAVES[size:100])
    assert resumed.root() == ROOTS[100]
    assert Frontier(tree.size, tree.hashes).root() == ROOTS[size]


@pytest.mark.parametrize(("size", "hashes"), [(1, []), (2, LEAVES[:2]), (3, LEAVES[:1]), (-1, LEAVES[:1]), (1, [b"short"])])
def test_a_frontier_that_cannot_be_is_refused(size: int, hashes: list[bytes]) -> None:
    with pytest.raises(ValueError):
        Frontier(size, hashes)


@pytest.mark.parametrize("size", SIZES[1:])
def test_every_leaf_has_the_inclusion_proof_of_the_definition_and_it_verifies(size: int) -> None:
    for index in range(size):
        proof = inclusion_proof(leaf_hashes=LEAVES[:size], index=index)
        assert proof == naive_path(index, DATA[:size])
        assert verify_inclusion(leaf=LEAVES[index], index=index, size=size, proof=proof, root=ROOTS[size])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 33, 100])
def test_an_inclusion_proof_holds_for_no_other_leaf_place_root_or_proof(size: int) -> None:
    for index in range(size):
        proof = inclusion_proof(leaf_hashes=LEAVES[:size], index=index)

        claim: dict[str, Any] = {
            "leaf": LEAVES[index],
            "index": index,
            "size": size,
            "proof": proof,
            "root": ROOTS[size],
        }
        holds = functools.partial(verify_inclusion, **claim)
        assert holds()
        assert not holds(leaf=leaf_hash(b"another"))
        assert not any(holds(index=each) for each in range(-1, size + 2) if each != index)
        assert not holds(root=ROOTS[size - 1])
        assert not holds(proof=[*proof, EMPTY_ROOT])
        assert not proof or not holds(proof=proof[:-1])
        assert not any(holds(proof=[*proof[:at], EMPTY_ROOT, *proof[at + 1 :]]) for at in range(len(proof)))


@pytest.mark.parametrize("new", SIZES)
def test_every_earlier_tree_has_the_consistency_proof_of_the_definition_and_it_verifies(new: int) -> None:
    for old in range(new + 1):
        proof = consistency_proof(leaf_hashes=LEAVES[:new], old_size=old)
        assert proof == (naive_subproof(old, DATA[:new], True) if old else [])
        assert verify_consistency(old_size=old, new_size=new, old_root=ROOTS[old], new_root=ROOTS[new], proof=proof)


@pytest.mark.parametrize("new", [1, 2, 3, 7, 8, 33, 64, 100])
def test_a_consistency_proof_holds_for_no_other_root_size_or_proof(new: int) -> None:
    for old in range(1, new):
        proof = consistency_proof(leaf_hashes=LEAVES[:new], old_size=old)

        claim: dict[str, Any] = {"old_size": old, "new_size": new, "old_root": ROOTS[old], "new_root": ROOTS[new]}
        holds = functools.partial(verify_consistency, **claim, proof=proof)
        assert holds()
        assert not holds(old_root=ROOTS[old - 1])
        assert not holds(new_root=ROOTS[old])
        assert not holds(old_size=new)
        assert not holds(old_size=new + 1)
        assert not holds(proof=[*proof, EMPTY_ROOT])
        assert not holds(proof=proof[:-1])
        assert not any(holds(proof=[*proof[:at], EMPTY_ROOT, *proof[at + 1 :]]) for at in range(len(proof)))


def test_a_rewritten_beginning_is_never_consistent() -> None:
    rewritten = [leaf_hash(b"rewritten"), *LEAVES[1:50]]
    for old in range(1, 50):
        proof = consistency_proof(leaf_hashes=rewritten, old_size=old)
        assert not verify_consistency(old_size=old, new_size=50, old_root=ROOTS[old], new_root=root(rewritten), proof=proof)


def test_the_empty_tree_begins_every_tree_but_only_under_its_own_root() -> None:
    assert verify_consistency(old_size=0, new_size=5, old_root=EMPTY_ROOT, new_root=ROOTS[5], proof=[])
    assert not verify_consistency(old_size=0, new_size=5, old_root=ROOTS[1], new_root=ROOTS[5], proof=[])
    assert not verify_consistency(old_size=0, new_size=0, old_root=ROOTS[1], new_root=ROOTS[1], proof=[])


@pytest.mark.parametrize("index", [-1, 5, 6])
def test_there_is_no_proof_for_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(ValueError):
        inclusion_proof(leaf_hashes=LEAVES[:5], index=index)


@pytest.mark.parametrize("old", [-1, 6])
def test_there_is_no_proof_for_a_size_the_tree_never_had(old: int) -> None:
    with pytest.raises(ValueError):
        consistency_proof(leaf_hashes=LEAVES[:5], old_size=old)
