"""A layer that somebody wants to see timed: its modules, and a case of it at sizes."""

from __future__ import annotations

from fractions import Fraction
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from symbackprop.bench.cases import FORWARD, Case, Pass
from symbackprop.bench.tasks import task
from symbackprop.build import BACKENDS, texts
from symbackprop.check.arithmetic import Float64
from symbackprop.check.cases import free_sizes
from symbackprop.check.exact import lean
from symbackprop.check.point import Point
from symbackprop.errors import UserError
from symbackprop.modules import imported, is_built_in
from symbackprop.notation.layer import Layer


def own_modules(layer: Layer, folder: Path) -> dict[str, Any]:
    if is_built_in(layer):
        return {backend: import_module(f"symbackprop.generated.{backend}.{layer.name}") for backend in BACKENDS}
    made = texts([layer], tuple(BACKENDS))
    return {b: imported(layer.name, b, made[PurePosixPath(b, f"{layer.name}.py")], folder) for b in BACKENDS}


def own_case(layer: Layer, sizes: dict[str, int], params: dict[str, float]) -> Case:
    """Forward and backward of a layer at sizes.

    Raises: UserError where a size is missing or unknown.
    """
    names = free_sizes(layer)
    for name in sizes:
        if name not in names:
            raise UserError(f"layer {layer.name} has no size {name} to choose; it has {', '.join(names) or 'none'}")
    missing = [name for name in names if name not in sizes]
    if missing:
        asked = " ".join(f"--size {name}=..." for name in missing)
        raise UserError(f"layer {layer.name} needs sizes to be timed at; add {asked}")
    shapes = _shapes(layer, sizes, params)
    whole = {p.name for p in layer.parameters if p.integer}
    given = {name: int(value) if name in whole else value for name, value in params.items()}
    backward = Pass("backward", tuple(t.name for t in layer.real_inputs))
    return Case(layer.name, shapes, (FORWARD, backward) if backward.wrt else (FORWARD,), given)


def _shapes(layer: Layer, sizes: dict[str, int], params: dict[str, float]) -> dict[str, tuple[int, ...]]:
    unknown = next((name for name in params if name not in {p.name for p in layer.parameters}), None)
    if unknown is not None:
        known = ", ".join(p.name for p in layer.parameters) or "none"
        raise UserError(f"layer {layer.name} has no parameter {unknown}; it has {known}")
    values = {p.name: lean(Fraction(params.get(p.name, p.default))) for p in layer.parameters}
    point = Point(layer, Float64(), sizes, values)
    return {tensor.name: point.shape(tensor.name) for tensor in layer.inputs}


def finite(case: Case, layer: Layer, modules: dict[str, Any]) -> Case:
    """The case with positive inputs where normal ones lead to what is not finite: a logarithm, a root."""
    drawn = task(case, layer)
    with np.errstate(all="ignore"):
        output, _ = modules["numpy"].forward(*drawn.inputs.values(), **case.params)
    if np.isfinite(output if isinstance(output, np.ndarray | np.generic) else output[0]).all():
        return case
    return Case(case.layer, case.shapes, case.passes, case.params, tuple(t.name for t in layer.real_inputs))
