"""A step that calls a layer of the catalog."""

_ACTIVATIONS = "elu gelu gelu_tanh mish relu sigmoid silu softplus softsign tanh".split()
_ANY = (
    "layers.softmax({h})",
    "layers.linear({h}, {units})",
    "layers.linear({h}, {units}, bias=False)",
    "layers.layer_norm({h})",
    "layers.rms_norm({h})",
    "layers.glu({h}, {units})",
    "layers.highway({h})",
    "layers.radial_basis({h}, {units})",
    "layers.mixture_of_experts({h}, {units}, 2)",
    "{h} + layers.linear({h}, {width})",
    "{h} * activations.sigmoid(layers.linear({h}, {width}))",
    "layers.dropout({h}, 0.25)",
    *(f"activations.{name}({{h}})" for name in _ACTIVATIONS),
)
_ROWS = (
    "layers.attention({h}, {heads})",
    "layers.attention({h}, {heads}, causal=True)",
    "layers.flatten({h})",
)


def layer(page, h):
    """Call a layer on a tensor whose first axis is the batch."""
    extents = page.shape(h)
    if len(extents) < 2 or extents[0] is not None:
        return None
    width = extents[-1]
    calls = (*_ANY, *_ROWS) if len(extents) == 3 else _ANY
    page.open(h)
    call = page.pick(calls)
    heads = page.pick([k for k in (1, 2, 3) if width % k == 0])
    units = page.pick((1, 2, 3, 5))
    return page.apply(call.format(h=h, units=units, width=width, heads=heads))
