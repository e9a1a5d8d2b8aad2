# Written by scripts/stubs.

from ..nn import Activation as Activation
from ..nn import ActivityRegularization as ActivityRegularization
from ..nn import Add as Add
from ..nn import AdditiveAttention as AdditiveAttention
from ..nn import AlphaDropout as AlphaDropout
from ..nn import Attention as Attention
from ..nn import Average as Average
from ..nn import AveragePooling1D as AveragePooling1D
from ..nn import AveragePooling1D as AvgPool1D
from ..nn import AveragePooling2D as AveragePooling2D
from ..nn import AveragePooling2D as AvgPool2D
from ..nn import AveragePooling3D as AveragePooling3D
from ..nn import AveragePooling3D as AvgPool3D
from ..nn import BatchNormalization as BatchNormalization
from ..nn import Bidirectional as Bidirectional
from ..nn import Concatenate as Concatenate
from ..nn import Conv1D as Conv1D
from ..nn import Conv1D as Convolution1D
from ..nn import Conv1DTranspose as Conv1DTranspose
from ..nn import Conv1DTranspose as Convolution1DTranspose
from ..nn import Conv2D as Conv2D
from ..nn import Conv2D as Convolution2D
from ..nn import Conv2DTranspose as Conv2DTranspose
from ..nn import Conv2DTranspose as Convolution2DTranspose
from ..nn import Conv3D as Conv3D
from ..nn import Conv3D as Convolution3D
from ..nn import Conv3DTranspose as Conv3DTranspose
from ..nn import Conv3DTranspose as Convolution3DTranspose
from ..nn import Cropping1D as Cropping1D
from ..nn import Cropping2D as Cropping2D
from ..nn import Cropping3D as Cropping3D
from ..nn import Dense as Dense
from ..nn import DepthwiseConv1D as DepthwiseConv1D
from ..nn import DepthwiseConv2D as DepthwiseConv2D
from ..nn import Dot as Dot
from ..nn import Dropout as Dropout
from ..nn import ELU as ELU
from ..nn import Flatten as Flatten
from ..nn import GaussianDropout as GaussianDropout
from ..nn import GaussianNoise as GaussianNoise
from ..nn import GlobalAveragePooling1D as GlobalAveragePooling1D
from ..nn import GlobalAveragePooling1D as GlobalAvgPool1D
from ..nn import GlobalAveragePooling2D as GlobalAveragePooling2D
from ..nn import GlobalAveragePooling2D as GlobalAvgPool2D
from ..nn import GlobalAveragePooling3D as GlobalAveragePooling3D
from ..nn import GlobalAveragePooling3D as GlobalAvgPool3D
from ..nn import GlobalMaxPooling1D as GlobalMaxPool1D
from ..nn import GlobalMaxPooling1D as GlobalMaxPooling1D
from ..nn import GlobalMaxPooling2D as GlobalMaxPool2D
from ..nn import GlobalMaxPooling2D as GlobalMaxPooling2D
from ..nn import GlobalMaxPooling3D as GlobalMaxPool3D
from ..nn import GlobalMaxPooling3D as GlobalMaxPooling3D
from ..nn import GroupNormalization as GroupNormalization
from ..nn import GroupQueryAttention as GroupQueryAttention
from ..nn import Identity as Identity
from ..nn import Input as Input
from ..nn import InputSpec as InputSpec
from ..nn import LayerNormalization as LayerNormalization
from ..nn import Masking as Masking
from ..nn import MaxPooling1D as MaxPool1D
from ..nn import MaxPooling1D as MaxPooling1D
from ..nn import MaxPooling2D as MaxPool2D
from ..nn import MaxPooling2D as MaxPooling2D
from ..nn import MaxPooling3D as MaxPool3D
from ..nn import MaxPooling3D as MaxPooling3D
from ..nn import Maximum as Maximum
from ..nn import Minimum as Minimum
from ..nn import MixUp as MixUp
from ..nn import MultiHeadAttention as MultiHeadAttention
from ..nn import Multiply as Multiply
from ..nn import Normalization as Normalization
from ..nn import Permute as Permute
from ..nn import RMSNormalization as RMSNormalization
from ..nn import RandomBrightness as RandomBrightness
from ..nn import RandomContrast as RandomContrast
from ..nn import RandomCrop as RandomCrop
from ..nn import RandomErasing as RandomErasing
from ..nn import RandomFlip as RandomFlip
from ..nn import RandomRotation as RandomRotation
from ..nn import RandomTranslation as RandomTranslation
from ..nn import RandomZoom as RandomZoom
from ..nn import RepeatVector as RepeatVector
from ..nn import Rescaling as Rescaling
from ..nn import Reshape as Reshape
from ..nn import ReversibleEmbedding as ReversibleEmbedding
from ..nn import SeparableConv1D as SeparableConv1D
from ..nn import SeparableConv1D as SeparableConvolution1D
from ..nn import SeparableConv2D as SeparableConv2D
from ..nn import SeparableConv2D as SeparableConvolution2D
from ..nn import SimpleRNN as SimpleRNN
from ..nn import SimpleRNNCell as SimpleRNNCell
from ..nn import Softmax as Softmax
from ..nn import SpatialDropout1D as SpatialDropout1D
from ..nn import SpatialDropout2D as SpatialDropout2D
from ..nn import SpatialDropout3D as SpatialDropout3D
from ..nn import StackedRNNCells as StackedRNNCells
from ..nn import Subtract as Subtract
from ..nn import TimeDistributed as TimeDistributed
from ..nn import UpSampling1D as UpSampling1D
from ..nn import UpSampling2D as UpSampling2D
from ..nn import UpSampling3D as UpSampling3D
from ..nn import ZeroPadding1D as ZeroPadding1D
from ..nn import ZeroPadding2D as ZeroPadding2D
from ..nn import ZeroPadding3D as ZeroPadding3D
from ..nn.layers.embedding import Embedding as Embedding
from ..nn.layers.keras_activation import LeakyReLU as LeakyReLU
from ..nn.layers.keras_activation import PReLU as PReLU
from ..nn.layers.keras_activation import ReLU as ReLU
from ..nn.layers.recurrent import GRU as GRU
from ..nn.layers.recurrent import LSTM as LSTM
from ..nn.layers.recurrent_cells import GRUCell as GRUCell
from ..nn.layers.recurrent_cells import LSTMCell as LSTMCell
from ..nn.layers.recurrent_layer import RNN as RNN
from .function import Lambda as Lambda
from .inputs import InputLayer as InputLayer
from .layer import Layer as Layer
from .lookups import CategoryEncoding as CategoryEncoding
from .lookups import IntegerLookup as IntegerLookup
from .lookups import StringLookup as StringLookup
from .lookups import TextVectorization as TextVectorization
from .merging import add as add
from .merging import average as average
from .merging import concatenate as concatenate
from .merging import dot as dot
from .merging import maximum as maximum
from .merging import minimum as minimum
from .merging import multiply as multiply
from .merging import subtract as subtract

__all__ = [
    "Activation",
    "ActivityRegularization",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "ELU",
    "Embedding",
    "Flatten",
    "GRU",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupQueryAttention",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "IntegerLookup",
    "LSTM",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "MixUp",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RNN",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "ReversibleEmbedding",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "StackedRNNCells",
    "StringLookup",
    "Subtract",
    "TextVectorization",
    "TimeDistributed",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]
