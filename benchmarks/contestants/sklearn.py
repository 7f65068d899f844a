"""scikit-learn's perceptron."""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.contestants import Case, Step


def setup(case: Case) -> Step:
    """Return the step of `partial_fit`."""
    params, (x, label) = case.params(), case.batch().values()
    weights = [value for name, value in params.items() if name.endswith("_W")]
    shifts = [value for name, value in params.items() if name.endswith("_b")]
    model = MLPClassifier(
        hidden_layer_sizes=tuple(len(shift) for shift in shifts[:-1]),
        solver="adam" if case.workload.optimizer == "adam" else "sgd",
        learning_rate_init=case.workload.rate,
        momentum=0.9 if case.workload.optimizer == "momentum" else 0,
        nesterovs_momentum=False,
        alpha=0,
        batch_size=len(x),
        shuffle=False,
    )
    # The first call makes the parameters; what it made is replaced, and its optimizer forgotten.
    model.partial_fit(x, label, classes=np.arange(len(shifts[-1])))
    for own, value in zip([*model.coefs_, *model.intercepts_], [*weights, *shifts], strict=True):
        own[...] = value
    del model._optimizer  # noqa: SLF001  nothing public starts it anew

    def step() -> float:
        model.partial_fit(x, label)
        return float(model.loss_)

    return step
