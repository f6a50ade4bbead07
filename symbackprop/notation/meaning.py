"""From syntax to expressions: what each name and operator means where it stands.

An expression is read in one of four modes: a `value` (a real number), an `index` (an integer of indices, sizes and
integer parameters), a `size` (the same without indices), a plain `number`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NoReturn

from symbackprop.errors import NotationError
from symbackprop.notation import functions, operators
from symbackprop.notation import nodes as n
from symbackprop.notation.names import RESERVED, did_you_mean
from symbackprop.notation.nodes import REDUCTIONS, Expr, Index
from symbackprop.notation.operators import MAX_BITS, bits
from symbackprop.notation.scope import WHAT_IT_IS, Scope, base, element_like
from symbackprop.notation.syntax import MAX_DIGITS, MAX_NESTING, Node, Statement

_LARGEST = Fraction(10) ** 300
_LARGEST_INTEGER = 2**31 - 1
_NUMBERS = f"Numbers have at most {MAX_DIGITS} digits and lie between 1e-300 and 1e300."
_WHAT = {
    "value": "a value",
    "index": "an index, which is built from integers, indices, integer parameters and sizes",
    "size": "a size or a requirement, which is built from integers, sizes and integer parameters",
    "number": "a number",
}


@dataclass(frozen=True, slots=True)
class Context:
    """Where an expression stands: its mode, the indices that it may use, and whether a condition guards it."""

    mode: str
    indices: tuple[str, ...] = ()
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """A read as it stands in a text; `guarded` where a condition decides whether it happens."""

    read: n.Read
    guarded: bool
    places: tuple[Node, ...]


class Meaning:
    """Reads the expressions of one statement; `accesses` collects what they read."""

    def __init__(self, scope: Scope, statement: Statement, owner: str, usable: Iterable[str] = ()) -> None:
        self.scope, self.statement, self.owner, self.usable = scope, statement, owner, frozenset(usable)
        self.accesses: list[Access] = []
        self._endless: list[Node] = []
        self.depth = 0

    def error(self, node: Node, message: str, advice: str = "") -> NotationError:
        """An error at a node of this statement."""
        return self.statement.error(message, node, advice)

    def place_of(self, context: Context) -> str:
        """Where an expression stands, in words."""
        return _WHAT[context.mode]

    def read(self, node: Node, context: Context) -> Expr:
        """The expression that a piece of syntax means."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.error(node, f"the expression is nested over {MAX_NESTING} deep", "Define a part of it first.")
        rule = _RULES.get(node.kind)
        if rule is None:
            raise self.error(node, "a condition stands where a value is expected", "Write where(condition, a, b).")
        expr = self._bounded(node, rule(self, node, context), context)
        self.depth -= 1
        return expr

    def _bounded(self, node: Node, expr: Expr, context: Context) -> Expr:
        for part in (expr, *n.parts(expr)):
            if isinstance(part, n.Number):
                if bits(part) > MAX_BITS or (part.value and not 1 / _LARGEST <= abs(part.value) <= _LARGEST):
                    raise self.error(node, "the number is too large or too small", _NUMBERS)
                if context.mode in ("index", "size"):
                    self._check_integer(node, part.value)
        return expr

    def _check_integer(self, node: Node, value: Fraction) -> None:
        if value.denominator != 1:
            raise self.error(node, f"{float(value):g} is not an integer", "Use integers here; floor division is //.")
        if abs(value) > _LARGEST_INTEGER:
            raise self.error(node, "the integer is too large", f"Integers reach up to {_LARGEST_INTEGER}.")

    # leaves

    def number(self, node: Node, context: Context) -> Expr:
        """A decimal, read exactly."""
        digits, _, exponent = node.text.lower().partition("e")
        if len(digits) > MAX_DIGITS or abs(int(exponent[:6] or 0)) > 300 or len(exponent) > 5:
            raise self.error(node, "the number is too long", _NUMBERS)
        return n.Number(Fraction(node.text))

    def name(self, node: Node, context: Context) -> Expr:
        """An index, a size, a parameter, pi, or a tensor without axes."""
        name, kind = node.text, self.scope.kinds.get(node.text)
        if self.scope.kinds.get(base(name)) == "index":
            return self._index(node, context)
        if name == "pi" and context.mode == "value":
            return n.Constant("pi")
        if kind == "size" and context.mode != "number":
            return n.Size(name)
        if kind == "parameter" and context.mode != "number":
            return self._parameter(node, context)
        if context.mode == "number":
            raise self.error(node, f"{name} stands where a number is expected", "Write a number.")
        if kind in ("tensor", "definition"):
            return self._element(node, (), context)
        raise self._unbound(node) if context.mode == "index" and name not in RESERVED else self._unknown(node)

    def _unknown(self, node: Node) -> NotationError:
        name = node.text
        if name in RESERVED:
            return self.error(node, f"{name} is {RESERVED[name]} and stands for no value")
        advice = did_you_mean(name, self.scope.kinds)
        where = "no tensor, definition, size, parameter or index has this name"
        return self.error(node, f"{self.owner} uses {name}, but {where}", advice or f"Declare {name}, or sum over it.")

    def _index(self, node: Node, context: Context) -> Expr:
        name = node.text
        if context.mode not in ("value", "index"):
            raise self.error(
                node, f"index {name} stands in {self.place_of(context)}", "Use the size that it runs over."
            )
        if name not in context.indices:
            raise self._unbound(node)
        return self.running(node)

    def _unbound(self, node: Node) -> NotationError:
        name = node.text
        message = f"{self.owner} uses index {name}, which is neither on the left nor bound by a reduction"
        advice = f"Put {name} on the left, or write sum[{name}](...)."
        return self.error(node, message, did_you_mean(name, [k for k in self.scope.kinds if k != name]) or advice)

    def running(self, node: Node) -> Index:
        """The index of this name; where nothing says how far it runs, that is reported last (`check_ends`)."""
        index = self.scope.index(node.text)
        if index is None:
            self._endless.append(node)
        return index or Index(base(node.text), n.ONE, len(node.text) - len(base(node.text)))

    def check_ends(self) -> None:
        """Refuses indices that nothing gives an end."""
        if self._endless:
            self._runs_nowhere(self._endless[0])

    def _runs_nowhere(self, node: Node) -> NoReturn:
        message = f"index {node.text} of {self.owner} has no range and stands alone at no axis, so its end is not known"
        raise self.error(node, message, f"Write `range {base(node.text)} = ...` before the definitions.")

    def _parameter(self, node: Node, context: Context) -> Expr:
        integer = self.scope.parameters[node.text].integer
        if not integer and context.mode in ("index", "size"):
            message = f"{node.text} is a real parameter and cannot stand in {self.place_of(context)}"
            raise self.error(node, message, f"Write `param {node.text} = ... integer`.")
        return n.Parameter(node.text, integer)

    # tensors

    def element(self, node: Node, context: Context) -> Expr:
        """`T[e1, e2, ...]`."""
        if node.text in REDUCTIONS:
            raise self.error(node, f"{node.text} has indices but nothing to reduce", f"Write {node.text}[i](...).")
        kind = self.scope.kinds.get(node.text)
        if kind not in ("tensor", "definition"):
            raise self._not_a_tensor(node, kind)
        return self._element(node, node.parts[0].parts, context)

    def _not_a_tensor(self, node: Node, kind: str | None) -> NotationError:
        if kind is None:
            return self._unknown(node)
        return self.error(
            node, f"{node.text} is {WHAT_IT_IS[kind]} and has no axes", f"Write {node.text} without brackets."
        )

    def _element(self, node: Node, places: tuple[Node, ...], context: Context) -> Expr:
        self._check_tensor(node, context)
        axes = self.scope.axes(node.text)
        if len(places) != len(axes):
            raise self._wrong_rank(node, len(places), axes)
        inside = replace(context, mode="index")
        read = n.Read(node.text, tuple(self.read(place, inside) for place in places))
        self.accesses.append(Access(read, context.guarded, places))
        return read

    def _check_tensor(self, node: Node, context: Context) -> None:
        tensor = self.scope.tensors.get(node.text)
        if context.mode in ("size", "number"):
            raise self.error(node, f"tensor {node.text} stands in {self.place_of(context)}")
        if context.mode == "index" and not self.scope.integral(node.text):
            message = f"{node.text} is real and cannot stand in an index"
            raise self.error(node, message, "Only the elements of integer tensors can.")
        if tensor is None and node.text not in self.usable:
            raise self._too_early(node)

    def _too_early(self, node: Node) -> NotationError:
        if node.text == self.owner:
            return self.error(node, f"{node.text} is used in its own definition", "Give the new value another name.")
        statement, _ = self.scope.first[node.text]
        message = f"{self.owner} uses {node.text} before its definition in line {statement.line}"
        return self.error(node, message, f"Put the definition of {node.text} first.")

    def _wrong_rank(self, node: Node, came: int, axes: tuple[str, ...]) -> NotationError:
        has = f"has the axes [{', '.join(axes)}]" if axes else "is a scalar"
        with_what = {0: "without an index", 1: "with 1 index"}.get(came, f"with {came} indices")
        message = f"{self.owner} uses {node.text} {with_what}, but {node.text} {has}"
        return self.error(node, message, f"Write {element_like(self.scope, node.text)}.")


_RULES: dict[str, Callable[[Meaning, Node, Context], Expr]] = {
    "number": Meaning.number,
    "name": Meaning.name,
    "element": Meaning.element,
    "sum": operators.total,
    "minus": operators.minus,
    "product": operators.product,
    "power": operators.power,
    "call": functions.call,
    "reduction": functions.reduction,
}
