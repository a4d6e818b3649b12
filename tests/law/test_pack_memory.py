"""What was checked once is not checked again: only for the same bytes, and only where no one else could have written it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from incidents.law import pack, pack_memory
from incidents.law.pack import PACKS_FOLDER, PackError, PackSet
from incidents.law.pack_files import checked, read_content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("eu.yaml", "fr.yaml", "jp.yaml", "calendars.yaml", "vocabulary.yaml", "schema.json"):
        shutil.copy(PACKS_FOLDER / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each full check."""
    done: list[int] = []

    def counted(**given: object) -> object:
        done.append(1)
        return checked(**given)  # type: ignore[arg-type]

    monkeypatch.setattr(pack, "checked", counted)
    return done


def load(folder: Path) -> PackSet:
    """As a new process would, past what this one has loaded already."""
    found: PackSet = pack._load.__wrapped__(str(folder))
    return found


def kept(folder: Path) -> Path:
    (file,) = (folder / pack_memory.FOLDER).iterdir()
    return file


def test_the_second_start_checks_nothing_and_finds_the_same_law(folder: Path, checks: list[int]) -> None:
    first, second = load(folder), load(folder)
    assert len(checks) == 1
    assert first == second
    assert {p.id: p.document for p in first} == {p.id: p.document for p in second}


def test_all_packs_shipped_come_back_as_they_were_read(tmp_path: Path) -> None:
    content = read_content(root=PACKS_FOLDER)
    files = checked(content=content)
    pack_memory.remember(root=tmp_path, content=content, documents=files.documents)
    assert pack_memory.recall(root=tmp_path, content=content) == files.documents


@pytest.mark.parametrize("name", ["eu.yaml", "jp.yaml", "vocabulary.yaml", "calendars.yaml", "schema.json"])
def test_one_more_byte_anywhere_means_the_full_check(folder: Path, checks: list[int], name: str) -> None:
    load(folder)
    (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
    load(folder)
    load(folder)
    assert len(checks) == 2
    assert kept(folder).suffix == ".json"


def test_another_pack_means_the_full_check(folder: Path, checks: list[int]) -> None:
    load(folder)
    shutil.copy(PACKS_FOLDER / "ch.yaml", folder / "ch.yaml")
    assert "CH" in load(folder).packs
    assert len(checks) == 2


def test_stricter_code_sees_all_packs_again(folder: Path, checks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    load(folder)
    monkeypatch.setattr(pack_memory, "_code", lambda name: b"stricter")
    load(folder)
    assert len(checks) == 2


def test_a_bad_pack_is_refused_every_time(folder: Path) -> None:
    load(folder)
    text = (folder / "jp.yaml").read_text(encoding="utf-8")
    (folder / "jp.yaml").write_text(text.replace("status: enacted_not_started\n", "status: in_force\n", 1), encoding="utf-8")
    said = []
    for _ in range(2):
        with pytest.raises(PackError, match=r"jp.yaml:\d+: general.person.owed: two versions are in force") as caught:
            load(folder)
        said.append(str(caught.value))
    assert said[0] == said[1]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def flip(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"n":72', b'"n":73'))


def empty(file: Path) -> None:
    file.write_bytes(b"")


def writable_for_all(file: Path) -> None:
    file.chmod(0o666)


def folder_writable_for_the_group(file: Path) -> None:
    file.parent.chmod(0o775)


def link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


def linked_folder(file: Path) -> None:
    folder = file.parent
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def unreadable(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    "spoil", [cut, flip, empty, writable_for_all, folder_writable_for_the_group, link, linked_folder, unreadable]
)
def test_what_is_damaged_or_may_be_another_s_is_not_believed(
    folder: Path, checks: list[int], spoil: Callable[[Path], None]
) -> None:
    good = load(folder)
    spoil(kept(folder))
    assert load(folder) == good
    assert len(checks) == 2


def test_what_another_user_wrote_is_not_believed(folder: Path, checks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    load(folder)
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(kept(folder), 65534, -1)
    load(folder)
    assert len(checks) == 2


def test_the_memory_of_other_bytes_under_this_name_is_not_believed(folder: Path, checks: list[int]) -> None:
    load(folder)
    old = kept(folder)
    body = old.read_bytes()
    text = (folder / "jp.yaml").read_text(encoding="utf-8")
    (folder / "jp.yaml").write_text(text.replace("name: Japan", "name: Nippon", 1), encoding="utf-8")
    load(folder)
    kept(folder).write_bytes(body)
    assert load(folder).packs["JP"].name == "Nippon"
    assert len(checks) == 3


def test_a_folder_that_cannot_be_written_to_is_no_trouble(folder: Path, checks: list[int]) -> None:
    (folder / pack_memory.FOLDER).write_text("a file stands where the folder would")
    load(folder)
    load(folder)
    assert len(checks) == 2
