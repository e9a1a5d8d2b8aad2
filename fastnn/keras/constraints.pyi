# Written by scripts/stubs.

from ..constraints import Constraint as Constraint
from ..constraints import MaxNorm as MaxNorm
from ..constraints import MaxNorm as max_norm
from ..constraints import MinMaxNorm as MinMaxNorm
from ..constraints import MinMaxNorm as min_max_norm
from ..constraints import NonNeg as NonNeg
from ..constraints import NonNeg as non_neg
from ..constraints import UnitNorm as UnitNorm
from ..constraints import UnitNorm as unit_norm
from ..constraints import get as deserialize
from ..constraints import get as get
from ..constraints import serialize as serialize

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]
