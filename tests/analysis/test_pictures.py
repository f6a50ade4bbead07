"""The pictures: what acts on what, which elements meet, and that they are well-formed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from symbackprop.__main__ import run
from symbackprop.analysis import influence
from symbackprop.analysis.bound import bind
from symbackprop.analysis.influence import backward_influences, influence_diagram, influences, levels
from symbackprop.analysis.stencil import meetings, met, stencil, touched
from symbackprop.check.point import Point
from symbackprop.equations import load
from symbackprop.errors import UserError

ROOT = Path(__file__).parents[2]


def small(name: str = "conv2d") -> Point:
    """The example of the documents: an image of 5x5 and a kernel of 3x3."""
    return bind(load(name), {"x": (1, 1, 5, 5), "weight": (1, 1, 3, 3), "bias": (1,)})


def test_batch_norm_acts_on_its_result_in_three_ways() -> None:
    assert influences(load("batchnorm2d")) == (
        ("x", "mu"),
        ("x", "var"),
        ("mu", "var"),
        ("x", "xhat"),
        ("mu", "xhat"),
        ("var", "xhat"),
        ("gamma", "y"),
        ("xhat", "y"),
        ("beta", "y"),
    )


def test_gradients_run_against_the_influences_and_not_into_integers() -> None:
    assert backward_influences(load("batchnorm2d"))[:3] == (
        ("grad_y", "grad_beta"),
        ("grad_y", "grad_xhat"),
        ("grad_y", "grad_gamma"),
    )
    assert all("grad_t" not in pair for pair in backward_influences(load("softmax_cross_entropy")))


def test_a_level_lies_below_everything_that_it_reads() -> None:
    assert levels(load("batchnorm2d")) == {"x": 0, "gamma": 0, "beta": 0, "mu": 1, "var": 2, "xhat": 3, "y": 4}


@pytest.mark.parametrize("name", ["batchnorm2d", "conv2d", "scaled_dot_product_attention", "softmax_cross_entropy"])
def test_a_layer_has_a_well_formed_diagram(name: str) -> None:
    root = ElementTree.fromstring(influence_diagram(load(name)))
    texts = [(element.text or "").partition("[")[0] for element in root.iter("{http://www.w3.org/2000/svg}text")]

    assert set(levels(load(name))) <= set(texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) >= len(influences(load(name)))


@pytest.mark.parametrize("name", ["batchnorm2d", "batchnorm2d_training", "scaled_dot_product_attention"])
def test_no_link_runs_through_a_box_and_no_two_end_at_one_point(name: str) -> None:
    layer = load(name)
    places = influence._places(layer)
    curves = influence._curves(layer, places)
    for (a, b), curve in curves.items():
        for box, place in places.items():
            inside = [abs(x - place.x) < place.wide / 2 and abs(y - place.y) < 22 for x, y in influence._along(curve)]
            assert box in (a, b) or not any(inside)
    ends = [end for curve in curves.values() for end in (curve[0], curve[-1])]

    assert len(ends) == len(set(ends))


def test_the_middle_pixel_touches_every_output() -> None:
    found = meetings(load("conv2d"), small(), "x", (0, 0, 2, 2))

    assert touched(found) == tuple((0, 0, p, q) for p in range(3) for q in range(3))
    # the output p meets the pixel 2 through the tap 2 - p
    assert {(key[2:], reads["weight"][2:]) for key, reads in found} == {
        ((p, q), (2 - p, 2 - q)) for p in range(3) for q in range(3)
    }


def test_a_corner_pixel_touches_one_output() -> None:
    assert touched(meetings(load("conv2d"), small(), "x", (0, 0, 0, 4))) == ((0, 0, 0, 2),)


def test_the_tap_of_the_documents_meets_the_pixels_that_they_list() -> None:
    # wu-66: tap (-1,-1) of a convolution is (0,0) here; its gradient meets a(2,2), a(2,3), a(2,4), ... a(4,4)
    found = meetings(load("true_conv2d"), small("true_conv2d"), "weight", (0, 0, 0, 0))

    assert met(found, "x") == tuple((0, 0, h, w) for h in (2, 3, 4) for w in (2, 3, 4))
    assert touched(found)[0] == (0, 0, 0, 0)


def test_padding_is_met_too() -> None:
    shapes = {"x": (1, 1, 3, 3), "weight": (1, 1, 3, 3), "bias": (1,)}
    point = bind(load("conv2d"), shapes, {"pad": 1})

    assert (0, 0, -1, -1) in met(meetings(load("conv2d"), point, "weight", (0, 0, 0, 0)), "x")
    ElementTree.fromstring(stencil(load("conv2d"), point, "weight", (0, 0, 0, 0)))


def test_a_condition_decides_what_meets() -> None:
    shapes = {"x": (1, 1, 2, 2), "weight": (1, 1, 2, 2), "bias": (1,)}
    layer = load("transposed_conv2d")
    found = meetings(layer, bind(layer, shapes, {"stride": 2}), "x", (0, 0, 1, 0))

    assert touched(found) == ((0, 0, 2, 0), (0, 0, 2, 1), (0, 0, 3, 0), (0, 0, 3, 1))


def test_what_cannot_be_drawn_is_refused() -> None:
    layer = load("batchnorm1d")
    point = bind(layer, {"x": (2, 2), "gamma": (2,), "beta": (2,)})
    with pytest.raises(UserError, match="of a layer of one equation"):
        meetings(layer, point, "x", (0, 0))
    with pytest.raises(UserError, match="has no input y"):
        meetings(load("conv2d"), small(), "y", (0, 0, 0, 0))
    with pytest.raises(UserError, match="there is no element"):
        meetings(load("conv2d"), small(), "x", (0, 0, 5, 0))


def test_the_command_line_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = ["--shape", "x=1x1x5x5", "--shape", "weight=1x1x3x3", "--shape", "bias=1", "--param", "pad=1"]
    assert run(["draw", "conv2d", "--at", "x:0,0,2,2", *shapes, "--out", str(tmp_path / "stencil.svg")]) == 0
    assert run(["draw", "softmax"]) == 0

    ElementTree.parse(tmp_path / "stencil.svg")
    ElementTree.fromstring(capsys.readouterr().out.partition("\n")[2])


@pytest.mark.parametrize("wrong", [["--at", "x;2"], ["--at", "x:0", "--shape", "x"], ["--at", "x:0", "--param", "p=q"]])
def test_a_slip_in_the_options_is_explained(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["draw", "conv2d", *wrong]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_picture_is_the_same_under_any_hash_seed() -> None:
    code = "from symbackprop.__main__ import run; run(['draw', 'batchnorm2d'])"
    pictures = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(pictures) == 1
