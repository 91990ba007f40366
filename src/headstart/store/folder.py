"""A saved thing as a folder: manifest.json with a checksum for every other file, written whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from headstart.errors import StoreError

#: The newest layout that this version can read; raised when a reader of the old one would be misled.
SCHEMA = 1
MANIFEST = "manifest.json"


def write_folder(folder: Path, kind: str, manifest: dict[str, Any], files: dict[str, bytes]) -> None:
    """Write `files` and a manifest with their checksums into a new folder; all of it appears, or none."""
    with staged(folder) as stage:
        for name, data in files.items():
            (stage / name).write_bytes(data)
        (stage / MANIFEST).write_text(seal(kind, manifest, files), encoding="utf-8")


def read_folder(folder: Path, kind: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read a folder written by `write_folder`, checking kind, schema and checksums.

    Raises
    ------
    StoreError
        When something is missing, was changed, is of another kind or comes from a newer headstart.
    """
    if not folder.is_dir():
        raise StoreError(f"{folder}: no such folder; give the folder that `headstart run` wrote (out/model)")
    if not (folder / MANIFEST).is_file():
        raise StoreError(f"{folder}: holds no {MANIFEST}; give the folder that `headstart run` wrote (out/model)")
    manifest = unseal((folder / MANIFEST).read_bytes(), kind, str(folder))
    files = {}
    for name in manifest["files"]:
        path = folder / name
        if not path.is_file():
            raise StoreError(f"{folder}: {name} is missing; copy the whole folder, or run again")
        files[name] = path.read_bytes()
    check(manifest, files, str(folder))
    return manifest, files


def seal(kind: str, manifest: dict[str, Any], files: dict[str, bytes]) -> str:
    """Return the manifest's text, with kind, schema and the checksum of every file."""
    sums = {name: sha256(data).hexdigest() for name, data in files.items()}
    sealed = {"kind": kind, "schema": SCHEMA, **manifest, "files": sums}
    sealed["checksum"] = _fingerprint(sealed)
    return json.dumps(sealed, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def unseal(text: bytes, kind: str, where: str) -> dict[str, Any]:
    """Read a manifest and refuse another kind, a newer schema, and names that leave the folder."""
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise StoreError(f"{where}: {MANIFEST} is not JSON ({error}); it was changed, so run again") from error
    if not isinstance(manifest, dict) or manifest.get("kind") != kind:
        raise StoreError(f"{where}: is not a headstart {kind}")
    schema = manifest.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise StoreError(f"{where}: has schema {schema}, newer than {SCHEMA}; update headstart to read it")
    if manifest.get("checksum") != _fingerprint(manifest):
        raise StoreError(f"{where}: {MANIFEST} was changed after it was saved (checksum); run again")
    sums = manifest.get("files")
    if not isinstance(sums, dict) or any(Path(name).name != name or name.startswith(".") for name in sums):
        raise StoreError(f"{where}: {MANIFEST} names files outside its folder; it was changed, so run again")
    return manifest


def _fingerprint(manifest: dict[str, Any]) -> str:
    content = {name: value for name, value in manifest.items() if name != "checksum"}
    return sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def check(manifest: dict[str, Any], files: dict[str, bytes], where: str) -> None:
    """Refuse files whose checksum is not the manifest's."""
    for name, data in files.items():
        if sha256(data).hexdigest() != manifest["files"][name]:
            raise StoreError(f"{where}: {name} was changed after it was saved (checksum); run again")


@contextmanager
def staged(destination: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside `destination` whose contents are moved there when all went well.

    With `replace`, entries of the same names in an existing destination are replaced, and others are kept.
    An error or Ctrl-C leaves the destination as it was.
    """
    destination = Path(destination)
    if destination.is_file():
        raise StoreError(f"{destination}: is a file; name a folder")
    if destination.is_dir() and any(destination.iterdir()) and not replace:
        raise StoreError(f"{destination}: exists and is not empty; name another folder, or use --force (force=True)")
    destination.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{destination.name}.partial-", dir=destination.parent))
    try:
        yield stage
        destination.mkdir(exist_ok=True)
        for entry in sorted(stage.iterdir()):
            _move(entry, destination / entry.name)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _move(entry: Path, place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        old = Path(tempfile.mkdtemp(prefix=f".{place.name}.partial-", dir=place.parent))
        os.replace(place, old / place.name)
        os.replace(entry, place)
        shutil.rmtree(old)
    else:
        os.replace(entry, place)


@contextmanager
def staged_file(destination: Path) -> Iterator[Path]:
    """Give a temporary path beside `destination` that takes its name when all went well."""
    destination = Path(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{destination.name}.partial-", dir=destination.parent)
    os.close(handle)
    stage = Path(name)
    try:
        yield stage
        stage.chmod(0o644)
        os.replace(stage, destination)
    finally:
        stage.unlink(missing_ok=True)
