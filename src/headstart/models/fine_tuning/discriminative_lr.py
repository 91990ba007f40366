"""Discriminative learning rates: the deeper below the head, the slower."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headstart.errors import InputError
from headstart.models.fine_tuning.fine_tune import FineTune


class DiscriminativeLR(FineTune):
    r"""Fine-tuning in which early layers learn slower than late ones: what they know is of use for most tasks.

    .. math:: \eta_d = \eta \, \gamma^d

    is the learning rate at depth :math:`d` below the head: 1 for what follows the last block, then block by block, and
    deepest what comes before the first block, such as embeddings or a stem. The head learns with `head_lr`. With
    :math:`\gamma = 1` it is `FineTune`.

    Parameters
    ----------
    decay : float, default 0.9
        :math:`\gamma`, above 0 and at most 1. Other parameters as in `FineTune`.

    References
    ----------
    Howard, Ruder: Universal Language Model Fine-tuning for Text Classification. ACL 2018.

    Examples
    --------
    >>> DiscriminativeLR(decay=0.8).fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).predict(["other.jpg"])  # doctest: +SKIP
    array(['cup'])
    """

    def __init__(self, model: Any = "bundled:efficientnet-lite0", *, decay: float = 0.9, **shared: Any) -> None:
        super().__init__(model, **shared)
        self.decay = decay

    def _rates(self, network: Any) -> Callable[[str], float]:
        from headstart.models.fine_tuning.depths import blank_batch, depths

        if not 0 < self.decay <= 1:
            raise InputError(f"decay must be above 0 and at most 1, not {self.decay!r}")
        depth = depths(network, blank_batch(self.backbone_))

        def rate(name: str) -> float:
            return self._head_rate() if name.startswith("head.") else self.lr * self.decay ** depth[name]

        return rate
