"""A first legend, guessed from a document and a layer, for a person to correct.

Symbols are paired with tensors by the customary spellings of names, indices with axes by their number and order,
counting and sizes by the limits of the sums, the loss by what is differentiated. Nothing that is guessed is right by
itself: a wrong guess shows as formulas that fail or are not decided.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from symbackprop.documents.audit import spoken_words, statements_of
from symbackprop.documents.legend import DEFAULT_LABELS, Legend, legend_of
from symbackprop.documents.reader import Vocabulary
from symbackprop.documents.source import Formula
from symbackprop.documents.tokens import NotRead
from symbackprop.documents.tree import Big, Chain, Minus, Name, Num, Over, Plus, Slope, Tree, bare, latex, walk
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
}
CENTRED = re.compile(r"(?:\\frac\{\(?(\w) - 1\)?\}\{2\}|\(?(\w) - 1\)?/2|(\w))")


@dataclass(slots=True)
class _Seen:
    """What a document says of its symbols."""

    indices: dict[str, Counter[tuple[str, ...]]] = field(default_factory=dict)  # spelling -> its index lists
    lows: dict[str, str] = field(default_factory=dict)  # index letter -> lower limit
    highs: dict[str, str] = field(default_factory=dict)
    loss: dict[str, None] = field(default_factory=dict)
    left: dict[str, None] = field(default_factory=dict)  # what is defined
    labels: dict[str, None] = field(default_factory=dict)


def legend_for(found: tuple[Formula, ...], layer: Layer, load: Callable[[str], Layer]) -> Legend:
    """The guess, as a legend."""
    data = tomllib.loads(guessed(found, layer, layer.name))
    return legend_of(data, lambda _: layer, "the guessed legend")


def guessed(found: tuple[Formula, ...], layer: Layer, source: str) -> str:
    """The guess, as TOML with remarks."""
    seen = _look(found)
    pairs = _pairs(seen, layer)
    silent = _silent_axes(seen, layer, pairs)
    names, fixed = _names(seen, layer, pairs, silent)
    lines = [
        "# Guessed from the document; correct what is wrong (`symbackprop audit FILE --legend THIS` shows it).",
        f'layer = "{source}"',
    ]
    if seen.loss:
        lines.append(f"loss = [{', '.join(_quoted(x) for x in seen.loss)}]")
    if seen.labels:
        lines.append(f"labels = [{', '.join(_quoted(x) for x in seen.labels)}]")
    if fixed:
        lines.append("fix = { " + ", ".join(f"{k} = {v}" for k, v in fixed.items()) + " }")
    missing = [t.name for t in layer.inputs if t.name not in pairs]
    lines += [f"# no symbol was found for {', '.join(missing)}"] if missing else []
    lines += ["", "[names]", *(f"{_quoted(key)} = {_quoted(value)}" for key, value in names.items())]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# ------------------------------------------------------------------------------------------------ looking


def _look(found: tuple[Formula, ...]) -> _Seen:
    basic, spoken = Vocabulary(), spoken_words(found)
    vocabulary = Vocabulary(basic.words | spoken, basic.heads, basic.letters)
    seen = _Seen()
    for formula in found:
        try:
            chains = statements_of(formula.text, vocabulary)
        except (NotRead, RecursionError):
            continue
        for chain in chains:
            _look_at(chain, seen)
    return seen


def _look_at(chain: Chain, seen: _Seen) -> None:
    left = bare(chain.first)
    if chain.rest and isinstance(left, Name):
        seen.left[_spelling(left)] = None
    inside: set[int] = set()
    for tree in walk(chain):
        if isinstance(tree, Slope):
            top = bare(tree.top)
            if isinstance(top, Name) and not top.sub and not top.args and top.sup is None:
                first = top.base[0] in "LJElC" or top.base.lower() in ("loss", "cost")
                if first:
                    seen.loss[top.base] = None
                    inside.add(id(top))
        elif isinstance(tree, Big):
            letter = tree.variable.base
            inside.add(id(tree.variable))
            if tree.low is not None and tree.high is not None:
                seen.lows.setdefault(letter, latex(tree.low))
                seen.highs.setdefault(letter, latex(tree.high))
        elif isinstance(tree, Name) and id(tree) not in inside:
            _look_at_name(tree, seen)


def _look_at_name(name: Name, seen: _Seen) -> None:
    letters: list[str] = []
    for index in (*name.sub, *name.args):
        if name.base.startswith("\\") and isinstance(index, Name) and index.base.isupper() and not name.args:
            seen.labels[index.base] = None
        elif isinstance(index, Name):
            letters.append(index.base)
        else:
            first = next((t.base for t in walk(index) if isinstance(t, Name)), "")
            letters.append(first if first.islower() else "")
    sup = latex(name.sup).replace(" ", "") if name.sup is not None else ""
    if sup and not sup.isdigit() and sup not in DEFAULT_LABELS and sup.isalnum():
        seen.labels[sup] = None
    seen.indices.setdefault(_spelling(name), Counter())[tuple(letters)] += 1


def _spelling(name: Name) -> str:
    squared = isinstance(name.sup, Num) and name.sup.value == 2 and name.base.startswith("\\")
    return f"{name.base}^2" if squared else name.base


# ------------------------------------------------------------------------------------------------- pairing


def _pairs(seen: _Seen, layer: Layer) -> dict[str, str]:
    """The symbol of each tensor and each real parameter."""
    pairs: dict[str, str] = {}
    wanted = [t.name for t in layer.inputs] + [d.name for d in layer.definitions]
    wanted += [p.name for p in layer.parameters if not p.integer]
    for name in wanted:
        for spelling in _spellings(name):
            if spelling in seen.indices and spelling not in pairs.values():
                pairs[name] = spelling
                break
    for output in layer.outputs:
        if output not in pairs:
            free = [s for s in seen.left if s not in pairs.values() and s in seen.indices]
            pairs.update({output: free[0]} if free else {})
    return pairs


def _spellings(name: str) -> tuple[str, ...]:
    if name in CUSTOM:
        return (*CUSTOM[name], name)
    if name in GREEK:
        return (GREEK[name], name)
    if name.endswith("hat") and len(name) > 3:
        return (rf"\hat{{{name[:-3]}}}", name)
    return (name, name.upper(), name.lower())


def _letters(seen: _Seen, spelling: str) -> tuple[str, ...]:
    """The index list that a symbol most often has, as letters."""
    lists = [(n, count) for n, count in seen.indices[spelling].items() if all(n)]
    if not lists:
        return ()
    most = max(len(n) for n, _ in lists)
    usual = max((pair for pair in lists if len(pair[0]) == most), key=lambda pair: pair[1])[0]
    return usual if len(set(usual)) == len(usual) else tuple("ijkmnpqr"[: len(usual)])


def _silent_axes(seen: _Seen, layer: Layer, pairs: dict[str, str]) -> frozenset[str]:
    """Sizes whose index the document never prints: those of tensors that it writes without any."""
    silent: set[str] = set()
    for tensor, spelling in pairs.items():
        if tensor in {p.name for p in layer.parameters}:
            continue
        if not _letters(seen, spelling):
            silent |= {a.name for a in layer.axes(tensor) if isinstance(a, Size)}
    return frozenset(silent)


def _names(
    seen: _Seen, layer: Layer, pairs: dict[str, str], silent: frozenset[str]
) -> tuple[dict[str, str], dict[str, int]]:
    names: dict[str, str] = {}
    fixed: dict[str, int] = {}
    parameters = {p.name for p in layer.parameters}
    taken = {letter for s in pairs.values() for letter in _letters(seen, s)}
    for tensor, spelling in pairs.items():
        if tensor in parameters:
            names[spelling] = tensor
            continue
        axes = [a.name if isinstance(a, Size) else "" for a in layer.axes(tensor)]
        letters = list(_letters(seen, spelling))
        shown = [a for a in axes if a not in silent]
        shown = shown[len(shown) - len(letters) :] if len(letters) < len(shown) else shown
        slots = []
        for axis in axes:
            if axis in shown and letters:
                slots.append(_slot(letters.pop(0), axis, seen, names, fixed, layer))
            else:
                slots.append(_silent_letter(axis, taken))
        used = _letters(seen, spelling)[: len(shown)]
        names[_key(spelling, used)] = f"{tensor}[{', '.join(slots)}]"
    return names, fixed


def _key(spelling: str, letters: tuple[str, ...]) -> str:
    base, _, power = spelling.partition("^")
    text = base + (f"_{{{','.join(letters)}}}" if letters else "")
    return f"{text}^{power}" if power else text


def _silent_letter(axis: str, taken: set[str]) -> str:
    return axis.lower() if axis and axis.lower() not in taken else next(c for c in "defgvwz" if c not in taken)


def _slot(letter: str, axis: str, seen: _Seen, names: dict[str, str], fixed: dict[str, int], layer: Layer) -> str:
    """The position of an index on its axis, by the limits of its sums; the size's name or value on the way."""
    low, high = seen.lows.get(letter, ""), seen.highs.get(letter, "")
    free = {a.name for t in layer.inputs for a in t.axes}
    if low.startswith("-"):
        match = CENTRED.fullmatch(high)
        if match and (match[1] or match[2]):
            names.setdefault(match[1] or match[2], axis)
        elif match and match[3]:
            names.setdefault(match[3], f"({axis}-1)/2")
        return f"{letter}+({_named(axis, names)}-1)/2"
    last = re.fullmatch(r"([A-Za-z]\w*)( - 1)?", high.replace(r"\mathrm{", "").replace("}", ""))
    if last and axis in free and (last[2] is not None) == (low == "0"):
        names.setdefault(last[1], axis)
    elif high.isdigit() and axis in free:
        fixed.setdefault(axis, int(high) + (low == "0"))
    return f"{letter}-1" if low == "1" else letter


def _named(axis: str, names: dict[str, str]) -> str:
    return next((key for key, value in names.items() if value == axis), axis)


def leaves(tree: Tree) -> list[Tree]:
    """The numbers and symbols of a tree."""
    return [t for t in walk(tree) if not isinstance(t, Plus | Minus | Over)]
