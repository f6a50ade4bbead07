"""Cases fit the layer, and are as varied as their profile says."""

from __future__ import annotations

import numpy as np
import pytest

from symbackprop.check.cases import PROFILES, draw_case, draw_integers, entangled_sizes, fits, point_at
from symbackprop.check.subjects import draw_sample
from symbackprop.errors import CheckFailed
from symbackprop.notation.layer import Layer
from symbackprop.notation.reader import read

GROUPED = read("""
layer grouped
input x[N, C, H] outside 0, w[K, D, R]
param stride = 1 integer, groups = 1 integer
size D = C//groups
size M = K//groups
size P = (H - R)//stride + 1
range p = P, c = D
require C % groups == 0, K % groups == 0
y[n,k,p] = sum[c,r](x[n, (k//M)*D + c, stride*p + r]*w[k,c,r])
output y
""")
LOOKUP = read("""
layer lookup
input table[V, D]
integer t[N]
y[n,d] = table[t[n], d]
output y
""")


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_profile_gives_cases_that_fit(profile: str) -> None:
    rng = np.random.default_rng(0)
    cases = [draw_case(GROUPED, rng, profile) for _ in range(5)]

    assert all(fits(GROUPED, case, 20_000) for case in cases)
    assert all(dict(case.parameters)["stride"] > 0 for case in cases)


def test_the_sizes_that_index_arithmetic_touches_are_found() -> None:
    assert entangled_sizes(GROUPED) >= {"C", "H", "R"}
    assert "N" not in entangled_sizes(GROUPED)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_sizes_that_requirements_fix_are_found(profile: str) -> None:
    layer = read("""
    layer gates
    input z[N, F], h[N, H], e[N, T]
    require F == 4*H, T == 3
    range j = H
    y[n,j] = z[n, j + 3*H]*h[n,j] + sum[t](e[n,t])
    output y
    """)
    sizes = dict(draw_case(layer, np.random.default_rng(0), profile).sizes)

    assert sizes["F"] == 4 * sizes["H"]
    assert sizes["T"] == 3


def test_groups_above_one_and_strides_above_one_do_come_up() -> None:
    rng = np.random.default_rng(1)
    drawn = [dict(draw_case(GROUPED, rng, "uneven").parameters) for _ in range(10)]

    assert any(p["groups"] > 1 for p in drawn)
    assert any(p["stride"] > 1 for p in drawn)


def test_integer_tensors_stay_in_the_axis_that_they_index() -> None:
    rng = np.random.default_rng(2)
    point = point_at(LOOKUP, draw_case(LOOKUP, rng, "small"))
    drawn = [value for _ in range(20) for value in draw_integers(point, rng)["t"].values()]

    assert set(drawn) <= set(range(point.size("V")))


def test_a_layer_that_no_sizes_fit_is_said_to_be_one() -> None:
    layer = read("""
        layer impossible
        input x[N]
        require N > 1000
        y[n] = x[n]
        output y
    """)

    with pytest.raises(CheckFailed, match="no sizes and parameters that fit"):
        draw_case(layer, np.random.default_rng(0))


@pytest.mark.parametrize("text", ["log(x[n])", "sqrt(x[n] - 0.05)", "1/(x[n] - 0.05)", "log(1 - x[n])"])
def test_a_sample_is_finite_whatever_the_functions_need(text: str) -> None:
    layer: Layer = read(f"layer partial_functions\ninput x[N]\ny[n] = {text}\noutput y\n")

    assert np.isfinite(draw_sample(layer, (0,), "small").outputs["y"]).all()


def test_a_sample_stays_away_from_kinks() -> None:
    layer = read("layer kinked\ninput x[N]\ny[n] = relu(x[n])*abs(x[n] - 1/2)\noutput y\n")

    assert all(draw_sample(layer, (seed,), "small").gap > 1e-3 for seed in range(5))
