"""Every activation and its derivative are finite, far out and at the switches."""

import numpy as np

import bpgen as bp

POINTS = np.array([-1e4, -800, -30, -3, -1, -1e-3, 0, 1e-3, 1, 3, 30, 800, 1e4])


def values_and_derivatives(activation, evaluate):
    k = bp.index("k", len(POINTS))
    y = activation(bp.parameter("z", k))
    loss = bp.define("loss", (), bp.sum(y[k], over=k))
    known = evaluate(loss, z=POINTS)
    (value,) = (known[name] for name in known if name.startswith(y.label))
    return value, known["d_z"]


def test_its_value_and_its_derivative_are_finite(activation, evaluate):
    value, derivative = values_and_derivatives(activation, evaluate)
    assert np.isfinite(value).all()
    assert np.isfinite(derivative).all()


def test_it_grows_no_faster_than_a_line(activation, evaluate):
    value, derivative = values_and_derivatives(activation, evaluate)
    assert (np.abs(value) <= 2 * np.abs(POINTS) + 2).all()
    assert (np.abs(derivative) <= 2).all()
