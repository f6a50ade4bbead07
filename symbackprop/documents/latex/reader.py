r"""LaTeX of index notation into trees: a parser by precedence over the tokens; nothing of the text is ever run.

    statement = clause ("," clause)*, words set aside
    clause    = sum (("=" | "<" | ...) sum)*

What cannot be read is a `NotRead` with the place and the token; an ellipsis is one of these things.
"""

from __future__ import annotations

import re
from dataclasses import replace

from symbackprop.documents.latex.cursor import RELATIONS, Vocabulary, joined, segmented
from symbackprop.documents.latex.expressions import Expressions
from symbackprop.documents.latex.tokens import CONDITIONAL, NotRead, tokens
from symbackprop.documents.latex.tree import Chain, Tree


def read(text: str, vocabulary: Vocabulary | None = None) -> tuple[Chain, ...]:
    """The statements of one formula (one row). Raises NotRead with the place and the token."""
    known = vocabulary or Vocabulary()
    found = [piece for token in joined(tokens(text), known) for piece in segmented(token, known)]
    return Statements(found, known, text).statement()


def read_expression(text: str, vocabulary: Vocabulary | None = None) -> Tree:
    """One expression and nothing else."""
    chains = read(text, vocabulary)
    if len(chains) != 1 or chains[0].rest or chains[0].words or chains[0].when:
        raise NotRead("one expression was expected", (0, len(text)), text)
    return chains[0].first


class Statements(Expressions):
    """Clauses with relations, conditions in words, words that are set aside."""

    def statement(self) -> tuple[Chain, ...]:
        chains = [self.chain()]
        while True:
            self.skip_space()
            if self.is_(",", ";", ".") and self.peek().kind != "end":
                self.next()
                self.skip_space()
                if not self.starts_factor() and not self.is_("-", "+"):
                    break
                chains.append(self.chain())
            elif self.starts_factor() and self.tokens[self.at - 1].kind == "space" and not self.prose():
                if not self.goes_on():
                    break
                chains.append(self.chain())  # `a = b \quad c = d`
            else:
                break
        return self.finished(chains)

    def goes_on(self) -> bool:
        """Whether a relation still comes: what stands behind a wide space without one are words."""
        return any(t.text in RELATIONS and t.kind in ("command", t.text) for t in self.tokens[self.at :])

    def finished(self, chains: list[Chain]) -> tuple[Chain, ...]:
        """Conditions in words belong to the last clause; other words are set aside."""
        when: tuple[Chain, ...] = ()
        otherwise: tuple[Chain, ...] = ()
        words: list[str] = []
        while self.token.kind != "end":
            if self.is_(",", ".", ";"):
                self.next()
            elif self.token.kind == "text" and self.token.text.lower().split()[:1] in (
                [w] for w in CONDITIONAL - {"for"}
            ):
                opening = self.next()
                meant = (self.chain(),) if self.starts_factor() else ()
                if not meant:
                    raise NotRead("a condition in words", opening.span, opening.text)
                if opening.text.lower().startswith(("else", "otherwise")):
                    otherwise = meant
                else:
                    when = meant
            elif self.token.kind in ("text", "space") or self.prose() or self.tokens[self.at - 1].kind == "space":
                words.append(self.prose_text())
                self.at = len(self.tokens)
            else:
                raise NotRead("what stands here cannot be read on", self.token.span, self.token.text)
        strange = next((t for t in self.tokens if t.kind == "unknown"), None)
        formal = any(t.kind == "command" or t.text in ("_", "^") for t in self.tokens)
        behind = strange is not None and formal and strange.span[0] >= chains[-1].span[1]
        if strange is not None and not chains[0].rest and not behind:
            raise NotRead("words where a formula was expected", strange.span, strange.text)
        last = replace(chains[-1], words=tuple(words), when=when, otherwise=otherwise)
        return (*chains[:-1], last)

    def prose_text(self) -> str:
        """The words from here on, as a person reads them."""
        rest = self.text[self.token.span[0] :]
        rest = re.sub(r"\\(?:label|tag)\{[^}]*\}|\\[A-Za-z]+\s?|\\.|[{}$]", " ", rest)
        return " ".join(rest.split())

    def skip_space(self) -> None:
        while self.token.kind == "space":
            self.next()

    def chain(self) -> Chain:
        self.skip_space()
        start = self.token.span[0]
        first = self.sum()
        rest: list[tuple[str, Tree]] = []
        while self.token.text in RELATIONS and self.token.kind in ("command", self.token.text):
            relation = RELATIONS[self.next().text]
            if relation == ":" and self.is_("="):
                relation = RELATIONS[self.next().text]
            self.skip_space()
            rest.append((relation, self.sum()))
        return self.spanned(start, Chain(first, tuple(rest)))
