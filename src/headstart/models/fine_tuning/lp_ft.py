"""Linear probing, then fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.models.fine_tuning.fine_tune import FineTune
from headstart.models.fine_tuning.linear_probe import probe_head
from headstart.models.fine_tuning.tuned import TunedNetwork


class LPFT(FineTune):
    """Linear probe, then fine-tuning: the new head begins where a probe of the frozen network ends.

    A random head sends large gradients into the body and bends features that were good; one that already fits does
    not. Parameters as in `FineTune`, but `head_lr`: the head learns as fast as the body.

    References
    ----------
    Kumar, Raghunathan, Jones, Ma, Liang: Fine-Tuning Can Distort Pretrained Features and Underperform
    Out-of-Distribution. ICLR 2022.

    Examples
    --------
    >>> LPFT(epochs=3).fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).predict(["other.jpg"])      # doctest: +SKIP
    array(['cup'])
    """

    def _head_rate(self) -> float:
        return self.lr

    def _begin(self, network: Any, items: Sequence[Any], codes: np.ndarray, start: TunedNetwork | None) -> None:
        import torch

        W, b = probe_head(self._features(items, start), codes, len(self.classes_), 1.0, start)
        with torch.no_grad():
            network.head.weight.copy_(torch.from_numpy(W))
            network.head.bias.copy_(torch.from_numpy(b))
