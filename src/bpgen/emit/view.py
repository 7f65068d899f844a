"""What a template is given: a tree of finished strings, with no decision left to take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldView:
    """A tensor as a class of the module holds it, or as an argument is checked."""

    name: str
    shape: str
    formula: str = ""
    span: str = ""
    make: str = ""
    below: str = ""
    check: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class TableView:
    """Numbers that the declaration gives, in lines."""

    name: str
    shape: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepView:
    """An equation as a comment, and the lines that compute it; or the head of a loop.

    `indent` is how far they stand inside the function, in loops; the body of a loop follows its
    head without an empty line.
    """

    formula: tuple[str, ...]
    lines: tuple[str, ...]
    indent: str = ""
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class FunctionView:
    """A function made of steps."""

    name: str
    args: str
    doc: str
    prelude: tuple[str, ...]
    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    """A class of buffers: tiles, pieces of memory, buffers in them, constants and views."""

    name: str
    base: str
    doc: str
    pieces: tuple[str, ...]
    buffers: tuple[FieldView, ...]
    meets: bool = False
    tiles: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SecondView:
    """Products with the Hessian: `direction` times it is `product`, with names as in a gradient."""

    direction: str
    product: str
    hessian_args: str
    hvp_args: str
    given: str
    batch: str
    call: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleView:
    """A whole module: what every target has."""

    title: str
    origin: tuple[str, ...]
    dtype: str
    extents: str
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
    parameters: tuple[FieldView, ...]
    joined: tuple[FieldView, ...]
    kept: tuple[FieldView, ...]
    tables: tuple[TableView, ...]
    inputs: tuple[FieldView, ...]
    states: tuple[FieldView, ...]
    init: tuple[str, ...]
    functions: tuple[FunctionView, ...]
    batch_args: str
    batch_typed: str
    loss_and_grad_args: str
    batch_result: str
    first: str
    length_checks: tuple[str, ...]
    predict_typed: str
    predict_first: str
    predict_inputs: tuple[FieldView, ...]
    predict_result: str
    train_calls: tuple[str, ...]
    predict_calls: tuple[str, ...]
    score_calls: tuple[str, ...]
    step_calls: tuple[str, ...]
    part_calls: tuple[str, ...]
    gradient_calls: tuple[str, ...]
    update_call: str
    followed: str
    accuracy: tuple[str, ...]
    report_words: str
    input_names: str
    block: str = ""
    noise: tuple[str, ...] = ()
    preconditions: tuple[str, ...] = ()
    share: bool = False
    train_line: str = "last = trainer.step(**batch)"
    loss_line: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpyModuleView(ModuleView):
    """A module for numpy: its functions with the scratch arrays they compute in."""

    needs_erf: bool
    needs_lent: bool
    needs_windows: bool
    tile: str
    even: str
    gap: str
    block_of_rows: str
    several_blocks: str
    abstract: str
    state_vectors: str
    trainer_doc: tuple[str, ...]
    trainer_args: str
    workspaces: tuple[WorkspaceView, ...]
    update_scratch: tuple[str, ...]
    second: SecondView | None
    largest_sum: str = ""
    has_states: bool = False
    team_args: str = ""
    team_call: str = ""
    team_context: str = ""
    team_params: str = ""
    part_weights: tuple[str, ...] = ()
