"""Formulas of pages and docstrings as SVG in the page: no script, no font, nothing from elsewhere.

In a page, a formula is a ``math`` fence, or stands between $` and `$; in a docstring it is a math directive or
role. Matplotlib typesets it. mkdocs loads this file as a hook.
"""

import re
from html import escape

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor
from matplotlib.path import Path
from matplotlib.textpath import TextPath

SIZE = 10.0
FENCE = re.compile(r"^```math\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(r"^\.\. math:: *(.*(?:\n[ \t]+\S.*)*)", re.MULTILINE)
ROLE = re.compile(r":math:`([^`]+)`|\$`([^`]+)`\$")
COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}
#: What matplotlib's mathematics does not know, in what it knows.
PLAINER = (
    (r"\\tfrac(\d)(\d)", r"\\frac{\1}{\2}"),
    (r"\\tfrac", r"\\frac"),
    (r"\\frac(\d)\{", r"\\frac{\1}{"),
    (r"\\[bB]igl|\\[bB]igr|\\textstyle", ""),
    (r"\\(le|ge)(?![a-z])", r"\\\1q"),
    (r"\\bullet", r"{\\bullet}"),
    (r"\\top\b", r"{\\top}"),
)


def svg(latex: str, *, block: bool) -> str:
    """Return a formula as an SVG element, in the text's colour and size."""
    latex = " ".join(latex.split())
    plain = latex
    for pattern, instead in PLAINER:
        plain = re.sub(pattern, instead, plain)
    path = TextPath((0, 0), f"${plain}$", size=SIZE)
    (left, low), (right, high) = path.get_extents().get_points()
    low, high = min(low, 0.0) - 0.5, high + 0.5
    drawn = " ".join(
        COMMANDS[code] + " ".join(f"{x:.2f} {-y:.2f}" for x, y in points.reshape(-1, 2))
        if code != Path.CLOSEPOLY
        else "Z"
        for points, code in path.iter_segments(curves=True, simplify=False)
    )
    kind, em = ("block", 1.15) if block else ("inline", 1.0)
    style = f"width:{em * (right - left) / SIZE:.2f}em;height:{em * (high - low) / SIZE:.2f}em"
    if not block:
        style += f";vertical-align:{low / SIZE:.2f}em"
    drawing = (
        f'<svg class="formula" role="img" style="{style}" fill="currentColor" '
        f'viewBox="{left:.2f} {-high:.2f} {right - left:.2f} {high - low:.2f}">'
        f"<title>{escape(latex)}</title><path d='{drawn}'/></svg>"
    )
    return f'<div class="formula-{kind}">{drawing}</div>' if block else drawing


class Formulas(Preprocessor):
    """Replaces formulas before Markdown sees their underscores and backslashes."""

    def run(self, lines: list[str]) -> list[str]:
        """Return the lines with a placeholder for each formula."""
        text = "\n".join(lines)
        for pattern in (FENCE, DIRECTIVE):
            text = pattern.sub(lambda found: f"\n{self._stash(found[1], block=True)}\n", text)
        return ROLE.sub(lambda found: self._stash(found[1] or found[2], block=False), text).split("\n")

    def _stash(self, latex: str, *, block: bool) -> str:
        return self.md.htmlStash.store(svg(latex, block=block))


class FormulaExtension(Extension):
    """Formulas, as a Markdown extension."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  (Markdown's name)
        """Register the preprocessor: after line ends are made alike, ahead of the fences."""
        md.preprocessors.register(Formulas(md), "formulas", 28)


def on_config(config):  # noqa: D103  (mkdocs calls it)
    config.markdown_extensions.append(FormulaExtension())
    return config
