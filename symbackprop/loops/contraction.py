"""Which statements are contractions: sums over products of two tensors whose places are affine in the indices.

Recognised by its form alone, so that a convolution, its gradients, a matrix product and a user's own correlation are
one thing. The sum of a window is one too, of its elements and 1. What is no contraction, and why, is said by
`Refused`; the plain loops compute it as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from symbackprop.calculus.integer import Facts, normal, not_negative
from symbackprop.calculus.polynomial import UNIT, Polynomial, as_expr, linear, minus
from symbackprop.loops.groups import mentions
from symbackprop.loops.guards import guarded
from symbackprop.loops.tensors import Tensors
from symbackprop.notation.binding import substitute
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Add,
    Call,
    Compare,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Mul,
    Number,
    Parameter,
    Read,
    Size,
    Where,
    add,
    conjuncts,
    mul,
    walk,
)
from symbackprop.program.statements import Statement


@dataclass(frozen=True, slots=True)
class Place:
    """A position along an axis: `(constant + sum of coefficient*index)/divisor`; it counts only where that is whole."""

    constant: Expr
    divisor: Expr
    coefficients: tuple[tuple[Index, Expr], ...]


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor with its axes and the place of an element along each of them."""

    tensor: str
    axes: tuple[Expr, ...]
    places: tuple[Place, ...]

    @property
    def indices(self) -> tuple[Index, ...]:
        """The indices that lead to an element, each once."""
        return tuple(dict.fromkeys(i for place in self.places for i, _ in place.coefficients))


# what the elements of a window are multiplied with where there is no second factor: one number, whose name is empty
ALL_ONE = Operand("", (ONE,), (Place(ZERO, ONE, ()),))


@dataclass(frozen=True, slots=True)
class Contraction:
    """`target = min(max(scale*factor*sum[summed](rows*columns) + term, low), high)`; None for no bound.

    `rows` has the index along which the target's elements lie side by side, and gives the vectors; `columns` the other
    operand. Reads outside of an operand count as 0. `indices` are all of them: the target's, then the summed ones.
    """

    target: Operand
    rows: Operand
    columns: Operand
    factor: Operand | None
    term: Operand | None
    scale: Expr
    indices: tuple[Index, ...]
    summed: tuple[Index, ...]
    low: Expr | None = None
    high: Expr | None = None

    def role(self, name: str) -> tuple[Index, ...]:
        """The target's indices of a role: `batch` (in both operands), `rows` or `columns`."""
        in_rows, in_columns = self.rows.indices, self.columns.indices
        wanted = {"batch": (True, True), "rows": (True, False), "columns": (False, True)}[name]
        own = (i for i in self.indices if i not in self.summed)
        return tuple(i for i in own if (i in in_rows, i in in_columns) == wanted)


class Refused(Exception):
    """Why a statement is no contraction."""


def contraction(statement: Statement, tensors: Tensors) -> Contraction | None:
    """The contraction that a statement is, or None.

    Needs: a statement whose extents are named. Keeps: its value, but for products with the zeros outside of a tensor.
    """
    try:
        return _classified(statement, tensors)
    except Refused:
        return None


def _classified(statement: Statement, tensors: Tensors) -> Contraction:
    if statement.kind != "sum":
        raise Refused("not a sum")
    statement, own = _split(statement, tensors)
    found = guarded(tensors.simplify(statement.body), "sum", tensors)
    factors = found.value.factors if isinstance(found.value, Mul) else (found.value,)
    moving = [f for f in factors if mentions(f, statement.bound)]
    reads = [f for f in moving if isinstance(f, Read)]
    if len(reads) not in (1, 2) or len(moving) != len(reads) or any(r.tensor in tensors.integers for r in reads):
        raise Refused("not a product of two elements of real tensors, or one element")
    conditions = tuple(tensors.simplify(c) for c in found.conditions)
    whole = tuple(pair for c in conditions if (pair := _division(c)) is not None)
    operands = [_operand(r, tensors, whole) for r in reads] + [ALL_ONE] * (2 - len(reads))
    _check_conditions(conditions, reads, whole, tensors)
    _check_places(operands, own.indices, statement.bound)
    rows, columns = _roles(operands, own.indices, statement.bound)
    outer = mul(*(f for f in factors if f not in moving))
    inner, low, high = _bounds(statement.result, statement.target)
    scale, factor, term = _result(replace(statement, result=inner), outer, tensors)
    everything = (*(i for i in own.indices), *statement.bound)
    target = Operand(statement.target, tensors.extents(statement.target), own.places)
    return Contraction(target, rows, columns, factor, term, scale, everything, statement.bound, low, high)


def _division(condition: Expr) -> tuple[Expr, Expr] | None:
    """What has to be divided, and by what, in `a % b == 0`."""
    match condition:
        case Compare("==", Mod(dividend, divisor), zero) if zero == ZERO:
            return dividend, divisor
        case _:
            return None


# groups: k // M and k % M are indices of their own


def _split(statement: Statement, tensors: Tensors) -> tuple[Statement, Operand]:
    """The statement with `i // e` and `i % e` as indices of their own, and the target as it is reached by them."""
    element: tuple[Expr, ...] = statement.indices
    while (found := _divided_index(statement)) is not None:
        index, divisor = found
        outer_extent = _quotient(index.extent, divisor, tensors.facts)
        taken = (*statement.indices, *statement.bound)
        outer, inner = _new(f"{index.name}_group", outer_extent, taken), _new(index.name, divisor, taken)
        whole = add(mul(divisor, outer), inner)

        def moved(expr: Expr, index: Index = index, whole: Expr = whole) -> Expr:
            return tensors.simplify(substitute(expr, {index: whole}))

        element = tuple(substitute(e, {index: whole}) for e in element)
        statement = replace(
            statement,
            indices=_replaced(statement.indices, index, (outer, inner)),
            bound=_replaced(statement.bound, index, (outer, inner)),
            body=moved(statement.body),
            result=moved(statement.result),
        )
    places = tuple(_place(e, (), tensors.facts) for e in element)
    return statement, Operand(statement.target, tensors.extents(statement.target), places)


def _divided_index(statement: Statement) -> tuple[Index, Expr] | None:
    for e in (*walk(statement.body), *walk(statement.result)):
        match e:
            case FloorDiv(Index() as index, divisor) | Mod(Index() as index, divisor):
                if isinstance(divisor, Size | Parameter | Number) and index in (*statement.indices, *statement.bound):
                    return index, divisor
    return None


def _quotient(extent: Expr, divisor: Expr, facts: Facts) -> Expr:
    """`extent / divisor` where the facts prove that it is whole."""
    poly = normal(substitute(extent, facts.equal) if facts.equal else extent, facts)
    taken = linear(poly, divisor)
    if taken is None or taken[1] or not taken[0]:
        raise Refused("an index is divided by what need not divide its extent")
    return as_expr(taken[0])


def _new(name: str, extent: Expr, taken: Iterable[Index]) -> Index:
    copy, names = 0, {(i.name, i.copy) for i in taken}
    while (name, copy) in names:
        copy += 1
    return Index(name, extent, copy)


def _replaced(indices: tuple[Index, ...], old: Index, new: tuple[Index, ...]) -> tuple[Index, ...]:
    return tuple(n for i in indices for n in (new if i == old else (i,)))


# places


def _operand(read: Read, tensors: Tensors, whole: tuple[tuple[Expr, Expr], ...]) -> Operand:
    if tensors.outside.get(read.tensor, ZERO) != ZERO:
        raise Refused("an element outside of the tensor is not 0")
    places = tuple(_place(i, whole, tensors.facts) for i in read.indices)
    return Operand(read.tensor, tensors.extents(read.tensor), places)


def _place(expr: Expr, whole: tuple[tuple[Expr, Expr], ...], facts: Facts) -> Place:
    divisor: Expr = ONE
    match expr:
        case FloorDiv(a, b) if (a, b) in whole:
            expr, divisor = a, b
    rest: Polynomial = normal(expr, facts)
    coefficients: list[tuple[Index, Expr]] = []
    for index in dict.fromkeys(e for e in walk(expr) if isinstance(e, Index)):
        taken = linear(rest, index)
        if taken is None or not _fixed(taken[0]):
            raise Refused("a place is not affine in the indices")
        rest = taken[1]
        coefficients.append((index, as_expr(taken[0])))
    if not _fixed(rest):
        raise Refused("a place is not affine in the indices")
    return Place(as_expr(rest), divisor, tuple(coefficients))


def _fixed(poly: Polynomial) -> bool:
    """Whether only sizes and parameters stand in a polynomial, with whole coefficients."""
    atoms = (atom for m in poly for atom, _ in m)
    return all(isinstance(a, Size | Parameter) for a in atoms) and all(c.denominator == 1 for c in poly.values())


def _check_conditions(
    conditions: tuple[Expr, ...], reads: list[Read], whole: tuple[tuple[Expr, Expr], ...], tensors: Tensors
) -> None:
    """Every condition is that of a box or of a division: then it says where an operand counts as 0."""
    boxes: list[Polynomial] = []
    for read in reads:
        for position, extent in zip(read.indices, tensors.extents(read.tensor), strict=True):
            low = normal(position, tensors.facts)
            boxes += [low, minus(minus(normal(extent, tensors.facts), low), {UNIT: ONE.value})]
    divided = [(p.dividend, p.divisor) for r in reads for p in r.indices if isinstance(p, FloorDiv)]
    if any(pair not in divided for pair in whole):
        raise Refused("a division has to be whole that is no place")
    for condition in (c for one in conditions for c in conjuncts(one)):
        if _division(condition) is not None:
            continue
        if not_negative(condition, tensors.facts) not in boxes:
            raise Refused("a condition is not that of a tensor's box")


def _check_places(operands: list[Operand], free: tuple[Index, ...], bound: tuple[Index, ...]) -> None:
    places = [place for operand in operands for place in operand.places]
    for place in places:
        if place.divisor == ONE:
            continue
        own = [i for i, _ in place.coefficients if i in free]
        summed = [i for i, _ in place.coefficients if i in bound]
        if len(own) != 1 or len(summed) > 1:
            raise Refused("a division is of more than one index of the result and one of the sum")


def _roles(operands: list[Operand], free: tuple[Index, ...], bound: tuple[Index, ...]) -> tuple[Operand, Operand]:
    """The operand of the rows and that of the columns."""
    first, second = operands
    for index in (*free, *bound):
        if index not in first.indices and index not in second.indices:
            raise Refused("an index stands in neither operand")
    alone = [i for i in free if (i in first.indices) != (i in second.indices)]
    if not alone:
        raise Refused("nothing is read twice")
    rows, columns = (first, second) if alone[-1] in first.indices else (second, first)
    windows = any(len(place.coefficients) > 1 for place in rows.places)
    if not windows and not any(i in columns.indices for i in alone):
        raise Refused("the product is of a matrix and a vector")  # whose every element is read once
    return rows, columns


# what is done with the sum


def _bounds(result: Expr, target: str) -> tuple[Expr, Expr | None, Expr | None]:
    """What stands inside of bounds that are numbers and parameters, and these."""
    match result:
        case Call("min", arguments) if (pair := _bound_of(arguments, target)) is not None:
            inner, low, high = _bounds(pair[0], target)
            if high is None:
                return inner, low, pair[1]
        case Call("max", arguments) if (pair := _bound_of(arguments, target)) is not None:
            return pair[0], pair[1], None
        case Call("relu", (argument,)):
            return argument, ZERO, None
    return result, None, None


def _bound_of(arguments: tuple[Expr, ...], target: str) -> tuple[Expr, Expr] | None:
    """Of two arguments the one that has the sum, and the other if it is the same everywhere."""
    for inner, other in (arguments, arguments[::-1]):
        moving = any(isinstance(e, Read) and e.tensor == target for e in walk(inner))
        if moving and not any(isinstance(e, Read | Index | Where) for e in walk(other)):
            return inner, other
    return None


def _result(statement: Statement, outer: Expr, tensors: Tensors) -> tuple[Expr, Operand | None, Operand | None]:
    """Scale, factor and term of `scale*factor*sum + term`; `outer` are the factors that do not move under the sum."""
    terms = statement.result.terms if isinstance(statement.result, Add) else (statement.result,)
    mine = [t for t in terms if any(isinstance(e, Read) and e.tensor == statement.target for e in walk(t))]
    others = [t for t in terms if t not in mine]
    if len(mine) != 1 or len(others) > 1:
        raise Refused("the result is no sum with one more term")
    product = mine[0].factors if isinstance(mine[0], Mul) else (mine[0],)
    if sum(isinstance(f, Read) and f.tensor == statement.target for f in product) != 1:
        raise Refused("the result is not linear in the sum")
    rest = [f for f in product if not (isinstance(f, Read) and f.tensor == statement.target)]
    rest += outer.factors if isinstance(outer, Mul) else [outer]
    elements = [f for f in rest if isinstance(f, Read)]
    scale = mul(*(f for f in rest if not isinstance(f, Read)))
    if len(elements) > 1 or any(isinstance(e, Read | Index | Where) for e in walk(scale)):
        raise Refused("the sum is multiplied by more than one element and numbers")
    if any(not isinstance(t, Read) for t in others):
        raise Refused("what is added is no element")
    factor, term = ([_outer_operand(r, tensors) for r in some] for some in (elements, others))
    return scale, factor[0] if factor else None, term[0] if term else None


def _outer_operand(read: Expr, tensors: Tensors) -> Operand:
    if not isinstance(read, Read) or read.tensor in tensors.integers:
        raise Refused("no element of a real tensor")
    if tensors.inside(read):
        raise Refused("an element may lie outside of its tensor")
    return _operand(read, tensors, ())
