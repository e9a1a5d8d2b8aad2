"""fastnn: small neural networks, fast on the CPU, readable, with the names of Keras and PyTorch."""

from __future__ import annotations

import sys as _sys
from types import ModuleType as _ModuleType
from typing import Any as _Any

from ._version import __version__ as __version__
from .core.lazy import Package as _LazyPackage
from .core.lazy import lazily as _lazily

_NAMES = {
    ".": (
        "autograd callbacks constraints cuda datasets distributed distributions initializers interpret keras linalg losses "
        "metrics models nn ops optim plot regularizers schedules sklearn tables text utils"
    ),
    ".autograd.check": "gradcheck",
    ".autograd.check_second": "gradgradcheck",
    ".autograd.function": "Function",
    ".autograd.gradients": "grad",
    ".autograd.tape": "inference_mode=no_grad is_grad_enabled set_grad_enabled",
    ".autograd.tensor": "Tensor enable_grad no_grad tensor",
    ".backends": "backends get_backend get_num_threads info register_threadpoolctl set_backend set_num_threads use_backend",
    ".core.device": "device",
    ".core.dtypes": (
        "Size bool double dtype finfo float float16 float32 float64 half iinfo int int16 int32 int64 int8 long short uint8"
    ),
    ".core.precision": "autocast",
    ".core.registered": "register",
    ".core.seeding": "Generator manual_seed seed",
    ".files": "load",
    ".files.torch_writing": "save",
    ".files.states": "load_state",
    ".interop.keras_models": "from_keras",
    ".interop.sklearn_mlp": "from_sklearn to_sklearn",
    ".interop.torch_modules": "from_torch",
    ".nn": (
        "Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D "
        "AveragePooling2D AveragePooling3D BatchNormalization Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose "
        "Conv3D Conv3DTranspose Cropping1D Cropping2D Cropping3D Dense DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU "
        "Flatten GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D "
        "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention "
        "GroupedQueryAttention Identity Input InputSpec Layer LayerNormalization Masking MaxPooling1D MaxPooling2D "
        "MaxPooling3D Maximum Minimum MixUp Model Module MultiHeadAttention Multiply Normalization Permute "
        "PiecewiseLinearEmbedding QuantileNormalization RMSNormalization RandomBrightness RandomContrast RandomCrop "
        "RandomErasing RandomFlip RandomRotation RandomTranslation RandomZoom RepeatVector Rescaling Reshape Residual "
        "SeparableConv1D SeparableConv2D Sequential Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D Subtract "
        "UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D"
    ),
    ".nn.layers.embedding": "Embedding ReversibleEmbedding",
    ".nn.layers.recurrent": "GRU LSTM SimpleRNN",
    ".nn.layers.recurrent_cells": "GRUCell LSTMCell SimpleRNNCell",
    ".nn.layers.recurrent_layer": "RNN",
    ".nn.layers.recurrent_stack": "StackedRNNCells",
    ".nn.layers.recurrent_wrappers": "Bidirectional TimeDistributed",
    ".nn.layers.keras_activation": "LeakyReLU PReLU ReLU",
    ".nn.layers.positions": "PositionEmbedding SinusoidalPositions",
    ".ops.activation": (
        "celu elu erf geglu gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid log_softmax maxout "
        "mish prelu quick_gelu reglu relu relu6 relu_squared selu sigmoid silu sine soft_shrink softmax softmin softplus "
        "softsign sparse_plus sparse_sigmoid sparsemax squareplus swiglu tanh tanh_shrink threshold"
    ),
    ".ops.angles": (
        "acos acosh arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan arctan2=atan2 arctanh=atanh asin asinh atan "
        "atan2 atanh hypot"
    ),
    ".ops.arrange": (
        "addmv addr atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors cartesian_prod column_stack "
        "combinations cross diag_embed diagflat dstack fliplr flipud hsplit inner kron ravel result_type rot90 "
        "take_along_dim tensor_split tensordot trapezoid trapz=trapezoid tril_indices triu_indices vander vsplit"
    ),
    ".ops.attention": "attention attention_packed scaled_dot_product_attention",
    ".ops.attention_weights": "attention_weights",
    ".ops.bits": "bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor",
    ".ops.composed": (
        "addcdiv addcmul clamp_max clamp_min cosh cumprod diff exp2 lerp log10 log2 logaddexp nan_to_num scatter sinh std_mean "
        "tan var_mean"
    ),
    ".ops.convert": "FloatTensor LongTensor as_tensor from_numpy get_default_dtype is_floating_point is_tensor t",
    ".ops.create": (
        "arange empty empty_like eye full full_like linspace ones ones_like rand rand_like randint randn randn_like zeros "
        "zeros_like"
    ),
    ".ops.data": "gather one_hot scatter_add take",
    ".ops.dense": "dot ger=outer matmul outer vdot=dot",
    ".ops.division": "fix=trunc floor_divide fmod remainder trunc",
    ".ops.einsum": "einsum",
    ".ops.elementwise": (
        "abs absolute=abs add ceil clamp clip clone cos div divide=div exp expm1 floor log log1p maximum minimum mul "
        "multiply=mul neg negative=neg pow reciprocal round rsqrt sgn=sign sign sin sqrt square sub subtract=sub true_divide=div"
    ),
    ".ops.gamma": "digamma erfinv lgamma",
    ".ops.places": "index_add index_copy index_fill index_put",
    ".linalg": "matrix_exp matrix_power",
    ".ops.factors": "cholesky pinverse=pinv qr",
    ".ops.inverses": "det inverse=inv logdet slogdet",
    ".ops.generation": "sample",
    ".ops.index": "chunk flip index_select repeat_interleave roll split tile unbind",
    ".ops.logic": (
        "eq ge greater=gt greater_equal=ge gt isfinite isinf isnan le less=lt less_equal=le logical_and logical_not logical_or "
        "logical_xor lt masked_fill ne not_equal=ne where"
    ),
    ".ops.matrices": (
        "addmm baddbmm bmm cdist cosine_similarity diag diagonal=diagonals hstack meshgrid mm movedim moveaxis=movedim mv "
        "narrow row_stack=vstack select trace tril triu unflatten vstack"
    ),
    ".ops.numbers": (
        "copysign deg2rad dist e fmax fmin float_power frac heaviside inf isneginf isposinf ldexp logcumsumexp logit nan newaxis "
        "numel pi positive rad2deg rsub signbit sinc xlogy"
    ),
    ".ops.rotary": "rotary rotary_table",
    ".ops.reduce": "all amax amin any argmax argmin cumsum logsumexp max mean min norm prod std sum var",
    ".ops.sampling": "bernoulli multinomial normal randperm",
    ".ops.search": "allclose bincount bucketize count_nonzero equal isclose masked_select nonzero searchsorted unique",
    ".ops.shape": (
        "broadcast_to cat=concatenate concat=concatenate concatenate flatten permute reshape squeeze stack swapaxes=swap_axes "
        "swapdims=swap_axes "
        "transpose unsqueeze"
    ),
    ".ops.sort": "argsort median sort topk",
    ".ops.statistics": (
        "aminmax argwhere corrcoef cov cummax cummin histc isin kthvalue mode msort nanmean nansum quantile unique_consecutive"
    ),
    ".optim.target": "soft_update",
    ".replay.capture": "capture",
    ".tables": "Tabular",
    ".training.data.prefetch": "Prefetch",
    ".training.lr_find": "lr_find",
    ".training.cross_validation": "cross_validate",
    ".training.many": "fit_many",
}


class _Package(_LazyPackage):
    """Gives functions before the modules of their names: `fastnn.backends` is the function."""

    def __setattr__(self, name: str, value: _Any) -> None:
        if name != "backends" or not isinstance(value, _ModuleType):
            super().__setattr__(name, value)


_sys.modules[__name__].__class__ = _Package

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES)
