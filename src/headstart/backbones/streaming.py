"""Work done by threads ahead of whoever takes it, never further ahead than a bound."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

Task = TypeVar("Task")
Done = TypeVar("Done")

#: Threads that open pictures; PIL and numpy let go of the interpreter while they work.
WORKERS = max(2, min(8, os.cpu_count() or 2))
_LOADING = Lock()


def in_order(function: Callable[[Task], Done], tasks: Iterable[Task], workers: int, ahead: int) -> Generator[Done]:
    """Yield function(task) in the order of the tasks; at most `ahead` results are waiting or under way.

    An error comes out where its result would have; what was not begun by then is left out.

    Examples
    --------
    >>> list(in_order(len, ["a", "bcd", ""], workers=2, ahead=2))
    [1, 3, 0]
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="headstart") as pool:
        waiting: deque[Future[Done]] = deque()
        try:
            for task in tasks:
                if len(waiting) == ahead:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(function, task))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def loaded(item: Any) -> Any:
    """Return the item; a PIL image is read first, for two threads can't read one that was given twice."""
    if hasattr(item, "load"):
        with _LOADING:
            item.load()
    return item
