"""What was scored already, kept in a file, so that a search that was stopped goes on where it was."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from headstart.choose.candidates import Candidate
from headstart.domain import Domain
from headstart.errors import InputError
from headstart.evidence.gain import Metric
from headstart.version import __version__

#: Beyond any method's written form: scikit-learn shortens what is longer.
LONGEST = 1_000_000


class Kept:
    """Scores of fits, one JSON line each, found again by what was fitted on what.

    Parameters
    ----------
    path : path
        Made if it is not there; new lines are added to its end.
    about : sequence of Domain
        All that is learned from or scored on.
    plan : Plan
        How rows become numbers.

    Raises
    ------
    InputError
        When the file holds something else.
    """

    def __init__(self, path: str | Path, about: list[Domain], plan: Any) -> None:
        self.path = Path(path)
        self.about = "".join([__version__, repr(plan.vectorizer), *map(fingerprint, about)])
        self._lock = Lock()
        self._found: dict[str, tuple[list[float], float]] = {}
        if not self.path.exists():
            return
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.path}: can't be read as kept scores; name another file") from error
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                self._found[entry["key"]] = [float(value) for value in entry["utilities"]], float(entry["seconds"])
            except (ValueError, KeyError, TypeError) as error:
                # The last line of a search that was killed may be cut off.
                if number == len(lines) and not line.endswith("\n"):
                    self._cut(lines)
                    break
                raise InputError(f"{self.path}, line {number}: is no kept score; name another file") from error

    def find(self, candidate: Candidate, held: np.ndarray, metric: Metric) -> tuple[np.ndarray, float] | None:
        """Return utilities and seconds of a fit without the held-out rows, if it was made before."""
        found = self._found.get(self._key(candidate, held, metric))
        return None if found is None else (np.array(found[0]), found[1])

    def add(
        self, candidate: Candidate, held: np.ndarray, metric: Metric, utilities: np.ndarray, seconds: float
    ) -> None:
        """Write down what a fit scored on the held-out rows."""
        key, values = self._key(candidate, held, metric), [float(value) for value in utilities]
        entry = {"key": key, "candidate": candidate.name, "utilities": values, "seconds": seconds}
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            self._found[key] = values, seconds

    def _key(self, candidate: Candidate, held: np.ndarray, metric: Metric) -> str:
        who = candidate.name, _written(candidate.method), _written(candidate.learner), str(candidate.alone)
        about = "\n".join([*who, metric.name, self.about])
        return sha256(about.encode() + np.packbits(held).tobytes()).hexdigest()

    def _cut(self, lines: list[str]) -> None:
        self.path.write_text("".join(lines[:-1]), encoding="utf-8")


def fingerprint(domain: Domain) -> str:
    """Return a hash of all that a domain holds; the same rows in another order have another."""
    from joblib import hash as hash_of

    parts = domain.X, domain.y, domain.origin, domain.weight, domain.pair, domain.items
    return f"{domain.name} {domain.task} {hash_of(parts)}"


def _written(thing: Any) -> str:
    return thing.__repr__(N_CHAR_MAX=LONGEST) if hasattr(thing, "get_params") else repr(thing)
