"""What the templates of the CuPy module are given, besides what every module has."""

from __future__ import annotations

from dataclasses import dataclass

from bpgen.emit.view import FieldView, ModuleView


@dataclass(frozen=True, slots=True)
class KernelView:
    """A kernel under its formulas."""

    name: str
    formula: tuple[str, ...]
    head: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProductView:
    """A kernel that multiplies matrices in place of the library: its name, and its pointers."""

    name: str
    pointers: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaModuleView(ModuleView):
    """A module for CuPy: functions that launch kernels, and the kernels."""

    extents_in_cuda: tuple[str, ...]
    has_values: bool
    has_reductions: bool
    has_matches: bool
    has_rows: bool
    has_strips: bool
    has_products: bool
    has_panels: bool
    has_matmul: bool
    counts_steps: bool
    activations: tuple[FieldView, ...]
    cotangents: tuple[FieldView, ...]
    numbers: tuple[FieldView, ...]
    kernels: tuple[KernelView, ...]
    has_noise: bool
    normals: tuple[str, ...]
    is_drawn: bool
    products: tuple[ProductView, ...]
    precision: str
    is_rounded: bool
    factor: str
    few: str
    entries_a_block: str
    multiplier: str
    batch_given: str
    sent: tuple[str, ...]
    batch_dict: str
    predict_dict: str
