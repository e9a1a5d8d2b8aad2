"""scikit-learn: MLPClassifier with Adam, no penalty and no early end, input in float32, `assume_finite`.

Its BLAS takes its number of threads from the environment.
"""

from __future__ import annotations

import warnings
from itertools import cycle
from typing import Any

import numpy as np

from . import nets
from .job import Digits, Epochs, Job


def start(threads: int) -> None:
    import sklearn

    sklearn.set_config(assume_finite=True)
    warnings.simplefilter("ignore")  # it says that the epochs are not convergence


def _model(sizes: tuple[int, ...], batch: int, lr: float) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        sizes[1:-1], alpha=0.0, batch_size=batch, learning_rate_init=lr, tol=0.0, n_iter_no_change=10**9, random_state=0
    )


def fit(sizes: tuple[int, ...], batch: int, lr: float) -> Job:
    """The time of `fit` divided by its steps, shuffling included."""
    model = _model(sizes, batch, lr)
    x, y = nets.samples(sizes, batch * nets.batches(sizes))
    return Epochs(lambda epochs: model.set_params(max_iter=epochs).fit(x, y), nets.batches(sizes))


def on_batch(sizes: tuple[int, ...], batch: int, lr: float) -> Job:
    """partial_fit of one batch, which keeps its loss in `loss_`."""
    model, data = _model(sizes, batch, lr), nets.training_data(sizes, batch)
    model.partial_fit(*data[0], classes=np.arange(sizes[-1]))
    following = cycle(data)
    return Job(lambda: model.partial_fit(*next(following)))


def predict(sizes: tuple[int, ...], batch: int) -> Job:
    """Probabilities: it does not give logits."""
    model = _model(sizes, sizes[-1], nets.LR)
    model.partial_fit(*nets.samples(sizes, sizes[-1]), classes=np.arange(sizes[-1]))
    model.coefs_, model.intercepts_ = map(list, zip(*nets.weights(sizes), strict=True))
    x = nets.samples(sizes, batch)[0]
    return Job(model.predict_proba, (x,), result=lambda: model.predict_proba(x))


def digits() -> Job:
    from .fastnn import bench_training

    return Digits(bench_training().run_sklearn)
