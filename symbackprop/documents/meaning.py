"""A formula in the node language: what it says about the layer, for a reading of what formulas leave open.

A `Reading` settles two things that a printed formula does not say: whether a derivative of an intermediate is
local (all else held fixed) or total, and whether a gradient outside its tensor's box is a slip or zero. Index letters
become indices from 0 with the document's own counting shifted exactly; a letter that is not bound ranges over
the axis at which it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from symbackprop.calculus.derivation import gradient_name
from symbackprop.documents.latex.tree import (
    Applied,
    Big,
    Chain,
    Choice,
    End,
    Group,
    Listed,
    Minus,
    Name,
    Num,
    Over,
    Plus,
    Raised,
    Root,
    Slope,
    Times,
    Tree,
    bare,
    latex,
)
from symbackprop.documents.legend import Part
from symbackprop.documents.names import (
    Element,
    Kronecker,
    Plain,
    Unclear,
    in_positions,
    is_loss,
    letter_of,
    resolve,
    silent_letters,
    standings,
)
from symbackprop.documents.positions import Letter, constant, free_letters, identifier, inside, position, range_of
from symbackprop.notation.binding import free_indices
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import (
    ONE,
    TRUE,
    ZERO,
    Compare,
    Delta,
    Expr,
    FloorDiv,
    Index,
    Number,
    Partial,
    Read,
    add,
    both,
    call,
    divide,
    floor_divide,
    mul,
    negative,
    number,
    power,
    reduce,
    where,
)

STORED = "_total"  # the name of a tensor's elements that no outside value surrounds


@dataclass(frozen=True, slots=True)
class Reading:
    """How to take what a formula leaves open."""

    total: bool = False
    zero_outside: bool = False
    padded: bool = False  # an input has its outside value there, as in the layer
    beyond: tuple[str, ...] = ()  # inputs that are zero beyond their boxes, though the layer says nothing of it


@dataclass(frozen=True, slots=True)
class Total:
    """The total derivative of `value` by the elements of `variable`: over the free indices and those elements."""

    name: str
    value: Expr
    scope: tuple[Index, ...]
    variable: str


@dataclass(frozen=True, slots=True)
class Sides:
    """What two sides of a relation mean: expressions over the same letters, to be compared where `condition` holds."""

    left: Expr
    right: Expr
    letters: tuple[Letter, ...]
    condition: Expr
    totals: tuple[Total, ...]
    assumed: tuple[str, ...]


def sides(left: Tree, right: Tree, part: Part, reading: Reading, when: tuple[Chain, ...] = ()) -> Sides:
    """The meaning of `left = right` (where `when` holds). Raises Unclear where the legend does not say."""
    letters = free_letters((left, right), part)
    translator = Translator(part, reading, letters)
    a, b = translator.expr(left), translator.expr(right)
    condition = both(*(translator.condition(chain) for chain in when)) if when else TRUE
    return Sides(a, b, letters, condition, tuple(translator.totals), tuple(dict.fromkeys(translator.assumed)))


@dataclass(slots=True)
class Translator:
    """Trees into expressions, for one part of a legend and one reading."""

    part: Part
    reading: Reading
    letters: tuple[Letter, ...]
    totals: list[Total] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    _scope: dict[str, Expr] = field(default_factory=dict)
    _plain: bool = False
    _depth: int = 0
    _stamp: int = 0
    _known: dict[tuple[int, int, bool], tuple[Tree, Expr]] = field(default_factory=dict)
    _bound: dict[tuple[int, str, int, int], tuple[Index, Expr, int]] = field(default_factory=dict)

    _totals: dict[tuple[int, str], tuple[Expr, Total]] = field(default_factory=dict)
    _extents: dict[tuple[int, int], Expr] = field(default_factory=dict)
    _ranges: dict[tuple[str, str, str], tuple[Expr, Expr]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._scope.update({letter.name: letter.value for letter in self.letters})

    @property
    def layer(self) -> Layer:
        return self.part.layer

    # -------------------------------------------------------------------------------------- expressions

    def expr(self, tree: Tree) -> Expr:
        """The expression that a tree means.

        What was translated in the same scope before is not translated again: formulas that differ in one place
        share all other parts. `_stamp` numbers the scopes.
        """
        key = (id(tree), self._stamp, self._plain)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = (tree, self._expr(tree))  # with the tree, so that no other gets its id
        return known[1]

    def _expr(self, tree: Tree) -> Expr:
        match tree:
            case Num(value):
                return Number(value)
            case Group(body):
                return self.expr(body)
            case Name():
                return self.name(tree)
            case Plus(terms):
                return add(*(self.expr(term) for term in terms))
            case Minus(body):
                return negative(self.expr(body))
            case Times(factors):
                return mul(*(self.expr(factor) for factor in factors))
            case Over(top, bottom):
                return self.quotient(self.expr(top), self.expr(bottom), tree)
            case Raised(base, exponent):
                return power(self.expr(base), self.expr(exponent))
            case Root(body):
                return power(self.expr(body), number(Fraction(1, 2)))
            case Applied("star", _):
                raise Unclear("the operator is read, but has no meaning here", tree.span, r"\star")
            case Applied("floor", (body,)):
                return self.floor(body)
            case Applied("ceil", (body,)):
                return negative(self.floor(Minus(body, span=body.span)))
            case Applied("softmax", _):
                raise Unclear(
                    "a softmax of what has no printed index; `matrices = true` reads it", tree.span, latex(tree)
                )
            case Applied(function, args):
                return self.applied(function, tuple(self.expr(a) for a in args), tree)
            case Big():
                return self.big(tree)
            case Slope():
                return self.slope(tree)
            case Choice(condition, then, other):
                return where(self.condition(condition), self.expr(then), self.expr(other))
            case End(base, letter, upper):
                symbol = next(s for s in self.part.symbols if s.base == base and letter in s.formals)
                low, extent, _ = range_of(symbol, letter, self.part)
                return add(low, extent) if upper else low
            case Listed():
                raise Unclear("a list stands where a number was expected", tree.span, latex(tree))
            case _:
                raise Unclear("this has no meaning here", tree.span, latex(tree))

    @staticmethod
    def quotient(top: Expr, bottom: Expr, tree: Tree) -> Expr:
        if bottom == ZERO:
            raise Unclear("a division by zero", tree.span, latex(tree))
        return divide(top, bottom)

    def floor(self, body: Tree) -> Expr:
        """A number rounded down; a quotient as one of whole numbers."""
        inner = bare(body)
        if isinstance(inner, Over):
            return floor_divide(self.expr(inner.top), self.expr(inner.bottom))
        return FloorDiv(self.expr(inner), ONE)

    def applied(self, function: str, args: tuple[Expr, ...], tree: Tree) -> Expr:
        wanted = 2 if function in ("max", "min") else 1
        if len(args) != wanted:
            raise Unclear(f"{function} takes {wanted} argument{'s' * (wanted > 1)}", tree.span, latex(tree))
        return call(function, *args)

    def name(self, name: Name) -> Expr:
        if letter_of(name) in self._scope and not name.args and name.sup is None:
            return self._scope[letter_of(name)]
        found = resolve(name, self.part)
        if isinstance(found, Kronecker):
            return Delta(self.expr(found.left), self.expr(found.right))
        if isinstance(found, Plain):
            self.assumed += found.assumed
            return self.raised(constant(found.value, self.part), found.power)
        value = self.element(found)
        if found.half:
            exponent = self.expr(found.power) if found.power is not None else ONE
            return power(value, mul(number(Fraction(1, 2)), exponent))
        return self.raised(value, found.power)

    def raised(self, value: Expr, exponent: Tree | None) -> Expr:
        return value if exponent is None else power(value, self.expr(exponent))

    # ----------------------------------------------------------------------------------------- elements

    def element(self, found: Element) -> Expr:
        """The read of an element, guarded as the reading says."""
        meant = found.meant
        indices = self.position(found)
        if meant.gradient:
            return self.guarded(meant.tensor, indices, Read(f"{gradient_name(meant.tensor)}{STORED}", indices))
        declared = self.layer.tensor(meant.tensor) if self.reading.padded else None
        if declared is not None and declared.outside is None:
            declared = None
        read = Read(meant.tensor if self._plain or declared is not None else f"{meant.tensor}{STORED}", indices)
        if meant.tensor in self.reading.beyond:
            return where(inside(self.layer, meant.tensor, indices), read, ZERO)
        return add(read, number(meant.counts)) if meant.counts else read

    def position(self, found: Element) -> tuple[Expr, ...]:
        """The element's position on the tensor's axes."""
        self.assumed += found.assumed
        given: dict[str, Expr] = {}
        for formal, index in found.given.items():
            if formal in in_positions(found.meant):
                given[formal] = self.index(index)
        for letter in (*found.dropped, *silent_letters(found.meant, self.part)):
            if letter not in self._scope:
                raise Unclear(f"the index {letter} has no range here", (0, 0), letter)
            given[letter] = self._scope[letter]
        return tuple(position(slot, given, self.part) for slot in found.meant.slots)

    def index(self, tree: Tree) -> Expr:
        if isinstance(tree, Name) and letter_of(tree) in self._scope:
            return self._scope[letter_of(tree)]
        return self.expr(tree)

    def guarded(self, tensor: str, indices: tuple[Expr, ...], value: Expr) -> Expr:
        return where(inside(self.layer, tensor, indices), value, ZERO) if self.reading.zero_outside else value

    # --------------------------------------------------------------------------------------------- sums

    def big(self, tree: Big) -> Expr:
        letter = letter_of(tree.variable)
        if tree.low is not None and tree.high is None:
            raise Unclear("a sum with one limit", tree.span, latex(tree.variable))
        if tree.high is not None:
            low = self.expr(tree.low) if tree.low is not None else self.known_range(letter, tree)[0]
            high = self.expr(tree.high)
            ends = (id(low), id(high))
            if ends not in self._extents:
                self._extents[ends] = add(high, negative(low), ONE)
            extent = self._extents[ends]
        else:
            low, extent = self.known_range(letter, tree)
        key = (self._stamp, letter, id(low), id(extent))
        if key not in self._bound:
            index = Index(identifier(letter), extent, self._depth + 1)  # no two on one path are alike
            self._bound[key] = (index, add(low, index), len(self._bound) + 1)
        index, value, stamp = self._bound[key]
        before, outer = self._scope.get(letter), self._stamp
        self._scope[letter], self._stamp = value, stamp
        self._depth += 1
        try:
            body = self.expr(tree.body)
        finally:
            self._depth -= 1
            self._stamp = outer
            if before is None:
                del self._scope[letter]
            else:
                self._scope[letter] = before
        return reduce(tree.operation, (index,), body)

    def known_range(self, letter: str, tree: Big) -> tuple[Expr, Expr]:
        for standing in standings(tree.body, self.part):
            if standing.letter == letter:
                key = (letter, standing.meant.base, standing.formal)
                if key not in self._ranges:
                    self._ranges[key] = range_of(standing.meant, standing.formal, self.part)[:2]
                return self._ranges[key]
        raise Unclear(f"the sum over {letter} has no limits, and the index stands alone nowhere", tree.span, letter)

    # -------------------------------------------------------------------------------------- derivatives

    def slope(self, tree: Slope) -> Expr:
        by = resolve(tree.bottom, self.part)
        if not isinstance(by, Element) or by.power is not None or by.half or by.meant.gradient:
            raise Unclear(f"a derivative by `{latex(tree.bottom)}`", tree.bottom.span, latex(tree.bottom))
        top, tensor = bare(tree.top), by.meant.tensor
        indices = self.position(by)
        if is_loss(top, self.part):
            return self.guarded(tensor, indices, Read(f"{gradient_name(tensor)}{STORED}", indices))
        value, above = self.numerator(top)
        variable = Read(tensor, indices)
        slope = self.total(value, variable) if self.reading.total else Partial(value, variable)
        # outside the boxes the read refuses, which a derivative would not
        for t, i in above:
            slope = where(
                inside(self.layer, t, i), slope, ZERO if self.reading.zero_outside else Read(f"{t}{STORED}", i)
            )
        return where(inside(self.layer, tensor, indices), slope, Read(f"{tensor}{STORED}", indices))

    def numerator(self, top: Tree) -> tuple[Expr, list[tuple[str, tuple[Expr, ...]]]]:
        if isinstance(top, Name):
            found = resolve(top, self.part)
            if isinstance(found, Element) and found.power is None and not found.half and not found.meant.gradient:
                indices = self.position(found)
                return Read(found.meant.tensor, indices), [(found.meant.tensor, indices)]
        plain, self._plain = self._plain, True
        try:
            return self.expr(top), []
        finally:
            self._plain = plain

    def total(self, value: Expr, variable: Read) -> Expr:
        key = (id(value), variable.tensor)
        if key not in self._totals:
            name = f"slope of {value!r} by {variable.tensor}"
            same = next((t for t in self.totals if t.name == name), None)
            total = same or Total(name, value, free_indices(value), variable.tensor)
            self.totals += [] if same else [total]
            self._totals[key] = (value, total)  # with the value, so that no other gets its id
        total = self._totals[key][1]
        return Read(total.name, (*total.scope, *variable.indices))

    # --------------------------------------------------------------------------------------- conditions

    def condition(self, chain: Chain) -> Expr:
        """A chain of comparisons of indices and sizes as a condition."""
        tests: list[Expr] = []
        left = self.index(chain.first)
        for operation, tree in chain.rest:
            right = self.index(tree)
            if operation not in ("=", "<", "<=", ">", ">=", "!="):
                raise Unclear("a condition that does not compare", tree.span, operation)
            tests.append(Compare("==" if operation == "=" else operation, left, right))
            left = right
        return both(*tests)


def plain_translator(part: Part, letters: tuple[Letter, ...]) -> Translator:
    """A translator whose reads are those of the layer's own equations."""
    return Translator(part, Reading(), letters, _plain=True)
