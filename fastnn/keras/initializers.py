"""Keras's initializers."""

from __future__ import annotations

from ..core.lazy import lazily as _lazily

_NAMES = {
    "..initializers": (
        "Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer=Identity Initializer LecunNormal "
        "LecunUniform Ones Orthogonal OrthogonalInitializer=Orthogonal RandomNormal RandomUniform TruncatedNormal "
        "VarianceScaling Zeros get serialize"
    ),
}

__all__, __getattr__, __dir__ = _lazily(__package__ or "", _NAMES, __name__)
