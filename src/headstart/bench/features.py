"""Feature-based transfer beside the published tables, with the settings of the papers; none is tuned here.

All target labels are hidden from the methods and used once, to score. A method that chooses anything chooses it on
source labels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC

from headstart.bench import amazon, corn, pictures, printed
from headstart.bench.asked import Asked, Shown
from headstart.bench.trials import Line, Rows, Score, Table, Trial, lines_of, scores_of, shown
from headstart.catalogue import find, names_in


def unit_rows(Xs: np.ndarray, Xt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every row to length 1."""
    return Normalizer().transform(Xs), Normalizer().transform(Xt)


def joint_pca(components: int) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the projection of both domains on their common principal components."""

    def project(Xs: np.ndarray, Xt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = PCA(components, svd_solver="full").fit(np.vstack([Xs, Xt]))
        return both.transform(Xs), both.transform(Xt)

    project.__doc__ = f"PCA of both domains together to {components} columns."
    return project


#: Learners by the words that stand in the table.
LEARNERS: dict[str, Callable[[], Any]] = {
    "1NN": lambda: KNeighborsClassifier(1),
    "1NN of unit rows": lambda: make_pipeline(Normalizer(), KNeighborsClassifier(1)),
    # These methods are classifiers; the learner is not asked.
    "itself": lambda: KNeighborsClassifier(1),
    "linear SVM, C by 5 folds of the source": lambda: GridSearchCV(
        SVC(kernel="linear"), {"C": [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0]}, cv=5
    ),
    "logistic regression, penalty by 5 folds of the source": amazon.penalised_logistic,
    "the same in the span of its rows": lambda: amazon.penalised_logistic(turned=True),
}
UNIT_1NN, ITSELF = "1NN of unit rows", "itself"
SVM = "linear SVM, C by 5 folds of the source"


def office_rows(folder: Path, task: str, draw: int) -> Rows:
    """Return a whole task of Office-Caltech10."""
    source, target = pictures.pair_of(task, pictures.office_surf(folder))
    return Rows(source.X, source.y, target.X, target.y)


def sampled_rows(folder: Path, task: str, draw: int) -> Rows:
    """Return a task of Office-Caltech10 with 20 source rows a class, 8 of DSLR, drawn by the draw's number."""
    whole = office_rows(folder, task, draw)
    rng = np.random.default_rng(draw)
    each = 8 if task.startswith("D") else 20
    kept = [rng.choice(np.flatnonzero(whole.ys == c), each, replace=False) for c in np.unique(whole.ys)]
    some = np.sort(np.concatenate(kept))
    return Rows(whole.Xs[some], whole.ys[some], whole.Xt, whole.yt)


def reviews_rows(folder: Path, task: str, draw: int) -> Rows:
    """Return reviews of one category to another."""
    return Rows(*amazon.reviews(folder, task))


def digits_rows(folder: Path, task: str, draw: int) -> Rows:
    """Return USPS to MNIST, or back."""
    source, target = pictures.pair_of(task, pictures.digits(folder))
    return Rows(source.X, source.y, target.X, target.y)


LOGISTIC, LOGISTIC_OF_MANY = list(LEARNERS)[-2:]
JDA_SETTINGS = {"n_components": 100, "labeler": LEARNERS[UNIT_1NN]()}
#: SCA's paper chooses on held-out source rows.
SCA_GRID = {"beta": (0.1, 0.5), "delta": (0.1, 10.0)}
OFFICE_TRIALS = (
    Trial("1NN"),
    Trial("SVM", learner=SVM),
    Trial("PCA to 100", prepare=joint_pca(100)),
    Trial("CORAL", "coral", learner=SVM),
    Trial("SA", "subspace-alignment", {"n_components": 80}, SVM),
    Trial("TCA", "tca", {"n_components": 20}, UNIT_1NN, unit_rows),
    Trial("JDA", "jda", {**JDA_SETTINGS, "kernel": "linear", "reg": 1.0}, UNIT_1NN, unit_rows),
    Trial("TJM", "tjm", {"n_components": 20}, UNIT_1NN, unit_rows),
    Trial("BDA", "bda", {**JDA_SETTINGS, "kernel": "linear", "reg": 1.0}, UNIT_1NN, unit_rows),
    Trial("GFK", "gfk", {"n_components": 20}),
    Trial("GFK and SVM", "gfk", {"n_components": 20}, SVM),
    Trial("SCA", "sca", {"rank": 400, "reg": 1e-3}, prepare=unit_rows, grid=SCA_GRID),
    Trial("JGSA", "jgsa", {"n_components": 30, "reg": 1.0}, prepare=unit_rows),
    Trial("EasyTL(c)", "easytl", {"alignment": None}, ITSELF),
    Trial("EasyTL", "easytl", learner=ITSELF),
    Trial("ARTL", "artl", {"gamma": 0.5, "affinity": "cosine"}, ITSELF, unit_rows),
    Trial("MEDA", "meda", {"n_components": 20, "unit_length": True, "gamma": 0.5, "affinity": "cosine"}, ITSELF),
)
DIGITS_TRIALS = (
    Trial("1NN"),
    Trial("linear SVM", learner=SVM),
    Trial("PCA", prepare=joint_pca(100)),
    Trial("CORAL", "coral", learner=SVM),
    Trial("TCA", "tca", {"n_components": 100}, UNIT_1NN, unit_rows),
    Trial("JDA", "jda", {**JDA_SETTINGS, "kernel": "primal", "reg": 0.1}, UNIT_1NN, unit_rows),
    Trial("TJM", "tjm", {"n_components": 100}, UNIT_1NN, unit_rows),
    Trial("BDA", "bda", {**JDA_SETTINGS, "kernel": "primal", "reg": 0.1}, UNIT_1NN, unit_rows),
    Trial("GFK", "gfk", {"n_components": 100, "center": False}),
    Trial("SCA", "sca", {"rank": 400, "reg": 1e-3}, prepare=unit_rows, grid=SCA_GRID),
    Trial("JGSA", "jgsa", {"n_components": 100, "reg": 1.0, "beta": 0.01}, prepare=unit_rows),
    Trial("ARTL", "artl", {"gamma": 0.5, "affinity": "cosine"}, ITSELF, unit_rows),
    Trial(
        "MEDA",
        "meda",
        {"n_components": 20, "unit_length": True, "center": False, "gamma": 0.5, "affinity": "cosine"},
        ITSELF,
    ),
)
AXES = amazon.latent_axes(400)
REVIEWS_TRIALS = (
    Trial("source-only", learner=LOGISTIC),
    Trial("SCL", "scl", learner=LOGISTIC),
    Trial("SFA", "sfa", learner=LOGISTIC),
    Trial("mSDA", "msda", learner=LOGISTIC_OF_MANY),
    Trial("source-only, 400 axes", learner=LOGISTIC, prepare=AXES),
    Trial("CORAL, 400 axes", "coral", learner=LOGISTIC, prepare=AXES),
)
SAMPLED_TRIALS = (
    Trial("NA"),
    Trial("SA", "subspace-alignment", {"n_components": 80}),
    Trial("TCA", "tca", {"n_components": 80, "reg": 1.0}),
    # The program of the table solves the transport ten times.
    Trial("OT", "ot-mapping", {"transport": "lpl1", "reg": 2, "reg_class": 1, "cost_scale": "median", "max_rounds": 9}),
)
#: The table of errors instead of accuracies.
CORN = "corn"
#: The tables by their names on the command line.
TABLES = {
    "office": Table(
        protocol="Office-Caltech10, SURF, all source rows, all target rows without labels; rows divided by "
        "their sum, then z-scores within each domain. Printed: MEDA, ACM MM 2018, Table 2 "
        "(EasyTL: ICME 2019; SA, GFK and SVM: CORAL, AAAI 2016, Table 3).",
        needed="office_caltech10_surf",
        tasks=printed.TASKS,
        draws=1,
        rows=office_rows,
        trials=OFFICE_TRIALS,
        learners=LEARNERS,
        printed={
            **printed.MEDA_TABLE_2,
            **printed.EASYTL,
            "SA": printed.CORAL_TABLE_3["SA"],
            "GFK and SVM": printed.CORAL_TABLE_3["GFK"],
        },
    ),
    "office-sampled": Table(
        protocol="The same with 20 source rows a class (8 of DSLR), ten draws, and the nearest neighbour. Printed: "
        "README of redhat12345/OfficeCaltechDomainAdaptation.",
        needed="office_caltech10_surf",
        tasks=printed.TASKS,
        draws=10,
        rows=sampled_rows,
        trials=SAMPLED_TRIALS,
        learners=LEARNERS,
        printed={name: [mean for mean, _ in cells] for name, cells in printed.SAMPLED.items()},
        sds={name: [sd for _, sd in cells] for name, cells in printed.SAMPLED.items()},
    ),
    "digits": Table(
        protocol="USPS (1,800) and MNIST (2,000) at 16 x 16, rows of length 1. Printed: MEDA, ACM MM 2018, Table 3.",
        needed="digits",
        tasks=pictures.DIGITS_TASKS,
        draws=1,
        rows=digits_rows,
        trials=DIGITS_TRIALS,
        learners=LEARNERS,
        printed=printed.MEDA_TABLE_3,
    ),
    "reviews": Table(
        protocol="Amazon reviews, 2,000 of each category, the target's without labels; TF-IDF of the 5,000 most common "
        "words and pairs of words, for CORAL brought to 400 columns, as its paper has. The settings of the papers.",
        needed="amazon_reviews",
        tasks=amazon.REVIEW_TASKS,
        draws=1,
        rows=reviews_rows,
        trials=REVIEWS_TRIALS,
        learners=LEARNERS,
        printed={},
    ),
}


def measure(asked: Asked, show: Callable[[Shown], None]) -> dict[str, Any]:
    """Do the tables again, show each, and return the figures."""
    names = {name for wanted in asked.methods for name in names_in(wanted) or [find(wanted).name]}
    lines: list[Line] = []
    protocols = {}
    for name in asked.sets({**{name: table.needed for name, table in TABLES.items()}, CORN: "corn_nir"}):
        if names and names.isdisjoint(methods_of(name)):
            asked.note(f"skipped: {name} has none of these methods")
            continue
        protocol, draws, of_table = _corn(asked) if name == CORN else _table(name, names, asked)
        lines += of_table
        protocols[name] = {"protocol": protocol, "seeds": list(range(draws))}
        show(shown(f"{name}: {protocol}", of_table))
    return {"protocols": protocols, "lines": [vars(line) for line in lines]}


def methods_of(name: str) -> set[str]:
    """Return the methods of a table, by their names in the catalogue."""
    return set(corn.METHODS) if name == CORN else {trial.method for trial in TABLES[name].trials if trial.method}


def _corn(asked: Asked) -> tuple[str, int, list[Line]]:
    splits = asked.draws or corn.SPLITS
    return corn.PROTOCOL, splits, corn.lines(asked.data, splits, asked.say)


def _table(name: str, names: set[str], asked: Asked) -> tuple[str, int, list[Line]]:
    """Do one table, with the trials of the named methods, or all, beside those without transfer."""
    table = TABLES[name]
    trials = [trial for trial in table.trials if not names or trial.method is None or trial.method in names]
    draws = 1 if table.draws == 1 else asked.draws or table.draws
    scores = scores_of(table, asked.data, trials, draws, asked.jobs, _counter(name, asked))
    return table.protocol, draws, lines_of(name, table, trials, scores)


def _counter(name: str, asked: Asked) -> Callable[[Score], None]:
    done = 0

    def tick(score: Score) -> None:
        nonlocal done
        done += 1
        if done % 20 == 0:
            asked.say(f"{name}: {done} fits, now {score.task}, {score.trial}")

    return tick
