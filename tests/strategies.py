"""Random layers over the whole notation, valid by construction: what every room's property tests draw from.

A layer has one to three real inputs of up to six axes, sometimes an integer one, and one to three definitions over the
sizes N, C, H, sometimes the position of an extremum among them. Reads use affine index maps (with an outside value),
wrapped and clipped ones, quotients, mirrored axes and integer tensors; expressions use every function, reduction and
kind of condition, index arithmetic as values, pools over a padding of infinities. With `benign` (the default) arguments
stay where functions are defined and of moderate size, whatever the data: no logarithm of a negative number but behind a
condition, no division by something near zero, no tower of exponentials.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from symbackprop.notation import nodes as n
from symbackprop.notation.binding import free_indices
from symbackprop.notation.layer import Definition, DerivedSize, Hyperparameter, Layer, Range, Requirement, Tensor
from symbackprop.notation.nodes import Compare, Expr, Index, Infinity, Logic, Number, Parameter, Read, Reduce, Size

EPS = Parameter("eps")
STRIDE, PAD = Parameter("stride", True), Parameter("pad", True)
PLAIN = tuple(Index(size.lower(), Size(size)) for size in "NCH")
P = Index("p", Size("P"))
R = Index("r", Number(Fraction(2)))
Q = Index("q", n.add(n.floor_divide(n.subtract(Size("H"), n.ONE), STRIDE), n.ONE))
RANGED = (P, R, Q)
NAMES = ("x", "weight", "bias")
AXES = ["N", "NC", "NCH", "C", "HN", "NN", "", "CHN", "NCHN", "NC", "NCH", "CNHCN", "NCHNCH"]
REQUIREMENTS = (  # of which a layer sometimes has one
    Compare(">=", Size("N"), n.number(2)),
    Compare("==", n.modulo(Size("H"), STRIDE), n.ZERO),
    Logic("or", (Compare("<", PAD, Size("C")), Compare("!=", Size("N"), Size("C")))),
)


def numbers() -> st.SearchStrategy[Number]:
    """Numbers of moderate size, none of them zero: integers, decimals, fractions."""
    values = st.sampled_from(["2", "3", "-1", "-2", "0.5", "0.25", "1.5", "1e-3", "-0.1", "1/3", "-2/7", "10"])
    return values.map(lambda text: Number(Fraction(text)))


class _Maker:
    """Draws one layer: what may be read so far, and how."""

    def __init__(self, draw: Callable[..., Any], benign: bool, depth: int) -> None:
        self.draw, self.benign, self.depth = draw, benign, depth
        self.inputs: list[Tensor] = []
        self.positions: list[tuple[Definition, Expr]] = []
        self.definitions: list[Definition] = []

    def pick(self, *options: Any) -> Any:
        """One of the options."""
        return self.draw(st.sampled_from(options))

    # tensors

    def declare(self) -> None:
        """The inputs."""
        count = self.draw(st.integers(1, 3))
        for name in NAMES[: int(count)]:
            axes = tuple(Size(a) for a in self.draw(st.sampled_from(AXES)))
            outside = self.pick(None, n.ZERO, n.ZERO, Number(Fraction(3, 2)))
            self.inputs.append(Tensor(name, axes, "real", outside if axes else None))
        if self.pick(True, False):
            axes = self.pick((Size("N"),), (Size("C"), Size("N")))
            self.inputs.append(Tensor("t", axes, "integer"))
        if self.pick(True, False, False):
            self.inputs.append(Tensor("image", (Size("N"), Size("H")), "real", Infinity(self.pick(1, -1))))

    def read(self, free: Sequence[Index], wanted: Index | None = None) -> Expr:
        """An element of a real tensor, at indices made from those that are free."""
        tensors = [(t.name, t.axes, t.outside) for t in self.inputs if t.kind == "real" and t.name != "image"]
        tensors += [(d.name, tuple(i.extent for i in d.indices), None) for d in self.definitions if not d.integer]
        name, axes, outside = self.pick(*tensors)
        positions = [self.position(axis, outside is not None, free, wanted) for axis in axes]
        return Read(name, tuple(positions))

    # indices

    def position(self, extent: Expr, loose: bool, free: Sequence[Index], wanted: Index | None = None) -> Expr:
        """An index expression that fits an axis, or any at all where the tensor has an outside value (`loose`)."""
        fitting = [i for i in free if i.extent == extent]
        if wanted in fitting and self.pick(True, True, False):
            return wanted
        kind = self.pick(*["alone"] * 6, *["any"] * 4 * loose, "mirror", "half", "wrap", "clip", "table", "end")
        if kind in ("alone", "mirror", "half") and not fitting:
            kind = self.pick("wrap", "clip", "end", *["any"] * loose)
        if kind in ("alone", "mirror", "half"):
            index = fitting[self.draw(st.integers(0, len(fitting) - 1))]
            last = n.subtract(extent, n.ONE)
            return {"alone": index, "mirror": n.subtract(last, index), "half": n.floor_divide(index, n.number(2))}[
                str(kind)
            ]
        if kind == "any":
            form = self.affine(free)
            return n.add(form, n.ONE) if isinstance(form, Index) and form in PLAIN and form.extent != extent else form
        return self._held(str(kind), extent, free)

    def _held(self, kind: str, extent: Expr, free: Sequence[Index]) -> Expr:
        """A position that is brought inside the axis by force."""
        last = n.subtract(extent, n.ONE)
        if kind == "end":
            return self.pick(n.ZERO, last)
        if kind == "table":
            found = [p for p in self.positions if p[1] == extent]
            if found and self.pick(True, True, False):
                best = self.pick(*found)[0]
                return Read(best.name, tuple(self.position(i.extent, False, free) for i in best.indices))
            table = self.table(free)
            return n.Clip(table if table is not None else self.affine(free), n.ZERO, last)
        if kind == "clip" or not isinstance(extent, Size):
            return n.Clip(self.affine(free), n.ZERO, last)
        return n.modulo(self.affine(free), extent)

    def table(self, free: Sequence[Index]) -> Expr | None:
        """An element of the integer tensor, or None where there is none."""
        tensor = next((t for t in self.inputs if t.kind == "integer"), None)
        if tensor is None:
            return None
        positions = []
        for axis in tensor.axes:
            fitting = [i for i in free if i.extent == axis]
            positions.append(fitting[0] if fitting else n.ZERO)
        return Read("t", tuple(positions))

    def affine(self, free: Sequence[Index]) -> Expr:
        """`a*i + b*j + c` with integers, parameters or sizes as coefficients; sometimes a quotient or a remainder."""
        terms: list[Expr] = []
        for _ in range(self.draw(st.integers(1, 2))):
            if free:
                coefficient = self.pick(1, 1, 1, 2, 3, -1, STRIDE)
                index = self.pick(*free)
                scaled = coefficient if isinstance(coefficient, Expr) else n.number(coefficient)
                terms.append(n.mul(scaled, index))
        offset = self.pick(n.ZERO, n.ONE, n.number(-1), n.negative(PAD), PAD, n.subtract(Size("C"), n.ONE))
        form = n.add(*terms, offset)
        products = (n.mul(STRIDE, Size("C")), n.mul(STRIDE, STRIDE))
        divisor = self.pick(n.number(2), n.number(3), Size("N"), STRIDE, *products)
        return self.pick(*[form] * 5, n.floor_divide(form, divisor), *[n.modulo(form, divisor)] * 2)

    # values

    def value(self, free: tuple[Index, ...], depth: int) -> Expr:
        """A real expression of the free indices."""
        if depth <= 0:
            return self.leaf(free)
        kinds = (
            "leaf",
            "add",
            "subtract",
            "mul",
            "mul",
            "divide",
            "power",
            "call",
            "call",
            "two",
            "reduce",
            "reduce",
            "where",
            "guarded",
            "pool",
        )
        kind = self.pick(*kinds)
        if kind == "leaf":
            return self.leaf(free)
        if kind in ("add", "subtract", "mul"):
            left, right = self.value(free, depth - 1), self.value(free, depth - 1)
            return {"add": n.add, "subtract": n.subtract, "mul": n.mul}[str(kind)](left, right)
        return {
            "divide": self.divide,
            "power": self.power,
            "call": self.call,
            "two": self.two,
            "reduce": self.reduce,
            "where": self.where,
            "guarded": self.guarded,
            "pool": self.pool,
        }[str(kind)](free, depth)

    def leaf(self, free: tuple[Index, ...]) -> Expr:
        """A read, mostly; else a number, a parameter, a size or an index."""
        kind = self.pick(*["read"] * 6, "number", "eps", "size", "index")
        if kind == "number":
            return self.draw(numbers())
        if kind == "index" and free:
            form = self.affine(free)
            return self.pick(*free, n.Clip(form, n.ZERO, Size("C")), n.modulo(form, Size("N")))
        if kind in ("eps", "size"):
            return EPS if kind == "eps" else Size("C")
        return self.read(free, self.pick(*free) if free else None)

    def at_least_one(self, free: tuple[Index, ...], depth: int) -> Expr:
        """An expression that is 1 or more, and not large."""
        return n.add(n.ONE, n.power(n.Call("tanh", (self.value(free, depth - 1),)), n.number(2)))

    def divide(self, free: tuple[Index, ...], depth: int) -> Expr:
        divisor = self.at_least_one(free, depth) if self.benign else self.value(free, depth - 1)
        assume(divisor != n.ZERO)
        return n.divide(self.value(free, depth - 1), divisor)

    def power(self, free: tuple[Index, ...], depth: int) -> Expr:
        base = self.value(free, depth - 1)
        kind = self.pick("square", "cube", "root", "real")
        if kind in ("square", "cube"):
            return n.power(base, n.number(2 if kind == "square" else 3))
        base = self.at_least_one(free, depth)
        return n.power(base, n.number("1/2") if kind == "root" else n.Call("tanh", (self.value(free, depth - 1),)))

    def call(self, free: tuple[Index, ...], depth: int) -> Expr:
        name = str(self.pick(*(f for f, count in n.FUNCTIONS.items() if count == 1)))
        argument = self.value(free, depth - 1)
        if self.benign and name in ("log", "sqrt"):
            argument = self.at_least_one(free, depth)
        if self.benign and name == "exp":
            argument = n.Call("tanh", (argument,))
        return n.call(name, argument)

    def two(self, free: tuple[Index, ...], depth: int) -> Expr:
        return n.Call(str(self.pick("max", "min")), (self.value(free, depth - 1), self.value(free, depth - 1)))

    def reduce(self, free: tuple[Index, ...], depth: int) -> Expr:
        unused = [i for i in (*PLAIN, *RANGED) if i not in free]
        if not unused:
            return self.leaf(free)
        bound = self.draw(st.lists(st.sampled_from(unused), min_size=1, max_size=2, unique=True))
        body = self.value((*free, *bound), depth - 1)
        for index in bound:
            if index not in free_indices(body):
                body = self.witnessed(body, index, (*free, *bound))
        assume(set(bound) <= set(free_indices(body)))
        return Reduce(str(self.pick("sum", "sum", "mean", "prod", "max", "min")), tuple(bound), body)

    def witnessed(self, body: Expr, index: Index, free: tuple[Index, ...]) -> Expr:
        """`body` made to depend on `index`."""
        read = self.read(free, index)
        return n.mul(body, read if index in free_indices(read) else n.add(index, n.ONE))

    def where(self, free: tuple[Index, ...], depth: int) -> Expr:
        return n.where(self.condition(free, depth), self.value(free, depth - 1), self.value(free, depth - 1))

    def guarded(self, free: tuple[Index, ...], depth: int) -> Expr:
        """What is no number, or infinite, where its condition does not hold."""
        value, other = self.value(free, depth - 1), self.leaf(free)
        unsafe = {
            "log": n.call("log", value),
            "root": n.call("sqrt", value),
            "inverse": n.power(value, n.number(-1)),
            "power": n.power(value, n.number("3/2")),
        }[str(self.pick("log", "root", "inverse", "power"))]
        assume(value != n.ZERO)
        safe = Compare(">", value, n.number("1/4"))
        return n.where(safe, n.mul(unsafe, self.leaf(free)), other)

    def pool(self, free: tuple[Index, ...], depth: int) -> Expr:
        """An extremum of a window, where what lies outside never wins; bounded, since a window may lie all outside."""
        image = next((t for t in self.inputs if t.name == "image"), None)
        if image is None or R in free or not isinstance(image.outside, Infinity):
            return self.leaf(free)
        axes = [self.affine(free), self.affine((*free, R))]
        if R not in free_indices(axes[1]):
            axes[1] = n.add(axes[1], R)
        axes = [n.add(a, n.ONE) if isinstance(a, Index) and a in PLAIN else a for a in axes]
        operation, bound = ("max", "-3") if image.outside.sign < 0 else ("min", "3")
        return n.Call(operation, (n.number(bound), Reduce(operation, (R,), Read("image", tuple(axes)))))

    def condition(self, free: tuple[Index, ...], depth: int, nested: bool = True) -> Expr:
        """A comparison of reals or of indices, or several of them joined."""
        kind = self.pick("reals", "indices", *["and", "or", "not"] * nested)
        if kind == "not":
            return Logic("not", (self.condition(free, depth, False),))
        if kind in ("and", "or"):
            parts = (self.condition(free, depth, False), self.condition(free, depth, False))
            return n.both(*parts) if kind == "and" else Logic("or", parts)
        operation = str(self.pick(*n.COMPARISONS))
        if kind == "reals":
            return Compare(
                operation if operation not in ("==", "!=") else "<", self.value(free, depth - 1), self.leaf(free)
            )
        return Compare(operation, self.affine(free), self.pick(n.ZERO, n.ONE, self.affine(free)))

    # the layer

    def find(self) -> None:
        """One more definition: where an extremum stands."""
        bound, *free = self.draw(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=3, unique=True))
        body = self.value((*free, bound), 1)
        body = body if bound in free_indices(body) else self.witnessed(body, bound, (*free, bound))
        assume(any(isinstance(part, Read) for part in n.walk(body)))
        best = Definition("best", tuple(free), n.Arg(str(self.pick("max", "min")), (bound,), body))
        self.definitions.append(best)
        self.positions.append((best, bound.extent))

    def define(self, name: str) -> None:
        """One more definition."""
        most = self.pick(3, 3, 3, 3, 5)
        free = tuple(self.draw(st.lists(st.sampled_from([*PLAIN, *RANGED]), max_size=most, unique=True)))
        body = self.value(free, self.depth)
        if not any(isinstance(part, Read) for part in n.walk(body)):
            body = n.add(body, self.read(free))
        self.definitions.append(Definition(name, free, body))

    def layer(self) -> Layer:
        """All of it, with the ranges that its indices need."""
        self.declare()
        names = ("u", "v", "y")[-self.draw(st.integers(1, 3)) :]
        if self.pick(True, False, False, False):
            self.find()
        for name in names:
            self.define(name)
        outputs = names if self.pick(False, False, True) else names[-1:]
        more = self.pick(None, None, None, None, *REQUIREMENTS)
        return _finished(tuple(self.inputs), tuple(self.definitions), outputs, (more,) if more is not None else ())


def _finished(
    inputs: tuple[Tensor, ...], definitions: tuple[Definition, ...], outputs: tuple[str, ...], more: tuple[Expr, ...]
) -> Layer:
    used = _used(definitions)
    known = {axis.name for tensor in inputs for axis in tensor.axes}
    # every size stands at an axis of an input, or nothing would say how large it is
    missing = tuple(Size(name) for name in "NCH" if name not in known)
    inputs = (*inputs, *((Tensor("spare", missing),) if missing else ()))
    alone = _alone(inputs, definitions)
    ranges = [Range(i.name, i.extent) for i in (*PLAIN, *RANGED) if i in used and (i in RANGED or i not in alone)]
    return Layer(
        name="sample",
        inputs=inputs,
        parameters=(
            Hyperparameter("eps", Fraction(1, 2)),
            Hyperparameter("stride", Fraction(2), True),
            Hyperparameter("pad", Fraction(1), True),
        ),
        sizes=(DerivedSize("P", n.add(n.floor_divide(Size("H"), n.number(2)), n.ONE)),),
        ranges=tuple(ranges),
        requirements=tuple(Requirement(c) for c in (Compare(">=", STRIDE, n.ONE), *more)),
        definitions=definitions,
        outputs=outputs,
    )


def _used(definitions: tuple[Definition, ...]) -> set[Index]:
    used = {i for d in definitions for i in d.indices}
    for definition in definitions:
        for part in n.walk(definition.body):
            bound = part.indices if isinstance(part, Reduce | n.Arg) else ()
            used |= {part} if isinstance(part, Index) else set(bound)
    return used


def _alone(inputs: tuple[Tensor, ...], definitions: tuple[Definition, ...]) -> set[Index]:
    """The indices that stand alone at an axis of an input."""
    names = {t.name for t in inputs}
    reads = [part for d in definitions for part in n.walk(d.body) if isinstance(part, Read) and part.tensor in names]
    return {position for read in reads for position in read.indices if isinstance(position, Index)}


@st.composite
def layers(draw: Callable[..., Any], benign: bool = True, depth: int = 3) -> Layer:
    """A random layer; `depth` bounds the nesting of its expressions."""
    layer = _Maker(draw, benign, depth).layer()
    assume(not any(isinstance(part, Infinity) for d in layer.definitions for part in n.walk(d.body)))
    return layer


@st.composite
def values(draw: Callable[..., Any], benign: bool = True, depth: int = 3) -> Expr:
    """A random real expression of the indices n and c over inputs as `layers` declares them."""
    maker = _Maker(draw, benign, depth)
    maker.declare()
    return maker.value((PLAIN[0], PLAIN[1]), depth)
