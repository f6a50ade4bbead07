"""The package that Numba's contractions share: explicit vectors, families of kernels, and planning at the call."""

from __future__ import annotations

from hashlib import sha256

from symbackprop.emit.header import version
from symbackprop.emit.templating import render, template_text

NAME = "_vectors"
MODULES = ("__init__", "correlation", "correlation_kernels", "correlation_layout", "lanes", "matrix", "problem")


def vectors_package() -> dict[str, str]:
    """The text of each of its modules by file name; it is generated beside the layers and imports nothing of ours."""
    # Numba's caches look at one file each: a change of any of them has to change all
    digest = sha256("".join(template_text(_template(module)) for module in MODULES).encode()).hexdigest()[:12]
    return {f"{m}.py": render(_template(m), {"version": version(), "digest": digest}) for m in MODULES}


def _template(module: str) -> str:
    return f"vectors/{module}.py.jinja"
