# Written by scripts/stubs.

from ..metrics import AUC as AUC
from ..metrics import BinaryAccuracy as BinaryAccuracy
from ..metrics import BinaryCrossentropy as BinaryCrossentropy
from ..metrics import CategoricalAccuracy as CategoricalAccuracy
from ..metrics import CategoricalCrossentropy as CategoricalCrossentropy
from ..metrics import CosineSimilarity as CosineSimilarity
from ..metrics import F1Score as F1Score
from ..metrics import FBetaScore as FBetaScore
from ..metrics import FalseNegatives as FalseNegatives
from ..metrics import FalsePositives as FalsePositives
from ..metrics import Mean as Mean
from ..metrics import MeanAbsoluteError as MeanAbsoluteError
from ..metrics import MeanAbsolutePercentageError as MeanAbsolutePercentageError
from ..metrics import MeanMetricWrapper as MeanMetricWrapper
from ..metrics import MeanSquaredError as MeanSquaredError
from ..metrics import Metric as Metric
from ..metrics import Precision as Precision
from ..metrics import R2Score as R2Score
from ..metrics import Recall as Recall
from ..metrics import RootMeanSquaredError as RootMeanSquaredError
from ..metrics import SparseCategoricalAccuracy as SparseCategoricalAccuracy
from ..metrics import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from ..metrics import SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy
from ..metrics import Sum as Sum
from ..metrics import TopKCategoricalAccuracy as TopKCategoricalAccuracy
from ..metrics import TrueNegatives as TrueNegatives
from ..metrics import TruePositives as TruePositives
from .loss_functions import binary_crossentropy as binary_crossentropy
from .loss_functions import binary_focal_crossentropy as binary_focal_crossentropy
from .loss_functions import categorical_crossentropy as categorical_crossentropy
from .loss_functions import categorical_focal_crossentropy as categorical_focal_crossentropy
from .loss_functions import categorical_hinge as categorical_hinge
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

__all__ = [
    "AUC",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]
