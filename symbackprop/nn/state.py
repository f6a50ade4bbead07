"""Arrays and a few plain values in one .npz file: written whole or not at all, read without pickle."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.errors import UserError

Array = npt.NDArray[Any]
Groups = dict[str, dict[str, Array]]
_ABOUT = "about.json"


def save(path: Path, groups: Mapping[str, Mapping[str, Array]], about: Mapping[str, Any]) -> None:
    """Write groups of arrays, each under `group/name`, and plain values as JSON.

    The file is written beside its place, brought to the disk, and moved in one stroke: a reader, or a run that was
    killed, finds the old file or the new one. Raises: OSError as the system says.
    """
    arrays = {f"{group}/{name}": array for group, named in groups.items() for name, array in named.items()}
    text = np.frombuffer(json.dumps(dict(about)).encode("utf-8"), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            np.savez(file, allow_pickle=False, **{_ABOUT: text}, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        _sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk too, where folders can be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load(path: Path) -> tuple[Groups, dict[str, Any]]:
    """The groups of arrays and the plain values of a file that `save` wrote.

    Raises: UserError where it is no such file; OSError as the system says.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(stored[_ABOUT].tobytes().decode("utf-8"))
            groups: Groups = {}
            for key in stored.files:
                group, slash, name = key.partition("/")
                if slash:
                    groups.setdefault(group, {})[name] = stored[key]
    except (ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} holds no saved state: {error}") from error
    if not isinstance(about, dict):
        raise UserError(f"{path} holds no saved state: what it says about itself is no table")
    return groups, about
