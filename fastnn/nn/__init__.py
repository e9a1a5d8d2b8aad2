"""Layers and losses: the names of `fastnn`, and PyTorch's."""

from ..core.lazy import lazily as _lazily
from . import absent as _absent

_NAMES = {
    ".": "functional init utils",
    "..losses.torch.classes": "CrossEntropyLoss LinearCrossEntropyLoss MultiMarginLoss NLLLoss",
    "..losses.torch.ctc": "CTCLoss",
    "..losses.torch.pairs": "CosineEmbeddingLoss GaussianNLLLoss MarginRankingLoss TripletMarginLoss",
    "..losses.torch.pointwise": (
        "BCELoss BCEWithLogitsLoss HingeEmbeddingLoss HuberLoss KLDivLoss L1Loss MSELoss MultiLabelSoftMarginLoss "
        "PoissonNLLLoss SmoothL1Loss SoftMarginLoss"
    ),
    ".graph.container": "ModuleDict ModuleList",
    ".graph.model": "Model",
    ".graph.parameters": "ParameterDict ParameterList",
    ".graph.sequential": "Sequential",
    ".graph.symbolic": "Input Symbol",
    ".layers.activation": (
        "Activation CELU ELU GEGLU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Maxout "
        "Mish ReGLU ReLU ReLU6 SELU SiLU Sigmoid Sine Softmax Softmin Softplus Softshrink Softsign Sparsemax SwiGLU Tanh "
        "Tanhshrink Threshold"
    ),
    ".layers.attention": "GroupQueryAttention=GroupedQueryAttention GroupedQueryAttention MultiHeadAttention",
    ".layers.augmentation": "RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom",
    ".layers.color_augmentation": "RandomBrightness RandomContrast RandomErasing",
    ".layers.channel_dropout": "Dropout1d Dropout2d Dropout3d SpatialDropout1D SpatialDropout2D SpatialDropout3D",
    ".layers.convolution": "Conv1D Conv2D Conv3D",
    ".layers.dense": "Dense Linear",
    ".layers.distances": "CosineSimilarity PairwiseDistance",
    ".layers.embedding": "ReversibleEmbedding",
    ".layers.positions": "PositionEmbedding SinusoidalPositions",
    ".layers.torch_embedding": "Embedding EmbeddingBag",
    ".layers.merge": "Add Average Concatenate Dot Maximum Minimum Multiply Residual Subtract",
    ".layers.masking": "Masking",
    ".layers.mixup": "MixUp",
    ".layers.normalization": "BatchNormalization",
    ".layers.separable_convolution": "DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D",
    ".layers.sample_normalization": "GroupNormalization LayerNormalization RMSNormalization",
    ".layers.padding": "Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D ZeroPadding3D",
    ".layers.pooling": (
        "AveragePooling1D AveragePooling2D AveragePooling3D GlobalAveragePooling1D GlobalAveragePooling2D "
        "GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D MaxPooling1D MaxPooling2D "
        "MaxPooling3D"
    ),
    ".layers.preprocessing": "Normalization Rescaling",
    ".layers.quantiles": "PiecewiseLinearEmbedding QuantileNormalization",
    ".layers.prelu": "PReLU",
    ".layers.random": "AlphaDropout Dropout GaussianDropout GaussianNoise",
    ".layers.regularization": "ActivityRegularization",
    ".layers.recurrent": "SimpleRNN",
    ".layers.recurrent_cells": "SimpleRNNCell",
    ".layers.recurrent_stack": "StackedRNNCells",
    ".layers.recurrent_wrappers": "Bidirectional TimeDistributed",
    ".layers.resizing": "UpSampling1D UpSampling2D UpSampling3D",
    ".layers.single_attention": "AdditiveAttention Attention",
    ".layers.shape": "Flatten Identity Permute RepeatVector Reshape Unflatten",
    ".layers.torch_attention": "MultiheadAttention",
    ".layers.torch_convolution": "Conv1d Conv2d Conv3d",
    ".layers.torch_recurrent": "GRU LSTM RNN",
    ".layers.torch_recurrent_cells": "GRUCell LSTMCell RNNCell",
    ".layers.torch_resizing": "PixelShuffle PixelUnshuffle Upsample UpsamplingBilinear2d UpsamplingNearest2d",
    ".layers.transposed_convolution": "Conv1DTranspose Conv2DTranspose Conv3DTranspose",
    ".layers.torch_transposed_convolution": "ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    ".layers.torch_instance_normalization": "InstanceNorm1d InstanceNorm2d InstanceNorm3d",
    ".layers.torch_normalization": "BatchNorm1d BatchNorm2d BatchNorm3d GroupNorm LayerNorm RMSNorm",
    ".layers.torch_padding": (
        "CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d ReflectionPad2d "
        "ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d ZeroPad3d"
    ),
    ".layers.torch_pooling": (
        "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d AvgPool1d "
        "AvgPool2d AvgPool3d MaxPool1d MaxPool2d MaxPool3d"
    ),
    ".layers.torch_transformer": "TransformerDecoderLayer TransformerEncoderLayer",
    ".layers.torch_transformer_stacks": "Transformer TransformerDecoder TransformerEncoder",
    ".module": "Layer=Module Module",
    ".parameter": "Parameter",
    ".parameter_view": "ParameterView",
    ".spec": "InputSpec",
}

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES, absent=_absent.LAYERS)
