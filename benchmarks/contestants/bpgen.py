"""The emitted module, imported as any program would."""

from __future__ import annotations

import sys
from importlib import import_module

from benchmarks.contestants import Case, Step


def setup(case: Case) -> Step:
    """Return the step of the emitted trainer."""
    sys.path.insert(0, str(case.folder))
    net = import_module(case.module.stem)
    params = net.Params()
    for name, value in case.params().items():
        getattr(params, name)[...] = value
    batch = case.batch()
    shared = {"threads": case.threads} if case.workload.shared else {}
    trainer = net.Trainer(params, batch=len(next(iter(batch.values()))), **shared)
    return lambda: trainer.step(**batch)
