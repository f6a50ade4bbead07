"""Conditions in LaTeX: bounds as chains, divisibility as a bar, an index that must come out whole as a member of Z."""

from __future__ import annotations

from typing import Protocol

from symbackprop.notation.nodes import ONE, ZERO, Compare, Expr, Logic, Mod

RELATION = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}
FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
Chain = tuple[tuple[Expr, ...], tuple[str, ...]]  # members, and the relations between them


class Speller(Protocol):
    """What prints the two sides of a comparison."""

    def text(self, expr: Expr, place: int = 0) -> str: ...


def spell_conditions(speller: Speller, conditions: tuple[Expr, ...]) -> list[str]:
    """The conditions, each once: `0 <= e` and `e < P` become one chain, whole numbers one list."""
    whole = [c.left.dividend for c in conditions if _is_whole(c) and isinstance(c, Compare) and isinstance(c.left, Mod)]
    spelled = [rf"{', '.join(speller.text(e) for e in whole)} \in \mathbb{{Z}}"] if whole else []
    waiting = [c for c in conditions if not _is_whole(c)]
    while waiting:
        first = waiting.pop(0)
        if not isinstance(first, Compare) or first.operation not in FLIPPED:
            spelled.append(_spell(speller, first))
            continue
        partner = next((c for c in waiting if _chained(first, c)), None)
        if partner is None:
            spelled.append(_spell(speller, first))
        else:
            waiting.remove(partner)
            spelled.append(_spell_chain(speller, _chained(first, partner) or ((), ())))
    return spelled


def _is_whole(condition: Expr) -> bool:
    """`e % 1 == 0`: how an abbreviation says that the number it stands for is an integer."""
    match condition:
        case Compare("==", Mod(_, divisor), right):
            return divisor == ONE and right == ZERO
        case _:
            return False


def _ascending(condition: Expr) -> Compare | None:
    """A comparison by size written with its smaller side first."""
    if not isinstance(condition, Compare) or condition.operation not in FLIPPED:
        return None
    if condition.operation in ("<", "<="):
        return condition
    return Compare(FLIPPED[condition.operation], condition.right, condition.left)


def _chained(one: Expr, other: Expr) -> Chain | None:
    a, b = _ascending(one), _ascending(other)
    if a is None or b is None:
        return None
    for low, high in ((a, b), (b, a)):
        if low.right == high.left:
            return (low.left, low.right, high.right), (low.operation, high.operation)
    return None


def _spell_chain(speller: Speller, chain: Chain) -> str:
    members, relations = chain
    text = speller.text(members[0])
    for relation, member in zip(relations, members[1:], strict=True):
        text += f" {RELATION[relation]} {speller.text(member)}"
    return text


def _spell(speller: Speller, condition: Expr) -> str:
    match condition:
        case Compare("==" | "!=" as operation, Mod(dividend, divisor), right) if right == ZERO:
            bar = r"\mid" if operation == "==" else r"\nmid"
            return f"{speller.text(divisor)} {bar} {speller.text(dividend)}"
        case Compare(operation, left, right):
            return f"{speller.text(left)} {RELATION[operation]} {speller.text(right)}"
        case Logic("and", ()):
            return r"\text{always}"
        case Logic("or", ()):
            return r"\text{never}"
        case Logic("and", arguments):
            return r" \land ".join(_grouped(speller, a) for a in arguments)
        case Logic("or", arguments):
            return r" \lor ".join(_grouped(speller, a) for a in arguments)
        case Logic("not", (inner,)):
            return rf"\lnot {_grouped(speller, inner)}"
        case _:
            return speller.text(condition)


def _grouped(speller: Speller, condition: Expr) -> str:
    text = _spell(speller, condition)
    return f"({text})" if isinstance(condition, Logic) and condition.operation != "not" else text
