"""profile and explain: what a training step does, as tables of times or of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Reporter:
    """Methods of `fastnn.nn.Module` that take a step on a copy of the model, and print what happened."""

    def profile(self, x: Any, y: Any, batch_size: int | None = None, print_fn: Callable[[Any], Any] | None = print) -> Any:
        """Time every kernel of a training step on these data. Print a table of the times and the limits of the speed.

        Args:
            x, y: one batch, as for fit. The model is not changed.
            batch_size: number of samples to use; all by default.
            print_fn: function that prints the profile; None prints nothing.

        Returns:
            The `Profile`: its rows, the time of a replayed step and of a step run by Python, and the measured peaks.
        """
        from .profile import profile

        result = profile(self, x, y, batch_size)
        if print_fn is not None:
            print_fn(result)
        return result

    def explain(self, x: Any, y: Any, print_fn: Callable[[Any], Any] | None = print) -> Any:
        """Print one training step with its numbers: forward, loss, gradients, update. It is for teaching with small networks.

        Args:
            x, y: one batch, as for fit. The model is not changed. Layers such as Dropout draw anew for the loss after the step.
            print_fn: function that prints the explanation; None prints nothing.

        Returns:
            The `Explanation`: sums, outputs and gradients of each layer, and its parameters before and after the step.

        Raises:
            ValueError: the model has a train_step of its own, or a step of the optimizer computes several losses (L-BFGS).

        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Dense(1, "sigmoid", input_shape=(2,), kernel_initializer="ones")])
        >>> model.compile(fastnn.optim.SGD(lr=0.5), "mse")
        >>> step = model.explain([[1.0, 2.0]], [[0.0]], print_fn=None)
        >>> print(step.layers[0].sum, step.loss.__round__(4), step.after.__round__(4), sep="; ")
        1 * 1 + 2 * 1 + 0 = 3.0000; 0.9074; 0.8826
        """
        from .explain import explain

        result = explain(self, x, y)
        if print_fn is not None:
            print_fn(result)
        return result
