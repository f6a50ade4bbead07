"""A draft of a legend: which symbol is which tensor, and how each of its indices counts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from symbackprop.documents.latex.tree import marked_below
from symbackprop.documents.meant import layer_names
from symbackprop.documents.seen import Seen
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Reduce, Size, walk

CENTRED = "c"
MARKS = ("{}'", r"\bar{{{}}}", r"\dot{{{}}}", r"\tilde{{{}}}", "d{}", "D{}")  # what the symbol of a gradient may wear


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol of the document: the tensor that it is (or its gradient), its index letters, the axis of each.

    `counts` says for each index what its first value is: 0, 1, or centred.
    """

    spelling: str
    tensor: str
    letters: tuple[str, ...] = ()
    axes: tuple[int, ...] = ()
    counts: tuple[str, ...] = ()
    gradient: bool = False
    bracketed: bool = False
    above: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A legend in the making; each change makes another one."""

    source: str
    layer: Layer
    loss: tuple[str, ...]
    labels: tuple[str, ...]
    symbols: tuple[Symbol, ...] = ()
    constants: tuple[tuple[str, str], ...] = ()
    fixed: tuple[tuple[str, int], ...] = ()
    odd: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    equal: tuple[str, ...] = ()
    matrices: bool = False
    remarks: tuple[str, ...] = field(default=(), compare=False)

    def with_symbol(self, symbol: Symbol) -> Draft:
        """The draft with a symbol in place of the one that was the same tensor, or was spelled so."""
        same = (symbol.tensor, symbol.gradient)
        kept = [s for s in self.symbols if (s.tensor, s.gradient) != same and s.spelling != symbol.spelling]
        return replace(self, symbols=(*kept, symbol))

    def with_constant(self, name: str, value: str) -> Draft:
        """The draft with a name for a size or a parameter."""
        kept = [(k, v) for k, v in self.constants if k != name and v != value]
        return replace(self, constants=(*kept, (name, value)))

    def with_fixed(self, name: str, value: int) -> Draft:
        """The draft with one value for a size or a parameter."""
        return replace(self, fixed=(*((k, v) for k, v in self.fixed if k != name), (name, value)))

    def data(self) -> dict[str, Any]:
        """The legend's table."""
        mark, primed = self._primed()
        names = {self._key(s): self._value(s) for s in self.symbols if s not in primed}
        fixed = {**dict.fromkeys(self._alone(), 1), **dict(self.fixed)}
        found: dict[str, Any] = {"layer": self.source}
        found |= {"loss": list(self.loss)} if self.loss else {}
        found |= {"labels": list(self.labels)} if self.labels else {}
        found |= {"odd": list(self.odd)} if self.odd else {}
        found |= {"absent": list(self.absent)} if self.absent else {}
        found |= {"equal": list(self.equal)} if self.equal else {}
        if primed:
            found |= {"prime": "gradient"} if mark == "{}'" else {"gradient": mark.format("x")}
        found |= {"matrices": True, "first": self._counted_from()} if self.matrices else {}
        found |= {"fix": fixed} if fixed else {}
        found |= {"sizes": dict(self.constants)} if self.constants else {}
        return {**found, "names": names}

    def _counted_from(self) -> int:
        """The first value of the indices that a document of matrices prints."""
        return int(any(count == "1" for s in self.symbols for count in s.counts))

    def _primed(self) -> tuple[str, tuple[Symbol, ...]]:
        """The mark that tells gradients, and those gradients, where all are told so and one rule is shorter."""
        plain = [s for s in self.symbols if not s.gradient]
        told = tuple(s for s in self.symbols if s.gradient)
        for mark in MARKS:
            worn = {mark.format(s.spelling): s for s in plain}
            if all(worn.get(s.spelling) == replace(s, spelling=_worn(s, worn), gradient=False) for s in told):
                return (mark, told) if len(told) > 1 else ("", ())
        return "", ()

    def toml(self) -> str:
        """The legend as TOML with remarks."""
        lines = ["# Guessed from the document; correct what is wrong: `symbackprop audit FILE --legend THIS` shows it."]
        for key, value in self.data().items():
            if isinstance(value, bool | int):
                lines.append(f"{key} = {str(value).lower()}")
            elif isinstance(value, str):
                lines.append(f"{key} = {quoted(value)}")
            elif isinstance(value, list):
                lines.append(f"{key} = [{', '.join(quoted(v) for v in value)}]")
            elif key in ("fix", "sizes"):
                lines.append(
                    f"{key} = {{ " + ", ".join(f"{_plain_key(k)} = {_told(v)}" for k, v in value.items()) + " }"
                )
            else:
                lines += [*(f"# {r}" for r in self.remarks), "[names]"]
                lines += [f"{quoted(k)} = {quoted(v)}" for k, v in value.items()]
        return "\n".join(lines) + "\n"

    # ------------------------------------------------------------------------------------------ names

    def _key(self, symbol: Symbol) -> str:
        if self.matrices:
            return symbol.spelling
        base, _, power = symbol.spelling.partition("^")
        letters = symbol.letters[symbol.above :]
        if symbol.above:
            power = f"{{({symbol.letters[0]})}}"
        if marked_below(base):  # `W_{Q}` with indices
            return f"{base[:-1]}{''.join(f',{x}' for x in letters)}}}" + (f"^{power}" if power else "")
        if symbol.bracketed and symbol.letters:
            return f"{base}({', '.join(symbol.letters)})" + (f"^{power}" if power else "")
        text = base + (f"_{{{','.join(letters)}}}" if letters else "")
        return f"{text}^{power}" if power else text

    def _value(self, symbol: Symbol) -> str:
        if self.matrices:
            return ("grad " if symbol.gradient else "") + symbol.tensor
        axes = self.layer.axes(symbol.tensor)
        slots = [self._silent(getattr(a, "name", ""), at) for at, a in enumerate(axes)]
        for letter, axis, count in zip(symbol.letters, symbol.axes, symbol.counts, strict=True):
            slots[axis] = self._slot(letter, getattr(axes[axis], "name", ""), count)
        return ("grad " if symbol.gradient else "") + f"{symbol.tensor}[{', '.join(slots)}]"

    def _slot(self, letter: str, size: str, count: str) -> str:
        if count == CENTRED:
            fixed = dict(self.fixed).get(size)
            if fixed is not None:
                return f"{letter}+{(fixed - 1) // 2}"
            return f"{letter}+({self._named(size)}-1)/2"
        if count.startswith("-"):  # numbered from the middle of a kernel
            return f"{letter}-({self._named(count[1:])}-1)/2"
        return letter if count == "0" else f"{letter}-{count}"

    def _named(self, size: str) -> str:
        return next((name for name, value in self.constants if value == size), size)

    def _silent(self, size: str, at: int) -> str:
        taken = {x for s in self.symbols for x in s.letters} | {k for k, _ in self.constants}
        wanted = size.lower() if size else ""
        free = [c for c in (wanted, *"defgvwzqh") if c and c not in taken and c not in layer_names(self.layer)]
        return str(free[0] if size else free[at])

    def _alone(self) -> tuple[str, ...]:
        """Sizes whose index is never printed and that not every tensor has, or that are summed over: there is one."""
        printed = {getattr(self.layer.axes(s.tensor)[axis], "name", "") for s in self.symbols for axis in s.axes} | {
            v for _, v in self.constants
        }
        if self.matrices or not any(s.letters for s in self.symbols):
            return ()
        found = []
        for size in dict.fromkeys(a.name for t in self.layer.inputs for a in t.axes):
            everywhere = all(
                any(getattr(a, "name", "") == size for a in self.layer.axes(t)) for t in self.layer.tensors
            )
            summed = any(
                isinstance(e, Reduce) and any(i.extent == Size(size) for i in e.indices)
                for d in self.layer.definitions
                for e in walk(d.body)
            )
            if size not in printed and (not everywhere or summed) and size not in dict(self.fixed):
                found.append(size)
        return tuple(found)


def _worn(symbol: Symbol, worn: dict[str, Symbol]) -> str:
    """The spelling that a symbol has without its mark."""
    return worn[symbol.spelling].spelling if symbol.spelling in worn else ""


def _plain_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else quoted(key)


def _told(value: object) -> str:
    return quoted(value) if isinstance(value, str) else str(value)


def quoted(text: str) -> str:
    """A text of TOML."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def symbol_for(
    seen: Seen, spelling: str, tensor: str, layer: Layer, counts: dict[str, str], silent: frozenset[str] = frozenset()
) -> Symbol | None:
    """A symbol as a tensor: its indices stand for the last axes that are not silent; None if it has too many."""
    letters, axes = seen.letters(spelling), layer.axes(tensor)
    if len(letters) > len(axes):
        return None
    loud = [at for at, a in enumerate(axes) if getattr(a, "name", "") not in silent]
    kept = loud if len(loud) >= len(letters) else list(range(len(axes)))
    shown = tuple(kept[len(kept) - len(letters) :])
    return Symbol(
        spelling,
        tensor,
        letters,
        shown,
        tuple(counts.get(x, counts.get("", "0")) for x in letters),
        bracketed=spelling in seen.bracketed,
        above=spelling in seen.above,
    )
