"""A derivation is verified, and a wrong one is not: every slip that a person could make is made here once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from symbackprop.calculus.derivation import Derivation, Gradient, Scatter, Stage, Step
from symbackprop.check.derivation import verify
from symbackprop.errors import CheckFailed
from symbackprop.notation import nodes as n
from symbackprop.notation.layer import Definition
from symbackprop.notation.nodes import Call, Compare, Delta, Expr, Index, Parameter, Partial, Read, Reduce, Size
from symbackprop.notation.reader import read

FILTER = read("""
layer filter
input x[H] outside 0, w[R]
param stride = 1 integer, dilation = 1 integer
size P = (H - dilation*(R - 1) - 1)//stride + 1
range p = P
y[p] = sum[r](x[stride*p + dilation*r]*w[r])
output y
""")
H, R, P = Index("h", Size("H")), Index("r", Size("R")), Index("p", Size("P"))
STRIDE, DILATION = Parameter("stride", True), Parameter("dilation", True)
GRAD_X, GRAD_Y, W = Read("grad_x", (H,)), Read("grad_y", (P,)), Read("w", (R,))
WINDOW = n.add(n.mul(STRIDE, P), n.mul(DILATION, R))
POSITIVE = (Compare(">=", STRIDE, n.ONE), Compare(">=", DILATION, n.ONE))


def gathered(shift: Expr = n.ZERO, stride: Expr = STRIDE, dilation: Expr = DILATION, sign: Expr = n.ONE) -> Expr:
    """The gradient of x as a gather: `sum[r] (grad_y[(h - dilation*r)/stride] * w[r])`, with slips on request."""
    rest = n.add(H, shift, n.negative(n.mul(dilation, R)))
    p = n.floor_divide(rest, stride)
    inside = n.both(Compare("==", n.modulo(rest, stride), n.ZERO), Compare(">=", p, n.ZERO), Compare("<", p, Size("P")))
    return Reduce("sum", (R,), n.where(inside, n.mul(sign, Read("grad_y", (p,)), W), n.ZERO))


def steps(after: Expr) -> tuple[Step, ...]:
    """The derivation of the gradient of x, by hand."""
    element = Read("x", (H,))
    chain = Reduce("sum", (P,), n.mul(GRAD_Y, Partial(Read("y", (P,)), element)))
    deltas = Reduce("sum", (P, R), n.mul(GRAD_Y, W, Delta(H, WINDOW)))
    return (
        Step(GRAD_X, GRAD_X, chain, "chain rule", "x acts through y"),
        Step(GRAD_X, chain, deltas, "differentiation", "a delta for the position"),
        Step(GRAD_X, deltas, after, "deltas eliminated", "the stride divides"),
    )


def by_hand(
    after: Expr | None = None, value: Expr | None = None, positions: tuple[Expr, ...] = (WINDOW,)
) -> Derivation:
    """The derivation of the filter with respect to x; a wrong last step or scatter on request."""
    after = gathered() if after is None else after
    scatter = Scatter("grad_x", (Size("H"),), positions, (P, R), n.mul(GRAD_Y, W) if value is None else value)
    gradient = Gradient("x", (H,), Definition("grad_x", (H,), after), (scatter,))
    return Derivation(FILTER, (Stage(gradient, steps(after)),), (), POSITIVE, ("nothing",))


def refused(derivation: Derivation) -> str:
    """The message with which a derivation is refused."""
    with pytest.raises(CheckFailed) as failure:
        verify(derivation, seed=3)
    return str(failure.value)


def test_a_right_derivation_is_verified_and_the_report_says_how() -> None:
    report = verify(by_hand(), seed=3)

    assert (report.layer, report.steps, report.gradients, report.sampled) == ("filter", 3, 1, ())
    assert report.points > 100
    assert report.assumed == ("nothing",)
    assert report.proved[0].startswith("8 of 8 statements exactly, modulo a prime")


def test_the_same_seed_gives_the_same_report() -> None:
    first, second = (replace(verify(by_hand(), seed=8), seconds=0.0) for _ in range(2))

    assert first == second


@pytest.mark.parametrize(
    "slip",
    [
        gathered(sign=n.MINUS_ONE),
        gathered(shift=n.ONE),
        gathered(stride=DILATION, dilation=STRIDE),
        gathered(dilation=n.ONE),
    ],
    ids=["sign flipped", "index off by one", "stride swapped with dilation", "dilation forgotten"],
)
def test_a_slip_in_a_step_is_caught_with_its_place(slip: Expr) -> None:
    message = refused(by_hand(slip))

    assert message.startswith("layer filter, stage grad_x, step 3 (deltas eliminated): grad_x")
    for part in ("H = ", "stride = ", "seed 3"):
        assert part in message


@pytest.mark.parametrize("dropped", [0, 1, 2], ids=["divisibility", "lower bound", "upper bound"])
def test_a_dropped_guard_is_caught(dropped: int) -> None:
    whole = gathered()
    assert isinstance(whole, Reduce)
    guarded = whole.body
    assert isinstance(guarded, n.Where)
    guards = n.parts(guarded.condition)
    kept = n.both(*(g for at, g in enumerate(guards) if at != dropped))

    assert "step 3 (deltas eliminated)" in refused(by_hand(Reduce("sum", (R,), n.where(kept, guarded.then, n.ZERO))))


def test_a_failure_gives_both_numbers_modulo_the_prime_and_in_floats() -> None:
    message = refused(by_hand(gathered(sign=n.MINUS_ONE)))

    assert "before is " in message
    assert "after is " in message
    assert "in float64 at [" in message


def test_a_wrong_scatter_is_caught() -> None:
    message = refused(by_hand(value=n.mul(n.number(2), GRAD_Y, W)))

    assert "stage grad_x, scatter form" in message
    assert "the derivative by dual numbers" in message


def test_a_scatter_that_is_off_by_one_is_caught() -> None:
    assert "scatter form" in refused(by_hand(positions=(n.add(WINDOW, n.ONE),)))


def test_a_step_whose_sides_agree_on_a_wrong_value_is_caught() -> None:
    wrong = n.mul(n.number(2), gathered())
    right = by_hand()
    stage = right.staged[0]
    detour = Step(GRAD_X, wrong, wrong, "detour", "equal to itself")
    message = refused(replace(right, staged=(replace(stage, steps=(*stage.steps, detour)),)))

    assert "step 4 (detour), both sides alike" in message


def test_a_gradient_that_is_not_its_last_step_is_caught() -> None:
    right = by_hand()
    stage = right.staged[0]
    wrong = replace(stage.gradient, gather=Definition("grad_x", (H,), n.mul(n.number(2), gathered())))

    assert "gather form" in refused(replace(right, staged=(replace(stage, gradient=wrong),)))


def test_a_step_with_an_index_that_nothing_binds_is_caught() -> None:
    loose = n.mul(GRAD_Y, W)

    assert "cannot be evaluated: index p is not bound" in refused(by_hand(loose))


def test_a_step_whose_conditions_never_hold_is_not_taken_for_proved() -> None:
    right = by_hand()
    stage = right.staged[0]
    never = replace(stage.steps[2], conditions=(Compare("<", STRIDE, n.ZERO),))
    message = refused(replace(right, staged=(replace(stage, steps=(*stage.steps[:2], never)),)))

    assert "no case satisfied the conditions of stage grad_x, step 3" in message


def test_a_condition_restricts_where_a_step_is_checked() -> None:
    right = by_hand()
    stage = right.staged[0]
    only_unit = Compare("==", STRIDE, n.ONE)
    simple = replace(stage.steps[2], after=gathered(stride=n.ONE), conditions=(only_unit,))

    assert verify(replace(right, staged=(replace(stage, steps=(*stage.steps[:2], simple)),)), seed=3).steps == 3


# -- layers with intermediates and functions -------------------------------------------------------------------------

NORM = read("""
layer norm
input x[N]
param eps = 1e-5
m    = mean[n](x[n])
v    = mean[n]((x[n] - m)^2)
y[n] = tanh((x[n] - m)/sqrt(v + eps))
output y
""")


def derived(change: Callable[[Step], Step] | None = None) -> Derivation:
    """The derivation of NORM, with one of its steps changed."""
    from symbackprop.calculus.derive import derive

    whole = derive(NORM)
    if change is None:
        return whole
    stage = whole.staged[-1]
    return replace(whole, staged=(*whole.staged[:-1], replace(stage, steps=(change(stage.steps[0]), *stage.steps[1:]))))


def test_staged_gradients_of_intermediates_are_verified() -> None:
    report = verify(derived(), seed=1)

    assert report.gradients >= 3
    assert "transcendental functions as unknowns" in report.proved[0]


def test_a_dropped_contribution_through_an_intermediate_is_caught() -> None:
    def dropped(step: Step) -> Step:
        assert isinstance(step.after, n.Add)
        return replace(step, after=n.add(*step.after.terms[1:]))

    assert "stage grad_x, step 1 (chain rule)" in refused(derived(dropped))


def test_many_roots_are_verified_at_smaller_sizes() -> None:
    from symbackprop.calculus.derive import derive

    layer = read("""
        layer rooted
        input x[N, C, H], w[K, C]
        y[n,k,h] = sum[c](sqrt(1 + tanh(x[n,c,h]*w[k,c])^2))
        output y
    """)
    report = verify(derive(layer), seed=1)

    assert report.points > 20
    assert report.sampled == ()


def test_sizes_at_which_the_layer_has_no_value_are_passed_over_and_named() -> None:
    from symbackprop.calculus.derive import derive

    layer = read("""
        layer standardised
        input x[N, C]
        mu[c] = mean[n](x[n,c])
        s[c]  = sqrt(mean[n]((x[n,c] - mu[c])^2))
        y[n,c] = (x[n,c] - mu[c])/s[c]
        output y
    """)
    report = verify(derive(layer))

    assert report.points > 1000
    assert "Without a value, so not looked at: N = 1, C = 1 (division by zero)." in report.evidence()


def test_a_layer_without_a_value_anywhere_is_not_taken_for_proved() -> None:
    from symbackprop.calculus.derive import derive

    nowhere = read("layer nowhere\ninput x[N]\nd = sum[n](x[n] - x[n])\ny[n] = x[n]/d\noutput y\n")

    with pytest.raises(CheckFailed, match="no point was found at which all steps have a value"):
        verify(derive(nowhere), draws=1)


def test_an_identity_beyond_the_unknowns_is_sampled_and_said_to_be() -> None:
    layer = read("""
        layer logistic
        input x[N]
        y[n] = sigmoid(x[n])
        output y
    """)
    at = Index("n", Size("N"))
    x, grad = Read("x", (at,)), Read("grad_x", (at,))
    s = Call("sigmoid", (x,))
    known = n.mul(Read("grad_y", (at,)), s, n.subtract(n.ONE, s))
    other = n.mul(Read("grad_y", (at,)), s, Call("sigmoid", (n.negative(x),)))  # 1 - sigmoid(x) = sigmoid(-x)
    gradient = Gradient("x", (at,), Definition("grad_x", (at,), known), ())
    step = Step(grad, known, other, "reflection", "the logistic function is odd about one half")
    report = verify(Derivation(layer, (Stage(gradient, (step,)),), (), (), ()), seed=2)

    assert report.sampled[0] == "stage grad_x, step 1 (reflection)"
