"""Folders, lists and columns of picture files into domains. No picture is opened here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from headstart.domain import Domain, Task, as_column
from headstart.errors import InputError, listed, unknown_name

#: Endings of files that hold a picture.
PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
#: What systems leave in folders; hidden files are passed over too.
LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini", "__macosx")
#: Folders inside each other, the given one and the picture itself included: domain, class, picture.
DEEPEST = 3


def read_folder(
    folder: Path, *, domain: str | None = None, name: str | None = None, task: Task | None = None
) -> Domain:
    """Read the pictures of a folder as one domain, in the order of their names.

    Parameters
    ----------
    folder : path
        A folder of pictures, whose labels are not known; a folder with a folder for each class, which is the label,
        and beside them pictures whose label is not known; or, with `domain`, a folder of such folders.
    domain : str, optional
        The folder to take.
    name : str, optional
        What to call the domain; by default `domain`, or the folder's name.
    task : "classification", optional

    Raises
    ------
    InputError
        When there is no picture, a file is empty or none, or a link leads out of the folder.
    """
    if domain is not None:
        folders = _folders_of_domains(folder)
        if domain not in folders:
            raise InputError(unknown_name("domain", domain, folders, str(folder)))
        return _domain_of(folder, domain, name or domain, task)
    return _domain_of(folder, None, name or folder.resolve().name, task)


def read_folders(folder: Path, *, task: Task | None = None) -> dict[str, Domain]:
    """Read every domain of a folder that has a folder for each domain, and in these one for each class."""
    return {name: _domain_of(folder, name, name, task) for name in _folders_of_domains(folder)}


def read_pictures(paths: Sequence[str | Path], *, name: str = "pictures") -> Domain:
    """Return picture files as a domain without labels, in the order given.

    Raises
    ------
    InputError
        When there are none, or one is missing, empty or not a picture by its ending.
    """
    if not len(paths):
        raise InputError("no picture was given")
    for path in paths:
        _require_picture(Path(path))
    return Domain(as_column(str(path) for path in paths), name=name, modality="image")


def picture_paths(values: Iterable[object], where: str, folder: Path | None) -> np.ndarray:
    """Return a column of paths as a table can be trusted with, shape (n,).

    A file may name only pictures in its own folder or below, whether by relative or absolute paths and after links
    are followed: a table from elsewhere then can't name other files of this machine. A frame (`folder` is None) is
    its program's own; its paths are taken as they are.

    Raises
    ------
    InputError
        With the row: when a path is empty, leaves the folder, or is no picture.
    """
    home = None if folder is None else folder.resolve()
    found = []
    for row, value in enumerate(values, start=1):
        if not isinstance(value, str | Path) or not str(value).strip():
            raise InputError(
                f"{where}: row {row}: no path of a picture ({value!r}); leave the row out, or name its file"
            )
        path = Path(value) if folder is None else folder / str(value).strip()
        if home is not None and not path.resolve().is_relative_to(home):
            raise InputError(
                f"{where}: row {row}: {str(value)!r} lies outside the folder of the file; put the file beside its "
                "pictures, or give a DataFrame"
            )
        _require_picture(path, f"{where}: row {row}: ")
        found.append(str(path))
    return as_column(found)[:, 0]


def is_picture(path: Path) -> bool:
    """Tell by the ending whether a file holds a picture."""
    return path.suffix.lower() in PICTURES


def _domain_of(root: Path, domain: str | None, name: str, task: Task | None) -> Domain:
    """Return the pictures in one domain's folder; links may not leave `root`."""
    folder = root if domain is None else root / domain
    files = _files(folder, root.resolve(), DEEPEST)
    pictures = [path for path in files if is_picture(path)]
    if not pictures:
        raise InputError(f"{folder}: is a folder without pictures; name a file in it, or a folder of pictures")
    inside = {path: path.relative_to(folder).parts[:-1] for path in files}
    deep = list(dict.fromkeys(parts[0] for parts in inside.values() if len(parts) > 1))
    if deep:
        what = f"name one with domain=..., such as {deep[0]!r}, or give {folder / deep[0]}"
        raise InputError(
            f"{folder}: holds folders of folders ({listed(deep, 4)}); {what}"
            if domain is None
            else f"{folder}: holds folders of folders ({listed(deep, 4)}); a domain has one folder for each class"
        )
    for path in files:
        _require_picture(path)
    labels = [parts[0] if parts else None for parts in inside.values()]
    y = None if not any(labels) else np.array(labels, dtype=object if None in labels else str)
    return Domain(as_column(str(path) for path in files), y, name=name, modality="image", task=task)


def _folders_of_domains(folder: Path) -> list[str]:
    """Return the names of the folders in which there are folders of pictures."""
    home = folder.resolve()
    found = [entry.name for entry in _entries(folder, home) if entry.is_dir() and _files(entry, home, DEEPEST - 1)]
    if not found:
        raise InputError(f"{folder}: holds no folders of pictures; give a folder for each domain, or leave out domain")
    return found


def _files(folder: Path, home: Path, depth: int) -> list[Path]:
    """Return the files in a folder and below, in the order of their names."""
    if not depth:
        raise InputError(f"{folder}: lies too deep; pictures lie in domain/class/ or class/")
    found: list[Path] = []
    for entry in _entries(folder, home):
        found += _files(entry, home, depth - 1) if entry.is_dir() else [entry]
    return found


def _entries(folder: Path, home: Path) -> list[Path]:
    """Return what lies in a folder, by name, without what is hidden; refuse links that leave `home`."""
    names = sorted(name for name in os.listdir(folder) if name[0] != "." and name.lower() not in LEFT_BY_SYSTEMS)
    entries = [folder / name for name in names]
    for entry in entries:
        if entry.is_symlink() and not entry.resolve().is_relative_to(home):
            raise InputError(f"{entry}: is a link out of the folder; copy what it leads to")
    return entries


def _require_picture(path: Path, where: str = "") -> None:
    """Find what can be known without opening the file."""
    if path.is_dir() or not path.exists():
        raise InputError(f"{where}{path}: {'is a folder' if path.is_dir() else 'no such file'}; check the path")
    if not is_picture(path):
        raise InputError(f"{where}{path}: not a picture by its ending; known: {', '.join(PICTURES)}; take it out")
    if not path.stat().st_size:
        raise InputError(f"{where}{path}: the file is empty; copy it again, or take it out")
