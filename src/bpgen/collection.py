"""Symbolic work without Python's cycle collector, which would take half of its time.

Deriving makes millions of small objects that refer to one another and form no cycles; the collector
looks at all of them again and again, and frees nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Pause the cycle collector; also a decorator of functions that do symbolic work."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
