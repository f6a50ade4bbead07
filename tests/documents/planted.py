"""The audit measured against itself: small damage is planted in what a document has right, and has to be found.

    python -m tests.documents.planted vijay --count 40 --seed 1 --jobs 2

plants each of the twelve kinds of damage at each place of each formula that holds, one at a time, or `--count` of them
drawn at random. What is planted is `named` if the audit says that the formula fails and names the place; `unnamed` if
it names another; `unseen` if it does not say that it fails; `none` if the layer proves that nothing changed: then both
sides of the damaged formula are equal still, at every size that is tried. What is not named is printed.
"""

from __future__ import annotations

import argparse
import random
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from symbackprop.documents.audit import spoken_words, statements_of
from symbackprop.documents.claims import claims
from symbackprop.documents.conventions import Relation
from symbackprop.documents.judge import FAILS, HOLDS, HOLDS_IF, NOT_DECIDED, Judgement, judge
from symbackprop.documents.latex.cursor import Vocabulary
from symbackprop.documents.latex.reader import read_expression
from symbackprop.documents.latex.tokens import NotRead
from symbackprop.documents.latex.tree import latex
from symbackprop.documents.legend import Part, load_legend
from symbackprop.documents.names import Unclear
from symbackprop.documents.repairs import mended
from symbackprop.documents.source import formulas
from symbackprop.documents.trials import PATIENCE
from symbackprop.equations import load
from tests.documents.damage import KINDS, planted
from tests.documents.page import DOCUMENTS
from tests.documents.places import is_named

HERE = Path(__file__).parent
NAMED, UNNAMED, UNSEEN, NONE = "named", "unnamed", "unseen", "none"


@dataclass(frozen=True, slots=True)
class Right:
    """A relation of a document that holds."""

    name: str
    relation: Relation
    part: Part
    vocabulary: Vocabulary
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Plant:
    """One damage: the relation by its number among the right ones, the kind, the damaged right side."""

    at: int
    kind: str
    damaged: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a damage, and what the audit said."""

    plant: Plant
    outcome: str
    said: str
    formula: str


def right_relations(document: str) -> list[Right]:
    """The relations of a document that hold, each once for each part of the legend."""
    found: dict[tuple[str, int], Right] = {}
    legend, texts = load_legend(HERE / f"{document}.legend.toml", load), formulas(HERE / f"{document}.toml")
    words = spoken_words(texts)
    verdicts = {e["id"]: e["verdict"] for e in tomllib.loads((HERE / f"{document}.toml").read_text())["formula"]}
    for formula in texts:
        if not {HOLDS, HOLDS_IF} & set(verdicts[formula.name]):
            continue
        part = legend.part(formula.line)
        vocabulary = part.vocabulary(words)
        try:
            chains = statements_of(formula.text, vocabulary)
        except NotRead:
            continue
        for claim in (c for chain in chains for c in claims(chain, part) if c.relation is not None):
            assert claim.relation is not None
            try:
                judgement = judge(claim.relation, part)
            except Unclear:
                continue
            if judgement.verdict in (HOLDS, HOLDS_IF):
                key = claim.text, legend.parts.index(part)
                found[key] = Right(formula.name, claim.relation, part, vocabulary, judgement)
    return list(found.values())


def plants(right: list[Right]) -> Iterator[Plant]:
    """Every damage of every kind at every place."""
    for at, known in enumerate(right):
        for kind in KINDS:
            texts = dict.fromkeys(latex(tree) for tree in planted(known.relation.right, kind, known.part))
            yield from (Plant(at, kind.__name__, text) for text in texts)


def result_of(plant: Plant, right: list[Right]) -> Result:
    """What the audit says of a damage, read anew from its text."""
    known = right[plant.at]
    formula = f"{latex(known.relation.left)} = {plant.damaged}"
    wrong = Relation(known.relation.left, read_expression(plant.damaged, known.vocabulary), known.relation.when)
    judgement = judged(wrong, known.part)
    if judgement.verdict == known.judgement.verdict and judgement.conditions == known.judgement.conditions:
        return Result(plant, NONE, judgement.verdict, formula)
    if judgement.verdict != FAILS:
        return Result(plant, UNSEEN, "; ".join((judgement.verdict, *judgement.conditions, judgement.reason)), formula)
    original = read_expression(latex(known.relation.right), known.vocabulary)
    mending = mended(wrong, known.part, judgement, time.process_time() + PATIENCE)
    named = is_named(mending.spans, original, wrong.right)
    said = [", ".join(f"{e.kind}: {e.before} -> {e.after}" for e in r.edits) for r in mending.repairs]
    said += [f"{mending.place.text} ({mending.place.why})"] if mending.place is not None else []
    return Result(plant, NAMED if named else UNNAMED, " | ".join(said), formula)


def judged(relation: Relation, part: Part) -> Judgement:
    """The verdict; `not decided` where the legend does not say what a name is."""
    try:
        return judge(relation, part)
    except Unclear as unclear:
        return Judgement(NOT_DECIDED, reason=str(unclear))


# ------------------------------------------------------------------------------------------- the command

_RIGHT: list[Right] = []


def _prepare(document: str) -> None:
    _RIGHT[:] = right_relations(document)


def _result(plant: Plant) -> Result:
    return result_of(plant, _RIGHT)


def measured(document: str, count: int | None, seed: int, jobs: int) -> list[Result]:
    """The results for a document's damages, all of them or so many drawn at random."""
    chosen = list(plants(right_relations(document)))
    if count is not None and count < len(chosen):
        chosen = sorted(random.Random(seed).sample(chosen, count), key=lambda p: p.at)
    with ProcessPoolExecutor(jobs, initializer=_prepare, initargs=(document,)) as pool:
        return list(pool.map(_result, chosen, chunksize=4))


def report(document: str, results: Iterable[Result]) -> str:
    """A table of kinds and outcomes, the share that is named, and each that is not."""
    results = tuple(results)
    outcomes = (NAMED, UNNAMED, UNSEEN, NONE)
    lines = [f"{document:<18}" + "".join(f"{o:>9}" for o in outcomes)]
    for kind in (k.__name__ for k in KINDS):
        counts = Counter(r.outcome for r in results if r.plant.kind == kind)
        lines.append(f"{kind:<18}" + "".join(f"{counts[o]:>9}" for o in outcomes))
    total = Counter(r.outcome for r in results)
    damage = sum(total[o] for o in (NAMED, UNNAMED, UNSEEN))
    lines += [f"{'all':<18}" + "".join(f"{total[o]:>9}" for o in outcomes)]
    lines += [f"named {total[NAMED]} of {damage}: {100 * total[NAMED] / max(damage, 1):.1f} %", ""]
    for result in results:
        if result.outcome != NAMED:
            lines += [f"{result.outcome}, {result.plant.kind}: {result.formula}", f"    {result.said}"]
    return "\n".join(lines)


def main() -> None:
    """Measure documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("document", nargs="+", choices=DOCUMENTS)
    parser.add_argument("--count", type=int, help="how many damages are drawn (all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    for document in arguments.document:
        print(report(document, measured(document, arguments.count, arguments.seed, arguments.jobs)))


if __name__ == "__main__":
    main()
