"""Every definition of the catalog, with its options, in a network that frameworks have as well.

A case is a network with prime extents, made of the catalog and arithmetic alone: a framework
computes its loss by its own functions, from the parameters and the batch. Nothing here is a
gradient; the frameworks have their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bpgen as bp
from bpgen import activations, layers, losses
from bpgen.against.framework import Framework, Tensors
from bpgen.against.record import recorded
from bpgen.against.replay import Chain, replayed, value_of
from bpgen.declare.network import final_names, network
from bpgen.ir.network import Network
from bpgen.ir.tensor import Role
from bpgen.ir.tensor import Tensor as Declared

N, T, D, H, UNITS = 2, 3, 5, 7, 11

Arrays = Mapping[str, NDArray[Any]]
Layer = Callable[[bp.Tensor], bp.Tensor]
Built = tuple[bp.Tensor, dict[str, bp.Tensor]]


@dataclass(frozen=True)
class Case:
    """One definition in a network: `build` declares it, and returns the loss and the outputs."""

    name: str
    build: Callable[[], Built]

    @property
    def definition(self) -> str:
        """The name of the definition: the first word of the case's name."""
        return self.name.split()[0]

    def network(self) -> Network:
        """The network that the case declares."""
        loss, outputs = self.build()
        return network(loss, outputs, name=self.definition)

    def loss_in(self, framework: Framework, parameters: Tensors, batch: Arrays) -> Any:
        """The loss by a framework, which has the parameters already."""
        return found_in(framework, self.build, parameters, batch)


def found_in(
    framework: Framework, build: Callable[[], Built], parameters: Tensors, batch: Arrays
) -> Any:
    """What a framework makes of the first tensor that `build` returns, by functions of its own."""
    with recorded() as steps:
        wanted, outputs = build()
    names = final_names(wanted, outputs, {})
    chain = Chain(tuple(steps), names, batch, frozenset(batch))
    found = value_of(names[wanted.serial], replayed(framework, chain, parameters))
    assert found is not None
    return found.tensor


def drawn(net: Network, seed: int) -> tuple[Arrays, Arrays]:
    """Random parameters and a random batch, labels and noise among it, by name."""
    random = np.random.default_rng(seed)

    def entries(tensor: Declared) -> NDArray[Any]:
        shape = [extent or N for extent in tensor.shape]
        if tensor.noise:
            return (random.random(shape) < tensor.noise.rate).astype(float)
        if tensor.is_integer:
            return random.integers(tensor.below or 1, size=shape)
        return random.normal(size=shape)

    parameters = {p.name: entries(p) for p in net.parameters}
    given = net.of_role(Role.INPUT, Role.LABEL, Role.NOISE, Role.STATE)
    tables = {
        t.name: np.array(t.values).reshape([e or N for e in t.shape])
        for t in net.of_role(Role.TABLE)
    }
    return parameters, {**{t.name: entries(t) for t in given}, **tables}


# ---- one layer between a linear map and a mean of squares ----------------------------------------


def declared_z() -> bp.Tensor:
    """z1[n,t,h] = Σ_d x[n,t,d] fc_W[d,h] + fc_b[h]."""
    return layers.linear(bp.input("x", T, D), H, name="fc")


def layer_case(name: str, layer: Layer) -> Case:
    """A layer of z."""

    def build() -> Built:
        y = layer(declared_z())
        target = bp.input("target", *(extent for extent in y.tensor.shape[1:] if extent))
        return losses.mean_squared_error(y, target), {"y": y}

    return Case(name, build)


def plain(room: ModuleType, entry: str, /, *given: Any, **options: Any) -> Any:
    """A definition of a room, looked up when it is called: that is when calls are noted."""
    return lambda *tensors: getattr(room, entry)(*tensors, *given, **options)


def loss_case(
    name: str,
    loss: Callable[[bp.Tensor, bp.Tensor], bp.Tensor],
    target: Callable[[], bp.Tensor] = lambda: bp.input("target", T, H),
) -> Case:
    """A loss of z and a target."""

    def build() -> Built:
        z = declared_z()
        return loss(z, target()), {"z": z}

    return Case(name, build)


def wide(z: bp.Tensor, units: int) -> bp.Tensor:
    """A map to as many features as some number of heads divides, too small to saturate."""
    return layers.linear(z, units, name="wide") * 0.03


def image(z: bp.Tensor) -> bp.Tensor:
    """A row of pixels of six channels; a bias before them would not outlast a normalisation."""
    return layers.transpose(layers.linear(activations.tanh(z), 6, name="wide", bias=False))


def pixels(z: bp.Tensor) -> bp.Tensor:
    """The same entries as an image of three channels, 4 by 5."""
    return layers.reshape(wide(z, 20), 3, 4, 5)


def image_case(name: str, layer: Layer) -> Case:
    """A layer of an image."""
    return layer_case(name, lambda z: layer(pixels(z)))


# The options of each activation.
ACTIVATIONS: dict[str, dict[str, float]] = {
    "elu": {},
    "elu alpha": {"alpha": 1.5},
    "gelu": {},
    "gelu_tanh": {},
    "hard_sigmoid": {},
    "hard_swish": {},
    "leaky_relu": {},
    "leaky_relu slope": {"slope": 0.2},
    "mish": {},
    "relu": {},
    "selu": {},
    "sigmoid": {},
    "silu": {},
    "sine": {},
    "sine frequency": {"frequency": 3},
    "softplus": {},
    "softsign": {},
    "tanh": {},
}


def activation(name: str) -> Layer:
    """The activation of a name in the table, with its options."""
    found: Layer = plain(activations, name.split(maxsplit=1)[0], **ACTIVATIONS[name])
    return found


def tied_case(name: str) -> Case:
    """A table of vectors that reads tokens and scores them: both uses are in its gradient."""

    def build() -> Built:
        tokens, answer = (
            bp.input("tokens", T, dtype="int", below=D),
            bp.label("answer", T, classes=D),
        )
        table = bp.parameter("table", bp.index("v", D), bp.index("c", H))
        h = activations.tanh(layers.embedding(tokens, H, weight=table))
        h = layers.linear(h, H, weight=bp.parameter("W", bp.index("c", H), bp.index("h", H)))
        logits = layers.linear(h, D, weight=table, transposed=True, name="head")
        return losses.softmax_cross_entropy(logits, answer), {"logits": logits}

    return Case(name, build)


def embedding_case(name: str) -> Case:
    """A table read by tokens."""

    def build() -> Built:
        y = layers.embedding(bp.input("tokens", T, dtype="int", below=D), H, name="table")
        return losses.mean_squared_error(y, bp.input("target", T, H)), {"y": y}

    return Case(name, build)


def started(count: int) -> tuple[bp.Tensor, ...]:
    """Parameters that the states of a layer start from."""
    k = bp.index("k", UNITS)
    return tuple(bp.parameter(f"start{s}", k) for s in range(count))


def recurrent_case(name: str, **options: Callable[[], Any]) -> Case:
    """A recurrent layer, whose options are made when it is declared."""

    def layer(z: bp.Tensor) -> bp.Tensor:
        made = {option: make() for option, make in options.items()}
        own: bp.Tensor = getattr(layers, name.split(maxsplit=1)[0])(z, UNITS, name="r", **made)
        return own

    return layer_case(name, layer)


def bidirectional(layer: str) -> Layer:
    """A recurrent layer in both directions."""
    return lambda z: layers.bidirectional(getattr(layers, layer), z, UNITS, name="r")


def attention_case(name: str, units: int, heads: int, **options: Any) -> Case:
    """Attention; options that are functions are called when it is declared."""

    def layer(z: bp.Tensor) -> bp.Tensor:
        made = {n: o() if callable(o) else o for n, o in options.items()}
        return layers.attention(wide(z, units), heads, name="att", **made)

    return layer_case(name, layer)


def group_norm_case(groups: int) -> Case:
    """Six channels in groups."""
    return layer_case(
        f"group_norm of {groups}", lambda z: layers.group_norm(image(z), groups, name="gn")
    )


RECURRENT = [
    recurrent_case("rnn"),
    recurrent_case("rnn of relu", activation=lambda: activations.relu),
    recurrent_case("rnn started by data", start=lambda: bp.input("h0", UNITS)),
    recurrent_case("rnn reversed", reverse=lambda: True),
    recurrent_case("rnn cut", truncate=lambda: 2),
    recurrent_case("rnn cut and reversed", truncate=lambda: 2, reverse=lambda: True),
    recurrent_case("lstm"),
    recurrent_case("lstm started by parameters", start=lambda: started(2)),
    recurrent_case("lstm cut, started by parameters", start=lambda: started(2), truncate=lambda: 1),
    recurrent_case("gru"),
    recurrent_case("gru started by a parameter", start=lambda: started(1)[0]),
    layer_case("gru twice", lambda z: layers.gru(layers.gru(z, D, name="below"), UNITS, name="r")),
    *(layer_case(f"bidirectional {name}", bidirectional(name)) for name in ("rnn", "lstm", "gru")),
]


LAYERS = [
    *RECURRENT,
    layer_case(
        "bilinear", lambda z: layers.bilinear(z, bp.input("other", T, D), UNITS, name="out")
    ),
    layer_case("factorization_machine", lambda z: layers.factorization_machine(z, 2, name="fm")),
    *(layer_case(name, plain(layers, name)) for name in ("global_average_pool", "global_max_pool")),
    *(group_norm_case(groups) for groups in (1, 2, 6)),
    layer_case("highway", lambda z: layers.highway(z, name="out")),
    layer_case("instance_norm", lambda z: layers.instance_norm(image(z), name="norm")),
    layer_case("mixture_of_experts", lambda z: layers.mixture_of_experts(z, UNITS, D, name="out")),
    layer_case("radial_basis", lambda z: layers.radial_basis(z / 9, UNITS, name="rbf")),
    layer_case("squeeze_excitation", lambda z: layers.squeeze_excitation(image(z), 2, name="se")),
    attention_case("attention", 6, 3),
    attention_case("attention causal", 7, 1, causal=True),
    attention_case(
        "attention to other keys", 7, 7, keys=lambda: bp.input("other", 5, 11) / 9, bias=False
    ),
    attention_case("attention causal with groups", 12, 6, groups=2, causal=True),
    attention_case(
        "attention with positions that are padding", 6, 3, mask=lambda: bp.input("mask", T)
    ),
    attention_case(
        "attention with a mask of pairs and rotary positions",
        12,
        3,
        mask=lambda: bp.label("mask", T, T, classes=2),
        rotary=True,
    ),
    attention_case(
        "attention causal with padding, groups and rotary positions",
        12,
        6,
        groups=2,
        causal=True,
        mask=lambda: bp.input("mask", T),
        rotary=True,
    ),
    layer_case("batch_norm", lambda z: layers.batch_norm(z, name="bn")),
    image_case("batch_norm of images", lambda z: layers.batch_norm(z, name="bn")),
    layer_case("dropout", lambda z: layers.dropout(z, rate=0.2)),
    layer_case("causal_softmax", plain(layers, "causal_softmax")),
    embedding_case("embedding"),
    tied_case("embedding that shares its table with linear"),
    layer_case("masked_softmax", lambda z: layers.masked_softmax(z, bp.input("mask", T, H))),
    layer_case(
        "masked_softmax causal",
        lambda z: layers.masked_softmax(z, bp.label("mask", H, classes=2), causal=True),
    ),
    layer_case("rotary", lambda z: layers.rotary(wide(z, 6))),
    layer_case("sparse_linear", lambda z: layers.sparse_linear(z, UNITS, 3, seed=5, name="out")),
    layer_case("flatten", plain(layers, "flatten")),
    *(
        layer_case(name, plain(layers, name, units, name="out"))
        for name, units in (("geglu", UNITS), ("glu", UNITS), ("linear", UNITS), ("swiglu", UNITS))
    ),
    layer_case("linear without bias", lambda z: layers.linear(z, UNITS, name="out", bias=False)),
    layer_case("layer_norm", lambda z: layers.layer_norm(z, name="ln")),
    layer_case("learned_positions", lambda z: layers.learned_positions(z, name="at")),
    layer_case("rms_norm", lambda z: layers.rms_norm(z, name="rms")),
    layer_case("sinusoidal_positions", plain(layers, "sinusoidal_positions")),
    layer_case("softmax", plain(layers, "softmax")),
    layer_case("softmax twice", lambda z: z + layers.softmax(z)),
    # Random configurations of these stand in test_windows.
    layer_case("conv1d", lambda z: layers.conv1d(z, 5, 3, stride=2, padding=1, name="conv")),
    image_case("conv2d", lambda z: layers.conv2d(z, 6, (3, 2), padding=1, groups=3, name="conv")),
    image_case(
        "conv3d",
        lambda z: layers.conv3d(layers.reshape(z, 1, 3, 4, 5), 2, 2, dilation=2, name="conv"),
    ),
    image_case(
        "conv_transpose2d",
        lambda z: layers.conv_transpose2d(z, 2, 3, stride=2, padding=1, name="conv"),
    ),
    image_case("max_pool", lambda z: layers.max_pool(z, 3, stride=1)),
    image_case("avg_pool", lambda z: layers.avg_pool(z, 2)),
    image_case("adaptive_average_pool", lambda z: layers.adaptive_average_pool(z, (2, 3))),
    image_case("upsample", lambda z: layers.upsample(z, 2)),
    image_case("upsample linearly", lambda z: layers.upsample(z, (2, 3), mode="linear")),
    image_case("flip", plain(layers, "flip")),
    image_case("roll", lambda z: layers.roll(z, 2)),
    image_case("pad", lambda z: layers.pad(z, (1, (0, 2)), value=2)),
    image_case("transpose", plain(layers, "transpose")),
    image_case("reshape", lambda z: layers.reshape(z, 5, -1)),
    image_case("concatenate", lambda z: layers.concatenate(z, z[:, 1:], axis=1)),
]


def shares() -> bp.Tensor:
    """A target whose rows are probabilities."""
    return layers.softmax(bp.input("target", T, H))


def answers() -> bp.Tensor:
    """A target between 0 and 1."""
    return activations.sigmoid(bp.input("target", T, H))


def labels() -> bp.Tensor:
    """A target of classes."""
    return bp.label("target", T, classes=H)


def gaussian(mean: bp.Tensor, target: bp.Tensor, *, full: bool = False) -> bp.Tensor:
    """A normal distribution whose variance comes from the mean."""
    variance = activations.softplus(layers.linear(mean, H, name="spread")) + 0.1
    return losses.gaussian_nll(mean, target, variance=variance, full=full)


def mixture(mean: bp.Tensor, target: bp.Tensor) -> bp.Tensor:
    """A mixture whose weights and widths come from the means; a bias of all weights cancels."""
    logits = layers.linear(mean, 1, name="share", bias=False)[:, :, 0]
    width = layers.linear(mean, 1, name="width")[:, :, 0]
    return losses.mixture_density(mean, target, logits=logits, log_scale=width * 0.1)


LOSSES = [
    loss_case("mixture_density", mixture, target=lambda: bp.input("target", H)),
    loss_case("cosine_distance", plain(losses, "cosine_distance")),
    loss_case("dice", lambda z, t: losses.dice(activations.sigmoid(z), t), answers),
    loss_case(
        "evidence_lower_bound",
        lambda z, t: losses.evidence_lower_bound(z, log_variance=z * t, weight=0.5),
        target=lambda: bp.input("target", T, H) / 9,
    ),
    loss_case("focal", plain(losses, "focal")),
    loss_case("focal alpha", plain(losses, "focal", gamma=1.5, alpha=0.25), answers),
    loss_case("hinge", plain(losses, "hinge")),
    loss_case("kl_divergence", plain(losses, "kl_divergence"), shares),
    loss_case("gaussian_nll", gaussian),
    loss_case("gaussian_nll full", lambda z, t: gaussian(z, t, full=True)),
    loss_case("huber", plain(losses, "huber")),
    loss_case("huber delta", plain(losses, "huber", delta=0.5)),
    loss_case("l1", lambda z, t: losses.mean_squared_error(z, t) + losses.l1(z, strength=0.1)),
    loss_case("l2", lambda z, t: losses.mean_squared_error(z, t) + losses.l2(z, strength=0.1)),
    loss_case("mean_absolute_error", plain(losses, "mean_absolute_error")),
    loss_case("mean_squared_error", plain(losses, "mean_squared_error")),
    loss_case("poisson_nll", plain(losses, "poisson_nll")),
    loss_case("sigmoid_cross_entropy", plain(losses, "sigmoid_cross_entropy")),
    *(
        loss_case(
            " ".join(["softmax_cross_entropy", *options]),
            plain(losses, "softmax_cross_entropy", **options),
            labels,
        )
        for options in ({}, {"ignore": 2}, {"ignore": 0, "smoothing": 0.1}, {"smoothing": 0.1})
    ),
]

CASES = [*(layer_case(name, activation(name)) for name in ACTIVATIONS), *LAYERS, *LOSSES]
