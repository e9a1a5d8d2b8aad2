"""Arguments with which classes are made, and other values of them, for the tests of attributes."""

import inspect
from typing import Any

import numpy as np

import fastnn
import fastnn.nn as nn

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
    "PiecewiseLinearEmbedding": {"units": 3, "bins": 4, "input_shape": (4,)},
    "QuantileNormalization": {"quantiles": 8, "input_shape": (4,)},
    "Permute": {"dims": (1, 2)},
    "RepeatVector": {"n": 3},
    "Unflatten": {"dim": 2, "unflattened_size": (2, 2)},
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
    ("QuantileNormalization", "output"): "uniform",
    **{(name, "axis"): 1 for name in ("Dice", "Tversky")},
    ("PositionEmbedding", "input_shape"): (2, 5),
    ("EmbeddingBag", "mode"): "sum",
    ("MultiMarginLoss", "p"): 2,
    ("CosineSimilarity", "eps"): 5.0,
    ("PairwiseDistance", "p"): 1.0,
    ("Unflatten", "dim"): -1,
    ("Unflatten", "unflattened_size"): (4, 1),
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
    ("RepeatVector", "n"): 2,
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
    """Return another value of an argument."""
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
    """Return the arguments of a class that are settings, with the values with which it is made."""
    base = base_of(cls)
    own = {p.name: base.get(p.name, p.default) for p in inspect.signature(cls).parameters.values() if p.kind != p.VAR_POSITIONAL}
    return {name: value for name, value in own.items() if name not in UNKEPT}
