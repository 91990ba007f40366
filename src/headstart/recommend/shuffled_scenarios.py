"""Do scenarios differ in what is liked, beyond what one pooled model knows already? A permutation test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import lgamma, log
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.base import clone

from headstart.errors import InputError, unknown_name
from headstart.recommend.scenario_columns import Columns, scenario_of
from headstart.recommend.scenario_likeness import likeness_factors
from headstart.recommend.scenario_net import ScenarioNet
from headstart.recommend.scenario_offsets import fit_offsets, sums_of

#: Below it, scenarios differ; and the ways to deal the scenarios out from which a p-value can come to that.
LEVEL, LEAST_WAYS = 0.05, 20


@dataclass(frozen=True, eq=False)
class ScenarioEvidence:
    """What `scenario_evidence` found; gains are over the pooled networks, on rows that nothing was learned from.

    Attributes
    ----------
    name : str
        What cuts the rows.
    gain : float
        In log-likelihood per 1,000 rows, by offsets of the true scenarios.
    shuffled : array of shape (n_shuffles,)
        The same by offsets of shuffled scenarios. These can gain too: the offsets are learned from more rows than the
        networks. What the scenarios themselves add is the gain over the mean of these; with many rows it may be shown,
        and small.
    p : float
    by_scenario : dict of str to float
        Gain in the area under the ROC curve on each scenario's rows; nan where a scenario has rows of one class only.
    auc_gain : float
        Their mean.
    auc_shuffled : array of shape (n_shuffles,)
        That mean, on the same rows, by offsets of shuffled scenarios.
    rows, units : int
    """

    name: str
    gain: float
    shuffled: np.ndarray
    p: float
    by_scenario: dict[str, float]
    auc_gain: float
    auc_shuffled: np.ndarray
    rows: int
    units: int

    @property
    def verdict(self) -> str:
        """Say "differ" where p is at most 0.05, "no evidence" otherwise."""
        return "differ" if self.p <= LEVEL else "no evidence"

    @property
    def sds(self) -> float:
        """Standard deviations of the shuffled gains from their mean to the true one."""
        return float((self.gain - self.shuffled.mean()) / self.shuffled.std(ddof=1))

    def __str__(self) -> str:
        """Return what was found in a sentence."""
        figures = (
            f"log-likelihood {self.gain:+.2f} per 1,000 rows (shuffled {self.shuffled.mean():+.2f} on average, "
            f"sd {self.shuffled.std(ddof=1):.2f}: {self.sds:.1f} sds away), AUC {self.auc_gain:+.4f} "
            f"(shuffled {self.auc_shuffled.mean():+.4f}), p = {self.p:.3f}"
        )
        if self.verdict == "differ":
            there = self.auc_gain - self.auc_shuffled.mean()
            said = f"scenarios by {self.name} differ"
            return f"{said}: {figures}; about {there:+.4f} of AUC is there for glmix and the like"
        said = f"nothing shown: scenarios by {self.name} do no better than shuffled ones"
        return f"{said}: {figures}; one pooled model does"


def scenario_evidence(
    X: pd.DataFrame,
    y: Any,
    scenario: Any,
    *,
    unit: Any = None,
    parts: int = 4,
    n_shuffles: int = 200,
    offset_penalty: float = 30.0,
    n_networks: int = 1,
    net: ScenarioNet | None = None,
    random_state: int = 0,
) -> ScenarioEvidence:
    r"""Test whether scenarios differ in what is liked, before a model of many scenarios is built.

    The rows are dealt into parts. For each two of them a pooled network, which is not told the scenario, learns from
    all other parts. When part a is tested, z_i is the log-odds of row i from the networks that saw neither a nor i: one
    network for rows elsewhere, the mean of the networks without a for the rows of a. From the parts that are not a,
    every category's offset in every scenario is learned on top, as by `ScenarioNet("glmix")`, with like categories
    alike (which are, is seen from all rows, without labels or scenarios),

    .. math:: u^{(a)} = \arg\min_u \sum_{i \notin a} \log(1 + e^{-t_i (z_i + \sum_{c \in i} u_{s_i, c})})
              + \frac{\lambda}{2} \sum_s u_s^\top (I + F F^\top)^{-1} u_s, \qquad t_i = \pm 1

    and what they gain on the part that was left out is summed over the parts:

    .. math:: T(s) = \sum_a \sum_{i \in a} \log \frac{1 + e^{-t_i z_i}}
              {1 + e^{-t_i (z_i + \sum_{c \in i} u^{(a)}_{s_i, c})}},
              \qquad p = \frac{1 + \#\{b : T(s_b) \ge T(s)\}}{1 + B}

    The s_b are the scenarios dealt out anew among the units, with everything learned on top learned again. The null is
    that, given all else in the rows, the units' scenarios could as well be in any other order. A shuffle also parts the
    scenario from what goes with it (age from occupation): a small p may be due to that too. A large one says that
    offsets find nothing in these columns and rows; more rows, or other columns, may hold something.

    Parameters
    ----------
    X : DataFrame of shape (n, p)
    y : array of shape (n,)
        Two classes; the larger one is the click.
    scenario : str or array of shape (n,)
        The column of X that names each row's scenario (it is nothing else then), or the names.
    unit : str or array of shape (n,), optional
        Whose the scenario is, as a column's name or one value a row: the user where scenarios are ages, the film where
        they are genres. Left out, each row is a unit, as when one user is seen on several devices.
    parts : int, default 4
        More of them let the networks see more rows; parts (parts - 1) / 2 are trained, each `n_networks` times.
    n_shuffles : int, default 200
    offset_penalty : float, default 30
        lambda.
    n_networks : int, default 1
    net : ScenarioNet, optional
        Whose settings the pooled networks have; the kind, n_networks and random_state are set here.
    random_state : int, default 0

    Raises
    ------
    InputError
        When the rows or a parameter are not what they should be: a unit is in two scenarios, there is one scenario, or
        so few rows or units that nothing can be shown.
    NeedsError
        When torch is not there.

    References
    ----------
    Zhang, Zhou, Ma, Chen, Zhang, Agarwal: GLMix: Generalized Linear Mixed Models for Large-Scale Response Prediction.
    KDD 2016.
    Good: Permutation, Parametric, and Bootstrap Tests of Hypotheses. 3rd edition, Springer 2005.
    Phipson, Smyth: Permutation P-values Should Never Be Zero. Statistical Applications in Genetics and Molecular
    Biology 9, 2010.

    Examples
    --------
    Old users like long films, young ones short ones; the colour of their eyes says nothing.

    >>> rng = np.random.default_rng(0)
    >>> user = rng.integers(60, size=900)
    >>> X = pd.DataFrame({"length": rng.choice(["short", "long"], 900), "age": np.where(user % 2, "old", "young"),
    ...                   "eyes": np.where(user % 3, "brown", "blue")})
    >>> y = rng.random(900) < np.where((X["age"] == "old") == (X["length"] == "long"), 0.7, 0.3)
    >>> net = ScenarioNet(learning_rate=0.02, epochs=2)
    >>> for name in ("age", "eyes"):
    ...     found = scenario_evidence(X[["length", name]], y, name, unit=user, parts=3, n_shuffles=19, net=net)
    ...     print(name, found.verdict, found.p)
    age differ 0.05
    eyes no evidence 0.5
    """
    table, names = scenario_of(X, scenario)
    y = np.asarray(y).ravel()
    _check(len(table), y, parts, n_shuffles, offset_penalty)
    scenarios, s = np.unique(names, return_inverse=True)
    of_row, of_unit = _units(X, unit, s)
    _check_ways(scenarios, of_unit)
    net = clone(net or ScenarioNet()).set_params(kind="pooled", n_networks=n_networks)
    columns = Columns.of(table, net.numbers)
    if not columns.fields:
        raise InputError("X has numbers only, but offsets are of categories; give a column that holds some, as text")
    pairs = parts * (parts - 1) // 2
    *seeds, deal, shuffle = np.random.SeedSequence([random_state, parts]).generate_state(pairs + 2).tolist()
    part = np.random.default_rng(deal).permutation(len(y)) % parts
    _, clicks = np.unique(y, return_inverse=True)
    base = nested_log_odds(table, clicks, part, net, seeds)
    with_offsets = _predicts(columns, table, clicks, part, base, len(scenarios), offset_penalty, net.factors)
    alone = base[part, np.arange(len(y))]

    def gains(s_b: np.ndarray) -> tuple[float, np.ndarray]:
        z = with_offsets(s_b)
        return 1000 / len(y) * (_log_loss(clicks, alone) - _log_loss(clicks, z)), _areas(clicks, z, s) - before

    before = _areas(clicks, alone, s)
    gain, by_scenario = gains(s)
    rng = np.random.default_rng(shuffle)
    found = [gains(rng.permutation(of_unit)[of_row]) for _ in range(n_shuffles)]
    shuffled = np.array([one for one, _ in found])
    # Shuffles that only rename the scenarios gain the same but for rounding, and are as good.
    as_good = int((shuffled >= gain - 1e-9 * abs(gain)).sum())
    return ScenarioEvidence(
        name=scenario if isinstance(scenario, str) else "scenario",
        gain=gain,
        shuffled=shuffled,
        p=(1 + as_good) / (1 + n_shuffles),
        by_scenario=dict(zip(scenarios.tolist(), by_scenario.tolist(), strict=True)),
        auc_gain=float(np.nanmean(by_scenario)),
        auc_shuffled=np.array([np.nanmean(areas) for _, areas in found]),
        rows=len(y),
        units=len(of_unit),
    )


def nested_log_odds(X: pd.DataFrame, y: np.ndarray, part: np.ndarray, net: ScenarioNet, seeds: list[int]) -> np.ndarray:
    """Return log-odds z, shape (parts, n): in row a, of each row from networks that saw neither part a nor its part.

    Parameters
    ----------
    X : DataFrame of shape (n, p)
    y : array of shape (n,)
    part : int array of shape (n,)
    net : ScenarioNet
        One that is not told the scenario.
    seeds : list of int
        One for each two parts.
    """
    parts = int(part.max()) + 1
    base = np.zeros((parts, len(y)))
    for (a, b), seed in zip(combinations(range(parts), 2), seeds, strict=True):
        seen = (part != a) & (part != b)
        learned = clone(net).set_params(random_state=seed)
        learned.fit(X[seen], y[seen], scenario=np.zeros(int(seen.sum()), int))
        for here, other in ((a, b), (b, a)):
            rows = np.flatnonzero(part == here)
            told = learned.decision_function(X.iloc[rows], scenario=np.zeros(len(rows), int))
            base[other, rows] = told
            base[here, rows] += told / (parts - 1)
    return base


def _predicts(
    columns: Columns,
    X: pd.DataFrame,
    y: np.ndarray,
    part: np.ndarray,
    base: np.ndarray,
    n_scenarios: int,
    penalty: float,
    factors: int,
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what gives, for the rows' scenarios, the log-odds with offsets learned from the other parts."""
    codes, _ = columns.read(X)
    size = n_scenarios, int(columns.starts[-1])
    F = likeness_factors(codes, columns.starts, factors)
    tests = [np.flatnonzero(part == a) for a in range(len(base))]
    learns = [np.flatnonzero(part != a) for a in range(len(base))]

    def with_offsets(s: np.ndarray) -> np.ndarray:
        z = np.empty(len(y))
        for z_a, test, learn in zip(base, tests, learns, strict=True):
            u = fit_offsets(codes[learn], s[learn], y[learn], z_a[learn], size, penalty, F)
            z[test] = z_a[test] + sums_of(u, codes[test], s[test])
        return z

    return with_offsets


def _log_loss(y: np.ndarray, z: np.ndarray) -> float:
    return float(np.logaddexp(0.0, (1 - 2 * y) * z).sum())


def _areas(y: np.ndarray, z: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve on each scenario's rows, from their ranks; nan for those of one class."""
    found = np.full(int(s.max()) + 1, np.nan)
    for k in range(len(found)):
        rows = np.flatnonzero(s == k)
        rank, clicked = rankdata(z[rows]), y[rows] == 1
        ones, zeros = int(clicked.sum()), int((~clicked).sum())
        if ones and zeros:
            found[k] = (rank[clicked].sum() - ones * (ones + 1) / 2) / (ones * zeros)
    return found


def _units(X: pd.DataFrame, unit: Any, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's unit, shape (n,), and each unit's scenario."""
    if unit is None:
        return np.arange(len(s)), s
    if isinstance(unit, str):
        named = X.rename(columns=str)
        if unit not in named.columns:
            raise InputError(unknown_name("column", unit, named.columns, "unit"))
        unit = named[unit]
    values = pd.Series(np.asarray(unit).ravel()).astype(str).to_numpy().astype(str)
    if len(values) != len(s):
        raise InputError(f"unit names {len(values)} rows, but X has {len(s)}; give one value a row")
    units, first, of_row = np.unique(values, return_index=True, return_inverse=True)
    of_unit = s[first]
    apart = np.flatnonzero(of_unit[of_row] != s)
    if len(apart):
        raise InputError(f"unit {str(units[of_row[apart[0]]])!r} has rows in several scenarios; leave unit out")
    return of_row, of_unit


def _check(n: int, y: np.ndarray, parts: int, n_shuffles: int, penalty: float) -> None:
    if len(y) != n:
        raise InputError(f"X has {n} rows, y {len(y)}; each row needs one label")
    if len(np.unique(y)) != 2:
        raise InputError(f"y has {len(np.unique(y))} classes; a click is one of two, so give 0 and 1")
    if parts < 3:
        raise InputError(f"parts must be 3 or more, not {parts}: two are left out of each network")
    if n < 10 * parts:
        raise InputError(f"{n} rows are too few for {parts} parts; give {10 * parts} or more")
    if n_shuffles < LEAST_WAYS - 1:
        raise InputError(f"n_shuffles must be {LEAST_WAYS - 1} or more, or p is never {LEVEL}; not {n_shuffles}")
    if not penalty > 0:
        raise InputError(f"offset_penalty must be above 0, not {penalty}")


def _check_ways(scenarios: np.ndarray, of_unit: np.ndarray) -> None:
    """Refuse units that can be dealt to the scenarios in so few ways that none of them is rare."""
    if len(scenarios) < 2:
        raise InputError(f"all rows are of one scenario, {str(scenarios[0])!r}; give rows of two or more")
    sizes = np.bincount(of_unit)
    # Scenarios of as many units may change names, and nothing is changed.
    same = np.unique(sizes, return_counts=True)[1]
    ways = lgamma(len(of_unit) + 1) - sum(lgamma(k + 1) for k in sizes) - sum(lgamma(k + 1) for k in same)
    if ways < log(LEAST_WAYS - 0.5):
        raise InputError(
            f"{len(of_unit)} units of {len(scenarios)} scenarios can be dealt out in too few ways to show anything "
            f"({round(np.exp(ways))}); give more units, or leave unit out if a row's scenario is its own"
        )
