"""What the templates of the CuPy module are given, besides what every module has."""

from __future__ import annotations

from dataclasses import dataclass

from bpgen.emit.view import FieldView, FunctionView, TableView


@dataclass(frozen=True, slots=True)
class KernelView:
    """A kernel under its formulas."""

    name: str
    formula: tuple[str, ...]
    head: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CudaModuleView:
    """A whole module."""

    title: str
    origin: tuple[str, ...]
    dtype: str
    extents: str
    extents_in_cuda: tuple[str, ...]
    size: str
    storage: str
    stored: str
    vector: str
    total: str
    start: str
    move: str
    outputs: str
    optimizer: str
    loss: str
    states_names: str
    needs_math: bool
    needs_orthogonal: bool
    has_labels: bool
    has_blocks: bool
    has_reals: bool
    has_reductions: bool
    has_rows: bool
    has_products: bool
    counts_steps: bool
    parameters: tuple[FieldView, ...]
    kept: tuple[FieldView, ...]
    tables: tuple[TableView, ...]
    inputs: tuple[FieldView, ...]
    states: tuple[FieldView, ...]
    numbers: tuple[FieldView, ...]
    activations: tuple[FieldView, ...]
    cotangents: tuple[FieldView, ...]
    init: tuple[str, ...]
    kernels: tuple[KernelView, ...]
    functions: tuple[FunctionView, ...]
    draw: tuple[str, ...]
    batch_args: str
    batch_typed: str
    batch_given: str
    batch_dict: str
    loss_and_grad_args: str
    batch_result: str
    first: str
    length_checks: tuple[str, ...]
    predict_typed: str
    predict_first: str
    predict_inputs: tuple[FieldView, ...]
    predict_dict: str
    predict_result: str
    train_calls: tuple[str, ...]
    predict_calls: tuple[str, ...]
    score_calls: tuple[str, ...]
    step_calls: tuple[str, ...]
    accuracy: tuple[str, ...]
    report_words: str
    input_names: str
    demands: tuple[str, ...]
    block: str = ""  # one kernel updates all
    noise: tuple[str, ...] = ()  # what the host draws into its own arrays: nothing
