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
    # A module that shares a batch among threads is told `case.threads` here.
    trainer = net.Trainer(params, batch=len(next(iter(batch.values()))))
    return lambda: trainer.step(**batch)
