"""Real expressions and conditions as NumPy text: broadcast, with the few-indexed factors multiplied first."""

from __future__ import annotations

from fractions import Fraction

from symbackprop.emit.numpy_values import Value, binary, call, union
from symbackprop.emit.numpy_values import aligned as _aligned
from symbackprop.emit.numpy_writer import Writer, integer_value, without_sign
from symbackprop.emit.spelling import (
    ATOM,
    COMPARE,
    POWER,
    PRODUCT,
    SIGN,
    SUM,
    TEST,
    condition,
    identifier,
    real_constant,
)
from symbackprop.errors import InternalError
from symbackprop.notation.nodes import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Call,
    Clip,
    Compare,
    Constant,
    Delta,
    Expr,
    FloorDiv,
    Index,
    Infinity,
    Logic,
    Mod,
    Mul,
    Number,
    Parameter,
    Pow,
    Read,
    Size,
    Where,
    parts,
    walk,
)

UFUNCS = {"exp": "np.exp", "log": "np.log", "sqrt": "np.sqrt", "abs": "np.abs", "sign": "np.sign", "tanh": "np.tanh",
           "sin": "np.sin", "cos": "np.cos", "max": "np.maximum", "min": "np.minimum",
           "sigmoid": "_sigmoid", "softplus": "_softplus", "erf": "_erf"}  # fmt: skip


def value(expr: Expr, w: Writer) -> Value:
    """The value of a real expression."""
    match expr:
        case Number() | Constant() | Infinity():
            text = real_constant(expr)
            binds = SIGN if text.startswith("-") else PRODUCT if "/" in text else ATOM
            return Value(text, binds, weak=True)
        case Size(name) | Parameter(name, _):
            return Value(identifier(name), ATOM, weak=True)
        case Index():
            return _real(integer_value(expr, w))
        case Read(tensor, _):
            found = w.read(expr)
            return _real(found) if tensor in w.context.integers else found
        case FloorDiv() | Mod() | Clip():
            return _real(integer_value(expr, w))
        case Add(terms):
            return _sum(terms, w)
        case Mul() | Pow(_, Number()):
            return _product(expr, w)
        case Pow(base, exponent):
            return _number(call("np.power", (value(base, w), value(exponent, w)), w.scope))
        case Call(function, arguments):
            return _function(function, arguments, w)
        case Where(test, then, other):
            return _where(test, then, other, w)
        case Delta(left, right):
            return _where(Compare("==", left, right), ONE, ZERO, w)
        case _:
            raise InternalError(f"no NumPy text for {type(expr).__name__}")


def _real(found: Value) -> Value:
    if found.weak:
        return found
    return Value(f"{found.at(ATOM)}.astype(dtype)", ATOM, found.axes)


def _sum(terms: tuple[Expr, ...], w: Writer) -> Value:
    ordered = sorted(terms, key=lambda t: without_sign(t)[0])
    total = value(ordered[0], w)
    for term in ordered[1:]:
        minus, positive = without_sign(term)
        total = binary("-" if minus else "+", total, value(positive, w), SUM, w.scope)
    return total


def _product(expr: Expr, w: Writer) -> Value:
    """Factors with the same axes together, those with few axes first; negative powers as quotients."""
    sign, above, below = 1, [], []
    for factor in expr.factors if isinstance(expr, Mul) else (expr,):
        if factor == MINUS_ONE:
            sign = -sign
        elif isinstance(factor, Pow) and isinstance(factor.exponent, Number) and factor.exponent.value < 0:
            below.append(_power(factor.base, -factor.exponent.value, w))
        elif isinstance(factor, Pow) and isinstance(factor.exponent, Number):
            above.append(_power(factor.base, factor.exponent.value, w))
        else:
            above.append(value(factor, w))
    product = _quotient(above, below, w)
    if sign > 0:
        return product
    if any(isinstance(e, FloorDiv | Mod) for e in parts(expr)):  # -a % b is (-a) % b
        return Value(f"-({product.text})", SIGN, product.axes, product.weak)
    return Value(f"-{product.at(PRODUCT)}", SIGN if product.binds >= POWER else SUM, product.axes, product.weak)


def _quotient(above: list[Value], below: list[Value], w: Writer) -> Value:
    groups: dict[tuple[Index, ...], tuple[list[Value], list[Value]]] = {}
    for v in above:
        groups.setdefault(v.axes, ([], []))[0].append(v)
    late = []
    for v in below:
        target = groups.get(v.axes)
        late.append(v) if target is None else target[1].append(v)
    result: Value | None = None
    late.sort(key=lambda v: len(v.axes))
    for axes in sorted(groups, key=len):
        numerators, denominators = groups[axes]
        while result is not None and late and len(late[0].axes) < len(axes):  # before the product grows by an axis
            result = binary("/", result, late.pop(0), PRODUCT, w.scope)
        for v in numerators:
            result = v if result is None else binary("*", result, v, PRODUCT, w.scope)
        if denominators and result is not None:
            result = binary("/", result, _multiplied(denominators, w), PRODUCT, w.scope)
    result = result or Value("1", ATOM, weak=True)
    for v in late:
        result = binary("/", result, v, PRODUCT, w.scope)
    return result


def _multiplied(values: list[Value], w: Writer) -> Value:
    product = values[0]
    for v in values[1:]:
        product = binary("*", product, v, PRODUCT, w.scope)
    return product


def _power(base: Expr, exponent: Fraction, w: Writer) -> Value:
    inner = value(base, w)
    if exponent == 1:
        return inner
    if exponent == Fraction(1, 2):
        return _root(inner, base)
    if exponent.denominator == 2 and exponent > 0 and exponent.numerator == 3 and inner.binds == ATOM:
        return binary("*", inner, _root(inner, base), PRODUCT, w.scope)
    if exponent.denominator == 1 and 3 <= exponent <= 4 and inner.text.isidentifier():
        return Value("*".join([inner.text] * int(exponent)), PRODUCT, inner.axes, inner.weak)
    if exponent.denominator != 1 and inner.weak:
        return Value(f"float(np.power({inner.at(TEST)}, {real_constant(Number(exponent))}))", ATOM, weak=True)
    power = real_constant(Number(exponent))
    power = power if power.replace(".", "").isdigit() else f"({power})"
    return Value(f"{inner.at(ATOM)}**{power}", POWER, inner.axes, inner.weak)


def _root(inner: Value, base: Expr) -> Value:
    if isinstance(base, Size | Constant) or (isinstance(base, Number) and base.value > 0 and inner.binds == ATOM):
        return Value(f"{inner.text}**0.5", POWER, weak=True)
    return _number(Value(f"np.sqrt({inner.at(TEST)})", ATOM, inner.axes, inner.weak))


def _function(function: str, arguments: tuple[Expr, ...], w: Writer) -> Value:
    values = [value(a, w) for a in arguments]
    if function == "relu":
        found = call("np.maximum", (*values, Value("0", ATOM, weak=True)), w.scope)
    else:
        found = call(UFUNCS[function], values, w.scope)
    return _number(found)


def _number(found: Value) -> Value:
    """A NumPy scalar as a Python number: one of float64 would turn float32 arrays into float64."""
    return Value(f"float({found.text})", ATOM, weak=True) if found.weak else found


def _where(test: Expr, then: Expr, other: Expr, w: Writer) -> Value:
    mask = mask_value(test, w)
    guarded, w.guarded = w.guarded, True
    yes, no = value(then, w), value(other, w)
    w.guarded = guarded
    if (then, other) == (ONE, ZERO) and not mask.weak:
        return Value(f"{mask.at(ATOM)}.astype(dtype)", ATOM, mask.axes)
    if other == ZERO and not yes.weak and not mask.weak:
        return call("_kept", (mask, yes), w.scope)
    if yes.weak and no.weak:
        yes, no = _typed(yes), _typed(no)
    found = call("np.where", (mask, yes, no), w.scope)
    return Value(found.text, ATOM, found.axes)


def _typed(v: Value) -> Value:
    """A Python number as a number of the arrays' type, where no array is near that would give it one."""
    return Value(f"dtype.type({v.text})", ATOM) if v.weak else v


def mask_value(test: Expr, w: Writer) -> Value:
    """A condition as an array of truth values, or as a Python truth value (`weak`)."""
    match test:
        case Compare(operation, left, right):
            whole = whole_number(left, w) and whole_number(right, w)
            a, b = (_compared(e, w) if whole else value(e, w) for e in (left, right))
            return binary(operation, a, b, COMPARE, w.scope)
        case Logic("not", (inner,)):
            mask = mask_value(inner, w)
            if mask.weak:
                return Value(f"(not {mask.text})", ATOM, weak=True)
            return Value(f"~{mask.at(ATOM)}", SIGN, mask.axes)
        case Logic(_, ()):
            return Value(condition(test), ATOM, weak=True)
        case Logic("and", arguments):
            return _joined(_one_after_another(arguments, w), "&", w)
        case Logic("or", arguments):
            return _joined(_one_after_another(arguments, w), "|", w)
        case _:
            raise InternalError(f"{type(test).__name__} is not a condition")


def _compared(expr: Expr, w: Writer) -> Value:
    """An integer to compare: positions as they are kept."""
    return w.read(expr) if isinstance(expr, Read) else integer_value(expr, w)


def _one_after_another(conditions: tuple[Expr, ...], w: Writer) -> list[Value]:
    """The conditions as masks; what the second one reads counts only where the first does not decide."""
    first = mask_value(conditions[0], w)
    guarded, w.guarded = w.guarded, True
    masks = [first, *(mask_value(c, w) for c in conditions[1:])]
    w.guarded = guarded
    return masks


def _joined(masks: list[Value], sign: str, w: Writer) -> Value:
    axes = union(masks, w.scope)
    text = f" {sign} ".join(_aligned(Value(f"({m.text})", ATOM, m.axes), axes).text for m in masks)
    return Value(f"({text})", ATOM, axes, all(m.weak for m in masks))


def whole_number(expr: Expr, w: Writer) -> bool:
    """Whether an expression is one of integers."""
    for node in walk(expr):
        match node:
            case Number(v) if v.denominator != 1:
                return False
            case Parameter(_, False) | Pow() | Call() | Constant() | Where() | Infinity():
                return False
            case Read(tensor, _) if tensor not in w.context.integers:
                return False
            case _:
                continue
    return True


def in_place(function: str) -> bool:
    """Whether a function of one argument can write over it."""
    return UFUNCS.get(function, "_").startswith("np.") and function not in ("max", "min")


def risky(expr: Expr) -> bool:
    """Whether a branch that is not taken could warn: a logarithm, a quotient, a root or an exponential in it."""
    for node in walk(expr):
        if isinstance(node, Where):
            for inner in (*walk(node.then), *walk(node.other)):
                if isinstance(inner, Pow) or (isinstance(inner, Call) and inner.function in ("log", "sqrt", "exp")):
                    return True
    return False
