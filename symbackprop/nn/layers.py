"""The usual units by short names: which generated layer, what is trained, what is kept."""

from __future__ import annotations

from symbackprop.errors import UserError
from symbackprop.nn.units import Axis, Call, Drawn, Kept, Running, Trained, Unit


def conv(
    filters: int, kernel: int | tuple[int, int], stride: int = 1, pad: int = 0, groups: int = 1, bias: str = "tied"
) -> Unit:
    """Two-dimensional cross-correlation. `bias` is "tied" (one for each filter), or "none"."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    call = Call("conv2d", ("weight", "bias"), {"stride": stride, "pad": pad, "groups": groups})
    weight = Trained("weight", (filters, Axis(1, groups), height, width))
    if bias not in ("tied", "none"):
        raise UserError(f'bias: expected "tied" or "none", came {bias!r}; untied_conv has a bias for each place')
    if bias == "none":
        return Unit("conv", call, call, (weight,), (Kept("bias", (filters,), 0.0),))
    return Unit("conv", call, call, (weight, Trained("bias", (filters,), "zeros")))


def untied_conv(filters: int, kernel: int, places: tuple[int, int], stride: int = 1, pad: int = 0) -> Unit:
    """Two-dimensional cross-correlation with a bias for each filter and each of the `places` of its output."""
    call = Call("untied_conv2d", ("weight", "bias"), {"stride": stride, "pad": pad})
    weight = Trained("weight", (filters, Axis(1), kernel, kernel))
    return Unit("conv", call, call, (weight, Trained("bias", (filters, *places), "zeros")))


def linear(features: int, bias: bool = True) -> Unit:
    """A fully connected layer."""
    call, weight = Call("linear", ("weight", "bias")), Trained("weight", (features, Axis(1)))
    if not bias:
        return Unit("linear", call, call, (weight,), (Kept("bias", (features,), 0.0),))
    return Unit("linear", call, call, (weight, Trained("bias", (features,), "zeros")))


def batchnorm1d(eps: float = 1e-5, running: Running | None = None, unbiased: bool = True) -> Unit:
    """Batch norm of features: x [n d]."""
    return _batchnorm("1d", eps, running or Running(), unbiased)


def batchnorm2d(eps: float = 1e-5, running: Running | None = None, unbiased: bool = True) -> Unit:
    """Batch norm of channels: x [n c h w]."""
    return _batchnorm("2d", eps, running or Running(), unbiased)


def _batchnorm(kind: str, eps: float, running: Running, unbiased: bool) -> Unit:
    axes = (Axis(1),)
    return Unit(
        "norm",
        Call(f"batchnorm{kind}_training", ("gamma", "beta"), {"eps": eps}),
        Call(f"batchnorm{kind}_evaluation", ("gamma", "beta", "mean", "var"), {"eps": eps}),
        (Trained("gamma", axes, "ones"), Trained("beta", axes, "zeros", ("var", "gamma"))),
        (Kept("mean", axes, 0.0, "mean_of_batch"), Kept("var", axes, 1.0, "var_of_batch", unbiased)),
        running=running,
    )


def elementwise(layer: str, **params: float) -> Unit:
    """A function of each element: `elementwise("tanh")`, or any generated layer that takes x [n d] and nothing else."""
    call = Call(layer, (), params, joined=True)
    return Unit(layer, call, call)


def generated(layer: str, *trained: Trained, **params: float) -> Unit:
    """Any generated layer: what comes in is its first input, and the others, in declared order, are trained."""
    call = Call(layer, tuple(array.name for array in trained), params)
    return Unit(layer, call, call, trained)


def relu() -> Unit:
    """The function relu of each element."""
    return elementwise("relu")


def maxpool(kernel: int, stride: int | None = None, pad: int = 0) -> Unit:
    """Max pooling; the stride is the kernel's size where it is not given."""
    call = Call("maxpool2d", (), {"kernel": kernel, "stride": stride or kernel, "pad": pad})
    return Unit("pool", call, call)


def flatten() -> Unit:
    """The channels and the image of each example as one row."""
    return Unit("flatten", Call("flatten"), Call("flatten"))


def dropout(rate: float = 0.5) -> Unit:
    """Dropout in training; outside it everything passes unchanged."""
    if not 0 <= rate < 1:
        raise UserError(f"rate: expected a number from 0 up to, but not, 1, came {rate}")
    return Unit("dropout", Call("dropout", ("mask",), {"rate": rate}, joined=True), None, drawn=(Drawn("mask", rate),))
