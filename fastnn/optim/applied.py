"""Steps with gradients that the caller gives, as in Keras."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..backends import current

if TYPE_CHECKING:
    from ..nn.parameter import Parameter


class Applied:
    """Methods of `Optimizer` with Keras's names."""

    if TYPE_CHECKING:
        params: list[Parameter]

        def add(self, params: Any) -> None: ...

        def step(self) -> Any: ...

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Any] | None = None) -> int:
        """Take one step with these gradients, one for each parameter; None for a parameter that stays as it is.

        Args:
            grads: arrays or Tensors with the shapes of the parameters.
            trainable_variables: the parameters, such as `model.trainable_weights`; by default those of the optimizer. An
                optimizer without parameters takes them.

        Returns:
            The number of updates so far.

        Raises:
            ValueError: the numbers of gradients and parameters differ, or a parameter belongs to another optimizer.

        >>> import fastnn
        >>> p = fastnn.nn.Parameter([1.0, 2.0])
        >>> fastnn.optim.SGD(lr=0.5).apply([[2.0, 0.0]], [p])
        1
        >>> p.tolist()
        [0.0, 2.0]
        """
        given = list(grads)
        params = self.params if trainable_variables is None else list(trainable_variables)
        if len(params) != len(given):
            raise ValueError(f"apply: {len(given)} gradients came for {len(params)} parameters")
        if not self.params:
            self.add(params)
        own = set(self.params)
        if not own.issuperset(params):
            raise ValueError("apply: a parameter is not one of the optimizer's; make an optimizer with all of them")
        for p in self.params:
            current().set_has_grad(p, False)
        for p, g in zip(params, given, strict=True):
            p.grad = g
        self.step()
        return self.iterations  # type: ignore[attr-defined,no-any-return]

    def build(self, variables: Iterable[Any]) -> None:
        """Take parameters, such as `model.trainable_weights`, before the first step."""
        self.add(variables)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make an optimizer from the result of `get_config`.

        >>> import fastnn
        >>> fastnn.optim.SGD.from_config({"lr": 0.5}).lr
        0.5
        """
        return cls(**config)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> int:
        """Take one step with pairs of a gradient and its parameter: `apply`."""
        pairs = list(grads_and_vars)
        return self.apply([g for g, _ in pairs], [p for _, p in pairs])
