"""Which statements of a nest share one pass over their data: those over one box of which none waits for another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from symbackprop.loops.groups import Group, is_reduction, reads
from symbackprop.loops.sums import is_centred_square
from symbackprop.loops.tensors import ARGUMENTS
from symbackprop.notation.nodes import Index
from symbackprop.program.statements import Statement


@dataclass(frozen=True, slots=True)
class Sweep:
    """Statements computed in the same loops: over `around`, for each point of which the loops over `box` run once.

    A reduction has its own indices in `around` and its bound ones in `box`; a map has all of them in `box`.
    """

    around: tuple[Index, ...]
    box: tuple[Index, ...]
    statements: tuple[Statement, ...]

    @property
    def wanted_by(self) -> tuple[str, ...]:
        """The inputs whose gradients need one of the statements."""
        return tuple(dict.fromkeys(name for s in self.statements for name in s.wanted_by))


def sweeps(group: Group, inside: tuple[Index, ...]) -> tuple[Sweep, ...]:
    """The statements of a group in as few sweeps as their dependences allow, in order.

    `inside` are the indices that are fixed outside of all sweeps. Needs: a group whose indices bear common names.
    """
    found: list[Sweep] = []
    for statement in group.statements:
        own = tuple(i for i in statement.indices if i not in inside)
        if statement.kind == "scatter":
            found.append(Sweep((), statement.bound, (statement,)))
            continue
        around, box = (own, statement.bound) if is_reduction(statement) else ((), own)
        earliest = max((_after(at, sweep, statement) for at, sweep in enumerate(found)), default=0)
        place = next((at for at in range(earliest, len(found)) if _fits(found[at], around, box, statement)), None)
        if place is None:
            found.append(Sweep(around, box, (statement,)))
        else:
            found[place] = Sweep(around, found[place].box, (*found[place].statements, statement))
    return tuple(found)


def _after(at: int, sweep: Sweep, statement: Statement) -> int:
    """The first sweep in which a statement can stand that may read what this one computes."""
    targets = {s.target: s for s in sweep.statements}
    waited = [targets[r.tensor] for r in reads(statement) if r.tensor in targets]
    if not waited:
        return 0
    if not sweep.box and not sweep.around:
        return at
    return at if all(_in_passing(s, statement) for s in waited) else at + 1


def _in_passing(earlier: Statement, statement: Statement) -> bool:
    """Whether a statement can use an earlier one's value at the point where both are computed."""
    if earlier.kind == "map":
        return all(r.indices == earlier.indices for r in reads(statement) if r.tensor == earlier.target)
    return is_centred_square(earlier, statement)


def _fits(sweep: Sweep, around: tuple[Index, ...], box: tuple[Index, ...], statement: Statement) -> bool:
    if set(sweep.around) != set(around) or set(sweep.box) != set(box):
        return False
    alone = any(s.kind in (*ARGUMENTS, "scatter") for s in (*sweep.statements, statement))
    return not alone or not box


def paired(statements: Iterable[Statement]) -> tuple[tuple[Statement, ...], ...]:
    """The reductions of a sweep, a mean and the squared deviations from it as a pair."""
    left = list(statements)
    found: list[tuple[Statement, ...]] = []
    while left:
        first = left.pop(0)
        second = next((s for s in left if is_centred_square(first, s)), None)
        if second is not None:
            left.remove(second)
        found.append((first,) if second is None else (first, second))
    return tuple(found)
