"""Five layers in NumPy as a careful person would write them: what generated modules are measured against.

Each class has the calls of a generated module: `forward(...) -> y, saved` and `backward(saved, grad_y) -> gradients`.
float64 accumulation is asked for where NumPy's pairwise summation does not help: sums over the leading axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.bench import by_hand_images

Array = npt.NDArray[Any]


class Linear:
    """y = x weight^T + bias."""

    @staticmethod
    def forward(x: Array, weight: Array, bias: Array) -> tuple[Array, Any]:
        return x @ weight.T + bias, (x, weight)

    @staticmethod
    def backward(saved: Any, grad_y: Array) -> tuple[Array, ...]:
        x, weight = saved
        return grad_y @ weight, grad_y.T @ x, grad_y.sum(0, dtype=np.float64).astype(x.dtype)


class LayerNorm:
    """Each row normalised, scaled and shifted; the normalised rows are kept."""

    @staticmethod
    def forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, Any]:
        xhat = x - x.mean(1, keepdims=True)
        inv_std = 1 / np.sqrt(np.mean(xhat * xhat, 1, keepdims=True) + eps)
        xhat *= inv_std
        y = gamma * xhat
        y += beta
        return y, (xhat, inv_std, gamma)

    @staticmethod
    def backward(saved: Any, grad_y: Array) -> tuple[Array, ...]:
        xhat, inv_std, gamma = saved
        weighted = grad_y * xhat
        grad_gamma = weighted.sum(0, dtype=np.float64).astype(gamma.dtype)
        grad_beta = grad_y.sum(0, dtype=np.float64).astype(gamma.dtype)
        grad_x = grad_y * gamma
        weighted *= gamma
        shared = xhat * weighted.mean(1, keepdims=True)
        shared += grad_x.mean(1, keepdims=True)
        grad_x -= shared
        grad_x *= inv_std
        return grad_x, grad_gamma, grad_beta


class SoftmaxCrossEntropy:
    """The mean of -log softmax at the labels; the probabilities are kept."""

    @staticmethod
    def forward(z: Array, t: Array) -> tuple[Array, Any]:
        shares = z - z.max(1, keepdims=True)
        right = shares[np.arange(len(t)), t]
        np.exp(shares, out=shares)
        total = shares.sum(1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - right)
        shares /= total
        return np.asarray(loss), (shares, t)

    @staticmethod
    def backward(saved: Any, grad_loss: Array) -> tuple[Array, ...]:
        shares, t = saved
        grad_z = shares * (grad_loss / len(t))
        grad_z[np.arange(len(t)), t] -= grad_loss / len(t)
        return (grad_z,)


class Attention:
    """softmax(query key^T / sqrt(D)) value, for a batch of heads."""

    @staticmethod
    def forward(query: Array, key: Array, value: Array) -> tuple[Array, Any]:
        scale = query.shape[-1] ** -0.5
        attention = (query * scale) @ key.swapaxes(-1, -2)
        attention -= attention.max(-1, keepdims=True)
        np.exp(attention, out=attention)
        attention /= attention.sum(-1, keepdims=True)
        return attention @ value, (query, key, value, attention, scale)

    @staticmethod
    def backward(saved: Any, grad_y: Array) -> tuple[Array, ...]:
        query, key, value, attention, scale = saved
        grad_value = attention.swapaxes(-1, -2) @ grad_y
        grad_score = grad_y @ value.swapaxes(-1, -2)
        grad_score -= np.einsum("bhij,bhij->bhi", grad_score, attention)[..., None]
        grad_score *= attention
        grad_score *= scale
        return grad_score @ key, grad_score.swapaxes(-1, -2) @ query, grad_value


class MaxPool:
    """Windows of any size, stride and padding, tap by tap; where the maximum stood is kept."""

    @staticmethod
    def forward(x: Array, kernel: int = 2, stride: int = 2, pad: int = 0) -> tuple[Array, Any]:
        rows, columns = ((n + 2 * pad - kernel) // stride + 1 for n in x.shape[2:])
        padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=-np.inf) if pad else x
        y = np.full((*x.shape[:2], rows, columns), -np.inf, x.dtype)
        place = np.zeros(y.shape, np.int16)
        for at in range(kernel * kernel):
            r, s = divmod(at, kernel)
            tap = padded[:, :, r : r + stride * rows : stride, s : s + stride * columns : stride]
            place[tap > y] = at
            np.maximum(y, tap, out=y)
        return y, (x.shape, padded.shape, place, kernel, stride, pad)

    @staticmethod
    def backward(saved: Any, grad_y: Array) -> tuple[Array, ...]:
        shape, padded, place, kernel, stride, pad = saved
        rows, columns = grad_y.shape[2:]
        grad_x = np.zeros(padded, grad_y.dtype)
        for at in range(kernel * kernel):
            r, s = divmod(at, kernel)
            tap = grad_x[:, :, r : r + stride * rows : stride, s : s + stride * columns : stride]
            tap += grad_y * (place == at)
        return (grad_x[:, :, pad : pad + shape[2], pad : pad + shape[3]],)


class Convolution:
    """Convolution by im2col that keeps what the generated modules keep: x, not its columns, which are R*S times x."""

    @staticmethod
    def forward(x: Array, weight: Array, bias: Array, **params: int) -> tuple[Array, Any]:
        y, saved = by_hand_images.Convolution.forward(x, weight, bias, **params)
        return y, (x, params, saved[1:])

    @staticmethod
    def backward(saved: Any, grad_y: Array, wrt: tuple[str, ...]) -> tuple[Array, ...]:
        x, params, rest = saved
        columns = _columns(x, rest[2], **params) if "weight" in wrt else None
        return by_hand_images.Convolution.backward((columns, *rest), grad_y, wrt)


def _columns(x: Array, weight: Array, stride: int = 1, pad: int = 0, dilation: int = 1, groups: int = 1) -> Array:
    padded = by_hand_images._padded(x, pad, x.ndim - 2)
    windows = by_hand_images._windows(padded, weight.shape[2:], stride, dilation)
    return windows.reshape(len(x), groups, weight[0].size, -1)
