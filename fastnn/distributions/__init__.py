"""Probability distributions with the names and arguments of `torch.distributions`.

A distribution has Tensors as parameters, through which `log_prob`, `entropy` and `rsample` have gradients.

>>> import fastnn
>>> from fastnn.distributions import Categorical
>>> policy = Categorical(logits=fastnn.zeros(4, 2))
>>> action = policy.sample()
>>> round(policy.log_prob(action)[0].item(), 4)
-0.6931
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.lazy import guessing
from .basic import Bernoulli, Categorical, Distribution, Normal, Uniform
from .divergence import kl_divergence
from .joint import Independent, MultivariateNormal
from .positive import Beta, Exponential, Gamma, Laplace, LogNormal

__all__ = [
    "Bernoulli",
    "Beta",
    "Categorical",
    "Distribution",
    "Exponential",
    "Gamma",
    "Independent",
    "Laplace",
    "LogNormal",
    "MultivariateNormal",
    "Normal",
    "Uniform",
    "kl_divergence",
]

if not TYPE_CHECKING:
    __getattr__ = guessing(
        __name__,
        __all__,
        {
            "TransformedDistribution": "sample the base, transform it, and subtract the log of the derivative from log_prob",
            "transforms": "sample the base, transform it, and subtract the log of the derivative from log_prob",
            "Chi2": "it is Gamma(df / 2, 0.5)",
            "Dirichlet": "divide samples of Gamma by their sum",
            "Poisson": "sample with NumPy's generator; the loss is nn.PoissonNLLLoss",
            "OneHotCategorical": "use Categorical, and fastnn.one_hot of its samples",
            "RelaxedOneHotCategorical": "use nn.functional.gumbel_softmax",
            "MixtureSameFamily": "add the log_prob of the components to the logarithms of their weights, and take logsumexp",
        },
    )


def __dir__() -> list[str]:
    return sorted(__all__)
