"""Noise that a kernel draws: the numbers that numpy draws by seed, step and name, bit for bit.

Each number of a stream of Philox follows from its place alone, so a thread draws its own. Normal
numbers do not, for numpy finds them by rejection, one after another: the host draws these.
"""

from __future__ import annotations

from bpgen.ir.tensor import Tensor
from bpgen.spell import FormulaSpeller
from bpgen.targets.cupy.kernel import Draft, Kernel, Launch, count
from bpgen.targets.cupy.memory import Memory, Touched
from bpgen.targets.cupy.shapes import call, in_lambda, size

RANDOM = "a.random"  # seed and step, on the device
_BITS = 53  # of a number in [0, 1), as numpy draws it


def is_drawn(tensor: Tensor) -> bool:
    """Whether a kernel draws the noise of a tensor."""
    return tensor.noise is not None and tensor.noise.law != "normal"


def draw_of(
    tensor: Tensor, memory: Memory, name: str, speller: FormulaSpeller
) -> tuple[Kernel, Launch]:
    """Return the kernel `name` that draws the noise of a tensor, and its launch."""
    draft = Draft(memory, {})
    random = draft.names.of(("random",), "random")
    u = draft.names.of(("number",), "u")
    i = draft.flatten(tensor.indices, "i") if tensor.indices else draft.names.of(("flat",), "i")
    store = in_lambda(f"int {i}, word {u}", [f"{draft.written(tensor)} = {_value(tensor, u)};"])
    sizes = [random, f"{tensor.stream:#x}", size(draft, tensor.indices)]
    formulas = (_formula(tensor, speller.spell(tensor.canonical)),)
    kernel = draft.kernel(name, formulas, call("each_random", sizes, [store]))
    parameters = (f"const word *{random}", *kernel.parameters)
    given = ", ".join([f'"{name}"', count(tensor.indices), RANDOM, *draft.arguments()])
    return (
        Kernel(name, formulas, parameters, kernel.lines),
        Launch(formulas, f"k.each_random({given})", Touched(assigns=(tensor.name,))),
    )


def _value(tensor: Tensor, u: str) -> str:
    """Return a value from an integer `u` below 2^53."""
    assert tensor.noise is not None
    if tensor.noise.law == "uniform":
        return f"real({u}) * 0x1p-{_BITS}_r"
    numerator, denominator = tensor.noise.rate.as_integer_ratio()
    below = -(-(numerator << _BITS) // denominator)  # u / 2^53 < rate, in integers
    return f"real({u} < {below:#x})"


def _formula(tensor: Tensor, entry: str) -> str:
    assert tensor.noise is not None
    if tensor.noise.law == "uniform":
        return f"{entry} is drawn from [0, 1)"
    return f"{entry} is 1 with probability {tensor.noise.rate!r}, else 0"
