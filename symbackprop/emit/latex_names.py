"""How names are spelled in LaTeX: `mu` is a Greek letter, `xhat` wears a hat, `weight` stands upright.

A `Spelling` holds every choice of a reader's taste, so that the letters of another document are another value
and not another printer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import ZERO, Expr, Index, Read, add, number, parts, rebuild, subtract
from symbackprop.notation.tidying import collected

GREEK: dict[str, str] = {
    **{name: f"\\{name}" for name in (
        "alpha", "beta", "gamma", "delta", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "pi",
        "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi",
        "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega",
    )},
    "eps": r"\varepsilon",
    "epsilon": r"\varepsilon",
}  # fmt: skip
ACCENTS: dict[str, str] = {"hat": r"\hat", "bar": r"\bar", "tilde": r"\tilde"}


@dataclass(frozen=True, slots=True)
class Spelling:
    """The choices of one document.

    `names`: (name, LaTeX) pairs that win over the rules below. `loss`: the letter of what is differentiated.
    `totals`: the gradients that are total derivatives, of outputs that other definitions read; they are written with
    an upright d. `compact`: sums over several indices as one sign without limits. `page`: how many letters fit on a
    line. `bases`: the first value of an index, where that is not 0; `offsets`: what is added to each position of a
    tensor.
    """

    names: tuple[tuple[str, str], ...] = ()
    loss: str = "L"
    totals: tuple[str, ...] = ()
    compact: bool = False
    page: int = 70
    bases: tuple[tuple[str, Expr], ...] = ()
    offsets: tuple[tuple[str, tuple[Expr, ...]], ...] = ()

    def symbol(self, name: str) -> str:
        """The LaTeX of a name."""
        return dict(self.names).get(name) or _by_rule(name)

    def index(self, index: Index) -> str:
        """The LaTeX of an index, a fresh copy with its primes."""
        return self.symbol(index.name) + _primes(index.copy)

    def base(self, index: Index) -> Expr:
        """The first value of an index."""
        return dict(self.bases).get(index.name, ZERO)

    def end(self, index: Index, step: int = 0) -> Expr:
        """The value behind the last of an index, or one that is `step` further."""
        plain = add(index.extent, self.base(index), number(step))
        return plain if self.base(index) == ZERO else collected(plain)

    def counted(self, expr: Expr, offset: Expr = ZERO) -> Expr:
        """The expression plus `offset`, in indices that count from their bases."""
        return collected(add(self._from_bases(expr), offset)) if self.bases or offset != ZERO else expr

    def _from_bases(self, expr: Expr) -> Expr:
        if isinstance(expr, Read):  # its own positions are counted where it is printed
            return expr
        if isinstance(expr, Index):
            return subtract(expr, self.base(expr))
        return rebuild(expr, tuple(map(self._from_bases, parts(expr))))


SPELLING = Spelling()


def _primes(copy: int) -> str:
    return "'" * copy if copy < 4 else f"^{{({copy})}}"


def _by_rule(name: str) -> str:
    letter = _letter(name)
    if letter is not None:
        return letter
    for ending, accent in ACCENTS.items():
        under = _letter(name.removesuffix(ending)) if name.endswith(ending) else None
        if under is not None:
            return f"{accent}{{{under}}}"
    return upright(name)


def _letter(name: str) -> str | None:
    return name if re.fullmatch("[A-Za-z]", name) else GREEK.get(name)


def upright(name: str) -> str:
    """A word inside mathematics, with its underscores escaped."""
    return r"\mathrm{" + escape(name) + "}"


def escape(text: str) -> str:
    """Plain text as LaTeX text."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
               ">": r"\textgreater{}", "|": r"\textbar{}", **{c: "\\" + c for c in "&%$#_{}"}}  # fmt: skip
    return "".join(special.get(c, c) for c in text)


def for_layer(layer: Layer, spelling: Spelling = SPELLING) -> Spelling:
    """The spelling in which no two names of the layer look the same.

    Of two names with one spelling (`eps` and `epsilon`) the later stands upright; a layer that has its own `L`
    leaves the loss a curly one.
    """
    pairs = list(spelling.names)
    taken = {latex for _, latex in pairs}
    chosen = dict(pairs)
    for name in names_of(layer):
        if name in chosen:
            continue
        latex = _by_rule(name)
        if latex in taken:
            latex = upright(name)
            pairs.append((name, latex))
        chosen[name] = latex
        taken.add(latex)
    loss = r"\mathcal{L}" if spelling.loss in taken else spelling.loss
    totals = tuple(f"grad_{name}_total" for name in layer.outputs if f"{name}_total" not in chosen)
    return replace(spelling, names=tuple(pairs), loss=loss, totals=totals)


def names_of(layer: Layer) -> Iterable[str]:
    """Every name that a layer declares, each once, in the order of its statements."""
    indices = [i.name for d in layer.definitions for i in d.indices]
    groups = (
        [a.name for t in layer.inputs for a in t.axes],
        [t.name for t in layer.inputs],
        [p.name for p in layer.parameters],
        [s.name for s in layer.sizes],
        [r.index for r in layer.ranges],
        indices,
        [d.name for d in layer.definitions],
    )
    return dict.fromkeys(name for group in groups for name in group)
