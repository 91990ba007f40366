"""IA3: what is learned is one factor for each key, value and inner feature."""

from __future__ import annotations

from typing import Any

from headstart.models.fine_tuning.fine_tune import FineTune

#: What layers of transformers are called that make keys and values; some make queries, keys and values in one.
KEYS_AND_VALUES = frozenset(
    {"key", "value", "k", "v", "k_lin", "v_lin", "k_proj", "v_proj", "key_proj", "value_proj"}
    | {"qkv", "wqkv", "qkv_proj", "query_key_value"}
)
#: What the second layers of their feed-forward parts are called.
FEED_FORWARD = frozenset({"lin2", "fc2", "pwconv2", "w2", "wo", "down_proj", "ffn_output", "dense_4h_to_h"})


class IA3(FineTune):
    r"""Inner features are amplified or damped, each by a factor of its own; all weights of the body stand still.

    .. math:: k = l_k \odot W_k x, \quad v = l_v \odot W_v x, \quad f(x) = W_2 (l_f \odot \gamma(W_1 x))

    for the keys, the values and the feed-forward parts of a transformer, which are found by the names that transformers
    give them. In a network that has none, each channel that an ungrouped convolution gives has a factor. Factors begin
    at 1, so that the network begins as it was. After training they are worked into the weights.

    Parameters
    ----------
    model : str or Backbone
        Parameters as in `FineTune`; `lr` is 3e-3, as in the paper, and `weight_decay` 0, for factors should stay near
        1, not near 0.

    References
    ----------
    Liu, Tam, Muqeeth, Mohta, Huang, Bansal, Raffel: Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper
    than In-Context Learning. NeurIPS 2022.

    Examples
    --------
    >>> tuned = IA3("bundled:minilm-l6").fit(["good", "bad"], ["+", "-"])      # doctest: +SKIP
    >>> print(tuned.plan_)                                                    # doctest: +SKIP
    trains 14,594 of 22,727,810 numbers (body, head)
    """

    def __init__(self, model: Any = "bundled:efficientnet-lite0", **shared: Any) -> None:
        super().__init__(model, **{"lr": 3e-3, "weight_decay": 0.0, **shared})

    def _altered(self, network: Any) -> Any:
        from peft import IA3Config
        from torch import nn

        from headstart.errors import InputError
        from headstart.models.fine_tuning.peft_layers import adaptable, inject, pattern

        layers = adaptable(network)
        inner = [name for name in layers if is_feed_forward(name)]
        targets = [name for name in layers if name.split(".")[-1].lower() in KEYS_AND_VALUES] + inner
        targets = targets or [name for name, layer in layers.items() if isinstance(layer, nn.Conv2d)]
        if not targets:
            raise InputError(
                "the network has no keys, values and feed-forward parts by the names that are known, and no "
                f"convolution ({next(iter(layers))!r} is one of its layers); take LoRA"
            )
        config = IA3Config(target_modules=pattern(targets), feedforward_modules=pattern(inner))
        return inject(network, config, {name: layers[name] for name in targets})

    def _settled(self, network: Any) -> Any:
        from headstart.models.fine_tuning.peft_layers import merge

        return merge(network)

    def _trains(self, name: str) -> bool:
        return name.startswith("head.") or ".ia3_" in name


def is_feed_forward(name: str) -> bool:
    """Say whether a layer is the second one of a transformer's feed-forward part.

    >>> is_feed_forward("encoder.layer.0.output.dense"), is_feed_forward("encoder.layer.0.attention.output.dense")
    (True, False)
    """
    *above, last = name.lower().split(".")
    if any("attn" in part or "attention" in part for part in above):
        return False
    return last in FEED_FORWARD or [*above[-1:], last] == ["output", "dense"]
