# Written by scripts/stubs.

from . import activations as activations
from . import applications as applications
from . import backend as backend
from . import callbacks as callbacks
from . import config as config
from . import constraints as constraints
from . import datasets as datasets
from . import initializers as initializers
from . import layers as layers
from . import losses as losses
from . import metrics as metrics
from . import mixed_precision as mixed_precision
from . import models as models
from . import ops as ops
from . import optimizers as optimizers
from . import preprocessing as preprocessing
from . import random as random
from . import regularizers as regularizers
from . import saving as saving
from . import utils as utils
from .._version import __version__ as __version__
from ..initializers import Initializer as Initializer
from ..losses import Loss as Loss
from ..metrics import Metric as Metric
from ..nn import Input as Input
from ..nn import InputSpec as InputSpec
from ..nn import Model as Model
from ..nn import Sequential as Sequential
from ..nn import Symbol as KerasTensor
from ..optim import Optimizer as Optimizer
from ..regularizers import Regularizer as Regularizer
from .layer import Layer as Layer
from .layer import Variable as Variable

__all__ = [
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "Variable",
    "activations",
    "applications",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "saving",
    "utils",
]
