"""A contraction as the text of two functions: how it is planned for given sizes, and its computation by that plan.

The work is done by `_vectors`, a module that is generated beside those of the layers.
"""

from __future__ import annotations

from symbackprop.emit.header import safe, wrapped
from symbackprop.emit.numba_expressions import Speller
from symbackprop.emit.numba_nests import KernelFunction
from symbackprop.emit.spelling import Names, identifier, integer
from symbackprop.errors import InternalError
from symbackprop.loops.contraction import ALL_ONE, Contraction, Operand, Place
from symbackprop.notation.nodes import ONE, ZERO, Expr, Index, Parameter, Size, walk

_LONGEST = 118


def contraction_function(
    found: Contraction, plan_name: str, name: str, scalars: tuple[str, ...], accuracy: str | None
) -> KernelFunction:
    """The text of the functions of a contraction, and the arguments of the second, which says whether it computed it.

    `scalars` are the names of the layer's sizes and parameters, `accuracy` that of the caller's word, if any.
    Keeps: the value of the nest's loops, to rounding.
    """
    names = _index_names(found)
    operands = [o for o in (found.target, found.rows, found.columns, found.factor, found.term) if o is not None]
    sizes = _used(scalars, [e for o in operands for e in _expressions(o)] + [i.extent for i in found.indices])
    word = (accuracy,) if accuracy else ()
    plan = [
        "@lru_cache(maxsize=256)",
        f"def {plan_name}({', '.join(('itemsize', *word, *sizes))}):",
        *_plan_docstring(found, names),
        "    at = _vectors.at",
        "    return _vectors.plan(",
        "        itemsize,",
        f"        extents=dict({', '.join(f'{names[i]}={integer(i.extent)}' for i in found.indices)}),",
    ]
    for role in ("target", "rows", "columns", "factor", "term"):
        operand = getattr(found, role)
        if operand is not None:
            plan.append(f"        {role}={_operand(operand, names)},")
    if accuracy:
        plan.append(f'        strict={accuracy} == "strict",')
    plan.append("    )")
    arrays = tuple(dict.fromkeys(identifier(o.tensor) for o in operands if o != ALL_ONE))
    bounds = [(name, e) for name, e in (("low", found.low), ("high", found.high)) if e is not None]
    arguments = (*arrays, *word, *_used(scalars, [found.scale, *(e for _, e in bounds)]), *sizes)
    arguments = tuple(dict.fromkeys(arguments))
    target = identifier(found.target.tensor)
    given = [target, f"rows={identifier(found.rows.tensor)}"]
    given += [f"columns={identifier(found.columns.tensor)}"] if found.columns != ALL_ONE else []
    given += [f"factor={identifier(found.factor.tensor)}"] if found.factor else []
    given += [f"term={identifier(found.term.tensor)}"] if found.term else []
    given += [f"scale={_scale(found.scale)}"] if found.scale != ONE else []
    given += [f"{name}={_scale(e)}" for name, e in bounds]
    run = [
        f"def {name}({', '.join(arguments)}):",
        '    """Compute it by vectors if that pays at these sizes; whether it did."""',
        f"    plan = {plan_name}({', '.join((f'{target}.itemsize', *word, *sizes))}) if _vectors else None",
        "    if plan is None:",
        "        return False",
        f"    _vectors.compute(plan, {', '.join(given)})",
        "    return True",
    ]
    return KernelFunction(name, "\n".join((*plan, "", "", *run)), arguments)


def _index_names(found: Contraction) -> dict[Index, str]:
    fresh = Names(())
    return {index: fresh.new(index.name) for index in found.indices}


def _expressions(operand: Operand) -> list[Expr]:
    places = [e for p in operand.places for e in (p.constant, p.divisor, *(c for _, c in p.coefficients))]
    return [*operand.axes, *places]


def _used(scalars: tuple[str, ...], exprs: list[Expr]) -> tuple[str, ...]:
    used = {e.name for expr in exprs for e in walk(expr) if isinstance(e, Size | Parameter)}
    return tuple(identifier(name) for name in scalars if name in used)


def _plan_docstring(found: Contraction, names: dict[Index, str]) -> list[str]:
    def listed(indices: tuple[Index, ...]) -> str:
        return " ".join(names[i] for i in indices)

    rows, columns, batch = (found.role(r) for r in ("rows", "columns", "batch"))
    text = f"{found.target.tensor} as a product of matrices: rows {listed(rows)} of {found.rows.tensor}, in vectors, "
    by = f"by columns {listed(columns)} of {found.columns.tensor}" if found.columns != ALL_ONE else "by 1"
    text += f"{by}, summed over {listed(found.summed)}"
    text += f"; one for each {listed(batch)}." if batch else "."
    lines = wrapped(safe(text), "    ").splitlines()
    if len(lines) == 1:
        return [f'    """{lines[0].strip()}"""']
    return [f'    """{lines[0].strip()}', *lines[1:], '    """']


def _operand(operand: Operand, names: dict[Index, str]) -> str:
    axes, places = [integer(e) for e in operand.axes], [_place(p, names) for p in operand.places]
    return f"({_tuple(axes)}, {_tuple(places)})"


def _tuple(items: list[str]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _place(place: Place, names: dict[Index, str]) -> str:
    terms = [f"{names[i]}={integer(c)}" for i, c in place.coefficients]
    if place.divisor != ONE:
        return f"at({', '.join((integer(place.constant), integer(place.divisor), *terms))})"
    return f"at({', '.join(((integer(place.constant),) if place.constant != ZERO else ()) + tuple(terms))})"


def _scale(scale: Expr) -> str:
    def no_index(index: Index) -> str:
        raise InternalError(f"index {index.name} stands in a scale")

    # everything wide: a number of Python
    return Speller(no_index, frozenset(), frozenset(), frozenset()).in_float64(scale)
