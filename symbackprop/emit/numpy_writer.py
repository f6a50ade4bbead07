"""Writes NumPy text for one statement: its reads as views, its body as broadcast expressions.

Every index of the statement is an axis, or fixed by a Python loop (`fixed`: the loop variable is a number), or cut
into blocks by one (`blocks`: the loop variable is a slice, the axis stays).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as with_fields

from symbackprop.calculus.integer import simplified
from symbackprop.emit.numpy_context import Context, outside_text, variable
from symbackprop.emit.numpy_values import Indices, Value, aligned, binary, call, pattern, tuple_text, union
from symbackprop.emit.spelling import ATOM, PRODUCT, SIGN, SUM, TEST
from symbackprop.errors import InternalError
from symbackprop.notation.nodes import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Clip,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Mul,
    Number,
    Parameter,
    Read,
    Size,
    add,
    mul,
    negative,
    subtract,
)
from symbackprop.program.affine import Affine, Bounds, affine, bounds


@dataclass(frozen=True, slots=True)
class Access:
    """A tensor whose axes are split where an index expression runs through two digits, and the index of each axis."""

    text: str
    binds: int
    extents: tuple[Expr, ...]
    indices: tuple[Expr, ...]


@dataclass(slots=True)
class Writer:
    """The lines of one statement, and how its indices are spelled."""

    context: Context
    scope: Indices
    lines: list[str] = field(default_factory=list)
    fixed: Mapping[Index, str] = field(default_factory=dict)
    blocks: Mapping[Index, str] = field(default_factory=dict)
    views: dict[tuple[Read, Expr | None], tuple[str, Indices]] = field(default_factory=dict)
    copies: dict[tuple[Read, Expr | None], tuple[str, list[Affine]]] = field(default_factory=dict)
    guarded: bool = False

    def scoped(self, scope: Indices) -> Writer:
        """The same writer for values whose axes are in another order."""
        return with_fields(self, scope=scope)

    def bind(self, wish: str, text: str) -> str:
        """A new local variable with this value."""
        name = self.context.names.new(wish)
        self.lines.append(f"{name} = {text}")
        return name

    def extent(self, index: Index) -> str:
        """The text of how many values an index takes: fewer inside a block."""
        if index in self.blocks:
            return f"{self.blocks[index]}.stop - {self.blocks[index]}.start"
        return self.context.integer(index.extent, SUM)

    def shape(self, axes: Iterable[Index]) -> str:
        """The tuple of the extents of the axes."""
        return tuple_text(self.extent(i) for i in axes)

    # --- reads -------------------------------------------------------------------------------------------------

    def read(self, read: Read, pad: bool = False) -> Value:
        """The element of a tensor as an array over the read's indices; with `pad`, 0 outside of its box."""
        name = variable(read.tensor)
        if not read.indices:
            return Value(name, ATOM, view=True)
        outside = self.context.outside(read.tensor)
        if outside is None and (pad or self.guarded):
            outside = ZERO
        if (read, outside) in self.views:
            view, order = self.views[read, outside]
            return self._picked(Value(view, ATOM, order, view=True), order)
        access = self.split(read)
        walks = [affine(i) for i in access.indices]
        if all(w is not None and w.plain for w in walks):
            found = [w for w in walks if w is not None]
            return self._strided(read, access, found, outside)
        return self._gathered(read, outside)

    def split(self, read: Read) -> Access:
        """The tensor with each axis at `M*g + m`, m below M, reshaped to the two axes g and m."""
        extents, indices, whole = [], [], True
        for index, extent in zip(read.indices, self.context.extents(read.tensor), strict=True):
            digits = self.digits(index, extent)
            whole = whole and len(digits) == 1
            extents += [e for e, _ in digits]
            indices += [i for _, i in digits]
        name = variable(read.tensor)
        text = name if whole else f"{name}.reshape({', '.join(self.context.integer(e) for e in extents)})"
        return Access(text, ATOM, tuple(extents), tuple(indices))

    def digits(self, index: Expr, extent: Expr) -> list[tuple[Expr, Expr]]:
        walk = affine(index)
        if walk is None or not walk.plain or len(walk.terms) < 2 or walk.constant != ZERO:
            return [(extent, index)]
        rest: list[tuple[Expr, Expr]] = list(walk.terms)
        digits: list[tuple[Expr, Expr]] = []
        unit: Expr = ONE
        while rest:
            at = next((t for t in rest if self.context.equal(t[1], unit)), None)
            if at is None or not isinstance(at[0], Index):
                return [(extent, index)]
            rest.remove(at)
            digits.append((at[0].extent, at[0]))
            unit = mul(unit, at[0].extent)
        return list(reversed(digits)) if self.context.equal(unit, extent) else [(extent, index)]

    def _strided(self, read: Read, access: Access, walks: list[Affine], outside: Expr | None) -> Value:
        """Reads whose indices walk with constant steps: the array itself, slices of it, or a window view."""
        copy, walks = self._padded(read, access, walks, outside) if outside is not None else ("", walks)
        base = copy or access.text
        used = [i for w in walks for i, _ in w.terms]
        steps = all(len(w.terms) <= 1 and all(self._slices(c) for _, c in w.terms) for w in walks)
        simple = steps and len(set(used)) == len(used)
        if simple:
            return self._sliced(base, access, walks, copy != "")
        return self._windows(read, outside, base, access.extents, walks)

    def _padded(self, read: Read, access: Access, walks: list[Affine], outside: Expr) -> tuple[str, list[Affine]]:
        """A copy with `outside` around the tensor, only as wide as the walks need, and the walks inside of it."""
        if (read, outside) in self.copies:
            return self.copies[read, outside]
        margins, moved, needed = [], [], False
        for index, extent, walk in zip(access.indices, access.extents, walks, strict=True):
            box = bounds(index, self.context.facts)
            before, after = self.margins(box, extent)
            needed = needed or before != ZERO or after != ZERO
            margins.append((before, after))
            moved.append(Affine(simplified(add(walk.constant, before)), walk.terms))
        if not needed:
            return "", walks
        pairs = ", ".join(f"({self.context.integer(b)}, {self.context.integer(a)})" for b, a in margins)
        value = outside_text(outside)
        name = self.bind(f"padded_{read.tensor}", f"_padded({access.text}, {value}, {pairs})")
        self.copies[read, outside] = name, moved
        return name, moved

    def margins(self, box: Bounds, extent: Expr) -> tuple[Expr, Expr]:
        """How far places within the bounds leave an axis before its start and after its end."""
        before = self._margin(negative(box.low), f"before_{axis_name(extent)}")
        after = add(box.high, ONE, negative(extent))
        return before, self._margin(after, f"after_{axis_name(extent)}")

    def _margin(self, width: Expr, name: str) -> Expr:
        """`max(0, width)`; a local variable where the sign of the width is not known."""
        if self.context.never_negative(width):
            return self.context.named(simplified(width)) if width != ZERO else ZERO
        if self.context.never_negative(negative(width)):
            return ZERO
        return Size(self.bind(name, f"max(0, {self.context.integer(self.context.named(width))})"))

    def _sliced(self, base: str, access: Access, walks: list[Affine], padded: bool) -> Value:
        """Each axis at one index: a slice from the first to the last place, with the walk's step."""
        places, order = [], []
        for walk, extent in zip(walks, access.extents, strict=True):
            if not walk.terms:
                places.append(self.context.integer(walk.constant))
                continue
            ((index, step),) = walk.terms
            if not isinstance(index, Index):
                raise InternalError("a walk's terms are indices")
            places.append(self._slice(index, step, walk.constant, extent, padded))
            order.append(index)
        full = Value(f"{base}{pattern(list(places))}", ATOM, tuple(order), view=True)
        return self._picked(full, tuple(order))

    def _slice(self, index: Index, step: Expr, start: Expr, extent: Expr, padded: bool) -> str:
        if step == ONE and start == ZERO:
            whole = not padded and self.context.equal(index.extent, extent)
            return ":" if whole else f":{self.context.integer(index.extent)}"
        whole = not padded and self.context.equal(index.extent, extent)
        if step == MINUS_ONE and whole and self.context.equal(start, subtract(extent, ONE)):
            return "::-1"
        if step == ONE:
            last = add(start, index.extent)
            if not padded and self.context.equal(last, extent):
                return f"{self.context.integer(start)}:"
            return f"{self.context.integer(start)}:{self.context.integer(simplified(last))}"
        return f"_walk({', '.join(self.context.integer(e) for e in (start, step, index.extent))})"

    def _slices(self, step: Expr) -> bool:
        """Whether a slice can have the step: it must not be zero."""
        return step in (ONE, MINUS_ONE) or self.context.positive(step)

    def _windows(
        self, read: Read, outside: Expr | None, base: str, extents: tuple[Expr, ...], walks: list[Affine]
    ) -> Value:
        """A window view: one axis for each index, its stride the sum of its steps through the tensor's axes."""
        first = [self.context.integer(w.constant) for w in walks]
        # a loop's index is an axis of the view too: the view is as long as the loop, and picked at the loop's place
        every = (*(i for i in self.fixed if i not in self.scope), *self.scope)
        order = tuple(i for i in every if any(i == j for w in walks for j, _ in w.terms))
        strides = [self.context.names.new(f"step_{axis_name(e)}") for e in extents]
        self.lines.append(f"{', '.join(strides)}{',' if len(strides) == 1 else ''} = {base}.strides")
        steps = []
        for index in order:
            through = [(at, w.coefficient(index)) for at, w in enumerate(walks) if w.coefficient(index) != ZERO]
            steps.append(" + ".join(self._step(c, strides[at]) for at, c in through))
        start = pattern([f"{s}:" if s != "0" else ":" for s in first])
        shape = tuple_text(self.context.integer(i.extent) for i in order)
        text = f"as_strided({base}{start}, {shape}, {tuple_text(steps)}, writeable=False)"
        name = self.bind(f"{read.tensor}_windows", text)
        self.views[read, outside] = (name, order)
        return self._picked(Value(name, ATOM, order, view=True), order)

    def _step(self, coefficient: Expr, stride: str) -> str:
        if coefficient == ONE:
            return stride
        return f"{self.context.integer(coefficient, PRODUCT)}*{stride}"

    def _picked(self, value: Value, order: Indices) -> Value:
        """The value at the loop variables of fixed indices and blocks, its axes in the order of the scope."""
        places = [self.fixed.get(i) or self.blocks.get(i) or ":" for i in order]
        left = tuple(i for i in order if i not in self.fixed)
        wanted = tuple(i for i in self.scope if i in left)
        if all(p == ":" for p in places):
            picked = value
        elif value.text.endswith("]") and "[" in value.text:
            picked = with_fields(value, text=f"{value.text}{pattern(places)}")
        else:
            picked = with_fields(value, text=f"{value.at(ATOM)}{pattern(places)}", binds=ATOM)
        return with_fields(transposed(picked, left, wanted), axes=wanted)

    # --- reads by arrays of indices ------------------------------------------------------------------------------

    def _gathered(self, read: Read, outside: Expr | None) -> Value:
        """Reads at computed places: advanced indexing, places outside masked."""
        extents = self.context.extents(read.tensor)
        values = [self.integer(i) for i in read.indices]
        pairs = enumerate(zip(read.indices, extents, strict=True))
        risky = [at for at, (i, e) in pairs if outside is not None and not self._inside(i, e)]
        inside: list[Value] = []
        for at in risky:
            place = self.bind(f"place_{at}", values[at].text)
            extent = self.context.integer(extents[at], SUM)
            value = Value(place, ATOM, values[at].axes)
            inside.append(Value(f"({place} >= 0) & ({place} < {extent})", TEST, value.axes))
            values[at] = Value(f"np.clip({place}, 0, {extent} - 1)", ATOM, value.axes)
        found = self._indexed(read, values)
        if not inside or outside is None:
            return found
        mask = conjunction(inside, self.scope)
        axes = union((mask, found), self.scope)
        text = f"np.where({aligned(mask, axes).text}, {aligned(found, axes).text}, {outside_text(outside)})"
        return Value(text, ATOM, axes)

    def _inside(self, index: Expr, extent: Expr) -> bool:
        above = subtract(subtract(extent, ONE), index)
        return self.context.never_negative(index) and self.context.never_negative(above)

    def _indexed(self, read: Read, values: list[Value]) -> Value:
        """`tensor[places]`; full slices for bare indices where NumPy keeps their axes in place."""
        bare = [self._whole_axis(i, e) for i, e in zip(read.indices, self.context.extents(read.tensor), strict=True)]
        computed = [at for at, b in enumerate(bare) if not b]
        block = computed == list(range(computed[0], computed[-1] + 1)) if computed else False
        inner = union((values[at] for at in computed), self.scope)
        slices = [i for at, i in enumerate(read.indices) if bare[at]]
        name = variable(read.tensor)
        if block and not any(i in inner for i in slices) and len(set(slices)) == len(slices):
            before = tuple(i for at, i in enumerate(read.indices) if at < computed[0] and isinstance(i, Index))
            after = tuple(i for at, i in enumerate(read.indices) if at > computed[-1] and isinstance(i, Index))
            order = (*before, *inner, *after)
            places = [":" if b else aligned(v, inner).text for b, v in zip(bare, values, strict=True)]
            text = f"{name}{pattern(places)}"
            wanted = tuple(i for i in self.scope if i in order)
            # places that are single numbers, as an element of a tensor of integers is, copy nothing
            return with_fields(transposed(Value(text, ATOM, view=not inner), order, wanted), axes=wanted)
        axes = union(values, self.scope)
        return Value(f"{name}[{', '.join(aligned(v, axes).text for v in values)}]", ATOM, axes)

    def _whole_axis(self, index: Expr, extent: Expr) -> bool:
        free = isinstance(index, Index) and index not in self.fixed and index not in self.blocks
        return free and isinstance(index, Index) and self.context.equal(index.extent, extent)

    def integer(self, expr: Expr) -> Value:
        """An index expression as an integer array over its indices."""
        return integer_value(expr, self)


def integer_value(expr: Expr, writer: Writer) -> Value:
    """The integer array of an index expression: `np.arange` for its indices, tensors read where they stand."""

    def part(e: Expr) -> Value:
        return integer_value(e, writer)

    match expr:
        case Index():
            return _index(expr, writer)
        case Read(tensor, _):
            found = writer.read(expr)
            if tensor in writer.context.positions:  # they are kept in as few bytes as they need
                return with_fields(found, text=f"{found.at(ATOM)}.astype(np.intp)", binds=ATOM, view=False)
            return found
        case Add(terms):
            total = part(terms[0])
            for term in terms[1:]:
                minus, positive = without_sign(term)
                total = binary("-" if minus else "+", total, part(positive), SUM, writer.scope)
            return total
        case Mul(factors):
            product = part(factors[0])
            for factor in factors[1:]:
                product = binary("*", product, part(factor), PRODUCT, writer.scope)
            return product
        case FloorDiv(a, b):
            return binary("//", part(a), part(b), PRODUCT, writer.scope)
        case Mod(a, b):
            return binary("%", part(a), part(b), PRODUCT, writer.scope)
        case Clip(a, low, high):
            inner = [part(a), part(low), part(high)]
            if all(v.weak for v in inner):
                return Value(f"min(max({inner[0].text}, {inner[1].text}), {inner[2].text})", ATOM, weak=True)
            return call("np.clip", inner, writer.scope)
        case _:
            text = writer.context.integer(expr, SIGN)
            return Value(text, ATOM if text.isidentifier() or text.isdigit() else SIGN, weak=True)


def _index(index: Index, writer: Writer) -> Value:
    if index in writer.fixed:
        return Value(writer.fixed[index], ATOM, weak=True)
    if index in writer.blocks:
        name = writer.blocks[index]
        return Value(f"np.arange({name}.start, {name}.stop)", ATOM, (index,))
    return Value(f"np.arange({writer.context.integer(index.extent)})", ATOM, (index,))


def without_sign(term: Expr) -> tuple[bool, Expr]:
    """(True, e) for a term `-e` with a positive factor, else (False, term)."""
    if isinstance(term, Number) and term.value < 0:
        return True, Number(-term.value)
    if isinstance(term, Mul) and isinstance(term.factors[0], Number) and term.factors[0].value < 0:
        return True, negative(term)
    return False, term


def axis_name(extent: Expr) -> str:
    """What an axis is called in the names of local variables: the index of its size, `h` for H."""
    match extent:
        case Size(name):
            return name.lower()
        case Parameter(name, _):
            return name
        case _:
            return "axis"


def conjunction(masks: list[Value], scope: Indices) -> Value:
    """All the masks together."""
    axes = union(masks, scope)
    if len(masks) == 1:
        return masks[0]
    bracketed = [aligned(with_fields(m, text=f"({m.text})", binds=ATOM), axes) for m in masks]
    return Value(" & ".join(m.text for m in bracketed), TEST, axes)


def transposed(value: Value, order: Indices, wanted: Indices) -> Value:
    """The value with its axes, now in `order`, in the order `wanted`."""
    if order == wanted:
        return value
    if len(order) == 2:
        return with_fields(value, text=f"{value.at(ATOM)}.T", binds=ATOM)
    places = ", ".join(str(order.index(i)) for i in wanted)
    return with_fields(value, text=f"{value.at(ATOM)}.transpose({places})", binds=ATOM)
