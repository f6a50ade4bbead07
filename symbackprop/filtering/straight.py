"""A product with a matrix of numbers as straight-line code: few operations, each a sum of two terms.

What pairs of points +a and -a share is computed once. Rows e + o and e - o are two operations on e and o (transforms
of data and filter); columns whose numbers agree but for signs are two operations on inputs (the transform of outputs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import count
from typing import Any

from symbackprop.filtering.algorithm import Matrix

Form = dict[str, Fraction]  # a sum of multiples of named values


@dataclass(frozen=True, slots=True)
class Step:
    """name = factor*value + plus; without `plus` a multiple alone."""

    name: str
    factor: Fraction
    value: str
    plus: str | None

    @property
    def text(self) -> str:
        """As one writes it."""
        times = {"1": self.value, "-1": f"-{self.value}"}.get(str(self.factor), f"{self.factor}*{self.value}")
        if self.plus is None:
            return f"{self.name} = {times}"
        if times.startswith("-"):
            return f"{self.name} = {self.plus} - {times[1:]}"
        return f"{self.name} = {self.plus} + {times}"

    def renamed(self, names: Mapping[str, str]) -> Step:
        """The same step on values of other names."""
        return Step(names[self.name], self.factor, names[self.value], None if self.plus is None else names[self.plus])


@dataclass(frozen=True, slots=True)
class Code:
    """Steps from `x0`, `x1`, ... to the values that `outputs` names; None is the number zero."""

    inputs: int
    steps: tuple[Step, ...]
    outputs: tuple[str | None, ...]

    @property
    def multiplications(self) -> int:
        return sum(abs(s.factor) != 1 for s in self.steps)

    @property
    def additions(self) -> int:
        return sum(s.plus is not None for s in self.steps)

    @property
    def operations(self) -> int:
        """Steps: a multiplication and the addition after it are one on a machine with fused multiply-add."""
        return len(self.steps)

    def run(self, values: Sequence[Any], number: Callable[[Fraction], Any]) -> list[Any]:
        """The outputs for these inputs: numbers, arrays or symbols, and what a factor is among them."""
        known: dict[str, Any] = {f"x{i}": v for i, v in enumerate(values)}
        for step in self.steps:
            times = number(step.factor) * known[step.value]
            known[step.name] = times if step.plus is None else known[step.plus] + times
        return [0 if name is None else known[name] for name in self.outputs]


@cache
def straight(matrix: Matrix) -> Code:
    """Code for the product of this matrix with a vector."""
    writer = _Writer()
    inputs = [f"x{k}" for k in range(len(matrix[0]))]
    rows = [{name: c for name, c in zip(inputs, row, strict=True) if c != 0} for row in matrix]
    outputs = writer.rows(writer.columns(rows, inputs))
    return Code(len(inputs), tuple(writer.steps), tuple(outputs))


class _Writer:
    """The steps so far, and the sums that they have computed."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.known: dict[tuple[tuple[str, Fraction], ...], str] = {}
        self.names = (f"t{n}" for n in count())

    def columns(self, rows: list[Form], names: list[str]) -> list[Form]:
        """Inputs a and b that stand with equal or opposite factors in each row are replaced by a + b and a - b."""
        for at, a in enumerate(names):
            for b in names[at + 1 :]:
                signs = {_ratio(row.get(a), row.get(b)) for row in rows if a in row or b in row}
                if signs == {1, -1}:
                    plus, minus = (
                        self.value({a: Fraction(1), b: Fraction(1)}),
                        self.value({a: Fraction(1), b: -Fraction(1)}),
                    )
                    rows = [_joined(row, a, b, plus, minus) for row in rows]
                    break
        return rows

    def rows(self, rows: list[Form]) -> list[str | None]:
        """The names of the values of the rows."""
        outputs: list[str | None] = [None] * len(rows)
        left = [i for i, row in enumerate(rows) if row]
        while left:
            i = left.pop(0)
            j = next((j for j in left if _mirrored(rows[i], rows[j])), None)
            if j is None:
                outputs[i] = self.value(rows[i])
                continue
            left.remove(j)
            even = {k: c for k, c in rows[i].items() if c == rows[j][k]}
            odd = {k: c for k, c in rows[i].items() if c != rows[j][k]}
            scale = _scale(odd)
            first, second = self.value(even), self.value({k: c / scale for k, c in odd.items()})
            outputs[i] = self.value({first: Fraction(1), second: scale})
            outputs[j] = self.value({first: Fraction(1), second: -scale})
        return outputs

    def value(self, form: Form) -> str:
        """The name of a value that is this sum; its steps are written unless it is known."""
        key = tuple(sorted(form.items()))
        if key not in self.known:
            # a term that is added as it stands comes first, so that each other one is a step
            order = sorted(form, key=lambda k: (form[k] != 1, abs(form[k]) != 1))
            first = order[0]
            name = first if form[first] == 1 else self._step(form[first], first, None)
            for k in order[1:]:
                name = self._step(form[k], k, name)
            self.known[key] = name
        return self.known[key]

    def _step(self, factor: Fraction, value: str, plus: str | None) -> str:
        name = next(self.names)
        self.steps.append(Step(name, factor, value, plus))
        return name


def _ratio(a: Fraction | None, b: Fraction | None) -> Fraction:
    return Fraction(0) if a is None or b is None else a / b


def _joined(row: Form, a: str, b: str, plus: str, minus: str) -> Form:
    if a not in row:
        return row
    rest = {k: c for k, c in row.items() if k not in (a, b)}
    return {**rest, (plus if row[a] == row[b] else minus): row[a]}


def _mirrored(one: Form, other: Form) -> bool:
    """Whether two rows are e + o and e - o with something in both."""
    return set(one) == set(other) and {other[k] / c for k, c in one.items()} == {1, -1}


def _scale(form: Form) -> Fraction:
    """What to divide a sum by so that most of its factors become 1."""
    values = list(form.values())
    return max(values, key=lambda v: (sum(abs(c) == abs(v) for c in values), abs(v) == 1))
