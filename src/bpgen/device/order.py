"""What streams do in order, and what the host and they know of each other.

Work in one stream is done in order, work in two of them in any, unless one waits for an event of
the other. Who reads what another stream writes, or writes what it reads, must know that it is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bpgen.device.fault import require

HOST, NULL = -1, 0  # who knows; streams of modules count from 1
Known = dict[int, int]  # of each stream, how much of its work is done


@dataclass(slots=True)
class Pinned:
    """Memory of the host that a copy may still be reading: until `until`, it must be as `then`."""

    memory: NDArray[np.uint8]
    until: tuple[int, int] | None = None
    then: bytes = b""

    def settle(self, known: Mapping[int, int]) -> None:
        """Take note of what the host knows; nobody may have written before the copy was done."""
        if self.until is not None and known.get(self.until[0], 0) >= self.until[1]:
            require(self.memory.tobytes() == self.then, "pinned memory is written while it is read")
            self.until = None

    def lend(self, stream: int, until: int) -> None:
        """Be read by a copy, which is the work `until` of a stream."""
        require(self.until is None, "pinned memory is used again, and nobody waited for its copy")
        self.until, self.then = (stream, until), self.memory.tobytes()


@dataclass(slots=True)
class Order:
    """How much each stream has done, what is known of it where, and who used which memory last.

    The null stream waits for all others, and they for it.
    """

    done: Known = field(default_factory=lambda: {NULL: 0})
    known: dict[int, Known] = field(default_factory=lambda: {HOST: {}, NULL: {}})
    writes: dict[int, tuple[int, int]] = field(default_factory=dict)
    reads: dict[int, Known] = field(default_factory=dict)
    pins: list[Pinned] = field(default_factory=list)

    def stream(self) -> int:
        """Return the number of a new stream."""
        number = len(self.done)
        self.done[number], self.known[number] = 0, {}
        return number

    def forget(self, memory: int) -> None:
        """Take note that memory is new."""
        self.writes.pop(memory, None)
        self.reads.pop(memory, None)

    def work(self, stream: int, reads: Iterable[int], writes: Iterable[int]) -> int:
        """Do work in a stream that uses memory, by address; return its number there.

        Errors: DeviceError if other work with that memory may still be going on.
        """
        known = self.known[stream]
        _learn(known, self.known[HOST])
        _learn(known, self.done if stream == NULL else self.recorded(NULL))
        own, read = set(writes), set(reads)
        for memory in own | read:
            users = [self.writes[memory]] if memory in self.writes else []
            users += self.reads.get(memory, {}).items() if memory in own else []
            for other, number in users:
                is_done = other == stream or known.get(other, 0) >= number
                require(is_done, "a stream uses memory that another one uses, and does not wait")
        self.done[stream] = number = self.done[stream] + 1
        for memory in own:
            self.writes[memory] = (stream, number)
            self.reads[memory] = {}
        for memory in read - own:
            self.reads.setdefault(memory, {})[stream] = number
        return number

    def recorded(self, stream: int) -> Known:
        """Return what who waits for this moment of a stream knows."""
        return {**self.known[stream], stream: self.done[stream]}

    def wait(self, who: int, moment: Known) -> None:
        """Let a stream, or the host, wait for a moment."""
        _learn(self.known[who], moment)
        if who == HOST:
            for pinned in self.pins:
                pinned.settle(self.known[HOST])


def _learn(known: Known, more: Mapping[int, int]) -> None:
    for stream, number in more.items():
        known[stream] = max(known.get(stream, 0), number)
