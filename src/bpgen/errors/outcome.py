"""What goes wrong between a declaration and its emitted file."""

from bpgen.errors.error import BpgenError


class TargetError(BpgenError):
    """A target that has no spelling for a function or a statement.

    Targets are numpy and cupy. The file `bpgen/targets/<target>.py` lists the functions it can
    spell.
    """

    code = "BPG110"


class CoupledError(BpgenError):
    """Threads that would share a batch whose examples depend on each other.

    `--threads` gives each thread some rows of a batch; where an example reads a sum over the batch,
    as in `batch_norm`, the threads meet and add up what they have. What they cannot share is a loss
    that compares examples by pairs, the largest value in a batch, or an example that reads another
    one or its own number. The message names the first such equation.
    """

    code = "BPG117"


class RefutedError(BpgenError):
    """A gradient that is wrong.

    The Taylor remainder R1 falls like h², or the ball arithmetic encloses the derivative, only if
    the gradient is right. It is not. The report names the tensor and the hypothesis that fits: a
    sign, a factor, a transposition.
    """

    code = "BPG201"
    exit_status = 1


class UndecidedError(BpgenError):
    """A check that could not come to a verdict.

    Mostly the point lies on a switch of relu, max or where, or everything is saturated. Try
    another `--seed`.
    """

    code = "BPG204"
    exit_status = 4


class FileError(BpgenError):
    """A file that cannot be written.

    The folder may be missing or not yours, the disk full, or a file may be in the way. Files are
    written whole or not at all: what was there before is still there.
    """

    code = "BPG302"
    exit_status = 7


class StaleError(BpgenError):
    """An emitted file that differs from what its declaration gives now.

    `bpgen emit --check` writes nothing and shows the difference. Emit again, read the difference,
    and commit the file together with the change that caused it.
    """

    code = "BPG304"
    exit_status = 1


class AuditError(BpgenError):
    """An emitted module that holds what no emitted module may hold.

    Emitted code imports the standard library and its array library alone, and neither evaluates
    text nor reaches for private names. Names of a model file are checked at the door, so this is a
    bug in bpgen.
    """

    code = "BPG305"
    exit_status = 1


class DeviceError(BpgenError):
    """An emitted CuPy module that does what a GPU refuses, or does wrong in silence.

    Modules run on the CPU in `bpgen check --target cupy`, where every launch is watched: the types
    of its arguments, writes outside its arrays, barriers that not all threads reach, copies while a
    graph is recorded.
    """

    code = "BPG306"
    exit_status = 1
