"""Pictures from PNG and JPEG files of strangers, as arrays of a wanted size; Pillow decodes them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

MOST_PIXELS = 1 << 24
"""Largest number of pixels of a picture. Its file may be a thousand times smaller."""
ENDINGS = (".png", ".jpg", ".jpeg")
"""Endings of the names of picture files, in small letters."""
FORMATS = ("PNG", "JPEG")
_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What makes a picture upright, by its EXIF orientation."""


def image(
    path: str | os.PathLike[str], size: tuple[int, int] | None = None, channels: int | None = None, as_float: bool = False
) -> Array:
    """Read a PNG or JPEG file as uint8 (height, width, channels); with as_float as float32 in [0, 1]. Needs Pillow.

    The picture is turned as its EXIF data say. Transparent parts become white; 16-bit grey loses its lower byte; CMYK and
    palettes become colours; of an animation, the first frame is read.

    Args:
        path: the file.
        size: (height, width) to which the picture is resized, without regard to its proportions; None keeps its own.
        channels: 1 for grey, 3 for colour; None for what the file has.
        as_float: whether to return float32, the uint8 values divided by 255.

    Raises:
        FileNotFoundError, PermissionError: there is no such file, or it cannot be read.
        ValueError: the file is damaged, no PNG or JPEG, or has more than 2^24 pixels. The message names it.
        ImportError: Pillow is not installed.

    >>> import tempfile, os, numpy as np
    >>> from PIL import Image
    >>> path = os.path.join(tempfile.mkdtemp(), "red.png")
    >>> Image.new("RGB", (40, 30), "red").save(path)
    >>> image(path).shape, image(path, size=(2, 1), channels=1).tolist()
    ((30, 40, 3), [[[76]], [[76]]])
    """
    file = os.fspath(path)
    with opened(file) as picture:
        pixels = _pixels(picture, size, channels)
    return pixels.astype(np.float32) / np.float32(255) if as_float else pixels


def header(file: str) -> tuple[int, int, int]:
    """Return height, width and channels of a picture, turned as its EXIF data say."""
    with opened(file) as picture:
        sides = picture.height, picture.width
        height, width = sides[::-1] if picture.getexif().get(_ORIENTATION, 1) >= 5 else sides
        return height, width, _channels(picture)


@contextmanager
def opened(file: str) -> Iterator[Any]:
    """Open a picture with Pillow. Errors of decoding in the block become a ValueError that names the file."""
    images = pillow()
    try:
        with images.open(file, formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"{picture.width} x {picture.height} pixels, more than {MOST_PIXELS}")
            yield picture
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (
        *(OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, ZeroDivisionError, OverflowError),
        *(struct.error, images.DecompressionBombError, images.DecompressionBombWarning),
    ) as e:
        why = "it is neither" if isinstance(e, images.UnidentifiedImageError) else str(e) or type(e).__name__
        raise ValueError(f"{file} cannot be read as a PNG or JPEG image: {why}") from e


def pillow() -> Any:
    """Return the module PIL.Image; ImportError says how to install it."""
    try:
        from PIL import Image
    except ImportError as e:
        raise ImportError("reading pictures needs Pillow, which comes with the extra 'images': pip install pillow") from e
    return Image


def _channels(picture: Any) -> int:
    """Return the number of channels that a picture has: 1 for grey, 3 for colours."""
    if picture.mode in ("1", "L", "LA", "La", "I", "F") or picture.mode.startswith("I;16"):
        return 1
    return 1 if picture.mode == "P" and picture.palette is not None and _grey_palette(picture) else 3


def _grey_palette(picture: Any) -> bool:
    colours = np.frombuffer(bytes(picture.getpalette("RGB") or ()), np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _pixels(picture: Any, size: tuple[int, int] | None, channels: int | None) -> Array:
    """Decode a picture as uint8 (height, width, channels)."""
    images = pillow()
    channels = _channels(picture) if channels is None else channels
    if size is not None:
        picture.draft(None, (2 * max(size), 2 * max(size)))  # a large JPEG is decoded at a fraction of its size
    turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    picture.load()
    turned = picture if turn is None else picture.transpose(images.Transpose[turn])
    if turned.mode == "I" or turned.mode.startswith("I;16"):
        high = np.asarray(turned.convert("I") if turned.mode != "I" else turned)
        turned = images.fromarray((np.clip(high, 0, 65535) >> 8).astype(np.uint8))
    if turned.has_transparency_data:
        turned = turned.convert("RGBA")
        page = images.new("RGBA", turned.size, "white")
        turned = images.alpha_composite(page, turned)
    turned = turned.convert("L" if channels == 1 else "RGB")
    if size is not None and turned.size != size[::-1]:
        turned = turned.resize(size[::-1], images.Resampling.LANCZOS)
    a = np.array(turned)
    return a[:, :, None] if channels == 1 else a
