"""A formula of ours as MathML, which every browser shows by itself: a page needs no script and no network."""

from __future__ import annotations

from html import escape

from symbackprop.emit.latex_tree import Node, parse

SPACE_WIDTHS = {",": "0.17em", ";": "0.28em", " ": "0.33em", "quad": "1em", "qquad": "2em"}
BLACKBOARD = {"Z": "ℤ", "R": "ℝ"}
SCRIPTED = {"L": "ℒ"}
TIGHT = ' lspace="0" rspace="0"'
FENCE_SIGNS = frozenset("()[]|⌊⌋")


def mathml(latex: str, large: bool = True) -> str:
    """The `<math>` element of a formula; `large` sets it as in a display, limits above and below their signs."""
    style = ' displaystyle="true"' if large else ""
    return f"<math{style}>{inner(parse(latex))}</math>"


def inner(node: Node) -> str:
    """The MathML of a tree: always one element."""
    match node.kind:
        case "row":
            return f"<mrow>{''.join(map(inner, node.parts))}</mrow>"
        case "number":
            return f"<mn>{node.text}</mn>"
        case "letter":
            return f"<mi>{escape(node.text)}</mi>"
        case "sign":
            style = ' stretchy="false"' if node.text in FENCE_SIGNS else TIGHT if node.text == "/" else ""
            return f"<mo{style}>{escape(node.text.replace('-', '−'))}</mo>"
        case "big":
            return f"<mo{_limits(node.text)}>{node.text}</mo>"
        case "word":
            return _word(node.text, node.parts[0].kind)
        case "space":
            return f'<mspace width="{SPACE_WIDTHS[node.text]}"/>'
        case "fraction":
            return f"<mfrac>{''.join(map(inner, node.parts))}</mfrac>"
        case "sqrt":
            return f"<msqrt>{inner(node.parts[0])}</msqrt>"
        case "boxed":
            return f'<mrow class="boxed">{inner(node.parts[0])}</mrow>'
        case "fence":
            left, right = (f'<mo stretchy="true">{escape(side)}</mo>' for side in node.text)
            return f"<mrow>{left}{inner(node.parts[0])}{right}</mrow>"
        case "accent":
            return f'<mover accent="true">{inner(node.parts[0])}<mo stretchy="false">{node.text}</mo></mover>'
        case "scripts":
            return _scripts(*node.parts)
        case "stack":
            rows = "".join(f"<mtr><mtd>{inner(line)}</mtd></mtr>" for line in node.parts)
            return f'<mtable class="stack">{rows}</mtable>'
        case _:
            return _table(node)


def _limits(text: str) -> str:
    return ' movablelimits="true"' if text.isalpha() else ""


def _word(text: str, style: str) -> str:
    match style:
        case "mathbb":
            return f"<mi>{BLACKBOARD.get(text, escape(text))}</mi>"
        case "mathcal":
            return f"<mi>{SCRIPTED.get(text, escape(text))}</mi>"
        case "text":
            return f"<mtext>{escape(text).replace(' ', '&#160;')}</mtext>"
        case _:
            return f'<mi mathvariant="normal">{escape(text)}</mi>'


def _scripts(base: Node, below: Node, above: Node) -> str:
    under = base.kind == "big" or (base.kind == "word" and base.parts[0].kind == "operatorname*")
    has_below, has_above = below != Node("row"), above != Node("row")
    names = ("munderover", "munder", "mover") if under else ("msubsup", "msub", "msup")
    tag = names[0] if has_below and has_above else names[1] if has_below else names[2]
    pieces = [base, *([below] if has_below else []), *([above] if has_above else [])]
    return f"<{tag}>{''.join(map(inner, pieces))}</{tag}>"


def _table(node: Node) -> str:
    rows = "".join(
        "<mtr>" + "".join(f'<mtd style="text-align: left">{inner(cell)}</mtd>' for cell in row.parts) + "</mtr>"
        for row in node.parts
    )
    table = f"<mtable>{rows}</mtable>"
    return f'<mrow><mo stretchy="true">{{</mo>{table}</mrow>' if node.text == "cases" else table
