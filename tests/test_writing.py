"""Files are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from symbackprop.errors import UserError
from symbackprop.writing import compare, stale, write

TEXTS = {PurePosixPath("a/one.py"): "1\n2\n", PurePosixPath("a/two.py"): "3\n"}


def test_what_was_written_does_not_differ(tmp_path: Path) -> None:
    write(tmp_path, TEXTS)

    assert compare(tmp_path, TEXTS) == ()


def test_a_difference_names_its_first_line(tmp_path: Path) -> None:
    write(tmp_path, TEXTS)
    (tmp_path / "a" / "one.py").write_text("1\n3\n")

    assert [str(d) for d in compare(tmp_path, TEXTS)] == [f"{tmp_path / 'a' / 'one.py'}: different from line 2 on"]


def test_other_line_ends_are_a_difference(tmp_path: Path) -> None:
    write(tmp_path, TEXTS)
    (tmp_path / "a" / "two.py").write_bytes(b"3\r\n")

    assert [d.kind for d in compare(tmp_path, TEXTS)] == ["different"]


def test_a_disk_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    real = Path.write_text

    def failing(path: Path, text: str, **options: str) -> int:
        if written:
            raise OSError(28, "No space left on device", str(path))
        written.append(path)
        return real(path, text, **options)

    monkeypatch.setattr(Path, "write_text", failing)
    with pytest.raises(OSError, match="No space left") as failed:
        write(tmp_path, TEXTS)

    assert failed.value.filename == str(tmp_path / list(TEXTS)[1])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_interruption_between_two_files_leaves_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace

    def interrupted(source: Path, target: Path) -> None:
        if target.name == "two.py":
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, TEXTS)

    assert {p.name: p.read_text() for p in tmp_path.rglob("*") if p.is_file()} == {"one.py": "1\n2\n"}


def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "a" / "two.py").mkdir(parents=True)
    with pytest.raises(UserError, match="move it away"):
        write(tmp_path, TEXTS)

    assert not (tmp_path / "a" / "one.py").exists()


def test_only_what_carries_our_mark_is_stale(tmp_path: Path) -> None:
    write(tmp_path, {**TEXTS, PurePosixPath("a/old.py"): '"""Regenerate: symbackprop generate old"""\n'})

    assert [d.path.name for d in stale(tmp_path, ["a"], {PurePosixPath("a/one.py"): ""})] == ["old.py"]
