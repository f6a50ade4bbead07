"""What the NumPy emission knows of a program: the axes of every tensor, and what is true of its sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as with_fields

from symbackprop.calculus.derivation import gradient_name
from symbackprop.calculus.integer import Facts, equal, never_negative, normal, simplified
from symbackprop.emit.spelling import RESERVED, TEST, Names, identifier, integer, real_constant
from symbackprop.errors import InternalError
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import (
    ONE,
    Expr,
    Index,
    Infinity,
    Number,
    Read,
    Size,
    floor_divide,
    mul,
    parts,
    rebuild,
    subtract,
    walk,
)
from symbackprop.program.extents import all_sizes, name_extents
from symbackprop.program.statements import Program


@dataclass(frozen=True, slots=True)
class Context:
    """The tensors of a module by name, and the names that are taken in one of its functions."""

    layer: Layer
    axes: dict[str, tuple[Expr, ...]]
    integers: frozenset[str]
    facts: Facts
    sizes: dict[Expr, Expr]
    names: Names = field(compare=False)
    positions: dict[str, tuple[Index, ...]]  # where extrema stand: the indices that each counts in row-major order
    checked: frozenset[tuple[str, Expr]] = frozenset()  # tables of integers, and the axis that all of them fit

    def named(self, expr: Expr) -> Expr:
        """The expression with formulas of sizes replaced by the sizes."""
        return name_extents(expr, self.sizes)

    def integer(self, expr: Expr, place: int = TEST) -> str:
        """The text of an integer expression of sizes and parameters, formulas of sizes by their names."""
        return integer(self.named(expr), place)

    def never_negative(self, expr: Expr) -> bool:
        """Whether the integer is proved to be at least 0 from the sizes and the layer's requirements."""
        return never_negative(normal(self.expanded(expr), self.facts), self.facts)

    def positive(self, expr: Expr) -> bool:
        """Whether the integer is proved to be at least 1."""
        return self.never_negative(subtract(expr, ONE))

    def equal(self, left: Expr, right: Expr) -> bool:
        """Whether two integers are equal whatever the sizes."""
        return left == right or equal(self.expanded(left), self.expanded(right), self.facts)

    def simplified(self, expr: Expr) -> Expr:
        """The index expression with floors and remainders taken apart as far as that is exact."""
        return simplified(expr, self.facts)

    def quotient(self, extent: Expr, divisor: Expr) -> Expr | None:
        """`extent / divisor` where that is proved to be whole."""
        whole = _in_extents(self.expanded(extent), {k: v for k, v in self.facts.equal.items() if k != divisor})
        found = simplified(floor_divide(whole, divisor), self.facts)
        return found if equal(mul(found, divisor), whole, self.facts) else None

    def expanded(self, expr: Expr) -> Expr:
        """The expression with sizes that have a formula replaced by it; `D = C//groups` where C is groups*D stays."""
        whole = {e for value in self.facts.equal.values() for e in walk(value)}
        formulas: dict[Expr, Expr] = {Size(s.name): s.value for s in all_sizes(self.layer) if Size(s.name) not in whole}
        for _ in formulas:
            changed = _in_extents(expr, formulas)
            if changed == expr:
                break
            expr = changed
        return expr

    def inside(self, place: Expr, extent: Expr) -> bool:
        """Whether a bare index or an extremum's position that runs over the axis, or of a table that was checked."""
        if isinstance(place, Index):
            return self.equal(place.extent, extent)
        if not isinstance(place, Read):
            return False
        ranging = self.positions.get(place.tensor, ())
        return (place.tensor, extent) in self.checked or (len(ranging) == 1 and self.inside(ranging[0], extent))

    def for_statement(self) -> Context:
        """The same context with names of its own for what a statement needs in passing."""
        return with_fields(self, names=self.names.fork())

    def extents(self, tensor: str) -> tuple[Expr, ...]:
        """The axes of a tensor."""
        try:
            return self.axes[tensor]
        except KeyError:
            raise InternalError(f"a statement reads {tensor}, which nothing computes") from None

    def outside(self, tensor: str) -> Expr | None:
        """What a read of the tensor outside its box gives, if it may be read there."""
        found = self.layer.tensor(tensor)
        return None if found is None else found.outside


def _in_extents(expr: Expr, formulas: Mapping[Expr, Expr]) -> Expr:
    if isinstance(expr, Index):
        return Index(expr.name, _in_extents(expr.extent, formulas), expr.copy)
    if expr in formulas:
        return formulas[expr]
    return rebuild(expr, tuple(_in_extents(part, formulas) for part in parts(expr)))


def layer_context(layer: Layer) -> Context:
    """The context of a layer's inputs alone."""
    return context(Program(layer, (), (), (), ()), Names(RESERVED))


def context(program: Program, names: Names, checked: frozenset[tuple[str, Expr]] = frozenset()) -> Context:
    """The context of a program's statements."""
    layer = program.layer
    sizes: dict[Expr, Expr] = {s.value: Size(s.name) for s in all_sizes(layer)}
    axes: dict[str, tuple[Expr, ...]] = {t.name: t.axes for t in layer.inputs}
    axes.update({gradient_name(y): layer.axes(y) for y in layer.outputs})
    statements = (*program.forward, *program.backward)
    axes.update({s.target: tuple(i.extent for i in s.indices) for s in statements})
    integers = set(layer.integers)
    positions: dict[str, tuple[Index, ...]] = {}
    for s in statements:
        if s.kind in ("argmax", "argmin"):
            positions[s.target] = s.bound
        elif s.kind == "map" and isinstance(s.body, Read) and s.body.tensor in positions:  # the same, spread over axes
            positions[s.target] = positions[s.body.tensor]
    integers |= set(positions)
    return Context(layer, axes, frozenset(integers), Facts.of(layer), sizes, names, positions, checked)


def outside_text(value: Expr) -> str:
    """The outside value of a tensor as Python text."""
    if isinstance(value, Number | Infinity):
        return real_constant(value)
    raise InternalError("an outside value is a number or an infinity")


def variable(tensor: str) -> str:
    """The Python name of a tensor."""
    return identifier(tensor)
