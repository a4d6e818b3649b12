"""A sealed record opens with the right keys for the right person, or not at all."""

from __future__ import annotations

import hmac

import pytest
from django.conf import settings

from incidents.models import AffectedPerson, Incident
from incidents.vault import CannotOpen, MasterKeyWrong, PersonFields, Vault, mask, new_incident_key, sealing
from incidents.vault.sealing import quick_hmac

ANNA = PersonFields(full_name="Anna Berg", emails=("anna@example.org",), evidence=(("stated_country", "FR"),))
BEN = PersonFields(full_name="Ben Holt", emails=("ben@example.org",))


def an_incident(reference: str = "acme-2026") -> Incident:
    return Incident(reference=reference, wrapped_key=new_incident_key(reference=reference))


def person(vault: Vault, fields: PersonFields, subject: str) -> AffectedPerson:
    sealed = vault.seal(fields=fields, subject=subject)
    return AffectedPerson(subject=subject, sealed=sealed.sealed, wrapped_key=sealed.wrapped_key)


@pytest.fixture
def vault() -> Vault:
    return Vault(incident=an_incident())


@pytest.fixture
def anna(vault: Vault) -> AffectedPerson:
    return person(vault, ANNA, "a" * 32)


@pytest.fixture
def ben(vault: Vault) -> AffectedPerson:
    return person(vault, BEN, "b" * 32)


def test_what_was_sealed_opens_as_it_was(vault: Vault, anna: AffectedPerson) -> None:
    assert vault.open(person=anna) == ANNA


@pytest.mark.parametrize("swapped", [("sealed",), ("wrapped_key",), ("sealed", "wrapped_key")])
def test_a_swapped_record_does_not_open(
    vault: Vault, anna: AffectedPerson, ben: AffectedPerson, swapped: tuple[str, ...]
) -> None:
    for field in swapped:
        setattr(anna, field, getattr(ben, field))
    with pytest.raises(CannotOpen):
        vault.open(person=anna)


@pytest.mark.parametrize("field", ["sealed", "wrapped_key"])
@pytest.mark.parametrize("damage", [lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), lambda raw: raw[:5], lambda raw: b""])
def test_a_damaged_record_does_not_open(vault: Vault, anna: AffectedPerson, field: str, damage: object) -> None:
    assert callable(damage)
    setattr(anna, field, damage(getattr(anna, field)))
    with pytest.raises(CannotOpen):
        vault.open(person=anna)


@pytest.mark.parametrize("field", ["sealed", "wrapped_key"])
def test_a_person_whose_key_or_record_was_deleted_is_unreadable(vault: Vault, anna: AffectedPerson, field: str) -> None:
    setattr(anna, field, None)
    with pytest.raises(CannotOpen, match="erased"):
        vault.open(person=anna)
    with pytest.raises(CannotOpen, match="erased"):
        vault.commitment(person=anna, fields=ANNA)


def test_another_master_key_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    incident = an_incident()
    Vault(incident=incident)
    monkeypatch.setattr(settings, "MASTER_KEY", bytes(32))
    with pytest.raises(MasterKeyWrong):
        Vault(incident=incident)


def test_an_incidents_key_does_not_open_under_another_name() -> None:
    incident = an_incident()
    incident.reference = "other-2026"
    with pytest.raises(MasterKeyWrong):
        Vault(incident=incident)


def test_another_incident_does_not_open_the_person(anna: AffectedPerson) -> None:
    with pytest.raises(CannotOpen):
        Vault(incident=an_incident()).open(person=anna)


def test_the_commitment_is_stable_and_bound_to_the_fields_and_the_key(vault: Vault, anna: AffectedPerson) -> None:
    sealed = vault.seal(fields=ANNA, subject="c" * 32)
    carla = AffectedPerson(subject="c" * 32, sealed=sealed.sealed, wrapped_key=sealed.wrapped_key)
    assert vault.commitment(person=carla, fields=ANNA) == sealed.commitment == vault.commitment(person=carla, fields=ANNA)
    assert vault.commitment(person=carla, fields=BEN) != sealed.commitment
    assert vault.commitment(person=anna, fields=ANNA) != sealed.commitment


def test_sealing_twice_never_gives_the_same_bytes(vault: Vault) -> None:
    one, other = (vault.seal(fields=ANNA, subject="a" * 32) for _ in range(2))
    assert one.sealed != other.sealed and one.wrapped_key != other.wrapped_key and one.commitment != other.commitment


def test_the_error_says_nothing_of_the_person(vault: Vault, anna: AffectedPerson, ben: AffectedPerson) -> None:
    anna.sealed = ben.sealed
    with pytest.raises(CannotOpen) as caught:
        vault.open(person=anna)
    assert str(caught.value) == "incidents_affectedperson does not open with this key"


def test_the_blind_index_agrees_within_an_incident_and_kind_only(vault: Vault) -> None:
    assert vault.blind(kind="email", value="x") == vault.blind(kind="email", value="x")
    others = {vault.blind(kind="name", value="x"), vault.blind(kind="email", value="y")}
    others.add(Vault(incident=an_incident()).blind(kind="email", value="x"))
    assert len(others) == 3 and vault.blind(kind="email", value="x") not in others


def test_many_are_sealed_and_indexed_as_one_is(vault: Vault) -> None:
    records = [("a" * 32, ANNA.encode()), ("b" * 32, BEN.encode())]
    many = vault.seal_many(records)
    for (subject, _), sealed, fields in zip(records, many, (ANNA, BEN), strict=True):
        person = AffectedPerson(
            subject=subject, sealed=sealed.sealed, wrapped_key=sealed.wrapped_key, key_version=sealed.key_version
        )
        assert vault.open(person=person) == fields
        assert vault.commitment(person=person, fields=fields) == sealed.commitment
    assert vault.seal_many([]) == [] and len({one.sealed[:12] for one in many} | {one.wrapped_key[:12] for one in many}) == 4
    assert vault.blind_many("email", ["x", "", "ü"]) == [
        vault.blind(kind="email", value="x"), None, vault.blind(kind="email", value="ü"),
    ]  # fmt: skip


@pytest.mark.parametrize("length", [0, 1, 32, 64])
def test_the_quick_hmac_is_the_standard_one(length: int) -> None:
    key, data = bytes(range(length)), b"data" * length
    assert quick_hmac(key, data) == hmac.digest(key, data, "sha256")


def test_the_blind_index_is_the_standard_hmac_of_kind_and_value(vault: Vault) -> None:
    secrets = sealing._secrets(vault._incident)
    assert vault.blind(kind="email", value="ü") == hmac.digest(secrets.blind, "email|ü".encode(), "sha256")


def test_a_blob_opens_only_for_what_it_was_bound_to(vault: Vault) -> None:
    sealed = vault.seal_blob(plain=b"a row", bound_to="import_row|acme-2026")
    assert vault.open_blob(sealed=memoryview(sealed), bound_to="import_row|acme-2026") == b"a row"
    with pytest.raises(CannotOpen):
        vault.open_blob(sealed=sealed, bound_to="inbox|acme-2026")


@pytest.mark.parametrize(("value", "shown"), [("claire@example.org", "c•••@e•••"), ("Claire", "C•••"), ("", "")])
def test_a_mask_shows_no_more_than_the_first_letter(value: str, shown: str) -> None:
    assert mask(value) == shown
