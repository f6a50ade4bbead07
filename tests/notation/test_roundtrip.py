"""What is printed is read back as the same layer."""

from __future__ import annotations

from hypothesis import given, settings

from symbackprop.notation.layer import Layer
from symbackprop.notation.printer import to_text
from symbackprop.notation.reader import read
from tests.strategies import layers


@settings(max_examples=200, deadline=None)
@given(layers(benign=False))
def test_a_printed_layer_is_read_back_as_the_same_layer(layer: Layer) -> None:
    text = to_text(layer)

    assert read(text) == layer
