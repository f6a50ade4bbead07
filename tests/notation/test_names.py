"""Names are the user's, except for the words of the notation and of Python."""

from __future__ import annotations

import pytest

from symbackprop.notation.names import RESERVED, complaint, did_you_mean
from symbackprop.notation.reader import read


@pytest.mark.parametrize(
    "name", ["np", "saved", "wrt", "out", "self", "dy", "numba", "print", "len", "grad_z", "float"]
)
def test_names_of_the_generated_modules_are_free_to_use(name: str) -> None:
    layer = read(f"layer a\ninput {name}[N]\ny[n] = {name}[n]\noutput y")

    assert layer.inputs[0].name == name


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_every_reserved_word_is_refused_with_another_to_write(name: str) -> None:
    found = complaint(name)

    assert found is not None
    assert complaint(f"{name}1") is None


def test_a_close_name_is_suggested_and_a_far_one_is_not() -> None:
    assert did_you_mean("gama", ["beta", "gamma"]) == "Did you mean gamma?"
    assert did_you_mean("q", ["beta", "gamma"]) == ""
