"""Service: a delivered model, asked in plain types and answered in plain types. Nothing of HTTP is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.delivery import Model
from headstart.errors import HeadstartError, InputError
from headstart.serve.limits import Limits

#: Items that are explained at once: each event of the history is left out in turn.
MOST_EXPLAINED = 20
#: What rows a model may take that are served; facts and graphs stand in a world of their own, which no request brings.
SERVED = ("table", "vectors", "text", "image", "ratings")


class TooMuchError(InputError):
    """More is asked for than one request may."""


@dataclass(frozen=True, eq=False)
class Service:
    """Answers questions with a delivered model.

    Parameters
    ----------
    model : Model
    limits : Limits
    name : str
        What the model is called in messages: its folder.

    Raises
    ------
    InputError
        When the model takes facts or a graph.
    """

    model: Model
    limits: Limits
    name: str = "the model"

    def __post_init__(self) -> None:
        if self.takes not in SERVED:
            raise InputError(f"{self.name}: takes {self.takes}, which are not served; use headstart predict")

    @property
    def takes(self) -> str:
        """What the model's rows are: one of SERVED, or facts, or graph."""
        model = self.model
        if hasattr(getattr(model.predictor, "recommender_", model.predictor), "recommend"):
            return "ratings"
        if model.takes_items:
            return str(model.predictor.reader.modality_)
        if model.reader is not None:
            return str(model.reader.modality_)
        return str(model.card.get("rows", "vectors" if model.vectorizer.kinds is None else "table"))

    @property
    def recommends(self) -> bool:
        """Whether it answers `recommend` and `similar`."""
        return self.takes == "ratings"

    def about(self) -> dict[str, Any]:
        """Return what the model is, and what it takes."""
        model = self.model
        told: dict[str, Any] = {"task": model.task, "takes": self.takes, "card": model.card}
        if self.takes == "table":
            told["columns"] = dict(model.vectorizer.kinds or {})
        if self.recommends:
            histories = model.recommender.histories
            told["recommends"] = histories.target
            told["domains"] = {name: len(ids) for name, ids in zip(histories.domains, histories.items, strict=True)}
            told["users"] = len(histories.users)
        if model.task == "classification":
            told["classes"] = model.classes_.tolist()
        return told

    def self_test(self) -> None:
        """Answer a question of each kind once; what is made at the first one is then there.

        A refusal in our own words is an answer too: a model may refuse gaps.
        """
        if self.recommends:
            recommender = self.model.recommender
            user = recommender.histories.users[:1].tolist()[0]
            self.recommend({"user": user, "k": 1})
            item = recommender.items[:1].tolist()[0]
            self.similar({"item": item, "k": 1})
            return
        try:
            self.model.predictions(self._specimen())
        except HeadstartError:
            return

    def predict(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return predictions, and probabilities where the model has them.

        Parameters
        ----------
        asked : dict
            With what the model takes: "rows" (records, or lists of numbers), "texts" or "pictures".
        """
        name = {"text": "texts", "image": "pictures"}.get(self.takes, "rows")
        given = [each for each in ("rows", "texts", "pictures") if asked.get(each) is not None]
        if given != [name]:
            raise InputError(f"the model takes {self.takes}: give {name!r}, and nothing else")
        rows = asked[name]
        if len(rows) > self.limits.max_rows:
            raise TooMuchError(f"{len(rows)} rows; give {self.limits.max_rows} at most in one request")
        if self.recommends:
            return {"predictions": self.model.predictor.predict(_as_ratings(rows)).tolist()}
        predicted, probabilities = self.model.predictions(self._read(rows))
        found: dict[str, Any] = {"predictions": predicted.tolist()}
        if probabilities is not None:
            found["classes"] = self.model.classes_.tolist()
            found["probabilities"] = probabilities.tolist()
        return found

    def recommend(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the best items for a user, or for who has this history.

        Parameters
        ----------
        asked : dict
            "user" or "history" (a list of dicts of domain, item and perhaps rating); "k", "candidates",
            "exclude_seen", "explain".
        """
        recommender = self._recommender()
        k, explain = self._k(asked), bool(asked.get("explain"))
        if explain and k > MOST_EXPLAINED:
            raise InputError(f"k is {k}; with explain it is {MOST_EXPLAINED} at most")
        history = asked.get("history")
        if history is None:
            someone = asked["user"]
        else:
            if len(history) > self.limits.max_rows:
                raise TooMuchError(f"a history of {len(history)} events; give {self.limits.max_rows} at most")
            someone = recommender.fold_in([_event(event) for event in history])
        found = recommender.recommend(
            someone, k, exclude_seen=asked.get("exclude_seen", True), candidates=asked.get("candidates")
        )
        answer = _told(found)
        if explain:
            for each in answer["items"]:
                each["because"] = recommender.explain(someone, each["item"], 3).to_dict("records")
        return answer

    def recommend_together(self, questions: Sequence[dict[str, Any]]) -> list[dict[str, Any] | HeadstartError]:
        """Return an answer to each question of `recommend`, or why there is none.

        Plain questions (a user and a k) are answered in one pass over the items.
        """
        answers: list[dict[str, Any] | HeadstartError | None] = [None] * len(questions)
        plain: dict[int, list[int]] = {}
        for place, asked in enumerate(questions):
            try:
                if _is_plain(asked):
                    plain.setdefault(self._k(asked), []).append(place)
                else:
                    answers[place] = self.recommend(asked)
            except HeadstartError as error:
                answers[place] = error
        for k, places in plain.items():
            try:
                found = self._recommender().recommend_each([questions[place]["user"] for place in places], k)
            except HeadstartError as error:
                found = [error] * len(places)
            for place, each in zip(places, found, strict=True):
                answers[place] = each if isinstance(each, HeadstartError) else _told(each)
        return [answer for answer in answers if answer is not None]

    def similar(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the items of the target like one of it, or of another domain."""
        found = self._recommender().similar_items(asked["item"], self._k(asked), asked.get("domain"))
        return _told(found)

    def _k(self, asked: dict[str, Any]) -> int:
        k = int(asked.get("k", 10))
        if k > self.limits.max_k:
            raise InputError(f"k is {k}; it is {self.limits.max_k} at most")
        return k

    def _recommender(self) -> Any:
        if not self.recommends:
            raise InputError("this model recommends nothing; ask /predict")
        return self.model.recommender

    def _read(self, rows: list[Any]) -> Any:
        if self.takes == "table":
            return _as_table(rows, list(self.model.vectorizer.kinds or {}))
        if self.takes == "vectors":
            return _as_array(rows)
        if self.takes == "image":
            from headstart.serve.pictures import pictures_of

            return pictures_of(rows, self.limits.max_pixels)
        return rows

    def _specimen(self) -> Any:
        """Return a row of what the model takes."""
        if self.takes == "table":
            return _as_table(
                [dict.fromkeys(self.model.vectorizer.kinds or {})], list(self.model.vectorizer.kinds or {})
            )
        if self.takes == "image":
            return [np.full((32, 32, 3), 255, dtype=np.uint8)]
        if self.takes == "text":
            return ["a text"]
        return np.zeros((1, int(self.model.card.get("columns", 1))))


def _is_plain(asked: dict[str, Any]) -> bool:
    """Tell whether a question is a user and a k, and nothing else."""
    return (
        asked.get("history") is None
        and asked.get("candidates") is None
        and not asked.get("explain")
        and asked.get("exclude_seen", True)
    )


def _told(found: Any) -> dict[str, Any]:
    return {"items": [{"item": item, "score": score} for item, score in found], "how": found.how}


def _as_table(rows: list[Any], columns: list[str]) -> Any:
    """Return records as a table; every one must have all columns of the model, and may have more."""
    import pandas as pd

    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InputError(f"row {number}: the model takes tables; write a row as an object, a name for each value")
        lost = [name for name in columns if name not in row]
        if lost:
            raise InputError(f"row {number}: no {lost[0]!r}; write null where the value is missing")
    # As objects: of 1 beside null pandas would make 1.0, which is another category.
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in columns})


def _as_array(rows: list[Any]) -> np.ndarray:
    """Return rows of numbers as an array, a gap as NaN."""
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list):
            raise InputError(f"row {number}: the model takes rows without names; write a row as a list of numbers")
        if len(row) != len(rows[0]):
            raise InputError(f"row {number}: {len(row)} numbers, but the first row has {len(rows[0])}")
        if any(isinstance(value, str) for value in row):
            raise InputError(f"row {number}: holds a text; the model takes numbers")
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=float)


def _as_ratings(rows: list[Any]) -> Any:
    """Return rows of user and item as ratings."""
    from headstart.recommend.ratings import Ratings

    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or any(row.get(name) is None for name in ("user", "item")):
            raise InputError(f'row {number}: write {{"user": ..., "item": ...}}')
    users, items = ([_id(row[name], name) for row in rows] for name in ("user", "item"))
    return Ratings.of(_one_kind(users), _one_kind(items))


def _id(value: Any, name: str) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InputError(f"{name} {value!r}: an id is a whole number or a text")
    return value


def _one_kind(ids: list[int | str]) -> list[Any]:
    """Return ids as numbers if all are such as fit, else as texts: both are found, however they are known."""
    if all(isinstance(each, int) and abs(each) < 2**63 for each in ids):
        return ids
    return [str(each) for each in ids]


def _event(event: dict[str, Any]) -> tuple[Any, ...]:
    rating = event.get("rating")
    return (event["domain"], event["item"]) if rating is None else (event["domain"], event["item"], rating)
