"""Whether a panel that is in no memory is worth its sums, which are computed several times.

For an entry of a panel, the bytes that its tensors take in memory are counted, as often as a kernel
writes or reads them, against the multiply-adds of the products that it follows from, as often as a
kernel needs them. A panel that the cache holds stays as it is, and one that no memory holds does
not, whatever takes longer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import prod

from bpgen.ir.expr import accesses
from bpgen.targets.cupy.ends import is_along, is_half
from bpgen.targets.cupy.fusion import Member, Total, bodies
from bpgen.targets.cupy.panels import Panel, end_of, panel_read
from bpgen.targets.cupy.shapes import Axes

_FLOAT = 4  # bytes
# What an H200 does in a second: bytes that are copied, as measured; multiply-adds of a library in
# float32, three quarters of its peak; those of tiles, which have one half of a processor's turns,
# for they read from shared memory and work out where the operands lie in the others.
_BYTES, _LIBRARY, _TILES = 4.3e12, 25e12, 15e12
_TILE = 64  # rows and columns
_CACHED = 2**20  # bytes of an example: 64 of them are in a cache of 50 MB, or nearly
_HUGE = 2**33  # bytes of an example from forward to backward: 16 of them fill a GPU of 128 GiB
_UNKNOWN = 64  # what a free extent counts as

Groups = Sequence[Sequence[Member]]


def is_worth(panel: Panel, forward: Groups, backward: Groups, local: Collection[str]) -> bool:
    """Whether it is sooner done to compute a panel anew; `local` are in no memory without that."""
    size = _FLOAT * prod(i.extent.value or 1 for i in panel.indices)
    if min(_size(panel.rows), _size(panel.columns)) < _TILE or size < _CACHED:
        return False
    kept = panel.parts.keys() - set(local)
    saved = _read(backward) & {m.part.out.name for group in forward for m in group} & kept
    if size * len(saved) > _HUGE:
        return True
    groups = (*forward, *backward)
    once, again = _multiply_adds(panel, (m for group in groups for m in group))
    moved = sum(len((_read([g]) | {m.part.out.name for m in g}) & kept) for g in groups)
    return again / _TILES < once / _LIBRARY + _FLOAT * moved / _BYTES


def _read(groups: Groups) -> set[str]:
    """Return the names of what kernels read."""
    found = (bodies(m.part) for group in groups for m in group)
    return {a.name for own in found for body in own for a in accesses(body)}


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
            along = (a for a in products if is_along(a, end))
            sums = across + sum(_size(panel.product(a.name)[0].term.over) for a in along)
            once += across
            again += sums * (0.5 if is_half(end, panel) else 1)
    return once, again


def _size(indices: Axes) -> int:
    return prod(i.extent.value or _UNKNOWN for i in indices)
