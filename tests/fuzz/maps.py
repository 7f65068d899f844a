"""Steps that read elsewhere than at an index: windows, slices, joins, digits.

Each takes the page and the tensor it reads, and returns the tensor it defined; None if it cannot
read that tensor.
"""

from itertools import product

from tests.fuzz.formulas import SMOOTH, of
from tests.fuzz.steps import bound


def window(page, h):
    """A sum over windows along one axis or two: step, gap, border, channels, filters."""
    found = _windows(page, h, page.whole(1, 2))
    if found is None:
        return None
    at, places, positions, kernel = found
    axes = {a for a, _ in places}
    rest = [a for a in at if a not in axes and not page.is_batch(a)]
    channels = page.some(rest)[:1]
    stack = page.some([a for a in rest if a not in channels])[:1]
    filters = (page.index(page.pick((1, 2, 3)), "fgk"),) if page.flip() else ()
    out = [dict(zip(axes_of(places), positions, strict=True)).get(a, a) for a in at]
    out = [a for a in out if a not in channels]
    if not page.fits([*out, *filters]):
        return None
    W = page.parameter(page.order((*filters, *channels, *stack, *kernel)))
    z = _entry(page, h, at, places)
    z = of(page.pick(SMOOTH), z) if page.flip() else z
    body = f"{z} * {page.whole_of(W)}"
    over = page.order((*channels, *kernel))
    return page.define(page.order([*out, *filters]), f"bp.sum({body}, over={bound(over)})")


def pooled(page, h):
    """A maximum, a mean or a sum over windows."""
    found = _windows(page, h, page.whole(1, 2))
    if found is None:
        return None
    at, places, positions, kernel = found
    kind = page.pick(("max", "mean", "sum"))
    outside = ", -sympy.oo" if kind == "max" and _all_touch(page, places, positions, kernel) else ""
    z = _entry(page, h, at, places, outside)
    if page.flip() and not outside:
        W = page.parameter(kernel)
        z = f"{z} * {page.whole_of(W)}"
    moved = dict(zip(axes_of(places), positions, strict=True))
    out = [moved.get(a, a) for a in at]
    if not page.fits(out):
        return None
    return page.define(page.order(out), f"bp.{kind}({z}, over={bound(page.order(kernel))})")


def axes_of(places):
    return [a for a, _ in places]


def _windows(page, h, count):
    """Draw windows along `count` axes: the axes' letters, what reads each, positions, kernel."""
    at = page.open(h)
    free = page.free(at)
    if not free:
        return None
    places, positions, kernel = [], [], []
    for a in page.order(free)[:count]:
        length = page.extent(a)
        size, step, gap = page.whole(1, 3), page.whole(1, 3), page.whole(1, 3)
        border = page.whole(0, 2)
        span = gap * (size - 1) + 1
        if length + 2 * border < span:
            return None
        most = (length + 2 * border - span) // step + 1
        count = max(1, most - page.whole(0, 1))
        i, u = page.index(count, "ijhpq"), page.index(size, "uvw")
        sign = page.pick((1, 1, -1))
        offset = -border if sign > 0 else gap * (size - 1) - border
        place = (step, i, sign * gap, u, offset)
        if not any(0 <= value < length for value in _values(page, place)):
            return None  # all of it is border
        places.append((a, place))
        positions.append(i)
        kernel.append(u)
    return at, places, tuple(positions), tuple(kernel)


def _entry(page, h, at, places, outside=""):
    """Write the entry; with what stands outside, if it can leave the tensor."""
    written = {a: _place(place) for a, place in places}
    z = page.entry(h, tuple(written.get(a, a) for a in at))
    leaves = any(
        not 0 <= value < page.extent(a) for a, place in places for value in _values(page, place)
    )
    return f"bp.pad({z}{outside})" if leaves or (outside and page.flip()) else z


def _place(place):
    step, i, gap, u, offset = place
    text = f"{step} * {i}" if step > 1 else i
    text += f" {'+' if gap > 0 else '-'} " + (f"{abs(gap)} * {u}" if abs(gap) > 1 else u)
    return text + (f" {'+' if offset > 0 else '-'} {abs(offset)}" if offset else "")


def _values(page, place):
    step, i, gap, u, offset = place
    ranges = range(page.extent(i)), range(page.extent(u))
    return [step * a + gap * b + offset for a, b in product(*ranges)]


def _all_touch(page, places, positions, kernel):
    """Whether every window holds an entry of the tensor."""
    for a, (step, i, gap, u, offset) in places:
        for k in range(page.extent(i)):
            reach = [step * k + gap * b + offset for b in range(page.extent(u))]
            if not any(0 <= value < page.extent(a) for value in reach):
                return False
    return True


def convolved_twice(page, h):
    """One entry read through two windows, `h + u + v`, by one kernel or two."""
    at = page.open(h)
    free = page.free(at, least=3)
    if not free:
        return None
    a = page.pick(free)
    u = page.index(2, "uvw")
    v = page.index(2, "vwz")
    i = page.index(page.extent(a) - 2, "ijp")
    z = page.entry(h, tuple(f"{i} + {u} + {v}" if b == a else b for b in at))
    out = [i if b == a else b for b in at]
    W = page.parameter(page.order(page.pick(((u, v), (u,)))))
    return page.define(out, f"bp.sum({z} * {page.whole_of(W)}, over={bound((u, v))})")


def sliced(page, h):
    """A part of an axis: shifted, strided, reversed, one entry of it, a diagonal, a difference."""
    at = page.open(h)
    free = page.free(at)
    if not free:
        return None
    a = page.pick(free)
    length = page.extent(a)
    equal = [b for b in free if b != a and page.extent(b) == length]
    kinds = ["entry", "reversed", "moved", "stepped", "difference", "upsampled", "border"]
    kind = page.pick(kinds + ["diagonal"] * 2 * bool(equal))

    def read(place):
        return page.entry(h, tuple(place if b == a else b for b in at))

    if kind == "entry":
        return page.define([b for b in at if b != a], read(str(page.whole(0, length - 1))))
    if kind == "reversed":
        return page.define(at, read(f"{length - 1} - {a}"))
    if kind == "diagonal":
        b = page.pick(equal)
        z = page.entry(h, tuple(a if c == b else c for c in at))
        return page.define([c for c in at if c != b], z)
    if kind == "border":
        low, high = page.whole(0, 2), page.whole(0, 2)
        j = page.index(length + low + high, "jkp")
        return _along(page, at, a, j, f"bp.pad({read(f'{j} - {low}' if low else j)})")
    begin = page.whole(0, length - 1)
    step = page.whole(1, 3) if kind == "stepped" else 1
    count = page.whole(1, (length - 1 - begin) // step + 1)
    if kind == "difference" and length > 1:
        j = page.index(length - 1, "jkp")
        return _along(page, at, a, j, f"{read(f'{j} + 1')} - bp.pad({read(j)})")
    j = page.index(count, "jkp")
    place = f"{step} * {j}" if step > 1 else j
    z = read(f"{place} + {begin}") if begin else read(place)
    # An index alone visits a whole axis; a part of it is what is inside.
    z = f"bp.pad({z})" if place == j and not begin else z
    return _along(page, at, a, j, of(page.pick(SMOOTH), z))


def _along(page, at, a, j, formula):
    to = [j if b == a else b for b in at]
    return page.define(page.order(to), formula) if page.fits(to) else None


def concatenated(page, h):
    """Two tensors side by side along an axis."""
    at = page.open(h)
    free = page.free(at)
    if not free:
        return None
    a = page.pick(free)
    length = page.extent(a)
    same = [t for t in page.tensors if _agrees(page, t, at, a)]
    g = page.pick(same)
    width = page.shape(g)[at.index(a)]
    j = page.index(length + width, "jkp")

    def read(tensor, place):
        return f"bp.pad({page.entry(tensor, tuple(place if b == a else b for b in at))})"

    scale = page.pick(("", "2 * ", "-"))
    formula = f"{read(h, j)} + {scale}{read(g, f'{j} - {length}')}"
    return _along(page, at, a, j, formula.replace("+ -", "- "))


def _agrees(page, tensor, at, a):
    extents = page.shape(tensor)
    mine = [page.extent(b) for b in at]
    return len(extents) == len(mine) and all(
        e == m or (b == a and e is not None) for e, m, b in zip(extents, mine, at, strict=True)
    )


def joined(page, h):
    """An axis of the left side that joins two: two that are there, or one and copies of it."""
    at = page.open(h)
    free = page.free(at)
    if not free:
        return None
    a, *others = page.order(free)
    z = page.entry(h, at)
    if others and page.flip():
        b = others[0]
        out = [f"{page.extent(b)} * {a} + {b}" if c == a else c for c in at if c != b]
        return page.define(out, z)
    r = page.index(page.pick((2, 3)), "ruv")
    if not page.fits([*at, r]):
        return None
    if page.flip():
        W = page.parameter((r,))
        z = f"{z} * {page.whole_of(W)}"
    fine = f"{page.extent(r)} * {a} + {r}"
    coarse = f"{page.extent(a)} * {r} + {a}"
    place = page.pick((fine, fine, coarse))
    return page.define([place if c == a else c for c in at], z)


def split(page, h):
    """An axis read as two, the wide step first or last."""
    at = page.open(h)
    found = [(a, r) for a in at if not page.is_batch(a) for r in (2, 3) if page.extent(a) % r == 0]
    if not found:
        return None
    a, radix = page.pick(found)
    wide = page.index(page.extent(a) // radix, "gbp")
    r = page.index(radix, "rsq")
    z = page.entry(h, tuple(f"{radix} * {wide} + {r}" if b == a else b for b in at))
    out = [c for b in at for c in ((wide, r) if b == a else (b,))]
    if page.flip():
        W = page.parameter((r,))
        z = f"{z} * {page.whole_of(W)}"
    return page.define(page.order(out), z)


def flat(page, h):
    """Two axes read by the digits of one, in either order."""
    at = page.open(h)
    free = page.free(at)
    if len(free) < 2:
        return None
    a, b = page.order(free)[:2]
    wide, low = page.extent(a), page.extent(b)
    j = page.index(wide * low, "jdq")
    digits = {a: f"Digit({j}, {low}, {wide})", b: f"Digit({j}, 1, {low})"}
    z = page.entry(h, tuple(digits.get(c, c) for c in at))
    out = [j if c == a else c for c in at if c != b]
    return page.define(out, of(page.pick(SMOOTH), z) if page.flip() else z)
