# Written by scripts/stubs.

from ..losses import BinaryCrossentropy as BinaryCrossentropy
from ..losses import BinaryFocalCrossentropy as BinaryFocalCrossentropy
from ..losses import CTC as CTC
from ..losses import CategoricalCrossentropy as CategoricalCrossentropy
from ..losses import CategoricalFocalCrossentropy as CategoricalFocalCrossentropy
from ..losses import CategoricalGeneralizedCrossEntropy as CategoricalGeneralizedCrossEntropy
from ..losses import CategoricalHinge as CategoricalHinge
from ..losses import Circle as Circle
from ..losses import CosineSimilarity as CosineSimilarity
from ..losses import Dice as Dice
from ..losses import Hinge as Hinge
from ..losses import Huber as Huber
from ..losses import KLDivergence as KLDivergence
from ..losses import LogCosh as LogCosh
from ..losses import Loss as Loss
from ..losses import MeanAbsoluteError as MeanAbsoluteError
from ..losses import MeanAbsolutePercentageError as MeanAbsolutePercentageError
from ..losses import MeanSquaredError as MeanSquaredError
from ..losses import MeanSquaredLogarithmicError as MeanSquaredLogarithmicError
from ..losses import Poisson as Poisson
from ..losses import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from ..losses import SquaredHinge as SquaredHinge
from ..losses import Tversky as Tversky
from ..losses import deserialize as deserialize
from ..losses import get as get
from ..losses import serialize as serialize
from .loss_functions import binary_crossentropy as binary_crossentropy
from .loss_functions import binary_focal_crossentropy as binary_focal_crossentropy
from .loss_functions import categorical_crossentropy as categorical_crossentropy
from .loss_functions import categorical_focal_crossentropy as categorical_focal_crossentropy
from .loss_functions import categorical_generalized_cross_entropy as categorical_generalized_cross_entropy
from .loss_functions import categorical_hinge as categorical_hinge
from .loss_functions import circle as circle
from .loss_functions import cosine_similarity as cosine_similarity
from .loss_functions import ctc as ctc
from .loss_functions import dice as dice
from .loss_functions import hinge as hinge
from .loss_functions import huber as huber
from .loss_functions import kl_divergence as kl_divergence
from .loss_functions import log_cosh as log_cosh
from .loss_functions import mean_absolute_error as mean_absolute_error
from .loss_functions import mean_absolute_percentage_error as mean_absolute_percentage_error
from .loss_functions import mean_squared_error as mean_squared_error
from .loss_functions import mean_squared_logarithmic_error as mean_squared_logarithmic_error
from .loss_functions import poisson as poisson
from .loss_functions import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from .loss_functions import squared_hinge as squared_hinge
from .loss_functions import tversky as tversky

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CTC",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]
