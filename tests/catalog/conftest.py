"""The catalog's tests find every definition by its place: a module that defines its own name."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.ir.tensor import GIVEN, Role
from bpgen.layers import rnn
from bpgen.verify.interpret import evaluate as interpret
from bpgen.verify.numbers import Native

ROOMS = {
    "activation": "activations",
    "layer": "layers",
    "loss": "losses",
    "optimizer": "optimizers",
}
N, D, K, UNITS = 3, 5, 7, 11


def definitions(room):
    package = importlib.import_module(f"bpgen.{room}")
    names = [found.name for found in pkgutil.iter_modules(package.__path__)]
    modules = {name: importlib.import_module(f"bpgen.{room}.{name}") for name in names}
    return [getattr(module, name) for name, module in modules.items() if hasattr(module, name)]


def pytest_generate_tests(metafunc):
    for argument, room in ROOMS.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, definitions(room), ids=lambda d: d.__name__)
    if "definition" in metafunc.fixturenames:
        found = [d for room in ROOMS.values() for d in definitions(room)]
        metafunc.parametrize("definition", found, ids=lambda d: d.__name__)
    if "model" in metafunc.fixturenames:
        metafunc.parametrize("model", zoo())


@pytest.fixture
def tensor():
    """z[n,d,k] = x[n,d,k] W[d,k]: given, and behind it a weight."""
    x = bp.input("x", D, K)
    n, d, k = x.indices
    W = bp.parameter("W", d, k)
    return bp.define("z", (n, d, k), x[n, d, k] * W[d, k])


@pytest.fixture
def even(tensor):
    """The same tensor, mapped to an even number of features."""
    n, d, k = tensor.indices
    h = bp.index("h", 2 * UNITS)
    V = bp.parameter("V", k, h)
    return bp.define("even", (n, d, h), bp.sum(tensor[n, d, k] * V[k, h], over=k))


@pytest.fixture
def declared(tensor, even):
    """What a layer or a loss makes of that tensor, and of others where it needs them."""
    named = {
        "tokens": bp.label("tokens", D, classes=K),
        "layer": rnn,
        "label": bp.label("answer", D, classes=K),
        "units": UNITS,
        "features": UNITS,
        "heads": K,
        "groups": D,
        "reduction": D,
        "rank": 2,
        "k": 2,
        "filters": UNITS,
        "kernel": 2,
        "size": 2,
        "factor": 2,
        "width": 1,
        "shift": 2,
        "experts": 2,
        "strength": 0.01,
        # Of a mixture of D parts with K features: these lack an axis that its means have.
        "logits": bp.input("logits", D),
        "log_scale": bp.input("log_scale", D),
    }
    # An image of D channels, and a volume of them: what slides over two or three axes.
    n, d, k = tensor.indices
    image = bp.define("image", (n, d, bp.index("h", 3), k), tensor[n, d, k])
    volume = bp.define("volume", (*image.indices, bp.index("q", 2)), image[image.indices])
    spatial = {"conv2d": image, "conv_transpose2d": image, "conv3d": volume}
    features = {"mixture_density": {"target": bp.input("given_target", K)}}

    def build(definition):
        _, *parameters = inspect.signature(definition).parameters.values()
        names = [
            p.name
            for p in parameters
            if p.default is p.empty and p.kind not in {p.VAR_KEYWORD, p.VAR_POSITIONAL}
        ]
        own = {**named, **features.get(definition.__name__, {})}
        others = {name: own.get(name) or bp.input(f"given_{name}", D, K) for name in names}
        given = {**spatial, "embedding": named["tokens"], "rotary": even, "bidirectional": rnn}
        if definition.__name__ == "reshape":
            return definition(tensor, K, D)
        return definition(given.get(definition.__name__, tensor), **others)

    return build


class Strict(Native):
    """Float64 in which nothing may overflow, not even the branch of a choice that is not taken."""

    def working(self):
        return np.errstate(over="raise", divide="raise", invalid="raise")


@pytest.fixture
def evaluate():
    """Every tensor and every cotangent of a loss's network; what is not given is random."""

    def run(loss, **given):
        derivation = derive(network(loss, {}, name="t"))
        extents = {e: e.value or N for e in derivation.network.extents()}
        random = np.random.default_rng(0)
        values = {}
        for tensor in derivation.source.of_role(*GIVEN):
            shape = [extents[i.extent] for i in tensor.indices]
            if tensor.role is Role.TABLE:
                values[tensor.name] = np.reshape(tensor.values, shape)
                continue
            drawn = random.integers(tensor.below or 1, size=shape)
            values[tensor.name] = drawn if tensor.is_integer else random.random(shape)
            if tensor.name in given:
                values[tensor.name] = np.resize(given[tensor.name], shape)
        return interpret(derivation.network.equations, values, extents, Strict(np.float64))

    return run
