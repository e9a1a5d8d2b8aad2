"""Layers and losses: the names of `fastnn`, and PyTorch's."""

from . import utils
from .activation import GELU, Activation, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .dense import Dense, Linear
from .loss import BCEWithLogitsLoss, CrossEntropyLoss, LinearCrossEntropyLoss, MSELoss
from .module import Module, Sequential
from .parameter import Parameter
from .random import Dropout
from .shape import Flatten

__all__ = [
    "GELU",
    "Activation",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Dense",
    "Dropout",
    "Flatten",
    "LeakyReLU",
    "Linear",
    "LinearCrossEntropyLoss",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "utils",
]
