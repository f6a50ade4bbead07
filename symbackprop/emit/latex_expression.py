"""An expression as LaTeX, as a good textbook would set it: one rule for each kind of node.

A piece of LaTeX comes with how tightly it binds, so that parentheses stand only where they are needed. Meaning
is never touched: the only freedom taken is the order of commuting factors (numbers, sizes and hyperparameters
first, sums last) and of a leading minus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from symbackprop.emit.latex_conditions import spell_conditions
from symbackprop.emit.latex_names import SPELLING, Spelling
from symbackprop.emit.latex_products import arrange, split_sign
from symbackprop.errors import InternalError
from symbackprop.notation.nodes import (
    ONE,
    ZERO,
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
    conjuncts,
    mul,
    number,
    power,
    walk,
)

SUM, PRODUCT, POWER, ATOM = range(4)  # how tightly a piece binds; it is bracketed in a tighter place
FUNCTION = {
    **{name: f"\\{name}" for name in ("exp", "log", "tanh", "sin", "cos", "max", "min")},
    **{name: rf"\operatorname{{{name}}}" for name in ("sign", "sigmoid", "relu", "softplus", "erf")},
}
SPACED = (r"\mathrm", r"\frac", r"\operatorname", r"\sqrt", r"\sum")  # a factor with one of these stands off a little
TALL = (r"\frac", r"\sum", r"\prod", r"\left", r"\begin", r"\substack")


def latex(expr: Expr, spelling: Spelling = SPELLING) -> str:
    r"""The LaTeX of an expression, for mathematics mode.

    >>> from symbackprop.notation.nodes import Index, Read, Reduce, Size
    >>> n = Index("n", Size("N"))
    >>> latex(Reduce("mean", (n,), Read("x", (n,))))
    '\\frac{1}{N} \\, \\sum_{n=0}^{N-1} x_{n}'
    """
    return Printer(spelling).text(expr)


def bracket(text: str) -> str:
    r"""`(text)`, with brackets that grow where the text is tall."""
    return rf"\left( {text} \right)" if any(mark in text for mark in TALL) else f"({text})"


def juxtapose(parts: Sequence[str]) -> str:
    """Factors side by side; a thin space where letters would run together, a dot before a digit."""
    text = parts[0]
    for before, part in pairwise(parts):
        wide = before[-1] == ")" or any(mark in before + part for mark in SPACED)
        joint = r" \cdot " if part[0].isdigit() else r" \, " if wide else " "
        text += joint + part
    return text


@dataclass(frozen=True, slots=True)
class Printer:
    """Prints expressions in one place: inside a script or not, and under the divisibilities that hold there."""

    spelling: Spelling
    script: bool = False
    exact: tuple[tuple[Expr, Expr], ...] = ()
    counted: bool = False  # indices stand for themselves, whatever their bases

    def text(self, expr: Expr, place: int = SUM) -> str:
        """The LaTeX, bracketed where it binds less tightly than its place asks for."""
        text, binds = self.piece(expr)
        return bracket(text) if binds < place else text

    def inside_script(self) -> Printer:
        return replace(self, script=True)

    def piece(self, expr: Expr) -> tuple[str, int]:
        """The LaTeX and how tightly it binds."""
        match expr:
            case Number(value):
                return spell_number(value)
            case Infinity(sign):
                return (r"\infty", ATOM) if sign > 0 else (r"-\infty", SUM)
            case Constant(name) | Size(name) | Parameter(name, _):
                return self.spelling.symbol(name), ATOM
            case Index():
                if self.counted or self.spelling.base(expr) == ZERO:
                    return self.spelling.index(expr), ATOM
                return replace(self, counted=True).piece(self.spelling.counted(expr))
            case Read():
                return self._read(expr)
            case Add(terms):
                return self._sum(terms), SUM
            case Mul() | Reduce() | Where() if split_sign(expr)[0]:
                return f"-{self.text(split_sign(expr)[1], PRODUCT)}", SUM
            case Mul(factors):
                return juxtapose(self.product_parts(factors)), PRODUCT
            case Pow(base, exponent):
                return self._power(base, exponent)
            case FloorDiv(dividend, divisor):
                return self._quotient(dividend, divisor)
            case Mod(dividend, divisor):
                return rf"{self.text(dividend, PRODUCT)} \bmod {self.text(divisor, ATOM)}", SUM
            case Clip(value, low, high):
                return rf"\operatorname{{clip}}({', '.join(map(self.text, (value, low, high)))})", ATOM
            case Call(function, arguments):
                return self._call(function, arguments)
            case Reduce():
                return self._reduce(expr)
            case Arg(operation, indices, body):
                over = self._limits(indices, ())
                return rf"\operatorname*{{arg\,{operation}}}_{over} {self.text(body, POWER)}", PRODUCT
            case Compare() | Logic():
                return r",\; ".join(spell_conditions(self, conjuncts(expr))), SUM
            case Where(condition, then, other):
                return self._where(condition, then, other)
            case Delta(left, right):
                return self._delta(left, right), ATOM
            case Partial(value, variable):
                return self._partial(value, variable)
            case _:
                raise InternalError(f"{type(expr).__name__} has no LaTeX")

    def _read(self, read: Read) -> tuple[str, int]:
        inner = read.tensor.removeprefix("grad_")
        if inner == read.tensor or not inner or read.tensor in dict(self.spelling.names):
            return self.element(read), ATOM
        total = read.tensor in self.spelling.totals
        d = r"\mathrm{d}" if total else r"\partial"
        below = self.element(Read(inner.removesuffix("_total") if total else inner, read.indices))
        return rf"\frac{{{d} {self.spelling.loss}}}{{{d} {below}}}", POWER

    def _differential(self, read: Read) -> str:
        return rf"\partial {self.element(read)}"

    def element(self, read: Read) -> str:
        """A tensor with its subscripts."""
        symbol = self.spelling.symbol(read.tensor)
        inner = replace(self, script=True, counted=False)
        offsets = dict(self.spelling.offsets).get(read.tensor, ())
        offsets += (ZERO,) * (len(read.indices) - len(offsets))
        spelled = [inner.position(i, offset) for i, offset in zip(read.indices, offsets, strict=True)]
        comma = "," if all(isinstance(i, Index | Number) for i in read.indices) else r",\,"
        return f"{symbol}_{{{comma.join(spelled)}}}" if spelled else symbol

    def position(self, expr: Expr, offset: Expr = ZERO) -> str:
        """A position on an axis whose first is `offset`."""
        if self.counted or not (self.spelling.bases or offset != ZERO):
            return self.text(expr)
        return replace(self, counted=True).text(self.spelling.counted(expr, offset))

    def _delta(self, left: Expr, right: Expr) -> str:
        """Kronecker's delta; a bracket that is 1 or 0 where a tensor would be a script in a script."""
        if any(isinstance(e, Read) for side in (left, right) for e in walk(side)):
            return rf"\left[ {self.text(left)} = {self.text(right)} \right]"
        inner = self.inside_script()
        comma = "," if isinstance(left, Index | Number) and isinstance(right, Index | Number) else r",\,"
        base = self.spelling.base(left) if isinstance(left, Index) else ZERO
        return rf"\delta_{{{inner.position(left, base)}{comma}{inner.position(right, base)}}}"

    def _sum(self, terms: tuple[Expr, ...]) -> str:
        ordered = self.in_order(terms)
        text = self.text(ordered[0], SUM if split_sign(ordered[0])[0] else PRODUCT)
        for term in ordered[1:]:
            text += " " + self.signed(term)
        return text

    def in_order(self, terms: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """The terms as given, but a positive one first where there is any."""
        first = next((at for at, t in enumerate(terms) if not split_sign(t)[0]), 0)
        return (terms[first], *terms[:first], *terms[first + 1 :])

    def signed(self, term: Expr) -> str:
        """A later term of a sum, with its sign."""
        negative, size = split_sign(term)
        return f"{'-' if negative else '+'} {self.text(size, PRODUCT)}"

    def product_parts(self, factors: tuple[Expr, ...]) -> list[str]:
        """The factors as they stand side by side: fractions put together, sums last."""
        groups = arrange(factors)
        texts: list[str] = []
        for at, group in enumerate(groups):
            last = at == len(groups) - 1
            if group.below:
                texts.append(rf"\frac{{{self._row(group.above)}}}{{{self._row(group.below)}}}")
            else:
                texts.extend(self._factor(f, last and f is group.above[-1]) for f in group.above)
        return texts

    def _factor(self, factor: Expr, last: bool) -> str:
        """A sum sign reaches over all that stands behind it, so only the last factor goes without brackets."""
        open_ended = isinstance(factor, Reduce | Where | Arg)
        if isinstance(factor, Mod) or not open_ended or last:
            return self.text(factor, PRODUCT)
        return bracket(self.text(factor))

    def _row(self, factors: tuple[Expr, ...]) -> str:
        if not factors:
            return "1"
        return self.text(factors[0]) if len(factors) == 1 else juxtapose([self._factor(f, False) for f in factors])

    def _power(self, base: Expr, exponent: Expr) -> tuple[str, int]:
        match exponent:
            case Number(value) if value == Fraction(1, 2):
                return rf"\sqrt{{{self.text(base)}}}", ATOM
            case Number(value) if value < 0 and (value.denominator == 1 or value == Fraction(-1, 2)):
                return rf"\frac{{1}}{{{self.text(power(base, Number(-value)))}}}", POWER
            case Number(value) if isinstance(base, Call) and value.denominator == 1 and base.function in FUNCTION:
                name, (argument, *rest) = FUNCTION[base.function], base.arguments
                if not rest:
                    return f"{name}^{{{value}}}{bracket(self.text(argument))}", POWER
        raised = str(exponent.value) if isinstance(exponent, Number) else self.inside_script().text(exponent)
        return f"{self.text(base, ATOM)}^{{{raised}}}", POWER

    def _quotient(self, dividend: Expr, divisor: Expr) -> tuple[str, int]:
        """A floor, or a plain fraction where a guard says that the division comes out even."""
        even = (dividend, divisor) in self.exact
        if self.script:
            text = f"{self.text(dividend, PRODUCT)}/{self.text(divisor, ATOM)}"
            return (text, PRODUCT) if even else (rf"\lfloor {text} \rfloor", ATOM)
        text = rf"\frac{{{self.text(dividend)}}}{{{self.text(divisor)}}}"
        return (text, POWER) if even else (rf"\left\lfloor {text} \right\rfloor", ATOM)

    def _call(self, function: str, arguments: tuple[Expr, ...]) -> tuple[str, int]:
        if function == "sqrt":
            return rf"\sqrt{{{self.text(arguments[0])}}}", ATOM
        if function == "abs":
            return rf"\left| {self.text(arguments[0])} \right|", ATOM
        return f"{FUNCTION[function]}{bracket(', '.join(map(self.text, arguments)))}", POWER

    def _reduce(self, reduce: Reduce) -> tuple[str, int]:
        sign, printer, body = self.sign_and_body(reduce)
        place = POWER if reduce.operation in ("max", "min") else PRODUCT
        return f"{sign} {printer.text(body, place)}", PRODUCT

    def sign_and_body(self, reduce: Reduce) -> tuple[str, Printer, Expr]:
        r"""The signs of a reduction, the printer of what stands behind them, and that.

        A guard moves under the sign: `sum[i](where(c, v, 0))` is `\sum` over the i at which c holds.
        """
        guards: tuple[Expr, ...] = ()
        body, printer = reduce.body, self
        while reduce.operation in ("sum", "mean") and isinstance(body, Where) and body.other == ZERO:
            guards += conjuncts(body.condition)
            body = body.then
        printer = self.under(guards)
        conditions = tuple(spell_conditions(printer.inside_script(), guards))
        return self._signs(reduce, conditions), printer, body

    def under(self, guards: tuple[Expr, ...]) -> Printer:
        """The printer where the guards hold: a quotient that they make even prints as a fraction."""
        divided = [c.left for c in guards if isinstance(c, Compare) and c.operation == "==" and c.right == ZERO]
        even = tuple((e.dividend, e.divisor) for e in divided if isinstance(e, Mod))
        return replace(self, exact=(*self.exact, *even))

    def _signs(self, reduce: Reduce, conditions: tuple[str, ...]) -> str:
        indices = reduce.indices
        match reduce.operation:
            case "max" | "min":
                return rf"\{reduce.operation}_{self._limits(indices, conditions)}"
            case "mean":
                count = self.text(power(mul(*(i.extent for i in indices)), number(-1)))
                return rf"{count} \, {self._sums('sum', indices, conditions)}"
            case operation:
                return self._sums(operation, indices, conditions)

    def _sums(self, operation: str, indices: tuple[Index, ...], conditions: tuple[str, ...]) -> str:
        sign = "\\" + operation
        if self.spelling.compact:
            return sign + "_" + stacked((",".join(map(self.spelling.index, indices)), *conditions))
        signs = []
        for index in indices:
            base, inner = self.spelling.base(index), self.inside_script()
            first = f"{self.spelling.index(index)}={tight(inner.text(base))}"
            below = (first, *(conditions if index is indices[-1] else ()))
            above = tight(inner.text(self.spelling.end(index, -1)))
            signs.append(f"{sign}_{stacked(below)}^{{{above}}}")
        return " ".join(signs)

    def _limits(self, indices: tuple[Index, ...], conditions: tuple[str, ...]) -> str:
        inner = self.inside_script()
        names = ",".join(map(self.spelling.index, indices))
        ranges = [names] if self.spelling.compact else [inner.range(i) for i in indices]
        return stacked((*ranges, *conditions))

    def range(self, index: Index) -> str:
        """The values that an index takes."""
        name, base = self.spelling.index(index), self.spelling.base(index)
        last = self.text(self.spelling.end(index))
        return rf"{self.text(base)} \le {name} < {last}" if base != ONE else (
            rf"1 \le {name} \le {self.text(index.extent)}"
        )  # fmt: skip

    def _where(self, condition: Expr, then: Expr, other: Expr) -> tuple[str, int]:
        """A guard is a bracket that is 1 or 0; anything else is a choice between cases."""
        guards = conjuncts(condition)
        if other == ZERO:
            bracketed, inside = self.guard(condition)
            return (bracketed, ATOM) if then == ONE else (f"{bracketed} {inside.text(then, PRODUCT)}", PRODUCT)
        holds = r" \text{ and } ".join(spell_conditions(self, guards))
        rows = rf"{self.under(guards).text(then)} & \text{{if }} {holds} \\ {self.text(other)} & \text{{otherwise}}"
        return rf"\begin{{cases}} {rows} \end{{cases}}", SUM

    def guard(self, condition: Expr) -> tuple[str, Printer]:
        """The bracket that is 1 where the condition holds, and the printer of what stands behind it."""
        guards = conjuncts(condition)
        spelled = r",\; ".join(spell_conditions(self, guards))
        return rf"\left[ {spelled} \right]", self.under(guards)

    def _partial(self, value: Expr, variable: Read) -> tuple[str, int]:
        if isinstance(value, Read):
            return rf"\frac{{{self._differential(value)}}}{{{self._differential(variable)}}}", POWER
        return rf"{self.operator(variable)} \left[ {self.text(value)} \right]", POWER

    def operator(self, variable: Read) -> str:
        """The sign of a partial derivative, without what it is applied to."""
        return rf"\frac{{\partial}}{{{self._differential(variable)}}}"


def stacked(lines: tuple[str, ...]) -> str:
    """What stands under a sign: one line, or several above each other."""
    rows = r" \\ ".join(lines)
    return f"{{{rows}}}" if len(lines) == 1 else rf"{{\substack{{{rows}}}}}"


def tight(text: str) -> str:
    """`N - 1` as a limit: `N-1`."""
    return text.replace(" - ", "-").replace(" + ", "+")


def spell_number(value: Fraction) -> tuple[str, int]:
    """An integer, a short fraction, or a decimal; 1/100000 is a power of ten."""
    if value < 0:
        return f"-{spell_number(-value)[0]}", SUM
    if value.denominator == 1:
        return str(value.numerator), ATOM
    if value.denominator <= 32:
        return rf"\frac{{{value.numerator}}}{{{value.denominator}}}", POWER
    digits = _decimal(value)
    if digits is None:
        return rf"\frac{{{value.numerator}}}{{{value.denominator}}}", POWER
    mantissa, places = digits
    if places <= len(mantissa) + 2:
        whole = mantissa.rjust(places + 1, "0")
        return f"{whole[:-places]}.{whole[-places:]}", ATOM
    shift = places - len(mantissa) + 1
    ten = f"10^{{-{shift}}}"
    if mantissa == "1":
        return ten, POWER
    return rf"{mantissa[0]}{'.' + mantissa[1:] if mantissa[1:] else ''} \cdot {ten}", PRODUCT


def _decimal(value: Fraction) -> tuple[str, int] | None:
    """Digits and the number of them behind the point, for a decimal that ends; else None."""
    rest, places = value.denominator, 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest, count = rest // prime, count + 1
        places = max(places, count)
    return (str(value * 10**places), places) if rest == 1 else None
