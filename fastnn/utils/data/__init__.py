"""Data sets, and batches of them, with the names and arguments of `torch.utils.data`.

>>> import fastnn
>>> from fastnn.utils.data import DataLoader, TensorDataset
>>> data = TensorDataset(fastnn.arange(5).float(), fastnn.arange(5))
>>> for x, y in DataLoader(data, batch_size=2):
...     print(x.tolist(), y.tolist())
[0.0, 1.0] [0, 1]
[2.0, 3.0] [2, 3]
[4.0] [4]
"""

from ...core.lazy import lazily as _lazily

_NAMES = {
    ".collate": "default_collate",
    ".datasets": "ConcatDataset Dataset IterableDataset StackDataset Subset TensorDataset random_split",
    ".loader": "DataLoader",
    ".samplers": ("BatchSampler RandomSampler Sampler SequentialSampler SubsetRandomSampler WeightedRandomSampler"),
}

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES)
