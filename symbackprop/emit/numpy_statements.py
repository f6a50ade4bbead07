"""One statement of a program as lines of NumPy: maps, reductions, contractions, loops over taps."""

from __future__ import annotations

from collections.abc import Callable

from symbackprop.emit.header import comment
from symbackprop.emit.numpy_context import Context, variable
from symbackprop.emit.numpy_contract import (
    Product,
    added_up,
    along,
    einsum,
    factors,
    fill,
    layout,
    matrix,
    merged_shape,
    multiplied,
    product,
    product_text,
    row_product,
    scaled_rows,
    settled,
    tensor_of,
    windowed,
)
from symbackprop.emit.numpy_expression import UFUNCS, in_place, risky, value
from symbackprop.emit.numpy_loops import (
    block_loops,
    natural_scope,
    panel_loops,
    prepare,
    prepare_body,
    reduced,
    tap_loops,
    taps,
    tiles,
)
from symbackprop.emit.numpy_quotients import by_quotients
from symbackprop.emit.numpy_scatter import quotient_lines, scatter_lines
from symbackprop.emit.numpy_split import split
from symbackprop.emit.numpy_values import Indices, Value, aligned, pattern, reshaped, tuple_text
from symbackprop.emit.numpy_writer import Writer
from symbackprop.emit.spelling import ATOM, PRODUCT, SIGN
from symbackprop.notation.binding import free_indices
from symbackprop.notation.nodes import (
    MINUS_ONE,
    Add,
    Call,
    Expr,
    Index,
    Mul,
    Number,
    Pow,
    Read,
    Size,
    mul,
    negative,
    power,
    walk,
)
from symbackprop.program.statements import Statement

_START = {"sum": "0", "prod": "1", "max": "-np.inf", "min": "np.inf"}
_UPDATE = {"sum": "{t} += {v}", "prod": "{t} *= {v}", "max": "np.maximum({t}, {v}, out={t})",
           "min": "np.minimum({t}, {v}, out={t})"}  # fmt: skip
_UPDATE_NUMBER = _UPDATE | {"max": "{t} = np.maximum({t}, {v})", "min": "{t} = np.minimum({t}, {v})"}


def statement_lines(statement: Statement, context: Context, first: bool = True) -> list[str]:
    """The lines that compute a statement, its equation as a comment above; `first` of those with its target."""
    context = context.for_statement()
    lines = comment(statement.comment) if statement.comment else []
    return lines + _within_errstate(statement, _KINDS[statement.kind](statement, context, first))


def _within_errstate(statement: Statement, lines: list[str]) -> list[str]:
    """A branch that is not taken is computed all the same; its warnings would mislead."""
    if not statement.unsure and not any(risky(e) for e in (statement.body, statement.result)):
        return lines
    return ['with np.errstate(all="ignore"):', *(f"    {line}" for line in lines)]


def _map(s: Statement, context: Context, first: bool) -> list[str]:
    whole = split(s, context)
    w = Writer(context, whole.indices)
    target = variable(s.target)
    if isinstance(whole.body, Call) and whole.indices == s.indices:
        inner = [value(a, w) for a in whole.body.arguments]
        if s.indices and in_place(whole.body.function) and not inner[0].view and inner[0].axes == whole.indices:
            lines = [*w.lines, f"{target} = {inner[0].text}"]
            return [*lines, f"{UFUNCS[whole.body.function]}({target}, out={target})"]
    body = whole.body
    if isinstance(body, Read) and s.target in context.integers:  # positions stay integers
        found = w.read(body)
    else:
        found = scaled_rows(body, w) or value(body, w)
    return [*w.lines, f"{target} = {complete(found, s, whole.indices, w)}"]


def complete(found: Value, s: Statement, axes: Indices, w: Writer) -> str:
    """The text of an array with all axes of the target, memory of its own, and its shape where axes were split."""
    if found.weak and not s.indices:
        return f"dtype.type({found.text})"
    if found.weak:
        return f"np.full({merged_shape(s.indices, w)}, {found.text}, dtype)"
    if found.axes != axes:
        shape = w.shape(axes)
        found = Value(f"np.broadcast_to({aligned(found, axes).text}, {shape}).copy()", ATOM, axes)
    elif found.view:
        found = Value(f"{found.at(ATOM)}.copy()", ATOM, axes)
    if axes == s.indices:
        return found.text
    return reshaped(found, [w.context.integer(i.extent) for i in s.indices]).text


def _reduction(s: Statement, context: Context, first: bool) -> list[str]:
    quotients = by_quotients(s, context)
    if quotients is not None and quotients.statement.kind == "scatter":
        lines = quotient_lines(quotients.statement, quotients.walked, context)
        if lines is not None:
            return [*lines, *_result(s, context)]
        quotients = None
    whole = split(s if quotients is None else quotients.statement, context)
    w = Writer(context, (*whole.indices, *whole.bound))
    for attempt in (_contraction, _tap_loop, _whole_reduction):
        body = attempt(s, whole, w)
        if body is not None:
            return [*body, *_result(s, context)]
    return []


def _result(s: Statement, context: Context) -> list[str]:
    """What is left to do after the reduction, in place where it is one more term or factor."""
    if s.result == s.element:
        return []
    w = Writer(context, s.indices)
    target = variable(s.target)
    rest = _without(s.result, s.element)
    if rest is not None and s.indices:
        sign, term = rest
        found = value(term, w)
        return [*w.lines, f"{target} {sign}= {aligned(found, s.indices).text}"]
    found = value(s.result, w)
    return [*w.lines, f"{target} = {complete(found, s, s.indices, w)}"]


def _without(result: Expr, element: Read) -> tuple[str, Expr] | None:
    """(`+`, rest) for a sum with the element as one term, (`*`, rest) for such a product."""
    parts: tuple[Expr, ...]
    match result:
        case Add(terms):
            sign, parts = "+", terms
        case Mul(factors_):
            sign, parts = "*", factors_
        case _:
            return None
    rest = [p for p in parts if p != element]
    if len(rest) != len(parts) - 1 or any(element == e for p in rest for e in walk(p)):
        return None
    if sign == "*" and len(rest) == 1 and isinstance(rest[0], Pow) and _below(rest[0]):
        return "/", power(rest[0].base, negative(rest[0].exponent))
    return sign, type(result)(tuple(rest)) if len(rest) > 1 else rest[0]


def _below(factor: Pow) -> bool:
    return isinstance(factor.exponent, Number) and factor.exponent.value < 0


# --- sums of products ------------------------------------------------------------------------------------------


def _contraction(s: Statement, whole: Statement, w: Writer) -> list[str] | None:
    if s.kind not in ("sum", "mean"):
        return None
    found = factors(whole.body, w.context, w.scope)
    if found is None:
        return None
    w.guarded = found.padded
    p = product(found.arrays, whole.indices, whole.bound)
    if p is None and any(windowed(a, w) for a in found.arrays):
        p = row_product(found.arrays, whole.indices, whole.bound)
    einsums = len(found.arrays) > 2 and fill(found.arrays, whole.indices)
    if p is None and (not einsums or any(windowed(a, w) for a in found.arrays)):
        w.guarded = False
        return None
    scale = found.scale
    if s.kind == "mean":
        scale = (*scale, *(Pow(i.extent, MINUS_ONE) for i in whole.bound))
    if p is not None and (windowed(p.left, w) or windowed(p.right, w)):
        lines = _in_panels(s, whole, p, w)
    else:
        v = einsum(found.arrays, whole.indices, w) if p is None else product_text(p, w)
        text = shaped(settled(v, whole.indices), s, whole.indices, w)
        lines = [*w.lines, f"{variable(s.target)} = {text}"]
    w.guarded = False
    if scale:
        factor = value(mul(*scale), w)
        lines.append(f"{variable(s.target)} *= {factor.text}")
    return lines


def shaped(v: Value, s: Statement, axes: Indices, w: Writer) -> str:
    """The text with split axes merged to the target's."""
    if axes == s.indices:
        return v.text
    return reshaped(v, [w.context.integer(i.extent) for i in s.indices]).text


def _in_panels(s: Statement, whole: Statement, p: Product, w: Writer) -> list[str]:
    """A product with a window view, in blocks of at most `_PANEL_BYTES` of the matrix that is copied from it."""
    on_right = windowed(p.right, w)
    panel = p.right if on_right else p.left
    outer, inner = panel_loops(panel, w.scope, w)
    # many small products: whole ones to a block (the number of groups is a parameter, and may be 1)
    inner = next((i for i in p.batch if i != outer and not p.rows and isinstance(i.extent, Size)), inner)
    stacked = outer is not None and outer in p.contracted
    if stacked and outer is not None:
        p = along(outer, p)
    sides = ((p.left, p.rows, p.contracted), (p.right, p.contracted, p.columns))
    order, _, _ = layout(panel, p.batch, *sides[on_right][1:], w)
    prepare(panel, w.scoped(order))
    target, names = variable(s.target), w.context.names
    blocks = {i: names.new(i.name) for i in (outer, inner) if i is not None}
    inside = Writer(w.context, w.scope, [], {}, blocks, w.views, w.copies, w.guarded)
    found = []
    for at, (factor, rows, columns) in enumerate(sides):
        cut = bool(set(blocks) & set(free_indices(factor)))
        v = matrix(factor, p.batch, rows, columns, inside if cut else w)
        wish = "panel" if at == on_right else f"{tensor_of(factor)}_matrix"
        found.append(Value((inside if cut else w).bind(wish, v.text), ATOM, v.axes))
    loops = block_loops(panel, outer, inner, inside)
    indent = "    " * len(loops)
    if whole.indices == (*p.batch, *p.rows, *p.columns) and set(blocks) <= {*p.batch, p.columns[0]}:
        shape, place = _flat(p, blocks, w)
        lines = [f"{target} = np.empty({shape}, dtype)", *loops, *(f"{indent}{line}" for line in inside.lines)]
        lines.append(f"{indent}np.matmul({found[0].text}, {found[1].text}, out={target}{place})")
        if len(p.rows) != 1 or len(p.columns) > 1 or whole.indices != s.indices:
            lines.append(f"{target} = {target}.reshape({', '.join(w.context.integer(i.extent) for i in s.indices)})")
        return [*w.lines, *lines]
    made = added_up(p, found[0], found[1], inside) if stacked else multiplied(p, found[0], found[1], inside)
    text = settled(made, whole.indices).text
    bound = any(i in whole.bound for i in blocks)
    place = pattern([blocks.get(i, ":") for i in whole.indices])
    lines = [f"{target} = np.{'zeros' if bound else 'empty'}({w.shape(whole.indices)}, dtype)"]
    update = f"{target}{place} {'+' if bound else ''}= {text}"
    lines += [*loops, *(f"{indent}{line}" for line in (*inside.lines, update))]
    return [*w.lines, *lines, *_merge_axes(s, whole, w)]


def _flat(p: Product, blocks: dict[Index, str], w: Writer) -> tuple[str, str]:
    """The shape of a target with rows and columns merged to an axis each, and the place of a block in it."""
    merged = ["*".join(w.context.integer(i.extent, PRODUCT) for i in axes) for axes in (p.rows, p.columns)]
    merged[0] = merged[0] or "1"
    places = [blocks.get(i, ":") for i in p.batch]
    cut, rest = blocks.get(p.columns[0]), "".join(f"*{w.context.integer(i.extent, SIGN)}" for i in p.columns[1:])
    if cut is not None:
        places += [":", f"{cut}.start{rest}:{cut}.stop{rest}" if rest else cut]
    return tuple_text([*(w.context.integer(i.extent) for i in p.batch), *merged]), pattern(places)


def _merge_axes(s: Statement, whole: Statement, w: Writer) -> list[str]:
    """The line that gives a target back the axes that were split."""
    if whole.indices == s.indices:
        return []
    target = variable(s.target)
    return [f"{target} = {target}.reshape({', '.join(w.context.integer(i.extent) for i in s.indices)})"]


# --- reductions over windows, tap by tap -----------------------------------------------------------------------


def _tap_loop(s: Statement, whole: Statement, w: Writer) -> list[str] | None:
    looped = taps(whole, w)
    if not looped:
        return None
    kind = "sum" if s.kind == "mean" else s.kind
    kept = tuple(i for i in whole.indices if i not in looped)
    rest = tuple(i for i in whole.bound if i not in looped)
    prepare_body(whole.body, w)
    blocks, loops = tiles(whole, natural_scope(whole, kept, rest), rest, w)
    heads, names = tap_loops(looped, w)
    heads = [*loops, *(f"{'    ' * len(loops)}{head}" for head in heads)]
    inside = Writer(w.context, natural_scope(whole, kept, rest), [], names, blocks, w.views, w.copies)
    found = value(whole.body, inside)
    found = reduced(kind, found, whole.body, rest, inside) if rest else found
    target, text = variable(s.target), aligned(found, kept).text
    place = target + pattern([names.get(i) or blocks.get(i, ":") for i in whole.indices])
    adds = any(i in whole.bound for i in looped)
    shape = w.shape(whole.indices)
    start = f"np.full({shape}, {_START[kind]}, dtype)" if adds else f"np.empty({shape}, dtype)"
    updates = _UPDATE_NUMBER if whole.indices and set(whole.indices) <= set(names) else _UPDATE
    update = updates[kind].format(t=place, v=text) if adds else f"{place} = {text}"
    indent = "    " * len(heads)
    lines = [*w.lines, f"{target} = {start}", *heads, *(f"{indent}{line}" for line in (*inside.lines, update))]
    if s.kind == "mean":
        count = "*".join(w.context.integer(i.extent, SIGN) for i in whole.bound)
        lines.append(f"{target} /= {count}")
    return [*lines, *_merge_axes(s, whole, w)]


# --- reductions of whole arrays --------------------------------------------------------------------------------


def _whole_reduction(s: Statement, whole: Statement, w: Writer) -> list[str]:
    target = variable(s.target)
    w = w.scoped(natural_scope(whole, whole.indices, whole.bound))
    outer = _cut(whole)
    if outer is not None:
        prepare_body(whole.body, w)
        w.blocks = {outer: w.context.names.new(outer.name)}
    inside = Writer(w.context, w.scope, [], {}, w.blocks, w.views, w.copies)
    found = reduced(s.kind, value(whole.body, inside), whole.body, whole.bound, inside)
    text = found.text
    if found.axes != whole.indices:
        text = f"np.broadcast_to({aligned(found, whole.indices).text}, {inside.shape(whole.indices)}).copy()"
    if outer is None:
        return [*w.lines, *inside.lines, f"{target} = {shaped(Value(text, ATOM, whole.indices), s, whole.indices, w)}"]
    size = "*".join([*(w.context.integer(i.extent, PRODUCT) for i in w.scope if i != outer), "dtype.itemsize"])
    block = w.blocks[outer]
    place = pattern([w.blocks.get(i, ":") for i in whole.indices])
    lines = [
        f"{target} = np.empty({merged_shape(whole.indices, w)}, dtype)",
        f"for {block} in _blocks({w.context.integer(outer.extent)}, {size}, _TILE_BYTES):",
        *(f"    {line}" for line in (*inside.lines, f"{target}{place} = {text}")),
    ]
    w.blocks = {}
    return [*w.lines, *lines, *_merge_axes(s, whole, w)]


def _cut(whole: Statement) -> Index | None:
    """The index to cut along where the body is larger than everything that it reads; None where it is not."""
    everything = set(free_indices(whole.body))
    reads = [e for e in walk(whole.body) if isinstance(e, Read)]
    stored = [r for r in reads if all(isinstance(i, Index) for i in r.indices)]
    largest = max((len(free_indices(r)) for r in stored), default=0)
    if len(everything) <= max(largest, 1):
        return None
    return next((i for i in whole.indices if i in everything), None)


def _argument(s: Statement, context: Context, first: bool) -> list[str]:
    """The position of the first extremum: tap by tap where there are taps, else `argmax` over flattened axes."""
    whole = split(s, context)
    w = Writer(context, (*whole.indices, *whole.bound))
    looped = taps(whole, w)
    if looped and looped == whole.bound:
        best = context.names.new("best")
        return [*_argument_by_taps(s, whole, w, best), *_merge_axes(s, whole, w)]
    found = value(whole.body, w)
    text = aligned(found, w.scope).text if found.axes else found.text
    if found.axes != w.scope:
        text = f"np.broadcast_to({text}, {w.shape(w.scope)})"
    else:
        text = found.at(ATOM)
    if len(whole.bound) > 1:
        text += f".reshape({', '.join((*(w.extent(i) for i in whole.indices), '-1'))})"
    text = f"{text}.{s.kind}(-1)"
    return [*w.lines, f"{variable(s.target)} = {shaped(Value(text, ATOM, whole.indices), s, whole.indices, w)}"]


def positions_of(place: Statement, extremum: Statement) -> bool:
    """Whether a statement finds where the extremum of another stands."""
    same = (place.indices, place.bound, place.body) == (extremum.indices, extremum.bound, extremum.body)
    return same and place.kind == f"arg{extremum.kind}" and extremum.result == extremum.element


def extremum_lines(extremum: Statement, place: Statement, context: Context) -> list[str] | None:
    """An extremum and its position in one loop over the taps; None where there are none."""
    context = context.for_statement()
    whole = split(place, context)
    w = Writer(context, (*whole.indices, *whole.bound))
    if not whole.bound or taps(whole, w) != whole.bound or whole.indices != place.indices:
        return None
    lines = [*comment(extremum.comment), *comment(place.comment)]
    return [*lines, *_within_errstate(place, _argument_by_taps(place, whole, w, variable(extremum.target)))]


def _argument_by_taps(s: Statement, whole: Statement, w: Writer, best: str) -> list[str]:
    prepare_body(whole.body, w)
    heads, names = tap_loops(whole.bound, w)
    inside = Writer(w.context, whole.indices, [], names, {}, w.views, w.copies)
    found = value(whole.body, inside)
    target, better = variable(s.target), w.context.names.new("better")
    candidate, number = w.context.names.new("candidate"), w.context.names.new("position_type")
    position = ""
    for index in whole.bound:
        inner = f"({position})" if " + " in position else position
        position = f"{inner}*{w.context.integer(index.extent, PRODUCT)} + {names[index]}" if position else names[index]
    sign, start, keep = ("<=", "-np.inf", "maximum") if s.kind == "argmax" else (">=", "np.inf", "minimum")
    count = "*".join(w.context.integer(i.extent, SIGN) for i in whole.bound)
    indent = "    " * len(heads)
    shape = w.shape(whole.indices)
    body = [
        *inside.lines,
        f"{candidate} = {aligned(found, whole.indices).text}",
        f"{better} = ~({candidate} {sign} {best}) & ({best} == {best})  # the first NaN wins and stays",
        f"np.{keep}({best}, {candidate}, out={best})",
        f"np.maximum({target}, {better}*{number}({position}), out={target})",
    ]
    return [
        *w.lines,
        f"{best} = np.full({shape}, {start}, dtype)",
        f"{number} = np.min_scalar_type(-{count}).type  # as few bytes as the positions need",
        f"{target} = np.zeros({shape}, {number})",
        *heads,
        *(f"{indent}{line}" for line in body),
    ]


_KINDS: dict[str, Callable[[Statement, Context, bool], list[str]]] = {
    "map": _map,
    **dict.fromkeys(("sum", "mean", "prod", "max", "min"), _reduction),
    **dict.fromkeys(("argmax", "argmin"), _argument),
    "scatter": scatter_lines,
}
