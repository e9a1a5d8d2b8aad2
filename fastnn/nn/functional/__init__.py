"""Functions with the names and arguments of `torch.nn.functional`, made of fastnn's operations, layers and losses.

An argument ``inplace`` is accepted and has no effect: the result is always a new Tensor.

>>> import fastnn
>>> import fastnn.nn.functional as F
>>> F.softmax(F.relu(fastnn.tensor([[-1.0, 0.0]])), dim=1).tolist()
[[0.5, 0.5]]
"""

from __future__ import annotations

from ...core.lazy import lazily as _lazily
from .. import absent as _absent

_NAMES = {
    "...ops.activation": "gelu glu hardshrink=hard_shrink log_softmax logsigmoid=log_sigmoid prelu sigmoid softmax softmin "
    "softshrink=soft_shrink softsign tanh tanhshrink=tanh_shrink",
    "...ops.attention": "scaled_dot_product_attention",
    "...ops.matrices": "cosine_similarity",
    ".activation": (
        "celu elu gumbel_softmax hardsigmoid hardswish hardtanh leaky_relu mish relu relu6 selu silu softplus threshold"
    ),
    ".image": (
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d "
        "avg_pool1d avg_pool2d avg_pool3d conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d interpolate "
        "max_pool1d max_pool2d max_pool3d pad pixel_shuffle pixel_unshuffle upsample=interpolate"
    ),
    ".layer": (
        "alpha_dropout batch_norm dropout dropout1d dropout2d dropout3d embedding group_norm layer_norm linear normalize one_hot "
        "pairwise_distance rms_norm"
    ),
    ".loss": (
        "binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy gaussian_nll_loss "
        "hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss mse_loss multi_margin_loss "
        "multilabel_margin_loss nll_loss poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss"
    ),
    ".patches": "bilinear fold rrelu unfold",
}

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES, absent=_absent.FUNCTIONS)
