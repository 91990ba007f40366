"""The forest chart: gains with their intervals, one a line."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from headstart.report.charts.canvas import (
    ALONE,
    HURTS,
    INK,
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

#: Longest name written in a chart; the table beside it has it in full.
LONGEST_NAME = 34
#: Longest line under a chart for a phone.
LONGEST_NARROW = 40
COLORS = {"tried": ALONE, "chosen": TRANSFER, "verdict": VERDICT, "helps": TRANSFER, "hurts": HURTS}


@dataclass(frozen=True)
class Interval:
    """One line of the chart of gains; a bound of None is not bounded."""

    name: str
    low: float | None
    gain: float | None
    high: float | None
    written: str
    role: Literal["tried", "chosen", "verdict", "helps", "hurts"] = "tried"


def gain_chart(lines: list[Interval], *, axis: str, width: str, label: str, name: str = "gain") -> str:
    """Draw gains with their intervals; the verdict's is a diamond, as in forest plots, and what hurts is a square.

    Parameters
    ----------
    lines : list of Interval
        From top to bottom.
    axis : str
        What is shown and in what unit.
    width : {"wide", "narrow"}
    label : str
        What the chart shows, for those who don't see it.
    name : str
        Told apart from other charts of the page by it.

    Returns
    -------
    str
        An svg element.
    """
    narrow = width == "narrow"
    # On a phone the axis may need two lines to say what it shows.
    told = textwrap.wrap(axis, LONGEST_NARROW) if narrow else [axis]
    step, top, foot = (44 if narrow else 30), 8, 34 + 18 * len(told)
    names = [_short(line.name) for line in lines]
    margin = 14 if narrow else 14 + 7.6 * max(map(len, names))
    edge = 14 if narrow else 20 + 7.8 * max(len(line.written) for line in lines)
    with canvas(WIDTHS[width], top + step * len(lines) + foot) as figure:
        ax = bare_axes(figure)
        place(figure, ax, left=margin, right=edge, top=top, bottom=foot)
        ax.set_xlim(*_limits(lines))
        ax.set_ylim(len(lines) - 0.5, -0.5)
        ax.set_yticks([])
        ax.locator_params(axis="x", nbins=4 if narrow else 7)
        ax.grid(axis="x", color=LINE, linewidth=0.8)
        ax.axvline(0, color=MUTED, linewidth=1.2, zorder=1)
        inner = WIDTHS[width] - margin - edge
        for row, (line, shown) in enumerate(zip(lines, names, strict=True)):
            color = COLORS[line.role]
            at = row + 0.2 if narrow else row
            if line.role == "verdict":
                ax.axhline(row - 0.5, color=LINE, linewidth=1)
                _diamond(ax, at, line, half=7 / step)
            else:
                _interval(ax, at, line, color)
            style: dict[str, Any] = {
                "color": INK if line.role == "tried" else color,
                "fontweight": "normal" if line.role == "tried" else "bold",
                "transform": ax.get_yaxis_transform(),
                "va": "center",
            }
            if narrow:
                ax.text(0, row - 0.24, shown, **style)
            else:
                ax.text(-margin / inner, row, shown, **style)
                ax.text(1 + 16 / inner, row, line.written, **{**style, "fontweight": "normal"})
        ax.ticklabel_format(axis="x", style="plain", useOffset=False)
        ax.set_xlabel("\n".join(told), labelpad=7)
        return as_svg(figure, name, width, label)


def _short(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _limits(lines: list[Interval]) -> tuple[float, float]:
    """Return the ends of an axis that shows zero and most of every interval; a far outlier runs off it."""
    known = [[value for value in (line.low, line.gain, line.high) if value is not None] for line in lines]
    reach = [max(map(abs, values), default=0.0) for values in known]
    told = [4 * r for line, r in zip(lines, reach, strict=True) if line.role != "tried"]
    most = max([*told, 3 * float(np.median(reach))])
    shown = np.clip([0.0, *(value for values in known for value in values)], -most, most)
    room = 0.06 * float(np.ptp(shown)) or 1.0
    return float(shown.min()) - room, float(shown.max()) + room


def _interval(ax: Axes, at: float, line: Interval, color: str) -> None:
    """Draw a dot and its interval; an end beyond the axis gets an arrow."""
    left, right = ax.get_xlim()
    low, high = (left if line.low is None else line.low), (right if line.high is None else line.high)
    bold = line.role != "tried"
    ax.hlines(at, max(low, left), min(high, right), color=color, linewidth=2.8 if bold else 1.6, zorder=2)
    for edge, marker, beyond in ((left, "<", low <= left), (right, ">", high >= right)):
        if beyond:
            ax.plot([edge], [at], marker=marker, color=color, markersize=7, clip_on=False, zorder=3)
    if line.gain is not None and left <= line.gain <= right:
        ax.plot(
            [line.gain],
            [at],
            marker="s" if line.role == "hurts" else "o",
            color=color,
            markersize=9 if bold else 6.5,
            zorder=3,
        )


def _diamond(ax: Axes, at: float, line: Interval, half: float) -> None:
    """Draw the verdict: its corners are the interval's ends and its middle."""
    if line.low is None or line.gain is None or line.high is None:
        _interval(ax, at, line, VERDICT)
        return
    x, y = [line.low, line.gain, line.high, line.gain], [at, at - half, at, at + half]
    ax.fill(x, y, facecolor=VERDICT, edgecolor=VERDICT, linewidth=1, zorder=3)
