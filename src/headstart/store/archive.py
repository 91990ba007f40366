"""A saved thing as one file: a zip of the same manifest and files, uncompressed so that anyone can look inside."""

from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from headstart.errors import StoreError
from headstart.store.folder import MANIFEST, check, seal, staged_file, unseal


def write_archive(path: Path, kind: str, manifest: dict[str, Any], files: dict[str, bytes]) -> None:
    """Write `files` and a manifest with their checksums into one file; it appears whole, or not at all."""
    with staged_file(path) as stage, ZipFile(stage, "w", ZIP_STORED) as archive:
        # A fixed date: the same contents give the same bytes.
        archive.writestr(ZipInfo(MANIFEST, (2020, 1, 1, 0, 0, 0)), seal(kind, manifest, files))
        for name, data in files.items():
            archive.writestr(ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)


def read_archive(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read a file written by `write_archive`, checking kind, schema and checksums.

    Raises
    ------
    StoreError
        When it does not exist, is of another kind, was changed, or comes from a newer headstart.
    """
    if not path.is_file():
        raise StoreError(f"{path}: no such file; give the file that `headstart learn` wrote")
    try:
        with ZipFile(path) as archive:
            manifest = unseal(archive.read(MANIFEST), kind, str(path))
            files = {name: archive.read(name) for name in manifest["files"]}
    except (BadZipFile, KeyError) as error:
        raise StoreError(f"{path}: is not a headstart {kind} file, or it was changed") from error
    check(manifest, files, str(path))
    return manifest, files
