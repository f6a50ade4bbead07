"""Sums of products as matrix products: which axes are the batch, the rows, the columns, and the contracted ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from dataclasses import replace as with_fields

from symbackprop.emit.numpy_context import Context
from symbackprop.emit.numpy_expression import value
from symbackprop.emit.numpy_values import Indices, Value, reshaped, tuple_text
from symbackprop.emit.numpy_writer import Writer, transposed
from symbackprop.emit.spelling import ATOM, PRODUCT
from symbackprop.notation.binding import free_indices
from symbackprop.notation.nodes import (
    MINUS_ONE,
    ONE,
    ZERO,
    Compare,
    Expr,
    Index,
    Mul,
    Read,
    Where,
    conjuncts,
    mul,
    subtract,
    walk,
)
from symbackprop.program.affine import affine


@dataclass(frozen=True, slots=True)
class Factors:
    """A product: what depends on no index, the factors of the contraction, and the reads that are 0 outside."""

    scale: tuple[Expr, ...]
    arrays: tuple[Expr, ...]
    padded: bool


def factors(body: Expr, context: Context, scope: Indices) -> Factors | None:
    """The factors of a product, guards that only say that a read stays inside left out; None for another body."""
    padded = False
    if isinstance(body, Where) and body.other == ZERO and _only_bounds(body.condition, body.then, context):
        body, padded = body.then, True
    if any(isinstance(e, Where) for e in walk(body)):
        return None
    listed = body.factors if isinstance(body, Mul) else (body,)
    scale = tuple(f for f in listed if not free_indices(f))
    arrays = _merged([f for f in listed if free_indices(f)], scope)
    return Factors(scale, tuple(arrays), padded)


def _merged(listed: list[Expr], scope: Indices) -> list[Expr]:
    """Factors whose indices are all among another one's, multiplied into it."""
    merged = list(listed)
    for small in sorted(listed, key=lambda f: len(free_indices(f))):
        own = frozenset(free_indices(small))
        others = [f for f in merged if f is not small and own <= frozenset(free_indices(f))]
        if small in merged and others and len(merged) > 1:
            smallest = min(others, key=lambda f: len(free_indices(f)))
            merged.remove(small)
            merged[merged.index(smallest)] = mul(small, smallest)
    return merged


def _only_bounds(condition: Expr, body: Expr, context: Context) -> bool:
    """Whether the conditions say no more than that indices of the body's reads are inside their axes."""
    reads = [e for e in walk(body) if isinstance(e, Read)]
    if any(context.outside(r.tensor) not in (None, ZERO) for r in reads):
        return False
    tests = conjuncts(condition)
    axes = [
        (index, extent)
        for read in reads
        for index, extent in zip(read.indices, context.extents(read.tensor), strict=True)
        if (walk_ := affine(index)) is not None and walk_.plain
    ]
    return all(any(_is_bound(t, index, extent, context) for index, extent in axes) for t in tests)


def _is_bound(test: Expr, index: Expr, extent: Expr, context: Context) -> bool:
    if not isinstance(test, Compare):
        return False
    left, right = test.left, test.right
    if test.operation in (">", ">="):
        left, right = right, left
    room = subtract(right, left)
    if test.operation in ("<=", ">="):
        lower, upper = index, subtract(subtract(extent, ONE), index)
    elif test.operation in ("<", ">"):
        lower, upper = subtract(index, MINUS_ONE), subtract(extent, index)
    else:
        return False
    return context.equal(room, lower) or context.equal(room, upper)


@dataclass(frozen=True, slots=True)
class Product:
    """`left @ right`: batch axes, rows (of left), columns (of right), contracted axes, in this order of the result."""

    left: Expr
    right: Expr
    batch: Indices
    rows: Indices
    columns: Indices
    contracted: Indices


def product(arrays: Sequence[Expr], free: Indices, bound: Indices) -> Product | None:
    """The matrix product that a sum of two factors over `bound` is; None where it is none.

    Columns are the last target axes that only one factor has, rows the ones before that only the other has; what
    stands before is the batch, along which NumPy broadcasts a factor that lacks it.
    """
    if len(arrays) != 2 or not fill(arrays, free):
        return None
    has = [frozenset(free_indices(a)) for a in arrays]
    contracted = tuple(i for i in bound if i in has[0] and i in has[1])
    only = [tuple(i for i in free if i in has[at] and i not in has[1 - at]) for at in (0, 1)]
    if not contracted or not only[0] or not only[1] or any(i in has[0] ^ has[1] for i in bound):
        return None
    shared_last = [i for i in free if i in has[0] and i in has[1]]
    last = next(i for i in reversed(free) if i not in shared_last)
    at = 0 if last in only[0] else 1
    columns = _run(free, only[at], free.index(last))
    rest = free[: free.index(columns[0])]
    before = [i for i in rest if i in only[1 - at]]
    if not before:
        return None
    rows = _run(free, only[1 - at], free.index(before[-1]))
    batch = tuple(i for i in free if i not in rows and i not in columns)
    return Product(arrays[1 - at], arrays[at], batch, rows, columns, contracted)


def fill(arrays: Sequence[Expr], free: Indices) -> bool:
    """Whether each target index stands in some factor, so that their product has all axes of the target."""
    return all(any(i in free_indices(a) for a in arrays) for i in free)


def row_product(arrays: Sequence[Expr], free: Indices, bound: Indices) -> Product | None:
    """A product in which one factor has no target index of its own: rows of length one, one for each of the batch."""
    if len(arrays) == 1 and isinstance(arrays[0], Mul):
        arrays = arrays[0].factors
    if len(arrays) != 2 or not all(isinstance(a, Read) for a in arrays) or not fill(arrays, free):
        return None
    has = [frozenset(free_indices(a)) for a in arrays]
    own = [at for at in (0, 1) if any(i in has[at] and i not in has[1 - at] for i in free)]
    if len(own) != 1 or any(i in has[0] ^ has[1] for i in bound):
        return None
    (at,) = own
    if not free or free[-1] in has[1 - at]:
        return None
    columns = _run(free, tuple(has[at] - has[1 - at]), len(free) - 1)
    return Product(arrays[1 - at], arrays[at], tuple(i for i in free if i not in columns), (), columns, bound)


def _run(free: Indices, wanted: Indices, last: int) -> Indices:
    first = last
    while first > 0 and free[first - 1] in wanted:
        first -= 1
    return free[first : last + 1]


def product_text(p: Product, w: Writer) -> Value:
    """The text of the product, its axes in the order batch, rows, columns and not merged."""
    left = matrix(p.left, p.batch, p.rows, p.contracted, w)
    right = matrix(p.right, p.batch, p.contracted, p.columns, w)
    return multiplied(p, left, right, w)


def multiplied(p: Product, left: Value, right: Value, w: Writer) -> Value:
    """`left @ right` for the two matrices of a product, its axes not merged."""
    text, order = f"{left.at(PRODUCT)} @ {right.at(ATOM)}", (*p.batch, *p.rows, *p.columns)
    if len(p.rows) == len(p.columns) == 1:
        return Value(text, PRODUCT, order)
    return reshaped(Value(text, PRODUCT, order), dims(order, w))


def along(index: Index, p: Product) -> Product:
    """The same products for each value of a contracted index, which are still to be added up."""
    contracted = tuple(i for i in p.contracted if i != index)
    return with_fields(p, batch=(index, *p.batch), contracted=contracted)


def added_up(p: Product, left: Value, right: Value, w: Writer) -> Value:
    """The products of a stack added up along its first axis."""
    order = (*p.batch[1:], *p.rows, *p.columns)
    found = Value(f"_sum_of_products({left.text}, {right.text})", ATOM, order)
    return found if len(p.rows) == len(p.columns) == 1 else reshaped(found, dims(order, w))


def tensor_of(factor: Expr) -> str:
    """The first tensor that a factor reads; "factor" where it is made of indices alone."""
    return next((e.tensor for e in walk(factor) if isinstance(e, Read)), "factor")


def dims(order: Iterable[Index], w: Writer) -> list[str]:
    """The extents of axes as arguments of `reshape`."""
    return [w.extent(i) for i in order]


def matrix(factor: Expr, batch: Indices, rows: Indices, columns: Indices, w: Writer) -> Value:
    """A factor as a stack of matrices; copied, if it must be, in the order in which its memory runs."""
    order, blocks, swap = layout(factor, batch, rows, columns, w)
    found = value(factor, w.scoped(order))
    lead = _stack_dims(batch, frozenset(free_indices(factor)), w)
    if len(blocks[0]) != 1 or len(blocks[1]) != 1 or "1" in lead:
        found = reshaped(found, [*lead, *(_merged_extent(b, w) for b in blocks)])
    if swap:
        suffix = ".swapaxes(-1, -2)" if lead else ".T"
        found = Value(f"{found.at(ATOM)}{suffix}", ATOM, found.axes)
        if found.text.endswith(".T.T"):
            found = Value(found.text[:-4], ATOM, found.axes)
    return found


def layout(
    factor: Expr, batch: Indices, rows: Indices, columns: Indices, w: Writer
) -> tuple[Indices, tuple[Indices, Indices], bool]:
    """The order of a factor's axes that suits its memory, its two blocks, and whether that is the transpose."""
    swap = fastest(factor, w) in rows
    blocks = (columns, rows) if swap else (rows, columns)
    own = frozenset(free_indices(factor))
    stack = tuple(i for i in batch if i in own)
    return (*stack, *blocks[0], *blocks[1]), blocks, swap


def _stack_dims(batch: Indices, own: frozenset[Index], w: Writer) -> list[str]:
    """The batch axes of a factor; 1 for one that it lacks, unless it lacks all before it too."""
    listed = [w.extent(i) if i in own else "1" for i in batch]
    first = next((at for at, i in enumerate(batch) if i in own), len(batch))
    return listed[first:]


def _merged_extent(block: Indices, w: Writer) -> str:
    if not block:
        return "1"
    if len(block) == 1:
        return w.extent(block[0])
    return "*".join(f"({e})" if " " in e or "." in e else e for e in (w.extent(i) for i in block))


def fastest(factor: Expr, w: Writer) -> Index | None:
    """The index along which a factor's memory runs: the first that stands in its last axis."""
    if not isinstance(factor, Read) or not factor.indices:
        return None
    walk_ = affine(factor.indices[-1])
    if walk_ is None or not walk_.plain:
        return None
    candidates = [i for i, _ in walk_.terms if isinstance(i, Index)]
    digits = [i for i, c in walk_.terms if c == ONE and isinstance(i, Index)]
    mixed = (
        len(walk_.terms) == 2
        and walk_.constant == ZERO
        and w.context.equal(next((c for i, c in walk_.terms if c != ONE), ONE), digits[0].extent if digits else ZERO)
    )
    return digits[0] if mixed and digits else (candidates[0] if candidates else None)


def windowed(expr: Expr, w: Writer) -> bool:
    """Whether a read walks along one axis with two indices or more, so that a matrix of it is a larger copy."""
    reads = [e for e in walk(expr) if isinstance(e, Read)]
    return any(len(free_indices(i)) > 1 for read in reads for i in w.split(read).indices)


def einsum(arrays: Sequence[Expr], free: Indices, w: Writer) -> Value:
    """A sum of products of several factors, contracted two at a time in a good order."""
    found = [value(a, w) for a in arrays]
    operands = ", ".join(v.text for v in found)
    return Value(f"np.einsum({_subscripts(found, free, w)}, {operands}, optimize=True)", ATOM, free)


def scaled_rows(body: Expr, w: Writer) -> Value | None:
    """Each row of an array times a number of its own, None for another body.

    The loops of `np.einsum` run faster here than those of `*`, which NumPy starts anew for each row.
    """
    factors_ = body.factors if isinstance(body, Mul) else ()
    rows = [f for f in factors_ if w.scope[-1:] and w.scope[-1] in free_indices(f)]
    if len(rows) != 1 or not isinstance(rows[0], Read):
        return None
    scale, array = value(mul(*(f for f in factors_ if f != rows[0])), w), value(rows[0], w)
    if not scale.axes or scale.axes != w.scope[:-1] or array.axes != w.scope:
        return None
    subscripts = _subscripts((scale, array), w.scope, w)
    return Value(f"np.einsum({subscripts}, {scale.text}, {array.text})", ATOM, w.scope)


def _subscripts(arrays: Iterable[Value], free: Indices, w: Writer) -> str:
    """The subscripts of `np.einsum`, in the letters of the equation where these are one for each index."""
    names = [i.name for i in w.scope]
    own = len(set(names)) == len(names) and all(len(n) == 1 and n.isascii() and n.isalpha() for n in names)
    letters = {i: i.name if own else chr(97 + at) for at, i in enumerate(w.scope)}
    inputs = ",".join("".join(letters[i] for i in v.axes) for v in arrays)
    return f'"{inputs}->{"".join(letters[i] for i in free)}"'


def merged_shape(indices: Iterable[Index], w: Writer) -> str:
    """The shape tuple of a target."""
    return tuple_text(w.context.integer(i.extent) for i in indices)


def settled(v: Value, free: Indices) -> Value:
    """The value with its axes in the order of the target."""
    return transposed(v, v.axes, free)
