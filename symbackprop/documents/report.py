"""An audit for people and for programs: a table for the terminal, Markdown, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from symbackprop.documents.audit import Audit, Finding, first_wrong, summary
from symbackprop.documents.judge import FAILS, HOLDS, HOLDS_IF, NO_CLAIM, NOT_DECIDED, NOT_READ
from symbackprop.documents.repairs import Repair


def as_text(found: Audit, every: bool = False) -> str:
    """One line a finding, what is wrong below it; what claims nothing only if `every` is set."""
    lines = [_heading(found)]
    for finding in found.findings:
        if finding.verdict == NO_CLAIM and not every:
            continue
        name = f" {finding.formula.name}" if finding.formula.name else ""
        place = f"line {finding.formula.line:>4}{name}"
        lines.append(f"{place}  {finding.verdict.upper():<11} {finding.kind}: {_short(finding.claim, 100)}")
        lines += [f"             {line}" for line in explanation(finding)]
    lines += ["", _ending(found)]
    return "\n".join(lines) + "\n"


def _heading(found: Audit) -> str:
    return f"{found.file}: {summary(found)}"


def _ending(found: Audit) -> str:
    wrong = first_wrong(found)
    if wrong is None:
        return "no formula was found wrong"
    where = f" ({wrong.formula.name})" if wrong.formula.name else ""
    return f"the first that is wrong: line {wrong.formula.line}{where}"


def explanation(finding: Finding) -> list[str]:
    """What is to be said of a finding, a sentence a line."""
    judgement = finding.judgement
    lines = []
    if judgement.conditions:
        lines.append(f"if {'; '.join(judgement.conditions)}")
    if judgement.reading:
        lines.append(f"read {judgement.reading}")
    if judgement.reason:
        lines.append(judgement.reason)
    if judgement.cases:
        lines.append(f"{'exactly equal' if judgement.exact else 'equal up to rounding'} for {_cases(finding)}")
    lines += _difference(finding)
    lines += [_repair(r) for r in finding.repairs]
    if finding.wrong is not None:
        lines.append(f"no small change makes it hold; what is wrong is `{_short(finding.wrong.text, 70)}`, ")
        lines[-1] += f"at character {finding.wrong.span[0] + 1} ({finding.wrong.why})"
    if finding.step:
        lines.append(finding.step)
    if finding.ours:
        lines.append(f"this is our {finding.ours}")
    if finding.words:
        lines.append(f"words set aside: {'; '.join(finding.words)}")
    return lines


def _cases(finding: Finding) -> str:
    cases = finding.judgement.cases
    last = str(cases[-1])
    return last if len(cases) == 1 else f"{len(cases)} choices of sizes, up to {last}"


def _difference(finding: Finding) -> list[str]:
    difference = finding.judgement.difference
    if finding.verdict != FAILS or difference is None:
        return []
    if difference.outside:
        return [f"for {difference.case}: {difference.outside}"]
    at = ", ".join(f"{letter} = {value}" for letter, value in difference.at)
    where = f" at {at}" if at else ""
    lines = [f"for {difference.case}{where}: left {difference.left}, right {difference.right}"]
    if difference.inputs and len(difference.inputs) < 200:
        lines.append(f"with {difference.inputs}")
    return lines


def _repair(repair: Repair) -> str:
    changes = " and ".join(_change(e.kind, e.before, e.after) for e in repair.edits)
    under = f" (if {'; '.join(repair.conditions)})" if repair.conditions else ""
    return f"nearest that holds{under}: {changes}, at character {repair.edits[0].span[0] + 1}"


def _change(kind: str, before: str, after: str) -> str:
    if not after:
        return f"{kind}: without `{_short(before, 60)}`"
    return f"{kind}: `{_short(after, 70)}` for `{_short(before, 60)}`"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 4] + " ..."


# ------------------------------------------------------------------------------------------------- Markdown


def as_markdown(found: Audit, every: bool = False) -> str:
    """A section: the count, a table of all claims, and the errata with what should stand there."""
    lines = [
        f"## {found.file}",
        "",
        f"{summary(found)}.",
        "",
        "| line | claim | verdict | remark |",
        "| --- | --- | --- | --- |",
    ]
    for finding in found.findings:
        if finding.verdict != NO_CLAIM or every:
            name = finding.formula.name or finding.formula.line
            said = (
                "; ".join(finding.judgement.conditions) or finding.judgement.reason,
                finding.ours and f"our {finding.ours}",
            )
            remark = "; ".join(s for s in said if s and finding.verdict not in (NOT_READ, NOT_DECIDED))
            lines.append(f"| {name} | {finding.kind} | {finding.verdict} | {_cell(remark)} |")
    wrong = [f for f in found.findings if f.verdict == FAILS]
    if wrong:
        lines += ["", "### Errata", ""]
        for finding in wrong:
            lines += _erratum(finding)
    open_ones = [f for f in found.findings if f.verdict in (NOT_READ, NOT_DECIDED)]
    if open_ones:
        lines += ["", "### Not read or not decided", ""]
        lines += [f"- **{_where(f)}** {_verbatim(f.claim)}: {f.judgement.reason}" for f in open_ones]
    return "\n".join(lines).rstrip() + "\n"


def _where(finding: Finding) -> str:
    return finding.formula.name or f"line {finding.formula.line}"


def _verbatim(text: str) -> str:
    """A text as code; one with a backtick in it between two."""
    text = _short(" ".join(text.split()), 90)
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _erratum(finding: Finding) -> list[str]:
    lines = [f"**{_where(finding)}**, printed", "", f"$${finding.claim}$$", ""]
    lines += [f"- {line}" for line in explanation(finding)]
    for repair in finding.repairs[:1]:
        lines += ["", "What holds:", "", f"$${repair.formula}$$"]
    return [*lines, ""]


# ----------------------------------------------------------------------------------------------------- JSON


def as_json(found: Audit, every: bool = False) -> str:
    """Everything that was found, for programs."""
    counts = {verdict: found.count(verdict) for verdict in dict.fromkeys(f.verdict for f in found.findings)}
    shown = [_record(f) for f in found.findings if f.verdict != NO_CLAIM or every]
    return (
        json.dumps(
            {"file": found.file, "counts": counts, "status": found.status, "findings": shown},
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
    )


def _record(finding: Finding) -> dict[str, Any]:
    judgement = finding.judgement
    record: dict[str, Any] = {
        "line": finding.formula.line,
        "formula": finding.formula.text,
        "claim": finding.claim,
        "kind": finding.kind,
        "verdict": finding.verdict,
    }
    if finding.formula.name:
        record["id"] = finding.formula.name
    if judgement.conditions:
        record["if"] = list(judgement.conditions)
    if judgement.reason:
        record["reason"] = judgement.reason
    if judgement.verdict in (HOLDS, HOLDS_IF):
        record["sizes"] = [str(case) for case in judgement.cases]
        record["equal"] = "exactly" if judgement.exact else "up to rounding"
    if judgement.difference is not None and finding.verdict == FAILS:
        d = judgement.difference
        record["differs"] = {"sizes": str(d.case), "at": dict(d.at), "left": d.left, "right": d.right}
        record["differs"] |= {"outside": d.outside} if d.outside else {"inputs": d.inputs}
    if finding.repairs:
        record["nearest"] = [
            {
                "formula": r.formula,
                "if": list(r.conditions),
                "edits": [{"kind": e.kind, "at": list(e.span), "from": e.before, "to": e.after} for e in r.edits],
            }
            for r in finding.repairs
        ]
    if finding.wrong is not None:
        record["wrong"] = {"at": list(finding.wrong.span), "what": finding.wrong.text, "why": finding.wrong.why}
    if finding.step:
        record["step"] = finding.step
    if finding.ours:
        record["ours"] = finding.ours
    return record


FORMATS: dict[str, Callable[[Audit, bool], str]] = {"table": as_text, "markdown": as_markdown, "json": as_json}
