"""Pictures that a request brings: base64 of a file's bytes, never a path."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from io import BytesIO
from typing import Any
from warnings import catch_warnings, simplefilter

from headstart.backbones.pictures import KINDS, open_picture
from headstart.errors import InputError


def pictures_of(texts: list[Any], max_pixels: int) -> list[Any]:
    """Return pictures, opened as RGB.

    Parameters
    ----------
    texts : list of str
        Base64 of PNG, JPEG and the like; "data:image/png;base64," may stand before it.
    max_pixels : int
        Of all together; told by the files' heads, before anything is unpacked.

    Raises
    ------
    InputError
        With the row: when it is no base64, no picture, or the pictures are too large.
    """
    from PIL import Image, UnidentifiedImageError

    files, pixels = [], 0
    Image.init()
    for number, text in enumerate(texts, 1):
        data = _bytes_of(text, number)
        try:
            with catch_warnings():
                simplefilter("ignore", Image.DecompressionBombWarning)
                head = Image.open(BytesIO(data), formats=[kind for kind in KINDS if kind in Image.OPEN])
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
            raise InputError(f"picture {number}: not a picture that can be read; send PNG or JPEG") from error
        pixels += head.width * head.height
        if pixels > max_pixels:
            raise InputError(f"picture {number}: more than {max_pixels:,} pixels together; make them smaller, or fewer")
        files.append(data)
    return [open_picture(data) for data in files]


def _bytes_of(text: str, number: int) -> bytes:
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return b64decode(text, validate=True)
    except (Error, ValueError) as error:
        raise InputError(f"picture {number}: not base64; send the file's bytes in base64, not its path") from error
