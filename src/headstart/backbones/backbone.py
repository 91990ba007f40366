"""Backbone: a pretrained model that gives features, names what it sees, and can be trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.backbones.card import Card
from headstart.backbones.preparation import Preparation
from headstart.backbones.torch_network import TorchNetwork
from headstart.errors import InputError, NeedsError, unknown_name

#: Items that go through the network at once.
BATCH = 32


@dataclass(frozen=True)
class Guess:
    """A name and how likely it is."""

    name: str
    probability: float

    def __str__(self) -> str:
        return f"{self.name} {self.probability:.1%}"


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained model under one contract.

    Parameters
    ----------
    card : Card
        What it is.
    preparation : Preparation
        How pictures or texts become numbers.
    network : TorchNetwork
        The body, which gives features, and the head, which names classes, if there is one.
    label_names : tuple of str
        Names of the head's classes; empty without a head.

    Examples
    --------
    >>> model = backbone("bundled:efficientnet-lite0")                          # doctest: +SKIP
    >>> model.features(["cat.jpg"]).shape, model.classify(["cat.jpg"], top=1)   # doctest: +SKIP
    ((1, 1280), [[Guess(name='tiger cat', probability=0.53)]])
    """

    card: Card
    preparation: Preparation
    network: TorchNetwork
    label_names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Backbone({self.card})"

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the blocks whose output can be features, from the input on."""
        return self.network.layers

    def features(
        self,
        X: Any,
        *,
        layer: str | None = None,
        batch_size: int = BATCH,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> np.ndarray:
        """Return the features of pictures or texts, float32 of shape (n, d).

        Parameters
        ----------
        X : sequence
            Pictures (paths, PIL images, arrays) or texts.
        layer : str, optional
            One of `layers`: its output, averaged over space or tokens. By default what the head would get.
        batch_size : int
        progress : callable
            Called with how many are done, and of how many.

        Raises
        ------
        InputError
            When an item can't be read, or there is no such layer.
        """
        if layer is not None and layer not in self.layers:
            raise InputError(unknown_name("layer", layer, self.layers, self.card.name))
        return self._through(X, lambda batch: self.network.features(batch, layer), batch_size, progress)

    def probabilities(self, X: Any, *, batch_size: int = BATCH) -> np.ndarray:
        """Return the probabilities of the head's classes, float32 of shape (n, k).

        Raises
        ------
        NeedsError
            When the model has no head.
        """
        if not self.label_names:
            raise NeedsError(f"{self.card.name} has no head that names classes; take its features")
        return self._through(X, self.network.probabilities, batch_size, lambda done, total: None)

    def classify(self, X: Any, top: int = 3, *, batch_size: int = BATCH) -> list[list[Guess]]:
        """Return the likeliest classes of each item, the first `top`.

        Raises
        ------
        InputError, NeedsError
            When an item can't be read, or the model has no head.
        """
        if top < 1:
            raise InputError(f"top must be 1 or more, not {top}")
        P = self.probabilities(X, batch_size=batch_size)
        order = np.argsort(-P, axis=1, kind="stable")[:, :top]
        return [[Guess(self.label_names[j], float(row[j])) for j in best] for row, best in zip(P, order, strict=True)]

    def module(self, n_classes: int | None = None) -> Any:
        """Return a copy of the network as a torch module from a batch to scores, for training.

        Parameters
        ----------
        n_classes : int, optional
            With a new head of so many classes; without, with its own.
        """
        return self.network.module(n_classes)

    def _through(
        self,
        X: Any,
        function: Callable[[dict[str, np.ndarray]], np.ndarray],
        batch_size: int,
        progress: Callable[[int, int], None],
    ) -> np.ndarray:
        items = items_of(X)
        if batch_size < 1:
            raise InputError(f"batch_size must be 1 or more, not {batch_size}")
        order = self._order(items)
        parts = []
        for start in range(0, len(items), batch_size):
            at = order[start : start + batch_size]
            parts.append(function(self.preparation([items[i] for i in at])))
            progress(start + len(at), len(items))
        stacked = np.concatenate(parts)
        given = np.empty_like(stacked)
        given[order] = stacked
        return given

    def _order(self, items: Sequence[Any]) -> np.ndarray:
        """Texts of like length go together, so that little is filled up; pictures as they come."""
        if self.card.modality == "image":
            return np.arange(len(items))
        return np.argsort([-len(text) if isinstance(text, str) else 0 for text in items], kind="stable")


def items_of(X: Any) -> Sequence[Any]:
    """Return pictures or texts as a sequence; one of them alone is one.

    Raises
    ------
    InputError
        When there are none.
    """
    if isinstance(X, str | Path | bytes) or (isinstance(X, np.ndarray) and X.dtype.kind not in "OU" and X.ndim < 4):
        X = [X]
    items: Sequence[Any] = X.tolist() if hasattr(X, "tolist") and getattr(X, "ndim", 1) == 1 else list(X)
    if not len(items):
        raise InputError("no picture or text was given")
    return items
