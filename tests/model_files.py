"""Models with every layer, and files of models with any header, which tests share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastnn
import fastnn.nn as nn
from fastnn.files import tensors


def write(path: Path, values: dict[str, Any], header: dict[str, Any]) -> None:
    tensors.save(path, values, {"format": "fastnn", "architecture": json.dumps(header)}, "save")


def every_layer() -> fastnn.Sequential:
    return fastnn.Sequential(
        [
            fastnn.Flatten(input_shape=(2, 2)),
            fastnn.Dense(5, activation="leaky_relu", kernel_initializer=fastnn.initializers.HeNormal(), bias_initializer="ones"),
            *(fastnn.Dropout(0.25), fastnn.AlphaDropout(0.1, seed=1), fastnn.GaussianDropout(0.2), fastnn.GaussianNoise(0.5)),
            fastnn.ActivityRegularization(l1=0.1, l2=0.2),
            nn.Linear(5, 6, bias=False),
            *(nn.ReLU(), nn.LeakyReLU(0.3), nn.Sigmoid(), nn.Tanh(), nn.GELU("tanh"), nn.Softmax(), nn.LogSoftmax()),
            *(nn.ReLU6(), nn.ELU(0.5), nn.SELU(), nn.CELU(0.5), nn.SiLU(), nn.Mish(), nn.Hardswish(), nn.Hardsigmoid()),
            *(nn.LogSigmoid(), nn.Hardtanh(-2, 3), nn.Tanhshrink(), nn.Softshrink(0.1), nn.Hardshrink(0.1), nn.Softplus(2.0)),
            *(nn.Softsign(), nn.Threshold(0.1, 0.2), nn.Sine(2.0), nn.PReLU(6), nn.Softmin(), nn.Sparsemax()),
            fastnn.Dense(64, activation=nn.ELU(0.5)),
            *(nn.GLU(), nn.SwiGLU(), nn.GEGLU(), nn.ReGLU(), nn.GLU(activation="linear"), nn.Maxout(2)),
            *(fastnn.ReLU(6.0, 0.1, 0.2), fastnn.LeakyReLU(), fastnn.PReLU("ones")),
            fastnn.Activation("gelu"),
            fastnn.Sequential([fastnn.Dense(3, use_bias=False, kernel_constraint="max_norm", activity_regularizer="l1")]),
            fastnn.Dense(
                2,
                kernel_regularizer=fastnn.regularizers.OrthogonalRegularizer(0.1, "columns"),
                bias_regularizer="l1_l2",
                kernel_constraint=fastnn.constraints.MinMaxNorm(0.5, 1.5, 0.5, axis=[0, 1]),
                bias_constraint="non_neg",
            ),
        ]
    )


def a_graph() -> fastnn.Model:
    a, b = fastnn.Input((4,), name="a"), fastnn.Input((4,), name="b")
    layer = fastnn.Dense(4)
    merges = [fastnn.Add(), fastnn.Subtract(), fastnn.Multiply(), fastnn.Average(), fastnn.Maximum(), fastnn.Minimum()]
    parts = [merge([layer(a), layer(b)]) for merge in (*merges, fastnn.Concatenate(), fastnn.Dot(normalize=True))]
    parts.append(nn.PairwiseDistance(1, keepdim=True)(layer(a), layer(b)))
    parts.append(nn.CosineSimilarity()(*(nn.Unflatten(1, (2, 2))(x) for x in (a, b))))
    mixed = fastnn.MixUp()(a, b)
    inner = fastnn.Model((a, b), {"sum": a + b, "part": a[:, 1:3]})
    both = inner((a * 2, 1 - b))
    return fastnn.Model([a, b], [fastnn.Concatenate()([*parts, *mixed, both["sum"], both["part"]]), fastnn.Residual(layer)(a)])


def every_layer_of_images() -> fastnn.Model:
    """A graph of an input with one axis, one with two and one with three, through Keras's layers and PyTorch's."""
    inputs, outputs = [], []
    for n in (1, 2, 3):
        keras = {name: getattr(fastnn, f"{name}{n}D") for name in ("Conv", "MaxPooling", "AveragePooling")}
        torch = {name: getattr(nn, f"{name}{n}d") for name in ("Conv", "MaxPool", "AvgPool", "AdaptiveAvgPool")}
        y = x = fastnn.Input((*(9, 8, 7)[:n], 2))
        if n == 2:
            for layer in (
                *(fastnn.RandomFlip("vertical"), fastnn.RandomTranslation(0.1, (0, 0.2)), fastnn.RandomRotation(0.1, "wrap")),
                *(fastnn.RandomZoom(0.1, fill_value=0.5), fastnn.RandomCrop(9, 8, padding=1), fastnn.RandomBrightness(0.1)),
                *(fastnn.RandomContrast(0.1, seed=1), fastnn.RandomErasing(fill_value=(0.5, 1.0))),
            ):
                y = layer(y)
        y = keras["Conv"](4, 3, padding="same", activation="relu", groups=2, kernel_constraint="max_norm")(y)
        y = keras["AveragePooling"](3, 1, "same")(keras["MaxPooling"](2, padding="same")(y))
        for norm in (
            fastnn.BatchNormalization(),
            fastnn.LayerNormalization(),
            fastnn.RMSNormalization(),
            fastnn.GroupNormalization(2),
        ):
            y = norm(y)
        y = fastnn.Identity()(y)
        y = fastnn.Reshape((-1, 4))(y) if n == 1 else fastnn.Permute((2, 1, 3))(y) if n == 2 else y
        first = fastnn.Input((2, *(9, 8, 7)[:n]))
        z = torch["Conv"](2, 3, 3, padding=1, dilation=1)(first)
        z = nn.GroupNorm(3, 3)(getattr(nn, f"BatchNorm{n}d")(3)(z))
        z = torch["AdaptiveAvgPool"](2)(torch["AvgPool"](2, 1)(torch["MaxPool"](3, stride=2, padding=1)(z)))
        pools = [getattr(fastnn, f"Global{kind}Pooling{n}D") for kind in ("Max", "Average")]
        inputs += [x, first]
        outputs += [
            fastnn.Concatenate()(
                [*(pool()(y) for pool in pools), nn.RMSNorm(3 * 2**n)(nn.LayerNorm(3 * 2**n)(fastnn.Flatten()(z)))]
            )
        ]
    return fastnn.Model(inputs, outputs)


def more_layers_of_images() -> fastnn.Model:
    """A graph of inputs with one, two and three axes through the layers that one net would not have together."""
    inputs, outputs = [], []
    for n in (1, 2, 3):
        x, first = fastnn.Input((*(5, 4, 3)[:n], 2)), fastnn.Input((2, *(5, 4, 3)[:n]))
        keras: list[Any] = [getattr(fastnn, f"Conv{n}DTranspose")(2, 2, strides=2), getattr(fastnn, f"SpatialDropout{n}D")(0.25)]
        keras += [getattr(fastnn, f"ZeroPadding{n}D")(1), getattr(fastnn, f"Cropping{n}D")(1)]
        if n < 3:
            keras += [
                getattr(fastnn, f"DepthwiseConv{n}D")(2),
                getattr(fastnn, f"SeparableConv{n}D")(3, 2, bias_constraint="non_neg"),
            ]
        keras += [fastnn.Rescaling(0.5, 1.0), fastnn.Normalization(), fastnn.Normalization(mean=1.0, variance=[2.0, 3.0])]
        torch: list[Any] = [getattr(nn, f"ConvTranspose{n}d")(2, 2, 2, 2), getattr(nn, f"Dropout{n}d")(0.25)]
        torch += [getattr(nn, f"InstanceNorm{n}d")(2, track_running_stats=True), getattr(nn, f"AdaptiveMaxPool{n}d")(2)]
        pads = [getattr(nn, f"{mode}Pad{n}d")(1) for mode in ("Zero", "Reflection", "Replication", "Circular")]
        torch += [*pads, getattr(nn, f"ConstantPad{n}d")(1, 0.5), nn.Upsample(scale_factor=1.5, mode="nearest-exact")]
        keras.append(getattr(fastnn, f"UpSampling{n}D")(2))
        if n == 2:
            torch += [nn.PixelUnshuffle(1), nn.PixelShuffle(1), nn.UpsamplingNearest2d(3), nn.UpsamplingBilinear2d(3)]
        inputs += [x, first]
        flat = [fastnn.Flatten()(layer(a)) for a, layers in ((x, keras), (first, torch)) for layer in layers]
        outputs.append(fastnn.Concatenate()(flat))
    return fastnn.Model(inputs, outputs)


@fastnn.register(package="model_files")
def shifted(x: Any, by: float) -> Any:
    """Return x + by."""
    return x + by


def every_layer_of_sequences() -> fastnn.Model:
    """A graph of whole numbers through the layers that look up rows, and one of series, with Keras's names and PyTorch's."""
    x, series = fastnn.Input((3,), dtype="int64"), fastnn.Input((4, 3))
    tables = [fastnn.Embedding(5, 4, embeddings_constraint="non_neg"), nn.Embedding(5, 4, padding_idx=1, max_norm=2.0)]
    y = fastnn.Masking(0.5)(series)
    y = fastnn.SimpleRNN(4, "relu", recurrent_constraint="non_neg", return_sequences=True)(y)
    y = fastnn.Bidirectional(fastnn.LSTM(3, dropout=0.1, stateful=True, return_sequences=True), "ave")(y)
    y = fastnn.RNN([fastnn.GRUCell(3, reset_after=False), fastnn.SimpleRNNCell(3), fastnn.LSTMCell(2)], return_sequences=True)(y)
    y = fastnn.TimeDistributed(fastnn.Dense(3))(fastnn.GRU(3, go_backwards=True, return_sequences=True)(y))
    tables = fastnn.Concatenate()([table(x) for table in (*tables, fastnn.ReversibleEmbedding(5, 4))])
    tables = fastnn.SinusoidalPositions()(fastnn.PositionEmbedding(3)(tables))
    z = nn.TransformerEncoderLayer(3, 1, 5, batch_first=True)(series)
    z = nn.TransformerDecoderLayer(3, 3, 5, activation="gelu", batch_first=True)(z, series)
    z = nn.TransformerEncoder(nn.TransformerEncoderLayer(3, 1, 5, batch_first=True), 2, nn.LayerNorm(3))(z)
    z = nn.Transformer(3, 1, 1, 1, 5, batch_first=True)(z, series)
    z = fastnn.GroupedQueryAttention(2, 4, 2)(fastnn.MultiHeadAttention(2, 3, kernel_constraint="max_norm")(z, series), z)
    z = fastnn.AdditiveAttention()([fastnn.Attention(use_scale=True)([z, z]), z])
    y = fastnn.RepeatVector(2)(fastnn.GlobalAveragePooling1D()(y))
    z = fastnn.keras.layers.Lambda(shifted, arguments={"by": 0.5})(fastnn.keras.ops.maximum(z, -5.0))
    row = fastnn.PiecewiseLinearEmbedding(2, 3, "relu")(fastnn.QuantileNormalization(8)(fastnn.Flatten()(series)))
    return fastnn.Model([x, series], [tables, y, z, row, nn.EmbeddingBag(5, 4, mode="sum")(x)])


def every_model() -> list[Any]:
    """The models of `fastnn.models`."""
    sizes = {"context": 6, "width": 4, "layers": 1, "heads": 2}
    gpt = fastnn.models.GPT(5, **sizes, kv_heads=1, positions="rotary", tied=False, dropout=0.5)
    encoder = fastnn.models.TextEncoder(5, **sizes, classes=2, padding=0, positions="alibi", feed_forward="swiglu")
    return [gpt, encoder, fastnn.models.EncoderDecoder(5, 4, **sizes, norm="rms", norm_first=False)]


def every_table_model() -> list[Any]:
    """The models of `fastnn.models` for tables."""
    sizes = {"width": 6, "depth": 2, "dropout": 0.25}
    return [fastnn.models.TabM(4, 2, k=3, **sizes), fastnn.models.TabularResidual(4, 2, residual_dropout=0.1, **sizes)]
