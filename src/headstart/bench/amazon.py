"""Amazon reviews across product categories, without target labels: the protocol of the sentiment papers.

All 2,000 labelled reviews of one category are the source, the 2,000 reviews of another the target. A method sees the
target's texts, never its labels, and is scored on those. The papers' files of features are not used, but the texts:
words and pairs of words that occur in most reviews of both categories together, 5,000 of them as in the mSDA and DANN
papers or 400 as in CORAL's; TF-IDF, rows of length 1. (Of plain occurrences, occurrences in rows of length 1, and
TF-IDF, the last has the best cross-validated accuracy within each of the four categories.)

The learner is logistic regression, its penalty chosen by cross-validation on the source alone. Methods have their
defaults: the settings of their papers, and where these say nothing, such as SCL's ridge penalty and the size of new
features beside old ones, settings chosen without target labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from headstart.domain import Domain
from headstart.features.coral import CORAL
from headstart.features.msda import MSDA
from headstart.features.scl import SCL
from headstart.features.sfa import SFA
from headstart.method import Method, fit_learner, four_steps
from headstart.readers import read

REVIEWS = {"B": "books", "D": "dvd", "E": "electronics", "K": "kitchen"}
REVIEW_TASKS = tuple(f"{source}->{target}" for source, target in permutations(REVIEWS, 2))
MANY, FEW = 5000, 400
#: Inverse penalties that cross-validation chooses from.
PENALTIES = np.logspace(-5, 2, 8)


def reviews(
    folder: Path, task: str, features: int = MANY, seen: np.ndarray | None = None
) -> tuple[csr_matrix, np.ndarray, csr_matrix, np.ndarray]:
    """Return TF-IDF rows and labels of source and target, float32.

    Parameters
    ----------
    folder : Path
        Where the folder amazon_reviews is.
    task : str
        "B->D" and so on; see `REVIEW_TASKS`.
    features : int
        How many words and pairs of words.
    seen : array of positions or mask, optional
        The target rows in which words are counted, beside all source rows; by default all.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    source, target = (
        read(folder / "amazon_reviews" / f"{REVIEWS[letter]}.csv", label="label") for letter in task.split("->")
    )
    of, to = source.X["text"].to_numpy(), target.X["text"].to_numpy()
    words = TfidfVectorizer(ngram_range=(1, 2), binary=True, max_features=features, dtype=np.float32)
    words.fit(np.concatenate([of, to if seen is None else to[seen]]))
    return words.transform(of), source.labels, words.transform(to), target.labels


def z_scored(Xs: Any, Xt: Any, seen: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return dense rows with mean 0 and variance 1 in each domain, as CORAL's authors have them."""
    from sklearn.preprocessing import StandardScaler

    Xs, Xt = Xs.toarray().astype(float), Xt.toarray().astype(float)
    return StandardScaler().fit_transform(Xs), StandardScaler().fit(Xt if seen is None else Xt[seen]).transform(Xt)


def penalised_logistic(turned: bool = False) -> Any:
    """Return a logistic regression that chooses its penalty by cross-validation on the rows it is fitted on.

    `turned`: for rows with far more columns than there are rows. Turned into coordinates of their own span, nothing
    changes but the time.
    """
    from sklearn.decomposition import KernelPCA
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline

    learner = LogisticRegressionCV(Cs=PENALTIES, cv=5, scoring="accuracy", max_iter=2000)
    return make_pipeline(KernelPCA(kernel="linear", eigen_solver="dense"), learner) if turned else learner


#: What is compared: a method (None: source only), and the learner. The names with 400 stand for 400 features, z-scored.
TRIALS: dict[str, Callable[[], tuple[Method | None, Any]]] = {
    "source-only": lambda: (None, penalised_logistic()),
    "scl": lambda: (SCL(), penalised_logistic()),
    "sfa": lambda: (SFA(), penalised_logistic()),
    "msda": lambda: (MSDA(), penalised_logistic(turned=True)),
    "source-only-400": lambda: (None, penalised_logistic()),
    "coral-400": lambda: (CORAL(), penalised_logistic()),
}


def accuracy(trial: str, folder: Path, task: str, seen: np.ndarray | None = None) -> float:
    """Return the share of target reviews that a trial classifies as their writers did.

    With `seen`, a mask of the target rows, only these are aligned with, and the others are scored.
    """
    few = trial.endswith(f"-{FEW}")
    Xs, ys, Xt, yt = reviews(folder, task, FEW if few else MANY, seen)
    Xs, Xt = z_scored(Xs, Xt, seen) if few else (Xs, Xt)
    method, learner = TRIALS[trial]()
    aligned, scored = (slice(None), slice(None)) if seen is None else (seen, ~seen)
    with warnings.catch_warnings():
        # scikit-learn announces new names of attributes that are not used here.
        warnings.simplefilter("ignore", FutureWarning)
        if method is None:
            predictor = fit_learner(learner, Xs, ys)
        else:
            source, target = Domain(Xs, ys, name=task[0]), Domain(Xt[aligned], name=task[-1], task="classification")
            predictor = four_steps(method, source, target, learner).predictor
    return float((predictor.predict(Xt[scored]) == yt[scored]).mean())
