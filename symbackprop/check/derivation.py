"""Verify a derivation: each step exactly, each gradient against the second opinion, and say what is proved.

Each step is evaluated modulo a prime at random points of several small random sizes. Both sides have to be equal
at every target index, and equal to the true gradient where the target is one. Where an identity of
transcendental functions is beyond the unknowns that they are there, the step is sampled in float64 instead and
the report says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from symbackprop.calculus.derivation import Derivation, Gradient, Stage, Step
from symbackprop.check.arithmetic import Redraw
from symbackprop.check.cases import Case, draw_case, forward_work, has_index_arithmetic, point_at, work
from symbackprop.check.modular import NO_QUOTIENT, PRIME, Modular
from symbackprop.check.opinion import Mismatch, World, float_world, modular_world
from symbackprop.check.point import Elements
from symbackprop.errors import CheckFailed, UserError
from symbackprop.notation.nodes import Read

PROFILE_OF_DRAW = ("ones", "uneven", "equal", "uneven", "small", "uneven")
MOST_WORK = 400_000  # operations a draw, all steps together
ATTEMPTS = 100  # points tried for one case: each root of an intermediate halves the chance that a point will do
CASES = 8  # cases tried for one draw: of less and less work, then nearly all sizes 1, then without such sizes

Compute = Callable[[World], tuple[Elements, Elements]]


@dataclass(frozen=True, slots=True)
class DerivationReport:
    """What was found true of a derivation. `points` counts the elements at which two sides were equal exactly."""

    layer: str
    steps: int
    gradients: int
    points: int
    draws: int
    cases: tuple[str, ...]
    proved: tuple[str, ...]
    sampled: tuple[str, ...]
    assumed: tuple[str, ...]
    without_value: tuple[str, ...]
    seed: int
    seconds: float

    def evidence(self) -> tuple[str, ...]:
        """What was proved, what was sampled and where nothing can be said, a sentence each."""
        proved = tuple(f"Proved: {claim}." for claim in self.proved)
        sampled = tuple(f"Sampled: {claim}." for claim in self.sampled)
        return (*proved, *sampled, *(f"Without a value, so not looked at: {case}." for case in self.without_value))


@dataclass(slots=True)
class _Tally:
    """What one run has counted so far."""

    points: int = 0
    cases: dict[str, None] = field(default_factory=dict)
    touched: dict[str, int] = field(default_factory=dict)
    sampled: dict[str, None] = field(default_factory=dict)
    without_value: dict[str, None] = field(default_factory=dict)
    unknowns: bool = False


def verify(derivation: Derivation, seed: int = 0, draws: int | None = None) -> DerivationReport:
    """Every step and every gradient of the derivation, at `draws` random cases (8, or 16 where indices are computed).

    Raises CheckFailed naming the layer, the step, its rule, the element, the sizes, the seed and both numbers.
    """
    started = time.perf_counter()
    tally = _Tally()
    draws = draws or (16 if has_index_arithmetic(derivation.layer) else 8)
    for draw in range(draws):
        _verify_draw(derivation, seed, draw, tally)
    untouched = [claim for claim, count in tally.touched.items() if not count]
    if untouched:
        raise CheckFailed(
            f"layer {derivation.layer.name}: in {draws} draws no case satisfied the conditions of {untouched[0]}, "
            f"seed {seed}"
        )
    stages = (*derivation.staged, *derivation.closed)
    return DerivationReport(
        derivation.layer.name,
        sum(len(stage.steps) for stage in stages),
        len(stages),
        tally.points,
        draws,
        tuple(tally.cases),
        _proved(derivation, tally),
        tuple(tally.sampled),
        derivation.assumptions,
        tuple(tally.without_value),
        seed,
        time.perf_counter() - started,
    )


def _proved(derivation: Derivation, tally: _Tally) -> tuple[str, ...]:
    claims = [claim for claim in tally.touched if claim not in tally.sampled]
    how = "exactly, modulo a prime of 60 bits at random points"
    if tally.unknowns:
        how += ", with the transcendental functions as unknowns"
    return (f"{len(claims)} of {len(tally.touched)} statements {how}, at {tally.points} elements",)


def _verify_draw(derivation: Derivation, seed: int, draw: int, tally: _Tally) -> None:
    """One case; another point where the drawn one has no value, another case where none is found.

    A standard deviation that is divided by vanishes where it is taken of one number: no point of such sizes will do.
    """
    rng = np.random.default_rng([seed, draw])
    reason = ""
    for number in range(CASES):
        case = _case(derivation, rng, *_wanted(draw, number))
        for attempt in range(ATTEMPTS):
            point_seed = (seed * 1000 + draw) * 1000 + attempt
            try:
                world = modular_world(derivation, case, point_seed)
                counted = _verify_at(derivation, world, case, point_seed, tally)
            except Redraw as redraw:
                reason = str(redraw)
                continue
            tally.points += counted
            tally.cases[str(case)] = None
            return
        if reason == NO_QUOTIENT:
            tally.without_value[f"{case} ({reason})"] = None
    raise CheckFailed(
        f"layer {derivation.layer.name}: no point was found at which all steps have a value ({reason}), seed {seed}"
    )


def _wanted(draw: int, number: int) -> tuple[str, int]:
    """The profile of the sizes, and the most work, of one of the cases of a draw."""
    if number < CASES // 2:
        return PROFILE_OF_DRAW[draw % len(PROFILE_OF_DRAW)], 6000 // 4**number
    return ("ones", 6000 // 4**number) if number < CASES * 3 // 4 else ("equal", 400)


def _case(derivation: Derivation, rng: np.random.Generator, profile: str, most: int) -> Case:
    """A case at which all the steps together are not too much work."""
    smallest = draw_case(derivation.layer, rng, "ones", 10**9, derivation.conditions)
    least = 2 * forward_work(point_at(derivation.layer, smallest))
    while True:
        case = draw_case(derivation.layer, rng, profile, max(most, least), derivation.conditions)
        if most <= least or _work(derivation, case) <= MOST_WORK:
            return case
        most = most * 2 // 3


def _work(derivation: Derivation, case: Case) -> int:
    point = point_at(derivation.layer, case)
    total = 0
    for stage in (*derivation.staged, *derivation.closed):
        volume = len(list(point.box(stage.gradient.tensor)))
        total += sum(volume * (work(s.before, point) + work(s.after, point)) for s in stage.steps)
    return total


# ---------------------------------------------------------------------------------------------- one point


def _verify_at(derivation: Derivation, world: World, case: Case, seed: int, tally: _Tally) -> int:
    at = _At(derivation, world, case, seed, tally)
    for kind, stages in (("stage", derivation.staged), ("closed form", derivation.closed)):
        for stage in stages:
            at.stage(kind, stage)
    assert isinstance(world.arithmetic, Modular)
    tally.unknowns = tally.unknowns or world.arithmetic.unknowns > 0
    return at.points


class _At:
    """The checks of one derivation at one point."""

    def __init__(self, derivation: Derivation, world: World, case: Case, seed: int, tally: _Tally) -> None:
        self.derivation, self.world, self.case, self.seed, self.tally = derivation, world, case, seed, tally
        self.points = 0
        self._floats: list[World] | None = None

    def stage(self, kind: str, stage: Stage) -> None:
        """The steps in order, then the gradient in both its forms."""
        gradient = stage.gradient
        for number, step in enumerate(stage.steps, 1):
            self._step(f"{kind} {gradient.name}, step {number} ({step.rule})", step, gradient)
        target = Read(gradient.gather.name if gradient.gather else gradient.name, gradient.indices)
        if gradient.gather is not None:
            body = gradient.gather.body
            what = f"{kind} {gradient.name}, gather form"
            self._claim(what, target, lambda w: (w.values(target, body), self._truth(w, gradient)), _OPINION)
        if gradient.scatters:
            self._scatter(f"{kind} {gradient.name}, scatter form", target, gradient)

    def _step(self, what: str, step: Step, gradient: Gradient) -> None:
        def sides(w: World) -> tuple[Elements, Elements]:
            before, after = (w.values(step.target, side, step.conditions) for side in (step.before, step.after))
            return before, after

        self._claim(what, step.target, sides, ("before", "after"))
        if step.target.tensor in (gradient.name, f"{gradient.name}_total"):

            def with_truth(w: World) -> tuple[Elements, Elements]:
                return w.values(step.target, step.after, step.conditions), self._truth(w, gradient)

            self._claim(f"{what}, both sides alike", step.target, with_truth, _OPINION)

    def _scatter(self, what: str, target: Read, gradient: Gradient) -> None:
        def sums(w: World) -> tuple[Elements, Elements]:
            return w.scattered(gradient.scatters, gradient.tensor), self._truth(w, gradient)

        self._claim(what, target, sums, _OPINION)

    @staticmethod
    def _truth(world: World, gradient: Gradient) -> Elements:
        return world.truth[gradient.tensor]

    def _claim(self, what: str, target: Read, compute: Compute, sides: tuple[str, str]) -> None:
        """Both sides are equal: exactly, or else, where unknown functions are in play, in float64."""
        try:
            left, right = compute(self.world)
            found = self.world.mismatch(left, right)
        except (UserError, ZeroDivisionError, KeyError) as error:
            raise CheckFailed(f"{self._where(what, target)}: cannot be evaluated: {error}") from error
        self.points += len(left)
        self.tally.touched[what] = self.tally.touched.get(what, 0) + len(left)
        if found is None:
            return
        sampled = self._in_floats(compute)
        if sampled is None:
            self.tally.sampled[what] = None
            return
        raise CheckFailed(self._message(what, target, sides, found, sampled))

    def _in_floats(self, compute: Compute) -> Mismatch | bool | None:
        """None if all float points agree and there is reason to ask them; else a mismatch, or True if none is known."""
        assert isinstance(self.world.arithmetic, Modular)
        results = [world.mismatch(*compute(world)) for world in self._float_worlds()]
        differing = next((r for r in results if r is not None), None)
        if differing is not None:
            return differing
        return None if self.world.arithmetic.unknowns and results else True

    def _float_worlds(self) -> list[World]:
        """Points in float64 at which the layer has finite values."""
        if self._floats is None:
            worlds = [float_world(self.derivation, self.case, self.seed + k) for k in range(8)]
            self._floats = [w for w in worlds if _finite(w)][:4]
        return self._floats

    def _where(self, what: str, target: Read, mismatch: Mismatch | None = None) -> str:
        element = f"{target.tensor}[{', '.join(map(str, mismatch.key))}]" if mismatch else target.tensor
        return f"layer {self.derivation.layer.name}, {what}: {element} for {self.case}, seed {self.seed}"

    def _message(
        self, what: str, target: Read, sides: tuple[str, str], exact: Mismatch, sampled: Mismatch | bool
    ) -> str:
        numbers = f"{sides[0]} is {exact.left}, {sides[1]} is {exact.right} (modulo {PRIME})"
        if isinstance(sampled, Mismatch):
            place = f"[{', '.join(map(str, sampled.key))}]"
            numbers += f"; in float64 at {place}: {sampled.left!r} against {sampled.right!r}"
        return f"{self._where(what, target, exact)}: {numbers}"


_OPINION = ("the derivation's value", "the derivative by dual numbers")


def _finite(world: World) -> bool:
    return all(np.isfinite(v) for gradient in world.truth.values() for v in gradient.values())
