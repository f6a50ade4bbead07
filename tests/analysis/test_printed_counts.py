"""Every shape, count and receptive field that the slides print (iitp), computed from the equations.

`docs/networks.md` lists them all, and says of each that is wrong as printed why it is.
"""

from __future__ import annotations

import re
from math import prod
from pathlib import Path

import numpy as np
import pytest

from symbackprop import equations
from symbackprop.analysis.bound import Shape, output_shapes
from symbackprop.analysis.network import Stage, stages
from symbackprop.analysis.summary import field_sizes, summary
from symbackprop.check.forward import forward
from symbackprop.nn.layers import batchnorm1d, batchnorm2d, conv, flatten, linear, maxpool
from symbackprop.nn.networks import lenet5
from symbackprop.nn.units import Unit


def at(unit: Unit, *incoming: int) -> Stage:
    """One unit, for what comes in (batch axis first)."""
    return stages([unit], incoming)[0]


def fields(units: list[Unit], image: int = 64) -> int:
    """The receptive field of the last of some units, on a large image of one channel."""
    return field_sizes(stages(units, (1, 1, image, image)))[-1]


# ---------------------------------------------------------------------------------------- filters and maps


def test_an_image_of_3x32x32_is_a_row_of_3072() -> None:  # iitp-10, 11
    assert at(flatten(), 1, 3, 32, 32).outgoing == (1, 3072)


def test_a_linear_classifier_takes_dot_products_of_length_3072() -> None:  # iitp-12
    stage = at(linear(10), 1, 3072)

    assert stage.costs.multiply_adds == 10 * 3072
    assert stage.trained["weight"] == (10, 3072)


@pytest.mark.parametrize("filters", [1, 2, 6])
def test_filters_of_3x5x5_give_maps_of_28x28(filters: int) -> None:  # iitp-13 to 27
    stage = at(conv(filters, 5), 1, 3, 32, 32)

    assert stage.outgoing == (1, filters, 28, 28)
    assert stage.trained == {"weight": (filters, 3, 5, 5), "bias": (filters,)}
    assert stage.costs.multiply_adds == filters * 28 * 28 * 75


def test_a_batch_of_two_gives_two_stacks_of_maps() -> None:  # iitp-28, 29, 36
    assert at(conv(6, 5), 2, 3, 32, 32).outgoing == (2, 6, 28, 28)


def test_the_weights_of_a_kernel_that_is_not_square_have_the_height_first() -> None:  # iitp-30 to 33, 78 to 83, 97
    stage = at(conv(7, (2, 5)), 3, 4, 20, 30)

    assert stage.trained == {"weight": (7, 4, 2, 5), "bias": (7,)}
    assert stage.outgoing == (3, 7, 19, 26)


def test_first_filters_of_3x11x11() -> None:  # iitp-40
    stage = at(conv(64, 11, stride=4, pad=2), 1, 3, 224, 224)

    assert stage.trained["weight"] == (64, 3, 11, 11)
    assert stage.parameters == 64 * (3 * 11 * 11 + 1)


# ----------------------------------------------------------------------------------------- output sizes


@pytest.mark.parametrize("size, kernel, stride, pad", [(7, 3, 1, 0), (7, 3, 2, 0), (9, 3, 1, 0), (32, 5, 1, 2)])
def test_the_size_of_the_output_is_as_printed(size: int, kernel: int, stride: int, pad: int) -> None:
    # iitp-41 to 43, 52, 61 to 63, 65, 84, 85
    printed = (size - kernel + 2 * pad) // stride + 1

    assert at(conv(1, kernel, stride=stride, pad=pad), 1, 1, size, size).outgoing == (1, 1, printed, printed)


def test_7x7_with_3x3_gives_5x5_and_with_stride_2_gives_3x3() -> None:  # iitp-42, 62
    assert at(conv(1, 3), 1, 1, 7, 7).outgoing[2:] == (5, 5)
    assert at(conv(1, 3, stride=2), 1, 1, 7, 7).outgoing[2:] == (3, 3)


def test_7x7_in_a_ring_of_zeros_gives_7x7_and_not_the_5x5_printed_beside_it() -> None:  # iitp-45, 46, 49, 50
    assert at(conv(1, 3, pad=1), 1, 1, 7, 7).outgoing[2:] == (7, 7)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_half_the_kernel_as_padding_keeps_the_size(kernel: int) -> None:  # iitp-51, 90, 92, 93, 94
    assert at(conv(1, kernel, pad=(kernel - 1) // 2), 1, 1, 13, 17).outgoing[2:] == (13, 17)


def test_no_padding_keeps_the_size_for_an_even_kernel() -> None:  # iitp-51: (K - 1)/2 is no integer
    sizes = {at(conv(1, 4, pad=pad), 1, 1, 13, 13).outgoing[2] for pad in range(4)}

    assert 13 not in sizes


def test_a_stride_that_does_not_divide_is_rounded_down() -> None:  # iitp-63 and 95: (W - 3 + 2)/2 + 1 is W/2 + 1/2
    assert at(conv(1, 3, stride=2, pad=1), 1, 1, 32, 32).outgoing[2:] == (16, 16)


def test_maps_shrink_with_every_layer_without_padding() -> None:  # iitp-44
    chain = stages([conv(1, 3)] * 4, (1, 1, 20, 20))

    assert [stage.outgoing[2] for stage in chain] == [18, 16, 14, 12]


# ---------------------------------------------------------------------------------------------- counts


def test_ten_filters_of_5x5_on_3x32x32_with_padding_2() -> None:  # iitp-64 to 75
    stage = at(conv(10, 5, stride=1, pad=2), 1, 3, 32, 32)

    assert stage.outgoing == (1, 10, 32, 32)
    assert prod(stage.outgoing) == 10_240
    assert prod(stage.trained["weight"][1:]) + 1 == 76
    assert stage.parameters == 760
    assert stage.costs.multiply_adds == 768_000


def test_a_1x1_convolution_takes_dot_products_over_the_channels() -> None:  # iitp-76, 77
    stage = at(conv(32, 1), 1, 64, 56, 56)

    assert stage.outgoing == (1, 32, 56, 56)
    assert stage.costs.multiply_adds == prod(stage.outgoing) * 64
    assert fields([conv(1, 1)] * 3) == 1


def test_convolutions_of_one_and_three_axes() -> None:  # iitp-96 to 101
    one = {"x": (2, 3, 9), "weight": (4, 3, 3), "bias": (4,)}
    three = {"x": (2, 3, 9, 8, 7), "weight": (4, 3, 3, 2, 1), "bias": (4,)}

    assert output_shapes(equations.load("conv1d"), one) == [(2, 4, 7)]
    assert output_shapes(equations.load("conv3d"), three) == [(2, 4, 7, 7, 7)]


# --------------------------------------------------------------------------------------------- pooling


def test_pooling_halves_64x224x224_and_has_no_parameters() -> None:  # iitp-103, 104, 107 to 110, 112 to 115
    stage = at(maxpool(2, 2), 1, 64, 224, 224)

    assert stage.outgoing == (1, 64, 112, 112)
    assert stage.parameters == 0


def test_pooling_by_3_with_stride_2() -> None:  # iitp-111
    assert at(maxpool(3, 2), 1, 1, 13, 13).outgoing[2:] == (6, 6)


def test_the_worked_pooling() -> None:  # iitp-105; the slide's picture, which is not in its text, has this image
    image = np.array([[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]])

    pooled = forward(equations.load("maxpool2d"), {"x": image[None, None]})["y"]

    assert pooled.tolist() == [[[[6, 8], [3, 4]]]]


# ------------------------------------------------------------------------------------- receptive fields


@pytest.mark.parametrize("layers", [1, 2, 3, 7])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_convolutions_see_1_plus_layers_times_kernel_minus_1(layers: int, kernel: int) -> None:  # iitp-53 to 57, 59
    assert fields([conv(1, kernel)] * layers) == 1 + layers * (kernel - 1)


def test_padding_does_not_change_what_is_seen_far_from_the_border() -> None:  # iitp-55
    assert fields([conv(1, 3, pad=1)] * 4) == 9


def test_two_convolutions_see_what_one_large_one_sees() -> None:  # iitp-34
    assert fields([conv(1, 3), conv(1, 5)]) == fields([conv(1, 7)]) == 7


def test_it_takes_many_layers_to_see_a_large_image_and_few_with_strides() -> None:  # iitp-58, 60
    plain = next(n for n in range(1, 99) if fields([conv(1, 3, pad=1)] * n) >= 64)
    strided = next(n for n in range(1, 99) if fields([conv(1, 3, stride=2, pad=1)] * n) >= 63)

    assert (plain, strided) == (32, 5)


def test_the_field_in_the_input_is_not_the_field_in_the_layer_before() -> None:  # iitp-56
    assert (fields([conv(1, 3)] * 2), fields([conv(1, 3)])) == (5, 3)


# --------------------------------------------------------------------------------------------- LeNet-5

TABLE: list[tuple[str, Shape, dict[str, Shape]]] = [  # iitp-119 to 133, and 134 to 142 which repeat them
    ("conv1", (20, 28, 28), {"weight": (20, 1, 5, 5)}),
    ("relu1", (20, 28, 28), {}),
    ("pool1", (20, 14, 14), {}),
    ("conv2", (50, 14, 14), {"weight": (50, 20, 5, 5)}),
    ("relu2", (50, 14, 14), {}),
    ("pool2", (50, 7, 7), {}),
    ("flatten", (2450,), {}),
    ("linear1", (500,), {"weight": (500, 2450)}),  # printed 2450x500: y = W x of iitp-02 has the results first
    ("relu3", (500,), {}),
    ("linear2", (10,), {"weight": (10, 500)}),  # printed 500x10
]


def test_every_row_of_the_table_of_lenet5() -> None:
    rows = summary(lenet5(), (1, 28, 28))
    found = [(r.name, r.output, {n: s for n, s in r.weights.items() if n == "weight"}) for r in rows]

    assert found == TABLE


def test_images_shrink_and_channels_grow_through_lenet5() -> None:  # iitp-143, 144
    images = [stage.outgoing for stage in stages(lenet5(), (1, 1, 28, 28)) if len(stage.outgoing) == 4]

    assert sorted({shape[2] for shape in images}, reverse=True) == [28, 14, 7]
    assert [shape[1] for shape in images] == sorted(shape[1] for shape in images)


def test_the_volume_is_not_preserved_through_lenet5() -> None:  # iitp-145 says that it is
    volumes = [784, *(prod(row.output) for row in summary(lenet5(), (1, 28, 28)))]

    assert volumes == [784, 15680, 15680, 3920, 9800, 9800, 2450, 2450, 500, 500, 10]


# ------------------------------------------------------------------------------------------ batch norm


@pytest.mark.parametrize("unit, incoming", [(batchnorm1d(), (8, 5)), (batchnorm2d(), (8, 5, 3, 4))])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_has_a_statistic_and_a_parameter_for_each_channel(
    unit: Unit, incoming: Shape, training: bool
) -> None:  # iitp-154 to 190
    (stage,) = stages([unit], incoming, training)

    assert stage.outgoing == incoming
    assert stage.trained == {"gamma": (5,), "beta": (5,)}
    assert stage.kept == {"mean": (5,), "var": (5,)}


def test_in_training_batch_norm_sees_the_whole_image_and_outside_it_one_element() -> None:  # iitp-168, 201
    chains = [stages([batchnorm2d()], (4, 3, 6, 6), training) for training in (True, False)]

    assert [field_sizes(chain) for chain in chains] == [(4, 1, 6, 6), (1, 1, 1, 1)]


def test_every_entry_of_the_slides_stands_in_the_list_of_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    listed = text.split("## What the slides print", 1)[1]
    columns = [line.split("|")[2] for line in listed.splitlines() if line.startswith("|")]
    found: set[int] = set()
    for part in [*columns, *re.findall(r"\(iitp-[^)]*\)", listed), *re.findall(r"(?:in|time) \(?(\d+)\)?", listed)]:
        for low, high in re.findall(r"(\d+)(?: to (\d+))?", part):
            found |= set(range(int(low), int(high or low) + 1))

    assert [number for number in range(1, 203) if number not in found] == []
