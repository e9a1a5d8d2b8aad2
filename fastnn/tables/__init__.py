"""Tables: from a file with columns of all kinds to a trained model, and to predictions for new rows.

`read` gives the data frame of a CSV, Parquet, Excel or NPZ file. `Encoder` turns rows into the numbers that a network takes, and
is saved with the model, as ``model.table_encoder``. `train` does everything at once; `fastnn train FILE --target COLUMN` calls
it. These functions need pandas, the extra ``tables``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.lazy import lazily

if TYPE_CHECKING:
    from .encoder import Encoder as Encoder
    from .files import read as read
    from .files import write as write
    from .tabular import Tabular as Tabular
    from .training import train as train

__all__, __getattr__, __dir__ = lazily(
    __name__, {".encoder": "Encoder", ".files": "read write", ".tabular": "Tabular", ".training": "train"}
)
