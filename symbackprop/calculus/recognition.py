"""Identities that rest on the definitions of the layer: what cancels by them, and where one of them stands.

`vanishing_sums` expands, and keeps the expansion only if it is zero: a centred sum must not become a difference of
large sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from symbackprop.calculus.identities import Product, tidy
from symbackprop.calculus.integer import Facts, follows
from symbackprop.calculus.match import replace_matches
from symbackprop.notation.binding import free_indices, substitute
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Add,
    Call,
    Compare,
    Expr,
    Index,
    Mul,
    Number,
    Pow,
    Read,
    Reduce,
    Where,
    add,
    divide,
    mul,
    parts,
    power,
    rebuild,
    walk,
)


def vanishing_sums(expr: Expr, layer: Layer, facts: Facts) -> Expr:
    """`sum_i (x_i - mu) = 0` where `mu` is defined as the mean of x, and what else cancels by the definitions."""
    expr = rebuild(expr, tuple(vanishing_sums(p, layer, facts) for p in parts(expr)))
    if isinstance(expr, Reduce) and expr.operation == "sum" and _worth_expanding(expr.body):
        total = add(*(tidy(Reduce("sum", expr.indices, t), facts) for t in _expanded(expr.body)))
        if tidy(sums_by_definition(shares_taken_apart(total, layer, facts), layer, facts), facts) == ZERO:
            return ZERO
    return expr


def _worth_expanding(body: Expr) -> bool:
    factors = body.factors if isinstance(body, Mul) else (body,)
    return sum(isinstance(f, Add) for f in factors) == 1 and not any(isinstance(f, Where) for f in factors)


def _expanded(body: Expr) -> list[Expr]:
    """`a (b + c) = a b + a c`, for one sum among the factors."""
    factors = body.factors if isinstance(body, Mul) else (body,)
    at = next(i for i, f in enumerate(factors) if isinstance(f, Add))
    return [mul(*factors[:at], term, *factors[at + 1 :]) for term in parts(factors[at])]


def shares_taken_apart(expr: Expr, layer: Layer, facts: Facts) -> Expr:
    """`sum_k y_k = sum_k(e_k)/s` where `y_k = e_k/s` is a definition: so a softmax sums to one."""
    expr = rebuild(expr, tuple(shares_taken_apart(p, layer, facts) for p in parts(expr)))
    if not (isinstance(expr, Reduce) and expr.operation == "sum" and isinstance(read := expr.body, Read)):
        return expr
    definition = next((d for d in layer.definitions if d.name == read.tensor), None)
    if definition is None or not isinstance(definition.body, Mul):
        return expr
    share = substitute(definition.body, dict(zip(definition.indices, read.indices, strict=True)))
    return tidy(Reduce("sum", expr.indices, share), facts)


def sums_by_definition(expr: Expr, layer: Layer, facts: Facts) -> Expr:
    """`sum_i x_i = m mu` where `mu = mean_i(x_i)` is a definition, and `sum_i x_i = s` where `s` is."""
    for definition in layer.definitions:
        pattern = definition.body
        if isinstance(pattern, Reduce) and pattern.operation in ("sum", "mean"):
            count = mul(*(i.extent for i in pattern.indices)) if pattern.operation == "mean" else ONE
            expr = replace_matches(
                expr,
                Reduce("sum", pattern.indices, pattern.body),
                definition.indices,
                lambda found, known, d=definition, m=count: (  # type: ignore[misc]
                    mul(m, substitute(d.element, found)) if _defined_at(d, found, known, facts) else None
                ),
            )
    return expr


def definitions_put_back(expr: Expr, definition: Definition, facts: Facts) -> list[Expr]:
    """A definition `v = a / b` solved for one factor: `a = v b`, put in wherever `a` stands.

    So `x - mu` becomes `xhat * sqrt(var + eps)`, and the roots cancel with others. One candidate for each factor
    in which all indices of the definition stand; the caller keeps the one that is shorter. Only what `v` divides by
    is multiplied: a factor of `v` that may be zero never comes to stand in a denominator.
    """
    product = Product.of(tidy(definition.body, facts))
    candidates = [put for put in powers_put_back(expr, definition, product, facts) if put != expr]
    for base, exponent in product.powers:
        rest = Product(product.coefficient, tuple((b, e) for b, e in product.powers if b != base))
        solvable = exponent == 1 and all(e < 0 for _, e in rest.powers) and isinstance(base, Add | Call | Read)
        if not solvable or set(definition.indices) - set(free_indices(base)):
            continue
        solved = divide(definition.element, rest.expr())
        put = replace_matches(
            expr,
            base,
            definition.indices,
            lambda found, known, s=solved: (  # type: ignore[misc]
                substitute(s, found) if _defined_at(definition, found, known, facts) else None
            ),
            [b for b, _ in rest.powers if isinstance(b, Reduce)],
        )
        put = put if put is expr else tidy(put, facts)
        if put != expr:
            candidates.append(put)
    return candidates


def powers_put_back(expr: Expr, definition: Definition, body: Product, facts: Facts) -> Iterator[Expr]:
    """`b^(n a) = v^n` for whole n, where `v = b^a` is a definition: the root of a variance is taken once."""
    if len(body.powers) != 1 or body.coefficient != 1:
        return
    ((base, own),) = body.powers
    if own == 1 or set(definition.indices) - set(free_indices(base)):
        return
    exponents = (e.exponent.value for e in walk(expr) if isinstance(e, Pow) and isinstance(e.exponent, Number))
    for exponent in (e for e in dict.fromkeys(exponents) if (e / own).denominator == 1):
        element = power(definition.element, Number(exponent / own))
        put = replace_matches(
            expr,
            Pow(base, Number(exponent)),
            definition.indices,
            lambda found, known, v=element: (  # type: ignore[misc]
                substitute(v, found) if _defined_at(definition, found, known, facts) else None
            ),
        )
        yield put if put is expr else tidy(put, facts)


def _defined_at(definition: Definition, at: Mapping[Index, Expr], known: Iterable[Expr], facts: Facts) -> bool:
    """Whether the definition has an element there: the same formula may stand beyond its axes, or behind a guard."""
    return all(
        follows(bound, known, facts)
        for i in definition.indices
        for bound in (Compare("<=", ZERO, at[i]), Compare("<", at[i], i.extent))
    )
