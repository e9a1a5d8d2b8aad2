# Written by scripts/stubs.

from . import init as init
from . import utils as utils
from ..losses.torch.classes import CrossEntropyLoss as CrossEntropyLoss
from ..losses.torch.classes import LinearCrossEntropyLoss as LinearCrossEntropyLoss
from ..losses.torch.classes import MultiMarginLoss as MultiMarginLoss
from ..losses.torch.classes import NLLLoss as NLLLoss
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
from .layers.dense import Dense as Dense
from .layers.dense import Linear as Linear
from .layers.merge import Add as Add
from .layers.merge import Average as Average
from .layers.merge import Concatenate as Concatenate
from .layers.merge import Dot as Dot
from .layers.merge import Maximum as Maximum
from .layers.merge import Minimum as Minimum
from .layers.merge import Multiply as Multiply
from .layers.merge import Residual as Residual
from .layers.merge import Subtract as Subtract
from .layers.prelu import PReLU as PReLU
from .layers.random import AlphaDropout as AlphaDropout
from .layers.random import Dropout as Dropout
from .layers.random import GaussianDropout as GaussianDropout
from .layers.random import GaussianNoise as GaussianNoise
from .layers.regularization import ActivityRegularization as ActivityRegularization
from .layers.shape import Flatten as Flatten
from .module import Module as Layer
from .module import Module as Module
from .parameter import Parameter as Parameter
from .parameter_view import ParameterView as ParameterView
from .spec import InputSpec as InputSpec

__all__ = [
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CELU",
    "Concatenate",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "Dense",
    "Dot",
    "Dropout",
    "ELU",
    "Flatten",
    "GEGLU",
    "GELU",
    "GLU",
    "GaussianDropout",
    "GaussianNLLLoss",
    "GaussianNoise",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "Input",
    "InputSpec",
    "KLDivLoss",
    "L1Loss",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LinearCrossEntropyLoss",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MarginRankingLoss",
    "Maximum",
    "Maxout",
    "Minimum",
    "Mish",
    "Model",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "Multiply",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "ParameterView",
    "PoissonNLLLoss",
    "ReGLU",
    "ReLU",
    "ReLU6",
    "Residual",
    "SELU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Sine",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Sparsemax",
    "Subtract",
    "SwiGLU",
    "Symbol",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "TripletMarginLoss",
    "init",
    "utils",
]
