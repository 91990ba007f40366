"""What a request may hold, and what an answer holds: the service's page of its interface is made of these."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StrictBool, StrictInt, StrictStr, model_validator

Text = Annotated[StrictStr, Field(max_length=100_000)]
Id = StrictInt | Annotated[StrictStr, Field(min_length=1, max_length=1000)]
Cell = StrictBool | StrictInt | FiniteFloat | Text | None


class Question(BaseModel):
    """Nothing but what is named here may stand in a request: a slip of the pen is told."""

    model_config = ConfigDict(extra="forbid")


class PredictQuestion(Question):
    """What to predict: what the model takes, and only that (`GET /` tells)."""

    rows: Annotated[list[dict[str, Cell] | list[Cell]], Field(min_length=1)] | None = Field(
        None,
        description="Of tables: objects with a value for each column, null where it is missing. Of arrays: lists "
        "of numbers. Of ratings: objects of user and item.",
    )
    texts: Annotated[list[Text], Field(min_length=1)] | None = None
    pictures: Annotated[list[StrictStr], Field(min_length=1)] | None = Field(
        None, description="PNG, JPEG or the like, in base64."
    )


class PredictAnswer(BaseModel):
    """A prediction for each row, in order."""

    predictions: list[Any]
    classes: list[Any] | None = Field(None, description="The classes, in the order of the probabilities.")
    probabilities: list[list[float]] | None = None


class Event(Question):
    """Something that someone did."""

    domain: Annotated[StrictStr, Field(max_length=1000)]
    item: Id
    rating: FiniteFloat | None = None


class RecommendQuestion(Question):
    """For whom: a user who is known, or anyone by what they did."""

    user: Id | None = None
    history: Annotated[list[Event], Field(min_length=1)] | None = None
    k: Annotated[StrictInt, Field(ge=1)] = 10
    candidates: list[Id] | None = Field(None, description="Choose among these items only.")
    exclude_seen: StrictBool = True
    explain: StrictBool = Field(False, description="Tell for each item which events led to it; for a k of 20 or less.")

    @model_validator(mode="after")
    def _one_of_both(self) -> RecommendQuestion:
        if (self.user is None) == (self.history is None):
            raise ValueError("give a user or a history, one of both")
        return self


class Reason(BaseModel):
    """By how much an item's score would be lower without an event."""

    domain: str
    item: int | str
    effect: float


class Item(BaseModel):
    """An item, and its score: a rating where the model learned from ratings, else a number that orders."""

    item: int | str
    score: float
    because: list[Reason] | None = None


class ItemsAnswer(BaseModel):
    """The best items, best first, and what they come from."""

    items: list[Item]
    how: str


class SimilarQuestion(Question):
    """What to look for the like of."""

    item: Id
    domain: Annotated[StrictStr, Field(max_length=1000)] | None = Field(
        None, description="The item's domain; by default the one whose items are recommended."
    )
    k: Annotated[StrictInt, Field(ge=1)] = 10


class Mistake(BaseModel):
    """What is wrong, in one line."""

    error: str
