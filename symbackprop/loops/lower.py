"""From array statements to loops: what shares a nest, in which order it walks, where it keeps what it computes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from symbackprop.calculus.derivation import gradient_name
from symbackprop.loops.absorb import absorbed
from symbackprop.loops.ahead import with_rows_ahead
from symbackprop.loops.compose import without_keeping
from symbackprop.loops.contraction import contraction
from symbackprop.loops.groups import Group, groups, reads, with_columns
from symbackprop.loops.kernel import Allocation, Kernel, Pass
from symbackprop.loops.nest import build_nest, has_one_row_index
from symbackprop.loops.streams import with_streams
from symbackprop.loops.tensors import Tensors
from symbackprop.loops.windows import window_nest
from symbackprop.notation.nodes import Expr, mul
from symbackprop.program.extents import all_sizes, with_named_extents
from symbackprop.program.statements import Program, Statement


def lower(program: Program) -> Kernel:
    """The loops of a program.

    Needs: a program. Keeps: every value that it says, its outputs, saved tensors and gradients. Gives: nests with
    parallel outer loops, reductions over one box in one pass, and guards turned into bounds.
    """
    program = with_named_extents(program)
    tensors = Tensors.of(program)
    names = _names(program)
    forward_kept = {*program.layer.outputs, *program.saved}
    backward_kept = {gradient_name(t.name) for t in program.layer.real_inputs}
    alone = without_keeping(program)
    return Kernel(
        program,
        _pass(program.forward, forward_kept, tensors, names),
        _pass(program.backward, backward_kept, tensors, names),
        None if alone is None else _pass(alone.forward, program.layer.outputs, Tensors.of(alone), names),
    )


def _names(program: Program) -> tuple[str, ...]:
    """Everything that has a name in the layer: locals get others."""
    layer = program.layer
    sizes = [a.name for t in layer.inputs for a in t.axes] + [s.name for s in all_sizes(layer)]
    return (*(t.name for t in layer.inputs), *(p.name for p in layer.parameters), *sizes)


def _pass(statements: tuple[Statement, ...], kept: Iterable[str], tensors: Tensors, names: tuple[str, ...]) -> Pass:
    found = groups(absorbed(statements, frozenset(kept)))
    found = with_columns(found, lambda group: has_one_row_index(group, tensors))
    nests = []
    stored: set[str] = set()
    for at, group in enumerate(found):
        later = {r.tensor for g in found[at + 1 :] for s in g.statements for r in reads(s)}
        needed = frozenset({*kept, *later})
        windows = window_nest(group, needed, tensors, names)
        dying = _dying(group, found[:at], stored - needed, needed, tensors)
        nest = windows or build_nest(group, needed, tensors, names, frozenset(stored), dying)
        nest = replace(nest, points=_points(group))
        if len(group.statements) == 1:
            nest = replace(nest, contraction=contraction(group.statements[0], tensors))
        if not windows:  # their rows are short, and follow one another
            taken = (*names, *tensors.axes)
            nest = with_streams(with_rows_ahead(nest, taken), taken)
        nests.append(nest)
        stored |= {a.name for a in nest.arrays if a.written}
    cleared = {target for nest in nests for target in nest.cleared}
    over = {new: old for nest in nests for old, new in nest.taken}
    allocations = _allocations(found, stored, cleared, tensors)
    return Pass(tuple(replace(a, over=over.get(a.name, "")) for a in allocations), tuple(nests))


def _dying(
    group: Group, before: Iterable[Group], arrays: frozenset[str] | set[str], needed: frozenset[str], tensors: Tensors
) -> dict[str, tuple[str, ...]]:
    """The arrays of earlier nests that only this one still reads, each with those of its own of the same shape.

    An array takes another's place only where both are wanted whenever the nest is called.
    """
    earlier = {s.target: s for g in before for s in g.statements}
    own = {s.target: s for s in group.statements if s.target in needed and s.target not in earlier}
    found = {}
    for name in dict.fromkeys(r.tensor for s in group.statements for r in reads(s)):
        if name not in arrays or name not in earlier or name in tensors.integers or name in tensors.places:
            continue
        shape, wanted = tensors.extents(name), set(group.wanted_by)
        if set(earlier[name].wanted_by) == wanted:
            same = [t for t, s in own.items() if tensors.extents(t) == shape and set(s.wanted_by) == wanted]
            found[name] = tuple(t for t in same if t not in tensors.integers and t not in tensors.places)
    return found


def _points(group: Group) -> Expr:
    """How many points the statement with most indices has, bound ones among them; a scatter has those alone."""
    boxes = [s.bound if s.kind == "scatter" else (*s.indices, *s.bound) for s in group.statements]
    return mul(*(i.extent for i in max(boxes, key=len)))


def _allocations(
    found: tuple[Group, ...], stored: set[str], cleared: set[str], tensors: Tensors
) -> tuple[Allocation, ...]:
    """One array for each target that is kept in one; what is scattered to starts as zeros, or its nest clears it."""
    made: dict[str, Allocation] = {}
    for s in (s for g in found for s in g.statements):
        if s.target not in stored:
            continue
        wanted = made[s.target].wanted_by if s.target in made else ()
        both = tuple(dict.fromkeys((*wanted, *s.wanted_by)))
        first = s.target not in made  # what a later statement does finds the array begun
        zero = s.kind == "scatter" and s.target not in cleared if first else made[s.target].zero
        made[s.target] = Allocation(s.target, tensors.extents(s.target), zero, tensors.places.get(s.target), both)
    return tuple(made.values())
