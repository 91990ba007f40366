"""Amazon reviews across product categories, from their texts.

The papers' files of features are not used: words and pairs of words that occur in most reviews of both categories
together, 5,000 of them as in the mSDA and DANN papers; TF-IDF of their occurrence, rows of length 1.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from headstart.bench.pictures import z_scores
from headstart.domain import stack_rows
from headstart.readers import read

REVIEWS = {"B": "books", "D": "dvd", "E": "electronics", "K": "kitchen"}
REVIEW_TASKS = tuple(f"{source}->{target}" for source, target in permutations(REVIEWS, 2))
WORDS = 5000
#: Inverse penalties that cross-validation chooses from.
PENALTIES = np.logspace(-5, 2, 8)


def reviews(folder: Path, task: str) -> tuple[csr_matrix, np.ndarray, csr_matrix, np.ndarray]:
    """Return TF-IDF rows and labels of source and target, float32, of a task such as "B->D"."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    source, target = (
        read(folder / "amazon_reviews" / f"{REVIEWS[letter]}.csv", label="label") for letter in task.split("->")
    )
    of, to = source.X["text"].to_numpy(), target.X["text"].to_numpy()
    words = TfidfVectorizer(ngram_range=(1, 2), binary=True, max_features=WORDS, dtype=np.float32)
    words.fit(np.concatenate([of, to]))
    return words.transform(of), source.labels, words.transform(to), target.labels


def latent_axes(columns: int) -> Callable[[Any, Any], tuple[np.ndarray, np.ndarray]]:
    """Return the projection of both domains on common latent semantic axes, then z-scores within each domain."""

    def project(Xs: Any, Xt: Any) -> tuple[np.ndarray, np.ndarray]:
        from sklearn.decomposition import TruncatedSVD

        both = TruncatedSVD(columns, random_state=0).fit(stack_rows([Xs, Xt]).astype(float))
        return z_scores(both.transform(Xs.astype(float))), z_scores(both.transform(Xt.astype(float)))

    project.__doc__ = f"{columns} latent semantic axes of both domains together, z-scores within each."
    return project


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
