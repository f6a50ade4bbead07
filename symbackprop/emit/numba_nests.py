"""A nest as the text of a compiled function, and the line that calls it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from symbackprop.emit.code_lines import broken
from symbackprop.emit.header import safe, wrapped
from symbackprop.emit.numba_expressions import Speller
from symbackprop.emit.spelling import POWER, PRODUCT, SIGN, TEST, Names, identifier, integer
from symbackprop.errors import InternalError
from symbackprop.loops.kernel import (
    Accumulate,
    Array,
    Ask,
    Assign,
    Distance,
    Loop,
    Nest,
    Node,
    Pieces,
    Scratch,
    Stage,
    Store,
    Stream,
    Strip,
    Test,
    Track,
    Update,
    View,
    Wanted,
    expressions,
    walk_nodes,
)
from symbackprop.loops.streams import PIECE
from symbackprop.notation.nodes import ONE, ZERO, Expr, Index, Number, Parameter, Read, Size, add, mul, walk

_OPTIONS = 'nogil=True, error_model="numpy", fastmath={"contract", "reassoc"}'
_LONGEST_NAME = 40
_RANKS = {"max": "_rank", "min": "_low_rank"}  # an extremum of ranks is one of integers: vectors, and NaN stays


@dataclass(frozen=True, slots=True)
class KernelFunction:
    """The text of a function, and its name and the text of its arguments at a call.

    `faster`, where there is one, computes the same and says whether it did: this one is called where it did not.
    `streamed` are the arrays that pass by the caches.
    """

    name: str
    text: str
    arguments: tuple[str, ...]
    faster: KernelFunction | None = None
    streamed: tuple[str, ...] = ()


def kernel_function(nest: Nest, name: str, scalars: tuple[str, ...]) -> KernelFunction:
    """The function of a nest. `scalars` are the names of the layer's sizes and parameters, which are its arguments."""
    writer = _Writer(nest, scalars)
    body = writer.nest()
    parallel = "parallel=True, " if nest.parallel or nest.strip else ""
    names = [*(identifier(a.name) for a in nest.arrays), *writer.scalars, *writer.flags]
    body = writer.alone_if_small(body) if parallel else body
    lines = [f"@njit({parallel}{_OPTIONS})", *_signature(name, names), *_docstring(nest)]
    if any("real(" in line for line in body):
        lines.append(f"    real = {writer.any_real()}.dtype.type")
    if nest.streamed is not None:
        body = [f"{writer.streams} = {writer.streams_or_not(nest.streamed)}", *body]
    arguments = (*(_argument(a) for a in nest.arrays), *writer.scalars, *writer.flags)
    text = "\n".join((*lines, *(f"    {line}" for line in broken(body))))
    return KernelFunction(name, text, arguments, streamed=_streamed(nest))


def function_name(nest: Nest, names: Names) -> str:
    """A name for the function after what it computes, cut where it gets long."""
    targets = nest.name
    if len(targets) > _LONGEST_NAME:
        targets = targets[:_LONGEST_NAME].rsplit("_", 1)[0] + "_and_more"
    return names.new(f"_compute_{targets}")


def _signature(name: str, names: list[str]) -> list[str]:
    line = f"def {name}({', '.join(names)}):"
    return [line] if len(line) <= 118 else [f"def {name}(", *wrapped(", ".join(names), "    ").splitlines(), "):"]


def _docstring(nest: Nest) -> list[str]:
    lines = [line for equation in nest.equations for line in wrapped(safe(equation), "    ").splitlines()]
    if not lines:
        return [f'    """{safe(nest.name)}."""']
    if len(lines) == 1:
        return [f'    """{lines[0].strip()}"""']
    first, *rest = lines
    return [f'    """{first.strip()}', *rest, '    """']


def _argument(array: Array) -> str:
    """An array as the nest sees it: neighbouring axes that are walked as one are made one.

    A scalar has one axis of one element there: Numba's parallel loops take arrays without axes for numbers.
    """
    name = identifier(array.name)
    if not array.axes or (len(array.axes) == 1 and _merged(array.axes)):
        return f"{name}.ravel()"
    return f"{name}.reshape({', '.join(integer(e) for e in array.axes)})" if _merged(array.axes) else name


def _merged(axes: tuple[Expr, ...]) -> bool:
    """Whether some of the axes are several of the tensor."""
    return any(not isinstance(e, Size | Parameter | Number) for e in axes)


def _streamed(nest: Nest) -> tuple[str, ...]:
    """The arrays with rows that may pass by the caches."""
    return tuple(node.tensor for node in walk_nodes(nest.body) if isinstance(node, Stream))


class _Writer:
    """Writes the lines of one function."""

    def __init__(self, nest: Nest, scalars: tuple[str, ...]) -> None:
        self.nest_ = nest
        nodes = tuple(walk_nodes((*nest.shared, *nest.body, *nest.after)))
        found = [*(e for n in nodes for e in expressions(n)), *nest.parallel, *(i.extent for i in nest.parallel)]
        if nest.strip:
            found.append(nest.strip.index)
        found.append(nest.points)
        leaves = [e for expr in found for e in walk(expr)]
        leaves += [e for i in leaves if isinstance(i, Index) for e in walk(i.extent)]
        used = {e.name for e in leaves if isinstance(e, Size | Parameter)}
        self.scalars = tuple(identifier(name) for name in scalars if name in used)
        self.flags = tuple(dict.fromkeys(f"want_{name}" for n in nodes if isinstance(n, Wanted) for name in n.inputs))
        locals_ = [n.name for n in nodes if isinstance(n, Assign | View | Scratch | Distance)]
        strip = [nest.strip.low, nest.strip.high, nest.strip.piece] if nest.strip else []
        taken = {*(a.name for a in nest.arrays), *locals_, *strip, *self.scalars, *self.flags, "real", "task", "math"}
        self._names, self._given = Names(taken), dict[Index, str]()
        self.streams = self._names.new("streams")
        wide = {n.name for n in nodes if isinstance(n, Assign) and n.kind == "wide"}
        rows = {n.name for n in nodes if isinstance(n, Scratch) and n.wide}
        views = {n.name for n in nodes if isinstance(n, View) and n.tensor in rows}
        integers = {a.name for a in nest.arrays if a.kind == "integer"}
        integers |= {n.name for n in nodes if isinstance(n, Scratch) and n.integer}
        integers |= {n.name for n in nodes if isinstance(n, View) and n.tensor in integers}
        self.ranks = {n.name: n.operation for n in nodes if isinstance(n, Accumulate) and n.operation in _RANKS}
        self.spell = Speller(
            self.index, frozenset(a.name for a in nest.arrays), frozenset(integers), frozenset(wide | rows | views),
            frozenset(self.ranks),
        )  # fmt: skip
        self.integers = frozenset(integers)

    def index(self, index: Index) -> str:
        """The variable of an index: its name, or one with a number where two indices of that name are about."""
        if index not in self._given:
            self._given[index] = self._names.new(index.name)
        return self._given[index]

    def any_real(self) -> str:
        """The array whose type the numbers have."""
        for array in self.nest_.arrays:
            if array.kind == "real":
                return identifier(array.name)
        raise InternalError(f"nest {self.nest_.name} has no array of reals")

    def nest(self) -> list[str]:
        """The whole body."""
        nest = self.nest_
        if nest.strip is not None:
            head = [*self._lines(nest.shared), *self._strip(nest.strip)]
            return [*head, *self._indented(nest.body), *self._lines(nest.after)]
        if not nest.parallel:
            return self._lines((*nest.shared, *nest.body))
        if len(nest.parallel) == 1:
            (index,) = nest.parallel
            start = f"for {self.index(index)} in prange({self._int(index.extent)}):"
            return [*self._lines(nest.shared), start, *self._indented(nest.body), *self._lines(nest.after)]
        return [*self._lines(nest.shared), *self._tasks(nest.parallel), *self._indented(nest.body)]

    def streams_or_not(self, row: Expr) -> str:
        """Whether rows pass by the caches: a row and all arrays, in bytes, decide."""
        whole = " + ".join(f"{identifier(a.name)}.nbytes" for a in self.nest_.arrays)
        return f"_streams({self._int(row, PRODUCT)}*{self.any_real()}.itemsize, {whole})"

    def alone_if_small(self, body: list[str]) -> list[str]:
        """The body for one thread where there are few points: to wake others would take longer."""
        threads = self._names.new("threads")
        return [f"{threads} = _share({self._int(self.nest_.points)})", *body, f"_set_num_threads({threads})"]

    def _strip(self, strip: Strip) -> list[str]:
        """The loop over the pieces of a strip, and where each begins and ends."""
        extent, low, high, piece = self._int(strip.index.extent), strip.low, strip.high, strip.piece
        if strip.lines:
            width, before, target = self._names.new("width"), self._names.new("before"), _streamed(self.nest_)[0]
            return [
                f"{width}, {before} = _piece({extent}), _lead({identifier(target)})",
                f"for {piece} in prange(({extent} + {before} + {width} - 1)//{width}):",
                f"    {low} = max(0, {piece}*{width} - {before})",
                f"    {high} = min({extent}, ({piece} + 1)*{width} - {before})",
            ]
        head = f"for {piece} in prange({self._int(strip.pieces)}):"
        if strip.width == 1:
            return [head, f"    {low} = {piece}", f"    {high} = {low} + 1"]
        return [head, f"    {low} = {piece}*{strip.width}", f"    {high} = min({extent}, {low} + {strip.width})"]

    def _tasks(self, indices: tuple[Index, ...]) -> list[str]:
        """One loop over the points of several indices, so that there are enough of them for all threads."""
        points = self._int(mul(*(i.extent for i in indices)))
        values = []
        for at, index in enumerate(indices):
            behind = mul(*(i.extent for i in indices[at + 1 :]))
            quotient = "task" if behind == ONE else f"task//{integer(behind, POWER)}"
            values.append(quotient if at == 0 else f"{quotient} % {self._int(index.extent, SIGN)}")
        names = ", ".join(self.index(i) for i in indices)
        return [f"for task in prange({points}):", f"    {names} = {', '.join(values)}"]

    def _int(self, expr: Expr, place: int = TEST) -> str:
        return self.spell.integer(expr, place)

    def _indented(self, body: Iterable[Node]) -> list[str]:
        return [f"    {line}" for line in self._lines(body)]

    def _loop_body(self, body: tuple[Node, ...]) -> list[str]:
        """The body of a loop; an innermost loop walks rows."""
        around = self.spell
        self.spell = replace(around, rows=not any(isinstance(node, Loop) for node in walk_nodes(body)))
        lines = self._indented(body)
        self.spell = around
        return lines

    def _lines(self, body: Iterable[Node]) -> list[str]:
        return [line for node in body for line in self._node(node)]

    def _node(self, node: Node) -> list[str]:
        match node:
            case Assign(name, value, "real") if name in self.ranks:
                return [f"{identifier(name)} = {_RANKS[self.ranks[name]]}({self.spell.real(value)})"]
            case Assign(name, value, kind):
                return [f"{identifier(name)} = {self._number(value, kind)}"]
            case Accumulate(name, operation, value) if name in self.ranks:
                rank = f"{_RANKS[operation]}({self.spell.real(value)})"
                return [f"{identifier(name)} = {operation}({identifier(name)}, {rank})"]
            case Accumulate(name, operation, value):
                return self._take_in(identifier(name), operation, value)
            case Track():
                return self._track(node)
            case Store(tensor, indices, value):
                return [f"{self.spell.element(Read(tensor, indices))} = {self._stored(tensor, value)}"]
            case Update(tensor, indices, operation, value):
                return self._take_in(self.spell.element(Read(tensor, indices)), operation, value)
            case View():
                return [self._view(node)]
            case Stage():
                return self._stage(node)
            case Distance(name, tensor, row, rows, whole):
                sizes = (f"{identifier(tensor)}.itemsize", self._int(row), self._int(rows), self._int(whole))
                return [f"{name} = _rows_ahead({', '.join(sizes)})"]
            case Ask():
                return self._ask(node)
            case Stream(tensor, leading, start, row, count):
                target = self._row_of(tensor, leading, start, ONE)
                call = f"_stream({target}, {identifier(row)}, {self._int(count)})"
                return [f"if {self.streams}:", f"    {call}"]
            case Pieces():
                return self._pieces(node)
            case Scratch(name, _, apart=True):
                return [f"{identifier(name)} = _row_apart({self.any_real()})"]
            case Scratch(name, extent, wide, whole):
                kind = "np.int32" if whole else "np.float64" if wide else f"{self.any_real()}.dtype"
                return [f"{identifier(name)} = np.empty({self._int(extent)}, {kind})"]
            case Loop(index, start, stop, inner, step):
                span = self._int(stop) if start == ZERO and step == 1 else f"{self._int(start)}, {self._int(stop)}"
                span += f", {step}" if step != 1 else ""
                return [f"for {self.index(index)} in range({span}):", *self._loop_body(inner)]
            case Test(condition, inner, other):
                lines = [f"if {self.spell.test(condition)}:", *self._indented(inner)]
                return [*lines, "else:", *self._indented(other)] if other else lines
            case Wanted(inputs, inner):
                return [f"if {' or '.join(f'want_{name}' for name in inputs)}:", *self._indented(inner)]
            case _:
                raise InternalError(f"no spelling of the node {type(node).__name__}")

    def _number(self, value: Expr, kind: str) -> str:
        """A value as a number of this kind, cast where the expression alone would have another."""
        if kind == "integer":
            return self._int(value)
        if kind == "place":
            return f"np.uintp({self._int(value)})"
        if kind == "wide":
            return f"{float(value.value)!r}" if isinstance(value, Number) else f"np.float64({self.spell.real(value)})"
        return f"real({self.spell.real(value)})" if self.spell.is_wide(value) else self.spell.real(value)

    def _stored(self, tensor: str, value: Expr) -> str:
        return self._int(value) if tensor in self.integers else self.spell.real(value)

    def _take_in(self, target: str, operation: str, value: Expr) -> list[str]:
        text = self.spell.real(value)
        if operation == "sum":
            return [f"{target} += {text}"]
        if operation == "prod":
            return [f"{target} *= {text}"]
        return [f"{target} = _{operation}({target}, {text})"]

    def _track(self, node: Track) -> list[str]:
        value, best = self._names.new(f"{node.best}_next"), identifier(node.best)
        sign = ">" if node.operation == "max" else "<"
        if node.row is not None:
            return self._track_along(node, value, sign)
        return [
            f"{value} = {self.spell.real(node.value)}",
            f"if {value} {sign} {best} or ({value} != {value} and {best} == {best}):",
            f"    {best} = {value}",
            f"    {identifier(node.name)} = {self._int(node.place)}",
        ]

    def _track_along(self, node: Track, value: str, sign: str) -> list[str]:
        """Choices in place of a branch, so that the loop becomes vector instructions."""
        row = self.index(node.row) if node.row is not None else ""
        best, at, wins = f"{identifier(node.best)}[{row}]", f"{identifier(node.name)}[{row}]", self._names.new("wins")
        return [
            f"{value} = {self.spell.real(node.value)}",
            f"{wins} = ({value} {sign} {best}) | (({value} != {value}) & ({best} == {best}))",
            f"{best} = {value} if {wins} else {best}",
            f"{at} = {self._int(node.place)} if {wins} else {at}",
        ]

    def _stage(self, node: Stage) -> list[str]:
        """A call of the helper, which takes images of three axes."""
        missing = 3 - len(node.shape)

        def three(values: tuple[Expr, ...], filled: Expr) -> str:
            return f"({', '.join(self._int(v) for v in (*[filled] * missing, *values))})"

        leading = f"[{', '.join(self._int(i) for i in node.leading)}]" if node.leading else ""
        image = f"{identifier(node.tensor)}{leading}.reshape({self._int(mul(*node.shape))})"
        places = [three(v, f) for v, f in ((node.shape, ONE), (node.first, ZERO), (node.step, ONE), (node.count, ONE))]
        arguments = (identifier(node.name), self._int(node.size), image, *places, self._number(node.outside, "real"))
        return [f"_stage({', '.join(arguments)})"]

    def _ask(self, node: Ask) -> list[str]:
        """Rows that come later, if there are any."""
        later = add(node.index, Parameter(node.distance, True))
        lines = [f"if {self._int(later)} < {self._int(node.index.extent)}:"]
        for view in node.views:
            row = self._row_of(view.tensor, tuple(later if i == node.index else i for i in view.leading), ZERO, ONE)
            lines.append(f"    _fetch({row}, {view in node.written})")
        return lines

    def _pieces(self, node: Pieces) -> list[str]:
        """A loop over pieces that begin where a line does."""
        at, count, view = self._names.new("at"), self._int(node.count), node.row
        width = self._names.new("width")
        row = self._row_of(view.tensor, view.leading, view.start, ONE)
        return [
            f"{width} = {PIECE} if {self.streams} else {count}",
            f"for {at} in range(-_lead({row}) if {self.streams} else 0, {count}, {width}):",
            f"    {node.low}, {node.high} = max(0, {at}), min({count}, {at} + {width})",
            *self._indented(node.body),
        ]

    def _view(self, view: View) -> str:
        row = self._row_of(view.tensor, view.leading, view.start, view.step)
        if view.streamed:
            row = f"_either({self.streams}, {identifier(view.streamed)}, {row})"
        return f"{identifier(view.name)} = {row}"

    def _row_of(self, tensor: str, leading: tuple[Expr, ...], start_: Expr, step_: Expr) -> str:
        start = "" if start_ == ZERO else self._int(start_)
        step = "" if step_ == ONE else f":{self._int(step_)}"
        places = [self._int(i) for i in leading]
        if not start and not step:
            row = f"[{', '.join(places)}]" if places else ""
        else:
            row = f"[{', '.join((*places, f'{start}:{step}'))}]"
        return f"{identifier(tensor)}{row}"
