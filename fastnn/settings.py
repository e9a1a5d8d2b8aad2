"""An optimizer's settings by PyTorch's names, as one group of `torch.optim.Optimizer.param_groups` has them."""

from __future__ import annotations

from typing import Any


class Settings:
    """The settings of an optimizer that has the same for all its parameters; other names may be put in, as in a dict."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer

    def __contains__(self, name: str) -> bool:
        names = self._optimizer.hyper_names
        return name in names or (name == "betas" and "beta1" in names) or name in vars(self._optimizer)

    def __getitem__(self, name: str) -> Any:
        if name == "betas":
            return self["beta1"], self["beta2"]
        return self._optimizer._hyper(name) if name in self._optimizer.hyper_names else vars(self._optimizer)[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "betas":
            self["beta1"], self["beta2"] = value
        elif name in self._optimizer.hyper_names:
            self._optimizer._set_hyper(name, value)
        else:
            vars(self._optimizer)[name] = value


def groups(optimizer: Any) -> list[Any]:
    """The optimizer's groups of parameters."""
    found: list[Any] = getattr(optimizer, "param_groups", None) or [Settings(optimizer)]
    return found
