"""Every loss is finite where its prediction is far off, and refuses targets of another shape."""

import inspect

import numpy as np
import pytest

import bpgen as bp
from bpgen.errors import ShapeError

FAR = 1e4
FAR_RATE = 500  # a logarithm: exp(710) is no longer a float64
TARGETS = {"target", "label"}


def test_it_and_its_gradient_are_finite_far_out(loss, declared, evaluate):
    far = FAR_RATE if "log_rate" in inspect.signature(loss).parameters else FAR
    # Seven predictions in a row are one of each of these, so that each class is right in some row.
    predictions = far * np.array([-1, -0.1, -1e-4, 0, 1e-4, 0.1, 1])
    known = evaluate(declared(loss), x=predictions, W=1.0)
    assert all(np.isfinite(entries).all() for entries in known.values())


def test_it_refuses_a_target_of_another_shape(loss, tensor):
    needed = inspect.signature(loss).parameters
    if not TARGETS & set(needed):
        return  # a penalty compares with nothing
    others = {name: tensor for name, p in needed.items() if p.default is p.empty}
    others.pop(next(iter(needed)))
    narrow = {"target": bp.input("y", 2), "label": bp.label("y", classes=2)}
    others |= {name: narrow[name] for name in others if name in narrow}
    with pytest.raises(ShapeError) as caught:
        loss(tensor, **others)
    assert "loss(tensor, **others)" in str(caught.value)
    assert "= 7" in str(caught.value)
