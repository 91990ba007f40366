"""Click prediction over scenarios on MovieLens-100k: what is learned together against one for all, and one each.

The rows are dealt into ten parts once. Part 0 is for choosing: each kind, and each of its settings, learns parts 4 to
9, and what predicts part 0 best is taken. Then parts 1, 2 and 3, which nobody has seen, are predicted in turn from all
the others. Each kind averages four networks, and every network holds back a tenth of its training rows to see when to
stop.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from headstart.bench.asked import Shown
from headstart.bench.cases import keep, kept
from headstart.bench.scenario_signal import SHUFFLES, Signal, signal_of, signal_table
from headstart.errors import InputError, unknown_name
from headstart.recommend.scenario_net import ScenarioNet

PROTOCOL = (
    "MovieLens-100k: is a film rated 4 or 5? Area under the ROC curve by scenario, means over three "
    "test parts of 10 %; settings and the multi-scenario kind chosen on another 10 %. "
    "Intervals (95 %) by drawing users anew."
)
PARTS, CHOICE, TESTS = 10, 0, (1, 2, 3)
#: Parts from whose rows, among others, it was settled how offsets of like categories are alike, and how much.
SETTLED = (4, 5, 6, 7, 8, 9)
POOLED, TOLD, SEPARATE = "pooled", "pooled, told", "separate"
#: What learns all scenarios together, and knows which is which.
MULTI = ("shared-bottom", "mmoe", "star", "pepnet", "glmix")
#: Those that are tried where a cutting does not try all: the slow ones were behind by genre.
FEWER = {"age": ("shared-bottom", "mmoe", "glmix"), "occupation": ("shared-bottom", "mmoe", "glmix")}
#: What a method chooses among, where it is more than one setting; and the networks that each kind averages.
SETTINGS: dict[str, tuple[dict[str, float], ...]] = {"glmix": ({"offset_penalty": 10.0}, {"offset_penalty": 30.0})}
NETWORKS = 4
GENRES = ("Drama", "Comedy", "Action")
OCCUPATIONS = 5
CUTTINGS = ("genre", "age", "occupation")
BOOTSTRAPS = 500


@dataclass(frozen=True)
class Cell:
    """One method with one setting, tested on one part.

    Attributes
    ----------
    told : str
        The log-odds of the part's rows in the order of the table, as base64 of half-precision numbers.
    seconds : float
        Of the processor, to learn.
    """

    cutting: str
    method: str
    setting: int
    part: int
    told: str
    epochs: list[int]
    seconds: float

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from every other cell."""
        return self.cutting, self.method, self.setting, self.part

    @property
    def logits(self) -> np.ndarray:
        """Log-odds, shape (rows of the part,)."""
        return np.frombuffer(base64.b64decode(self.told), dtype="<f2").astype(float)


def movielens(folder: Path | None = None) -> pd.DataFrame:
    """Return the ratings with what is known of users and films, one row a rating, and the scenarios of each cutting.

    Parameters
    ----------
    folder : Path, optional
        Holds ml-100k.inter, ml-100k.user and ml-100k.item; by default what the package recbole brings along.

    Raises
    ------
    InputError
        When the files are not there.
    """
    if folder is None:
        found = find_spec("recbole")
        if found is None or found.origin is None:
            raise InputError("MovieLens-100k is not there: pip install --no-deps recbole, or name its folder")
        folder = Path(found.origin).parent / "dataset_example" / "ml-100k"
    for name in ("inter", "user", "item"):
        if not (folder / f"ml-100k.{name}").exists():
            raise InputError(f"{folder}: there is no ml-100k.{name}; name the folder that holds it")
    ratings, users, films = (
        pd.read_csv(folder / f"ml-100k.{name}", sep="\t").rename(columns=lambda column: column.split(":")[0])
        for name in ("inter", "user", "item")
    )
    table = ratings.merge(users, on="user_id").merge(films, on="item_id")
    genres = table["class"].fillna("").str.split()
    for name in sorted({genre for of in genres for genre in of}):
        table[f"is {name}"] = genres.map(lambda of, name=name: float(name in of))
    table["year"] = pd.to_numeric(table["release_year"], errors="coerce").astype(float)
    table["years of age"] = table["age"].astype(float)
    table["age"] = pd.cut(
        table["age"], [0, 24, 34, 44, 200], labels=["under 25", "25 to 34", "35 to 44", "45 and over"]
    ).astype(str)
    table["work"] = table["occupation"]
    most = [name for name in table["work"].value_counts().index if name != "other"][:OCCUPATIONS]
    table["occupation"] = table["work"].where(table["work"].isin(most), "other")
    # A film of several genres counts as the first of these that it is of.
    is_of = [table[f"is {name}"] > 0 for name in GENRES]
    table["genre"] = np.select(is_of, GENRES, default="other")
    return table


def columns_for(cutting: str, table: pd.DataFrame) -> list[str]:
    """Return the columns to predict from: what cuts the rows is not among them."""
    genres = [name for name in map(str, table) if name.startswith("is ")]
    context = {
        "age": ["work", *genres],
        "occupation": ["years of age", *genres],
        "genre": ["years of age", "work"],
    }
    return ["user_id", "item_id", "gender", "year", *context[cutting]]


def part_of(n: int) -> np.ndarray:
    """Return the part of each row, shape (n,)."""
    return np.random.default_rng(0).permutation(n) % PARTS


def measured(table: pd.DataFrame, cutting: str, method: str, setting: int, part: int) -> Cell:
    """Return one cell: learn, and predict the part."""
    parts = part_of(len(table))
    test = parts == part
    train = ~test & ~np.isin(parts, TESTS) if part == CHOICE else ~test
    X = table[columns_for(cutting, table)]
    if method == TOLD:
        X = X.assign(told=table[cutting])
    y, scenario = (table["rating"] >= 4).to_numpy(int), table[cutting].to_numpy()
    kind: Any = "pooled" if method == TOLD else method
    net = ScenarioNet(kind, n_networks=NETWORKS, random_state=part)
    net.set_params(**settings_of(method)[setting])
    started = time.process_time()
    net.fit(X[train], y[train], scenario=scenario[train])
    seconds = time.process_time() - started
    told = net.decision_function(X[test], scenario=scenario[test]).astype("<f2").tobytes()
    return Cell(cutting, method, setting, part, base64.b64encode(told).decode(), net.epochs_, round(seconds, 2))


def settings_of(method: str) -> tuple[dict[str, float], ...]:
    """Return what a method chooses among."""
    return SETTINGS.get(method, ({},))


def scenario_tables(
    folder: Path | None = None,
    cells: Path | None = None,
    only: Sequence[str] = CUTTINGS,
    say: Callable[[str], None] = lambda line: None,
    show: Callable[[Shown], None] = lambda shown: None,
) -> dict[str, Any]:
    """Measure each cutting, show its tables, and return the figures.

    Parameters
    ----------
    folder : Path, optional
        With the files of MovieLens-100k; by default what the package recbole brings along.
    cells : Path, optional
        A file in which each cell is kept as soon as it is measured, and from which it is not measured again.
    only : sequence of {"genre", "age", "occupation"}
    say, show : callables
        Are told how far the work is, and the tables.
    """
    for cutting in only:
        if cutting not in CUTTINGS:
            raise InputError(unknown_name("cutting", cutting, CUTTINGS))
    table = movielens(folder)
    done = {cell.key: cell for cell in kept(cells, Cell)}
    beside = None if cells is None else cells.with_suffix(".signal" + cells.suffix)
    signals = {signal.cutting: signal for signal in kept(beside, Signal)}

    def cell_of(*key: Any) -> Cell:
        if key not in done:
            done[key] = measured(table, *key)
            keep(cells, done[key])
            say(f"MovieLens by {key[0]}: {key[1]}, setting {key[2]}, part {key[3]}: {done[key].seconds:.0f} s")
        return done[key]

    found: dict[str, Any] = {"protocol": PROTOCOL, "settings": SETTINGS, "networks": NETWORKS, "cuttings": {}}
    found["shuffles"] = SHUFFLES
    for cutting in only:
        if cutting not in signals:
            signals[cutting] = signal_of(table, cutting, columns_for(cutting, table))
            keep(beside, signals[cutting])
            say(f"MovieLens by {cutting}: shuffled, {signals[cutting].seconds:.0f} s")
        found["cuttings"][cutting] = of_cutting(table, cutting, cell_of) | {"evidence": signals[cutting].figures}
        for shown in tables(cutting, found["cuttings"][cutting]):
            show(shown)
    show(signal_table(found["cuttings"]))
    return found


def of_cutting(table: pd.DataFrame, cutting: str, cell_of: Callable[..., Cell]) -> dict[str, Any]:
    """Return what is chosen, and the figures on the test parts."""
    multi = FEWER.get(cutting, MULTI)
    methods = (POOLED, TOLD, SEPARATE, *multi)
    parts, y = part_of(len(table)), (table["rating"] >= 4).to_numpy(int)
    seen = parts == CHOICE
    tried: dict[str, list[float]] = {}
    for method in methods:
        aucs = [
            by_scenario(y[seen], cell_of(cutting, method, k, CHOICE).logits, table[cutting][seen].to_numpy())
            for k in range(len(settings_of(method)))
        ]
        tried[method] = [round(float(np.mean(list(of.values()))), 5) for of in aucs]
    setting = {method: int(np.argmax(of)) for method, of in tried.items()}
    best = max(multi, key=lambda method: max(tried[method]))
    cells = {method: [cell_of(cutting, method, setting[method], part) for part in TESTS] for method in methods}
    names = sorted(set(table[cutting]))
    more = {
        m: [*cells[m], *(cell_of(cutting, m, setting[m], part) for part in SETTLED)] for m in (best, POOLED, SEPARATE)
    }
    nine = {name: {method: drawn(table, y, parts, cutting, name, of) for method, of in more.items()} for name in names}
    nine["mean"] = {method: np.mean([nine[name][method] for name in names], axis=0) for method in more}
    draws = {
        name: {method: drawn(table, y, parts, cutting, name, cells[method]) for method in methods} for name in names
    }
    # On the whole, scenarios count alike.
    draws["mean"] = {method: np.mean([draws[name][method] for name in names], axis=0) for method in methods}
    return {
        "rows": {name: int((table[cutting] == name).sum()) for name in names},
        "choice": tried,
        "chosen_setting": setting,
        "chosen_kind": best,
        "test": {name: {m: interval(of[m]) for m in methods} for name, of in draws.items()},
        "over": {
            name: {m: {other: interval(of[m] - of[other]) for other in (POOLED, TOLD, SEPARATE)} for m in multi}
            for name, of in draws.items()
        },
        "over_in_all": {
            name: {other: interval(of[best] - of[other]) for other in (POOLED, SEPARATE)} for name, of in nine.items()
        },
        "over_by_part": {
            m: [round(auc_of(table, y, parts, cutting, a) - auc_of(table, y, parts, cutting, b), 5) for a, b in pairs]
            for m in multi
            for pairs in [list(zip(cells[m], cells[POOLED], strict=True))]
        },
        "seconds": {m: round(float(np.mean([cell.seconds for cell in of])), 2) for m, of in cells.items()},
    }


def by_scenario(y: np.ndarray, z: np.ndarray, scenario: np.ndarray) -> dict[str, float]:
    """Return the area under the curve of each scenario."""
    return {str(s): float(roc_auc_score(y[scenario == s], z[scenario == s])) for s in np.unique(scenario)}


def auc_of(table: pd.DataFrame, y: np.ndarray, parts: np.ndarray, cutting: str, cell: Cell) -> float:
    """Return a cell's mean area over the scenarios."""
    rows = parts == cell.part
    return float(np.mean(list(by_scenario(y[rows], cell.logits, table[cutting][rows].to_numpy()).values())))


def drawn(
    table: pd.DataFrame, y: np.ndarray, parts: np.ndarray, cutting: str, name: str, cells: Sequence[Cell]
) -> np.ndarray:
    """Return areas under the curve in a scenario, shape (1 + draws,): of all users, and of users drawn anew.

    Means over the test parts; the draws of users are the same for every method and scenario.
    """
    users = table["user_id"].to_numpy()
    n_users = int(users.max()) + 1
    times = np.random.default_rng(0).multinomial(n_users, np.full(n_users, 1 / n_users), BOOTSTRAPS)
    times = np.vstack([np.ones(n_users, dtype=int), times])
    found = []
    for cell in cells:
        rows = np.flatnonzero(parts == cell.part)
        here = table[cutting].to_numpy()[rows] == name
        found.append(weighted_areas(y[rows[here]], cell.logits[here], times[:, users[rows[here]]]))
    return np.mean(found, axis=0)


def weighted_areas(y: np.ndarray, z: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Return areas under the curve, shape (b,), each with weights of its own, shape (b, n).

    >>> weighted_areas(np.array([0, 1, 0]), np.array([0.1, 0.2, 0.3]), np.array([[1, 1, 1], [1, 1, 0]])).tolist()
    [0.5, 1.0]
    """
    order = np.argsort(z, kind="stable")
    W, clicks = W[:, order].astype(float), y[order] == 1
    below = np.cumsum(W * ~clicks, axis=1)
    return np.asarray((W * below)[:, clicks].sum(axis=1) / (W[:, clicks].sum(axis=1) * below[:, -1]))


def interval(draws: np.ndarray) -> list[float]:
    """Return the value of all users, and the middle 95 % of the draws."""
    low, high = np.percentile(draws[1:], [2.5, 97.5])
    return [round(float(value), 5) for value in (draws[0], low, high)]


def tables(cutting: str, found: Mapping[str, Any]) -> Iterator[Shown]:
    """Yield the table of areas, and that of the differences."""
    names = [*found["rows"], "mean"]
    rows = []
    for method in found["seconds"]:
        chosen = " (chosen)" if method == found["chosen_kind"] else ""
        rows.append([f"{method}{chosen}", f"{max(found['choice'][method]):.4f}"])
        rows[-1] += [f"{found['test'][name][method][0]:.4f}" for name in names] + [f"{found['seconds'][method]:.0f}"]
    yield Shown(f"MovieLens by {cutting}: AUC", ("method", "choice part", *names, "s"), rows)
    rows = [
        [method, other, *(_signed(found["over"][name][method][other]) for name in names)]
        for method in found["over"]["mean"]
        for other in (POOLED, TOLD, SEPARATE)
    ]
    yield Shown(f"MovieLens by {cutting}: AUC over others", ("method", "over", *names), rows)
    rows = [
        [found["chosen_kind"], other, *(_signed(found["over_in_all"][name][other]) for name in names)]
        for other in (POOLED, SEPARATE)
    ]
    title = f"MovieLens by {cutting}: AUC over others, on nine parts of which six served to settle settings"
    yield Shown(title, ("method", "over", *names), rows)


def scenario_lines(cuttings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a line a kind and scenario: what it comes to, and what it is over the others; the chosen kind first."""
    found = []
    for cutting, of in cuttings.items():
        first = of["chosen_kind"]
        for kind in [first, *(other for other in of["over"]["mean"] if other != first)]:
            chosen = " (chosen)" if kind == first else ""
            for scenario in (*of["rows"], "mean"):
                over = of["over"][scenario][kind]
                line = {"cutting": cutting, "method": f"{kind}{chosen}", "scenario": scenario}
                line["auc"] = of["test"][scenario][kind]
                found.append(
                    {**line, "over_pooled": over[POOLED], "over_told": over[TOLD], "over_separate": over[SEPARATE]}
                )
    return found


def all_lines(cuttings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a line a scenario: what the chosen kind is over the others on the test parts and those for settling."""
    return [
        {
            "cutting": cutting,
            "scenario": scenario,
            "method": of["chosen_kind"],
            "over_pooled": over[POOLED],
            "over_separate": over[SEPARATE],
        }
        for cutting, of in cuttings.items()
        for scenario, over in of["over_in_all"].items()
    ]


def kind_lines(cuttings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a line a cutting and method: what it is on the part for choosing, and on the whole of the others."""
    found = []
    for cutting, of in cuttings.items():
        for method in of["seconds"]:
            line = {
                "cutting": cutting,
                "method": method,
                "choice": max(of["choice"][method]),
                "auc": of["test"]["mean"][method],
                "seconds": of["seconds"][method],
            }
            if method in of["over"]["mean"]:
                line["over_pooled"] = of["over"]["mean"][method][POOLED]
            found.append(line)
    return found


def _signed(of: Sequence[float]) -> str:
    value, low, high = of
    return f"{value:+.4f} [{low:+.4f}, {high:+.4f}]"
