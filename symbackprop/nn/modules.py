"""The generated modules, found by backend and layer at run time."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from symbackprop.errors import UserError

BACKENDS = ("numpy", "numba")


def module(backend: str, layer: str) -> Any:
    """The module `symbackprop.generated.<backend>.<layer>`.

    Raises: UserError where there is no such backend or layer.
    """
    if backend not in BACKENDS:
        raise UserError(f"there is no array backend {backend}; choose from {', '.join(BACKENDS)}")
    name = f"symbackprop.generated.{backend}.{layer}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise UserError(f"there is no generated layer {layer} for {backend}; `symbackprop list` names them") from error
