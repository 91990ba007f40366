"""A tuned network: a pretrained model, and what training changed in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from headstart.backbones import Backbone, backbone
from headstart.backbones.backbone import items_of
from headstart.backbones.network import softmax
from headstart.backbones.transformer import BackboneFeatures
from headstart.errors import NeedsError, StoreError

HEAD = ("head.weight", "head.bias")
#: What names of adapters begin with, see `adapter_modules`. From names and shapes alone they are put together again.
ADAPTERS = "body.adapters."
#: What a folder of a tuned network calls itself, and its file of arrays.
KIND, VALUES = "tuned network", "values.safetensors"


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
        `state_dict()`; "head.weight" of shape (k, d) and "head.bias" of shape (k,) are always there. Adapters, which
        the pretrained model has not, have names "body.adapters.BLOCK.down.weight" and the like, with "/" for each dot
        in the block's.
    about : dict, optional
        How it was trained, in plain JSON types, for its card: see `headstart.models.fine_tuning.model_card`.

    Examples
    --------
    >>> tuned = FineTune().fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).tuned_      # doctest: +SKIP
    >>> tuned.predict(["other.jpg"]), tuned.features(["other.jpg"]).shape         # doctest: +SKIP
    (array(['cup']), (1, 1280))
    """

    #: It takes pictures and texts as they are, not their features.
    takes_items = True

    def __init__(
        self,
        reader: BackboneFeatures,
        classes_: np.ndarray,
        values: dict[str, np.ndarray],
        about: dict[str, Any] | None = None,
    ) -> None:
        self.reader = reader
        self.classes_ = classes_
        self.values = values
        self.about = about

    @classmethod
    def of(cls, base: Backbone, network: Any, classes: np.ndarray, about: dict[str, Any] | None = None) -> Self:
        """Return what training made of a backbone, with as little as tells it from the pretrained one."""
        import torch

        with torch.random.fork_rng():
            began = base.module(len(classes)).body.state_dict()
        values = {}
        for name, value in network.state_dict().items():
            part, _, rest = name.partition(".")
            if part == "head" or rest not in began or not torch.equal(began[rest], value):
                values[name] = value.detach().cpu().numpy().copy()
        return cls(reader_of(base), classes, values, about)

    @property
    def base(self) -> Backbone:
        """The pretrained model, as it was."""
        return self.reader.backbone

    @property
    def moved(self) -> bool:
        """Whether anything but the head is other than in the pretrained model."""
        return bool(self.values.keys() - set(HEAD))

    def module(self) -> Any:
        """Return a copy as a torch module, from a batch's tensors to scores.

        Raises
        ------
        StoreError
            When the pretrained model has no place for one of the values.
        """
        import torch

        with torch.random.fork_rng():
            network = self.base.module(len(self.classes_))
            adapters = _adapters_in(self.values)
            if adapters:
                from headstart.models.fine_tuning.adapter_modules import add_adapters

                add_adapters(network, adapters)
        state = {name: torch.from_numpy(np.asarray(value)) for name, value in self.values.items()}
        strange = network.load_state_dict(state, strict=False).unexpected_keys
        if strange:
            raise StoreError(f"{self.reader.model}: has no {strange[0]!r}, which was tuned; bring that model back")
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
        return type(self)(self.reader, classes, {**self.values, HEAD[0]: wide, HEAD[1]: offsets}, self.about)

    def save(self, folder: str | Path, *, check_on: Any = None) -> None:
        """Save to a new folder, without pickle: a manifest and the values; the pretrained model is only named.

        Parameters
        ----------
        folder : path
            A folder that does not exist, or is empty.
        check_on : sequence, optional
            Pictures or texts on which the saved network must give just what this one does.

        Raises
        ------
        StoreError
            When the folder is taken, or the saved network gives something else.
        """
        from safetensors.numpy import save

        from headstart.store.folder import write_folder

        reader = self.reader
        manifest = {
            "model": {"name": reader.model, "options": reader.options, "weights": reader.weights_},
            "modality": reader.modality_,
            "classes": {"names": self.classes_.tolist(), "type": self.classes_.dtype.str},
            "about": self.about,
        }
        files = {VALUES: save({name: np.array(value, order="C") for name, value in self.values.items()})}
        if check_on is not None:
            again = self._restored(reader, manifest, files[VALUES])
            if not np.array_equal(self.predict_proba(check_on), again.predict_proba(check_on)):
                raise StoreError("the saved network predicts otherwise than the one in memory; please report this")
        write_folder(Path(folder), KIND, manifest, files)

    @classmethod
    def load(cls, folder: str | Path, *, model: str | Backbone | None = None) -> Self:
        """Load a network that `save` wrote.

        Parameters
        ----------
        folder : path
        model : str or Backbone, optional
            Where the pretrained model is now; by default it is looked for by the name it had.

        Raises
        ------
        StoreError
            When the folder was changed, or the pretrained model has other weights than at training.
        """
        from safetensors import SafetensorError

        from headstart.store.folder import read_folder

        manifest, files = read_folder(Path(folder), KIND)
        try:
            stated = manifest["model"]
            reader = BackboneFeatures(stated["name"], options=stated["options"])
            reader.weights_, reader.modality_ = stated["weights"], manifest["modality"]
            if model is not None:
                reader = reader_of(opened(model))
                if reader.weights_ != stated["weights"]:
                    raise StoreError(
                        f"{reader.model}: has weights {reader.weights_[:12]}, and {stated['weights'][:12]} were tuned; "
                        "name the model that was tuned"
                    )
            tuned = cls._restored(reader, manifest, files[VALUES])
        except (KeyError, TypeError, SafetensorError) as error:
            raise StoreError(f"{folder}: lacks a part ({error}); save the network again") from error
        # Found now, a missing or another model is told of here, not at the first prediction.
        tuned.reader.backbone  # noqa: B018
        return tuned

    @classmethod
    def _restored(cls, reader: BackboneFeatures, manifest: dict[str, Any], values: bytes) -> Self:
        from safetensors.numpy import load

        classes = manifest["classes"]
        return cls(reader, np.array(classes["names"], dtype=classes["type"]), load(values), manifest["about"])

    def __getstate__(self) -> dict[str, Any]:
        # The torch network is never copied or saved with this: it is put together again.
        return {name: value for name, value in vars(self).items() if name != "_backbone"}

    def __repr__(self) -> str:
        changed = sum(value.size for value in self.values.values())
        return f"TunedNetwork({self.reader.model}, {len(self.classes_)} classes, {changed:,} numbers of its own)"


def _adapters_in(values: dict[str, np.ndarray]) -> dict[str, tuple[int, int]]:
    """Return width and bottleneck of the adapters among the values, by the names of their blocks."""
    ending = ".down.weight"
    return {
        name[len(ADAPTERS) : -len(ending)].replace("/", "."): (value.shape[1], value.shape[0])
        for name, value in values.items()
        if name.startswith(ADAPTERS) and name.endswith(ending)
    }


def opened(model: str | Backbone | BackboneFeatures) -> Backbone:
    """Return a backbone, by its name, as a transformer's, or itself."""
    if isinstance(model, BackboneFeatures):
        return (model if hasattr(model, "weights_") else model.fit()).backbone
    return backbone(model) if isinstance(model, str) else model


def reader_of(base: Backbone) -> BackboneFeatures:
    """Return the transformer that finds a backbone again by its name."""
    return BackboneFeatures.holding(base)
