r"""What the names of a document mean: which layer it speaks of, and what each symbol is there.

A legend is TOML:

    layer = "batchnorm1d"            # a built-in layer or an .eq file; or the equations themselves as `equations`
    loss = ["J"]                     # what is differentiated
    labels = ["l", "l-1", "B"]       # scripts that belong to a name and are neither index nor power
    silent = ["k"]                   # indices that the document leaves out where it pleases
    odd = ["N", "M"]                 # sizes that are odd
    absent = ["bias"]                # tensors of the layer that the document does not have: zero
    equal = ["R", "S"]               # sizes of the layer for which the document has one name
    prime = "gradient"               # x' is the gradient of x, for all symbols
    gradient = "\\bar{x}"             # the same for another mark
    first = { i = 1, k = "-(N-1)/2" }  # the first value of an index (of every index: `first = 1`), for symbols that are
                                     # given without positions: "a_{i,k}" = "x" is then "x[..., i-1, k+(N-1)/2]"
    matrices = true                  # symbols printed without indices are matrices and vectors: "X" = "x"
    usual = true                     # what is not named is called as is customary: mu, sigma^2, gamma, sizes by letter
    [names]                          # a symbol with its indices = what that is in the layer
    "x_i" = "x[i-1, d]"              # indices from 1; d is not printed in the document
    "\\sigma^2" = "var[d]"
    "\\delta(k, i, j)" = "grad y[0, k, i-(N-1)/2, j-(M-1)/2]"
    m = "N"                          # a size, a parameter, or an expression of them; the same as `sizes = { m = "N" }`
    [fix]                            # sizes and integer parameters of the layer that have one value here
    N = 1
    [assumed]                        # names whose meaning is an assumption: the verdict becomes `holds if`
    k = "the filter has 2k+1 rows"
    [[part]]                         # the same again for some lines of the document
    lines = "60-105"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from symbackprop.documents.latex.cursor import Vocabulary
from symbackprop.documents.latex.reader import read_expression
from symbackprop.documents.latex.tokens import NotRead
from symbackprop.documents.latex.tree import Group, Name, Num, Times, Tree, bare, latex, walk
from symbackprop.documents.meant import LegendError, Meant, key_text, layer_names
from symbackprop.documents.usual import Firsts, firsts, letter_apart, usual_slots, whole, with_usual
from symbackprop.notation.layer import Layer
from symbackprop.notation.reader import read as read_equations

USUAL_LOSS = ("L", "J", "Loss", "loss", "l", "E")
DEFAULT_LABELS = ("l", "l-1", "l+1", r"\ell", r"\ell-1", r"\ell+1")
LINES = re.compile(r"\s*(\d+)\s*(?:-\s*(\d+))?\s*")
LISTS = ("loss", "labels", "silent", "odd", "absent", "equal")
TABLES = ("names", "sizes", "fix", "assumed")
KEYS = ("layer", "equations", "lines", "part", "prime", "gradient", "first", "usual", "matrices", *LISTS, *TABLES)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The legend of some lines of a document (of all, where `lines` is empty). Each is itself and equal to no other."""

    layer: Layer
    loss: tuple[str, ...]
    labels: frozenset[str]
    silent: tuple[str, ...]
    odd: tuple[str, ...]
    absent: tuple[str, ...]
    equal: tuple[str, ...]
    symbols: tuple[Meant, ...]
    constants: Mapping[str, Tree]
    fixed: Mapping[str, int]
    assumed: Mapping[str, str]
    unit: tuple[str, ...] = ()  # outputs that are the loss itself: what comes in is 1
    lines: tuple[tuple[int, int], ...] = ()
    customary: frozenset[str] = frozenset()  # names that the legend does not say, but custom
    matrices: bool = False  # whether symbols without indices are whole tensors

    def vocabulary(self, spoken: frozenset[str] = frozenset()) -> Vocabulary:
        """The names that the reader has to know of to take a text apart; `spoken` are words of the document."""
        heads = {s: re.split(r"[_^]\{", s.base)[0] for s in self.symbols}  # `W` of `W_{Q}`
        marked = {s.base for s in self.symbols if heads[s] != s.base}
        words = {*spoken, *self.loss, *heads.values(), *(f for s in self.symbols for f in s.formals)}
        words |= {w for base in marked for w in re.findall(r"[A-Za-z]+", base)}
        for key in self.constants:
            words |= set(re.findall(r"[A-Za-z_]+", key)) | {re.split(r"[_^\[(]", key)[0]}
        plain = {w.rstrip("'") for w in words if w.rstrip("'").replace("_", "").isalnum()}
        basic = Vocabulary()
        return Vocabulary(
            basic.words | frozenset(w for w in plain if len(w) > 1),
            basic.heads | frozenset(heads[s] for s in self.symbols if self._is_called(s)),
            frozenset(w for w in plain if len(w) == 1),
            frozenset(heads.values()) | frozenset(re.split(r"[_^\[(]", k)[0] for k in self.constants),
            frozenset(heads[s] for s in self.symbols if not s.bracketed),
            frozenset(marked),
            frozenset(s.base for s in self.symbols if s.above),
        )

    def _is_called(self, symbol: Meant) -> bool:
        """Whether a bracket behind a symbol holds its indices; behind a matrix it is a factor."""
        return bool(symbol.formals) and not symbol.base.startswith("\\hat") and (symbol.bracketed or not self.matrices)


@dataclass(frozen=True, slots=True)
class Legend:
    """The parts of a legend; the last one whose lines hold a formula speaks of it."""

    parts: tuple[Part, ...]

    def part(self, line: int) -> Part:
        """The part that speaks of a line."""
        fitting = [p for p in self.parts if not p.lines or any(low <= line <= high for low, high in p.lines)]
        if not fitting:
            raise LegendError(f"the legend has no part for line {line}; give one without `lines`, or with this line")
        return fitting[-1]


def load_legend(path: Path, load: Callable[[str], Layer], layer: str | None = None) -> Legend:
    """The legend of a TOML file. `load` gives a layer by its name or file; `layer` goes before the legend's own."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise LegendError(f"{path}: this is not TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise LegendError(f"{path}: this is no text in UTF-8") from error
    return legend_of(data, load, str(path), layer)


def legend_of(
    data: Mapping[str, Any],
    load: Callable[[str], Layer],
    file: str = "legend",
    layer: str | None = None,
    apart: bool = True,
) -> Legend:
    """The legend of a table. With `apart`, letters that the document does not print are no letters of its own."""
    base = {k: v for k, v in data.items() if k != "part"}
    if layer is not None:
        base = {**{k: v for k, v in base.items() if k != "equations"}, "layer": layer}
    raw = data.get("part", [])
    if not isinstance(raw, list) or not all(isinstance(r, dict) for r in raw):
        raise LegendError(f"{file}: `part` is a list of tables: [[part]]")
    parts = [_part(_merged(base, one), load, file, apart) for one in raw]
    if "layer" in base or "equations" in base:
        parts.insert(0, _part(base, load, file, apart))
    if not parts:
        raise LegendError(f'{file}: no layer is named; write `layer = "NAME"`, or give --layer')
    return Legend(tuple(parts))


def _primed(symbols: tuple[Meant, ...], data: Mapping[str, Any], file: str) -> tuple[Meant, ...]:
    """The gradients of all symbols, where a prime, or another mark, stands for one."""
    if data.get("prime", "gradient") != "gradient":
        raise LegendError(f'{file}: prime: "gradient" is the only meaning that a legend gives it')
    told = data.get("gradient", "x'" if "prime" in data else "")
    if not told:
        return ()
    if not isinstance(told, str) or told.count("x") != 1 or told == "x":
        raise LegendError(f"{file}: gradient: how the gradient of x is printed was expected, and {told!r} came")
    before, after = told.split("x")
    spelled = {s.base for s in symbols}
    plain = ((s, f"{before}{s.base}{after}") for s in symbols if not s.gradient)
    return tuple(replace(s, base=marked, gradient=True) for s, marked in plain if marked not in spelled)


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A part's entries over the common ones; of a part with a layer of its own over loss, labels and `usual` only."""
    shared = (
        base
        if not ("layer" in own or "equations" in own)
        else {k: base[k] for k in ("loss", "labels", "usual") if k in base}
    )
    merged = {**shared, **own}
    for table in TABLES:
        if table in shared and table in own:
            merged[table] = {**shared[table], **own[table]}
    return merged


def _part(data: Mapping[str, Any], load: Callable[[str], Layer], file: str, apart: bool) -> Part:
    for key in data:
        if key not in KEYS:
            raise LegendError(f"{file}: there is no entry `{key}` in a legend; there are {', '.join(KEYS)}")
    for key in ("usual", "matrices"):
        if not isinstance(data.get(key, False), bool):
            raise LegendError(f"{file}: {key}: true or false was expected, and {data[key]!r} came")
    layer = read_equations(data["equations"], file) if "equations" in data else _layer(data, load, file)
    lists = {key: _strings(data, key, file) for key in LISTS}
    tables = {key: _table(data, key, file) for key in TABLES}
    first = firsts(data.get("first", 0), file)
    symbols, constants = _names({**tables["names"], **tables["sizes"]}, layer, file, first)
    said = frozenset(constants)
    if data.get("usual", False):
        symbols, constants = with_usual(symbols, constants, layer, lists["loss"] or USUAL_LOSS)
    if data.get("matrices", False):
        symbols = tuple(whole(s, first) for s in symbols)
    symbols += _primed(symbols, data, file)
    symbols += _loss_itself(layer, lists["loss"], symbols, constants)
    if apart:
        symbols = _apart(symbols, {*lists["silent"], *constants, *layer_names(layer)}, layer)
    _check_fixed(tables["fix"], layer, file)
    for name in lists["equal"]:
        if name not in layer_names(layer):
            raise LegendError(f"{file}: equal `{name}`: the layer {layer.name} has no such size")
    for name in lists["absent"]:
        if layer.tensor(name) is None:
            raise LegendError(f"{file}: absent `{name}`: the layer {layer.name} has no such input")
    return Part(
        layer,
        lists["loss"] or USUAL_LOSS,
        frozenset((*DEFAULT_LABELS, *(label.replace(" ", "").strip("()[]") for label in lists["labels"]))),
        lists["silent"],
        lists["odd"],
        lists["absent"],
        lists["equal"],
        symbols,
        constants,
        {k: int(v) for k, v in tables["fix"].items()},
        {k: str(v) for k, v in tables["assumed"].items()},
        _unit(layer, lists["loss"], symbols),
        _lines(data.get("lines", ""), file),
        frozenset(constants) - said,
        bool(data.get("matrices", False)),
    )


def _apart(symbols: tuple[Meant, ...], kept: set[str], layer: Layer) -> tuple[Meant, ...]:
    """The symbols with letters that stand for no index of the document renamed: it may use them for something else.

    A letter that another symbol has as an index of the same axis size is that index, left out.
    """
    axes: dict[str, set[str]] = {}
    for symbol in symbols:
        for slot, axis in zip(symbol.slots, layer.axes(symbol.tensor), strict=True):
            for name in (t.base for t in walk(slot) if isinstance(t, Name) and t.base in symbol.formals):
                axes.setdefault(name, set()).add(str(axis))

    def renamed(symbol: Meant) -> Meant:
        slots = []
        for slot, axis in zip(symbol.slots, layer.axes(symbol.tensor), strict=True):
            own = isinstance(slot, Name) and slot.base not in (*symbol.formals, *kept)
            if own and isinstance(slot, Name) and str(axis) not in axes.get(slot.base, ()):
                slot = letter_apart(slot.base, axis, slot.span)
            slots.append(slot)
        return replace(symbol, slots=tuple(slots))

    return tuple(renamed(s) for s in symbols)


def _loss_itself(
    layer: Layer, loss: tuple[str, ...], symbols: tuple[Meant, ...], constants: Mapping[str, Tree]
) -> tuple[Meant, ...]:
    """The letter of the loss as the layer's only output, where that has no axis."""
    if len(layer.outputs) != 1 or layer.axes(layer.outputs[0]):
        return ()
    free = (letter for letter in loss if letter not in constants and all(s.base != letter for s in symbols))
    return tuple(Meant(letter, "", (), layer.outputs[0], False, ()) for letter in free)


def _unit(layer: Layer, loss: tuple[str, ...], symbols: tuple[Meant, ...]) -> tuple[str, ...]:
    """The output that is the loss: one that the legend calls by its letter, or a layer's only one, of no axis."""
    called = [s.tensor for s in symbols if s.base in loss and s.tensor in layer.outputs and not s.gradient]
    alone = layer.outputs if len(layer.outputs) == 1 and not layer.axes(layer.outputs[0]) else ()
    return tuple(dict.fromkeys((*called, *alone)))


def _layer(data: Mapping[str, Any], load: Callable[[str], Layer], file: str) -> Layer:
    if not isinstance(data.get("layer"), str):
        raise LegendError(f'{file}: no layer is named; write `layer = "NAME"`')
    return load(data["layer"])


def _strings(data: Mapping[str, Any], key: str, file: str) -> tuple[str, ...]:
    value = data.get(key, [])
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise LegendError(f"{file}: `{key}` is a list of texts")
    return tuple(value)


def _table(data: Mapping[str, Any], key: str, file: str) -> dict[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise LegendError(f"{file}: `{key}` is a table: [{key}]")
    return value


def _lines(text: str, file: str) -> tuple[tuple[int, int], ...]:
    found = []
    for piece in str(text).split(",") if str(text).strip() else []:
        match = LINES.fullmatch(piece)
        if match is None:
            raise LegendError(f'{file}: lines = "{text}": lines are written as "60-105, 120"')
        found.append((int(match[1]), int(match[2] or match[1])))
    return tuple(found)


def _check_fixed(fixed: Mapping[str, Any], layer: Layer, file: str) -> None:
    known = {a.name for t in layer.inputs for a in t.axes} | {p.name for p in layer.parameters if p.integer}
    for name, value in fixed.items():
        if name not in known:
            raise LegendError(
                f"{file}: fix `{name}`: the layer {layer.name} has no such size; it has {', '.join(sorted(known))}"
            )
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise LegendError(f"{file}: fix `{name}`: a whole number was expected, and {value!r} came")


# --------------------------------------------------------------------------------------------------- names


def _names(
    table: Mapping[str, Any], layer: Layer, file: str, first: Firsts
) -> tuple[tuple[Meant, ...], dict[str, Tree]]:
    tensors = {t.name for t in layer.inputs} | {d.name for d in layer.definitions}
    words = Vocabulary(
        frozenset(w for key in table for w in re.findall(r"[A-Za-z]{2,}", re.sub(r"\\[A-Za-z]+", " ", key))),
        frozenset(re.split(r"[_^(\[]", key)[0] for key in table),
    )
    symbols: list[Meant] = []
    constants: dict[str, Tree] = {}
    for key, value in table.items():
        if not isinstance(value, str):
            raise LegendError(f"{file}: names `{key}`: a text was expected, and {value!r} came")
        left = _key(key, words, file)
        meant = re.fullmatch(r"\s*(grad\s+)?([A-Za-z_]\w*)\s*(?:\[(.*)\])?\s*(\+\s*\d+)?\s*", value)
        if meant and (meant[2] in tensors or meant[3] is not None):
            symbols.append(_symbol(left, meant, layer, words, f"{file}: names `{key}`", first))
        else:
            constants[key_text(left)] = _constant(value, layer, f"{file}: names `{key}`")
    return tuple(symbols), constants


def _key(key: str, words: Vocabulary, file: str) -> Name:
    try:
        tree = read_expression(key, words)
    except NotRead as error:
        raise LegendError(f"{file}: names `{key}`: {error}") from error
    if not isinstance(tree, Name):
        raise LegendError(f"{file}: names `{key}`: a single symbol was expected")
    return tree


def _symbol(left: Name, meant: re.Match[str], layer: Layer, words: Vocabulary, where: str, first: Firsts) -> Meant:
    tensor = meant[2]
    if layer.tensor(tensor) is None and tensor not in {d.name for d in layer.definitions}:
        known = ", ".join([*(t.name for t in layer.inputs), *(d.name for d in layer.definitions)])
        raise LegendError(f"{where}: the layer {layer.name} has no tensor {tensor}; it has {known}")
    axes = layer.axes(tensor)
    printed = [*left.sub, *left.args]
    formals = [i for index in printed for i in (index.factors if isinstance(index, Times) else (index,))]
    slots = tuple(_slot(s, words, where) for s in _commas(meant[3] or ""))
    used = None if meant[3] is None else {t.base for s in slots for t in walk(s) if isinstance(t, Name)}
    base = left.base
    if left.sub and _is_mark(left.sub[0], used):
        base, formals = f"{base}_{{{latex(left.sub[0])}}}", formals[1:]
    letter = bare(left.sup) if isinstance(left.sup, Group) else None
    above = isinstance(letter, Name) and letter.base not in DEFAULT_LABELS
    above &= len(formals) < len(axes) if used is None else isinstance(letter, Name) and letter.base in used
    if above and letter is not None:
        formals.insert(0, letter)
    elif isinstance(letter, Num):
        base = f"{base}^{{{latex(left.sup)}}}" if left.sup is not None else base
    if not all(isinstance(f, Name) and not f.sub and not f.args for f in formals):
        raise LegendError(f"{where}: the indices of the symbol are single letters")
    power = latex(left.sup) if left.sup is not None and not above and not isinstance(letter, Num) else ""
    letters = tuple(f.base for f in formals if isinstance(f, Name))
    if meant[3] is None and len(letters) <= len(axes):
        slots = usual_slots(letters, axes, first)
    if len(slots) != len(axes):
        raise LegendError(f"{where}: {tensor} has {len(axes)} axes, and {len(slots)} positions are given")
    counts = _first_label(layer, tensor, meant, first, where)
    return Meant(base, power, letters, tensor, bool(meant[1]), slots, bool(left.args), above, counts)


def _first_label(layer: Layer, tensor: str, meant: re.Match[str], first: Firsts, where: str) -> int:
    """What the first of what an integer tensor chooses among is called: `t[n-1] + 1`, or as all indices count."""
    declared = layer.tensor(tensor)
    if declared is None or declared.kind != "integer":
        if meant[4]:
            raise LegendError(f"{where}: only whole numbers, as labels, are counted from another first one")
        return 0
    if meant[4]:
        return int(meant[4].lstrip("+ "))
    usual = first[""]
    return int(usual.value) if meant[3] is None and isinstance(usual, Num) else 0


def _is_mark(script: Tree, used: set[str] | None) -> bool:
    """Whether a subscript is part of a name: a number, a capital, a word; a letter that stands in no position."""
    if not isinstance(script, Name):
        return isinstance(script, Num)
    known = used is not None and script.base in used
    return not known and (used is not None or script.base[:1].isupper() or len(script.base.lstrip("\\")) > 1)


def _commas(text: str) -> list[str]:
    pieces, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            pieces.append(text[start:at])
            start = at + 1
    return [*pieces, text[start:]] if text.strip() else []


def _slot(text: str, words: Vocabulary, where: str) -> Tree:
    try:
        return read_expression(text.strip(), words)
    except NotRead as error:
        raise LegendError(f"{where}: position `{text.strip()}`: {error}") from error


def _constant(value: str, layer: Layer, where: str) -> Tree:
    known = [*layer_names(layer)]
    if re.fullmatch(r"[A-Za-z_]\w*", value) and value not in known:
        there = ", ".join([*layer.tensors, *known])
        raise LegendError(
            f"{where}: the layer {layer.name} has no size or parameter {value}, nor a tensor; it has {there}"
        )
    try:
        tree = read_expression(
            value, Vocabulary(frozenset(known), frozenset(), frozenset(k for k in known if len(k) == 1))
        )
    except NotRead as error:
        raise LegendError(f"{where}: `{value}`: {error}") from error
    for part in walk(tree):
        if isinstance(part, Name) and part.base not in known:
            raise LegendError(
                f"{where}: the layer {layer.name} has no size or parameter {part.base}; it has {', '.join(known)}"
            )
        if not isinstance(part, Name) and isinstance(part, Num) and part.value.denominator == 0:
            raise LegendError(f"{where}: a division by zero")
    return tree
