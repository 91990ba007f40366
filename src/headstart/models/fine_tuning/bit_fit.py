"""BitFit: biases alone are tuned."""

from __future__ import annotations

from typing import Any

from headstart.models.fine_tuning.fine_tune import FineTune


class BitFit(FineTune):
    """Fine-tuning of the biases, and of the new head: everything else stays.

    Parameters as in `FineTune`; `lr` is 3e-3 by default, for few numbers have to do it all.

    References
    ----------
    Zaken, Ravfogel, Goldberg: BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked
    Language-models. ACL 2022.

    Examples
    --------
    >>> BitFit().fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).predict(["other.jpg"])      # doctest: +SKIP
    array(['cup'])
    """

    def __init__(self, model: Any = "bundled:efficientnet-lite0", **shared: Any) -> None:
        super().__init__(model, **{"lr": 3e-3, **shared})

    def _trains(self, name: str) -> bool:
        return name.startswith("head.") or name.endswith(".bias")
