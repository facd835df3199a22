from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import pytest

from cutline.files import recover_folder, replacing, replacing_folder, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_and_raise(stream: IO[str], error: type[BaseException]) -> None:
    stream.write("half")
    raise error


def test_a_file_appears_with_its_folder(tmp_path):
    write_text(tmp_path / "new" / "note.txt", "kept\n")
    assert (tmp_path / "new" / "note.txt").read_bytes() == b"kept\n"
    assert names(tmp_path / "new") == ["note.txt"]


def test_nothing_is_seen_before_the_block_ends(tmp_path):
    target = tmp_path / "note.txt"
    write_text(target, "old")
    with replacing(target) as stream:
        stream.write("new")
        stream.flush()
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_the_old_file_and_no_other(tmp_path, error):
    target = tmp_path / "note.txt"
    write_text(target, "old")
    with pytest.raises(error), replacing(target) as stream:
        write_and_raise(stream, error)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def test_bytes_are_written_as_they_are(tmp_path):
    with replacing(tmp_path / "raw.bin", "wb") as stream:
        stream.write(b"\r\n\x00\xff")
    assert (tmp_path / "raw.bin").read_bytes() == b"\r\n\x00\xff"


def test_json_is_readable_in_any_script(tmp_path):
    value = {"caption": "两只狗 كلب 🐕", "n": 1}
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "两只狗 كلب 🐕" in text
    assert json.loads(text) == value


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "bundle"
    for content in ("first", "second"):
        with replacing_folder(target) as folder:
            (folder / f"{content}.txt").write_text(content)
    assert names(target) == ["second.txt"]
    assert names(tmp_path) == ["bundle"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_folder_block_that_raises_leaves_the_old_folder_and_no_other(tmp_path, error):
    target = tmp_path / "bundle"
    with replacing_folder(target) as folder:
        (folder / "old.txt").write_text("old")
    with (
        pytest.raises(error),
        replacing_folder(target) as folder,
        (folder / "half.txt").open("w") as stream,
    ):
        write_and_raise(stream, error)
    assert names(target) == ["old.txt"]
    assert names(tmp_path) == ["bundle"]


def interrupt_second_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the folder be set aside, then die before the new one takes its place, as a kill would."""
    rename = Path.rename

    def dying(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise OSError("killed")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", dying)


def test_a_replacement_that_fails_half_way_puts_the_old_folder_back(tmp_path, monkeypatch):
    target = tmp_path / "bundle"
    with replacing_folder(target) as folder:
        (folder / "old.txt").write_text("old")
    interrupt_second_rename(monkeypatch)
    with pytest.raises(OSError, match="killed"), replacing_folder(target) as folder:
        (folder / "new.txt").write_text("new")
    assert names(target) == ["old.txt"]
    assert names(tmp_path) == ["bundle"]


def test_a_folder_set_aside_by_a_kill_is_found_again(tmp_path):
    target = tmp_path / "bundle"
    (tmp_path / ".bundle.old").mkdir()
    (tmp_path / ".bundle.old" / "old.txt").write_text("old")
    recover_folder(target)
    assert names(target) == ["old.txt"]
    assert names(tmp_path) == ["bundle"]


def test_recovery_leaves_a_folder_that_is_there_alone(tmp_path):
    target = tmp_path / "bundle"
    with replacing_folder(target) as folder:
        (folder / "new.txt").write_text("new")
    (tmp_path / ".bundle.old").mkdir()
    recover_folder(target)
    assert names(target) == ["new.txt"]
    recover_folder(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_reader_that_puts_the_old_folder_back_does_not_stop_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bundle"
    with replacing_folder(target) as folder:
        (folder / "weights").write_text("old")
    rename, calls = Path.rename, []

    def rename_beside_a_reader(path: Path, other: Path) -> Path:
        calls.append(path.name)
        moved = rename(path, other)
        if len(calls) == 1:
            recover_folder(target)
        return moved

    monkeypatch.setattr(Path, "rename", rename_beside_a_reader)
    with replacing_folder(target) as folder:
        (folder / "weights").write_text("new")

    assert (target / "weights").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_recovery_that_loses_a_race_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking and renaming, the writer has put the new folder in place."""
    set_aside, target = tmp_path / ".bundle.old", tmp_path / "bundle"
    set_aside.mkdir()
    rename = Path.rename

    def rename_too_late(path: Path, other: Path) -> Path:
        target.mkdir()
        (target / "new.txt").write_text("new")
        return rename(path, other)

    monkeypatch.setattr(Path, "rename", rename_too_late)
    recover_folder(target)
    assert names(target) == ["new.txt"]


def test_a_place_that_takes_no_file_is_told_by_the_name_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    path = tmp_path / "file" / "x.json"
    with pytest.raises(OSError, match="no file can be written there") as caught:
        write_text(path, "{}")
    assert (caught.value.filename, ".partial" in str(caught.value)) == (str(path), False)
