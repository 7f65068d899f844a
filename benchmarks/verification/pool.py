"""Processes that share the work: one for each core, each with one thread."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


class Pool:
    """A pool of processes, started anew so that no thread of another library is copied."""

    def __enter__(self) -> Self:
        """Start the processes."""
        self._pool = multiprocessing.get_context("spawn").Pool(os.cpu_count())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End them, whatever they are at."""
        self._pool.terminate()
        self._pool.join()

    def each(self, work: Callable[[In], Out], over: Iterable[In]) -> Iterator[Out]:
        """Yield what `work` makes of each of `over`, as it comes."""
        return self._pool.imap_unordered(work, over)
