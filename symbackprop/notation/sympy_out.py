# mypy: disable-error-code="no-untyped-call"
"""From a `Layer` to SymPy: equations with `Sum`, `Indexed` and `Idx`, and back by `from_sympy(**arguments(layer))`.

What SymPy has no word for (a mean, a reduction by maximum, `where`, `clip`, relu) becomes a function of that name that
SymPy leaves alone. Sizes, parameters and scalars are integer or plain symbols.
"""

from __future__ import annotations

from typing import Any

import sympy

from symbackprop.errors import InternalError
from symbackprop.notation import nodes as n
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Expr

_FUNCTIONS = {"exp": sympy.exp, "log": sympy.log, "sqrt": sympy.sqrt, "abs": sympy.Abs, "sign": sympy.sign}
_FUNCTIONS |= {"tanh": sympy.tanh, "erf": sympy.erf, "sin": sympy.sin, "cos": sympy.cos}
_COMPARISONS = {"<": sympy.Lt, "<=": sympy.Le, ">": sympy.Gt, ">=": sympy.Ge, "==": sympy.Eq, "!=": sympy.Ne}


def to_sympy(layer: Layer) -> list[Any]:
    """The forward equations as `sympy.Eq`, in order."""
    return [
        sympy.Eq(
            _element(layer, d.name, tuple(expression(i, layer) for i in d.indices)),
            expression(d.body, layer),
            evaluate=False,
        )
        for d in layer.definitions
    ]


def arguments(layer: Layer) -> dict[str, Any]:
    """Everything that `from_sympy` needs to build the layer again."""
    return {
        "name": layer.name,
        "equations": to_sympy(layer),
        "inputs": [_tensor(layer, t.name) for t in layer.inputs],
        "outputs": list(layer.outputs),
        "parameters": {p.name: int(p.default) if p.integer else _rational(p.default) for p in layer.parameters},
        "sizes": {s.name: expression(s.value, layer) for s in layer.sizes},
        "ranges": {r.index: expression(r.extent, layer) for r in layer.ranges},
        "outside": {t.name: expression(t.outside, layer) for t in layer.inputs if t.outside is not None},
        "integer": [t.name for t in layer.inputs if t.kind == "integer"],
        "require": [expression(r.condition, layer) for r in layer.requirements],
        "doc": layer.doc,
    }


def expression(expr: Expr, layer: Layer | None = None) -> Any:
    """An expression in SymPy; `layer` gives the tensors their shapes."""
    parts = tuple(expression(part, layer) for part in n.parts(expr))
    match expr:
        case n.Number(value):
            return _rational(value)
        case n.Infinity(sign):
            return sign * sympy.oo
        case n.Constant():
            return sympy.pi
        case n.Size(name) | n.Parameter(name, True):
            return sympy.Symbol(name, integer=True)
        case n.Parameter(name, False):
            return sympy.Symbol(name)
        case n.Index():
            return _index(expr, layer)
        case n.Read(tensor, _):
            return _element(layer, tensor, parts)
        case n.Add():
            return sympy.Add(*parts)
        case n.Mul():
            return sympy.Mul(*parts)
        case n.Pow():
            return sympy.Pow(*parts)
        case n.FloorDiv():
            return sympy.floor(parts[0] / parts[1])
        case n.Mod():
            return sympy.Mod(*parts)
        case n.Clip():
            return sympy.Function("clip")(*parts)
        case n.Call(function, _):
            return _FUNCTIONS.get(function, sympy.Function(function))(*parts)
        case n.Reduce("sum" | "prod" as operation, indices, _):
            limits = [(_index(i, layer), 0, expression(i.extent, layer) - 1) for i in indices]
            return (sympy.Sum if operation == "sum" else sympy.Product)(*parts, *limits)
        case n.Reduce(operation, indices, _) | n.Arg(operation, indices, _):
            operation = f"arg{operation}" if isinstance(expr, n.Arg) else operation
            return sympy.Function(f"reduce_{operation}")(*parts, *(_index(i, layer) for i in indices))
        case n.Compare(operation, _, _):
            return _COMPARISONS[operation](*parts, evaluate=False)
        case n.Logic(operation, _):
            return {"and": sympy.And, "or": sympy.Or, "not": sympy.Not}[operation](*parts, evaluate=False)
        case n.Where():
            return sympy.Function("where")(*parts)
        case n.Delta():
            return sympy.KroneckerDelta(*parts)
        case _:
            raise InternalError(f"no SymPy counterpart of {type(expr).__name__}")


def _rational(value: Any) -> Any:
    return sympy.Rational(value.numerator, value.denominator)


def _index(index: n.Index, layer: Layer | None) -> Any:
    label = sympy.Symbol(index.name + "'" * index.copy, integer=True)
    return sympy.Idx(label, (0, expression(index.extent, layer) - 1))


def _tensor(layer: Layer | None, name: str) -> Any:
    axes = None if layer is None else _axes(layer, name)
    if axes == ():
        return sympy.Symbol(name)
    shape = None if axes is None else tuple(expression(axis, layer) for axis in axes)
    return sympy.IndexedBase(name, shape=shape)


def _axes(layer: Layer, name: str) -> tuple[Expr, ...] | None:
    known = layer.tensor(name) is not None or any(d.name == name for d in layer.definitions)
    return layer.axes(name) if known else None


def _element(layer: Layer | None, name: str, indices: tuple[Any, ...]) -> Any:
    return _tensor(layer, name)[indices] if indices else sympy.Symbol(name)
