r"""Where a long formula is broken: at a plus or minus, and inside a bracket only where it must be.

The right-hand side comes as lines that fit the page, the later ones with their sign in front. A bracket that spans
lines is of a fixed size, since `\left` and `\right` cannot.
"""

from __future__ import annotations

from symbackprop.emit.latex_expression import PRODUCT, Printer, juxtapose
from symbackprop.emit.latex_names import Spelling
from symbackprop.emit.latex_products import arrange, split_sign
from symbackprop.emit.latex_tree import width
from symbackprop.notation.nodes import Add, Expr, Mul, Partial, Read, Reduce

ROUND, SQUARE = (r"\Bigl(", r"\Bigr)"), (r"\Bigl[", r"\Bigr]")
INDENT = 3.0
CROWDED = 0.55  # of the room: what stands before a long factor gets a line of its own above this


def lines(expr: Expr, spelling: Spelling, used: float = 0.0) -> tuple[str, ...]:
    """The lines of an expression; `used` is how much of the page the left-hand side takes."""
    return tuple(_lines(expr, Printer(spelling), spelling.page - used))


def _lines(expr: Expr, printer: Printer, room: float) -> list[str]:
    whole = printer.text(expr)
    if width(whole) <= room:
        return [whole]
    negative, size = split_sign(expr)
    if negative:
        return _before("-", _lines(size, printer, room - 1.0))
    match expr:
        case Add():
            return _sum(expr, printer, room)
        case Reduce():
            return _reduction(expr, printer, room)
        case Mul(factors):
            return _product(factors, printer, room)
        case Partial(value, variable) if not isinstance(value, Read):
            sign = printer.operator(variable)
            return _bracketed(sign, value, printer, room, SQUARE)
        case _:
            return [whole]


def _before(sign: str, rest: list[str]) -> list[str]:
    return [f"{sign} {rest[0]}", *rest[1:]]


def _bracketed(sign: str, body: Expr, printer: Printer, room: float, brackets: tuple[str, str]) -> list[str]:
    inside = _lines(body, printer, room - width(sign) - INDENT)
    left, right = brackets
    inside[-1] += f" {right}"
    return [f"{sign} {left} {inside[0]}", *inside[1:]]


def _sum(expr: Add, printer: Printer, room: float) -> list[str]:
    """As many terms on a line as fit; a term that is too long by itself is broken in turn."""
    made: list[str] = []
    for at, term in enumerate(printer.in_order(expr.terms)):
        negative, size = split_sign(term)
        sign = "-" if negative else "+" if at else ""
        pieces = _lines(size, printer, room - INDENT)
        if len(pieces) == 1:
            pieces = [printer.text(size, PRODUCT)]
        pieces[0] = f"{sign} {pieces[0]}".strip()
        if made and len(pieces) == 1 and width(made[-1]) + width(pieces[0]) <= room - INDENT:
            made[-1] += f" {pieces[0]}"
        else:
            made.extend(pieces)
    return made


def _reduction(expr: Reduce, printer: Printer, room: float) -> list[str]:
    sign, inner, body = printer.sign_and_body(expr)
    if isinstance(body, Add) or split_sign(body)[0]:
        return _bracketed(sign, body, inner, room, ROUND)
    return _beside(sign, body, inner, room)


def _product(factors: tuple[Expr, ...], printer: Printer, room: float) -> list[str]:
    """The last factor is broken, if it can be; what stands before it stays on one line."""
    groups = arrange(factors)
    last = groups[-1]
    tail = last.above[-1] if last.above and not last.below else None
    parts = printer.product_parts(factors)
    if tail is None or len(parts) < 2:
        return [juxtapose(parts)]
    sign = juxtapose(parts[:-1])
    if isinstance(tail, Add):
        return _bracketed(sign, tail, printer, room, ROUND)
    return _beside(sign, tail, printer, room)


def _beside(sign: str, body: Expr, printer: Printer, room: float) -> list[str]:
    """`sign body`, or the body on the next line where the sign takes most of this one."""
    taken = width(sign)
    if taken <= CROWDED * room:
        return _before(sign, _lines(body, printer, room - taken))
    beside = printer.text(body, PRODUCT)
    if taken + width(beside) <= room:
        return [f"{sign} {beside}"]
    return [sign, *_lines(body, printer, room - INDENT)]
