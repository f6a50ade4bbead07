"""The module that Numba's contractions share: micro-kernels in explicit vectors, packing, and planning at the call."""

from __future__ import annotations

from symbackprop.emit.header import version
from symbackprop.emit.templating import render

NAME = "_vectors"


def vectors_module() -> str:
    """The text of the module, which is generated beside those of the layers and imports nothing of ours."""
    return render("numba_vectors.py.jinja", {"version": version()})
