# Written by scripts/stubs.

from ..initializers import Constant as Constant
from ..initializers import Constant as constant
from ..initializers import GlorotNormal as GlorotNormal
from ..initializers import GlorotNormal as glorot_normal
from ..initializers import GlorotUniform as GlorotUniform
from ..initializers import GlorotUniform as glorot_uniform
from ..initializers import HeNormal as HeNormal
from ..initializers import HeNormal as he_normal
from ..initializers import HeUniform as HeUniform
from ..initializers import HeUniform as he_uniform
from ..initializers import Identity as Identity
from ..initializers import Identity as IdentityInitializer
from ..initializers import Identity as identity
from ..initializers import Initializer as Initializer
from ..initializers import LecunNormal as LecunNormal
from ..initializers import LecunNormal as lecun_normal
from ..initializers import LecunUniform as LecunUniform
from ..initializers import LecunUniform as lecun_uniform
from ..initializers import Ones as Ones
from ..initializers import Ones as ones
from ..initializers import Orthogonal as Orthogonal
from ..initializers import Orthogonal as OrthogonalInitializer
from ..initializers import Orthogonal as orthogonal
from ..initializers import RandomNormal as RandomNormal
from ..initializers import RandomNormal as random_normal
from ..initializers import RandomUniform as RandomUniform
from ..initializers import RandomUniform as random_uniform
from ..initializers import TruncatedNormal as TruncatedNormal
from ..initializers import TruncatedNormal as truncated_normal
from ..initializers import VarianceScaling as VarianceScaling
from ..initializers import VarianceScaling as variance_scaling
from ..initializers import Zeros as Zeros
from ..initializers import Zeros as zeros
from ..initializers import get as deserialize
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
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]
