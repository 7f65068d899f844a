"""What goes wrong when an emitted file is run: data, checkpoints, numbers."""

from bpgen.errors.error import BpgenError


class CheckpointError(BpgenError):
    """A checkpoint that is damaged, or belongs to another model.

    A checkpoint is an npz file without pickles. Its arrays have the names and shapes of the
    model's parameters and of the optimizer's states; it is read with the emitted module that wrote
    it.
    """

    code = "BPG402"
    exit_status = 5


class DataError(BpgenError):
    """Data that do not fit the declaration."""

    code = "BPG500"
    exit_status = 5


class DataFileError(DataError):
    """Data that are missing or cannot be read.

    `--data` takes a built-in data set, an `.npz` whose keys are the names of the inputs, a `.csv`
    with a header, a folder of `.npy` files, or `--data x=images.npy --data digit=labels.npy`.
    """

    code = "BPG501"


class LengthError(DataError):
    """Arrays of different lengths.

    The first axis of every array counts examples: row i of each belongs to example i.
    """

    code = "BPG502"


class DataShapeError(DataError):
    """An array whose shape is not that of the declared input.

    `bp.input("x", 64)` takes rows of 64 numbers, an array of shape (rows, 64). Reshape the data,
    or declare what they are.
    """

    code = "BPG503"


class TooFewRowsError(DataError):
    """A data set with too few rows to train on.

    A tenth of the rows validates and a tenth tests; what remains must fill a batch at least once.
    """

    code = "BPG504"


class NotANumberError(DataError):
    """An entry that is NaN or infinite.

    One such entry makes the loss NaN, and every parameter after one step. Drop the row, or fill in
    the mean.
    """

    code = "BPG505"


class LabelError(DataError):
    """Labels that are not the integers 0 … classes-1.

    Labels are one integer for each example, counted from 0; neither one-hot rows nor counted from
    1.
    """

    code = "BPG506"


class TableError(DataError):
    """A table that cannot be read cell by cell.

    A `.csv` has one line of column names, then rows of as many numbers, with a decimal point.
    Columns named as an input go to that input, `--label COLUMN` to the label, and the rest to the
    one remaining input.
    """

    code = "BPG507"


class MissingInputError(DataError):
    """A data set that lacks one of the model's inputs.

    The keys of an `.npz`, the file names of a folder and the names before `=` are those of the
    model's inputs.
    """

    code = "BPG508"


class CertificateError(DataError):
    """A certificate that cannot be relied on.

    `bpgen check MODEL --json > FILE` writes one; it ends with a seal, the hash of everything in it.
    A certificate whose seal does not fit was changed afterwards, and says nothing about a module.
    """

    code = "BPG509"


class NotFiniteError(BpgenError):
    """A loss that is not finite.

    Mostly the learning rate is too high; else an exp overflows, or a log or a division meets 0.
    The checkpoint of the last epoch is kept. Clipping the gradient (`clip=1.0` of every optimizer)
    helps against single steps.
    """

    code = "BPG601"
    exit_status = 6


class MissingPackageError(BpgenError):
    """A package or a device that is missing.

    The comparison with PyTorch needs the extra `bpgen[oracle]`; the cupy target needs an NVIDIA
    GPU and CuPy.
    """

    code = "BPG801"
    exit_status = 8
