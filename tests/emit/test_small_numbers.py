"""What is below the normal numbers does not stay in the states of an optimizer."""

import numpy as np
import pytest


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_states_are_free_of_numbers_below_the_normal_ones(emitted, dtype):
    net = emitted("digits_mlp", dtype)
    trainer, tiny = net.Trainer(net.init(0)), np.finfo(dtype).tiny
    trainer.state.u[:] = np.ldexp(np.array(1, dtype), np.arange(net.SIZE) % 60 - 20) * tiny
    trainer.state.u[::2] *= -1
    large = np.abs(trainer.state.u) >= 2**24 * tiny
    before = trainer.state.u.copy()
    trainer.state.settle()
    small = np.abs(trainer.state.u) < tiny
    assert not trainer.state.u[small].any()
    assert (np.abs(before[small]) < tiny).any()
    # Rounding to a multiple of `tiny` moves by half of that at most.
    np.testing.assert_allclose(trainer.state.u[large], before[large], rtol=2**-24, atol=0)


def test_a_gradient_that_ends_leaves_no_small_number_behind(emitted):
    net = emitted("wine")
    trainer, batch = net.Trainer(net.init(0)), net.example(8)
    trainer.step(**batch)
    trainer.params.fc1_b[:] = -1e6  # every unit is dead from now on
    for _ in range(1300):
        trainer.step(**batch)
    tiny = np.finfo(net.DTYPE).tiny
    for name in net.STATES:
        state = np.abs(getattr(trainer.state, name))
        assert not ((state > 0) & (state < tiny)).any()
