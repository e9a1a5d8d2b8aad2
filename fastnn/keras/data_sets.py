"""Objects that yield batches, with Keras's names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class PyDataset:
    """Base of data sets that give batches by their numbers: a class defines ``__len__`` and ``__getitem__``.

    fit takes them as x. The arguments are Keras's; batches are made in the process of the training.

    >>> import numpy as np
    >>> import fastnn.keras as keras
    >>> class Random(keras.utils.PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, i):
    ...         return np.ones((4, 2)) * i, np.ones((4, 1))
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> len(model.fit(Random(), verbose=0).history["loss"])
    1
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers, self.use_multiprocessing, self.max_queue_size = workers, use_multiprocessing, max_queue_size

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} defines no __len__")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__(index)")

    def on_epoch_end(self) -> None:
        """Prepare the next epoch; fit calls this method."""


class Timeseries(PyDataset):
    """Windows of a series as batches; see `fastnn.keras.utils.timeseries_dataset_from_array`."""

    def __init__(self, data: Array, targets: Array | None, starts: Array, steps: Array, batch_size: int) -> None:
        super().__init__()
        self.data, self.targets, self.starts, self.steps, self.batch_size = data, targets, starts, steps, batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.starts) / self.batch_size)

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        starts = self.starts[index * self.batch_size : (index + 1) * self.batch_size]
        x = self.data[starts[:, None] + self.steps]
        return x if self.targets is None else (x, self.targets[starts])
