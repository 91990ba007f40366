"""What a backbone asks of the network inside it, whatever library runs it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

#: How far from 1 the sum of probabilities may be.
ROUNDING = 1e-3


class Network(Protocol):
    """A body that gives features, and a head on top of them if there is one."""

    @property
    def width(self) -> int:
        """Columns of the features."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the parts whose output can be features, from the input on."""

    @property
    def parameters(self) -> int:
        """How many numbers are learned, head included."""

    def features(self, batch: dict[str, np.ndarray], layer: str | None = None) -> np.ndarray:
        """Return the features of a batch, or the output of one layer averaged over space or tokens."""

    def probabilities(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        """Return class probabilities of a batch."""

    def module(self, n_classes: int | None) -> Any:
        """Return a copy as a torch module for training, with its own head or a new one; or raise NeedsError."""

    def fingerprint(self) -> str:
        """Return SHA-256 over names, shapes and values of all weights."""

    def identity(self) -> str:
        """Return SHA-256 over all that features depend on: weights, structure and settings, but not the head."""


def are_probabilities(scores: np.ndarray) -> bool:
    """Say whether each row is probabilities already: none negative, and 1 in all.

    >>> are_probabilities(np.array([[0.25, 0.75]])), are_probabilities(np.array([[-1.0, 2.0]]))
    (True, False)
    """
    return bool((scores >= 0).all() and (abs(scores.sum(axis=1, dtype=float) - 1) < ROUNDING).all())


def softmax(scores: np.ndarray) -> np.ndarray:
    r"""Return class probabilities of scores, float32.

    .. math:: p_{ij} = e^{s_{ij}} / \sum_l e^{s_{il}}

    >>> softmax(np.array([[0.0, 0.0, 1000.0]])).tolist()
    [[0.0, 0.0, 1.0]]
    """
    from scipy.special import softmax as of_rows

    found: np.ndarray = of_rows(np.asarray(scores, dtype=float), axis=1)
    return found.astype(np.float32)


def probes(height: int, width: int) -> np.ndarray:
    """Return two inputs of a network, by which its own shape is found out: nothing, and a ramp of -1 to 1."""
    ramp = np.linspace(-1, 1, 3 * height * width, dtype=np.float32).reshape(3, height, width)
    return np.stack([np.zeros_like(ramp), ramp])
