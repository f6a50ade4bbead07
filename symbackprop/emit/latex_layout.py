r"""Where a long formula is broken: at a plus or minus, and inside a bracket only where it must be.

The right-hand side comes as lines that fit the page, the later ones with their sign in front. A bracket that spans
lines is of a fixed size, since `\left` and `\right` cannot.
"""

from __future__ import annotations

from itertools import pairwise

from symbackprop.emit.latex_expression import PRODUCT, Printer, juxtapose
from symbackprop.emit.latex_names import Spelling
from symbackprop.emit.latex_products import arrange, split_sign
from symbackprop.emit.latex_tree import width
from symbackprop.notation.nodes import Add, Expr, Mul, Partial, Read, Reduce

ROUND, SQUARE = (r"\Bigl(", r"\Bigr)"), (r"\Bigl[", r"\Bigr]")
INDENT = 3.0
LITTLE, MUCH = 0.25, 0.6  # of the room: what stands before a long factor may have a line of its own, or has to


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
    return [f"{sign} {rest[0]}".strip(), *rest[1:]]


def _bracketed(sign: str, body: Expr, printer: Printer, room: float, brackets: tuple[str, str]) -> list[str]:
    left, right = brackets
    whole = printer.text(body)
    if width(whole) <= room - width(sign) - INDENT:
        return [rf"{sign} \left{left[-1]} {whole} \right{right[-1]}".strip()]
    inside = _lines(body, printer, room - width(sign) - INDENT)
    inside[-1] += f" {right}"
    return [f"{sign} {left} {inside[0]}".strip(), *inside[1:]]


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
    if split_sign(body)[0]:
        return _bracketed(sign, body, inner, room, ROUND)
    parts, tail = _parts(body, inner)
    return _beside([sign, *parts], tail, inner, room)


def _product(factors: tuple[Expr, ...], printer: Printer, room: float) -> list[str]:
    parts, tail = _parts(Mul(factors), printer)
    return _beside(parts, tail, printer, room)


def _parts(expr: Expr, printer: Printer) -> tuple[list[str], Expr | None]:
    """The factors of a product, and behind them the one that can be broken; None where the last factor cannot."""
    if not isinstance(expr, Mul):
        return [], expr
    parts, last = printer.product_parts(expr.factors), arrange(expr.factors)[-1]
    tail = last.above[-1] if last.above and not last.below else None
    if isinstance(tail, Add | Reduce | Partial):
        return parts[:-1], tail
    return parts, None


def _beside(parts: list[str], tail: Expr | None, printer: Printer, room: float) -> list[str]:
    """The factors, and the tail broken where it stands, or on the next line where the factors take much of this one."""
    if tail is None:
        return _filled(parts, room)
    head = juxtapose(parts)
    taken, whole = width(head), printer.text(tail, PRODUCT)
    if taken + width(whole) <= room:
        return [juxtapose([head, whole])]
    if taken > MUCH * room or (taken > LITTLE * room and width(whole) <= room - INDENT):
        return [*_filled(parts, room), *_dotted(_tail("", tail, printer, room - INDENT))]
    return _tail(head, tail, printer, room)


def _tail(head: str, tail: Expr, printer: Printer, room: float) -> list[str]:
    if isinstance(tail, Add):
        return _bracketed(head, tail, printer, room, ROUND)
    return _before(head, _lines(tail, printer, room - width(head)))


def _dotted(rest: list[str]) -> list[str]:
    return _before(r"\cdot", rest)


def _filled(parts: list[str], room: float) -> list[str]:
    """As many factors on a line as fit."""
    made = [parts[0]]
    for before, part in pairwise(parts):
        joined = made[-1] + juxtapose([before, part])[len(before) :]
        if width(joined) <= room - INDENT:
            made[-1] = joined
        else:
            made.append(rf"\cdot {part}")
    return made
