# mypy: disable-error-code="no-untyped-call"
"""The Python way in: a layer as SymPy expressions, as short as the mathematics.

    n, c = indices("n c", sizes="N C")
    x, gamma = tensor("x", n, c), tensor("gamma", c)
    eps = parameter("eps", default=1e-6)

    scale = define("scale", [n], sqrt(mean(x[n, c] ** 2, over=c) + eps))
    y = define("y", [n, c], gamma[c] * x[n, c] / scale[n])

    LAYER = layer("rmsnorm", inputs=[x, gamma], definitions=[scale, y])

The helpers return SymPy objects (`Idx`, `Indexed`, `Sum`, symbols), so everything of SymPy can be mixed in; comparisons
are written `a < b`, `Eq(a, b)`, `Ne(a, b)`. `symbackprop.notation.sympy_in.from_sympy` takes plain SymPy without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy

from symbackprop.errors import NotationError
from symbackprop.notation.layer import Layer
from symbackprop.notation.sympy_in import from_sympy as from_sympy

# SymPy says nothing about its types
_sympy: Any = sympy
And, Or, Not, Eq, Ne = _sympy.And, _sympy.Or, _sympy.Not, _sympy.Eq, _sympy.Ne
exp, log, absolute, sign, tanh = _sympy.exp, _sympy.log, _sympy.Abs, _sympy.sign, _sympy.tanh
erf, sin, cos, pi, inf = _sympy.erf, _sympy.sin, _sympy.cos, _sympy.pi, _sympy.oo
sigmoid, relu, softplus = (_sympy.Function(name) for name in ("sigmoid", "relu", "softplus"))
sqrt = _sympy.Function("sqrt")  # SymPy's own would turn x/sqrt(2) into sqrt(2)*x/2


class Parameter(sympy.Dummy):
    """A hyperparameter: a symbol with a default."""

    default: Any


class DerivedSize(sympy.Dummy):
    """A size with a value: a symbol that a `size` statement defines."""

    value: Any


class Tensor(sympy.IndexedBase):
    """A tensor: an `IndexedBase` with a shape, its outside value, and its equation if it has one."""

    outside: Any = None
    integer: bool = False
    equation: Any = None


class Scalar(sympy.Dummy):
    """A tensor without axes."""

    outside: Any = None
    integer: bool = False
    equation: Any = None


def sizes(names: str) -> tuple[Any, ...]:
    """Sizes of axes: `N, C = sizes("N C")`."""
    return tuple(sympy.Symbol(name, integer=True) for name in names.split())


def indices(names: str, sizes: str | Sequence[Any]) -> Any:
    """Indices, each from 0 to its size - 1: `n, c = indices("n c", sizes="N C")`; a single one comes alone.

    A size is a name, or what `size`, `sizes` and `parameter` return, or an expression of them.
    """
    labels = names.split()
    extents = sizes.split() if isinstance(sizes, str) else list(sizes)
    if len(labels) != len(extents):
        raise NotationError(
            f"{len(labels)} indices are named, but {len(extents)} sizes", advice="Give each index its size."
        )
    made = tuple(_index(label, extent) for label, extent in zip(labels, extents, strict=True))
    return made if len(made) > 1 else made[0]


def _index(label: str, extent: Any) -> Any:
    length = sympy.Symbol(extent, integer=True) if isinstance(extent, str) else sympy.sympify(extent)
    return sympy.Idx(sympy.Symbol(label, integer=True), (0, length - 1))


def tensor(name: str, *axes: Any, outside: Any = None, integer: bool = False) -> Any:
    """An input, with an axis for each index or size: `x = tensor("x", n, c, h, w, outside=0)`."""
    made: Any
    if axes:
        made = Tensor(name, shape=tuple(_length(axis) for axis in axes))
    else:
        made = Scalar(name)
    made.outside, made.integer = outside, integer
    return made


def _length(axis: Any) -> Any:
    return axis.upper + 1 if isinstance(axis, sympy.Idx) else sympy.sympify(axis)


def parameter(name: str, default: float, integer: bool = False) -> Any:
    """A hyperparameter: `eps = parameter("eps", default=1e-5)`."""
    made: Any = Parameter(name, integer=True if integer else None)
    made.default = int(default) if integer else sympy.Rational(str(default))
    return made


def size(name: str, value: Any) -> Any:
    """A derived size: `P = size("P", (H - R) // stride + 1)`."""
    made: Any = DerivedSize(name, integer=True)
    made.value = sympy.sympify(value)
    return made


def define(name: str, over: Sequence[Any], value: Any) -> Any:
    """`name[over] = value`; what comes back is read as `mu[c]`, or as it is where `over` is empty."""
    made: Any = Tensor(name, shape=tuple(_length(i) for i in over)) if over else Scalar(name)
    made.equation = Eq(made[tuple(over)] if over else made, sympy.sympify(value), evaluate=False)
    return made


def _reduction(operation: str, body: Any, over: Any) -> Any:
    bound = over if isinstance(over, Sequence) else (over,)
    return _sympy.Function(f"reduce_{operation}")(body, *bound)


def total(body: Any, over: Any) -> Any:
    """The sum over one or several indices."""
    bound = over if isinstance(over, Sequence) else (over,)
    return sympy.Sum(body, *bound)


def mean(body: Any, over: Any) -> Any:
    """The mean over one or several indices."""
    return _reduction("mean", body, over)


def product(body: Any, over: Any) -> Any:
    """The product over one or several indices."""
    return _reduction("prod", body, over)


def highest(body: Any, over: Any) -> Any:
    """The maximum over one or several indices."""
    return _reduction("max", body, over)


def lowest(body: Any, over: Any) -> Any:
    """The minimum over one or several indices."""
    return _reduction("min", body, over)


def maximum(left: Any, right: Any) -> Any:
    """The larger of two values; at a tie the gradient goes to `left`."""
    return _sympy.Function("max")(left, right)


def minimum(left: Any, right: Any) -> Any:
    """The smaller of two values; at a tie the gradient goes to `left`."""
    return _sympy.Function("min")(left, right)


def where(condition: Any, then: Any, other: Any) -> Any:
    """`then` where the condition holds, else `other`."""
    return _sympy.Function("where")(condition, then, other)


def clip(value: Any, low: Any, high: Any) -> Any:
    """An index held between two bounds."""
    return _sympy.Function("clip")(value, low, high)


def layer(
    name: str,
    *,
    inputs: Sequence[Any],
    definitions: Sequence[Any],
    outputs: Sequence[Any] | None = None,
    require: Sequence[Any] = (),
    doc: str = "",
) -> Layer:
    """The layer of these inputs and definitions, in order; the last definition is the output if none is named.

    Parameters and derived sizes are those that occur, in the order in which they were made.
    """
    equations = [d.equation for d in definitions]
    used = _used([*equations, *require, *(axis for t in inputs for axis in getattr(t, "shape", ()))])
    parameters = {p.name: p.default for p in used if isinstance(p, Parameter)}
    return from_sympy(
        name,
        equations,
        inputs,
        outputs,
        parameters={p: int(d) if _whole(p, used) else d for p, d in parameters.items()},
        sizes={s.name: s.value for s in used if isinstance(s, DerivedSize)},
        outside={t: t.outside for t in inputs if t.outside is not None},
        integer=[t for t in inputs if t.integer],
        require=require,
        doc=doc,
    )


def _whole(name: str, used: Iterable[Any]) -> bool:
    return any(isinstance(p, Parameter) and p.name == name and p.is_integer for p in used)


def _used(expressions: Iterable[Any]) -> list[Any]:
    """The parameters and derived sizes that occur, also inside derived sizes, in the order in which they were made."""
    found: dict[Any, None] = {}
    waiting = list(expressions)
    while waiting:
        for symbol in waiting.pop().atoms(sympy.Dummy):
            if symbol not in found:
                found[symbol] = None
                if isinstance(symbol, DerivedSize):
                    waiting.append(symbol.value)
    return sorted(found, key=lambda symbol: symbol.dummy_index)
