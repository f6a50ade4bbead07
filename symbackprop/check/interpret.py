"""The meaning of every node of the language, one small loop each: slow, obvious, and the second opinion.

A point (`point.py`) says what everything that an expression can name is worth: sizes, parameters, the
elements of tensors. `Interpreter` turns an expression into a Python function of its free indices. Index
expressions, sizes and conditions on them are exact integers (or rationals); everything else is a number of
the point's arithmetic.
The branch of a `where` that is not taken is never looked at, and a zero Kronecker delta silences its product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import product
from typing import Any, Protocol, TypeAlias, cast

from symbackprop.check.arithmetic import Arithmetic, Value
from symbackprop.check.exact import COMPARE, Exact, ExactMeaning, Places, lean, operation, reduction, whole
from symbackprop.errors import InternalError, UserError
from symbackprop.notation.nodes import (
    Add,
    Arg,
    Call,
    Clip,
    Compare,
    Constant,
    Delta,
    Expr,
    FloorDiv,
    Index,
    Infinity,
    Logic,
    Mod,
    Mul,
    Number,
    Parameter,
    Partial,
    Pow,
    Read,
    Reduce,
    Size,
    Where,
    parts,
    walk,
)

Key: TypeAlias = tuple[int, ...]
Meaning: TypeAlias = Callable[[Places], Value]
Condition: TypeAlias = Callable[[Places], bool]
Rows: TypeAlias = Callable[[Key], dict[Any, Value]]


class Names(Protocol):
    """What the names in an expression are worth; `point.Point` is one."""

    arithmetic: Arithmetic

    def size(self, name: str) -> int: ...
    def parameter(self, name: str) -> Exact: ...
    def is_integer(self, tensor: str) -> bool: ...
    def reader(self, tensor: str) -> Callable[[Key], Value]: ...
    def local_slopes(self, value: Expr, variable: str) -> tuple[tuple[Expr, ...], Rows]: ...


def evaluate(expr: Expr, point: Names, at: Mapping[Index, int] | None = None) -> Value:
    """The value of `expr` at the point, its free indices as given by `at`.

    Raises UserError where a read falls outside its box without an outside value, or an index has no value.
    """
    at = at or {}
    interpreter = Interpreter(point, tuple(at))
    return interpreter.real(expr)(interpreter.places(at.values()))


def evaluate_exact(expr: Expr, point: Names, at: Mapping[Index, int] | None = None) -> Exact:
    """The exact value of a size, an extent or an index expression."""
    at = at or {}
    interpreter = Interpreter(point, tuple(at))
    return interpreter.exact(expr)(interpreter.places(at.values()))


def holds(condition: Expr, point: Names, at: Mapping[Index, int] | None = None) -> bool:
    """Whether a condition holds at the point."""
    at = at or {}
    interpreter = Interpreter(point, tuple(at))
    return interpreter.condition(condition)(interpreter.places(at.values()))


class Interpreter:
    """Expressions over a point, as functions of the values of `indices` (those that are free in them)."""

    def __init__(self, point: Names, indices: tuple[Index, ...] = ()) -> None:
        self.point, self.arithmetic = point, point.arithmetic
        self._slots: dict[Index, int] = {index: slot for slot, index in enumerate(indices)}
        self._free = len(indices)
        self._scope: list[Index] = list(indices)

    def places(self, values: object = ()) -> Places:
        """A list with a slot for every index that was met; the free ones have the given values."""
        given = list(values)  # type: ignore[call-overload]
        return [*given, *[0] * (len(self._slots) - len(given))]

    # ------------------------------------------------------------------------------------------ real

    def real(self, expr: Expr) -> Meaning:
        """The meaning of a real expression."""
        match expr:
            case Number() | Size() | Parameter():
                return self._always(self.arithmetic.number(self._now(expr)))
            case Constant(name):
                return self._always(self.arithmetic.constant(name))
            case Infinity(sign):
                return self._always(self.arithmetic.infinity(sign))
            case Read(tensor, indices):
                return self._integer_as_real(expr) if self.point.is_integer(tensor) else self._read(tensor, indices)
            case Add(terms):
                return self._add([self.real(term) for term in terms])
            case Mul(factors):
                return self._multiply(factors)
            case Pow(base, exponent):
                return self._power(base, exponent)
            case Call(("max" | "min") as operation, (a, b)):
                return self._choice(operation, self.real(a), self.real(b))
            case Call(function, (argument,)):
                call, inner = self.arithmetic.call, self.real(argument)
                return lambda places: call(function, inner(places))
            case Reduce():
                return self._reduce(expr)
            case Where(condition, then, other):
                test, yes, no = self.condition(condition), self.real(then), self.real(other)
                return lambda places: yes(places) if test(places) else no(places)
            case Partial():
                return self._partial(expr)
            case Index() | FloorDiv() | Mod() | Clip() | Arg() | Delta():
                return self._integer_as_real(expr)
            case _:
                raise InternalError(f"the interpreter has no meaning for {expr!r} as a real number")

    @staticmethod
    def _always(value: Value) -> Meaning:
        return lambda places: value

    def _integer_as_real(self, expr: Expr) -> Meaning:
        number, inner = self.arithmetic.number, self.exact(expr)
        return lambda places: number(inner(places))

    def _read(self, tensor: str, indices: tuple[Expr, ...]) -> Meaning:
        keys, read = self._keys(indices), self.point.reader(tensor)
        return lambda places: read(tuple([key(places) for key in keys]))

    def _keys(self, indices: tuple[Expr, ...]) -> list[Callable[[Places], int]]:
        return [self._integer(index) for index in indices]

    def _integer(self, expr: Expr) -> Callable[[Places], int]:
        """The meaning of an exact expression where only an integer will do."""
        meaning = self.exact(expr)
        if isinstance(expr, Index | Size):
            return cast("Callable[[Places], int]", meaning)
        if any(isinstance(e, Pow) or (isinstance(e, Number) and e.value.denominator > 1) for e in walk(expr)):
            return lambda places: whole(meaning(places))
        return cast("Callable[[Places], int]", meaning)

    def _add(self, terms: list[Meaning]) -> Meaning:
        total = self.arithmetic.total
        return lambda places: total([term(places) for term in terms])

    def _multiply(self, factors: tuple[Expr, ...]) -> Meaning:
        """Deltas first: where one is zero, the rest of the product is not looked at."""
        deltas = [self.exact(f) for f in factors if isinstance(f, Delta)]
        others = [self.real(f) for f in factors if not isinstance(f, Delta)]
        zero, one, multiply = self.arithmetic.number(0), self.arithmetic.number(1), self.arithmetic.multiply

        def meaning(places: Places) -> Value:
            if not all(delta(places) for delta in deltas):
                return zero
            result = others[0](places) if others else one
            for other in others[1:]:
                result = multiply(result, other(places))
            return result

        return meaning

    def _power(self, base: Expr, exponent: Expr) -> Meaning:
        inner = self.real(base)
        if self.is_exact(exponent):
            power, exact = self.arithmetic.power, self.exact(exponent)
            return lambda places: power(inner(places), Fraction(exact(places)))
        general, upper = self.arithmetic.general_power, self.real(exponent)
        return lambda places: general(inner(places), upper(places))

    def _choice(self, operation: str, a: Meaning, b: Meaning) -> Meaning:
        beats = self.arithmetic.beats

        def meaning(places: Places) -> Value:
            holder, challenger = a(places), b(places)
            return challenger if beats(operation, challenger, holder) else holder

        return meaning

    # ------------------------------------------------------------------------------------ reductions

    def _reduce(self, expr: Reduce) -> Meaning:
        points = self._points(expr.indices)
        body = self._inside(expr.indices, expr.body)
        arithmetic = self.arithmetic
        if expr.operation == "sum":
            return lambda places: arithmetic.total([body(places) for _ in points(places)])
        if expr.operation in ("max", "min"):
            return lambda places: self._extremum(expr, [body(places) for _ in points(places)])[1]

        def meaning(places: Places) -> Value:
            values = [body(places) for _ in points(places)]
            if expr.operation == "mean":
                if not values:
                    raise UserError("a mean over an empty range")
                return arithmetic.multiply(arithmetic.total(values), arithmetic.number(Fraction(1, len(values))))
            result = arithmetic.number(1)
            for value in values:
                result = arithmetic.multiply(result, value)
            return result

        return meaning

    def _extremum(self, expr: Reduce | Arg, values: list[Value]) -> tuple[int, Value]:
        if not values:
            raise UserError(f"a {expr.operation} over an empty range")
        best = 0
        for at, value in enumerate(values):
            if at and self.arithmetic.beats(expr.operation, value, values[best]):
                best = at
        return best, values[best]

    def _inside(self, indices: tuple[Index, ...], body: Expr) -> Meaning:
        self._scope.extend(indices)
        meaning = self.real(body)
        del self._scope[len(self._scope) - len(indices) :]
        return meaning

    def count(self, ranges: list[range]) -> None:
        """Called with the ranges of a reduction before it is computed: one that bounds its work may refuse."""

    def _points(self, indices: tuple[Index, ...]) -> Callable[[Places], Iterator[None]]:
        """Steps through the domain in row-major order; the slots are given back as they were found."""
        slots = [self._slots.setdefault(index, len(self._slots)) for index in indices]
        extents = [self._integer(index.extent) for index in indices]

        def points(places: Places) -> Iterator[None]:
            before = [places[slot] for slot in slots]
            ranges = [range(extent(places)) for extent in extents]
            self.count(ranges)
            for values in product(*ranges):
                for slot, value in zip(slots, values, strict=True):
                    places[slot] = value
                yield
            for slot, value in zip(slots, before, strict=True):
                places[slot] = value

        return points

    def _partial(self, expr: Partial) -> Meaning:
        """The local derivative, by dual numbers: all that `value` reads by another name is held fixed."""
        arguments, slopes = self._local_slopes(expr.value, expr.variable.tensor)
        rows, keys = self._keys(arguments), self._keys(expr.variable.indices)
        zero = self.arithmetic.number(0)

        def meaning(places: Places) -> Value:
            row = slopes(tuple([row(places) for row in rows]))
            return row.get(tuple([key(places) for key in keys]), zero)

        return meaning

    def _local_slopes(self, value: Expr, variable: str) -> tuple[tuple[Expr, ...], Rows]:
        return self.point.local_slopes(value, variable)

    # ----------------------------------------------------------------------------------------- exact

    def is_exact(self, expr: Expr) -> bool:
        """Whether the expression is made of numbers, indices, sizes, parameters and integer tensors alone."""
        match expr:
            case Number() | Size() | Parameter() | Index() | Arg() | Delta():
                return True
            case Read(tensor, _):
                return self.point.is_integer(tensor)
            case Add() | Mul() | FloorDiv() | Mod() | Clip() | Reduce():
                return all(self.is_exact(part) for part in parts(expr))
            case Pow(base, exponent):
                return self.is_exact(base) and isinstance(exponent, Number) and exponent.value.denominator == 1
            case Call(("max" | "min" | "abs" | "sign"), arguments):
                return all(self.is_exact(argument) for argument in arguments)
            case Where(_, then, other):
                return self.is_exact(then) and self.is_exact(other)
            case _:
                return False

    def exact(self, expr: Expr) -> ExactMeaning:
        """The meaning of an expression of integers: an index, a size, a condition's side."""
        match expr:
            case Number() | Size() | Parameter():
                value = self._now(expr)
                return lambda places: value
            case Index():
                return self._index(expr)
            case Read(tensor, indices):
                return self._read(tensor, indices)
            case Arg(_, indices, body):
                points, inner = self._points(indices), self._inside(indices, body)
                return lambda places: self._extremum(expr, [inner(places) for _ in points(places)])[0]
            case Reduce(name, indices, body):
                points, summand = self._points(indices), self._exact_inside(indices, body)
                return lambda places: reduction(name, [summand(places) for _ in points(places)])
            case Where(condition, then, other):
                test, yes, no = self.condition(condition), self.exact(then), self.exact(other)
                return lambda places: yes(places) if test(places) else no(places)
            case _:
                return operation(expr, self._merged(expr))

    def _merged(self, expr: Expr) -> list[ExactMeaning]:
        """The parts of an operation; those of a sum or a product that no index moves as one number, found now."""
        inner = parts(expr)
        still = [part for part in inner if _is_settled(part)] if isinstance(expr, Add | Mul) else []
        if len(still) < 2:
            return [self.exact(part) for part in inner]
        value = operation(expr, [self.exact(part) for part in still])([])
        known = lean(value) if isinstance(value, Fraction) else value
        return [lambda places: known, *(self.exact(part) for part in inner if part not in still)]

    def _exact_inside(self, indices: tuple[Index, ...], body: Expr) -> ExactMeaning:
        self._scope.extend(indices)
        meaning = self.exact(body)
        del self._scope[len(self._scope) - len(indices) :]
        return meaning

    def _index(self, index: Index) -> ExactMeaning:
        if index not in self._scope:
            raise UserError(f"index {index.name}{chr(39) * index.copy} is not bound and has no value")
        slot = self._slots[index]
        return lambda places: places[slot]

    def _now(self, expr: Number | Size | Parameter) -> Exact:
        """What a leaf is worth, wherever the indices stand."""
        if isinstance(expr, Number):
            return lean(expr.value)
        return self.point.size(expr.name) if isinstance(expr, Size) else self.point.parameter(expr.name)

    # ------------------------------------------------------------------------------------ conditions

    def condition(self, expr: Expr) -> Condition:
        """The meaning of a condition; one of exact sides is decided exactly."""
        match expr:
            case Logic("and", arguments):
                tests = [self.condition(a) for a in arguments]
                return lambda places: all(test(places) for test in tests)
            case Logic("or", arguments):
                tests = [self.condition(a) for a in arguments]
                return lambda places: any(test(places) for test in tests)
            case Logic("not", (argument,)):
                test = self.condition(argument)
                return lambda places: not test(places)
            case Compare(operation, left, right) if self.is_exact(left) and self.is_exact(right):
                compare, a, b = COMPARE[operation], self.exact(left), self.exact(right)
                return lambda places: compare(a(places), b(places))
            case Compare(operation, left, right):
                return self._compare(operation, self.real(left), self.real(right))
            case _:
                raise InternalError(f"the interpreter has no meaning for {expr!r} as a condition")

    def _compare(self, operation: str, a: Meaning, b: Meaning) -> Condition:
        less, equal = self.arithmetic.less, self.arithmetic.equal
        decide: dict[str, Callable[[Value, Value], bool]] = {
            "<": less,
            ">": lambda x, y: less(y, x),
            "<=": lambda x, y: less(x, y) or equal(x, y),
            ">=": lambda x, y: less(y, x) or equal(x, y),
            "==": equal,
            "!=": lambda x, y: not equal(x, y),
        }
        test = decide[operation]
        return lambda places: test(a(places), b(places))


def _is_settled(expr: Expr) -> bool:
    """Whether a sum or product of numbers, sizes and parameters: it has one value at a point, and cannot fail."""
    if isinstance(expr, Add | Mul):
        return all(_is_settled(part) for part in parts(expr))
    return isinstance(expr, Number | Size | Parameter)
