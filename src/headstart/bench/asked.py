"""What a benchmark is asked for, and what it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.errors import InputError, unknown_name


@dataclass(frozen=True)
class Asked:
    """What to measure.

    Parameters
    ----------
    data : Path
        The folder with the data sets.
    only, methods : sequences of str
        Data sets and methods or families; empty for all.
    draws : int, optional
        Random draws; by default what the data set has.
    jobs : int
        Fits at the same time.
    models : Path, optional
        The folder with pretrained networks.
    cells : Path, optional
        A file in which each figure is kept as soon as it is measured, and from which it is not measured again.
    say, note : callables
        Are told in a line how far the work is, and what was skipped and why.
    """

    data: Path
    only: Sequence[str] = ()
    methods: Sequence[str] = ()
    draws: int | None = None
    jobs: int = 1
    models: Path | None = None
    cells: Path | None = None
    say: Callable[[str], None] = lambda line: None
    note: Callable[[str], None] = lambda line: None

    def sets(self, needed: Mapping[str, str]) -> Iterator[str]:
        """Yield the data sets that are wanted and there; `needed` names the file or folder of each.

        Raises
        ------
        InputError
            When a wanted one does not exist, or none is there.
        """
        for wanted in self.only:
            if wanted not in needed:
                raise InputError(unknown_name("data set", wanted, needed))
        found = False
        for name, place in needed.items():
            if self.only and name not in self.only:
                continue
            if (self.data / place).exists():
                found = True
                yield name
            else:
                self.note(f"skipped: {name}, for {place} is not in {self.data}")
        if not found:
            raise InputError(f"{self.data}: holds none of the data sets of this benchmark")


@dataclass(frozen=True)
class Shown:
    """A table to print: what was measured, its columns, and its cells."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
