"""ScenarioNet: the chance of a click with context, over scenarios or devices that learn together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from headstart.errors import InputError, NeedsError, unknown_name
from headstart.recommend.scenario_columns import Columns, scenario_of
from headstart.recommend.scenario_layers import KINDS, NUMPY, Shape, logits, spans_of
from headstart.recommend.scenario_likeness import likeness_factors
from headstart.recommend.scenario_offsets import fit_offsets, sums_of
from headstart.recommend.scenario_training import Rows, Training, trained

Kind = Literal["pooled", "separate", "shared-bottom", "mmoe", "star", "pepnet", "glmix"]
#: Kinds whose networks are not told the scenario, and parts of the rows that "glmix" leaves out in turn.
UNTOLD, PARTS = ("pooled", "separate", "glmix"), 4
#: Rows that are predicted at a time.
AT_ONCE = 8192


class ScenarioNet(ClassifierMixin, BaseEstimator):
    r"""A network that learns whether somebody will click, in several scenarios (places, devices, groups) at once.

    Every category has an embedding v. What a row's embeddings come to is told by layers over them, in the way of the
    kind, and by their products,

    .. math:: logit = b + \sum_c (w_c + u_{s,c}) + a_s^\top [deep_s(x), \sum_{i<j} v_i v_j]

    with the row's scenario s, whose own weights u are held small. The kinds:

    - "shared-bottom": the first layers are shared, the last and a head are each scenario's own.
    - "mmoe": each scenario mixes several shared experts by a softmax gate, below a layer and a head of its own.
    - "star": the weights of every layer are shared ones times the scenario's own, biases add up; inputs are normalised
      by scenario, and a small network that is told the scenario adds to the answer.
    - "pepnet": one network, whose embeddings and layers are scaled by gates, 2 sigmoid(.), that see the scenario.
    - "glmix": networks of all rows that are not told the scenario, and what every category adds to them in every
      scenario, drawn to zero (generalised linear mixed effects), and alike for categories that occur with the same
      others, as items of the same users. It is learned from the log-odds of further networks, four of which each leave
      out a part of the rows: of rows that were learned by heart there is nothing to learn.
    - "pooled": one network of all rows, which is not told the scenario.
    - "separate": a network for each scenario, from its rows alone.

    The last two are what the others must be better than. They are trained in the same way. Training takes torch;
    predictions do not.

    Parameters
    ----------
    kind : str, default "glmix"
        The one that was best on MovieLens, on the rows for choosing.
    numbers : list of str, optional
        Columns that are numbers; by default those of floats. All others are categories, users and items too.
    width : int, default 16
        Numbers in an embedding.
    hidden : tuple of int, default (32, 16)
        Units of the layers.
    experts : int, default 3
        Of "mmoe".
    learning_rate : float, default 0.003
    penalty : float, default 0.001
        Of the squares of the embeddings, each time that one is looked up.
    own_penalty : float, default 0.01
        The same of each scenario's own weights u.
    offset_penalty : float, default 30
        lambda of the offsets of "glmix": what an offset's square costs beside the log-likelihood.
    factors : int, default 16
        In how many ways categories are alike, for the offsets of "glmix"; with 0 every offset is by itself.
    dropout : float, default 0.2
    masked : float, default 0.01
        The share of categories that are hidden when training, so that it is learned what an unknown one says.
    batch : int, default 2048
    epochs, patience : int, default 30 and 2
        Training stops when the loss on rows held back has not become smaller for so many epochs.
    held_back : float, default 0.1
        The share of the training rows on which that is seen: the latest, if fit is given times, drawn otherwise.
    n_networks : int, default 1
        Networks, each with its own beginning and rows held back, over which the log-odds are averaged.
    random_state : int, default 0

    Attributes
    ----------
    classes_ : array of shape (2,)
    scenarios_ : array of str
    columns_ : Columns
    epochs_ : list of int
        After how many epochs each network was best.

    References
    ----------
    Ma, Zhao, Yi, Chen, Hong, Chi: Modeling Task Relationships in Multi-task Learning with Multi-gate
    Mixture-of-Experts. KDD 2018.
    Sheng and others: One Model to Serve All: Star Topology Adaptive Recommender for Multi-Domain CTR Prediction.
    CIKM 2021.
    Zhang, Zhou, Ma, Chen, Zhang, Agarwal: GLMix: Generalized Linear Mixed Models for Large-Scale Response Prediction.
    KDD 2016.
    Chang and others: PEPNet: Parameter and Embedding Personalized Network for Infusing with Personalized Prior
    Information. KDD 2023.

    Examples
    --------
    On the phone the short ones are clicked, on the desk the long ones.

    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"user": rng.integers(9, size=800), "length": rng.choice(["short", "long"], 800),
    ...                   "device": rng.choice(["phone", "desk"], 800)})
    >>> y = ((X["device"] == "phone") == (X["length"] == "short")).astype(int)
    >>> net = ScenarioNet("mmoe", learning_rate=0.02, batch=64).fit(X, y, scenario="device")
    >>> net.score(X, y)
    1.0
    """

    def __init__(
        self,
        kind: Kind = "glmix",
        numbers: Sequence[str] | None = None,
        width: int = 16,
        hidden: tuple[int, ...] = (32, 16),
        experts: int = 3,
        learning_rate: float = 0.003,
        penalty: float = 0.001,
        own_penalty: float = 0.01,
        offset_penalty: float = 30.0,
        factors: int = 16,
        dropout: float = 0.2,
        masked: float = 0.01,
        batch: int = 2048,
        epochs: int = 30,
        patience: int = 2,
        held_back: float = 0.1,
        n_networks: int = 1,
        random_state: int = 0,
    ) -> None:
        self.kind = kind
        self.numbers = numbers
        self.width = width
        self.hidden = hidden
        self.experts = experts
        self.learning_rate = learning_rate
        self.penalty = penalty
        self.own_penalty = own_penalty
        self.offset_penalty = offset_penalty
        self.factors = factors
        self.dropout = dropout
        self.masked = masked
        self.batch = batch
        self.epochs = epochs
        self.patience = patience
        self.held_back = held_back
        self.n_networks = n_networks
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Any, scenario: Any = None, time: Any = None) -> ScenarioNet:
        """Learn from rows, of which each is of a scenario.

        Parameters
        ----------
        X : DataFrame of shape (n, p)
        y : array of shape (n,)
            Two classes; the larger one is the click.
        scenario : str or array of shape (n,)
            The column of X that names each row's scenario (it is nothing else then), or the names.
        time : array of shape (n,), optional

        Raises
        ------
        InputError
            When the rows, or a parameter, are not what they should be.
        NeedsError
            When torch is not there.
        """
        _require_torch()
        self._check()
        table, names = scenario_of(X, scenario)
        self.scenario_column_ = scenario if isinstance(scenario, str) else None
        y = np.asarray(y).ravel()
        if len(y) != len(table) or (time is not None and len(time) != len(table)):
            raise InputError(f"X has {len(table)} rows, y {len(y)}; each row needs one label, and one time if any")
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            raise InputError(f"y has {len(self.classes_)} classes; a click is one of two, so give 0 and 1")
        if len(table) < 10:
            raise InputError(f"{len(table)} rows are too few to train and to see when to stop; give 10 or more")
        self.scenarios_, of_row = np.unique(names, return_inverse=True)
        self.shares_ = np.bincount(of_row) / len(of_row)
        self.columns_ = Columns.of(table, self.numbers)
        codes, values = self.columns_.read(table)
        rows = Rows(codes, values, of_row, (y == self.classes_[1]).astype(np.float32))
        when = None if time is None else np.asarray(time).ravel()
        self.shape_ = self._shape(rows)
        self.networks_, self.epochs_, self.offsets_ = [], [], None
        groups = [np.flatnonzero(of_row == s) for s in range(len(self.scenarios_))]
        if self.kind != "separate":
            groups = [np.arange(len(y))]
        for k in range(self.n_networks):
            seeds = np.random.SeedSequence([self.random_state, k]).generate_state(len(groups) + 1)
            for seed, group in zip(seeds.tolist(), groups, strict=False):
                P, epochs = self._trained(rows, group, when, seed)
                self.networks_.append(P)
                self.epochs_.append(epochs)
        if self.kind == "glmix":
            self.offsets_ = self._offsets(rows, when)
        return self

    def _offsets(self, rows: Rows, when: np.ndarray | None) -> np.ndarray:
        """Return what each category adds in each scenario, from networks that have not seen the rows."""
        n = len(rows.y)
        *seeds, last = np.random.SeedSequence([self.random_state, PARTS]).generate_state(PARTS + 1).tolist()
        part = np.random.default_rng(last).permutation(n) % PARTS
        unseen = np.zeros(n)
        for k, seed in enumerate(seeds):
            P, _ = self._trained(rows, np.flatnonzero(part != k), when, seed)
            here = np.flatnonzero(part == k)
            unseen[here] = logits(P, self.shape_, rows.codes[here], rows.values[here], [(0, 0, len(here))], NUMPY)
        size = len(self.scenarios_), int(self.columns_.starts[-1])
        F = likeness_factors(rows.codes, self.columns_.starts, self.factors)
        return fit_offsets(rows.codes, rows.scenario, rows.y, unseen, size, self.offset_penalty, F)

    def _trained(self, rows: Rows, group: np.ndarray, when: np.ndarray | None, seed: int) -> tuple[Any, int]:
        learn, held = self._held_back(group, when, seed)
        alone = self.kind in UNTOLD
        starts = self.columns_.starts[:-1]
        return trained(
            self.shape_, _sorted(rows, learn, alone), _sorted(rows, held, alone), starts, self._training(), seed
        )

    def decision_function(self, X: pd.DataFrame, scenario: Any = None) -> np.ndarray:
        """Return the log-odds of a click, shape (n,).

        A row of a scenario that was not learned gets what the scenarios say on average, by their shares of the rows.

        Parameters
        ----------
        X : DataFrame of shape (n, p)
        scenario : str or array of shape (n,), optional
            Not needed where fit was given a column's name.
        """
        check_is_fitted(self)
        table, names = scenario_of(X, self.scenario_column_ if scenario is None else scenario)
        codes, values = self.columns_.read(table)
        at = pd.Index(self.scenarios_).get_indexer(pd.Index(names))
        found = np.zeros(len(at))
        known = np.flatnonzero(at >= 0)
        found[known] = self._logits(codes[known], values[known], at[known])
        new = np.flatnonzero(at < 0)
        if len(new):
            for s, share in enumerate(self.shares_):
                found[new] += share * self._logits(codes[new], values[new], np.full(len(new), s))
        return found

    def predict_proba(self, X: pd.DataFrame, scenario: Any = None) -> np.ndarray:
        """Return the chances of no click and of a click, shape (n, 2)."""
        chance = NUMPY.sigmoid(self.decision_function(X, scenario))
        return np.column_stack([1.0 - chance, chance])

    def predict(self, X: pd.DataFrame, scenario: Any = None) -> np.ndarray:
        """Return the likelier class of each row, shape (n,)."""
        return np.asarray(self.classes_[(self.decision_function(X, scenario) > 0).astype(int)])

    def score(self, X: pd.DataFrame, y: Any, scenario: Any = None) -> float:
        """Return the share of rows whose class is predicted rightly."""
        return float(np.mean(self.predict(X, scenario) == np.asarray(y).ravel()))

    def _logits(self, codes: np.ndarray, values: np.ndarray, scenario: np.ndarray) -> np.ndarray:
        """Return the mean log-odds of the networks, shape (n,); scenario holds positions."""
        order = np.argsort(scenario, kind="stable")
        found = np.zeros(len(order))
        for first in range(0, len(order), AT_ONCE):
            rows = order[first : first + AT_ONCE]
            for s, start, stop in spans_of(scenario[rows]):
                part = rows[start:stop]
                # One network of each draw, or the scenario's own of each.
                mine = self.networks_[s :: len(self.scenarios_)] if self.kind == "separate" else self.networks_
                span = [(0 if self.kind in UNTOLD else s, 0, len(part))]
                for P in mine:
                    found[part] += logits(P, self.shape_, codes[part], values[part], span, NUMPY) / len(mine)
        if self.offsets_ is not None:
            found += sums_of(self.offsets_, codes, scenario)
        return found

    def _held_back(self, rows: np.ndarray, when: np.ndarray | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows to learn from, and those on which to see when to stop."""
        order = np.random.default_rng(seed).permutation(rows)
        if when is not None:
            order = order[np.argsort(when[order], kind="stable")]
        # A scenario of one row has nothing to hold back; it is both.
        n_held = max(1, round(self.held_back * len(rows)))
        return (order[:-n_held] if len(rows) > 1 else order), order[-n_held:]

    def _shape(self, rows: Rows) -> Shape:
        return Shape(
            kind="pooled" if self.kind in UNTOLD else self.kind,
            fields=rows.codes.shape[1],
            numbers=rows.values.shape[1],
            categories=int(self.columns_.starts[-1]),
            scenarios=len(self.scenarios_),
            width=self.width,
            hidden=tuple(self.hidden),
            experts=self.experts,
        )

    def _training(self) -> Training:
        return Training(
            learning_rate=self.learning_rate,
            penalty=self.penalty,
            own_penalty=self.own_penalty,
            dropout=self.dropout,
            masked=self.masked,
            batch=self.batch,
            epochs=self.epochs,
            patience=self.patience,
        )

    def _check(self) -> None:
        kinds = (*KINDS, "separate", "glmix")
        if self.kind not in kinds:
            raise InputError(unknown_name("kind", self.kind, kinds, "ScenarioNet"))
        for name in ("width", "experts", "batch", "epochs", "patience", "n_networks"):
            if getattr(self, name) < 1:
                raise InputError(f"ScenarioNet: {name} must be 1 or more, not {getattr(self, name)}")
        if not self.offset_penalty > 0:
            raise InputError(f"ScenarioNet: offset_penalty must be above 0, not {self.offset_penalty}")
        if self.factors < 0:
            raise InputError(f"ScenarioNet: factors must be 0 or more, not {self.factors}")
        if not self.hidden or min(self.hidden) < 1:
            raise InputError(f"ScenarioNet: hidden must be units of one layer or more, not {self.hidden}")
        for name in ("dropout", "masked", "held_back"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(f"ScenarioNet: {name} must be from 0 to below 1, not {getattr(self, name)}")


def _sorted(rows: Rows, at: np.ndarray, alone: bool) -> Rows:
    """Return some rows by scenario; where the network is not told it, all are of one."""
    part = rows.take(at)
    return Rows(part.codes, part.values, np.zeros_like(part.scenario), part.y) if alone else part


def _require_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise NeedsError('ScenarioNet learns with torch, which is not there: pip install "headstart[torch]"')
