"""Small charts that stand in pairs, before and after: maps of both domains, and reliability diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.report.charts.canvas import (
    ALONE,
    LINE,
    MUTED,
    PANEL,
    TRANSFER,
    as_svg,
    bare_axes,
    canvas,
    place,
)

#: Points of a domain that a map shows.
MOST_POINTS = 150
#: Width of a source row's circle that counts as one row, in pixels.
SOURCE_WIDTH = 7.0


def map_panel(
    source: Sequence[Any],
    target: Sequence[Any],
    size: Sequence[float] | None,
    *,
    among: np.ndarray,
    name: str,
    label: str,
) -> str:
    """Draw the rows of both domains as points: the source's are hollow circles, the target's filled triangles.

    Both axes have one scale, so that distances are distances.

    Parameters
    ----------
    source, target : sequence of (x, y)
        Of more than `MOST_POINTS`, as many evenly spaced ones are shown.
    size : sequence of float or None
        What each source row counts, as an area; 1 is the usual size.
    among : array of shape (m, 2)
        The points that must fit in: the same for maps to be compared.
    name : str
        Told apart from other charts of the page by it.
    label : str
        What the chart shows, for those who don't see it.

    Returns
    -------
    str
        An svg element.
    """
    with canvas(*PANEL) as figure:
        ax = bare_axes(figure)
        ax.spines[:].set_visible(True)
        place(figure, ax, left=4, right=4, top=4, bottom=4)
        low, high = among.min(axis=0), among.max(axis=0)
        middle, scale = (low + high) / 2, float(np.max((high - low) / PANEL)) * 0.54 or 1.0
        x, y = (np.array([-1, 1]) * scale * side + at for side, at in zip(PANEL, middle, strict=True))
        ax.set(xlim=x, ylim=y, xticks=[], yticks=[])
        rows, area = np.array(evenly(source), dtype=float).reshape(-1, 2), np.ones(min(len(source), MOST_POINTS))
        if size is not None:
            # A step for each pixel of the width is as fine as one sees.
            area = np.array(evenly(size), dtype=float)
        widths = np.clip(np.round(SOURCE_WIDTH * np.sqrt(area)), 1.0, 3 * SOURCE_WIDTH)
        hollow: dict[str, Any] = {
            "marker": "o",
            "markerfacecolor": "none",
            "markeredgecolor": ALONE,
            "markeredgewidth": 1.3,
        }
        for width in np.unique(widths):
            ax.plot(*rows[widths == width].T, linestyle="none", markersize=float(width), **hollow)
        filled: dict[str, Any] = {"marker": "^", "markerfacecolor": TRANSFER, "markeredgecolor": TRANSFER}
        ax.plot(*np.array(evenly(target), dtype=float).reshape(-1, 2).T, linestyle="none", markersize=5.5, **filled)
        return as_svg(figure, name, "panel", label)


def evenly(points: Sequence[Any], most: int = MOST_POINTS) -> list[Any]:
    """Return at most so many of the points, evenly spaced.

    >>> evenly(list(range(10)), 5)
    [0, 2, 4, 6, 9]
    """
    at = np.linspace(0, len(points) - 1, min(len(points), most)).astype(int)
    return [points[i] for i in at]


def reliability_panel(bins: list[dict[str, Any]], *, low: float, name: str, label: str) -> str:
    """Draw how often a model is right by how sure it is; on the diagonal both agree.

    Parameters
    ----------
    bins : list of dict
        Each with `confidence`, `accuracy` and `rows`.
    low : float
        Where both axes begin, the same for charts to be compared.
    name : str
        Told apart from other charts of the page by it.
    label : str
        What the chart shows, for those who don't see it.

    Returns
    -------
    str
        An svg element.
    """
    with canvas(*PANEL) as figure:
        ax = bare_axes(figure)
        place(figure, ax, left=46, right=12, top=26, bottom=48)
        room = 0.03 * (1 - low)
        ax.set(xlim=(low - room, 1 + room), ylim=(low - room, 1 + room))
        ax.locator_params(nbins=5)
        ax.grid(color=LINE, linewidth=0.8)
        ax.plot([low, 1], [low, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 2.5)))
        sure, right = ([each[key] for each in bins] for key in ("confidence", "accuracy"))
        ax.vlines(sure, sure, right, color=TRANSFER, linewidth=1.2)
        ax.plot(sure, right, color=TRANSFER, linewidth=2, marker="o", markersize=6)
        ax.set_xlabel("how sure the model is", labelpad=7)
        ax.text(0, 1.04, "how often it is right", transform=ax.transAxes, color=MUTED, ha="left", va="bottom")
        return as_svg(figure, name, "panel", label)
