"""Keras's names of the arguments of optimizers."""

from __future__ import annotations

import inspect
from typing import Any

from .adaptive import RMSprop
from .base import Optimizer
from .muon import Muon

_NAMES = {"learning_rate": "lr", "epsilon": "eps"}
_NAMES_OF: dict[type[Optimizer], dict[str, str]] = {
    RMSprop: {"rho": "alpha"},
    Muon: {"epsilon": "adamw_eps", "adam_weight_decay": "adamw_weight_decay"},
}
_PARTS = {
    "betas": ("beta_1", "beta_2"),
    "adamw_betas": ("adam_beta_1", "adam_beta_2"),
    "ns_coefficients": ("muon_a", "muon_b", "muon_c"),
}
"""Arguments of fastnn that are several arguments in Keras."""
_FIXED: dict[str, Any] = {"loss_scale_factor": None}
_FIXED_OF: dict[type[Optimizer], dict[str, Any]] = {
    Muon: {"exclude_layers": None, "exclude_embeddings": True, "adam_lr_ratio": 1, "rms_rate": 0.2},
}
"""Arguments for which only Keras's default is supported."""


def own_arguments(cls: type[Optimizer], given: dict[str, Any]) -> dict[str, Any]:
    """Convert arguments with Keras's names to the names of the class.

    Raises:
        TypeError: both names of an argument are given.
        ValueError: a Keras argument has a value that is not supported.
    """
    own: dict[str, Any] = {}
    fixed, names = _FIXED | _FIXED_OF.get(cls, {}), _NAMES | _NAMES_OF.get(cls, {})
    for key, value in given.items():
        name = names.get(key, key)
        if name in given and name != key:
            raise TypeError(f"{cls.__name__}: {key} and {name} came in one call; use one of them")
        if key in fixed and value != fixed[key]:
            raise ValueError(f"{cls.__name__}: {key} is {value!r}, wanted {fixed[key]!r}: it cannot be changed here")
        if key in fixed or key == "name":
            continue
        own[name] = 0.0 if value is None and key.endswith("weight_decay") else value
    arguments = inspect.signature(cls).parameters
    for name, parts in _PARTS.items():
        if name in arguments and (came := [part for part in parts if part in own]):
            if name in own:
                raise TypeError(f"{cls.__name__}: {came[0]} and {name} came in one call; use one of them")
            own[name] = tuple(own.pop(part, default) for part, default in zip(parts, arguments[name].default, strict=True))
    return own
