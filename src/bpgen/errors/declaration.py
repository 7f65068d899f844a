"""Mistakes in a model file, or in what the command line says of it."""

from bpgen.errors.error import BpgenError


class LoadError(BpgenError):
    """A model file that cannot be read, or raises while it runs.

    A model file is a Python program: bpgen runs it once and takes the name `model` from it. A
    syntax error, a failing import or any other exception of the file ends here, with the line in
    your file.
    """

    code = "BPG001"


class MissingFileError(BpgenError):
    """A file or a zoo model that does not exist.

    MODEL is a path to a file, or the name of a model that ships with bpgen; without it, bpgen
    reads `model.py` in the current folder. `bpgen new NAME` writes one to start from.
    """

    code = "BPG002"
    exit_status = 2


class NoModelError(BpgenError):
    """A model file that defines no `model`.

    The last line of a model file binds the name: `model = bp.Model(loss=…, outputs={…},
    optimizer=…)`.
    """

    code = "BPG005"


class OptionError(BpgenError):
    """A number outside its range, in a declaration or on the command line.

    Learning rates, clipping limits, batch sizes and numbers of epochs are positive; probabilities
    lie between 0 and 1.
    """

    code = "BPG011"
    exit_status = 2


class UnknownNameError(BpgenError):
    """A name on the command line that nothing has.

    `--wrt` takes the name of a tensor as the derivation writes it (`bpgen derive` lists them all),
    `explain` a code such as BPG101.
    """

    code = "BPG012"
    exit_status = 2


class ShapeError(BpgenError):
    """Two extents that must be equal and are not.

    An index is one range of numbers. Where it is an axis of two tensors, as `d` in Σ_d x[n,d]
    W[d,h], both axes have that many entries. Take the size from the tensor before (`n,
    d = x.indices`) instead of writing it twice.
    """

    code = "BPG101"


class NameTakenError(BpgenError):
    """One name for two tensors.

    A name is one buffer of the emitted file and one line of the derivation. Layers that are used
    twice take `name=`: linear(x, 32, name="fc1"), linear(h, 32, name="fc2").
    """

    code = "BPG103"


class NameSyntaxError(BpgenError):
    """A name that cannot stand in a formula and in a Python file.

    A name is a letter, then letters, digits and `_`, at most 64 of them. Python's keywords are not
    names, and `d_x` is kept for the cotangent of `x`.
    """

    code = "BPG104"


class ExtentError(BpgenError):
    """An extent that is not a positive integer.

    An axis has 1, 2, 3, … entries. A convolution or a pooling whose window is larger than the
    image leaves none.
    """

    code = "BPG105"


class IndexUseError(BpgenError):
    """An index that is neither on the left nor summed, or summed and not there.

    In `z[n,h] = Σ_d x[n,d] W[d,h]` the index n and h stand on the left, d is summed over. Every
    index of a formula is one or the other: name it in `bp.define(name, (n, h), …)`, or sum over
    it: `bp.sum(…, over=d)`.
    """

    code = "BPG106"


class UnreachedError(BpgenError):
    """A parameter that never reaches the loss.

    No path of equations leads from it to the loss, so its gradient is zero and training leaves it
    as it is. Mostly the result of a layer was not used: `linear(h, 10)` where `h = linear(h, 10)`
    was meant.
    """

    code = "BPG107"


class LossError(BpgenError):
    """A loss that is not a scalar.

    A gradient is that of one number. Reduce what you have with `bp.mean(loss[n], over=n)` or a
    loss of `bpgen.losses`, which are means over the batch.
    """

    code = "BPG108"


class FormulaError(BpgenError):
    """A formula outside the language.

    A formula holds entries `x[n,d]`, numbers, extents, indices, + - * / and powers, the functions
    exp log sin cos tan tanh sinh cosh atan erf log1p expm1, `bp.sum`, `bp.max`, `bp.mean` and
    `bp.where`.
    """

    code = "BPG109"


class StateError(BpgenError):
    """A state without a next value, or with two; or an update of what is no state.

    `s = bp.state("s", c, start=0)` is kept from one step to the next, and `bp.update(s, formula)`
    says what it becomes. Each state has one such formula; all states change at once, so what two
    states know of each other is kept in a tensor of its own first.
    """

    code = "BPG115"


class FrozenError(BpgenError):
    """A name in `frozen` that no parameter has.

    `bp.Model(…, frozen=["fc1"])` leaves the parameters `fc1_…` as they start, and
    `frozen=["fc1_W"]` that one. `bp.parameter(…, train=False)` declares one so.
    """

    code = "BPG116"


class RecurrenceError(BpgenError):
    """A recurrence that cannot be computed step by step.

    A state `h = bp.recurrence("h", (n, t, k), over=t)` has one formula, h.becomes(…), which reads
    the state before as h[n, t-1, k]. A state of a backward recurrence reads h[n, t+1, k]. A
    formula that reads its own result at the same index, or in both directions, has no first step.
    """

    code = "BPG120"
