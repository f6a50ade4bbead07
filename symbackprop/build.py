"""The pipeline on one page.

| stage | function here | in | out |
| --- | --- | --- | --- |
| read | `load` | the name of a built-in layer, or the path of an `.eq` file | `Layer` |
| differentiate | `derive` | `Layer` | `Derivation` |
| tell | `derivation_text` | layer, view | the derivation as text, LaTeX or HTML, checked |
| plan, lower, emit | `module` | `Derivation`, backend | the text of a module |
| write | `generate` | layers, backends, folder | files, or what differs on disk |
| check | `check` | layers, backends, seed | a row for each check: what, how far off, verdict |
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from symbackprop import equations
from symbackprop.calculus.derivation import Derivation
from symbackprop.calculus.derive import derive
from symbackprop.check import suite
from symbackprop.check.derivation import verify
from symbackprop.check.report import Check, Outcome, Row, run_all
from symbackprop.emit import html, latex, text
from symbackprop.emit.filtering import filtering_latex, filtering_text
from symbackprop.emit.latex_names import SPELLING, Spelling
from symbackprop.emit.numba_module import numba_module
from symbackprop.emit.numpy_module import numpy_module
from symbackprop.emit.plan_text import plan_text
from symbackprop.errors import InternalError, UserError
from symbackprop.filtering.algorithm import algorithm, read_points
from symbackprop.loops.kernel import Kernel
from symbackprop.loops.lower import lower
from symbackprop.modules import (
    built_in,
    generated_folder,
    imported,
    is_built_in,
    own_folder,
    package_files,
    refuse_bad_names,
    refuse_other_text,
    support_files,
)
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Read, walk
from symbackprop.notation.reader import read_file
from symbackprop.program.plan import plan
from symbackprop.writing import Difference, compare, stale, write

__all__ = [
    "BACKENDS",
    "VIEWS",
    "built_in",
    "check",
    "derivation_text",
    "derive",
    "explanation",
    "filtering",
    "generate",
    "generated_folder",
    "kernel",
    "load",
    "module",
    "second_order",
    "texts",
]

BACKENDS: dict[str, Callable[[Derivation], str]] = {
    "numpy": lambda derivation: numpy_module(plan(derivation)),
    "numba": lambda derivation: numba_module(kernel(derivation)),
}

VIEWS: dict[str, Callable[..., str]] = {"text": text.derivation, "latex": latex.derivation, "html": html.derivation}


def load(source: str | Path) -> Layer:
    """The layer of a built-in name, or of an equation file (anything with a dot or a slash in it is a path).

    Raises: UserError for an unknown name or a path that is no file; NotationError for what cannot be read.
    """
    if str(source) in equations.names():
        return equations.load(str(source))
    path = Path(source)
    if not str(source).strip():
        raise UserError("the name of the layer is empty; `symbackprop list` names them")
    if path.is_dir():
        raise UserError(f"{source} is a folder; give the path of an .eq file, or a name that `symbackprop list` prints")
    if path.exists():
        return read_file(path)
    if path.suffix or len(path.parts) > 1:
        raise UserError(f"there is no file {source}")
    near = difflib.get_close_matches(str(source), equations.names(), n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    known = ", ".join(equations.names())
    raise UserError(f"there is no layer called {source}{meant}\nlayers: {known}; or give the path of an .eq file")


def derivation_text(
    layer: Layer,
    wrt: tuple[str, ...] | None = None,
    view: str = "text",
    form: str = "gather",
    standalone: bool = False,
    spelling: Spelling = SPELLING,
) -> str:
    """The derivation by `wrt` in one of `VIEWS`; each step is checked, and what that proved stands at the end.

    `spelling` is of the views that are mathematics; text takes the counting from it, and the layer's own names.
    Raises: CheckFailed where a step is wrong; UserError for a name in `wrt` that is no input.
    """
    derivation = derive(layer, wrt)
    report = verify(derivation)
    page = {"spelling": spelling} if view == "text" else {"standalone": standalone, "spelling": spelling}
    return VIEWS[view](derivation, wrt, evidence=report.evidence(), form=form, **page)


def filtering(m: int, r: int, points: str | None = None, view: str = "text", standalone: bool = False) -> str:
    """The minimal filtering algorithm F(m, r) on points like "0,1,-1,inf", with its proof; `view` is "text" or "latex".

    Raises: UserError where there is no such algorithm.
    """
    one = algorithm(m, r, None if points is None else read_points(points))
    if view == "text":
        return filtering_text(one)
    body = filtering_latex(one)
    return latex.document(body) if standalone else body


def second_order(layer: Layer, wrt: str) -> Layer:
    """The gradient by `wrt` as a layer that can be differentiated by `wrt` again.

    Raises: UserError where `wrt` is no input, or where the gradient does not depend on it.
    """
    gradient = layer.gradient(wrt)
    if wrt not in {e.tensor for d in gradient.definitions for e in walk(d.body) if isinstance(e, Read)}:
        of = f"the gradient of {layer.name} with respect to {wrt}"
        raise UserError(f"{of} does not depend on {wrt}: the second derivative is zero")
    return gradient


def kernel(derivation: Derivation) -> Kernel:
    """The loops of a derivation: everything is gathered, and what is cheap is computed where it is read."""
    return lower(plan(derivation, scatter_strided=False, inline=True))


def explanation(layer: Layer) -> str:
    """What the kernels of the layer compute and keep, which passes over memory they make, and what that costs."""
    derivation = derive(layer)
    return plan_text(derivation, plan(derivation), kernel(derivation))


def module(derivation: Derivation, backend: str) -> str:
    """The text of the layer's module for one of `BACKENDS`."""
    made = BACKENDS[backend](derivation)
    try:
        ast.parse(made)
    except SyntaxError as error:
        raise InternalError(f"the {backend} module of {derivation.layer.name} is not Python: {error}") from error
    return made


def texts(layers: Sequence[Layer], backends: Sequence[str]) -> dict[PurePosixPath, str]:
    """The modules of the layers, by their paths `backend/layer.py`."""
    refuse_bad_names(layers)
    made: dict[PurePosixPath, str] = {}
    for layer in layers:
        derivation = derive(layer)
        for backend in backends:
            made[PurePosixPath(backend, f"{layer.name}.py")] = module(derivation, backend)
    return made


def generate(
    layers: Sequence[Layer] | None = None,
    backends: Sequence[str] = tuple(BACKENDS),
    out: Path | str | None = None,
    check: bool = False,
) -> tuple[Difference, ...]:
    """Write `out/backend/layer.py`, all of them or none. Gives: what was different on disk before.

    Without layers: all built-in ones, and modules that nothing makes any more are removed. Without `out`:
    `generated_folder()`, with its package files. With `check` nothing is written or removed.
    """
    _refuse_other_things(layers, backends)
    folder = Path(out) if out is not None else own_folder(layers or (), check)
    made = {**support_files(backends), **texts(layers if layers is not None else built_in(), backends)}
    if folder.resolve() == generated_folder().resolve():
        made = {**package_files(backends), **made}
    changed = compare(folder, made)
    gone = stale(folder, backends, made) if layers is None else ()
    if not check:
        write(folder, {path: content for path, content in made.items() if folder / path in {c.path for c in changed}})
        for old in gone:
            old.path.unlink()
    return (*changed, *gone)


def _refuse_other_things(layers: Sequence[Layer] | None, backends: Sequence[str]) -> None:
    if isinstance(backends, str) or not set(backends) <= BACKENDS.keys():
        raise UserError(f"backends: expected a sequence of names out of {', '.join(BACKENDS)}, came {backends!r}")
    if layers is not None and (isinstance(layers, Layer) or not all(isinstance(one, Layer) for one in layers)):
        raise UserError(f"layers: expected a sequence of Layer values (load gives one), came {layers!r:.80}")


def check(
    layers: Sequence[Layer],
    backends: Sequence[str] = tuple(BACKENDS),
    seed: int = 0,
    watch: Callable[[Sequence[Check]], Iterable[Check]] = iter,
) -> tuple[Row, ...]:
    """All checks of the layers, in order: a row for each. `watch` passes the checks on, one before each is run."""
    with TemporaryDirectory(prefix="symbackprop-") as folder:
        work = [one for layer in layers for one in _checks(layer, backends, seed, Path(folder))]
        return run_all(watch(work))


def _checks(layer: Layer, backends: Sequence[str], seed: int, folder: Path) -> Iterator[Check]:
    derivation = derive(layer)
    made = {backend: module(derivation, backend) for backend in backends}
    if is_built_in(layer):
        for backend in backends:
            path = PurePosixPath(backend, f"{layer.name}.py")
            yield Check(layer.name, "module on disk", backend, partial(_on_disk, path, made[backend]))
    modules = {backend: imported(layer.name, backend, source, folder) for backend, source in made.items()}
    yield from suite.checks(layer, derivation, modules, seed)


def _on_disk(path: PurePosixPath, expected: str) -> Outcome:
    refuse_other_text(path, expected)
    return Outcome(1)
