"""An interpreter that remembers: formulas that differ in one place share the meaning and the values of all the rest."""

from __future__ import annotations

from math import prod

from symbackprop.check.arithmetic import Value
from symbackprop.check.exact import ExactMeaning, Places
from symbackprop.check.interpret import Interpreter, Key, Meaning, Names, Rows
from symbackprop.errors import UserError
from symbackprop.notation.binding import free_indices
from symbackprop.notation.nodes import Call, Expr, Index, Partial, Pow

MOST_ELEMENTS, MOST_WORK = 20_000, 1_000_000  # of one sum, and of a formula with all sums inside of sums


class BoundedInterpreter(Interpreter):
    """An interpreter that refuses sums over more elements than a formula at small sizes has."""

    work = MOST_WORK

    def begin(self) -> None:
        """Another formula: its work is counted anew."""
        self.work = MOST_WORK

    def count(self, ranges: list[range]) -> None:
        """Count the elements of a reduction. Raises UserError where there are too many."""
        volume = prod(max(r.stop, 0) for r in ranges)
        self.work -= volume
        if volume > MOST_ELEMENTS or self.work < 0:
            raise UserError("a sum over too many elements to be tried")


class KeptInterpreter(BoundedInterpreter):
    """An interpreter for many expressions that share parts.

    Needs: indices that are bound at one place of an expression only under one name, as a `Translator` gives them.
    A part that is met again, as the same object, is not taken apart again; powers, functions and local derivatives are
    computed once for each place.
    """

    def __init__(self, point: Names, indices: tuple[Index, ...] = ()) -> None:
        super().__init__(point, indices)
        self._reals: dict[int, tuple[Expr, Meaning]] = {}
        self._exacts: dict[int, tuple[Expr, ExactMeaning]] = {}
        self._rows: dict[tuple[int, str], tuple[Expr, tuple[tuple[Expr, ...], Rows]]] = {}

    def real(self, expr: Expr) -> Meaning:
        """The meaning of a real expression."""
        known = self._reals.get(id(expr))
        if known is None:
            meaning = super().real(expr)
            if isinstance(expr, Pow | Call | Partial):
                meaning = self._remembered(expr, meaning)
            known = self._reals[id(expr)] = (expr, meaning)  # with the expression, so that no other gets its id
        return known[1]

    def exact(self, expr: Expr) -> ExactMeaning:
        """The meaning of an expression of integers."""
        known = self._exacts.get(id(expr))
        if known is None:
            known = self._exacts[id(expr)] = (expr, super().exact(expr))
        return known[1]

    def _local_slopes(self, value: Expr, variable: str) -> tuple[tuple[Expr, ...], Rows]:
        key = (id(value), variable)
        known = self._rows.get(key)
        if known is None:
            known = self._rows[key] = (value, super()._local_slopes(value, variable))
        return known[1]

    def _remembered(self, expr: Expr, meaning: Meaning) -> Meaning:
        slots = [self._slots[index] for index in free_indices(expr)]
        values: dict[Key, Value] = {}

        def value(places: Places) -> Value:
            key = tuple([places[slot] for slot in slots])
            found = values.get(key)
            if found is None:
                found = values[key] = meaning(places)
            return found

        return value
