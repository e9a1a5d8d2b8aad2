"""The profile of a training step, and what kernels cost."""

import numpy as np
import pytest

import fastnn
from fastnn.backends import cost
from fastnn.backends.spec import LINEAR
from fastnn.core.layout import products

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((32, 20)).astype(np.float32), rng.integers(0, 3, 32)


def test_profile_lists_the_kernels_of_a_step_and_leaves_the_model_alone() -> None:
    model = fastnn.Sequential([fastnn.Dense(16, activation="relu", input_shape=(20,)), fastnn.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    before = model.get_weights()
    printed: list[object] = []
    profile = model.profile(X, Y, print_fn=printed.append)
    assert printed == [profile]
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    names = [row.kernel for row in profile.rows]
    assert names.count("dense_forward") == 2 and names.count("dense_backward") == 2 and "adam_step" in names
    assert profile.step > 0 and profile.eager > 0 and 0 <= profile.python <= 1
    assert all(row.microseconds > 0 and row.peak >= 0 for row in profile.rows)
    text = str(profile)
    assert "dense_backward" in text and "run by Python" in text and "of the peak" in text
    with pytest.raises(RuntimeError, match="not compiled"):
        fastnn.Sequential([fastnn.Dense(2, input_shape=(20,))]).profile(X, Y)


def test_flops_of_products() -> None:
    a, b, c, e = (np.zeros(s, np.float32) for s in ((4, 5), (5, 6), (4, 6), 0))
    assert cost.flops("matmul_nn", (c, a, b, 1.0, 0.0, 0)) == 2 * 4 * 5 * 6
    assert cost.flops("matmul_nt", (c, a, b.T.copy(), 1.0, 0.0, 0)) == 2 * 4 * 5 * 6
    assert cost.flops("matmul_tn", (c, a.T.copy(), b, 1.0, 0.0, 0)) == 2 * 4 * 5 * 6
    assert cost.flops("dense_forward", (c, e, a, b, e, LINEAR, 0)) == 2 * 4 * 5 * 6
    layout = products((3, 4, 5, 6), (0, 20, 5, 1), (0, 24, 6, 1), (0, 30, 5, 1))
    assert cost.flops("matmul_batched", (c, a, b, layout, 1.0, 0.0, 0)) == 2 * 3 * 4 * 5 * 6
    inputs = (c, a, b, c, e, LINEAR, 0, 0)
    assert cost.flops("dense_backward", (a, b, e, c, *inputs)) == 4 * 4 * 5 * 6
    assert cost.flops("dense_backward", (e, b, e, c, *inputs)) == 2 * 4 * 5 * 6
    assert cost.traffic("activation_forward", (c, c, LINEAR)) == 2 * c.nbytes
