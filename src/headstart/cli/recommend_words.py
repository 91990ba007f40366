"""Recommendations and their evaluation in words and tables."""

from __future__ import annotations

import sys
from json import dumps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from headstart.domain import Domain
    from headstart.recommend.judgement import Evaluation
    from headstart.recommend.recommender import Recommender
    from headstart.recommend.user_bootstrap import Spread

#: Events that are named behind an item.
MOST_EVENTS = 3


def said(domain: Domain) -> str:
    """Say how large a domain is."""
    import numpy as np

    rows: Any = domain.X
    users, items = len(np.unique(rows.users)), len(np.unique(rows.items))
    what = "ratings" if domain.task == "regression" else "events"
    return f"{domain.name}: {len(rows):,} {what} of {users:,} users and {items:,} items"


def best_items(recommender: Recommender, people: dict[str, Any], k: int, **options: Any) -> pd.DataFrame:
    """Return the k best items for people by name: ids that are known, or guests."""
    import pandas as pd

    known = [name for name, who in people.items() if isinstance(who, str)]
    tables = [recommender.recommend_all(known, k, **options)] if known else []
    for name, who in people.items():
        if not isinstance(who, str):
            best = recommender.recommend(who, k, **options)
            rows = {"rank": range(1, len(best) + 1), "item": best.items, "score": best.scores, "how": best.how}
            tables.append(pd.DataFrame(rows).assign(user=name))
    found = pd.concat(tables, ignore_index=True)
    return found[["user", "rank", "item", "score", "how"]]


def records(table: pd.DataFrame) -> str:
    """Return recommendations as a JSON list, by user."""
    found = []
    for user, rows in table.groupby("user", sort=False):
        columns = [name for name in ("item", "score", "why") if name in rows]
        found.append({"user": user, "how": rows["how"].iloc[0], "items": rows[columns].to_dict("records")})
    return dumps(found, indent=2, ensure_ascii=False)


def explained(recommender: Recommender, table: pd.DataFrame, people: dict[str, Any]) -> list[str]:
    """Say of each recommendation which events led to it, the strongest first."""
    found = []
    for user, item in zip(table["user"], table["item"], strict=True):
        events = recommender.explain(people[user], item, MOST_EVENTS)
        led = events[events["effect"] > 0]
        found.append(
            "; ".join(f"{name} ({domain})" for domain, name in zip(led["domain"], led["item"], strict=True))
            or "no event of the user's"
        )
    return found


def print_top(table: pd.DataFrame, recommender: Recommender) -> None:
    """Print recommendations user by user, with what they come from."""
    score = "rating" if recommender.histories.explicit else "score"
    columns = ["rank", "item", score, *(["why"] if "why" in table else [])]
    for user, rows in table.groupby("user", sort=False):
        print(f"{user}: from {rows['how'].iloc[0]}")
        shown = _table(columns)
        for row in rows.to_dict("records"):
            why = [str(row["why"])] if "why" in row else []
            shown.add_row(str(row["rank"]), str(row["item"]), f"{row['score']:.3g}", *why)
        _console().print(shown)


def print_evaluation(told: Evaluation) -> None:
    """Print the table of all methods, those of warm and cold users, and what there is to know beside it."""
    print(
        f"held out: {told.rows:,} rows of {len(told.users):,} users of {told.target} ({told.protocol}), "
        f"{int((~told.warm).sum()):,} of them without a training row"
    )
    if "NDCG" in "".join(told.measured[0].scores):
        print(f"ranked among: {told.among}")
    _print_table(told)
    for group in told.groups:
        part = told.only(group)
        print(f"{group} users ({len(part.users):,}):")
        _print_table(part)
        print(f"  {part.sentence.rsplit('; delivered', 1)[0]}")
    print(told.twins)
    for note in told.notes:
        print(f"note: {note}")


def _print_table(told: Evaluation) -> None:
    others = [name for name in told.measured[0].scores if name != told.metric]
    shown = _table(["method", "learns from", told.metric, "95% CI", "gain", "95% CI", *others, "coverage"])
    marks = {told.baseline: "best alone", told.choice: "best transfer"}
    for each in sorted(told.measured, key=lambda m: m.transfers):
        score, gain = told.score(each.name), told.difference(each.name)
        name = each.name + (f" ({marks[each.name]})" if each.name in marks else "")
        shown.add_row(
            name,
            "all" if each.transfers else told.target,
            f"{score.value:.4f}",
            f"{score.low:.4f} to {score.high:.4f}",
            *_gain(gain),
            *(f"{told.score(each.name, other).value:.4f}" for other in others),
            f"{each.coverage:.1%}",
        )
    _console().print(shown)


def _gain(gain: Spread | None) -> tuple[str, str]:
    if gain is None:
        return "", ""
    # + 0.0 so that a trace below zero is not written as -0.0000.
    value, low, high = (f"{round(each, 4) + 0.0:+.4f}" for each in (gain.value, gain.low, gain.high))
    return value, f"{low} to {high}"


def _table(columns: list[str]) -> Any:
    from rich.table import Table

    return Table(*columns, box=None, pad_edge=False)


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 140, highlight=False)
