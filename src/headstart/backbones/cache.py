"""Features kept on disk, by what they were made of: each picture or text goes through a network once.

A row's key is the hash of its item's content; rows of one network, layer and preparation lie in one folder, in files
that are written whole and never changed. So a changed file, another preparation or other weights have other keys, and
two programs can use one cache. The files are safetensors; rows are read where they lie (a memory map).
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from headstart.backbones.pictures import open_picture
from headstart.backbones.streaming import WORKERS, loaded
from headstart.errors import InputError
from headstart.store.folder import staged_file

if TYPE_CHECKING:
    from types import TracebackType

    from headstart.backbones.preparation import Preparation

#: Pictures whose files a thread hashes at a time, and bytes that it reads at once.
AT_A_TIME, PART = 64, 2**22
#: Raised when files of another layout would be misread.
SCHEMA = "1"
KIND = "headstart features"
#: Bytes that the cache may hold, where HEADSTART_CACHE_GB does not say.
MOST_BYTES = 5_000_000_000
#: Rows are written when so many bytes of them are there.
PART_BYTES = 8_000_000
#: More files smaller than a part than this in one folder are put together.
MOST_SMALL = 32
WRITTEN = re.compile(
    r"(features/[0-9a-f]{64}/\.?[0-9a-f]{64}\.safetensors|networks/\.?[0-9a-f]{64}\.[0-9a-f]{64}\.onnx)"
    r"(\.partial-\w+)?"
)


class BrokenError(Exception):
    """A file of the cache does not hold what it should."""


@dataclass(frozen=True)
class FeatureCache:
    """A folder of features and exported networks, of bounded size: what was used longest ago goes first.

    Parameters
    ----------
    folder : Path
    most_bytes : int

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = FeatureCache(Path(folder)).rows("weights", None, None)
    ...     rows.write([b"k" * 32], np.ones((1, 2), dtype=np.float32))
    ...     rows.read([b"k" * 32, b"other" * 6 + b"xx"])
    (array([ True, False]), array([[1., 1.],
           [0., 0.]], dtype=float32))
    """

    folder: Path
    most_bytes: int = MOST_BYTES

    def rows(self, identity: str, preparation: Preparation | None, layer: str | None) -> Rows:
        """Return the rows of one network, preparation and layer."""
        prepared = None if preparation is None else preparation_identity(preparation)
        content = json.dumps([SCHEMA, identity, prepared, layer], sort_keys=True)
        return Rows(self, self.folder / "features" / sha256(content.encode()).hexdigest())

    def network(self, name: str) -> bytes | None:
        """Return an exported network by the hash of what it was made of, or None."""
        for path in sorted((self.folder / "networks").glob(f"{name}.*.onnx")):
            with suppress(FileNotFoundError):
                content = path.read_bytes()
                if sha256(content).hexdigest() == path.name.split(".")[1]:
                    _used(path)
                    return content
                _drop(path, "its content is not what was written")
        return None

    def keep_network(self, name: str, content: bytes) -> None:
        """Keep an exported network."""
        self.write(self.folder / "networks" / f"{name}.{sha256(content).hexdigest()}.onnx", content)

    def files(self) -> list[tuple[int, int, Path]]:
        """Return what the cache wrote: time of last use, bytes and place of each file, the longest unused first."""
        found = []
        for kind in ("features", "networks"):
            for path in (self.folder / kind).rglob("*"):
                if not WRITTEN.fullmatch(path.relative_to(self.folder).as_posix()):
                    continue
                # Another program may have removed it by now.
                with suppress(FileNotFoundError):
                    state = path.stat()
                    found.append((state.st_mtime_ns, state.st_size, path))
        return sorted(found)

    def info(self) -> dict[str, int]:
        """Return how many `features` of how many `networks_and_layers` are kept, `exported` networks, and `bytes`."""
        files = self.files()
        features, folders = 0, set()
        for _, _, path in files:
            if path.suffix == ".safetensors":
                with suppress(FileNotFoundError, BrokenError):
                    features += len(Part.opened(path).keys)
                    folders.add(path.parent)
        return {
            "features": features,
            "networks_and_layers": len(folders),
            "exported": sum(path.suffix == ".onnx" for _, _, path in files),
            "bytes": sum(size for _, size, _ in files),
        }

    def clear(self) -> int:
        """Remove what the cache wrote, and nothing else; return how many bytes that was."""
        files = self.files()
        for _, _, path in files:
            path.unlink(missing_ok=True)
        for folder in [*{path.parent for _, _, path in files}, self.folder / "features", self.folder / "networks"]:
            # What others put there stays.
            with suppress(OSError):
                folder.rmdir()
        return sum(size for _, size, _ in files)

    def trim(self) -> None:
        """Remove the files that were used longest ago until the others fit."""
        files = self.files()
        too_many = sum(size for _, size, _ in files) - self.most_bytes
        for _, size, path in files:
            if too_many <= 0:
                return
            path.unlink(missing_ok=True)
            too_many -= size

    def write(self, path: Path, content: bytes) -> bool:
        """Write a file whole; where that can't be done, return False and warn."""
        try:
            with staged_file(path) as stage:
                stage.write_bytes(content)
            self.trim()
        except OSError as error:
            warnings.warn(f"{path.parent}: features can't be kept ({error.strerror or error})", stacklevel=4)
            return False
        return True


@dataclass(frozen=True)
class Part:
    """One file of rows, sorted by key.

    Parameters
    ----------
    keys : uint8 array of shape (n, 32)
    checks : uint32 array of shape (n,)
        CRC-32 of each key and row.
    rows : float32 memory map of shape (n, d)
    """

    keys: np.ndarray
    checks: np.ndarray
    rows: np.ndarray

    @classmethod
    def opened(cls, path: Path) -> Part:
        """Open a file; its rows are read when they are asked for.

        Raises
        ------
        BrokenError
            When it is not what `packed` made.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="np") as file:
                keys, checks = file.get_tensor("keys"), file.get_tensor("checks")
                sound = (file.metadata() or {}).get("kind") == KIND
        except FileNotFoundError:
            raise
        except (SafetensorError, OSError) as error:
            raise BrokenError(str(error)) from error
        with path.open("rb") as raw:
            length = int.from_bytes(raw.read(8), "little")
            place = json.loads(raw.read(length)).get("rows", {})
        shape = tuple(place.get("shape", ()))
        sound &= keys.shape == (shape[:1] or (0,)) + (32,) and checks.shape == shape[:1] and len(shape) == 2
        sound &= keys.dtype == np.uint8 and checks.dtype == np.uint32 and place.get("dtype") == "F32"
        if not sound or not all(shape):
            raise BrokenError("it does not hold what it should")
        return cls(keys, checks, np.memmap(path, np.float32, "r", 8 + length + place["data_offsets"][0], shape))

    def lookup(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of the wanted keys are here, and the rows of those.

        Raises
        ------
        BrokenError
            When such a row is not what was written.
        """
        starts = _starts(self.keys)
        at = np.minimum(np.searchsorted(starts, _starts(wanted)), len(starts) - 1)
        here = (self.keys[at] == wanted).all(axis=1)
        rows = np.array(self.rows[at[here]])
        for row, i in zip(rows, at[here], strict=True):
            if _check(self.keys[i], row) != self.checks[i]:
                raise BrokenError("a row was changed")
        return here, rows


def packed(keys: np.ndarray, rows: np.ndarray) -> bytes:
    """Return keys and rows as the bytes of a file that `Part.opened` opens."""
    from safetensors.numpy import save

    order = np.lexsort(keys.T[::-1])
    keys, rows = np.ascontiguousarray(keys[order]), np.ascontiguousarray(rows[order], dtype=np.float32)
    checks = np.array([_check(key, row) for key, row in zip(keys, rows, strict=True)], dtype=np.uint32)
    content: bytes = save({"keys": keys, "checks": checks, "rows": rows}, {"kind": KIND, "schema": SCHEMA})
    return content


def _check(key: np.ndarray, row: np.ndarray) -> int:
    return zlib.crc32(row.data, zlib.crc32(key.data))


def _starts(keys: np.ndarray) -> np.ndarray:
    """Return the first eight bytes of each key as a number of the same order."""
    return np.ascontiguousarray(keys[:, :8]).view(">u8")[:, 0].astype(np.uint64)


@dataclass(frozen=True)
class Rows:
    """The kept features of one network, preparation and layer."""

    cache: FeatureCache
    folder: Path

    def read(self, keys: Sequence[bytes | None]) -> tuple[np.ndarray, np.ndarray]:
        """Return which keys are kept, shape (n,), and their rows, shape (n, d), zero where there is none.

        None stands for an item that has no key. A broken file is left out and removed, with a warning.
        """
        wanted = np.frombuffer(b"".join(key or bytes(32) for key in keys), dtype=np.uint8).reshape(-1, 32)
        found = np.zeros(len(keys), dtype=bool)
        left = np.array([i for i, key in enumerate(keys) if key is not None], dtype=int)
        values = np.zeros((len(keys), 0), dtype=np.float32)
        for path, part in self._parts():
            try:
                here, rows = part.lookup(wanted[left])
            except BrokenError as error:
                _drop(path, str(error))
                continue
            if not here.any():
                continue
            if not found.any():
                values = np.zeros((len(keys), rows.shape[1]), dtype=np.float32)
            values[left[here]], found[left[here]] = rows, True
            _used(path)
            left = left[~here]
            if not len(left):
                break
        return found, values

    def write(self, keys: Sequence[bytes], rows: np.ndarray) -> None:
        """Keep rows; where that can't be done, a warning says so."""
        if self._write(np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 32), rows) is None:
            return
        small = []
        for path in self._paths():
            with suppress(FileNotFoundError):
                small.append((path.stat().st_size, path))
        small = sorted((size, path) for size, path in small if size < PART_BYTES)
        if len(small) > MOST_SMALL:
            self._put_together([path for _, path in small])

    def _write(self, keys: np.ndarray, rows: np.ndarray) -> Path | None:
        content = packed(keys, rows)
        path = self.folder / f"{sha256(content).hexdigest()}.safetensors"
        return path if self.cache.write(path, content) else None

    def _put_together(self, paths: list[Path]) -> None:
        """Make one file of several, the smallest first, until it is large enough to be left alone."""
        taken, keys, rows, size = [], [], [], 0
        for path in paths:
            with suppress(FileNotFoundError, BrokenError):
                part = Part.opened(path)
                _, values = part.lookup(part.keys)
                keys.append(part.keys)
                rows.append(values)
                taken.append(path)
                size += values.nbytes
            if size > PART_BYTES:
                break
        if len(taken) < 2:
            return
        every = np.concatenate(keys)
        _, first = np.unique(every, axis=0, return_index=True)
        made = self._write(every[first], np.concatenate(rows)[first])
        for path in taken if made else ():
            if path != made:
                path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9a-f]*.safetensors"))

    def _parts(self) -> Iterator[tuple[Path, Part]]:
        for path in self._paths():
            try:
                yield path, Part.opened(path)
            except FileNotFoundError:
                # Another program put it together with others, or removed it; its rows are made again.
                continue
            except BrokenError as error:
                _drop(path, str(error))


class Keeping:
    """Rows on their way to the cache: written part by part, also those that were done when an error came."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._keys: list[bytes] = []
        self._values: list[np.ndarray] = []

    def __enter__(self) -> Keeping:
        return self

    def add(self, keys: Sequence[bytes | None], values: np.ndarray) -> None:
        """Take rows over; those whose key is None are not kept."""
        kept = [i for i, key in enumerate(keys) if key is not None]
        self._keys += [key for key in keys if key is not None]
        self._values.append(values[kept])
        if sum(part.nbytes for part in self._values) >= PART_BYTES:
            self._flush()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._flush()

    def _flush(self) -> None:
        if self._keys:
            self.rows.write(self._keys, np.concatenate(self._values))
        self._keys, self._values = [], []


def cache_of(cache: bool | str | Path) -> FeatureCache | None:
    """Return the cache that is asked for: True is the user's, False is none, else a folder.

    Raises
    ------
    InputError
        As `opened` does.
    """
    if cache is False:
        return None
    return opened(default_folder() if cache is True else Path(cache))


def opened(folder: Path) -> FeatureCache:
    """Return the cache in a folder, which need not be there yet.

    Raises
    ------
    InputError
        When it is a file, or HEADSTART_CACHE_GB is no number.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name a folder for the cache")
    stated = os.environ.get("HEADSTART_CACHE_GB")
    if not stated:
        return FeatureCache(folder)
    try:
        return FeatureCache(folder, int(float(stated) * 1e9))
    except (ValueError, OverflowError) as error:
        raise InputError(f"HEADSTART_CACHE_GB is {stated!r}; write a number, such as 5") from error


def default_folder() -> Path:
    """Return HEADSTART_CACHE, or headstart's folder where this system keeps caches."""
    stated = os.environ.get("HEADSTART_CACHE")
    if stated:
        return Path(stated).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "headstart"
    place = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(place) if place else Path.home() / ".cache") / "headstart"


def keys_of(items: Sequence[Any], modality: str) -> list[bytes | None]:
    """Return the hash of each item's content; None where it can't be read, which its opening will say."""
    if modality == "text":
        return [
            _key("text", item.encode("utf-8", "surrogatepass")) if isinstance(item, str) else None for item in items
        ]
    # Many at a time: handing a small picture to a thread takes longer than hashing it.
    parts = [items[start : start + AT_A_TIME] for start in range(0, len(items), AT_A_TIME)]
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="headstart") as pool:
        return [key for part in pool.map(lambda part: [_picture_key(item) for item in part], parts) for key in part]


def _picture_key(item: Any) -> bytes | None:
    if isinstance(item, str | Path):
        with suppress(OSError), open(item, "rb") as file:
            found = sha256(b"file\0")
            while part := file.read(PART):
                found.update(part)
            return found.digest()
        return None
    if isinstance(item, bytes):
        return _key("file", item)
    if not isinstance(item, np.ndarray):
        item = np.asarray(open_picture(loaded(item)))
    if item.dtype.kind not in "fiub":
        return None
    return _key(f"pixels {item.dtype.str} {item.shape}", np.ascontiguousarray(item).data)


def _key(kind: str, content: Any) -> bytes:
    found = sha256(f"{kind}\0".encode())
    found.update(content)
    return found.digest()


def stamp(item: Any) -> tuple[int, int] | None:
    """Return when a file was changed and its size: a row is kept only if both are as they were at its hash."""
    if not isinstance(item, str | Path):
        return None
    try:
        state = Path(item).stat()
    except (OSError, ValueError):
        # No file, or a text.
        return None
    return state.st_mtime_ns, state.st_size


_preparations: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def preparation_identity(preparation: Preparation) -> str:
    """Return SHA-256 over all that a preparation does; of a tokenizer over its words and rules."""
    if preparation not in _preparations:
        content: dict[str, Any] = {"kind": type(preparation).__qualname__, **preparation.describe()}
        tokenizer = getattr(preparation, "tokenizer", None)
        rules = getattr(tokenizer, "backend_tokenizer", None)
        if rules is not None:
            content["rules"] = json.loads(rules.to_str())
            # How it cut and filled up last.
            del content["rules"]["truncation"], content["rules"]["padding"]
        elif tokenizer is not None:
            content["words"] = tokenizer.get_vocab()
        _preparations[preparation] = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return _preparations[preparation]


def _used(path: Path) -> None:
    # A cache that can be read only is still of use.
    with suppress(OSError):
        os.utime(path)


def _drop(path: Path, reason: str) -> None:
    warnings.warn(f"{path}: the cache file is broken ({reason}); it is written anew", stacklevel=5)
    with suppress(OSError):
        path.unlink()
