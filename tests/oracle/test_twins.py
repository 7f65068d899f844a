"""The networks that are timed beside PyTorch do the same work as PyTorch does."""

from dataclasses import replace

import pytest
from benchmarks.contestants import Case, bpgen, torch
from benchmarks.race import fill
from benchmarks.workload import WORKLOADS

import bpgen as bp

pytestmark = pytest.mark.oracle

# Of the first loss: float32, summed in another order, through four updates.
AGREEMENT, STEPS = 1e-4, 5
ONCE = {workload.model: workload for workload in WORKLOADS.values()}


@pytest.mark.parametrize("model", ONCE)
def test_the_first_losses_of_a_workload_are_those_of_its_twin(model, tmp_path):
    case = Case(replace(ONCE[model], batch=3), tmp_path, threads=1)
    fill(case, bp.load(case.workload.path).emit(path=case.module))
    ours, theirs = bpgen.setup(case), torch.setup(case)
    first, *later = [(ours(), theirs()) for _ in range(STEPS)]
    assert max(abs(a - b) for a, b in (first, *later)) < AGREEMENT * first[1]
    assert first[1] - later[-1][1] > 10 * AGREEMENT * first[1]  # there is something to tell apart
