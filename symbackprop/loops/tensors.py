"""What the lowering knows of tensors: their axes, what a read outside gives, and proofs about indices."""

from __future__ import annotations

from dataclasses import dataclass, field

from symbackprop.calculus.derivation import gradient_name
from symbackprop.calculus.integer import Facts, equal, holds, simplified
from symbackprop.errors import InternalError
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Add,
    Clip,
    Compare,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Mul,
    Number,
    Parameter,
    Pow,
    Read,
    Size,
    Where,
    both,
    conjuncts,
    mul,
    parts,
    rebuild,
    walk,
)
from symbackprop.program.extents import all_sizes, name_extents
from symbackprop.program.statements import Program

ARGUMENTS = ("argmax", "argmin")


@dataclass(frozen=True, slots=True)
class Tensors:
    """Axes and kind of every tensor that a program reads or computes, and the facts that prove an index inside.

    `computed` are the sizes that follow from other sizes: numbers of positions rather than of taps. `places` says of
    the position of an extremum how many there are: it is at least 0 and below that.
    """

    axes: dict[str, tuple[Expr, ...]]
    outside: dict[str, Expr]
    integers: frozenset[str]
    facts: Facts
    computed: frozenset[Expr]
    places: dict[str, Expr] = field(default_factory=dict)

    @classmethod
    def of(cls, program: Program) -> Tensors:
        """Those of a program whose extents are named."""
        layer = program.layer
        names = {s.value: Size(s.name) for s in all_sizes(layer)}
        axes: dict[str, tuple[Expr, ...]] = {t.name: t.axes for t in layer.inputs}
        for name in layer.outputs:
            axes[gradient_name(name)] = tuple(name_extents(e, names) for e in layer.axes(name))
        places: dict[str, Expr] = {}
        for s in (*program.forward, *program.backward):
            axes[s.target] = tuple(i.extent for i in s.indices)
            if s.kind in ARGUMENTS:
                places[s.target] = mul(*(i.extent for i in s.bound))
        integers = {*layer.integers, *places}
        outside = {t.name: t.outside for t in layer.inputs if t.outside is not None}
        return cls(axes, outside, frozenset(integers), _facts(program), _computed(program), places)

    def extents(self, tensor: str) -> tuple[Expr, ...]:
        """The axes of a tensor."""
        if tensor not in self.axes:
            raise InternalError(f"the program reads {tensor}, which nothing computes")
        return self.axes[tensor]

    def inside(self, read: Read) -> tuple[Expr, ...]:
        """The conditions under which a read stays inside its box, without those that always hold."""
        conditions: list[Expr] = []
        for position, extent in zip(read.indices, self.extents(read.tensor), strict=True):
            conditions += [Compare("<=", ZERO, position), Compare("<", position, extent)]
        return tuple(c for c in conditions if not holds(c, self.facts))

    def always(self, condition: Expr) -> bool:
        """Whether a condition holds because the quotient of a position by its last extents is below the first one."""
        match condition:
            case Compare("<=", low, FloorDiv(Read(tensor, _), _)) if low == ZERO:
                return tensor in self.places
            case Compare("<", FloorDiv(Read(tensor, _), divisor), extent) if tensor in self.places:
                return equal(mul(divisor, extent), self.places[tensor], self.facts)
            case _:
                return False

    def simplify(self, expr: Expr) -> Expr:
        """The expression with the index expressions of its reads and of its integer comparisons in normal form."""
        match expr:
            case Read(tensor, indices):
                return Read(tensor, tuple(simplified(i, self.facts) for i in indices))
            case Compare(operation, left, right) if is_integer(left, self) and is_integer(right, self):
                return Compare(operation, simplified(left, self.facts), simplified(right, self.facts))
            case _:
                return rebuild(expr, tuple(self.simplify(p) for p in parts(expr)))

    def closed(self, expr: Expr, known: tuple[Expr, ...]) -> Expr:
        """The expression with a choice for every read that may fall outside; `known` are conditions that hold."""
        if isinstance(expr, Where):
            inner = known + conjuncts(expr.condition)
            condition, other = self.closed(expr.condition, known), self.closed(expr.other, known)
            return rebuild(expr, (condition, self.closed(expr.then, inner), other))
        expr = rebuild(expr, tuple(self.closed(p, known) for p in parts(expr)))
        if not isinstance(expr, Read) or expr.tensor not in self.outside:
            return expr
        missing = [c for c in self.inside(expr) if c not in known]
        return Where(both(*missing), expr, self.outside[expr.tensor]) if missing else expr


def _computed(program: Program) -> frozenset[Expr]:
    sizes = all_sizes(program.layer)
    return frozenset(Size(s.name) for s in sizes if any(isinstance(e, Size) for e in walk(s.value)))


def _facts(program: Program) -> Facts:
    """What the layer declares, and that a parameter which the call checks to be at least 1 (or not 0) is."""
    facts = Facts.of(program.layer)
    least = dict(facts.least)
    for condition in program.conditions:
        match condition:
            case Compare(">=", Parameter(name, True), b) | Compare("<=", b, Parameter(name, True)) if b == ONE:
                least[name] = 1
            case Compare(">" | "!=", Parameter(name, True), bound) if bound == ZERO and least.get(name) == 0:
                least[name] = 1
    return Facts(facts.equal, least)


def is_integer(expr: Expr, tensors: Tensors) -> bool:
    """Whether an expression is an integer: built from integers, indices, sizes and integer parameters."""
    match expr:
        case Number(value):
            return value.denominator == 1
        case Parameter(_, integer):
            return integer
        case Index() | Size() | FloorDiv() | Mod() | Clip():
            return True
        case Read(tensor, _):
            return tensor in tensors.integers
        case Add() | Mul():
            return all(is_integer(p, tensors) for p in parts(expr))
        case Pow(base, Number(value)):
            return value.denominator == 1 and value >= 0 and is_integer(base, tensors)
        case _:
            return False
