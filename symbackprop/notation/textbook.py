"""The order of the textbooks for factors and terms that have lost the order in which they were written.

Factors: numbers, parameters, sizes, indices, tensors as they are declared, functions, sums, brackets; divisors last.
Terms: positive before negative; `x - mu`, `gamma*xhat + beta`, `bias + sum(...)`, `var + eps`, `1 + tanh(...)`; in an
index `stride*p + dilation*r - pad`, in a size `H + 2*pad - 1`, and `R - 1 - r` for an axis that runs backward.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from symbackprop.notation import nodes as n
from symbackprop.notation.nodes import Expr
from symbackprop.notation.printer import expression

_NUMBER, _PARAMETER, _SIZE, _INDEX, _TENSOR, _FUNCTION, _REDUCTION, _BRACKET, _OTHER = range(9)
# in an index or a size: indices first, then sizes, parameters, numbers
_WHOLE = {_INDEX: 0, _TENSOR: 1, _SIZE: 3, _PARAMETER: 4, _NUMBER: 9}
_LAST = 10


@dataclass(frozen=True, slots=True)
class Textbook:
    """Orders the parts of one equation: `tensors` and `parameters` as they are declared, `left` its free indices."""

    tensors: Sequence[str]
    parameters: Sequence[str]
    left: Sequence[str]

    def product(self, factors: Iterable[Expr]) -> list[Expr]:
        """The factors in order."""
        return sorted(factors, key=self._factor)

    def sum(self, terms: Sequence[Expr], whole: bool) -> list[Expr]:
        """The terms in order; `whole` in an index or a size."""
        backward = not any(_positive(term) and _has_index(term) for term in terms)
        return sorted(terms, key=lambda term: self._whole_term(term, backward) if whole else self._term(term))

    def _factor(self, factor: Expr) -> tuple[bool, tuple[int, ...], str]:
        return (n.is_divisor(factor), self._rank(factor), expression(factor))

    def _term(self, term: Expr) -> tuple[bool, tuple[int, ...], str]:
        ranks = [(_LAST, *rank) if rank[0] < _INDEX else rank for rank in self._ranks(term)]
        number = (_LAST,) if not _positive(term) else (_NUMBER,)
        return (not _positive(term), min(ranks, default=number), expression(term))

    def _whole_term(self, term: Expr, backward: bool) -> tuple[bool, tuple[int, ...], str]:
        ranks = [(self._whole_rank(rank[0], backward), *rank[1:]) for rank in self._ranks(term)]
        return (not _positive(term), min(ranks, default=(_WHOLE[_NUMBER],)), expression(term))

    @staticmethod
    def _whole_rank(rank: int, backward: bool) -> int:
        return _LAST if rank == _INDEX and backward else _WHOLE.get(rank, 2)

    def _ranks(self, term: Expr) -> list[tuple[int, ...]]:
        factors = term.factors if isinstance(term, n.Mul) else (term,)
        return [self._rank(f) for f in factors if not isinstance(f, n.Number) and not n.is_divisor(f)]

    def _rank(self, expr: Expr) -> tuple[int, ...]:
        """What kind of thing it is, and which of its kind."""
        match expr:
            case n.Number():
                return (_NUMBER,)
            case n.Size(name) | n.Parameter(name, _) if name in self.parameters:
                return (_PARAMETER, self.parameters.index(name))
            case n.Size() | n.Constant():
                return (_SIZE,)
            case n.Index(name, _, _):
                return (_INDEX, _position(name, self.left))
            case n.Read(tensor, _):
                return (_TENSOR, _position(tensor, self.tensors))
            case n.FloorDiv(inner, _) | n.Mod(inner, _):
                return self._rank(inner)
            case n.Pow(base, exponent):
                return (_FUNCTION,) if exponent == n.number("1/2") else self._rank(base)
            case n.Call() | n.Where() | n.Clip():
                return (_FUNCTION,)
            case n.Reduce():
                return (_REDUCTION,)
            case n.Mul(factors):
                return max((self._rank(f) for f in factors if not n.is_divisor(f)), default=(_NUMBER,))
            case n.Add():
                return (_BRACKET,)
            case _:
                return (_OTHER,)


def _position(name: str, names: Sequence[str]) -> int:
    return names.index(name) if name in names else len(names)


def _positive(term: Expr) -> bool:
    first = term.factors[0] if isinstance(term, n.Mul) else term
    return not isinstance(first, n.Number) or first.value >= 0


def _has_index(expr: Expr) -> bool:
    return any(isinstance(part, n.Index) for part in n.walk(expr))
