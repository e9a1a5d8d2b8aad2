"""Arguments have PyTorch's and Keras's names, places and defaults, or are refused with a reason."""

import inspect
import os
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import optim
from fastnn.optim import lr_scheduler
from fastnn.optim.attributes import UNUSED

MEANS = {"dim": "axis", "p": "rate"}
"""Names that Keras and NumPy have, where PyTorch's is taken by keyword too."""
REFUSED = {
    ("LinearCrossEntropyLoss", "out_features"): "one class for each row is what the kernel computes",
    ("LinearCrossEntropyLoss", "options"): "it has no choice of algorithms",
}
"""PyTorch's arguments that are not there, and why."""
OTHER_DEFAULT = {
    **{(name, "dim"): "PyTorch's None guesses an axis and warns" for name in ("Softmax", "LogSoftmax", "Softmin")},
    **{
        (name, "activation"): "a name: PyTorch's function relu is not fastnn's"
        for name in ("Transformer", "TransformerEncoderLayer", "TransformerDecoderLayer")
    },
}
ANY = (nn.Module, nn.Sequential, nn.Parameter, optim.Optimizer)
"""Classes whose arguments are nothing that a user of PyTorch gives by name."""


def pairs() -> list[tuple[str, Any, str]]:
    found = [(n, getattr(nn, n), f"nn.{n}") for n in nn.__all__ if inspect.isclass(getattr(nn, n))]
    found += [(n, getattr(optim, n), f"optim.{n}") for n in optim.__all__ if inspect.isclass(getattr(optim, n))]
    found += [(n, getattr(lr_scheduler, n), f"optim.lr_scheduler.{n}") for n in lr_scheduler.__all__]
    found += [(n, f, f"nn.init.{n}") for n, f in vars(nn.init).items() if n.endswith("_") and n[0] != "_"]
    found += [(n, getattr(nn.utils, n), f"nn.utils.{n}") for n in ("clip_grad_norm_", "clip_grad_value_")]
    found += [(n, getattr(nn.utils.rnn, n), f"nn.utils.rnn.{n}") for n in nn.utils.rnn.__all__ if n != "PackedSequence"]
    found += [("zero_grad", nn.Module.zero_grad, "nn.Module.zero_grad"), ("step", optim.SGD.step, "optim.SGD.step")]
    found += [("zero_grad", optim.SGD.zero_grad, "optim.SGD.zero_grad"), ("train", nn.Module.train, "nn.Module.train")]
    return [case for case in found if case[1] not in ANY]


PAIRS = pairs()


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    """The arguments, with those that all optimizers take by keyword."""
    found = dict(inspect.signature(function).parameters)
    if found.pop("common", None) or "unused" in found:
        found |= {n: p for n, p in inspect.signature(optim.Optimizer).parameters.items() if n not in found}
        found |= {n: inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None) for n in UNUSED if n not in found}
        found.setdefault("differentiable", inspect.Parameter("differentiable", inspect.Parameter.KEYWORD_ONLY, default=False))
    return found


@pytest.mark.parametrize(("name", "own", "path"), PAIRS, ids=[path for _, _, path in PAIRS])
def test_arguments_as_in_pytorch(name: str, own: Any, path: str) -> None:
    theirs: Any = pytest.importorskip("torch")
    for part in path.split("."):
        theirs = getattr(theirs, part, None)
        if theirs is None:
            return  # a class of fastnn's alone
    wanted = inspect.signature(theirs).parameters
    if any(p.kind == p.VAR_POSITIONAL for p in wanted.values()):
        return  # takes nothing that it uses
    mine = parameters(own)
    places = [n for n, p in mine.items() if p.kind == p.POSITIONAL_OR_KEYWORD]
    for place, (argument, p) in enumerate(wanted.items()):
        if (name, argument) in REFUSED:
            assert argument not in mine
            continue
        here = MEANS[argument] if MEANS.get(argument) in mine else argument
        if p.kind == p.POSITIONAL_OR_KEYWORD:
            assert places[place] == here
        default = mine[here].default
        if p.default is not p.empty and (name, argument) not in OTHER_DEFAULT and argument not in UNUSED:
            assert default == p.default, argument


@pytest.mark.parametrize("layer", [nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.GLU])
def test_dim_is_axis(layer: Any) -> None:
    assert layer(dim=0).axis == layer(0).axis == 0


def test_devices() -> None:
    if fastnn.get_backend() != "cupy":
        assert nn.Linear(2, 3, True, "cpu", "float64").dtype == np.float64
        with pytest.raises(ValueError, match=r"PReLU: device is 'cuda:0'.*computes on 'cpu'"):
            nn.PReLU(device="cuda:0")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.MSELoss("sum"), TypeError, "MSELoss: size_average is 'sum'.*reduction='sum'"),
        (lambda: nn.Flatten((2, 3)), TypeError, r"Flatten: start_dim is \(2, 3\).*input_shape=\(2, 3\)"),
        (lambda: nn.Flatten(2, 1)(np.ones((2, 3, 4))), ValueError, "start_dim 2 .*comes after end_dim 1"),
        (lambda: nn.Dropout(0.5, 7), TypeError, "Dropout: inplace is 7.*seed="),
        (lambda: fastnn.Dropout(0.5, (2, 1)), TypeError, "Dropout: inplace is .*there is no noise_shape"),
        (lambda: nn.Linear(2, 3, True, "float64"), ValueError, "Linear: device is 'float64'"),
        (lambda: optim.SGD(lr=0.1, differentiable=True), ValueError, "SGD: differentiable=True"),
        (lambda: optim.Adam(fused="yes"), TypeError, "Adam: fused is 'yes'"),
        (lambda: optim.Adam(epsilon=1e-3), TypeError, "Adam: unknown argument 'epsilon'; here it is eps"),
    ],
)
def test_what_is_refused_says_why(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("size_average", "reduce"), [(None, None), (True, None), (False, None), (None, False), (False, False), (True, True)]
)
def test_older_words_for_the_reduction(size_average: Any, reduce: Any) -> None:
    torch = pytest.importorskip("torch")
    x, y = np.arange(4, dtype=np.float32), np.ones(4, np.float32)
    with pytest.warns(UserWarning) if (size_average, reduce) != (None, None) else fastnn.enable_grad():
        theirs = torch.nn.MSELoss(size_average, reduce)(torch.tensor(x), torch.tensor(y))
    np.testing.assert_allclose(nn.MSELoss(size_average, reduce)(x, y).numpy(), theirs.numpy())


@pytest.mark.parametrize("dims", [(1, -1), (0, -1), (0, 1), (1, 2), (2, 3), (-2, -1)])
def test_flatten(dims: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    y = nn.Flatten(*dims)(x).numpy()
    np.testing.assert_array_equal(y, torch.nn.Flatten(*dims)(torch.tensor(x)).numpy())
    if dims[0] != 0:
        assert nn.Flatten(*dims).output_shape((3, 4, 5)) == y.shape[1:]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_with_decoupled_decay(weight_decay: float) -> None:
    def trained(make: Any) -> np.ndarray:
        p = nn.Parameter([1.0, -2.0])
        optimizer = make([p])
        for _ in range(3):
            p.grad = [0.5, 0.25]
            optimizer.step()
        return p.numpy()

    def decoupled(params: Any) -> Any:
        return optim.Adam(params, weight_decay=weight_decay, decoupled_weight_decay=True)

    wanted = trained(lambda params: optim.AdamW(params, weight_decay=weight_decay))
    np.testing.assert_array_equal(trained(decoupled), wanted)
    np.testing.assert_array_equal(trained(lambda params: optim.Adam(params, **decoupled(None).get_config())), wanted)


# ---- Keras ----


KERAS_PLACES: list[tuple[Any, str]] = [
    *(
        (getattr(fastnn, n), f"layers.{n}")
        for n in (
            "Dense",
            "Embedding",
            "ReversibleEmbedding",
            "Dropout",
            "Activation",
            "ReLU",
            "LeakyReLU",
            "PReLU",
            "ELU",
            "Softmax",
        )
    ),
    *(
        (getattr(fastnn, n), f"layers.{n}")
        for n in ("GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization")
    ),
    *(
        (getattr(fastnn, n), f"layers.{n}")
        for n in ("RandomFlip", "RandomTranslation", "RandomRotation", "RandomZoom", "RandomCrop", "MixUp")
    ),
    *((getattr(fastnn, n), f"layers.{n}") for n in ("RandomBrightness", "RandomContrast", "RandomErasing")),
    *(
        (getattr(fastnn, f"{n}{axes}D"), f"layers.{n}{axes}D")
        for n in ("Conv", "DepthwiseConv", "SeparableConv", "SpatialDropout", "ZeroPadding", "Cropping", "UpSampling")
        for axes in ((1, 2) if n in ("DepthwiseConv", "SeparableConv") else (1, 2, 3))
    ),
    *((getattr(fastnn, f"Conv{axes}DTranspose"), f"layers.Conv{axes}DTranspose") for axes in (1, 2, 3)),
    *((getattr(fastnn, n), f"layers.{n}") for n in ("Normalization", "Rescaling", "BatchNormalization", "LayerNormalization")),
    *((getattr(fastnn, n), f"layers.{n}") for n in ("SimpleRNN", "LSTM", "GRU", "SimpleRNNCell", "LSTMCell", "GRUCell")),
    *((getattr(fastnn, n), f"layers.{n}") for n in ("RNN", "StackedRNNCells", "Bidirectional", "TimeDistributed", "Masking")),
    *(
        (getattr(fastnn, n), f"layers.{n}")
        for n in ("MultiHeadAttention", "GroupQueryAttention", "Attention", "AdditiveAttention")
    ),
    *((getattr(fastnn, n), f"layers.{n}") for n in ("Add", "Concatenate", "Dot", "Maximum", "Subtract")),
    *((c, f"losses.{c.__name__}") for c in fastnn.losses.LOSSES.values()),
    *((getattr(fastnn.callbacks, n), f"callbacks.{n}") for n in fastnn.callbacks.__all__ if n != "CallbackList"),
    *((c, f"optimizers.schedules.{c.__name__}") for c in fastnn.schedules.SCHEDULES.values()),
    *((getattr(fastnn.regularizers, n), f"regularizers.{n}") for n in ("L1", "L2", "L1L2", "OrthogonalRegularizer")),
    *((getattr(fastnn.constraints, n), f"constraints.{n}") for n in ("MaxNorm", "MinMaxNorm", "UnitNorm", "NonNeg")),
    *((c, f"initializers.{c.__name__}") for c in fastnn.initializers.INITIALIZERS.values()),
]
ELSEWHERE = {("layers.Dropout", 1), ("layers.AlphaDropout", 1)}
"""Places in which PyTorch has something else; what Keras has there is refused (see above), except None."""


@pytest.mark.parametrize(("own", "path"), KERAS_PLACES, ids=[path for _, path in KERAS_PLACES])
def test_places_as_in_keras(own: Any, path: str) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")
    theirs: Any = pytest.importorskip("keras")
    for part in path.split("."):
        theirs = getattr(theirs, part, None)
        if theirs is None:
            return
    positional = (inspect.Parameter.POSITIONAL_OR_KEYWORD,)
    mine = [p.name for p in inspect.signature(own).parameters.values() if p.kind in positional]
    wanted = [p.name for p in inspect.signature(theirs).parameters.values() if p.kind in positional]
    for place, (a, b) in enumerate(zip(mine, wanted, strict=False)):
        assert a == b or (path, place) in ELSEWHERE, (place, mine, wanted)


KERAS_OPTIMIZERS = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lion", "Muon"]
OTHER_VALUES: dict[str, Any] = {
    **dict.fromkeys(("nesterov", "amsgrad", "centered", "use_ema"), True),
    **dict.fromkeys(("clipnorm", "clipvalue", "global_clipnorm"), 0.25),
    "gradient_accumulation_steps": 3,
    "ns_steps": 4,
}
"""Values of arguments other than Keras's defaults; of others, 0.75."""
FIXED = {
    "loss_scale_factor": "gradients are float32, there is nothing to scale",
    "exclude_layers": "groups say which parameters are Muon's",
    "exclude_embeddings": "groups say which parameters are Muon's",
    "adam_lr_ratio": "adamw_lr is the rate itself",
    "rms_rate": "the kernel's factor is 0.2",
}
"""Keras's arguments that are taken with its default alone, and why."""
TOGETHER = {"ema_momentum": {"use_ema": True}, "ema_overwrite_frequency": {"use_ema": True}, "nesterov": {"momentum": 0.5}}


@pytest.mark.parametrize("name", KERAS_OPTIMIZERS)
def test_optimizers_take_keras_s_arguments(name: str) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")
    theirs = getattr(pytest.importorskip("keras").optimizers, name)
    arguments = {n: p.default for n, p in inspect.signature(theirs).parameters.items() if p.kind != p.VAR_KEYWORD}
    assert len(arguments) > 10
    plain = optim.get(name).get_config()
    assert optim.get(name, **arguments).get_config() == plain
    for argument, default in arguments.items():
        assert optim.get(name, **{argument: default}).get_config() == plain, argument
        if argument in FIXED:
            with pytest.raises(ValueError, match=f"{argument} is 0.75, wanted .*cannot be changed"):
                optim.get(name, **{argument: 0.75})
        elif argument == "name":
            assert optim.get(name, name="mine").get_config() == plain
        else:
            value = 4 if argument == "ema_overwrite_frequency" else OTHER_VALUES.get(argument, 0.75)
            value = not default if isinstance(default, bool) else value
            beside = TOGETHER.get(argument, {})
            changed, before = (optim.get(name, **beside, **more).get_config() for more in ({argument: value}, {}))
            different = {k: v for k, v in changed.items() if v != before.get(k)}
            assert len(different) == 1 or argument in ("learning_rate", "use_ema"), argument
            assert value in np.ravel(list(different.values())), argument


def test_both_names_of_an_argument() -> None:
    for more in ({"lr": 0.1, "learning_rate": 0.2}, {"betas": (0.5, 0.5), "beta_1": 0.2}, {"eps": 1.0, "epsilon": 1.0}):
        with pytest.raises(TypeError, match=r"Adam: .* came in one call"):
            optim.get("adam", **more)
