"""A tuned network: a pretrained model, and what training changed in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import numpy as np

from headstart.backbones import Backbone, backbone
from headstart.backbones.backbone import items_of
from headstart.backbones.network import softmax
from headstart.backbones.transformer import BackboneFeatures
from headstart.errors import NeedsError

HEAD = ("head.weight", "head.bias")


class TunedNetwork:
    """A pretrained model with other weights and a head of its own: pictures or texts in, classes out.

    What is kept, and saved, is the pretrained model's name and hash, and the arrays that differ from it.

    Parameters
    ----------
    reader : BackboneFeatures
        The pretrained model: its name, the hash of its weights, and what prepares pictures or texts.
    classes_ : array of shape (k,)
    values : dict of str to array
        Weights and statistics of the network that differ from the pretrained ones, by their names in its
        `state_dict()`; "head.weight" of shape (k, d) and "head.bias" of shape (k,) are always there.

    Examples
    --------
    >>> tuned = FineTune().fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).tuned_      # doctest: +SKIP
    >>> tuned.predict(["other.jpg"]), tuned.features(["other.jpg"]).shape         # doctest: +SKIP
    (array(['cup']), (1, 1280))
    """

    #: It takes pictures and texts as they are, not their features.
    takes_items = True

    def __init__(self, reader: BackboneFeatures, classes_: np.ndarray, values: dict[str, np.ndarray]) -> None:
        self.reader = reader
        self.classes_ = classes_
        self.values = values

    @classmethod
    def of(cls, base: Backbone, network: Any, classes: np.ndarray) -> Self:
        """Return what training made of a backbone, with as little as tells it from the pretrained one."""
        import torch

        with torch.random.fork_rng():
            began = base.module(len(classes)).body.state_dict()
        values = {}
        for name, value in network.state_dict().items():
            part, _, rest = name.partition(".")
            if part == "head" or not torch.equal(began[rest], value):
                values[name] = value.detach().cpu().numpy().copy()
        return cls(reader_of(base), classes, values)

    @property
    def base(self) -> Backbone:
        """The pretrained model, as it was."""
        return self.reader.backbone

    @property
    def moved(self) -> bool:
        """Whether anything but the head is other than in the pretrained model."""
        return bool(self.values.keys() - set(HEAD))

    def module(self) -> Any:
        """Return a copy as a torch module, from a batch's tensors to scores."""
        import torch

        with torch.random.fork_rng():
            network = self.base.module(len(self.classes_))
        state = {name: torch.from_numpy(np.asarray(value)) for name, value in self.values.items()}
        network.load_state_dict(state, strict=False)
        return network.eval()

    @property
    def backbone(self) -> Backbone:
        """The tuned model under the contract of all backbones, its head's classes by name."""
        if not hasattr(self, "_backbone"):
            from headstart.backbones.torch_network import TorchNetwork

            base = self.base
            if not isinstance(base.network, TorchNetwork):
                raise NeedsError(f"{base.card.name} runs outside torch; its probe has no network of its own")
            card = replace(base.card, name=f"{base.card.name}, tuned", classes=len(self.classes_))
            network = base.network.with_weights_of(self.module())
            card = replace(card, weights=network.fingerprint(), parameters=network.parameters)
            self._backbone = Backbone(card, base.preparation, network, tuple(map(str, self.classes_)))
        return self._backbone

    def features(
        self, X: Any, *, progress: Callable[[int, int], None] = lambda done, total: None, **how: Any
    ) -> np.ndarray:
        """Return what the head gets, float32 of shape (n, d); `how` is as `Backbone.features` takes it.

        Where only the head was learned these are the pretrained model's features, from the cache if they are there.
        """
        if self.moved:
            return self.backbone.features(X, progress=progress, **{"cache": False, **how})
        return self.base.features(X, progress=progress, **how)

    def predict_proba(self, X: Any, **how: Any) -> np.ndarray:
        """Return class probabilities, shape (n, k), of pictures or texts."""
        W, b = (np.asarray(self.values[name], dtype=float) for name in HEAD)
        return softmax(self.features(items_of(X), **how) @ W.T + b)

    def predict(self, X: Any, **how: Any) -> np.ndarray:
        """Return the class of each picture or text, shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X, **how).argmax(axis=1)])

    def with_classes(self, classes: np.ndarray) -> Self:
        """Return the network for more classes: of a new one, the head knows nothing."""
        if np.array_equal(classes, self.classes_):
            return self
        W, b = (self.values[name] for name in HEAD)
        at = np.searchsorted(classes, self.classes_)
        wide, offsets = np.zeros((len(classes), W.shape[1]), W.dtype), np.zeros(len(classes), b.dtype)
        wide[at], offsets[at] = W, b
        return type(self)(self.reader, classes, {**self.values, HEAD[0]: wide, HEAD[1]: offsets})

    def __getstate__(self) -> dict[str, Any]:
        # The torch network is never copied or saved with this: it is put together again.
        return {name: value for name, value in vars(self).items() if name != "_backbone"}

    def __repr__(self) -> str:
        changed = sum(value.size for value in self.values.values())
        return f"TunedNetwork({self.reader.model}, {len(self.classes_)} classes, {changed:,} numbers of its own)"


def opened(model: str | Backbone | BackboneFeatures) -> Backbone:
    """Return a backbone, by its name, as a transformer's, or itself."""
    if isinstance(model, BackboneFeatures):
        return (model if hasattr(model, "weights_") else model.fit()).backbone
    return backbone(model) if isinstance(model, str) else model


def reader_of(base: Backbone) -> BackboneFeatures:
    """Return the transformer that finds a backbone again by its name."""
    return BackboneFeatures.holding(base)
