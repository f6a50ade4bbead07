"""Expressions and layers as text, with as few parentheses as the notation needs.

`to_text` is read back to the same layer. `expression` also prints what only derivations contain (deltas, partial
derivatives, primed indices).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import groupby

from symbackprop.errors import InternalError
from symbackprop.notation.layer import Hyperparameter, Layer, Tensor
from symbackprop.notation.nodes import (
    MINUS_ONE,
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
    mul,
    power,
    walk,
)

WIDTH = 118
# how tightly the outermost operator of a printed expression binds
_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _MINUS, _POWER, _ATOM = range(9)
Printed = tuple[str, int]
MANY_ZEROS = 7  # at the end of a number, that are easier to read as an exponent
HALF = Number(Fraction(1, 2))
_BREAK = re.compile(r"\*| [-+] |, | and | or ")


def expression(expr: Expr) -> str:
    """The expression as text: `gamma[c]*xhat[n,c,h,w] + beta[c]`."""
    return _print(expr)[0]


def to_text(layer: Layer) -> str:
    """The layer in the equation notation.

    Raises: InternalError where the layer contains what the notation cannot say (a delta, a partial derivative).
    """
    lines = [f"# {line}".rstrip() for line in layer.doc.split("\n")] if layer.doc else []
    lines.append(f"layer {layer.name}")
    for kind, tensors in groupby(layer.inputs, key=lambda t: t.kind):
        lines += _listed("input" if kind == "real" else "integer", map(_tensor, tensors))
    lines += _listed("param", map(_parameter, layer.parameters))
    lines += [f"size {size.name} = {expression(size.value)}" for size in layer.sizes]
    lines += _listed("range", (f"{r.index} = {expression(r.extent)}" for r in layer.ranges))
    lines += [f"require {expression(r.condition)}" for r in layer.requirements]
    lines.append("")
    lines += _definitions(layer)
    lines += _listed("output", layer.outputs)
    return "\n".join(lines) + "\n"


# lines


def _listed(word: str, items: Iterable[str]) -> list[str]:
    """`word a, b, c`, on as many lines as the width asks for."""
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(item) + 2 <= WIDTH:
            lines[-1] += f", {item}"
        else:
            lines.append(f"{word} {item}")
    return lines


def _tensor(tensor: Tensor) -> str:
    axes = f"[{', '.join(axis.name for axis in tensor.axes)}]" if tensor.axes else ""
    outside = f" outside {expression(tensor.outside)}" if tensor.outside is not None else ""
    return f"{tensor.name}{axes}{outside}"


def _parameter(parameter: Hyperparameter) -> str:
    return f"{parameter.name} = {_number(parameter.default)}" + (" integer" if parameter.integer else "")


def _definitions(layer: Layer) -> list[str]:
    left = [expression(definition.element) for definition in layer.definitions]
    width = max((len(text) for text in left if len(text) <= 24), default=0)
    lines: list[str] = []
    for text, definition in zip(left, layer.definitions, strict=True):
        inside = definition.body.body if isinstance(definition.body, Arg) else definition.body
        for part in walk(inside):
            if isinstance(part, Arg | Delta | Partial | Infinity):
                raise InternalError(f"{definition.name} contains {expression(part)}, which the notation cannot say")
        lines += broken(f"{text:<{width}} = {expression(definition.body)}")
    return lines


def broken(line: str, width: int = WIDTH) -> list[str]:
    """A long definition on several lines, each but the last ending after an operator or a comma inside brackets."""
    if len(line) > width and not _breaks(line, width, 0):
        left, _, right = line.partition(" = ")
        line = f"{left} = ({right})"
    lines: list[str] = []
    depth = 0
    while len(line) > width and (places := _breaks(line, width, depth)):
        # the outermost operator, and of those the last that fits
        at = min(places, key=lambda place: (place[1], -place[0]))[0]
        depth += _depth(line[:at])
        lines.append(line[:at].rstrip())
        line = "    " + line[at:].lstrip()
    return [*lines, line]


def _depth(text: str) -> int:
    """How many brackets a text opens and does not close."""
    return sum((c in "([") - (c in ")]") for c in text)


def _breaks(line: str, width: int, depth: int) -> list[tuple[int, int]]:
    """Where a line may be broken before `width`: after an operator or a comma in brackets, with the depth there."""
    found: list[tuple[int, int]] = []
    counted = 0
    for place in _BREAK.finditer(line, 20, width):
        depth += _depth(line[counted : place.end()])
        counted = place.end()
        if depth > 0:
            found.append((place.end(), depth))
    return found


# expressions


def _print(expr: Expr) -> Printed:
    rule = _RULES.get(type(expr))
    if rule is None:
        raise InternalError(f"no way to print {type(expr).__name__}")
    return rule(expr)


def _at_least(expr: Expr, binding: int) -> str:
    """The expression, in parentheses if its operator binds less tightly than `binding`."""
    text, own = _print(expr)
    return text if own >= binding else f"({text})"


def _number(value: Fraction) -> str:
    """Exactly: an integer, a decimal where a short one exists, else a fraction."""
    if value.denominator == 1:
        return whole_number(value.numerator)
    return _decimal(value) or f"{value.numerator}/{value.denominator}"


def whole_number(value: int) -> str:
    """The digits; many zeros at the end as an exponent: `1e9`."""
    digits = str(value)
    zeros = len(digits) - len(digits.rstrip("0"))
    return digits if zeros < MANY_ZEROS else f"{digits[:-zeros]}e{zeros}"


def _decimal(value: Fraction) -> str | None:
    """The shortest of `0.044715` and `1e-5`; None if there is no decimal of at most 40 digits."""
    places, rest = 0, value.denominator
    while rest % 10 == 0:
        rest, places = rest // 10, places + 1
    while rest % 2 == 0 or rest % 5 == 0:
        rest, places = (rest // 2 if rest % 2 == 0 else rest // 5), places + 1
    digits = str(abs(value.numerator) * 10**places // value.denominator)
    if rest != 1 or len(digits) > 40:
        return None
    sign = "-" if value < 0 else ""
    if places > len(digits) + 2:
        point = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
        return f"{sign}{point}e-{places - len(digits) + 1}"
    padded = digits.rjust(places + 1, "0")
    return f"{sign}{padded[:-places]}.{padded[-places:]}"


def _print_number(expr: Number) -> Printed:
    text = _number(expr.value)
    if "/" in text:
        return text, _PRODUCT
    return text, (_MINUS if expr.value < 0 else _ATOM)


def _print_index(expr: Index) -> Printed:
    return expr.name + "'" * expr.copy, _ATOM


def _print_read(expr: Read) -> Printed:
    if not expr.indices:
        return expr.tensor, _ATOM
    texts = [expression(index) for index in expr.indices]
    comma = "," if all(text.replace("'", "").isalnum() for text in texts) else ", "
    return f"{expr.tensor}[{comma.join(texts)}]", _ATOM


def _print_sum(expr: Add) -> Printed:
    text = _at_least(expr.terms[0], _PRODUCT)
    for term in expr.terms[1:]:
        flipped = _flipped(term)
        if flipped is None:
            text += f" + {_at_least(term, _PRODUCT)}"
        else:
            text += f" - {_at_least(flipped, _PRODUCT)}"
    return text, _SUM


def _flipped(term: Expr) -> Expr | None:
    """The term without its minus sign, or None where it has none."""
    if isinstance(term, Number) and term.value < 0:
        return Number(-term.value)
    if isinstance(term, Mul) and isinstance(term.factors[0], Number) and term.factors[0].value < 0:
        return mul(Number(-term.factors[0].value), *term.factors[1:])
    return None


def _print_product(expr: Mul) -> Printed:
    first, *others = expr.factors
    if first == MINUS_ONE and _denominator(others[0]) is None:
        # -a*b; but -(a//b), since a sign binds more tightly than a product
        inner = mul(*others)
        return f"-{_at_least(inner, _PRODUCT if isinstance(inner, Mul) else _MINUS)}", _PRODUCT
    if isinstance(first, Number) and "/" in _number(first.value) and _denominator(others[0]) is None:
        # x/3 for the factor 1/3
        head = mul(Number(Fraction(first.value.numerator)), *others)
        return f"{_at_least(head, _PRODUCT)}/{first.value.denominator}", _PRODUCT
    return _quotients(expr.factors), _PRODUCT


def _quotients(factors: Iterable[Expr]) -> str:
    """`a*b/(c*d)*e`: each run of divisors under one stroke."""
    text = ""
    for below, run in groupby(factors, key=lambda factor: _denominator(factor) is not None):
        if not below:
            # floor divisions and fractions stand in parentheses behind an operator
            parts = [_at_least(f, _PRODUCT if isinstance(f, Number) and not text else _POWER) for f in run]
            text += ("*" if text else "") + "*".join(parts)
        else:
            divisors = [_at_least(d, _POWER) for d in map(_denominator, run) if d is not None]
            text = (text or "1") + "/" + (divisors[0] if len(divisors) == 1 else f"({'*'.join(divisors)})")
    return text


def _denominator(expr: Expr) -> Expr | None:
    """`b^2` for `b^(-2)`: what stands under the stroke, or None where nothing does."""
    if isinstance(expr, Pow) and isinstance(expr.exponent, Number) and expr.exponent.value < 0:
        return power(expr.base, Number(-expr.exponent.value))
    return None


def _print_power(expr: Pow) -> Printed:
    below = _denominator(expr)
    if below is not None:
        return f"1/{_at_least(below, _POWER)}", _PRODUCT
    if expr.exponent == HALF:
        return f"sqrt({expression(expr.base)})", _ATOM
    return f"{_at_least(expr.base, _ATOM)}^{_at_least(expr.exponent, _POWER)}", _POWER


def _print_whole(expr: FloorDiv | Mod) -> Printed:
    operator = "//" if isinstance(expr, FloorDiv) else " % "
    dividend = expr.dividend
    # what a sign applies to would be the whole dividend only in parentheses
    left = _at_least(dividend, _PRODUCT)
    if isinstance(dividend, Mul) and dividend.factors[0] == MINUS_ONE and not isinstance(dividend.factors[1], Index):
        left = f"({expression(dividend)})"
    return f"{left}{operator}{_at_least(expr.divisor, _POWER)}", _PRODUCT


def _print_call(expr: Call) -> Printed:
    return f"{expr.function}({', '.join(map(expression, expr.arguments))})", _ATOM


def _print_clip(expr: Clip) -> Printed:
    return f"clip({expression(expr.value)}, {expression(expr.low)}, {expression(expr.high)})", _ATOM


def _print_reduce(expr: Reduce | Arg) -> Printed:
    name = expr.operation if isinstance(expr, Reduce) else f"arg{expr.operation}"
    return f"{name}[{','.join(map(expression, expr.indices))}]({expression(expr.body)})", _ATOM


def _print_compare(expr: Compare) -> Printed:
    return f"{_at_least(expr.left, _SUM)} {expr.operation} {_at_least(expr.right, _SUM)}", _COMPARE


def _print_logic(expr: Logic) -> Printed:
    if not expr.arguments:
        return ("true" if expr.operation == "and" else "false"), _ATOM
    if expr.operation == "not":
        return f"not {_at_least(expr.arguments[0], _NOT)}", _NOT
    own = _AND if expr.operation == "and" else _OR
    return f" {expr.operation} ".join(_at_least(a, own + 1) for a in expr.arguments), own


def _print_where(expr: Where) -> Printed:
    return f"where({', '.join(map(expression, (expr.condition, expr.then, expr.other)))})", _ATOM


def _print_delta(expr: Delta) -> Printed:
    return f"delta({expression(expr.left)}, {expression(expr.right)})", _ATOM


def _print_partial(expr: Partial) -> Printed:
    return f"d({expression(expr.value)})/d({expression(expr.variable)})", _PRODUCT


def _print_name(expr: Size | Parameter | Constant) -> Printed:
    return expr.name, _ATOM


def _print_infinity(expr: Infinity) -> Printed:
    return ("inf", _ATOM) if expr.sign > 0 else ("-inf", _MINUS)


_RULES: dict[type[Expr], Callable[..., Printed]] = {
    Number: _print_number,
    Infinity: _print_infinity,
    Constant: _print_name,
    Size: _print_name,
    Parameter: _print_name,
    Index: _print_index,
    Read: _print_read,
    Add: _print_sum,
    Mul: _print_product,
    Pow: _print_power,
    FloorDiv: _print_whole,
    Mod: _print_whole,
    Clip: _print_clip,
    Call: _print_call,
    Reduce: _print_reduce,
    Arg: _print_reduce,
    Compare: _print_compare,
    Logic: _print_logic,
    Where: _print_where,
    Delta: _print_delta,
    Partial: _print_partial,
}
