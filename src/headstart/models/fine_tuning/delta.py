"""DELTA: fine-tuning that keeps the feature maps near those of the pretrained network."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.draws import pick
from headstart.errors import InputError, NeedsError, unknown_name
from headstart.models.fine_tuning.fine_tune import FineTune
from headstart.models.fine_tuning.linear_probe import as_head, fit_probe

if TYPE_CHECKING:
    from headstart.models.fine_tuning.training import Step

#: By default so many layers, spread over the body, are compared.
LAYERS = 4


class DELTA(FineTune):
    r"""Fine-tuning in which what layers see, not their weights, is held near to what it was.

    .. math:: \alpha \sum_l \frac{1}{n} \sum_{i=1}^n \frac{1}{p_l} \sum_j w_{lj} \|F_{lj}(x_i) - F_{lj}^0(x_i)\|^2
              + \frac{\beta}{2} \|v\|^2

    is added to the loss, with :math:`F_{lj}` channel j of layer l's feature map, at :math:`p_l` places or tokens,
    :math:`F^0` that of the network where training began, and :math:`v` the head. The weights :math:`w_{lj}` are 1, or
    with `attention`

    .. math:: w_{lj} = c_l \, \frac{\exp(L_{lj} - L)}{\sum_i \exp(L_{li} - L)}

    with :math:`L` the loss of the network where training began, under a logistic regression of its features,
    :math:`L_{lj}` what it is with the channel set to zero, and :math:`c_l` the number of channels: 1 on average too.
    With :math:`\alpha = \beta = 0` it is `FineTune`.

    Parameters
    ----------
    alpha, beta : float, default 0.001 and 0.01
        How large feature maps are differs from network to network, and with it what alpha should be.
    layers : sequence of str, optional
        Names among the backbone's `layers`; by default four spread over it, the last one among them.
    attention : bool, default False
        Whether channels weigh by what they matter to the loss. That takes a pass through the network for each channel
        of each layer, before training begins: minutes on a processor.
    attention_rows : int, default 32
        Rows, drawn at random, by which that is measured. Other parameters as in `FineTune`; `weight_decay` is 0 by
        default.

    References
    ----------
    Li, Xiong, Wang, Rao, Liu, Chen, Huan: DELTA: Deep Learning Transfer Using Feature Map with Attention for
    Convolutional Networks. ICLR 2019.

    Examples
    --------
    >>> DELTA(alpha=0.1).fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).predict(["other.jpg"])      # doctest: +SKIP
    array(['cup'])
    """

    def __init__(
        self,
        model: Any = "bundled:efficientnet-lite0",
        *,
        alpha: float = 0.001,
        beta: float = 0.01,
        layers: Sequence[str] | None = None,
        attention: bool = False,
        attention_rows: int = 32,
        **shared: Any,
    ) -> None:
        super().__init__(model, **{"weight_decay": 0.0, **shared})
        self.alpha = alpha
        self.beta = beta
        self.layers = layers
        self.attention = attention
        self.attention_rows = attention_rows

    def _objective(self, network: Any, rows: Any) -> Any:
        if self.alpha == 0 and self.beta == 0:
            return None
        import torch

        from headstart.models.fine_tuning.delta_maps import Maps, distance
        from headstart.models.fine_tuning.processes import precision_of

        places = [] if self.alpha == 0 else self._places(network)
        # A copy that no module holds: it is neither trained nor saved. It is taken before hooks are put into the body.
        frozen = deepcopy(network.body).eval().requires_grad_(False)
        weights = self._weights(frozen, places, rows) if self.attention and places else [None] * len(places)
        maps, began = Maps(network.body, places), Maps(frozen, places)

        def held(step: Step) -> Any:
            loss = step.loss + 0.5 * self.beta * sum((value**2).sum() for value in step.network.head.parameters())
            if not places:
                return loss
            device, mask = step.features.device, step.batch.get("attention_mask")
            # In the precision of the trained network, so that what has not moved is at distance 0.
            precision = precision_of(self.mixed_precision, device)
            with torch.no_grad(), torch.autocast(device.type, precision, enabled=precision is not None):
                frozen.to(device)(**step.batch)
            for found, before, weight in zip(maps.taken(), began.taken(), weights, strict=True):
                of_channel = None if weight is None else weight.to(device)
                loss = loss + self.alpha * distance(found, before, of_channel, mask)
            return loss

        return held

    def _places(self, network: Any) -> list[str]:
        """Return where in the body the layers stand."""
        from headstart.backbones.torch_modules import blocks_of
        from headstart.backbones.torch_network import TorchNetwork

        base = self.backbone_.network
        own = base.with_weights_of(network).blocks if isinstance(base, TorchNetwork) else None
        blocks = own or blocks_of(network.body)
        name = {module: place for place, module in network.body.named_modules()}
        if self.layers is None:
            count = min(LAYERS, len(blocks))
            if not count:
                raise NeedsError(f"{self.backbone_.card.name} has no blocks for DELTA to compare; take L2SP")
            chosen = [list(blocks)[len(blocks) * (i + 1) // count - 1] for i in range(count)]
        else:
            if not self.layers:
                raise InputError("DELTA compares layers, and none is named; leave layers out, or set alpha=0")
            unknown = [layer for layer in self.layers if layer not in blocks]
            if unknown:
                raise InputError(unknown_name("layer", unknown[0], blocks, self.backbone_.card.name))
            chosen = list(self.layers)
        return [name[blocks[layer]] for layer in chosen]

    def _weights(self, frozen: Any, places: list[str], rows: Any) -> list[Any]:
        """Return the weights of each layer's channels."""
        import torch
        from accelerate import PartialState

        from headstart.backbones.torch_network import tensors_of
        from headstart.models.fine_tuning.delta_maps import attention

        kinds, codes = np.unique(rows.y, return_inverse=True)
        if len(kinds) < 2:
            raise NeedsError("the attention of DELTA needs rows of two classes; set attention=False")
        device = PartialState().device
        frozen.to(device)

        def batch_of(at: Any) -> dict[str, Any]:
            batch = tensors_of(self.backbone_.preparation([rows.items[i] for i in at]))
            return {name: value.to(device) for name, value in batch.items()}

        size = self.batch_size
        with torch.no_grad():
            parts = [frozen(**batch_of(range(i, min(i + size, len(codes))))) for i in range(0, len(codes), size)]
        F = torch.cat(parts).float().cpu().numpy()
        head = as_head(fit_probe(F, codes, 1.0))
        at = pick(F, self.attention_rows, self.random_state)
        batch = batch_of(at)
        return [attention(frozen, place, batch, head, codes[at]) for place in places]
