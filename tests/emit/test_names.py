"""Names that an author may choose, and that the emitted module would like to have for itself."""

import re
from typing import Any

import numpy as np
import pytest
import sympy

import bpgen as bp
from bpgen import layers
from bpgen.errors import NameSyntaxError
from bpgen.execute.load import load_module
from bpgen.execute.proof import gradient_of
from bpgen.losses import mean_squared_error
from bpgen.optimizers import sgd
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT64

GREEDY = '''"""Tensors called like scratch registers, constants, functions and arguments."""
import sympy
import bpgen as bp
from bpgen.layers import layer_norm, linear
from bpgen.losses import softmax_cross_entropy

forward_x = bp.input("loss_x", 5)
n, d = forward_x.indices
u_nd = bp.define("u_nd", (n, d), sympy.tanh(forward_x[n, d] * 2) * sympy.exp(-forward_x[n, d] ** 2))
a = bp.define("a", (n, d), u_nd[n, d] + sympy.sin(u_nd[n, d]) * u_nd[n, d] ** 3)
ONES_N = linear(a, 7, name="np")
g = layer_norm(ONES_N, name="p")
u_n = bp.define("u_n", (n,), bp.mean(g[g.indices] ** 2, over=g.indices[1]))
MEAN_N = bp.define("MEAN_N", g.indices, g[g.indices] * u_n[n])
label = bp.label("y", classes=3)
logits = linear(MEAN_N, 3, name="backward")
model = bp.Model(softmax_cross_entropy(logits, label), {"logits": logits})
'''


def test_no_name_of_the_author_is_overwritten(tmp_path):
    path = tmp_path / "greedy.py"
    path.write_text(GREEDY, encoding="utf-8")
    model = bp.load(path)
    net = model.emit(path=tmp_path / "greedy_numpy.py", dtype="float64")
    derivation = model.derive().derivation
    rng = np.random.default_rng(0)
    params = {t.name: rng.normal(size=t.shape) for t in model.network.parameters}
    batch = net.example(11)
    loss, gradient = gradient_of(net, model.network, "float64")(params, batch)
    extents = {e: e.value or 11 for e in derivation.network.extents()}
    known = evaluate(derivation.network.equations, {**params, **batch}, extents, FLOAT64)
    np.testing.assert_allclose(loss, known[model.network.loss], rtol=1e-12)
    for name, found in gradient.items():
        np.testing.assert_allclose(found, known[f"d_{name}"], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", ["BATCH", "sIZE"])
def test_an_index_may_be_called_as_a_number_of_the_module(tmp_path, name):
    path = tmp_path / "greedy.py"
    greedy = GREEDY.replace("n, d = forward_x.indices", f'n, d = forward_x.indices[0], "{name}"')
    greedy = greedy.replace(f'"{name}"', f'bp.index("{name}", 5)')
    path.write_text(greedy, encoding="utf-8")
    net = bp.load(path).emit(path=tmp_path / "greedy_numpy.py")
    assert len(net.init().flat) == net.SIZE
    batch = net.example(11)
    alone, shared = (net.Trainer(net.init(), threads=k).step(**batch) for k in (1, 2))
    assert shared == pytest.approx(alone, rel=1e-6)


def test_an_input_may_be_called_as_the_update_calls_its_numbers(tmp_path):
    path = tmp_path / "numbers.py"
    adam = GREEDY.replace('{"logits": logits})', '{"logits": logits}, adam(1e-3))')
    adam = adam.replace("import sympy", "import sympy\nfrom bpgen.optimizers import adam")
    path.write_text(adam.replace('"loss_x"', '"t"').replace('"y"', '"lr"'), encoding="utf-8")
    net = bp.load(path).emit(path=tmp_path / "numbers_numpy.py")
    trainer, batch = net.Trainer(net.init(), batch=11), net.example(11)
    losses = [trainer.step(**batch) for _ in range(50)]
    assert losses[-1] < losses[0]


HOSTILE = '"""\\ import os # '


def test_a_hostile_file_name_or_docstring_stays_text(tmp_path):
    path = tmp_path / f"a{HOSTILE}.py"
    body = GREEDY.split('"""', 2)[2]
    path.write_text(f"__doc__ = {HOSTILE!r}{body}", encoding="utf-8")
    net = bp.load(path).emit(path=tmp_path / "hostile_numpy.py")
    assert np.isfinite(net.loss(net.init(), **net.example(3)))


def test_an_output_is_called_by_a_name(tmp_path):
    path = tmp_path / "quoted.py"
    path.write_text(GREEDY.replace('{"logits": logits}', "{'a\"b': logits}"), encoding="utf-8")
    with pytest.raises(NameSyntaxError):
        bp.load(path)


def test_a_buffer_of_a_long_name_may_lie_in_another_one(tmp_path):
    h = bp.input("x", 2, 5, 7)
    for k in range(4):
        z = layers.conv2d(h, 2, 3, padding=1, name=f"c{k}")
        long = f"what_becomes_of_an_image_after_{k}_layers_of_windows"
        h = bp.define(long, z.indices, sympy.tanh(z[z.indices]))
    model = bp.Model(mean_squared_error(h, bp.input("y", 2, 5, 7)), {"h": h}, sgd())
    path = tmp_path / "net.py"
    path.write_text(model.source(), encoding="utf-8")
    net: Any = load_module(path)
    images = (x for name, x in vars(net.Activations(3)).items() if name.endswith("_windows_pad"))
    one, _, other = images
    assert np.shares_memory(one, other)


@pytest.mark.parametrize("name", ["x" * 65, f"d_{'y' * 70}", f"2{'z' * 64}"])
def test_a_name_of_too_many_letters_is_refused_with_a_shorter_one(name):
    with pytest.raises(NameSyntaxError) as refused:
        bp.index(name, 3)
    (shorter,) = re.findall(r"Call it '(\w+)'", str(refused.value))
    assert len(shorter) <= 64
    assert bp.index(shorter, 3).name == shorter
