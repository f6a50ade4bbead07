"""Statements out of equations: reductions, invariant parts and repeated functions become tensors of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace as with_fields

from symbackprop.notation import printer
from symbackprop.notation.binding import free_indices, fresh, substitute, without_primes
from symbackprop.notation.nodes import (
    TRUE,
    ZERO,
    Arg,
    Call,
    Expr,
    Index,
    Logic,
    Mul,
    Number,
    Pow,
    Read,
    Reduce,
    Where,
    both,
    is_divisor,
    mul,
    parts,
    rebuild,
    walk,
)
from symbackprop.program.forms import expensive, key
from symbackprop.program.names import FreshNames
from symbackprop.program.statements import Statement

Indices = tuple[Index, ...]
Axes = Mapping[str, tuple[Expr, ...]]


class Builder:
    """Collects the statements of one pass. What an earlier pass has computed can be read by its name.

    Needs: equations in planned form. Keeps: their values. Gives: statements in computing order, in which no
    reduction that is equal to another up to the names of its indices is computed twice.
    """

    def __init__(
        self, names: FreshNames, axes: Axes, earlier: Builder | None = None, unread: Iterable[str] = ()
    ) -> None:
        """`axes` are the extents of the tensors of the layer and of their gradients.

        `unread` are targets that no other statement may read: it may be that they are not asked for.
        """
        self._axes: dict[str, tuple[Expr, ...]] = dict(earlier._axes) if earlier else dict(axes)
        self._unread = frozenset(unread)
        self.statements: list[Statement] = []
        self.expand: Callable[[Read], Expr] = lambda read: read
        self._names = names
        self._known: dict[Expr, tuple[str, tuple[int, ...]]] = dict(earlier._known) if earlier else {}
        self._uses: Counter[Expr] = Counter()
        self._behind_condition = False
        self._unsure: set[str] = set(earlier._unsure) if earlier else set()

    def expect(self, bodies: Iterable[Expr]) -> None:
        """Count what the coming equations contain, so that what stands twice is computed once."""
        for body in bodies:
            self._uses.update(key(e)[0] for e in walk(body) if isinstance(e, Reduce | Arg) or expensive(e))

    def expect_later(self, bodies: Iterable[Expr], functions: bool) -> None:
        """Count the reductions of this pass that a later pass reads again, and with `functions` its functions too."""
        later = {
            key(e)[0] for body in bodies for e in walk(body)
            if isinstance(e, Reduce | Arg) or (functions and isinstance(e, Call) and expensive(e))
        }  # fmt: skip
        self._uses.update(form for form in list(self._uses) if form in later)

    def define(self, target: str, indices: Indices, body: Expr) -> None:
        """Add the statements of `target[indices] = body`, the last of which has that target."""
        outer = _lone_reduction(body, indices)
        if outer is not None and not self._alone(outer, body, target):
            self._reduction(target, indices, outer, body)
        else:
            value = self.pointwise(body, indices)
            self._add(Statement("map", target, indices, (), value, Read(target, indices)), body)
        if target not in self._unread:
            self._remember(target, indices, body)

    def _alone(self, outer: Reduce | Arg, body: Expr, target: str) -> bool:
        """Whether a reduction gets a tensor for itself: others read it too, and cannot read the target for it."""
        form = key(outer)[0]
        if form in self._known:
            return True
        return self._uses[form] > 1 and (outer != body or target in self._unread)

    def scatter(
        self, target: str, axes: tuple[Expr, ...], positions: tuple[Expr, ...], domain: Indices, value: Expr
    ) -> None:
        """Add the statements of `target[positions] += value` over the domain."""
        indices = tuple(Index(f"i{at}", extent) for at, extent in enumerate(axes))
        body = self.pointwise(value, domain)
        places = tuple(self.pointwise(p, domain) for p in positions)
        text = f"{printer.expression(Read(target, positions))} += {printer.expression(value)}"
        self.statements.append(
            Statement("scatter", target, indices, domain, body, Read(target, indices), places, comment=text)
        )

    def pointwise(self, expr: Expr, scope: Indices) -> Expr:
        """`expr` without reductions, for a statement over the indices `scope`; what it needs is computed before."""
        return self._with_invariants(self._without_reductions(expr, scope, TRUE), scope, TRUE)

    def _without_reductions(self, expr: Expr, scope: Indices, guards: Expr) -> Expr:
        if isinstance(expr, Reduce | Arg):
            return self._lift(self._guarded(expr, guards), scope)
        if isinstance(expr, Read):
            read = Read(expr.tensor, tuple(self._without_reductions(i, scope, guards) for i in expr.indices))
            full = self.expand(read)
            return full if isinstance(full, Read) else self._without_reductions(full, scope, guards)
        if isinstance(expr, Where):
            condition = self._without_reductions(expr.condition, scope, guards)
            with self._condition():
                then = self._without_reductions(expr.then, scope, both(guards, expr.condition))
                unlike = both(guards, Logic("not", (expr.condition,)))
                return rebuild(expr, (condition, then, self._without_reductions(expr.other, scope, unlike)))
        if isinstance(expr, Logic):
            pairs = zip(expr.arguments, _before_each(expr), strict=True)
            with self._condition():
                return rebuild(expr, tuple(self._without_reductions(a, scope, both(guards, e)) for a, e in pairs))
        return rebuild(expr, tuple(self._without_reductions(part, scope, guards) for part in parts(expr)))

    def _with_invariants(self, expr: Expr, scope: Indices, guards: Expr) -> Expr:
        if isinstance(expr, Read):
            return expr
        if self._worth_lifting(expr, scope, guards):
            return self._lift(expr, scope)
        if isinstance(expr, Where):
            condition = self._with_invariants(expr.condition, scope, guards)
            with self._condition():
                then = self._with_invariants(expr.then, scope, expr.condition)
                return rebuild(expr, (condition, then, self._with_invariants(expr.other, scope, guards)))
        if isinstance(expr, Logic):
            pairs = zip(expr.arguments, _before_each(expr), strict=True)
            with self._condition():
                return rebuild(expr, tuple(self._with_invariants(a, scope, both(guards, e)) for a, e in pairs))
        if isinstance(expr, Mul):
            expr = self._with_small_products(expr, scope)
        return rebuild(expr, tuple(self._with_invariants(part, scope, guards) for part in parts(expr)))

    @contextmanager
    def _condition(self) -> Iterator[None]:
        """While the branches of a choice are planned: what is computed for them may not count."""
        before, self._behind_condition = self._behind_condition, True
        yield
        self._behind_condition = before

    def _reduction(self, target: str, indices: Indices, outer: Reduce | Arg, body: Expr) -> None:
        moved, inner = _rebound(outer, indices)
        value = self.pointwise(inner, (*indices, *moved))
        kind = outer.operation if isinstance(outer, Reduce) else f"arg{outer.operation}"
        # not yet the target: a function of it is another one than the same function of the finished target
        reduced = Read(f"reduced to {target}", indices)
        result = self.pointwise(substitute(body, {outer: reduced}), indices)
        result = substitute(result, {reduced: Read(target, indices)})
        self._add(Statement(kind, target, indices, moved, value, result), body)

    def _guarded(self, expr: Reduce | Arg, guards: Expr) -> Reduce | Arg:
        """The reduction with the conditions under which it stands, where a read could leave its box without them."""
        if guards == TRUE or self._plain(expr):
            return expr
        return type(expr)(expr.operation, expr.indices, Where(guards, expr.body, ZERO))

    def _plain(self, expr: Expr) -> bool:
        """Whether every read is at bare indices that run over its axes: inside its box without any condition."""
        for read in (e for e in walk(expr) if isinstance(e, Read)):
            axes = self._axes.get(read.tensor)
            for at, index in enumerate(read.indices):
                if not isinstance(index, Index) or (axes is not None and index.extent != axes[at]):
                    return False
        return True

    def _add(self, statement: Statement, body: Expr) -> None:
        self._axes[statement.target] = tuple(i.extent for i in statement.indices)
        text = f"{printer.expression(statement.element)} = {printer.expression(body)}"
        unsure = self._behind_condition and any(self._may_be_infinite(e) for e in walk(statement.body))
        if unsure:
            self._unsure.add(statement.target)
        self.statements.append(with_fields(statement, comment=text, unsure=unsure))

    def _may_be_infinite(self, expr: Expr) -> bool:
        match expr:
            case Pow(_, Number(exponent)):
                return exponent < 0 or exponent.denominator != 1
            case Pow() | Call("log" | "exp", _):
                return True
            case Read(tensor, _):
                return tensor in self._unsure
            case _:
                return False

    def _remember(self, target: str, indices: Indices, body: Expr) -> None:
        if isinstance(body, Reduce | Arg) or expensive(body):
            form, free = key(body)
            if set(free) == set(indices):
                self._known.setdefault(form, (target, tuple(free.index(i) for i in indices)))

    def _shared(self, expr: Expr) -> bool:
        form = key(expr)[0]
        return form in self._known or self._uses[form] > 1

    def _worth_lifting(self, expr: Expr, scope: Indices, guards: Expr) -> bool:
        """An expensive part that depends on fewer indices than its statement, or that stands more than once."""
        if not any(isinstance(e, Read) for e in walk(expr)):
            return False
        if expensive(expr) and self._shared(expr):
            return guards == TRUE or self._plain(expr)
        smaller = set(free_indices(expr)) < set(scope)
        return smaller and self._plain(expr) and (expensive(expr) or is_divisor(expr))

    def _with_small_products(self, product: Mul, scope: Indices) -> Expr:
        """The product with factors of the same few indices multiplied first, in a tensor of their own."""
        groups: dict[frozenset[Index], list[Expr]] = {}
        for factor in product.factors:
            groups.setdefault(frozenset(free_indices(factor)), []).append(factor)
        scalars = [f for f in groups.get(frozenset(), []) if not any(isinstance(e, Read) for e in walk(f))]
        for indices, factors in groups.items():
            if len(factors) < 2 or not indices or not indices < frozenset(scope) or not all(map(self._plain, factors)):
                continue
            taken = [f for f in product.factors if f in factors or f in scalars]
            return mul(self._lift(mul(*taken), scope), *(f for f in product.factors if f not in taken))
        return product

    def _lift(self, expr: Expr, scope: Indices) -> Read:
        """The element of a tensor that holds `expr`; the tensor is computed before, unless it is known."""
        form, free = key(expr)
        if form not in self._known:
            indices = tuple(sorted(free, key=lambda i: scope.index(i) if i in scope else len(scope)))
            name = self._names.of(expr)
            self._known[form] = (name, tuple(free.index(i) for i in indices))
            indices = tuple(indices)
            self._define_lifted(name, indices, expr)
        name, order = self._known[form]
        return Read(name, tuple(free[at] for at in order))

    def _define_lifted(self, name: str, indices: Indices, expr: Expr) -> None:
        plain = without_primes(indices)
        expr, indices = substitute(expr, dict(zip(indices, plain, strict=True))), plain
        if isinstance(expr, Reduce | Arg):
            self._reduction(name, indices, expr, expr)
            return
        value = rebuild(expr, tuple(self._with_invariants(part, indices, TRUE) for part in parts(expr)))
        self._add(Statement("map", name, indices, (), value, Read(name, indices)), expr)


def _before_each(expr: Logic) -> list[Expr]:
    """What holds where each of joined conditions is looked at: those before it hold (`and`), or do not (`or`)."""
    known = [a if expr.operation == "and" else Logic("not", (a,)) for a in expr.arguments]
    return [both(*known[:at]) for at in range(len(known))]


def _lone_reduction(body: Expr, indices: Indices) -> Reduce | Arg | None:
    """The only outermost reduction of a body, if it is over no branch and has all the indices of the target."""
    found: list[Expr] = []
    _outermost(body, found)
    distinct = list(dict.fromkeys(found))
    if len(distinct) != 1 or not isinstance(distinct[0], Reduce | Arg):
        return None
    one = distinct[0]
    if isinstance(one, Arg) and one != body:
        return None
    return one if set(free_indices(one)) == set(indices) else None


def _outermost(expr: Expr, found: list[Expr]) -> None:
    choice_between = isinstance(expr, Where) and any(isinstance(e, Reduce | Arg) for e in walk(expr))
    if isinstance(expr, Reduce | Arg) or choice_between:
        found.append(expr)
    else:
        for part in parts(expr):
            _outermost(part, found)


def _rebound(outer: Reduce | Arg, indices: Indices) -> tuple[Indices, Expr]:
    """The bound indices with as few primes as they need beside `indices`, and the body in them."""
    chosen: list[Index] = []
    used = free_indices(outer.body)
    for index in outer.indices:
        others = [i for i in (*indices, *used) if i not in outer.indices]
        chosen.append(fresh(Index(index.name, index.extent), (*others, *chosen)))
    mapping: dict[Expr, Expr] = dict(zip(outer.indices, chosen, strict=True))
    return tuple(chosen), substitute(outer.body, mapping)
