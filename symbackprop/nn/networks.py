"""The networks that the command line knows by name."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from symbackprop.errors import UserError
from symbackprop.nn.layers import batchnorm2d, conv, flatten, linear, maxpool, relu
from symbackprop.nn.units import Unit


def lenet5() -> tuple[Unit, ...]:
    """LeNet-5 as the documents draw it (iitp-119 to iitp-133)."""
    return (
        *(conv(20, 5, pad=2), relu(), maxpool(2)),
        *(conv(50, 5, pad=2), relu(), maxpool(2)),
        *(flatten(), linear(500), relu(), linear(10)),
    )


def lenet5_batchnorm() -> tuple[Unit, ...]:
    """LeNet-5 with batch norm after each convolution, whose own bias would be taken away again and is left out."""
    return (
        *(conv(20, 5, pad=2, bias="none"), batchnorm2d(), relu(), maxpool(2)),
        *(conv(50, 5, pad=2, bias="none"), batchnorm2d(), relu(), maxpool(2)),
        *(flatten(), linear(500), relu(), linear(10)),
    )


NETWORKS: dict[str, Callable[[], tuple[Unit, ...]]] = {"lenet5": lenet5, "lenet5-batchnorm": lenet5_batchnorm}
LOSS = "softmax_cross_entropy"  # of the last unit's results z and the labels t


def network(name: str) -> tuple[Unit, ...]:
    """The units of the network of this name.

    Raises: UserError where there is none.
    """
    if name not in NETWORKS:
        near = get_close_matches(name, NETWORKS, n=1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(NETWORKS)}"
        raise UserError(f"there is no network {name}; {advice}")
    return NETWORKS[name]()
