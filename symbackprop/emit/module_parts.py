"""The parts that the modules of all array backends share: what a caller sees, and what a call must satisfy.

A backend adds imports, constants, functions of its own and the bodies of `forward` and `backward`. Both bodies
are Python that finds all tensors, sizes and parameters bound to their names, and the gradients of the outputs to
`grad_y`; the backward body also finds `want_x` for each real input, and leaves the gradient in `grad_x`, which is
`None` before. What backward needs of the forward pass is read off its body.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, fields

from symbackprop.calculus.derivation import gradient_name
from symbackprop.emit.call_checks import call_checks, default_text, parameter_check
from symbackprop.emit.code_lines import broken
from symbackprop.emit.header import backward_docstring, forward_docstring, gradient_argument, module_docstring
from symbackprop.emit.spelling import identifier, integer
from symbackprop.errors import InternalError, UserError
from symbackprop.notation.layer import Layer
from symbackprop.notation.nodes import Expr, Size
from symbackprop.program.extents import all_sizes, name_extents
from symbackprop.program.statements import Program

# Pieces of layer names that are words of their own: batchnorm2d is BatchNorm2d, maxpool2d is MaxPool2d.
_WORDS = ("norm", "pool")

HELPERS = (
    "_real", "_integer", "_real_arrays", "_integer_arrays", "_axis", "_at_least_one", "_require", "_inside",
    "_values_inside", "_places_inside", "_gradient", "_wanted", "_accuracy",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SavedField:
    """One field of the NamedTuple `Saved`: its name and the annotation of its type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class GradientField:
    """One field of the NamedTuple `Gradients`, and the variable that holds it at the end of `backward`."""

    name: str
    variable: str


@dataclass(frozen=True, slots=True)
class ConstructorField:
    """One hyperparameter of the object form."""

    name: str
    check: str


@dataclass(frozen=True, slots=True)
class ModuleParts:
    """The fields of `templates/_module.py.jinja`, finished pieces of text; texts of code are not indented."""

    docstring: str
    helpers: tuple[str, ...]
    saved_fields: tuple[SavedField, ...]
    outputs: tuple[str, ...]
    several_outputs: bool
    gradients: tuple[GradientField, ...]
    layer_name: str
    class_name: str
    tensor_arguments: str
    parameter_arguments: str
    forward_arguments: str
    drops_saved: bool
    passed_parameters: str
    constructor_fields: tuple[ConstructorField, ...]
    gradient_arguments: str
    backward_options: str
    passed_gradients: str
    passed_options: str
    forward_docstring: str
    forward_checks: str
    forward_body: str
    forward_result: str
    saved_values: str
    backward_docstring: str
    backward_checks: str
    backward_body: str

    def as_fields(self) -> dict[str, object]:
        """The fields by name, as a template gets them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def numbers_imports(helpers: tuple[str, ...]) -> list[str]:
    """The import that the checks of hyperparameters among the helpers need."""
    names = [name for name, helper in (("Integral", "_integer"), ("Real", "_real")) if helper in helpers]
    return [f"from numbers import {', '.join(names)}"] if names else []


def module_parts(
    program: Program,
    backend: str,
    forward_body: Iterable[str],
    backward_body: Iterable[str],
    results: dict[str, str],
    accuracy: bool = False,
    always_keeps: bool = False,
) -> ModuleParts:
    """The shared parts of a module for a program.

    `forward_body` and `backward_body` are lines of code; `results` gives the Python text of each output and of each
    saved tensor at the end of the forward body, where it is not its own name. With `accuracy` callers may say
    `accuracy="strict"`, and both bodies find `accuracy`. `always_keeps`: the body returns where `keep` is false.
    """
    layer = program.layer
    refuse_without_real_input(layer)
    forward_text, backward_text = "\n".join(broken(forward_body)), "\n".join(broken(backward_body))
    option = ('accuracy="default"',) if accuracy else ()
    checks = "\n".join((*_accuracy_check(accuracy), _backward_checks(layer, backward_text)))
    saved = _saved_names(program, checks + "\n" + backward_text)
    outputs = tuple(identifier(name) for name in layer.outputs)
    defaults = tuple(f"{identifier(p.name)}={default_text(p)}" for p in layer.parameters)
    forward_checks = "\n".join((*_accuracy_check(accuracy), *broken(call_checks(layer, program.conditions))))
    code = "\n".join((forward_checks, checks, *(parameter_check(p) for p in layer.parameters)))
    parameters = [identifier(p.name) for p in layer.parameters]
    return ModuleParts(
        docstring=module_docstring(program, backend),
        helpers=tuple(h for h in HELPERS if h in _identifiers(code)),
        saved_fields=tuple(SavedField(name, _saved_type(layer, name)) for name in saved),
        outputs=outputs,
        several_outputs=len(outputs) > 1,
        gradients=tuple(GradientField(identifier(t.name), gradient_variable(t.name)) for t in layer.real_inputs),
        layer_name=layer.name,
        class_name=class_name(layer.name),
        tensor_arguments=", ".join(identifier(t.name) for t in layer.inputs),
        parameter_arguments=_keyword_only((*defaults, *option)),
        forward_arguments=_keyword_only((*defaults, *option, *(("keep=True",) if may_keep(layer) else ()))),
        drops_saved=may_keep(layer) and not always_keeps,
        passed_parameters="".join(
            f", {name}=self.{name}" for name in (*parameters, *(["accuracy"] if accuracy else []))
        ),
        constructor_fields=(
            *(ConstructorField(identifier(p.name), parameter_check(p)) for p in layer.parameters),
            *((ConstructorField("accuracy", "_accuracy(accuracy)"),) if accuracy else ()),
        ),
        gradient_arguments=_gradient_arguments(layer),
        backward_options="".join(f", {one}" for one in option),
        passed_gradients=", ".join(gradient_argument(layer, name) for name in layer.outputs),
        passed_options=", accuracy=self.accuracy" if accuracy else "",
        forward_docstring=forward_docstring(layer, accuracy, may_keep(layer)),
        forward_checks=forward_checks,
        forward_body=forward_text,
        forward_result=forward_result(layer, results),
        saved_values=", ".join(_saved_value(layer, results, name) for name in saved),
        backward_docstring=backward_docstring(layer, accuracy),
        backward_checks=f"{_unpack_saved(saved)}{checks}",
        backward_body=backward_text,
    )


def forward_result(layer: Layer, results: dict[str, str]) -> str:
    """The Python text of what `forward` gives; `results` as for `module_parts`."""
    values = [results.get(name, identifier(name)) for name in layer.outputs]
    return values[0] if len(values) == 1 else f"Outputs({', '.join(values)})"


def may_keep(layer: Layer) -> bool:
    """Whether callers of `forward` may say `keep=False`; not where the layer has that name for itself."""
    return "keep" not in {*layer.names, *(s.name for s in all_sizes(layer))}


def refuse_without_real_input(layer: Layer) -> None:
    """Raises UserError for a layer of integers alone: it has no dtype to compute in, and no gradient."""
    if not layer.real_inputs:
        raise UserError(f"layer {layer.name} has no real input; a module needs one, declare it with `input T[...]`")


def class_name(layer_name: str) -> str:
    """The layer's name in CamelCase: `true_conv2d` is TrueConv2d, `batchnorm2d` is BatchNorm2d."""
    words = []
    for word in layer_name.split("_"):
        for inner in _WORDS:
            at = word.find(inner)
            if at > 0:
                word = word[:at] + inner.capitalize() + word[at + len(inner) :]
        words.append(word[:1].upper() + word[1:])
    return identifier("".join(words))


def gradient_variable(tensor: str) -> str:
    """The name of a gradient in the bodies: `grad_y`."""
    return gradient_name(tensor)


def want(tensor: str) -> str:
    """The name of the truth of 'the gradient of this input is asked for'."""
    return f"want_{tensor}"


def wanted_condition(layer: Layer, wanted_by: tuple[str, ...]) -> str:
    """The Python condition under which a backward statement is needed; empty where it always is."""
    if len(wanted_by) == len(layer.real_inputs) and len(wanted_by) > 1:
        return ""
    return " or ".join(want(name) for name in wanted_by)


def _keyword_only(arguments: Iterable[str]) -> str:
    text = ", ".join(arguments)
    return f", *, {text}" if text else ""


def _gradient_arguments(layer: Layer) -> str:
    single_scalar = len(layer.outputs) == 1 and not layer.axes(layer.outputs[0])
    default = "=None" if single_scalar else ""
    return ", ".join(gradient_argument(layer, name) + default for name in layer.outputs)


def _shape(layer: Layer, tensor: str) -> str:
    extents: dict[Expr, Expr] = {s.value: Size(s.name) for s in all_sizes(layer)}
    sizes = [integer(name_extents(e, extents)) for e in layer.axes(tensor)]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _backward_checks(layer: Layer, body: str) -> str:
    """The lines that check `wrt` and the gradients of the outputs; only the gradients that the body reads are kept."""
    names = ", ".join(f'"{t.name}"' for t in layer.real_inputs)
    comma = "," if len(layer.real_inputs) == 1 else ""
    wants = ", ".join(want(t.name) for t in layer.real_inputs)
    lines = [f"{wants}{comma} = _wanted(wrt, ({names}{comma}))"] if layer.real_inputs else []
    for output in layer.outputs:
        argument = gradient_argument(layer, output)
        call = f'_gradient("{argument}", {argument}, {_shape(layer, output)}, dtype, {_missing(layer, output)})'
        target = f"{gradient_variable(output)} = " if gradient_variable(output) in _identifiers(body) else ""
        lines.append(target + call)
    lines += [f"{gradient_variable(t.name)} = None" for t in layer.real_inputs]
    return "\n".join(lines)


def _accuracy_check(accuracy: bool) -> tuple[str, ...]:
    return ("accuracy = _accuracy(accuracy)",) if accuracy else ()


def _missing(layer: Layer, output: str) -> str:
    """What stands for a gradient that is None: 1 for the only output if it is a scalar, 0 for one of several."""
    if len(layer.outputs) > 1:
        return "0"
    return "None" if layer.axes(output) else "1"


def _identifiers(code: str) -> set[str]:
    """The names that stand in Python code, outside of strings and comments."""
    try:
        tree = ast.parse(textwrap.dedent(code))
    except SyntaxError as error:
        raise InternalError(f"generated code is not Python: {error}\n{code}") from error
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _saved_names(program: Program, code: str) -> tuple[str, ...]:
    """What backward reads of the forward pass: tensors, then sizes, then parameters, then the dtype."""
    layer, read = program.layer, _identifiers(code)
    sizes = dict.fromkeys(axis.name for t in layer.inputs for axis in t.axes)
    sizes.update(dict.fromkeys(s.name for s in all_sizes(layer)))
    candidates = [*program.saved, *sizes, *(p.name for p in layer.parameters)]
    names = dict.fromkeys(identifier(name) for name in candidates)
    return (*(name for name in names if name in read), *(("dtype",) if "dtype" in read else ()))


def _saved_type(layer: Layer, name: str) -> str:
    if name == "dtype":
        return "np.dtype"
    for parameter in layer.parameters:
        if identifier(parameter.name) == name:
            return "int" if parameter.integer else "float"
    sizes = {axis.name for t in layer.inputs for axis in t.axes} | {s.name for s in all_sizes(layer)}
    return "int" if name in {identifier(s) for s in sizes} else "np.ndarray"


def _saved_value(layer: Layer, results: dict[str, str], name: str) -> str:
    if name == "dtype":
        return f"{identifier(layer.real_inputs[0].name)}.dtype"
    return results.get(name, name)


def _unpack_saved(saved: tuple[str, ...]) -> str:
    check = (
        "if not isinstance(saved, Saved):\n"
        "    raise TypeError(\n"
        '        f"saved: expected what forward returned, came {type(saved).__name__} of {type(saved).__module__}"\n'
        "    )\n"
    )
    if not saved:
        return check
    names = ", ".join(saved) + ("," if len(saved) == 1 else "")
    if len(names) > 100:
        return check + f"(\n{textwrap.fill(names, 100, initial_indent='    ', subsequent_indent='    ')},\n) = saved\n"
    return check + f"{names} = saved\n"
