"""The page: a result's document in words, tables and charts, in the order of the four questions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.method import STEPS
from headstart.report.charts import WIDTHS, Interval, curve_chart, gain_chart

if TYPE_CHECKING:
    from jinja2 import Template

WORDS = {
    "helps": "Transfer helps",
    "hurts": "Transfer hurts",
    "no evidence": "No evidence that transfer helps",
    "cannot be proven": "A gain cannot be proven",
}
GUARDS = {
    "strict": "target-only is delivered unless the transfer is shown to help",
    "warn": "a transfer that looks like helping and is not shown to hurt is delivered, with a warning; else target-only",
    "off": "the best-looking transfer is delivered, whatever the evidence",
}
SETTINGS = {
    "random_state": "random state",
    "curve_draws": "learning curve draws",
    "repeats": "repeats of cross-validation",
}
#: Rows of a table before the rest is folded away.
MOST_COLUMNS, MOST_CLASSES = 10, 12
NONE = "–"
MINUS = "−"
TARGET_ONLY = "target-only"


def render(document: dict[str, Any]) -> str:
    """Return a result as one HTML page that needs nothing but itself.

    Parameters
    ----------
    document : dict
        As `Result.document()` gives it, in plain JSON types: what is not bounded is None.

    Returns
    -------
    str
        The same text for the same document.
    """
    figures = Figures(**document["metric"])
    tried = sorted(document["tried"], key=lambda line: -math.inf if line["score"] is None else line["score"])
    tried.reverse()
    classes = _classes(document["shift"])
    return _template().render(
        **document,
        figures=figures,
        ranked=tried,
        word=WORDS[document["verdict"]],
        tiles=_tiles(document, figures),
        ruler=_ruler(document["gain"]),
        guard_means=GUARDS.get(document["settings"].get("guard", ""), ""),
        transfers=sum(not line["name"].startswith(TARGET_ONLY) for line in tried),
        gain_charts=_gain_charts(document, tried, figures),
        curve_charts=_curve_charts(document, figures),
        worth=_worth(document),
        shift_notes=[note for note in document["notes"] if "shift" in note],
        classes=classes,
        largest_share=max((max(row["source"], row["target"]) for row in classes), default=1.0),
        step_rows=_steps(document["steps"]),
        setting_rows=_settings(document["settings"]),
        most_columns=MOST_COLUMNS,
        most_classes=MOST_CLASSES,
    )


@dataclass(frozen=True)
class Figures:
    """Writes a metric's numbers.

    Parameters
    ----------
    name : str
    sign : {1, -1}
        -1 for losses: the score shown is minus the utility.
    points : bool
        Whether gains are told in hundredths.

    Examples
    --------
    >>> accuracy, loss = Figures("accuracy", 1, True), Figures("log loss", -1, False)
    >>> accuracy.score(0.8087), accuracy.gain(0.0831), accuracy.interval(0.064, None)
    ('0.809', '+8.3', '+6.4 to not bounded')
    >>> loss.score(-0.4321), loss.gain(0.01234)
    ('0.432', '+0.012')
    """

    name: str
    sign: int
    points: bool

    @property
    def direction(self) -> str:
        """Say which scores are good, where it is not the large ones."""
        return " (less is better)" if self.sign < 0 else ""

    @property
    def unit(self) -> str:
        """What gains are told in."""
        return f"points of {self.name}" if self.points else f"{self.name} (positive is better)"

    @property
    def scale(self) -> int:
        """What gains are multiplied by."""
        return 100 if self.points else 1

    def score(self, utility: float | None) -> str:
        """Write a mean utility as a score."""
        if utility is None:
            return NONE
        value = self.sign * utility + 0.0
        digits = ".4g" if abs(value) >= 10 else ".3f" if abs(value) >= 0.01 or not value else ".3g"
        return number(value, digits)

    def spread(self, deviation: float | None, utility: float | None) -> str:
        """Write the standard deviation of a score, with the score's decimals."""
        if deviation is None or utility is None:
            return NONE
        return number(deviation, ".3f" if 0.01 <= abs(utility) < 10 else ".3g")

    def gain(self, difference: float | None) -> str:
        """Write a difference of mean utilities, with its sign."""
        if difference is None:
            return NONE
        told = self.scale * difference + 0.0
        return number(told, "+.1f" if self.points else "+.3f" if 0.001 <= abs(told) < 10 else "+.3g")

    def interval(self, low: float | None, high: float | None) -> str:
        """Write the bounds of a difference."""
        if low is None and high is None:
            return "not bounded"
        return " to ".join("not bounded" if bound is None else self.gain(bound) for bound in (low, high))


def number(value: float | None, digits: str = ".4g") -> str:
    r"""Write a number; a large one without an exponent, its thousands set apart.

    >>> number(0.73456), number(-183221.2)
    ('0.7346', '−183\u202f221')
    """
    if value is None:
        return NONE
    text, large = format(value, digits), abs(value) >= 10_000
    if large or "e+" in text:
        text = format(value, f"{'+' if digits[0] == '+' else ''}{',' if large else ''}.0f").replace(",", "\u202f")
    return text.replace("-", MINUS)


@dataclass(frozen=True)
class Tile:
    """A figure to take along; `then` is what the value becomes."""

    label: str
    value: str
    more: str
    unit: str = ""
    then: str = ""


def count(rows: int | None) -> str:
    r"""Write a number of rows; thousands are set apart where there are many digits.

    >>> count(1213), count(50000)
    ('1213', '50\u202f000')
    """
    return NONE if rows is None else number(rows, "d")


def p_value(p: float | None) -> str:
    """Write a p-value with its sign of (in)equality.

    >>> p_value(0.0034), p_value(1e-16)
    ('= 0.003', '< 0.001')
    """
    if p is None:
        return "unknown"
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def seconds(time: float | None) -> str:
    """Write a duration.

    >>> seconds(0.0002), seconds(0.117), seconds(33.9), seconds(125)
    ('< 1 ms', '117 ms', '33.9 s', '2 min 5 s')
    """
    if time is None:
        return NONE
    if time < 0.0005:
        return "< 1 ms"
    if time < 0.9995:
        return f"{1000 * time:.0f} ms"
    return f"{time:.1f} s" if time < 99.95 else f"{round(time) // 60} min {round(time) % 60} s"


def _template() -> Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("headstart.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "number": number, "p": p_value, "seconds": seconds}
    return environment.get_template("page.html.jinja")


def _tiles(document: dict[str, Any], figures: Figures) -> list[Tile]:
    """Return the figures that a reader in a hurry should take along."""
    gain, curve, target = document["gain"], document["curve"], document["domains"]["target"]
    card = document["model"]
    delivered = Tile("delivered", document["delivered"], f"{card.get('family')}, {card.get('learner')}")
    if gain is None:
        labelled = f"{count(target['labelled'])} of {count(target['rows'])}"
        return [
            Tile("gain", "not measured", "it takes labelled target rows"),
            Tile("labelled target rows", labelled, f"in {target['name']}"),
            delivered,
        ]
    reading = "" if figures.sign > 0 else "; less is better"
    sense = "" if figures.points else "; positive is better"
    tiles = [
        Tile(
            figures.name,
            figures.score(gain["target_only"]),
            f"target-only → transfer ({document['choice']}){reading}",
            then=figures.score(gain["transfer"]),
        ),
        Tile(
            "gain",
            figures.gain(gain["gain"]),
            f"95% CI {figures.interval(gain['low'], gain['high'])}{sense}",
            unit="points" if figures.points else "",
        ),
    ]
    if document["verdict"] == "helps" and curve is not None and curve["worth"] is not None:
        worth = f"{'more than' if curve['beyond'] else 'about'} {count(curve['worth'])}"
        tiles.append(Tile("worth in rows", worth, f"labelled target rows, at {count(curve['rows'])}"))
    elif gain["rows_to_settle"] is not None:
        more = f"labelled target rows, for a gain of this size; now {count(gain['rows'])}"
        tiles.append(Tile("rows to settle it", f"about {count(gain['rows_to_settle'])}", more))
    return [*tiles, delivered]


def _ruler(gain: dict[str, Any] | None) -> dict[str, float] | None:
    """Return where the interval, its middle and zero lie on a ruler, in percent."""
    if gain is None or None in (gain["low"], gain["gain"], gain["high"]):
        return None
    left, right = min(gain["low"], 0.0), max(gain["high"], 0.0)
    room = 0.08 * (right - left) or 1.0

    def at(value: float) -> float:
        return round(100 * (value - left + room) / (right - left + 2 * room), 2)

    return {"zero": at(0.0), **{key: at(gain[key]) for key in ("low", "gain", "high")}}


def _gain_charts(document: dict[str, Any], tried: list[dict[str, Any]], figures: Figures) -> list[str]:
    """Draw the gains for a page and for a phone; nothing where none was measured."""
    known = [line for line in tried if line["gain"] is not None]
    if not known:
        return []
    lines = [
        _interval(line["name"], line, figures, "chosen" if line["name"] == document["choice"] else "tried")
        for line in known
    ]
    if document["gain"] is not None:
        lines.append(_interval("verdict", document["gain"], figures, "verdict"))
    label = f"Gain over target-only with its 95% interval for {len(known)} methods, as in the table below"
    return [gain_chart(lines, unit=figures.unit, width=width, label=label) for width in WIDTHS]


def _interval(name: str, line: dict[str, Any], figures: Figures, role: Any) -> Interval:
    low, gain, high = (None if line[key] is None else figures.scale * line[key] for key in ("low", "gain", "high"))
    written = f"{figures.gain(line['gain'])} ({figures.interval(line['low'], line['high'])})"
    return Interval(name, low, gain, high, written, role)


def _curve_charts(document: dict[str, Any], figures: Figures) -> list[str]:
    curve = document["curve"]
    if curve is None:
        return []
    return [
        curve_chart(
            curve,
            sign=figures.sign,
            name=figures.name + figures.direction,
            show_worth=document["verdict"] == "helps" and curve["worth"] is not None,
            width=width,
            label=f"Learning curves of target-only and transfer: {curve['summary']}; in the table below",
        )
        for width in WIDTHS
    ]


def _worth(document: dict[str, Any]) -> str:
    """Say what the learning curve says about labelled rows saved."""
    curve = document["curve"]
    if curve is None:
        return ""
    rows, worth, last = curve["rows"], curve["worth"], curve["sizes"][-1]
    if worth is None:
        return f"With {count(rows)} labelled rows the curves do not show the transfer ahead of target-only."
    if document["verdict"] != "helps":
        return (
            f"Read off the curves alone, the source would be {curve['summary']}. Do not count on it: the "
            "gain itself is not shown to be above zero."
        )
    if rows < last and curve["beyond"]:
        found = f"target-only does not get there even with {count(last)}"
    elif rows < last:
        found = f"target-only needs about {count(rows + worth)} to do as well"
    elif curve["beyond"]:
        return (
            f"With only {count(rows - worth)} labelled rows the transfer does better than target-only with "
            f"{count(rows)}: {curve['summary']}."
        )
    else:
        return (
            f"With about {count(rows - worth)} labelled rows the transfer does as well as target-only with "
            f"{count(rows)}: {curve['summary']}."
        )
    return f"What the transfer reaches with {count(rows)} labelled rows, {found}: {curve['summary']}."


def _classes(shift: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return each class with its share in both domains; a regression's means likewise."""
    labels = None if shift is None else shift["labels"]
    if labels is None:
        return []
    names = dict.fromkeys([*labels["source"], *labels["target"]])
    return [
        {"name": name, **{domain: labels[domain].get(name, 0.0) for domain in ("source", "target")}} for name in names
    ]


def _steps(steps: dict[str, float]) -> list[dict[str, Any]]:
    """Return the four steps with their times; what a method does not do takes none."""
    longest = max(steps.values(), default=0.0) or 1.0
    return [
        {"name": name, "seconds": steps.get(name), "percent": round(100 * steps.get(name, 0.0) / longest, 1)}
        for name in STEPS
    ]


def _settings(settings: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (SETTINGS.get(name, name.replace("_", " ")), "none" if value is None else str(value))
        for name, value in settings.items()
        if name != "methods"
    ]
