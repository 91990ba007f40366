"""The drawing of a mapping: source predicates on the left, what plays their part on the right, lines between."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from headstart.report.charts.canvas import FONT, WIDTHS

#: Height of a line, and of the heads above.
STEP, TOP = 34, 34
#: Width of a letter of the page's fixed-width font, as a share of its size.
LETTER = 0.61
NOTHING = "nothing"


def mapping_chart(parts: Sequence[dict[str, Any]], new: Sequence[str], *, width: str, label: str, told: str) -> str:
    """Draw which source predicate became which target predicate.

    A line whose arguments change places is crossed by two others; one to nothing is dashed and grey; a target predicate
    that nothing became, and the trees ask about, stands with a hollow dot.

    Parameters
    ----------
    parts : sequence of dict
        Each with `source`, `target` (None for nothing), `inverted` and `head`.
    new : sequence of str
        Target predicates that came with the revision.
    width : {"wide", "narrow"}
    label, told : str
        What the drawing shows in short and in full, for those who don't see it.

    Returns
    -------
    str
        An svg element.
    """
    narrow = width == "narrow"
    size = FONT - 2 if narrow else FONT
    total, gap = WIDTHS[width], 62 if narrow else 150
    side = (total - gap) / 2
    left, right = side, total - side
    longest = int((side - 12) / (LETTER * size))
    marks = [
        _text(left - 12, TOP - 18, "source", "end", "--muted", size),
        _text(right + 12, TOP - 18, "target", "start", "--muted", size),
    ]
    for row, part in enumerate(parts):
        y = TOP + STEP * row + STEP / 2 - 8
        gone = part["target"] is None
        color = "--muted" if gone else "--ink"
        bold = bool(part["head"])
        marks.append(_text(left - 12, y, _short(part["source"], longest), "end", color, size, mono=True, bold=bold))
        marks.append(_line(left, right, y, gone, bold))
        if part["inverted"]:
            marks.append(_crossing((left + right) / 2, y))
        there = NOTHING if gone else _short(part["target"], longest)
        marks.append(_text(right + 12, y, there, "start", color, size, mono=not gone, bold=bold))
    for row, name in enumerate(new, start=len(parts)):
        y = TOP + STEP * row + STEP / 2 - 8
        marks.append(
            f'<circle cx="{right:g}" cy="{y:g}" r="3.5" fill="none" stroke="var(--transfer)" stroke-width="1.5"/>'
        )
        marks.append(_text(right + 12, y, _short(name, longest), "start", "--ink", size, mono=True))
    height = TOP + STEP * (len(parts) + len(new))
    about = f"mapping-{width}-told"
    return (
        f'<svg class="{width}" role="img" aria-label="{escape(label)}" aria-describedby="{about}" '
        f'viewBox="0 0 {total} {height}">\n<title>{escape(label)}</title>\n<desc id="{about}">{escape(told)}</desc>\n'
        + "\n".join(marks)
        + "\n</svg>"
    )


def _short(name: str, longest: int) -> str:
    """Cut a name that is too long to be drawn; the table has it in full.

    >>> _short("publication(A, B)", 9)
    'publicat…'
    """
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _text(
    x: float, y: float, text: str, anchor: str, color: str, size: int, *, mono: bool = False, bold: bool = False
) -> str:
    family = "--mono" if mono else "--font"
    weight = "650" if bold else "400"
    style = f"font: {weight} {size}px var({family}); fill: var({color}); text-anchor: {anchor}"
    return f'<text x="{x:g}" y="{y + size * 0.35:g}" style="{style}">{escape(text)}</text>'


def _line(left: float, right: float, y: float, gone: bool, bold: bool) -> str:
    color, width = ("--alone", 1.2) if gone else ("--transfer", 2.6 if bold else 1.6)
    dashes = ' stroke-dasharray="3 4"' if gone else ""
    ends = (
        "" if gone else "".join(f'<circle cx="{x:g}" cy="{y:g}" r="3.5" fill="var({color})"/>' for x in (left, right))
    )
    return (
        f'<path d="M{left:g} {y:g}H{right:g}" fill="none" stroke="var({color})" stroke-width="{width}"{dashes}/>{ends}'
    )


def _crossing(x: float, y: float) -> str:
    """Draw that arguments change places."""
    return (
        f'<path class="inverted" d="M{x - 9:g} {y - 7:g}L{x + 9:g} {y + 7:g}M{x - 9:g} {y + 7:g}L{x + 9:g} {y - 7:g}" '
        'fill="none" stroke="var(--transfer)" stroke-width="2.2"/>'
    )
