"""What is timed, as data: a layer at shapes, and the passes that are timed apart. The mechanisms are in `peers/`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """The forward pass, or with `wrt` the gradients of these inputs."""

    name: str
    wrt: tuple[str, ...] = ()


FORWARD = Pass("forward")


@dataclass(frozen=True, slots=True)
class Case:
    """A layer with the shapes of its inputs, in declared order. What is in `positive` is drawn from 0.5 to 2."""

    layer: str
    shapes: Mapping[str, Shape]
    passes: tuple[Pass, ...]
    params: Mapping[str, int | float] = field(default_factory=dict)
    positive: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """`conv2d 16x64x56x56 64x64x3x3 pad=1`: each shape of two axes or more once, then the hyperparameters."""
        shapes = dict.fromkeys("x".join(map(str, s)) for s in self.shapes.values() if len(s) > 1)
        return " ".join([self.layer, *shapes, *(f"{name}={value:g}" for name, value in self.params.items())])


def _weighted(wrt: str = "x") -> tuple[Pass, ...]:
    return FORWARD, Pass("input gradient", (wrt,)), Pass("weight gradient", ("weight", "bias"))


def conv2d(
    n: int, c: int, h: int, w: int, k: int, r: int, stride: int = 1, pad: int = 0, dilation: int = 1, groups: int = 1
) -> Case:
    """A convolution with k filters of r x r."""
    shapes = {"x": (n, c, h, w), "weight": (k, c // groups, r, r), "bias": (k,)}
    given = {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups}
    defaults = {"stride": 1, "pad": 0, "dilation": 1, "groups": 1}
    return Case("conv2d", shapes, _weighted(), {k: v for k, v in given.items() if v != defaults[k]})


def depthwise(n: int, c: int, h: int, w: int, r: int, stride: int = 1, pad: int = 0) -> Case:
    """A convolution in which each channel has a filter of its own."""
    params = {"pad": pad} | ({"stride": stride} if stride != 1 else {})
    return Case("depthwise_conv2d", {"x": (n, c, h, w), "weight": (c, r, r), "bias": (c,)}, _weighted(), params)


def conv1d(n: int, c: int, w: int, k: int, r: int, stride: int = 1, pad: int = 0) -> Case:
    """A convolution along one axis."""
    params = {"pad": pad} | ({"stride": stride} if stride != 1 else {})
    return Case("conv1d", {"x": (n, c, w), "weight": (k, c, r), "bias": (k,)}, _weighted(), params)


def linear(n: int, d: int, k: int) -> Case:
    """A fully connected layer."""
    return Case("linear", {"x": (n, d), "weight": (k, d), "bias": (k,)}, _weighted())


def batchnorm2d(*shape: int) -> tuple[Case, Case]:
    """Batch norm in training, and at test time with statistics that are given."""
    scale = {"gamma": shape[1:2], "beta": shape[1:2]}
    training = Case("batchnorm2d", {"x": shape, **scale}, (FORWARD, Pass("backward", ("x", "gamma", "beta"))))
    statistics = {"mu": shape[1:2], "var": shape[1:2]}
    shapes = {"x": shape, **scale, **statistics}
    return training, Case("batchnorm2d_evaluation", shapes, (Pass("inference"),), positive=("var",))


def maxpool2d(*shape: int, kernel: int = 2, stride: int = 2) -> Case:
    """The largest of each window."""
    params = {} if (kernel, stride) == (2, 2) else {"kernel": kernel, "stride": stride}
    return Case("maxpool2d", {"x": shape}, (FORWARD, Pass("backward", ("x",))), params)


def relu(n: int, *rest: int) -> Case:
    """All axes but the first as one: elements are treated alike."""
    size = 1
    for one in rest:
        size *= one
    return Case("relu", {"x": (n, size)}, (FORWARD, Pass("backward", ("x",))))


def cross_entropy(n: int, k: int) -> Case:
    """Softmax and cross entropy of k classes."""
    return Case("softmax_cross_entropy", {"z": (n, k), "t": (n,)}, (FORWARD, Pass("backward", ("z",))))


def layernorm(n: int, d: int) -> Case:
    """Each of n rows normalised."""
    shapes = {"x": (n, d), "gamma": (d,), "beta": (d,)}
    return Case("layernorm", shapes, (FORWARD, Pass("backward", ("x", "gamma", "beta"))))


def attention(n: int, heads: int, length: int, depth: int) -> Case:
    """Scaled dot products of queries and keys, and what they weigh."""
    names = ("query", "key", "value")
    shapes = dict.fromkeys(names, (n, heads, length, depth))
    return Case("scaled_dot_product_attention", shapes, (FORWARD, Pass("backward", names)))


TABLE: tuple[Case, ...] = (
    conv2d(32, 3, 32, 32, 10, 5, pad=2),
    conv2d(64, 1, 28, 28, 20, 5, pad=2),
    conv2d(64, 20, 14, 14, 50, 5, pad=2),
    conv2d(16, 64, 56, 56, 64, 3, pad=1),
    conv2d(16, 128, 28, 28, 128, 3, pad=1),
    conv2d(16, 256, 14, 14, 256, 3, pad=1),
    conv2d(16, 64, 56, 56, 128, 3, stride=2, pad=1),
    conv2d(16, 64, 56, 56, 256, 1),
    conv2d(8, 3, 224, 224, 64, 7, stride=2, pad=3),
    depthwise(16, 64, 56, 56, 3, pad=1),
    conv2d(16, 64, 28, 28, 64, 3, pad=2, dilation=2),
    conv1d(16, 64, 4096, 64, 7, pad=3),
    linear(256, 2450, 500),
    *(*batchnorm2d(32, 64, 56, 56), *batchnorm2d(32, 256, 14, 14)),
    *(*batchnorm2d(128, 16, 32, 32), *batchnorm2d(64, 20, 28, 28)),
    *(maxpool2d(32, 64, 56, 56), maxpool2d(64, 20, 28, 28)),
    *(relu(32, 64, 56, 56), relu(64, 20, 28, 28)),
    *(cross_entropy(4096, 1000), layernorm(4096, 768), attention(1, 8, 512, 64)),
)

# the same kinds where nothing comes out even: odd sizes, channels that no width of vectors divides, one example
ODD: tuple[Case, ...] = (
    conv2d(1, 3, 33, 31, 10, 5, pad=2),
    conv2d(1, 64, 57, 57, 64, 3, pad=1),
    conv2d(7, 37, 29, 31, 43, 3, pad=1),
    conv2d(5, 67, 27, 27, 131, 3, stride=2, pad=1),
    conv2d(3, 65, 19, 23, 33, 3, stride=3, pad=1),
    conv2d(3, 100, 17, 17, 77, 1),
    conv2d(1, 3, 225, 223, 61, 7, stride=2, pad=3),
    conv2d(4, 24, 31, 33, 36, 5, pad=4, dilation=2),
    conv2d(4, 48, 27, 29, 60, 3, pad=1, groups=4),
    *(depthwise(3, 37, 57, 55, 3, pad=1), depthwise(2, 51, 33, 35, 5, stride=2, pad=2)),
    *(conv1d(1, 17, 4099, 29, 7, pad=3), conv1d(3, 33, 1001, 45, 5, stride=2)),
    *(linear(1, 2450, 500), linear(77, 333, 101)),
    *(*batchnorm2d(7, 13, 29, 31), *batchnorm2d(1, 3, 225, 223)),
    *(maxpool2d(3, 17, 57, 55), maxpool2d(3, 17, 57, 55, kernel=3, stride=2)),
    *(relu(1, 100003), cross_entropy(333, 77), layernorm(77, 333), attention(1, 3, 197, 40)),
)

SHAPES: Mapping[str, tuple[Case, ...]] = {"table": TABLE, "odd": ODD, "all": (*TABLE, *ODD)}


def chosen(cases: Iterable[Case], filters: Iterable[str]) -> tuple[Case, ...]:
    """The cases of which a part of `label, pass` is one of the filters, with only the passes for which it is."""
    wanted = tuple(f.lower() for f in filters)
    found = []
    for case in cases:
        passes = tuple(p for p in case.passes if not wanted or any(f in row_name(case, p).lower() for f in wanted))
        if passes:
            found.append(Case(case.layer, case.shapes, passes, case.params, case.positive))
    return tuple(found)


def row_name(case: Case, one: Pass) -> str:
    """What a row is called."""
    return f"{case.label}, {one.name}"
