"""Models that the search found, cut down to what was wrong."""

import pytest
from tests.fuzz import laws

_HEAD = '''"""A model that was found."""

import sympy

import bpgen as bp
from bpgen.declare import Digit

x = bp.input("x", 4, 6)
n, a, b = x.indices
W = bp.parameter("W", a, b)
y = bp.define("y", (n, a, b), x[n, a, b] * W[a, b])
'''
_TAIL = """
at = z.indices
c = bp.parameter("c", *(i for i in at if i.extent.value))
own = c[tuple(i for i in at if i.extent.value)]
loss = bp.define("loss", (), bp.mean(sympy.sin(own * z[at]), over=at))
model = bp.Model(loss=loss)
"""
FOUND = {
    "two indices of one extent have two letters": """
v = bp.define("v", (n, a, b), sympy.tanh(y[n, a, b]))
i, h = bp.index("i", 6), bp.index("h", 6)
z = bp.define("z", (n, i, h), v[n, 0, i] * sympy.sin(v[n, 1, h]))
""",
    "a window of a maximum may leave the end of an axis out": """
i, j, u, v = bp.index("i", 2), bp.index("j", 2), bp.index("u", 2), bp.index("v", 2)
z = bp.define("z", (n, i, j), bp.max(y[n, i + u, 2 * j + v], over=(u, v)))
""",
    "a border takes a letter that no other axis has": """
h, b, i, u = bp.index("h", 4), bp.index("b", 2), bp.index("k", 1), bp.index("u", 1)
V, U = bp.parameter("V", h, b), bp.parameter("U", u)
s = bp.define("s", (h, b), sympy.tanh(V[h, b]))
q = bp.define("q", (i, b), bp.sum(s[3 * i - u, b] * U[u], over=u))
z = bp.define("z", (n, i, b), sympy.tanh(q[i, b]) * y[n, 0, 1])
""",
    "an index may visit the first entries of an axis": """
j = bp.index("j", 5)
z = bp.define("z", (n, a, j), y[n, a, j + 1] - bp.pad(y[n, a, j]))
""",
    "the first entries of an axis may be read with another sign": """
j = bp.index("j", 1)
z = bp.define("z", (n, j, b), -bp.pad(y[n, j, b]))
""",
    "a window that is a join need not be read by all its digits": """
i, u = bp.index("i", 1), bp.index("u", 6)
z = bp.define("z", (n, a, i), bp.mean(y[n, a, i + u], over=u))
""",
    "a state is read by another index as any tensor is": """
j = bp.index("j", 3)
s = bp.recurrence("s", (n, a, b), over=a)
s.becomes(sympy.tanh(y[n, a, b] + s[n, a - 1, b]))
z = bp.define("z", (n, j, b), s[n, j + 1, b] ** 2)
""",
    "the digits of a join are its indices": """
j = bp.index("j", 24)
z = bp.define("z", (n, j), sympy.tanh(y[n, Digit(j, 6, 4), Digit(j, 1, 6)]) ** 2)
""",
    "digits out of order are laid out": """
j = bp.index("j", 24)
z = bp.define("z", (n, j), sympy.tanh(y[n, Digit(j, 1, 4), Digit(j, 4, 6)]) ** 2)
""",
    "digits that are whole numbers are laid out": """
j = bp.index("j", 24)
z = bp.define("z", (n, j), y[n, Digit(j, 1, 4), Digit(j, 4, 6)])
""",
    "a view has no part of an axis": """
m, i, o = bp.index("m", 1), bp.index("i", 1), bp.index("o", 1)
g, r = bp.index("g", 2), bp.index("r", 3)
V = bp.parameter("V", m)
s = bp.define("s", (n, o, b), sympy.sin(y[n, o + 1, b]))
t = bp.define("t", (n, o, g, r), s[n, o, 3 * g + r])
z = bp.define("z", (n, i, g, r), bp.sum(V[m] * t[n, 2 * i + m, g, r], over=m))
""",
    "the sign of a number with a root is kept": """
e = bp.define("e", (n, a, b), sympy.exp(-(y[n, a, b] ** 2)))
z = bp.define("z", (n, a, b), sympy.erf(e[n, a, b]))
""",
    "the square of a difference that is 0 is a number": """
k, u = bp.index("k", 2), bp.index("u", 2)
V = bp.parameter("V", b, k)
s = bp.define("s", (n, k), bp.sum(sympy.atan(y[n, 1, b]) * V[b, k], over=b))
z = bp.define("z", (n, k), bp.sum(sympy.exp(-((s[n, k] - s[n, u]) ** 2)) * s[n, u], over=u))
""",
    "the gradient of a bias over turns lies as the bias does": """
from bpgen import activations, layers
wide = bp.repeat(lambda h: h + layers.linear(activations.tanh(h), 6), 2, y)
z = bp.recurrence("z", (n, a, b), over=b)
z.becomes(sympy.tanh(wide[n, a, b] + z[n, a, b - 1]))
""",
    "what lies turn by turn does not lie batch last as well": """
h = bp.recurrence("h", (n, a, b), over=a)
h.becomes(sympy.tanh(y[n, a, b] + h[n, a - 1, b]))
i, u = bp.index("i", 4), bp.index("u", 3)
V = bp.parameter("V", u)
wide = bp.define("wide", (n, i, b), bp.sum(bp.pad(y[n, i - 2 * u + 2, b]) * V[u], over=u))
z = bp.define("z", (n, i, b), wide[n, i, b] * h[n, i, b])
""",
    "a turn reads the run of an axis that two indices make up": """
h = bp.recurrence("h", (n, a, b), over=a)
h.becomes(sympy.tanh(y[n, a, b] + h[n, a - 1, b]))
z = bp.define("z", (n, 6 * a + b), h[n, a, b])
""",
    "a loop goes on beyond the part of a tensor that is read after it": """
h = bp.recurrence("h", (n, a, b), over=a)
h.becomes(sympy.tanh(y[n, a, b] + h[n, a + 1, b]))
j = bp.index("j", 2)
z = bp.define("z", (n, j, b), sympy.exp(sympy.tanh(bp.pad(h[n, j, b]))))
""",
    "a cotangent is 0 beyond its tensor, and what it reads is not": """
h, i, j, u = bp.index("h", 1), bp.index("k", 1), bp.index("j", 6), bp.index("u", 1)
t = bp.define("t", (n, h, b), bp.mean(y[n, h + u, b], over=u))
s = bp.define("s", (n, i, b), bp.pad(y[n, i, b]))
z = bp.define("z", (n, j, b), bp.pad(t[n, j, b]) + bp.pad(s[n, j, b]) + bp.pad(y[n, j - 1, b]))
""",
    "one index may move a window and its kernel": """
i, j, u, v = bp.index("i", 2), bp.index("j", 3), bp.index("u", 3), bp.index("v", 3)
entry = bp.pad(y[n, 2 * i + u - 1, 2 * j + v - 1], -sympy.oo)
z = bp.define("z", (n, i, j), bp.max(entry, over=(u, v)))
""",
}


@pytest.mark.parametrize("sentence", FOUND)
def test_a_model_that_was_found_is_proved_and_computed(sentence):
    text = f"{_HEAD}{FOUND[sentence]}{_TAIL}"
    assert laws.is_proved(text)
    assert laws.is_computed(text)
