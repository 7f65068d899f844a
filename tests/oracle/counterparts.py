"""For every definition of the catalog, the torch expression that computes the same forward.

A case is a network with prime extents, and its loss written in torch from the same arrays: the
parameters by name, and the batch by name. Nothing here is a gradient; torch has its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  everyone's name for it
from numpy.typing import NDArray
from tests.oracle.recurrent import backwards, both_ways, cut_lstm, cut_rnn, recurrent
from torch import Tensor, nn

import bpgen as bp
from bpgen import activations, layers, losses
from bpgen.declare.network import network
from bpgen.ir.network import Network
from bpgen.ir.tensor import Role
from bpgen.ir.tensor import Tensor as Declared

N, T, D, H, UNITS = 2, 3, 5, 7, 11

Arrays = Mapping[str, NDArray[Any]]
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Case:
    """One definition in a network: `build` declares it, `torch_loss` is its loss in torch.

    `build` returns the loss and the outputs; `torch_loss` takes parameters and batch by name.
    """

    name: str
    build: Callable[[], tuple[bp.Tensor, dict[str, bp.Tensor]]]
    torch_loss: Callable[[Tensors, Tensors], Tensor]

    @property
    def definition(self) -> str:
        """The name of the definition: the first word of the case's name."""
        return self.name.split()[0]

    def network(self) -> Network:
        """The network that the case declares."""
        loss, outputs = self.build()
        return network(loss, outputs, name=self.definition)


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


def as_tensors(arrays: Arrays, *, grad: bool = False) -> Tensors:
    """The arrays as torch has them; `grad` asks for the gradients of those that are real."""
    return {
        name: torch.tensor(array, requires_grad=grad and array.dtype.kind == "f")
        for name, array in arrays.items()
    }


# ---- one layer between a linear map and a mean of squares ----------------------------------------


def declared_z() -> bp.Tensor:
    """z1[n,t,h] = Σ_d x[n,t,d] fc_W[d,h] + fc_b[h]."""
    return layers.linear(bp.input("x", T, D), H, name="fc")


def torch_z(p: Tensors, batch: Tensors) -> Tensor:
    """The same in torch."""
    return batch["x"] @ p["fc_W"] + p["fc_b"]


def layer_case(
    name: str, ours: Callable[[bp.Tensor], bp.Tensor], theirs: Callable[..., Tensor]
) -> Case:
    """`ours` of z against `theirs` of z, the parameters and the batch."""

    def build() -> tuple[bp.Tensor, dict[str, bp.Tensor]]:
        y = ours(declared_z())
        target = bp.input("target", *(extent for extent in y.tensor.shape[1:] if extent))
        return losses.mean_squared_error(y, target), {"y": y}

    def torch_loss(p: Tensors, batch: Tensors) -> Tensor:
        return F.mse_loss(theirs(torch_z(p, batch), p, batch), batch["target"])

    return Case(name, build, torch_loss)


def activation_case(
    name: str, ours: Callable[[bp.Tensor], bp.Tensor], theirs: Callable[[Tensor], Tensor]
) -> Case:
    """`ours` of z against `theirs` of z."""
    return layer_case(name, ours, lambda z, p, batch: theirs(z))


def loss_case(
    name: str,
    ours: Callable[[bp.Tensor, bp.Tensor], bp.Tensor],
    theirs: Callable[..., Tensor],
    target: Callable[[], bp.Tensor] = lambda: bp.input("target", T, H),
) -> Case:
    """`ours` of z and a target against `theirs` of z, the target and the parameters."""

    def build() -> tuple[bp.Tensor, dict[str, bp.Tensor]]:
        z = declared_z()
        return ours(z, target()), {"z": z}

    def torch_loss(p: Tensors, batch: Tensors) -> Tensor:
        return theirs(torch_z(p, batch), batch["target"], p)

    return Case(name, build, torch_loss)


def variance(mean: bp.Tensor) -> bp.Tensor:
    """A positive tensor of the extents of `mean`, with a parameter of its own."""
    *_, t, h = mean.indices
    V = bp.parameter("V", t, h)
    return bp.define("variance", mean.indices, 0.1 + V[t, h] ** 2)


def torch_gaussian(mean: Tensor, target: Tensor, p: Tensors, **options: Any) -> Tensor:
    """The same in torch."""
    return F.gaussian_nll_loss(mean, target, (0.1 + p["V"] ** 2).expand_as(mean), **options)


def torch_cross_entropy(z: Tensor, label: Tensor, smoothing: float = 0, **options: Any) -> Tensor:
    """The mean over all rows, which torch wants in one axis."""
    return F.cross_entropy(z.flatten(0, 1), label.flatten(), label_smoothing=smoothing, **options)


def torch_attention(
    x: Tensor,
    keys: Tensor,
    p: Tensors,
    *,
    causal: bool = False,
    shared: int = 1,
    bias: bool = True,
    turn: Callable[[Tensor], Tensor] = lambda u: u,
    mask: Tensor | None = None,
) -> Tensor:
    """Attention of several heads, whose keys and values `shared` heads of queries have in common.

    torch.nn.MultiheadAttention is this with E rows of weights for each projection.
    """
    width = p["att_Wq"].shape[-1]
    Wq, Wo = (
        p["att_Wq"].reshape(x.shape[-1], -1, width),
        p["att_Wo"].reshape(-1, width, x.shape[-1]),
    )
    q = torch.einsum("ntd,dak->natk", x, Wq)
    k, v = (torch.einsum("nse,eak->nask", keys, p[f"att_W{name}"]) for name in "kv")
    if bias:
        q = q + p["att_bq"].reshape(-1, 1, width)
        v = v + p["att_bv"][:, None]
    k, v = (u.repeat_interleave(shared, 1) for u in (k, v))
    q, k = turn(q), turn(k)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    y = torch.einsum("natk,akh->nth", mixed, Wo)
    return y + p["att_bo"] if bias else y


def multihead(x: Tensor, p: Tensors) -> Tensor:
    """The same by torch's own layer, whose weights stand as W[out,in]."""
    Wq, Wk, Wv = (p[f"att_W{name}"].flatten(1).T for name in "qkv")
    zeros = torch.zeros(H, dtype=x.dtype)
    bias = torch.cat([p["att_bq"].flatten(), zeros, p["att_bv"].flatten()])
    layer = torch.nn.MultiheadAttention(H, p["att_Wq"].shape[1], batch_first=True, dtype=x.dtype)
    weights = {
        "in_proj_weight": torch.cat([Wq, Wk, Wv]),
        "in_proj_bias": bias,
        "out_proj.weight": p["att_Wo"].flatten(0, 1).T,
        "out_proj.bias": p["att_bo"],
    }
    y: Tensor = torch.func.functional_call(layer, weights, (x, x, x))[0]
    return y


def torch_waves(z: Tensor) -> Tensor:
    """Sines and cosines of positions, interleaved."""
    d = torch.arange(z.shape[-1])
    angle = torch.arange(z.shape[-2])[:, None] / 10000 ** ((d - d % 2).double() / z.shape[-1])
    return torch.where(d % 2 == 0, torch.sin(angle), torch.cos(angle))


def torch_turned(q: Tensor) -> Tensor:
    """Pairs of features of q[n,a,t,k] as complex numbers, turned by their positions."""
    *_, t, k = q.shape
    angle = torch.outer(torch.arange(t), 10000 ** (-torch.arange(0, k, 2).double() / k))
    pairs = torch.view_as_complex(q.reshape(*q.shape[:-1], k // 2, 2).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle)).flatten(-2)


def torch_masked(score: Tensor, seen: Tensor) -> Tensor:
    """Exponentials of what is seen, as shares of their sum; 0 where nothing is seen."""
    e = score.exp() * seen
    return e / e.sum(-1, keepdim=True).clamp(min=1e-300)


def gated(z: Tensor, p: Tensors) -> tuple[Tensor, Tensor]:
    """The two affine maps of a gated linear unit."""
    return z @ p["out_W"] + p["out_b"], z @ p["out_gate_W"] + p["out_gate_b"]


def wide(z: bp.Tensor, units: int) -> bp.Tensor:
    """A map to as many features as some number of heads divides, too small to saturate."""
    return layers.linear(z, units, name="wide") * 0.03


def torch_wide(z: Tensor, p: Tensors) -> Tensor:
    """The same in torch."""
    return (z @ p["wide_W"] + p["wide_b"]) * 0.03


# For each activation: ours of a tensor, and torch's.
ACTIVATIONS: dict[str, tuple[Callable[[bp.Tensor], bp.Tensor], Callable[[Tensor], Tensor]]] = {
    "elu": (activations.elu, F.elu),
    "elu alpha": (lambda z: activations.elu(z, alpha=1.5), lambda z: F.elu(z, 1.5)),
    "gelu": (activations.gelu, F.gelu),
    "gelu_tanh": (activations.gelu_tanh, lambda z: F.gelu(z, approximate="tanh")),
    # The derivative of F.hardsigmoid is the float32 nearest to 1/6, whatever the dtype.
    "hard_sigmoid": (activations.hard_sigmoid, lambda z: F.relu6(z + 3) / 6),
    "hard_swish": (activations.hard_swish, F.hardswish),
    "leaky_relu": (activations.leaky_relu, F.leaky_relu),
    "leaky_relu slope": (
        lambda z: activations.leaky_relu(z, slope=0.2),
        lambda z: F.leaky_relu(z, 0.2),
    ),
    "mish": (activations.mish, F.mish),
    "relu": (activations.relu, F.relu),
    "selu": (activations.selu, F.selu),
    "sigmoid": (activations.sigmoid, torch.sigmoid),
    "silu": (activations.silu, F.silu),
    "sine": (activations.sine, torch.sin),
    "sine frequency": (lambda z: activations.sine(z, frequency=3), lambda z: torch.sin(3 * z)),
    # Beyond its threshold torch drops the exponential; float64 holds it up to 37.
    "softplus": (activations.softplus, lambda z: F.softplus(z, threshold=40)),
    "softsign": (activations.softsign, F.softsign),
    "tanh": (activations.tanh, torch.tanh),
}


def tied_case(name: str) -> Case:
    """A table of vectors that reads tokens and scores them: both uses are in its gradient."""

    def build() -> tuple[bp.Tensor, dict[str, bp.Tensor]]:
        tokens, answer = (
            bp.input("tokens", T, dtype="int", below=D),
            bp.label("answer", T, classes=D),
        )
        table = bp.parameter("table", bp.index("v", D), bp.index("c", H))
        h = activations.tanh(layers.embedding(tokens, H, weight=table))
        h = layers.linear(h, H, weight=bp.parameter("W", bp.index("c", H), bp.index("h", H)))
        logits = layers.linear(h, D, weight=table, transposed=True, name="head")
        return losses.softmax_cross_entropy(logits, answer), {"logits": logits}

    def torch_loss(p: Tensors, batch: Tensors) -> Tensor:
        h = torch.tanh(F.embedding(batch["tokens"], p["table"])) @ p["W"] + p["b1"]
        return torch_cross_entropy(F.linear(h, p["table"], p["head_b"]), batch["answer"])

    return Case(name, build, torch_loss)


def embedding_case(name: str) -> Case:
    """A table read by tokens."""

    def build() -> tuple[bp.Tensor, dict[str, bp.Tensor]]:
        y = layers.embedding(bp.input("tokens", T, dtype="int", below=D), H, name="table")
        return losses.mean_squared_error(y, bp.input("target", T, H)), {"y": y}

    return Case(
        name,
        build,
        lambda p, batch: F.mse_loss(F.embedding(batch["tokens"], p["table_W"]), batch["target"]),
    )


def torch_experts(z: Tensor, p: Tensors) -> Tensor:
    """All experts, then the mean that the gate weighs."""
    weights = (z @ p["out_gate_W"] + p["out_gate_b"]).softmax(-1)
    answers = torch.einsum("ntd,deh->nteh", z, p["out_W"]) + p["out_b"]
    return torch.einsum("nte,nteh->nth", weights, answers)


def torch_highway(z: Tensor, p: Tensors) -> Tensor:
    """The paper's form, with 1 - gate before the input."""
    change, gate = gated(z, p)
    return gate.sigmoid() * change.relu() + (1 - gate.sigmoid()) * z


def torch_gate(z: Tensor, p: Tensors) -> Tensor:
    """The two layers of squeeze and excitation."""
    h = (z.mean(-1) @ p["se_squeeze_W"] + p["se_squeeze_b"]).relu()
    return (h @ p["se_excite_W"] + p["se_excite_b"]).sigmoid()


def torch_machine(x: Tensor, p: Tensors) -> Tensor:
    """The sum over all pairs, one by one."""
    pairs = torch.einsum("ntd,nte,dr,er->ntde", x, x, p["fm_V"], p["fm_V"])
    return p["fm_w0"] + x @ p["fm_w"] + pairs.triu(1).sum((-1, -2))


def image(z: bp.Tensor) -> bp.Tensor:
    """A row of pixels of six channels; a bias before them would not outlast a normalisation."""
    made = layers.linear(activations.tanh(z), 6, name="wide", bias=False)
    n, t, c = made.indices
    return bp.define("image", (n, c, t), made[n, t, c])


def torch_image(z: Tensor, p: Tensors) -> Tensor:
    """The same in torch."""
    return (torch.tanh(z) @ p["wide_W"]).transpose(1, 2)


def torch_bells(x: Tensor, p: Tensors) -> Tensor:
    """Bells around centres."""
    distance = (x[..., None] - p["rbf_centre"]).square().sum(-2)
    return torch.exp(-distance * (2 * p["rbf_sharpness"]).exp() / 2)


def group_norm_case(groups: int) -> Case:
    """Six channels in groups."""
    return layer_case(
        f"group_norm of {groups}",
        lambda z: layers.group_norm(image(z), groups, name="gn"),
        lambda z, p, batch: F.group_norm(torch_image(z, p), groups, p["gn_gain"], p["gn_shift"]),
    )


def started(z: bp.Tensor, count: int) -> tuple[bp.Tensor, ...]:
    """Parameters that the states of a layer start from."""
    k = bp.index("k", UNITS)
    return tuple(bp.parameter(f"start{s}", k) for s in range(count))


def bidirectional_case(ours: Callable[..., bp.Tensor], kind: type[nn.RNNBase]) -> Case:
    """A recurrent layer in both directions."""
    return layer_case(
        f"bidirectional {ours.__name__}",
        lambda z: layers.bidirectional(ours, z, UNITS, name="r"),
        lambda z, p, batch: both_ways(kind, z, p, "r"),
    )


TORCHS: dict[Callable[..., bp.Tensor], type[nn.RNNBase]] = {
    layers.rnn: nn.RNN,
    layers.lstm: nn.LSTM,
    layers.gru: nn.GRU,
}
RECURRENT = [
    layer_case(
        "rnn",
        lambda z: layers.rnn(z, UNITS, name="r"),
        lambda z, p, batch: recurrent(nn.RNN, z, p, "r"),
    ),
    layer_case(
        "rnn started by data",
        lambda z: layers.rnn(z, UNITS, name="r", start=bp.input("h0", UNITS)),
        lambda z, p, batch: recurrent(nn.RNN, z, p, "r", batch["h0"]),
    ),
    layer_case(
        "rnn reversed",
        lambda z: layers.rnn(z, UNITS, name="r", reverse=True),
        lambda z, p, batch: backwards(partial(recurrent, nn.RNN), z, p, "r"),
    ),
    layer_case(
        "rnn cut",
        lambda z: layers.rnn(z, UNITS, name="r", truncate=2),
        lambda z, p, batch: cut_rnn(z, p, "r", 2),
    ),
    layer_case(
        "rnn cut and reversed",
        lambda z: layers.rnn(z, UNITS, name="r", truncate=2, reverse=True),
        lambda z, p, batch: backwards(cut_rnn, z, p, "r", 2),
    ),
    layer_case(
        "lstm",
        lambda z: layers.lstm(z, UNITS, name="r"),
        lambda z, p, batch: recurrent(nn.LSTM, z, p, "r"),
    ),
    layer_case(
        "lstm started by parameters",
        lambda z: layers.lstm(z, UNITS, name="r", start=started(z, 2)),
        lambda z, p, batch: recurrent(nn.LSTM, z, p, "r", p["start0"], p["start1"]),
    ),
    layer_case(
        "lstm cut, started by parameters",
        lambda z: layers.lstm(z, UNITS, name="r", start=started(z, 2), truncate=1),
        lambda z, p, batch: cut_lstm(z, p, "r", 1, p["start0"], p["start1"]),
    ),
    layer_case(
        "gru",
        lambda z: layers.gru(z, UNITS, name="r"),
        lambda z, p, batch: recurrent(nn.GRU, z, p, "r"),
    ),
    layer_case(
        "gru started by a parameter",
        lambda z: layers.gru(z, UNITS, name="r", start=started(z, 1)[0]),
        lambda z, p, batch: recurrent(nn.GRU, z, p, "r", p["start0"]),
    ),
    layer_case(
        "gru twice",
        lambda z: layers.gru(layers.gru(z, D, name="below"), UNITS, name="r"),
        lambda z, p, batch: recurrent(nn.GRU, recurrent(nn.GRU, z, p, "below"), p, "r"),
    ),
    *(bidirectional_case(*pair) for pair in TORCHS.items()),
]


LAYERS = [
    *RECURRENT,
    layer_case(
        "bilinear",
        lambda z: layers.bilinear(z, bp.input("other", T, D), UNITS, name="out"),
        lambda z, p, batch: F.bilinear(z, batch["other"], p["out_W"].permute(2, 0, 1), p["out_b"]),
    ),
    layer_case(
        "factorization_machine",
        lambda z: layers.factorization_machine(z, 2, name="fm"),
        lambda z, p, batch: torch_machine(z, p),
    ),
    layer_case("global_average_pool", layers.global_average_pool, lambda z, p, batch: z.mean(-1)),
    layer_case("global_max_pool", layers.global_max_pool, lambda z, p, batch: z.amax(-1)),
    *(group_norm_case(groups) for groups in (1, 2, 6)),
    layer_case(
        "highway",
        lambda z: layers.highway(z, name="out"),
        lambda z, p, batch: torch_highway(z, p),
    ),
    layer_case(
        "instance_norm",
        lambda z: layers.instance_norm(image(z), name="norm"),
        lambda z, p, batch: F.instance_norm(
            torch_image(z, p), weight=p["norm_gain"], bias=p["norm_shift"]
        ),
    ),
    layer_case(
        "mixture_of_experts",
        lambda z: layers.mixture_of_experts(z, UNITS, D, name="out"),
        lambda z, p, batch: torch_experts(z, p),
    ),
    layer_case(
        "radial_basis",
        lambda z: layers.radial_basis(z / 9, UNITS, name="rbf"),
        lambda z, p, batch: torch_bells(z / 9, p),
    ),
    layer_case(
        "squeeze_excitation",
        lambda z: layers.squeeze_excitation(image(z), 2, name="se"),
        lambda z, p, batch: torch_image(z, p) * torch_gate(torch_image(z, p), p)[..., None],
    ),
    layer_case(
        "attention",
        lambda z: layers.attention(wide(z, 6), 3, name="att"),
        lambda z, p, batch: torch_attention(torch_wide(z, p), torch_wide(z, p), p),
    ),
    layer_case(
        "attention as torch has it",
        lambda z: layers.attention(z / 9, 7, name="att"),
        lambda z, p, batch: multihead(z / 9, p),
    ),
    layer_case(
        "attention causal",
        lambda z: layers.attention(z / 9, 1, causal=True, name="att"),
        lambda z, p, batch: torch_attention(z / 9, z / 9, p, causal=True),
    ),
    layer_case(
        "attention to other keys",
        lambda z: layers.attention(
            z / 9, 7, keys=bp.input("other", 5, 11) / 9, bias=False, name="att"
        ),
        lambda z, p, batch: torch_attention(z / 9, batch["other"] / 9, p, bias=False),
    ),
    layer_case(
        "attention causal with groups",
        lambda z: layers.attention(wide(z, 12), 6, groups=2, causal=True, name="att"),
        lambda z, p, batch: torch_attention(
            torch_wide(z, p), torch_wide(z, p), p, causal=True, shared=3
        ),
    ),
    layer_case(
        "attention with positions that are padding",
        lambda z: layers.attention(wide(z, 6), 3, mask=bp.input("mask", T), name="att"),
        lambda z, p, batch: torch_attention(
            torch_wide(z, p), torch_wide(z, p), p, mask=(batch["mask"] > 0)[:, None, None]
        ),
    ),
    layer_case(
        "attention with a mask of pairs and rotary positions",
        lambda z: layers.attention(
            wide(z, 12), 3, mask=bp.label("mask", T, T, classes=2), rotary=True, name="att"
        ),
        lambda z, p, batch: torch_attention(
            torch_wide(z, p),
            torch_wide(z, p),
            p,
            mask=(batch["mask"] > 0)[:, None],
            turn=torch_turned,
        ),
    ),
    layer_case(
        "attention causal with padding, groups and rotary positions",
        lambda z: layers.attention(
            wide(z, 12), 6, groups=2, causal=True, mask=bp.input("mask", T), rotary=True, name="att"
        ),
        lambda z, p, batch: torch_attention(
            torch_wide(z, p),
            torch_wide(z, p),
            p,
            mask=(batch["mask"] > 0)[:, None, None] & torch.ones(T, T).tril().bool(),
            turn=torch_turned,
            shared=3,
        ),
    ),
    layer_case(
        "batch_norm",
        lambda z: layers.batch_norm(z, name="bn"),
        lambda z, p, batch: F.batch_norm(z, None, None, p["bn_gain"], p["bn_shift"], training=True),
    ),
    layer_case(
        "dropout",
        lambda z: layers.dropout(z, rate=0.2),
        lambda z, p, batch: z * batch["mask1"] / 0.8,
    ),
    layer_case(
        "causal_softmax",
        layers.causal_softmax,
        lambda z, p, batch: z.masked_fill(torch.ones(T, H).triu(1).bool(), -torch.inf).softmax(-1),
    ),
    embedding_case("embedding"),
    tied_case("embedding that shares its table with linear"),
    layer_case(
        "masked_softmax",
        lambda z: layers.masked_softmax(z, bp.input("mask", T, H)),
        lambda z, p, batch: torch_masked(z, batch["mask"] > 0),
    ),
    layer_case(
        "masked_softmax causal",
        lambda z: layers.masked_softmax(z, bp.label("mask", H, classes=2), causal=True),
        lambda z, p, batch: torch_masked(
            z, (batch["mask"] > 0)[:, None] & torch.ones(T, H).tril().bool()
        ),
    ),
    layer_case(
        "rotary",
        lambda z: layers.rotary(wide(z, 6)),
        lambda z, p, batch: torch_turned(torch_wide(z, p)),
    ),
    layer_case(
        "sparse_linear",
        lambda z: layers.sparse_linear(z, UNITS, 3, seed=5, name="out"),
        lambda z, p, batch: (z[..., batch["out_pattern"]] * p["out_W"]).sum(-1) + p["out_b"],
    ),
    layer_case("flatten", layers.flatten, lambda z, p, batch: z.flatten(1)),
    layer_case(
        "geglu",
        lambda z: layers.geglu(z, UNITS, name="out"),
        lambda z, p, batch: gated(z, p)[0] * F.gelu(gated(z, p)[1]),
    ),
    layer_case(
        "glu",
        lambda z: layers.glu(z, UNITS, name="out"),
        lambda z, p, batch: F.glu(torch.cat(gated(z, p), -1)),
    ),
    layer_case(
        "layer_norm",
        lambda z: layers.layer_norm(z, name="ln"),
        lambda z, p, batch: F.layer_norm(z, (H,), p["ln_gain"], p["ln_shift"]),
    ),
    layer_case(
        "learned_positions",
        lambda z: layers.learned_positions(z, name="at"),
        lambda z, p, batch: z + p["at_W"],
    ),
    layer_case(
        "linear",
        lambda z: layers.linear(z, UNITS, name="out"),
        lambda z, p, batch: F.linear(z, p["out_W"].T, p["out_b"]),
    ),
    layer_case(
        "linear without bias",
        lambda z: layers.linear(z, UNITS, name="out", bias=False),
        lambda z, p, batch: F.linear(z, p["out_W"].T),
    ),
    layer_case(
        "rms_norm",
        lambda z: layers.rms_norm(z, name="rms"),
        lambda z, p, batch: F.rms_norm(z, (H,), p["rms_gain"], eps=1e-5),
    ),
    layer_case(
        "sinusoidal_positions",
        layers.sinusoidal_positions,
        lambda z, p, batch: z + torch_waves(z),
    ),
    layer_case("softmax", layers.softmax, lambda z, p, batch: F.softmax(z, -1)),
    layer_case(
        "softmax twice", lambda z: z + layers.softmax(z), lambda z, p, batch: z + z.softmax(-1)
    ),
    layer_case(
        "swiglu",
        lambda z: layers.swiglu(z, UNITS, name="out"),
        lambda z, p, batch: gated(z, p)[0] * F.silu(gated(z, p)[1]),
    ),
]


def pixels(z: bp.Tensor) -> bp.Tensor:
    """The same entries as an image of three channels, 4 by 5."""
    return layers.reshape(wide(z, 20), 3, 4, 5)


def torch_pixels(z: Tensor, p: Tensors) -> Tensor:
    """The same in torch."""
    return torch_wide(z, p).reshape(-1, 3, 4, 5)


def image_case(
    name: str, ours: Callable[[bp.Tensor], bp.Tensor], theirs: Callable[[Tensor, Tensors], Tensor]
) -> Case:
    """`ours` of an image against `theirs` of it and the parameters."""
    return layer_case(
        name, lambda z: ours(pixels(z)), lambda z, p, batch: theirs(torch_pixels(z, p), p)
    )


# Random configurations of these stand in test_windows.
LAYERS += [
    layer_case(
        "conv1d",
        lambda z: layers.conv1d(z, 5, 3, stride=2, padding=1, name="conv"),
        lambda z, p, batch: F.conv1d(z, p["conv_W"], p["conv_b"], 2, 1),
    ),
    image_case(
        "conv2d",
        lambda z: layers.conv2d(z, 6, (3, 2), padding=1, groups=3, name="conv"),
        lambda z, p: F.conv2d(z, p["conv_W"], p["conv_b"], padding=1, groups=3),
    ),
    image_case(
        "conv3d",
        lambda z: layers.conv3d(layers.reshape(z, 1, 3, 4, 5), 2, 2, dilation=2, name="conv"),
        lambda z, p: F.conv3d(z[:, None], p["conv_W"], p["conv_b"], dilation=2),
    ),
    image_case(
        "conv_transpose2d",
        lambda z: layers.conv_transpose2d(z, 2, 3, stride=2, padding=1, name="conv"),
        lambda z, p: F.conv_transpose2d(z, p["conv_W"], p["conv_b"], 2, 1),
    ),
    image_case(
        "max_pool", lambda z: layers.max_pool(z, 3, stride=1), lambda z, p: F.max_pool2d(z, 3, 1)
    ),
    image_case("avg_pool", lambda z: layers.avg_pool(z, 2), lambda z, p: F.avg_pool2d(z, 2)),
    image_case(
        "adaptive_average_pool",
        lambda z: layers.adaptive_average_pool(z, (2, 3)),
        lambda z, p: F.adaptive_avg_pool2d(z, (2, 3)),
    ),
    image_case(
        "upsample", lambda z: layers.upsample(z, 2), lambda z, p: F.interpolate(z, scale_factor=2)
    ),
    image_case("flip", layers.flip, lambda z, p: z.flip(-1)),
    image_case("roll", lambda z: layers.roll(z, 2), lambda z, p: z.roll(2, -1)),
    image_case(
        "pad", lambda z: layers.pad(z, 1, value=2), lambda z, p: F.pad(z, (1, 1, 1, 1), value=2)
    ),
    image_case("transpose", layers.transpose, lambda z, p: z.transpose(-1, -2)),
    image_case("reshape", lambda z: layers.reshape(z, 5, -1), lambda z, p: z.reshape(-1, 5, 12)),
    image_case(
        "concatenate",
        lambda z: layers.concatenate(z, z[:, 1:], axis=1),
        lambda z, p: torch.cat([z, z[:, 1:]], 1),
    ),
]


def torch_focal(z: Tensor, answer: Tensor, gamma: float, alpha: float | None = None) -> Tensor:
    """The formula of the paper, as torchvision writes it."""
    surprise = F.binary_cross_entropy_with_logits(z, answer, reduction="none")
    wrong = answer * torch.sigmoid(-z) + (1 - answer) * torch.sigmoid(z)
    weight = 1 if alpha is None else alpha * answer + (1 - alpha) * (1 - answer)
    return (weight * wrong**gamma * surprise).mean()


def shares() -> bp.Tensor:
    """A target whose rows are probabilities."""
    return layers.softmax(bp.input("target", T, H))


def torch_dice(p: Tensor, answer: Tensor) -> Tensor:
    """One minus the overlap, for each example."""
    both, size = (p * answer).sum((1, 2)), (p + answer).sum((1, 2))
    return (1 - (2 * both + 1) / (size + 1)).mean()


def torch_mixture(mean: Tensor, target: Tensor, p: Tensors) -> Tensor:
    """The same by the distributions of torch."""
    normal = torch.distributions.Normal(mean, torch.exp(p["width"])[..., None])
    parts = torch.distributions.Independent(normal, 1)
    weights = torch.distributions.Categorical(logits=p["logits"])
    likely: Tensor = torch.distributions.MixtureSameFamily(weights, parts).log_prob(target)
    return -likely.mean()


def mixture(mean: bp.Tensor, target: bp.Tensor) -> bp.Tensor:
    """A mixture whose weights and widths are the same for all examples."""
    n, t, _ = mean.indices
    logits, width = bp.parameter("logits", t), bp.parameter("width", t)
    return losses.mixture_density(
        mean,
        target,
        logits=bp.define("each_logits", (n, t), logits[t]),
        log_scale=bp.define("each_width", (n, t), width[t]),
    )


LOSSES = [
    loss_case("mixture_density", mixture, torch_mixture, target=lambda: bp.input("target", H)),
    loss_case(
        "cosine_distance",
        losses.cosine_distance,
        lambda z, t, p: (1 - F.cosine_similarity(z, t, -1)).mean(),
    ),
    loss_case(
        "dice",
        lambda z, t: losses.dice(activations.sigmoid(z), t),
        lambda z, t, p: torch_dice(torch.sigmoid(z), torch.sigmoid(t)),
        target=lambda: activations.sigmoid(bp.input("target", T, H)),
    ),
    loss_case(
        "evidence_lower_bound",
        lambda z, t: losses.evidence_lower_bound(z, log_variance=z * t, weight=0.5),
        lambda z, t, p: 0.25 * (z**2 + (z * t / 9).exp() - 1 - z * t / 9).sum(-1).mean(),
        target=lambda: bp.input("target", T, H) / 9,
    ),
    loss_case("focal", losses.focal, lambda z, t, p: torch_focal(z, t, 2)),
    loss_case(
        "focal alpha",
        lambda z, t: losses.focal(z, t, gamma=1.5, alpha=0.25),
        lambda z, t, p: torch_focal(z, torch.sigmoid(t), 1.5, 0.25),
        target=lambda: activations.sigmoid(bp.input("target", T, H)),
    ),
    loss_case("hinge", losses.hinge, lambda z, t, p: F.relu(1 - t * z).mean()),
    loss_case(
        "kl_divergence",
        losses.kl_divergence,
        lambda z, t, p: F.kl_div(z.log_softmax(-1), t.softmax(-1), reduction="batchmean") / T,
        target=shares,
    ),
    loss_case(
        "gaussian_nll",
        lambda z, t: losses.gaussian_nll(z, t, variance=variance(z)),
        torch_gaussian,
    ),
    loss_case(
        "gaussian_nll full",
        lambda z, t: losses.gaussian_nll(z, t, variance=variance(z), full=True),
        lambda z, t, p: torch_gaussian(z, t, p, full=True),
    ),
    loss_case("huber", losses.huber, lambda z, t, p: F.huber_loss(z, t)),
    loss_case(
        "huber delta",
        lambda z, t: losses.huber(z, t, delta=0.5),
        lambda z, t, p: F.huber_loss(z, t, delta=0.5),
    ),
    loss_case(
        "l1",
        lambda z, t: losses.mean_squared_error(z, t) + losses.l1(z, strength=0.1),
        lambda z, t, p: F.mse_loss(z, t) + 0.1 * p["fc_W"].abs().sum(),
    ),
    loss_case(
        "l2",
        lambda z, t: losses.mean_squared_error(z, t) + losses.l2(z, strength=0.1),
        lambda z, t, p: F.mse_loss(z, t) + 0.1 * p["fc_W"].square().sum(),
    ),
    loss_case("mean_absolute_error", losses.mean_absolute_error, lambda z, t, p: F.l1_loss(z, t)),
    loss_case("mean_squared_error", losses.mean_squared_error, lambda z, t, p: F.mse_loss(z, t)),
    loss_case("poisson_nll", losses.poisson_nll, lambda z, t, p: F.poisson_nll_loss(z, t)),
    loss_case(
        "sigmoid_cross_entropy",
        losses.sigmoid_cross_entropy,
        lambda z, t, p: F.binary_cross_entropy_with_logits(z, t),
    ),
    loss_case(
        "softmax_cross_entropy",
        losses.softmax_cross_entropy,
        lambda z, t, p: torch_cross_entropy(z, t),
        target=lambda: bp.label("target", T, classes=H),
    ),
    loss_case(
        "softmax_cross_entropy ignored labels",
        lambda z, t: losses.softmax_cross_entropy(z, t, ignore=2),
        lambda z, t, p: torch_cross_entropy(z, t, ignore_index=2),
        target=lambda: bp.label("target", T, classes=H),
    ),
    loss_case(
        "softmax_cross_entropy ignored labels smoothing",
        lambda z, t: losses.softmax_cross_entropy(z, t, ignore=0, smoothing=0.1),
        lambda z, t, p: torch_cross_entropy(z, t, 0.1, ignore_index=0),
        target=lambda: bp.label("target", T, classes=H),
    ),
    loss_case(
        "softmax_cross_entropy smoothing",
        lambda z, t: losses.softmax_cross_entropy(z, t, smoothing=0.1),
        lambda z, t, p: torch_cross_entropy(z, t, 0.1),
        target=lambda: bp.label("target", T, classes=H),
    ),
]

CASES = [*(activation_case(name, *pair) for name, pair in ACTIVATIONS.items()), *LAYERS, *LOSSES]
