"""Steps that read their own entries: a recurrence along an axis, and blocks that are repeated."""


def recurrence(page, h):
    """A state along an axis, upwards or downwards, by a number or by a matrix."""
    at = page.open(h)
    free = page.free(at)
    if not free:
        return None
    t, *others = page.order(free)
    before = f"{t} {page.pick('-+')} 1"
    state = page.name("y")
    page.line(f'{state} = bp.recurrence("{state}", ({", ".join(at)},), over={t})')
    if others and page.flip():
        k = others[0]
        j = page.index(page.extent(k), "jus")
        U = page.parameter((j, k))
        at_before = tuple({t: before, k: j}.get(a, a) for a in at)
        moved = f"bp.sum({page.entry(state, at_before)} * {page.whole_of(U)}, over={j})"
    else:
        U = page.parameter(page.some(others))
        at_before = tuple(before if a == t else a for a in at)
        moved = f"{page.entry(state, at_before)} * {page.whole_of(U)}"
    formula = f"sympy.tanh({page.entry(h, at)} + {moved})"
    return page.becomes(state, formula)


def repeated(page, h):
    """A block of layers, some times."""
    extents = page.shape(h)
    if len(extents) < 2 or extents[0] is not None:
        return None
    width = extents[-1]
    block = page.pick(
        (
            "activations.tanh(layers.linear(z, {width}))",
            "z + layers.linear(activations.silu(layers.linear(z, 2)), {width})",
            "layers.layer_norm(z + layers.linear(z, {width}))" if width > 1 else "z * 0.5 + {h}",
            "activations.sine(z) + z",
        )
    )
    page.open(h)
    times = page.whole(1, 3)
    return page.apply(f"bp.repeat(lambda z: {block.format(width=width, h=h)}, {times}, {h})")
