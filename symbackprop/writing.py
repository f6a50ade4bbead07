"""Files are written whole or not at all, and a folder can be compared with what it should hold."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from symbackprop.errors import UserError

MARK = "symbackprop generate"  # stands in the docstring of every generated module; only such a file is ever removed


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that is not as it should be: `missing`, `different` (from `line` on), or `stale`: nothing makes it now."""

    path: Path
    kind: str
    line: int = 0

    def __str__(self) -> str:
        where = f" from line {self.line} on" if self.kind == "different" else ""
        return f"{self.path}: {self.kind}{where}"


def compare(folder: Path, texts: Mapping[PurePosixPath, str]) -> tuple[Difference, ...]:
    """What differs between `folder` and `texts`, in their order."""
    found: list[Difference] = []
    for relative, text in texts.items():
        path = folder / relative
        if not path.exists():
            found.append(Difference(path, "missing"))
        elif (line := _first_difference(path.read_bytes().decode("utf-8", "replace"), text)) > 0:
            found.append(Difference(path, "different", line))
    return tuple(found)


def _first_difference(old: str, new: str) -> int:
    """The number of the first line that differs; 0 for equal texts."""
    if old == new:
        return 0
    before, after = old.split("\n"), new.split("\n")
    pairs = enumerate(zip(before, after, strict=False), start=1)
    return next((at for at, (a, b) in pairs if a != b), min(len(before), len(after)) + 1)


def stale(folder: Path, parts: Sequence[str], texts: Mapping[PurePosixPath, str]) -> tuple[Difference, ...]:
    """The generated modules in the given parts of `folder` that are not among `texts`."""
    expected = {folder / relative for relative in texts}
    return tuple(
        Difference(path, "stale")
        for part in parts
        for path in sorted((folder / part).glob("*.py"))
        if path not in expected and MARK in path.read_bytes().decode("utf-8", "replace")
    )


def write(folder: Path, texts: Mapping[PurePosixPath, str]) -> None:
    """Write all the texts under `folder`: beside their places first, then each moved into place in one stroke.

    Raises: UserError where a folder stands in the place of a file; OSError as the system says.
    """
    for relative in texts:
        if (folder / relative).is_dir():
            raise UserError(f"{folder / relative} is a folder, and a file of this name has to be written; move it away")
    staged: list[tuple[Path, Path]] = []
    path = folder
    try:
        for relative, text in texts.items():
            path = folder / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            staged.append((beside, path))
            beside.write_text(text, encoding="utf-8", newline="\n")
        for beside, path in staged:
            os.replace(beside, path)
    except OSError as error:  # of the place that was asked for, whatever file stood for it on the way
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        for beside, _ in staged:
            beside.unlink(missing_ok=True)
