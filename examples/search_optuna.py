"""Search with Optuna in two processes that share a journal file. Each run finds the same best trial."""

import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import fastnn

TRIALS, PROCESSES = 8, 2
SETTINGS: dict[str, optuna.distributions.BaseDistribution] = {
    "units": optuna.distributions.IntDistribution(4, 64, log=True),
    "lr": optuna.distributions.FloatDistribution(1e-3, 1e-1, log=True),
    "dropout": optuna.distributions.FloatDistribution(0.0, 0.3),
}


def study_in(path: str) -> optuna.Study:
    """Return the study of this file; processes on several machines can use it if they share the folder."""
    storage = JournalStorage(JournalFileBackend(path))
    return optuna.create_study(storage=storage, study_name="spirals", direction="maximize", load_if_exists=True)


def accuracy(trial: optuna.Trial) -> float:
    """Train the net of a trial; return its accuracy on points that it has not seen."""
    fastnn.seed(0)
    (x, y), (x_val, y_val) = fastnn.datasets.spirals(300), fastnn.datasets.spirals(300)  # the same points in all trials
    units, lr = trial.suggest_int("units", 4, 64, log=True), trial.suggest_float("lr", 1e-3, 1e-1, log=True)
    dropout = trial.suggest_float("dropout", 0.0, 0.3)
    fastnn.seed(trial.number)  # weights, order and dropout depend on the trial alone, not on the process
    net = fastnn.Sequential(
        [
            fastnn.Dense(units, "tanh", input_shape=(2,)),
            fastnn.Dense(units, "tanh"),
            fastnn.Dropout(dropout),
            fastnn.Dense(2),
        ]
    )
    net.compile(fastnn.optim.Adam(lr=lr), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    net.fit(x, y, epochs=60, batch_size=32, verbose=0)
    return float(np.mean(net.predict(x_val, verbose=0).argmax(1) == y_val))


def work(path: str) -> None:
    """Run this process's part of the trials, on one thread: small nets gain more from processes."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    fastnn.set_num_threads(1)
    study_in(path).optimize(accuracy, n_trials=TRIALS // PROCESSES)


def search(path: str) -> optuna.trial.FrozenTrial:
    """Return the best trial."""
    study, drawn = study_in(path), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(TRIALS):  # all settings are drawn in advance: a sampler that learns would depend on which trial ends first
        study.enqueue_trial(drawn.ask(SETTINGS).params)
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        list(pool.map(work, [path] * PROCESSES))
    return study.best_trial


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        best = search(str(Path(folder) / "journal.log"))
    settings = ", ".join(f"{name} {value:.3g}" for name, value in sorted(best.params.items()))
    print(f"Best of {TRIALS} trials: number {best.number}, {settings}: accuracy {best.value:.3f}")


if __name__ == "__main__":
    main()
