"""The generated modules as files: where they are, what they may be called, and how one is imported."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path, PurePosixPath
from types import ModuleType

from symbackprop import equations
from symbackprop.emit.numba_vectors import NAME as VECTORS
from symbackprop.emit.numba_vectors import vectors_package
from symbackprop.errors import CheckFailed, InternalError, UserError
from symbackprop.notation.layer import Layer
from symbackprop.writing import compare, write

IMPORTED = (  # what generated modules import, the shared package of the kernels included
    "functools", "hashlib", "itertools", "json", "llvmlite", "math", "numba", "numbers", "numpy", "os", "pickle", "sys",
    "threading", "types", "typing",
)  # fmt: skip
_PACKAGE_TEXT = '"""{what}, written by `symbackprop generate`; do not edit."""\n'


def generated_folder() -> Path:
    """Where the modules of the built-in layers are: `generated/` of the checkout, or inside the installed package."""
    package = Path(__file__).parent
    inside = package / "generated"
    return inside if inside.is_dir() else package.parent / "generated"


def built_in() -> tuple[Layer, ...]:
    """All built-in layers, in the order of their list."""
    return tuple(equations.load(name) for name in equations.names())


def is_built_in(layer: Layer) -> bool:
    """Whether these are the equations of the built-in layer of this name."""
    return layer.name in equations.names() and layer == equations.load(layer.name)


def own_folder(layers: Sequence[Layer], check: bool) -> Path:
    """`generated_folder()`. Raises: UserError where it is not for writing, or not for these layers."""
    if not check and generated_folder().parent == Path(__file__).parent:
        raise UserError("this is an installed package, whose modules stay as they are; say where to write: --out DIR")
    stranger = next((layer for layer in layers if not is_built_in(layer)), None)
    if stranger is not None:
        only = "generated/ holds the built-in layers and nothing else"
        raise UserError(f"{stranger.name} is not built in, and {only}; say where to write: --out DIR")
    return generated_folder()


def refuse_bad_names(layers: Sequence[Layer]) -> None:
    """Raises: UserError for a layer whose name no module can have, or two that would be one file."""
    first: dict[str, Layer] = {}
    for layer in layers:
        if keyword.iskeyword(layer.name) or layer.name.startswith("__"):
            raise UserError(f"a module cannot be called {layer.name}: Python keeps this name; rename the layer")
        if layer.name in IMPORTED:
            taken = "the modules import a module of this name, and in one folder with them it would be this layer"
            raise UserError(f"a module cannot be called {layer.name}: {taken}; rename the layer")
        if layer.name.lower() == VECTORS:
            raise UserError(f"a module cannot be called {layer.name}: the kernels share a package of this name")
        other = first.setdefault(layer.name.lower(), layer)
        if other is not layer:
            both = f"{other.name} ({other.file}), {layer.name} ({layer.file})"
            raise UserError(f"two layers would share one file: {both}; rename one of them")


def package_files(backends: Iterable[str]) -> dict[PurePosixPath, str]:
    """The files that make packages of the folders."""
    # without these `symbackprop.generated.numpy` would be no package in the eyes of a wheel
    whole = {PurePosixPath("__init__.py"): _PACKAGE_TEXT.format(what="The layers' modules, a folder for each backend")}
    return whole | {
        PurePosixPath(b, "__init__.py"): _PACKAGE_TEXT.format(what=f"The layers' modules for {b}") for b in backends
    }


def support_files(backends: Iterable[str]) -> dict[PurePosixPath, str]:
    """What the modules of a backend share."""
    if "numba" not in backends:
        return {}
    return {PurePosixPath("numba", VECTORS, file): text for file, text in vectors_package().items()}


def refuse_other_text(path: PurePosixPath, expected: str) -> None:
    """Raises: CheckFailed where the file in `generated_folder()` is not the text that is expected."""
    for difference in compare(generated_folder(), {path: expected}):
        raise CheckFailed(f"{difference}, and `symbackprop generate` writes it anew")


def imported(name: str, backend: str, source: str, folder: Path) -> ModuleType:
    """The module of this text: the one that is installed if that is the same, else one written into `folder`."""
    path = PurePosixPath(backend, f"{name}.py")
    if not compare(generated_folder(), {path: source}):
        return import_module(f"symbackprop.generated.{backend}.{name}")
    support = support_files((backend,))
    write(folder, {path: source, **support})
    package = f"symbackprop_checked_{backend}"
    made = sys.modules.setdefault(package, ModuleType(package))
    made.__path__ = [str(folder / backend)]
    if support and not compare(generated_folder(), support):  # compiled and cached there, as a rule
        sys.modules[f"{package}.{VECTORS}"] = import_module(f"symbackprop.generated.{backend}.{VECTORS}")
    spec = spec_from_file_location(f"{package}.{name}", folder / path)
    if spec is None or spec.loader is None:
        raise InternalError(f"the module {folder / path} cannot be imported")
    made = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
