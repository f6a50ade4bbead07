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
from symbackprop.notation import nodes as n
from symbackprop.notation.binding import free_indices
from symbackprop.notation.names import RESERVED, did_you_mean
from symbackprop.notation.nodes import FUNCTIONS, REDUCTIONS, Expr, Index
from symbackprop.notation.scope import KINDS, Scope, base, element_like
from symbackprop.notation.syntax import MAX_DIGITS, MAX_NESTING, Node, Statement

MAX_CONDITIONS = 100
_MAX_BITS = 8_000
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
        self._depth = 0

    def error(self, node: Node, message: str, advice: str = "") -> NotationError:
        """An error at a node of this statement."""
        return self.statement.error(message, node, advice)

    def read(self, node: Node, context: Context) -> Expr:
        """The expression that a piece of syntax means."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self.error(node, f"the expression is nested over {MAX_NESTING} deep", "Define a part of it first.")
        rule = _RULES.get(node.kind)
        if rule is None:
            raise self.error(node, "a condition stands where a value is expected", "Write where(condition, a, b).")
        expr = self._bounded(node, rule(self, node, context), context)
        self._depth -= 1
        return expr

    def _bounded(self, node: Node, expr: Expr, context: Context) -> Expr:
        for part in (expr, *n.parts(expr)):
            if isinstance(part, n.Number):
                if _bits(part) > _MAX_BITS or (part.value and not 1 / _LARGEST <= abs(part.value) <= _LARGEST):
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
            raise self.error(node, f"index {name} stands in {_WHAT[context.mode]}", "Use the size that it runs over.")
        if name not in context.indices:
            raise self._unbound(node)
        return self.running(node)

    def _unbound(self, node: Node) -> NotationError:
        name = node.text
        message = f"{self.owner} uses index {name}, which is neither on the left nor bound by a reduction"
        advice = f"Put {name} on the left, or write sum[{name}](...)."
        return self.error(node, message, did_you_mean(name, self.scope.kinds) or advice)

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
            message = f"{node.text} is a real parameter and cannot stand in {_WHAT[context.mode]}"
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
        return self.error(node, f"{node.text} is {_KIND[kind]} and has no axes", f"Write {node.text} without brackets.")

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
            raise self.error(node, f"tensor {node.text} stands in {_WHAT[context.mode]}")
        if context.mode == "index" and (tensor is None or tensor.kind != "integer"):
            message = f"{node.text} is real and cannot stand in an index"
            raise self.error(node, message, "Only the elements of `integer` tensors can.")
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

    # operators

    def sum(self, node: Node, context: Context) -> Expr:
        """`a + b - c`."""
        signs = ["+", *node.text.split()]
        terms = [self.read(part, context) for part in node.parts]
        self._check_folding(node, terms)
        return n.add(*(t if sign == "+" else n.negative(t) for sign, t in zip(signs, terms, strict=True)))

    def minus(self, node: Node, context: Context) -> Expr:
        """`-a`."""
        return n.negative(self.read(node.parts[0], context))

    def product(self, node: Node, context: Context) -> Expr:
        """`a * b / c`, and `//` and `%` of integers, from left to right."""
        operators = node.text.split()
        cut = max((at for at, o in enumerate(operators) if o in ("//", "%")), default=-1)
        factors = [self._whole(node, operators, cut, context)] if cut >= 0 else [self.read(node.parts[0], context)]
        for operator, part in list(zip(operators, node.parts[1:], strict=True))[max(cut + 1, 0) :]:
            factor = self.read(part, context)
            factors.append(self._inverse(part, factor, context) if operator == "/" else factor)
        self._check_folding(node, factors)
        return n.mul(*factors)

    def _inverse(self, node: Node, divisor: Expr, context: Context) -> Expr:
        if context.mode in ("index", "size"):
            raise self.error(node, f"`/` stands in {_WHAT[context.mode]}", "Floor division is written //.")
        if divisor == n.ZERO:
            raise self.error(node, "division by zero", "Divide by something else.")
        return n.power(divisor, n.MINUS_ONE)

    def _whole(self, node: Node, operators: list[str], cut: int, context: Context) -> Expr:
        """The part of a product up to its last `//` or `%`: both sides are integers."""
        inside = replace(context, mode="index") if context.mode == "value" else context
        if context.mode == "number":
            raise self.error(node, f"`{operators[cut]}` stands where a number is expected", "Write the number.")
        rest = node.parts[: cut + 1]
        left = Node("product", " ".join(operators[:cut]), rest, node.line, node.column) if cut else rest[0]
        dividend, divisor = self.read(left, inside), self._divisor(node.parts[cut + 1], inside)
        return n.floor_divide(dividend, divisor) if operators[cut] == "//" else n.modulo(dividend, divisor)

    def _divisor(self, node: Node, context: Context) -> Expr:
        divisor = self.read(node, context)
        if divisor == n.ZERO:
            raise self.error(node, "division by zero", "Divide by something else.")
        if context.mode == "index" and not isinstance(divisor, n.Number | n.Parameter | n.Size):
            message = "an index is divided by something that is not an integer, an integer parameter or a size"
            raise self.error(node, message, "Name the divisor first: `size M = ...`.")
        return divisor

    def power(self, node: Node, context: Context) -> Expr:
        """`a ^ b`."""
        if context.mode in ("index", "size"):
            raise self.error(node, f"`^` stands in {_WHAT[context.mode]}", "Write the product out: n*n.")
        left, right = node.parts
        return self._power(node, self.read(left, context), self.read(right, context))

    def _power(self, node: Node, left: Expr, right: Expr) -> Expr:
        if left == n.ZERO and isinstance(right, n.Number) and right.value < 0:
            raise self.error(node, "division by zero", "Divide by something else.")
        if isinstance(left, n.Number) and isinstance(right, n.Number) and _bits(left) * abs(right.value) > _MAX_BITS:
            raise self.error(node, "the power is too large or too small", "Write a smaller exponent.")
        return n.power(left, right)

    def _check_folding(self, node: Node, parts: list[Expr]) -> None:
        if sum(_bits(part) for part in parts) > _MAX_BITS:
            raise self.error(node, "the numbers have too many digits together", "Write the result as one number.")

    # functions

    def call(self, node: Node, context: Context) -> Expr:
        """A function, `where` or `clip`."""
        name, arguments = node.text, node.parts[0].parts
        expected = _ARGUMENTS.get(name)
        if expected is None:
            raise self._not_a_function(node)
        if len(arguments) != expected:
            advice = f"To reduce over an index, write {name}[i](...)." if name in REDUCTIONS else ""
            counted = f"{expected} argument{'s' if expected > 1 else ''}"
            raise self.error(node, f"{name} takes {counted}, but {len(arguments)} came", advice)
        if name == "clip":
            return self._clip(node, arguments, context)
        if context.mode != "value":
            advice = "Write clip(e, lo, hi)." if name in ("max", "min") else ""
            raise self.error(node, f"{name}(...) stands in {_WHAT[context.mode]}", advice)
        if name == "where":
            return self._where(arguments, context)
        values = [self.read(a, context) for a in arguments]
        return self._power(node, *values) if name == "pow" else n.call(name, *values)

    def _not_a_function(self, node: Node) -> NotationError:
        name = node.text
        if name in REDUCTIONS:
            return self.error(node, f"{name} needs the indices that it runs over", f"Write {name}[i](...).")
        if name in self.scope.kinds:
            what = _KIND[self.scope.kinds[name]]
            return self.error(node, f"{name} is {what}, not a function", "Elements take [ ], products take *.")
        known = ", ".join(_ARGUMENTS)
        return self.error(node, f"{name} is not a function", did_you_mean(name, _ARGUMENTS) or f"There are {known}.")

    def _clip(self, node: Node, arguments: tuple[Node, ...], context: Context) -> Expr:
        if context.mode not in ("value", "index"):
            raise self.error(node, f"clip(...) stands in {_WHAT[context.mode]}")
        value, low, high = (self.read(a, replace(context, mode="index")) for a in arguments)
        return n.Clip(value, low, high)

    def _where(self, arguments: tuple[Node, ...], context: Context) -> Expr:
        condition = self.condition(arguments[0], context)
        then, other = (self.read(a, replace(context, guarded=True)) for a in arguments[1:])
        return n.where(condition, then, other)

    def reduction(self, node: Node, context: Context) -> Expr:
        """`sum[i, j](E)`."""
        if node.text not in REDUCTIONS:
            advice = did_you_mean(node.text, REDUCTIONS) or f"The reductions are {', '.join(REDUCTIONS)}."
            raise self.error(node, f"{node.text} is not a reduction", advice)
        if context.mode != "value":
            raise self.error(node, f"a reduction stands in {_WHAT[context.mode]}", "Define its value first.")
        names, bodies = node.parts
        if len(bodies.parts) != 1 or not names.parts:
            raise self.error(node, f"{node.text} takes indices and one expression", f"Write {node.text}[i](...).")
        bound = self._bound(node, names.parts, context)
        body = self.read(bodies.parts[0], replace(context, indices=(*context.indices, *(p.text for p in names.parts))))
        used = free_indices(body)
        for index, place in zip(bound, names.parts, strict=True):
            if index not in used:
                message = f"{node.text} runs over index {place.text}, which does not occur in what it reduces"
                raise self.error(place, message, f"Leave {place.text} out, or use it.")
        return n.Reduce(node.text, bound, body)

    def _bound(self, node: Node, names: tuple[Node, ...], context: Context) -> tuple[Index, ...]:
        taken, bound = list(context.indices), []
        for place in names:
            if place.kind != "name":
                raise self.error(place, f"{node.text} takes plain indices in [ ]", f"Write {node.text}[i](...).")
            if place.text in taken:
                message = f"index {place.text} of {node.text} already has a value here"
                raise self.error(place, message, "Choose another index; each may be bound once.")
            taken.append(place.text)
            bound.append(self.running(place))
        return tuple(bound)

    # conditions

    def condition(self, node: Node, context: Context) -> Expr:
        """A comparison, or several joined by `and`, `or`, `not`."""
        if node.kind == "comparison":
            return self._comparison(node, context)
        if node.kind not in ("conjunction", "disjunction", "negation"):
            raise self.error(node, "a value stands where a condition is expected", "Compare it: `a > 0`.")
        self._depth += 1
        if self._depth > MAX_NESTING or len(node.parts) > MAX_CONDITIONS:
            raise self.error(node, f"over {MAX_CONDITIONS} conditions are joined or nested", "Use fewer conditions.")
        conditions = tuple(self.condition(part, context) for part in node.parts)
        self._depth -= 1
        if node.kind == "conjunction":
            return n.both(*conditions)
        return n.Logic("or" if node.kind == "disjunction" else "not", conditions)

    def _comparison(self, node: Node, context: Context) -> Expr:
        if len(node.parts) != 2:
            raise self.error(node, "more than two expressions are compared", "Write a < b and b < c.")
        left, right = (self.read(part, context) for part in node.parts)
        return n.Compare(node.text, left, right)


def _bits(expr: Expr) -> int:
    """How long the numbers are that would be folded with others."""
    if isinstance(expr, n.Add | n.Mul):
        return sum(_bits(part) for part in n.parts(expr) if isinstance(part, n.Number))
    if not isinstance(expr, n.Number):
        return 0
    return expr.value.numerator.bit_length() + expr.value.denominator.bit_length()


_KIND = {**KINDS, "size": "a size", "definition": "a tensor"}
_ARGUMENTS: dict[str, int] = {**FUNCTIONS, "pow": 2, "where": 3, "clip": 3}
_RULES: dict[str, Callable[[Meaning, Node, Context], Expr]] = {
    "number": Meaning.number,
    "name": Meaning.name,
    "element": Meaning.element,
    "sum": Meaning.sum,
    "minus": Meaning.minus,
    "product": Meaning.product,
    "power": Meaning.power,
    "call": Meaning.call,
    "reduction": Meaning.reduction,
}
