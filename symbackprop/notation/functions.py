"""What functions, reductions and conditions mean."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from symbackprop.errors import NotationError
from symbackprop.notation import nodes as n
from symbackprop.notation.binding import free_indices
from symbackprop.notation.names import did_you_mean
from symbackprop.notation.nodes import FUNCTIONS, POSITIONS, REDUCTIONS, Expr, Index
from symbackprop.notation.operators import raised
from symbackprop.notation.scope import WHAT_IT_IS
from symbackprop.notation.syntax import MAX_NESTING, Node

if TYPE_CHECKING:
    from symbackprop.notation.meaning import Context, Meaning

MAX_CONDITIONS = 100
_ARGUMENTS: dict[str, int] = {**FUNCTIONS, "pow": 2, "where": 3, "clip": 3}


def call(meaning: Meaning, node: Node, context: Context) -> Expr:
    """A function, `where` or `clip`."""
    name, arguments = node.text, node.parts[0].parts
    expected = _ARGUMENTS.get(name)
    if expected is None:
        raise _not_a_function(meaning, node)
    if len(arguments) != expected:
        advice = f"To reduce over an index, write {name}[i](...)." if name in REDUCTIONS else ""
        counted = f"{expected} argument{'s' if expected > 1 else ''}"
        raise meaning.error(node, f"{name} takes {counted}, but {len(arguments)} came", advice)
    if name == "clip":
        return _clip(meaning, node, arguments, context)
    if context.mode != "value":
        advice = "Write clip(e, lo, hi)." if name in ("max", "min") else ""
        raise meaning.error(node, f"{name}(...) stands in {meaning.place_of(context)}", advice)
    if name == "where":
        return _where(meaning, arguments, context)
    values = [meaning.read(a, context) for a in arguments]
    return raised(meaning, node, *values) if name == "pow" else n.call(name, *values)


def _not_a_function(meaning: Meaning, node: Node) -> NotationError:
    name = node.text
    if name in REDUCTIONS:
        return meaning.error(node, f"{name} needs the indices that it runs over", f"Write {name}[i](...).")
    if name in meaning.scope.kinds:
        what = WHAT_IT_IS[meaning.scope.kinds[name]]
        return meaning.error(node, f"{name} is {what}, not a function", "Elements take [ ], products take *.")
    known = ", ".join(_ARGUMENTS)
    return meaning.error(node, f"{name} is not a function", did_you_mean(name, _ARGUMENTS) or f"There are {known}.")


def _clip(meaning: Meaning, node: Node, arguments: tuple[Node, ...], context: Context) -> Expr:
    if context.mode not in ("value", "index"):
        raise meaning.error(node, f"clip(...) stands in {meaning.place_of(context)}")
    value, low, high = (meaning.read(a, replace(context, mode="index")) for a in arguments)
    return n.Clip(value, low, high)


def _where(meaning: Meaning, arguments: tuple[Node, ...], context: Context) -> Expr:
    decided = condition(meaning, arguments[0], context)
    then, other = (meaning.read(a, replace(context, guarded=True)) for a in arguments[1:])
    return n.where(decided, then, other)


def reduction(meaning: Meaning, node: Node, context: Context) -> Expr:
    """`sum[i, j](E)`, and `argmax[i](E)` where it is all that a definition says."""
    if node.text in POSITIONS and node is not meaning.statement.parts[-1]:
        advice = f"Define it first: k = {node.text}[i](...); then k may stand in an index or a comparison."
        raise meaning.error(node, f"{node.text} stands inside an expression", advice)
    if node.text not in (*REDUCTIONS, *POSITIONS):
        advice = did_you_mean(node.text, (*REDUCTIONS, *POSITIONS)) or f"The reductions are {', '.join(REDUCTIONS)}."
        raise meaning.error(node, f"{node.text} is not a reduction", advice)
    if context.mode != "value":
        raise meaning.error(node, f"a reduction stands in {meaning.place_of(context)}", "Define its value first.")
    names, bodies = node.parts
    if len(bodies.parts) != 1 or not names.parts:
        raise meaning.error(node, f"{node.text} takes indices and one expression", f"Write {node.text}[i](...).")
    bound = _bound(meaning, node, names.parts, context)
    body = meaning.read(bodies.parts[0], replace(context, indices=(*context.indices, *(p.text for p in names.parts))))
    used = free_indices(body)
    for index, place in zip(bound, names.parts, strict=True):
        if index not in used:
            message = f"{node.text} runs over index {place.text}, which does not occur in what it reduces"
            raise meaning.error(place, message, f"Leave {place.text} out, or use it.")
    if node.text in POSITIONS:
        return n.Arg(node.text.removeprefix("arg"), bound, body)
    return n.Reduce(node.text, bound, body)


def _bound(meaning: Meaning, node: Node, names: tuple[Node, ...], context: Context) -> tuple[Index, ...]:
    taken, bound = list(context.indices), []
    for place in names:
        if place.kind != "name":
            raise meaning.error(place, f"{node.text} takes plain indices in [ ]", f"Write {node.text}[i](...).")
        if place.text in taken:
            message = f"index {place.text} of {node.text} already has a value here"
            raise meaning.error(place, message, "Choose another index; each may be bound once.")
        taken.append(place.text)
        bound.append(meaning.running(place))
    return tuple(bound)


# conditions


def condition(meaning: Meaning, node: Node, context: Context) -> Expr:
    """A comparison, or several joined by `and`, `or`, `not`."""
    if node.kind == "comparison":
        return _comparison(meaning, node, context)
    if node.kind not in ("conjunction", "disjunction", "negation"):
        raise meaning.error(node, "a value stands where a condition is expected", "Compare it: `a > 0`.")
    meaning.depth += 1
    if meaning.depth > MAX_NESTING or len(node.parts) > MAX_CONDITIONS:
        raise meaning.error(node, f"over {MAX_CONDITIONS} conditions are joined or nested", "Use fewer conditions.")
    # from left to right: what comes later is looked at only where what stands before does not decide
    later = replace(context, guarded=True)
    conditions = tuple(condition(meaning, part, later if at else context) for at, part in enumerate(node.parts))
    meaning.depth -= 1
    if node.kind == "conjunction":
        return n.both(*conditions)
    return n.Logic("or" if node.kind == "disjunction" else "not", conditions)


def _comparison(meaning: Meaning, node: Node, context: Context) -> Expr:
    if len(node.parts) != 2:
        raise meaning.error(node, "more than two expressions are compared", "Write a < b and b < c.")
    left, right = (meaning.read(part, context) for part in node.parts)
    return n.Compare(node.text, left, right)
