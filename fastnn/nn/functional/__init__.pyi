# Written by scripts/stubs.

from ...ops.activation import gelu as gelu
from ...ops.activation import glu as glu
from ...ops.activation import hard_shrink as hardshrink
from ...ops.activation import log_sigmoid as logsigmoid
from ...ops.activation import log_softmax as log_softmax
from ...ops.activation import prelu as prelu
from ...ops.activation import sigmoid as sigmoid
from ...ops.activation import soft_shrink as softshrink
from ...ops.activation import softmax as softmax
from ...ops.activation import softmin as softmin
from ...ops.activation import softsign as softsign
from ...ops.activation import tanh as tanh
from ...ops.activation import tanh_shrink as tanhshrink
from ...ops.attention import scaled_dot_product_attention as scaled_dot_product_attention
from ...ops.matrices import cosine_similarity as cosine_similarity
from .activation import celu as celu
from .activation import elu as elu
from .activation import gumbel_softmax as gumbel_softmax
from .activation import hardsigmoid as hardsigmoid
from .activation import hardswish as hardswish
from .activation import hardtanh as hardtanh
from .activation import leaky_relu as leaky_relu
from .activation import mish as mish
from .activation import relu as relu
from .activation import relu6 as relu6
from .activation import selu as selu
from .activation import silu as silu
from .activation import softplus as softplus
from .activation import threshold as threshold
from .image import adaptive_avg_pool1d as adaptive_avg_pool1d
from .image import adaptive_avg_pool2d as adaptive_avg_pool2d
from .image import adaptive_avg_pool3d as adaptive_avg_pool3d
from .image import adaptive_max_pool1d as adaptive_max_pool1d
from .image import adaptive_max_pool2d as adaptive_max_pool2d
from .image import adaptive_max_pool3d as adaptive_max_pool3d
from .image import avg_pool1d as avg_pool1d
from .image import avg_pool2d as avg_pool2d
from .image import avg_pool3d as avg_pool3d
from .image import conv1d as conv1d
from .image import conv2d as conv2d
from .image import conv3d as conv3d
from .image import conv_transpose1d as conv_transpose1d
from .image import conv_transpose2d as conv_transpose2d
from .image import conv_transpose3d as conv_transpose3d
from .image import interpolate as interpolate
from .image import interpolate as upsample
from .image import max_pool1d as max_pool1d
from .image import max_pool2d as max_pool2d
from .image import max_pool3d as max_pool3d
from .image import pad as pad
from .image import pixel_shuffle as pixel_shuffle
from .image import pixel_unshuffle as pixel_unshuffle
from .layer import alpha_dropout as alpha_dropout
from .layer import batch_norm as batch_norm
from .layer import dropout as dropout
from .layer import dropout1d as dropout1d
from .layer import dropout2d as dropout2d
from .layer import dropout3d as dropout3d
from .layer import embedding as embedding
from .layer import group_norm as group_norm
from .layer import layer_norm as layer_norm
from .layer import linear as linear
from .layer import normalize as normalize
from .layer import one_hot as one_hot
from .layer import pairwise_distance as pairwise_distance
from .layer import rms_norm as rms_norm
from .loss import binary_cross_entropy as binary_cross_entropy
from .loss import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from .loss import cosine_embedding_loss as cosine_embedding_loss
from .loss import cross_entropy as cross_entropy
from .loss import gaussian_nll_loss as gaussian_nll_loss
from .loss import hinge_embedding_loss as hinge_embedding_loss
from .loss import huber_loss as huber_loss
from .loss import kl_div as kl_div
from .loss import l1_loss as l1_loss
from .loss import margin_ranking_loss as margin_ranking_loss
from .loss import mse_loss as mse_loss
from .loss import multi_margin_loss as multi_margin_loss
from .loss import multilabel_margin_loss as multilabel_margin_loss
from .loss import nll_loss as nll_loss
from .loss import poisson_nll_loss as poisson_nll_loss
from .loss import smooth_l1_loss as smooth_l1_loss
from .loss import soft_margin_loss as soft_margin_loss
from .loss import triplet_margin_loss as triplet_margin_loss
from .patches import bilinear as bilinear
from .patches import fold as fold
from .patches import rrelu as rrelu
from .patches import unfold as unfold

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "embedding",
    "fold",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "rrelu",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "triplet_margin_loss",
    "unfold",
    "upsample",
]
