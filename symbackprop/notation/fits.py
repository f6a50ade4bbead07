"""What follows from the sizes alone: reads that must fall outside, ranges that must be empty.

Sizes are at least 1, integer parameters at least 0 (unless their default is negative). An index form that is affine in
each index takes its largest value at a corner of the indices' box; what is certain for all sizes is reported when a
layer is read, everything else is left to the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import islice, product

from symbackprop.notation.binding import substitute
from symbackprop.notation.layer import DerivedSize, Hyperparameter
from symbackprop.notation.nodes import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Expr,
    Index,
    Mul,
    Number,
    Parameter,
    Size,
    add,
    mul,
    subtract,
    walk,
)

Polynomial = dict[tuple[Expr, ...], Fraction]
_MOST_TERMS = 32
_MOST_NODES = 60


class Signs:
    """Decides signs of integer expressions from what sizes and parameters are known to be."""

    def __init__(self, parameters: Iterable[Hyperparameter], sizes: Iterable[DerivedSize]) -> None:
        self._natural = {p.name for p in parameters if p.integer and p.default >= 0}
        self._derived: dict[Expr, Expr] = {}
        for size in sizes:
            if _short(size.value):  # sizes of sizes of sizes could grow without end
                value = substitute(size.value, self._derived)
                self._derived[Size(size.name)] = value if _short(value) else size.value

    def positive(self, expr: Expr) -> bool:
        """Whether `expr` is at least 1 for all sizes and parameters; False where that is not certain."""
        return self._at_least(expr, 1) or self._at_least(substitute(expr, self._derived), 1)

    def natural(self, expr: Expr) -> bool:
        """Whether `expr` is at least 0 for all sizes and parameters; False where that is not certain."""
        return self._at_least(expr, 0) or self._at_least(substitute(expr, self._derived), 0)

    def _at_least(self, expr: Expr, least: int) -> bool:
        found = polynomial(expr)
        if found is None or any(len(atoms) > 6 for atoms in found):
            return False
        shifted: Polynomial = {}
        for atoms, coefficient in found.items():
            if not all(self._known(atom) for atom in atoms):
                return False
            # a size s is 1 + s', with s' at least 0
            choices = [((atom,), ()) if isinstance(atom, Size) else ((atom,),) for atom in atoms]
            for chosen in product(*choices):
                key = tuple(a for part in chosen for a in part)
                shifted[key] = shifted.get(key, Fraction(0)) + coefficient
        return shifted.pop((), Fraction(0)) >= least and all(c >= 0 for c in shifted.values())

    def _known(self, atom: Expr) -> bool:
        return isinstance(atom, Size) or (isinstance(atom, Parameter) and atom.name in self._natural)

    def highest(self, expr: Expr) -> Expr | None:
        """The largest value of an index expression over its indices, or None where that is not certain."""
        found = polynomial(expr)
        if found is None:
            return None
        rest, by_index = _split(found)
        if rest is None:
            return None
        highest: list[Expr] = []
        for index, coefficient in by_index.items():
            if self.natural(coefficient):
                highest.append(mul(coefficient, subtract(index.extent, ONE)))
            elif not self.natural(mul(MINUS_ONE, coefficient)):
                return None
        return add(*highest, *([] if rest == ZERO else [rest]))

    def outside(self, expr: Expr, extent: Expr) -> Expr | None:
        """A value of `expr` that certainly lies outside 0 ... extent - 1, or None if there is none that is certain."""
        highest = self.highest(expr)
        if highest is not None and self.positive(add(subtract(highest, extent), ONE)):
            return highest
        below = self.highest(mul(MINUS_ONE, expr))
        if below is not None and self.positive(below):
            return mul(MINUS_ONE, below)
        return None


def _short(expr: Expr) -> bool:
    return sum(1 for _ in islice(walk(expr), _MOST_NODES)) < _MOST_NODES


def polynomial(expr: Expr) -> Polynomial | None:
    """`expr` multiplied out over its atoms (whatever is not a sum or a product); None where that grows too long."""
    if isinstance(expr, Number):
        return {(): expr.value} if expr.value else {}
    if isinstance(expr, Add):
        total: Polynomial = {}
        for term in expr.terms:
            part = polynomial(term)
            if part is None or len(total) > _MOST_TERMS:
                return None
            for atoms, coefficient in part.items():
                total[atoms] = total.get(atoms, Fraction(0)) + coefficient
        return {atoms: c for atoms, c in total.items() if c}
    if isinstance(expr, Mul):
        return _multiplied(expr.factors)
    return {(expr,): Fraction(1)}


def _multiplied(factors: Iterable[Expr]) -> Polynomial | None:
    total: Polynomial = {(): Fraction(1)}
    for factor in factors:
        part = polynomial(factor)
        if part is None or len(part) * len(total) > _MOST_TERMS:
            return None
        multiplied: Polynomial = {}
        for (left, a), (right, b) in product(total.items(), part.items()):
            atoms = tuple(sorted((*left, *right), key=repr))
            multiplied[atoms] = multiplied.get(atoms, Fraction(0)) + a * b
        total = multiplied
    return total


def _split(found: Mapping[tuple[Expr, ...], Fraction]) -> tuple[Expr | None, dict[Index, Expr]]:
    """The part without indices, and the coefficient of each index; None where it is not affine in each."""
    rest: list[Expr] = []
    by_index: dict[Index, Expr] = {}
    for atoms, coefficient in found.items():
        indices = [atom for atom in atoms if isinstance(atom, Index)]
        others = [atom for atom in atoms if not isinstance(atom, Index)]
        if len(indices) > 1 or any(isinstance(part, Index) for atom in others for part in walk(atom)):
            return None, {}
        term = mul(Number(coefficient), *others)
        if indices:
            by_index[indices[0]] = add(by_index[indices[0]], term) if indices[0] in by_index else term
        else:
            rest.append(term)
    return add(*rest), by_index
