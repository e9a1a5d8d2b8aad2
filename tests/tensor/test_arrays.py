"""Arrays as they come: any alignment, byte order, strides and flags, at every entry, give what a plain array gives."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.training import metrics


def unaligned(a: Any) -> Any:
    """As np.frombuffer gives it for a file with a header of one byte."""
    memory = np.empty(a.nbytes + 1, np.uint8)
    b = memory[1:].view(a.dtype).reshape(a.shape)
    b[...] = a
    return b


def read_only(a: Any) -> Any:
    b = unaligned(a)
    b.setflags(write=False)
    return b


FORMS: dict[str, Callable[[Any], Any]] = {
    "unaligned": unaligned,
    "read-only and unaligned": read_only,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "backwards": lambda a: a[::-1].copy()[::-1],
    "columns first": np.asfortranarray,
    "every second": lambda a: np.repeat(a, 2, 0)[::2],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
}

rng = np.random.default_rng(0)
X = (0.1 + 0.8 * rng.random((8, 4))).astype(np.float32)
LABELS = rng.integers(0, 4, 8)
HOT = np.eye(4, dtype=np.float32)[LABELS]
YES = (X > 0.5).astype(np.float32)
WEIGHT = rng.random(8).astype(np.float32)


def _loss(name: str) -> Callable[..., Any]:
    return lambda p, t, w: getattr(nn, name)()(fastnn.tensor(p), t, sample_weight=w)


def _keras(name: str) -> Callable[..., Any]:
    return lambda p, t, w: fastnn.losses.get(name)(t, fastnn.tensor(p), sample_weight=w)


def _metric(cls: Any) -> Callable[..., Any]:
    def result(p: Any, t: Any, w: Any) -> Any:
        metric = cls()
        metric.update_state(t, p, w)
        return metric.result()

    return result


def _fit(x: Any, y: Any, w: Any) -> Any:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(4, activation="softmax", input_shape=(4,))])
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x, y, sample_weight=w, epochs=2, batch_size=3, verbose=0, shuffle=False)
    frozen = model.freeze(batch_size=8)
    return np.concatenate(
        [
            model.evaluate(x, y, verbose=0),
            [model.train_on_batch(x, y)[0]],
            *map(np.ravel, (model.predict(x), frozen(x), model(x).detach())),
        ]
    )


def _captured(x: Any, y: Any) -> Any:
    fastnn.seed(0)
    layer = nn.Linear(4, 4)
    step = fastnn.capture(fastnn.no_grad()(lambda x, y: nn.MSELoss()(layer(x), y)))
    with warnings.catch_warnings():  # other byte orders are not recorded, and it says so
        warnings.simplefilter("ignore", RuntimeWarning)
        return [step(x, y).item() for _ in range(4)]


def _step(g: Any) -> Any:
    p = nn.Parameter(np.ones((8, 4), np.float32))
    p.grad = g
    fastnn.optim.SGD([p], lr=0.1).step()
    return p.detach()


def _backward(g: Any) -> Any:
    x = fastnn.tensor(X, requires_grad=True)
    fastnn.exp(x).backward(g)
    return x.grad


def _weights(w: Any) -> Any:
    layer = nn.Linear(4, 8, bias=False)
    layer.load_state_dict({"weight": w})
    return layer(np.ones((2, 4), np.float32))


ELEMENT_LOSSES = ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BCELoss", "BCEWithLogitsLoss", "PoissonNLLLoss", "KLDivLoss")
KERAS_LOSSES = ("mean_squared_error", "binary_crossentropy", "categorical_crossentropy", "categorical_hinge", "cosine_similarity")
ENTRIES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    **{name: (_loss(name), (X, YES, WEIGHT)) for name in ELEMENT_LOSSES},
    **{name: (_loss(name), (X, LABELS, WEIGHT)) for name in ("CrossEntropyLoss", "NLLLoss")},
    **{name: (_keras(name), (X, HOT, WEIGHT)) for name in (*KERAS_LOSSES, "binary_focal_crossentropy", "poisson")},
    "sparse_categorical_crossentropy": (_keras("sparse_categorical_crossentropy"), (X, LABELS, WEIGHT)),
    **{m: (_metric(getattr(metrics, m)), (X, HOT, WEIGHT)) for m in ("AUC", "BinaryAccuracy", "R2Score", "MeanSquaredError")},
    **{m: (_metric(getattr(metrics, m)), (X, LABELS, WEIGHT)) for m in ("F1Score", "SparseCategoricalAccuracy", "Precision")},
    "weights of classes": (lambda w: nn.CrossEntropyLoss(weight=w)(fastnn.tensor(X), LABELS), (WEIGHT[:4],)),
    **{f: (getattr(fastnn, f), (X,)) for f in ("exp", "sum", "sort", "softmax", "neg", "tensor")},
    **{f: (getattr(fastnn, f), (X, X)) for f in ("add", "mul", "pow", "maximum", "eq")},
    **{f"{f} of whole numbers": (getattr(fastnn, f), (LABELS, LABELS)) for f in ("add", "mul", "pow", "maximum", "eq")},
    "where": (fastnn.where, (X > 0.5, X, X)),
    "take": (lambda x, i: fastnn.take(fastnn.tensor(x), i), (X, LABELS)),
    "index": (lambda x, i: fastnn.tensor(x)[i], (X, LABELS)),
    "mask": (lambda x, m: fastnn.tensor(x)[m], (X, WEIGHT > 0.5)),
    "one_hot": (lambda i: fastnn.one_hot(i, 4), (LABELS,)),
    "Parameter": (lambda x: fastnn.exp(nn.Parameter(x).detach()), (X,)),
    "copy_": (lambda x: fastnn.exp(fastnn.zeros((8, 4)).copy_(x)), (X,)),
    "gradient": (_step, (X,)),
    "backward": (_backward, (X,)),
    "load_state_dict": (_weights, (X,)),
    "fit": (_fit, (X, LABELS, WEIGHT)),
    "capture": (_captured, (X, YES)),
}


def _array(value: Any) -> Any:
    return np.asarray(value.detach().numpy() if isinstance(value, fastnn.Tensor) else value)


@pytest.mark.parametrize("entry", ENTRIES)
def test_arrays_of_any_form_are_taken_for_what_they_hold(entry: str) -> None:
    function, plain = ENTRIES[entry]
    for form, make in FORMS.items():
        for i, array in enumerate(plain):
            other = make(array)
            same = np.array(other, array.dtype, order="C")
            want, got = (_array(function(*plain[:i], a, *plain[i + 1 :])) for a in (same, other))
            np.testing.assert_array_equal(got, want, err_msg=f"argument {i}, {form}")


def test_doubles_in_the_other_byte_order_stay_doubles() -> None:
    values = np.array([1 / 3, 2.0])
    for x in (fastnn.tensor(values.astype(">f8")), nn.Parameter(values.astype(">f8"))):
        assert x.dtype == np.float64 and x.tolist() == values.tolist()


def test_a_parameter_of_a_read_only_array_can_be_changed() -> None:
    a = np.ones(3, np.float32)
    a.setflags(write=False)
    p = nn.Parameter(a)
    with fastnn.no_grad():
        p.fill_(2.0)
    assert p.tolist() == [2.0] * 3 and a.tolist() == [1.0] * 3
