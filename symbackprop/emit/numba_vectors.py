"""The package that Numba's contractions share: explicit vectors, families of kernels, and planning at the call."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256

from symbackprop.emit.header import version
from symbackprop.emit.numba_filtering import filtering_fields, taps_fields
from symbackprop.emit.templating import render

NAME = "_vectors"
MODULES = (
    "__init__", "batched", "caches", "cleared", "correlation", "correlation_kernels", "correlation_layout", "lanes",
    "matrix", "matrix_kernels", "matrix_packing", "problem", "reduction", "reduction_kernels", "settings", "staging",
    "tasks", "winograd", "winograd_taps",
)  # fmt: skip
# of modules that are derived
_FIELDS: dict[str, Callable[[], dict[str, object]]] = {"winograd": filtering_fields, "winograd_taps": taps_fields}


@cache
def vectors_package() -> dict[str, str]:
    """The text of each of its modules by file name; it is generated beside the layers and imports nothing of ours."""
    # Numba's caches look at one file each: a change of any of them has to change all
    digest = sha256("".join(_text(module, "") for module in MODULES).encode()).hexdigest()[:12]
    return {f"{module}.py": _text(module, digest) for module in MODULES}


def _text(module: str, digest: str) -> str:
    own = _FIELDS[module]() if module in _FIELDS else {}
    return render(f"vectors/{module}.py.jinja", {"version": version(), "digest": digest, **own})
