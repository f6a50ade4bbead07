r"""Matrix notation as index notation: `dW = X^T dY` is `dW_{i,j} = \sum_k X_{k,i} dY_{k,j}`.

Where a legend says `matrices = true`, a symbol of a tensor with one or two axes that is printed without indices is a
vector, a column, or a matrix. What it is in the layer gives its sizes, so that products are known to fit: what stands
beside each other is multiplied as matrices are, `\odot` and functions are meant element by element, and a vector that
is added to a matrix is added to each row, or column, that it fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from symbackprop.documents.latex.tree import (
    ONE,
    ONES,
    Applied,
    Big,
    Chain,
    Choice,
    Group,
    Listed,
    Minus,
    Name,
    Over,
    Plus,
    Raised,
    Root,
    Slope,
    Span,
    Times,
    Tree,
    bare,
    latex,
    parts,
    rebuild,
    walk,
)
from symbackprop.documents.legend import Part
from symbackprop.documents.names import Unclear, is_loss
from symbackprop.notation.nodes import Expr, Size

TRANSPOSED = ("T", r"\top", "t")
LETTERS = "ijklmnpqrsuvabc"
Element = Callable[[Tree, Tree], Tree]


ANY = Size("any")  # of a vector of ones: whatever fits


class ShapesDiffer(Unclear):
    """Two parts of a formula whose sizes do not fit."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A number, a column, a row or a matrix: its sizes (None where there is but one), and its elements."""

    rows: Expr | None
    columns: Expr | None
    at: Element

    @property
    def sizes(self) -> tuple[Expr, ...]:
        return tuple(size for size in (self.rows, self.columns) if size is not None)

    def fits(self, other: Whole) -> bool:
        """Whether two wholes have the same sizes."""
        return _fit(self.rows, other.rows) and _fit(self.columns, other.columns)

    def turned(self) -> Whole:
        return Whole(self.columns, self.rows, lambda row, column: self.at(column, row))

    def __str__(self) -> str:
        return " by ".join("1" if s is None else str(getattr(s, "name", s)) for s in (self.rows, self.columns))


def _fit(one: Expr | None, other: Expr | None) -> bool:
    return one == other or (ANY in (one, other) and None not in (one, other))


def in_indices(chain: Chain, part: Part) -> Chain:
    """A statement in index notation. Raises ShapesDiffer where parts do not fit, Unclear for what has no meaning."""
    if not part.matrices or not any(is_matrix(t, part) for t in walk(chain)):
        return chain
    reader = _Reader(part, {t.base for t in walk(chain) if isinstance(t, Name)})
    first = reader.whole(chain.first)
    row, column = Name(reader.letter()), Name(reader.letter())
    if len(first.sizes) < 2:
        column = row
    rest = []
    for relation, side in chain.rest:
        meant = reader.whole(side)
        if meant.sizes and not first.fits(meant):
            raise ShapesDiffer(f"the left side is {first}, the right side {meant}", side.span, latex(side))
        rest.append((relation, meant.at(row, column)))
    return replace(chain, first=first.at(row, column), rest=tuple(rest))


def is_matrix(tree: Tree, part: Part) -> bool:
    """Whether it is a symbol that stands for a whole tensor."""
    return isinstance(tree, Name) and not tree.sub and not tree.args and bool(_axes(tree, part))


def _axes(name: Name, part: Part) -> tuple[Expr, ...]:
    """The axes of the tensor that a symbol is, if there are one or two."""
    symbol = next((s for s in part.symbols if s.base == name.base and len(s.formals) == len(s.slots)), None)
    axes = part.layer.axes(symbol.tensor) if symbol is not None else ()
    return axes if len(axes) <= 2 else ()


def _by_elements(top: Tree, bottom: Tree, part: Part) -> str:
    r"""What is said of `\frac{\partial Y}{\partial X}`, which may mean several things."""
    assert isinstance(top, Name)
    assert isinstance(bottom, Name)
    above, below = len(_axes(top, part)), len(_axes(bottom, part))
    one, other = ",".join("ij"[:above]), ",".join("kl"[:below])
    printed = rf"\frac{{\partial {top.base}_{{{one}}}}}{{\partial {bottom.base}_{{{other}}}}}"
    return (
        f"the derivative of {top.base} by {bottom.base} has {above + below} indices, and here none is printed: "
        f"write `{printed}`, or the gradient of the loss that follows"
    )


class _Reader:
    """Trees as wholes, each sum with a letter of its own."""

    def __init__(self, part: Part, taken: set[str]) -> None:
        used = {*taken, *part.constants, *part.loss, *(s.base for s in part.symbols)}
        self.part, self._letters = part, iter([x + "'" * n for n in range(4) for x in LETTERS if x not in used])

    def letter(self) -> str:
        return next(self._letters)

    def whole(self, tree: Tree) -> Whole:
        """What a tree is: of which sizes, and each of its elements."""
        match tree:
            case Name():
                return self.name(tree)
            case Slope(letter, top, bottom) if is_loss(bare(top), self.part):
                by = self.name(bottom)
                return replace(by, at=lambda r, c: Slope(letter, top, _symbol(by.at(r, c)), span=tree.span))
            case Group(body) | Minus(body) | Root(body):
                return self.mapped(tree, body)
            case Choice():
                return self.choice(tree)
            case Applied("softmax", (body,)):
                return self.softmax(body)
            case Applied(_, (body,)):
                return self.mapped(tree, body)
            case Plus(terms):
                return self.together(tree, terms)
            case Times(factors, sign) if sign == r"\odot":
                return self.together(tree, factors)
            case Times(factors):
                return self.product(factors, tree.span)
            case Over(top, bottom) if not self.whole(bottom).sizes:
                over = self.whole(top)
                return replace(over, at=lambda row, column: replace(tree, top=over.at(row, column)))
            case Raised(body, Name(letter, (), None, ())) if letter in TRANSPOSED and self.whole(body).sizes:
                return self.whole(body).turned()
            case Big(_, _, _, _, body):
                inner = self.whole(body)
                return replace(inner, at=lambda row, column: replace(tree, body=inner.at(row, column)))
            case Slope(_, top, bottom) if is_matrix(bare(top), self.part) and is_matrix(bare(bottom), self.part):
                raise Unclear(_by_elements(bare(top), bare(bottom), self.part), tree.span, latex(tree))
            case _:
                if any(is_matrix(t, self.part) for t in walk(tree)):
                    raise Unclear("this has no meaning for matrices here", tree.span, latex(tree))
                return Whole(None, None, lambda row, column: tree)

    def name(self, name: Name) -> Whole:
        """A matrix or a vector, turned or not; a row of a matrix as a vector; else a number."""
        turned = isinstance(name.sup, Name) and name.sup.base in TRANSPOSED and not name.sup.sub
        plain = replace(name, sup=None) if turned else name
        if name.base == ONES and not name.sub:
            ones = Whole(ANY, None, lambda row, column: replace(ONE, span=name.span))
            return ones.turned() if turned else ones
        axes = _axes(name, self.part)
        left = axes[len(name.sub) :]
        if not left or name.args or len(name.sub) > len(axes):
            return Whole(None, None, lambda row, column: name)
        if plain.sup is not None:
            raise Unclear("a power of a matrix", name.span, latex(name))

        def at(row: Tree, column: Tree) -> Tree:
            return replace(plain, sub=(*plain.sub, *((row, column) if len(left) == 2 else (row,))))

        found = Whole(left[0], left[1] if len(left) == 2 else None, at)
        return found.turned() if turned else found

    def mapped(self, tree: Tree, body: Tree) -> Whole:
        """The same of each element."""
        inner = self.whole(body)
        return replace(inner, at=lambda row, column: rebuild(tree, (inner.at(row, column),)))

    def choice(self, tree: Choice) -> Whole:
        """An indicator, or cases, element by element."""
        condition = tree.condition
        members = (condition.first, *(side for _, side in condition.rest), tree.then, tree.other)
        found = self.together(Listed(members, span=tree.span), members)

        def at(row: Tree, column: Tree) -> Tree:
            first, *sides, then, other = parts(found.at(row, column))
            rest = tuple((op, side) for (op, _), side in zip(condition.rest, sides, strict=True))
            return replace(tree, condition=replace(condition, first=first, rest=rest), then=then, other=other)

        return replace(found, at=at)

    def softmax(self, body: Tree) -> Whole:
        """The softmax of a vector, or of each row of a matrix."""
        inner, letter = self.whole(body), Name(self.letter())
        if not inner.sizes:
            raise Unclear("the softmax of a single number", body.span, latex(body))

        def at(row: Tree, column: Tree) -> Tree:
            other = inner.at(row, letter) if len(inner.sizes) == 2 else inner.at(letter, letter)
            below = Big("sum", letter, None, None, Applied("exp", (other,), span=body.span), span=body.span)
            return Over(Applied("exp", (inner.at(row, column),), span=body.span), below, span=body.span)

        return replace(inner, at=at)

    def together(self, tree: Tree, members: tuple[Tree, ...]) -> Whole:
        """A sum, or a product element by element: of one shape, vectors along what they fit."""
        wholes = [self.whole(member) for member in members]
        shape = max(wholes, key=lambda w: (len(w.sizes), -w.sizes.count(ANY)))
        placed = [self.placed(w, shape, member) for w, member in zip(wholes, members, strict=True)]
        return replace(shape, at=lambda row, column: rebuild(tree, tuple(at(row, column) for at in placed)))

    @staticmethod
    def placed(whole: Whole, shape: Whole, tree: Tree) -> Element:
        """The elements of a member of a sum, at the indices of the sum."""
        if not whole.sizes or whole.fits(shape):
            return whole.at
        if len(whole.sizes) == 1 and whole.sizes[0] == shape.columns:
            return lambda row, column: whole.at(column, column)
        if len(whole.sizes) == 1 and whole.sizes[0] == shape.rows:
            return lambda row, column: whole.at(row, row)
        raise ShapesDiffer(f"{latex(tree)} is {whole}, and stands beside what is {shape}", tree.span, latex(tree))

    def product(self, factors: tuple[Tree, ...], span: Span) -> Whole:
        """Factors as matrices are multiplied, from the left; numbers wherever they stand."""
        result: Whole | None = None
        for factor in factors:
            whole = self.whole(factor)
            result = whole if result is None else self.times(result, whole, factor, span)
        assert result is not None
        return result

    def times(self, left: Whole, right: Whole, factor: Tree, span: Span) -> Whole:
        if not left.sizes or not right.sizes:
            shape = left if left.sizes else right
            return replace(shape, at=lambda r, c: _flat(left.at(r, c), right.at(r, c), span))
        if left.columns is right.rows is ANY:
            raise Unclear("the number of ones is not known here", factor.span, latex(factor))
        if not _fit(left.columns, right.rows):
            raise ShapesDiffer(f"{left} cannot be multiplied by {latex(factor)}, {right}", factor.span, latex(factor))
        if left.columns is None:
            return Whole(left.rows, right.columns, lambda r, c: _flat(left.at(r, r), right.at(c, c), span))
        inner = Name(self.letter())

        def at(row: Tree, column: Tree) -> Tree:
            body = _flat(left.at(row, inner), right.at(inner, column), span)
            return Big("sum", inner, None, None, body, span=span)

        return Whole(left.rows, right.columns, at)


def _symbol(tree: Tree) -> Name:
    assert isinstance(tree, Name)
    return tree


def _flat(left: Tree, right: Tree, span: Span) -> Tree:
    factors = [f for tree in (left, right) for f in (tree.factors if isinstance(tree, Times) else (tree,))]
    return Times(tuple(factors), span=span)
