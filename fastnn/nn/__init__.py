"""Layers and losses: the names of `fastnn`, and PyTorch's."""

from . import init, utils
from .activation import (
    CELU,
    ELU,
    GEGLU,
    GELU,
    GLU,
    SELU,
    Activation,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Maxout,
    Mish,
    ReGLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Sine,
    Softmax,
    Softmin,
    Softplus,
    Softshrink,
    Softsign,
    Sparsemax,
    SwiGLU,
    Tanh,
    Tanhshrink,
    Threshold,
)
from .container import ModuleDict, ModuleList
from .dense import Dense, Linear
from .loss import BCEWithLogitsLoss, CrossEntropyLoss, LinearCrossEntropyLoss, MSELoss
from .merge import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Residual, Subtract
from .model import Model
from .module import Module
from .parameter import Parameter
from .prelu import PReLU
from .random import AlphaDropout, Dropout, GaussianDropout, GaussianNoise
from .regularization import ActivityRegularization
from .sequential import Sequential
from .shape import Flatten
from .symbolic import Input, Symbol

Layer = Module
"Keras's name of Module."

__all__ = [
    "CELU",
    "ELU",
    "GEGLU",
    "GELU",
    "GLU",
    "SELU",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "BCEWithLogitsLoss",
    "Concatenate",
    "CrossEntropyLoss",
    "Dense",
    "Dot",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Input",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LinearCrossEntropyLoss",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "Maximum",
    "Maxout",
    "Minimum",
    "Mish",
    "Model",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Multiply",
    "PReLU",
    "Parameter",
    "ReGLU",
    "ReLU",
    "ReLU6",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Sine",
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
    "init",
    "utils",
]
