"""The functions that loops over rows call: right to two units in the last place everywhere, and without a branch."""

import re
from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest
from numba import njit

from symbackprop.emit.numba_elementary import FUNCTIONS, elementary

REALS = [np.float32, np.float64]
SMOOTH = ["exp", "log", "tanh", "erf"]
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan)


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All functions in one module."""
    text = "import math\nimport numpy as np\nfrom numba import types\nfrom numba.extending import overload\n\n\n"
    text += "\n\n\n".join(elementary(name) for name in FUNCTIONS)
    found = ModuleType("elementary")
    exec(compile(text, str(tmp_path_factory.mktemp("text") / "elementary.py"), "exec"), found.__dict__)
    return found


def along(function: Callable[..., Any]) -> Any:
    """The function at each element, in a compiled loop."""

    @njit(error_model="numpy", fastmath={"contract", "reassoc"})
    def loop(v: Any, result: Any) -> None:
        for i in range(v.size):
            result[i] = function(v[i])

    return loop


def places(real: Any) -> Any:
    """Numbers of all sizes, many where the functions bend, and those that are none."""
    rng = np.random.default_rng(5)
    whole, bits = (np.int32, 31) if real is np.float32 else (np.int64, 63)
    anything = rng.integers(0, 2**bits, 600, dtype=whole).view(real)
    anything = anything * rng.choice((real(-1), real(1)), 600)
    bends = [rng.uniform(*ends, 300) for ends in ((-110, 90), (-746, 710), (-7, 7), (-1, 1), (0.5, 2.0))]
    tiny = np.finfo(real).smallest_subnormal * rng.integers(1, 1000, 20)
    edges = [-103.9, -103.0, -87.3, 88.7, 88.8, -745.2, -744.4, 709.7, 709.8, 0.625, 1.0, 3.9, 5.9]
    return np.concatenate([anything, *bends, tiny, -tiny, edges, SPECIAL]).astype(real)


def units_off(got: Any, exact: Any, real: Any) -> float:
    """The distance from the exact number in units of the last place; 0 where it rounds to what came."""
    if mpmath.isnan(exact) or np.isnan(got):
        return 0.0 if mpmath.isnan(exact) and np.isnan(got) else np.inf
    with np.errstate(over="ignore"):
        rounded = real(mpmath.nstr(exact, 40))
    if not np.isfinite(rounded) or not np.isfinite(got):
        return 0.0 if rounded == got else np.inf
    return float(abs(mpmath.mpf(float(got)) - exact) / mpmath.mpf(float(np.spacing(abs(rounded)))))


def exactly(name: str, v: Any) -> Any:
    if name == "log" and v <= 0:
        return mpmath.mpf("-inf") if v == 0 else mpmath.nan
    return getattr(mpmath, name)(mpmath.mpf(float(v)))


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("name", SMOOTH)
def test_a_function_is_off_by_two_units_in_the_last_place_at_most(module: Any, name: str, real: Any) -> None:
    v = places(real)
    got = np.empty_like(v)
    along(getattr(module, f"_{name}"))(v, got)
    with mpmath.workdps(60):
        off = [units_off(g, exactly(name, x), real) for g, x in zip(got, v, strict=True)]

    assert max(off) <= 2, v[int(np.argmax(off))]


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("name", SMOOTH)
def test_a_loop_that_calls_a_function_has_no_call_and_no_branch_on_the_way(module: Any, name: str, real: Any) -> None:
    loop = along(getattr(module, f"_{name}"))
    v = np.ones(8, real)
    loop(v, v.copy())
    (text,) = loop.inspect_llvm().values()

    assert re.search(rf"fmul contract <\d+ x {'float' if real is np.float32 else 'double'}>", text)
    assert not re.search(rf"call .*@\w*{name}f?\(", text)


@pytest.mark.parametrize("real", REALS)
def test_ranks_order_as_the_numbers_do_and_give_them_back(module: Any, real: Any) -> None:
    v = np.sort(places(real))
    v = v[~np.isnan(v) & (v != 0)]
    ranks = [module._rank(x) for x in v]

    assert all(a <= b for a, b in pairwise(ranks))
    assert [module._of_rank(r) for r in ranks] == list(v)


@pytest.mark.parametrize("real", REALS)
def test_nan_wins_among_ranks_whatever_its_sign(module: Any, real: Any) -> None:
    for nan in (real(np.nan), -real(np.nan)):
        highest = max(module._rank(real(np.inf)), module._rank(nan))
        lowest = min(module._low_rank(real(-np.inf)), module._low_rank(nan))

        assert np.isnan(module._of_rank(highest))
        assert np.isnan(module._of_rank(lowest))
