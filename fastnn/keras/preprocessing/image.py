"""Pictures as arrays."""

from ..utils import array_to_img, img_to_array, load_img

__all__ = ["array_to_img", "img_to_array", "load_img"]


def __dir__() -> list[str]:
    return __all__.copy()
