"""Convolutions, pools and index maps: proved, printed as a textbook has them, lean in memory."""

import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import sympy

import bpgen as bp
from bpgen import layers
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.execute.proof import checked
from bpgen.losses import softmax_cross_entropy
from bpgen.lower import lower
from bpgen.optimizers import momentum
from bpgen.spell import FormulaSpeller, order_of


def built(layer, *extents):
    """A network: the layer of an input times a parameter, each entry weighed differently."""
    x = bp.input("x", *extents)
    at = x.indices
    s = bp.parameter("s", *at[1:])
    z = layer(bp.define("y", at, x[at] * s[at[1:]]))
    weight = bp.input("weight", *(i.extent.value for i in z.indices[1:]))
    entry = sympy.sin(z[z.indices] * weight[z.indices])
    return network(bp.define("loss", (), bp.mean(entry, over=z.indices)), {"z": z}, name="layer")


def source(net, dtype="float64"):
    return module(lower(derive(net), momentum(0.1)), "layer.py", dtype=dtype)


PROVED = {
    "conv1d": (lambda y: layers.conv1d(y, 3, 3, stride=2, padding=2, dilation=2), (2, 7)),
    "conv2d": (lambda y: layers.conv2d(y, 3, (3, 2), stride=(1, 2), padding=1), (2, 5, 7)),
    "conv2d in groups": (lambda y: layers.conv2d(y, 6, 3, groups=2), (4, 5, 5)),
    "conv2d by channel": (lambda y: layers.conv2d(y, 3, 3, groups=3, padding=1), (3, 5, 4)),
    "conv2d, steps wider than the kernel": (lambda y: layers.conv2d(y, 2, 2, stride=3), (1, 7, 5)),
    "two convolutions of one image": (
        lambda y: layers.conv2d(y, 3, 3, stride=2, padding=1) + layers.conv2d(y, 3, 1, stride=2),
        (2, 4, 6),
    ),
    "conv3d": (lambda y: layers.conv3d(y, 2, 2, stride=2, padding=1), (2, 3, 4, 3)),
    "conv_transpose2d": (
        lambda y: layers.conv_transpose2d(y, 3, 3, stride=2, padding=1, output_padding=1),
        (2, 3, 4),
    ),
    "conv_transpose2d with gaps": (
        lambda y: layers.conv_transpose2d(y, 4, 2, stride=(2, 1), dilation=3, groups=2),
        (2, 3, 2),
    ),
    "max_pool": (lambda y: layers.max_pool(y, 3, stride=2, padding=1), (2, 5, 7)),
    "max_pool of volumes": (lambda y: layers.max_pool(y, 2, dilation=(1, 2, 1)), (1, 3, 5, 4)),
    "avg_pool": (lambda y: layers.avg_pool(y, 3, stride=2, padding=1), (2, 5, 7)),
    "adaptive_average_pool": (lambda y: layers.adaptive_average_pool(y, (3, 7)), (2, 5, 4)),
    "upsample": (lambda y: layers.upsample(y, (2, 3)), (2, 3, 2)),
    "upsample linear": (lambda y: layers.upsample(y, 3, mode="linear"), (2, 3, 2)),
    "maps": (
        lambda y: layers.roll(layers.flip(layers.transpose(layers.pad(y, 1)), 2), 2),
        (2, 3, 5),
    ),
    "joins": (
        lambda y: layers.concatenate(layers.reshape(y, 5, 6), y[:, 0, :, :2], axis=2),
        (2, 5, 3),
    ),
}


@pytest.mark.parametrize("what", PROVED)
def test_its_gradient_is_proved_to_sixty_digits(what):
    layer, extents = PROVED[what]
    net = built(layer, *extents)
    derivation = derive(net)

    def emitted(found, _target, dtype):
        return module(lower(found, momentum(0.1)), "layer.py", dtype=dtype)

    verdict = checked(net, derivation, emitted, seed=0)
    assert verdict.verdict == "VERIFIED", str(verdict)
    assert verdict.digits >= 60


# ---- what a textbook prints ----------------------------------------------------------------------


def printed(net):
    derivation = derive(net)
    speller = FormulaSpeller(order_of(derivation.network.tensors.values()))
    lines = [speller.equation(e) for e in derivation.network.equations]
    return {line.partition("[")[0].partition(" = ")[0]: line for line in lines}


def test_the_gradient_of_a_convolution_is_a_convolution():
    lines = printed(built(lambda y: layers.conv2d(y, 3, 3, name="c"), 2, 7, 5))
    assert re.fullmatch(
        r"∂L/∂c_W\[f,c,u,v\] = Σ_\{n,(\w+),(\w+)\} y\[n,c,\1\+u,\2\+v\] ∂L/∂z\[n,f,\1,\2\]",
        lines["∂L/∂c_W"],
    )
    assert lines["∂L/∂y"] == (
        "∂L/∂y[n,c,h,w] = Σ_{f,u,v} c_W[f,c,u,v] padded_d_z[n,f,h + 2 - u,w + 2 - v]"
    )


STRIDED = {
    "stride 2": lambda y: layers.conv2d(y, 3, 3, stride=2, padding=1, name="c"),
    "stride 2, kernel 2": lambda y: layers.conv2d(y, 3, 2, stride=2, name="c"),
    "stride 3, gaps": lambda y: layers.conv2d(y, 3, 2, stride=3, padding=2, name="c"),
    "backwards": lambda y: layers.conv_transpose2d(y, 3, 3, stride=2, padding=1, name="c"),
    "means": lambda y: layers.avg_pool(y, 2),
}


@pytest.mark.parametrize("what", STRIDED)
def test_no_modulo_no_guard_and_no_scatter(what):
    net = built(STRIDED[what], 2, 9, 7)
    text = "\n".join(printed(net).values())
    for sign in ("%", "//", "mod", "δ", " if ", "≥", "≤"):
        assert sign not in text, text
    code = source(net)
    functions = code[code.index("def forward") : code.index("def update")]
    for word in ("%", "//", ".at(", "where", "np.equal", "einsum(", "bincount"):
        assert word not in re.sub(r'np.einsum\("[nchw]{4},nchw->chw"', "", functions), word


# ---- what runs -----------------------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path):
    """A network with each kind of window, emitted in float32."""
    x = bp.input("x", 2, 8, 8)
    digit = bp.label("digit", classes=5)
    z = layers.max_pool(layers.conv2d(x, 4, 3, padding=1, name="c1"), 3, stride=2, padding=1)
    z = layers.avg_pool(layers.conv2d(z, 6, 3, stride=2, padding=1, groups=2, name="c2"), 2)
    logits = layers.linear(layers.flatten(z), 5, name="fc")
    loss = softmax_cross_entropy(logits, digit)
    net = network(loss, {"logits": logits}, name="layer")
    path = tmp_path / "layer_numpy.py"
    path.write_text(source(net, "float32"))
    return path, load_module(path)


def batch(rows):
    rng = np.random.default_rng(rows)
    return {"x": rng.random((rows, 2, 8, 8), np.float32), "digit": rng.integers(5, size=rows)}


def test_a_step_allocates_nothing_that_grows_with_the_batch(trained):
    _, net = trained
    peaks = []
    for rows in (64, 512):
        trainer, given = net.Trainer(net.init(0), batch=rows), batch(rows)
        for _ in range(3):
            trainer.step(**given)
        tracemalloc.start()
        trainer.step(**given)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # numpy casts through buffers of 8192 entries at most; one activation of 512 rows is 512 KiB.
    assert peaks[1] < peaks[0] + 64 * 1024, peaks


def test_one_trainer_takes_batches_of_several_sizes(trained):
    _, net = trained
    trainer = net.Trainer(net.init(0), batch=7)
    for rows in (7, 1, 3, 7):
        given, p = batch(rows), net.Params(trainer.params.flat.copy())
        expected, _ = net.loss_and_grad(p, **given)
        assert trainer.step(**given) == pytest.approx(expected, rel=1e-6)
        whole = net.predict(p, x=given["x"])["logits"]
        alone = [net.predict(p, x=given["x"][k : k + 1])["logits"][0] for k in range(rows)]
        np.testing.assert_allclose(whole, alone, rtol=1e-4, atol=1e-5)  # float32


def test_the_emitted_file_tests_itself(trained):
    path, _ = trained
    result = subprocess.run(
        [sys.executable, str(path), "--selftest"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
