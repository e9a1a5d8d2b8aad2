# Written by scripts/stubs.

from . import autograd as autograd
from . import callbacks as callbacks
from . import constraints as constraints
from . import cuda as cuda
from . import datasets as datasets
from . import distributed as distributed
from . import distributions as distributions
from . import initializers as initializers
from . import interpret as interpret
from . import keras as keras
from . import linalg as linalg
from . import losses as losses
from . import metrics as metrics
from . import models as models
from . import nn as nn
from . import ops as ops
from . import optim as optim
from . import plot as plot
from . import regularizers as regularizers
from . import schedules as schedules
from . import sklearn as sklearn
from . import tables as tables
from . import text as text
from . import utils as utils
from ._version import __version__ as __version__
from .autograd.check import gradcheck as gradcheck
from .autograd.check_second import gradgradcheck as gradgradcheck
from .autograd.function import Function as Function
from .autograd.gradients import grad as grad
from .autograd.tape import is_grad_enabled as is_grad_enabled
from .autograd.tape import no_grad as inference_mode
from .autograd.tape import set_grad_enabled as set_grad_enabled
from .autograd.tensor import Tensor as Tensor
from .autograd.tensor import enable_grad as enable_grad
from .autograd.tensor import no_grad as no_grad
from .autograd.tensor import tensor as tensor
from .backends import backends as backends
from .backends import get_backend as get_backend
from .backends import get_num_threads as get_num_threads
from .backends import info as info
from .backends import register_threadpoolctl as register_threadpoolctl
from .backends import set_backend as set_backend
from .backends import set_num_threads as set_num_threads
from .backends import use_backend as use_backend
from .core.device import device as device
from .core.dtypes import Size as Size
from .core.dtypes import bool as bool
from .core.dtypes import double as double
from .core.dtypes import dtype as dtype
from .core.dtypes import finfo as finfo
from .core.dtypes import float as float
from .core.dtypes import float16 as float16
from .core.dtypes import float32 as float32
from .core.dtypes import float64 as float64
from .core.dtypes import half as half
from .core.dtypes import iinfo as iinfo
from .core.dtypes import int as int
from .core.dtypes import int16 as int16
from .core.dtypes import int32 as int32
from .core.dtypes import int64 as int64
from .core.dtypes import int8 as int8
from .core.dtypes import long as long
from .core.dtypes import short as short
from .core.dtypes import uint8 as uint8
from .core.precision import autocast as autocast
from .core.registered import register as register
from .core.seeding import Generator as Generator
from .core.seeding import manual_seed as manual_seed
from .core.seeding import seed as seed
from .files import load as load
from .files.states import load_state as load_state
from .files.torch_writing import save as save
from .interop.keras_models import from_keras as from_keras
from .interop.sklearn_mlp import from_sklearn as from_sklearn
from .interop.sklearn_mlp import to_sklearn as to_sklearn
from .interop.torch_modules import from_torch as from_torch
from .linalg import matrix_exp as matrix_exp
from .linalg import matrix_power as matrix_power
from .nn import Activation as Activation
from .nn import ActivityRegularization as ActivityRegularization
from .nn import Add as Add
from .nn import AdditiveAttention as AdditiveAttention
from .nn import AlphaDropout as AlphaDropout
from .nn import Attention as Attention
from .nn import Average as Average
from .nn import AveragePooling1D as AveragePooling1D
from .nn import AveragePooling2D as AveragePooling2D
from .nn import AveragePooling3D as AveragePooling3D
from .nn import BatchNormalization as BatchNormalization
from .nn import Concatenate as Concatenate
from .nn import Conv1D as Conv1D
from .nn import Conv1DTranspose as Conv1DTranspose
from .nn import Conv2D as Conv2D
from .nn import Conv2DTranspose as Conv2DTranspose
from .nn import Conv3D as Conv3D
from .nn import Conv3DTranspose as Conv3DTranspose
from .nn import Cropping1D as Cropping1D
from .nn import Cropping2D as Cropping2D
from .nn import Cropping3D as Cropping3D
from .nn import Dense as Dense
from .nn import DepthwiseConv1D as DepthwiseConv1D
from .nn import DepthwiseConv2D as DepthwiseConv2D
from .nn import Dot as Dot
from .nn import Dropout as Dropout
from .nn import ELU as ELU
from .nn import Flatten as Flatten
from .nn import GaussianDropout as GaussianDropout
from .nn import GaussianNoise as GaussianNoise
from .nn import GlobalAveragePooling1D as GlobalAveragePooling1D
from .nn import GlobalAveragePooling2D as GlobalAveragePooling2D
from .nn import GlobalAveragePooling3D as GlobalAveragePooling3D
from .nn import GlobalMaxPooling1D as GlobalMaxPooling1D
from .nn import GlobalMaxPooling2D as GlobalMaxPooling2D
from .nn import GlobalMaxPooling3D as GlobalMaxPooling3D
from .nn import GroupNormalization as GroupNormalization
from .nn import GroupQueryAttention as GroupQueryAttention
from .nn import GroupedQueryAttention as GroupedQueryAttention
from .nn import Identity as Identity
from .nn import Input as Input
from .nn import InputSpec as InputSpec
from .nn import Layer as Layer
from .nn import LayerNormalization as LayerNormalization
from .nn import Masking as Masking
from .nn import MaxPooling1D as MaxPooling1D
from .nn import MaxPooling2D as MaxPooling2D
from .nn import MaxPooling3D as MaxPooling3D
from .nn import Maximum as Maximum
from .nn import Minimum as Minimum
from .nn import MixUp as MixUp
from .nn import Model as Model
from .nn import Module as Module
from .nn import MultiHeadAttention as MultiHeadAttention
from .nn import Multiply as Multiply
from .nn import Normalization as Normalization
from .nn import Permute as Permute
from .nn import PiecewiseLinearEmbedding as PiecewiseLinearEmbedding
from .nn import QuantileNormalization as QuantileNormalization
from .nn import RMSNormalization as RMSNormalization
from .nn import RandomBrightness as RandomBrightness
from .nn import RandomContrast as RandomContrast
from .nn import RandomCrop as RandomCrop
from .nn import RandomErasing as RandomErasing
from .nn import RandomFlip as RandomFlip
from .nn import RandomRotation as RandomRotation
from .nn import RandomTranslation as RandomTranslation
from .nn import RandomZoom as RandomZoom
from .nn import RepeatVector as RepeatVector
from .nn import Rescaling as Rescaling
from .nn import Reshape as Reshape
from .nn import Residual as Residual
from .nn import SeparableConv1D as SeparableConv1D
from .nn import SeparableConv2D as SeparableConv2D
from .nn import Sequential as Sequential
from .nn import Softmax as Softmax
from .nn import SpatialDropout1D as SpatialDropout1D
from .nn import SpatialDropout2D as SpatialDropout2D
from .nn import SpatialDropout3D as SpatialDropout3D
from .nn import Subtract as Subtract
from .nn import UpSampling1D as UpSampling1D
from .nn import UpSampling2D as UpSampling2D
from .nn import UpSampling3D as UpSampling3D
from .nn import ZeroPadding1D as ZeroPadding1D
from .nn import ZeroPadding2D as ZeroPadding2D
from .nn import ZeroPadding3D as ZeroPadding3D
from .nn.layers.embedding import Embedding as Embedding
from .nn.layers.embedding import ReversibleEmbedding as ReversibleEmbedding
from .nn.layers.keras_activation import LeakyReLU as LeakyReLU
from .nn.layers.keras_activation import PReLU as PReLU
from .nn.layers.keras_activation import ReLU as ReLU
from .nn.layers.positions import PositionEmbedding as PositionEmbedding
from .nn.layers.positions import SinusoidalPositions as SinusoidalPositions
from .nn.layers.recurrent import GRU as GRU
from .nn.layers.recurrent import LSTM as LSTM
from .nn.layers.recurrent import SimpleRNN as SimpleRNN
from .nn.layers.recurrent_cells import GRUCell as GRUCell
from .nn.layers.recurrent_cells import LSTMCell as LSTMCell
from .nn.layers.recurrent_cells import SimpleRNNCell as SimpleRNNCell
from .nn.layers.recurrent_layer import RNN as RNN
from .nn.layers.recurrent_stack import StackedRNNCells as StackedRNNCells
from .nn.layers.recurrent_wrappers import Bidirectional as Bidirectional
from .nn.layers.recurrent_wrappers import TimeDistributed as TimeDistributed
from .ops.activation import celu as celu
from .ops.activation import elu as elu
from .ops.activation import erf as erf
from .ops.activation import geglu as geglu
from .ops.activation import gelu as gelu
from .ops.activation import glu as glu
from .ops.activation import hard_shrink as hard_shrink
from .ops.activation import hard_sigmoid as hard_sigmoid
from .ops.activation import hard_silu as hard_silu
from .ops.activation import hard_tanh as hard_tanh
from .ops.activation import leaky_relu as leaky_relu
from .ops.activation import log_sigmoid as log_sigmoid
from .ops.activation import log_softmax as log_softmax
from .ops.activation import maxout as maxout
from .ops.activation import mish as mish
from .ops.activation import prelu as prelu
from .ops.activation import quick_gelu as quick_gelu
from .ops.activation import reglu as reglu
from .ops.activation import relu as relu
from .ops.activation import relu6 as relu6
from .ops.activation import relu_squared as relu_squared
from .ops.activation import selu as selu
from .ops.activation import sigmoid as sigmoid
from .ops.activation import silu as silu
from .ops.activation import sine as sine
from .ops.activation import soft_shrink as soft_shrink
from .ops.activation import softmax as softmax
from .ops.activation import softmin as softmin
from .ops.activation import softplus as softplus
from .ops.activation import softsign as softsign
from .ops.activation import sparse_plus as sparse_plus
from .ops.activation import sparse_sigmoid as sparse_sigmoid
from .ops.activation import sparsemax as sparsemax
from .ops.activation import squareplus as squareplus
from .ops.activation import swiglu as swiglu
from .ops.activation import tanh as tanh
from .ops.activation import tanh_shrink as tanh_shrink
from .ops.activation import threshold as threshold
from .ops.angles import acos as acos
from .ops.angles import acos as arccos
from .ops.angles import acosh as acosh
from .ops.angles import acosh as arccosh
from .ops.angles import asin as arcsin
from .ops.angles import asin as asin
from .ops.angles import asinh as arcsinh
from .ops.angles import asinh as asinh
from .ops.angles import atan as arctan
from .ops.angles import atan as atan
from .ops.angles import atan2 as arctan2
from .ops.angles import atan2 as atan2
from .ops.angles import atanh as arctanh
from .ops.angles import atanh as atanh
from .ops.angles import hypot as hypot
from .ops.arrange import addmv as addmv
from .ops.arrange import addr as addr
from .ops.arrange import atleast_1d as atleast_1d
from .ops.arrange import atleast_2d as atleast_2d
from .ops.arrange import atleast_3d as atleast_3d
from .ops.arrange import block_diag as block_diag
from .ops.arrange import broadcast_shapes as broadcast_shapes
from .ops.arrange import broadcast_tensors as broadcast_tensors
from .ops.arrange import cartesian_prod as cartesian_prod
from .ops.arrange import column_stack as column_stack
from .ops.arrange import combinations as combinations
from .ops.arrange import cross as cross
from .ops.arrange import diag_embed as diag_embed
from .ops.arrange import diagflat as diagflat
from .ops.arrange import dstack as dstack
from .ops.arrange import fliplr as fliplr
from .ops.arrange import flipud as flipud
from .ops.arrange import hsplit as hsplit
from .ops.arrange import inner as inner
from .ops.arrange import kron as kron
from .ops.arrange import ravel as ravel
from .ops.arrange import result_type as result_type
from .ops.arrange import rot90 as rot90
from .ops.arrange import take_along_dim as take_along_dim
from .ops.arrange import tensor_split as tensor_split
from .ops.arrange import tensordot as tensordot
from .ops.arrange import trapezoid as trapezoid
from .ops.arrange import trapezoid as trapz
from .ops.arrange import tril_indices as tril_indices
from .ops.arrange import triu_indices as triu_indices
from .ops.arrange import vander as vander
from .ops.arrange import vsplit as vsplit
from .ops.attention import attention as attention
from .ops.attention import attention_packed as attention_packed
from .ops.attention import scaled_dot_product_attention as scaled_dot_product_attention
from .ops.attention_weights import attention_weights as attention_weights
from .ops.bits import bitwise_and as bitwise_and
from .ops.bits import bitwise_left_shift as bitwise_left_shift
from .ops.bits import bitwise_not as bitwise_not
from .ops.bits import bitwise_or as bitwise_or
from .ops.bits import bitwise_right_shift as bitwise_right_shift
from .ops.bits import bitwise_xor as bitwise_xor
from .ops.composed import addcdiv as addcdiv
from .ops.composed import addcmul as addcmul
from .ops.composed import clamp_max as clamp_max
from .ops.composed import clamp_min as clamp_min
from .ops.composed import cosh as cosh
from .ops.composed import cumprod as cumprod
from .ops.composed import diff as diff
from .ops.composed import exp2 as exp2
from .ops.composed import lerp as lerp
from .ops.composed import log10 as log10
from .ops.composed import log2 as log2
from .ops.composed import logaddexp as logaddexp
from .ops.composed import nan_to_num as nan_to_num
from .ops.composed import scatter as scatter
from .ops.composed import sinh as sinh
from .ops.composed import std_mean as std_mean
from .ops.composed import tan as tan
from .ops.composed import var_mean as var_mean
from .ops.convert import FloatTensor as FloatTensor
from .ops.convert import LongTensor as LongTensor
from .ops.convert import as_tensor as as_tensor
from .ops.convert import from_numpy as from_numpy
from .ops.convert import get_default_dtype as get_default_dtype
from .ops.convert import is_floating_point as is_floating_point
from .ops.convert import is_tensor as is_tensor
from .ops.convert import t as t
from .ops.create import arange as arange
from .ops.create import empty as empty
from .ops.create import empty_like as empty_like
from .ops.create import eye as eye
from .ops.create import full as full
from .ops.create import full_like as full_like
from .ops.create import linspace as linspace
from .ops.create import ones as ones
from .ops.create import ones_like as ones_like
from .ops.create import rand as rand
from .ops.create import rand_like as rand_like
from .ops.create import randint as randint
from .ops.create import randn as randn
from .ops.create import randn_like as randn_like
from .ops.create import zeros as zeros
from .ops.create import zeros_like as zeros_like
from .ops.data import gather as gather
from .ops.data import one_hot as one_hot
from .ops.data import scatter_add as scatter_add
from .ops.data import take as take
from .ops.dense import dot as dot
from .ops.dense import dot as vdot
from .ops.dense import matmul as matmul
from .ops.dense import outer as ger
from .ops.dense import outer as outer
from .ops.division import floor_divide as floor_divide
from .ops.division import fmod as fmod
from .ops.division import remainder as remainder
from .ops.division import trunc as fix
from .ops.division import trunc as trunc
from .ops.einsum import einsum as einsum
from .ops.elementwise import abs as abs
from .ops.elementwise import abs as absolute
from .ops.elementwise import add as add
from .ops.elementwise import ceil as ceil
from .ops.elementwise import clamp as clamp
from .ops.elementwise import clip as clip
from .ops.elementwise import clone as clone
from .ops.elementwise import cos as cos
from .ops.elementwise import div as div
from .ops.elementwise import div as divide
from .ops.elementwise import div as true_divide
from .ops.elementwise import exp as exp
from .ops.elementwise import expm1 as expm1
from .ops.elementwise import floor as floor
from .ops.elementwise import log as log
from .ops.elementwise import log1p as log1p
from .ops.elementwise import maximum as maximum
from .ops.elementwise import minimum as minimum
from .ops.elementwise import mul as mul
from .ops.elementwise import mul as multiply
from .ops.elementwise import neg as neg
from .ops.elementwise import neg as negative
from .ops.elementwise import pow as pow
from .ops.elementwise import reciprocal as reciprocal
from .ops.elementwise import round as round
from .ops.elementwise import rsqrt as rsqrt
from .ops.elementwise import sign as sgn
from .ops.elementwise import sign as sign
from .ops.elementwise import sin as sin
from .ops.elementwise import sqrt as sqrt
from .ops.elementwise import square as square
from .ops.elementwise import sub as sub
from .ops.elementwise import sub as subtract
from .ops.factors import cholesky as cholesky
from .ops.factors import pinv as pinverse
from .ops.factors import qr as qr
from .ops.gamma import digamma as digamma
from .ops.gamma import erfinv as erfinv
from .ops.gamma import lgamma as lgamma
from .ops.generation import sample as sample
from .ops.index import chunk as chunk
from .ops.index import flip as flip
from .ops.index import index_select as index_select
from .ops.index import repeat_interleave as repeat_interleave
from .ops.index import roll as roll
from .ops.index import split as split
from .ops.index import tile as tile
from .ops.index import unbind as unbind
from .ops.inverses import det as det
from .ops.inverses import inv as inverse
from .ops.inverses import logdet as logdet
from .ops.inverses import slogdet as slogdet
from .ops.logic import eq as eq
from .ops.logic import ge as ge
from .ops.logic import ge as greater_equal
from .ops.logic import gt as greater
from .ops.logic import gt as gt
from .ops.logic import isfinite as isfinite
from .ops.logic import isinf as isinf
from .ops.logic import isnan as isnan
from .ops.logic import le as le
from .ops.logic import le as less_equal
from .ops.logic import logical_and as logical_and
from .ops.logic import logical_not as logical_not
from .ops.logic import logical_or as logical_or
from .ops.logic import logical_xor as logical_xor
from .ops.logic import lt as less
from .ops.logic import lt as lt
from .ops.logic import masked_fill as masked_fill
from .ops.logic import ne as ne
from .ops.logic import ne as not_equal
from .ops.logic import where as where
from .ops.matrices import addmm as addmm
from .ops.matrices import baddbmm as baddbmm
from .ops.matrices import bmm as bmm
from .ops.matrices import cdist as cdist
from .ops.matrices import cosine_similarity as cosine_similarity
from .ops.matrices import diag as diag
from .ops.matrices import diagonals as diagonal
from .ops.matrices import hstack as hstack
from .ops.matrices import meshgrid as meshgrid
from .ops.matrices import mm as mm
from .ops.matrices import movedim as moveaxis
from .ops.matrices import movedim as movedim
from .ops.matrices import mv as mv
from .ops.matrices import narrow as narrow
from .ops.matrices import select as select
from .ops.matrices import trace as trace
from .ops.matrices import tril as tril
from .ops.matrices import triu as triu
from .ops.matrices import unflatten as unflatten
from .ops.matrices import vstack as row_stack
from .ops.matrices import vstack as vstack
from .ops.numbers import copysign as copysign
from .ops.numbers import deg2rad as deg2rad
from .ops.numbers import dist as dist
from .ops.numbers import e as e
from .ops.numbers import float_power as float_power
from .ops.numbers import fmax as fmax
from .ops.numbers import fmin as fmin
from .ops.numbers import frac as frac
from .ops.numbers import heaviside as heaviside
from .ops.numbers import inf as inf
from .ops.numbers import isneginf as isneginf
from .ops.numbers import isposinf as isposinf
from .ops.numbers import ldexp as ldexp
from .ops.numbers import logcumsumexp as logcumsumexp
from .ops.numbers import logit as logit
from .ops.numbers import nan as nan
from .ops.numbers import newaxis as newaxis
from .ops.numbers import numel as numel
from .ops.numbers import pi as pi
from .ops.numbers import positive as positive
from .ops.numbers import rad2deg as rad2deg
from .ops.numbers import rsub as rsub
from .ops.numbers import signbit as signbit
from .ops.numbers import sinc as sinc
from .ops.numbers import xlogy as xlogy
from .ops.places import index_add as index_add
from .ops.places import index_copy as index_copy
from .ops.places import index_fill as index_fill
from .ops.places import index_put as index_put
from .ops.reduce import all as all
from .ops.reduce import amax as amax
from .ops.reduce import amin as amin
from .ops.reduce import any as any
from .ops.reduce import argmax as argmax
from .ops.reduce import argmin as argmin
from .ops.reduce import cumsum as cumsum
from .ops.reduce import logsumexp as logsumexp
from .ops.reduce import max as max
from .ops.reduce import mean as mean
from .ops.reduce import min as min
from .ops.reduce import norm as norm
from .ops.reduce import prod as prod
from .ops.reduce import std as std
from .ops.reduce import sum as sum
from .ops.reduce import var as var
from .ops.rotary import rotary as rotary
from .ops.rotary import rotary_table as rotary_table
from .ops.sampling import bernoulli as bernoulli
from .ops.sampling import multinomial as multinomial
from .ops.sampling import normal as normal
from .ops.sampling import randperm as randperm
from .ops.search import allclose as allclose
from .ops.search import bincount as bincount
from .ops.search import bucketize as bucketize
from .ops.search import count_nonzero as count_nonzero
from .ops.search import equal as equal
from .ops.search import isclose as isclose
from .ops.search import masked_select as masked_select
from .ops.search import nonzero as nonzero
from .ops.search import searchsorted as searchsorted
from .ops.search import unique as unique
from .ops.shape import broadcast_to as broadcast_to
from .ops.shape import concatenate as cat
from .ops.shape import concatenate as concat
from .ops.shape import concatenate as concatenate
from .ops.shape import flatten as flatten
from .ops.shape import permute as permute
from .ops.shape import reshape as reshape
from .ops.shape import squeeze as squeeze
from .ops.shape import stack as stack
from .ops.shape import swap_axes as swapaxes
from .ops.shape import swap_axes as swapdims
from .ops.shape import transpose as transpose
from .ops.shape import unsqueeze as unsqueeze
from .ops.sort import argsort as argsort
from .ops.sort import median as median
from .ops.sort import sort as sort
from .ops.sort import topk as topk
from .ops.statistics import aminmax as aminmax
from .ops.statistics import argwhere as argwhere
from .ops.statistics import corrcoef as corrcoef
from .ops.statistics import cov as cov
from .ops.statistics import cummax as cummax
from .ops.statistics import cummin as cummin
from .ops.statistics import histc as histc
from .ops.statistics import isin as isin
from .ops.statistics import kthvalue as kthvalue
from .ops.statistics import mode as mode
from .ops.statistics import msort as msort
from .ops.statistics import nanmean as nanmean
from .ops.statistics import nansum as nansum
from .ops.statistics import quantile as quantile
from .ops.statistics import unique_consecutive as unique_consecutive
from .optim.target import soft_update as soft_update
from .replay.capture import capture as capture
from .tables import Tabular as Tabular
from .training.cross_validation import cross_validate as cross_validate
from .training.data.prefetch import Prefetch as Prefetch
from .training.lr_find import lr_find as lr_find
from .training.many import fit_many as fit_many

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
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
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
    "FloatTensor",
    "Function",
    "GRU",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "Generator",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupQueryAttention",
    "GroupedQueryAttention",
    "Identity",
    "Input",
    "InputSpec",
    "LSTM",
    "LSTMCell",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "LongTensor",
    "Masking",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "MixUp",
    "Model",
    "Module",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "PiecewiseLinearEmbedding",
    "PositionEmbedding",
    "Prefetch",
    "QuantileNormalization",
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
    "Residual",
    "ReversibleEmbedding",
    "SeparableConv1D",
    "SeparableConv2D",
    "Sequential",
    "SimpleRNN",
    "SimpleRNNCell",
    "SinusoidalPositions",
    "Size",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "StackedRNNCells",
    "Subtract",
    "Tabular",
    "Tensor",
    "TimeDistributed",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "addcdiv",
    "addcmul",
    "addmm",
    "addmv",
    "addr",
    "all",
    "allclose",
    "amax",
    "amin",
    "aminmax",
    "any",
    "arange",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "argmax",
    "argmin",
    "argsort",
    "argwhere",
    "as_tensor",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "attention",
    "attention_packed",
    "attention_weights",
    "autocast",
    "autograd",
    "backends",
    "baddbmm",
    "bernoulli",
    "bincount",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "block_diag",
    "bmm",
    "bool",
    "broadcast_shapes",
    "broadcast_tensors",
    "broadcast_to",
    "bucketize",
    "callbacks",
    "capture",
    "cartesian_prod",
    "cat",
    "cdist",
    "ceil",
    "celu",
    "cholesky",
    "chunk",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "clone",
    "column_stack",
    "combinations",
    "concat",
    "concatenate",
    "constraints",
    "copysign",
    "corrcoef",
    "cos",
    "cosh",
    "cosine_similarity",
    "count_nonzero",
    "cov",
    "cross",
    "cross_validate",
    "cuda",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "datasets",
    "deg2rad",
    "det",
    "device",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal",
    "diff",
    "digamma",
    "dist",
    "distributed",
    "distributions",
    "div",
    "divide",
    "dot",
    "double",
    "dstack",
    "dtype",
    "e",
    "einsum",
    "elu",
    "empty",
    "empty_like",
    "enable_grad",
    "eq",
    "equal",
    "erf",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "eye",
    "finfo",
    "fit_many",
    "fix",
    "flatten",
    "flip",
    "fliplr",
    "flipud",
    "float",
    "float16",
    "float32",
    "float64",
    "float_power",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "frac",
    "from_keras",
    "from_numpy",
    "from_sklearn",
    "from_torch",
    "full",
    "full_like",
    "gather",
    "ge",
    "geglu",
    "gelu",
    "ger",
    "get_backend",
    "get_default_dtype",
    "get_num_threads",
    "glu",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "greater",
    "greater_equal",
    "gt",
    "half",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "heaviside",
    "histc",
    "hsplit",
    "hstack",
    "hypot",
    "iinfo",
    "index_add",
    "index_copy",
    "index_fill",
    "index_put",
    "index_select",
    "inf",
    "inference_mode",
    "info",
    "initializers",
    "inner",
    "int",
    "int16",
    "int32",
    "int64",
    "int8",
    "interpret",
    "inverse",
    "is_floating_point",
    "is_grad_enabled",
    "is_tensor",
    "isclose",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "keras",
    "kron",
    "kthvalue",
    "ldexp",
    "le",
    "leaky_relu",
    "lerp",
    "less",
    "less_equal",
    "lgamma",
    "linalg",
    "linspace",
    "load",
    "load_state",
    "log",
    "log10",
    "log1p",
    "log2",
    "log_sigmoid",
    "log_softmax",
    "logaddexp",
    "logcumsumexp",
    "logdet",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logit",
    "logsumexp",
    "long",
    "losses",
    "lr_find",
    "lt",
    "manual_seed",
    "masked_fill",
    "masked_select",
    "matmul",
    "matrix_exp",
    "matrix_power",
    "max",
    "maximum",
    "maxout",
    "mean",
    "median",
    "meshgrid",
    "metrics",
    "min",
    "minimum",
    "mish",
    "mm",
    "mode",
    "models",
    "moveaxis",
    "movedim",
    "msort",
    "mul",
    "multinomial",
    "multiply",
    "mv",
    "nan",
    "nan_to_num",
    "nanmean",
    "nansum",
    "narrow",
    "ne",
    "neg",
    "negative",
    "newaxis",
    "nn",
    "no_grad",
    "nonzero",
    "norm",
    "normal",
    "not_equal",
    "numel",
    "one_hot",
    "ones",
    "ones_like",
    "ops",
    "optim",
    "outer",
    "permute",
    "pi",
    "pinverse",
    "plot",
    "positive",
    "pow",
    "prelu",
    "prod",
    "qr",
    "quantile",
    "quick_gelu",
    "rad2deg",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "ravel",
    "reciprocal",
    "register",
    "register_threadpoolctl",
    "reglu",
    "regularizers",
    "relu",
    "relu6",
    "relu_squared",
    "remainder",
    "repeat_interleave",
    "reshape",
    "result_type",
    "roll",
    "rot90",
    "rotary",
    "rotary_table",
    "round",
    "row_stack",
    "rsqrt",
    "rsub",
    "sample",
    "save",
    "scaled_dot_product_attention",
    "scatter",
    "scatter_add",
    "schedules",
    "searchsorted",
    "seed",
    "select",
    "selu",
    "set_backend",
    "set_grad_enabled",
    "set_num_threads",
    "sgn",
    "short",
    "sigmoid",
    "sign",
    "signbit",
    "silu",
    "sin",
    "sinc",
    "sine",
    "sinh",
    "sklearn",
    "slogdet",
    "soft_shrink",
    "soft_update",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "sort",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "split",
    "sqrt",
    "square",
    "squareplus",
    "squeeze",
    "stack",
    "std",
    "std_mean",
    "sub",
    "subtract",
    "sum",
    "swapaxes",
    "swapdims",
    "swiglu",
    "t",
    "tables",
    "take",
    "take_along_dim",
    "tan",
    "tanh",
    "tanh_shrink",
    "tensor",
    "tensor_split",
    "tensordot",
    "text",
    "threshold",
    "tile",
    "to_sklearn",
    "topk",
    "trace",
    "transpose",
    "trapezoid",
    "trapz",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
    "true_divide",
    "trunc",
    "uint8",
    "unbind",
    "unflatten",
    "unique",
    "unique_consecutive",
    "unsqueeze",
    "use_backend",
    "utils",
    "vander",
    "var",
    "var_mean",
    "vdot",
    "vsplit",
    "vstack",
    "where",
    "xlogy",
    "zeros",
    "zeros_like",
]
