r"""A document's own symbol as one of the layer's definitions, so that the loss can be differentiated by it.

`s_i = \sqrt{v_i + \epsilon}` becomes a definition, and what follows reads it wherever it had the same expression,
or another power of the same. A symbol through which nothing goes has no gradient.
"""

from __future__ import annotations

from dataclasses import replace

from symbackprop.calculus.match import match
from symbackprop.documents.edits import freed
from symbackprop.documents.latex.tree import Name, Tree
from symbackprop.documents.legend import Part
from symbackprop.documents.meaning import plain_translator
from symbackprop.documents.meant import Meant
from symbackprop.documents.names import slot_of, standings
from symbackprop.documents.positions import free_letters, identifier
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import Expr, Index, Number, Pow, Read, parts, power, rebuild, walk
from symbackprop.notation.tidying import tidy


def with_definition(part: Part, base: str, letters: tuple[str, ...], body: Tree) -> Part | None:
    """The part with a symbol as a definition of the layer; None where nothing of the layer goes through it."""
    free = free_letters((body,), part)
    if {x.name for x in free if x.printed} != set(letters):
        return None
    value = tidy(plain_translator(part, free).expr(body))
    layer = _inserted(part.layer, base, tuple(x.index for x in free), value)
    if layer is None:
        return None
    stands: dict[str, Tree] = {}
    for standing in standings(body, part):
        axis, _ = slot_of(standing.meant, standing.formal)
        slot = freed(standing.meant.slots[axis], standing.formal, Name(standing.letter))
        stands.setdefault(standing.letter, slot)
    slots = tuple(stands[x.name] for x in free)
    return replace(
        part, layer=layer, symbols=(*part.symbols, Meant(base, "", letters, _tensor(base, part.layer), False, slots))
    )


def _tensor(base: str, layer: Layer) -> str:
    name = identifier(base.replace("\\", ""))
    while name in layer.tensors:
        name += "_"
    return name


def _inserted(layer: Layer, base: str, indices: tuple[Index, ...], value: Expr) -> Layer | None:
    """The layer with a definition behind what it reads, and read by what comes after it."""
    new = Definition(_tensor(base, layer), indices, value)
    read = {e.tensor for e in walk(value) if isinstance(e, Read)}
    at = max((n for n, d in enumerate(layer.definitions, 1) if d.name in read), default=0)
    after = tuple(replace(d, body=_exchanged(d.body, new)) for d in layer.definitions[at:])
    if after == layer.definitions[at:]:
        return None
    return replace(layer, definitions=(*layer.definitions[:at], new, *after))


def _exchanged(expr: Expr, new: Definition) -> Expr:
    """The expression with the definition read wherever it, or another power of the same, stands."""
    found = match(new.body, expr, new.indices)
    if found is not None:
        return Read(new.name, tuple(found[i] for i in new.indices))
    match new.body, expr:
        case Pow(base, Number(exponent)), Pow(other, Number(raised)):
            found = match(base, other, new.indices)
            if found is not None:
                return power(Read(new.name, tuple(found[i] for i in new.indices)), Number(raised / exponent))
    return rebuild(expr, tuple(_exchanged(part, new) for part in parts(expr)))
