"""A fitted mapping in words, tables and JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.mapping.families import RescaledMap
from headstart.mapping.kernel_map import KernelMap
from headstart.mapping.label_maps import LabelMap
from headstart.mapping.maps import AffineMap, LinearMap
from headstart.mapping.multistart import SAME_END, Start
from headstart.mapping.perceptron_map import PerceptronMap

if TYPE_CHECKING:
    from rich.console import Console

    from headstart.cli.map_rows import Rows
    from headstart.mapping.learner import MappingLearner

#: Target columns, and source columns of each, that are shown of f.
MOST_ROWS = 8
MOST_TERMS = 3
#: Target classes up to which g is shown as a matrix, and source classes that are shown.
MOST_COLUMNS = 12
MOST_CLASSES = 40
#: Plausibility above which another start may be as good as the best, and below which it is clearly worse.
PLAUSIBLE, IMPLAUSIBLE = 0.5, 0.05


def show_mapping(learner: MappingLearner, source: Rows, target: Rows, n_pairs: int, notes: list[str]) -> None:
    """Print what was learned, and how sure it is."""
    from rich.console import Console

    # Names of columns and classes are text, whatever brackets they hold.
    console = Console(width=None if sys.stdout.isatty() else 100, highlight=False, markup=False, emoji=False)
    for name, side in (("source", source), ("target", target)):
        console.print(
            f"{name}: {side.path}, {len(side)} rows, {len(side.columns)} columns, {side.domain.n_labelled} labelled",
            soft_wrap=True,
        )
    console.print(f"pairs: {n_pairs} ({learner.pairing})")
    _show_labels(console, learner.g_)
    _show_map(console, learner, source, target)
    console.print(objective_line(learner), soft_wrap=True)
    console.print(f"spread: the mapped rows have {learner.spread_:.0%} of the target's variance")
    console.print(confidence_line(learner), soft_wrap=True)
    for note in notes:
        console.print(f"note: {note}", soft_wrap=True)


def _show_labels(console: Console, g: Any) -> None:
    from rich.table import Table

    if g is None:
        console.print("g: no label map; labels are not known on both sides")
        return
    if not isinstance(g, LabelMap):
        console.print(f"g: {g}")
        return
    likeliest = g.matrix.argmax(axis=1)
    small = len(g.target_classes) <= MOST_COLUMNS
    console.print(f"g: source classes down, {'target classes across' if small else 'their likeliest target classes'}")
    table = Table("", *(map(str, g.target_classes) if small else ["target"]), box=None, pad_edge=False)
    for a in range(min(len(g.source_classes), MOST_CLASSES)):
        row = g.matrix[a]
        if small:
            cells = [f"{p:.2f}{'*' if b == likeliest[a] and p > 0 else ' '}" for b, p in enumerate(row)]
        else:
            best = np.argsort(-row, kind="stable")[:MOST_TERMS]
            cells = [", ".join(f"{g.target_classes[b]} {row[b]:.2f}" for b in best if row[b] > 0)]
        table.add_row(str(g.source_classes[a]), *cells)
    console.print(table)
    if len(g.source_classes) > MOST_CLASSES:
        console.print(f"and {len(g.source_classes) - MOST_CLASSES} more source classes; --json has them all")


def _show_map(console: Console, learner: MappingLearner, source: Rows, target: Rows) -> None:
    from rich.table import Table

    d_s, d_t = learner.columns_
    A = standardised(learner.map_, source.X, target.X)
    console.print(f"f: {learner.f}, {d_s} columns to {d_t}{size_of(learner.map_)}")
    if A is None:
        return
    share = explained(learner, source.X, target.X)
    shown = [k for k in np.argsort(-share, kind="stable") if np.isfinite(share[k])]
    if not shown:
        console.print("no target column varies where rows meet")
        return
    table = Table("target column", "explained", "by source columns, in standard deviations", box=None, pad_edge=False)
    for k in shown[:MOST_ROWS]:
        strongest = [j for j in np.argsort(-np.abs(A[:, k]), kind="stable")[:MOST_TERMS] if abs(A[j, k]) >= 0.005]
        terms = ", ".join(f"{A[j, k]:+.2f} {source.columns[j]}" for j in strongest)
        table.add_row(target.columns[k], f"{share[k]:.2f}", terms or "a constant")
    console.print(table)
    if len(shown) > MOST_ROWS:
        console.print(f"and {len(shown) - MOST_ROWS} more target columns; --json has all coefficients")


def coefficients(fitted: Any) -> np.ndarray | None:
    """Return the matrix A of a map that is affine, shape (d_s, d_t); None of others."""
    if isinstance(fitted, AffineMap | LinearMap):
        return fitted.A
    if isinstance(fitted, RescaledMap) and isinstance(fitted.map, AffineMap | LinearMap):
        return np.asarray(fitted.map.A / fitted.source.unit[:, None] * fitted.target.unit)
    return None


def standardised(fitted: Any, Xs: np.ndarray, Xt: np.ndarray) -> np.ndarray | None:
    """Return by how many of its standard deviations a target column moves with one of a source column.

    >>> standardised(LinearMap(np.array([[10.0]])), np.array([[0.0], [2.0]]), np.array([[0.0], [40.0]]))
    array([[0.5]])
    """
    A = coefficients(fitted)
    if A is None:
        return None
    spread = Xt.std(axis=0)
    return np.asarray(A * Xs.std(axis=0)[:, None] / np.where(spread > 0, spread, 1.0))


def explained(learner: MappingLearner, Xs: np.ndarray, Xt: np.ndarray) -> np.ndarray:
    r"""Return the share of each target column's variance that the mapped rows tell of the rows they meet, shape (d_t,).

    .. math:: 1 - \sum_{ij} \pi_{ij} (f(x_i)_k - x'_{jk})^2 / \sum_j b_j (x'_{jk} - \bar x'_k)^2

    NaN for a column that is constant.
    """
    coupling = learner.coupling_
    a, b = coupling.source_mass, coupling.target_mass
    center, spread = Xt.mean(axis=0), Xt.std(axis=0)
    # More than the rounding of the values themselves.
    varies = spread > 16 * np.finfo(float).eps * np.abs(Xt).max(axis=0)
    unit = np.where(varies, spread, 1.0)
    F, Y = (learner.transform(Xs) - center) / unit, (Xt - center) / unit
    apart = a @ np.square(F) - 2 * (F * np.asarray(coupling.matrix @ Y)).sum(axis=0) + b @ np.square(Y)
    total = b @ np.square(Y) - np.square(b @ Y) / coupling.mass
    varies &= total > 0
    return np.where(varies, 1 - apart / np.where(varies, total, 1.0), np.nan)


def size_of(fitted: Any) -> str:
    """Say how large a map is that is not affine.

    >>> size_of(KernelMap(np.zeros((4, 2)), np.zeros((4, 1)), gamma=0.5))
    '; a kernel at 4 rows, gamma 0.5'
    """
    inner = fitted.map if isinstance(fitted, RescaledMap) else fitted
    if isinstance(inner, KernelMap):
        return f"; a kernel at {inner.rows.shape[0]} rows, gamma {inner.gamma:.3g}"
    if isinstance(inner, PerceptronMap):
        layers = [inner.matrices[0].shape[0], *(A.shape[1] for A in inner.matrices)]
        return f"; layers of {', '.join(map(str, layers))}"
    return ""


def objective_line(learner: MappingLearner) -> str:
    """Tell the objective, and where the descent began."""
    if not learner.starts_:
        return f"objective: {learner.objective_:.4g}, in closed form"
    n, tried, first = len(learner.trace_), len(learner.starts_), learner.starts_[0]
    told = f"objective: {learner.objective_:.4g} after {n} sweep{'s' * (n != 1)}"
    # With many rows the starts are compared among clusters, and which of the best went on to the rows is not known.
    begun = f", begun from {first.name!r}" if first.objective == learner.objective_ else ""
    return f"{told}{begun}, {f'the best of {tried} starts' if tried > 1 else 'the only start'}"


def confidence_line(learner: MappingLearner) -> str:
    """Tell how sure the maps are, and which other start decides that."""
    if not learner.starts_:
        return "confidence: 1, for the pairs leave nothing to search"
    told = (
        f"confidence: {learner.confidence_:.2f} (map {learner.map_confidence_:.2f}, "
        f"labels {learner.label_confidence_:.2f})"
    )
    other = decisive(learner.starts_)
    if other is None:
        return told if len(learner.starts_) == 1 else f"{told}; all starts end alike"
    likely = other.plausibility
    near = "plausibly as good" if likely > PLAUSIBLE else "clearly worse" if likely < IMPLAUSIBLE else "probably worse"
    return (
        f"{told}; the start from {other.name!r} ends elsewhere, at {other.objective:.4g} against "
        f"{learner.starts_[0].objective:.4g}, {near}; it shares {other.map_agreement:.0%} of the map"
        + ("" if learner.g_ is None else f" and {other.label_agreement:.0%} of the label map")
    )


def decisive(starts: tuple[Start, ...]) -> Start | None:
    """Return the start that lowers the confidence most, of those that end elsewhere; the best of them, where none does.

    >>> best, near = Start("shape", 1.0, 1.0, 1.0, 1.0), Start("chance", 1.1, 0.4, 1.0, 0.9)
    >>> decisive((best, near, Start("chance", 3.0, 0.0, 0.0, 0.0))).objective
    1.1
    """
    elsewhere = [start for start in starts if _shared(start) < SAME_END]
    return min(elsewhere, key=lambda start: 1 - start.plausibility * (1 - _shared(start)), default=None)


def _shared(start: Start) -> float:
    return min(start.map_agreement, start.label_agreement)


def document(
    learner: MappingLearner,
    source: Rows,
    target: Rows,
    n_pairs: int,
    notes: list[str],
    written: dict[str, str],
) -> str:
    """Return everything as JSON."""
    A = coefficients(learner.map_)
    share = explained(learner, source.X, target.X)
    g = learner.g_
    content = {
        "schema": 1,
        "source": _side(source),
        "target": _side(target),
        "pairing": learner.pairing,
        "pairs": n_pairs,
        "f": {
            "family": learner.f,
            "explained": [float(value) if np.isfinite(value) else None for value in share],
            "coefficients": None if A is None else A.tolist(),
            "intercept": None if A is None else learner.map_.transform(np.zeros((1, len(A))))[0].tolist(),
        },
        "g": None if g is None else _labels(g),
        "objective": learner.objective_,
        "trace": list(learner.trace_),
        "spread": learner.spread_,
        "confidence": learner.confidence_,
        "map_confidence": learner.map_confidence_,
        "label_confidence": learner.label_confidence_,
        "starts": [asdict(start) for start in learner.starts_],
        "notes": notes,
        "written": written,
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _side(side: Rows) -> dict[str, Any]:
    return {"file": str(side.path), "rows": len(side), "labelled": side.domain.n_labelled, "columns": side.columns}


def _labels(g: Any) -> dict[str, Any]:
    if isinstance(g, LabelMap):
        return {
            "source": g.source_classes.tolist(),
            "target": g.target_classes.tolist(),
            "matrix": g.matrix.tolist(),
        }
    return {"slope": g.slope, "offset": g.offset}
