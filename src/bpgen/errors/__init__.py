"""The errors of bpgen: what, where, what disagrees, the rule, the way out.

A user's mistake is a `BpgenError` and reaches the terminal as a few lines, never as a traceback.
Each class is one kind of mistake, with the exit status of the command line and a stable code. Its
docstring is the long form that `bpgen explain CODE` prints.
"""

from bpgen.errors.declaration import (
    ExtentError,
    FormulaError,
    FrozenError,
    IndexUseError,
    LoadError,
    LossError,
    MissingFileError,
    NameSyntaxError,
    NameTakenError,
    NoModelError,
    OptionError,
    RecurrenceError,
    ShapeError,
    StateError,
    UnknownNameError,
    UnreachedError,
)
from bpgen.errors.error import BpgenError, nearest
from bpgen.errors.outcome import (
    AuditError,
    FileError,
    RefutedError,
    StaleError,
    TargetError,
    UndecidedError,
)
from bpgen.errors.run import (
    CertificateError,
    CheckpointError,
    DataError,
    DataFileError,
    DataShapeError,
    LabelError,
    LengthError,
    MissingInputError,
    MissingPackageError,
    NotANumberError,
    NotFiniteError,
    TableError,
    TooFewRowsError,
)

__all__ = [
    "AuditError",
    "BpgenError",
    "CertificateError",
    "CheckpointError",
    "DataError",
    "DataFileError",
    "DataShapeError",
    "ExtentError",
    "FileError",
    "FormulaError",
    "FrozenError",
    "IndexUseError",
    "LabelError",
    "LengthError",
    "LoadError",
    "LossError",
    "MissingFileError",
    "MissingInputError",
    "MissingPackageError",
    "NameSyntaxError",
    "NameTakenError",
    "NoModelError",
    "NotANumberError",
    "NotFiniteError",
    "OptionError",
    "RecurrenceError",
    "RefutedError",
    "ShapeError",
    "StaleError",
    "StateError",
    "TableError",
    "TargetError",
    "TooFewRowsError",
    "UndecidedError",
    "UnknownNameError",
    "UnreachedError",
    "nearest",
]
