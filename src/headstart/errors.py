"""What can be wrong, said in one line.

Every error that headstart raises on purpose is a `HeadstartError`. Its message says what is wrong, where
(file, row, column) and what to do about it; the command line prints that line and exits with status 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class HeadstartError(Exception):
    """Anything that headstart refuses on purpose."""


class InputError(HeadstartError, ValueError):
    """The data, a file or an argument is not what it should be."""


class NeedsError(HeadstartError, ValueError):
    """A method needs something that the data or the learner does not offer."""


class StoreError(HeadstartError, ValueError):
    """A saved model or knowledge file can't be trusted, read or written."""


def listed(names: Iterable[object], limit: int = 8) -> str:
    """Write names for a message: quoted, in order, cut after `limit`."""
    quoted = [repr(str(name)) for name in names]
    more = f" and {len(quoted) - limit} more" if len(quoted) > limit else ""
    return ", ".join(quoted[:limit]) + more


def unknown_name(kind: str, name: object, known: Iterable[object], where: str = "") -> str:
    """Say that `name` is not there, and name the close ones, or all of them.

    >>> unknown_name("column", "desease", ["age", "sex", "disease"], "heart.csv")
    "heart.csv: no column 'desease'; did you mean 'disease'?"
    """
    names = [str(item) for item in known]
    by_fold = {item.casefold().strip(): item for item in names}
    close = get_close_matches(str(name).casefold().strip(), by_fold, n=3, cutoff=0.6)
    hint = f"did you mean {listed(by_fold[item] for item in close)}?" if close else f"there is {listed(names)}"
    return f"{where + ': ' if where else ''}no {kind} {str(name)!r}; {hint}"
