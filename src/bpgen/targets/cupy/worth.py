"""Whether a panel that is in no memory is worth its sums, which are computed several times.

For an entry of a panel, the bytes that its tensors take in memory are counted, as often as a kernel
writes or reads them, against the multiply-adds of the products that it follows from, as often as a
kernel needs them. Whatever takes longer, a panel that is too large for memory is not there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import prod

from bpgen.ir.expr import accesses
from bpgen.targets.cupy.ends import is_half
from bpgen.targets.cupy.fusion import Member, Total, bodies
from bpgen.targets.cupy.panels import Panel, end_of, panel_read
from bpgen.targets.cupy.shapes import Axes

FLOAT = 4  # bytes
# What an H200 does in a second: bytes that are copied, as measured; multiply-adds of a library in
# float32, and of tiles in shared memory, of which each takes half a read there, about.
_BYTES, _LIBRARY, _TILES = 4.3e12, 25e12, 12e12
_LEAST = 64  # rows and columns: a tile
_MOST = 2**31  # bytes of an example: a GPU of 128 GiB has no room for 64 of these
_UNKNOWN = 64  # what a free extent counts as


def is_worth(panel: Panel, groups: Sequence[Sequence[Member]], local: Collection[str]) -> bool:
    """Whether it is sooner done to compute a panel anew; `local` are in no memory without that."""
    if min(_size(panel.rows), _size(panel.columns)) < _LEAST:
        return False
    kept = panel.parts.keys() - set(local)
    example = prod(i.extent.value or 1 for i in panel.indices)
    if FLOAT * example * len(kept) > _MOST:
        return True
    once, again = _multiply_adds(panel, (m for group in groups for m in group))
    moved = FLOAT * sum(_touched(group, kept) for group in groups)
    return again / _TILES < once / _LIBRARY + moved / _BYTES


def _touched(group: Sequence[Member], kept: Collection[str]) -> int:
    """Return how many tensors of a panel the kernel of a group writes or reads."""
    names = {m.part.out.name for m in group}
    names |= {a.name for m in group for body in bodies(m.part) for a in accesses(body)}
    return len(names & set(kept))


def _multiply_adds(panel: Panel, members: Iterable[Member]) -> tuple[float, float]:
    """Return how many an entry takes if the panel is in memory, and if it is not."""
    once = again = 0.0
    for part in (m.part for m in members):
        end = end_of(part, panel) if panel_read(part, [panel]) else None
        if part.out.name in panel.parts and isinstance(part, Total):
            once += _size(part.term.over)
        if end is not None:
            products, _ = panel.sources([end.body])
            across = _size(end.across) if end.across else 0
            sums = across + sum(_size(panel.product(a.name)[0].term.over) for a in products)
            once += across
            again += sums * (0.5 if is_half(end, panel) else 1)
    return once, again


def _size(indices: Axes) -> int:
    return prod(i.extent.value or _UNKNOWN for i in indices)
