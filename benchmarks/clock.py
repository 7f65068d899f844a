"""Which clock counts: other work on the machine must not.

What one thread takes of the processor is what it takes by the clock on a machine that does nothing
else. Of several threads, which wait for each other busily, only the clock tells the truth.
"""

from __future__ import annotations

import time
from collections.abc import Callable


def clock(threads: int) -> Callable[[], float]:
    """Return the function that tells the seconds: of the processor for one thread."""
    return time.process_time if threads == 1 else time.perf_counter
