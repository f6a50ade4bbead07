"""What a generated module refuses, and what it says: the tensor, the axis, what was expected and what came."""

from __future__ import annotations

import sys
import types
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from symbackprop.calculus.derive import derive
from symbackprop.emit import templating
from symbackprop.emit.module_parts import class_name
from symbackprop.emit.numpy_module import numpy_module
from symbackprop.errors import InternalError, UserError
from symbackprop.notation.reader import read
from symbackprop.program.plan import plan
from symbackprop.program.statements import Program

CONV = """
layer conv1d
input x[N, C, H] outside 0, weight[K, D, R], bias[K]
param stride = 1 integer, pad = 0 integer, groups = 1 integer
require C % groups == 0
require K % groups == 0
size D = C//groups
size M = K//groups
size P = (H + 2*pad - R)//stride + 1
range p = P
y[n,k,p] = bias[k] + sum[d,r](x[n, (k//M)*D + d, stride*p + r - pad]*weight[k,d,r])
output y
"""

LOOKUP = """
layer lookup
input table[V, D], x[N, H]
integer ids[N]
param shift = -1 integer, eps = 0.5
range p = 3
y[n,d] = table[ids[n], d]
z[n,p] = eps*x[n, p + shift + 1]
output y, z
"""


@cache
def module(text: str) -> Any:
    made = types.ModuleType("generated")
    sys.modules["generated"] = made
    exec(numpy_module(plan(derive(read(text)))), made.__dict__)
    return made


X, WEIGHT, BIAS = np.zeros((2, 4, 6)), np.zeros((6, 4, 3)), np.zeros(6)

REFUSED = [
    ((X.astype("e"), WEIGHT, BIAS), {}, TypeError, "x: expected float32 or float64, came float16"),
    ((X.astype(int), WEIGHT, BIAS), {}, TypeError, "x: expected float32 or float64, came int64"),
    ((X.astype(complex), WEIGHT, BIAS), {}, TypeError, "x: expected float32 or float64, came complex128"),
    ((X, WEIGHT.astype("f"), BIAS), {}, TypeError, "weight: expected float64 as x has, came float32"),
    ((X[0], WEIGHT, BIAS), {}, ValueError, r"x: expected 3 axes \[N, C, H\], came 2"),
    ((X, WEIGHT, BIAS[:5]), {}, ValueError, "bias: expected K = 6 elements along axis 0, as weight says, came 5"),
    ((X, WEIGHT[:, :3], BIAS), {}, ValueError, r"weight: expected D = 4 elements along axis 1, as D = C//groups"),
    ((X[:0], WEIGHT, BIAS), {}, ValueError, r"x: expected at least 1 element along axis 0 \(N\)"),
    ((X[:, :, :2], WEIGHT, BIAS), {}, ValueError, r"P = .*: expected at least 1, came 0 .*H=2"),
    ((X, WEIGHT, BIAS), {"groups": 5}, ValueError, "expected C % groups == 0, came C=4, groups=5"),
    ((X, WEIGHT, BIAS), {"groups": 0}, ValueError, "expected groups >= 1, came groups=0"),
    ((X, WEIGHT, BIAS), {"stride": 0}, ValueError, "stride"),
    ((X, WEIGHT, BIAS), {"stride": 2.0}, TypeError, "stride: expected an integer, came 2.0 of type float"),
    ((X, WEIGHT, BIAS), {"stride": True}, TypeError, "stride: expected an integer, came True"),
    ((X, WEIGHT, BIAS), {"pad": -1}, ValueError, "pad: expected an integer of at least 0, came -1"),
]


@pytest.mark.parametrize("arrays, parameters, error, message", REFUSED)
def test_a_call_that_does_not_fit_is_refused_by_name(
    arrays: tuple[Any, ...], parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        module(CONV).forward(*arrays, **parameters)


LOOKUPS = [
    ([0, 3], {}, ValueError, r"ids: expected values in 0 ... 2 \(axis 0 of table\), came 3"),
    ([0, -1], {}, ValueError, "ids: expected values in 0 ... 2 .*, came -1"),
    ([0.0, 1.0], {}, TypeError, "ids: expected integers, came float64"),
    ([0, 1], {"shift": 2}, ValueError, "x: expected the index .* of axis 1 inside 0 ... 3, came 3 ... 5"),
    ([0, 1], {"eps": "1"}, TypeError, "eps: expected a real number, came '1' of type str"),
    ([0, 1], {"eps": True}, TypeError, "eps: expected a real number, came True"),
]


@pytest.mark.parametrize("ids, parameters, error, message", LOOKUPS)
def test_a_place_outside_its_axis_is_refused_at_the_call(
    ids: list[Any], parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        module(LOOKUP).forward(np.zeros((3, 2)), np.zeros((2, 4)), np.array(ids), **parameters)


def test_an_integer_parameter_with_a_negative_default_may_be_negative() -> None:
    (_, z), _ = module(LOOKUP).forward(np.zeros((3, 2)), np.arange(8.0).reshape(2, 4), np.array([0, 1]), shift=-1)

    assert z.tolist() == [[0.0, 0.5, 1.0], [2.0, 2.5, 3.0]]


@pytest.mark.parametrize("default", [2, -2])
def test_what_divides_an_index_is_at_least_one(default: int) -> None:
    text = f"layer slow\ninput x[N] outside 0\nparam s = {default} integer\nrange n = N\ny[n] = x[n//s]\noutput y\n"

    assert module(text).forward(np.arange(3.0), s=2)[0].tolist() == [0.0, 0.0, 1.0]
    with pytest.raises(ValueError, match="s >= 1, came s=-2" if default < 0 else "at least 0, came -2"):
        module(text).forward(np.arange(3.0), s=-2)


GRADIENTS = [
    (np.zeros((2, 6, 4), "f"), None, TypeError, "dy: expected float64 as the inputs have, came float32"),
    (np.zeros((2, 6, 3)), None, ValueError, r"dy: expected the shape of the output, \(2, 6, 4\), came \(2, 6, 3\)"),
    (np.zeros((2, 6, 4)), ("gamma",), ValueError, "wrt: expected names out of x, weight, bias, came 'gamma'"),
    (np.zeros((2, 6, 4)), "x", TypeError, "wrt: expected a tuple of names, came 'x'"),
]


@pytest.mark.parametrize("dy, wrt, error, message", GRADIENTS)
def test_a_gradient_that_does_not_fit_is_refused_by_name(
    dy: Any, wrt: Any, error: type[Exception], message: str
) -> None:
    _, saved = module(CONV).forward(X, WEIGHT, BIAS)
    with pytest.raises(error, match=message):
        module(CONV).backward(saved, dy, wrt=wrt)


def test_backward_takes_only_what_forward_saved() -> None:
    with pytest.raises(TypeError, match="saved: expected what forward returned, came tuple"):
        module(CONV).backward((X,), np.zeros((2, 6, 4)))


def test_saved_holds_no_more_than_backward_reads() -> None:
    _, saved = module(LOOKUP).forward(np.zeros((3, 2)), np.zeros((2, 4)), np.array([0, 1]))

    assert "table" not in saved._fields
    assert "x" not in saved._fields


def test_names_of_python_and_of_the_module_can_be_used_in_a_layer() -> None:
    text = "layer class_\ninput saved[N], np[N], dtype[N]\nsum_[n] = saved[n]*np[n] + dtype[n]\noutput sum_\n"
    made = module(text)
    y, saved = made.forward(np.array([2.0]), np.array([3.0]), np.array([4.0]))
    grads = made.backward(saved, np.array([1.0]))

    assert (y.tolist(), grads.saved_.tolist(), grads.np_.tolist()) == ([10.0], [3.0], [2.0])


def test_a_layer_without_a_real_input_is_refused() -> None:
    layer = read("layer counts\ninput x[N]\ninteger t[N]\ny[n] = x[n]*2\noutput y\n")
    alone = replace(layer, inputs=tuple(t for t in layer.inputs if t.kind == "integer"))

    with pytest.raises(UserError, match="layer counts has no real input"):
        numpy_module(Program(alone, (), (), (), ()))


def test_layer_names_become_class_names() -> None:
    names = ["conv2d", "batchnorm2d", "true_conv2d", "maxpool2d", "layernorm", "softmax_cross_entropy"]
    found = [class_name(n) for n in names]

    assert found == ["Conv2d", "BatchNorm2d", "TrueConv2d", "MaxPool2d", "LayerNorm", "SoftmaxCrossEntropy"]


def test_a_template_gets_exactly_the_fields_that_it_reads() -> None:
    read_ = templating.fields_read("numpy_module.py.jinja")
    fields: dict[str, object] = dict.fromkeys(read_, "")

    with pytest.raises(InternalError, match="unused fields"):
        templating.render("numpy_module.py.jinja", {**fields, "surplus": 1})
    with pytest.raises(InternalError, match="missing fields"):
        templating.render("numpy_module.py.jinja", dict(list(fields.items())[1:]))


def test_the_docstring_says_where_a_module_comes_from_and_not_to_edit_it() -> None:
    said = module(CONV).__doc__

    for part in ("y[n,k,p] = bias[k] + sum", "grad_bias[k]", "operations", "do not edit", "Regenerate: symbackprop"):
        assert part in said


def test_a_layer_as_an_object_says_its_hyperparameters() -> None:
    module = import_module("symbackprop.generated.numpy.conv2d")

    assert repr(module.Conv2d(stride=2)) == "Conv2d(stride=2, pad=0, dilation=1, groups=1)"
