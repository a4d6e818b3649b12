"""Where the master key may come from: the environment, a private file, or a program that asks a KMS; and what is refused."""

from __future__ import annotations

import base64
import json
import os
import shlex
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from incidents.models import Incident
from incidents.people.rotating import faults_of_keys
from incidents.vault import CannotOpen, MasterKeyUnreachable, MasterKeyWrong, PersonFields, Vault, new_incident_key, sealing
from incidents.vault.master import LocalMasterKey, ProgramMasterKey, unwrap, wrap
from notifier.settings import master_key, master_keys

#: A small stand-in for a KMS client: keeps its key to itself, wraps with AES-GCM, and writes down its command line.
KMS = """
import base64, json, os, sys
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
key, asked = AESGCM(bytes.fromhex(os.environ["KMS_KEY"])), json.load(sys.stdin)
with open(os.environ["KMS_LOG"], "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
bound = asked["context"].encode()
if asked["operation"] == "wrap":
    nonce = os.urandom(12)
    whole = nonce + key.encrypt(nonce, base64.b64decode(asked["key"]), bound)
    print(json.dumps({"wrapped": base64.b64encode(whole).decode()}))
else:
    whole = base64.b64decode(asked["wrapped"])
    try:
        print(json.dumps({"key": base64.b64encode(key.decrypt(whole[:12], whole[12:], bound)).decode()}))
    except InvalidTag:
        print(json.dumps({"refused": True}))
"""


@pytest.fixture
def kms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line of the stand-in."""
    monkeypatch.setenv("KMS_KEY", "ab" * 32)
    monkeypatch.setenv("KMS_LOG", str(tmp_path / "kms.log"))
    program = tmp_path / "kms.py"
    program.write_text(KMS)
    return [sys.executable, str(program), "--profile", "breach"]


def in_use(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setattr(settings, "MASTER_KEY", b"")
    monkeypatch.setattr(settings, "MASTER_KEY_PROGRAM", command)


def says(tmp_path: Path, code: str, *, seconds: int = 5) -> ProgramMasterKey:
    """A program that does something wrong."""
    program = tmp_path / "wrong.py"
    program.write_text(code)
    return ProgramMasterKey((sys.executable, str(program)), seconds)


# -- a program ---------------------------------------------------------------------------------------------------------


def test_people_are_sealed_and_opened_with_a_key_that_only_the_program_has(
    kms: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_use(monkeypatch, kms)
    incident = Incident(reference="acme-2026", wrapped_key=new_incident_key(reference="acme-2026"))
    vault = Vault(incident=incident)
    sealed = vault.seal(fields=PersonFields(full_name="Anna Berg"), subject="a" * 32)
    assert sealed.commitment
    Vault(incident=incident)
    calls = (tmp_path / "kms.log").read_text().splitlines()
    assert calls == ["--profile breach"] * 3, (
        "wrapped, proven, and unwrapped once: then remembered; nothing secret in its arguments"
    )


@pytest.mark.django_db
def test_a_kms_that_gives_another_key_is_known_at_the_start_where_nobody_is_sealed_yet(
    kms: list[str], incident: Incident, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_use(monkeypatch, kms)
    Incident.objects.update(wrapped_key=new_incident_key(reference=incident.reference))
    assert faults_of_keys() == []
    another = json.dumps({"key": base64.b64encode(b"\x21" * 32).decode()})
    in_use(monkeypatch, list(says(tmp_path, f"print({another!r})").command))
    sealing._unwrap_once.cache_clear()  # as a process that starts
    (found,) = faults_of_keys()
    assert incident.reference in found[0]
    with pytest.raises(MasterKeyWrong, match="another key than the one that was wrapped"):
        Vault(incident=Incident.objects.get())


def test_a_key_wrapped_before_there_were_checks_opens(kms: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    in_use(monkeypatch, kms)
    context = "incidents_incident|acme-2026|1"
    wrapped = ProgramMasterKey(tuple(kms)).wrap(key=b"\x17" * 32, context=context)
    assert unwrap(wrapped=wrapped, context=context).key == b"\x17" * 32
    checked = wrap(key=b"\x17" * 32, context=context)
    assert unwrap(wrapped=checked, context=context).key == b"\x17" * 32
    with pytest.raises(MasterKeyWrong):
        unwrap(wrapped=checked, context="incidents_incident|other-2026|1")


def test_the_key_of_another_incident_does_not_open(kms: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    in_use(monkeypatch, kms)
    wrapped = new_incident_key(reference="acme-2026")
    with pytest.raises(MasterKeyWrong, match="incident other-2026"):
        Vault(incident=Incident(reference="other-2026", wrapped_key=wrapped))


def test_a_rotation_leads_from_the_environment_to_the_program(kms: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped = new_incident_key(reference="acme-2026")
    monkeypatch.setattr(settings, "MASTER_KEY_OLD", settings.MASTER_KEY)
    in_use(monkeypatch, kms)
    found = unwrap(wrapped=wrapped, context="incidents_incident|acme-2026|1")
    assert not found.by_present
    again = ProgramMasterKey(tuple(kms)).wrap(key=found.key, context="incidents_incident|acme-2026|1")
    assert unwrap(wrapped=again, context="incidents_incident|acme-2026|1").by_present


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import sys; sys.exit(3)", "ended with code 3"),
        ("print('hello')", "no JSON object"),
        ("print('[]')", "no JSON object"),
        ("print('{}')", "without 'wrapped'"),
        ('print(\'{"wrapped": "***"}\')', "without 'wrapped'"),
        ("print('{\"wrapped\": 7}')", "without 'wrapped'"),
        ("import time; time.sleep(30)", "no answer within 1 seconds"),
    ],
)
def test_a_program_that_fails_is_named_with_what_it_did(tmp_path: Path, code: str, problem: str) -> None:
    with pytest.raises(MasterKeyUnreachable, match=problem) as caught:
        says(tmp_path, code, seconds=1 if "sleep" in code else 20).wrap(key=bytes(32), context="incidents_incident|a|1")
    assert "MASTER_KEY_PROGRAM" in str(caught.value)


@pytest.mark.parametrize("size", [0, 3, 16, 31, 33, 63, 65])
def test_a_key_of_a_size_that_the_program_was_never_given_is_refused(tmp_path: Path, size: int) -> None:
    answer = json.dumps({"key": base64.b64encode(bytes(size)).decode()})
    with pytest.raises(MasterKeyUnreachable, match=f"a key of {size} bytes" if size else "without 'key'"):
        says(tmp_path, f"print({answer!r})", seconds=20).unwrap(wrapped=bytes(60), context="incidents_incident|a|1")


@pytest.mark.parametrize(
    "answer", [{"wrapped": "AAAA", "key": base64.b64encode(bytes(32)).decode()}, {"wrapped": "AAAA", "refused": True}]
)
def test_what_the_program_cannot_unwrap_again_is_not_stored(tmp_path: Path, answer: dict[str, object]) -> None:
    with pytest.raises(MasterKeyUnreachable, match="does not give back the key"):
        says(tmp_path, f"print({json.dumps(answer)!r})", seconds=20).wrap(key=b"\x17" * 32, context="incidents_incident|a|1")


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(MasterKeyUnreachable, match="cannot be started"):
        ProgramMasterKey(("/nowhere/kms",)).wrap(key=bytes(32), context="incidents_incident|a|1")


def test_what_a_program_says_on_its_error_stream_is_not_repeated(tmp_path: Path) -> None:
    code = "import sys; sys.stderr.write(sys.stdin.read()); sys.exit(1)"
    with pytest.raises(MasterKeyUnreachable) as caught:
        says(tmp_path, code, seconds=20).wrap(key=b"\x17" * 32, context="incidents_incident|a|1")
    assert "FxcX" not in str(caught.value)


# -- the environment and files -----------------------------------------------------------------------------------------


def test_a_key_in_a_file_for_its_owner_only_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "master.key"
    path.write_text("17" * 32 + "\n")
    path.chmod(0o400)
    monkeypatch.delenv("MASTER_KEY", raising=False)
    monkeypatch.setenv("MASTER_KEY_FILE", str(path))
    assert master_key("MASTER_KEY") == b"\x17" * 32


def test_a_key_and_a_file_with_another_key_are_refused_and_the_same_key_twice_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "master.key"
    path.write_text("1a" * 32 + "\n")
    path.chmod(0o400)
    monkeypatch.setenv("MASTER_KEY_FILE", str(path))
    monkeypatch.setenv("MASTER_KEY", "1A" * 32)
    assert master_key("MASTER_KEY") == b"\x1a" * 32
    monkeypatch.setenv("MASTER_KEY", "2b" * 32)
    with pytest.raises(
        ImproperlyConfigured, match="MASTER_KEY and MASTER_KEY_FILE are both set and hold different keys"
    ) as caught:
        master_key("MASTER_KEY")
    assert "2b2b" not in str(caught.value) and "1a1a" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o600 | 0o020])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    path = tmp_path / "master.key"
    path.write_text("17" * 32)
    path.chmod(mode)
    monkeypatch.setenv("MASTER_KEY_FILE", str(path))
    with pytest.raises(ImproperlyConfigured, match="others may read .* chmod 400"):
        master_key("MASTER_KEY")


@pytest.mark.parametrize("raw", ["short", "0" * 63, "0" * 66, "zz" * 32])
def test_a_key_of_another_length_or_form_is_refused(monkeypatch: pytest.MonkeyPatch, raw: str) -> None:
    monkeypatch.delenv("MASTER_KEY_FILE", raising=False)
    monkeypatch.setenv("MASTER_KEY", raw)
    with pytest.raises(ImproperlyConfigured, match="64 hexadecimal digits") as caught:
        master_key("MASTER_KEY")
    assert raw not in str(caught.value)


def test_a_missing_file_and_a_missing_key_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MASTER_KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        master_key("MASTER_KEY")
    for name in ("MASTER_KEY", "MASTER_KEY_FILE", "MASTER_KEY_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ImproperlyConfigured, match="MASTER_KEY is not set"):
        master_keys("MASTER_KEY", needed=True)
    assert master_keys("MASTER_KEY_OLD", needed=False) == (b"", [])


def test_a_key_and_a_program_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_KEY", "17" * 32)
    monkeypatch.setenv("MASTER_KEY_PROGRAM", shlex.join(["kms", "--profile", "our keys"]))
    with pytest.raises(ImproperlyConfigured, match="only one"):
        master_keys("MASTER_KEY", needed=True)
    monkeypatch.delenv("MASTER_KEY")
    monkeypatch.delenv("MASTER_KEY_FILE", raising=False)
    assert master_keys("MASTER_KEY", needed=True) == (b"", ["kms", "--profile", "our keys"])


def test_a_key_shows_itself_in_no_error_or_listing() -> None:
    assert "17" not in repr(LocalMasterKey(b"\x17" * 32)) and os.linesep not in repr(ProgramMasterKey(("kms",)))
    with pytest.raises(CannotOpen) as caught:
        LocalMasterKey(b"\x17" * 32).unwrap(wrapped=bytes(60), context="incidents_incident|a|1")
    assert str(caught.value) == "incidents_incident does not open with this key"
