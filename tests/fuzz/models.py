"""Random models: their text, which is a `model.py`."""

from contextlib import suppress

from hypothesis import strategies as st
from tests.fuzz import loops, maps, steps
from tests.fuzz.catalog import layer
from tests.fuzz.formulas import of
from tests.fuzz.page import EXTENTS, Page, Refused

STEPS = (
    steps.pointwise,
    steps.broadcast,
    steps.product,
    steps.tied,
    steps.reduction,
    steps.softmax,
    steps.standardised,
    steps.nested,
    steps.pairs,
    steps.held,
    steps.shared,
    steps.gather,
    steps.masked,
    maps.window,
    maps.window,
    maps.pooled,
    maps.convolved_twice,
    maps.sliced,
    maps.concatenated,
    maps.joined,
    maps.split,
    maps.flat,
    loops.recurrence,
    loops.repeated,
    layer,
    layer,
)
_SQUASHED = ("sympy.sin(z)", "sympy.tanh(z)", "sympy.atan(z)", "z / sympy.sqrt(4 + z**2)")


@st.composite
def models(draw, most=5):
    """The text of a model of up to `most` steps."""
    page = Page(draw)
    # A line that cannot be run ends the page: whoever runs the text is told why.
    with suppress(Refused):
        h = _start(page)
        for _ in range(page.whole(1, most)):
            step = page.pick(STEPS)
            at = h if page.whole(0, 3) else page.pick(page.tensors)
            h = step(page, at) or h
        _end(page)
    return page.text


def _start(page):
    """An input times a parameter, or a parameter alone, of one axis or more."""
    extents = [page.pick(EXTENTS[1:]) for _ in range(page.whole(1, 3))]
    while page.size(extents) > 60:
        extents.pop()
    if page.whole(0, 4):
        x = page.given("input", extents)
        at = page.open(x)
        W = page.parameter(at[1:])
        return page.define(at, f"{page.entry(x, at)} * {page.entry(W, at[1:])}")
    page.line("")
    page.begin()
    letters = tuple(page.index(e) for e in extents)
    W = page.parameter(letters)
    return page.define(letters, f"sympy.tanh({page.entry(W, letters)})")


def _end(page):
    """A loss in which every entry that nothing reads has a weight of its own."""
    means: list[str] = []
    for leaf in page.leaves:
        at = page.open(leaf)
        rest = tuple(a for a in at if not page.is_batch(a))
        n = tuple(a for a in at if page.is_batch(a))
        z = page.entry(leaf, at)
        if n or not means or page.flip():
            weight = page.given("input", [page.extent(a) for a in rest])
            n = n or (page.batch(weight),)
            z = f"({z} * {page.entry(weight, (*n, *rest))})"
            at = (*n, *rest)
        elif rest:
            z = f"({z} * {page.entry(page.parameter(rest), rest)})"
        z = of(page.pick(_SQUASHED), z)
        mean = f"bp.mean({z}, over={steps.bound(at)})" if at else z
        means.append(page.entry(page.define((), mean), ()))
    page.line("")
    page.line(f'loss = bp.define("loss", (), {" + ".join(means)})')
    page.line("model = bp.Model(loss=loss)")
