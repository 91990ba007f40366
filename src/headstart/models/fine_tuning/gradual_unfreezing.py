"""Gradual unfreezing: the head first, then layer after layer from the top."""

from __future__ import annotations

from typing import Any

from headstart.models.fine_tuning.fine_tune import FineTune
from headstart.models.fine_tuning.freeze_plan import FreezePlan


class GradualUnfreezing(FineTune):
    """Fine-tuning that begins with the head alone; each epoch a further group of layers joins in, from the top.

    The second half of the epochs trains all. There are as many groups as the first half has epochs, of layers as equal
    in number as can be, but never more groups than layers; a single epoch trains all. Parameters as in `FineTune`.

    Attributes
    ----------
    plan_ : FreezePlan
        What was trained in the last epoch.

    References
    ----------
    Howard, Ruder: Universal Language Model Fine-tuning for Text Classification. ACL 2018.

    Examples
    --------
    >>> GradualUnfreezing(epochs=6).fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).predict(["other.jpg"])  # doctest: +SKIP
    array(['cup'])
    """

    def _plans(self, network: Any, epochs: int) -> list[FreezePlan]:
        from headstart.models.fine_tuning.depths import blank_batch, layers_below

        layers = layers_below(network, blank_batch(self.backbone_))
        plans = []
        for count in thawed(len(layers), epochs):
            free = {name for layer in layers[:count] for name in layer if self._trains(name)}
            plans.append(FreezePlan.of(network, free.__contains__, norms_move=self.norms_move))
        return plans


def thawed(layers: int, epochs: int) -> list[int]:
    """Return how many layers are trained in each epoch, the head among them.

    >>> thawed(7, 1), thawed(7, 2), thawed(7, 6), thawed(3, 6)
    ([7], [1, 7], [1, 3, 5, 7, 7, 7], [1, 2, 3, 3, 3, 3])
    """
    # So many further groups, each of which joins in at the end of an epoch.
    groups = min(epochs // 2, layers - 1)
    counts = [1 + round(group * (layers - 1) / groups) for group in range(groups)]
    return counts + [layers] * (max(epochs, 1) - groups)
