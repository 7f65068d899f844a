"""An update by blocks changes every parameter as one over the whole vector does."""

import numpy as np
import pytest

import bpgen as bp
from bpgen import optimizers
from bpgen.layers import linear
from bpgen.losses import mean_squared_error
from bpgen.lower import update

RULES = [
    getattr(optimizers, name)
    for name in optimizers.__all__
    if name in {"sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "lion"}
]


def trained(path, rule):
    x, target = bp.input("x", 3), bp.input("target", 5)
    y = linear(linear(x, 11, name="a"), 5, name="b")
    model = bp.Model(mean_squared_error(y, target), {"y": y}, rule(0.01, clip=0.1))
    net = model.emit(path=path)
    rng = np.random.default_rng(0)
    trainer = net.Trainer(net.init(seed=0), batch=7)
    for _ in range(5):
        trainer.step(x=rng.normal(size=(7, 3)), target=rng.normal(size=(7, 5)))
    return trainer.params.flat, path.read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_an_update_by_blocks_is_that_of_the_whole_vector_bit_by_bit(rule, tmp_path, monkeypatch):
    whole, plain = trained(tmp_path / "whole.py", rule)
    monkeypatch.setattr(update, "MANY", 1)
    monkeypatch.setattr(update, "BLOCK", 17)  # 104 parameters: the last block is shorter
    blocks, text = trained(tmp_path / "blocks.py", rule)
    assert "for begin in range(0, SIZE, BLOCK):" in text
    assert "BLOCK" not in plain
    assert np.array_equal(whole, blocks)
