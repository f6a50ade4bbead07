"""The interpreter: one claim for each kind of node, on points small enough to work out by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from symbackprop.check.arithmetic import Float64
from symbackprop.check.forward import forward, gradients, point_of
from symbackprop.check.interpret import evaluate, evaluate_exact, holds
from symbackprop.check.point import OutsideBox, Point
from symbackprop.errors import UserError
from symbackprop.notation import nodes as n
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Arg, Call, Compare, Delta, Expr, Index, Partial, Read, Reduce, Size
from symbackprop.notation.reader import read

LAYER = read("""
layer sample
input x[N] outside 0, z[N], table[N, N]
integer t[N]
param alpha = 0.5, step = 2 integer
y[n] = alpha*x[n]
output y
""")
I, J = Index("i", Size("N")), Index("j", Size("N"))


def at_hand(layer: Layer = LAYER) -> Point:
    arrays = {
        "x": np.array([3.0, -1.0, 2.0]),
        "z": np.array([5.0, 7.0, 7.0]),
        "table": np.arange(9.0).reshape(3, 3),
        "t": np.array([2, 0, 1]),
    }
    return point_of(layer, arrays)


def value(expr: Expr, **at: int) -> float:
    known = {"i": I, "j": J}
    result: float = evaluate(expr, at_hand(), {known[name]: v for name, v in at.items()})
    return result


def test_sums_products_powers_and_numbers_are_what_they_are() -> None:
    x = Read("x", (I,))

    assert value(n.add(n.mul(n.number(2), x), n.power(x, n.number(2)), n.divide(n.ONE, n.number(4))), i=0) == 15.25


def test_sizes_parameters_and_indices_are_numbers_too() -> None:
    expr = n.add(Size("N"), n.Parameter("alpha"), n.Parameter("step", True), I)

    assert value(expr, i=1) == 3 + 0.5 + 2 + 1


def test_quotient_remainder_and_clip_are_those_of_integers() -> None:
    shifted = n.subtract(I, n.number(5))
    point = at_hand()

    assert [evaluate_exact(e, point, {I: 2}) for e in (
        n.floor_divide(shifted, n.number(2)), n.modulo(shifted, n.number(2)), n.Clip(shifted, n.ZERO, Size("N"))
    )] == [-2, 1, 0]  # fmt: skip


def test_a_read_outside_the_box_gives_the_outside_value() -> None:
    assert value(Read("x", (n.subtract(I, n.ONE),)), i=0) == 0


def test_a_read_outside_the_box_without_an_outside_value_names_tensor_axis_and_index() -> None:
    with pytest.raises(OutsideBox, match=r"table\[0, 3\] is read outside its box: axis 1 \(N = 3\) at 3"):
        value(Read("table", (I, n.add(J, n.ONE))), i=0, j=2)


def test_an_integer_tensor_stands_in_an_index() -> None:
    assert value(Read("z", (Read("t", (I,)),)), i=1) == 5


def test_the_branch_that_is_not_taken_is_not_looked_at() -> None:
    guarded = n.where(Compare("<", I, n.ONE), n.ONE, Read("z", (n.add(I, n.number(9)),)))

    assert value(guarded, i=0) == 1


def test_a_delta_of_zero_silences_the_rest_of_its_product() -> None:
    silenced = n.mul(Read("z", (n.add(I, n.number(9)),)), Delta(I, n.number(2)))

    assert value(silenced, i=0) == 0


def test_reductions_are_what_they_are() -> None:
    x = Read("x", (I,))

    assert [value(Reduce(op, (I,), x)) for op in n.REDUCTIONS] == [4, pytest.approx(4 / 3), -6, 3, -1]


def test_an_index_bound_twice_keeps_its_outer_value() -> None:
    inner = Reduce("sum", (I,), Read("x", (I,)))
    outer = Reduce("sum", (I,), n.mul(inner, Read("z", (I,))))

    assert value(outer) == 4 * 19


def test_the_position_of_an_extremum_is_the_first_in_row_major_order() -> None:
    z = Read("z", (J,))

    assert value(Arg("max", (I, J), z)) == 1


def test_a_maximum_is_nan_where_a_term_is() -> None:
    arrays = {"x": np.array([3.0, np.nan, 2.0]), "z": np.zeros(3), "table": np.zeros((3, 3)), "t": np.zeros(3, int)}

    assert math.isnan(evaluate(Reduce("max", (I,), Read("x", (I,))), point_of(LAYER, arrays)))


def test_a_comparison_of_indices_is_exact_and_one_of_reals_is_not() -> None:
    point = at_hand()
    third = Compare("==", n.mul(n.number(3), n.number(Fraction(1, 3))), n.ONE)

    assert (holds(third, point), holds(Compare("<", Read("x", (I,)), n.ZERO), point, {I: 1})) == (True, True)


def test_a_partial_derivative_is_local() -> None:
    layer = read("""
        layer chain
        input x[N]
        u[n] = x[n]^2
        y[n] = u[n]*x[n]
        output y
    """)
    point = point_of(layer, {"x": np.array([3.0, 5.0])})
    y, x = Read("y", (I,)), Read("x", (J,))

    assert [evaluate(Partial(y, x), point, {I: 1, J: j}) for j in (0, 1)] == [0, 25]  # u is held fixed


def test_an_index_without_a_value_is_refused() -> None:
    with pytest.raises(UserError, match="index i is not bound"):
        evaluate(Read("x", (I,)), at_hand())


@pytest.mark.parametrize(
    "expr, expected",
    [
        (n.divide(n.ONE, Call("abs", (n.mul(n.ZERO, Read("x", (n.ZERO,))),))), math.inf),
        (Call("exp", (n.number(1000),)), math.inf),
        (Call("log", (n.ZERO,)), -math.inf),
        (Call("softplus", (n.number(-1000),)), 0.0),
        (Call("sigmoid", (n.number(-1000),)), 0.0),
        (Call("softplus", (n.number(1000),)), 1000.0),
    ],
)
def test_floats_follow_ieee_and_raise_nothing(expr: Expr, expected: float) -> None:
    assert value(expr) == expected


@pytest.mark.parametrize("expr", [Call("sqrt", (n.MINUS_ONE,)), Call("log", (n.MINUS_ONE,))])
def test_what_is_no_number_is_nan(expr: Expr) -> None:
    assert math.isnan(value(expr))


def test_derived_sizes_and_ranges_come_from_the_arrays() -> None:
    layer = read("""
        layer window
        input x[H] outside 0, w[R]
        param stride = 2 integer
        size P = (H - R)//stride + 1
        range p = P
        y[p] = sum[r](x[stride*p + r]*w[r])
        output y
    """)

    assert forward(layer, {"x": np.arange(5.0), "w": np.ones(2)})["y"].tolist() == [1, 5]


def test_hyperparameters_that_are_not_given_have_their_defaults() -> None:
    layer = read("""
        layer window
        input x[H]
        param kernel = 2 integer, scale = 0.5
        range p = H - kernel + 1, r = kernel
        y[p] = scale*max[r](x[p + r])
        output y
    """)

    assert forward(layer, {"x": np.arange(4.0)})["y"].tolist() == [0.5, 1, 1.5]


def test_a_size_that_comes_out_empty_is_refused_with_the_sizes_that_led_there() -> None:
    layer = read("""
        layer window
        input x[H]
        size P = H - 3
        range p = P
        y[p] = x[p]
        output y
    """)

    with pytest.raises(UserError, match="size P comes out as -1 for H = 2"):
        forward(layer, {"x": np.zeros(2)})


def test_gradients_by_dual_numbers_are_those_of_the_calculus_book() -> None:
    layer = read("""
        layer norm
        input x[N]
        m    = max[n](x[n])
        y[n] = relu(x[n])*m
        output y
    """)
    grads = gradients(layer, {"x": np.array([-1.0, 4.0, 2.0])}, {}, {"y": np.array([1.0, 10.0, 100.0])})

    assert grads["x"].tolist() == [0, 40 + 240, 400]


def test_an_arithmetic_is_all_that_changes_between_floats_and_residues() -> None:
    assert isinstance(at_hand().arithmetic, Float64)
