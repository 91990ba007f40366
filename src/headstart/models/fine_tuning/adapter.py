"""Adapters: a narrow network behind each block learns, everything else stays."""

from __future__ import annotations

from typing import Any

from headstart.errors import InputError
from headstart.models.fine_tuning.fine_tune import FineTune
from headstart.models.fine_tuning.probing import probes_of
from headstart.models.fine_tuning.tuned import ADAPTERS

# peft has no adapters of this kind: the modules are our own, in adapter_modules.py.


class Adapter(FineTune):
    r"""Bottleneck adapters: behind each block of the body stands a narrow network, which learns; all else stays.

    .. math:: a(h) = h + W_2 \max(W_1 h + b_1, 0) + b_2, \quad W_1 \in R^{m \times d}, \ W_2 \in R^{d \times m}

    :math:`W_2` and :math:`b_2` begin at zero, so that the network begins as it was. Blocks are those of the longest
    list of blocks in the body and others of their kind: the layers of a transformer, the blocks of a convolutional
    network, where :math:`h` are the channels at each place. There is one adapter a block, as Pfeiffer and others found
    enough; norms stay as they are. Adapters can't be worked into the weights: the tuned network keeps them, and is
    slower by what they compute. Training that begins with a network that has adapters goes on with these.

    Parameters
    ----------
    bottleneck : int, default 32
        Width :math:`m` of the adapters. Other parameters as in `FineTune`; `lr` is 1e-3 by default.

    References
    ----------
    Houlsby, Giurgiu, Jastrzebski, Morrone, de Laroussilhe, Gesmundo, Attariyan, Gelly: Parameter-Efficient Transfer
    Learning for NLP. ICML 2019.
    Pfeiffer, Kamath, Rücklé, Cho, Gurevych: AdapterFusion: Non-Destructive Task Composition for Transfer Learning.
    EACL 2021.

    Examples
    --------
    >>> tuned = Adapter("bundled:minilm-l6").fit(["good", "bad"], ["+", "-"])      # doctest: +SKIP
    >>> print(tuned.plan_)                                                        # doctest: +SKIP
    trains 150,722 of 22,863,938 numbers (body, head)
    """

    def __init__(self, model: Any = "bundled:efficientnet-lite0", *, bottleneck: int = 32, **shared: Any) -> None:
        super().__init__(model, **{"lr": 1e-3, **shared})
        self.bottleneck = bottleneck

    def _altered(self, network: Any) -> Any:
        from headstart.backbones.torch_network import tensors_of
        from headstart.models.fine_tuning.adapter_modules import add_adapters, widths_of_blocks

        if self.bottleneck < 1:
            raise InputError(f"bottleneck={self.bottleneck}: it is 1 at least")
        if hasattr(network.body, "adapters"):
            return network
        widths = widths_of_blocks(network, tensors_of(probes_of(self.backbone_.preparation)))
        add_adapters(network, {place: (width, self.bottleneck) for place, width in widths.items()})
        return network

    def _trains(self, name: str) -> bool:
        return name.startswith(("head.", ADAPTERS))
