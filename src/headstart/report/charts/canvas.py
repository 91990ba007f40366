"""What all charts share: a canvas under settings of its own, and an svg that takes its colours from the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Widths in CSS pixels: for a page, and for a phone.
WIDTHS = {"wide": 720, "narrow": 330}
#: Width and height of a small chart that stands beside another like it.
PANEL = (330, 290)
FONT = 13
#: Stand-ins, drawn by matplotlib and replaced by the page's variables, so that charts follow its theme.
INK, MUTED, LINE = "#010101", "#020202", "#030303"
TRANSFER, ALONE, VERDICT = "#040404", "#050505", "#060606"
HURTS = "#070707"
FACE = "DejaVu Sans"
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    TRANSFER: "--transfer",
    ALONE: "--alone",
    VERDICT: "--verdict",
    HURTS: "--hurts",
    f"'{FACE}'": "--font",
}


@contextmanager
def canvas(width: float, height: float) -> Iterator[Figure]:
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


def bare_axes(figure: Figure) -> Axes:
    """Add axes with a foot line and nothing else around or behind them."""
    ax = figure.add_subplot()
    ax.patch.set_visible(False)
    figure.patch.set_visible(False)
    ax.spines[["top", "left", "right"]].set_visible(False)
    return ax


def place(figure: Figure, ax: Axes, *, left: float, right: float, top: float, bottom: float) -> None:
    """Set the margins around the axes, in pixels."""
    width, height = 72 * figure.get_size_inches()
    ax.set_position((left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height))


def as_svg(figure: Figure, name: str, width: str, label: str) -> str:
    """Return the figure as an svg element that fits into a page: its ids, colours and font are the page's."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*</defs>", "", svg)
    # A hundredth of a pixel is less than a screen shows; what is written between tags stays as it is.
    svg = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), svg)
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None  # noqa: S101
    opening = f'<svg class="{width}" role="img" aria-label="{escape(label)}" {box[0]}>'
    svg = re.sub(r"<svg[^>]*>", lambda _: opening, svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-{width}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-{width}-").replace('xlink:href="#', f'href="#{name}-{width}-')
    for stand_in, variable in VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    return re.sub(r"\s*\n\s*", "\n", svg)
