"""scikit-learn: MLPClassifier with Adam, no penalty, no early stopping, float32 input and `assume_finite`.

The environment sets the number of threads of its BLAS. Its training cannot start from given weights, so its training results are
not compared.
"""

from __future__ import annotations

import warnings
from itertools import cycle
from typing import Any

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

from . import job, nets
from .job import Epochs, Job, Training


class Contender(job.Contender):
    """scikit-learn."""

    def __init__(self, device: str, threads: int) -> None:
        super().__init__(device, threads)
        sklearn.set_config(assume_finite=True)
        warnings.simplefilter("ignore")  # it warns that training has not converged

    def train(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        """Return a job of `fit`, including shuffling, or of `partial_fit` with one batch, which stores the loss in the model."""
        model = _model(sizes, batch)
        if mode == "fit":
            x, y = nets.samples(sizes, batch * nets.BATCHES[sizes])
            return Epochs(lambda epochs: model.set_params(max_iter=epochs).fit(x, y), steps=nets.BATCHES[sizes])
        data = nets.data(sizes, batch)
        model.partial_fit(*data[0], classes=np.arange(sizes[-1]))
        following = cycle(data)
        return Job(lambda: model.partial_fit(*next(following)))

    def predict(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        """Return a job of `predict_proba`: scikit-learn returns probabilities, not logits."""
        model = _model(sizes, sizes[-1])
        model.partial_fit(*nets.samples(sizes, sizes[-1]), classes=np.arange(sizes[-1]))
        model.coefs_, model.intercepts_ = map(list, zip(*nets.weights(sizes), strict=True))
        x = nets.samples(sizes, batch)[0]
        return Job(model.predict_proba, (x,), result=lambda: [model.predict_proba(x)])

    def digits(self, precision: str, mode: str) -> Job:
        from bench_training import run_sklearn

        return Training(run_sklearn)


def _model(sizes: tuple[int, ...], batch: int) -> Any:
    return MLPClassifier(
        sizes[1:-1], alpha=0.0, batch_size=batch, learning_rate_init=nets.STILL, tol=0.0, n_iter_no_change=10**9, random_state=0
    )
