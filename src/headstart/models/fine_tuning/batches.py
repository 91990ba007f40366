"""Rows as batches of tensors, in an order of each epoch's own."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np
import torch

from headstart.backbones.preparation import PicturePreparation, Preparation
from headstart.backbones.torch_network import tensors_of
from headstart.models.fine_tuning.lesson import Rows

#: Prepared pictures are kept in memory up to so many bytes; beyond, they are prepared anew in each epoch.
MOST_KEPT = 2**29


class Prepared:
    """Batches of tensors; pictures are prepared once, as far as they fit into memory."""

    def __init__(self, preparation: Preparation) -> None:
        self.preparation = preparation
        self.kept: dict[int, dict[int, np.ndarray]] = {}
        self.bytes = 0

    def batch(self, rows: Rows, at: np.ndarray) -> dict[str, torch.Tensor]:
        """Return the tensors of the rows at some positions."""
        if not isinstance(self.preparation, PicturePreparation):
            return tensors_of(self.preparation([rows.items[i] for i in at]))
        kept = self.kept.setdefault(id(rows), {})
        return tensors_of({"pixels": np.stack([self._pixels(rows, kept, int(i)) for i in at])})

    def _pixels(self, rows: Rows, kept: dict[int, np.ndarray], i: int) -> np.ndarray:
        found = kept.get(i)
        if found is None:
            found = self.preparation([rows.items[i]])["pixels"][0]
            if self.bytes + found.nbytes <= MOST_KEPT:
                kept[i] = found
                self.bytes += found.nbytes
        return found


def batches_of(order: np.ndarray, size: int) -> list[np.ndarray]:
    """Return the batches of rows in an order; all are about as large, for a norm can't learn from a single row.

    >>> [batch.tolist() for batch in batches_of(np.arange(7), 3)]
    [[0, 1, 2], [3, 4], [5, 6]]
    """
    return np.array_split(order, ceil(len(order) / size)) if len(order) else []


def smallest_batch(n: int, size: int) -> int:
    """Return how many rows the smallest batch of `batches_of` has.

    >>> smallest_batch(7, 3), smallest_batch(5, 8), smallest_batch(3, 2)
    (2, 5, 1)
    """
    return n // ceil(n / size)


def steps_of(batches: list[np.ndarray], accumulate: int, done: int) -> Iterator[list[np.ndarray]]:
    """Yield the batches of each step, after the first `done` batches."""
    for first in range(done, len(batches), accumulate):
        yield batches[first : first + accumulate]
