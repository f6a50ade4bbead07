"""A layer in the letters of a document: the same equations, every name exchanged for a word that spells the symbol."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from symbackprop.emit.latex_names import Spelling, names_of
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Arg, Expr, Index, Parameter, Read, Reduce, Size, parts, rebuild

ACCENT = re.compile(r"\\(hat|bar|tilde|dot|vec|check)\{(\\?\w+)\}")


def words_for(layer: Layer, spelling: Spelling) -> dict[str, str]:
    """The word for each name of the layer that the spelling has a symbol for, as long as no two names become one."""
    printed = dict(spelling.names)
    taken = {n for n in names_of(layer) if n not in printed}
    words: dict[str, str] = {}
    for name in names_of(layer):
        word = _word(printed.get(name, ""))
        if word and word not in taken:
            words[name] = word
            taken.add(word)
        elif name in printed:
            taken.add(name)
    kept = set(names_of(layer)) - set(words)
    return {name: word for name, word in words.items() if word not in kept}


def _word(symbol: str) -> str:
    r"""The letters of a symbol: `xhat` for `\hat{x}`, `sigma2` for `\sigma^2`; empty where there are none."""
    plain = re.sub(r"\W", "", ACCENT.sub(r"\2\1", symbol))
    return plain if plain[:1].isalpha() else ""


def renamed(layer: Layer, words: Mapping[str, str]) -> Layer:
    """The layer with other names."""
    return replace(
        layer,
        inputs=tuple(
            replace(
                t,
                name=words.get(t.name, t.name),
                axes=tuple(Size(words.get(a.name, a.name)) for a in t.axes),
                outside=None if t.outside is None else _in_words(t.outside, words),
            )
            for t in layer.inputs
        ),
        parameters=tuple(replace(p, name=words.get(p.name, p.name)) for p in layer.parameters),
        sizes=tuple(replace(s, name=words.get(s.name, s.name), value=_in_words(s.value, words)) for s in layer.sizes),
        ranges=tuple(
            replace(r, index=words.get(r.index, r.index), extent=_in_words(r.extent, words)) for r in layer.ranges
        ),
        requirements=tuple(replace(r, condition=_in_words(r.condition, words)) for r in layer.requirements),
        definitions=tuple(
            replace(
                d,
                name=words.get(d.name, d.name),
                indices=tuple(_index(i, words) for i in d.indices),
                body=_in_words(d.body, words),
            )
            for d in layer.definitions
        ),
        outputs=tuple(words.get(y, y) for y in layer.outputs),
    )


def counting(spelling: Spelling, words: Mapping[str, str]) -> Spelling:
    """How a document counts, in the words for its names: first values of indices and of positions, nothing else."""
    bases = tuple((words.get(name, name), _in_words(base, words)) for name, base in spelling.bases)
    offsets = []
    for tensor, moved in spelling.offsets:
        inner = tensor.removeprefix("grad_")
        grad = "grad_" if inner != tensor else ""
        offsets.append((f"{grad}{words.get(inner, inner)}", tuple(_in_words(m, words) for m in moved)))
    return Spelling(bases=bases, offsets=tuple(offsets))


def _in_words(expr: Expr, words: Mapping[str, str]) -> Expr:
    match expr:
        case Index():
            return _index(expr, words)
        case Size(name):
            return Size(words.get(name, name))
        case Parameter(name, integer):
            return Parameter(words.get(name, name), integer)
        case Read(tensor, indices):
            return Read(words.get(tensor, tensor), tuple(_in_words(i, words) for i in indices))
        case Reduce(operation, indices, body) | Arg(operation, indices, body):
            return type(expr)(operation, tuple(_index(i, words) for i in indices), _in_words(body, words))
        case _:
            return rebuild(expr, tuple(_in_words(part, words) for part in parts(expr)))


def _index(index: Index, words: Mapping[str, str]) -> Index:
    return Index(words.get(index.name, index.name), _in_words(index.extent, words), index.copy)
