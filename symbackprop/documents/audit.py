"""A document's formulas, one finding each: what it claims, whether that holds, and what should stand there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from symbackprop.documents.abbreviations import Abbreviations
from symbackprop.documents.claims import Claim, chooses, claims, kind_of
from symbackprop.documents.conventions import Relation
from symbackprop.documents.judge import FAILS, HOLDS, HOLDS_IF, NO_CLAIM, NOT_DECIDED, NOT_READ, Judgement, judge
from symbackprop.documents.latex.cursor import Vocabulary
from symbackprop.documents.latex.reader import read
from symbackprop.documents.latex.tokens import NotRead
from symbackprop.documents.latex.tree import Chain, Tree, latex
from symbackprop.documents.legend import Legend, Part
from symbackprop.documents.locate import Place
from symbackprop.documents.matrices import ShapesDiffer, in_indices
from symbackprop.documents.meant import LegendError
from symbackprop.documents.names import Unclear
from symbackprop.documents.rearrangements import rearrangements
from symbackprop.documents.repairs import Repair, mended, renamings, strict_bounds
from symbackprop.documents.source import Formula, Row, rows
from symbackprop.documents.spoken import written
from symbackprop.documents.steps import our_step
from symbackprop.documents.trials import PATIENCE
from symbackprop.errors import UserError

SEARCHED = 0.6  # of a formula's time; what has begun by then still ends
RELATION_SIGNS = ("=", "<", ">", r"\le", r"\ge", r"\to", r"\in", r"\approx", r"\ne", r"\equiv")
RELATION_FIRST = re.compile(r"^(?:\s|&|\\begin\{[^}]*\}|\{\})*(=|\\leftarrow|\\approx)")


@dataclass(frozen=True, slots=True)
class Effort:
    """Whether repairs and our steps are looked for, and the seconds of processor time that one formula may take."""

    mend: bool = True
    patience: float = PATIENCE


USUAL = Effort()


@dataclass(frozen=True, slots=True)
class Finding:
    """What is found of one relation of a formula.

    `step` says whether it follows from the line before, `ours` which step of our derivation it is; `place` is where in
    the formula's text it stands, `wrong` the part that is wrong where no repair was found.
    """

    formula: Formula
    claim: str
    kind: str
    judgement: Judgement
    step: str = ""
    ours: str = ""
    repairs: tuple[Repair, ...] = ()
    words: tuple[str, ...] = ()
    place: tuple[int, int] = (0, 0)
    wrong: Place | None = None
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        return self.judgement.verdict


@dataclass(frozen=True, slots=True)
class Audit:
    """The findings of a document, in its order."""

    file: str
    findings: tuple[Finding, ...]

    def count(self, verdict: str) -> int:
        """How many findings have a verdict."""
        return sum(f.verdict == verdict for f in self.findings)

    @property
    def status(self) -> int:
        """0 where all hold, 1 where something fails, 2 where something could not be read or decided."""
        if self.count(FAILS):
            return 1
        return 2 if self.count(NOT_READ) or self.count(NOT_DECIDED) else 0


def audit(
    found: Iterable[Formula],
    legend: Legend,
    file: str = "",
    done: Callable[[], None] | None = None,
    effort: Effort = USUAL,
    jobs: int = 1,
) -> Audit:
    """All formulas against the legend; `done` is called after each. With `jobs` the work is shared out to processes."""
    found = tuple(found)
    report = done or (lambda: None)
    with ProcessPoolExecutor(max(jobs - 1, 1)) as pool:
        others = [pool.submit(_share, found, legend, effort, which, jobs) for which in range(1, jobs)]
        judged = _share(found, legend, effort, 0, jobs, report)
        for which, other in enumerate(others, 1):
            judged |= other.result()
            for _ in found[which::jobs]:
                report()
    return Audit(file, tuple(finding for at in range(len(found)) for finding in judged[at]))


def _share(
    found: tuple[Formula, ...],
    legend: Legend,
    effort: Effort,
    which: int,
    jobs: int,
    done: Callable[[], None] | None = None,
) -> dict[int, list[Finding]]:
    """The findings of every formula that is one process's to judge, by its place; the others are only read."""
    words = spoken_words(found)
    judged: dict[int, list[Finding]] = {}
    before: Chain | None = None
    own = Abbreviations()
    for at, formula in enumerate(found):
        mine = at % jobs == which
        more, before = _formula(formula, legend, effort if mine else None, words, before, own)
        if mine:
            judged[at] = more
            if done is not None:
                done()
    return judged


def _formula(
    formula: Formula,
    legend: Legend,
    effort: Effort | None,
    words: frozenset[str],
    before: Chain | None,
    own: Abbreviations,
) -> tuple[list[Finding], Chain | None]:
    """The findings of a formula, and its last statement: a formula that begins with a relation goes on with it.

    Without an effort nothing is judged; what the formula says of the document's own symbols is learnt.
    """
    started = time.process_time()
    try:
        part = legend.part(formula.line)
        vocabulary = part.vocabulary(words)
        statements = statements_of(written(formula.text) or formula.text, vocabulary, before)
    except NotRead as error:
        return [_unread(formula, error.message, error.span, error.token)], None
    except RecursionError:
        return [_unread(formula, "the formula is nested too deeply", (0, len(formula.text)), "")], None
    except LegendError as error:
        return [Finding(formula, formula.text, "", Judgement(NOT_DECIDED, reason=str(error)))], None
    findings: list[Finding] = []
    for chain in statements:
        if own.learn(chain, part):
            reason = f"it says what {latex(chain.first)} stands for"
            introduced = Judgement(NO_CLAIM, reason=reason)
            findings.append(Finding(formula, latex(chain), "abbreviation", introduced, place=chain.span))
            continue
        if effort is not None:
            meant, among = own.in_full(chain, part)
            findings += _chain(formula, chain, meant, among, effort, started)
    return findings, next((c for c in reversed(statements) if c.rest), before)


def _unread(formula: Formula, message: str, span: tuple[int, int], token: str) -> Finding:
    others = [r for r in RELATION_SIGNS if r in formula.text and not (r == r"\in" and r"\{" in formula.text)]
    if token == r"\dots" and "," in formula.text and not others:
        listed = Judgement(NO_CLAIM, reason="a list that says nothing of what it names")
        return Finding(formula, formula.text, "mention", listed, place=span)
    where = f"{message}, at character {span[0] + 1}" + (f": `{token}`" if token else "")
    return Finding(formula, formula.text, "", Judgement(NOT_READ, reason=where), place=span)


def spoken_words(found: Iterable[Formula]) -> frozenset[str]:
    """Words of several letters that stand as arguments: `a(cin, i, j)`."""
    return frozenset(w for f in found for w in re.findall(r"(?<=[(,])\s*([A-Za-z]{3,})\s*(?=,)", f.text))


def statements_of(text: str, vocabulary: Vocabulary, before: Chain | None = None) -> tuple[Chain, ...]:
    """The statements of a formula; a row that begins with a relation goes on with the statement before it.

    `before` is the last statement of the formula before this one.
    """
    found: list[Chain] = []
    for row in rows(text):
        if RELATION_FIRST.match(row.text):
            going_on = RELATION_FIRST.sub(lambda m: " " * (m.end() - 1) + "0 =", row.text, count=1)
            shift = row.offset - (len(going_on) - len(row.text))
            more = _shifted(read(going_on, vocabulary), shift)
            if not found and before is None:
                raise NotRead("a relation without a left side", (row.offset, row.offset + 1), "=")
            if not found and before is not None:  # its last side is the line before
                found.append(Chain(before.first, before.rest[-1:], known=True))
            found[-1] = replace(
                found[-1], rest=(*found[-1].rest, *more[0].rest), words=(*found[-1].words, *more[0].words)
            )
            found += more[1:]
        else:
            found += _shifted(_read_row(row, vocabulary), row.offset)
    return tuple(found)


def _read_row(row: Row, vocabulary: Vocabulary) -> tuple[Chain, ...]:
    try:
        return read(row.text, vocabulary)
    except NotRead as error:
        span = (error.span[0] + row.offset, error.span[1] + row.offset)
        raise NotRead(error.message, span, error.token) from error


def _shifted(chains: tuple[Chain, ...], by: int) -> tuple[Chain, ...]:
    return tuple(_moved(c, by) for c in chains) if by else chains  # type: ignore[misc]


def _moved(tree: Tree, by: int) -> Tree:
    from symbackprop.documents.latex.tree import parts, rebuild

    moved = rebuild(tree, tuple(_moved(p, by) for p in parts(tree)))
    return replace(moved, span=(tree.span[0] + by, tree.span[1] + by))


def _chain(formula: Formula, printed: Chain, chain: Chain, part: Part, effort: Effort, started: float) -> list[Finding]:
    """The findings of a statement; `chain` is the printed one with the document's own symbols by what they mean."""
    findings = []
    shown = claims(printed, part)
    try:
        indexed = in_indices(chain, part)
    except Unclear as unclear:
        return [_without_indices(formula, printed, chain, unclear, part, started + effort.patience)]
    for at, claim in enumerate(claims(indexed, part)):
        if chain.known and at == 0:
            continue
        began = time.process_time()
        kind = claim.kind or kind_of(claim, part)
        text = shown[at].text if at < len(shown) else claim.text
        finding = Finding(
            formula, text, kind, Judgement(NO_CLAIM, reason=claim.note), words=chain.words, place=claim.span
        )
        if claim.relation is not None:
            deadline = max(started + SEARCHED * effort.patience, began + effort.patience / 4)
            matrix = (chain.first, chain.rest[at][1]) if indexed is not chain and at < len(chain.rest) else None
            finding = _judged(finding, claim, part, effort.mend, deadline, matrix)
        findings.append(replace(finding, seconds=time.process_time() - began))
    return findings


def _without_indices(
    formula: Formula, printed: Chain, chain: Chain, unclear: Unclear, part: Part, deadline: float
) -> Finding:
    """A statement about matrices that no index notation says: its sizes do not fit, or something has no meaning."""
    token = f"{unclear}, at character {unclear.span[0] + 1}" if unclear.span != (0, 0) else str(unclear)
    if not isinstance(unclear, ShapesDiffer):
        return Finding(formula, latex(printed), "", Judgement(NOT_DECIDED, reason=token), place=chain.span)
    found = rearrangements(chain.first, chain.rest[0][1], part, deadline) if len(chain.rest) == 1 else ()
    judgement = Judgement(FAILS, reason=f"the sizes do not fit: {token}")
    return Finding(formula, latex(printed), "matrices", judgement, repairs=found, place=chain.span)


def _judged(
    finding: Finding,
    claim: Claim,
    part: Part,
    mend: bool,
    deadline: float,
    matrix: tuple[Tree, Tree] | None = None,
) -> Finding:
    """The finding of a relation; `matrix` is what it was in matrix notation."""
    assert claim.relation is not None
    try:
        judgement = judge(claim.relation, part, deadline)
    except Unclear as unclear:
        if unclear.count:  # a slip whatever it should be, if there is something near that it should be
            found = renamings(claim.relation, part, deadline)
            if found:
                return replace(finding, judgement=Judgement(FAILS, reason=str(unclear)), repairs=found)
        token = f", at character {unclear.span[0] + 1}" if unclear.span != (0, 0) else ""
        return replace(finding, judgement=Judgement(NOT_DECIDED, reason=f"{unclear}{token}"))
    except UserError as error:
        return replace(finding, judgement=Judgement(NOT_DECIDED, reason=str(error)))
    if judgement.verdict == HOLDS_IF and any("outside" in c for c in judgement.conditions):
        # a limit that is off by one is a slip, though what it adds is zero
        nearer = strict_bounds(claim.relation, part, deadline, judgement.conditions)
        if nearer:
            reason = f"a sum runs past its range; what is added is zero only if {judgement.conditions[-1]}"
            return replace(finding, judgement=Judgement(FAILS, reason=reason), repairs=nearer)
    if judgement.verdict == FAILS and chooses(claim.relation, part):
        return replace(
            finding,
            kind="setting",
            judgement=Judgement(NO_CLAIM, reason="it chooses an input; nothing in the layer settles it"),
        )
    finding = replace(finding, judgement=judgement, step=_step(claim, part, judgement, deadline))
    if judgement.verdict == FAILS and mend:
        turned = rearrangements(*matrix, part, deadline) if matrix is not None else ()
        if turned:
            return replace(finding, repairs=turned)
        mending = mended(claim.relation, part, judgement, deadline)
        finding = replace(finding, repairs=mending.repairs, wrong=mending.place)
    elif mend and time.process_time() < deadline:
        ours = our_step(claim.relation, part, judgement)
        finding = replace(finding, ours=str(ours) if ours is not None else "")
    return finding


def _step(claim: Claim, part: Part, judgement: Judgement, deadline: float) -> str:
    """Whether a line follows from the line before it."""
    if claim.before is None or claim.relation is None:
        return ""
    try:
        against = judge(Relation(claim.before, claim.relation.right), part, deadline)
    except UserError:
        return ""
    if against.verdict in (HOLDS, HOLDS_IF):
        return (
            "follows from the line before"
            if judgement.verdict != FAILS
            else "follows from the line before, which is wrong already"
        )
    return "does not follow from the line before" if against.verdict == FAILS else ""


def summary(found: Audit) -> str:
    """One line: how many hold, fail, and so on."""
    named = ((v, found.count(v)) for v in (HOLDS, HOLDS_IF, FAILS, NOT_DECIDED, NOT_READ, NO_CLAIM))
    return ", ".join(f"{count} {verdict}" for verdict, count in named if count)


def first_wrong(found: Audit) -> Finding | None:
    """The first finding that fails."""
    return next((f for f in found.findings if f.verdict == FAILS), None)
