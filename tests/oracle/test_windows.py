"""Convolutions, pools and index maps: emitted modules give torch's values and gradients.

Each definition is tried in two dozen random configurations: odd sizes, strides larger than the
kernel, kernels larger than the input with its padding, gaps, groups, batches of one and three.
"""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sympy
import torch
import torch.nn.functional as F  # noqa: N812  everyone's name for it

import bpgen as bp
from bpgen import layers
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.execute.proof import gradient_of
from bpgen.lower import lower
from bpgen.optimizers import sgd

pytestmark = pytest.mark.oracle

# Float64 sums of some hundred terms in another order; relative to the largest entry of each tensor.
RELATIVE = 1e-11
SEEDS = range(24)


@dataclass(frozen=True)
class Case:
    """A configuration: the extents of an example, and the layer, ours and torch's."""

    extents: tuple[int, ...]
    ours: Any
    theirs: Any


class Draw(random.Random):
    """Random extents and options of a layer."""

    def each(self, rank, *choices):
        return tuple(self.choice(choices) for _ in range(rank))

    def extents(self, rank):
        return self.each(rank, *((5, 7, 8, 11) if rank < 3 else (3, 4, 5)))

    def channels(self):
        """Return groups, channels and filters; every other grouped one is depthwise."""
        groups = self.choice((1, 1, 1, 2, 3))
        depth = groups if groups > 1 and self.random() < 0.5 else groups * self.choice((1, 2, 3, 5))
        return groups, depth, groups * self.choice((1, 2, 5))


def fits(extents, kernel, padding, dilation):
    sides = zip(extents, kernel, padding, dilation, strict=True)
    return all(e + 2 * p > d * (k - 1) for e, k, p, d in sides)


def convolution(draw, rank):
    groups, depth, filters = draw.channels()
    extents, kernel = draw.extents(rank), draw.each(rank, 1, 2, 3, 5)
    padding, gaps = draw.each(rank, 0, 0, 1, 2, 3), draw.each(rank, 1, 1, 2, 3)
    if not fits(extents, kernel, padding, gaps):
        return convolution(draw, rank)
    stride, bias = draw.each(rank, 1, 1, 2, 3), draw.random() < 0.7
    options = {"stride": stride, "padding": padding, "dilation": gaps, "groups": groups}
    ours, theirs = getattr(layers, f"conv{rank}d"), getattr(F, f"conv{rank}d")
    return Case(
        (depth, *extents),
        lambda y: ours(y, filters, kernel, bias=bias, name="c", **options),
        lambda y, p: theirs(y, p["c_W"], p.get("c_b"), **options),
    )


def transposed(draw):
    groups, depth, filters = draw.channels()
    extents, kernel = draw.each(2, 1, 2, 3, 5, 7), draw.each(2, 1, 2, 3, 4, 5)
    stride, gaps = draw.each(2, 1, 2, 3, 4), draw.each(2, 1, 1, 2, 3)
    padding, bias = draw.each(2, 0, 0, 1, 2), draw.random() < 0.7
    more = tuple(draw.randrange(max(s, d)) for s, d in zip(stride, gaps, strict=True))
    sides = zip(extents, kernel, stride, padding, gaps, more, strict=True)
    if any((e - 1) * s - 2 * p + d * (k - 1) + o < 0 for e, k, s, p, d, o in sides):
        return transposed(draw)
    options = {"stride": stride, "padding": padding, "dilation": gaps, "groups": groups}
    options["output_padding"] = more
    return Case(
        (depth, *extents),
        lambda y: layers.conv_transpose2d(y, filters, kernel, bias=bias, name="c", **options),
        lambda y, p: F.conv_transpose2d(y, p["c_W"], p.get("c_b"), **options),
    )


def pool(draw, *, is_max):
    rank = draw.choice((1, 2, 2, 3))
    extents, kernel = draw.extents(rank), draw.each(rank, 1, 2, 3, 4)
    padding = tuple(draw.randrange(k // 2 + 1) for k in kernel)
    gaps = draw.each(rank, 1, 1, 2) if is_max else (1,) * rank
    small = all(k <= e for k, e in zip(kernel, extents, strict=True))  # torch's rule in 3 axes
    if not small or not fits(extents, kernel, padding, gaps):
        return pool(draw, is_max=is_max)
    stride = draw.choice((None, draw.each(rank, 1, 2, 3, 5)))
    options = {"stride": stride, "padding": padding, **({"dilation": gaps} if is_max else {})}
    ours = layers.max_pool if is_max else layers.avg_pool
    theirs = getattr(F, f"{'max' if is_max else 'avg'}_pool{rank}d")
    return Case(
        (draw.choice((1, 2, 3)), *extents),
        lambda y: ours(y, kernel, **options),
        lambda y, p: theirs(y, kernel, **options),
    )


def adaptive(draw):
    rank = draw.choice((1, 2, 2, 3))
    size = draw.each(rank, 1, 2, 3, 5, 7, 13)
    theirs = getattr(F, f"adaptive_avg_pool{rank}d")
    return Case(
        (2, *draw.extents(rank)),
        lambda y: layers.adaptive_average_pool(y, size),
        lambda y, p: theirs(y, size),
    )


def enlarged(draw):
    rank, mode = draw.choice((1, 2, 2, 3)), draw.choice(("nearest", "linear"))
    factor = draw.each(rank, 1, 2, 3, 5)
    known = mode if mode == "nearest" else ("linear", "bilinear", "trilinear")[rank - 1]
    return Case(
        (2, *draw.each(rank, 1, 2, 3, 5)),
        lambda y: layers.upsample(y, factor, mode=mode),
        lambda y, p: F.interpolate(y, scale_factor=factor, mode=known),
    )


def turned(draw):
    rank = draw.choice((2, 3))
    order = (0, *draw.sample(range(1, rank + 1), rank))
    return Case(
        draw.each(rank, 2, 3, 5, 7),
        lambda y: layers.transpose(y, *order),
        lambda y, p: y.permute(order),
    )


def shaped(draw):
    a, b, c = draw.sample((2, 3, 5, 7), 3)
    to = draw.choice(((b, a * c), (a * b * c,), (-1, b), (c, b, a), (a, b * c)))
    return Case(
        (a, b, c),
        lambda y: layers.reshape(y, *to),
        lambda y, p: y.reshape(len(y), *to),
    )


def joined(draw):
    rank = draw.choice((1, 2, 3))
    axis = draw.randrange(1, rank + 1)
    rest = (slice(None),) * axis + (slice(1, None),)
    return Case(
        draw.each(rank, 2, 3, 5, 7),
        lambda y: layers.concatenate(y, y * y, y[rest], axis=axis),
        lambda y, p: torch.cat([y, y * y, y[rest]], axis),
    )


def flipped(draw):
    rank = draw.choice((1, 2, 3))
    axis = draw.choice((-1, *range(1, rank + 1)))
    return Case(
        draw.each(rank, 2, 3, 5, 7),
        lambda y: layers.flip(y, axis),
        lambda y, p: y.flip(axis),
    )


def rolled(draw):
    rank = draw.choice((1, 2, 3))
    axis, shift = draw.choice((-1, *range(1, rank + 1))), draw.randrange(-9, 9)
    return Case(
        draw.each(rank, 2, 3, 5, 7),
        lambda y: layers.roll(y, shift, axis),
        lambda y, p: y.roll(shift, axis),
    )


def bordered(draw):
    rank, value = draw.choice((1, 2, 3)), draw.choice((0, 2, 0.5))
    width = tuple((draw.randrange(3), draw.randrange(3)) for _ in range(rank))
    sides = [side for pair in reversed(width) for side in pair]
    return Case(
        (2, *draw.each(rank, 2, 3, 5)),
        lambda y: layers.pad(y, width, value=value),
        lambda y, p: F.pad(y, sides, value=value),
    )


def sliced(draw):
    begin, step = draw.randrange(4), draw.choice((1, 2, 3))
    marks = draw.choice(
        (
            (slice(None), slice(begin, None, step)),
            (slice(None), begin),
            (..., slice(begin, begin + 2)),
            (slice(None), slice(-3, -1), 1),
            (..., slice(0, 3), slice(None)),
        )
    )
    return Case((5, 7), lambda y: y[marks], lambda y, p: y[marks])


CASES = {
    "conv1d": lambda draw: convolution(draw, 1),
    "conv2d": lambda draw: convolution(draw, 2),
    "conv3d": lambda draw: convolution(draw, 3),
    "conv_transpose2d": transposed,
    "max_pool": lambda draw: pool(draw, is_max=True),
    "avg_pool": lambda draw: pool(draw, is_max=False),
    "adaptive_average_pool": adaptive,
    "upsample": enlarged,
    "transpose": turned,
    "reshape": shaped,
    "concatenate": joined,
    "flip": flipped,
    "roll": rolled,
    "pad": bordered,
    "slice": sliced,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradients_are_those_of_torch(name, seed, tmp_path):
    case, batch = CASES[name](Draw(seed)), (1, 3)[seed % 2]
    net = declared(case)
    path = tmp_path / "layer_numpy.py"
    path.write_text(module(lower(derive(net), sgd()), "layer.py", dtype="float64"))
    emitted = load_module(path)
    random_numbers = np.random.default_rng(seed)
    parameters = {p.name: random_numbers.normal(size=p.shape) for p in net.parameters}
    given = {t.name: random_numbers.normal(size=[e or batch for e in t.shape]) for t in net.inputs}
    loss, gradients = gradient_of(emitted, net, "float64")(parameters, given)
    flat = np.concatenate([parameters[name].ravel() for name in emitted.PARAMETERS])
    z = emitted.predict(emitted.Params(flat), x=given["x"])["z"]

    theirs = {k: torch.tensor(v, requires_grad=True) for k, v in parameters.items()}
    x, weight = torch.tensor(given["x"]), torch.tensor(given["weight"])
    truth = case.theirs(x * theirs["s"], theirs)
    expected = torch.sin(truth * weight).mean()
    expected.backward()
    assert z.shape == truth.shape
    agrees(z, truth.detach().numpy(), "z")
    agrees(np.asarray(loss), expected.detach().numpy(), "loss")
    for parameter, tensor in theirs.items():
        agrees(gradients[parameter], tensor.grad.numpy(), parameter)


def declared(case):
    """The layer of an input times a parameter, and a loss that weighs each entry differently."""
    x = bp.input("x", *case.extents)
    at = x.indices
    s = bp.parameter("s", *at[1:])
    z = case.ours(bp.define("y", at, x[at] * s[at[1:]]))
    weight = bp.input("weight", *(i.extent.value for i in z.indices[1:]))
    entry = sympy.sin(z[z.indices] * weight[z.indices])
    return network(bp.define("loss", (), bp.mean(entry, over=z.indices)), {"z": z}, name="layer")


def agrees(found, truth, name):
    assert np.abs(found - truth).max() <= RELATIVE * np.abs(truth).max(), name
