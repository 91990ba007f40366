"""Recommendation on real behaviour: purchases of games and of videos, and films in many scenarios.

Cold users: people of whom the target knows nothing, with a history in the other domain. The split is that of Cao et
al., "Cross-Domain Recommendation to Cold-Start Users via Variational Information Bottleneck" (ICDE 2022), as their
repository has it. Each held-out purchase is ranked among 999 items drawn at random, and among all. Warm users: one
purchase of each shared user is left out. Settings were chosen on the validation users of the same files, who are other
purchases of partly the same people; no test purchase was looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from headstart.bench.asked import Asked, Shown
from headstart.bench.cases import keep, kept
from headstart.domain import Domain
from headstart.errors import InputError, unknown_name
from headstart.method import four_steps
from headstart.recommend import (
    EASE,
    BiGraphTransfer,
    CollectiveMF,
    CrossDomainItemKNN,
    EmbeddingMapping,
    Histories,
    ItemKNN,
    MatrixFactorization,
    PersonalizedBridge,
    Popularity,
    Ratings,
    Recommender,
)

#: Part of the benchmark: what it needs in the folder.
PARTS = {"cold": "cdrib", "warm": "cdrib", "scenarios": ""}
#: Direction: the folders of source and target.
DIRECTIONS = {"game -> video": ("game_video", "video_game"), "video -> game": ("video_game", "game_video")}
#: People below this number are the same in both files; above, the same number is another person in each.
SHARED_PEOPLE = 2179
#: Items drawn beside a held-out one, and how often they are drawn.
NEGATIVES, DRAWS = 999, 5
#: Purchases of a shared user in the target from which one is left out.
LEAST_WARM = 5
BOOTSTRAPS = 1000

#: From the target alone, and all purchases in one heap, that a transfer has to beat.
BASELINES: dict[str, tuple[Any, str]] = {
    "popularity": (Popularity(), "target"),
    "item-knn": (ItemKNN(), "target"),
    "matrix-factorization": (MatrixFactorization(), "target"),
    "ease": (EASE(max_items=30_000), "target"),
    "ease, union": (EASE(max_items=30_000), "union"),
    "collective-mf": (CollectiveMF(), "method"),
    "cross-domain-item-knn": (CrossDomainItemKNN(), "method"),
}
OURS: dict[str, tuple[Any, str]] = {
    "embedding-mapping, as published": (EmbeddingMapping(neighbors=0), "method"),
    "embedding-mapping": (EmbeddingMapping(), "method"),
    "personalized-bridge": (PersonalizedBridge(), "method"),
    "bi-graph-transfer": (BiGraphTransfer(), "method"),
}
METHODS = {**BASELINES, **OURS}
#: What is compared with the baselines as ours.
BEST = "embedding-mapping"
#: Least figures of the plan: MRR, HR@10, NDCG@10 of cold users among 999.
BARS = {"game -> video": (0.067, 0.138, 0.075), "video -> game": (0.047, 0.096, 0.048)}
#: What the table shows, and how it comes from a rank.
MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mrr": lambda rank: 1 / rank,
    "hr": lambda rank: (rank <= 10).astype(float),
    "ndcg": lambda rank: np.where(rank <= 10, 1 / np.log2(rank + 1), 0.0),
}


@dataclass(frozen=True)
class Cell:
    """One method in one direction.

    Attributes
    ----------
    users : list of int
        Who each held-out purchase is of.
    sampled : dict of measure to list of float
        Of each, the mean over draws of 999 items.
    full : dict of measure to list of float
        Of each, among all items that its user has not bought.
    seconds : float
        To fit, on the wall.
    """

    part: str
    direction: str
    method: str
    users: list[int]
    sampled: dict[str, list[float]]
    full: dict[str, list[float]]
    seconds: float

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from every other cell."""
        return self.part, self.direction, self.method


def measure(asked: Asked, show: Callable[[Shown], None]) -> dict[str, Any]:
    """Measure the parts that are wanted, show their tables, and return the figures."""
    names = list(METHODS) if not asked.methods else [name for name in METHODS if name in asked.methods]
    for wanted in asked.methods:
        if wanted not in METHODS:
            raise InputError(unknown_name("method", wanted, METHODS))
    cells: dict[tuple[str, str, str], Cell] = {cell.key: cell for cell in kept(asked.cells, Cell)}
    found: dict[str, Any] = {
        "protocol": {
            "cold": "users with a history in the source alone; every held-out purchase, settings by validation users",
            "warm": f"shared users with {LEAST_WARM} purchases in the target or more: one each is left out",
            "negatives": f"{NEGATIVES} items at random, {asked.draws or DRAWS} draws; and all items not bought",
            "intervals": f"95 %, {BOOTSTRAPS} bootstrap samples of users",
            "methods": {name: repr(method) for name, (method, _) in METHODS.items()},
            "learner": repr(MatrixFactorization()),
        }
    }
    for part in asked.sets(PARTS):
        if part == "scenarios":
            found |= _scenarios(asked, show)
            continue
        of = list(_cells(asked, part, names, cells))
        found[part], found[f"{part}, gain"] = lines(of), gains(of)
        for shown in tables(part, found[part], found[f"{part}, gain"]):
            show(shown)
    return found


def _scenarios(asked: Asked, show: Callable[[Shown], None]) -> dict[str, Any]:
    """Measure MovieLens, whose cells stand in a file beside that of the others."""
    from headstart.bench.scenario_signal import signal_lines
    from headstart.bench.scenarios import all_lines, kind_lines, scenario_lines, scenario_tables

    cells = None if asked.cells is None else asked.cells.with_suffix(".scenarios" + asked.cells.suffix)
    try:
        found = scenario_tables(cells=cells, say=asked.say, show=show)
    except InputError as error:
        asked.note(f"skipped: scenarios: {error}")
        return {}
    cuttings = found.pop("cuttings")
    return {
        "scenarios": scenario_lines(cuttings),
        "scenarios, all parts": all_lines(cuttings),
        "kinds": kind_lines(cuttings),
        "signal": signal_lines(cuttings),
        "scenarios, protocol": {**found, "cuttings": cuttings},
    }


def _cells(asked: Asked, part: str, names: list[str], cells: dict[tuple[str, str, str], Cell]) -> Iterator[Cell]:
    for direction, folders in DIRECTIONS.items():
        case = lru_cache(maxsize=1)(lambda folders=folders: CASES[part](asked.data / "cdrib", *folders))
        for name in names:
            key = (part, direction, name)
            if key not in cells:
                cells[key] = _measured(part, direction, name, case(), asked.draws or DRAWS)
                keep(asked.cells, cells[key])
            cell = cells[key]
            mean = {measure: float(np.mean(values)) for measure, values in cell.sampled.items()}
            asked.say(f"{part}, {direction}: {name} {mean['mrr']:.3f} {mean['hr']:.3f} {mean['ndcg']:.3f}")
            yield cell


@dataclass(frozen=True, eq=False)
class Case:
    """What is learned from, and what is held out: rows of user and item."""

    source: Domain
    target: Domain
    held: Ratings


def cold(folder: Path, source: str, target: str, which: str = "test") -> Case:
    """Return the purchases to learn from, and those of cold users."""
    held = _purchases(folder / target / f"{which}.txt")
    return Case(_domain(folder, source), _domain(folder, target), _ratings(held, target))


def warm(folder: Path, source: str, target: str) -> Case:
    """Return the purchases to learn from, and one of each shared user who has some in the target."""
    rows = _purchases(folder / target / "train.txt")
    users, counts = np.unique(rows[:, 0], return_counts=True)
    chosen = users[(users < SHARED_PEOPLE) & (counts >= LEAST_WARM)]
    order = np.random.default_rng(0).permutation(len(rows))
    order = order[np.isin(rows[order, 0], chosen)]
    _, first = np.unique(rows[order, 0], return_index=True)
    held = order[first]
    rest = np.setdiff1d(np.arange(len(rows)), held)
    learned = Domain(_ratings(rows[rest], target), np.ones(len(rest)), target, task="ranking")
    return Case(_domain(folder, source), learned, _ratings(rows[held], target))


CASES = {"cold": cold, "warm": warm}


def _purchases(path: Path) -> np.ndarray:
    return np.loadtxt(path, dtype=np.int64, usecols=(0, 1))


def _ratings(rows: np.ndarray, name: str) -> Ratings:
    """Name people so that one number means one person."""
    people = [str(user) if user < SHARED_PEOPLE else f"{name} {user}" for user in rows[:, 0].tolist()]
    return Ratings.of(people, rows[:, 1], name)


def _domain(folder: Path, name: str) -> Domain:
    rows = _purchases(folder / name / "train.txt")
    return Domain(_ratings(rows, name), np.ones(len(rows)), name, task="ranking")


def fitted(method: Any, how: str, case: Case) -> Recommender:
    """Return a recommender of the target: from its rows alone, from all in one heap, or by a method."""
    if how == "method":
        found: Recommender = four_steps(method, case.source, case.target, MatrixFactorization()).predictor
        return found
    parts = [case.target] if how == "target" else [case.source, case.target]
    joint: Recommender = method.recommender(Histories.of(parts))
    return joint


def _measured(part: str, direction: str, name: str, case: Case, draws: int) -> Cell:
    start = time.perf_counter()
    recommender = fitted(*METHODS[name], case)
    seconds = time.perf_counter() - start
    sampled = sampled_ranks(recommender, case.held, draws)
    full = recommender.ranks(case.held)
    users = np.unique(case.held.users, return_inverse=True)[1]
    return Cell(
        part,
        direction,
        name,
        users.tolist(),
        {key: np.round(of(sampled).mean(axis=0), 5).tolist() for key, of in MEASURES.items()},
        {key: np.round(of(full), 5).tolist() for key, of in MEASURES.items()},
        round(seconds, 2),
    )


def sampled_ranks(recommender: Recommender, held: Ratings, draws: int) -> np.ndarray:
    """Return the rank of each held-out item among items drawn at random, shape (draws, n); ties share their mean rank.

    Drawn are other items of the target, whether or not the user has them, as the split's authors do.
    """
    users, at = np.unique(held.users, return_inverse=True)
    S = recommender.scores(users)
    m = len(recommender.items)
    own = np.searchsorted(recommender.items, held.items).clip(0, m - 1)
    known = recommender.items[own] == held.items
    found = np.empty((draws, len(held)))
    for draw in range(draws):
        rng = np.random.default_rng([draw, 999])
        for row in range(len(held)):
            drawn = rng.choice(m - 1, min(NEGATIVES, m - 1), replace=False)
            drawn += drawn >= own[row]
            score = S[at[row], own[row]]
            others = S[at[row], drawn]
            above, equal = (others > score).sum(), (others == score).sum()
            found[draw, row] = 1 + above + equal / 2 if known[row] else len(drawn) + 1
    return found


def lines(cells: list[Cell]) -> list[dict[str, Any]]:
    """Return a line a direction and method: means over purchases with intervals over users."""
    found = []
    for cell in cells:
        line: dict[str, Any] = {"direction": cell.direction, "method": cell.method}
        for kind, of in (("sampled", cell.sampled), ("full", cell.full)):
            for measure, values in of.items():
                line[f"{kind} {measure}"] = interval(np.array(values), np.array(cell.users))
        found.append({**line, "seconds": cell.seconds, "users": len(set(cell.users)), "purchases": len(cell.users)})
    return found


def gains(cells: list[Cell]) -> list[dict[str, Any]]:
    """Return what the best of ours is above every baseline, purchase by purchase."""
    by_key = {(cell.direction, cell.method): cell for cell in cells}
    found = []
    for direction in DIRECTIONS:
        ours = by_key.get((direction, BEST))
        for name in METHODS:
            other = by_key.get((direction, name))
            if ours is None or other is None or name == BEST:
                continue
            line: dict[str, Any] = {"direction": direction, "over": name}
            for kind in ("sampled", "full"):
                for measure in MEASURES:
                    difference = np.array(getattr(ours, kind)[measure]) - np.array(getattr(other, kind)[measure])
                    line[f"{kind} {measure}"] = interval(difference, np.array(ours.users))
            found.append(line)
    return found


def interval(values: np.ndarray, users: np.ndarray) -> list[float]:
    """Return the mean over rows with its 95 % interval from bootstrap samples of users.

    >>> interval(np.ones(4), np.array([0, 0, 1, 2]))
    [1.0, 1.0, 1.0]
    """
    sums, counts = np.bincount(users, values), np.bincount(users)
    times = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), BOOTSTRAPS)
    means = (times @ sums) / (times @ counts)
    low, high = np.quantile(means, [0.025, 0.975])
    return [round(float(value), 5) for value in (values.mean(), low, high)]


def tables(part: str, found: list[dict[str, Any]], gained: list[dict[str, Any]]) -> Iterator[Shown]:
    """Yield the tables of one part."""
    columns = [f"{kind} {measure}" for kind in ("sampled", "full") for measure in MEASURES]
    rows = [
        [line["direction"], line["method"], *(_shown(line[column]) for column in columns), f"{line['seconds']:.1f}"]
        for line in found
    ]
    yield Shown(f"{part} users: MRR, HR@10, NDCG@10", ["direction", "method", *columns, "seconds"], rows)
    over = [[line["direction"], line["over"], *(_shown(line[column], "+") for column in columns)] for line in gained]
    yield Shown(f"{part} users: {BEST} over each", ["direction", "over", *columns], over)


def _shown(value: list[float], sign: str = "") -> str:
    mean, low, high = (f"{number:{sign}.3f}" for number in value)
    return f"{mean} ({low} to {high})"
