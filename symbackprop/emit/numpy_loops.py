"""Python loops over blocks of a batch and over taps of a window, and what must be ready before them."""

from __future__ import annotations

from symbackprop.emit.numpy_values import Indices, Value, aligned
from symbackprop.emit.numpy_writer import Writer
from symbackprop.emit.spelling import ATOM, SIGN
from symbackprop.notation.binding import free_indices
from symbackprop.notation.nodes import Expr, Index, Logic, Read, Size, Where, parts, walk
from symbackprop.program.affine import affine
from symbackprop.program.statements import Statement


def panel_loops(panel: Expr, scope: Indices, w: Writer) -> tuple[Index | None, Index | None]:
    """The indices that a panel is cut along: the first of the batch, then the first of the window's positions."""
    order = [i for i in free_indices(panel) if i in scope]
    plain: list[Index] = []
    walked: list[Index] = []
    for read in (e for e in walk(panel) if isinstance(e, Read)):
        for index in w.split(read).indices:
            moving = free_indices(index)
            (plain if len(moving) == 1 else walked).extend(moving[:1])
    first = next((i for i in order if i in plain), None)
    second = next((i for i in order if i in walked and i != first), None)
    return first, second


def block_loops(
    panel: Expr, outer: Index | None, inner: Index | None, w: Writer, most: str = "_PANEL_BYTES"
) -> list[str]:
    """The loop heads over blocks: the bytes of one step, and those of a block, are arguments of `_blocks`."""
    axes = [i for i in w.scope if i in free_indices(panel)]
    loops: list[str] = []
    cut: list[str] = []
    for index in (i for i in (outer, inner) if i is not None):
        later = (inner,) if index == outer else ()
        rest = [w.context.integer(i.extent, SIGN) for i in axes if i not in (outer, inner) or i in later]
        size = "*".join((*cut, *rest, "dtype.itemsize"))
        name = w.blocks[index]
        loops.append(f"{'    ' * len(loops)}for {name} in _blocks({w.context.integer(index.extent)}, {size}, {most}):")
        cut = [f"({name}.stop - {name}.start)"]
    return loops


def tiles(whole: Statement, axes: Indices, rest: Indices, w: Writer) -> tuple[dict[Index, str], list[str]]:
    """Blocks for what is added up tap by tap, and their loop heads: a few arrays of a block stay in a core's cache.

    `axes` are those of the arrays; they are cut along the first two that stand alone wherever they stand and are not
    among the `rest`, over which there is a sum.
    """
    reads = [w.split(e) for e in walk(whole.body) if isinstance(e, Read)]
    places = [p for access in reads for p in access.indices] + list(whole.positions)
    free = [i for i in axes if i not in rest]
    cut = [i for i in free if all(p == i or i not in free_indices(p) for p in places)][:2]
    cut = cut if len(cut) < len(free) or rest else cut[:-1]
    if not cut:
        return {}, []
    blocks = {i: w.context.names.new(i.name) for i in cut}
    inside = Writer(w.context, axes, [], {}, blocks)
    return blocks, block_loops(Read("tile", axes), cut[0], cut[1] if len(cut) > 1 else None, inside, "_TILE_BYTES")


def prepare(expr: Expr, w: Writer) -> None:
    """Make the padded copies and window views of the expression's reads, so that loops find them ready."""
    for read in (e for e in walk(expr) if isinstance(e, Read)):
        w.read(read)


def tap_loops(indices: Indices, w: Writer) -> tuple[list[str], dict[Index, str]]:
    """The loop heads over taps, and the loop variables."""
    names = {i: w.context.names.new(i.name) for i in indices}
    heads = [f"{'    ' * at}for {names[i]} in range({w.context.integer(i.extent)}):" for at, i in enumerate(indices)]
    return heads, names


def taps(whole: Statement, w: Writer) -> Indices:
    """The taps of windows: indices that walk along an axis beside another, and whose number the axis does not set.

    In `x[n, stride*p + r]` over an axis H the range of p is a formula of H, that of r is not: r is the tap.
    """
    found: dict[Index, None] = {}
    for read in (e for e in walk(whole.body) if isinstance(e, Read)):
        access = w.split(read)
        for place, extent in zip(access.indices, access.extents, strict=True):
            moving = [i for i in free_indices(place) if i in w.scope]
            if len(moving) < 2 or not isinstance(extent, Size):
                continue
            short = [i for i in moving if extent not in walk(w.context.expanded(i.extent))]
            found.update(dict.fromkeys(short if len(short) < len(moving) else ()))
    return tuple(i for i in (*whole.indices, *whole.bound) if i in found)


def prepare_body(body: Expr, w: Writer) -> None:
    """As `prepare`, for a body in which reads stand under conditions: in a branch, or behind the first of several."""
    if isinstance(body, Where):
        prepare_body(body.condition, w)
        guarded, w.guarded = w.guarded, True
        prepare_body(body.then, w)
        prepare_body(body.other, w)
        w.guarded = guarded
        return
    if isinstance(body, Logic) and body.arguments:
        prepare_body(body.arguments[0], w)
        guarded, w.guarded = w.guarded, True
        for later in body.arguments[1:]:
            prepare_body(later, w)
        w.guarded = guarded
        return
    if isinstance(body, Read) and all((a := affine(i)) is not None and a.plain for i in w.split(body).indices):
        w.read(body)
        return
    for part in parts(body):
        prepare_body(part, w)


def reduced(kind: str, found: Value, body: Expr, bound: Indices, w: Writer) -> Value:
    """The reduction of an array, the value of `body`, over `bound`.

    float32 sums lose no digits to the number of terms: NumPy adds pairwise along the axes in which memory runs, and
    over all others in float64.
    """
    missing = [i for i in bound if i not in found.axes]
    spread = found.weak or bool(missing and kind in ("sum", "prod"))
    if spread:
        axes = tuple(i for i in w.scope if i in found.axes or i in missing)
        text = aligned(found, axes).text if found.axes else f"dtype.type({found.text})" if found.weak else found.text
        found = Value(f"np.broadcast_to({text}, {w.shape(axes)})", ATOM, axes)
    over = [at for at, i in enumerate(found.axes) if i in bound]
    left = tuple(i for i in found.axes if i not in bound)
    if not over:
        return found
    if kind not in ("sum", "mean"):
        return Value(f"{found.at(ATOM)}.{kind}({_axes_text(over, found)})", ATOM, left)
    last = len(found.axes) - 1
    while last in over:
        last -= 1
    inner = [at for at in over if at > last]
    if spread or not inner or _runs_along(body, w) != found.axes[-1]:
        inner = []
    text = found.at(ATOM)
    if inner:
        text += f".{kind}({_axes_text(inner, found)})"
    outer = [at for at in over if at not in inner]
    if outer:
        places = _axes_text(outer, found) if not inner or left else ""
        text += f".{kind}({places + ', ' if places else ''}dtype=np.float64).astype(dtype)"
    return Value(text, ATOM, left)


def _axes_text(over: list[int], found: Value) -> str:
    if len(over) == len(found.axes):
        return ""
    return str(over[0]) if len(over) == 1 else f"({', '.join(map(str, over))})"


def _runs_along(body: Expr, w: Writer) -> Index | None:
    """The index along which the memory of a body's value runs: that of its largest read."""
    reads = [e for e in walk(body) if isinstance(e, Read) and e.indices]
    largest = max(reads, key=lambda r: len(free_indices(r)), default=None)
    if largest is None:
        return None
    moving = [i for i in free_indices(w.split(largest).indices[-1]) if i in w.scope and i not in w.fixed]
    return moving[0] if len(moving) == 1 else None


def natural_scope(whole: Statement, free: Indices, bound: Indices) -> Indices:
    """The indices of a reduction in the order in which its largest read has them, if that keeps the target's order."""
    scope = (*free, *bound)
    reads = [e for e in walk(whole.body) if isinstance(e, Read)]
    for read in sorted(reads, key=lambda r: -len(free_indices(r))):
        order = tuple(i for i in free_indices(read) if i in scope)
        order = (*order, *(i for i in scope if i not in order))
        if tuple(i for i in order if i in free) == free:
            return order
    return scope
