"""Scatters: a slice of the target for each tap where positions walk with constant steps, else computed places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symbackprop.calculus.integer import simplified
from symbackprop.emit.numpy_context import Context, variable
from symbackprop.emit.numpy_contract import (
    Product,
    factors,
    matrix,
    multiplied,
    product,
    product_text,
    settled,
    tensor_of,
)
from symbackprop.emit.numpy_expression import value
from symbackprop.emit.numpy_loops import block_loops, prepare_body, reduced, tap_loops, tiles
from symbackprop.emit.numpy_split import split
from symbackprop.emit.numpy_taps import over_taps
from symbackprop.emit.numpy_values import Indices, Value, aligned, pattern, tuple_text
from symbackprop.emit.numpy_writer import Writer, integer_value
from symbackprop.emit.spelling import ATOM, SUM
from symbackprop.notation.binding import free_indices
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
    Expr,
    Index,
    Read,
    add,
    mul,
    walk,
)
from symbackprop.program.affine import Affine, affine, bounds
from symbackprop.program.statements import Statement


def _incoming(whole: Statement) -> set[Index]:
    """The indices of the gradients that come in: these are whole axes, the others are taps."""
    reads = [e for e in walk(whole.body) if isinstance(e, Read) and e.tensor.startswith("grad_")]
    return {i for read in reads for i in free_indices(read)}


def quotient_lines(s: Statement, walked: Indices, context: Context) -> list[str] | None:
    """The lines of a scatter in place of a sum, of which `walked` are whole axes; None where they are no slices."""
    whole = split(s, context)
    w = Writer(context, whole.bound)
    axes = _axes(whole, set(walked), w)
    return None if axes is None else _lines(s, whole, axes, True, w)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the target: the index that runs along it, its step, the start, and the taps that shift it."""

    extent: Expr
    base: Index | None
    step: Expr
    start: Expr
    shifts: tuple[tuple[Index, Expr], ...]
    before: Expr
    after: Expr


@dataclass(frozen=True, slots=True)
class Target:
    """What is added to: `new` if nothing is in it yet, `part` if it is a view of the gradient."""

    name: str
    new: bool
    part: bool = False


def scatter_lines(s: Statement, context: Context, first: bool) -> list[str]:
    """The lines of a scatter; the first into its target makes the target."""
    whole = over_taps(split(s, context), context)
    w = Writer(context, whole.bound)
    return _lines(s, whole, _axes(whole, _incoming(whole), w), first, w)


def _lines(s: Statement, whole: Statement, axes: list[Axis] | None, first: bool, w: Writer) -> list[str]:
    target, context = variable(s.target), w.context
    margin = axes is not None and any(a.before != ZERO or a.after != ZERO for a in axes)
    shape = tuple_text(context.integer(i.extent) for i in s.indices)
    start = [f"{target} = np.{'empty' if margin else 'zeros'}({shape}, dtype)"] if first else []
    if axes is None:
        return [*start, *_by_places(whole, w)]
    if len(axes) == len(s.indices):
        lines = _by_slices(whole, axes, Target(target, first), w)
        return lines if any(line.startswith(f"{target} = ") for line in lines) else [*start, *lines]
    split_shape = ", ".join(context.integer(a.extent) for a in axes)
    part = Target(context.names.new(f"{target}_split"), first, part=True)
    return [*start, f"{part.name} = {target}.reshape({split_shape})", *_by_slices(whole, axes, part, w)]


def _axes(whole: Statement, incoming: set[Index], w: Writer) -> list[Axis] | None:
    """The axes of the target, or None where some position is not a walk that slices can follow."""
    axes = []
    for position, index in zip(whole.positions, whole.indices, strict=True):
        for extent, place in w.digits(position, index.extent):
            walk_ = affine(place)
            if walk_ is None or not walk_.plain:
                return None
            axes.append(_axis(extent, place, walk_, incoming, w))
    bases = [a.base for a in axes if a.base is not None]
    shifts = {i for a in axes for i, _ in a.shifts}
    if len(set(bases)) != len(bases) or shifts & set(bases):
        return None
    if any(a.base is not None and not w.context.positive(a.step) for a in axes):
        return None
    return axes


def _axis(extent: Expr, place: Expr, walk_: Affine, incoming: set[Index], w: Writer) -> Axis:
    moving = [(i, c) for i, c in walk_.terms if isinstance(i, Index)]
    base = next((t for t in moving if t[0] in incoming), moving[0] if moving else None)
    box = bounds(place, w.context.facts)
    before, after = w.margins(box, extent)
    start = simplified(add(walk_.constant, before))
    shifts = tuple(t for t in moving if t != base)
    return Axis(extent, base[0] if base else None, base[1] if base else ONE, start, shifts, before, after)


def _by_slices(whole: Statement, axes: list[Axis], target: Target, w: Writer) -> list[str]:
    """For each tap, add a slice: `target[.., start + step*p, ..] += value`."""
    looped = tuple(dict.fromkeys(i for a in axes for i, _ in a.shifts))
    still = tuple(a.base for a in axes if a.base is not None and not a.shifts)
    walking = tuple(a.base for a in axes if a.base is not None and a.shifts)
    order = (*still, *looped, *walking)
    contracted = tuple(i for i in whole.bound if i not in order)
    found = factors(whole.body, w.context, w.scope)
    p = product(found.arrays, order, contracted) if found is not None and looped else None
    if found is not None and p is not None and set(p.contracted) == set(contracted):
        return _product_slices(axes, order, looped, p, found.scale, found.padded, target, w)
    prepare_body(whole.body, w)
    heads, names = tap_loops(looped, w)
    kept = tuple(a.base for a in axes if a.base is not None)
    blocks, loops = tiles(whole, kept, (), w) if looped and not contracted else ({}, [])
    if not set(blocks) <= set(still):
        blocks, loops = {}, []
    inside = Writer(w.context, (*kept, *contracted), [], names, blocks, w.views, w.copies)
    part = value(whole.body, inside)
    if contracted:
        part = reduced("sum", part, whole.body, contracted, inside)
    lines = _added(axes, heads, names, aligned(part, kept).text, inside, target, blocks)
    return [*w.lines, *loops, *(f"{'    ' * len(loops)}{line}" for line in lines)]


def _product_slices(
    axes: list[Axis],
    order: Indices,
    looped: Indices,
    p: Product,
    scale: tuple[Expr, ...],
    padded: bool,
    target: Target,
    w: Writer,
) -> list[str]:
    """The values by a matrix product, block by block of the batch, then a slice for each tap."""
    outer = next((a.base for a in axes if a.base is not None and not a.shifts), None)
    inner = next((a.base for a in axes if a.base is not None and a.shifts), None)
    w.blocks = {i: w.context.names.new(i.name) for i in (outer, inner) if i is not None}
    inside = Writer(w.context, order, [], {}, w.blocks, w.views, w.copies, padded)
    factors_ = []
    for factor, rows, columns in ((p.left, p.rows, p.contracted), (p.right, p.contracted, p.columns)):
        cut = set(w.blocks) & set(free_indices(factor))
        where = inside if cut else Writer(w.context, order, w.lines, {}, {}, w.views, w.copies, padded)
        v = matrix(factor, p.batch, rows, columns, where)
        factors_.append(Value(where.bind(f"{tensor_of(factor)}_matrix", v.text), ATOM, v.axes))
    text = settled(multiplied(p, factors_[0], factors_[1], inside), order).text
    panel = w.context.names.new("panel")
    values = Writer(w.context, order, [], {}, w.blocks)
    lines = [*inside.lines, f"{panel} = {text}"]
    if scale:
        lines.append(f"{panel} *= {value(mul(*scale), values).text}")
    heads, names = tap_loops(looped, w)
    picked = f"{panel}{pattern([names.get(i, ':') for i in order])}"
    left = tuple(i for i in order if i not in looped)
    kept = tuple(a.base for a in axes if a.base is not None)
    if left != kept:
        picked += f".transpose({', '.join(str(left.index(i)) for i in kept)})"
    loops = block_loops(mul(*(_element(order))), outer, inner, Writer(w.context, order, [], {}, w.blocks))
    if len(loops) < 2 or outer is None or inner is None:
        body = [*lines, *_added(axes, heads, names, picked, values, target, w.blocks)]
        return [*w.lines, *loops, *(f"{'    ' * len(loops)}{line}" for line in body)]
    before, add_up, after = _sums(axes, heads, names, picked, values, target, w.blocks)
    inner_lines = [*lines, *add_up]
    return [
        *w.lines,
        loops[0],
        *(f"    {line}" for line in before),
        loops[1],
        *(f"        {line}" for line in inner_lines),
        *(f"    {line}" for line in after),
    ]


def _element(order: Indices) -> tuple[Expr, ...]:
    return (Read("panel", order),)


def _added(
    axes: list[Axis],
    heads: list[str],
    names: dict[Index, str],
    text: str,
    w: Writer,
    target: Target,
    blocks: Mapping[Index, str],
) -> list[str]:
    before, add_up, after = _sums(axes, heads, names, text, w, target, blocks)
    return [*before[:1], *add_up[:0], *before[1:], *_with_inner(heads, w, add_up), *after]


def _with_inner(heads: list[str], w: Writer, add_up: list[str]) -> list[str]:
    indent = "    " * len(heads)
    return [*add_up[: len(heads)], *(f"{indent}{line}" for line in w.lines), *add_up[len(heads) :]]


def _sums(
    axes: list[Axis],
    heads: list[str],
    names: dict[Index, str],
    text: str,
    w: Writer,
    target: Target,
    blocks: Mapping[Index, str],
) -> tuple[list[str], list[str], list[str]]:
    """What stands before the taps, the taps, and what stands after: with a margin, a wider array is filled and cut."""
    indent = "    " * len(heads)
    whole_place = pattern([blocks[a.base] if a.base and a.base in blocks and not a.shifts else ":" for a in axes])
    places = pattern([_place(a, names, w, inside=True) for a in axes]) or "[...]"
    if all(a.before == ZERO and a.after == ZERO for a in axes):
        places = pattern([_place(a, names, w, inside=False) for a in axes]) or "[...]"
        return [], [*heads, f"{indent}{target.name}{places} += {text}"], []
    name = w.context.names.new("padded_sum")
    widths = [
        w.extent(a.base) if a.base in blocks and not a.shifts and a.base is not None
        else w.context.integer(simplified(add(a.extent, a.before, a.after)))
        for a in axes
    ]  # fmt: skip
    cut = pattern([_cut(a, w) for a in axes])
    before = [f"{name} = np.zeros({tuple_text(widths)}, dtype)"]
    after = f"{target.name}{whole_place or '[...]'} {'' if target.new else '+'}= {name}{cut}"
    if target.new and not whole_place and not target.part:
        after = f"{target.name} = np.ascontiguousarray({name}{cut})"
    return before, [*heads, f"{indent}{name}{places} += {text}"], [after]


def _cut(axis: Axis, w: Writer) -> str:
    if axis.before == ZERO and axis.after == ZERO:
        return ":"
    end = w.context.integer(simplified(add(axis.before, axis.extent)))
    return f"{w.context.integer(axis.before)}:{end}"


def _place(axis: Axis, names: dict[Index, str], w: Writer, inside: bool) -> str:
    """The slice, or the place, of one axis; `inside` a padded block, the batch's own slice is the whole axis."""
    shift = [f"{_times(w.context.integer(c, SUM + 1), names[i])}" for i, c in axis.shifts]
    start = w.context.integer(axis.start)
    if axis.base is None:
        return " + ".join([*(p for p in [start] if p != "0" or not shift), *shift])
    block = w.blocks.get(axis.base)
    if block is not None and not axis.shifts and axis.step == ONE and axis.start == ZERO:
        return ":" if inside else block
    plain = not axis.shifts and axis.step == ONE and axis.start == ZERO
    plain = plain and not (inside and (axis.before != ZERO or axis.after != ZERO))  # the block is wider than the axis
    if plain and block is None and w.context.equal(axis.base.extent, axis.extent):
        return ":"
    step = w.context.integer(axis.step)
    if block is not None:
        shift.append(_times(w.context.integer(axis.step, SUM + 1), f"{block}.start"))
    parts = [*(p for p in [start] if p != "0" or not shift), *shift]
    return f"_walk({' + '.join(parts)}, {step}, {w.extent(axis.base)})"


def _times(coefficient: str, name: str) -> str:
    if coefficient == "1":
        return name
    return f"{coefficient}*{name}"


def _by_places(whole: Statement, w: Writer) -> list[str]:
    """Add at computed places; indices that only shift a place are looped over."""
    incoming = _incoming(whole)
    shifting = [i for p in whole.positions if len(free_indices(p)) > 1 for i in free_indices(p)]
    once = set(whole.bound) <= set(whole.positions)  # each point has a place of its own
    looped = () if once else tuple(dict.fromkeys(i for i in shifting if i not in incoming))
    used = {i for p in whole.positions for i in free_indices(p)}
    kept = tuple(i for i in whole.bound if i in used and i not in looped)
    contracted = tuple(i for i in whole.bound if i not in used)
    prepare_body(whole.body, w)
    heads, names = tap_loops(looped, w)
    inside = Writer(w.context, (*kept, *contracted), [], names, {}, w.views, w.copies)
    part = _contracted(whole.body, kept, contracted, inside)
    part = aligned(part, kept) if part.axes else part
    places = [aligned(integer_value(p, inside), kept).text for p in whole.positions]
    indent = "    " * len(heads)
    axes = [i.extent for i in whole.indices]
    if once and all(map(w.context.inside, whole.positions, axes)):
        update = f"{variable(whole.target)}[{', '.join(places)}] += {part.text}"
    else:
        helper = "_scatter_once" if once else "_scatter_add"
        update = f"{helper}({variable(whole.target)}, {tuple_text(places)}, {part.text}, {w.shape(kept)})"
    return [*w.lines, *heads, *(f"{indent}{line}" for line in (*inside.lines, update))]


def _contracted(body: Expr, kept: Indices, contracted: Indices, w: Writer) -> Value:
    found = factors(body, w.context, w.scope)
    if found is not None and contracted:
        p = product(found.arrays, kept, contracted)
        if p is not None:
            w.guarded = found.padded
            v = settled(product_text(p, w), kept)
            return Value(v.text, ATOM if v.text.endswith(")") else SUM, kept)
    part = value(body, w)
    return reduced("sum", part, body, contracted, w) if contracted else part
