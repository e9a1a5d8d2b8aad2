"""Layers and losses: the names of `fastnn`, and PyTorch's."""

from .activation import GELU, Activation, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .container import ModuleDict, ModuleList
from .dense import Dense, Linear
from .loss import BCEWithLogitsLoss, CrossEntropyLoss, LinearCrossEntropyLoss, MSELoss
from .merge import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Residual, Subtract
from .model import Model
from .module import Module
from .parameter import Parameter
from .random import AlphaDropout, Dropout, GaussianDropout, GaussianNoise
from .regularization import ActivityRegularization
from .sequential import Sequential
from .shape import Flatten
from .symbolic import Input, Symbol

Layer = Module
"Keras's name of Module."

__all__ = [
    "GELU",
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
    "Input",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LinearCrossEntropyLoss",
    "LogSoftmax",
    "MSELoss",
    "Maximum",
    "Minimum",
    "Model",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Multiply",
    "Parameter",
    "ReLU",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Subtract",
    "Symbol",
    "Tanh",
]
