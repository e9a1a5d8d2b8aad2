"""fastnn: small neural networks, fast on the CPU, readable, with the names of Keras and PyTorch."""

from . import callbacks, constraints, datasets, initializers, losses, metrics, nn, ops, optim, plot, regularizers, schedules
from .backends import backends, get_backend, get_num_threads, info, set_num_threads, use_backend
from .gradcheck import gradcheck
from .nn import (
    Activation,
    ActivityRegularization,
    AlphaDropout,
    Dense,
    Dropout,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    Module,
    Sequential,
)
from .ops.activation import gelu, leaky_relu, log_softmax, relu, sigmoid, softmax, tanh
from .ops.data import gather, take
from .ops.dense import matmul
from .ops.elementwise import (
    abs,
    add,
    argmax,
    clip,
    div,
    exp,
    log,
    max,
    maximum,
    mean,
    min,
    minimum,
    mul,
    pow,
    sqrt,
    sub,
    sum,
    where,
)
from .ops.shape import concatenate, flatten, reshape, squeeze, stack, transpose, unsqueeze
from .plan import capture
from .precision import autocast
from .seeding import seed
from .serialization import load
from .tensor import Tensor, no_grad, tensor
from .training.lr_find import lr_find

__version__ = "0.1.0"

__all__ = [
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "Module",
    "Sequential",
    "Tensor",
    "abs",
    "add",
    "argmax",
    "autocast",
    "backends",
    "callbacks",
    "capture",
    "clip",
    "concatenate",
    "constraints",
    "datasets",
    "div",
    "exp",
    "flatten",
    "gather",
    "gelu",
    "get_backend",
    "get_num_threads",
    "gradcheck",
    "info",
    "initializers",
    "leaky_relu",
    "load",
    "log",
    "log_softmax",
    "losses",
    "lr_find",
    "matmul",
    "max",
    "maximum",
    "mean",
    "metrics",
    "min",
    "minimum",
    "mul",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "plot",
    "pow",
    "regularizers",
    "relu",
    "reshape",
    "schedules",
    "seed",
    "set_num_threads",
    "sigmoid",
    "softmax",
    "sqrt",
    "squeeze",
    "stack",
    "sub",
    "sum",
    "take",
    "tanh",
    "tensor",
    "transpose",
    "unsqueeze",
    "use_backend",
    "where",
]
