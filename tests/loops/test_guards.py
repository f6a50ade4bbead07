"""Guards become bounds that let through exactly the points at which they hold."""

import itertools

import pytest

from symbackprop.calculus.integer import Facts
from symbackprop.loops.guards import limits, phase
from symbackprop.notation.nodes import (
    ZERO,
    Call,
    Compare,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Number,
    Parameter,
    Size,
    add,
    mul,
    negative,
    subtract,
)

STRIDE, PAD, TAP = Parameter("stride", True), Parameter("pad", True), Parameter("tap", True)
FACTS = Facts({}, {"stride": 1, "pad": 0, "tap": 0})
Q = Index("q", Size("Q"))


def _number(expr: Expr, names: dict[str, int]) -> int:
    match expr:
        case Number(value):
            return int(value)
        case Size(name) | Parameter(name, _) | Index(name, _, _):
            return names[name]
        case FloorDiv(a, b):
            return _number(a, names) // _number(b, names)
        case Call("max", arguments):
            return max(_number(a, names) for a in arguments)
        case _:
            values = [_number(p, names) for p in expr.terms] if hasattr(expr, "terms") else None
            if values is not None:
                return sum(values)
            product = 1
            for factor in expr.factors:
                product *= _number(factor, names)
            return product


CASES = list(itertools.product((1, 2, 3), (0, 1, 2), (0, 1, 4), (1, 2, 5), (1, 3, 6)))


@pytest.mark.parametrize("flipped", [False, True])
def test_the_solved_bounds_of_a_guard_are_the_points_where_it_holds(flipped: bool) -> None:
    position = add(mul(STRIDE, negative(Q) if flipped else Q), TAP, negative(PAD))
    found = limits((Compare("<=", ZERO, position), Compare("<", position, Size("W"))), Q, FACTS)

    for stride, pad, tap, width, count in CASES:
        names = {"stride": stride, "pad": pad, "tap": tap, "W": width, "Q": count}
        low = max([0, *(_number(e, names) for e in found.low)])
        high = min([count, *(_number(e, names) for e in found.high)])
        expected = [q for q in range(count) if 0 <= (-stride * q if flipped else stride * q) + tap - pad < width]

        assert list(range(low, high)) == expected
    assert found.rest == ()


def test_a_bound_on_a_quotient_is_a_bound_on_its_dividend() -> None:
    quotient = FloorDiv(add(Q, TAP, negative(PAD)), STRIDE)
    found = limits((Compare("<=", ZERO, quotient), Compare("<", quotient, Size("W"))), Q, FACTS)

    for stride, pad, tap, width, count in CASES:
        names = {"stride": stride, "pad": pad, "tap": tap, "W": width, "Q": count}
        low = max([0, *(_number(e, names) for e in found.low)])
        high = min([count, *(_number(e, names) for e in found.high)])

        assert list(range(low, high)) == [q for q in range(count) if 0 <= (q + tap - pad) // stride < width]


def test_a_coefficient_that_may_be_zero_is_tested_and_not_divided_by() -> None:
    condition = Compare("<", mul(PAD, Q), Size("W"))

    assert limits((condition,), Q, FACTS).rest == (condition,)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_phase_walks_exactly_over_the_multiples(flipped: bool) -> None:
    dividend = subtract(TAP, Q) if flipped else add(Q, TAP)
    condition = Compare("==", Mod(dividend, STRIDE), ZERO)
    found = phase((condition,), Q, FACTS)

    assert found is not None
    for stride, tap in itertools.product((1, 2, 3), (0, 1, 4)):
        names = {"stride": stride, "tap": tap}
        walked = {_number(found.value, {**names, found.step.name: at}) for at in range(-30, 30)}

        expected = {q for q in range(-20, 20) if (tap - q if flipped else q + tap) % stride == 0}

        assert walked & set(range(-20, 20)) == expected


def test_a_divisor_that_may_be_zero_has_no_phase() -> None:
    assert phase((Compare("==", Mod(Q, PAD), ZERO),), Q, FACTS) is None
