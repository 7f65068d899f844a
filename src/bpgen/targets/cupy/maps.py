"""Entry by entry: a map, and the maps after it over the same entries.

Where arrays are read and written at the very entry that a thread computes, the formula is one of
values, and 16 bytes of each array move at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

from bpgen.targets.cupy.fusion import Part
from bpgen.targets.cupy.kernel import Draft, count
from bpgen.targets.cupy.shapes import Axes, Written, call, in_lambda, placed, size, stores

FEW = {"real": 4, "narrow": 8}  # entries that a thread moves at once, 16 bytes of the shortest


def write_maps(draft: Draft, group: Sequence[Part]) -> Written:
    """Return the kernel that computes a group of maps."""
    out = group[0].out
    space = draft.moving(out.indices)
    i = draft.flatten(space, "i")
    lines = [line for part in group for line in stores(draft, part)]
    place = draft.place(out)
    begin = place.removesuffix(i).removesuffix(" + ")
    values = {p: kind for p, kind in draft.whole().items() if _is_read_at(place, p, lines)}
    is_of_values = place.endswith(i) and all(p in values for p in draft.written_pointers())
    if space and is_of_values and (not begin or _is_aligned(draft, space)):
        return _of_values(draft, space, lines, place, values)
    parameter = f"int {i}" if space else "int"
    body = in_lambda(parameter, [*draft.decode(i, space), *placed(draft, group, lines)])
    return Written(call("each", [size(draft, space)], [body]), "each", (count(space),))


def _is_read_at(place: str, pointer: str, lines: Sequence[str]) -> bool:
    """Whether every entry of an array that stands in `lines` is the one at `place`."""
    found = re.findall(rf"\b{pointer}\b(?:\[{re.escape(place)}\])?", "\n".join(lines))
    return bool(found) and set(found) == {f"{pointer}[{place}]"}


def _is_aligned(draft: Draft, space: Axes) -> bool:
    """Whether entries over `space` that follow others begin at a multiple of 16 bytes."""
    return prod(i.extent.value or 1 for i in space) % FEW[draft.memory.factor] == 0


def _of_values(
    draft: Draft, space: Axes, lines: Sequence[str], place: str, values: dict[str, str]
) -> Written:
    """Return the kernel whose formula takes the entries of `values`, by pointer and type."""
    i = draft.flat[space]
    for pointer in values:
        lines = [re.sub(rf"\b{pointer}\[{re.escape(place)}\]", pointer, line) for line in lines]
    body = [*draft.decode(i, space), *lines]
    is_counted = any(re.search(rf"\b{i}\b", line) for line in body)
    written, begin = draft.written_pointers(), place.removesuffix(i).removesuffix(" + ")
    given = [f"int {i}" if is_counted else "int"]
    given += [f"{kind} {'&' if p in written else ''}{p}" for p, kind in values.items()]
    start = draft.names.of(("start",), "start")
    arrays = [f"{pointer} + {start}" if begin else pointer for pointer in values]
    formula = in_lambda(", ".join(given), body)
    text = call("each_of", [size(draft, space)], [formula], arrays)
    head = (f"const int {start} = {begin};",) if begin else ()
    return Written((*head, *text), "each_of", (count(space),))
