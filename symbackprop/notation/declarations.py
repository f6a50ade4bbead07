"""The declarations of a text: which names it has, and its inputs, parameters, sizes, ranges and requirements."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from symbackprop.errors import NotationError
from symbackprop.notation import nodes as n
from symbackprop.notation.fits import Signs
from symbackprop.notation.functions import condition
from symbackprop.notation.layer import DerivedSize, Hyperparameter, Range, Requirement, Tensor
from symbackprop.notation.meaning import Context, Meaning
from symbackprop.notation.nodes import POSITIONS, REDUCTIONS, Expr, Infinity, Number, Size
from symbackprop.notation.printer import expression
from symbackprop.notation.scope import Scope, base, nodes
from symbackprop.notation.syntax import Node, Statement

MAX_DEFINITIONS = 500
_SIZE, _NUMBER = Context("size"), Context("number")


class Declarations:
    """Reads what the statements of a text declare; `scope` then knows every name.

    Raises: NotationError where a name means two things, or a declaration cannot mean anything.
    """

    def __init__(self, statements: list[Statement]) -> None:
        self.statements, self.scope = statements, Scope()
        self.definitions = [s for s in statements if s.kind == "definition"]
        self._declare(self.definitions)
        self._check_gradient_names()
        self._read_parameters()
        self.parameters = tuple(self.scope.parameters.values())
        self.sizes, self.ranges = self._sizes(), self._ranges()
        self.requirements = self._requirements()
        self.inputs = tuple(self.scope.tensors.values())
        self.signs = Signs(self.parameters, self.sizes)
        self._check_extents(self.signs, self.sizes, self.ranges)

    def of(self, *kinds: str) -> Iterator[tuple[Statement, Node]]:
        """Each part of each statement of these kinds, in the order of the text."""
        for statement in self.statements:
            if statement.kind in kinds:
                for part in statement.parts:
                    yield statement, part

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
                if len(seen) > MAX_DEFINITIONS:
                    raise statement.error(
                        f"more than {MAX_DEFINITIONS} names are declared by {kind}", node, "Use fewer."
                    )
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
        right = statement.parts[1]
        if right.kind == "reduction" and right.text in POSITIONS:
            self.scope.positions.add(left.text)

    def _declare_index(self, statement: Statement, place: Node) -> None:
        if self.scope.kinds.get(place.text) == "size":
            message = f"{place.text} is a size and stands where an index is expected"
            raise statement.error(message, place, _other_than(place.text))
        self.scope.declare(base(place.text), "index", statement, place)

    def _declare_bound(self, statement: Statement) -> None:
        for node in nodes(statement.parts[1]):
            if node.kind == "reduction" and node.text in (*REDUCTIONS, *POSITIONS):
                for place in node.parts[0].parts:
                    if place.kind == "name":
                        self._declare_index(statement, place)

    # declarations

    def _read_parameters(self) -> None:
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
        waits = {name: _waits_for(size, found) for name, (size, _, _) in found.items()}
        ordered: dict[str, DerivedSize] = {}
        while len(ordered) < len(found):
            waiting = [name for name in found if name not in ordered]
            ready = [name for name in waiting if all(other in ordered for other in waits[name])]
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

    def _check_gradient_names(self) -> None:
        """The gradient of a tensor t is called grad_t, which must not be another tensor of the layer."""
        for name in self.scope.kinds:
            if name.startswith("grad_") and self.scope.kinds.get(name[5:]) in ("tensor", "definition"):
                statement, node = self.scope.first[name]
                message = f"{name} is the name that the gradient of {name[5:]} will have"
                raise statement.error(message, node, "Choose another name.")


def _other_than(size: str) -> str:
    """What to write where a size stands in the place of an index."""
    if size.lower() != size:
        return f"Write the index that runs over it, such as {size.lower()}."
    return f"Name the size {size.upper()} where it is declared: {size} is then an index that runs over it."


def _waits_for(size: DerivedSize, derived: dict[str, tuple[DerivedSize, Statement, Node]]) -> set[str]:
    return {e.name for e in n.walk(size.value) if isinstance(e, Size) and e.name in derived}
