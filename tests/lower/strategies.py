"""Random networks in the language: every kind of statement, prime extents, any order."""

import sympy
from hypothesis import strategies as st

import bpgen as bp
from bpgen import activations, layers
from bpgen.losses import mean_squared_error, softmax_cross_entropy

T, D = 3, 5
_SMOOTH = ("gelu", "gelu_tanh", "mish", "sigmoid", "silu", "sine", "softplus", "tanh")


@st.composite
def networks(draw):
    """A loss over a chain of random layers on x[n,t,d], and its outputs."""
    x = bp.input("x", T, D)
    h = x
    for k in range(draw(st.integers(1, 4))):
        step = draw(st.sampled_from(_STEPS))
        h = step(draw, h, k)
    return draw(st.sampled_from([_regression, _classification]))(h)


def _linear(draw, h, k):
    return layers.linear(
        h, draw(st.sampled_from([2, 7, 11])), name=f"fc{k}", bias=draw(st.booleans())
    )


def _activation(draw, h, k):
    return getattr(activations, draw(st.sampled_from(_SMOOTH)))(h)


def _norm(draw, h, k):
    return draw(st.sampled_from([layers.layer_norm, layers.rms_norm]))(h, name=f"norm{k}")


def _softmax(draw, h, k):
    return layers.softmax(h)


def _skip(draw, h, k):
    width = h.indices[-1].extent.value
    return h + layers.linear(h, width, name=f"skip{k}")


def _gate(draw, h, k):
    width = h.indices[-1].extent.value
    return h * activations.sigmoid(layers.linear(h, width, name=f"gate{k}"))


def _mixing(draw, h, k):
    """y[n,s,d] = Σ_t M[t,s] h[n,t,d]: a product whose result has its axes in another order."""
    n, t, d = h.indices
    s = bp.index(f"s{k}", draw(st.sampled_from([2, 7])))
    M = bp.parameter(f"mix{k}_M", t, s)
    return bp.define(f"mix{k}", (n, s, d), bp.sum(M[t, s] * h[n, t, d], over=t))


def _attention(draw, h, k):
    """a[n,t,s] = Σ_d h[n,t,d] h[n,s,d]; y[n,t,d] = Σ_s a[n,t,s] h[n,s,d]: h three times."""
    n, t, d = h.indices
    s = bp.index(f"s{k}", t.extent.value)
    a = bp.define(f"att{k}", (n, t, s), bp.sum(h[n, t, d] * h[n, s, d], over=d) / 10)
    return bp.define(f"mixed{k}", (n, t, d), bp.sum(a[n, t, s] * h[n, s, d], over=s))


def _bilinear(draw, h, k):
    """y[n,t,e] = Σ_{d,f} h[n,t,d] A[d,f,e] h[n,t,f]: three factors, taken two at a time."""
    n, t, d = h.indices
    f, e = bp.index(f"f{k}", d.extent.value), bp.index(f"e{k}", draw(st.sampled_from([2, 7])))
    A = bp.parameter(f"both{k}_A", d, f, e)
    both = bp.sum(h[n, t, d] * A[d, f, e] * h[n, t, f], over=(d, f))
    return bp.define(f"both{k}", (n, t, e), both / 10)


def _scaled(draw, h, k):
    """y = tanh(g[d] h + c[t]): broadcasts over leading and trailing axes."""
    n, t, d = h.indices
    g, c = bp.parameter(f"scale{k}_g", d), bp.parameter(f"scale{k}_c", t)
    return bp.define(f"scaled{k}", (n, t, d), sympy.tanh(g[d] * h[n, t, d] + c[t]))


_STEPS = [
    _linear, _activation, _norm, _softmax, _skip, _gate, _mixing, _attention, _bilinear, _scaled,
]  # fmt: skip


def _regression(h):
    y = bp.input("y", 3)
    z = layers.linear(layers.flatten(h), 3, name="out")
    return mean_squared_error(z, y), {"z": z}


def _classification(h):
    label = bp.label("label", classes=7)
    n, t, d = h.indices
    pooled = bp.define("pooled", (n, d), bp.mean(h[n, t, d], over=t))
    logits = layers.linear(pooled, 7, name="out")
    return softmax_cross_entropy(logits, label), {"logits": logits}
