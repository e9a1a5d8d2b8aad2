# Written by scripts/stubs.

from . import functional as functional
from . import init as init
from . import utils as utils
from ..losses.torch.classes import CrossEntropyLoss as CrossEntropyLoss
from ..losses.torch.classes import LinearCrossEntropyLoss as LinearCrossEntropyLoss
from ..losses.torch.classes import MultiMarginLoss as MultiMarginLoss
from ..losses.torch.classes import NLLLoss as NLLLoss
from ..losses.torch.ctc import CTCLoss as CTCLoss
from ..losses.torch.pairs import CosineEmbeddingLoss as CosineEmbeddingLoss
from ..losses.torch.pairs import GaussianNLLLoss as GaussianNLLLoss
from ..losses.torch.pairs import MarginRankingLoss as MarginRankingLoss
from ..losses.torch.pairs import TripletMarginLoss as TripletMarginLoss
from ..losses.torch.pointwise import BCELoss as BCELoss
from ..losses.torch.pointwise import BCEWithLogitsLoss as BCEWithLogitsLoss
from ..losses.torch.pointwise import HingeEmbeddingLoss as HingeEmbeddingLoss
from ..losses.torch.pointwise import HuberLoss as HuberLoss
from ..losses.torch.pointwise import KLDivLoss as KLDivLoss
from ..losses.torch.pointwise import L1Loss as L1Loss
from ..losses.torch.pointwise import MSELoss as MSELoss
from ..losses.torch.pointwise import MultiLabelSoftMarginLoss as MultiLabelSoftMarginLoss
from ..losses.torch.pointwise import PoissonNLLLoss as PoissonNLLLoss
from ..losses.torch.pointwise import SmoothL1Loss as SmoothL1Loss
from ..losses.torch.pointwise import SoftMarginLoss as SoftMarginLoss
from .graph.container import ModuleDict as ModuleDict
from .graph.container import ModuleList as ModuleList
from .graph.model import Model as Model
from .graph.parameters import ParameterDict as ParameterDict
from .graph.parameters import ParameterList as ParameterList
from .graph.sequential import Sequential as Sequential
from .graph.symbolic import Input as Input
from .graph.symbolic import Symbol as Symbol
from .layers.activation import Activation as Activation
from .layers.activation import CELU as CELU
from .layers.activation import ELU as ELU
from .layers.activation import GEGLU as GEGLU
from .layers.activation import GELU as GELU
from .layers.activation import GLU as GLU
from .layers.activation import Hardshrink as Hardshrink
from .layers.activation import Hardsigmoid as Hardsigmoid
from .layers.activation import Hardswish as Hardswish
from .layers.activation import Hardtanh as Hardtanh
from .layers.activation import LeakyReLU as LeakyReLU
from .layers.activation import LogSigmoid as LogSigmoid
from .layers.activation import LogSoftmax as LogSoftmax
from .layers.activation import Maxout as Maxout
from .layers.activation import Mish as Mish
from .layers.activation import ReGLU as ReGLU
from .layers.activation import ReLU as ReLU
from .layers.activation import ReLU6 as ReLU6
from .layers.activation import SELU as SELU
from .layers.activation import SiLU as SiLU
from .layers.activation import Sigmoid as Sigmoid
from .layers.activation import Sine as Sine
from .layers.activation import Softmax as Softmax
from .layers.activation import Softmin as Softmin
from .layers.activation import Softplus as Softplus
from .layers.activation import Softshrink as Softshrink
from .layers.activation import Softsign as Softsign
from .layers.activation import Sparsemax as Sparsemax
from .layers.activation import SwiGLU as SwiGLU
from .layers.activation import Tanh as Tanh
from .layers.activation import Tanhshrink as Tanhshrink
from .layers.activation import Threshold as Threshold
from .layers.attention import GroupedQueryAttention as GroupQueryAttention
from .layers.attention import GroupedQueryAttention as GroupedQueryAttention
from .layers.attention import MultiHeadAttention as MultiHeadAttention
from .layers.augmentation import RandomCrop as RandomCrop
from .layers.augmentation import RandomFlip as RandomFlip
from .layers.augmentation import RandomRotation as RandomRotation
from .layers.augmentation import RandomTranslation as RandomTranslation
from .layers.augmentation import RandomZoom as RandomZoom
from .layers.channel_dropout import Dropout1d as Dropout1d
from .layers.channel_dropout import Dropout2d as Dropout2d
from .layers.channel_dropout import Dropout3d as Dropout3d
from .layers.channel_dropout import SpatialDropout1D as SpatialDropout1D
from .layers.channel_dropout import SpatialDropout2D as SpatialDropout2D
from .layers.channel_dropout import SpatialDropout3D as SpatialDropout3D
from .layers.color_augmentation import RandomBrightness as RandomBrightness
from .layers.color_augmentation import RandomContrast as RandomContrast
from .layers.color_augmentation import RandomErasing as RandomErasing
from .layers.convolution import Conv1D as Conv1D
from .layers.convolution import Conv2D as Conv2D
from .layers.convolution import Conv3D as Conv3D
from .layers.dense import Dense as Dense
from .layers.dense import Linear as Linear
from .layers.distances import CosineSimilarity as CosineSimilarity
from .layers.distances import PairwiseDistance as PairwiseDistance
from .layers.embedding import ReversibleEmbedding as ReversibleEmbedding
from .layers.masking import Masking as Masking
from .layers.merge import Add as Add
from .layers.merge import Average as Average
from .layers.merge import Concatenate as Concatenate
from .layers.merge import Dot as Dot
from .layers.merge import Maximum as Maximum
from .layers.merge import Minimum as Minimum
from .layers.merge import Multiply as Multiply
from .layers.merge import Residual as Residual
from .layers.merge import Subtract as Subtract
from .layers.mixup import MixUp as MixUp
from .layers.normalization import BatchNormalization as BatchNormalization
from .layers.padding import Cropping1D as Cropping1D
from .layers.padding import Cropping2D as Cropping2D
from .layers.padding import Cropping3D as Cropping3D
from .layers.padding import ZeroPadding1D as ZeroPadding1D
from .layers.padding import ZeroPadding2D as ZeroPadding2D
from .layers.padding import ZeroPadding3D as ZeroPadding3D
from .layers.pooling import AveragePooling1D as AveragePooling1D
from .layers.pooling import AveragePooling2D as AveragePooling2D
from .layers.pooling import AveragePooling3D as AveragePooling3D
from .layers.pooling import GlobalAveragePooling1D as GlobalAveragePooling1D
from .layers.pooling import GlobalAveragePooling2D as GlobalAveragePooling2D
from .layers.pooling import GlobalAveragePooling3D as GlobalAveragePooling3D
from .layers.pooling import GlobalMaxPooling1D as GlobalMaxPooling1D
from .layers.pooling import GlobalMaxPooling2D as GlobalMaxPooling2D
from .layers.pooling import GlobalMaxPooling3D as GlobalMaxPooling3D
from .layers.pooling import MaxPooling1D as MaxPooling1D
from .layers.pooling import MaxPooling2D as MaxPooling2D
from .layers.pooling import MaxPooling3D as MaxPooling3D
from .layers.positions import PositionEmbedding as PositionEmbedding
from .layers.positions import SinusoidalPositions as SinusoidalPositions
from .layers.prelu import PReLU as PReLU
from .layers.preprocessing import Normalization as Normalization
from .layers.preprocessing import Rescaling as Rescaling
from .layers.quantiles import PiecewiseLinearEmbedding as PiecewiseLinearEmbedding
from .layers.quantiles import QuantileNormalization as QuantileNormalization
from .layers.random import AlphaDropout as AlphaDropout
from .layers.random import Dropout as Dropout
from .layers.random import GaussianDropout as GaussianDropout
from .layers.random import GaussianNoise as GaussianNoise
from .layers.recurrent import SimpleRNN as SimpleRNN
from .layers.recurrent_cells import SimpleRNNCell as SimpleRNNCell
from .layers.recurrent_stack import StackedRNNCells as StackedRNNCells
from .layers.recurrent_wrappers import Bidirectional as Bidirectional
from .layers.recurrent_wrappers import TimeDistributed as TimeDistributed
from .layers.regularization import ActivityRegularization as ActivityRegularization
from .layers.resizing import UpSampling1D as UpSampling1D
from .layers.resizing import UpSampling2D as UpSampling2D
from .layers.resizing import UpSampling3D as UpSampling3D
from .layers.sample_normalization import GroupNormalization as GroupNormalization
from .layers.sample_normalization import LayerNormalization as LayerNormalization
from .layers.sample_normalization import RMSNormalization as RMSNormalization
from .layers.separable_convolution import DepthwiseConv1D as DepthwiseConv1D
from .layers.separable_convolution import DepthwiseConv2D as DepthwiseConv2D
from .layers.separable_convolution import SeparableConv1D as SeparableConv1D
from .layers.separable_convolution import SeparableConv2D as SeparableConv2D
from .layers.shape import Flatten as Flatten
from .layers.shape import Identity as Identity
from .layers.shape import Permute as Permute
from .layers.shape import RepeatVector as RepeatVector
from .layers.shape import Reshape as Reshape
from .layers.shape import Unflatten as Unflatten
from .layers.single_attention import AdditiveAttention as AdditiveAttention
from .layers.single_attention import Attention as Attention
from .layers.torch_attention import MultiheadAttention as MultiheadAttention
from .layers.torch_convolution import Conv1d as Conv1d
from .layers.torch_convolution import Conv2d as Conv2d
from .layers.torch_convolution import Conv3d as Conv3d
from .layers.torch_embedding import Embedding as Embedding
from .layers.torch_embedding import EmbeddingBag as EmbeddingBag
from .layers.torch_instance_normalization import InstanceNorm1d as InstanceNorm1d
from .layers.torch_instance_normalization import InstanceNorm2d as InstanceNorm2d
from .layers.torch_instance_normalization import InstanceNorm3d as InstanceNorm3d
from .layers.torch_normalization import BatchNorm1d as BatchNorm1d
from .layers.torch_normalization import BatchNorm2d as BatchNorm2d
from .layers.torch_normalization import BatchNorm3d as BatchNorm3d
from .layers.torch_normalization import GroupNorm as GroupNorm
from .layers.torch_normalization import LayerNorm as LayerNorm
from .layers.torch_normalization import RMSNorm as RMSNorm
from .layers.torch_padding import CircularPad1d as CircularPad1d
from .layers.torch_padding import CircularPad2d as CircularPad2d
from .layers.torch_padding import CircularPad3d as CircularPad3d
from .layers.torch_padding import ConstantPad1d as ConstantPad1d
from .layers.torch_padding import ConstantPad2d as ConstantPad2d
from .layers.torch_padding import ConstantPad3d as ConstantPad3d
from .layers.torch_padding import ReflectionPad1d as ReflectionPad1d
from .layers.torch_padding import ReflectionPad2d as ReflectionPad2d
from .layers.torch_padding import ReflectionPad3d as ReflectionPad3d
from .layers.torch_padding import ReplicationPad1d as ReplicationPad1d
from .layers.torch_padding import ReplicationPad2d as ReplicationPad2d
from .layers.torch_padding import ReplicationPad3d as ReplicationPad3d
from .layers.torch_padding import ZeroPad1d as ZeroPad1d
from .layers.torch_padding import ZeroPad2d as ZeroPad2d
from .layers.torch_padding import ZeroPad3d as ZeroPad3d
from .layers.torch_pooling import AdaptiveAvgPool1d as AdaptiveAvgPool1d
from .layers.torch_pooling import AdaptiveAvgPool2d as AdaptiveAvgPool2d
from .layers.torch_pooling import AdaptiveAvgPool3d as AdaptiveAvgPool3d
from .layers.torch_pooling import AdaptiveMaxPool1d as AdaptiveMaxPool1d
from .layers.torch_pooling import AdaptiveMaxPool2d as AdaptiveMaxPool2d
from .layers.torch_pooling import AdaptiveMaxPool3d as AdaptiveMaxPool3d
from .layers.torch_pooling import AvgPool1d as AvgPool1d
from .layers.torch_pooling import AvgPool2d as AvgPool2d
from .layers.torch_pooling import AvgPool3d as AvgPool3d
from .layers.torch_pooling import MaxPool1d as MaxPool1d
from .layers.torch_pooling import MaxPool2d as MaxPool2d
from .layers.torch_pooling import MaxPool3d as MaxPool3d
from .layers.torch_recurrent import GRU as GRU
from .layers.torch_recurrent import LSTM as LSTM
from .layers.torch_recurrent import RNN as RNN
from .layers.torch_recurrent_cells import GRUCell as GRUCell
from .layers.torch_recurrent_cells import LSTMCell as LSTMCell
from .layers.torch_recurrent_cells import RNNCell as RNNCell
from .layers.torch_resizing import PixelShuffle as PixelShuffle
from .layers.torch_resizing import PixelUnshuffle as PixelUnshuffle
from .layers.torch_resizing import Upsample as Upsample
from .layers.torch_resizing import UpsamplingBilinear2d as UpsamplingBilinear2d
from .layers.torch_resizing import UpsamplingNearest2d as UpsamplingNearest2d
from .layers.torch_transformer import TransformerDecoderLayer as TransformerDecoderLayer
from .layers.torch_transformer import TransformerEncoderLayer as TransformerEncoderLayer
from .layers.torch_transformer_stacks import Transformer as Transformer
from .layers.torch_transformer_stacks import TransformerDecoder as TransformerDecoder
from .layers.torch_transformer_stacks import TransformerEncoder as TransformerEncoder
from .layers.torch_transposed_convolution import ConvTranspose1d as ConvTranspose1d
from .layers.torch_transposed_convolution import ConvTranspose2d as ConvTranspose2d
from .layers.torch_transposed_convolution import ConvTranspose3d as ConvTranspose3d
from .layers.transposed_convolution import Conv1DTranspose as Conv1DTranspose
from .layers.transposed_convolution import Conv2DTranspose as Conv2DTranspose
from .layers.transposed_convolution import Conv3DTranspose as Conv3DTranspose
from .module import Module as Layer
from .module import Module as Module
from .parameter import Parameter as Parameter
from .parameter_view import ParameterView as ParameterView
from .spec import InputSpec as InputSpec

__all__ = [
    "Activation",
    "ActivityRegularization",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "BatchNormalization",
    "Bidirectional",
    "CELU",
    "CTCLoss",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "Concatenate",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Conv1D",
    "Conv1DTranspose",
    "Conv1d",
    "Conv2D",
    "Conv2DTranspose",
    "Conv2d",
    "Conv3D",
    "Conv3DTranspose",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "CrossEntropyLoss",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "ELU",
    "Embedding",
    "EmbeddingBag",
    "Flatten",
    "GEGLU",
    "GELU",
    "GLU",
    "GRU",
    "GRUCell",
    "GaussianDropout",
    "GaussianNLLLoss",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNorm",
    "GroupNormalization",
    "GroupQueryAttention",
    "GroupedQueryAttention",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "Identity",
    "Input",
    "InputSpec",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "KLDivLoss",
    "L1Loss",
    "LSTM",
    "LSTMCell",
    "Layer",
    "LayerNorm",
    "LayerNormalization",
    "LeakyReLU",
    "Linear",
    "LinearCrossEntropyLoss",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MarginRankingLoss",
    "Masking",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Maxout",
    "Minimum",
    "Mish",
    "MixUp",
    "Model",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiHeadAttention",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "MultiheadAttention",
    "Multiply",
    "NLLLoss",
    "Normalization",
    "PReLU",
    "PairwiseDistance",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "ParameterView",
    "Permute",
    "PiecewiseLinearEmbedding",
    "PixelShuffle",
    "PixelUnshuffle",
    "PoissonNLLLoss",
    "PositionEmbedding",
    "QuantileNormalization",
    "RMSNorm",
    "RMSNormalization",
    "RNN",
    "RNNCell",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReGLU",
    "ReLU",
    "ReLU6",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "RepeatVector",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "Rescaling",
    "Reshape",
    "Residual",
    "ReversibleEmbedding",
    "SELU",
    "SeparableConv1D",
    "SeparableConv2D",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SimpleRNN",
    "SimpleRNNCell",
    "Sine",
    "SinusoidalPositions",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Sparsemax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "StackedRNNCells",
    "Subtract",
    "SwiGLU",
    "Symbol",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "TimeDistributed",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "TripletMarginLoss",
    "Unflatten",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "functional",
    "init",
    "utils",
]
