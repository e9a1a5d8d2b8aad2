"""Keras's initializers."""

from __future__ import annotations

from ..core.lazy import lazily as _lazily
from . import absent

_NAMES = {
    "..initializers": (
        "Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer=Identity Initializer LecunNormal "
        "LecunUniform Ones Orthogonal OrthogonalInitializer=Orthogonal RandomNormal RandomUniform TruncatedNormal "
        "VarianceScaling Zeros constant=Constant deserialize=get get glorot_normal=GlorotNormal glorot_uniform=GlorotUniform "
        "he_normal=HeNormal he_uniform=HeUniform identity=Identity lecun_normal=LecunNormal lecun_uniform=LecunUniform ones=Ones "
        "orthogonal=Orthogonal random_normal=RandomNormal random_uniform=RandomUniform serialize "
        "truncated_normal=TruncatedNormal variance_scaling=VarianceScaling zeros=Zeros"
    ),
}

__all__, __getattr__, __dir__ = _lazily(__package__ or "", _NAMES, __name__, absent.INITIALIZERS)
