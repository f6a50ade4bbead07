r"""Where a long formula is broken: at a plus or minus, and inside a bracket only where it must be.

The right-hand side comes as lines that fit the page, the later ones with their sign in front. A bracket that spans
lines is of a fixed size, since `\left` and `\right` cannot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from symbackprop.emit.latex_expression import PRODUCT, Printer, juxtapose
from symbackprop.emit.latex_names import Spelling
from symbackprop.emit.latex_products import arrange, split_sign
from symbackprop.emit.latex_tree import width
from symbackprop.notation.nodes import ZERO, Add, Expr, Mul, Partial, Read, Reduce, Where

ROUND, SQUARE = (r"\Bigl(", r"\Bigr)"), (r"\Bigl[", r"\Bigr]")
INDENT = 3.0
LITTLE, MUCH = 0.25, 0.6  # of the room: what stands before a long factor may have a line of its own, or has to


def lines(expr: Expr, spelling: Spelling, used: float = 0.0) -> tuple[str, ...]:
    """The lines of an expression; `used` is how much of the page the left-hand side takes."""
    return tuple(_lines(expr, Room(Printer(spelling), spelling.page - used)))


@dataclass(frozen=True, slots=True)
class Room:
    """What prints, how wide a line may be, and how much of the first line is taken already."""

    printer: Printer
    width: float
    taken: float = 0.0

    def fits(self, text: str) -> bool:
        return width(text) <= self.width - self.taken

    def behind(self, text: str) -> Room:
        return replace(self, taken=self.taken + width(text))

    def inside(self, printer: Printer) -> Room:
        return replace(self, printer=printer)

    def next_line(self) -> Room:
        return replace(self, taken=INDENT)


def _lines(expr: Expr, room: Room) -> list[str]:
    whole = room.printer.text(expr)
    if room.fits(whole):
        return [whole]
    negative, size = split_sign(expr)
    if negative:
        return _before("-", _lines(size, room.behind("-")))
    match expr:
        case Add():
            return _sum(expr, room)
        case Reduce():
            return _reduction(expr, room)
        case Mul():
            return _beside(*_parts(expr, room.printer), room)
        case Partial(value, variable) if not isinstance(value, Read):
            return _bracketed(room.printer.operator(variable), value, room, SQUARE)
        case Where(condition, then, other) if other == ZERO:
            guard, inner = room.printer.guard(condition)
            parts, tail = _parts(then, inner)
            return _beside([guard, *parts], tail, room.inside(inner))
        case _:
            return [whole]


def _before(sign: str, rest: list[str]) -> list[str]:
    return [f"{sign} {rest[0]}".strip(), *rest[1:]]


def _bracketed(sign: str, body: Expr, room: Room, brackets: tuple[str, str]) -> list[str]:
    left, right = brackets
    whole = rf"{sign} \left{left[-1]} {room.printer.text(body)} \right{right[-1]}".strip()
    if room.fits(whole):
        return [whole]
    inside = _lines(body, room.behind(f"{sign} {left}"))
    inside[-1] += f" {right}"
    return _before(f"{sign} {left}", inside)


def _sum(expr: Add, room: Room) -> list[str]:
    """As many terms on a line as fit; a term that is too long by itself is broken in turn."""
    made: list[str] = []
    for at, term in enumerate(room.printer.in_order(expr.terms)):
        negative, size = split_sign(term)
        sign = "-" if negative else "+" if at else ""
        here = room if not at else room.next_line()
        pieces = _lines(size, here.behind(sign))
        if len(pieces) == 1:
            pieces = [room.printer.text(size, PRODUCT)]
        pieces[0] = f"{sign} {pieces[0]}".strip()
        open_line = room if len(made) == 1 else room.next_line()
        if made and len(pieces) == 1 and open_line.fits(f"{made[-1]} {pieces[0]}"):
            made[-1] += f" {pieces[0]}"
        else:
            made.extend(pieces)
    return made


def _reduction(expr: Reduce, room: Room) -> list[str]:
    sign, inner, body = room.printer.sign_and_body(expr)
    room = room.inside(inner)
    if split_sign(body)[0]:
        return _bracketed(sign, body, room, ROUND)
    parts, tail = _parts(body, inner)
    return _beside([sign, *parts], tail, room)


def _parts(expr: Expr, printer: Printer) -> tuple[list[str], Expr | None]:
    """The factors of a product, and behind them the one that can be broken; None where the last factor cannot."""
    if not isinstance(expr, Mul):
        return [], expr
    parts, last = printer.product_parts(expr.factors), arrange(expr.factors)[-1]
    tail = last.above[-1] if last.above and not last.below else None
    if isinstance(tail, Add | Reduce | Partial) or (isinstance(tail, Where) and tail.other == ZERO):
        return parts[:-1], tail
    return parts, None


def _beside(parts: list[str], tail: Expr | None, room: Room) -> list[str]:
    """The factors, and the tail broken where it stands, or on the next line where the factors take much of this one."""
    if tail is None:
        return _filled(parts, room)
    head, whole = juxtapose(parts), room.printer.text(tail, PRODUCT)
    if room.fits(f"{head} {whole}"):
        return [juxtapose([head, whole])]
    below, share = room.next_line(), (room.taken + width(head)) / room.width
    if share > MUCH or (share > LITTLE and below.fits(rf"\cdot {whole}")):
        return [*_filled(parts, room), *_before(r"\cdot", _tail("", tail, below.behind(r"\cdot")))]
    return _tail(head, tail, room)


def _tail(head: str, tail: Expr, room: Room) -> list[str]:
    if isinstance(tail, Add):
        return _bracketed(head, tail, room, ROUND)
    return _before(head, _lines(tail, room.behind(head)))


def _filled(parts: list[str], room: Room) -> list[str]:
    """As many factors on a line as fit."""
    made = [parts[0]]
    for before, part in pairwise(parts):
        joined = made[-1] + juxtapose([before, part])[len(before) :]
        if (room if len(made) == 1 else room.next_line()).fits(joined):
            made[-1] = joined
        else:
            made.append(rf"\cdot {part}")
    return made
