"""Layers and losses: the names of `fastnn`, and PyTorch's."""

from .activation import GELU, Activation, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .dense import Dense, Linear
from .element_loss import (
    BCELoss,
    BCEWithLogitsLoss,
    HingeEmbeddingLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    MultiLabelSoftMarginLoss,
    PoissonNLLLoss,
    SmoothL1Loss,
    SoftMarginLoss,
)
from .loss import CrossEntropyLoss, LinearCrossEntropyLoss, MultiMarginLoss, NLLLoss
from .module import Module, Sequential
from .pair_loss import CosineEmbeddingLoss, GaussianNLLLoss, MarginRankingLoss, TripletMarginLoss
from .parameter import Parameter
from .random import Dropout
from .shape import Flatten

__all__ = [
    "GELU",
    "Activation",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "LinearCrossEntropyLoss",
    "LogSoftmax",
    "MSELoss",
    "MarginRankingLoss",
    "Module",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "Parameter",
    "PoissonNLLLoss",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "Softmax",
    "Tanh",
    "TripletMarginLoss",
]
