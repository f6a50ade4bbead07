"""Modules are checked, and wrong ones are caught: a small filter written by hand, right and with each slip."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from rich.console import Console

from symbackprop.check import calls
from symbackprop.check import modules as checks_of
from symbackprop.check.report import FAILED, OK, Check, Outcome, failures, run_all, table
from symbackprop.check.subjects import Subject, draw_sample, within_time_limit
from symbackprop.check.suite import BLOCK_CHECK, MODULE_CHECKS, OUTPUT_CHECK, checks
from symbackprop.errors import CheckFailed
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read

FILTER = read("""
layer filter
input x[N, H] outside 0, w[R]
param stride = 1 integer, dilation = 1 integer, pad = 0 integer
size P = (H + 2*pad - dilation*(R - 1) - 1)//stride + 1
range p = P
y[n, p] = sum[r](x[n, stride*p + dilation*r - pad]*w[r])
output y
""")
Array = Any


class Grads(NamedTuple):
    x: Array
    w: Array


class Filter:
    """The filter as a module: right, unless a slip is named."""

    def __init__(self, slip: str = "") -> None:
        self.slip = slip
        self.calls = 0

    def places(self, h: int, taps: int, stride: int, dilation: int, pad: int) -> tuple[Array, Array]:
        """Where output p with tap r reads, as [p r], and whether that is inside."""
        if self.slip == "stride swapped with dilation":
            rows, columns = dilation, stride
        else:
            rows, columns = stride, dilation
        count = (h + 2 * pad - dilation * (taps - 1) - 1) // stride + 1
        at = rows * np.arange(count)[:, None] + columns * np.arange(taps) - pad
        inside = (at >= 0) & (at < h)
        return np.where(inside, at, 0), inside

    def forward(self, x: Array, w: Array, *, stride: int = 1, dilation: int = 1, pad: int = 0) -> tuple[Array, Any]:
        self.calls += 1
        if self.slip == "a default is wrong" and stride == dilation == 1 and pad == 0:
            x = 2 * x
        at, inside = self.places(x.shape[1], len(w), stride, dilation, pad)
        seen = np.where(inside, x[:, at], 0)
        y = (seen * np.where(inside, w, 0)).sum(-1)
        if self.slip == "NaN spreads":
            y = y + 0 * x.sum()
        if self.slip == "NaN is lost":
            y = np.nan_to_num(y)
        if self.slip == "sums in half precision" and x.dtype == np.float32:
            y = y.astype(np.float16).astype(y.dtype)
        if self.slip == "always float64":
            y = y.astype(np.float64)
        if self.slip == "padding leaks":
            y = (x[:, at] * w).sum(-1)
        if self.slip == "in float32":
            y = y.astype(np.float32)
        if self.slip == "forward off by a little":
            y = y * (1 + 1e-7)
        if self.slip == "not the same twice":
            y = y + self.calls * 1e-14
        if self.slip == "writes into its input" and x.flags.writeable:
            x[0, 0] += 1
        if self.slip == "reads the memory in its own order":
            x = x.ravel(order="K").reshape(x.shape)
        return y, (x, w, at, inside)

    def backward(self, saved: Any, dy: Array, wrt: tuple[str, ...] = ("x", "w")) -> Grads:
        x, w, at, inside = saved
        grad_x, grad_w = np.zeros(x.shape, x.dtype), np.zeros(w.shape, w.dtype)
        shift = 1 if self.slip == "index off by one" else 0
        sign = -1 if self.slip == "sign flipped" else 1
        for p in range(at.shape[0]):
            for r in range(at.shape[1] - (self.slip == "term dropped")):
                if inside[p, r]:
                    grad_x[:, (at[p, r] + shift) % x.shape[1]] += sign * dy[:, p] * w[r]
                    grad_w[r] += (dy[:, p] * x[:, at[p, r]]).sum()
        if self.slip == "saved is changed":
            x[...] = 0
        if self.slip == "wrt is ignored":
            wrt = ("x", "w")
        return Grads(grad_x if "x" in wrt else None, grad_w if "w" in wrt else None)


def subject(slip: str = "") -> Subject:
    return Subject(FILTER, "by hand", Filter(slip))


@pytest.mark.parametrize("what, run", MODULE_CHECKS, ids=[what for what, _ in MODULE_CHECKS])
def test_a_right_module_passes_every_check(what: str, run: Callable[[Subject, int], Outcome]) -> None:
    assert run(subject(), 1).points > 0


@pytest.mark.parametrize(
    "slip, run",
    [
        ("forward off by a little", checks_of.values_agree),
        ("padding leaks", checks_of.values_agree),
        ("in float32", checks_of.values_agree),
        ("stride swapped with dilation", checks_of.values_agree),
        ("sign flipped", checks_of.gradients_agree),
        ("term dropped", checks_of.gradients_agree),
        ("index off by one", checks_of.gradients_agree),
        ("sign flipped", checks_of.differences_agree),
        ("term dropped", checks_of.differences_agree),
        ("index off by one", checks_of.differences_agree),
        ("reads the memory in its own order", calls.layouts_agree),
        ("wrt is ignored", calls.subsets_agree),
        ("not the same twice", calls.repeats_agree),
        ("saved is changed", calls.repeats_agree),
        ("writes into its input", calls.repeats_agree),
        ("a default is wrong", calls.calls_agree),
        ("NaN spreads", calls.nan_passes_through),
        ("NaN is lost", calls.nan_passes_through),
        ("always float64", checks_of.single_agrees),
        ("sums in half precision", checks_of.single_agrees),
    ],
)
def test_a_slip_is_caught_and_located(slip: str, run: Callable[[Subject, int], Outcome]) -> None:
    with pytest.raises(CheckFailed) as failure:
        run(subject(slip), 1)

    assert re.match("layer filter, backend by hand: .*N = .*stride = .*seed", str(failure.value))


def test_a_failure_names_the_worst_element_and_both_numbers() -> None:
    with pytest.raises(CheckFailed, match=r"grad_x\[\d+, \d+\] is -?\d.*, and the other opinion gives -?\d"):
        checks_of.gradients_agree(subject("sign flipped"), 1)


def test_backends_that_differ_are_caught() -> None:
    right, wrong = subject(), Subject(FILTER, "wrong", Filter("index off by one"))

    assert checks_of.backends_agree((right, right), 1).points > 0
    with pytest.raises(CheckFailed, match=r"backend wrong: grad_x.* against by hand"):
        checks_of.backends_agree((right, wrong), 1)


def test_a_module_that_raises_is_a_failure_that_says_so() -> None:
    class Broken(Filter):
        def backward(self, saved: Any, dy: Array, wrt: tuple[str, ...] = ("x", "w")) -> Grads:
            raise KeyError("lost")

    with pytest.raises(CheckFailed, match="backward raises KeyError: 'lost'"):
        checks_of.gradients_agree(Subject(FILTER, "broken", Broken()), 1)


def test_a_call_that_does_not_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr("symbackprop.check.subjects.TIME_LIMIT", 0.05)
    with pytest.raises(CheckFailed, match="does not end"):
        within_time_limit("a wait", threading.Event().wait)


class Blocked(Filter):
    """The filter in blocks of rows, for which there is memory."""

    def __init__(self, slip: str = "") -> None:
        super().__init__(slip)
        self._PANEL_BYTES = 2**20

    def forward(self, x: Array, w: Array, *, stride: int = 1, dilation: int = 1, pad: int = 0) -> tuple[Array, Any]:
        y, saved = super().forward(x, w, stride=stride, dilation=dilation, pad=pad)
        rows = max(1, self._PANEL_BYTES // x[0].nbytes)
        if self.slip == "blocks begin at zero" and rows < len(x):
            y[rows:] = y[:1]
        return y, saved


def test_work_in_blocks_is_tried_with_little_memory() -> None:
    what, run = BLOCK_CHECK
    module = Blocked()

    assert run(Subject(FILTER, "blocked", module), 1).points > 0
    assert module._PANEL_BYTES == 2**20
    assert what in {check.what for check in checks(FILTER, None, {"blocked": module})}
    with pytest.raises(CheckFailed, match=r"backend blocked: y.*blocks of \d+ bytes"):
        run(Subject(FILTER, "blocked", Blocked("blocks begin at zero")), 1)


# -- several outputs, scalars ----------------------------------------------------------------------------------------

PAIR = read("""
layer pair
input x[N]
total = sum[n](x[n]^2)
y[n]  = x[n]*total
output total, y
""")


class Pair:
    """Two outputs, of which the second reads the first."""

    class Outputs(NamedTuple):
        total: Array
        y: Array

    class Grads(NamedTuple):
        x: Array

    def __init__(self, forgets: bool = False) -> None:
        self.forgets = forgets

    def forward(self, x: Array) -> tuple[Any, Any]:
        total = np.asarray((x * x).sum())
        return self.Outputs(total, x * total), x

    def backward(self, x: Array, dtotal: Array, dy: Array, wrt: tuple[str, ...] = ("x",)) -> Any:
        grad = np.zeros_like(x)
        if dtotal is not None and not self.forgets:
            grad = grad + 2 * x * dtotal
        if dy is not None:
            grad = grad + dy * (x * x).sum() + 2 * x * (dy * x).sum()
        return self.Grads(grad if "x" in wrt else None)


@pytest.mark.parametrize("what, run", [*MODULE_CHECKS, OUTPUT_CHECK])
def test_several_outputs_are_weighed_together(what: str, run: Callable[[Subject, int], Outcome]) -> None:
    assert run(Subject(PAIR, "by hand", Pair()), 1).points > 0


def test_a_forgotten_output_is_caught() -> None:
    with pytest.raises(CheckFailed, match="grad_x along a random direction"):
        checks_of.differences_agree(Subject(PAIR, "by hand", Pair(forgets=True)), 1)


def test_a_gradient_far_below_the_rounding_of_the_outputs_is_refused_not_failed() -> None:
    class Faint:
        def forward(self, x: Array, w: Array, **params: int) -> tuple[Array, Any]:
            y, saved = Filter().forward(x, w, **params)
            return 1 + 1e-14 * y, saved

        def backward(self, saved: Any, dy: Array, wrt: tuple[str, ...] = ("x", "w")) -> Grads:
            return Filter().backward(saved, 1e-14 * dy, wrt)

    faint = read(to_text(FILTER).replace("sum[r]", "1 + 1e-14*sum[r]"))
    outcome = checks_of.differences_agree(Subject(faint, "faint", Faint()), 1, draws=3)

    assert outcome.points == 0
    assert "vanish" in outcome.note


def test_a_small_slope_is_compared_where_nothing_large_stands_beside_it() -> None:
    class Small:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        def forward(self, x: Array, w: Array, **params: int) -> tuple[Array, Any]:
            y, saved = Filter().forward(x, w, **params)
            return 1e-14 * y, saved

        def backward(self, saved: Any, dy: Array, wrt: tuple[str, ...] = ("x", "w")) -> Grads:
            return Filter().backward(saved, self.factor * dy, wrt)

    small = read(to_text(FILTER).replace("sum[r]", "1e-14*sum[r]"))

    assert checks_of.differences_agree(Subject(small, "right", Small(1e-14)), 1).points > 10
    with pytest.raises(CheckFailed, match="along a random direction"):
        checks_of.differences_agree(Subject(small, "wrong", Small(2e-14)), 1)


def test_points_have_finite_gradients_at_whatever_sizes_there_are_some() -> None:
    deviation = read("""
        layer deviation
        input x[N]
        mu = mean[n](x[n])
        s = sqrt(mean[n]((x[n] - mu)^2))
        output s
    """)
    samples = [draw_sample(deviation, (0, draw), "ones") for draw in range(6)]

    assert all(sample.arrays["x"].size > 1 for sample in samples)
    assert all(np.isfinite(sample.gradients(deviation)["x"]).all() for sample in samples)


# -- the list of checks and their table ------------------------------------------------------------------------------


def test_the_list_of_checks_runs_and_keeps_going_after_a_failure() -> None:
    told: list[str] = []
    work = checks(FILTER, None, {"right": Filter(), "wrong": Filter("sign flipped")}, seed=1)
    rows = run_all(work, told.append)

    assert len(rows) == len(told) == 2 * len(MODULE_CHECKS) + 1
    assert [row.verdict for row in rows if row.backend == "right"] == [OK] * len(MODULE_CHECKS)
    assert {row.what for row in failures(rows)} >= {"gradients = dual numbers", "gradients = differences", "backends"}


def test_the_table_shows_every_row() -> None:
    def no() -> Outcome:
        raise CheckFailed("layer a: 1 is not 2")

    rows = run_all([Check("a", "sums", "numpy", lambda: Outcome(7, 1e-12)), Check("a", "places", "numpy", no)])
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table(rows))
    text = console.export_text()

    assert [row.verdict for row in rows] == [OK, FAILED]
    assert rows[1].note == "layer a: 1 is not 2"
    assert "1.0e-12" in text
    assert FAILED in text
