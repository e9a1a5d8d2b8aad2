# Written by scripts/stubs.

from ..initializers import Constant as Constant
from ..initializers import GlorotNormal as GlorotNormal
from ..initializers import GlorotUniform as GlorotUniform
from ..initializers import HeNormal as HeNormal
from ..initializers import HeUniform as HeUniform
from ..initializers import Identity as Identity
from ..initializers import Identity as IdentityInitializer
from ..initializers import Initializer as Initializer
from ..initializers import LecunNormal as LecunNormal
from ..initializers import LecunUniform as LecunUniform
from ..initializers import Ones as Ones
from ..initializers import Orthogonal as Orthogonal
from ..initializers import Orthogonal as OrthogonalInitializer
from ..initializers import RandomNormal as RandomNormal
from ..initializers import RandomUniform as RandomUniform
from ..initializers import TruncatedNormal as TruncatedNormal
from ..initializers import VarianceScaling as VarianceScaling
from ..initializers import Zeros as Zeros
from ..initializers import get as get
from ..initializers import serialize as serialize

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
    "serialize",
]
