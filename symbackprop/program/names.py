"""Readable names for the tensors that the planner makes: `sum_grad_y_xhat`, `inv_sqrt_var`, `exp_z`."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Add, Arg, Call, Expr, Mul, Number, Parameter, Pow, Read, Reduce, Where, parts
from symbackprop.program.extents import all_sizes

_LONGEST = 32
_POWERS = {Fraction(-1): "inv", Fraction(1, 2): "sqrt", Fraction(-1, 2): "inv_sqrt", Fraction(2): "squared"}


class FreshNames:
    """Names that no tensor, size, parameter or index of a layer has, each given once."""

    def __init__(self, layer: Layer, others: Iterable[str]) -> None:
        gradients = {f"grad_{t}" for t in layer.tensors} | {f"d{y}" for y in layer.outputs}
        ranges = {r.index for r in layer.ranges} | {s.name for s in all_sizes(layer)}
        self._taken = {*layer.names, *gradients, *ranges, *others}

    def of(self, expr: Expr) -> str:
        """A new name for the value of an expression."""
        wish = name = spoken(expr) or "part"
        count = 2
        while name in self._taken:
            name, count = f"{wish}_{count}", count + 1
        self._taken.add(name)
        return name


def spoken(expr: Expr) -> str:
    """What an expression would be called: its functions and the tensors that it reads first."""
    words: list[str] = []
    for word in _words(expr):
        if word not in words and len("_".join((*words, word))) <= _LONGEST:
            words.append(word)
    return "_".join(words)


def _words(expr: Expr) -> list[str]:
    match expr:
        case Reduce(operation, _, body):
            return [operation, *_words(body)]
        case Arg(operation, _, body):
            return [f"arg{operation}", *_words(body)]
        case Read(tensor, _):
            return [tensor]
        case Parameter(name, _):
            return [name]
        case Pow(base, Number(exponent)) if exponent in _POWERS:
            inner = _words(base)
            return [_POWERS[exponent], *inner] if inner else []
        case Call(function, arguments):
            return [function, *_words(arguments[0])]
        case Add(terms):
            return next((found for term in terms if (found := _words(term))), [])
        case Mul(factors):
            return [word for factor in factors for word in _words(factor)]
        case Where(_, then, other):
            return _words(then) or _words(other)
        case _:
            return [word for part in parts(expr) for word in _words(part)][:1]
