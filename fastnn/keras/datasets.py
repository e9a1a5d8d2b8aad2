"""Keras's data sets, read from the files that Keras has downloaded; fastnn downloads nothing.

>>> import fastnn.keras as keras
>>> keras.datasets.mnist.load_data("no such file.npz")
Traceback (most recent call last):
FileNotFoundError: keras.datasets.mnist: there is no file ...
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.near import no_attribute
from ..datasets.arrays import read_npz

__all__ = ["mnist"]


def __dir__() -> list[str]:
    return __all__.copy()


Array = np.ndarray[Any, Any]
Split = tuple[Array, Array]


class DataSet:
    """Data set in a file with arrays.

    Args:
        name: its name in Keras.
        file: name of the file.
        arrays: names of the arrays: x and y to train, x and y to test.
    """

    def __init__(self, name: str, file: str, arrays: Sequence[str]) -> None:
        self.name, self.file, self.arrays = name, file, tuple(arrays)

    def load_data(self, path: str | None = None) -> tuple[Split, Split]:
        """Return ((x_train, y_train), (x_test, y_test)).

        Args:
            path: an .npz file; by default the one that Keras has downloaded, in the folder ~/.keras/datasets.

        Raises:
            FileNotFoundError: there is no such file.
        """
        file = Path.home() / ".keras" / "datasets" / (path or self.file)  # an absolute path stays itself
        if path is not None and Path(path).exists():
            file = Path(path)
        if not file.is_file():
            raise FileNotFoundError(
                f"keras.datasets.{self.name}: there is no file {file}, and fastnn downloads nothing; put it there, give its path,"
                " or take fastnn.datasets.digits(), which is part of the package"
            )
        found = read_npz(file, self.arrays)
        a, b, c, d = (found[name] for name in self.arrays)
        return (a, b), (c, d)


mnist = DataSet("mnist", "mnist.npz", ("x_train", "y_train", "x_test", "y_test"))


def __getattr__(name: str) -> Any:
    if name in ("boston_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "reuters", "california_housing"):
        raise AttributeError(
            f"keras.datasets.{name}: fastnn downloads nothing and does not read this data set; load the arrays by Keras or NumPy"
        )
    raise no_attribute(__name__, name, __all__)
