"""Backbone: a pretrained model that gives features, names what it sees, and can be trained on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from headstart.backbones import runtimes
from headstart.backbones.cache import FeatureCache, Keeping, cache_of, keys_of, stamp
from headstart.backbones.card import Card
from headstart.backbones.network import Network
from headstart.backbones.preparation import Preparation
from headstart.backbones.streaming import WORKERS, in_order, loaded
from headstart.errors import InputError, NeedsError, unknown_name

#: Pictures that go through the network at once.
BATCH = 32
#: Tokens that texts bring to a batch for each item of its size.
TOKENS = 64
#: Characters of a token, roughly; it says how many texts go together, not what becomes of them.
CHARACTERS = 4


@dataclass(frozen=True)
class Guess:
    """A name and how likely it is."""

    name: str
    probability: float

    def __str__(self) -> str:
        return f"{self.name} {self.probability:.1%}"


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained model under one contract.

    Parameters
    ----------
    card : Card
        What it is.
    preparation : Preparation
        How pictures or texts become numbers.
    network : Network
        The body, which gives features, and the head, which names classes, if there is one.
    label_names : tuple of str
        Names of the head's classes; empty without a head.
    address : str
        What `headstart.backbone` finds it again by, paths in full; empty where it was put together by hand.
    options : dict
        What else it takes to find it again.

    Examples
    --------
    >>> model = backbone("bundled:efficientnet-lite0")                          # doctest: +SKIP
    >>> model.features(["cat.jpg"]).shape, model.classify(["cat.jpg"], top=1)   # doctest: +SKIP
    ((1, 1280), [[Guess(name='tiger cat', probability=0.53)]])
    """

    card: Card
    preparation: Preparation
    network: Network
    label_names: tuple[str, ...] = ()
    address: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Backbone({self.card})"

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the blocks whose output can be features, from the input on."""
        return self.network.layers

    def features(
        self,
        X: Any,
        *,
        layer: str | None = None,
        batch_size: int = BATCH,
        runtime: str = "auto",
        cache: bool | str | Path = True,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> np.ndarray:
        """Return the features of pictures or texts, float32 of shape (n, d).

        Parameters
        ----------
        X : sequence
            Pictures (paths, PIL images, arrays) or texts.
        layer : str, optional
            One of `layers`: its output, averaged over space or tokens. By default what the head would get.
        batch_size : int
            Pictures that go through the network at once; of texts, so many as bring 64 tokens each.
        runtime : {"auto", "torch", "onnxruntime", "openvino"}
            What runs the network. "auto" is the fastest that is installed and whose features agree with torch's to a
            thousandth of their spread; a few items run with torch.
        cache : bool, str or Path
            Where features are kept, so that an item goes through the network once: True is the folder HEADSTART_CACHE
            or the user's cache, False is nowhere. Kept features may come from any runtime.
        progress : callable
            Called with how many are done, and of how many.

        Raises
        ------
        InputError
            When an item can't be read, or there is no such layer or runtime.
        NeedsError
            When a runtime is named that is not installed or does not agree with torch.
        """
        if layer is not None and layer not in self.layers:
            raise InputError(unknown_name("layer", layer, self.layers, self.card.name))
        runtimes.known(runtime)
        items = items_of(X)
        kept = cache_of(cache)
        if kept is None:
            return self._through(items, self._runner(layer, runtime, len(items)), batch_size, progress)
        return self._through_cache(items, kept, layer, runtime, batch_size, progress)

    def probabilities(self, X: Any, *, batch_size: int = BATCH) -> np.ndarray:
        """Return the probabilities of the head's classes, float32 of shape (n, k).

        Raises
        ------
        NeedsError
            When the model has no head.
        """
        if not self.label_names:
            raise NeedsError(f"{self.card.name} has no head that names classes; take its features")
        found = lambda batch: self.network.probabilities  # noqa: E731
        return self._through(items_of(X), found, batch_size, lambda done, total: None)

    def classify(self, X: Any, top: int = 3, *, batch_size: int = BATCH) -> list[list[Guess]]:
        """Return the likeliest classes of each item, the first `top`.

        Raises
        ------
        InputError, NeedsError
            When an item can't be read, or the model has no head.
        """
        if top < 1:
            raise InputError(f"top must be 1 or more, not {top}")
        P = self.probabilities(X, batch_size=batch_size)
        order = np.argsort(-P, axis=1, kind="stable")[:, :top]
        return [[Guess(self.label_names[j], float(row[j])) for j in best] for row, best in zip(P, order, strict=True)]

    def module(self, n_classes: int | None = None) -> Any:
        """Return a copy of the network as a torch module from a batch to scores, for training.

        Parameters
        ----------
        n_classes : int, optional
            With a new head of so many classes; without, with its own.
        """
        return self.network.module(n_classes)

    def _runner(
        self, layer: str | None, runtime: str, n: int, kept: FeatureCache | None = None, identity: str | None = None
    ) -> Callable[[runtimes.Batch], runtimes.Run]:
        """Return what chooses the runtime when the first batch is there."""
        return lambda batch: runtimes.chosen(self.network, layer, runtime, batch, n, kept, identity)

    def _through(
        self,
        items: Sequence[Any],
        choose: Callable[[runtimes.Batch], runtimes.Run],
        batch_size: int,
        progress: Callable[[int, int], None],
    ) -> np.ndarray:
        values = np.zeros((len(items), 0), dtype=np.float32)
        done = 0
        with closing(self._rows(items, np.arange(len(items)), choose, batch_size)) as stream:
            for at, rows in stream:
                if not done:
                    values = np.empty((len(items), rows.shape[1]), dtype=np.float32)
                values[at] = rows
                done += len(at)
                progress(done, len(items))
        return values

    def _through_cache(
        self,
        items: Sequence[Any],
        kept: FeatureCache,
        layer: str | None,
        runtime: str,
        batch_size: int,
        progress: Callable[[int, int], None],
    ) -> np.ndarray:
        """Only what the cache has not goes through the network, and what was given twice goes once."""
        of = self.network
        identity = of.identity()
        cached = kept.rows(identity, self.preparation, layer)
        pictures = self.card.modality == "image"
        stamps = [stamp(item) if pictures else None for item in items]
        keys = keys_of(items, self.card.modality)
        found, values = cached.read(keys)
        first: dict[bytes, int] = {}
        same = np.array([i if key is None else first.setdefault(key, i) for i, key in enumerate(keys)])
        missing = np.flatnonzero(~found & (same == np.arange(len(items))))
        done = len(items) - len(missing)
        if not len(missing):
            progress(done, len(items))
            return values
        choose = self._runner(layer, runtime, len(missing), kept, identity)
        with closing(self._rows(items, missing, choose, batch_size)) as stream, Keeping(cached) as keeping:
            for at, rows in stream:
                if values.shape[1] != rows.shape[1]:
                    values = np.zeros((len(items), rows.shape[1]), dtype=np.float32)
                values[at] = rows
                # A file that was changed since its hash was taken may have given other features.
                keeping.add(
                    [keys[i] if (stamp(items[i]) if pictures else None) == stamps[i] else None for i in at], rows
                )
                done += len(at)
                progress(done, len(items))
        return values[same]

    def _rows(
        self,
        items: Sequence[Any],
        wanted: np.ndarray,
        choose: Callable[[runtimes.Batch], runtimes.Run],
        batch_size: int,
    ) -> Generator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions of items and what the chosen function gives for them, batch by batch."""
        if batch_size < 1:
            raise InputError(f"batch_size must be 1 or more, not {batch_size}")
        run = None
        with closing(self._batches(items, wanted, batch_size)) as batches:
            for at, batch in batches:
                run = run or choose(batch)
                yield at, run(batch)

    def _batches(
        self, items: Sequence[Any], wanted: np.ndarray, batch_size: int
    ) -> Generator[tuple[np.ndarray, runtimes.Batch]]:
        """Yield batches that threads prepare ahead: single pictures by many, or whole batches of texts by one."""
        if self.card.modality == "text":
            groups = self._groups(items, wanted, batch_size)
            # Tokenizers are not made for several threads.
            prepare = lambda at: self.preparation([items[i] for i in at])  # noqa: E731
            with closing(in_order(prepare, groups, workers=1, ahead=2)) as prepared:
                yield from zip(groups, prepared, strict=True)
            return
        one = lambda i: self.preparation([loaded(items[i])])  # noqa: E731
        with closing(in_order(one, wanted, WORKERS, ahead=2 * batch_size)) as single:
            for start in range(0, len(wanted), batch_size):
                at = wanted[start : start + batch_size]
                parts = [next(single) for _ in at]
                yield at, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _groups(self, items: Sequence[Any], wanted: np.ndarray, batch_size: int) -> list[np.ndarray]:
        """Texts of like length go together, so that little is filled up, and so many that batches are alike."""
        most = self.preparation.describe().get("max_length", np.inf)
        lengths = [min(len(items[i]) / CHARACTERS + 2, most) if isinstance(items[i], str) else most for i in wanted]
        order = np.argsort(-np.array(lengths), kind="stable")
        groups, start = [], 0
        while start < len(order):
            size = max(int(batch_size * TOKENS / lengths[order[start]]), 1)
            groups.append(wanted[order[start : start + size]])
            start += size
        return groups


def items_of(X: Any) -> Sequence[Any]:
    """Return pictures or texts as a sequence; one of them alone is one.

    Raises
    ------
    InputError
        When there are none.
    """
    if isinstance(X, str | Path | bytes) or (isinstance(X, np.ndarray) and X.dtype.kind not in "OU" and X.ndim < 4):
        X = [X]
    items: Sequence[Any] = X.tolist() if hasattr(X, "tolist") and getattr(X, "ndim", 1) == 1 else list(X)
    if not len(items):
        raise InputError("no picture or text was given")
    return items
