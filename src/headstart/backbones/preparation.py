"""How pictures and texts become the numbers that a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Any, Literal, Protocol

import numpy as np

from headstart.backbones.pictures import MOST_PIXELS, name_of, open_picture
from headstart.errors import InputError

INTERPOLATIONS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


class Preparation(Protocol):
    """From pictures or texts to a batch of named arrays, one row an item."""

    def __call__(self, items: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return the batch."""

    def describe(self) -> dict[str, Any]:
        """Return what is done, in plain JSON types."""


@dataclass(frozen=True)
class PicturePreparation:
    """Resize, crop, and (x - mean) / std for each of red, green and blue, x from 0 to 255.

    Parameters
    ----------
    height, width : int
        Of what the network takes.
    resize : tuple of int or int, optional
        First the picture is brought to this height and width; or, with one number, its shorter side to it. None: to
        the network's size at once.
    crop : bool
        Cut the middle out of what was resized.
    interpolation : str
    mean, std : tuples of three floats
        In the order of the colours.
    corner : {"down", "nearest"}
        How the middle is rounded where an odd number of pixels is cut away: down, as Hugging Face does, or to the
        nearest even number, as torchvision does.
    colours : {"rgb", "bgr"}
        The order in which the network takes them.
    """

    height: int
    width: int
    resize: tuple[int, int] | int | None = None
    crop: bool = True
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    corner: Literal["down", "nearest"] = "down"
    colours: Literal["rgb", "bgr"] = "rgb"

    def __call__(self, items: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return pixels, float32 of shape (n, 3, height, width)."""
        values = np.empty((len(items), 3, self.height, self.width), dtype=np.float32)
        for item, into in zip(items, values, strict=True):
            self._write(item, into)
        return {"pixels": values}

    def _write(self, item: Any, into: np.ndarray) -> None:
        from PIL import Image

        picture = open_picture(item)
        filter_ = getattr(Image.Resampling, self.interpolation.upper())
        size = self.resize
        if size is None:
            size = (self.height, self.width)
        elif isinstance(size, int):
            # The longer side is cut to whole pixels, as torchvision and Hugging Face do.
            short = min(picture.size)
            size = (size * picture.height // short, size * picture.width // short)
            if size[0] * size[1] > MOST_PIXELS:
                raise InputError(
                    f"{name_of(item)}: {picture.width} x {picture.height} pixels are too long and thin to bring the "
                    f"shorter side to {min(size)}; cut it"
                )
        picture = picture.resize((size[1], size[0]), filter_)
        if self.crop and size != (self.height, self.width):
            rounded = round if self.corner == "nearest" else floor
            top, left = (
                rounded((given - taken) / 2) for given, taken in zip(size, (self.height, self.width), strict=True)
            )
            # A box that leaves the picture is filled with black.
            picture = picture.crop((left, top, left + self.width, top + self.height))
        pixels = np.asarray(picture)
        # A colour has 256 values: what becomes of each is looked up.
        levels = np.arange(256, dtype=np.float32)
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            given = pixels[:, :, 2 - channel if self.colours == "bgr" else channel]
            np.take((levels - np.float32(mean)) / np.float32(std), given, out=into[channel], mode="clip")

    def describe(self) -> dict[str, Any]:
        """Return what is done, in plain JSON types."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


@dataclass(frozen=True, eq=False)
class TextPreparation:
    """Tokens of each text, cut at a length, filled up to the longest of the batch.

    Parameters
    ----------
    tokenizer : transformers tokenizer
    max_length : int
    name : str
        What the tokenizer is called in descriptions.
    """

    tokenizer: Any
    max_length: int
    name: str

    def __call__(self, items: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return token numbers and a mask of those that are text, whole numbers of shape (n, length)."""
        for position, text in enumerate(items):
            if not isinstance(text, str):
                raise InputError(f"text {position + 1}: {type(text).__name__} is no text; write it as a string")
            if not text.strip():
                raise InputError(f"text {position + 1} is empty; leave it out, or write what is known")
        found = self.tokenizer(list(items), padding=True, truncation=True, max_length=self.max_length)
        return {key: np.asarray(found[key], dtype=np.int64) for key in ("input_ids", "attention_mask")}

    def describe(self) -> dict[str, Any]:
        """Return what is done, in plain JSON types."""
        return {"tokenizer": self.name, "max_length": self.max_length}
