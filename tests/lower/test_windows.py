"""What lowering decides about windows changes memory and time, and no number."""

import re
from math import prod
from typing import Any

import numpy as np
import pytest

import bpgen as bp
from bpgen import layers
from bpgen.activations import relu
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.emit import module, numpy_view
from bpgen.execute.load import load_module
from bpgen.ir.program import Contract, Fold, Place, steps_of
from bpgen.losses import mean_squared_error, softmax_cross_entropy
from bpgen.lower import lower
from bpgen.lower.batch_last import batch_last
from bpgen.lower.folds import folded
from bpgen.optimizers import sgd

ZOO = ("lenet_digits", "resnet_digits", "conv_autoencoder")


def program(layer, *extents):
    """A network: the layer of an input times a parameter, then a linear layer."""
    x = bp.input("x", *extents)
    digit = bp.label("digit", classes=3)
    s = bp.parameter("s", *x.indices[1:])
    z = layer(bp.define("y", x.indices, x[x.indices] * s[x.indices[1:]]))
    logits = layers.linear(layers.flatten(z), 3, name="fc")
    net = network(softmax_cross_entropy(logits, digit), {"logits": logits}, name="layer")
    return lower(derive(net), sgd())


def conv(filters, kernel, **options):
    return lambda y: relu(layers.conv2d(y, filters, kernel, name="c", **options))


def statements(found, kind):
    return [s for step in steps_of(found.backward) for s in step.statements if isinstance(s, kind)]


@pytest.mark.parametrize("name", ZOO)
def test_tiles_of_any_size_give_the_same_gradient(name, tmp_path, monkeypatch):
    model = bp.load(name)
    gradients = []
    # 1 entry: each tile is one row; 700: some rows; 2^40: one tile.
    for entries in (1, 700, 1 << 40):
        monkeypatch.setattr(numpy_view, "ENTRIES", entries)
        text = model.source(dtype="float64")
        path = tmp_path / f"{name}_{entries}.py"
        path.write_text(text, encoding="utf-8")
        net: Any = load_module(path)
        gradients.append(net.loss_and_grad(net.init(0), **net.example(7))[1].flat)
    largest = np.abs(gradients[0]).max()
    for gradient in gradients[1:]:
        # Sums of float64 in another order.
        assert np.abs(gradient - gradients[0]).max() <= 1e-13 * largest


def test_the_batch_lies_last_where_windows_move_and_nowhere_else():
    found = batch_last(program(conv(5, 3, padding=1), 2, 7, 11))
    assert {"y_pad", "z1", "relu1", "d_z1", "d_y_pad"} <= found.moves.keys()
    assert found.arrays["z1"].indices[-1].extent.value is None
    assert found.tensors["z1"].indices[0].extent.value is None
    assert not {"x", "s", "c_W", "flat1", "logits"} & found.moves.keys()


def test_rows_of_features_keep_their_order_after_a_convolution():
    def tokens(y):
        z = layers.reshape(layers.conv2d(y, 4, 3, padding=1, name="c"), 4, 77)
        t = layers.transpose(z, 0, 2, 1)
        return layers.linear(t, 4, name="rows") + t

    found = batch_last(program(tokens, 2, 7, 11))
    assert "y_pad" in found.moves
    assert not any(n in found.moves for n in ("turned1", "sum1", "d_turned1"))


def test_a_network_without_windows_is_left_as_it_is():
    found = program(lambda y: layers.linear(y, 5, name="rows"), 7, 11)
    assert batch_last(folded(found)) is found


# Many filters of few channels: what is gathered is long, what a product lays down is short.
@pytest.mark.parametrize(
    ("channels", "filters", "folds"), [(2, 64, True), (64, 2, False), (16, 16, True)]
)
def test_an_input_gradient_takes_the_cheaper_way(channels, filters, folds):
    found = folded(program(conv(filters, 5), channels, 14, 14))
    assert bool(statements(found, Fold)) is folds
    borders = [s.out.name for s in statements(found, Place)]
    assert any(name.startswith("padded_d_") for name in borders) is not folds


def test_a_fold_never_makes_the_border_that_it_replaces():
    before = program(conv(64, 3, stride=2, padding=1), 5, 9, 9)
    after = folded(before)
    (one,) = statements(after, Fold)
    made = {s.equation.out.name for s in steps_of(after.backward)}
    assert one.entry.name == "d_z1"
    assert "padded_d_z1" not in made
    assert "padded_d_z1" in {s.equation.out.name for s in steps_of(before.backward)}
    assert len(statements(after, Contract)) == len(statements(before, Contract)) - 1
    after.check()


# A sum along the rows of both operands is slow where the result has few rows.
@pytest.mark.parametrize(("channels", "filters"), [(1, 64), (16, 16)])
def test_a_weight_gradient_has_its_longer_side_first_while_tiles_are_summed(
    channels, filters, tmp_path
):
    path = tmp_path / "layer.py"
    path.write_text(module(program(conv(filters, 5), channels, 14, 14), "layer.py"), "utf-8")
    lines = path.read_text("utf-8").split("# ∂L/∂c_W[")[1].split("\n\n")[0]
    shape = re.search(r"out=\S+\.reshape\(([^,]+), ([^,]+)\)", lines)
    assert shape is not None, lines
    extents = vars(load_module(path))
    rows, columns = (prod(extents[e] for e in size.split(" * ")) for size in shape.groups())
    assert {rows, columns} == {filters, channels * 25}
    assert rows > columns


@pytest.mark.parametrize("batch", [5, 32, 64])
def test_rows_of_a_tile_do_not_begin_a_multiple_of_2_kb_apart(batch, tmp_path):
    path = tmp_path / "layer.py"
    path.write_text(module(program(conv(16, 5), 3, 20, 20), "layer.py"), "utf-8")
    net: Any = load_module(path)
    held = vars(net.Workspace(batch))
    (tile,) = (x for name, x in held.items() if name.startswith("u_cuv"))
    rows = tile.reshape(3 * 25, -1)
    assert np.shares_memory(rows, tile)  # no copy
    assert rows.strides[0] % 2048 != 0


def test_tiles_that_are_multiplied_lie_apart(tmp_path):
    # The rows of both factors of this weight gradient are copied, tile by tile.
    x, target = bp.input("x", 3, 5), bp.input("target", 5, 4)
    z = layers.conv1d(layers.linear(x, 7, name="fc"), 5, 3, stride=2, padding=1, name="conv")
    found = lower(derive(network(mean_squared_error(z, target), {"z": z}, name="layer")), sgd())
    path = tmp_path / "layer.py"
    path.write_text(module(found, "layer.py"), "utf-8")
    net: Any = load_module(path)
    tiles = re.findall(r"np.copyto\(a\.(\w+), .*\[:?,? ?tile\]", path.read_text("utf-8"))
    held = vars(net.Workspace(6))
    one, other = (held[name] for name in tiles[-2:])
    assert not np.shares_memory(one, other)


def test_the_place_in_a_window_is_called_as_no_argument_of_a_function(tmp_path):
    # The third axis of such a window is called s: so is the memory of an optimizer.
    x, target = bp.input("x", 5), bp.input("target", 2, 1, 2, 3)
    image = layers.reshape(layers.linear(x, 60, name="wide"), 1, 3, 4, 5)
    z = layers.conv3d(image, 2, 2, dilation=2, name="c")
    net = network(mean_squared_error(z, target), {"z": z}, name="layer")
    found = lower(derive(net), sgd())
    text = module(found, "layer.py", dtype="float64")
    assert "np.ndindex" in text
    path = tmp_path / "layer.py"
    path.write_text(text, encoding="utf-8")
    code: Any = load_module(path)
    params, batch = code.init(0), code.example(3)
    params = code.Params(params.flat.astype(np.float64))
    _, gradient = code.loss_and_grad(params, **batch)
    h, v = 1e-6, np.random.default_rng(5).standard_normal(params.flat.size)
    up, down = (code.loss(code.Params(params.flat + k * h * v), **batch) for k in (1, -1))
    # A central difference: the loss cancels to about eps / h of its size.
    assert abs((up - down) / (2 * h) - gradient.flat @ v) <= 1e-7 * np.abs(gradient.flat * v).sum()
