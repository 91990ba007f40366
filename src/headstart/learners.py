"""Learners by name, for the command line and for `run`."""

from importlib import import_module
from typing import Any

from headstart.domain import Task
from headstart.errors import InputError, unknown_name

LEARNERS: dict[Task, tuple[str, ...]] = {
    "classification": ("logistic", "svm", "forest", "boosting"),
    "regression": ("ridge", "svm", "forest", "boosting"),
}


#: What learns from rows that stand in a world of their own: module and class.
OF_WORLDS = {
    "facts": ("headstart.relations", "RelationalBoosting"),
    "graph": ("headstart.relations", "GraphClassifier"),
    "ratings": ("headstart.recommend", "MatrixFactorization"),
}
#: Learners of such rows by name, where there is a choice.
NAMED_OF_WORLDS = {
    "ratings": {
        "matrix-factorization": ("headstart.recommend", "MatrixFactorization"),
        "item-knn": ("headstart.recommend", "ItemKNN"),
    },
}


def make_learner(learner: Any, task: Task, random_state: int, modality: str = "table") -> Any:
    """Return a learner by name ("logistic", "svm", ...), or the estimator given; "auto" is the task's first.

    Where a learner has a `random_state` and it is not set, it is set. Examples of facts, nodes of a graph and ratings
    have learners of their own, which "auto" stands for; of ratings there is also "item-knn".

    Raises
    ------
    InputError
        When the name is not known for the task, or the estimator is for another task.
    """
    from sklearn.base import clone, is_classifier, is_regressor

    if modality in OF_WORLDS and isinstance(learner, str):
        named = {"auto": OF_WORLDS[modality], **NAMED_OF_WORLDS.get(modality, {})}
        if learner not in named:
            known = " or ".join(repr(name) for name in named)
            raise InputError(f"{learner} is no learner of {modality}; take {known}, or an estimator for them")
        module, name = named[learner]
        learner = getattr(import_module(module), name)()
    if modality == "ratings":
        _require_recommender(learner, task)
    elif isinstance(learner, str):
        name = LEARNERS[task][0] if learner == "auto" else learner
        if name not in LEARNERS[task]:
            raise InputError(unknown_name(f"{task} learner", name, LEARNERS[task]))
        learner = _named(name, task)
    elif not (is_classifier(learner) if task == "classification" else is_regressor(learner)):
        raise InputError(f"{type(learner).__name__} is not for {task}; give a learner that is, or set the task")
    learner = clone(learner)
    unset = {
        name: random_state
        for name, value in learner.get_params().items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    }
    return learner.set_params(**unset)


def _require_recommender(learner: Any, task: Task) -> None:
    from headstart.recommend import RatingLearner

    if not isinstance(learner, RatingLearner):
        raise InputError(
            f"{type(learner).__name__} does not learn from ratings; take 'auto', or one of headstart.recommend"
        )
    if task not in learner.tasks:
        raise InputError(
            f"{type(learner).__name__} orders items and tells no ratings; take 'auto', or leave ratings out"
        )


def _named(name: str, task: Task) -> Any:
    classes = task == "classification"
    if name == "logistic":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=2000)
    if name == "ridge":
        from sklearn.linear_model import Ridge

        return Ridge()
    if name == "svm":
        from sklearn.svm import SVC, SVR

        return SVC() if classes else SVR()
    if name == "forest":
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        return RandomForestClassifier(200) if classes else RandomForestRegressor(200)
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return HistGradientBoostingClassifier() if classes else HistGradientBoostingRegressor()
