"""Names of PyTorch that fastnn lacks, with what to do instead, for errors."""

from __future__ import annotations

_LAZY = "layers with Keras's names take their sizes from the first call"
_UNPOOL = "use ConvTranspose2d or Upsample"
_POOL = "use AvgPool2d of x ** p, and the power 1 / p of the result"

LAYERS = {
    **dict.fromkeys(
        ("AdaptiveLogSoftmaxWithLoss", "NLLLoss2d"), "use CrossEntropyLoss, or LinearCrossEntropyLoss for many classes"
    ),
    **{f"LazyConv{n}": f"{_LAZY}: fastnn.Conv{n.upper()}" for n in ("1d", "2d", "3d")},
    **{f"LazyConvTranspose{n}": f"{_LAZY}: fastnn.Conv{n.upper()}Transpose" for n in ("1d", "2d", "3d")},
    **{f"LazyBatchNorm{n}": f"{_LAZY}: fastnn.BatchNormalization" for n in ("1d", "2d", "3d")},
    **{
        f"LazyInstanceNorm{n}": f"use InstanceNorm{n}, whose number of channels is its first argument" for n in ("1d", "2d", "3d")
    },
    "LazyLinear": f"{_LAZY}: fastnn.Dense",
    **dict.fromkeys(("MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"), _UNPOOL),
    **dict.fromkeys(("LPPool1d", "LPPool2d", "LPPool3d", "FractionalMaxPool2d", "FractionalMaxPool3d"), _POOL),
    "Bilinear": "use functional.bilinear with Parameters of a module of your own",
    "ChannelShuffle": "reshape, transpose and reshape the channels",
    "CrossMapLRN2d": "use GroupNorm or BatchNorm2d",
    "DataParallel": "fastnn trains on one device",
    "Fold": "use functional.fold",
    "LocalResponseNorm": "use GroupNorm or BatchNorm2d",
    "MultiLabelMarginLoss": "use functional.multilabel_margin_loss, or MultiLabelSoftMarginLoss",
    "RReLU": "use functional.rrelu, or LeakyReLU",
    "Softmax2d": "use Softmax(dim=-3)",
    "SyncBatchNorm": "use BatchNorm2d: fastnn trains on one device",
    "TripletMarginWithDistanceLoss": "use TripletMarginLoss, or write the formula with the functions of fastnn",
    "UninitializedParameter": _LAZY,
    "Unfold": "use functional.unfold",
    "parallel": "fastnn trains on one device",
    "quantized": "fastnn has no quantization",
}
FUNCTIONS = {
    "affine_grid": "RandomRotation, RandomZoom and RandomTranslation move pictures",
    "channel_shuffle": "reshape, transpose and reshape the channels",
    "ctc_loss": "use fastnn.nn.CTCLoss",
    "embedding_bag": "use fastnn.nn.EmbeddingBag",
    "grid_sample": "use interpolate to resize pictures; RandomRotation, RandomZoom and RandomTranslation move them",
    "instance_norm": "use fastnn.nn.InstanceNorm2d, or group_norm with a group for each channel",
    "local_response_norm": "use group_norm or batch_norm",
    "lp_pool2d": _POOL,
    "max_unpool2d": _UNPOOL,
    "multi_head_attention_forward": "use scaled_dot_product_attention or fastnn.nn.MultiheadAttention",
    "pdist": "use fastnn.cdist(x, x) and the elements above the diagonal",
}
_RULE = (
    "use a constraint of the weights: fastnn.Dense(8, kernel_constraint=fastnn.constraints.{}), which is applied after each step"
)
UTILS = {
    **dict.fromkeys(("spectral_norm", "remove_spectral_norm"), _RULE.format("UnitNorm()")),
    **dict.fromkeys(("weight_norm", "remove_weight_norm"), _RULE.format("UnitNorm()")),
    "clip_grad_norm": "it is clip_grad_norm_",
    "parametrizations": _RULE.format("UnitNorm()"),
    "parametrize": _RULE.format("UnitNorm()"),
    "prune": "set weights to 0 under fastnn.no_grad, again after each step",
}
OPTIMIZERS = {
    "ASGD": "use SGD with use_ema=True, which keeps an average of the weights, or AdamWScheduleFree",
    "Adafactor": "use Adam or AdamW",
    "Ftrl": "use Adagrad",
    "Lamb": "use AdamW with global_clipnorm",
    "Rprop": "use LBFGS for whole batches, or RMSprop",
    "swa_utils": "optimizers have averages of the weights: use_ema=True",
}
