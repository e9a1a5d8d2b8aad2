"""The solver "lbfgs": SciPy's L-BFGS-B on loss and gradient that fastnn computes in recorded steps."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import minimize as scipy_minimize
from sklearn.exceptions import ConvergenceWarning

from .. import capture, tensor
from ..backends import current
from .base import Array, Estimator


def minimize(e: Estimator, X: Array, targets: Array, weights: Array | None) -> None:
    """Minimise the loss of all samples by the weights of the estimator's model."""
    model: Any = e.model_
    loss_of, factor = e._loss()
    model.compile("adam", loss_of)
    parameters = list(model.parameters())
    sizes = np.cumsum([0, *(p.size for p in parameters)])
    parts = [slice(a, b) for a, b in pairwise(sizes)]
    dtype, k = model.dtype, current()
    x, t = tensor(X, dtype=dtype), tensor(targets)
    w = None if weights is None else weights.astype(dtype)

    def graph() -> Any:
        model.zero_grad()
        outputs = model(x, training=True)
        if t.ndim < outputs.ndim and loss_of.targets != "labels":
            loss = loss_of(t.reshape(outputs.shape), outputs, w)
        else:
            loss = loss_of(t, outputs, w)
        loss = loss * factor
        for penalty in model.losses:
            loss = loss + penalty
        loss.backward()
        return loss

    step = capture(graph)

    def value(flat: Array) -> tuple[float, Array]:
        for p, part in zip(parameters, parts, strict=True):
            k.write(p.data, flat[part].reshape(p.shape).astype(dtype))
        loss = step().item()
        return loss, np.concatenate([k.to_numpy(p.grad.data).ravel() for p in parameters]).astype(np.float64)

    start = np.concatenate([k.to_numpy(p.data).ravel() for p in parameters]).astype(np.float64)
    found = scipy_minimize(
        value, start, method="L-BFGS-B", jac=True, options={"maxfun": e.max_fun, "maxiter": e.max_iter, "gtol": e.tol}
    )
    value(found.x)
    e.loss_ = float(found.fun)
    e.n_iter_ = int(min(found.nit, e.max_iter))
    if found.status:
        warnings.warn(
            f"lbfgs failed to converge after {found.nit} iteration(s) (status={found.status}): {found.message}. "
            "Increase max_iter, or scale the data.",
            ConvergenceWarning,
            stacklevel=5,
        )
