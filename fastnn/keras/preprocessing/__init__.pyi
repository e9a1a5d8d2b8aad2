# Written by scripts/stubs.

from . import image as image
from . import sequence as sequence
from ..utils import image_dataset_from_directory as image_dataset_from_directory
from ..utils import timeseries_dataset_from_array as timeseries_dataset_from_array

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "timeseries_dataset_from_array",
]
