# Written by scripts/stubs.

from ..metrics import AUC as AUC
from ..metrics import Accuracy as Accuracy
from ..metrics import BinaryAccuracy as BinaryAccuracy
from ..metrics import BinaryCrossentropy as BinaryCrossentropy
from ..metrics import BinaryIoU as BinaryIoU
from ..metrics import CategoricalAccuracy as CategoricalAccuracy
from ..metrics import CategoricalCrossentropy as CategoricalCrossentropy
from ..metrics import CategoricalHinge as CategoricalHinge
from ..metrics import ConcordanceCorrelation as ConcordanceCorrelation
from ..metrics import CosineSimilarity as CosineSimilarity
from ..metrics import F1Score as F1Score
from ..metrics import FBetaScore as FBetaScore
from ..metrics import FalseNegatives as FalseNegatives
from ..metrics import FalsePositives as FalsePositives
from ..metrics import Hinge as Hinge
from ..metrics import IoU as IoU
from ..metrics import KLDivergence as KLDivergence
from ..metrics import LogCoshError as LogCoshError
from ..metrics import Mean as Mean
from ..metrics import MeanAbsoluteError as MeanAbsoluteError
from ..metrics import MeanAbsolutePercentageError as MeanAbsolutePercentageError
from ..metrics import MeanIoU as MeanIoU
from ..metrics import MeanMetricWrapper as MeanMetricWrapper
from ..metrics import MeanSquaredError as MeanSquaredError
from ..metrics import MeanSquaredLogarithmicError as MeanSquaredLogarithmicError
from ..metrics import Metric as Metric
from ..metrics import OneHotIoU as OneHotIoU
from ..metrics import OneHotMeanIoU as OneHotMeanIoU
from ..metrics import PearsonCorrelation as PearsonCorrelation
from ..metrics import Poisson as Poisson
from ..metrics import Precision as Precision
from ..metrics import PrecisionAtRecall as PrecisionAtRecall
from ..metrics import R2Score as R2Score
from ..metrics import Recall as Recall
from ..metrics import RecallAtPrecision as RecallAtPrecision
from ..metrics import RootMeanSquaredError as RootMeanSquaredError
from ..metrics import SensitivityAtSpecificity as SensitivityAtSpecificity
from ..metrics import SparseCategoricalAccuracy as SparseCategoricalAccuracy
from ..metrics import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from ..metrics import SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy
from ..metrics import SpecificityAtSensitivity as SpecificityAtSensitivity
from ..metrics import SquaredHinge as SquaredHinge
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
from .metric_functions import binary_accuracy as binary_accuracy
from .metric_functions import categorical_accuracy as categorical_accuracy
from .metric_functions import concordance_correlation as concordance_correlation
from .metric_functions import deserialize as deserialize
from .metric_functions import get as get
from .metric_functions import pearson_correlation as pearson_correlation
from .metric_functions import serialize as serialize
from .metric_functions import sparse_categorical_accuracy as sparse_categorical_accuracy
from .metric_functions import sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy
from .metric_functions import top_k_categorical_accuracy as top_k_categorical_accuracy

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]
