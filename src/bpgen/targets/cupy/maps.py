"""Entry by entry: a map, and the maps after it over the same entries.

Where arrays are read and written at the very entry that a thread computes, the formula is one of
values, and 16 bytes of each array move at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bpgen.targets.cupy.fusion import Part
from bpgen.targets.cupy.kernel import Draft, count
from bpgen.targets.cupy.shapes import Axes, Written, call, in_lambda, placed, size, stores


def write_maps(draft: Draft, group: Sequence[Part]) -> Written:
    """Return the kernel that computes a group of maps."""
    space = draft.moving(group[0].out.indices)
    i = draft.flatten(space, "i")
    lines = [line for part in group for line in stores(draft, part)]
    values = {p: k for p, k in draft.whole().items() if _is_read_at(i, p, lines)} if space else {}
    if not all(pointer in values for pointer in draft.written_pointers()):
        parameter = f"int {i}" if space else "int"
        body = in_lambda(parameter, [*draft.decode(i, space), *placed(draft, group, lines)])
        return Written(call("each", [size(draft, space)], [body]), "each", (count(space),))
    return _of_values(draft, space, i, lines, values)


def _is_read_at(i: str, pointer: str, lines: Sequence[str]) -> bool:
    """Whether every entry of an array that stands in `lines` is the one at `i`."""
    text = "\n".join(lines)
    found = re.findall(rf"\b{pointer}\b(?:\[{i}\])?", text)
    return bool(found) and set(found) == {f"{pointer}[{i}]"}


def _of_values(
    draft: Draft, space: Axes, i: str, lines: Sequence[str], values: dict[str, str]
) -> Written:
    """Return the kernel whose formula takes the entries of `values`, by pointer and type."""
    for pointer in values:
        lines = [re.sub(rf"\b{pointer}\[{i}\]", pointer, line) for line in lines]
    body = [*draft.decode(i, space), *lines]
    is_counted = any(re.search(rf"\b{i}\b", line) for line in body)
    written = draft.written_pointers()
    given = [f"int {i}" if is_counted else "int"]
    given += [f"{kind} {'&' if p in written else ''}{p}" for p, kind in values.items()]
    body = in_lambda(", ".join(given), body)
    text = call("each_of", [size(draft, space)], [body], list(values))
    return Written(text, "each_of", (count(space),))
