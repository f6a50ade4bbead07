"""Layers of images in NumPy as a careful person would write them: windows copied out once, then matrix products.

Each class has `forward(...) -> y, saved` and `backward(saved, grad_y, wrt) -> gradients` in the order of `wrt`. They
work in the precision of their arrays, so that in float64 they are what other results are compared with.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Axes = tuple[int, ...]


def _padded(x: Array, pad: int, axes: int) -> Array:
    return np.pad(x, ((0, 0), (0, 0), *[(pad, pad)] * axes)) if pad else x


def _windows(x: Array, kernel: Axes, stride: int, dilation: int) -> Array:
    """A view [n c taps.. places..] of the windows of x [n c axes..]."""
    axes = len(kernel)
    places = tuple((x.shape[2 + a] - dilation * (kernel[a] - 1) - 1) // stride + 1 for a in range(axes))
    steps = x.strides[2:]
    strides = (*x.strides[:2], *(s * dilation for s in steps), *(s * stride for s in steps))
    return np.lib.stride_tricks.as_strided(x, (*x.shape[:2], *kernel, *places), strides, writeable=False)


def _added(windows: Array, padded: Axes, stride: int, dilation: int, pad: int) -> Array:
    """Windows [n c taps.. places..] added up where they were taken from, without the padding."""
    axes = (windows.ndim - 2) // 2
    kernel, places = windows.shape[2 : 2 + axes], windows.shape[2 + axes :]
    x = np.zeros(padded, windows.dtype)
    for tap in np.ndindex(*kernel):
        stops = [dilation * t + stride * (q - 1) + 1 for t, q in zip(tap, places, strict=True)]
        cut = tuple(slice(dilation * t, stop, stride) for t, stop in zip(tap, stops, strict=True))
        x[(slice(None), slice(None), *cut)] += windows[(slice(None), slice(None), *tap)]
    inner = tuple(slice(pad, n - pad) for n in padded[2:])
    return x[(slice(None), slice(None), *inner)]


class Convolution:
    """Cross-correlation along any number of axes, by im2col: the windows of each group as a matrix."""

    @staticmethod
    def forward(
        x: Array, weight: Array, bias: Array, stride: int = 1, pad: int = 0, dilation: int = 1, groups: int = 1
    ) -> tuple[Array, Any]:
        padded = _padded(x, pad, x.ndim - 2)
        windows = _windows(padded, weight.shape[2:], stride, dilation)
        n, places = len(x), windows.shape[x.ndim :]
        # the copy that im2col is about: [n g (c taps) places]
        columns = windows.reshape(n, groups, prod(weight.shape[1:]), prod(places))
        y = weight.reshape(groups, len(weight) // groups, -1) @ columns
        y = y.reshape(n, len(weight), *places)
        y += bias.reshape(-1, *[1] * len(places))
        return y, (columns, windows.shape, padded.shape, weight, stride, pad, dilation, groups)

    @staticmethod
    def backward(saved: Any, grad_y: Array, wrt: tuple[str, ...]) -> tuple[Array, ...]:
        columns, shape, padded, weight, stride, pad, dilation, groups = saved
        n, k = grad_y.shape[:2]
        flat = np.ascontiguousarray(grad_y).reshape(n, groups, k // groups, -1)
        found: dict[str, Array] = {}
        if "x" in wrt:
            windows = weight.reshape(groups, k // groups, -1).swapaxes(1, 2) @ flat
            found["x"] = _added(windows.reshape(shape), padded, stride, dilation, pad)
        if "weight" in wrt:
            found["weight"] = (flat @ columns.swapaxes(2, 3)).sum(0).reshape(weight.shape)
        if "bias" in wrt:
            found["bias"] = flat.sum((0, 3)).reshape(-1)
        return tuple(found[name] for name in wrt)


class Depthwise:
    """A filter for each channel: taps times shifted images, one after the other."""

    @staticmethod
    def forward(x: Array, weight: Array, bias: Array, stride: int = 1, pad: int = 0) -> tuple[Array, Any]:
        padded = _padded(x, pad, 2)
        windows = _windows(padded, weight.shape[1:], stride, 1)
        y = np.empty((*x.shape[:2], *windows.shape[4:]), x.dtype)
        y[:] = bias[:, None, None]
        for r, s in np.ndindex(*weight.shape[1:]):
            y += windows[:, :, r, s] * weight[:, r, s, None, None]
        return y, (windows, padded.shape, weight, stride, pad)

    @staticmethod
    def backward(saved: Any, grad_y: Array, wrt: tuple[str, ...]) -> tuple[Array, ...]:
        windows, padded, weight, stride, pad = saved
        found: dict[str, Array] = {}
        if "x" in wrt:
            x = np.zeros(padded, grad_y.dtype)
            p, q = (stride * (n - 1) + 1 for n in grad_y.shape[2:])
            for r, s in np.ndindex(*weight.shape[1:]):
                x[:, :, r : r + p : stride, s : s + q : stride] += grad_y * weight[:, r, s, None, None]
            found["x"] = x[:, :, pad : padded[2] - pad, pad : padded[3] - pad]
        if "weight" in wrt:
            found["weight"] = np.empty_like(weight)
            for r, s in np.ndindex(*weight.shape[1:]):
                found["weight"][:, r, s] = np.einsum("ncpq,ncpq->c", windows[:, :, r, s], grad_y)
        if "bias" in wrt:
            found["bias"] = grad_y.sum((0, 2, 3))
        return tuple(found[name] for name in wrt)


class BatchNorm:
    """Each channel normalised over the batch and the image."""

    @staticmethod
    def forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, Any]:
        xhat = x - x.mean((0, 2, 3), keepdims=True)
        inv_std = 1 / np.sqrt(np.mean(xhat * xhat, (0, 2, 3), keepdims=True) + eps)
        xhat *= inv_std
        y = xhat * gamma[:, None, None]
        y += beta[:, None, None]
        return y, (xhat, inv_std, gamma)

    @staticmethod
    def backward(saved: Any, grad_y: Array, wrt: tuple[str, ...]) -> tuple[Array, ...]:
        xhat, inv_std, gamma = saved
        count = xhat.size // len(gamma)
        grad_beta = grad_y.sum((0, 2, 3))
        grad_gamma = np.einsum("nchw,nchw->c", grad_y, xhat)
        grad_x = grad_y - xhat * (grad_gamma / count)[:, None, None]
        grad_x -= (grad_beta / count)[:, None, None]
        grad_x *= inv_std * gamma[:, None, None]
        return tuple({"x": grad_x, "gamma": grad_gamma, "beta": grad_beta}[name] for name in wrt)


class BatchNormAtTest:
    """An affine map of each channel, by statistics that are given."""

    @staticmethod
    def forward(x: Array, gamma: Array, beta: Array, mu: Array, var: Array, eps: float = 1e-5) -> tuple[Array, Any]:
        scale = gamma / np.sqrt(var + eps)
        y = x * scale[:, None, None]
        y += (beta - mu * scale)[:, None, None]
        return y, None


class Relu:
    """The positive part of each element."""

    @staticmethod
    def forward(x: Array) -> tuple[Array, Any]:
        return np.maximum(x, 0), x

    @staticmethod
    def backward(saved: Any, grad_y: Array, wrt: tuple[str, ...]) -> tuple[Array, ...]:
        return (grad_y * (saved > 0),)


class Linear:
    """y = x weight^T + bias, with only those gradients that are asked for."""

    @staticmethod
    def forward(x: Array, weight: Array, bias: Array) -> tuple[Array, Any]:
        return x @ weight.T + bias, (x, weight)

    @staticmethod
    def backward(saved: Any, grad_y: Array, wrt: tuple[str, ...]) -> tuple[Array, ...]:
        x, weight = saved
        made = {"x": lambda: grad_y @ weight, "weight": lambda: grad_y.T @ x, "bias": lambda: grad_y.sum(0)}
        return tuple(made[name]() for name in wrt)
