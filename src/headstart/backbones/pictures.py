"""Pictures, whatever they come as, opened as red, green and blue."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np

from headstart.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

#: Pixels beyond which a picture is refused before it is unpacked: a small file can hold a very large one.
MOST_PIXELS = 100_000_000
#: White of a grey scale of 16 bits.
DEEPEST = 65535
#: Kinds of files that are opened.
KINDS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP")


def open_picture(item: Any) -> Image:
    """Return a picture as RGB, turned as its camera says; of several frames the first; what is clear becomes white.

    Parameters
    ----------
    item : path, bytes, PIL image, or array of shape (h, w), (h, w, 3) or (h, w, 4)
        Arrays hold whole numbers from 0 to 255, or floats from 0 to 1.

    Raises
    ------
    InputError
        When the file is missing, no picture, broken or too large; with its name and what to do.

    Examples
    --------
    >>> open_picture(np.zeros((4, 6), dtype=np.uint8)).size
    (6, 4)
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    where = name_of(item)
    if isinstance(item, np.ndarray):
        return _as_rgb(where, _of_array(item))
    if not isinstance(item, str | Path | bytes | Image.Image):
        raise InputError(f"{type(item).__name__} is no picture; give a path, bytes, a PIL image or an array")
    try:
        picture = item if isinstance(item, Image.Image) else _unread(where, item)
        if picture.width * picture.height > MOST_PIXELS:
            raise InputError(
                f"{where}: {picture.width} x {picture.height} pixels are more than {MOST_PIXELS:,}; make it smaller"
            )
        picture.load()
        return _as_rgb(where, ImageOps.exif_transpose(picture))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{where}: not a picture that can be read; save it as PNG or JPEG") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{where}: more than {MOST_PIXELS:,} pixels; make it smaller") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{where}: the picture is broken ({error}); copy it again") from error


def _unread(where: str, item: str | Path | bytes) -> Image:
    """Open a file by its head alone. Kinds that other programs unpack, such as EPS, are not opened."""
    from PIL import Image

    source = BytesIO(item) if isinstance(item, bytes) else Path(item)
    if isinstance(source, Path) and not source.is_file():
        raise InputError(f"{where}: no such file; check the path")
    Image.init()
    with catch_warnings():
        # What is large is refused below, with the file's name.
        simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(source, formats=[kind for kind in KINDS if kind in Image.OPEN])


def _as_rgb(where: str, picture: Image) -> Image:
    from PIL import Image

    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.mode in ("RGBA", "RGBa", "LA", "PA") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, over).convert("RGB")
    if picture.mode == "F":
        return _of_array(np.asarray(picture)).convert("RGB")
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        # Deep grey scales are brought to 0 ... 255 as they stand in 16 bits.
        deep = np.asarray(picture, dtype=float)
        if deep.min() < 0 or deep.max() > DEEPEST:
            raise InputError(f"{where}: a grey of more than 16 bits; save the picture with 8 or 16")
        return Image.fromarray(np.round(deep / (DEEPEST / 255)).astype(np.uint8)).convert("RGB")
    return picture.convert("RGB")


def name_of(item: Any) -> str:
    """Return what messages call a picture: its path, or else just that.

    >>> name_of("cat.jpg"), name_of(b"...")
    ('cat.jpg', 'picture')
    """
    return str(item) if isinstance(item, str | Path) else "picture"


def _of_array(item: np.ndarray) -> Image:
    from PIL import Image

    if item.ndim not in (2, 3) or (item.ndim == 3 and item.shape[2] not in (1, 3, 4)) or not item.size:
        raise InputError(f"a picture is an array of shape (h, w), (h, w, 3) or (h, w, 4), not {item.shape}")
    if item.dtype.kind == "f":
        if not np.isfinite(item).all() or item.min() < 0 or item.max() > 1:
            raise InputError("a picture of floats holds numbers from 0 to 1")
        item = np.round(item * 255)
    elif item.dtype.kind not in "iub" or (item.dtype.kind != "b" and (item.min() < 0 or item.max() > 255)):
        raise InputError("a picture holds whole numbers from 0 to 255, or floats from 0 to 1")
    elif item.dtype.kind == "b":
        item = item * 255
    item = item.astype(np.uint8)
    return Image.fromarray(item[:, :, 0] if item.ndim == 3 and item.shape[2] == 1 else item)
