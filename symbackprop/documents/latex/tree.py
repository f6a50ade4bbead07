"""What a document's formula says, before anybody asks what its names mean.

A tree keeps what the printed formula has: symbols with their decorations, subscripts, superscripts and
arguments, sums with their limits, fractions, derivatives, brackets. `span` is the place of a part in the
formula's text; two trees are equal whatever their places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeAlias

from symbackprop.errors import InternalError

Span: TypeAlias = tuple[int, int]
NOWHERE: Span = (0, 0)


@dataclass(frozen=True, slots=True)
class Tree:
    """Base of all parts of a formula."""

    span: Span = field(default=NOWHERE, compare=False, kw_only=True, repr=False)


@dataclass(frozen=True, slots=True)
class Num(Tree):
    """A number, exact; `text` as printed."""

    value: Fraction
    text: str = field(compare=False)


ONES = r"\mathbf{1}"  # the name of a vector of ones
ONE, ZERO = Num(Fraction(1), "1"), Num(Fraction(0), "0")


@dataclass(frozen=True, slots=True)
class Name(Tree):
    """A symbol: `base` with decorations and primes, subscripts, a superscript, arguments in brackets.

    A script that is part of the name stands in the base: `W_{Q}`, `W^{(1)}`. `above` says that the first of the
    subscripts is printed above, in brackets: `x^{(i)}_k`.
    """

    base: str
    sub: tuple[Tree, ...] = ()
    sup: Tree | None = None
    args: tuple[Tree, ...] = ()
    bracket: str = "("
    above: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Plus(Tree):
    terms: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Minus(Tree):
    body: Tree


@dataclass(frozen=True, slots=True)
class Times(Tree):
    """A product; `sign` is how it is printed: nothing, `*`, a dot or a cross."""

    factors: tuple[Tree, ...]
    sign: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Over(Tree):
    """A quotient, as a fraction or with a slash."""

    top: Tree
    bottom: Tree
    slash: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Raised(Tree):
    base: Tree
    exponent: Tree


@dataclass(frozen=True, slots=True)
class Root(Tree):
    body: Tree


@dataclass(frozen=True, slots=True)
class Group(Tree):
    """Brackets that a person wrote."""

    body: Tree


@dataclass(frozen=True, slots=True)
class Big(Tree):
    """A sum or product over one index; limits that are not printed are None."""

    operation: str
    variable: Name
    low: Tree | None
    high: Tree | None
    body: Tree


@dataclass(frozen=True, slots=True)
class Slope(Tree):
    """A derivative: `top` by `bottom`; `letter` is `d` or `∂`."""

    letter: str
    top: Tree
    bottom: Name


@dataclass(frozen=True, slots=True)
class Applied(Tree):
    """A function of mathematics: exp, log, max, ..."""

    function: str
    args: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Choice(Tree):
    """`then` where the condition holds, else `other`: cases, and the indicator of a condition."""

    condition: Chain
    then: Tree
    other: Tree


@dataclass(frozen=True, slots=True)
class Listed(Tree):
    """Several things in brackets with commas: a shape."""

    items: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class End(Tree):
    """The first value of an index of a symbol, or the one behind its last: what a printed range is compared with."""

    base: str
    letter: str
    upper: bool


@dataclass(frozen=True, slots=True)
class Chain(Tree):
    """`first OP next OP next ...`; without relations it only mentions something.

    `when` are conditions in words; `known` says that the first relation was stated before.
    """

    first: Tree
    rest: tuple[tuple[str, Tree], ...] = ()
    words: tuple[str, ...] = field(default=(), compare=False)
    when: tuple[Chain, ...] = ()
    otherwise: tuple[Chain, ...] = ()
    known: bool = field(default=False, compare=False)


def parts(tree: Tree) -> tuple[Tree, ...]:
    """The direct parts, in the order in which they are printed."""
    match tree:
        case Name(_, sub, sup, args):
            return (*sub, *((sup,) if sup is not None else ()), *args)
        case Plus(items) | Times(items) | Listed(items) | Applied(_, items):
            return items
        case Minus(a) | Root(a) | Group(a):
            return (a,)
        case Over(a, b) | Raised(a, b) | Slope(_, a, b):
            return (a, b)
        case Choice(a, b, c):
            return (a, b, c)
        case Big(_, variable, low, high, body):
            return (variable, *((low,) if low is not None else ()), *((high,) if high is not None else ()), body)
        case Chain(first, rest):
            return (first, *(part for _, part in rest))
        case _:
            return ()


def rebuild(tree: Tree, new: tuple[Tree, ...]) -> Tree:
    """The tree with its `parts` replaced."""
    match tree:
        case Name(_, sub, sup, _):
            at = len(sub)
            behind = at + (sup is not None)
            return replace(tree, sub=new[:at], sup=new[at] if sup is not None else None, args=new[behind:])
        case Plus():
            return replace(tree, terms=new)
        case Times():
            return replace(tree, factors=new)
        case Listed():
            return replace(tree, items=new)
        case Applied():
            return replace(tree, args=new)
        case Minus() | Root() | Group():
            return replace(tree, body=new[0])
        case Over():
            return replace(tree, top=new[0], bottom=new[1])
        case Choice():
            return replace(tree, condition=_chain(new[0]), then=new[1], other=new[2])
        case Raised():
            return replace(tree, base=new[0], exponent=new[1])
        case Slope():
            return replace(tree, top=new[0], bottom=_named(new[1]))
        case Big(_, _, low, high, _):
            inner = list(new[1:-1])
            lower = inner.pop(0) if low is not None else None
            upper = inner.pop(0) if high is not None else None
            return replace(tree, variable=_named(new[0]), low=lower, high=upper, body=new[-1])
        case Chain(_, rest):
            relations = zip(rest, new[1:], strict=True)
            return replace(tree, first=new[0], rest=tuple((op, part) for (op, _), part in relations))
        case _:
            return tree


def _named(tree: Tree) -> Name:
    if not isinstance(tree, Name):
        raise InternalError("a symbol was expected as the variable of a derivative or a sum")
    return tree


def _chain(tree: Tree) -> Chain:
    if not isinstance(tree, Chain):
        raise InternalError("a condition was expected")
    return tree


def walk(tree: Tree) -> Iterator[Tree]:
    """The tree and all its parts, outermost first."""
    stack = [tree]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(parts(top)))


def bare(tree: Tree) -> Tree:
    """The tree without brackets around the whole of it."""
    while isinstance(tree, Group):
        tree = tree.body
    return tree


# ------------------------------------------------------------------------------------------------ printing

SUM, PRODUCT, SIGN, ATOM = range(4)  # how tightly a part binds


def latex(tree: Tree) -> str:
    """The formula in LaTeX, printed anew."""
    return _latex(tree)[0]


def _in(tree: Tree, place: int) -> str:
    text, binds = _latex(tree)
    return text if binds >= place else rf"\left( {text} \right)"


PRINTED = {"!=": r"\ne", "<=": r"\le", ">=": r"\ge", "in": r"\in", "~": r"\approx", "->": r"\to"}


def _latex(tree: Tree) -> tuple[str, int]:
    match tree:
        case Num(_, text):
            return text, ATOM
        case Name():
            return _name(tree), ATOM
        case Plus(terms):
            text = _in(terms[0], SUM)
            for term in terms[1:]:
                text += f" - {_in(term.body, PRODUCT)}" if isinstance(term, Minus) else f" + {_in(term, PRODUCT)}"
            return text, SUM
        case Minus(body):
            return f"-{_in(body, PRODUCT)}", SIGN if not isinstance(body, Times) else SUM
        case Times(factors, sign):
            last = len(factors) - 1
            pieces = [_in(f, PRODUCT if at == last else SIGN) for at, f in enumerate(factors)]
            pieces = [
                f"({latex(f)})" if isinstance(f, Minus) and at else p
                for at, (f, p) in enumerate(zip(factors, pieces, strict=True))
            ]
            return (f" {sign} " if sign else " ").join(pieces), PRODUCT
        case Over(top, bottom, True):
            return f"{_in(top, SIGN)}/{_in(bottom, ATOM)}", PRODUCT
        case Over(top, bottom):
            return rf"\frac{{{latex(top)}}}{{{latex(bottom)}}}", ATOM
        case Raised(base, exponent):
            return f"{_in(base, ATOM)}^{{{latex(exponent)}}}", ATOM
        case Root(body):
            return rf"\sqrt{{{latex(body)}}}", ATOM
        case Group(body):
            return f"({latex(body)})", ATOM
        case Big(("max" | "min") as operation, variable, low, high, body) if low is not None and high is not None:
            return (
                rf"\{operation}_{{{latex(low)} \le {latex(variable)} \le {latex(high)}}} {_in(body, PRODUCT)}",
                PRODUCT,
            )
        case Big(operation, variable, low, high, body):
            below = latex(variable) + (f"={latex(low)}" if low is not None else "")
            above = f"^{{{latex(high)}}}" if high is not None else ""
            return rf"\{operation}_{{{below}}}{above} {_in(body, PRODUCT)}", PRODUCT
        case Slope(letter, top, bottom):
            d = r"\partial " if letter == "∂" else "d"
            return rf"\frac{{{d}{latex(top)}}}{{{d}{latex(bottom)}}}", ATOM
        case Applied(("floor" | "ceil") as function, (body,)):
            return rf"\l{function} {latex(body)} \r{function}", ATOM
        case Applied(function, args):
            return rf"\{function}({', '.join(map(latex, args))})", ATOM
        case Choice(condition, Num(one), Num(zero)) if one == 1 and zero == 0:
            return rf"\mathbf{{1}}[{latex(condition)}]", ATOM
        case Choice(condition, then, other):
            whole = rf"{latex(then)} & {latex(condition)} \\ {latex(other)} & \text{{otherwise}}"
            return rf"\begin{{cases}} {whole} \end{{cases}}", PRODUCT
        case Listed(items):
            return f"({', '.join(map(latex, items))})", ATOM
        case End(_, letter, upper):
            return f"{'the end' if upper else 'the first'} of {letter}", ATOM
        case Chain(first, rest):
            return latex(first) + "".join(f" {PRINTED.get(op, op)} {latex(part)}" for op, part in rest), SUM
        case _:
            return "?", ATOM


def marked_below(base: str) -> bool:
    """Whether a symbol's name ends in a script below it: `W_{Q}`."""
    return base.endswith("}") and "_{" in base


def _name(name: Name) -> str:
    text = name.base
    if len(text) > 1 and text.isalpha():
        text = rf"\mathrm{{{text}}}"
    below = name.sub[1:] if name.above else name.sub
    if below:
        text = text[:-1] + "," if marked_below(text) else text + "_{"
        text += f"{','.join(map(latex, below))}}}"
    if name.above and name.sub:
        text += f"^{{({latex(name.sub[0])})}}"
    if name.sup is not None:
        marked = not name.sub and text.endswith("}") and "^{" in text  # `W^{(1)T}`
        text = f"{text[:-1]} {latex(name.sup)}}}" if marked else f"{text}^{{{latex(name.sup)}}}"
    if name.args:
        close = {"(": ")", "[": "]"}[name.bracket]
        text += f"{name.bracket}{', '.join(map(latex, name.args))}{close}"
    return text
