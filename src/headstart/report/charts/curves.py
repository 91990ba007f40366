"""The learning curves, and where between them the source's worth lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.report.charts.canvas import (
    ALONE,
    LINE,
    MUTED,
    TRANSFER,
    VERDICT,
    WIDTHS,
    as_svg,
    bare_axes,
    canvas,
    place,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curve_chart(
    curve: dict[str, Any],
    *,
    sign: int,
    name: str,
    show_worth: bool,
    width: str,
    label: str,
    most: float = np.inf,
    least: float = -np.inf,
) -> str:
    """Draw the score by labelled target rows, with and without the source, each with its band.

    Parameters
    ----------
    curve : dict
        As `Curve.document()` writes it.
    sign : {1, -1}
        -1 for losses: the score shown is minus the utility.
    name : str
        What the score is called.
    show_worth : bool
        Whether to mark the rows that the source was worth.
    width : {"wide", "narrow"}
    label : str
        What the chart shows, for those who don't see it.
    most, least : float
        Scores that can't be exceeded; bands end there.

    Returns
    -------
    str
        An svg element.
    """
    narrow = width == "narrow"
    sizes = np.array(curve["sizes"], dtype=float)
    with canvas(WIDTHS[width], 250 if narrow else 340) as figure:
        ax = bare_axes(figure)
        ax.set_xscale("log")
        for key, color, dashes, marker in (
            ("target_only", ALONE, (0, (4, 2.5)), "s"),
            ("transfer", TRANSFER, "-", "o"),
        ):
            mean = sign * np.array(curve[key], dtype=float)
            ax.fill_between(sizes, *np.clip(band(curve, key, sign), least, most), color=color, alpha=0.14, linewidth=0)
            ax.plot(sizes, mean, color=color, linestyle=dashes, marker=marker, markersize=6, linewidth=2.2)
        if show_worth:
            _worth(ax, curve, sign)
        ax.ticklabel_format(axis="y", style="plain", useOffset=False)
        written = ax.yaxis.get_major_formatter().format_ticks(list(ax.get_yticks()))
        margin = 14 + 8.3 * max(map(len, written))
        place(figure, ax, left=margin, right=10 if narrow else 20, top=26, bottom=46)
        ticks = sizes[::-2][::-1] if len(sizes) > (5 if narrow else 10) else sizes
        ax.set_xticks(ticks, [f"{size:.0f}" for size in ticks])
        ax.set_xticks([], minor=True)
        if len(sizes) == 1:
            ax.set_xlim(sizes[0] / 2, sizes[0] * 2)
        ax.grid(axis="y", color=LINE, linewidth=0.8)
        ax.set_xlabel("labelled target rows learned from (log scale)", labelpad=8)
        ax.text(0, 1.03, name, transform=ax.transAxes, color=MUTED, ha="left", va="bottom")
        return as_svg(figure, "curve", width, label)


def band(curve: dict[str, Any], key: str, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Return both edges of a curve's band: its 95 % interval, or a standard deviation where there is none.

    >>> band({"transfer": [0.5], "transfer_sd": [0.25]}, "transfer", 1)
    (array([0.25]), array([0.75]))
    """
    mean = np.array(curve[key], dtype=float)
    if curve.get(f"{key}_low") is None:
        spread = np.nan_to_num(np.array(curve[f"{key}_sd"], dtype=float))
        return sign * (mean - spread), sign * (mean + spread)
    low, high = (np.array(curve[f"{key}_{end}"], dtype=float) for end in ("low", "high"))
    # What is not bounded has no band.
    return sign * np.where(np.isnan(low), mean, low), sign * np.where(np.isnan(high), mean, high)


def worth_segment(curve: dict[str, Any]) -> tuple[float, float, float]:
    """Return (from, to, utility): where the worth lies between the curves, monotone as in `rows_worth`.

    Where the curves go on beyond the labelled rows at hand, the worth is what target-only needs to catch up;
    else it is what the transfer can do without.

    >>> curve = {"sizes": [10, 20, 40], "target_only": [0.6, 0.7, 0.8], "transfer": [0.75, 0.8, 0.85]}
    >>> worth_segment({**curve, "rows": 20, "worth": 20}), worth_segment({**curve, "rows": 40, "worth": 20})
    ((20.0, 40.0, 0.8), (20.0, 40.0, 0.8))
    """
    from sklearn.isotonic import isotonic_regression

    rows, worth = float(curve["rows"]), float(curve["worth"])
    if rows < curve["sizes"][-1]:
        helped = isotonic_regression(curve["transfer"])
        reached = np.interp(np.log(rows), np.log(curve["sizes"]), helped)
        return rows, rows + worth, float(reached)
    return rows - worth, rows, float(isotonic_regression(curve["target_only"])[-1])


def _worth(ax: Axes, curve: dict[str, Any], sign: int) -> None:
    """Mark the rows that the source was worth: a bar between the curves, led down to the axis."""
    start, end, utility = worth_segment(curve)
    level = sign * utility
    low, high = ax.get_ylim()
    ax.vlines([start, end], low, level, color=VERDICT, linewidth=1.2, linestyle=(0, (1, 2)), zorder=1.5)
    ax.set_ylim(low, high)
    ax.hlines(level, start, end, color=VERDICT, linewidth=3.5, zorder=4)
    onwards = start == curve["rows"]
    for at, open_end, arrow in ((start, not onwards, "<"), (end, onwards, ">")):
        marker = arrow if curve["beyond"] and open_end else "|"
        ax.plot(
            [at],
            [level],
            marker=marker,
            color=VERDICT,
            markersize=11,
            markeredgewidth=2,
            clip_on=False,
            zorder=4,
        )
