"""LoRA: what is learned is the product of two thin matrices beside each layer."""

from __future__ import annotations

from typing import Any

from headstart.errors import InputError
from headstart.models.fine_tuning.fine_tune import FineTune


class LoRA(FineTune):
    r"""Low-rank adaptation: the weights of the body stand still, and a product of two thin matrices is added to them.

    .. math:: W = W_0 + \frac{\alpha}{\sqrt{r}} B A, \quad A \in R^{r \times p}, \ B \in R^{q \times r}

    :math:`B` begins at zero, so that the network begins as it was; :math:`A` is drawn. With `dora`, length and
    direction of each row of the weights are learned apart:

    .. math:: W = m \, \frac{W_0 + s B A}{\|W_0 + s B A\|}

    with :math:`s` the factor above and :math:`m` the lengths of the rows, from where they were. Adapted are the linear
    layers of the body and its convolutions that are neither grouped nor dilated; a convolution counts as the matrix of
    its filters. After training the product is added to the weights, so that the tuned network is built as the
    pretrained one and as fast.

    Parameters
    ----------
    rank : int, default 8
        Columns of :math:`B` and rows of :math:`A`.
    alpha : float, default 8
        How much the product counts, and so how fast it learns: where a training comes to nothing, lower it or `lr`.
    rank_stabilised : bool, default True
        Divide alpha by the root of the rank, so that a higher rank does not learn slower; else by the rank.
    dropout : float, default 0
        Share of the inputs that :math:`A` does not see at a step.
    dora : bool, default False
        Learn length and direction apart. Layers with a row of zeros, which has no direction, are then left alone.
        Other parameters as in `FineTune`; `lr` is 1e-3 by default, for the weights of the body do not move.

    References
    ----------
    Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen: LoRA: Low-Rank Adaptation of Large Language Models. ICLR 2022.
    Kalajdzievski: A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA. 2023.
    Liu, Wang, Yin, Molchanov, Wang, Cheng, Chen: DoRA: Weight-Decomposed Low-Rank Adaptation. ICML 2024.

    Examples
    --------
    >>> tuned = LoRA("bundled:minilm-l6").fit(["good", "bad"], ["+", "-"])      # doctest: +SKIP
    >>> print(tuned.plan_)                                                     # doctest: +SKIP
    trains 338,690 of 23,051,906 numbers (body, head)
    """

    def __init__(
        self,
        model: Any = "bundled:efficientnet-lite0",
        *,
        rank: int = 8,
        alpha: float = 8.0,
        rank_stabilised: bool = True,
        dropout: float = 0.0,
        dora: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(model, **{"lr": 1e-3, **shared})
        self.rank = rank
        self.alpha = alpha
        self.rank_stabilised = rank_stabilised
        self.dropout = dropout
        self.dora = dora

    def _altered(self, network: Any) -> Any:
        from peft import LoraConfig

        from headstart.models.fine_tuning.peft_layers import adaptable, inject, pattern

        if self.rank < 1 or not self.alpha > 0 or not 0 <= self.dropout < 1:
            raise InputError(
                f"rank={self.rank}, alpha={self.alpha}, dropout={self.dropout}: rank is 1 at least, alpha positive, "
                "dropout from 0 to below 1"
            )
        targets = adaptable(network)
        if self.dora:
            targets = {name: layer for name, layer in targets.items() if bool(layer.weight.flatten(1).any(1).all())}
        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]
            use_rslora=self.rank_stabilised,
            lora_dropout=self.dropout,
            use_dora=self.dora,
            target_modules=pattern(targets),
        )
        return inject(network, config, targets)

    def _settled(self, network: Any) -> Any:
        from headstart.models.fine_tuning.peft_layers import merge

        return merge(network)

    def _trains(self, name: str) -> bool:
        return name.startswith("head.") or ".lora_" in name
