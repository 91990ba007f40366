"""How pictures and texts become the numbers that a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from headstart.backbones.pictures import open_picture
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
    """

    height: int
    width: int
    resize: tuple[int, int] | int | None = None
    crop: bool = True
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)

    def __call__(self, items: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return pixels, float32 of shape (n, 3, height, width)."""
        return {"pixels": np.stack([self._one(item) for item in items])}

    def _one(self, item: Any) -> np.ndarray:
        from PIL import Image

        picture = open_picture(item)
        filter_ = getattr(Image.Resampling, self.interpolation.upper())
        size = self.resize
        if size is None:
            size = (self.height, self.width)
        elif isinstance(size, int):
            scale = size / min(picture.size)
            size = (max(round(picture.height * scale), 1), max(round(picture.width * scale), 1))
        picture = picture.resize((size[1], size[0]), filter_)
        if self.crop and size != (self.height, self.width):
            top, left = (size[0] - self.height) // 2, (size[1] - self.width) // 2
            # A box that leaves the picture is filled with black.
            picture = picture.crop((left, top, left + self.width, top + self.height))
        values = (np.asarray(picture, dtype=np.float32) - np.array(self.mean, np.float32)) / np.array(
            self.std, np.float32
        )
        return np.ascontiguousarray(values.transpose(2, 0, 1))

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
