"""A layer and a derivation as plain text, in the spelling of the equation notation; a gradient is `dL/dx[n,c]`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

from symbackprop.calculus.derivation import Derivation, Scatter
from symbackprop.emit.abbreviations import (
    Abbreviation,
    abbreviate,
    abbreviated_scatter,
    named_extents,
    with_named_extents,
)
from symbackprop.emit.latex_names import SPELLING, Spelling
from symbackprop.emit.latex_products import Group, arrange, split_sign
from symbackprop.emit.story import Line, Section, Story, ranges, story
from symbackprop.emit.templating import render
from symbackprop.notation.layer import Definition, Layer, Tensor
from symbackprop.notation.nodes import (
    MINUS_ONE,
    ONE,
    ZERO,
    Arg,
    Call,
    Constant,
    Delta,
    Expr,
    Index,
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
    add,
    mul,
    parts,
    rebuild,
    walk,
)
from symbackprop.notation.printer import expression

__all__ = ["derivation", "formula", "layer"]

WIDTH = 110
INDENT = "    "
COST = {"(": 2, ")": -2, "[": 9, "]": -9}


def derivation(
    derivation: Derivation,
    wrt: tuple[str, ...] | None = None,
    evidence: tuple[str, ...] = (),
    form: str = "gather",
    spelling: Spelling = SPELLING,
) -> str:
    """The whole derivation: the layer, a section for each gradient that `wrt` needs, and what all of it rests on.

    Of a `spelling` the text has the first values of the indices; its names are those of the layer.
    Raises UserError for a name in `wrt` that was not derived.
    """
    told = story(derivation, wrt, evidence, form)
    outputs = [Read(f"grad_{name}", _indices(told.layer, name)) for name in told.layer.outputs]
    fields = {
        **_layer_fields(told.layer, told.auxiliary, spelling),
        "given": ", ".join(formula(output, spelling=spelling) for output in outputs),
        "totals": [f"dL/d{name}_total" for name in told.layer.outputs if _is_told(f"grad_{name}_total", told)],
        "sections": [_section(told.layer, s, spelling) for s in told.sections],
        "rests": [wrapped_prose(sentence, WIDTH - 2) for sentence in _rests(told, spelling)],
    }
    return render("derivation.txt.jinja", fields)


def _is_told(gradient: str, told: Story) -> bool:
    return any(line.target.tensor == gradient for section in told.sections for line in section.lines)


def layer(layer: Layer) -> str:
    """The forward equations with their shapes and ranges."""
    return render("layer.txt.jinja", _layer_fields(layer, (), SPELLING))


def formula(expr: Expr, known: frozenset[Index] = frozenset(), spelling: Spelling = SPELLING) -> str:
    """One expression, as the notation prints it, with gradients as `dL/dx` and roots as `sqrt`.

    A summed index stands with its extent (`k<M`), unless it is one of `known` or a copy of one.
    """
    return re.sub(
        r"(\w+'*) % 1 == 0", r"\1 whole", expression(_spelled(_limited(_counted(expr, spelling), known, spelling)))
    )


def _counted(expr: Expr, spelling: Spelling) -> Expr:
    """The expression in indices that count from their bases, positions from those of their tensors."""
    if not (spelling.bases or spelling.offsets):
        return expr
    match expr:
        case Read(tensor, indices):
            offsets = dict(spelling.offsets).get(tensor, ())
            offsets += (ZERO,) * (len(indices) - len(offsets))
            moved = (_position(i, offset, spelling) for i, offset in zip(indices, offsets, strict=True))
            return Read(tensor, tuple(moved))
        case Mod(Index(), divisor) if divisor == ONE:  # a letter that is to be whole
            return expr
        case Index():
            return spelling.counted(expr)
        case Reduce(operation, indices, body) | Arg(operation, indices, body):
            return type(expr)(operation, indices, _counted(body, spelling))
        case Delta(left, right):
            base = spelling.base(left) if isinstance(left, Index) else ZERO
            return Delta(spelling.counted(left, base), spelling.counted(right, base))
        case _:
            return rebuild(expr, tuple(_counted(part, spelling) for part in parts(expr)))


def _position(expr: Expr, offset: Expr, spelling: Spelling) -> Expr:
    """A position on an axis whose first is `offset`."""
    if any(isinstance(e, Read) for e in walk(expr)):  # by a label
        inner = _counted(expr, spelling)
        return inner if offset == ZERO else add(inner, offset)
    return spelling.counted(expr, offset)


def _limited(expr: Expr, known: frozenset[Index], spelling: Spelling) -> Expr:
    """Indices at their reductions with their extents in the name, where the reader could not know them."""
    if not known:
        return expr
    new = rebuild(expr, tuple(_limited(part, known, spelling) for part in parts(expr)))
    if isinstance(new, Reduce | Arg):
        bound = tuple(i if Index(i.name, i.extent) in known else _with_limit(i, spelling) for i in new.indices)
        return type(new)(new.operation, bound, new.body)
    return new


def _with_limit(index: Index, spelling: Spelling) -> Index:
    return Index(f"{expression(index)}<{expression(spelling.end(index))}", index.extent)


def _spelled(expr: Expr) -> Expr:
    """The expression with gradients, roots, partial derivatives and signs as a reader writes them."""
    match expr:
        case Pow(base, Number(value)) if abs(value) == Fraction(1, 2):
            root = Call("sqrt", (_spelled(base),))
            return root if value > 0 else Pow(root, MINUS_ONE)
        case Read(tensor, indices) if tensor.startswith("grad_"):
            return Read(f"dL/d{tensor.removeprefix('grad_')}", tuple(map(_spelled, indices)))
        case Partial(Read() as value, variable):
            return Constant(f"d{formula(value)}/d{formula(variable)}")
        case Partial(value, variable):
            return Constant(f"d/d{formula(variable)}({formula(value)})")
        case Mul() | Reduce() | Where() if split_sign(expr)[0]:
            return mul(MINUS_ONE, _spelled(split_sign(expr)[1]))
        case Mul(factors):
            return mul(*_halves_last([f for group in arrange(factors) for f in _side_by_side(group)]))
        case _:
            # an index that must be whole is not folded away: only what has changed is rebuilt
            return rebuild(expr, tuple(map(_spelled, parts(expr))))


def _halves_last(factors: list[Expr]) -> list[Expr]:
    """`x/2` for `0.5*x`, and so for a quarter and an eighth."""
    match factors[0]:
        case Number(value) if len(factors) > 1 and 1 / value in (2, 4, 8):
            return [*factors[1:], Pow(Number(1 / value), MINUS_ONE)]
        case _:
            return factors


def _side_by_side(group: Group) -> list[Expr]:
    above = [_spelled(f) for f in group.above]
    return [*above, Pow(mul(*map(_spelled, group.below)), MINUS_ONE)] if group.below else above


def wrapped(line: str, width: int = WIDTH, indent: int = 4) -> list[str]:
    """A long line broken at a sign or behind an operator, as far outside of brackets as possible."""
    if len(line) <= width:
        return [line]
    places = _places(line, width)
    if not places:
        return [line]
    at = min(places, key=lambda found: (found[1], -found[0]))[0]
    return [line[:at].rstrip(), *wrapped(" " * indent + line[at:].lstrip(), width, indent)]


def _places(line: str, width: int) -> list[tuple[int, int]]:
    """Where the line may be broken, and how bad it is there: worse in brackets, worst in an index; not too early."""
    found: list[tuple[int, int]] = []
    depth = 0
    for at, char in enumerate(line[:width]):
        depth += COST.get(char, 0)
        if at <= width // 3:
            continue
        if line[at : at + 3] in (" + ", " - "):
            found.append((at, depth))
        elif line[at - 1] == "*" or line[at - 2 : at] == ", " or line[at : at + 5] == " and ":
            found.append((at, depth + 1))
    return found


def wrapped_prose(text: str, width: int = WIDTH) -> list[str]:
    """A sentence on lines of at most `width`."""
    made = [""]
    for word in text.split():
        if len(made[-1]) + len(word) >= width:
            made.append("")
        made[-1] += f" {word}" if made[-1] else word
    return made


# the layer


def _layer_fields(layer: Layer, auxiliary: tuple[Definition, ...], spelling: Spelling) -> dict[str, object]:
    return {
        "name": layer.name,
        "doc": layer.doc.strip(),
        "declarations": [_declaration(*both) for both in _declarations(layer, spelling)],
        "equations": _equations(layer, layer.definitions, spelling),
        "auxiliary": _equations(layer, auxiliary, spelling),
    }


def _declaration(what: str, members: Iterable[str]) -> list[str]:
    made = [f"{what:<12}"]
    for at, member in enumerate(members):
        if at and len(made[-1]) + len(member) + 2 > WIDTH:
            made.append(" " * 12)
        made[-1] += f", {member}" if made[-1].strip() and at and made[-1] != " " * 12 else member
    return made


def _declarations(layer: Layer, spelling: Spelling) -> Iterable[tuple[str, list[str]]]:
    for kind, title in (("real", "inputs"), ("integer", "integer")):
        tensors = [_tensor(t) for t in layer.inputs if t.kind == kind]
        if tensors:
            yield title, tensors
    extents = named_extents(layer)
    yield "defined", [_shape(d.name, tuple(i.extent for i in d.indices), extents) for d in layer.definitions]
    if layer.parameters:
        yield (
            "parameters",
            [
                f"{expression(Parameter(p.name))} = {expression(Number(p.default))}{' (integer)' if p.integer else ''}"
                for p in layer.parameters
            ],
        )
    sizes = [(Size(s.name), s.value) for s in layer.sizes] + list(extents)
    if sizes:
        yield "sizes", [f"{size.name} = {expression(value)}" for size, value in sizes]
    indices = (with_named_extents(i, extents) for i in ranges(layer))
    yield "indices", [_range(i, spelling) for i in indices if isinstance(i, Index)]
    if layer.requirements:
        yield "required", [expression(r.condition) for r in layer.requirements]


def _tensor(tensor: Tensor) -> str:
    outside = "" if tensor.outside is None else f" ({expression(tensor.outside)} outside)"
    return _shape(tensor.name, tensor.axes, ()) + outside


def _shape(name: str, axes: tuple[Expr, ...], extents: tuple[tuple[Size, Expr], ...]) -> str:
    sizes = ", ".join(expression(with_named_extents(a, extents)) for a in axes)
    return f"{name}[{sizes}]" if axes else name


def _equations(layer: Layer, definitions: tuple[Definition, ...], spelling: Spelling) -> list[str]:
    return [row for d in definitions for row in _equation(layer, d, spelling)]


def _equation(layer: Layer, definition: Definition, spelling: Spelling) -> list[str]:
    value = with_named_extents(definition.body, named_extents(layer))
    value, letters = abbreviate(value, definition.element, layer)
    left = formula(definition.element, spelling=spelling)
    rows = wrapped(f"{INDENT}{left} = {formula(value, spelling=spelling)}", indent=len(INDENT) + len(left) + 5)
    return [*rows, *_where(letters, len(INDENT) + len(left) + 3, spelling)]


def _indices(layer: Layer, name: str) -> tuple[Index, ...]:
    return next((d.indices for d in layer.definitions if d.name == name), ())


# the derivation


def _section(layer: Layer, section: Section, spelling: Spelling) -> dict[str, object]:
    what = "Closed form of the gradient" if section.closed else "Gradient"
    known = _known(layer)
    return {
        "heading": f"{what} of {section.tensor}",
        "domain": ", ".join(_range(i, spelling) for i in section.domain),
        "steps": [_step(line, known, spelling, first=at == 0) for at, line in enumerate(section.lines)],
        "why": section.why,
        "scatters": [row for s in section.scatters for row in _scatter(s, layer, known, spelling)],
    }


def _known(layer: Layer) -> frozenset[Index]:
    """The indices whose ranges stand at the top of the page."""
    extents = named_extents(layer)
    named = [with_named_extents(i, extents) for i in ranges(layer)]
    return frozenset(i for i in named if isinstance(i, Index))


def _range(index: Index, spelling: Spelling) -> str:
    low = spelling.base(index)
    if low == ONE:
        return f"1 <= {expression(index)} <= {expression(_spelled(spelling.end(index, -1)))}"
    return f"{expression(_spelled(low))} <= {expression(index)} < {expression(_spelled(spelling.end(index)))}"


def _step(line: Line, known: frozenset[Index], spelling: Spelling, first: bool) -> dict[str, object]:
    left = formula(line.target, spelling=spelling)
    shown = left if first or line.result else " " * len(left)
    rows = wrapped(f"{INDENT}{shown} = {formula(line.value, known, spelling)}", indent=len(INDENT) + len(left) + 5)
    rows += _where(line.abbreviations, len(INDENT) + len(left) + 3, spelling)
    return {"reason": wrapped_prose(_reason(line, spelling)), "rows": rows}


def _reason(line: Line, spelling: Spelling) -> str:
    if line.number is None:
        return "From above:"
    needs = ", ".join(formula(c, spelling=spelling) for c in line.conditions)
    what = f"{line.number}. {line.rule[:1].upper() + line.rule[1:]}: {line.reason}"
    return f"{what} (where {needs})." if needs else f"{what}."


def _where(letters: tuple[Abbreviation, ...], indent: int, spelling: Spelling) -> list[str]:
    """What the letters stand for: on one line if they are short, else on a line each."""
    said = [f"{formula(a.letter)} = {expression(_spelled(_value(a, spelling)))}" for a in letters]
    together = ", ".join(said)
    if said and indent + len(together) <= WIDTH - 6:
        said = [together]
    return [f"{' ' * indent}{'where' if not at else '     '} {one}" for at, one in enumerate(said)]


def _value(abbreviation: Abbreviation, spelling: Spelling) -> Expr:
    """What a letter stands for, counted as the letter is."""
    letter, value = abbreviation.letter, abbreviation.value
    base = spelling.base(letter) if isinstance(letter, Index) else ZERO
    return _position(value, base, spelling) if spelling.bases else value


def _scatter(scatter: Scatter, layer: Layer, known: frozenset[Index], spelling: Spelling) -> list[str]:
    target, value, letters = abbreviated_scatter(scatter, layer)
    left = formula(target, spelling=spelling)
    rows = wrapped(f"{INDENT}{left} += {formula(value, known, spelling)}", indent=8)
    rows += _where(letters, len(INDENT), spelling)
    over = ", ".join(_range(i, spelling) for i in scatter.domain)
    return [*rows, *wrapped(f"{INDENT}for all {over}", indent=8)] if over else rows


def _rests(told: Story, spelling: Spelling) -> Iterable[str]:
    yield from told.evidence
    if told.conditions:
        yield f"Holds for every call with {', '.join(formula(c, spelling=spelling) for c in told.conditions)}."
    yield from (f"Assumed: {a}." for a in told.assumptions or ("nothing beyond the shapes",))
