# Written by scripts/stubs.

from .draws import SeedGenerator as SeedGenerator
from .draws import categorical as categorical
from .draws import dropout as dropout
from .draws import normal as normal
from .draws import randint as randint
from .draws import uniform as uniform

__all__ = [
    "SeedGenerator",
    "categorical",
    "dropout",
    "normal",
    "randint",
    "uniform",
]
