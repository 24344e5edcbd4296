"""One untrusted image file as a small square of RGB pixels."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from explorer.data.base import DataError
from explorer.spec import quote

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
MOST_PIXELS = 40_000_000
Pixels = NDArray[np.uint8]


def picture(content: bytes, path: str, side: int) -> Pixels:
    """The image cut to its central square and scaled; (3, side, side); DataError if it is none.

    Transparent parts turn white; of a moving picture the first frame counts.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            raise DataError(f"{quote(path)} has more than {MOST_PIXELS // 10**6} million pixels")
        image.draft("RGB", (4 * side, 4 * side))  # a JPEG is decoded no larger than that needs
        upright = _rgb(ImageOps.exif_transpose(image))
        square = ImageOps.fit(upright, (side, side), Image.Resampling.BILINEAR)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{quote(path)} is no PNG, JPEG, BMP, GIF or WebP image") from None
    except Exception as error:  # decoders of hostile bytes raise nearly anything
        raise DataError(f"{quote(path)} is a broken image: {quote(str(error))}") from None
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def _rgb(image: Image.Image) -> Image.Image:
    """`image` in 8 bits a channel, laid on white."""
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip to white
        levels = np.clip(np.asarray(image) // 257, 0, 255).astype(np.uint8)
        return Image.fromarray(levels).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")
