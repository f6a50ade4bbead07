"""Reductions that stand inside of other things, as definitions of their own where gradients gain by it.

The gradient of `y[n,k] = relu(sum[d](x[n,d]*weight[k,d]))` by x adds up over k, and asks in every term for the sum
again; that by weight adds up over n. A person gives the sum a name, and goes backward through that: each element of it
and of its gradient is computed once, and what is left are products of matrices. So do kernels, whatever is named.
"""

from __future__ import annotations

from dataclasses import replace

from symbackprop.notation.binding import free_indices, substitute, without_primes
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import Add, Arg, Expr, Index, Mul, Read, Reduce, Where, parts, rebuild, walk
from symbackprop.program.forms import key
from symbackprop.program.names import FreshNames

Indices = tuple[Index, ...]


def with_inner_definitions(layer: Layer) -> Layer:
    """The layer with reductions inside of a function, a product or another reduction as definitions before it.

    Such are those that read a tensor without one of the reduction's own indices: its gradient adds up over that index.
    Those that are only added, or multiplied by what reads no tensor, stay: the gradient goes through them as it is. So
    do those behind a condition that may keep their reads inside of their boxes.
    Needs: a layer. Keeps: its value, its outputs and inputs.
    """
    inner = _Inner(layer)
    for definition in layer.definitions:
        body = inner.outermost(definition.body, definition.indices)
        inner.definitions.append(replace(definition, body=body))
    if len(inner.definitions) == len(layer.definitions):
        return layer
    return replace(layer, definitions=tuple(inner.definitions))


class _Inner:
    """Collects the definitions, those that are made before the one that reads them."""

    def __init__(self, layer: Layer) -> None:
        self.definitions: list[Definition] = []
        self._layer, self._names = layer, FreshNames(layer, ())
        self._known: dict[Expr, tuple[str, tuple[int, ...]]] = {}

    def outermost(self, expr: Expr, scope: Indices) -> Expr:
        """`expr` with those inside of its outermost reductions replaced, and such as are not only added."""
        match expr:
            case Add(terms):
                return rebuild(expr, tuple(self.outermost(t, scope) for t in terms))
            case Mul(factors) if sum(any(isinstance(e, Read) for e in walk(f)) for f in factors) == 1:
                return rebuild(expr, tuple(self.outermost(f, scope) for f in factors))
            case Reduce(operation, indices, body):
                nested = isinstance(body, Reduce) and body.operation == operation
                inside = self.outermost if nested else self._inside
                return rebuild(expr, (inside(body, (*scope, *indices)),))
            case Arg(_, indices, body):
                return rebuild(expr, (self._inside(body, (*scope, *indices)),))
            case _:
                return self._inside(expr, scope)

    def _inside(self, expr: Expr, scope: Indices, conditional: bool = False) -> Expr:
        if isinstance(expr, Reduce) and _is_read_across(expr) and (not conditional or self._safe(expr)):
            return self._named(expr, scope)
        if isinstance(expr, Reduce | Arg):
            scope = (*scope, *expr.indices)
        if isinstance(expr, Read):
            return expr
        conditional = conditional or isinstance(expr, Where)
        return rebuild(expr, tuple(self._inside(part, scope, conditional) for part in parts(expr)))

    def _safe(self, expr: Expr) -> bool:
        """Whether no read can leave its box without a value there, whatever the indices."""
        for read in (e for e in walk(expr) if isinstance(e, Read)):
            tensor = self._layer.tensor(read.tensor)
            if tensor is not None and tensor.outside is not None:
                continue
            extents = self._layer.axes(read.tensor)
            if any(not isinstance(i, Index) or i.extent != e for i, e in zip(read.indices, extents, strict=True)):
                return False
        return True

    def _named(self, expr: Reduce, scope: Indices) -> Read:
        form, free = key(expr)
        if form not in self._known:
            indices = tuple(sorted(free, key=scope.index))
            plain = without_primes(indices)
            name = self._names.of(expr)
            own = substitute(expr, dict(zip(indices, plain, strict=True)))
            self._known[form] = (name, tuple(free.index(i) for i in indices))
            body = self.outermost(own, plain)
            self.definitions.append(Definition(name, plain, body))
        name, order = self._known[form]
        return Read(name, tuple(free[at] for at in order))


def _is_read_across(expr: Reduce) -> bool:
    """Whether a tensor is read in it without one of its indices, so that its gradient adds up over that one."""
    own = set(free_indices(expr))
    return any(not own <= set(e.indices) for e in walk(expr) if isinstance(e, Read))


__all__ = ["with_inner_definitions"]
