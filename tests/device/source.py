"""CUDA C++ of a few kernels, as an emitted module holds it."""

from types import SimpleNamespace

from bpgen.emit.cuda_functions import kernel_view
from bpgen.emit.render import environment


def source_of_kernels(kernels, tensors):
    """Return the source of `kernels` over `tensors`, with the templates that they use."""
    extents = {i.extent for t in tensors for i in t.indices if i.extent.value is not None}
    known = ", ".join(sorted(f"{e.name} = {e.value}" for e in extents))
    view = SimpleNamespace(
        extents_in_cuda=(f"{known};",),
        has_values=True,
        has_reductions=True,
        has_matches=True,
        has_rows=True,
        has_strips=True,
        has_products=True,
        has_panels=True,
        has_matmul=False,
        is_rounded=False,
        factor="real",
        products=(),
        is_drawn=True,
        kernels=tuple(map(kernel_view, kernels)),
    )
    text = environment().get_template("cupy/source.py.jinja").render(view=view)
    return text.split('"""')[1]
