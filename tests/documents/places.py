"""Where a damage stands, and whether a place that is named is that place: the strict measure of the audit's finds."""

from __future__ import annotations

from symbackprop.documents.latex.tree import Big, Group, Plus, Raised, Span, Tree, parts


def changed(before: Tree, after: Tree) -> tuple[Span, Span]:
    """The smallest part of `after` in which the two differ, and the part that a name for its place may not leave.

    That is the smallest term of a sum that holds it: a sign or a factor has no place of its own within a product. For
    what stands in a limit it is the limit, for an exponent the power. Where a sum has lost a term, the sum is both,
    with its brackets.
    """
    holder, closed, around = after.span, False, after.span
    while True:
        old, new = parts(before), parts(after)
        if type(before) is not type(after) or len(old) != len(new):
            break
        differing = [at for at, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        if len(differing) != 1:
            break
        at = differing[0]
        limit = isinstance(after, Big) and at < len(new) - 1
        exponent = isinstance(after, Raised) and at == 1
        if not closed and (limit or isinstance(after, Plus)):
            holder = new[at].span
        elif not closed and exponent:
            holder = after.span
        closed |= limit or exponent
        around = after.span if isinstance(after, Group) else new[at].span
        before, after = old[at], new[at]
    lost = isinstance(before, Plus)
    return after.span, around if lost and not closed else holder


def is_named(places: list[Span], before: Tree, after: Tree) -> bool:
    """Whether one of the places touches what was changed and lies within what it may not leave."""
    change, holder = changed(before, after)
    return any(
        low <= change[1] and high >= change[0] and holder[0] <= low and high <= holder[1] for low, high in places
    )
