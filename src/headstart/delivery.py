"""What is delivered: the model for target rows, and how it is fitted, saved and loaded."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from headstart.domain import WORLDS, Domain, Task
from headstart.errors import InputError, NeedsError, StoreError, listed
from headstart.fitting import source_probabilities_of
from headstart.method import Knowledge, Method, carry_and_learn, four_steps, unannounced
from headstart.readers import Vectorizer
from headstart.readers.columns import Kind
from headstart.store import (
    dump_part,
    load_part,
    read_folder,
    write_folder,
)
from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.backbones.transformer import BackboneFeatures
    from headstart.recommend.recommender import Recommendations, Recommender

#: The part of a model that reads source rows with other columns than the target's.
SOURCE_VECTORIZER = "source-vectorizer.skops"
#: The part of a model or a knowledge file that says which pretrained model reads pictures or texts.
READER = "reader.skops"


@dataclass(frozen=True)
class Plan:
    """How rows become numbers, and what the label is called.

    Where source and target have different columns, each is vectorised by itself: `kinds` are then the target's and
    `source_kinds` the source's. Of pictures and texts, `reader` makes features; what is fitted and tried here gets
    these features for rows.
    """

    task: Task
    kinds: dict[str, Kind] | None = None
    vectorizer: Any = "auto"
    label: str | None = None
    different: bool = False
    source_kinds: dict[str, Kind] | None = None
    reader: BackboneFeatures | None = None

    def at_source(self) -> Plan:
        """Return the plan of the source's rows alone."""
        return replace(self, kinds=self.source_kinds, different=False, source_kinds=None) if self.different else self

    def fitted_on(self, *blocks: Any) -> Vectorizer:
        """Return a vectoriser of the target's columns (or the shared ones), fitted on these blocks of rows."""
        return Vectorizer(self.vectorizer, self.kinds).fit(blocks)


@dataclass(frozen=True, eq=False)
class Model:
    """A delivered model: raw rows in, predictions out.

    Parameters
    ----------
    vectorizer : Vectorizer
        Rows into numbers, as fitted.
    predictor : object
        What the method's last step returned.
    task : {"classification", "regression", "ranking"}
    card : dict
        Method, learner, domains, versions: what the model is, in plain types.
    source_vectorizer : Vectorizer, optional
        Source rows into numbers, where they have other columns than the target's and the predictor knows what to do
        with them.
    reader : BackboneFeatures, optional
        Pictures or texts into features, where the rows are these.
    """

    vectorizer: Vectorizer
    predictor: Any
    task: Task
    card: dict[str, Any] = field(default_factory=dict)
    source_vectorizer: Vectorizer | None = None
    reader: BackboneFeatures | None = None

    def __repr__(self) -> str:
        return f"Model({self.card.get('method', 'unnamed')}, {self.task})"

    @property
    def classes_(self) -> np.ndarray:
        """The classes, in the order of `predict_proba`'s columns."""
        classes: np.ndarray = self.predictor.classes_
        return classes

    @property
    def has_probabilities(self) -> bool:
        """Whether `predict_proba` works."""
        return self.task == "classification" and hasattr(self.predictor, "predict_proba")

    @property
    def takes_items(self) -> bool:
        """Whether the predictor is a network that takes pictures or texts themselves."""
        return bool(getattr(self.predictor, "takes_items", False))

    def predict(self, rows: Any) -> np.ndarray:
        """Return predictions, shape (n,), for target rows: a DataFrame, an array, or a Domain.

        Of pictures and texts: a list of paths or of texts, one column of them, a Domain, or their `features`.

        Raises
        ------
        InputError
            When a column is missing or holds what it should not.
        """
        return np.asarray(self.predictor.predict(self._vectors(rows)))

    def predict_proba(self, rows: Any) -> np.ndarray:
        """Return class probabilities, shape (n, k), where the learner gives them."""
        if not self.has_probabilities:
            raise NeedsError(
                f"{self.card.get('learner', 'the learner')} gives no probabilities; take a learner that does "
                "(logistic, forest, boosting), or another metric"
            )
        return np.asarray(self.predictor.predict_proba(self._vectors(rows)))

    def predictions(self, rows: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Return what `predict` and `predict_proba` do, with rows read once; None where there are no probabilities."""
        vectors = self._vectors(rows)
        if self.takes_items:
            probabilities = np.asarray(self.predictor.predict_proba(vectors))
            return self.classes_[probabilities.argmax(axis=1)], probabilities
        predicted = np.asarray(self.predictor.predict(vectors))
        return predicted, np.asarray(self.predictor.predict_proba(vectors)) if self.has_probabilities else None

    def predict_source(self, rows: Any) -> np.ndarray:
        """Return predictions for *source* rows, which some methods map in their own way.

        Raises
        ------
        NeedsError
            When source rows have other columns than the target's, and the model can't read them.
        """
        if self.source_vectorizer is not None:
            width = self.card.get("source_columns")
            rows = self.features(rows)
            return np.asarray(self.predictor.predict_source(_vectors(rows, self.source_vectorizer, width)))
        if self.card.get("spaces") == "different":
            raise NeedsError(
                f"{self.card.get('method', 'the model')} reads target rows only; the source's have other columns"
            )
        own_way = getattr(self.predictor, "predict_source", self.predictor.predict)
        return np.asarray(own_way(self._vectors(rows)))

    def predict_source_proba(self, rows: Any) -> np.ndarray:
        """Return class probabilities for *source* rows of the same columns, shape (n, k).

        Raises
        ------
        NeedsError
            When the model gives none for source rows.
        """
        own_way = source_probabilities_of(self.predictor)
        if own_way is None:
            raise NeedsError(f"{self.card.get('method', 'the model')} gives no probabilities for source rows")
        return np.asarray(own_way(self._vectors(rows)))

    def ranks(self, rows: Any) -> np.ndarray:
        """Return the rank of each row's item among all that its user has not seen, shape (n,): 1 is the best.

        Raises
        ------
        InputError
            When the model is no recommender.
        """
        return np.asarray(self.recommender.ranks(self._vectors(rows)))

    def recommend(self, user: Any, k: int = 10, **options: Any) -> Recommendations:
        """Return the k best items for a user; see `headstart.recommend.Recommender.recommend`.

        Raises
        ------
        InputError
            When the model is no recommender.
        """
        return self.recommender.recommend(user, k, **options)

    @property
    def recommender(self) -> Recommender:
        """The recommender inside, where the model is one: it also explains, and takes new users by their history.

        Raises
        ------
        InputError
            When the model is no recommender.
        """
        # Target-only is a fitted learner, a method's last step a recommender itself.
        found: Recommender = getattr(self.predictor, "recommender_", self.predictor)
        if not hasattr(found, "recommend"):
            raise InputError(
                f"{self!r} is no recommender; ranks and recommendations come from runs on ratings of users and items"
            )
        return found

    def features(self, rows: Any) -> Any:
        """Return the features of pictures or texts, which all predictions take too; other rows as they are.

        An array of floats of the model's columns holds features already.
        """
        if isinstance(rows, Domain):
            rows = rows.items[:, None] if self.takes_items and rows.items is not None else rows.X
        if self.takes_items or self.reader is None or _is_features(rows, self.card.get("columns")):
            return rows
        return self.reader.transform(rows)

    def _vectors(self, rows: Any) -> Any:
        if self.takes_items:
            from headstart.backbones.transformer import items_in

            return items_in(self.features(rows), self.predictor.reader.modality_)
        return _vectors(self.features(rows), self.vectorizer, self.card.get("columns"))

    def save(self, folder: str | Path, *, check_on: Any = None) -> None:
        """Save to a new folder, without pickle: a manifest and skops parts.

        Parameters
        ----------
        folder : path
            A folder that does not exist, or is empty.
        check_on : rows, optional
            Rows on which the saved model must predict just what this one does.

        Raises
        ------
        StoreError
            When the folder is taken, a part can't be saved, or the saved model predicts otherwise.
        """
        files = {"vectorizer.skops": dump_part(self.vectorizer), "predictor.skops": dump_part(self.predictor)}
        if self.source_vectorizer is not None:
            files[SOURCE_VECTORIZER] = dump_part(self.source_vectorizer)
        if self.reader is not None:
            files[READER] = dump_part(self.reader)
        manifest = {"task": self.task, "card": self.card, "versions": versions()}
        if check_on is not None:
            again = _model_from(manifest, files, "the saved model")
            if not np.array_equal(self.predict(check_on), again.predict(check_on)):
                raise StoreError("the saved model predicts otherwise than the one in memory; please report this")
        write_folder(Path(folder), "model", manifest, files)


def load(folder: str | Path, *, model: str | None = None) -> Model:
    """Load a model that `Model.save` or `headstart run` wrote.

    Parameters
    ----------
    folder : path
    model : str, optional
        Where the pretrained model that reads pictures or texts is now; by default where it was. It is refused if its
        weights are others.

    Raises
    ------
    InputError
        When a pretrained model is named, and the model takes tables.
    StoreError
        When the folder was changed, comes from a newer headstart, or names a type that is not trusted.
    """
    manifest, files = read_folder(Path(folder), "model")
    loaded = _model_from(manifest, files, str(folder))
    if model is None:
        return loaded
    if loaded.reader is None:
        raise InputError(f"{folder}: takes tables, which no pretrained model reads; leave model=... (--model) out")
    reader = loaded.reader.found_at(model)
    if loaded.takes_items:
        loaded.predictor.reader = reader
    return replace(loaded, reader=reader)


def _model_from(manifest: dict[str, Any], files: dict[str, bytes], where: str) -> Model:
    if not {"vectorizer.skops", "predictor.skops"} <= set(files):
        raise StoreError(f"{where}: lacks its parts; run again")
    return Model(
        load_part(files["vectorizer.skops"], f"{where}/vectorizer.skops"),
        load_part(files["predictor.skops"], f"{where}/predictor.skops"),
        manifest["task"],
        manifest["card"],
        load_part(files[SOURCE_VECTORIZER], f"{where}/{SOURCE_VECTORIZER}") if SOURCE_VECTORIZER in files else None,
        load_part(files[READER], f"{where}/{READER}") if READER in files else None,
    )


def _is_features(rows: Any, width: int | None) -> bool:
    return isinstance(rows, np.ndarray) and rows.dtype.kind == "f" and rows.ndim == 2 and rows.shape[1] == width


def _vectors(rows: Any, vectorizer: Vectorizer, width: int | None) -> Any:
    """Return raw rows as numbers; `width` is the number of columns where they have no names."""
    if isinstance(rows, Domain):
        rows = rows.X
    kinds = vectorizer.kinds
    if kinds is not None:
        if not hasattr(rows, "columns"):
            raise InputError("the model takes tables with named columns; give a DataFrame or a file")
        lost = [name for name in kinds if name not in rows.columns]
        if lost:
            raise InputError(f"no column {listed(lost)}; the model needs {listed(kinds, 30)}")
        return vectorizer.transform(rows[list(kinds)])
    rows = rows if hasattr(rows, "tocsr") or hasattr(rows, "stack_rows") else np.asarray(rows)
    if width is not None and rows.shape[1] != width:
        raise InputError(f"rows have {rows.shape[1]} columns; the model was fitted on {width}")
    return vectorizer.transform(rows)


def versions() -> dict[str, str]:
    """Return the versions of what the numbers depend on."""
    import scipy
    import sklearn

    return {
        "headstart": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
    }


def fit_together(
    method: Method,
    learner: Any,
    source: Domain,
    target: Domain,
    plan: Plan,
    announce: Callable[[str], None] = unannounced,
) -> tuple[Model, dict[str, float]]:
    """Run the four steps where both domains are at hand, the vectoriser fitted on the rows the method may see.

    Where the domains have different columns, each has a vectoriser of its own.
    """
    if plan.different:
        vectorizer, of_source = plan.fitted_on(target.X), plan.at_source().fitted_on(source.X)
    else:
        seen = {"both": [source.X, target.X], "source": [source.X], "target": [target.X]}[method.needs.prepared_on]
        vectorizer = of_source = plan.fitted_on(*seen)
    journey = four_steps(
        clone(method),
        source.with_rows(of_source.transform(source.X)),
        target.with_rows(vectorizer.transform(target.X)),
        learner,
        announce,
    )
    model = delivered(vectorizer, journey.predictor, plan, method, learner, target)
    if plan.different:
        model = reading_source_rows(model, of_source, source.X.shape[1])
    return model, journey.seconds


def fit_target_only(
    method: Method, learner: Any, target: Domain, plan: Plan, announce: Callable[[str], None] = unannounced
) -> tuple[Model, dict[str, float]]:
    """Run a method that takes nothing from the source."""
    vectorizer = plan.fitted_on(target.X)
    vectors = target.with_rows(vectorizer.transform(target.X))
    nothing = Knowledge(method=type(method).__name__, holds_source_rows=False)
    predictor, seconds = carry_and_learn(method, nothing, vectors, learner, announce)
    return delivered(vectorizer, predictor, plan, method, learner, target), seconds


def delivered(
    vectorizer: Vectorizer, predictor: Any, plan: Plan, method: Method, learner: Any, target: Domain
) -> Model:
    """Return a fitted predictor as a model with its card."""
    card = {
        "method": type(method).__name__,
        "family": str(method.family),
        "learner": type(method if method.needs.items else learner).__name__,
        "target": target.name,
        "label": plan.label,
        "columns": target.X.shape[1],
        "spaces": "different" if plan.different else "same",
    }
    if plan.reader is not None:
        card["reads"] = described(plan.reader)
    if target.modality in WORLDS:
        card["rows"] = target.modality
    return Model(vectorizer, predictor, plan.task, card, reader=plan.reader)


def described(reader: BackboneFeatures) -> dict[str, Any]:
    """Say in plain types which pretrained model reads pictures or texts."""
    return {
        "modality": reader.modality_,
        "model": reader.model,
        "layer": reader.layer,
        "weights": reader.weights_,
    }


def reading_source_rows(model: Model, vectorizer: Vectorizer, columns: int | None) -> Model:
    """Give a model the way into it from source rows with other columns, where its predictor has one."""
    if not hasattr(model.predictor, "predict_source"):
        return model
    return replace(model, card={**model.card, "source_columns": columns}, source_vectorizer=vectorizer)
