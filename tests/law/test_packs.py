"""The packs as shipped: valid, referenced, within the vocabulary, without overlaps; and how a bad one is refused."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from incidents.law.pack import PACKS_FOLDER, Pack, PackError, Version, load_packs

PACKS = load_packs()
ALL = [pytest.param(pack, id=pack.id) for pack in PACKS]


def versions_of(pack: Pack) -> Iterator[tuple[str, Version]]:
    for regime in pack.regimes:
        for path, versions in regime.paths.items():
            for version in versions:
                yield f"{regime.id}.{path}", version


def conditions_in(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from conditions_in(inner)


def test_there_is_one_file_for_each_jurisdiction() -> None:
    files = {path.stem.upper() for path in PACKS_FOLDER.glob("*.yaml")} - {"CALENDARS", "VOCABULARY"}
    assert files == set(PACKS.packs)
    assert len(PACKS.members(union="EU")) == 30


@pytest.mark.parametrize("pack", ALL)
def test_every_value_has_a_reference(pack: Pack) -> None:
    assert pack.law
    assert [key for key, version in versions_of(pack) if not version.reference] == []


@pytest.mark.parametrize("pack", ALL)
def test_every_pack_says_when_it_was_checked_and_how_sure_it_is(pack: Pack) -> None:
    assert pack.checked_on == date(2026, 11, 21)
    assert pack.verified in {"true", "partly", "memory"}
    assert len(pack.sha256) == 64
    assert pack.zone.key != "UTC"


@pytest.mark.parametrize("pack", ALL)
def test_the_vocabulary_knows_every_element_of_the_pack(pack: Pack) -> None:
    used = {
        element
        for _, version in versions_of(pack)
        for node in conditions_in(dict(version.value))
        for key in ("any_of", "if_any_of")
        for element in node.get(key, ())
        if not ("any_of" in node and set(node) <= {"any_of", "ask_if"})
    }
    assert used <= set(PACKS.vocabulary.elements)


@pytest.mark.parametrize("pack", ALL)
def test_every_owed_duty_can_have_its_deadline(pack: Pack) -> None:
    for regime in pack.regimes:
        for addressee in ("person", "regulator", "bureaus"):
            for version in regime.paths.get(f"{addressee}.owed", ()):
                if not version.dormant and "never" not in version.value["when"]:
                    on = version.from_on or (version.until_on or date.max).replace(year=2000)
                    assert regime.version(path=f"{addressee}.deadline", on=on), (regime.id, addressee, on)


def test_the_implications_stay_inside_the_vocabulary() -> None:
    words = PACKS.vocabulary
    for table in (words.implies, words.may_imply):
        assert {e for key, implied in table.items() for e in (key, *implied)} <= set(words.elements)


@pytest.mark.parametrize(
    ("pack", "path", "on", "kind"),
    [
        ("US-CA", "person.deadline", date(2025, 12, 31), "without_unreasonable_delay"),
        ("US-CA", "person.deadline", date(2026, 1, 1), "days"),
        ("US-NY", "person.deadline", date(2024, 12, 20), "without_unreasonable_delay"),
        ("US-NY", "person.deadline", date(2024, 12, 21), "days"),
        ("US-NY", "processor.deadline", date(2024, 12, 20), "immediately"),
        ("US-NY", "processor.deadline", date(2024, 12, 21), "days"),
    ],
)
def test_the_law_changes_on_its_day(pack: str, path: str, on: date, kind: str) -> None:
    version = PACKS.packs[pack].regimes[0].version(path=path, on=on)
    assert version is not None
    assert version.value["clocks"][0]["kind"] == kind


def test_proposed_law_is_kept_and_never_in_force() -> None:
    versions = PACKS.packs["FR"].regimes[0].paths["regulator.deadline"]
    assert [v.value["clocks"][0]["n"] for v in versions if v.dormant] == [96]
    assert not any(v.dormant and v.covers(on=date(2099, 1, 1)) for v in versions)


def test_member_states_inherit_the_duties_and_bring_their_own_authority() -> None:
    france, union = PACKS.packs["FR"].regimes[0], PACKS.packs["EU"].regimes[0]
    assert france.paths["person.owed"] == union.paths["person.owed"]
    assert "CNIL" in france.paths["regulator.to"][0].value["names"][0]["name"]
    assert "regulator.to" not in union.paths


def test_provinces_take_their_country_and_us_states_never_do() -> None:
    ids = {"GB-SCT": "GB", "JP-13": "JP", "FR": "FR", "NO": "NO", "CA-ON": "CA", "CA-QC": "CA-QC", "US-PR": "US-PR"}
    assert {key: found.id for key in ids if (found := PACKS.find(residence=key))} == ids
    for unknown in ("US", "US-ZZ", "FED-HIPAA", "EU-NIS2", "XX", "UK", "England", "EU", ""):
        assert PACKS.find(residence=unknown) is None


def test_packs_are_read_once_and_hash_the_same() -> None:
    assert load_packs() is PACKS
    assert load_packs(folder=PACKS_FOLDER).sha256 == PACKS.sha256


# -- packs that are refused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("eu.yaml", "fr.yaml", "jp.yaml", "calendars.yaml", "vocabulary.yaml", "schema.json"):
        shutil.copy(PACKS_FOLDER / name, tmp_path / name)
    return tmp_path


def change(folder: Path, name: str, was: str, becomes: str) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    assert was in text
    (folder / name).write_text(text.replace(was, becomes, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("was", "becomes", "key", "says"),
    [
        ("zone: Asia/Tokyo\n", "", "(the file)", "'zone' is a required property"),
        ("      reference:\n", "      source:\n", "regimes.0.person.owed", "reference"),
        ("- medical_information\n", "- medcal_information\n", "regimes.0.person.owed", "no known data element"),
        ("calendar: JP_days", "calendar: JP_dayz", "regimes.0.regulator.deadline", "no known calendar rule"),
        ("runs_from: awareness", "runs_from: awarness", "regimes.0.person.deadline", "no known starting point"),
        ("- other_reference_matters", "- other_matters", "regimes.0.person.content", "no known content item"),
        ("from: 2022-04-01", "from: 2022-4-1", "regimes.0.person.owed.0.from", ""),
        ("status: enacted_not_started\n", "status: in_force\n", "general.person.owed", "two versions are in force"),
        ("name: Japan\n", "name: Japan\nname: Nippon\n", "name", "written twice"),
        ("zone: Asia/Tokyo\n", "zone: Asia/Tokio\n", "zone", "no time zone"),
        ("from: 2022-04-01", "from: 2022-04-31", "regimes.0.person.owed.0.from", "no day of the calendar"),
        ("op: '>'", "op: '<'", "regimes.0.person.owed", ""),
    ],
)
def test_a_bad_pack_names_file_key_and_remedy(folder: Path, was: str, becomes: str, key: str, says: str) -> None:
    change(folder, "jp.yaml", was, becomes)
    with pytest.raises(PackError) as caught:
        load_packs(folder=folder)
    error = caught.value
    assert error.file == "jp.yaml"
    assert error.line > 0 and str(error).startswith(f"jp.yaml:{error.line}: {error.key}: ")
    assert error.key.startswith(key), str(error)
    assert says in error.problem
    assert error.remedy


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("- medical_information\n", "- medcal_information\n"),
        ("calendar: JP_days", "calendar: JP_dayz"),
        ("- other_reference_matters", "- other_matters"),
        ("zone: Asia/Tokyo", "zone: Asia/Tokio"),
        ("op: '>'", "op: '<'"),
    ],
)
def test_a_bad_pack_names_the_line(folder: Path, was: str, becomes: str) -> None:
    change(folder, "jp.yaml", was, becomes)
    lines = (folder / "jp.yaml").read_text(encoding="utf-8").splitlines()
    with pytest.raises(PackError) as caught:
        load_packs(folder=folder)
    assert becomes.strip() in lines[caught.value.line - 1]


def test_two_packs_cannot_have_one_id(folder: Path) -> None:
    shutil.copy(folder / "jp.yaml", folder / "nippon.yaml")
    with pytest.raises(PackError, match=r"nippon.yaml:\d+: id: JP is the id of jp.yaml already"):
        load_packs(folder=folder)


def test_a_missing_schema_is_refused_by_its_name(folder: Path) -> None:
    (folder / "schema.json").unlink()
    with pytest.raises(PackError, match="schema.json: file: cannot be read"):
        load_packs(folder=folder)


def test_a_pack_cannot_inherit_from_nowhere(folder: Path) -> None:
    (folder / "eu.yaml").unlink()
    with pytest.raises(PackError, match="there is no pack EU"):
        load_packs(folder=folder)


@pytest.mark.parametrize("edit", [lambda text: text + "\n# a remark\n", lambda text: text.replace("months", "months")])
def test_a_remark_does_not_change_the_hash_of_a_pack(folder: Path, edit: Callable[[str], str]) -> None:
    path = folder / "jp.yaml"
    path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert load_packs(folder=folder).packs["JP"].sha256 == PACKS.packs["JP"].sha256


def test_a_changed_union_changes_the_hash_of_its_members(folder: Path) -> None:
    change(folder, "eu.yaml", "n: 72", "n: 71")
    changed = load_packs(folder=folder)
    assert changed.packs["FR"].sha256 != PACKS.packs["FR"].sha256
    assert changed.packs["JP"].sha256 == PACKS.packs["JP"].sha256


def test_no_file_of_the_law_room_names_a_place_on_a_machine() -> None:
    root = PACKS_FOLDER.parent
    for path in [*root.glob("*.py"), *PACKS_FOLDER.glob("*.*")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.])/(?:home|tmp|root|mnt|Users)/", text), path
    assert json.loads((PACKS_FOLDER / "schema.json").read_text(encoding="utf-8"))["$defs"]
