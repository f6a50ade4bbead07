"""The named identities: each one function, its equation the docstring; what does not apply comes back as it was.

Nothing is expanded: a centred sum must not become a difference of large sums. Those that rest on a layer's
definitions are in `recognition`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from symbackprop.calculus.integer import Facts, holds
from symbackprop.calculus.match import form
from symbackprop.notation.binding import free_indices
from symbackprop.notation.nodes import (
    ONE,
    TRUE,
    ZERO,
    Add,
    Call,
    Compare,
    Delta,
    Expr,
    FloorDiv,
    Index,
    Mod,
    Mul,
    Number,
    Parameter,
    Pow,
    Read,
    Reduce,
    Size,
    Where,
    add,
    both,
    conjuncts,
    mul,
    parts,
    power,
    rebuild,
    reduce,
    walk,
    where,
)


@dataclass(frozen=True, slots=True)
class Product:
    """`coefficient * base_1^e_1 * base_2^e_2 ...` with rational exponents, bases in the order of their first factor."""

    coefficient: Fraction
    powers: tuple[tuple[Expr, Fraction], ...]

    @classmethod
    def of(cls, expr: Expr) -> Product:
        coefficient, powers = Fraction(1), dict[Expr, tuple[Expr, Fraction]]()
        if isinstance(expr, Where) and expr.other == ZERO and expr.then != ONE:  # [c] v = v [c]
            expr = mul(expr.then, Where(expr.condition, ONE, ZERO))
        for factor in expr.factors if isinstance(expr, Mul) else (expr,):
            if isinstance(factor, Number):
                coefficient *= factor.value
                continue
            base, exponent = _base_and_exponent(factor)
            key = form(base)
            powers[key] = (base, powers[key][1] + exponent if key in powers else exponent)
        return cls(coefficient, tuple((b, e) for b, e in powers.values() if e))

    def expr(self) -> Expr:
        return mul(Number(self.coefficient), *(power(b, Number(e)) for b, e in self.powers))

    def key(self) -> frozenset[tuple[Expr, Fraction]]:
        """Equal for like terms."""
        return frozenset((form(b), e) for b, e in self.powers)


def _base_and_exponent(factor: Expr) -> tuple[Expr, Fraction]:
    match factor:
        case Pow(base, Number(e)):
            return base, e
        case _:
            return factor, Fraction(1)


def tidy(expr: Expr, facts: Facts) -> Expr:
    """Like powers, like terms, guards and constants in their places, from the inside out. Nothing is expanded.

    Integers (indices of reads, conditions on them) stay as they are: they have a normal form of their own.
    """
    if isinstance(expr, Read | FloorDiv | Mod) or integral(expr, facts):
        return expr
    expr = rebuild(expr, tuple(tidy(p, facts) for p in parts(expr)))
    match expr:
        case Call("sqrt", (u,)):
            return tidy(power(u, Number(Fraction(1, 2))), facts)
        case Pow():
            return power_of_power(expr)
        case Mul():
            return like_powers(guards_first(expr))
        case Add():
            joined = like_branches(expr)
            return like_terms(joined) if isinstance(joined, Add) else joined
        case Where():
            return decided_branches(expr, facts)
        case Reduce("sum", _, _):
            return constants_out(expr)
        case _:
            return expr


def power_of_power(expr: Pow) -> Expr:
    """`(x^a)^n = x^(a n)` and `(a b)^n = a^n b^n` for an integer n, and `(x^(1/2))^a = x^(a/2)`."""
    match expr:
        case Pow(Pow(base, Number(a)), Number(b)) if b.denominator == 1 or a.denominator == 2:
            return power(base, Number(a * b))
        case Pow(Mul(factors), Number(b)) if b.denominator == 1:
            return like_powers(
                mul(*(power_of_power(p) if isinstance(p := power(f, expr.exponent), Pow) else p for f in factors))
            )
        case _:
            return expr


def like_powers(expr: Expr) -> Expr:
    """`x^a * x^b = x^(a + b)`, numbers gathered in front."""
    if not isinstance(expr, Mul):
        return expr
    product = Product.of(expr)
    unchanged = len(product.powers) == sum(not isinstance(f, Number) for f in expr.factors)
    return expr if unchanged else product.expr()


def like_terms(expr: Add) -> Expr:
    """`a t + b t = (a + b) t`."""
    sums: dict[frozenset[tuple[Expr, Fraction]], Product] = {}
    for term in expr.terms:
        product = Product.of(term)
        key = product.key()
        if key in sums:
            product = Product(product.coefficient + sums[key].coefficient, sums[key].powers)
        sums[key] = product
    if len(sums) == len(expr.terms):
        return expr
    return add(*(p.expr() for p in sums.values() if p.coefficient))


def like_branches(expr: Add) -> Expr:
    """`[c] a + [not c] b = where(c, a, b)`."""
    terms = list(expr.terms)
    for at, term in enumerate(terms):
        if isinstance(term, Where):
            others = [t for t in terms[at + 1 :] if isinstance(t, Where) and t.condition == term.condition]
            if others:
                then = add(term.then, *(o.then for o in others))
                other = add(term.other, *(o.other for o in others))
                rest = [t for t in terms if t is not term and not any(t is o for o in others)]
                rest.insert(at, where(term.condition, then, other))
                return like_branches(joined) if isinstance(joined := add(*rest), Add) else joined
    return expr


def guards_first(expr: Mul) -> Expr:
    """`a [c] v = [c] a v`: what a condition guards stays behind it, so that it is not evaluated elsewhere.

    Conditions on indices alone come first: they may guard what other conditions read.
    """
    found = [f for f in expr.factors if isinstance(f, Where) and ZERO in (f.then, f.other)]
    if not found:
        return expr
    first = min(found, key=lambda f: any(isinstance(e, Read) for e in walk(f.condition)))
    at = expr.factors.index(first)
    before, after = expr.factors[:at], expr.factors[at + 1 :]
    if first.other == ZERO:
        return _guarded(first.condition, mul(*before, first.then, *after))
    value = mul(*before, first.other, *after)
    return where(first.condition, ZERO, guards_first(value) if isinstance(value, Mul) else value)


def _guarded(condition: Expr, value: Expr) -> Expr:
    """`[c] [d] v = [c and d] v`."""
    value = guards_first(value) if isinstance(value, Mul) else value
    if isinstance(value, Where) and value.other == ZERO:
        return where(both(condition, value.condition), value.then, ZERO)
    if value == ZERO:
        return ZERO
    return where(condition, like_powers(value), ZERO)


def decided_branches(expr: Where, facts: Facts) -> Expr:
    """A condition that always holds is left out, nested guards are one guard, and `[i = j] = delta(i, j)`."""
    if expr.then == expr.other:
        return expr.then
    if expr.other != ZERO:
        return expr
    if (
        isinstance(expr.then, Number)
        and isinstance(c := expr.condition, Compare)
        and c.operation == "=="
        and integral(c, facts)
    ):
        return mul(expr.then, Delta(c.left, c.right))
    condition = both(*(c for c in conjuncts(expr.condition) if not (integral(c, facts) and holds(c, facts))))
    return _guarded(condition, expr.then) if condition != TRUE else expr.then


def integral(condition: Expr, facts: Facts) -> bool:
    """Whether a condition compares integers: indices, sizes, integer parameters and elements of integer tensors."""
    return isinstance(condition, Compare) and not any(
        isinstance(e, Call)
        or (isinstance(e, Parameter) and not e.integer)
        or (isinstance(e, Read) and e.tensor not in facts.integers)
        for e in walk(condition)
    )


def constants_out(expr: Reduce) -> Expr:
    """`sum_i c f_i = c sum_i f_i` and `sum_{i=0}^{n-1} c = n c`, for a factor or a guard without i.

    A factor that need not be finite stays behind a guard that has an i: where no i passes it, the sum is 0.
    """
    bound, body = expr.indices, expr.body
    if body == ZERO:
        return ZERO
    outer: tuple[Expr, ...] = ()
    if isinstance(body, Where) and body.other == ZERO:
        outer = tuple(c for c in conjuncts(body.condition) if not depends(c, bound))
        inner = tuple(c for c in conjuncts(body.condition) if depends(c, bound))
        value, guard = body.then, both(*inner)
    else:
        value, guard = body, TRUE
    factors = value.factors if isinstance(value, Mul) else (value,)
    out = [f for f in factors if not depends(f, bound) and (guard == TRUE or always_finite(f))]
    rest = where(guard, mul(*(f for f in factors if f not in out)), ZERO)
    if not out and not outer and all(depends(rest, (i,)) for i in bound):
        return expr
    counts = [i.extent for i in bound if not depends(rest, (i,))]
    summed = reduce("sum", (i for i in bound if depends(rest, (i,))), rest)
    result = like_powers(mul(*out, *counts, summed))
    return _guarded(both(*outer), result) if outer else result


def always_finite(expr: Expr) -> bool:
    """Whether an expression is finite wherever what it reads is: sums, products and bounded functions; sizes divide."""
    for part in walk(expr):
        match part:
            case Pow(base, Number(e)) if e < 0 or e.denominator != 1:
                if any(isinstance(b, Read | Index) or (isinstance(b, Parameter) and not b.integer) for b in walk(base)):
                    return False
            case Pow(_, Number()):
                continue
            case Pow() | Call("log" | "exp" | "sqrt", _):
                return False
    return True


def depends(expr: Expr, bound: Iterable[Index]) -> bool:
    """Whether one of the indices is free in the expression."""
    free = free_indices(expr)
    return any(i in free for i in bound)


def common_factor(expr: Expr) -> Expr:
    """`a b + a c = a (b + c)`; sizes are cleared from denominators: `b + c/m = (m b + c)/m`.

    A factor that need not be finite stays behind a guard that not all terms have: where it fails, the term is 0.
    """
    if not isinstance(expr, Add):
        return expr
    products = [Product.of(t) for t in expr.terms]
    shared: list[tuple[Expr, Fraction]] = []
    for base, _ in (pair for p in products for pair in p.powers):
        key = form(base)
        if any(form(b) == key for b, _ in shared):
            continue
        exponents = [next((e for b, e in p.powers if form(b) == key), Fraction(0)) for p in products]
        common = _common_exponent(base, exponents)
        if common:
            shared.append((base, common))
    guards = {form(b) for p in products for b, _ in p.powers if isinstance(b, Where) and ZERO in (b.then, b.other)}
    if guards - {form(b) for b, _ in shared}:
        shared = [(b, e) for b, e in shared if always_finite(power(b, Number(e)))]
    coefficient = _common_coefficient([p.coefficient for p in products])
    if not shared and coefficient == 1:
        return expr
    shared.sort(
        key=lambda pair: (pair[1] < 0, not isinstance(pair[0], Size))
    )  # numerators, sizes, then other denominators
    outside = Product(coefficient, tuple(shared)).expr()
    inside = [_without(p, coefficient, shared) for p in products]
    return mul(outside, add(*(p.expr() for p in sorted(inside, key=_reading_order))))


def factors_out(expr: Expr, facts: Facts) -> Expr:
    """`c (a b + a d) = a c (b + d)` inside products, so that what is common can cancel with what stands outside.

    What stays in brackets stands last.
    """
    expr = rebuild(expr, tuple(factors_out(p, facts) for p in parts(expr)))
    if not isinstance(expr, Mul) or not any(isinstance(f, Add) for f in expr.factors):
        return expr
    factored = tidy(mul(*(common_factor(f) for f in expr.factors)), facts)
    shorter = factored if sum(1 for _ in walk(factored)) < sum(1 for _ in walk(expr)) else expr
    return mul(*sorted(parts(shorter), key=lambda f: isinstance(f, Add))) if isinstance(shorter, Mul) else shorter


def _reading_order(product: Product) -> tuple[bool, bool, int]:
    """Positive terms first, then those without a sum, then the shorter ones: m g - sum(g) - xhat sum(g xhat)."""
    term = product.expr()
    return product.coefficient < 0, any(isinstance(e, Reduce) for e in walk(term)), sum(1 for _ in walk(term))


def _without(product: Product, coefficient: Fraction, shared: list[tuple[Expr, Fraction]]) -> Product:
    """A term divided by the common factor: the sizes that clear a denominator in front, sums last."""
    powers = {form(b): (b, e) for b, e in product.powers}
    cleared: list[tuple[Expr, Fraction]] = []
    for base, common in shared:
        left = powers.pop(form(base), (base, Fraction(0)))[1] - common
        if left:
            cleared.append((base, left))
    rest = sorted(powers.values(), key=lambda pair: isinstance(pair[0], Reduce))
    return Product(product.coefficient / coefficient, (*cleared, *rest))


def _common_exponent(base: Expr, exponents: list[Fraction]) -> Fraction:
    if isinstance(base, Size):
        return min(*exponents, Fraction(0)) if min(exponents) < 0 else min(exponents)
    if all(e > 0 for e in exponents):
        return min(exponents)
    if all(e < 0 for e in exponents):
        return max(exponents)
    return Fraction(0)


def _common_coefficient(coefficients: list[Fraction]) -> Fraction:
    magnitude = abs(coefficients[0])
    if any(abs(c) != magnitude for c in coefficients):
        return Fraction(1)
    return -magnitude if all(c < 0 for c in coefficients) else magnitude
