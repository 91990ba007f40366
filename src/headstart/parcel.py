"""The parcel: knowledge on its way from the source site to the target site."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import numpy as np
from sklearn.base import clone

from headstart.delivery import READER, Model, Plan, delivered, described, reading_source_rows, versions
from headstart.domain import Domain
from headstart.errors import InputError, NeedsError, StoreError
from headstart.method import Knowledge, Method, carry_and_learn, learn_and_extract, unannounced
from headstart.readers import Vectorizer
from headstart.store import dump_part, load_part, read_archive, write_archive

#: Source rows looked for in a knowledge file before it is said to hold none.
ROWS_LOOKED_FOR = 1000
#: The part of a knowledge file that holds text: labels, and the names of pairs and of domains.
TEXTS = "texts.json"


@dataclass(frozen=True, eq=False)
class Parcel:
    """What travels from the source site to the target site: knowledge, and how to read rows as it was learned."""

    method: Method
    learner: Any
    knowledge: Knowledge
    vectorizer: Vectorizer
    plan: Plan
    source: str
    seconds: dict[str, float] = field(default_factory=dict)
    columns: int | None = None

    def fits(self, target: Domain) -> bool:
        """Tell whether the target's rows have the columns of the source's; arrays are told by their number."""
        if self.plan.kinds is not None:
            return hasattr(target.X, "columns") and set(self.plan.kinds) <= set(target.X.columns)
        return self.columns in (None, target.X.shape[1])

    def save(self, path: str | Path) -> None:
        """Write the parcel into one file: manifest.json, arrays.safetensors, skops parts; no pickle."""
        write_archive(Path(path), "knowledge", self._manifest(), self._files())

    def _parts(self) -> dict[str, Any]:
        reader = {} if self.plan.reader is None else {READER.removesuffix(".skops"): self.plan.reader}
        return {**self.knowledge.parts, "vectorizer": self.vectorizer, "learner": self.learner, **reader}

    def _manifest(self) -> dict[str, Any]:
        return {
            "method": type(self.method).__name__,
            "parameters": {name: _to_json(value) for name, value in self.method.get_params().items()},
            "learner": type(self.learner).__name__,
            "source": self.source,
            "holds_source_rows": self.knowledge.holds_source_rows,
            "inside": {
                "arrays": {
                    name: None if array is None else list(array.shape) for name, array in self.knowledge.arrays.items()
                },
                "parts": sorted(self._parts()),
            },
            "facts": self.knowledge.facts,
            "task": self.plan.task,
            "label": self.plan.label,
            "kinds": self.plan.kinds,
            "columns": self.columns,
            "reads": None if self.plan.reader is None else described(self.plan.reader),
            "versions": versions(),
        }

    def _files(self) -> dict[str, bytes]:
        from safetensors.numpy import save

        there = {name: array for name, array in self.knowledge.arrays.items() if array is not None}
        texts = {name: _to_list(array, name) for name, array in there.items() if array.dtype.kind in "OU"}
        arrays = {name: np.ascontiguousarray(_dense(array)) for name, array in there.items() if name not in texts}
        return {
            "arrays.safetensors": save(arrays),
            **({TEXTS: json.dumps(texts, ensure_ascii=False).encode()} if texts else {}),
            **{f"{name}.skops": dump_part(part) for name, part in self._parts().items()},
        }

    def holds_row_of(self, source: Domain) -> bool:
        """Look for the source's rows, raw and vectorised, among what would be saved: its bytes and its arrays."""
        files = self._files()
        tables = [_table(self.vectorizer.transform(source.X)), _table(source.X)]
        # A constant row could be anything.
        wanted = [table[np.ptp(np.nan_to_num(table), axis=1) > 0] for table in tables if table.size]
        for table in wanted:
            rows = table[np.linspace(0, len(table) - 1, min(len(table), ROWS_LOOKED_FOR)).astype(int)]
            if any(row.astype(t).tobytes() in data for row in rows for t in ("f8", "f4") for data in files.values()):
                return True
        keys = [(table.shape[1], {row.tobytes() for row in _without_gaps(table)}) for table in wanted]
        return any(
            not known.isdisjoint(row.tobytes() for row in _without_gaps(rows))
            for data in files.values()
            for array in _arrays_inside(data)
            for rows in (array, array.T)
            for width, known in keys
            if rows.ndim == 2 and rows.shape[1] == width
        )


def _dense(array: Any) -> np.ndarray:
    if hasattr(array, "tocsr"):
        raise StoreError("the knowledge holds sparse rows, and a knowledge file holds dense ones only; make them dense")
    return np.asarray(array)


def _to_list(texts: np.ndarray, name: str) -> list[Any]:
    """Write text, true/false and None in JSON."""
    items = [item.item() if isinstance(item, np.generic) else item for item in texts.tolist()]
    strange = next((item for item in items if not isinstance(item, str | bool | None)), None)
    if strange is not None:
        raise StoreError(
            f"the knowledge's {name} holds {strange!r}, which is neither text nor a number; write it as text"
        )
    return items


def _table(X: Any) -> np.ndarray:
    """Return the numeric columns of rows as an array (n, d); empty for what has none, or is sparse."""
    if hasattr(X, "select_dtypes"):
        X = X.select_dtypes("number").to_numpy(dtype=float, na_value=np.nan)
    return X if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind == "f" else np.empty((0, 0))


def _without_gaps(rows: np.ndarray) -> np.ndarray:
    """Bring rows to one precision and one byte pattern for a gap, so that equal rows have equal bytes."""
    return np.ascontiguousarray(np.nan_to_num(rows.astype("f4"), nan=-1e30, posinf=1e30, neginf=-1e30))


def _arrays_inside(data: bytes) -> Iterator[np.ndarray]:
    """Yield the numeric arrays of a skops part."""
    if not is_zipfile(BytesIO(data)):
        return
    with ZipFile(BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.endswith(".npy"):
                array = np.load(BytesIO(archive.read(name)), allow_pickle=False)
                if array.ndim == 2 and array.dtype.kind == "f":
                    yield array


def pack(
    method: Method, learner: Any, source: Domain, plan: Plan, announce: Callable[[str], None] = unannounced
) -> Parcel:
    """Run the first two steps at the source: fit the vectoriser, learn, extract."""
    plan = plan.at_source()
    vectorizer = plan.fitted_on(source.X)
    vectors = source.with_rows(vectorizer.transform(source.X))
    knowledge, seconds = learn_and_extract(method, vectors, learner, announce)
    return Parcel(method, learner, knowledge, vectorizer, plan, source.name, seconds, source.X.shape[1])


def unpack(
    parcel: Parcel, target: Domain, plan: Plan, announce: Callable[[str], None] = unannounced
) -> tuple[Model, dict[str, float]]:
    """Run the last two steps at the target: carry, learn; with the source's vectoriser where columns are the same."""
    vectorizer = plan.fitted_on(target.X) if plan.different else parcel.vectorizer
    vectors = target.with_rows(vectorizer.transform(target.X))
    predictor, seconds = carry_and_learn(clone(parcel.method), parcel.knowledge, vectors, parcel.learner, announce)
    model = delivered(vectorizer, predictor, plan, parcel.method, parcel.learner, target)
    if plan.different:
        model = reading_source_rows(model, parcel.vectorizer, parcel.columns)
    return model, {**parcel.seconds, **seconds}


def read_parcel(path: str | Path, make: Callable[[str, dict[str, Any]], Method]) -> Parcel:
    """Read a parcel; `make` builds the method of a name with its parameters.

    Raises
    ------
    StoreError
        When the file is not a parcel, was changed, or comes from a newer headstart.
    """
    from safetensors import SafetensorError

    manifest, files = read_archive(Path(path), "knowledge")
    try:
        arrays = _arrays_of(manifest, files)
        parts = {
            name.removesuffix(".skops"): load_part(data, f"{path}/{name}")
            for name, data in files.items()
            if name.endswith(".skops")
        }
        vectorizer, learner = parts.pop("vectorizer"), parts.pop("learner")
        reader = parts.pop(READER.removesuffix(".skops"), None)
        parameters = {name: _from_json(value) for name, value in manifest["parameters"].items()}
        knowledge = Knowledge(manifest["method"], manifest["holds_source_rows"], arrays, parts, manifest["facts"])
        plan = Plan(manifest["task"], manifest["kinds"], vectorizer.spec, manifest["label"], reader=reader)
    except (KeyError, SafetensorError) as error:
        raise StoreError(f"{path}: lacks a part ({error}); learn again") from error
    method = make(manifest["method"], parameters)
    return Parcel(method, learner, knowledge, vectorizer, plan, manifest["source"], columns=manifest.get("columns"))


def found_at(parcel: Parcel, model: str) -> Parcel:
    """Return knowledge whose pretrained model lies under another name here.

    Raises
    ------
    InputError
        When the knowledge is about tables.
    """
    if parcel.plan.reader is None:
        raise InputError("the knowledge is about a table, which no pretrained model reads; leave --model out")
    reader = parcel.plan.reader.found_at(model)
    parts = {name: reader if isinstance(part, type(reader)) else part for name, part in parcel.knowledge.parts.items()}
    return replace(parcel, plan=replace(parcel.plan, reader=reader), knowledge=replace(parcel.knowledge, parts=parts))


def _arrays_of(manifest: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
    """Return the knowledge's arrays: numbers, text, and None for those that were not there."""
    from safetensors.numpy import load as load_arrays

    arrays: dict[str, Any] = load_arrays(files["arrays.safetensors"])
    for name, items in json.loads(files.get(TEXTS, b"{}")).items():
        all_text = all(isinstance(item, str) for item in items)
        arrays[name] = np.array(items, dtype=str if all_text else object)
    return {name: None if shape is None else arrays[name] for name, shape in manifest["inside"]["arrays"].items()}


def without_rows(parcel: Parcel, source: Domain, *, allow: bool) -> Parcel:
    """Check that no source row is inside, or mark the parcel when some are and that is allowed.

    A method whose knowledge is the rows themselves is allowed, or not, before it learns: see `headstart.learn`.

    Raises
    ------
    NeedsError
        When rows are inside (support vectors, neighbours) and `allow` is not set.
    """
    if parcel.method.needs.source_rows or not parcel.holds_row_of(source):
        return parcel
    if not allow:
        raise NeedsError(
            f"{type(parcel.learner).__name__} keeps rows of {source.name} inside; take a learner that keeps none "
            "(logistic, ridge), or allow it with allow_source_rows=True (--allow-source-rows)"
        )
    return replace(parcel, knowledge=replace(parcel.knowledge, holds_source_rows=True))


def _to_json(value: Any) -> Any:
    """Write a parameter in JSON, infinity too."""
    if isinstance(value, float | np.floating) and not np.isfinite(value):
        return {"float": str(float(value))}
    value = value.item() if isinstance(value, np.generic) else value
    json.dumps(value)
    return value


def _from_json(value: Any) -> Any:
    return float(value["float"]) if isinstance(value, dict) else value
