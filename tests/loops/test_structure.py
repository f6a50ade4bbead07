"""What the lowering decides: which statements share a nest and a pass, what is walked as one, what is a bound."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from symbackprop import equations
from symbackprop.loops import kernel as nodes
from symbackprop.loops.kernel import Loop, Nest, expressions, walk_nodes
from symbackprop.notation.nodes import ONE, ZERO, Call, FloorDiv, Mod, Size, mul, walk

ROOT = Path(__file__).resolve().parents[2]
ACTIVATIONS = (Size("N"), Size("C"), mul(Size("H"), Size("W")))


def passes(nest: Nest, kind: str) -> list[str]:
    """The tensors of the size of the activations that a nest reads or writes, once for each pass."""
    return [a.tensor for a in nest.traffic if a.kind == kind and a.axes == ACTIVATIONS]


def test_batch_norm_forward_reads_twice_and_writes_once(loops: Any) -> None:
    (nest,) = loops.kernel(equations.load("batchnorm2d")).forward.nests

    assert (passes(nest, "read"), passes(nest, "write")) == (["x", "x"], ["y"])


def test_batch_norm_backward_reads_four_times_and_writes_once(loops: Any) -> None:
    (nest,) = loops.kernel(equations.load("batchnorm2d")).backward.nests

    assert sorted(passes(nest, "read")) == ["grad_y", "grad_y", "x", "x"]
    assert passes(nest, "write") == ["grad_x"]


def test_what_is_computed_once_a_channel_does_not_break_the_walk_through_memory(loops: Any) -> None:
    nests = loops.kernel(equations.load("batchnorm2d_evaluation")).forward.nests

    assert [(n.name, [i.name for i in n.parallel]) for n in nests] == [("gamma_inv_sqrt_var", []), ("y", ["n", "c"])]


def test_rows_are_not_mapped_in_the_strips_that_are_summed_across(loops: Any) -> None:
    kernel = loops.kernel(equations.load("batchnorm1d"))
    forward = [(n.name, [i.name for i in n.parallel]) for n in kernel.forward.nests]

    assert forward == [("mu_inv_sqrt_var_gamma_inv_sqrt_var", []), ("y", ["n"])]
    assert [n.name for n in kernel.backward.nests][1:] == ["grad_x"]


def test_a_gradient_that_goes_to_its_place_is_asked_once_whether_all_places_are_inside(loops: Any) -> None:
    (nest,) = loops.kernel(equations.load("maxpool2d")).backward.nests
    (asked,) = (n for n in nest.body if isinstance(n, nodes.Test))

    assert not any(isinstance(n, nodes.Test) for n in walk_nodes(asked.body))
    assert any(isinstance(n, nodes.Test) for n in walk_nodes(asked.other))


def test_axes_that_always_go_together_are_walked_as_one(loops: Any) -> None:
    (nest,) = loops.kernel("layer one\ninput x[N, C, H]\ny[n,c,h] = exp(x[n,c,h])\noutput y\n").forward.nests

    assert nest.arrays[0].axes == (mul(Size("N"), Size("C"), Size("H")),)


def test_the_two_axes_of_a_diagonal_stay_two(loops: Any) -> None:
    (nest,) = loops.kernel("layer one\ninput x[N, N]\ny = sum[n](x[n,n])\noutput y\n").forward.nests

    assert nest.arrays[0].axes == (Size("N"), Size("N"))


def test_padding_costs_no_test_in_the_innermost_loop_of_a_convolution(loops: Any) -> None:
    kernel = loops.kernel(equations.load("conv2d"))

    for nest in (*kernel.forward.nests, *kernel.backward.nests):
        innermost = [n for n in walk_nodes(nest.body) if isinstance(n, Loop) and not _inside(n, Loop)]
        assert innermost
        assert not [n for n in innermost if _inside(n, nodes.Test)]


def test_a_stride_in_a_gather_is_walked_without_a_remainder_at_each_step(loops: Any) -> None:
    nest = next(n for n in loops.kernel(equations.load("conv2d")).backward.nests if n.name == "grad_x")
    loops_over_rows = [n for n in walk_nodes(nest.body) if isinstance(n, Loop) and n.index.name == "w_step"]

    assert loops_over_rows
    for one in loops_over_rows:
        assert not [e for n in one.body for e in _all(n) if isinstance(e, Mod)]


def test_a_scatter_to_different_places_is_parallel_over_them(loops: Any) -> None:
    text = "layer one\ninput w[V, D]\ninteger t[B, N]\ny[b,n,d] = w[t[b,n], d]\noutput y\n"
    (nest,) = loops.kernel(text).backward.nests

    assert nest.parallel == ()
    text = "layer one\ninput w[B, V, D]\ninteger t[B, N]\ny[b,n,d] = w[b, t[b,n], d]\noutput y\n"
    (nest,) = loops.kernel(text).backward.nests

    assert [i.name for i in nest.parallel] == ["b"]


def test_the_text_is_the_same_under_any_hash_seed() -> None:
    program = (
        "from symbackprop import equations\nfrom symbackprop.build import derive, module\n"
        "for name in ('conv2d', 'batchnorm2d'):\n    print(module(derive(equations.load(name)), 'numba'))\n"
    )
    texts = [
        subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1")
    ]  # fmt: skip

    assert texts[0] == texts[1]


def _inside(loop: Loop, kind: type) -> bool:
    return any(isinstance(n, kind) for n in walk_nodes(loop.body))


def _all(node: Any) -> Any:
    for expr in expressions(node):
        yield from walk(expr)


def test_the_taps_of_a_window_walk_contiguous_rows_without_a_test(loops: Any) -> None:
    nest = loops.kernel(equations.load("maxpool2d")).forward.nests[0]
    innermost = [n for n in walk_nodes(nest.body) if isinstance(n, Loop) and not _inside(n, Loop)]

    assert [n for n in walk_nodes(nest.body) if isinstance(n, nodes.Stage)]
    assert not [n for n in walk_nodes(nest.body) if isinstance(n, nodes.Test)]
    assert all(n.start == ZERO and n.step == 1 for n in innermost)
    assert all(n.step == ONE for n in walk_nodes(nest.body) if isinstance(n, nodes.View))


def test_the_gradient_of_a_sliding_maximum_is_one_addition_for_each_output(loops: Any) -> None:
    (nest,) = loops.kernel(equations.load("maxpool2d")).backward.nests
    (asked,) = (n for n in nest.body if isinstance(n, nodes.Test))
    for form in (asked.body, asked.other):
        walked = [n.index.name for n in walk_nodes(form) if isinstance(n, Loop) and _inside(n, nodes.Update)]

        assert walked == ["p", "q"]
    assert nest.cleared == {"grad_x"}


def test_divisions_of_positions_are_done_once_for_each_position_there_is(loops: Any) -> None:
    (nest,) = loops.kernel(equations.load("maxpool2d")).backward.nests

    assert not [e for n in walk_nodes(nest.body) for e in _all(n) if isinstance(e, FloorDiv | Mod)]


def test_sums_along_rows_and_across_them_share_a_nest(loops: Any) -> None:
    (nest,) = loops.kernel(equations.load("layernorm")).backward.nests

    assert nest.name == "grad_x_grad_gamma_grad_beta"
    stored = [n.tensor for n in walk_nodes(nest.after) if isinstance(n, nodes.Store)]
    assert stored == ["grad_gamma_row", "grad_beta_row"]


def test_a_map_that_one_map_reads_is_written_there(loops: Any) -> None:
    (nest,) = loops.kernel(equations.load("softmax_cross_entropy")).backward.nests

    assert [a.name for a in nest.arrays if a.written] == ["grad_z"]


def test_a_map_that_is_read_twice_is_computed_once(loops: Any) -> None:
    text = "layer one\ninput x[N, D], w[D]\nu[n,d] = exp(x[n,d])\ny[n,d] = u[n,d]*u[n,d] + w[d]\noutput y\n"
    (nest,) = loops.kernel(text).forward.nests
    calls = [e for n in walk_nodes(nest.body) for e in _all(n) if isinstance(e, Call)]

    assert len([e for e in calls if e.function == "exp"]) == 1


def test_a_map_stays_in_the_array_of_its_last_reader(loops: Any) -> None:
    (nest,) = loops.kernel(equations.load("softmax")).forward.nests

    assert "e[n,k] = exp(x[n,k] - top[n])" in nest.equations
    assert [a.name for a in nest.arrays if a.written] == ["y"]


def taken(loops: Any, body: str) -> list[tuple[str, str]]:
    """What takes another array's place in the forward pass of a layer behind a product of matrices."""
    text = f"layer one\ninput x[N, D], w[M, D]\nh[n,m] = sum[d](x[n,d]*w[m,d])\n{body}\noutput y\n"
    return [pair for nest in loops.kernel(text).forward.nests for pair in nest.taken]


def test_an_array_that_nothing_reads_any_more_is_overwritten_element_for_element(loops: Any) -> None:
    softmax = "t[n] = max[m](h[n,m])\ne[n,m] = exp(h[n,m] - t[n])\ns[n] = sum[m](e[n,m])\ny[n,m] = e[n,m]/s[n]"

    assert taken(loops, softmax) == [("h", "y")]
    assert taken(loops, "y[n,m] = 3*h[n,m]") == [("h", "y")]
    assert taken(loops, "y[n,m] = 3*h[n,m]^2") == []  # saved
    assert taken(loops, "y[n,m] = 3*h[n,m] + 2*h[n, M - 1 - m]") == []
    assert taken(loops, "y[n,m] = 3*h[n,m] + 2*h[N - 1 - n, m]") == []
    assert taken(loops, "y[m,n] = 3*h[n,m]") == []


def test_what_is_saved_is_read_in_the_forward_pass(loops: Any) -> None:
    last = loops.kernel(equations.load("scaled_dot_product_attention")).forward.nests[-1]

    assert [a.name for a in last.arrays] == ["value", "attention", "y"]
