"""The view of products with the Hessian: a class, and a function."""

from __future__ import annotations

from collections.abc import Sequence

from bpgen.emit.layout import Memory
from bpgen.emit.view import FunctionView, SecondView
from bpgen.emit.wrap import arguments, wrapped_code


def second_view(
    memory: Memory, functions: Sequence[FunctionView], batch: Sequence[str], noise: Sequence[str]
) -> SecondView | None:
    """Return the view, when all `functions` are written; None if the program has no such product.

    `batch` are the names of the inputs, `noise` the arguments by which noise is drawn.
    """
    function = next((f for f in functions if f.name == "second"), None)
    if function is None:
        return None
    typed = [*(f"{name}: np.ndarray" for name in batch), *noise]
    names = [*batch, *(arg.partition(":")[0] for arg in noise)]
    read = [arg.partition(":")[0] for arg in function.args.split(", ")]
    return SecondView(
        direction=memory.direction,
        product=memory.product,
        hessian_args=arguments(
            "    def __init__() -> None:", ["self", "params: Params", "*", *typed]
        ),
        hvp_args=arguments(
            "def hvp() -> Grads:",
            ["params: Params", f"{memory.direction}: Grads", "*", *typed],
        ),
        given=", ".join(f"{name}={name}" for name in names),
        batch=", ".join(f'"{name}": {name}' for name in batch if name in read),
        call=wrapped_code(f"second({', '.join(_held(n, memory, batch) for n in read)})", 4),
    )


def _held(name: str, memory: Memory, batch: Sequence[str]) -> str:
    """Return what an argument of the function is called inside the class."""
    if name in batch:
        return f'self.batch["{name}"]'
    known = {"p": "self.params", "g": "self.grads", "a": "self.workspace"}
    own = {memory.direction: memory.direction, memory.product: memory.product}
    return {**known, **own}[name]
