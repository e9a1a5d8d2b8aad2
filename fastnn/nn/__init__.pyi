# Written by scripts/stubs.

from . import init as init
from . import utils as utils
from .activation import Activation as Activation
from .activation import CELU as CELU
from .activation import ELU as ELU
from .activation import GEGLU as GEGLU
from .activation import GELU as GELU
from .activation import GLU as GLU
from .activation import Hardshrink as Hardshrink
from .activation import Hardsigmoid as Hardsigmoid
from .activation import Hardswish as Hardswish
from .activation import Hardtanh as Hardtanh
from .activation import LeakyReLU as LeakyReLU
from .activation import LogSigmoid as LogSigmoid
from .activation import LogSoftmax as LogSoftmax
from .activation import Maxout as Maxout
from .activation import Mish as Mish
from .activation import ReGLU as ReGLU
from .activation import ReLU as ReLU
from .activation import ReLU6 as ReLU6
from .activation import SELU as SELU
from .activation import SiLU as SiLU
from .activation import Sigmoid as Sigmoid
from .activation import Sine as Sine
from .activation import Softmax as Softmax
from .activation import Softmin as Softmin
from .activation import Softplus as Softplus
from .activation import Softshrink as Softshrink
from .activation import Softsign as Softsign
from .activation import Sparsemax as Sparsemax
from .activation import SwiGLU as SwiGLU
from .activation import Tanh as Tanh
from .activation import Tanhshrink as Tanhshrink
from .activation import Threshold as Threshold
from .class_loss import CrossEntropyLoss as CrossEntropyLoss
from .class_loss import LinearCrossEntropyLoss as LinearCrossEntropyLoss
from .class_loss import MultiMarginLoss as MultiMarginLoss
from .class_loss import NLLLoss as NLLLoss
from .container import ModuleDict as ModuleDict
from .container import ModuleList as ModuleList
from .dense import Dense as Dense
from .dense import Linear as Linear
from .element_loss import BCELoss as BCELoss
from .element_loss import BCEWithLogitsLoss as BCEWithLogitsLoss
from .element_loss import HingeEmbeddingLoss as HingeEmbeddingLoss
from .element_loss import HuberLoss as HuberLoss
from .element_loss import KLDivLoss as KLDivLoss
from .element_loss import L1Loss as L1Loss
from .element_loss import MSELoss as MSELoss
from .element_loss import MultiLabelSoftMarginLoss as MultiLabelSoftMarginLoss
from .element_loss import PoissonNLLLoss as PoissonNLLLoss
from .element_loss import SmoothL1Loss as SmoothL1Loss
from .element_loss import SoftMarginLoss as SoftMarginLoss
from .merge import Add as Add
from .merge import Average as Average
from .merge import Concatenate as Concatenate
from .merge import Dot as Dot
from .merge import Maximum as Maximum
from .merge import Minimum as Minimum
from .merge import Multiply as Multiply
from .merge import Residual as Residual
from .merge import Subtract as Subtract
from .model import Model as Model
from .module import Module as Layer
from .module import Module as Module
from .pair_loss import CosineEmbeddingLoss as CosineEmbeddingLoss
from .pair_loss import GaussianNLLLoss as GaussianNLLLoss
from .pair_loss import MarginRankingLoss as MarginRankingLoss
from .pair_loss import TripletMarginLoss as TripletMarginLoss
from .parameter import Parameter as Parameter
from .parameter_view import ParameterView as ParameterView
from .prelu import PReLU as PReLU
from .random import AlphaDropout as AlphaDropout
from .random import Dropout as Dropout
from .random import GaussianDropout as GaussianDropout
from .random import GaussianNoise as GaussianNoise
from .regularization import ActivityRegularization as ActivityRegularization
from .sequential import Sequential as Sequential
from .shape import Flatten as Flatten
from .spec import InputSpec as InputSpec
from .symbolic import Input as Input
from .symbolic import Symbol as Symbol

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
