"""What the cells of the relational benchmark come to: means over folds with intervals, beside what others publish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from headstart.bench.asked import Shown
from headstart.evidence.gain import paired_interval

SCRATCH = "scratch"
#: Figures of a cell, and what is possible.
MEASURES = {"auc_roc": (0.0, 1.0), "auc_pr": (0.0, 1.0), "cll": (-np.inf, 0.0)}
#: A log-likelihood that is worse by more than this is harm.
HARM = 0.01

#: (AUC-ROC, AUC-PR, mean log-likelihood, seconds of learning) as their authors publish them. TreeBoostler (Azevedo
#: Santos, Paes, Zaverucha, 2020), with parameters learned and with revision: means of 25 runs in the result files of
#: the public repository ThaisLuca/TreeBoostler, experiments-transfer. RDN-Boost from scratch: means of 5 runs in those
#: of MeLLL-UFF/TransBoostler. Learned on one fold and tested on the others, negatives sampled when learning.
PUBLISHED: dict[tuple[str, str], dict[str, tuple[float, float, float, float]]] = {
    ("imdb", "uwcse"): {
        "scratch": (0.940, 0.282, -0.257, 8.7),
        "mapped": (0.930, 0.293, -0.267, 0.6),
        "revised": (0.939, 0.302, -0.247, 4.8),
    },
    ("uwcse", "imdb"): {"mapped": (1.000, 1.000, -0.072, 1.0), "revised": (1.000, 1.000, -0.067, 3.9)},
    ("cora", "imdb"): {"mapped": (0.982, 0.888, -0.115, 1.0), "revised": (0.999, 0.954, -0.075, 4.3)},
    ("imdb", "cora"): {
        "scratch": (0.558, 0.426, -0.693, 77.0),
        "mapped": (0.574, 0.518, -0.659, 1.6),
        "revised": (0.606, 0.530, -0.659, 46.0),
    },
}
#: The same of TreeBoostler with parameters learned, IMDB to UW-CSE, by positive examples.
PUBLISHED_CURVE = {5: (0.923, 0.282, -0.320), 10: (0.937, 0.396, -0.283), 25: (0.944, 0.459, -0.271)}

Line = dict[str, Any]


def mean_of_folds(values: Mapping[int, Sequence[float]]) -> list[float]:
    """Return the mean over folds with its 95 % interval; the draws of a fold are averaged first.

    >>> mean_of_folds({1: [0.1, 0.3], 2: [0.2]})
    [0.2, 0.2, 0.2]
    """
    return [round(float(value), 5) for value in paired_interval(np.array([np.mean(of) for of in values.values()]))]


def mapping_lines(cells: Iterable[Any]) -> list[Line]:
    """Return a line a direction and method: figures over folds, and what is published of the same."""
    found = []
    for (source, target, method), of in _grouped(cells, "source", "target", "method").items():
        printed = PUBLISHED.get((source, target), {}).get(method)
        line: Line = {"direction": f"{source} -> {target}", "method": method}
        for name, (low, high) in MEASURES.items():
            interval = mean_of_folds(_by_fold(of, lambda cell, name=name: getattr(cell, name)))
            line[name] = [min(max(value, low), high) for value in interval]
        line["printed"] = None if printed is None else list(printed[:3])
        line["printed_seconds"] = None if printed is None else printed[3]
        for name in ("seconds_mapping", "seconds_learning", "cpu_seconds"):
            line[name] = round(float(np.mean([getattr(cell, name) for cell in of])), 3)
        line["most_seconds"] = round(max(cell.seconds_mapping + cell.seconds_learning for cell in of), 3)
        line["taken"] = dict(Counter(cell.taken for cell in of if cell.taken)) if method == "best" else None
        line["mappings"] = {str(cell.fold): cell.mapping for cell in of if cell.mapping} if method == "best" else None
        found.append(line)
    return found


def curve_lines(cells: Iterable[Any]) -> list[Line]:
    """Return a line a direction, number of positives and method: what it gains over scratch."""
    found = []
    for (source, target, positives), of in _grouped(cells, "source", "target", "positives").items():
        for method, these in _grouped(of, "method").items():
            if method[0] == SCRATCH:
                continue
            line: Line = {"direction": f"{source} -> {target}", "positives": positives, "method": method[0]}
            line |= _over_scratch(these, of)
            for name in MEASURES:
                line[f"scratch_{name}"] = round(
                    float(np.mean([getattr(c, name) for c in of if c.method == SCRATCH])), 5
                )
                line[name] = round(float(np.mean([getattr(cell, name) for cell in these])), 5)
            printed = (
                PUBLISHED_CURVE.get(positives) if (source, target, method[0]) == ("imdb", "uwcse", "mapped") else None
            )
            line["printed"] = None if printed is None else list(printed)
            found.append(line)
    return found


def wrong_lines(cells: Iterable[Any]) -> list[Line]:
    """Return a line a source, number of positives and method: what a source that can be of no help does."""
    found = []
    for (source, target, positives), of in _grouped(cells, "source", "target", "positives").items():
        for method, these in _grouped(of, "method").items():
            if method[0] == SCRATCH:
                continue
            line: Line = {"source": source, "target": target, "positives": positives or "all", "method": method[0]}
            line |= _over_scratch(these, of)
            taken = Counter(cell.taken for cell in these if cell.taken)
            line["took_scratch"] = [taken[SCRATCH], len(these)] if method[0] == "best" else None
            found.append(line)
    return found


def _over_scratch(cells: Sequence[Any], among: Sequence[Any]) -> Line:
    """Return the differences to scratch on the same rows, and how often and how far the likelihood is worse."""
    alone = {(cell.draw, cell.fold): cell for cell in among if cell.method == SCRATCH}
    line: Line = {"n": len(cells)}
    for name in MEASURES:
        over = _by_fold(cells, lambda c, name=name: getattr(c, name) - getattr(alone[c.draw, c.fold], name))
        line[f"over_{name}"] = mean_of_folds(over)
    change = [cell.cll - alone[cell.draw, cell.fold].cll for cell in cells]
    line["harmed"] = [int(sum(each < -HARM for each in change)), len(change)]
    line["worst_cll"] = round(min(change), 5)
    line["cpu_seconds"] = round(float(np.mean([cell.cpu_seconds for cell in cells])), 3)
    return line


def _grouped(cells: Iterable[Any], *by: str) -> dict[tuple[Any, ...], list[Any]]:
    found: dict[tuple[Any, ...], list[Any]] = {}
    for cell in cells:
        found.setdefault(tuple(getattr(cell, name) for name in by), []).append(cell)
    return found


def _by_fold(cells: Iterable[Any], value: Any) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for cell in cells:
        found.setdefault(cell.fold, []).append(value(cell))
    return found


def tables(found: Mapping[str, Any]) -> list[Shown]:
    """Return the tables of the parts that were measured."""
    shown = []
    columns: tuple[str, ...]
    if "mapping" in found:
        columns = ("direction", "method", "AUC-ROC", "AUC-PR", "CLL", "published", "s mapping", "s learning", "taken")
        rows = [
            [
                line["direction"],
                line["method"],
                *(_interval(line[name]) for name in MEASURES),
                _slashed(line["printed"]),
                f"{line['seconds_mapping']:.2f}",
                f"{line['seconds_learning']:.2f}",
                _counts(line["taken"]),
            ]
            for line in found["mapping"]
        ]
        shown.append(Shown("Learned on one fold, tested on the others: mean over five folds (95 % CI)", columns, rows))
    if "curve" in found:
        columns = ("direction", "positives", "method", "AUC-ROC", "AUC-PR", "CLL", "published", "worse by > .01")
        rows = [
            [
                line["direction"],
                str(line["positives"]),
                line["method"],
                *(_interval(line[f"over_{name}"], "+") for name in MEASURES),
                _slashed(line["printed"]),
                _of(line["harmed"]),
            ]
            for line in found["curve"]
        ]
        shown.append(Shown("Few positive examples: differences to scratch, over folds (95 % CI)", columns, rows))
    if "wrong" in found:
        columns = (
            "source",
            "positives",
            "method",
            "AUC-ROC",
            "AUC-PR",
            "CLL",
            "worse by > .01",
            "worst",
            "scratch taken",
        )
        rows = [
            [
                line["source"],
                str(line["positives"]),
                line["method"],
                *(_interval(line[f"over_{name}"], "+") for name in MEASURES),
                _of(line["harmed"]),
                f"{line['worst_cll']:+.3f}",
                "" if line["took_scratch"] is None else _of(line["took_scratch"]),
            ]
            for line in found["wrong"]
        ]
        shown.append(
            Shown("A source that can be of no help: differences to scratch on UW-CSE (95 % CI)", columns, rows)
        )
    return shown


def plain_table(name: str, found: Mapping[str, Any]) -> Shown:
    """Return the numbers of a dictionary as a table, those in dictionaries inside too."""
    rows: list[list[str]] = []

    def walk(told: Mapping[str, Any], before: str) -> None:
        for key, value in told.items():
            if isinstance(value, Mapping):
                walk(value, f"{before}{key}, ")
            elif isinstance(value, int | float) and not isinstance(value, bool):
                rows.append([f"{before}{key}", f"{value:,}" if isinstance(value, int) else f"{value:.3f}"])

    walk(found, "")
    return Shown(name, ("figure", "value"), rows)


def _interval(told: Sequence[float], sign: str = "") -> str:
    """Write a mean with its interval.

    >>> _interval([0.5, 0.25, 0.75])
    '0.500 (0.250 to 0.750)'
    """
    mean, low, high = (f"{value:{sign}.3f}" for value in told)
    return f"{mean} ({low} to {high})"


def _slashed(told: Sequence[float] | None) -> str:
    return "" if told is None else "/".join(f"{value:.3f}" for value in told)


def _counts(told: Mapping[str, int] | None) -> str:
    return "" if not told else ", ".join(f"{name} {count}" for name, count in sorted(told.items()))


def _of(told: Sequence[int]) -> str:
    return f"{told[0]} of {told[1]}"
