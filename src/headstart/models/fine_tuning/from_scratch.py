"""Training from scratch: the network's structure alone is taken, none of what it learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.models.fine_tuning.fine_tune import FineTune
from headstart.models.fine_tuning.tuned import TunedNetwork


class FromScratch(FineTune):
    """Training of the same network from random weights: what everything else is to be compared with.

    Weights are drawn anew by each module's own rule; batch norms begin at mean 0 and variance 1, and move. Parameters
    as in `FineTune`, with `lr` 1e-2 and `norms_move` True by default. A network that was trained so on
    the source is gone on with at the target.

    Examples
    --------
    >>> FromScratch(epochs=30).fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).predict(["other.jpg"])      # doctest: +SKIP
    array(['cup'])
    """

    def __init__(self, model: Any = "bundled:efficientnet-lite0", **shared: Any) -> None:
        super().__init__(model, **{"lr": 1e-2, "norms_move": True, **shared})

    def _begin(self, network: Any, items: Sequence[Any], codes: np.ndarray, start: TunedNetwork | None) -> None:
        if start is not None:
            return
        for module in network.body.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
