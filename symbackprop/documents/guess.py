"""A first legend, guessed from a document and a layer, for a person to correct.

Symbols are paired with tensors by the customary spellings of names, indices with axes by their number and order,
counting and sizes by the limits of the sums, the loss by what is differentiated. Then the guess is tried: changes of it
by which more of the document's formulas hold are kept. Nothing that is guessed is right by itself: a wrong guess shows
as formulas that fail or are not decided.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from symbackprop.documents.draft import CENTRED, Draft, Symbol, symbol_for
from symbackprop.documents.legend import Legend, legend_of
from symbackprop.documents.refine import refined
from symbackprop.documents.seen import Seen, look
from symbackprop.documents.source import Formula
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Size

GREEK = {
    "alpha": r"\alpha", "beta": r"\beta", "gamma": r"\gamma", "delta": r"\delta", "eps": r"\epsilon", "mu": r"\mu",
    "lambda": r"\lambda", "sigma": r"\sigma", "theta": r"\theta", "tau": r"\tau", "rho": r"\rho", "eta": r"\eta",
}  # fmt: skip
CUSTOM = {  # what a tensor or parameter of this name is often called, the likeliest first
    "var": (r"\sigma^2", "v"),
    "mean": (r"\mu", "m"),
    "mu": (r"\mu", "m"),
    "weight": ("W", "w", "K", "F", r"\theta", "k"),
    "bias": ("b", r"\beta"),
    "eps": (r"\epsilon", "e"),
    "x": ("x", "X", "a", "I", "img"),
    "y": ("y", "Y", "z", "u", "o", "C", "G"),
    "gamma": (r"\gamma", "g"),
    "kernel": ("F", "K", "k", "f"),
    "stride": ("s", "S"),
    "pad": ("p", "P"),
    "dilation": ("d", "D"),
    "beta": (r"\beta", "b"),
    "t": ("t", "y"),
    "target": ("t", "y"),
}
CENTRED_LIMIT = re.compile(r"(?:\\frac\{\(?(\w) - 1\)?\}\{2\}|\(?(\w) - 1\)?/2|(\w))")


def legend_for(found: tuple[Formula, ...], layer: Layer, load: Callable[[str], Layer]) -> Legend:
    """The guess, as a legend."""
    data = tomllib.loads(guessed(found, layer, layer.name))
    return legend_of(data, lambda _: layer, "the guessed legend")


def guessed(found: tuple[Formula, ...], layer: Layer, source: str) -> str:
    """The guess, as TOML with remarks."""
    seen = look(found)
    draft = refined(_first(seen, layer, source), seen)
    more = _with_gradients(draft, seen)
    draft = refined(more, seen) if more != draft else draft
    draft = _with_own_letters(draft, seen)
    known = {s.tensor for s in draft.symbols} | {v for _, v in draft.constants}
    missing = [t.name for t in layer.inputs if t.name not in known]
    remarks = (f"no symbol was found for {', '.join(missing)}",) if missing else ()
    return replace(draft, remarks=remarks).toml()


def _first(seen: Seen, layer: Layer, source: str) -> Draft:
    """The guess by customary names and the limits of sums."""
    draft = Draft(source, layer, tuple(seen.loss), tuple(seen.labels), matrices=seen.matrices)
    counts, pairs = _counts(seen), _pairs(seen, layer)
    silent = _silent(seen, layer, pairs)
    shown: list[tuple[str, str, Symbol]] = []
    for name, spelling in pairs.items():
        if any(p.name == name for p in layer.parameters):
            draft = draft.with_constant(spelling, name)
            continue
        symbol = symbol_for(seen, spelling, name, layer, counts, silent)
        if symbol is not None:
            draft = draft.with_symbol(symbol)
            if (spelling, symbol.letters) in seen.alone:  # else a position is made of several letters
                shown.append((name, spelling, symbol))
    counted = {  # the letters of each size
        (letter, getattr(layer.axes(name)[axis], "name", ""))
        for name, _, symbol in shown
        for letter, axis in zip(symbol.letters, symbol.axes, strict=True)
    }
    for own in (True, False):  # limits in sums over this symbol, then in any sum: symbols may share a letter
        for name, spelling, symbol in shown:
            limits = {x: seen.range_of(spelling, x, own) for x in symbol.letters}
            for letter, axis in zip(symbol.letters, symbol.axes, strict=True):
                others = {of for x, of in counted if x == letter} - {getattr(layer.axes(name)[axis], "name", "")}
                if set(re.findall(r"\w+", limits[letter][1])) & others:  # a limit by the layer's name for another size
                    limits[letter] = ("", "")
            draft = _with_sizes(draft, symbol, name, limits)
    return _with_gradients(draft, seen)


def _counts(seen: Seen) -> dict[str, str]:
    """What each letter's first value is, by the limits of its sums; "" is for those without any."""
    found: dict[str, str] = {}
    for letter, low in seen.lows.items():
        found[letter] = CENTRED if low.startswith("-") else low if low in ("0", "1") else "0"
    plain = Counter(v for v in found.values() if v != CENTRED)
    numbered = [i for lists in seen.indices.values() for indices in lists for i in indices]
    found[""] = plain.most_common(1)[0][0] if plain else "1" if numbered and "0" not in numbered else "0"
    return found


def _pairs(seen: Seen, layer: Layer) -> dict[str, str]:
    """The symbol of each tensor and each real parameter."""
    pairs: dict[str, str] = {}
    wanted = [t.name for t in layer.inputs] + [d.name for d in layer.definitions]
    wanted += [p.name for p in layer.parameters if not p.integer]
    sizes = {x for high in seen.highs.values() for x in re.findall(r"[A-Za-z]+", high)}
    for name in wanted:
        worn = rf"\hat{{{pairs.get(name.removesuffix('hat'), '')}}}"
        known = [s for s in ((worn,) * name.endswith("hat") + _spellings(name)) if s in seen.indices]
        if not seen.matrices:  # what is printed with indices is likelier than what is not
            known.sort(key=lambda s: not seen.letters(s))
        for spelling in known:
            plain = spelling in sizes and not seen.letters(spelling)
            if spelling not in pairs.values() and not plain and not seen.is_index(spelling):
                pairs[name] = spelling
                break
    for parameter in (p.name for p in layer.parameters if p.integer):
        usual = (s for s in CUSTOM.get(parameter, ()) if s in seen.plain and s not in pairs.values())
        fitting = [s for s in usual if not seen.is_index(s)]
        pairs.update({parameter: fitting[0]} if fitting else {})
    for output in layer.outputs:
        if output not in pairs:
            free = [s for s in seen.left if s not in pairs.values() and s in seen.indices and s not in seen.gradients]
            free.sort(key=lambda s: -len(seen.left[s] & set(pairs.values())))  # the output is made of the inputs
            pairs.update({output: free[0]} if free else {})
    return pairs


def _silent(seen: Seen, layer: Layer, pairs: dict[str, str]) -> frozenset[str]:
    """Sizes whose index the document never prints: those of tensors that it writes without any."""
    tensors = [(t, s) for t, s in pairs.items() if all(p.name != t for p in layer.parameters)]
    return frozenset(a.name for t, s in tensors if not seen.letters(s) for a in layer.axes(t) if isinstance(a, Size))


def _spellings(name: str) -> tuple[str, ...]:
    if name in CUSTOM:
        return (*CUSTOM[name], name)
    if name in GREEK:
        return (GREEK[name], name)
    if name.endswith("hat") and len(name) > 3:
        return (rf"\hat{{{name[:-3]}}}", name)
    first, rest = name[0], name[1:]
    numbered = (f"{first.upper()}^{{({rest})}}", f"{first}^{{({rest})}}") if rest.isdigit() else ()
    marked = (
        (*numbered, f"{first}^{rest}", f"{first.upper()}_{{{rest.upper()}}}", f"{first}_{{{rest}}}") if rest else ()
    )
    return (name, *marked, name.upper(), name.lower())


def _with_sizes(draft: Draft, symbol: Symbol, tensor: str, limits: dict[str, tuple[str, str]]) -> Draft:
    """The sizes that the limits of an index name, or the value that they have."""
    layer = draft.layer
    free = {a.name for t in layer.inputs for a in t.axes} | {s.name for s in layer.sizes}
    for letter, at in zip(symbol.letters, symbol.axes, strict=True):
        size = getattr(layer.axes(tensor)[at], "name", "")
        low, high = limits[letter]
        if not high or size not in free or any(v == size for _, v in draft.constants):
            continue
        if low.startswith("-"):
            match = CENTRED_LIMIT.fullmatch(high)
            if high.isdigit():
                draft = draft.with_fixed(size, 2 * int(high) + 1)
            elif match and (match[1] or match[2]):
                draft = replace(draft.with_constant(match[1] or match[2], size), odd=(*draft.odd, size))
            elif match:
                draft = replace(draft.with_constant(match[3], f"({size}-1)/2"), odd=(*draft.odd, size))
            continue
        last = re.fullmatch(r"([A-Za-z]\w*'*|[A-Za-z]_\{\w+\})( - 1)?", re.sub(r"\\mathrm\{(\w+)\}", r"\1", high))
        if last and (last[2] is not None) == (low == "0"):
            known = dict(draft.constants).get(last[1])
            if known is None:
                draft = draft.with_constant(last[1], size)
            elif Size(known) in layer.axes(tensor):  # one name for two sizes of a tensor: a square kernel
                draft = replace(draft, equal=tuple(dict.fromkeys((*draft.equal, known, size))))
        elif high.isdigit():
            draft = draft.with_fixed(size, int(high) + (low == "0"))
    return draft


def _with_own_letters(draft: Draft, seen: Seen) -> Draft:
    """Sizes by the layer's own letters, where the document has such a letter and nothing else for them."""
    taken = {k for k, _ in draft.constants} | set(draft.loss)
    tensors = {s.spelling for s in draft.symbols} - seen.sizes.keys()  # W may be a size and, with indices, a tensor
    told = {v for _, v in draft.constants} | {k for k, _ in draft.fixed}
    sizes = {a.name for t in draft.layer.tensors for a in draft.layer.axes(t) if isinstance(a, Size)}
    for name in sorted(sizes - told - taken - tensors):
        indexed = any(seen.indices.get(name, ()))
        if name in seen.plain and (name in seen.sizes or not indexed):
            draft = draft.with_constant(name, name)
    return draft


def _with_gradients(draft: Draft, seen: Seen) -> Draft:
    """Symbols for gradients: those that the document defines so, and their like (a prime, a `d` before)."""
    known = {s.spelling: s for s in draft.symbols if not s.gradient}
    ways = set()
    for name, by in seen.gradients.items():
        if by in known and name not in known:
            draft = draft.with_symbol(replace(known[by], spelling=name, gradient=True))
            ways |= {"'"} if name == f"{by}'" else set()
    for spelling in seen.indices:
        base = spelling.rstrip("'")
        if "'" in ways and spelling != base and base in known and all(s.spelling != spelling for s in draft.symbols):
            draft = draft.with_symbol(replace(known[base], spelling=spelling, gradient=True))
    return draft
