"""Fitted maps on disk: a folder with a manifest and a part, without pickle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.errors import StoreError
from headstart.mapping.label_maps import LabelMap, LinearLabelMap
from headstart.mapping.maps import Map
from headstart.store import dump_part, load_part, read_folder, write_folder
from headstart.version import __version__


@dataclass(frozen=True, eq=False)
class SavedMapping:
    """A map and a label map, as they were saved.

    Parameters
    ----------
    map : Map
    label_map : LabelMap, LinearLabelMap or None
    card : dict
        What it is, in plain types.
    """

    map: Map
    label_map: LabelMap | LinearLabelMap | None
    card: dict[str, Any]


def save_mapping(folder: str | Path, map_: Map, label_map: Any = None, card: dict[str, Any] | None = None) -> None:
    """Save a fitted map, and a label map beside it, to a new folder.

    Parameters
    ----------
    folder : path
        One that does not exist, or is empty.
    map_ : Map
        `MappingLearner.map_`, or what a function of `headstart.mapping.fit_maps` returned.
    label_map : LabelMap or LinearLabelMap, optional
        `MappingLearner.g_`.
    card : dict, optional
        More to say, in plain JSON types: the names of columns.

    Raises
    ------
    StoreError
        When the folder is taken, or the map is of a type that can't be saved.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from headstart.mapping import LinearMap
    >>> folder = Path(tempfile.mkdtemp()) / "map"
    >>> save_mapping(folder, LinearMap(np.array([[2.0]])))
    >>> load_mapping(folder).map.transform(np.array([[3.0]]))
    array([[6.]])
    """
    files = {"map.skops": dump_part(map_)}
    if label_map is not None:
        files["label_map.skops"] = dump_part(label_map)
    write_folder(Path(folder), "mapping", {"card": card or {}, "version": __version__}, files)


def load_mapping(folder: str | Path) -> SavedMapping:
    """Load what `save_mapping` wrote.

    Raises
    ------
    StoreError
        When the folder was changed, comes from a newer headstart, or names a type that is not trusted.
    """
    manifest, files = read_folder(Path(folder), "mapping")
    if "map.skops" not in files:
        raise StoreError(f"{folder}: lacks its map; save it again")
    label_map = files.get("label_map.skops")
    return SavedMapping(
        load_part(files["map.skops"], f"{folder}/map.skops"),
        None if label_map is None else load_part(label_map, f"{folder}/label_map.skops"),
        manifest["card"],
    )
