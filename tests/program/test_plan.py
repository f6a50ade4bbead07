"""The planner: what is computed once, what is saved, in which form each gradient is computed."""

from __future__ import annotations

import pytest

from symbackprop.calculus.derive import derive
from symbackprop.calculus.integer import Facts, normal
from symbackprop.notation.nodes import Arg, Read, Reduce, Where, walk
from symbackprop.notation.reader import read
from symbackprop.program.affine import affine, bounds, sign
from symbackprop.program.extents import all_sizes, with_named_extents
from symbackprop.program.plan import plan
from symbackprop.program.statements import Program

BATCHNORM = """
layer batchnorm
input x[N, C, H, W], gamma[C], beta[C]
param eps = 1e-5
mu[c]         = mean[n,h,w](x[n,c,h,w])
var[c]        = mean[n,h,w]((x[n,c,h,w] - mu[c])^2)
xhat[n,c,h,w] = (x[n,c,h,w] - mu[c]) / sqrt(var[c] + eps)
y[n,c,h,w]    = gamma[c]*xhat[n,c,h,w] + beta[c]
output y
"""

STRIDED = """
layer strided
input x[N, H] outside 0, weight[R]
param stride = 1 integer, pad = 0 integer
range p = (H + 2*pad - R)//stride + 1
y[n,p] = sum[r](x[n, stride*p + r - pad]*weight[r])
output y
"""

SOFTMAX = """
layer weights
input z[N, K]
top[n] = max[k](z[n,k])
y[n,k] = exp(z[n,k] - top[n])/sum[j](exp(z[n,j] - top[n]))
output y
"""


CROSS_ENTROPY = """
layer loss
input z[N, K]
integer t[N]
top[n] = max[k](z[n,k])
lse[n] = top[n] + log(sum[k](exp(z[n,k] - top[n])))
loss   = mean[n](lse[n] - z[n, t[n]])
output loss
"""


def planned(text: str, **options: bool) -> Program:
    return plan(derive(read(text)), **options)


@pytest.mark.parametrize("text", [BATCHNORM, STRIDED, SOFTMAX])
@pytest.mark.parametrize("inline", [False, True])
def test_no_statement_contains_a_reduction(text: str, inline: bool) -> None:
    program = planned(text, inline=inline)

    bodies = [x for s in (*program.forward, *program.backward) for x in (s.body, s.result, *s.positions)]

    assert not any(isinstance(e, Reduce | Arg) for body in bodies for e in walk(body))


@pytest.mark.parametrize("text", [BATCHNORM, STRIDED, SOFTMAX])
@pytest.mark.parametrize("inline", [False, True])
def test_every_read_is_of_an_input_or_of_something_computed_before(text: str, inline: bool) -> None:
    program = planned(text, inline=inline)
    layer = program.layer
    known = {t.name for t in layer.inputs}
    for statement in program.forward:
        reads = {e.tensor for x in (statement.body, statement.result) for e in walk(x) if isinstance(e, Read)}
        assert reads <= known | {statement.target}
        known.add(statement.target)
    known = {*program.saved, *(f"grad_{y}" for y in layer.outputs)}
    for statement in program.backward:
        inside = (statement.body, statement.result, *statement.positions)
        reads = {e.tensor for x in inside for e in walk(x) if isinstance(e, Read)}
        assert reads <= known | {statement.target}
        known.add(statement.target)


def test_the_backward_pass_of_batch_norm_has_two_sums_over_the_batch() -> None:
    program = planned(BATCHNORM)

    assert [s.target for s in program.backward if s.kind == "sum"] == ["sum_grad_y", "sum_grad_y_xhat"]


def test_an_equal_reduction_is_shared_between_gradients() -> None:
    program = planned(BATCHNORM)
    wanted = {s.target: s.wanted_by for s in program.backward}

    assert wanted["sum_grad_y"] == ("x", "beta")
    assert wanted["sum_grad_y_xhat"] == ("x", "gamma")


def test_what_depends_on_the_channel_alone_is_computed_once_and_saved() -> None:
    program = planned(BATCHNORM)

    assert [s.indices[0].name for s in program.forward if s.target == "inv_sqrt_var"] == ["c"]
    assert "inv_sqrt_var" in program.saved


def test_a_cheap_map_is_recomputed_and_not_saved() -> None:
    program = planned(BATCHNORM)

    assert "xhat" not in program.saved
    assert "xhat" in {s.target for s in program.backward}


def test_inline_writes_a_cheap_map_into_its_readers() -> None:
    program = planned(BATCHNORM, inline=True)

    assert "xhat" not in {s.target for s in (*program.forward, *program.backward)}


def test_a_function_that_stands_twice_is_computed_once() -> None:
    program = planned(SOFTMAX)

    assert [s.target for s in program.forward].count("exp_z") == 1
    assert sum(getattr(e, "function", "") == "exp" for s in program.forward for e in walk(s.body)) == 1


def test_a_function_that_both_passes_evaluate_is_saved_for_array_statements_and_not_for_loops() -> None:
    assert "exp_z" in planned(CROSS_ENTROPY).saved
    assert "exp_z" not in planned(CROSS_ENTROPY, inline=True).saved


def test_a_one_hot_term_is_an_addition_at_its_places() -> None:
    last = planned(CROSS_ENTROPY).backward[-2:]

    assert [(s.kind, s.target) for s in last] == [("map", "grad_z"), ("scatter", "grad_z")]
    assert last[1].comment == "grad_z[n, t[n]] += -grad_loss/N"
    assert not any(isinstance(e, Where) for s in last for e in walk(s.body))


def test_a_one_hot_term_that_depends_on_its_own_index_stays_a_condition() -> None:
    program = planned("layer a\ninput x[N, K]\ninteger t[N]\ny[n,k] = x[n,k] + where(k == t[n], x[n,k]^2, 0)\noutput y")

    assert [s.kind for s in program.forward] == ["map"]


def test_a_strided_gradient_is_scattered_or_gathered_as_asked() -> None:
    scattered = {s.target: s.kind for s in planned(STRIDED, scatter_strided=True).backward}
    gathered = {s.target: s.kind for s in planned(STRIDED, scatter_strided=False).backward}

    assert (scattered["grad_x"], gathered["grad_x"]) == ("scatter", "sum")


def test_new_names_never_clash_with_those_of_the_layer() -> None:
    clash = BATCHNORM.replace("beta", "inv_sqrt_var").replace("gamma", "sum_grad_y")
    program = planned(clash)
    targets = {s.target for s in (*program.forward, *program.backward)}

    assert targets.isdisjoint({"inv_sqrt_var", "sum_grad_y", "x"})


def test_a_range_with_a_formula_gets_the_name_of_its_index_in_upper_case() -> None:
    program = with_named_extents(planned(STRIDED))

    assert [s.name for s in all_sizes(program.layer)] == ["P"]
    assert str(program.forward[0].indices[1].extent) == "Size(name='P')"


def test_the_bounds_of_an_affine_index_are_exact() -> None:
    program = planned(STRIDED)
    (place,) = [e.indices[1] for e in walk(program.forward[0].body) if isinstance(e, Read) and e.tensor == "x"]
    facts = Facts.of(program.layer)
    box, walk_ = bounds(place, facts), affine(place)

    assert walk_ is not None
    assert walk_.plain
    assert sign(box.low, facts) == -1  # -pad
    assert sign(box.low) is None  # of a parameter nothing is known unless it is said
    assert normal(box.low) == normal(walk_.constant)
