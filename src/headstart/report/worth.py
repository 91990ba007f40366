"""What the transfer was worth: learning curves in words and charts, the parts of the rows, what was forgotten."""

from __future__ import annotations

import math
from typing import Any

from headstart.report.charts import WIDTHS, Interval, curve_chart, gain_chart
from headstart.report.figures import Figures, count, number, p_value

TARGET_ONLY = "target-only"
#: Slices that the chart shows: the worst and the best; the table has all.
MOST_SLICES = 12
#: Metrics between 0 and 1 that are not told in points.
SHARES = ("NDCG@10", "reciprocal rank")


def gain_charts(document: dict[str, Any], tried: list[dict[str, Any]], figures: Figures) -> list[str]:
    """Draw the gains for a page and for a phone; nothing where none was measured."""
    known = [line for line in tried if line["gain"] is not None]
    if not known:
        return []
    lines = [
        interval(line["name"], line, figures, "chosen" if line["name"] == document["choice"] else "tried")
        for line in known
    ]
    if document["gain"] is not None:
        lines.append(interval("verdict", document["gain"], figures, "verdict"))
    label = f"Gain over target-only with its 95% interval for {len(known)} methods, as in the table below"
    axis = f"gain over target-only, {figures.unit}"
    return [gain_chart(lines, axis=axis, width=width, label=label) for width in WIDTHS]


def interval(name: str, line: dict[str, Any], figures: Figures, role: Any, key: str = "gain") -> Interval:
    """Return a line of a forest chart in the unit that gains are told in."""
    low, gain, high = (None if line[k] is None else figures.scale * line[k] for k in ("low", key, "high"))
    written = f"{figures.gain(line[key])} ({figures.interval(line['low'], line['high'])})"
    return Interval(name, low, gain, high, written, role)


def role_of(line: dict[str, Any]) -> str:
    """Say what an interval shows: that it helps, that it hurts, or neither.

    >>> role_of({"low": 0.1, "high": 0.2}), role_of({"low": None, "high": -0.1}), role_of({"low": -1, "high": 1})
    ('helps', 'hurts', 'tried')
    """
    if line["low"] is not None and line["low"] > 0:
        return "helps"
    return "hurts" if line["high"] is not None and line["high"] < 0 else "tried"


def curve_charts(document: dict[str, Any], figures: Figures) -> list[str]:
    """Draw the learning curves for a page and for a phone."""
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
            # A share is between 0 and 1, and a loss is 0 at least.
            most=1.0 if figures.points or figures.name in SHARES else math.inf,
            least=0.0 if figures.points or figures.sign < 0 or figures.name in SHARES else -math.inf,
            label=f"Learning curves of target-only and transfer: {curve['summary']}; in the table below",
        )
        for width in WIDTHS
    ]


def worth_sentence(document: dict[str, Any]) -> str:
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


def worth_range(curve: dict[str, Any] | None) -> str:
    """Say between which bounds the worth lies, where that is known.

    >>> worth_range({"worth": 34, "worth_low": 12, "worth_high": None})
    'The draws place it between 12 rows and more than was measured (95% interval).'
    """
    if curve is None or curve["worth"] is None or curve.get("worth_low") is None:
        return ""
    high = curve.get("worth_high")
    upper = "more than was measured" if high is None else f"{count(high)} rows"
    return f"The draws place it between {count(curve['worth_low'])} rows and {upper} (95% interval)."


def has_intervals(curve: dict[str, Any] | None) -> bool:
    """Tell whether the curves' bands are intervals; else they are standard deviations of the draws."""
    return curve is not None and curve.get("transfer_low") is not None and curve.get("target_only_low") is not None


def strength(gain: dict[str, Any] | None) -> str:
    """Say how clear a gain is and how large beside the spread of rows.

    >>> strength({"p": 0.05, "effect_size": None, "gain": 0.1})
    'p = 0.050: if the transfer were no use, a difference this large would be seen about 5 times in a hundred.'
    """
    if gain is None or gain.get("p") is None:
        return ""
    p, size = gain["p"], gain.get("effect_size")
    often = "less than once in a thousand times" if p < 0.001 else f"about {_times(p)}"
    told = f"p {p_value(p)}: if the transfer were no use, a difference this large would be seen {often}."
    if size is not None:
        spread = "the gain in standard deviations of what it is from row to row"
        told += f" The effect size is {number(size, '.2f')} ({spread})."
    return told


def _times(p: float) -> str:
    return f"{round(1000 * p)} times in a thousand" if p < 0.01 else f"{round(100 * p)} times in a hundred"


def slice_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each part of the rows with its name and what its interval shows, the best first."""
    rows = [
        {**line, "name": f"{line['column']}: {line['value']}", "role": role_of(line)}
        for line in document.get("slices") or []
    ]
    return sorted(rows, key=lambda line: (line["low"] is None, -(line["gain"] or 0.0)))


def slices_sentence(rows: list[dict[str, Any]], of: str = "rows") -> str:
    """Say in how many parts of the rows the transfer helped and hurt.

    >>> rows = [{"low": 0.1, "high": 0.2, "name": "a: 1"}, {"low": -0.1, "high": 0.1, "name": "a: 2"}]
    >>> slices_sentence([{**row, "role": role_of(row)} for row in rows])
    'Transfer is shown to help in 1 of 2 parts of the rows (a: 1) and to hurt in none; in the other one these rows ...'
    """
    told = [row for row in rows if row["low"] is not None]
    if not told:
        return f"Every part has too few {of} to say anything."
    if _same(told):
        return f"Here both models did the same on every {of[:-1]}, so that no part differs."
    helped, hurt = ([row["name"] for row in told if row["role"] == role] for role in ("helps", "hurts"))
    rest = len(told) - len(helped) - len(hurt)
    open_ones = "" if not rest else f"; in the other {'one' if rest == 1 else rest} these {of} cannot tell"
    if not helped and not hurt:
        return f"In none of the {len(told)} parts of the {of} is the transfer shown to help or to hurt."
    return (
        f"Transfer is shown to help in {_counted(helped)} of {len(told)} parts of the {of}{_listed(helped)} and to "
        f"hurt in {_counted(hurt)}{_listed(hurt)}{open_ones}."
    )


def _same(told: list[dict[str, Any]]) -> bool:
    """Tell whether no row was treated differently: then no part has an interval of any width."""
    return all(line["low"] == line["high"] == 0 for line in told)


def _counted(names: list[str]) -> str:
    return str(len(names)) if names else "none"


def _listed(names: list[str]) -> str:
    return f" ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})" if names else ""


def slice_charts(rows: list[dict[str, Any]], figures: Figures) -> list[str]:
    """Draw the gains of the parts that have enough rows, the worst and the best, for a page and for a phone."""
    told = [row for row in rows if row["low"] is not None]
    if len(told) < 2 or _same(told):
        return []
    half = MOST_SLICES // 2
    shown = told if len(told) <= MOST_SLICES else [*told[:half], *told[-half:]]
    lines = [interval(row["name"], row, figures, row["role"]) for row in shown]
    axis = f"gain over target-only, {figures.unit}"
    label = f"Gain with its corrected interval in {len(shown)} parts of the rows, as in the table below"
    return [gain_chart(lines, axis=axis, width=width, label=label, name="slices") for width in WIDTHS]


def forgetting_sentence(document: dict[str, Any], figures: Figures) -> str:
    """Say what the transfer lost on the source; the scores are of the metric that was measured."""
    found = document.get("forgetting")
    if found is None:
        return ""
    lost = f"{figures.score(found['source_only'])} → {figures.score(found['transfer'])} in {found['metric']}"
    size = {**found, "low": -found["high"], "high": -found["low"]}
    change = f"{figures.gain(-found['lost'])}, 95% CI {figures.interval(size['low'], size['high'])}"
    word = {"hurts": "Here it does", "helps": "Here it even does better", "tried": "Here that is not shown"}
    unit = " points" if figures.points else ""
    return f"{word[role_of(size)]}: {lost} ({change}{unit}) on {count(found['rows'])} source rows not learned from."


def power_sentence(document: dict[str, Any], figures: Figures) -> str:
    """Say which gains so many rows can show, and how many would settle the one found."""
    found = document.get("power")
    if found is None:
        return ""
    unit = " points" if figures.points else ""
    told = (
        f"{count(found['rows'])} labelled rows show a gain of {figures.gain(found['visible'])}{unit} in "
        f"{found['power']:.0%} of such studies, and smaller ones less often."
    )
    if found["more"]:
        told += f" To show a gain of the size found as often takes about {count(found['needed'])} rows."
    return told
