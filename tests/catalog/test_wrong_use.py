"""Wrong use is refused with the right kind of error, and the message names the line."""

from typing import Any

import pytest

import bpgen as bp
from bpgen.activations import gelu, relu
from bpgen.errors import ExtentError, FormulaError, IndexUseError, OptionError, ShapeError
from bpgen.layers import (
    adaptive_average_pool,
    attention,
    avg_pool,
    batch_norm,
    bilinear,
    causal_softmax,
    concatenate,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose2d,
    dropout,
    embedding,
    factorization_machine,
    flatten,
    flip,
    global_average_pool,
    global_max_pool,
    group_norm,
    highway,
    instance_norm,
    layer_norm,
    learned_positions,
    linear,
    masked_softmax,
    max_pool,
    mixture_of_experts,
    pad,
    radial_basis,
    reshape,
    rms_norm,
    rnn,
    roll,
    rotary,
    sinusoidal_positions,
    softmax,
    sparse_linear,
    squeeze_excitation,
    transpose,
    upsample,
)
from bpgen.losses import (
    cosine_distance,
    dice,
    evidence_lower_bound,
    focal,
    gaussian_nll,
    hinge,
    huber,
    kl_divergence,
    l1,
    l2,
    mixture_density,
    softmax_cross_entropy,
)
from bpgen.optimizers import adam, adamw, lion, momentum, nesterov, rmsprop, sgd
from bpgen.optimizers.schedules import constant, cosine, one_cycle, step

X = bp.input("x", 3)
TEXT = bp.input("text", 5, 6)
IMAGE = bp.input("image", 6, 5, 7)
ROW = bp.input("row")  # the batch alone
WORD: Any = "half"
HALF: Any = 1.5
LABEL = bp.label("answer", classes=3)

WRONG = {
    "linear without an axis": (lambda: linear(ROW, 5), ShapeError, "row[n]"),
    "flatten without an axis": (lambda: flatten(ROW), ShapeError, "row[n]"),
    "layer_norm without an axis": (lambda: layer_norm(ROW), ShapeError, "row[n]"),
    "rms_norm without an axis": (lambda: rms_norm(ROW), ShapeError, "row[n]"),
    "softmax without an axis": (lambda: softmax(ROW), ShapeError, "row[n]"),
    "layer_norm with eps 0": (lambda: layer_norm(X, eps=0), OptionError, "it is 0"),
    "rms_norm with eps -1": (lambda: rms_norm(X, eps=-1), OptionError, "above 0"),
    "rnn by a layer": (lambda: rnn(TEXT, 4, activation=gelu), OptionError, "gelu(z[n,t,k])"),
    "embedding of real numbers": (lambda: embedding(X, 5), FormulaError, "x[n,d] are real"),
    "positions without a sequence": (lambda: learned_positions(X), ShapeError, "x[n,d]"),
    "waves without a sequence": (lambda: sinusoidal_positions(X), ShapeError, "x[n,d]"),
    "waves of length 1": (lambda: sinusoidal_positions(TEXT, longest=1), OptionError, "above 1"),
    "attention without a sequence": (lambda: attention(X, 1), ShapeError, "the axes of x[n,t,d]"),
    "batch_norm without channels": (lambda: batch_norm(ROW), ShapeError, "row[n]"),
    "batch_norm with momentum 0": (lambda: batch_norm(X, momentum=0), OptionError, "`momentum`"),
    "rotary pairs of five": (lambda: rotary(bp.input("odd", 3, 5)), ShapeError, "D = 5"),
    "rotary heads of three": (lambda: attention(TEXT, 2, rotary=True), ShapeError, "K = 3"),
    "a mask of other positions": (
        lambda: masked_softmax(TEXT, bp.input("mask", 5, 7)),
        ShapeError,
        "mask[n,t,d] has N = batch, T = 5, D = 7",
    ),
    "a mask of features": (lambda: attention(TEXT, 2, mask=TEXT), ShapeError, "text[n,t,d]"),
    "four of three": (lambda: sparse_linear(X, 5, 4), OptionError, "at least 1 and at most 3"),
    "one and a half of three": (lambda: sparse_linear(X, 5, HALF), ExtentError, "1.5"),
    "a shared weight that is too small": (
        lambda: linear(X, 5, weight=bp.parameter("W", bp.index("d", 3), bp.index("h", 4))),
        ShapeError,
        "it needs 3 rows and 5 columns; given is W[d,h] with D = 3 and H = 4",
    ),
    "a shared weight not transposed": (
        lambda: linear(X, 5, weight=bp.parameter("W", *TEXT.indices[1:]), transposed=True),
        ShapeError,
        "it needs 5 rows and 3 columns",
    ),
    "a shared table of another width": (
        lambda: embedding(LABEL, 7, weight=bp.parameter("V", *bp.input("u", 3, 5).indices[1:])),
        ShapeError,
        "it needs 3 rows and 7 columns",
    ),
    "a shared weight that is a number": (lambda: linear(X, 5, weight=WORD), ShapeError, "'half'"),
    "heads that do not divide features": (lambda: attention(TEXT, 4), ShapeError, "heads=3"),
    "half a head": (lambda: attention(TEXT, WORD), ShapeError, "heads = 'half'"),
    "groups that do not divide heads": (
        lambda: attention(TEXT, 6, groups=4),
        ShapeError,
        "A = 6; groups = 4",
    ),
    "no groups at all": (lambda: attention(TEXT, 6, groups=0), ShapeError, "groups = 0"),
    "keys of other examples": (
        lambda: attention(TEXT, 2, keys=bp.input("clip", 2, 5, 6)),
        ShapeError,
        "clip[n,c,h,w] has",
    ),
    "a causal softmax of one axis": (lambda: causal_softmax(X), ShapeError, "score[n,t,s]"),
    "bilinear with other rows": (lambda: bilinear(TEXT, X, 5), ShapeError, "x[n,d] has N = batch"),
    "highway without an axis": (lambda: highway(ROW), ShapeError, "row[n]"),
    "experts without an axis": (lambda: mixture_of_experts(ROW, 5, 2), ShapeError, "row[n]"),
    "bells without an axis": (lambda: radial_basis(ROW, 5), ShapeError, "row[n]"),
    "pairs without an axis": (lambda: factorization_machine(ROW, 2), ShapeError, "row[n]"),
    "groups that do not divide channels": (lambda: group_norm(TEXT, 2), ShapeError, "groups=1"),
    "group_norm with eps 0": (lambda: group_norm(TEXT, 1, eps=0), OptionError, "`eps`"),
    "instance_norm without positions": (lambda: instance_norm(X), ShapeError, "x[n,c,h]"),
    "instance_norm with eps 0": (lambda: instance_norm(TEXT, eps=0), OptionError, "`eps`"),
    "the mean of no positions": (lambda: global_average_pool(X), ShapeError, "x[n,c,h]"),
    "the maximum of no positions": (lambda: global_max_pool(X), ShapeError, "x[n,c,h]"),
    "a gate for each of no channels": (lambda: squeeze_excitation(X, 2), ShapeError, "x[n,c,h]"),
    "a reduction that does not divide channels": (
        lambda: squeeze_excitation(TEXT, 3),
        ShapeError,
        "reduction = 3",
    ),
    "dropout of everything": (lambda: dropout(X, 1), OptionError, "at least 0 and below 1"),
    "dropout of less than nothing": (lambda: dropout(X, -0.1), OptionError, "it is -0.1"),
    "dropout of NaN": (lambda: dropout(X, float("nan")), OptionError, "it is nan"),
    "dropout of a word": (lambda: dropout(X, WORD), OptionError, "it is 'half'"),
    "logits for other classes": (
        lambda: softmax_cross_entropy(linear(X, 5), LABEL),
        ShapeError,
        "H = 5; answer[n] has N = batch and 3 classes",
    ),
    "a label that is real": (lambda: softmax_cross_entropy(X, ROW), ShapeError, "no classes"),
    "logits without classes": (lambda: softmax_cross_entropy(ROW, LABEL), ShapeError, "row[n]"),
    "a number without axes as logits": (
        lambda: softmax_cross_entropy(bp.parameter("c"), LABEL),
        ShapeError,
        "c[] has no axis",
    ),
    "smoothing above 1": (
        lambda: softmax_cross_entropy(X, LABEL, smoothing=2),
        OptionError,
        "at least 0 and at most 1",
    ),
    "a label to ignore that is no class": (
        lambda: softmax_cross_entropy(X, LABEL, ignore=3),
        OptionError,
        "`ignore`",
    ),
    "a divergence of numbers": (lambda: kl_divergence(ROW, ROW), ShapeError, "given row[n]"),
    "the cosine of numbers": (lambda: cosine_distance(ROW, ROW), ShapeError, "given row[n]"),
    "cosine_distance with eps 0": (lambda: cosine_distance(X, X, eps=0), OptionError, "`eps`"),
    "the overlap of numbers": (lambda: dice(ROW, ROW), ShapeError, "given row[n]"),
    "dice with smooth 0": (lambda: dice(X, X, smooth=0), OptionError, "`smooth`"),
    "hinge with margin 0": (lambda: hinge(X, X, margin=0), OptionError, "`margin`"),
    "focal with gamma 0.5": (lambda: focal(X, X, gamma=0.5), OptionError, "`gamma`"),
    "focal with alpha 2": (lambda: focal(X, X, alpha=2), OptionError, "`alpha`"),
    "a code without an axis": (
        lambda: evidence_lower_bound(ROW, log_variance=ROW),
        ShapeError,
        "given row[n]",
    ),
    "a bound of weight 0": (
        lambda: evidence_lower_bound(X, log_variance=X, weight=0),
        OptionError,
        "`weight`",
    ),
    "a mixture without parts": (
        lambda: mixture_density(X, X, logits=ROW, log_scale=ROW),
        ShapeError,
        "x[n,d] has N = batch, D = 3",
    ),
    "a row to slide over": (lambda: conv1d(X, 2, 1), ShapeError, "the axes of x[n,c,h]"),
    "a text as an image": (lambda: conv2d(TEXT, 2, 1), ShapeError, "text[n,t,d]"),
    "an image as a volume": (lambda: conv3d(IMAGE, 2, 1), ShapeError, "x[n,c,t,h,w]"),
    "a kernel larger than the image": (
        lambda: conv2d(IMAGE, 2, (3, 9)),
        ShapeError,
        "9 entries span 9; W = 7 with padding 0 on both sides is 7",
    ),
    "gaps that leave the image": (
        lambda: conv2d(IMAGE, 2, 3, dilation=3),
        ShapeError,
        "Take a smaller kernel, or padding=1",
    ),
    "groups that do not divide filters": (
        lambda: conv2d(IMAGE, 4, 3, groups=3),
        ShapeError,
        "F = 4; groups = 3",
    ),
    "a group for each half channel": (
        lambda: conv2d(IMAGE, 4, 3, groups=4),
        ShapeError,
        "C = 6; groups = 4",
    ),
    "a stride of 0": (lambda: conv2d(IMAGE, 2, 3, stride=0), OptionError, "`stride` of conv2d"),
    "a kernel of half": (lambda: conv2d(IMAGE, 2, WORD), OptionError, "it is 'half'"),
    "three strides for two axes": (
        lambda: max_pool(IMAGE, 3, stride=(1, 2, 3)),
        OptionError,
        "there are 2 axes",
    ),
    "a padding below 0": (lambda: avg_pool(IMAGE, 3, padding=-1), OptionError, "it is -1"),
    "windows outside the image": (
        lambda: max_pool(IMAGE, 3, padding=2),
        ShapeError,
        "the window spans 3 entries; padding=2",
    ),
    "an image that grows to nothing": (
        lambda: conv_transpose2d(IMAGE, 2, 1, padding=3),
        ShapeError,
        "padding=3 takes 6",
    ),
    "an output padding of a whole stride": (
        lambda: conv_transpose2d(IMAGE, 2, 3, stride=2, output_padding=2),
        OptionError,
        "output_padding=1 or less",
    ),
    "an image of no pixels": (lambda: adaptive_average_pool(IMAGE, 0), OptionError, "`size`"),
    "an image enlarged by half": (lambda: upsample(IMAGE, WORD), OptionError, "`factor`"),
    "an image enlarged in cubes": (
        lambda: upsample(IMAGE, 2, mode="cubic"),
        OptionError,
        "mode='cubic'",
    ),
    "a border inwards": (lambda: pad(IMAGE, -1), OptionError, "`width` of pad"),
    "axes named twice": (lambda: transpose(IMAGE, 0, 1, 1, 2), ShapeError, "(0, 1, 1, 2)"),
    "an image as a square": (lambda: reshape(IMAGE, 15, 15), ShapeError, "has 210 entries"),
    "a backwards batch": (lambda: flip(IMAGE, 0), ShapeError, "axis 0 is the batch"),
    "an axis beyond the last": (lambda: flip(IMAGE, 4), ShapeError, "no axis 4"),
    "a half turn": (lambda: roll(IMAGE, WORD), OptionError, "`shift`"),
    "nothing side by side": (lambda: concatenate(axis=2), ShapeError, "no tensor"),
    "an image beside a text": (
        lambda: concatenate(IMAGE, TEXT),
        ShapeError,
        "text[n,t,d] has N = batch",
    ),
    "a slice of the batch": (lambda: X[2:], IndexUseError, "axis `n` is cut"),
    "a slice that holds nothing": (lambda: X[:, 3:], IndexUseError, "nothing of axis `d`"),
    "slices of too many axes": (lambda: X[:, :, 0], IndexUseError, "3 slices"),
    "an entry beyond the axis": (lambda: X[:, 3], IndexUseError, "3 is no entry"),
    "huber with delta 0": (lambda: huber(X, X, delta=0), OptionError, "above 0"),
    "a variance of another shape": (
        lambda: gaussian_nll(X, X, variance=ROW),
        ShapeError,
        "row[n] has N = batch",
    ),
    "l2 of an input": (lambda: l2(X, strength=1), FormulaError, "given x[n,d]"),
    "l1 of nothing": (lambda: l1(strength=1), FormulaError, "no tensor"),
    "l1 of strength 0": (lambda: l1(linear(X, 5), strength=0), OptionError, "above 0"),
    "a rate of 0": (lambda: sgd(0), OptionError, "the learning rate"),
    "an infinite rate": (lambda: adam(float("inf")), OptionError, "it is inf"),
    "a clip of 0": (lambda: sgd(clip=0), OptionError, "`clip`"),
    "momentum of 1": (lambda: momentum(momentum=1), OptionError, "`momentum`"),
    "nesterov below 0": (lambda: nesterov(momentum=-1), OptionError, "`momentum`"),
    "beta1 of 1": (lambda: adam(beta1=1), OptionError, "`beta1`"),
    "beta2 above 1": (lambda: lion(beta2=1.5), OptionError, "`beta2`"),
    "alpha below 0": (lambda: rmsprop(alpha=-0.5), OptionError, "`alpha`"),
    "decay below 0": (lambda: adamw(weight_decay=-1), OptionError, "`weight_decay`"),
    "a constant of 0": (lambda: constant(0), OptionError, "`rate`"),
    "steps every 0": (lambda: step(0.1, every=0), OptionError, "`every`"),
    "steps upwards": (lambda: step(0.1, every=9, factor=2), OptionError, "`factor`"),
    "a warm-up that never ends": (
        lambda: cosine(0.1, steps=9, warmup=9),
        OptionError,
        "it is 9; it must be above 9",
    ),
    "a lowest rate above the highest": (
        lambda: cosine(0.1, steps=9, lowest=1),
        OptionError,
        "`lowest`",
    ),
    "a cycle that only rises": (lambda: one_cycle(1, steps=9, rising=1), OptionError, "`rising`"),
    "a cycle too short to rise": (lambda: one_cycle(1, steps=3), OptionError, "`steps`"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_use_is_refused_where_it_stands(what):
    use, kind, words = WRONG[what]
    with pytest.raises(kind) as caught:
        use()
    where, first = caught.value.where, use.__code__.co_firstlineno
    assert words in str(caught.value)
    assert where is not None
    assert where.file == __file__
    assert first <= where.line <= first + 1


def test_an_activation_of_a_tensor_is_not_one_of_a_number():
    assert relu(X).indices == X.indices
    n, d = X.indices
    assert relu(X[n, d]) == bp.where(X[n, d] > 0, X[n, d], 0)
