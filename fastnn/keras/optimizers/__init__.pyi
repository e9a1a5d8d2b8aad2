# Written by scripts/stubs.

from . import schedules as schedules
from ...optim import Optimizer as Optimizer
from ...optim import get as get
from .named import Adadelta as Adadelta
from .named import Adagrad as Adagrad
from .named import Adam as Adam
from .named import AdamW as AdamW
from .named import Adamax as Adamax
from .named import Lion as Lion
from .named import LossScaleOptimizer as LossScaleOptimizer
from .named import Muon as Muon
from .named import Nadam as Nadam
from .named import RMSprop as RMSprop
from .named import SGD as SGD

__all__ = [
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "LossScaleOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "SGD",
    "get",
    "schedules",
]
