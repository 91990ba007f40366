"""Instance-based transfer on four real data sets, with few labelled target rows.

The learner is the task's standard one, logistic or ridge regression, with its default settings; no method is tuned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

from headstart.bench.asked import Asked, Shown
from headstart.bench.comparison import Case, Score, compare, summarise, table_of, utilities, with_labels
from headstart.catalogue import find, names_in
from headstart.delivery import Plan
from headstart.domain import Domain, stack_rows
from headstart.readers import align, read, read_domains

REVIEWS = ("books", "dvd", "electronics", "kitchen")


def methods() -> list[str]:
    """Return what is compared: the baselines and the whole instance-based family."""
    return [*(names_in("baseline") or ()), *(names_in("instance-based") or ())]


def heart_disease(folder: Path, draws: int) -> Iterator[Case]:
    """Every hospital to every other: 20 labelled patients, half of the target's patients to test on."""
    hospitals = read_domains(folder / "heart_disease.csv", label="disease", domain_column="hospital")
    for source, target in permutations(hospitals.values(), 2):
        for draw in range(draws):
            yield table_case("heart disease", source, target, 20, 0.5, draw)


def wine(folder: Path, draws: int) -> Iterator[Case]:
    """Red wine to white, a regression of the quality: 30 labelled white wines, 2,000 to test on."""
    wines = read_domains(folder / "wine_quality.csv", label="quality", domain_column="colour", task="regression")
    for draw in range(draws):
        yield table_case("wine quality", wines["red"], wines["white"], 30, 2000, draw)


def mushroom(folder: Path, draws: int) -> Iterator[Case]:
    """Mushrooms with enlarging stalks to those with tapering ones (Dai et al. 2007): 1 % of the target labelled."""
    kinds = read_domains(folder / "mushroom.csv", label="class", domain_column="stalk_shape")
    for draw in range(draws):
        yield table_case("mushroom", kinds["e"], kinds["t"], round(0.01 * len(kinds["t"])), 0.5, draw)


def reviews(folder: Path, draws: int) -> Iterator[Case]:
    """Reviews of one product category to another, TF-IDF: 50 labelled reviews, half of the target's to test on."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = {name: read(folder / "amazon_reviews" / f"{name}.csv", label="label", name=name) for name in REVIEWS}
    for source, target in permutations(texts.values(), 2):
        for draw in range(draws):
            known, test = with_labels(target, 50, 0.5, draw)
            # Words are counted over the rows that a method may see.
            words = TfidfVectorizer(min_df=5, max_features=5000, sublinear_tf=True)
            words.fit(stack_rows([source.X, known.X])["text"])
            of, to, held = (domain.with_rows(words.transform(domain.X["text"])) for domain in (source, known, test))
            plan = Plan("classification", None, "passthrough")
            yield Case("Amazon reviews", f"{source.name} -> {target.name}", draw, of, to, held, plan)


def table_case(data: str, source: Domain, target: Domain, labelled: int, test: int | float, draw: int) -> Case:
    """Return a case of two tables."""
    known, held = with_labels(target, labelled, test, draw)
    aligned = align([source, held], known)
    source, held = aligned.sources
    plan = Plan(source.task or "classification", aligned.kinds, "auto", source.label)
    return Case(data, f"{source.name} -> {target.name}", draw, source, aligned.target, held, plan)


#: Name on the command line: (the cases, the file or folder they need, draws by default).
DATA: dict[str, tuple[Callable[[Path, int], Iterator[Case]], str, int]] = {
    "heart": (heart_disease, "heart_disease.csv", 10),
    "wine": (wine, "wine_quality.csv", 20),
    "mushroom": (mushroom, "mushroom.csv", 20),
    "reviews": (reviews, "amazon_reviews", 2),
}


def measure(asked: Asked, show: Callable[[Shown], None]) -> dict[str, Any]:
    """Compare the methods on every data set, show each, and return the figures."""
    compared = methods()
    if asked.methods:
        named = [name for wanted in asked.methods for name in names_in(wanted) or [find(wanted).name]]
        compared = list(dict.fromkeys([*(names_in("baseline") or ()), *named]))
    scores, protocols = [], {}
    for title in asked.sets({name: needed for name, (_, needed, _) in DATA.items()}):
        cases, _, usual = DATA[title]
        protocols[title] = settings(title, asked.draws)
        found = compare(
            cases(asked.data, asked.draws or usual), compared, n_jobs=asked.jobs, tick=_counter(title, asked)
        )
        scores += found
        show(table_of(summarise(found), protocols[title]["protocol"]))
    for left_out, why in {score.method: score.left_out for score in scores if score.left_out}.items():
        asked.note(f"left out in part: {left_out} ({why})")
    return {
        "protocols": protocols,
        "lines": [vars(line) for line in summarise(scores)],
        "utilities": utilities(scores),
    }


def _counter(title: str, asked: Asked) -> Callable[[Score], None]:
    done = 0

    def tick(score: Score) -> None:
        nonlocal done
        done += 1
        if done % 100 == 0:
            asked.say(f"{title}: {done} fits, now {score.pair}, draw {score.draw}")

    return tick


def settings(name: str, draws: int | None) -> dict[str, Any]:
    """Say how a data set is used: the protocol in words, and the seeds of its draws."""
    cases, _, usual = DATA[name]
    return {"protocol": (cases.__doc__ or "").strip(), "seeds": list(range(usual if draws is None else draws))}
