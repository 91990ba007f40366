"""Greedy soup: the weights of several fine-tunings are averaged, as long as that helps rows that were held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from headstart.errors import InputError
from headstart.models.fine_tuning.fine_tune import FineTune
from headstart.models.fine_tuning.held_out import held_out
from headstart.models.fine_tuning.linear_probe import LinearProbe
from headstart.models.fine_tuning.progress_bar import Progress
from headstart.models.fine_tuning.tuned import TunedNetwork

#: Learning rates of the ingredients by default, in units of the strategy's own, and how many seeds each has.
RATES, SEEDS = (1.0, 1 / 3, 3.0), 2


@dataclass(frozen=True)
class Ingredient:
    """One fine-tuning: its settings, its share of right answers on held-out rows, and whether the soup has it."""

    settings: dict[str, Any]
    score: float
    taken: bool

    def __str__(self) -> str:
        told = ", ".join(
            f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.settings.items()
        )
        return f"{'+' if self.taken else '-'} {self.score:.3f} {told}"


class Soup(FineTune):
    r"""Several fine-tunings, and of their weights the average that is best on rows that were held out.

    .. math:: \bar w = \frac{1}{|S|} \sum_{i \in S} w_i

    The ingredients all begin from the same network and the same head, a probe's: only then do weights lie near enough
    together to be averaged. Sorted by how many held-out rows they get right, the best is the soup; each next one is
    added where the soup does not get fewer right with it. What comes out is one network, as fast as one. Rows held out
    are not trained on.

    Parameters
    ----------
    strategy : FineTune, optional
        How each is tuned. By default full fine-tuning, with this one's settings; of a strategy that is given the own
        settings hold, and only its `model`, `checkpoint` and what the ingredients differ in are the soup's.
    ingredients : sequence of dict, optional
        Settings of the strategy in which each ingredient differs. By default six: the learning rate, a third of it and
        three times it, for body and head, each with two seeds.
    validation : float, default 0.2
        Share of the rows held out for the soup's choice; `random_state` draws them. Other parameters as in `FineTune`,
        but `patience` and `keep`: an ingredient is trained to its end, or as its strategy says.

    Attributes
    ----------
    ingredients_ : tuple of Ingredient
        In the order in which they were tried.
    score_ : float
        The soup's share of right answers on the held-out rows.
    held_out_ : int array
        Positions of the held-out rows.
    plan_, history_
        Those of the best ingredient.

    Raises
    ------
    InputError
        When no row can be held out, or there is no ingredient.

    Notes
    -----
    Where training begins from a tuned network, every ingredient begins from that, its head too. With `checkpoint` each
    ingredient has a folder in it; one that was ended is trained again.

    References
    ----------
    Wortsman, Ilharco, Gadre, Roelofs, Gontijo-Lopes, Morcos, Namkoong, Farhadi, Carmon, Kornblith, Schmidt: Model
    Soups: Averaging Weights of Multiple Fine-tuned Models Improves Accuracy without Increasing Inference Time.
    ICML 2022.

    Examples
    --------
    >>> soup = Soup(ingredients=[{"lr": 1e-4}, {"lr": 3e-4}]).fit(pictures, labels)      # doctest: +SKIP
    >>> print(*soup.ingredients_, sep="\n")                                             # doctest: +SKIP
    + 0.925 lr=0.0003
    - 0.900 lr=0.0001
    """

    def __init__(
        self,
        model: Any = "bundled:efficientnet-lite0",
        *,
        strategy: FineTune | None = None,
        ingredients: Sequence[Mapping[str, Any]] | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(model, **{"validation": 0.2, **shared})
        self.strategy = strategy
        self.ingredients = ingredients

    def _learn(self, items: Sequence[Any], codes: np.ndarray, start: TunedNetwork | None, progress: Progress) -> None:
        strategy = self._strategy()
        settings = self._settings(strategy)
        if self.validation is None:
            raise InputError("Soup chooses by rows held out of training; set validation, such as validation=0.2")
        held = held_out(items, codes, self.validation, self.random_state)
        self.held_out_ = np.flatnonzero(held)
        labels = self.classes_[codes]
        rows, y = [item for item, out in zip(items, held, strict=True) if not out], labels[~held]
        begin = start if start is not None else LinearProbe(self.backbone_).fit(rows, y).tuned_
        test, truth = [item for item, out in zip(items, held, strict=True) if out], labels[held]

        cooked = []
        for i, each in enumerate(settings):
            folder = None if self.checkpoint is None else str(Path(self.checkpoint) / f"ingredient-{i + 1}")
            tuned = clone(strategy).set_params(model=self.backbone_, checkpoint=folder, **each)
            tuned.fit(rows, y, start=begin, progress=_part(progress, i, len(settings)))
            cooked.append(tuned)
        scores = [float((tuned.predict(test) == truth).mean()) for tuned in cooked]

        order = np.argsort(-np.array(scores), kind="stable")
        soup, taken, self.score_ = cooked[order[0]].tuned_, [int(order[0])], scores[order[0]]
        for i in order[1:]:
            tried = averaged([cooked[j].tuned_ for j in [*taken, int(i)]])
            score = float((tried.predict(test) == truth).mean())
            if score >= self.score_:
                soup, self.score_ = tried, score
                taken.append(int(i))
        best = cooked[order[0]]
        self.plan_, self.history_ = best.plan_, best.history_
        self.ingredients_ = tuple(Ingredient(dict(settings[i]), scores[i], int(i) in taken) for i in order)
        self.tuned_ = soup

    def _strategy(self) -> FineTune:
        """Return what each ingredient is a copy of."""
        if self.strategy is not None:
            return self.strategy
        own = set(FineTune._get_param_names()) - {"model", "validation", "patience", "keep"}
        return FineTune(**{name: getattr(self, name) for name in own})

    def _settings(self, strategy: FineTune) -> list[dict[str, Any]]:
        """Return in what each ingredient differs from the strategy."""
        if self.ingredients is not None:
            if not len(self.ingredients):
                raise InputError("Soup: a soup takes at least one ingredient")
            return [dict(each) for each in self.ingredients]
        # The head fits from the beginning: it learns as fast as the body.
        return [
            {"lr": rate * strategy.lr, "head_lr": rate * strategy.lr, "random_state": strategy.random_state + seed}
            for seed in range(SEEDS)
            for rate in RATES
        ]


def averaged(networks: Sequence[TunedNetwork]) -> TunedNetwork:
    """Return the network whose weights are the mean of several that one pretrained network was tuned to.

    What training did not move in one of them counts there as it was pretrained. A single one is returned as it is, and
    whole numbers, such as how many batches a norm has seen, are rounded.
    """
    first = networks[0]
    names = sorted({name for each in networks for name in each.values})
    sums: dict[str, np.ndarray] = {}
    for each in networks:
        state = each.module().state_dict()
        for name in names:
            value = state[name].numpy().astype(float)
            sums[name] = sums[name] + value if name in sums else value
    values = {}
    for name in names:
        dtype = next(each.values[name].dtype for each in networks if name in each.values)
        mean = sums[name] / len(networks)
        values[name] = (np.round(mean) if dtype.kind in "iu" else mean).astype(dtype)
    return TunedNetwork(first.reader, first.classes_, values)


def _part(progress: Progress, i: int, parts: int) -> Progress:
    """Return how far the whole is, told how far part i of it is."""
    return lambda done, total: progress(i * total + done, parts * total)
