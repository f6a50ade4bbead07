"""What each built-in layer is: one small file of equations each, found by its name.

A file states its layer as `LAYER`; it is imported only when the layer is asked for.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from symbackprop.errors import InternalError, UserError
from symbackprop.notation.layer import Layer


def names() -> tuple[str, ...]:
    """The built-in layers, by name."""
    files = Path(__file__).parent.glob("*.py")
    return tuple(sorted(file.stem for file in files if not file.stem.startswith("_")))


def load(name: str) -> Layer:
    """The built-in layer of this name.

    Raises: UserError where there is none.
    """
    if name not in names():
        close = get_close_matches(name, names(), n=1)
        advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(names())}"
        raise UserError(f"there is no built-in layer {name}; {advice}")
    layer = import_module(f"{__name__}.{name}").LAYER
    if not isinstance(layer, Layer) or layer.name != name:
        raise InternalError(f"equations/{name}.py does not state a layer of that name as LAYER")
    return replace(layer, file=f"equations/{name}.py")
