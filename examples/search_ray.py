"""Search with Ray Tune, one core for each trial. Each run finds the same best trial."""

import tempfile
from typing import Any

import numpy as np
import ray
from ray import tune

import fastnn


def accuracy(config: dict[str, Any]) -> dict[str, float]:
    """Train the net of a trial; return its accuracy on points that it has not seen, and its number of threads."""
    fastnn.seed(0)  # the same points in all trials; weights and order depend on the settings alone, not on the process
    (x, y), (x_val, y_val) = fastnn.datasets.spirals(300), fastnn.datasets.spirals(300)
    net = fastnn.Sequential(
        [
            fastnn.Dense(config["units"], "tanh", input_shape=(2,)),
            fastnn.Dense(config["units"], "tanh"),
            fastnn.Dense(2),
        ]
    )
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(fastnn.optim.Adam(lr=config["lr"]), loss)
    net.fit(x, y, epochs=60, batch_size=32, verbose=0)
    right = net.predict(x_val, verbose=0).argmax(1) == y_val
    return {"accuracy": float(np.mean(right)), "threads": fastnn.get_num_threads()}


def main() -> None:
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(accuracy, {"cpu": 1}),
            param_space={"units": tune.grid_search([4, 24]), "lr": tune.grid_search([0.001, 0.05])},
            tune_config=tune.TuneConfig(metric="accuracy", mode="max"),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        best = tuner.fit().get_best_result()
    ray.shutdown()
    assert best.config is not None and best.metrics is not None
    found = f"{best.config['units']} units, learning rate {best.config['lr']}, accuracy {best.metrics['accuracy']:.3f}"
    print(f"Best of 4 trials: {found}; threads of a trial: {best.metrics['threads']}")


if __name__ == "__main__":
    main()
