"""The evidence bundle and its checker: an honest bundle passes, any other fails, and the failure names its place."""

import ast
import base64
import functools
import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from incidents.audit import bundle_format, verify_bundle
from incidents.audit.bundle_format import canonical_json, checkpoint_text, sign_note, verifier_key, write_bundle
from tests.audit.bundles import CAMPAIGN, KEY, ORIGIN, STRANGER, Draft, content, freeze, honest, pinned, send, subject

ENTRIES = "entries/000000000.jsonl"
DOCS = Path(__file__).parents[2] / "docs" / "evidence.md"


@pytest.fixture(autouse=True)
def _remember_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same signature over the same text is computed once: thousands of flips leave it as it is."""
    monkeypatch.setattr(verify_bundle, "ed25519_valid", functools.lru_cache(verify_bundle.ed25519_valid))


@pytest.fixture
def short_checker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ship a short verify.py, so that every single byte of the bundle can be flipped in seconds."""
    own = bundle_format._own_files
    monkeypatch.setattr(bundle_format, "_own_files", lambda key: [own(key)[0], ("verify.py", b"print('short')\n")])


def failures(path: Path, *, fingerprint: str = pinned()) -> list[str]:
    """The lines that say what failed; every one names a place."""
    report = verify_bundle.verify(path=str(path), fingerprint=fingerprint)
    failed = [line for line in report.lines if line.startswith("FAILED")]
    assert bool(failed) == bool(report.faults)
    assert all(re.match(r"FAILED  .+: .", line) for line in failed), failed
    return failed


def unpack(bundle: Path) -> Path:
    """The bundle as a folder beside it."""
    folder = bundle.with_suffix("")
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder


def found(draft: Draft, tmp_path: Path) -> str:
    """What fails in a draft that its log's own key has signed."""
    return "\n".join(failures(draft.write(tmp_path / "bundle.zip")))


# Honest bundles


@pytest.mark.parametrize("people", [3, 4, 40])
def test_an_honest_bundle_passes_as_a_zip_and_as_a_folder(tmp_path: Path, people: int) -> None:
    bundle = honest(people=people).write(tmp_path / "bundle.zip")
    assert failures(bundle) == failures(unpack(bundle)) == []


def test_a_bundle_without_any_campaign_or_any_entry_passes(tmp_path: Path) -> None:
    draft = Draft()
    assert found(draft, tmp_path) == ""
    draft.add("incident.opened", actor="dora")
    assert found(draft, tmp_path) == ""


def test_two_campaigns_of_one_incident_are_counted_apart(tmp_path: Path) -> None:
    draft = honest()
    freeze(draft, people=5, campaign="second")
    draft.add("content.approved", actor="dora", campaign="second", **draft.roots("second"))
    draft.add("release.approved", actor="lena", campaign="second", **draft.roots("second"))
    send(draft, campaign="second")
    states = {"delivered": 1, "accepted": 1, "needs_other_channel": 1, "held": 2}
    draft.add("campaign.closed", campaign="second", n=5, states=states)
    assert found(draft, tmp_path) == ""


def test_entries_may_lie_in_several_files(tmp_path: Path) -> None:
    draft = honest()
    draft.per_file = 5
    assert found(draft, tmp_path) == ""


def test_the_report_says_who_signed_and_what_was_counted(tmp_path: Path) -> None:
    text = "\n".join(verify_bundle.verify(path=str(honest().write(tmp_path / "bundle.zip"))).lines)
    assert pinned() in text
    assert "WARNING compare that fingerprint" in text
    assert f"campaign {CAMPAIGN}: 4 people, 2 letters" in text


def test_two_hundred_random_honest_bundles_raise_no_false_alarm(tmp_path: Path) -> None:
    dice = random.Random(7)
    for _ in range(200):
        draft = honest(people=dice.randint(3, 12))
        for _ in range(dice.randint(0, 9)):
            draft.add(
                "access.viewed",
                actor=dice.choice("abc"),
                purpose=dice.choice(["été", 'a "quote"', "a\nline", "\U0001f510"]),
            )
            if dice.random() < 0.3:
                draft.anchor()
        draft.per_file = dice.randint(1, 30)
        assert found(draft, tmp_path) == ""


# One changed byte


@pytest.mark.usefixtures("short_checker")
def test_a_flipped_byte_anywhere_in_the_zip_fails_and_names_its_place(tmp_path: Path) -> None:
    original = honest().write(tmp_path / "bundle.zip").read_bytes()
    flipped, dice = tmp_path / "flipped.zip", random.Random(1)
    for at in range(len(original)):
        changed = bytearray(original)
        changed[at] ^= 1 << dice.randrange(8)
        flipped.write_bytes(changed)
        assert failures(flipped, fingerprint=""), f"byte {at} can be changed"


@pytest.mark.usefixtures("short_checker")
def test_a_flipped_bit_in_any_byte_of_any_unpacked_file_fails_and_names_the_file(tmp_path: Path) -> None:
    folder, dice = unpack(honest().write(tmp_path / "bundle.zip")), random.Random(2)
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name, original = path.relative_to(folder).as_posix(), path.read_bytes()
        for at in range(len(original)):
            changed = bytearray(original)
            changed[at] ^= 1 << dice.randrange(8)
            path.write_bytes(changed)
            failed = failures(folder, fingerprint="")
            # A flip in log.pem makes another key, which the checkpoint is not signed with.
            named = (name, "checkpoint.txt") if name == "log.pem" else (name,)
            assert any(line.startswith(f"FAILED  {each}") for line in failed for each in named), f"{name} byte {at}"
        path.write_bytes(original)
    assert failures(folder) == []


def test_flips_in_a_bundle_with_the_real_checker_fail_too(tmp_path: Path) -> None:
    original = honest().write(tmp_path / "bundle.zip").read_bytes()
    flipped, dice = tmp_path / "flipped.zip", random.Random(3)
    for at in dice.sample(range(len(original)), 1000):
        changed = bytearray(original)
        changed[at] ^= 1 << dice.randrange(8)
        flipped.write_bytes(changed)
        assert failures(flipped), f"byte {at} can be changed"


@pytest.mark.usefixtures("short_checker")
def test_a_zip_cut_short_or_lengthened_anywhere_fails(tmp_path: Path) -> None:
    original = honest().write(tmp_path / "bundle.zip").read_bytes()
    changed = tmp_path / "changed.zip"
    for at in range(0, len(original), 7):
        for other in (original[:at], original[:at] + b"\0" + original[at:], original[:at] + original[at + 1 :]):
            changed.write_bytes(other)
            assert failures(changed)
    changed.write_bytes(original + b"\0")
    assert failures(changed) == ["FAILED  the end of the zip: bytes follow it"]


def test_whatever_the_bytes_there_is_a_verdict_and_no_traceback(tmp_path: Path) -> None:
    dice, path = random.Random(4), tmp_path / "noise.zip"
    headers = [b"", b"PK\3\4", b"PK\5\6" + bytes(18), b"PK\3\4" + bytes(26), b"PK\3\4" + b"\xff" * 26]
    for size in (0, 1, 30, 31, 500):
        for header in headers:
            path.write_bytes(header + dice.randbytes(size))
            assert failures(path)


NASTY_LINES = [
    b"[" * 100_000,
    b"9" * 10_000,
    b"1e999",
    b"NaN",
    b'{"a":NaN}',
    b'"\\ud800"',
    b"\xff\xfe{\0}\0",
    b"\0",
    b"",
    b"null",
    b"{}",
    b'{"action":1}',
    b'{"a":1,"a":1}',
    b"{" + b'"a":{' * 5000,
]


@pytest.mark.parametrize("line", NASTY_LINES, ids=range(len(NASTY_LINES)))
@pytest.mark.parametrize("name", [ENTRIES, f"register/{CAMPAIGN}.jsonl"])
def test_a_nasty_line_is_named_and_never_a_traceback(tmp_path: Path, name: str, line: bytes) -> None:
    draft = honest()
    files = draft.files()
    lines = files[name].splitlines(keepends=True)
    files[name] = b"".join([*lines[:2], line + b"\n", *lines[2:]])
    failed = failures(draft.write(tmp_path / "bundle.zip", files=files))
    assert any(each.startswith(f"FAILED  {name}, line 3:") for each in failed), failed


@pytest.mark.parametrize("value", [None, 1, [], {}, "", "x", True, -1, 2**53 - 1])
@pytest.mark.parametrize("part", ["data", "campaign", "state", "states", "n", "size", "root", "chunk", "second", "register_root"])
def test_a_field_of_another_kind_is_a_failure_and_never_a_crash_of_the_checker(tmp_path: Path, part: str, value: object) -> None:
    draft = honest()
    for entry in draft.entries:
        if part == "data":
            entry["data"] = value
        elif part in entry["data"]:
            entry["data"][part] = value
    path = draft.write(tmp_path / "bundle.zip")
    failed = failures(path)
    assert not any(str(path) in line for line in failed), "the checker itself gave up"
    assert failed or (part, value) in [("state", ""), ("chunk", value), ("second", "x")]


# Changes by somebody without the key


def by_hand(folder: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the entries of an unpacked bundle and make SHA256SUMS fit again."""
    path = folder / ENTRIES
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    names = [line[66:] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "deleted": lambda lines: lines[:9] + lines[10:],
    "inserted": lambda lines: [*lines[:9], lines[0].replace(b'"id":"', b'"id":"ff'), *lines[9:]],
    "swapped": lambda lines: [*lines[:9], lines[10], lines[9], *lines[11:]],
    "duplicated": lambda lines: [*lines[:9], lines[9], *lines[9:]],
    "edited": lambda lines: [line.replace(b"lena", b"lina") for line in lines],
    "cut off": lambda lines: lines[:-1],
    "emptied": lambda lines: [],
}


@pytest.mark.parametrize("kind", CHANGES)
def test_an_entry_changed_without_the_key_fails_though_the_sums_fit(tmp_path: Path, kind: str) -> None:
    folder = unpack(honest().write(tmp_path / "bundle.zip"))
    by_hand(folder, CHANGES[kind])
    failed = "\n".join(failures(folder))
    assert "SHA256SUMS: is not the list that the checkpoint signed" in failed
    assert "entries 1 to 18 do not have the root given here" in failed


@pytest.mark.parametrize("kind", ["deleted", "swapped", "duplicated", "inserted"])
def test_the_first_anchor_after_a_change_fails_so_the_change_lies_before_it(tmp_path: Path, kind: str) -> None:
    folder = unpack(honest().write(tmp_path / "bundle.zip"))
    by_hand(folder, CHANGES[kind])
    anchors = [line for line in failures(folder) if "do not have the root given here" in line or "not there yet" in line]
    assert any(line.startswith(f"FAILED  {ENTRIES}, line 1") for line in anchors)
    assert not any("entries 1 to 4 " in line for line in anchors)


def test_a_missing_an_added_and_a_linked_file_are_named(tmp_path: Path) -> None:
    folder = unpack(honest().write(tmp_path / "bundle.zip"))
    (folder / "letters" / "extra.json").write_text("{}")
    assert failures(folder) == ["FAILED  letters/extra.json: is in the bundle but not in SHA256SUMS"]
    (folder / "letters" / "extra.json").unlink()
    (folder / ENTRIES).rename(tmp_path / "elsewhere")
    assert failures(folder)[0] == f"FAILED  {ENTRIES}: is missing"
    (folder / ENTRIES).symlink_to(tmp_path / "elsewhere")
    assert failures(folder) == [f"FAILED  {ENTRIES}: is neither a file nor a folder"]


@pytest.mark.parametrize("name", ["checkpoint.txt", "SHA256SUMS", "log.pem"])
def test_a_bundle_without_one_of_its_own_files_fails(tmp_path: Path, name: str) -> None:
    folder = unpack(honest().write(tmp_path / "bundle.zip"))
    (folder / name).unlink()
    assert failures(folder)[0] == f"FAILED  {name}: is missing"


def test_a_bundle_signed_again_with_another_key_fails_against_the_pinned_one(tmp_path: Path) -> None:
    bundle = honest().write(tmp_path / "bundle.zip", key=STRANGER)
    assert failures(bundle, fingerprint="") == []
    assert failures(bundle)[0].startswith(f"FAILED  log.pem: is the key with fingerprint {pinned(STRANGER)}")


def test_the_checkpoint_of_another_bundle_does_not_fit_this_one(tmp_path: Path) -> None:
    shorter = honest()
    del shorter.entries[-1]
    folder = unpack(honest().write(tmp_path / "bundle.zip"))
    other = unpack(shorter.write(tmp_path / "other.zip"))
    shutil.copy(other / "checkpoint.txt", folder / "checkpoint.txt")
    assert any("but 17 were signed" in line for line in failures(folder))


def test_a_signature_by_a_further_key_is_left_to_its_owner(tmp_path: Path) -> None:
    folder = unpack(honest().write(tmp_path / "bundle.zip"))
    note = (folder / "checkpoint.txt").read_text()
    text = note.partition("\n\n")[0] + "\n"
    witness = sign_note(text=text, key_name="witness.example", private_key=STRANGER).partition("\n\n")[2]
    (folder / "checkpoint.txt").write_text(note + witness)
    assert failures(folder) == []
    (folder / "checkpoint.txt").write_text(f"{text}\n{witness}")
    assert failures(folder)


# Bundles that the log's own key signed, and that are not honest


def test_a_count_that_is_not_the_entries_is_named(tmp_path: Path) -> None:
    draft = honest()
    draft.find("campaign.closed")["data"]["states"]["held"] = 0
    assert f"{ENTRIES}, line 18: does not count what is there" in found(draft, tmp_path)


def test_a_number_of_people_that_is_not_the_registers_is_named(tmp_path: Path) -> None:
    draft = honest()
    draft.find("campaign.closed")["data"]["n"] = 3
    assert f"{ENTRIES}, line 18: does not count what is there" in found(draft, tmp_path)


def test_the_number_of_people_may_be_left_out_at_the_end_but_not_when_freezing(tmp_path: Path) -> None:
    draft = honest()
    del draft.find("campaign.closed")["data"]["n"]
    assert found(draft, tmp_path) == ""
    del draft.find("register.frozen")["data"]["n"]
    assert f"{ENTRIES}, line 4: cannot be read: KeyError('n')" in found(draft, tmp_path)


def test_one_person_cannot_approve_and_release(tmp_path: Path) -> None:
    draft = honest()
    draft.find("release.approved")["actor"] = "dora"
    assert f"{ENTRIES}, line 7: is by dora, but content.approved by dora" in found(draft, tmp_path)


@pytest.mark.parametrize("editor", ["ada", "felix", ""])
def test_who_edited_or_froze_cannot_approve_the_content(tmp_path: Path, editor: str) -> None:
    draft = honest()
    draft.find("content.approved")["actor"] = editor
    assert f"{ENTRIES}, line 6: is by {editor}, who froze or edited" in found(draft, tmp_path)


def test_a_letter_edited_for_another_campaign_does_not_bar_its_editor(tmp_path: Path) -> None:
    draft = honest()
    draft.find("letter.edited").update(actor="dora", data={"campaign": "another"})
    draft.entries = [each for each in draft.entries if each["action"] != "anchor.sent"]
    assert found(draft, tmp_path) == ""


@pytest.mark.parametrize("which", ["content.approved", "release.approved"])
@pytest.mark.parametrize("name", ["register_root", "letters_root"])
def test_an_approval_of_other_roots_than_those_frozen_is_named(tmp_path: Path, which: str, name: str) -> None:
    draft = honest()
    draft.find(which)["data"][name] = "0" * 64
    line = draft.entries.index(draft.find(which)) + 1
    assert f"{ENTRIES}, line {line}: approves other roots" in found(draft, tmp_path)


def moved(draft: Draft, action: str, *, to: int) -> Draft:
    """Move the first entry of an action to another place in the order; anchors after it go, they would fail too."""
    entry = draft.find(action)
    draft.entries.remove(entry)
    draft.entries.insert(to, entry)
    draft.entries = [each for each in draft.entries if each["action"] != "anchor.sent"]
    return draft


def test_a_release_before_the_content_was_approved_is_named(tmp_path: Path) -> None:
    assert f"{ENTRIES}, line 5: is by lena, but content.approved by None" in found(
        moved(honest(), "release.approved", to=5), tmp_path
    )


def test_a_chunk_claimed_before_the_release_is_named(tmp_path: Path) -> None:
    assert f"{ENTRIES}, line 6: comes before release.approved" in found(moved(honest(), "chunk.claimed", to=6), tmp_path)


@pytest.mark.parametrize("action", ["attempt.accepted", "attempt.refused", "attempt.doubt"])
def test_an_attempt_before_approval_is_named(tmp_path: Path, action: str) -> None:
    draft = moved(honest(), action, to=5)
    assert f"{ENTRIES}, line 5: comes before release.approved and chunk.claimed" in found(draft, tmp_path)


def test_an_attempt_outside_any_claimed_chunk_is_named(tmp_path: Path) -> None:
    draft = honest()
    draft.find("attempt.refused")["data"]["chunk"] = "k2"
    assert f"{ENTRIES}, line 11: comes before release.approved and chunk.claimed" in found(draft, tmp_path)


def test_no_chunk_is_claimed_after_a_stop_but_one_that_was_may_end(tmp_path: Path) -> None:
    draft = Draft(honest().entries[:8], honest().registers, honest().letters)
    draft.add("campaign.stopped", actor="dora", campaign=CAMPAIGN)
    about = {"campaign": CAMPAIGN, "chunk": "k1", "content_sha256": content(0), "state": "accepted"}
    draft.add("attempt.accepted", subject=subject(0), **about)
    assert found(draft, tmp_path) == ""
    draft.add("chunk.claimed", campaign=CAMPAIGN, chunk="k2", token=2, n=1, list_sha256="0" * 64)
    assert f"{ENTRIES}, line 11: comes before release.approved or after a stop" in found(draft, tmp_path)


def test_a_letter_other_than_the_registered_one_is_named(tmp_path: Path) -> None:
    draft = honest()
    draft.find("attempt.accepted")["data"]["content_sha256"] = content(2)
    assert f"{ENTRIES}, line 9: its content_sha256 is not the register's" in found(draft, tmp_path)


@pytest.mark.parametrize("action", ["attempt.accepted", "event.received", "message.moved", "doubt.resolved"])
def test_an_entry_about_somebody_outside_the_register_is_named(tmp_path: Path, action: str) -> None:
    draft = honest()
    draft.find(action)["subject"] = subject(77)
    assert "is about a person outside the register" in found(draft, tmp_path)


def test_an_event_that_matched_nobody_is_no_failure(tmp_path: Path) -> None:
    draft = honest()
    draft.add("event.received", provider="local")
    assert found(draft, tmp_path) == ""


def test_a_campaign_that_was_never_frozen_is_named(tmp_path: Path) -> None:
    draft = honest()
    draft.add("campaign.closed", campaign="phantom", n=0, states={})
    assert f"{ENTRIES}, line 19: is about a campaign that was not frozen" in found(draft, tmp_path)


def test_a_register_frozen_twice_is_named(tmp_path: Path) -> None:
    draft = honest()
    freeze(draft, people=4)
    assert f"{ENTRIES}, line 19: freezes a register again" in found(draft, tmp_path)


def without_resolution() -> Draft:
    draft = honest()
    draft.entries = [each for each in draft.entries if each["action"] not in ("doubt.resolved", "anchor.sent")]
    return draft


def test_a_doubt_may_stay_open_while_the_campaign_runs(tmp_path: Path) -> None:
    draft = without_resolution()
    draft.entries = draft.entries[:-2]
    assert found(draft, tmp_path) == ""


def test_a_doubt_may_stay_open_at_the_end_if_it_is_counted(tmp_path: Path) -> None:
    draft = without_resolution()
    for each in draft.entries[-2:]:
        each["data"]["states"] = {"delivered": 1, "in_doubt": 1, "needs_other_channel": 1, "held": 1}
    assert found(draft, tmp_path) == ""


@pytest.mark.parametrize("made", ["attempt.doubt", "message.moved"], ids=["by a try", "after a restored backup"])
def test_a_doubt_that_an_event_hid_but_nobody_resolved_is_named(tmp_path: Path, made: str) -> None:
    draft = without_resolution()
    next(each for each in draft.entries if each["action"] == "attempt.doubt")["action"] = made
    draft.entries[-3]["data"]["state"] = "refused"
    event = next(each for each in draft.entries if each["action"] == "event.received" and each["subject"] == subject(1))
    event["data"]["state"] = "accepted"
    draft.entries[-3]["data"]["state"] = "needs_other_channel"
    assert f"{ENTRIES}, line 9: is a doubt left open" in found(draft, tmp_path)


@pytest.mark.parametrize("second", ["ada", "", None])
@pytest.mark.parametrize("action", ["person.excluded", "queue.rejected"])
def test_excluding_somebody_takes_two_people(tmp_path: Path, action: str, second: str | None) -> None:
    draft = honest()
    draft.find("person.excluded").update(action=action, data={"second": second})
    assert f"{ENTRIES}, line 3: needs two different people" in found(draft, tmp_path)


def test_a_person_dropped_from_the_register_is_noticed(tmp_path: Path) -> None:
    draft = honest(people=6)
    draft.registers[CAMPAIGN].pop()
    failed = found(draft, tmp_path)
    assert f"line 4: register_root is not the root of register/{CAMPAIGN}.jsonl" in failed
    assert "line 18: does not count what is there" in failed


def test_a_register_out_of_order_or_with_somebody_twice_is_named(tmp_path: Path) -> None:
    draft = honest()
    draft.registers[CAMPAIGN][1]["subject"] = draft.registers[CAMPAIGN][0]["subject"]
    assert f"register/{CAMPAIGN}.jsonl, line 2: is not in the order of subjects" in found(draft, tmp_path)


def test_a_letter_that_is_missing_or_not_what_its_name_says_is_named(tmp_path: Path) -> None:
    draft = honest()
    letter = draft.registers[CAMPAIGN][0]["letter"]
    draft.letters[letter] = b"another letter"
    assert f"register/{CAMPAIGN}.jsonl, line 1: has no letters/{letter}.json" in found(draft, tmp_path)
    del draft.letters[letter]
    assert f"register/{CAMPAIGN}.jsonl, line 1: has no letters/{letter}.json" in found(draft, tmp_path)


def test_letters_other_than_those_frozen_are_named(tmp_path: Path) -> None:
    draft = honest()
    draft.find("register.frozen")["data"]["letters_root"] = "0" * 64
    assert "line 4: letters_root is not the root of the letters" in found(draft, tmp_path)


def test_an_anchor_that_does_not_fit_or_is_ahead_of_its_time_is_named(tmp_path: Path) -> None:
    draft = honest()
    draft.find("anchor.sent")["data"]["root"] = "0" * 64
    assert f"{ENTRIES}, line 5: entries 1 to 4 do not have the root given here" in found(draft, tmp_path)
    draft.find("anchor.sent")["data"]["size"] = 5
    assert f"{ENTRIES}, line 5: anchors entries that were not there yet" in found(draft, tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("at", "2025-06-03T09:00:00Z"),
        ("at", "2025-06-03 09:00:00.000000Z"),
        ("id", ""),
        ("id", "XYZ"),
        ("v", 2),
        ("subject", "Claire Martin"),
        ("actor", 7),
        ("extra", "field"),
    ],
)
def test_an_entry_of_another_form_is_named(tmp_path: Path, name: str, value: object) -> None:
    draft = honest()
    draft.entries[0][name] = value
    assert f"FAILED  {ENTRIES}, line 1: has" in found(draft, tmp_path)


def test_an_entry_that_repeats_an_id_is_named(tmp_path: Path) -> None:
    draft = honest()
    draft.add("access.viewed")
    draft.entries[-1]["id"] = draft.entries[0]["id"]
    assert f"{ENTRIES}, line 19: has a malformed field, or the id of an earlier entry" in found(draft, tmp_path)


@pytest.mark.parametrize("spelling", [b' {"a":1}', b'{"b":1,"a":1}', b'{"a": 1}', b'{"a":1.0}', b'{"a":"\\u00e9"}', b'{"a":-0}'])
def test_a_line_in_another_spelling_than_the_canonical_one_is_named(tmp_path: Path, spelling: bytes) -> None:
    draft = honest()
    files = draft.files()
    files[ENTRIES] = spelling + b"\n" + files[ENTRIES]
    failed = failures(draft.write(tmp_path / "bundle.zip", files=files))
    assert f"FAILED  {ENTRIES}, line 1: is not a JSON object in its canonical form" in failed


def test_a_last_line_without_newline_is_named(tmp_path: Path) -> None:
    draft = honest()
    files = draft.files()
    files[ENTRIES] = files[ENTRIES][:-1]
    assert f"FAILED  {ENTRIES}, line 18: does not end with a newline" in failures(draft.write(tmp_path / "b.zip", files=files))


# Ed25519 in plain Python

RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_the_vectors_of_rfc_8032_are_valid_and_no_change_of_them_is(public: str, message: str, signature: str) -> None:
    key, text, seal = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    assert verify_bundle.ed25519_valid(key, text, seal)
    assert not verify_bundle.ed25519_valid(key, text + b"x", seal)
    for at in range(64):
        assert not verify_bundle.ed25519_valid(key, text, seal[:at] + bytes([seal[at] ^ 1]) + seal[at + 1 :])


def test_the_plain_python_signature_check_agrees_with_the_library() -> None:
    dice = random.Random(5)
    for _ in range(30):
        key, text = Ed25519PrivateKey.from_private_bytes(dice.randbytes(32)), dice.randbytes(dice.randrange(100))
        public, seal = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), key.sign(text)
        assert verify_bundle.ed25519_valid(public, text, seal)
        assert not verify_bundle.ed25519_valid(public, text, dice.randbytes(64))
        larger = int.from_bytes(seal[32:], "little") + verify_bundle.ORDER
        assert not verify_bundle.ed25519_valid(public, text, seal[:32] + larger.to_bytes(32, "little"))


@pytest.mark.parametrize("public", [b"\xff" * 32, bytes(31) + b"\x80", b"\2" + bytes(31), b"\1" + bytes(30) + b"\x80"])
def test_what_is_no_point_of_the_curve_is_no_key(public: bytes) -> None:
    assert not verify_bundle.ed25519_valid(public, b"", bytes(64)) or public == bytes(31) + b"\x80"


# The format


@pytest.mark.parametrize(
    ("value", "spelling"),
    [
        ({"b": 1, "a": [True, None, "é"]}, '{"a":[true,null,"é"],"b":1}'),
        ("e\u0301", '"é"'),
        ("\u2028\x7f\x1f\n", '"\u2028\x7f\\u001f\\n"'),
        ((1, -(2**53) + 1), "[1,-9007199254740991]"),
    ],
)
def test_a_value_has_one_spelling(value: object, spelling: str) -> None:
    assert canonical_json(value) == spelling.encode()


@pytest.mark.parametrize("value", [1.5, float("nan"), {"é": 1}, {1: 1}, "\ud800", 2**53, -(2**53), b"x", {"a": {1.0}}])
def test_what_has_no_single_spelling_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical_json(value)


def test_a_checkpoint_reads_as_c2sp_says() -> None:
    text = checkpoint_text(origin="example.com/log", size=7, root=bytes(32), extensions=["sha256sums ab"])
    assert text == "example.com/log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nsha256sums ab\n"
    *_, empty, seal, end = sign_note(text=text, key_name="example.com/log", private_key=KEY).split("\n")
    public = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    blob = base64.b64decode(seal.removeprefix("— example.com/log "))
    assert (empty, end) == ("", "")
    assert blob[:4] == hashlib.sha256(b"example.com/log\n\x01" + public).digest()[:4]
    assert verify_bundle.ed25519_valid(public, text.encode(), blob[4:])
    assert verifier_key(key_name="example.com/log", public_key_bytes=public).split("+")[:2] == [
        "example.com/log",
        blob[:4].hex(),
    ]


def test_the_example_key_of_the_signed_note_specification_has_its_key_id() -> None:
    name, identity, key = "PeterNeumann", "c74f20a3", "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    public = base64.b64decode(key)[1:]
    assert bundle_format.key_id(key_name=name, public_key_bytes=public).hex() == identity
    assert verifier_key(key_name=name, public_key_bytes=public) == f"{name}+{identity}+{key}"


@pytest.mark.parametrize("origin", ["", "two\nlines", "a\rb"])
def test_an_origin_that_would_break_the_checkpoint_is_refused(origin: str) -> None:
    with pytest.raises(ValueError):
        checkpoint_text(origin=origin, size=0, root=bytes(32))


@pytest.mark.parametrize("name", ["", "two words", "a+b"])
def test_a_key_name_that_would_break_the_signature_line_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        sign_note(text="x\n", key_name=name, private_key=KEY)


def test_the_same_content_gives_the_same_bytes_in_whatever_order_and_slices(tmp_path: Path) -> None:
    files = honest().files()
    one = honest().write(tmp_path / "one.zip").read_bytes()

    def sliced(data: bytes) -> Iterator[bytes]:
        return (data[at : at + 100] for at in range(0, len(data), 100))

    backwards = {name: sliced(files[name]) for name in reversed(files)}
    assert honest().write(tmp_path / "two.zip", files=backwards).read_bytes() == one  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["../x", "/x", "a//b", "a/../b", "C:x", "a\\b", "é", "", "a\n", "log.pem", "verify.py", "Checkpoint.TXT", ".x"],
)
def test_a_name_that_could_leave_the_folder_or_hide_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError):
        honest().write(tmp_path / "bundle.zip", files={name: b""})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [["a", "A"], ["a", "a/b"], ["log.pem/a"]])
def test_names_that_some_disk_would_take_for_one_are_refused(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(ValueError):
        honest().write(tmp_path / "bundle.zip", files=dict.fromkeys(names, b""))


def test_a_bundle_that_fails_midway_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    old = honest().write(tmp_path / "bundle.zip").read_bytes()

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        write_bundle(
            out=tmp_path / "bundle.zip",
            files=[("a", broken())],
            origin=ORIGIN,
            size=0,
            root=bytes(32),
            key_name="k",
            private_key=KEY,
        )
    assert [each.name for each in tmp_path.iterdir()] == ["bundle.zip"]
    assert (tmp_path / "bundle.zip").read_bytes() == old


# The checker as it is shipped


def shipped(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run verify.py as the regulator does: no packages, no environment, no site."""
    command = [sys.executable, "-I", "-S", "verify.py", *arguments]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, check=False)


def test_the_shipped_checker_runs_offline_in_an_empty_environment(tmp_path: Path) -> None:
    bundle = honest().write(tmp_path / "bundle.zip")
    folder = unpack(bundle)
    for target in (".", str(bundle)):
        run = shipped(folder, target, "--key", pinned())
        assert (run.returncode, run.stderr) == (0, ""), run.stdout
        assert run.stdout.endswith("PASSED  every check\n")
    assert failures(folder) == [], "running the checker inside the bundle must not change the bundle"


def test_the_shipped_checker_says_no_with_exit_code_1_and_usage_with_2(tmp_path: Path) -> None:
    folder = unpack(honest().write(tmp_path / "bundle.zip"))
    for wrong in (["nowhere"], [".", "--key", ""], [".", "--key", "abc"], [], ["."] * 2):
        assert shipped(folder, *wrong).returncode == 2
    (folder / "é\x1b[2J\n").write_text("")
    run = shipped(folder, ".", "--key", pinned(STRANGER).upper())
    assert (run.returncode, run.stderr) == (1, "")
    assert r"\xe9\x1b[2J\n" in run.stdout
    assert run.stdout.isascii()
    assert run.stdout.endswith("FAILED  2 checks\n")


def test_the_checker_is_one_short_file_of_the_standard_library_for_python_3_9() -> None:
    source = Path(verify_bundle.__file__).read_text()
    tree = ast.parse(source, feature_version=(3, 9))
    imported = {each.module for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
    imported |= {name.name for each in ast.walk(tree) if isinstance(each, ast.Import) for name in each.names}
    assert {str(name).partition(".")[0] for name in imported} <= sys.stdlib_module_names
    assert not imported & {"socket", "urllib", "http", "subprocess", "ssl"}
    assert len(source.splitlines()) <= 400


@pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("bash")), reason="openssl is not installed")
def test_the_commands_of_the_page_verify_a_bundle_by_hand_and_refuse_a_changed_one(tmp_path: Path) -> None:
    (commands,) = re.findall(r"```bash\n(# By hand.*?)```", DOCS.read_text(), re.DOTALL)
    folder = unpack(honest().write(tmp_path / "bundle.zip"))

    def by_commands() -> subprocess.CompletedProcess[str]:
        command = ["bash", "-e", "-o", "pipefail", "-c", commands]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    run = by_commands()
    assert run.returncode == 0, run.stderr
    assert "Signature Verified Successfully" in run.stdout
    assert pinned() in run.stdout
    (folder / ENTRIES).write_bytes((folder / ENTRIES).read_bytes().replace(b"lena", b"lina"))
    assert by_commands().returncode != 0
    by_hand(folder, lambda lines: lines)
    assert by_commands().returncode != 0
    text = (folder / "checkpoint.txt").read_text()
    sums = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
    (folder / "checkpoint.txt").write_text(re.sub("sha256sums .*", f"sha256sums {sums}", text))
    assert by_commands().returncode != 0


def test_an_entry_is_one_line_that_any_tool_can_read(tmp_path: Path) -> None:
    folder = unpack(honest().write(tmp_path / "bundle.zip"))
    entries = [json.loads(line) for line in (folder / ENTRIES).read_text().splitlines()]
    assert entries == honest().entries


# Amendments, corrections and exclusions


def amended(*, joined: bool = True, opened: bool = True) -> Draft:
    """The honest story, then an amendment with somebody found late and Yuki, whose address was corrected."""
    draft = honest()
    about = {"campaign": CAMPAIGN, "state": "replaced", "reason": "corrected"}
    if opened:
        draft.add("amendment.opened", actor="ada", amendment=1, aware_at="2025-09-01T08:00:00+00:00")
    draft.add("message.moved", actor="ada", subject=subject(2), **about)
    if joined:
        draft.add("person.joined", actor="ada", subject=subject(0), amendment=1, reason="the letter named no date")
    draft.registers["c2"] = [
        {"subject": subject(number), "cohort": "fr-mail", "commitment": content(number), "letter": "", "content_sha256": "",
         "state": "held"}
        for number in (0, 2, 7)
    ]  # fmt: skip
    draft.add("register.frozen", actor="felix", campaign="c2", n=3, states={"held": 3}, amendment=1, **draft.roots("c2"))
    return draft


def test_an_amendment_of_the_corrected_the_late_and_those_who_joined_by_name_passes(tmp_path: Path) -> None:
    assert found(amended(), tmp_path) == ""


def test_somebody_of_an_earlier_register_who_did_not_join_is_noticed(tmp_path: Path) -> None:
    assert "has people who did not join it" in found(amended(joined=False), tmp_path)


def test_a_register_of_an_amendment_that_nobody_opened_or_that_has_one_already_is_noticed(tmp_path: Path) -> None:
    assert "has people who did not join it" in found(amended(opened=False), tmp_path)
    again = amended()
    again.registers["c3"] = []
    again.add("register.frozen", actor="felix", campaign="c3", n=0, states={}, amendment=1, **again.roots("c3"))
    assert "has people who did not join it" in found(again, tmp_path)


@pytest.mark.parametrize("state", ["replaced", "cancelled", "excluded"])
def test_a_letter_to_somebody_whom_the_register_left_is_noticed(tmp_path: Path, state: str) -> None:
    draft = honest()
    draft.add("person.excluded", actor="ada", subject=subject(2), second="dora", reason="a test record")
    draft.add("message.moved", actor="ada", subject=subject(2), campaign=CAMPAIGN, state=state)
    assert found(draft, tmp_path) == ""
    draft.add("attempt.accepted", subject=subject(2), campaign=CAMPAIGN, chunk="k1", state="accepted", content_sha256=content(2))
    assert f"tells somebody who is {state}" in found(draft, tmp_path)


def test_somebody_excluded_without_an_exclusion_by_two_is_noticed(tmp_path: Path) -> None:
    draft = honest()
    draft.add("message.moved", actor="ada", subject=subject(2), campaign=CAMPAIGN, state="excluded")
    assert "is no exclusion by two" in found(draft, tmp_path)
