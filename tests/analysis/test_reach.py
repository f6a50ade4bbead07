"""Regions and costs from index maps: the forms that the slides do not use, and what is refused."""

from __future__ import annotations

import pytest

from symbackprop.analysis.bound import bind, output_shapes
from symbackprop.analysis.costs import costs
from symbackprop.analysis.network import stages
from symbackprop.analysis.reach import Region, reach
from symbackprop.equations import load
from symbackprop.errors import UserError
from symbackprop.nn.layers import conv, dropout, flatten, linear
from symbackprop.nn.networks import network
from symbackprop.notation.reader import read


def region(text: str, shape: tuple[int, ...], at: Region) -> Region:
    """What the element or region `at` of y sees of x."""
    layer = read(text)
    return reach(layer, bind(layer, {"x": shape}), "y", at)["x"]


def test_a_quotient_and_a_remainder_split_an_interval() -> None:
    text = "layer a\ninput x[H, W]\nsize D = H*W\nrange d = D\ny[d] = x[d//W, d % W]\noutput y\n"

    assert region(text, (3, 4), ((5, 6),)) == ((1, 1), (1, 2))
    assert region(text, (3, 4), ((3, 4),)) == ((0, 1), (0, 3))


def test_a_turned_index_and_a_clipped_one() -> None:
    text = "layer a\ninput x[H]\nrange h = H\ny[h] = x[H - 1 - h] + x[clip(h + 2, 0, H - 1)]\noutput y\n"

    assert region(text, (9,), ((1, 2),)) == ((3, 7),)
    assert region(text, (9,), ((8, 8),)) == ((0, 8),)


def test_what_goes_through_an_intermediate_adds_up() -> None:
    text = (
        "layer a\ninput x[H] outside 0\nrange r = 3, h = H\n"
        "u[h] = sum[r](x[h + r - 1])\nv[h] = max(u[h], 0)\ny[h] = v[h] - x[h]\noutput y\n"
    )

    assert region(text, (9,), ((4, 4),)) == ((3, 5),)
    assert region(text, (9,), ((0, 0),)) == ((0, 1),)


def test_an_index_from_a_table_may_reach_everything() -> None:
    text = "layer a\ninput x[K]\ninteger t[N]\ny[n] = x[t[n]]\noutput y\n"
    layer = read(text)
    point = bind(layer, {"x": (7,), "t": (3,)})

    assert reach(layer, point, "y", ((1, 1),)) == {"x": ((0, 6),), "t": ((1, 1),)}


def test_multiply_adds_are_products_of_elements_that_a_sum_adds_up() -> None:
    linear_layer = load("linear")
    point = bind(linear_layer, {"x": (4, 6), "weight": (5, 6), "bias": (5,)})

    assert costs(linear_layer, point).multiply_adds == 4 * 5 * 6
    assert costs(linear_layer, point).operations == 4 * 5 * (6 * 2 + 1)
    assert costs(linear_layer, point).moved == 4 * 6 + 5 * 6 + 5 + 4 * 5


def test_groups_divide_the_work() -> None:
    whole, grouped = (stages([conv(8, 3, groups=g)], (1, 4, 9, 9))[0] for g in (1, 4))

    assert grouped.costs.multiply_adds * 4 == whole.costs.multiply_adds


def test_what_is_there_in_training_only_keeps_the_shape() -> None:
    assert stages([dropout()], (4, 3, 2, 2))[0].outgoing == (4, 3, 2, 2)


def test_a_unit_that_does_not_fit_is_named() -> None:
    with pytest.raises(UserError, match="unit conv2: layer conv2d: size P comes out as"):
        stages([conv(4, 5), conv(4, 9)], (1, 1, 10, 10))
    with pytest.raises(UserError, match="unit flatten: layer flatten: x has 4 axes"):
        stages([linear(3), flatten()], (1, 7))


def test_a_requirement_that_does_not_hold_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be divided into 2 groups"):
        stages([conv(4, 3, groups=2)], (1, 3, 9, 9))
    with pytest.raises(UserError, match="K % groups == 0"):
        stages([conv(3, 3, groups=2)], (1, 4, 9, 9))


def test_a_weight_of_another_size_is_refused() -> None:
    with pytest.raises(UserError, match="bias has the shape 4, expected 5"):
        output_shapes(load("linear"), {"x": (4, 6), "weight": (5, 6), "bias": (4,)})


def test_an_unknown_network_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UserError, match="did you mean lenet5"):
        network("lenet")
