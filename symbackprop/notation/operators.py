"""What the operators mean: sums, products with `/`, `//` and `%`, powers; numbers are folded within bounds."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from symbackprop.notation import nodes as n
from symbackprop.notation.nodes import Expr
from symbackprop.notation.syntax import Node

if TYPE_CHECKING:
    from symbackprop.notation.meaning import Context, Meaning

MAX_BITS = 8_000
MAX_EXPONENT = 300  # of ten


def total(meaning: Meaning, node: Node, context: Context) -> Expr:
    """`a + b - c`."""
    signs = ["+", *node.text.split()]
    terms = [meaning.read(part, context) for part in node.parts]
    _check_folding(meaning, node, terms)
    return n.add(*(t if sign == "+" else n.negative(t) for sign, t in zip(signs, terms, strict=True)))


def minus(meaning: Meaning, node: Node, context: Context) -> Expr:
    """`-a`."""
    return n.negative(meaning.read(node.parts[0], context))


def product(meaning: Meaning, node: Node, context: Context) -> Expr:
    """`a * b / c`, and `//` and `%` of integers, from left to right."""
    operators = node.text.split()
    cut = max((at for at, o in enumerate(operators) if o in ("//", "%")), default=-1)
    factors = [_whole(meaning, node, operators, cut, context)] if cut >= 0 else [meaning.read(node.parts[0], context)]
    for operator, part in list(zip(operators, node.parts[1:], strict=True))[max(cut + 1, 0) :]:
        factor = meaning.read(part, context)
        factors.append(_inverse(meaning, part, factor, context) if operator == "/" else factor)
    _check_folding(meaning, node, factors)
    return n.mul(*factors)


def _inverse(meaning: Meaning, node: Node, divisor: Expr, context: Context) -> Expr:
    if context.mode in ("index", "size"):
        raise meaning.error(node, f"`/` stands in {meaning.place_of(context)}", "Floor division is written //.")
    if divisor == n.ZERO:
        raise meaning.error(node, "division by zero", "Divide by something else.")
    return n.power(divisor, n.MINUS_ONE)


def _whole(meaning: Meaning, node: Node, operators: list[str], cut: int, context: Context) -> Expr:
    """The part of a product up to its last `//` or `%`: both sides are integers."""
    inside = replace(context, mode="index") if context.mode == "value" else context
    if context.mode == "number":
        raise meaning.error(node, f"`{operators[cut]}` stands where a number is expected", "Write the number.")
    rest = node.parts[: cut + 1]
    left = Node("product", " ".join(operators[:cut]), rest, node.line, node.column) if cut else rest[0]
    dividend, divisor = meaning.read(left, inside), _divisor(meaning, node.parts[cut + 1], inside)
    return n.floor_divide(dividend, divisor) if operators[cut] == "//" else n.modulo(dividend, divisor)


def _divisor(meaning: Meaning, node: Node, context: Context) -> Expr:
    divisor = meaning.read(node, context)
    if divisor == n.ZERO:
        raise meaning.error(node, "division by zero", "Divide by something else.")
    if isinstance(divisor, n.Number) and divisor.value < 1:
        raise meaning.error(node, "a whole number is divided by a negative one", "Divide by 1 or more.")
    if any(isinstance(e, n.Index | n.Read) for e in n.walk(divisor)):
        message = "an index is divided by something that differs from element to element"
        raise meaning.error(node, message, "A divisor is made of integers, integer parameters and sizes.")
    return divisor


def power(meaning: Meaning, node: Node, context: Context) -> Expr:
    """`a ^ b`."""
    if context.mode in ("index", "size"):
        raise meaning.error(node, f"`^` stands in {meaning.place_of(context)}", "Write the product out: n*n.")
    left, right = node.parts
    return raised(meaning, node, meaning.read(left, context), meaning.read(right, context))


def raised(meaning: Meaning, node: Node, left: Expr, right: Expr) -> Expr:
    """`left ^ right`, if that is a number that can be written down."""
    if left == n.ZERO and isinstance(right, n.Number) and right.value < 0:
        raise meaning.error(node, "division by zero", "Divide by something else.")
    if isinstance(left, n.Number) and isinstance(right, n.Number) and _too_far(left.value, right.value):
        raise meaning.error(node, "the power is too large or too small", "Write a smaller exponent.")
    return n.power(left, right)


def _too_far(base: Fraction, exponent: Fraction) -> bool:
    """Whether a power of numbers has too many digits, or leaves the floating-point numbers."""
    if bits(n.Number(base)) * abs(exponent) > MAX_BITS:
        return True
    return bool(base) and abs(exponent) * abs(math.log10(abs(base))) > MAX_EXPONENT


def _check_folding(meaning: Meaning, node: Node, parts: list[Expr]) -> None:
    if sum(bits(part) for part in parts) > MAX_BITS:
        raise meaning.error(node, "the numbers have too many digits together", "Write the result as one number.")


def bits(expr: Expr) -> int:
    """How long the numbers are that would be folded with others."""
    if isinstance(expr, n.Add | n.Mul):
        return sum(bits(part) for part in n.parts(expr) if isinstance(part, n.Number))
    if not isinstance(expr, n.Number):
        return 0
    return expr.value.numerator.bit_length() + expr.value.denominator.bit_length()
