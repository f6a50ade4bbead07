"""Forward equations of a layer in; a checked derivation of its gradients and fast kernels out.

    layer = symbackprop.load("batchnorm2d")     # or read(text), read_file(path)
    derivation = symbackprop.derive(layer)
    symbackprop.generate([layer], out=Path("kernels"))

This module imports nothing until a name is asked for: `import symbackprop.generated.numpy.conv2d` costs
NumPy and the module itself. The names are listed in `_WHERE`, each with the module that it comes from.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symbackprop.build import derive, generate, load
    from symbackprop.calculus.derivation import Derivation
    from symbackprop.errors import CannotDerive, CheckFailed, InternalError, NotationError, SymbackpropError, UserError
    from symbackprop.notation.layer import Layer
    from symbackprop.notation.printer import to_text
    from symbackprop.notation.reader import read, read_file

__version__ = "0.1.0"

_WHERE = {
    "CannotDerive": "symbackprop.errors",
    "CheckFailed": "symbackprop.errors",
    "Derivation": "symbackprop.calculus.derivation",
    "InternalError": "symbackprop.errors",
    "Layer": "symbackprop.notation.layer",
    "NotationError": "symbackprop.errors",
    "SymbackpropError": "symbackprop.errors",
    "UserError": "symbackprop.errors",
    "derive": "symbackprop.build",
    "generate": "symbackprop.build",
    "load": "symbackprop.build",
    "read": "symbackprop.notation.reader",
    "read_file": "symbackprop.notation.reader",
    "to_text": "symbackprop.notation.printer",
}

__all__ = [
    "CannotDerive",
    "CheckFailed",
    "Derivation",
    "InternalError",
    "Layer",
    "NotationError",
    "SymbackpropError",
    "UserError",
    "__version__",
    "derive",
    "generate",
    "load",
    "read",
    "read_file",
    "to_text",
]

# In a checkout `templates/` and `generated/` stand beside this package; from a wheel they are inside it. Either way
# they are `symbackprop.templates` and `symbackprop.generated`.
if not (Path(__file__).parent / "generated").is_dir():
    __path__.append(str(Path(__file__).parent.parent))


def __getattr__(name: str) -> Any:
    """The public name, imported from the module in `_WHERE` when it is first used."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
