"""What is a contraction is seen by its form, and what is none stays with the plain loops."""

from typing import Any

from symbackprop.loops.contraction import ALL_ONE, Contraction


def found(loops: Any, text: str) -> dict[str, Contraction | None]:
    """Each nest's contraction, by the nest's name."""
    kernel = loops.kernel(text)
    return {nest.name: nest.contraction for one in (kernel.forward, kernel.backward) for nest in one.nests}


def roles(contraction: Contraction | None) -> tuple[str, ...]:
    """The indices of batch, rows, columns and sum."""
    assert contraction is not None
    groups = (*(contraction.role(r) for r in ("batch", "rows", "columns")), contraction.summed)
    return tuple(" ".join(i.name for i in group) for group in groups)


def test_a_filter_of_ones_own_is_a_contraction_with_its_gradients(loops: Any) -> None:
    text = """
        layer blur
        input x[N, C, W] outside 0, f[K, S]
        range q = W
        y[n,c,k,q] = sum[s](x[n, c, q + 2*s - 3]*f[k,s])
        output y
    """
    seen = found(loops, text)

    assert roles(seen["y"]) == ("", "n c q", "k", "s")
    assert roles(seen["grad_x"]) == ("", "n c w", "", "k s")  # no columns: one sum for each n, c and w
    assert roles(seen["grad_f"]) == ("", "s", "k", "n c q")


def test_groups_are_a_batch(loops: Any) -> None:
    text = """
        layer grouped
        input x[N, C], weight[K, D]
        param groups = 1 integer
        size D = C//groups
        size M = K//groups
        range d = D
        require C % groups == 0
        require K % groups == 0
        y[n,k] = sum[d](x[n, D*(k//M) + d]*weight[k,d])
        output y
    """

    assert roles(found(loops, text)["y"]) == ("k_group", "k", "n", "d")


def test_what_is_no_product_of_two_or_not_affine_is_left_to_the_loops(loops: Any) -> None:
    three = "layer three\ninput a[I, K], b[J, K], c[K]\ny[i,j] = sum[k](a[i,k]*b[j,k]*c[k])\noutput y"
    around = "layer around\ninput a[I, K], b[J, K]\ny[i,j] = sum[k](a[i, (k + i) % K]*b[j,k])\noutput y"
    vector = "layer vector\ninput a[I, K], b[K]\ny[i] = sum[k](a[i,k]*b[k])\noutput y"

    assert [found(loops, text)["y"] for text in (three, around, vector)] == [None, None, None]


def test_a_condition_of_its_own_is_left_to_the_loops(loops: Any) -> None:
    text = "layer lower\ninput a[I, K], b[J, K]\ny[i,j] = sum[k](where(k < i, a[i,k]*b[j,k], 0))\noutput y"

    assert found(loops, text)["y"] is None


def test_the_sum_of_a_window_is_a_contraction_with_1(loops: Any) -> None:
    box = """
        layer box
        input x[N, W] outside 0
        param m = 3 integer
        range s = m, q = W
        y[n,q] = sum[s](x[n, q + s - 1])
        output y
    """
    rows = "layer rows\ninput x[N, W]\ny[n] = sum[w](x[n,w])\noutput y"
    seen = found(loops, box)

    assert roles(seen["y"]) == ("", "n q", "", "s")
    assert seen["y"] is not None
    assert seen["y"].columns == ALL_ONE
    assert seen["grad_x"] is not None
    assert found(loops, rows)["y"] is None
