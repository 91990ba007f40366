"""Who is recommended what: who and what stands in the domains, and examples with their reasons."""

from __future__ import annotations

from typing import Any

from headstart.report.figures import count

MEETING = {
    "users": "Users are the bridge: one id is one person in every domain.",
    "items": "Items are the bridge: one id is one thing in every domain.",
    "both": "Users and items are the bridge: one id is the same in every domain.",
    "none": "No user and no item is known to stand in two domains.",
}
LEARNED = {True: "ratings", False: "what happened, without ratings"}


def sentence(found: dict[str, Any] | None) -> str:
    """Say what connects the domains, and how many users do.

    >>> here = {"name": "video", "users": 9, "shared_users": 9, "items": 5, "shared_items": 5}
    >>> there = {"name": "game", "users": 8, "shared_users": 6, "items": 7, "shared_items": 0}
    >>> sentence({"shared": "users", "explicit": False, "domains": [there, here]})
    'Users are the bridge: one id is one person in every domain. 6 of the 9 users of video stand in game too. ...'
    """
    if not found:
        return ""
    *sources, target = found["domains"]
    told = [MEETING[found["shared"]]]
    for what in ("users", "items"):
        if found["shared"] in (what, "both"):
            told += [
                f"{count(source[f'shared_{what}'])} of the {count(target[what])} {what} of {target['name']} stand in "
                f"{source['name']} too."
                for source in sources
            ]
    return " ".join([*told, f"Learned from are {LEARNED[found['explicit']]}."])
