"""Optimizers with PyTorch's names and defaults, as one pass over flat buffers. `get` makes them with Keras's names and defaults.

Hyper-parameters and step counts are in arrays that the kernels read, so that changes apply to recorded steps too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.lazy import guessing
from ..core.near import unknown
from ..core.registered import named
from ..nn.absent import OPTIMIZERS as _ABSENT
from . import lr_scheduler
from .adam import Adam, Adamax, AdamW, NAdam, RAdam
from .adaptive import Adadelta, Adagrad, RMSprop
from .base import Optimizer
from .keras import own_arguments
from .lbfgs import LBFGS
from .muon import Muon
from .rows import SparseAdam
from .schedule_free import AdamWScheduleFree
from .sgd import SGD, Lion

# Keras's defaults, by its names. Its weight decay is decoupled in all of them.
_KERAS: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "sgd": (SGD, {"lr": 0.01, "decoupled": True}),
    "adam": (Adam, {"eps": 1e-7}),
    "adamw": (AdamW, {"eps": 1e-7, "weight_decay": 4e-3}),
    "rmsprop": (RMSprop, {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7, "inside": True, "decoupled": True}),
    "adagrad": (Adagrad, {"lr": 1e-3, "initial_accumulator_value": 0.1, "eps": 1e-7, "decoupled": True}),
    "adadelta": (Adadelta, {"lr": 1e-3, "rho": 0.95, "eps": 1e-7, "decoupled": True}),
    "adamax": (Adamax, {"lr": 1e-3, "eps": 1e-7, "decoupled": True}),
    "nadam": (NAdam, {"lr": 1e-3, "eps": 1e-7, "momentum_decay": 1.0, "decoupled_weight_decay": True}),
    "radam": (RAdam, {"eps": 1e-7, "decoupled_weight_decay": True}),
    "lion": (Lion, {"lr": 1e-3}),
    "muon": (Muon, {"weight_decay": 4e-3, "adjust_lr_fn": "match_rms_adamw", "adamw_weight_decay": 4e-3, "adamw_eps": 1e-7}),
    "sparseadam": (SparseAdam, {"eps": 1e-7}),
    "schedulefreeadamw": (AdamWScheduleFree, {}),
    "lbfgs": (LBFGS, {"line_search_fn": "strong_wolfe"}),
}


def get(identifier: Any, **settings: Any) -> Optimizer:
    """Make an optimizer from its name, with Keras's defaults and the given settings; an Optimizer is returned itself.

    Settings have Keras's names or those of the class. RAdam and L-BFGS, which Keras does not have, use similar defaults.

    Raises:
        TypeError: the identifier is neither a name nor an optimizer, an argument is unknown, or both names of one are given.
        ValueError: the name is unknown, or the value of a setting is not valid.

    >>> import fastnn
    >>> fastnn.optim.get("adam", learning_rate=0.01, beta_1=0.8).get_config()["betas"]
    (0.8, 0.999)
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier(**settings)
    if isinstance(identifier, str) and ">" in identifier:
        return get(named(identifier), **settings)
    if isinstance(identifier, str):
        name = identifier.lower()
        if name not in _KERAS:
            raise ValueError(unknown("optimizer", identifier, _KERAS))
        cls, defaults = _KERAS[name]
        if name == "adam" and settings.get("weight_decay"):
            cls = AdamW  # Keras decouples weight decay in all its optimizers
        return cls(**{**defaults, **own_arguments(cls, settings)})
    raise TypeError(f"optimizer: {type(identifier).__name__} came, wanted a name or an object of fastnn.optim")


OPTIMIZERS: dict[str, type[Optimizer]] = {c.__name__: c for c, _ in _KERAS.values()}

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdamWScheduleFree",
    "Adamax",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "SparseAdam",
    "get",
    "lr_scheduler",
]


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # which report unknown names themselves
    __getattr__ = guessing(__name__, __all__, _ABSENT)
