"""Attributes that are set after construction do what the constructor's arguments do, or are refused."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.core.tree import flatten
from fastnn.initializers import INITIALIZERS
from fastnn.losses.torch.base import TorchLoss
from fastnn.losses.torch.pairs import PairLoss
from fastnn.nn.layers import embedding as keras_embedding
from fastnn.nn.layers import keras_activation
from fastnn.nn.layers.recurrent_cell import Cell
from fastnn.nn.layers.recurrent_layer import Recurrent
from fastnn.nn.layers.torch_recurrent import RNNBase
from fastnn.nn.layers.torch_recurrent_cells import RNNCellBase

rng = np.random.default_rng(0)
X = rng.standard_normal((6, 4)).astype(np.float32)

BASE: dict[str, dict[str, Any]] = {
    "Activation": {"activation": "relu"},
    "CosineDecay": {"initial_learning_rate": 0.5, "decay_steps": 8, "warmup_target": 1.0, "warmup_steps": 3},
    "CosineDecayRestarts": {"initial_learning_rate": 0.5, "first_decay_steps": 3},
    "Cyclic": {"base_learning_rate": 0.1, "max_learning_rate": 1.0, "step_size_up": 3, "mode": "exp_range", "gamma": 0.9},
    "Dense": {"units": 3, "activation": "relu", "input_shape": (4,)},
    "Dot": {"axes": 1},
    "ExponentialDecay": {"initial_learning_rate": 0.5, "decay_steps": 3, "decay_rate": 0.5},
    "GaussianDropout": {"rate": 0.5, "seed": 1},
    "GaussianNoise": {"stddev": 0.5, "seed": 1},
    "InverseTimeDecay": {"initial_learning_rate": 0.5, "decay_steps": 3, "decay_rate": 0.5},
    "Join": {"schedules": [fastnn.schedules.Constant(1.0), fastnn.schedules.Constant(2.0)], "boundaries": [5]},
    "Linear": {"in_features": 4, "out_features": 3},
    "LinearWarmupDecay": {"peak": 1.0, "warmup_steps": 3, "total_steps": 9},
    "Maxout": {"num_pieces": 2},
    "OneCycle": {"max_learning_rate": 1.0, "total_steps": 10},
    "PiecewiseConstantDecay": {"boundaries": [3], "values": [1.0, 0.5]},
    "PolynomialDecay": {"initial_learning_rate": 0.5, "decay_steps": 6, "power": 2.0},
    "StepDecay": {"initial_learning_rate": 0.5, "step_size": 3},
    "Threshold": {"threshold": 0.1, "value": 0.3},
    "WarmupStableDecay": {"peak": 1.0, "warmup_steps": 3, "stable_steps": 2, "decay_steps": 3},
    "Constant": {"value": 0.5},
    "Dropout": {"seed": 1},
    "AlphaDropout": {"seed": 1},
    "BinaryFocalCrossentropy": {"apply_class_balancing": True},
    **{f"Conv{n}D": {"filters": 4, "kernel_size": 3, "input_shape": (*(8,) * n, 4)} for n in (1, 2, 3)},
    **{f"Conv{n}d": {"in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": 1} for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": {"kernel_size": 3, "input_shape": (*(8,) * n, 4)} for n in (1, 2)},
    **{f"SeparableConv{n}D": {"filters": 4, "kernel_size": 3, "input_shape": (*(8,) * n, 4)} for n in (1, 2)},
    **{f"Conv{n}DTranspose": {"filters": 4, "kernel_size": 3, "input_shape": (*(8,) * n, 4)} for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": {"in_channels": 4, "out_channels": 4, "kernel_size": 3, "stride": 2} for n in (1, 2, 3)},
    **{f"MaxPool{n}d": {"kernel_size": 3, "stride": 2} for n in (1, 2, 3)},
    **{f"AvgPool{n}d": {"kernel_size": 5, "stride": 2, "padding": 1} for n in (1, 2, 3)},
    **{f"AdaptiveAvgPool{n}d": {"output_size": 2} for n in (1, 2, 3)},
    **{f"BatchNorm{n}d": {"num_features": 4} for n in (1, 2, 3)},
    **{name: {"input_shape": (2, 4)} for name in ("BatchNormalization", "LayerNormalization", "RMSNormalization")},
    "GroupNormalization": {"groups": 2, "input_shape": (2, 4)},
    "MixUp": {"alpha": 2.0, "seed": 1},
    "RandomFlip": {"seed": 1},
    "RandomCrop": {"height": 7, "width": 7, "padding": 2, "seed": 1},
    "RandomTranslation": {"height_factor": 0.5, "width_factor": 0.5, "fill_mode": "constant", "seed": 1},
    "RandomRotation": {"factor": 0.4, "fill_mode": "constant", "seed": 1},
    "RandomZoom": {"height_factor": (0.5, 0.9), "fill_mode": "constant", "seed": 1},
    "RandomBrightness": {"factor": 0.9, "value_range": (-1, 1), "seed": 1},
    "RandomContrast": {"factor": 0.9, "value_range": (-1, 1), "seed": 1},
    "RandomErasing": {"factor": (0.9, 1.0), "value_range": (-1, 1), "fill_value": 0.5, "seed": 1},
    **{f"SpatialDropout{n}D": {"rate": 0.5, "seed": 1} for n in (1, 2, 3)},
    **{f"Dropout{n}d": {"seed": 1} for n in (1, 2, 3)},
    **{f"InstanceNorm{n}d": {"num_features": 4} for n in (1, 2, 3)},
    **{f"AdaptiveMaxPool{n}d": {"output_size": 2} for n in (1, 2, 3)},
    **{f"{mode}Pad{n}d": {"padding": 1} for mode in ("Zero", "Reflection", "Replication", "Circular") for n in (1, 2, 3)},
    **{f"ConstantPad{n}d": {"padding": 1, "value": 0.5} for n in (1, 2, 3)},
    "Rescaling": {"scale": 0.5},
    "Upsample": {"scale_factor": 1.4, "mode": "linear"},
    **{f"Upsampling{mode}2d": {"scale_factor": 2.0} for mode in ("Nearest", "Bilinear")},
    "PixelShuffle": {"upscale_factor": 2},
    "PixelUnshuffle": {"downscale_factor": 2},
    **{name: {"num_embeddings": 5, "embedding_dim": 4} for name in ("Embedding", "EmbeddingBag")},
    **{key: {"input_dim": 5, "output_dim": 4} for key in ("keras.Embedding", "ReversibleEmbedding")},
    "PositionEmbedding": {"sequence_length": 5, "input_shape": (2, 4)},
    "Normalization": {"input_shape": (2, 4), "mean": 0.5, "variance": 2.0},
    "Permute": {"dims": (1, 2)},
    "Reshape": {"target_shape": (8,)},
    **{name: {"units": 3, "seed": 1, "input_shape": (2, 4)} for name in ("SimpleRNN", "keras.LSTM", "keras.GRU")},
    **{f"{name}Cell": {"units": 3, "seed": 1, "input_shape": (4,)} for name in ("SimpleRNN", "keras.LSTM", "keras.GRU")},
    **{name: {"input_size": 4, "hidden_size": 3} for name in ("RNN", "GRU", "RNNCell", "LSTMCell", "GRUCell")},
    "LSTM": {"input_size": 4, "hidden_size": 3, "num_layers": 2, "proj_size": 2},
    "GroupNorm": {"num_groups": 2, "num_channels": 4},
    **{name: {"normalized_shape": 4} for name in ("LayerNorm", "RMSNorm")},
    "MultiHeadAttention": {"num_heads": 2, "key_dim": 3, "input_shape": (2, 4), "dropout": 0.25, "seed": 1},
    "GroupedQueryAttention": {
        "head_dim": 3,
        "num_query_heads": 4,
        "num_key_value_heads": 2,
        "input_shape": (2, 4),
        "dropout": 0.25,
        "seed": 1,
    },
    "Attention": {"dropout": 0.25, "seed": 1},
    "AdditiveAttention": {"dropout": 0.25, "seed": 1, "input_shape": (2, 4)},
    "MultiheadAttention": {"embed_dim": 4, "num_heads": 2, "dropout": 0.25},
    **{f"Transformer{kind}Layer": {"d_model": 4, "nhead": 2, "dim_feedforward": 5} for kind in ("Encoder", "Decoder")},
    "Transformer": {"d_model": 4, "nhead": 2, "num_encoder_layers": 1, "num_decoder_layers": 1, "dim_feedforward": 5},
}
"""Arguments that an object is made with before one of them changes; the defaults where there are none."""
OTHER: dict[str, Any] = {}
OTHER |= {"activation": "tanh", "activity_regularizer": "l2", "adjust_lr_fn": "match_rms_adamw", "approximate": "tanh"}
OTHER |= {"alpha": 0.7, "axes": -1, "axis": 0, "beta": 3.0, "betas": (0.5, 0.5), "boundaries": [2], "curve": "PR"}
OTHER |= {"decay": "cosine", "decay_steps": 5, "delta": 0.3, "distribution": "uniform", "first_decay_steps": 5}
OTHER |= {"function": np.tanh, "gamma": 0.6, "ignore_class": 1, "ignore_index": 1, "initial_learning_rate": 0.75}
OTHER |= {"input_shape": (5,), "k": 2, "lambd": 0.2, "margin": 0.7, "max_val": 0.5, "max_value": 0.6, "min_value": 0.2}
OTHER |= {"min_val": -0.2, "mode": "fan_out", "negative_slope": 0.6, "num_pieces": 4, "num_parameters": 4, "omega": 2.0}
OTHER |= {"p": 0.25, "pos_weight": [2.0], "power": 1.25, "quantile": 0.9, "rate": 0.25, "reduction": "sum"}
OTHER |= {"schedules": ["constant"], "seed": 7, "shape": "linear", "shared_axes": 1, "stable_steps": 4, "step_size": 4}
OTHER |= {"step_size_down": 2, "step_size_up": 2, "threshold": 0.25, "total_steps": 8, "units": 5, "value": 0.2}
OTHER |= {"values": [1.0, 0.25], "warmup_steps": 2, "warmup_target": 0.8, "weight": [1.0, 2.0, 0.5, 0.25], "start_dim": 0}
OTHER |= {"end_dim": 1, "init": 0.5, "max_learning_rate": 0.8, "eps": 0.3, "t_mul": 1.5, "div_factor": 5.0}
OTHER |= {"kernel_initializer": "ones", "bias_initializer": "ones", "kernel_regularizer": "l2", "bias_regularizer": "l2"}
OTHER |= {"kernel_constraint": "non_neg", "bias_constraint": "non_neg", "alpha_initializer": "ones", "pct_start": 0.5}
OTHER |= {"scale": 2.0, "mean": 1.0, "stddev": 0.7, "minval": -0.5, "maxval": 0.7, "gain": 2.0, "factor": 0.5, "l1": 0.3}
OTHER |= {"l2": 0.2, "stride": 3, "strides": 3, "data_format": "channels_first", "divisor_override": 5}
OTHER |= {"epsilon": 0.3, "moving_mean_initializer": "ones", "moving_variance_initializer": "zeros"}
OTHER |= {"height_factor": 0.3, "width_factor": 0.3, "fill_mode": "wrap", "interpolation": "nearest", "fill_value": 0.25}
OTHER |= {"value_range": (-0.5, 0.4), "height": 6, "width": 6}
OTHER |= {"beta_initializer": "ones", "gamma_initializer": "zeros", "num_groups": 1, "momentum": 0.6}
OTHER |= {f"depthwise_{name}": OTHER[f"kernel_{name}"] for name in ("initializer", "regularizer", "constraint")}
OTHER |= {f"pointwise_{name}": OTHER[f"kernel_{name}"] for name in ("initializer", "regularizer", "constraint")}
OTHER |= {f"recurrent_{name}": OTHER[f"kernel_{name}"] for name in ("initializer", "regularizer", "constraint")}
OTHER |= {
    "nonlinearity": "relu",
    "recurrent_activation": "hard_sigmoid",
    "dropout": 0.5,
    "recurrent_dropout": 0.5,
    "use_cudnn": True,
}
OTHER |= {"cropping": 2, "padding_mode": "circular", "offset": 0.5, "variance": 3.0}
OTHER |= {f"embeddings_{name}": OTHER[f"kernel_{name}"] for name in ("initializer", "regularizer", "constraint")}
OTHER |= {"weights": np.ones((5, 4), np.float32), "padding_idx": 3, "max_norm": 0.5, "logit_soft_cap": 0.1}
OTHER |= {"reverse_dtype": "float64", "initializer": "ones"}
OTHER |= {
    "score_mode": "concat",
    "value_dim": 5,
    "output_shape": (7,),
    "attention_axes": (1,),
    "sliding_window": 1,
    "flash_attention": True,
}
OTHER |= {"kdim": 3, "vdim": 3, "custom_encoder": nn.Identity(), "custom_decoder": nn.Identity()}
OTHER_OF: dict[tuple[str, str], Any] = {
    ("PositionEmbedding", "input_shape"): (2, 5),
    ("EmbeddingBag", "mode"): "sum",
    ("MultiMarginLoss", "p"): 2,
    ("TripletMarginLoss", "p"): 1.0,
    ("Cyclic", "mode"): "triangular",
    ("OrthogonalRegularizer", "mode"): "columns",
    ("Tweedie", "power"): 2.0,
    ("CategoricalFocalCrossentropy", "alpha"): [1.0, 2.0, 0.5, 0.25],
    ("Join", "schedules"): [fastnn.schedules.Constant(3.0), fastnn.schedules.Constant(2.0)],
    ("Concatenate", "axis"): 1,
    ("GaussianNLL", "epsilon"): 2.0,
    ("GroupNormalization", "groups"): 1,
    ("Permute", "dims"): (2, 1),
    ("Reshape", "target_shape"): (4, -1),
    ("MinMaxNorm", "max_value"): 0.5,
    ("RandomFlip", "mode"): "vertical",
    ("RandomCrop", "padding"): 3,
    ("RandomErasing", "factor"): (0.0, 0.0),
    ("RandomErasing", "scale"): (0.4, 0.5),
    **{(name, "axis"): 1 for name in ("MaxNorm", "MinMaxNorm", "UnitNorm")},
    **{(f"{layer}{n}D", "padding"): "same" for n in (1, 2, 3) for layer in ("Conv", "MaxPooling", "AveragePooling")},
    **{(f"{layer}Conv{n}D", "padding"): "same" for n in (1, 2) for layer in ("Depthwise", "Separable")},
    **{(f"Conv{n}DTranspose", "padding"): "same" for n in (1, 2, 3)},
    **{(f"Conv{n}DTranspose", "output_padding"): 2 for n in (1, 2, 3)},
    **{(f"ZeroPadding{n}D", "padding"): 2 for n in (1, 2, 3)},
    **{(f"{kind}{cell}", "activation"): "softsign" for kind in ("SimpleRNN", "LSTM", "GRU") for cell in ("", "Cell")},
    ("UpSampling2D", "interpolation"): "bilinear",
    ("Upsample", "mode"): "nearest",
    **dict.fromkeys((("Upsample", "align_corners"), ("Upsample", "recompute_scale_factor")), True),
    **{(f"Up{kind}", "size"): 5 for kind in ("sample", "samplingNearest2d", "samplingBilinear2d")},
    **{(f"Up{kind}", "scale_factor"): 3.0 for kind in ("sample", "samplingNearest2d", "samplingBilinear2d")},
}
UNKEPT = frozenset({"name", "inplace", "size_average", "reduce", "device", "dtype", "return_indices", "_weight", "_freeze"})
"""Arguments that are no settings of what an object does."""


def other(cls: type, name: str, value: Any) -> Any:
    """Another value of an argument."""
    if (cls.__name__, name) in OTHER_OF:
        return OTHER_OF[cls.__name__, name]
    if isinstance(value, bool):
        return not value
    if name in OTHER:
        return OTHER[name]
    assert isinstance(value, int | float), f"the test needs another value of {cls.__name__}.{name}"
    return value + 0.125 if isinstance(value, float) else value + 1


def base_of(cls: type) -> dict[str, Any]:
    """Return the arguments with which a class is made. The key is its name in files, since two classes may have the same name."""
    return BASE.get(vars(cls).get("_saved_as", cls.__name__), {})


def arguments(cls: type) -> dict[str, Any]:
    base = base_of(cls)
    own = {p.name: base.get(p.name, p.default) for p in inspect.signature(cls).parameters.values() if p.kind != p.VAR_POSITIONAL}
    return {name: value for name, value in own.items() if name not in UNKEPT}


def joined(results: Any) -> Any:
    """Return all numbers of several Tensors."""
    return fastnn.concatenate([t.reshape(-1) for t in flatten(results)[1]])


def layer_does(layer: Any) -> list[Any]:
    """What a layer computes in training and evaluation, eager and recorded, and what its repr and config say."""
    fastnn.seed(3)
    recurrent = isinstance(layer, Cell | Recurrent | RNNBase | RNNCellBase)
    several = isinstance(layer, nn.Add | nn.Concatenate | nn.Dot | nn.Subtract)
    x: Any = [fastnn.tensor(X), fastnn.tensor(X[::-1])] if several else fastnn.tensor(np.stack([X, -X], 1))
    name = type(layer).__name__
    if axes := getattr(layer, "_axes", 0) or (int(name[-2]) if name.startswith("BatchNorm") and name.endswith("d") else 0):
        shape = (2, 4, *(8,) * axes) if name.endswith("d") else (2, *(8,) * axes, 4)
        x = fastnn.tensor(np.random.default_rng(2).standard_normal(shape).astype(np.float32))
    elif name.startswith("Pixel"):
        x = fastnn.tensor(np.random.default_rng(2).standard_normal((2, 36, 6, 6)).astype(np.float32))
    elif "Embedding" in name and name != "PositionEmbedding":
        x = fastnn.tensor([[0, 1, 1], [3, 1, 4]])
    elif name == "GroupNorm":
        x = fastnn.tensor(np.random.default_rng(2).standard_normal((2, 4, 3)).astype(np.float32))
    does: Callable[[Any], Any] = layer
    if isinstance(layer, nn.MixUp):
        does = lambda x: fastnn.concatenate(layer(x, -x))  # noqa: E731
    elif isinstance(layer, nn.MultiheadAttention):
        does = lambda x: layer(x, x, x)[0]  # noqa: E731
    elif isinstance(layer, nn.Attention | nn.AdditiveAttention):
        does = lambda x: layer([x, x])  # noqa: E731
    elif isinstance(layer, nn.MultiHeadAttention | nn.GroupedQueryAttention):
        does = lambda x: layer(x, x)  # noqa: E731
    elif isinstance(layer, nn.TransformerDecoderLayer | nn.Transformer):
        does = lambda x: layer(x, -x)  # noqa: E731
    elif recurrent:
        cell = isinstance(layer, Cell)
        x = x[:, 0] if isinstance(layer, RNNCellBase) else x
        does = lambda x: joined(layer(x[:, 0], layer.get_initial_state(len(x))) if cell else layer(x))  # noqa: E731
    results = []
    for _ in range(2):
        for mode in (True, False):
            layer.train(mode)
            results.append(does(x).numpy())
    if not several:
        captured = fastnn.capture(lambda x: does(x).detach())
        results += [captured(x).numpy() for _ in range(3)]
    if isinstance(layer, nn.ReversibleEmbedding):
        results.append(layer(X[:, :4], reverse=True).numpy())
    layer.apply_constraints()
    return [*results, *[p.item() for p in layer.losses], *layer.get_weights(), repr(layer), layer.get_config()]


def loss_does(loss: Any) -> list[Any]:
    if isinstance(loss, nn.CTCLoss | fastnn.losses.CTC):
        x = fastnn.tensor(np.stack([X, -X], 1))
        if isinstance(loss, nn.CTCLoss):  # the second sample has too few steps for its labels
            return [loss(fastnn.log_softmax(x), [[2, 3], [3, 3]], [6, 2], [2, 2]).numpy(), repr(loss), loss.get_config()]
        return [loss([[1, 2], [3, 0]], x.transpose((1, 0, 2))).numpy(), loss.get_config()]
    probabilities = fastnn.softmax(fastnn.tensor(X)).detach()
    classes = isinstance(
        loss, nn.CrossEntropyLoss | nn.NLLLoss | nn.MultiMarginLoss | fastnn.losses.SparseCategoricalCrossentropy
    )
    x = fastnn.tensor(probabilities.numpy(), requires_grad=True)
    if isinstance(loss, PairLoss):
        t = [1.0, -1.0] * 3 if isinstance(loss, nn.CosineEmbeddingLoss) else np.tile([1.0, -1.0], (6, 2))
        return [loss(x, X, t).numpy(), repr(loss), loss.get_config()]
    t = np.arange(6) % 4 if classes else np.tile([[1.0, 0.0, 1.0, 0.0]], (6, 1))
    if isinstance(loss, fastnn.losses.GaussianNLL):
        t = t[:, :2]
    value = loss(x, t) if isinstance(loss, TorchLoss) else loss(t, x)
    value.sum().backward()
    return [value.numpy(), x.grad.numpy(), loss.get_config()]


def schedule_does(schedule: Any) -> list[Any]:
    return [schedule(np.arange(12)), schedule.get_config()]


def regularizer_does(rule: Any) -> list[Any]:
    return [rule(fastnn.tensor(X)).numpy(), rule.get_config()]


def constraint_does(rule: Any) -> list[Any]:
    p = nn.Parameter(X.copy())
    rule(p)
    return [p.numpy(), rule.get_config()]


def initializer_does(make: Any) -> list[Any]:
    return [make((4, 4), np.float32, np.random.default_rng(1)), make.get_config()]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return bool(a == b)


_classes = [getattr(nn, name) for name in nn.__all__]
_modules = [c for c in _classes if isinstance(c, type) and issubclass(c, nn.Module)]
_containers = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Model, nn.Residual, nn.Module)
_containers += (nn.StackedRNNCells, nn.Bidirectional, nn.TimeDistributed)
_containers += (nn.TransformerEncoder, nn.TransformerDecoder)
LAYERS = [c for c in _modules if not issubclass(c, TorchLoss) and c not in _containers]
LAYERS += [keras_embedding.Embedding, keras_activation.ReLU, keras_activation.LeakyReLU, keras_activation.PReLU]
LAYERS += [fastnn.LSTM, fastnn.GRU, fastnn.LSTMCell, fastnn.GRUCell]
LOSSES = [c for c in _modules if issubclass(c, TorchLoss) and c is not nn.LinearCrossEntropyLoss]

KINDS: list[tuple[list[Any], Callable[[Any], list[Any]]]] = [
    (LAYERS, layer_does),
    (LOSSES, loss_does),
    ([*fastnn.losses.LOSSES.values()], loss_does),
    ([*fastnn.schedules.SCHEDULES.values()], schedule_does),
    ([fastnn.regularizers.L1, fastnn.regularizers.L1L2, fastnn.regularizers.OrthogonalRegularizer], regularizer_does),
    ([fastnn.constraints.MaxNorm, fastnn.constraints.MinMaxNorm, fastnn.constraints.UnitNorm], constraint_does),
    ([*INITIALIZERS.values()], initializer_does),
]
CASES = [(cls, name, does) for classes, does in KINDS for cls in classes for name in arguments(cls)]


@pytest.mark.parametrize(
    ("cls", "name", "does"), CASES, ids=[f"{c.__module__.split('.')[1]}-{c.__name__}-{n}" for c, n, _ in CASES]
)
def test_a_setting_takes_effect_or_is_refused(cls: type, name: str, does: Callable[[Any], list[Any]]) -> None:
    def make(**settings: Any) -> Any:
        fastnn.seed(0)
        return cls(**{**base_of(cls), **settings})

    value, changed = other(cls, name, arguments(cls)[name]), make()
    before = does(make())
    try:
        setattr(changed, name, value)
    except (AttributeError, TypeError) as error:
        assert cls.__name__ in str(error) and name in str(error)
        assert same(does(changed), before)
        return
    got = does(changed)
    assert same(got, does(make(**{name: value})))
    assert not same(got, before)
    try:
        make(**{name: object()})
    except (ValueError, TypeError):  # what the constructor refuses is refused, and nothing is changed by it
        changed = make(**{name: value})
        with pytest.raises((ValueError, TypeError)):
            setattr(changed, name, object())
        assert same(does(changed), got)


@pytest.mark.parametrize(
    ("thing", "name", "take"),
    [
        (nn.ELU(), "activation", "Activation"),
        (fastnn.initializers.GlorotUniform(), "scale", "VarianceScaling"),
        (fastnn.constraints.UnitNorm(), "max_value", "MinMaxNorm"),
        (fastnn.regularizers.L1(), "l2", "L1L2"),
    ],
)
def test_what_a_class_stands_for_is_fixed(thing: Any, name: str, take: str) -> None:
    with pytest.raises(AttributeError, match=f"{type(thing).__name__}: {name} is fixed.*{take}"):
        setattr(thing, name, 0.5)


@pytest.mark.parametrize(
    ("layer", "name", "meant", "value"),
    [
        (nn.LeakyReLU(), "alpha", "negative_slope", 0.5),
        (fastnn.LeakyReLU(), "alpha", "negative_slope", 0.5),
        (nn.Softmax(), "dim", "axis", 0),
        (nn.GLU(), "dim", "axis", 0),
        (fastnn.Dropout(), "p", "rate", 0.25),
    ],
)
def test_other_names_of_settings(layer: Any, name: str, meant: str, value: Any) -> None:
    setattr(layer, name, value)
    assert getattr(layer, name) == getattr(layer, meant) == layer.get_config()[meant] == value


def test_attributes_of_ones_own_are_free() -> None:
    class Scaled(fastnn.losses.Huber):
        def __init__(self, scale: float) -> None:
            super().__init__(delta=1.0)
            self.scale = scale
            self.delta = 2.0

    loss, layer = Scaled(3.0), nn.ELU()
    loss.scale, layer.mark = 4.0, "mine"
    assert loss.delta == 2.0 and loss.scale == 4.0 and layer.mark == "mine"
    assert loss([[0.0]], fastnn.tensor([[4.0]])).item() == fastnn.losses.Huber(2.0)([[0.0]], fastnn.tensor([[4.0]])).item()


# ---- in training ----


@pytest.mark.parametrize("name", ["size_average", "reduce"])
def test_older_arguments_of_losses_are_no_attributes(name: str) -> None:
    with pytest.raises(AttributeError, match="set reduction"):
        setattr(nn.MSELoss(), name, False)
