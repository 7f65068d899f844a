"""Kernels on the CPU can be watched by the sanitizers of g++ (`make sanitize`)."""

import pytest

from bpgen.device.arrays import Device
from bpgen.device.host import SANITIZED

NOISY = '''"""A network with noise of every law, of several shapes."""
import bpgen as bp
from bpgen.activations import tanh
from bpgen.layers import dropout, linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adamw

x = bp.input("x", 5)
label = bp.label("label", classes=3)
h = dropout(tanh(linear(x, 7, name="fc1")), 1 / 3)
n, d = h.indices
turned = bp.noise("turned", (d, n), "uniform")
normal = bp.noise("normal", (n, d), "normal")
single = bp.noise("single", (), "uniform")
mixed = bp.define("mixed", (n, d), h[n, d] * (1 + turned[d, n]) + normal[n, d] / 9 + single[()])
logits = linear(mixed, 3, name="fc2")
model = bp.Model(softmax_cross_entropy(logits, label), {"logits": logits}, adamw(0.01))
'''


@pytest.fixture
def noisy(tmp_path):
    """The path of a model with noise of every law."""
    path = tmp_path / "noisy.py"
    path.write_text(NOISY, encoding="utf-8")
    return path


def pytest_addoption(parser):
    parser.addoption("--sanitize", action="store_true", help="watch every access of kernels")


@pytest.fixture
def device(request):
    """A device on the CPU, watched if that is asked for."""
    watched = request.config.getoption("--sanitize", default=False)
    return Device(options=SANITIZED if watched else ())
