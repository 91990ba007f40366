"""Word vectors and bilingual dictionaries from text files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from headstart.errors import InputError

#: Rows that are collected before they are put into one array.
CHUNK = 4096


def read_vectors(path: str | Path, most: int | None = 200_000) -> tuple[list[str], np.ndarray]:
    r"""Read word vectors in the text format of word2vec, fastText and GloVe.

    A first line "n d" may tell how many words follow, and of how many numbers; then one line a word: the word, and its
    numbers. Words may hold blanks: the numbers are counted from the right. Such files list frequent words first, and
    that order is kept. Of a word that stands twice the first vector stays. Bytes of a word that are not UTF-8 are
    replaced by U+FFFD. A file that ends in .gz is unpacked on the way.

    Parameters
    ----------
    path : path
    most : int, optional
        Words after which reading ends; None for all.

    Returns
    -------
    words : list of str
    E : float32 array of shape (n, d)

    Raises
    ------
    InputError
        When there is no such file, a line is broken, or lines are missing at the end. The line is named.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "two.vec")
    >>> _ = path.write_text("2 3\ncat 1 0 0.5\nNew York 0 1 -1e-1\n")
    >>> words, E = read_vectors(path)
    >>> words, E[1]
    (['cat', 'New York'], array([ 0. ,  1. , -0.1], dtype=float32))
    """
    path = Path(path)
    if most is not None and most < 1:
        raise InputError(f"most must be 1 or more, or None for all words, not {most}")
    words: dict[str, None] = {}
    chunks: list[np.ndarray] = []
    rows: list[np.ndarray] = []
    with _opened(path) as file:
        lines = enumerate(file, start=1)
        announced, d, first = _head(path, lines)
        n_lines = 0
        for number, line in _from(first, lines):
            if not line.strip():
                continue
            n_lines += 1
            word, row = _parsed(line, d, path, number)
            if word in words:
                continue
            words[word] = None
            rows.append(row)
            if len(rows) == CHUNK:
                chunks.append(np.stack(rows))
                rows.clear()
            if len(words) == most:
                break
        else:
            if announced is not None and n_lines < announced:
                raise InputError(f"{path}: ends after {n_lines} of {announced} words; it is cut off, get it again")
    if rows:
        chunks.append(np.stack(rows))
    return list(words), np.concatenate(chunks)


def read_dictionary(path: str | Path) -> list[tuple[str, str]]:
    r"""Read a bilingual dictionary as MUSE has them: a source word and a target word a line, in the file's order.

    The two are parted by a tab, or, in a line without one, by blanks. A word may stand in several lines.

    Raises
    ------
    InputError
        When there is no such file, it is empty, or a line does not hold two words.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "en-de.txt")
    >>> _ = path.write_text("cat Katze\nNew York\tNew York\n")
    >>> read_dictionary(path)
    [('cat', 'Katze'), ('New York', 'New York')]
    """
    path = Path(path)
    found = []
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            text = _text(line, path, number).strip()
            if not text:
                continue
            both = [part.strip() for part in (text.split("\t") if "\t" in text else text.split())]
            if len(both) != 2 or not all(both):
                raise InputError(
                    f"{path}, line {number}: {_shown(line)} is not a source word and a target word; "
                    "write the two with a tab between"
                )
            found.append((both[0], both[1]))
    if not found:
        raise InputError(f"{path}: is empty")
    return found


def positions(
    dictionary: Iterable[tuple[str, str]], source_words: Sequence[str], target_words: Sequence[str]
) -> np.ndarray:
    """Return the entries of a dictionary as positions in two lists of words, shape (p, 2).

    Entries with a word that is in neither list are left out; of a word that stands twice the first counts.

    Raises
    ------
    InputError
        When none is left.

    Examples
    --------
    >>> positions([("cat", "Katze"), ("dog", "Hund"), ("cat", "Kater")], ["a", "cat"], ["Kater", "Katze"])
    array([[1, 1],
           [1, 0]])
    """
    source = {word: i for i, word in reversed(list(enumerate(source_words)))}
    target = {word: j for j, word in reversed(list(enumerate(target_words)))}
    pairs = [(source[s], target[t]) for s, t in dictionary if s in source and t in target]
    if not pairs:
        raise InputError("no entry of the dictionary has both words among the vectors; check languages and upper case")
    return np.array(pairs)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    if path.suffix != ".gz":
        with path.open("rb") as file:
            yield file
        return
    try:
        with gzip.open(path) as packed:
            yield packed  # type: ignore[misc]
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: can't be unpacked ({error}); get it again") from error


def _head(path: Path, lines: Iterator[tuple[int, bytes]]) -> tuple[int | None, int, tuple[int, bytes] | None]:
    """Return how many words the first line tells of, the columns, and the first line where it is a word's."""
    number, line = next(((number, line) for number, line in lines if line.strip()), (0, b""))
    parts = line.removeprefix(b"\xef\xbb\xbf").split()
    if not parts:
        raise InputError(f"{path}: is empty")
    if len(parts) == 2 and all(part.isdigit() for part in parts):
        if int(parts[0]) < 1 or int(parts[1]) < 1:
            raise InputError(
                f"{path}, line {number}: tells of {parts[0].decode()} words of {parts[1].decode()} numbers"
            )
        return int(parts[0]), int(parts[1]), None
    if len(parts) == 1:
        raise InputError(f"{path}, line {number}: {_shown(line)} has no numbers; give a word and its numbers a line")
    return None, len(parts) - 1, (number, line.removeprefix(b"\xef\xbb\xbf"))


def _from(first: tuple[int, bytes] | None, lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    if first is not None:
        yield first
    yield from lines


def _parsed(line: bytes, d: int, path: Path, number: int) -> tuple[str, np.ndarray]:
    # Bytes are split at ASCII blanks only: words of many languages hold others, and they are part of the word.
    word, *numbers = line.rsplit(None, d)
    if len(numbers) < d:
        raise InputError(
            f"{path}, line {number}: {_shown(line)} has {len(numbers)} numbers after the word, and {d} are wanted; "
            "delete the line, or correct it"
        )
    try:
        # In double precision first: a number beyond float32 is then found without a warning.
        row = np.array(numbers, dtype=np.float64)
    except ValueError:
        row = np.full(d, np.nan)
    if not np.abs(row).max() <= np.finfo(np.float32).max:
        raise InputError(
            f"{path}, line {number}: {_shown(line)} does not end in {d} finite numbers; delete the line, or correct it"
        )
    return word.lstrip().decode("utf-8", errors="replace"), row.astype(np.float32)


def _text(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {number}: is not UTF-8 text; save the file as UTF-8") from error


def _shown(line: bytes) -> str:
    text = line.decode("utf-8", errors="replace").strip()
    return repr(text if len(text) <= 40 else text[:37] + "...")
