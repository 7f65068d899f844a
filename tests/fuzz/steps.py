"""Steps of one formula each: entries, products, reductions, groups, gathers, shared tensors.

A step takes the page and the tensor it reads, and returns the tensor it defined; None if it cannot
read that tensor.
"""

from itertools import permutations

from tests.fuzz.formulas import PAIRS, SMOOTH, SWITCHED, of
from tests.fuzz.page import EXTENTS


def formula(page, z):
    return of(page.pick((*SMOOTH, *SWITCHED)), z)


def pointwise(page, h):
    at = page.open(h)
    return page.define(page.order(at), formula(page, page.entry(h, at)))


def broadcast(page, h):
    """A parameter that has some of the axes."""
    at = page.open(h)
    own = page.some(page.free(at))
    t = page.parameter(page.order(own))
    return page.define(at, of(page.pick(PAIRS), page.entry(h, at), page.whole_of(t)))


def product(page, h):
    """Sums of products with a parameter, over one axis or two, a third staying in both."""
    at = page.open(h)
    sums = _chosen(page, at)
    if not sums:
        return None
    kept = [a for a in at if a not in sums]
    k = page.index(page.pick(EXTENTS[1:]), "kfg")
    if not page.fits([*kept, k]):
        return None
    stack = page.some([a for a in kept if not page.is_batch(a)])[:1]
    W = page.parameter(page.order((*sums, k, *stack)))
    body = f"{page.entry(h, at)} * {page.whole_of(W)}"
    return page.define(page.order([*kept, k]), f"bp.sum({body}, over={bound(sums)})")


def _chosen(page, at, most=2):
    """Some axes, never the batch."""
    free = page.free(at)
    return page.order(free)[: page.whole(1, most)] if free else ()


def bound(letters):
    return letters[0] if len(letters) == 1 else f"({', '.join(letters)})"


def tied(page, h):
    """One parameter in two places: there and back by the same matrix."""
    at = page.open(h)
    free = page.free(at)
    if not free:
        return None
    a = page.pick(free)
    k = page.index(page.pick(EXTENTS[1:]), "kfg")
    W = page.parameter((a, k))
    to = tuple(k if i == a else i for i in at)
    if not page.fits(to):
        return None
    code = page.define(to, f"bp.sum({page.entry(h, at)} * {page.entry(W, (a, k))}, over={a})")
    back = f"bp.sum({page.entry(code, to)} * {page.entry(W, (a, k))}, over={k})"
    return page.define(at, f"sympy.tanh({back})" if page.flip() else back)


def reduction(page, h):
    """A sum, a mean or a maximum, of a formula, over axes and perhaps over the batch."""
    at = page.open(h)
    if not at:
        return None
    over = page.order(at)[: page.whole(1, 2)]
    kind = page.pick(("sum", "mean", "max"))
    z = formula(page, page.entry(h, at))
    if page.flip():
        own = page.some(page.free(at))
        t = page.parameter(own)
        z = f"{z} * {page.whole_of(t)}" if page.flip() else f"({z} + {page.whole_of(t)})**2"
    if kind == "max" and any(page.is_batch(a) for a in over):
        kind = "mean"
    return page.define(
        page.order([a for a in at if a not in over]), f"bp.{kind}({z}, over={bound(over)})"
    )


def softmax(page, h):
    """Shares of exponentials, shifted by a maximum that is held."""
    at = page.open(h)
    over = _chosen(page, at)
    if page.size(page.extent(a) for a in over) == 1:
        return None  # the share of one is 1
    row = tuple(a for a in at if a not in over)
    z = page.entry(h, at)
    m = page.define(row, f"bp.hold(bp.max({z}, over={bound(over)}))")
    e = page.define(at, f"sympy.exp({z} - {page.entry(m, row)})")
    s = page.define(row, f"bp.sum({page.entry(e, at)}, over={bound(over)})")
    return page.define(at, f"{page.entry(e, at)} / {page.entry(s, row)}")


def standardised(page, h):
    """Centred by the mean, divided by the deviation."""
    at = page.open(h)
    over = page.order(at)[: page.whole(1, 2)]
    if page.size(page.extent(a) for a in over) == 1:
        return None  # one number, centred, is 0
    row = tuple(a for a in at if a not in over)
    z = page.entry(h, at)
    mean = page.define(row, f"bp.mean({z}, over={bound(over)})")
    centred = f"({z} - {page.entry(mean, row)})"
    var = page.define(row, f"bp.mean({centred}**2, over={bound(over)})")
    return page.define(at, f"{centred} / sympy.sqrt({page.entry(var, row)} + 0.1)")


def nested(page, h):
    """Sums and maxima inside a formula, over an index of their own."""
    at = page.open(h)
    free = page.free(at)
    if not free:
        return None
    a = page.pick(free)
    b = page.index(page.extent(a), "uvs")
    z = page.entry(h, at)
    other = page.entry(h, tuple(b if i == a else i for i in at))
    form = page.pick(
        (
            "z / (1 + bp.sum(t**2, over=b))",
            "z * bp.max(t, over=b)",
            "z - bp.hold(bp.mean(t, over=b))",
            "z + sympy.tanh(bp.sum(sympy.sin(t) * z, over=b)) / 2",
            "bp.sum(bp.where(b > a, t, z), over=b)",
            "bp.sum(sympy.exp(-(z - t)**2), over=b)",
            "bp.sum(bp.where(sympy.Ne(a, b), z * t, 0), over=b) + z",
        )
    )
    for node, letter in (
        ("over=b", f"over={b}"),
        ("b > a", f"{b} > {a}"),
        ("Ne(a, b)", f"Ne({a}, {b})"),
    ):
        form = form.replace(node, letter)
    return page.define(at, of(form, z, other))


def pairs(page, h):
    """Two positions of one tensor: `a[i,j] = Σ h[i,d] h[j,d]`, and back by that."""
    at = page.open(h)
    free = page.free(at)
    if len(free) < 2:
        return None
    a, d = page.order(free)[:2]
    b = page.index(page.extent(a), "sjv")
    other = tuple(b if i == a else i for i in at)
    to = tuple(b if i == d else i for i in at)
    score = f"bp.sum({page.entry(h, at)} * {page.entry(h, other)}, over={d}) / 10"
    m = page.define(to, score)
    if page.flip():
        return m
    return page.define(at, f"bp.sum({page.entry(m, to)} * {page.entry(h, other)}, over={b})")


def held(page, h):
    at = page.open(h)
    z = page.entry(h, at)
    return page.define(at, page.pick((f"{z} * bp.hold(sympy.tanh({z}))", f"{z} + bp.hold({z}**2)")))


def shared(page, h):
    """Two tensors that were there before."""
    at = page.open(h)
    others = [t for t in (*page.tensors, *page.parameters) if t != h]
    for g in page.order(others)[:6]:
        places = [p for p in permutations(at, len(page.shape(g))) if _same(page, p, g)]
        if places:
            read = page.entry(g, page.pick(places))
            return page.define(at, of(page.pick(PAIRS), page.entry(h, at), read))
    return None


def _same(page, at, tensor):
    return tuple(page.extent(a) for a in at) == page.shape(tensor)


# ---- addresses that are data ---------------------------------------------------------------------


def gather(page, h):
    """An axis read at labels, of each example or of each position."""
    at = page.open(h)
    free = page.free(at)
    if not free:
        return None
    a = page.pick(free)
    own = [i for i in free if i != a]
    kept = [i for i in at if i != a]
    along = page.pick((None, *own, "new"))
    if along == "new":
        extent = page.pick((2, 3, 5))
    elif along:
        extent = page.extent(along)
    sizes = [extent] if along else []
    tokens = page.given("label", sizes, f", classes={page.extent(a)}")
    if along == "new":
        along = page.index(extent, "tsj")
        kept.append(along)
    batch = [i for i in at if page.is_batch(i)]
    n = batch[0] if batch else page.batch(tokens)
    if not batch:
        kept.insert(0, n)
    if not page.fits(kept):
        return None
    address = page.entry(tokens, (n, along) if along else (n,))
    z = page.entry(h, tuple(address if i == a else i for i in at))
    return page.define(page.order(kept), formula(page, z) if page.flip() else z)


def masked(page, h):
    """A choice by positions, or by labels."""
    at = page.open(h)
    free = page.free(at)
    batch = [i for i in at if page.is_batch(i)]
    z = page.entry(h, at)
    if len(free) > 1 and page.flip():
        a, b = page.order(free)[:2]
        condition = f"{a} >= {b}"
    elif batch and page.flip():
        tokens = page.given("label", [], ", classes=3")
        condition = f"{page.entry(tokens, batch)} > 0"
    elif free:
        condition = f"{page.pick(free)} > 0"
    else:
        return None
    return page.define(at, f"bp.where({condition}, {z}, {formula(page, z)})")
