"""Layers and losses: the names of `fastnn`, and PyTorch's."""

from . import init
from .activation import GELU, Activation, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .dense import Dense, Linear
from .loss import BCEWithLogitsLoss, CrossEntropyLoss, LinearCrossEntropyLoss, MSELoss
from .module import Module, Sequential
from .parameter import Parameter
from .random import AlphaDropout, Dropout, GaussianDropout, GaussianNoise
from .regularization import ActivityRegularization
from .shape import Flatten

__all__ = [
    "GELU",
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
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
    "init",
]
