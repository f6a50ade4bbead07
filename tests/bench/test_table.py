"""The table of kernels: what is measured, that a wrong result is seen, and what several runs come to."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbackprop.__main__ import run
from symbackprop.analysis.bound import bind
from symbackprop.bench import cases, child, participants, table
from symbackprop.bench.cases import Case, chosen, conv2d, row_name
from symbackprop.bench.child import Order, child_environment, perform
from symbackprop.bench.own import finite, own_case
from symbackprop.bench.participants import errors, gathered, truth
from symbackprop.bench.peers import hand
from symbackprop.bench.race import Seconds, race
from symbackprop.bench.table import Row, Settings, Table, combined, geometric_mean, table_of
from symbackprop.bench.table_report import behind, conclusions
from symbackprop.bench.tasks import task
from symbackprop.bench.work import elements, operations
from symbackprop.build import derive, kernel, load
from symbackprop.errors import UserError
from symbackprop.notation.reader import read

QUICK = Settings(("numpy", "hand"), 1, 1, 0.0, True)
SMALL: dict[str, Case] = {  # a case of every kind
    "conv2d": conv2d(2, 4, 7, 6, 6, 3, stride=2, pad=1, groups=2),
    "dilated": conv2d(1, 3, 9, 8, 2, 3, pad=2, dilation=2),
    "depthwise": cases.depthwise(2, 3, 7, 6, 3, stride=2, pad=1),
    "conv1d": cases.conv1d(2, 3, 11, 4, 3, stride=2, pad=1),
    "linear": cases.linear(3, 5, 4),
    "batchnorm2d": cases.batchnorm2d(2, 3, 4, 5)[0],
    "batchnorm2d_evaluation": cases.batchnorm2d(2, 3, 4, 5)[1],
    "maxpool2d": cases.maxpool2d(2, 3, 7, 6, kernel=3, stride=2),
    "relu": cases.relu(2, 3, 4),
    "cross_entropy": cases.cross_entropy(4, 6),
    "layernorm": cases.layernorm(3, 7),
    "attention": cases.attention(1, 2, 5, 3),
}


def numpy_module(layer: str) -> Callable[[str], Any]:
    return lambda backend: import_module(f"symbackprop.generated.numpy.{layer}")


@pytest.mark.parametrize("case", SMALL.values(), ids=SMALL)
def test_generated_and_hand_written_results_agree_on_every_kind_of_row(case: Case) -> None:
    given = task(case, load(case.layer))
    modules = numpy_module(case.layer)
    here, absent = gathered(given, ("numpy", "hand"), modules, 1)
    found = errors(here, truth(given, modules))

    assert absent == {}
    assert set(found) == {(who, one.name) for who in ("numpy", "hand") for one in case.passes}
    assert max(found.values()) < 1e-5


@pytest.mark.parametrize("case", SMALL.values(), ids=SMALL)
def test_the_libraries_that_are_installed_compute_the_same(case: Case) -> None:
    pytest.importorskip("torch")
    given = task(case, load(case.layer))
    here, _ = gathered(given, ("torch", "jax", "onnxruntime"), numpy_module(case.layer), 1)

    assert max(errors(here, truth(given, numpy_module(case.layer))).values()) < 1e-4


def test_a_library_that_is_not_installed_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jax", None)
    given = task(SMALL["relu"], load("relu"))
    here, absent = gathered(given, ("jax", "numpy"), numpy_module("relu"), 1)

    assert list(here) == ["numpy"]
    assert absent == {"jax": "jax is not installed"}


def test_a_layer_of_a_user_is_compared_with_its_own_numpy_module_in_float64() -> None:
    with pytest.raises(participants.NotHere, match="nobody has written"):
        hand.runs(task(Case("softmax", {"x": (2, 3)}, (cases.FORWARD,)), load("softmax")))

    given = task(Case("softmax", {"x": (2, 3)}, (cases.FORWARD,)), load("softmax"))
    (exact,) = truth(given, numpy_module("softmax"))["forward"]

    assert exact.dtype == np.float64
    assert exact.sum() == pytest.approx(2)


@pytest.mark.parametrize(
    "found, expected",
    [
        ([1.0, 2.0], 0.0),
        ([1.0, 2.5], 0.25),
        ([1.0, math.nan], math.inf),
        ([1.0, 2.0, 3.0], math.inf),
    ],
)
def test_an_error_is_relative_to_the_largest_number_and_nothing_slips_through(
    found: list[float], expected: float
) -> None:
    assert participants._error(np.array(found), np.array([1.0, 2.0])) == expected


def test_axes_of_one_element_do_not_count_as_another_shape() -> None:
    assert participants._error(np.ones((3, 1, 2)), np.ones((3, 2))) == 0


def test_the_first_call_of_every_block_does_not_count() -> None:
    called: list[str] = []
    found = race({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, 2, 0.0)

    assert "".join(called) == "aaabbb" + "aabb" * 2
    assert list(found) == ["a", "b"]


def test_the_gradients_of_a_convolution_take_as_many_multiply_adds_as_the_forward_pass() -> None:
    case = conv2d(2, 4, 9, 9, 6, 3, stride=2, pad=1)
    point = bind(load("conv2d"), case.shapes, dict(case.params))
    counts = [operations(point, one.wrt) for one in case.passes]

    assert counts == [2 * 2 * 6 * 5 * 5 * 4 * 9] * 3


def test_each_product_of_attention_has_two_gradients() -> None:
    case = cases.attention(1, 2, 5, 3)
    point = bind(load(case.layer), case.shapes)
    forward, backward = (operations(point, one.wrt) for one in case.passes)

    assert forward == 2 * 2 * 2 * 5 * 5 * 3
    assert backward == 2 * forward


def test_a_gradient_moves_what_it_reads_and_what_it_gives() -> None:
    case = cases.linear(3, 5, 4)
    layer = load("linear")
    program, point = kernel(derive(layer)).program, bind(layer, case.shapes)
    x, weight, bias, y = 15, 20, 4, 12

    assert [elements(program, point, one.wrt) for one in case.passes] == [
        x + weight + bias + y,
        weight + y + x,
        x + y + weight + bias,
    ]


def test_rows_are_chosen_by_a_part_of_their_names() -> None:
    (only,) = chosen(cases.TABLE, ["16x64x56x56 64x64x3x3 pad=1, WEIGHT"])

    assert [row_name(only, one) for one in only.passes] == ["conv2d 16x64x56x56 64x64x3x3 pad=1, weight gradient"]
    assert chosen(cases.TABLE, []) == cases.TABLE


def test_every_row_of_the_table_fits_its_layer_and_has_a_name_of_its_own() -> None:
    names = [row_name(case, one) for case in (*cases.TABLE, *cases.ODD) for one in case.passes]
    for case in (*cases.TABLE, *cases.ODD):
        bind(load(case.layer), case.shapes, dict(case.params))

    assert len(names) == len(set(names))
    assert sum(len(case.passes) for case in cases.TABLE) == 65


def some_row(name: str, ours: float, theirs: float, error: float = 0.0) -> Row:
    seconds = {who: Seconds(t, t, t, t) for who, t in (("numba", ours), ("torch", theirs))}
    return Row(name, "relu", seconds, 100, 50, {"numba": error}, {"jax": "jax is not installed"})


def test_several_runs_come_to_the_median_of_their_ratios() -> None:
    runs = [Table((some_row("a", 1.0, ratio),), 1000.0, 100.0) for ratio in (0.5, 3.0, 2.0)]
    (result,) = combined(runs)

    assert (result.ratio, result.ratios, result.of_peak, result.of_copy) == (2.0, (0.5, 3.0, 2.0), 0.1, 0.5)


def test_the_mean_of_twice_and_half_as_fast_is_one() -> None:
    assert geometric_mean([2.0, 0.5]) == pytest.approx(1)


def test_what_falls_short_and_what_is_wrong_is_said() -> None:
    run_of_two = Table((some_row("a", 1.0, 4.0), some_row("b", 2.0, 1.0, error=0.1)), 1e9, 1e9)
    results = combined([run_of_two])
    text = "\n".join(conclusions(results, [run_of_two], ("numba", "torch", "jax")))

    assert [r.name for r in behind(results)] == ["b"]
    assert "geometric mean 1.41 over 2 rows" in text
    assert "below 1.0: b: 0.50" in text
    assert "WRONG: b: ours is off by 1.0e-01" in text
    assert "not measured: jax on relu: jax is not installed" in text


def test_a_run_comes_back_from_json_as_it_was() -> None:
    whole = Table((some_row("a", 1.0, 4.0),), 2.0, 3.0)

    assert table_of(json.loads(json.dumps(whole.as_dict()))) == whole


def test_the_child_has_the_allocator_at_its_best_and_as_many_threads_for_all() -> None:
    environment = child_environment(3)

    assert environment["MALLOC_MMAP_THRESHOLD_"] == "4000000000"
    assert {environment[name] for name in child.THREADS} == {"3"}


LAYER = read("layer mine\ninput x[N, T], w[R]\nrange p = T - R + 1\n\ny[n,p] = sum[r](w[r]*log(x[n, p + r]))\noutput y")


def test_a_layer_of_a_user_is_measured_at_sizes() -> None:
    case = own_case(LAYER, {"N": 2, "T": 9, "R": 3}, {})

    assert case.shapes == {"x": (2, 9), "w": (3,)}
    assert [one.wrt for one in case.passes] == [(), ("x", "w")]


@pytest.mark.parametrize(
    "sizes, params, message",
    [
        ({"N": 2, "T": 9}, {}, "add --size R="),
        ({"N": 2, "T": 9, "R": 3, "Q": 1}, {}, "no size Q"),
        ({"N": 2, "T": 9, "R": 3}, {"pad": 1.0}, "no parameter pad"),
    ],
)
def test_a_size_that_is_missing_or_unknown_is_named(
    sizes: dict[str, int], params: dict[str, float], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        own_case(LAYER, sizes, params)


def test_inputs_of_a_logarithm_are_drawn_positive() -> None:
    case = own_case(load("relu"), {"N": 2, "D": 3}, {})
    logs = read("layer logs\ninput x[N, D]\n\ny[n,d] = log(x[n,d])\noutput y")
    module = type("Module", (), {"forward": staticmethod(lambda x: (np.log(x), None))})

    assert finite(case, load("relu"), {"numpy": numpy_module("relu")("numpy")}).positive == ()
    assert finite(own_case(logs, {"N": 2, "D": 9}, {}), logs, {"numpy": module}).positive == ("x",)


def test_the_command_measures_checks_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[Order] = []

    def here(order: Order, watch: Callable[[str], None]) -> Table:
        orders.append(order)
        return Table((some_row("a", 1.0, 4.0),), 2.0, 3.0)

    monkeypatch.setattr(child, "run_in_child", here)

    assert run(["bench", "table", "--check", "--runs", "3", "--rows", "relu", "--json", str(tmp_path / "t.json")]) == 0
    written = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert len(orders) == 3
    assert (orders[0].filters, orders[0].settings.check) == (("relu",), True)
    assert (written["geometric_mean"], len(written["runs"])) == (pytest.approx(4.0), 3)


def test_a_wrong_result_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Table((some_row("a", 1.0, 4.0, error=0.5),), 2.0, 3.0)
    monkeypatch.setattr(child, "run_in_child", lambda order, watch: wrong)

    assert run(["bench", "table", "--check"]) == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["lenet5", "--rows", "conv"], "only for `bench table`"),
        (["table", "--size", "N=3"], "only for `bench LAYER`"),
        (["relu", "--rows", "conv"], "only for `bench table`"),
        (["relu", "--size", "N"], "write NAME=NUMBER"),
        (["relu", "--size", "N=1.5"], "a whole number"),
        (["table", "--peers", "mxnet"], "there is no peer mxnet"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_run_measures_every_row_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "race", lambda calls, blocks, budget: dict.fromkeys(calls, Seconds(1.0, 1.0, 1.0, 1.0)))
    seen: list[str] = []
    found = perform(Order(QUICK, filters=("relu 64x15680",)), seen.append)

    assert seen == [row.name for row in found.rows] == ["relu 64x15680, forward", "relu 64x15680, backward"]
    assert all(set(row.errors) == {"numpy", "hand"} for row in found.rows)


def test_rows_that_nobody_has_are_refused() -> None:
    with pytest.raises(UserError, match="no row has nothing in its name"):
        perform(Order(QUICK, filters=("nothing",)), print)


def test_a_picture_without_matplotlib_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(child, "run_in_child", lambda order, watch: pytest.fail("it was measured"))

    assert run(["bench", "table", "--plot", "t.png"]) == 2
    assert "the plot needs matplotlib" in capsys.readouterr().err
