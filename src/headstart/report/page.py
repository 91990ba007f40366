"""The page: a result's document in words, tables and charts, in the order of the questions a reader has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from headstart.method import STEPS
from headstart.report import carried, distance, headline, recommended, trust, understanding, worth
from headstart.report.figures import Figures, count, number, p_value, percent, seconds

if TYPE_CHECKING:
    from jinja2 import Template

#: The page's sections, and the questions that they answer.
SECTIONS = {
    "distance": "How far apart are source and target?",
    "methods": "Which method should carry it?",
    "worth": "What was it worth?",
    "carried": "What was carried?",
    "recommended": "Who is recommended what?",
    "understanding": "What helped, and what hurt?",
    "model": "The model",
}
SETTINGS = {
    "random_state": "random state",
    "curve_draws": "learning curve draws",
    "repeats": "repeats of cross-validation",
}
#: Rows of a table before the rest is folded away.
MOST_COLUMNS, MOST_CLASSES = 10, 12
#: Keys of a document that a result of an earlier version does not have.
LATER = ("forgetting", "estimated", "understanding", "reproduce", "power", "relations", "recommendation")


def render(document: dict[str, Any]) -> str:
    """Return a result as one HTML page that needs nothing but itself.

    Parameters
    ----------
    document : dict
        As `Result.document()` gives it, in plain JSON types: what is not bounded is None. Of earlier versions too:
        what they did not measure is not shown.

    Returns
    -------
    str
        The same text for the same document.
    """
    figures = Figures(**document["metric"])
    tried = sorted(document["tried"], key=lambda line: -math.inf if line["score"] is None else line["score"])
    tried.reverse()
    shift, curve = document["shift"], document["curve"]
    found = document.get("understanding") or {}
    classes = distance.classes(shift)
    slices = worth.slice_rows(document)
    relations = document.get("relations")
    ratings = document.get("recommendation")
    untold = {
        "understanding": not understanding.has_any(found),
        "carried": not relations,
        "recommended": not ratings,
    }
    ways = {name: title for name, title in SECTIONS.items() if not untold.get(name, False)}
    return _template().render(
        dict.fromkeys(LATER)
        | document
        | {
            "figures": figures,
            "ranked": tried,
            "word": headline.WORDS[document["verdict"]],
            "meaning": headline.MEANING[document["verdict"]],
            "tiles": headline.tiles(document, figures),
            "ruler": headline.ruler(document["gain"]),
            "guard_means": headline.GUARDS.get(document["settings"].get("guard", ""), ""),
            "ways": ways,
            "transfers": sum(not line["name"].startswith(worth.TARGET_ONLY) for line in tried),
            "chosen_is_best": _is_best(document["choice"], tried),
            "timed": any(line["seconds"] is not None for line in tried),
            "fewer_repeats": len({line.get("repeats") for line in tried}) > 1,
            "validation": trust.validation(document),
            "gain_charts": worth.gain_charts(document, tried, figures),
            "curve_charts": worth.curve_charts(document, figures),
            "curve_intervals": worth.has_intervals(curve),
            "worth": worth.worth_sentence(document),
            "worth_range": worth.worth_range(curve),
            "strength": worth.strength(document["gain"]),
            "power_told": worth.power_sentence(document, figures),
            "forgetting_told": worth.forgetting_sentence(document, figures),
            "slice_rows": slices,
            "slices_told": worth.slices_sentence(slices, "users" if ratings else "rows"),
            "of_slices": "users" if ratings else "rows",
            "told_slices": sum(row["low"] is not None for row in slices),
            "most_slices": worth.MOST_SLICES,
            "slice_charts": worth.slice_charts(slices, figures),
            "shift_notes": [note for note in document["notes"] if "shift" in note],
            "kind": distance.kind_of_shift(shift),
            "distances": distance.distances(shift),
            "map": found.get("map"),
            "map_panels": distance.map_panels(found.get("map"), document["choice"]),
            "classes": classes,
            "largest_share": max((max(row["source"], row["target"]) for row in classes), default=1.0) or 1.0,
            "sources_told": understanding.sources_sentence(found.get("sources")),
            "source_charts": understanding.source_charts(found.get("sources"), figures),
            "source_groups": understanding.source_groups(found.get("rows")),
            "understanding": {key: found.get(key) for key in understanding.PARTS},
            "carried_told": carried.sentence(relations),
            "carried_charts": carried.charts(relations),
            "carried_likelihoods": carried.likelihoods(relations),
            "carried_trees": carried.trees(relations),
            "recommended_told": recommended.sentence(ratings),
            "reliabilities": trust.reliabilities(document),
            "step_rows": _steps(document["steps"]),
            "setting_rows": _settings(document["settings"]),
            "most_columns": MOST_COLUMNS,
            "most_classes": MOST_CLASSES,
        }
    )


def _template() -> Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("headstart.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "number": number, "p": p_value, "percent": percent, "seconds": seconds}
    return environment.get_template("page.html.jinja")


def _is_best(choice: str, ranked: list[dict[str, Any]]) -> bool:
    """Tell whether the chosen transfer has the best score of those tried."""
    transfers = [line for line in ranked if not line["name"].startswith(worth.TARGET_ONLY)]
    of_choice = [line["score"] for line in transfers if line["name"] == choice]
    return not transfers or of_choice == [] or transfers[0]["score"] == of_choice[0]


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
