"""Optimizers with Keras's names, arguments and defaults, made by `fastnn.optim.get`. compile gives them their parameters.

All take Keras's ``weight_decay`` (decoupled), ``clipnorm``, ``global_clipnorm``, ``clipvalue``, ``use_ema``, ``ema_momentum``,
``ema_overwrite_frequency`` and ``gradient_accumulation_steps`` by name. The learning rate may be a schedule.
"""

# ruff: noqa: N802 (Keras's names)

from __future__ import annotations

from typing import Any

from ... import optim


def _made(name: str, given: dict[str, Any]) -> Any:
    """Make an optimizer from the arguments of one of the functions below."""
    common = given.pop("common")
    if "lr" in common:
        raise TypeError("keras.optimizers: lr came; this argument is called learning_rate")
    return optim.get(name, **given, **common)


def SGD(learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **common: Any) -> optim.SGD:
    """Return `fastnn.optim.SGD` with Keras's arguments."""
    return _made("sgd", locals())  # type: ignore[no-any-return]


def Adam(
    learning_rate: Any = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    **common: Any,
) -> optim.Adam:
    """Return `fastnn.optim.Adam` with Keras's arguments; with a weight_decay, `fastnn.optim.AdamW`.

    >>> import fastnn.keras as keras
    >>> rate = keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=100, decay_rate=0.9)
    >>> round(keras.optimizers.Adam(rate, clipnorm=1.0).learning_rate, 4)
    0.01
    """
    return _made("adam", locals())  # type: ignore[no-any-return]


def AdamW(
    learning_rate: Any = 0.001,
    weight_decay: float = 0.004,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    **common: Any,
) -> optim.AdamW:
    """Return `fastnn.optim.AdamW` with Keras's arguments."""
    return _made("adamw", locals())  # type: ignore[no-any-return]


def RMSprop(
    learning_rate: Any = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
    **common: Any,
) -> optim.RMSprop:
    """Return `fastnn.optim.RMSprop` with Keras's arguments."""
    return _made("rmsprop", locals())  # type: ignore[no-any-return]


def Adagrad(
    learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7, **common: Any
) -> optim.Adagrad:
    """Return `fastnn.optim.Adagrad` with Keras's arguments."""
    return _made("adagrad", locals())  # type: ignore[no-any-return]


def Adadelta(learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **common: Any) -> optim.Adadelta:
    """Return `fastnn.optim.Adadelta` with Keras's arguments."""
    return _made("adadelta", locals())  # type: ignore[no-any-return]


def Adamax(
    learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, **common: Any
) -> optim.Adamax:
    """Return `fastnn.optim.Adamax` with Keras's arguments."""
    return _made("adamax", locals())  # type: ignore[no-any-return]


def Nadam(
    learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, **common: Any
) -> optim.NAdam:
    """Return `fastnn.optim.NAdam` with Keras's arguments."""
    return _made("nadam", locals())  # type: ignore[no-any-return]


def Lion(learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **common: Any) -> optim.Lion:
    """Return `fastnn.optim.Lion` with Keras's arguments."""
    return _made("lion", locals())  # type: ignore[no-any-return]


def Muon(learning_rate: Any = 0.001, **settings: Any) -> optim.Muon:
    """Return `fastnn.optim.Muon` with Keras's arguments."""
    return optim.get("muon", learning_rate=learning_rate, **settings)  # type: ignore[return-value]


def LossScaleOptimizer(
    inner_optimizer: optim.Optimizer, initial_scale: float = 32768.0, dynamic_growth_steps: int = 2000
) -> optim.Optimizer:
    """Return the inner optimizer: training in bfloat16 keeps gradients in float32, where small ones need no scale."""
    return optim.get(inner_optimizer)
