"""Eliminating deltas: the gather equals the scatter at every target, for every size, in every order of the unknowns."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from symbackprop.calculus.eliminate import NoGather, eliminate
from symbackprop.calculus.integer import Facts
from symbackprop.check.arithmetic import Float64
from symbackprop.check.interpret import evaluate
from symbackprop.check.point import Point
from symbackprop.notation.binding import free_indices
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Clip,
    Delta,
    Expr,
    Index,
    Parameter,
    Size,
    add,
    both,
    floor_divide,
    modulo,
    mul,
    number,
    reduce,
    subtract,
    where,
)

N, P, R, T = Size("N"), Size("P"), Size("R"), Size("T")
S, D, PAD = (Parameter(name, integer=True) for name in ("stride", "dilation", "pad"))
p, r, q = Index("p", P), Index("r", R), Index("q", R)
h, g = Index("h", T), Index("g", T)
NO_LAYER = Layer("none", (), (), (), (), (), (), ())
FACTS = Facts(least={"stride": 1, "dilation": 0, "pad": 0})

SYSTEMS: dict[str, list[tuple[Expr, Expr]]] = {
    "unit": [(add(p, r), h)],
    "strided": [(add(mul(S, p), mul(D, r), mul(number(-1), PAD)), h)],
    "number": [(mul(number(2), p), h)],
    "negative": [(subtract(R, add(r, ONE)), h)],
    "two conditions that share indices": [(add(p, r), h), (subtract(p, r), g)],
    "two without a unit coefficient": [
        (add(mul(number(2), p), mul(number(3), r)), h),
        (add(mul(number(3), p), mul(number(5), r)), g),
    ],
    "quotient and remainder": [(floor_divide(p, S), h), (modulo(p, S), g)],
    "mixed radix": [(add(mul(R, p), r), h)],
    "grouped": [(add(mul(floor_divide(p, S), R), r), h)],
    "no index": [(number(2), h)],
    "diagonal": [(p, h), (p, g)],
}


def total(expr: Expr, sizes: dict[str, int], params: dict[str, int], at: dict[Index, int]) -> object:
    return evaluate(expr, Point(NO_LAYER, Float64(), sizes, params), at)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_gather_counts_what_the_deltas_count(name: str) -> None:
    equations = SYSTEMS[name]
    unknowns = tuple(u for u in (p, r) if any(u in _indices(left) for left, _ in equations)) or (r,)
    deltas = reduce("sum", unknowns, mul(ONE, *(Delta(j, phi) for phi, j in equations)))
    for order in permutations(unknowns):
        solution = eliminate(equations, order, 1, FACTS, (h, g))
        gather = reduce("sum", solution.remaining, where(both(*solution.guards), ONE, ZERO))
        for P_, R_, s, d, pad in product((1, 3), (1, 2), (1, 2, 3), (0, 1, 2), (0, 1)):
            sizes, params = {"P": P_, "R": R_, "T": 7, "N": 2}, {"stride": s, "dilation": d, "pad": pad}
            for a, b in product(range(0, 7, 2), (0, 1, 4)):
                at = {h: a, g: b}
                if all(total(where(c, ONE, ZERO), sizes, params, at) for c in solution.conditions):
                    assert total(gather, sizes, params, at) == total(deltas, sizes, params, at), (order, sizes, params)


def _indices(expr: Expr) -> set[Index]:
    return set(free_indices(expr))


@pytest.mark.parametrize(
    ("equation", "why"),
    [
        ((modulo(add(p, r), N), h), "several points"),
        ((Clip(p, ZERO, R), h), "clip"),
        ((mul(p, p), h), "not an affine function"),
    ],
)
def test_what_has_no_exact_inverse_is_refused_with_the_reason(equation: tuple[Expr, Expr], why: str) -> None:
    with pytest.raises(NoGather, match=why):
        eliminate([equation], (p, r), 1, FACTS, (h,))
