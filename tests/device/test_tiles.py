"""A large convolution is a product of matrices by the library: its windows are copied to a tile."""

from typing import Any

import numpy as np
import pytest

import bpgen as bp
from bpgen.device.host import has_compiler
from bpgen.device.standin import installed
from bpgen.execute.load import load_module
from bpgen.summary import memory

WIDE = '''"""Two wide convolutions, one of which moves by two."""
import bpgen as bp
from bpgen.activations import tanh
from bpgen.layers import conv2d
from bpgen.losses import mean_squared_error
from bpgen.optimizers import sgd

x, y = bp.input("x", 65, 13, 19), bp.input("y", 71, 7, 10)
h = tanh(conv2d(x, 67, 3, padding=1, name="conv1"))
z = conv2d(h, 71, 3, stride=2, padding=1, bias=False, name="conv2")
model = bp.Model(mean_squared_error(z, y), {"z": z}, sgd(0.1))
'''
ROWS = 2


@pytest.fixture
def wide(tmp_path):
    """A model whose convolutions are worth a copy of their windows."""
    path = tmp_path / "wide.py"
    path.write_text(WIDE, encoding="utf-8")
    return bp.load(path)


def test_the_windows_of_a_large_convolution_are_copied_and_those_of_a_small_one_are_not(wide):
    text = wide.source("cupy")
    assert text.count("k.matmul(") == 5  # two forwards, two for the kernels, one for h
    assert "k.product(" not in text
    assert "x_pad_tile[n,c,u,v,h,w] = x_pad[n,c,h+u,v+w]" in text
    assert "tiles" not in bp.load("resnet_digits").source("cupy")


@pytest.mark.skipif(not has_compiler(), reason="needs g++")
@pytest.mark.parametrize("with_library", [True, False])
def test_a_convolution_by_tiles_is_that_of_the_host(wide, tmp_path, with_library):
    for target in ("numpy", "cupy"):
        (tmp_path / f"{target}.py").write_text(wide.source(target, "float64"), encoding="utf-8")
    with installed(with_library=with_library):
        host, device = (load_module(tmp_path / f"{t}.py") for t in ("numpy", "cupy"))
    batch = host.example(ROWS)
    expected, grads = host.loss_and_grad(host.init(1), **batch)
    found, grads_found = device.loss_and_grad(device.init(1), **batch)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    for name in host.PARAMETERS:  # sums of some hundred products, in another order
        got, right = getattr(grads_found, name).get(), getattr(grads, name)
        np.testing.assert_allclose(got, right, rtol=1e-9, atol=1e-12 * np.abs(right).max())
    one, other = host.Trainer(host.init(1), ROWS), device.Trainer(device.init(1), ROWS)
    for _ in range(3):
        np.testing.assert_allclose(other.step(**batch), one.step(**batch), rtol=1e-11)


@pytest.mark.skipif(not has_compiler(), reason="needs g++")
def test_the_memory_of_tiles_is_foretold(wide, tmp_path):
    (tmp_path / "net.py").write_text(wide.source("cupy"), encoding="utf-8")
    with installed():
        net: Any = load_module(tmp_path / "net.py")
    allocated = sum(tile.nbytes for tile in net.Workspace(ROWS).tiles)
    assert memory(wide.program(), ROWS)["tiles"] == allocated
