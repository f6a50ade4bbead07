# mypy: disable-error-code="no-untyped-call"
"""From SymPy to a `Layer`: `Eq`, `Sum`, `Indexed`, `Idx` are written in the equation notation, and that text is read.

So there is one place that decides what an equation means, and one set of messages; they show the equation as it would
stand in a file. SymPy sorts the factors of a product and the terms of a sum by rules of its own; `textbook.py`
puts them back into the order of the textbooks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational
from sympy.logic.boolalg import And, Not, Or

from symbackprop.errors import NotationError
from symbackprop.notation import nodes as n
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import FUNCTIONS, POSITIONS, REDUCTIONS, Expr, Index, Read, Size
from symbackprop.notation.printer import broken, expression
from symbackprop.notation.reader import read
from symbackprop.notation.textbook import Textbook

_NAMES = {sympy.Abs: "abs", sympy.StrictLessThan: "<", sympy.LessThan: "<=", sympy.StrictGreaterThan: ">"}
_NAMES |= {sympy.GreaterThan: ">=", sympy.Equality: "==", sympy.Unequality: "!="}


def from_sympy(
    name: str,
    equations: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any] | None = None,
    *,
    parameters: Mapping[Any, Any] | None = None,
    sizes: Mapping[Any, Any] | None = None,
    ranges: Mapping[Any, Any] | None = None,
    outside: Mapping[Any, Any] | None = None,
    integer: Iterable[Any] = (),
    require: Iterable[Any] = (),
    doc: str = "",
) -> Layer:
    """The layer that SymPy equations state: `from_sympy("scale", [Eq(y[i], 2*x[i])], inputs=[x])`.

    `inputs` are `IndexedBase` objects with a shape (a `Symbol` is a scalar), `equations` are `Eq(y[i], ...)` in order;
    the last one is the output if none is named. `parameters` gives defaults: an `int` makes an integer parameter.
    `sizes`, `ranges`, `outside` and `require` are as in the notation; `integer` names the inputs of integers.

    Raises: NotationError as the reader does, and where an expression has no counterpart in the notation.
    """
    writer = _Writer(name, [_name(t) for t in inputs], {_name(p): d for p, d in (parameters or {}).items()})
    integers = {_name(t) for t in integer}
    outsides = {_name(t): value for t, value in (outside or {}).items()}
    lines = [f"# {line}".rstrip() for line in doc.strip().split("\n")] if doc.strip() else []
    lines.append(f"layer {name}")
    for tensor in inputs:
        kind = "integer" if _name(tensor) in integers else "input"
        lines.append(f"{kind} {writer.tensor(tensor, outsides.get(_name(tensor)))}")
    lines += [f"param {p} = {_default(d)}" for p, d in writer.parameters.items()]
    lines += [f"size {_name(s)} = {expression(writer.size(value))}" for s, value in (sizes or {}).items()]
    definitions = [writer.definition(equation) for equation in equations]
    lines += writer.ranges(ranges or {}, inputs, definitions)
    lines += [f"require {expression(writer.condition(c, True))}" for c in require]
    for element, body in definitions:
        lines += broken(f"{expression(element)} = {expression(body)}")
    named = [_name(o) for o in outputs] if outputs is not None else [definitions[-1][0].tensor] if definitions else []
    lines += [f"output {', '.join(named)}"] if named else []
    return read("\n".join(lines) + "\n", f"{name} (written from SymPy)")


def _name(thing: Any) -> str:
    """The name of a tensor, size, parameter or index."""
    if isinstance(thing, sympy.IndexedBase | sympy.Idx):
        thing = thing.label
    if isinstance(thing, sympy.Indexed):
        thing = thing.base.label
    return str(getattr(thing, "name", thing))


def _default(value: Any) -> str:
    if isinstance(value, int):
        return f"{value} integer"
    return expression(n.Number(_fraction(value)))


def _fraction(value: Any) -> Fraction:
    """A number exactly as it is written in decimals."""
    if isinstance(value, sympy.Rational):
        return Fraction(int(value.p), int(value.q))
    return Fraction(str(value))


@dataclass(slots=True)
class _Writer:
    """Turns the SymPy expressions of one layer into expressions in the order of the textbooks."""

    layer: str
    tensors: list[str]
    parameters: dict[str, Any]
    extents: dict[str, Any] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    where: str = ""

    def _order(self) -> Textbook:
        return Textbook(self.tensors, list(self.parameters), self.left)

    def error(self, message: str, advice: str) -> NotationError:
        """An error that says in which equation the trouble is."""
        return NotationError(f"{self.layer}, {self.where or 'declarations'}: {message}", advice=advice)

    # declarations and equations

    def tensor(self, tensor: Any, outside: Any) -> str:
        """`x[N, C] outside 0`."""
        text = _name(tensor)
        if isinstance(tensor, sympy.IndexedBase):
            if tensor.shape is None:
                raise self.error(f"input {text} has no shape", f"Write IndexedBase('{text}', shape=(N, C)).")
            text += f"[{', '.join(str(getattr(axis, 'name', axis)) for axis in tensor.shape)}]"
        if outside is None:
            return text
        value = sympy.sympify(outside)
        written = {sympy.oo: "inf", -sympy.oo: "-inf"}.get(value) or expression(n.Number(_fraction(value)))
        return f"{text} outside {written}"

    def size(self, value: Any) -> Expr:
        """An expression of sizes and integer parameters."""
        return self.convert(sympy.sympify(value), True, {})

    def definition(self, equation: Any) -> tuple[Read, Expr]:
        """The two sides of `Eq(y[i], ...)`."""
        if not isinstance(equation, sympy.Equality):
            came = "a condition that SymPy has decided" if equation in (True, False) else type(equation).__name__
            raise self.error(f"an equation is expected, but {came} came", "Write Eq(y[i], ...).")
        self.where = f"equation of {_name(equation.lhs)}"
        indices = equation.lhs.indices if isinstance(equation.lhs, sympy.Indexed) else ()
        if not isinstance(equation.lhs, sympy.Indexed | sympy.Symbol):
            raise self.error("the left side is not an element of a tensor", "Write Eq(y[i], ...).")
        self.left = tuple(_name(i) for i in indices)
        left = Read(_name(equation.lhs), tuple(self.convert(i, True, {}) for i in indices))
        body = self.convert(equation.rhs, False, {})
        self.tensors.append(left.tensor)
        return left, body

    def ranges(
        self, given: Mapping[Any, Any], inputs: Sequence[Any], definitions: Sequence[tuple[Read, Expr]]
    ) -> list[str]:
        """A `range` for each index that the axes do not determine."""
        named = {_name(i): self.size(extent) for i, extent in given.items()}
        axes: dict[str, list[Expr]] = {
            _name(t): [Size(str(a)) for a in getattr(t, "shape", None) or ()] for t in inputs
        }
        alone: set[str] = set()
        for left, body in definitions:
            for part in n.walk(body):
                if isinstance(part, Read):
                    for axis, at in zip(axes.get(part.tensor, []), part.indices, strict=False):
                        if isinstance(at, Index) and self.extents.get(at.name) == axis:
                            alone.add(at.name)
            # an axis of a definition says how far an index runs if it is known how far its own index runs
            known = {*alone, *named}
            own = [i.name for i in left.indices if isinstance(i, Index)]
            axes[left.tensor] = [self.extents.get(i, n.ZERO) if i in known else n.ZERO for i in own]
        for index, extent in self.extents.items():
            if index not in alone and index not in named:
                named[index] = extent
        return [f"range {index} = {expression(extent)}" for index, extent in named.items()]

    # expressions

    def convert(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """A SymPy expression as ours; `whole` in an index or a size, `shifts` for sums that do not start at 0."""
        if isinstance(expr, sympy.Rational | sympy.Float):
            return n.Number(_fraction(expr))
        if expr in shifts:
            return shifts[expr]
        for kind, rule in _RULES:
            if isinstance(expr, kind):
                return rule(self, expr, whole, shifts)
        raise self.error(f"{expr} ({type(expr).__name__}) has no counterpart in the notation", _KNOWN)

    def _all(self, parts: Iterable[Any], whole: bool, shifts: Mapping[Any, Expr]) -> list[Expr]:
        return [self.convert(part, whole, shifts) for part in parts]

    def index(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """An `Idx`, whose range is noted."""
        if expr.upper is not None and expr.lower is not None:
            if expr.lower != 0:
                raise self.error(
                    f"index {expr} starts at {expr.lower}", "Let it start at 0 and add to it where it stands."
                )
            self.note(_name(expr), expr.upper - expr.lower + 1)
        return Index(_name(expr), n.ZERO)

    def note(self, index: str, extent: Any) -> None:
        """Keep how far an index runs; it runs equally far everywhere."""
        length = self.size(extent)
        if self.extents.setdefault(index, length) != length:
            both = f"{expression(self.extents[index])} and {expression(length)}"
            raise self.error(f"index {index} runs over {both}", "Use two different indices.")

    def symbol(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """A size, a parameter or a scalar; which of them, the reader finds out."""
        if expr.name in self.left or expr.name in self.extents:
            return Index(expr.name, n.ZERO)
        return Read(expr.name, ()) if expr.name in self.tensors else Size(expr.name)

    def indexed(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """`x[i, j + 1]`."""
        return Read(_name(expr), tuple(self._all(expr.indices, True, shifts)))

    def add(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """A sum, in textbook order."""
        terms = self._all(expr.args, whole, shifts)
        return n.add(*self._order().sum(terms, whole))

    def mul(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """A product, in textbook order."""
        return n.mul(*self._order().product(self._all(expr.args, whole, shifts)))

    def power(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """A power."""
        return n.power(*self._all(expr.args, whole, shifts))

    def reduction(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """`Sum` and `Product` with their limits."""
        bound, moved = [], dict(shifts)
        for index, low, high in expr.limits:
            name = _name(index)
            self.note(name, high - low + 1)
            bound.append(Index(name, n.ZERO))
            moved[index] = n.add(Index(name, n.ZERO), self.size(low))
        body = self.convert(expr.function, whole, moved)
        return n.Reduce("sum" if isinstance(expr, sympy.Sum) else "prod", tuple(bound), body)

    def function(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """A function of the notation, under SymPy's name for it or under ours."""
        name = _NAMES.get(type(expr)) or type(expr).__name__
        if isinstance(expr, AppliedUndef) and name.startswith("reduce_"):
            return self._named_reduction(name.removeprefix("reduce_"), expr.args, shifts)
        if name == "clip":
            return n.Clip(*self._all(expr.args, True, shifts))
        if name == "where":
            condition, then, other = expr.args
            branches = self._all((then, other), whole, shifts)
            return n.where(self.condition(condition, False, shifts), *branches)
        if FUNCTIONS.get(name) != len(expr.args):
            raise self.error(f"{name} of {len(expr.args)} arguments is not a function of the notation", _KNOWN)
        return n.call(name, *self._all(expr.args, whole, shifts))

    def _named_reduction(self, operation: str, arguments: Sequence[Any], shifts: Mapping[Any, Expr]) -> Expr:
        body, *indices = arguments
        bound = tuple(self.convert(i, True, shifts) for i in indices)
        if operation not in (*REDUCTIONS, *POSITIONS) or not all(isinstance(i, Index) for i in bound):
            raise self.error(
                f"{operation} reduces over something that is not an index", "Give it indices: over=(i, j)."
            )
        reduced = self.convert(body, False, shifts)
        if operation in POSITIONS:
            return n.Arg(operation.removeprefix("arg"), bound, reduced)  # type: ignore[arg-type]
        return n.Reduce(operation, bound, reduced)  # type: ignore[arg-type]

    def extremum(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """`Max` and `Min`, whose arguments SymPy keeps as a set: in textbook order, nested from the left."""
        first, *others = self._order().product(self._all(expr.args, whole, shifts))
        for other in others:
            first = n.Call("max" if isinstance(expr, sympy.Max) else "min", (first, other))
        return first

    def floor(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """`floor(a/b)`, which is what SymPy makes of `a // b`."""
        inner = expr.args[0]
        dividend, divisor = sympy.fraction(sympy.together(inner) if inner.is_Add else inner)
        return n.floor_divide(self.convert(dividend, True, shifts), self._divisor(divisor, shifts))

    def remainder(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """`a % b`."""
        dividend, divisor = expr.args
        return n.modulo(self.convert(dividend, True, shifts), self._divisor(divisor, shifts))

    def _divisor(self, expr: Any, shifts: Mapping[Any, Expr]) -> Expr:
        divisor = self.convert(expr, True, shifts)
        below_one = isinstance(divisor, n.Number) and divisor.value < 1
        if below_one or any(isinstance(e, n.Index) for e in n.walk(divisor)):
            raise self.error(f"a whole number is divided by {expr}", "Divide by parameters, sizes and integers.")
        return divisor

    def piecewise(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """`Piecewise((a, condition), (b, True))`."""
        if expr.args[-1].cond is not sympy.true:
            raise self.error(f"{expr} has no last branch", "End it with (value, True).")
        result = self.convert(expr.args[-1].expr, whole, shifts)
        for branch in reversed(expr.args[:-1]):
            value = self.convert(branch.expr, whole, shifts)
            result = n.where(self.condition(branch.cond, False, shifts), value, result)
        return result

    def delta(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """`KroneckerDelta(i, j)`."""
        both = self._all(expr.args[:2], True, shifts)
        left, right = sorted(self._order().product(both), key=lambda side: isinstance(side, n.Number))
        return n.where(n.Compare("==", left, right), n.ONE, n.ZERO)

    def constant(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr]) -> Expr:
        """Euler's number and pi."""
        return n.Constant("pi") if expr is sympy.pi else n.Call("exp", (n.ONE,))

    def condition(self, expr: Any, whole: bool, shifts: Mapping[Any, Expr] | None = None) -> Expr:
        """A comparison, or several joined."""
        shifts = shifts or {}
        if isinstance(expr, Relational):
            return n.Compare(_NAMES[type(expr)], *self._all(expr.args, whole, shifts))
        if isinstance(expr, And | Or | Not):
            parts = [self.condition(part, whole, shifts) for part in expr.args]
            if isinstance(expr, Not):
                return n.Logic("not", tuple(parts))
            parts.sort(key=expression)
            return n.both(*parts) if isinstance(expr, And) else n.Logic("or", tuple(parts))
        advice = "Write a > b, Eq(a, b), Ne(a, b); == compares SymPy objects at once."
        raise self.error(f"{expr} is not a condition that depends on anything", advice)


_KNOWN = "It knows Add, Mul, Pow, Sum, Product, Piecewise, Indexed, Idx, floor, Mod, Max, Min and " + ", ".join(
    FUNCTIONS
)
_Rule = Callable[[_Writer, Any, bool, Mapping[Any, Expr]], Expr]
_RULES: tuple[tuple[Any, _Rule], ...] = (
    (sympy.Idx, _Writer.index),
    (sympy.Indexed, _Writer.indexed),
    (sympy.Symbol, _Writer.symbol),
    ((sympy.core.numbers.Exp1, sympy.core.numbers.Pi), _Writer.constant),
    (sympy.Add, _Writer.add),
    (sympy.Mul, _Writer.mul),
    (sympy.exp, _Writer.function),
    (sympy.Pow, _Writer.power),
    ((sympy.Sum, sympy.Product), _Writer.reduction),
    ((sympy.Max, sympy.Min), _Writer.extremum),
    (sympy.floor, _Writer.floor),
    (sympy.Mod, _Writer.remainder),
    (sympy.Piecewise, _Writer.piecewise),
    (sympy.KroneckerDelta, _Writer.delta),
    (sympy.Function, _Writer.function),
)
