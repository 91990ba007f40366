"""The report's charts: inline SVG that takes its colours and its font from the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Widths in CSS pixels: for a page, and for a phone.
WIDTHS = {"wide": 720, "narrow": 330}
FONT = 13
#: Stand-ins, drawn by matplotlib and replaced by the page's variables, so that charts follow its theme.
INK, MUTED, LINE = "#010101", "#020202", "#030303"
TRANSFER, ALONE, VERDICT = "#040404", "#050505", "#060606"
FACE = "DejaVu Sans"
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    TRANSFER: "--transfer",
    ALONE: "--alone",
    VERDICT: "--verdict",
    f"'{FACE}'": "--font",
}
#: Longest method name written in a chart; the table beside it has it in full.
LONGEST_NAME = 26


@dataclass(frozen=True)
class Interval:
    """One line of the chart of gains; a bound of None is not bounded."""

    name: str
    low: float | None
    gain: float | None
    high: float | None
    written: str
    role: Literal["tried", "chosen", "verdict"] = "tried"


def gain_chart(lines: list[Interval], *, unit: str, width: str, label: str) -> str:
    """Draw gains over target-only with their intervals; the verdict's is a diamond, as in forest plots.

    Parameters
    ----------
    lines : list of Interval
        From top to bottom.
    unit : str
        What gains are told in.
    width : {"wide", "narrow"}
    label : str
        What the chart shows, for those who don't see it.

    Returns
    -------
    str
        An svg element.
    """
    narrow = width == "narrow"
    step, top, foot = (44 if narrow else 30), 8, 52
    names = [_short(line.name) for line in lines]
    margin = 14 if narrow else 14 + 7.6 * max(map(len, names))
    edge = 14 if narrow else 20 + 7.8 * max(len(line.written) for line in lines)
    with _canvas(WIDTHS[width], top + step * len(lines) + foot) as figure:
        ax = _axes(figure)
        _place(figure, ax, left=margin, right=edge, top=top, bottom=foot)
        ax.set_xlim(*_limits(lines))
        ax.set_ylim(len(lines) - 0.5, -0.5)
        ax.set_yticks([])
        ax.locator_params(axis="x", nbins=4 if narrow else 7)
        ax.grid(axis="x", color=LINE, linewidth=0.8)
        ax.axvline(0, color=MUTED, linewidth=1.2, zorder=1)
        inner = WIDTHS[width] - margin - edge
        for row, (line, name) in enumerate(zip(lines, names, strict=True)):
            color = {"tried": ALONE, "chosen": TRANSFER, "verdict": VERDICT}[line.role]
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
                ax.text(0, row - 0.24, name, **style)
            else:
                ax.text(-margin / inner, row, name, **style)
                ax.text(1 + 16 / inner, row, line.written, **{**style, "fontweight": "normal"})
        ax.ticklabel_format(axis="x", style="plain", useOffset=False)
        ax.set_xlabel(f"gain over target-only, {unit}", labelpad=7)
        return _svg(figure, "gain", width, label)


def curve_chart(curve: dict[str, Any], *, sign: int, name: str, show_worth: bool, width: str, label: str) -> str:
    """Draw the score by labelled target rows, with and without the source; the band is a standard deviation.

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

    Returns
    -------
    str
        An svg element.
    """
    narrow = width == "narrow"
    sizes = np.array(curve["sizes"], dtype=float)
    with _canvas(WIDTHS[width], 250 if narrow else 340) as figure:
        ax = _axes(figure)
        ax.set_xscale("log")
        for key, color, dashes, marker in (
            ("target_only", ALONE, (0, (4, 2.5)), "s"),
            ("transfer", TRANSFER, "-", "o"),
        ):
            mean = sign * np.array(curve[key], dtype=float)
            spread = np.nan_to_num(np.array(curve[f"{key}_sd"], dtype=float))
            ax.fill_between(sizes, mean - spread, mean + spread, color=color, alpha=0.14, linewidth=0)
            ax.plot(sizes, mean, color=color, linestyle=dashes, marker=marker, markersize=6, linewidth=2.2)
        if show_worth:
            _worth(ax, curve, sign)
        ax.ticklabel_format(axis="y", style="plain", useOffset=False)
        written = ax.yaxis.get_major_formatter().format_ticks(list(ax.get_yticks()))
        margin = 14 + 8.3 * max(map(len, written))
        _place(figure, ax, left=margin, right=10 if narrow else 20, top=26, bottom=46)
        ticks = sizes[::-2][::-1] if len(sizes) > (5 if narrow else 10) else sizes
        ax.set_xticks(ticks, [f"{size:.0f}" for size in ticks])
        ax.set_xticks([], minor=True)
        if len(sizes) == 1:
            ax.set_xlim(sizes[0] / 2, sizes[0] * 2)
        ax.grid(axis="y", color=LINE, linewidth=0.8)
        ax.set_xlabel("labelled target rows learned from (log scale)", labelpad=8)
        ax.text(0, 1.03, name, transform=ax.transAxes, color=MUTED, ha="left", va="bottom")
        return _svg(figure, "curve", width, label)


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
        ax.plot([line.gain], [at], marker="o", color=color, markersize=9 if bold else 6.5, zorder=3)


def _diamond(ax: Axes, at: float, line: Interval, half: float) -> None:
    """Draw the verdict: its corners are the interval's ends and its middle."""
    if line.low is None or line.gain is None or line.high is None:
        _interval(ax, at, line, VERDICT)
        return
    x, y = [line.low, line.gain, line.high, line.gain], [at, at - half, at, at + half]
    ax.fill(x, y, facecolor=VERDICT, edgecolor=VERDICT, linewidth=1, zorder=3)


@contextmanager
def _canvas(width: float, height: float) -> Iterator[Figure]:
    """Give a figure of a size in pixels, under settings that end with it."""
    from matplotlib import style
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "headstart",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.sans-serif": [FACE],
        "text.color": INK,
        "font.size": FONT,
        "axes.labelsize": FONT,
        "axes.labelcolor": MUTED,
        "axes.edgecolor": LINE,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "xtick.labelsize": FONT,
        "ytick.labelsize": FONT,
        "xtick.color": LINE,
        "ytick.color": LINE,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "ytick.major.size": 0,
        "path.simplify": False,
    }
    with style.context(["default", settings]), warnings.catch_warnings():
        # The browser sets the text; which glyphs matplotlib's own font lacks is of no matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield Figure(figsize=(width / 72, height / 72))


def _axes(figure: Figure) -> Axes:
    """Add axes with a foot line and nothing else around or behind them."""
    ax = figure.add_subplot()
    ax.patch.set_visible(False)
    figure.patch.set_visible(False)
    ax.spines[["top", "left", "right"]].set_visible(False)
    return ax


def _place(figure: Figure, ax: Axes, *, left: float, right: float, top: float, bottom: float) -> None:
    """Set the margins around the axes, in pixels."""
    width, height = 72 * figure.get_size_inches()
    ax.set_position((left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height))


def _svg(figure: Figure, name: str, width: str, label: str) -> str:
    """Return the figure as an svg element that fits into a page: its ids, colours and font are the page's."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*</defs>", "", svg)
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None  # noqa: S101
    opening = f'<svg class="{width}" role="img" aria-label="{escape(label)}" {box[0]}>'
    svg = re.sub(r"<svg[^>]*>", lambda _: opening, svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-{width}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-{width}-").replace('xlink:href="#', f'href="#{name}-{width}-')
    for stand_in, variable in VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    return re.sub(r"\s*\n\s*", "\n", svg)
