"""`docs/documents.md`, written from the formulas and legends of four documents: `python -m tests.documents.page`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from symbackprop.documents.audit import Audit, Effort, audit
from symbackprop.documents.legend import load_legend
from symbackprop.documents.report import as_markdown
from symbackprop.documents.source import formulas, title
from symbackprop.equations import load

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "documents.md"
DOCUMENTS = ("vijay", "nptel", "wu", "iitp")
UNHURRIED = Effort(patience=60.0)  # so that what is found does not depend on the machine
HEAD = """\
# Four documents, judged by the equations

Written by `python -m tests.documents.page`. Each section is what `symbackprop audit tests/documents/NAME.toml --legend
tests/documents/NAME.legend.toml --format markdown` prints: every formula of a document that claims something, whether
the layer's equations bear it out, which step of our derivation it is, the errata with the nearest formula that holds,
and what was not read or not decided, with the reason. `holds` is exact, at several small sizes; `holds if` names the
convention that the document leaves unsaid; `not read` and `not decided` are never counted as right. What only names
something, chooses a value or updates it claims nothing and is left out. To lay a document beside our derivation,
`symbackprop derive LAYER --wrt x --format latex --legend TOML` prints ours in its letters and counts as it does.
"""


@lru_cache
def audited(name: str) -> Audit:
    """The audit of a document."""
    file = HERE / f"{name}.toml"
    return audit(formulas(file), load_legend(HERE / f"{name}.legend.toml", load), title(file), effort=UNHURRIED)


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(as_markdown(audited(name)) for name in DOCUMENTS)])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
