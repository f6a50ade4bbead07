"""onnxruntime, forward only: a graph of one layer, its weights stored in it as constants, as it would be deployed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symbackprop.bench.tasks import Array, NotHere, Run, Runs, Task

Node = tuple[str, list[str], dict[str, Any]]  # operator, inputs, attributes; the output is "y"
OPSET, IR = 17, 9


def runs(task: Task, threads: int) -> Runs:
    """The forward pass of a task. Raises: NotHere where onnxruntime or onnx is not installed, or has no such layer."""
    try:
        import onnxruntime
    except ImportError as error:
        raise NotHere("onnxruntime is not installed") from error
    try:
        import onnx
    except ImportError as error:
        raise NotHere("onnx, which writes the graphs for onnxruntime, is not installed") from error
    forward = next((one for one in task.case.passes if not one.wrt), None)
    if forward is None or task.case.layer not in GRAPHS:
        raise NotHere("onnxruntime is measured forward only, on layers that have an operator")
    fed = {name: task.inputs[name] for name in FED.get(task.case.layer, tuple(task.inputs)[:1])}
    constants = {name: a for name, a in task.inputs.items() if name not in fed}
    nodes = GRAPHS[task.case.layer](dict(task.case.params), task)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    options.add_session_config_entry("session.force_spinning_stop", "1")  # its threads would wait on the others' time
    try:
        graph = _graph(onnx, nodes, fed, constants, task.gradients[0].shape)
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        session.run(None, fed)
    except Exception as error:  # whatever a library raises is its reason
        raise NotHere(f"onnxruntime refuses it: {str(error).splitlines()[0][:120]}") from error
    return {forward.name: Run(lambda: session.run(None, fed), tuple)}


def _graph(onnx: Any, nodes: list[Node], fed: dict[str, Array], constants: dict[str, Array], shape: Any) -> bytes:
    helper, types = onnx.helper, onnx.TensorProto
    kinds = {np.dtype(np.float32): types.FLOAT, np.dtype(np.int64): types.INT64}
    made, names = [], [*(f"h{at}" for at in range(len(nodes) - 1)), "y"]
    for (operator, inputs, attributes), name in zip(nodes, names, strict=True):
        made.append(helper.make_node(operator, inputs, [name], **attributes))
    inputs = [helper.make_tensor_value_info(name, kinds[a.dtype], a.shape) for name, a in fed.items()]
    outputs = [helper.make_tensor_value_info("y", types.FLOAT, shape)]
    stored = [onnx.numpy_helper.from_array(_shaped(name, a, fed), name) for name, a in constants.items()]
    graph = helper.make_graph(made, "layer", inputs, outputs, stored)
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    return bytes(whole.SerializeToString())


def _shaped(name: str, array: Array, fed: dict[str, Array]) -> Array:
    """A filter for each channel has one input channel in ONNX."""
    missing = name == "weight" and array.ndim < next(iter(fed.values())).ndim
    return np.ascontiguousarray(array[:, None] if missing else array)


def _conv(p: dict[str, Any], task: Task) -> list[Node]:
    x, weight = task.inputs["x"], task.inputs["weight"]
    axes = x.ndim - 2
    groups = p.get("groups", 1) if weight.ndim == x.ndim else len(weight)
    attributes = {
        "strides": [p.get("stride", 1)] * axes,
        "pads": [p.get("pad", 0)] * 2 * axes,
        "dilations": [p.get("dilation", 1)] * axes,
        "group": groups,
    }
    return [("Conv", ["x", "weight", "bias"], attributes)]


def _pool(p: dict[str, Any], task: Task) -> list[Node]:
    window = {"kernel_shape": [p.get("kernel", 2)] * 2, "strides": [p.get("stride", 2)] * 2}
    return [("MaxPool", ["x"], window)]


def _attention(p: dict[str, Any], task: Task) -> list[Node]:
    depth = task.inputs["query"].shape[-1]
    return [
        ("Transpose", ["key"], {"perm": [0, 1, 3, 2]}),
        ("MatMul", ["query", "h0"], {}),
        ("Constant", [], {"value_float": float(depth) ** -0.5}),
        ("Mul", ["h1", "h2"], {}),
        ("Softmax", ["h3"], {"axis": -1}),
        ("MatMul", ["h4", "value"], {}),
    ]


FED = {"scaled_dot_product_attention": ("query", "key", "value"), "softmax_cross_entropy": ("z", "t")}
GRAPHS: dict[str, Callable[[dict[str, Any], Task], list[Node]]] = {
    "conv2d": _conv,
    "conv1d": _conv,
    "depthwise_conv2d": _conv,
    "linear": lambda p, task: [("Gemm", ["x", "weight", "bias"], {"transB": 1})],
    "batchnorm2d_evaluation": lambda p, task: [
        ("BatchNormalization", ["x", "gamma", "beta", "mu", "var"], {"epsilon": 1e-5})
    ],
    "maxpool2d": _pool,
    "relu": lambda p, task: [("Relu", ["x"], {})],
    "softmax_cross_entropy": lambda p, task: [("SoftmaxCrossEntropyLoss", ["z", "t"], {"reduction": "mean"})],
    "layernorm": lambda p, task: [("LayerNormalization", ["x", "gamma", "beta"], {"axis": -1, "epsilon": 1e-5})],
    "scaled_dot_product_attention": _attention,
}
