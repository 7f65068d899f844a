"""What a network is given: inputs, labels, parameters and noise."""

from __future__ import annotations

import keyword
import re
from typing import Any

from bpgen.declare.variable import Auto, Name, Variable, check_once, here, provisional
from bpgen.errors import ExtentError, FormulaError, NameSyntaxError
from bpgen.init import he
from bpgen.ir.index import Index
from bpgen.ir.index import index as make_index
from bpgen.ir.tensor import Init, Noise, Role, Tensor

BATCH = make_index("n", None)

_LONGEST = 64
_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{_LONGEST - 1}}}\Z")
# Attributes of the emitted classes, which no tensor may hide; and, for inputs, which are arguments,
# the names that the emitted functions use themselves.
_ATTRIBUTES = frozenset(
    {"BATCH", "N", "ZERO", "flat", "kernels", "meet", "random", "storage", "tiles"}
)
_ARGUMENTS = _ATTRIBUTES | frozenset(
    "Activations Grads Params State Trainer Workspace a add_loss add_score advance backward "
    "checked cp draw dtype erf float forward g infer len loss math noise noise_of np p params real "
    "s seed self step super update whole".split()
)
_LETTERS = {0: "", 1: "d", 2: "td", 3: "chw", 4: "cthw"}
_MORE_LETTERS = "defghjkmqrsuv"


def index(name: str, extent: int) -> Index:
    """Return an index that runs over 0 … extent-1; its extent is written as the capital letter."""
    return make_index(checked_name(name, frozenset()), checked_extent(f"index `{name}`", extent))


def fresh_index(extent: int, letters: str, *avoid: Index) -> Index:
    """Return an index named by the first of `letters` that none of `avoid` has."""
    taken = {i.name for i in avoid}
    letter = next(c for c in letters + _MORE_LETTERS if c not in taken)
    return make_index(letter, checked_extent(f"index `{letter}`", extent))


def input(name: str, *extents: int, dtype: str = "float", below: int | None = None) -> Variable:  # noqa: A001  the contract's name
    """Declare an input; the batch index `n` is implied and comes first.

    Shapes: `bp.input("x", 64)` is x[n,d]; `bp.input("image", 1, 8, 8)` is image[n,c,h,w].
    `dtype="int"` declares tokens, integers 0 … below-1.
    Errors: ExtentError, NameSyntaxError; FormulaError if `dtype="int"` comes without `below`.
    """
    if dtype not in {"float", "int"} or (dtype == "int") != (below is not None):
        raise FormulaError(
            f"input `{name}` needs `below` with dtype int, and only then",
            where=here(),
            disagree=f"dtype={dtype!r}, below={below}",
            way_out=f'bp.input("{name}", …, dtype="int", below=96) for integers 0 … 95.',
        )
    role = Role.INPUT if below is None else Role.LABEL
    return given(name, (BATCH, *_axes(name, extents)), role, below=below)


def label(name: str, *extents: int, classes: int) -> Variable:
    """Declare integer labels 0 … classes-1, one for each example (and each entry of `extents`)."""
    below = checked_extent(f"classes of `{name}`", classes)
    return given(name, (BATCH, *_axes(name, extents)), Role.LABEL, below=below)


def parameter(
    name: Name,
    *indices: Index,
    init: Any = None,
    fan_in: Any = None,
    fan_out: Any = None,
    train: bool = True,
) -> Variable:
    """Declare a tensor that training changes; with `train=False` it keeps its first values.

    Shapes: one axis for each of `indices`, in order; none for a scalar.
    `init` is a rule of `bp.init` (default `he`); the fans it needs are those of a matrix
    `W[in,out]` unless given.
    """
    check_once(name if isinstance(name, str) else name.plain, indices)
    rule = init or he()
    first = indices[0].extent if indices else 1
    last = indices[-1].extent if indices else 1
    resolved = rule(fan_in or first, fan_out or last)
    return given(name, indices, Role.PARAMETER if train else Role.FROZEN, init=resolved)


def noise(name: Name, indices: tuple[Index, ...], law: str, rate: float = 1.0) -> Variable:
    """Declare random numbers, drawn anew in every step by seed, step and name."""
    return given(name, indices, Role.NOISE, noise=Noise(law, rate))


def checked_name(name: str, reserved: frozenset[str] = _ATTRIBUTES) -> str:
    """Return `name` if it can stand in a formula and in a Python file.

    Errors: NameSyntaxError otherwise, with a name that would do.
    """
    if not is_name(name, reserved):
        plain = re.sub(r"[^A-Za-z0-9_]", "_", str(name)).strip("_") or "x"
        plain = (plain if plain[0].isalpha() else f"x{plain}")[:_LONGEST]
        while not is_name(plain, reserved):
            plain = f"x_{plain}"[:_LONGEST]
        raise NameSyntaxError(
            f"{name!r} cannot name a tensor or an index",
            where=here(),
            rule=f"A name is a letter, then letters, digits and `_`, {_LONGEST} at most; no Python "
            f"keyword, and not `d_…`, which names cotangents, nor {', '.join(sorted(reserved))}.",
            way_out=f"Call it {plain!r}.",
        )
    return name


def is_name(name: str, reserved: frozenset[str] = _ATTRIBUTES) -> bool:
    """Whether `name` can stand in a formula and in a Python file, and means nothing else there."""
    fits = isinstance(name, str) and _NAME.match(name) and not keyword.iskeyword(name)
    return bool(fits) and not name.startswith("d_") and name not in reserved


def checked_extent(what: str, extent: int) -> int:
    """Return `extent` if it is a positive integer; raise ExtentError otherwise."""
    if isinstance(extent, bool) or not isinstance(extent, int) or extent < 1:
        raise ExtentError(
            f"the extent of {what} is not a positive integer",
            where=here(),
            disagree=f"it is {extent!r}",
            way_out="Give the number of entries, at least 1.",
        )
    return extent


def _axes(name: str, extents: tuple[int, ...]) -> tuple[Index, ...]:
    letters = _LETTERS.get(len(extents), _MORE_LETTERS)
    sizes = [checked_extent(f"`{name}`", e) for e in extents]
    return tuple(make_index(letter, e) for letter, e in zip(letters, sizes, strict=False))


def given(
    name: Name,
    indices: tuple[Index, ...],
    role: Role,
    *,
    below: int | None = None,
    init: Init | None = None,
    noise: Noise | None = None,
    values: tuple[float, ...] = (),
) -> Variable:
    """Declare a tensor of `role`, without an equation."""
    reserved = _ARGUMENTS if role in {Role.INPUT, Role.LABEL} else _ATTRIBUTES
    stem = name.plain if isinstance(name, Auto) else checked_name(name, reserved)
    tensor = Tensor(provisional(stem), indices, role, below, init, noise, values, where=here())
    return Variable(name, tensor)


__all__ = [
    "BATCH",
    "checked_extent",
    "checked_name",
    "fresh_index",
    "index",
    "input",
    "label",
    "noise",
    "parameter",
]
