"""From `.eq` text to a `Layer`.

| step | does |
| --- | --- |
| `syntax.statements` | bounds, brackets, grammar |
| `_declare` | every name gets its one meaning |
| `_sizes`, `_ranges`, `_inputs`, ... | the declarations |
| `resolve_extents` | how far each index runs |
| `_definitions` | the equations, each checked where it stands |
"""

from __future__ import annotations

import keyword
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from symbackprop.errors import NotationError
from symbackprop.notation import nodes as n
from symbackprop.notation.fits import Signs
from symbackprop.notation.functions import condition
from symbackprop.notation.layer import Definition, DerivedSize, Hyperparameter, Layer, Range, Requirement, Tensor
from symbackprop.notation.meaning import Context, Meaning
from symbackprop.notation.names import did_you_mean
from symbackprop.notation.nodes import REDUCTIONS, Expr, Infinity, Number, Size
from symbackprop.notation.printer import expression
from symbackprop.notation.scope import Scope, base, nodes, resolve_extents
from symbackprop.notation.syntax import MAX_TEXT, Node, Source, Statement, split_lines, statements

MAX_DEFINITIONS = 500
_SIZE, _NUMBER = Context("size"), Context("number")


def read(text: str, file: str = "<text>") -> Layer:
    """The layer that an equation text states.

    Raises: NotationError with the place, what was expected and what to write instead.
    """
    source = split_lines(text, file)
    return _Reading(source, list(statements(source))).layer()


def read_file(path: str | os.PathLike[str]) -> Layer:
    """The layer of an equation file (UTF-8).

    Raises: NotationError also where the file cannot be opened, is too long or is not text.
    """
    file = os.fspath(path)
    try:
        with open(file, "rb") as opened:
            data = opened.read(4 * MAX_TEXT + 4)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise NotationError(f"{file}: the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        if len(data) <= 4 * MAX_TEXT:
            message = f"{file}: the file is not text in UTF-8 (byte {error.start} is 0x{data[error.start]:02x})"
            raise NotationError(message, advice="Give an equation file.") from None
        text = "x" * (MAX_TEXT + 1)  # too long to be one, text or not
    return read(text, file)


@dataclass(slots=True)
class _Reading:
    """One text on its way to a layer."""

    source: Source
    all: list[Statement]
    scope: Scope

    def __init__(self, source: Source, found: list[Statement]) -> None:
        self.source, self.all, self.scope = source, found, Scope()

    def of(self, *kinds: str) -> Iterator[tuple[Statement, Node]]:
        """Each part of each statement of these kinds, in the order of the text."""
        for statement in self.all:
            if statement.kind in kinds:
                for part in statement.parts:
                    yield statement, part

    def layer(self) -> Layer:
        """The layer, every part of it checked."""
        name = self._name()
        definitions = [s for s in self.all if s.kind == "definition"]
        self._declare(definitions)
        self._parameters()
        sizes, ranges = self._sizes(), self._ranges()
        requirements = self._requirements()
        inputs = tuple(self.scope.tensors.values())
        signs = Signs(self.scope.parameters.values(), sizes)
        self._check_extents(signs, sizes, ranges)
        resolve_extents(self.scope, definitions)
        equations = self._definitions(definitions, signs)
        return Layer(
            name=name,
            inputs=inputs,
            parameters=tuple(self.scope.parameters.values()),
            sizes=sizes,
            ranges=ranges,
            requirements=requirements,
            definitions=equations,
            outputs=self._outputs(),
            doc=_doc(self.source),
            file=self.source.file,
        )

    def _name(self) -> str:
        if not self.all or self.all[0].kind != "layer":
            place = self.all[0].place() if self.all else None
            message = "the text does not begin with `layer NAME`"
            raise NotationError(
                message if place else f"{self.source.file}: {message}", place, "Begin with `layer NAME`."
            )
        for statement, node in list(self.of("layer"))[1:]:
            raise statement.error("a second layer begins", node, "Put each layer into its own file.")
        node = self.all[0].parts[0]
        if keyword.iskeyword(node.text) or not node.text.isidentifier() or node.text.startswith("_"):
            message = f"no module can be called {node.text}"
            raise self.all[0].error(message, node, "Begin with a letter, and take no word of Python.")
        return node.text

    # names

    def _declare(self, definitions: list[Statement]) -> None:
        for statement, node in self.of("input", "integer"):
            self._declare_tensor(statement, node)
        for kind, what in (("param", "parameter"), ("size", "size"), ("range", "index")):
            seen: set[str] = set()
            for statement, node in self.of(kind):
                name = node.text.split()[0]
                if name in seen:
                    raise statement.error(f"{name} is declared a second time", node, "Remove one of them.")
                seen.add(name)
                self.scope.declare(name, what, statement, node)
        if len(definitions) > MAX_DEFINITIONS:
            raise definitions[MAX_DEFINITIONS].error(
                f"the layer has more than {MAX_DEFINITIONS} definitions", advice="Split it into several layers."
            )
        for statement in definitions:
            self._declare_definition(statement)
        for statement in definitions:
            self._declare_bound(statement)

    def _declare_tensor(self, statement: Statement, node: Node) -> None:
        head = node.parts[0]
        if head.kind not in ("name", "element"):
            raise statement.error("a tensor is expected here", head, "Write a name with its axes: x[N, C].")
        self.scope.declare(head.text, "tensor", statement, head)
        axes = head.parts[0].parts if head.parts else ()
        for axis in axes:
            if axis.kind != "name":
                message = f"an axis of {head.text} is given by an expression"
                raise statement.error(message, axis, "Name it here, and say what it is by `size NAME = ...`.")
            self.scope.declare(axis.text, "size", statement, axis)
        self.scope.tensors[head.text] = Tensor(
            name=head.text,
            axes=tuple(Size(axis.text) for axis in axes),
            kind="real" if statement.kind == "input" else "integer",
            outside=self._outside(statement, node),
            place=statement.place(head),
        )

    def _outside(self, statement: Statement, node: Node) -> Expr | None:
        if len(node.parts) == 1:
            return None
        value = node.parts[1]
        sign, inner = (-1, value.parts[0]) if value.kind == "minus" else (1, value)
        if inner.kind == "name" and inner.text == "inf" and statement.kind == "input":
            return Infinity(sign)
        number = self._number(statement, value)
        if statement.kind == "integer" and number.denominator != 1:
            raise statement.error("an integer tensor has an integer outside it", value, "Write an integer.")
        return Number(number)

    def _number(self, statement: Statement, node: Node) -> Fraction:
        value = Meaning(self.scope, statement, "it").read(node, _NUMBER)
        if not isinstance(value, Number):
            raise statement.error("this is not a number", node, "Write a number.")
        return value.value

    def _declare_definition(self, statement: Statement) -> None:
        left = statement.parts[0]
        if left.kind not in ("name", "element"):
            raise statement.error("the left side is not a tensor", left, "Write NAME[i, j] = ...")
        self.scope.declare(left.text, "definition", statement, left)
        names: list[str] = []
        for place in left.parts[0].parts if left.parts else ():
            if place.kind != "name":
                advice = f"Write {left.text}[i, ...] = ... and move the rest to the right side."
                raise statement.error("the left side takes plain indices in its brackets", place, advice)
            if place.text in names:
                raise statement.error(f"index {place.text} stands twice on the left", place, "Use two indices.")
            names.append(place.text)
            self._declare_index(statement, place)
        self.scope.defined[left.text] = tuple(names)

    def _declare_index(self, statement: Statement, place: Node) -> None:
        if self.scope.kinds.get(place.text) == "size":
            message = f"{place.text} is a size and stands where an index is expected"
            raise statement.error(message, place, f"Write the index that runs over it, such as {place.text.lower()}.")
        self.scope.declare(base(place.text), "index", statement, place)

    def _declare_bound(self, statement: Statement) -> None:
        for node in nodes(statement.parts[1]):
            if node.kind == "reduction" and node.text in REDUCTIONS:
                for place in node.parts[0].parts:
                    if place.kind == "name":
                        self._declare_index(statement, place)

    # declarations

    def _parameters(self) -> None:
        for statement, node in self.of("param"):
            name, _, integer = node.text.partition(" ")
            default = self._number(statement, node.parts[0])
            if integer and (default.denominator != 1 or abs(default) >= 2**31):
                message = f"the default of integer parameter {name} is {expression(Number(default))}"
                raise statement.error(message, node.parts[0], "Give an integer, or leave out `integer`.")
            self.scope.parameters[name] = Hyperparameter(name, default, bool(integer), statement.place(node))

    def _sizes(self) -> tuple[DerivedSize, ...]:
        """The derived sizes, each after those that it uses."""
        found: dict[str, tuple[DerivedSize, Statement, Node]] = {}
        for statement, node in self.of("size"):
            value = Meaning(self.scope, statement, f"size {node.text}").read(node.parts[0], _SIZE)
            found[node.text] = (DerivedSize(node.text, value, statement.place(node)), statement, node)
        ordered: dict[str, DerivedSize] = {}
        while len(ordered) < len(found):
            waiting = [name for name in found if name not in ordered]
            ready = [name for name in waiting if _waits_for(found[name][0], found) <= set(ordered)]
            if not ready:
                _, statement, node = found[waiting[0]]
                raise statement.error(f"size {node.text} depends on itself", node, "Give a size by an input's axis.")
            ordered.update({name: found[name][0] for name in ready})
        self.scope.sizes = ordered
        return tuple(ordered.values())

    def _ranges(self) -> tuple[Range, ...]:
        for statement, node in self.of("range"):
            extent = Meaning(self.scope, statement, f"range {node.text}").read(node.parts[0], _SIZE)
            self.scope.ranges[node.text] = Range(node.text, extent, statement.place(node))
        return tuple(self.scope.ranges.values())

    def _requirements(self) -> tuple[Requirement, ...]:
        return tuple(
            Requirement(
                condition(Meaning(self.scope, statement, "the requirement"), node, _SIZE), statement.place(node)
            )
            for statement, node in self.of("require")
        )

    def _check_extents(self, signs: Signs, sizes: tuple[DerivedSize, ...], ranges: tuple[Range, ...]) -> None:
        extents = [(f"size {s.name}", s.value, s.place) for s in sizes]
        extents += [(f"range {r.index}", r.extent, r.place) for r in ranges]
        for what, extent, place in extents:
            if signs.positive(n.subtract(n.ONE, extent)):
                message = f"{what} is {expression(extent)}, which is never 1 or more"
                raise NotationError(message, place, "An index needs at least one value.")

    # equations

    def _definitions(self, definitions: list[Statement], signs: Signs) -> tuple[Definition, ...]:
        if not definitions:
            raise NotationError(f"{self.source.file}: the layer has no definition", advice="Write y[i] = ...")
        self._check_gradient_names()
        done: list[Definition] = []
        for statement in definitions:
            done.append(self._definition(statement, [d.name for d in done], signs))
        return tuple(done)

    def _definition(self, statement: Statement, before: list[str], signs: Signs) -> Definition:
        left, right = statement.parts
        meaning = Meaning(self.scope, statement, left.text, before)
        names = self.scope.defined[left.text]
        places = left.parts[0].parts if left.parts else ()
        indices = tuple(meaning.running(place) for place in places)
        body = meaning.read(right, Context("value", names))
        meaning.check_ends()
        self._check_accesses(meaning, signs)
        return Definition(left.text, indices, body, statement.place(left))

    def _check_accesses(self, meaning: Meaning, signs: Signs) -> None:
        seen: set[n.Read] = set()
        for access in meaning.accesses:
            name = access.read.tensor
            tensor = self.scope.tensors.get(name)
            if access.guarded or access.read in seen or (tensor is not None and tensor.outside is not None):
                continue
            seen.add(access.read)
            for axis, (place, position) in enumerate(zip(access.places, access.read.indices, strict=True)):
                extent = self.scope.extent_at(name, axis)
                value = None if extent is None else signs.outside(position, extent)
                if value is not None:
                    message = (
                        f"{meaning.owner} reads {name} outside its axis {self.scope.axes(name)[axis]}: "
                        f"{_reaching(position, value)}, and the axis runs from 0 to "
                        f"{expression(n.subtract(extent or n.ONE, n.ONE))}"
                    )
                    raise meaning.error(place, message, _way_out(tensor, position))

    def _check_gradient_names(self) -> None:
        """The gradient of a tensor t is called grad_t, which must not be another tensor of the layer."""
        for name in self.scope.kinds:
            if name.startswith("grad_") and self.scope.kinds.get(name[5:]) in ("tensor", "definition"):
                statement, node = self.scope.first[name]
                message = f"{name} is the name that the gradient of {name[5:]} will have"
                raise statement.error(message, node, "Choose another name.")

    def _outputs(self) -> tuple[str, ...]:
        outputs: list[str] = []
        for statement, node in self.of("output"):
            if node.kind != "name":
                raise statement.error("an output is named without indices", node, f"Write `output {node.text or 'y'}`.")
            if node.text not in self.scope.defined:
                what = "an input" if node.text in self.scope.tensors else "not defined"
                known = ", ".join(self.scope.defined)
                advice = did_you_mean(node.text, self.scope.defined) or f"Outputs are definitions: {known}."
                raise statement.error(f"output {node.text} is {what}", node, advice)
            if node.text in outputs:
                raise statement.error(f"output {node.text} is named twice", node, "Name it once.")
            outputs.append(node.text)
        if not outputs:
            last = list(self.scope.defined)[-1]
            raise NotationError(f"{self.source.file}: the layer names no output", advice=f"End with `output {last}`.")
        return tuple(outputs)


def _waits_for(size: DerivedSize, derived: dict[str, tuple[DerivedSize, Statement, Node]]) -> set[str]:
    return {e.name for e in n.walk(size.value) if isinstance(e, Size) and e.name in derived}


def _reaching(position: Expr, value: Expr) -> str:
    where, reached = expression(position), expression(value)
    return f"the position is {where}" if where == reached else f"{where} reaches {reached}"


def _way_out(tensor: Tensor | None, position: Expr) -> str:
    if tensor is None:
        return "Give its indices a shorter `range`, or read it under where(...)."
    axes = ", ".join(axis.name for axis in tensor.axes)
    return f"Give {tensor.name} an outside value (`{tensor.name}[{axes}] outside 0`), or its indices a shorter `range`."


def _doc(source: Source) -> str:
    """The comment before `layer`, or, if there is none, the one right after it."""
    before: list[str] = []
    lines = iter(source.lines)
    for line in lines:
        if line.lstrip().startswith("#"):
            before.append(_uncommented(line))
        elif line.strip():
            break
    if not before:
        for line in lines:
            if not line.lstrip().startswith("#"):
                break
            before.append(_uncommented(line))
    return "\n".join(before).strip()


def _uncommented(line: str) -> str:
    text = line.strip().lstrip("#")
    return text.removeprefix(" ").rstrip()
