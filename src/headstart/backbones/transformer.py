"""Features of a pretrained model as a scikit-learn transformer, and domains of pictures or texts into them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from headstart.backbones.backbone import BATCH, Backbone
from headstart.backbones.sources import backbone, lasting
from headstart.domain import ITEMS, Domain
from headstart.errors import InputError, StoreError

#: The model that reads rows of a modality when none is named.
DEFAULTS = {"image": "bundled:efficientnet-lite0", "text": "bundled:minilm-l6"}


class BackboneFeatures(TransformerMixin, BaseEstimator):
    """From pictures or texts to the features of a pretrained model, whose weights stay as they are.

    Nothing is learned from the rows. What is kept, and saved, is the model's name and the hash of its weights, not the
    weights: where the model is found again with others, it is refused.

    Parameters
    ----------
    model : str
        As `headstart.backbones.backbone` takes it.
    layer : str, optional
        The block whose output to take; by default what the model's head would get.
    batch_size : int
        Pictures or texts that go through the model at once.
    options : dict, optional
        What the model's source takes beside its name, such as {"weights": "imagenet"}.

    Attributes
    ----------
    weights_ : str
        SHA-256 of the model's weights.
    modality_ : {"image", "text"}
        What it takes.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> pipe = make_pipeline(BackboneFeatures("bundled:minilm-l6"), LogisticRegression())
    >>> pipe.fit([["a fine film"], ["a dull film"]], [1, 0]).predict([["a very fine film"]])   # doctest: +SKIP
    array([1])
    """

    def __init__(
        self,
        model: str = DEFAULTS["image"],
        layer: str | None = None,
        batch_size: int = BATCH,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.layer = layer
        self.batch_size = batch_size
        self.options = options

    def fit(self, X: Any = None, y: Any = None) -> BackboneFeatures:
        """Find the model and keep the hash of its weights.

        Raises
        ------
        InputError, NeedsError
            When there is no such model, or a package is missing.
        """
        return self._hold(backbone(self.model, **(self.options or {})))

    @classmethod
    def holding(cls, found: Backbone) -> BackboneFeatures:
        """Return the transformer of a model that is at hand already; a copy looks for it by its address."""
        return cls(found.address or found.card.name, options=found.options or None)._hold(found)

    def found_at(self, model: str) -> BackboneFeatures:
        """Return this with the same weights, looked for under another name: where the model lies on this machine."""
        moved = type(self)(lasting(model), self.layer, self.batch_size)
        moved.weights_, moved.modality_ = self.weights_, self.modality_
        return moved

    def _hold(self, found: Backbone) -> BackboneFeatures:
        self._found = found
        self.weights_, self.modality_ = found.card.weights, found.card.modality
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features, float32 of shape (n, d).

        Parameters
        ----------
        X : array or frame of shape (n, 1), or sequence of length n
            Pictures (paths, PIL images, arrays) or texts.

        Raises
        ------
        InputError
            When there is more than one column, or an item can't be read.
        StoreError
            When the model found has other weights than at fit.
        """
        return self.features(X)

    def features(self, X: Any, progress: Callable[[int, int], None] = lambda done, total: None) -> np.ndarray:
        """Return what `transform` does; `progress` is called with how many are done, and of how many."""
        check_is_fitted(self)
        items = items_in(X, self.modality_)
        return self.backbone.features(items, layer=self.layer, batch_size=self.batch_size, progress=progress)

    @property
    def backbone(self) -> Backbone:
        """The model, looked for again where this was copied or loaded."""
        if not hasattr(self, "_found"):
            found = backbone(self.model, **(self.options or {}))
            if found.card.weights != self.weights_:
                raise StoreError(
                    f"{self.model}: has weights {found.card.weights[:12]}, and {self.weights_[:12]} were learned with; "
                    "bring those back, or learn again"
                )
            self._found = found
        return self._found

    def __getstate__(self) -> dict[str, Any]:
        # The network is never copied or saved with this: it is found again by its name.
        return {name: value for name, value in super().__getstate__().items() if name != "_found"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def items_in(X: Any, modality: str) -> list[Any]:
    """Return pictures or texts one after another, from one column of them."""
    if isinstance(X, str | Path):
        raise InputError(f"{str(X)!r} is one item; give a list of {ITEMS[modality]}, or one column of them")
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) == 2:
        if shape[1] != 1:
            raise InputError(f"the model takes {ITEMS[modality]}, one column of them, not {shape[1]} columns")
        X = X.iloc[:, 0] if hasattr(X, "iloc") else X[:, 0]
    items = [item[0] if isinstance(item, list | tuple) and len(item) == 1 else item for item in X]
    for row, item in enumerate(items, start=1):
        # Later, batches are put together by length: only here do items have the numbers of their rows.
        if modality == "text" and not (isinstance(item, str) and item.strip()):
            raise InputError(f"row {row}: {item!r} is no text; leave the row out, or write what is known")
        if modality == "image" and isinstance(item, str) and not item.strip():
            raise InputError(f"row {row}: no picture is named; leave the row out, or name its file")
    return items


def _column(X: Any) -> np.ndarray:
    """Return the one column of a domain of pictures or texts, shape (n,)."""
    return np.asarray(X.iloc[:, 0] if hasattr(X, "iloc") else X[:, 0])


def domains_as_features(
    domains: Sequence[Domain],
    reader: BackboneFeatures,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Domain]:
    """Return domains whose rows are the features of their pictures or texts, each path or text read once.

    The pictures or texts themselves stay beside them, as the domains' `items`.

    Raises
    ------
    InputError
        When a domain is not of what the model reads.
    """
    for domain in domains:
        if domain.modality != reader.modality_:
            raise InputError(
                f"{reader.model} reads {ITEMS[reader.modality_]}, and {domain.name} holds "
                f"{ITEMS.get(domain.modality, 'a table')}; name another model (--model)"
            )
    items = [items_in(domain.X, reader.modality_) for domain in domains]
    found: dict[Any, int] = {}
    # Rows may stand in two domains (test rows among the target's, say). What is no path or text is read as it comes.
    keys = [
        [item if isinstance(item, str) else (number, row) for row, item in enumerate(rows)]
        for number, rows in enumerate(items)
    ]
    places = [[found.setdefault(key, len(found)) for key in of_domain] for of_domain in keys]
    distinct = [key if isinstance(key, str) else items[key[0]][key[1]] for key in found]
    X = reader.features(distinct, progress)
    return [
        replace(domain, X=X[rows], modality="table", items=_column(domain.X))
        for domain, rows in zip(domains, places, strict=True)
    ]
