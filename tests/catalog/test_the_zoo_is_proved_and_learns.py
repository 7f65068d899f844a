"""Every model of the zoo: its gradient is proved, and it learns the data its docstring names."""

import numpy as np
import pytest

import bpgen as bp
from bpgen.execute import dataset

BATCH, SEED = 32, 0
# Epochs that each data set needs to be learned by every model of the zoo that uses it.
EPOCHS = {"digits": 20, "wine": 60, "diabetes": 40}


def parts(model):
    """Return the training and the test rows of a model's data, and the name of the data."""
    _, _, name = model.network.doc.strip().rstrip(".").rpartition("data: ")
    read = dataset.read([name], model.network.inputs, dtype="float32")
    split = dataset.split(read, seed=SEED, batch=BATCH)
    return split.train.arrays, split.test.arrays, name


def trained(net, data, epochs):
    """Return parameters after so many epochs."""
    trainer, rng = net.Trainer(net.init(SEED), batch=BATCH, seed=SEED), np.random.default_rng(SEED)
    rows = len(next(iter(data.values())))
    for _ in range(epochs):
        order = rng.permutation(rows)
        for begin in range(0, rows - BATCH + 1, BATCH):
            chosen = order[begin : begin + BATCH]
            trainer.step(**{name: array[chosen] for name, array in data.items()})
    return trainer.params


def test_its_gradient_is_proved_to_ninety_digits(model):
    verdict = bp.load(model).check(seed=SEED)
    assert verdict.verdict == "VERIFIED", str(verdict)
    assert verdict.digits >= 90


def test_it_learns_what_it_has_not_seen(model, tmp_path):
    loaded = bp.load(model)
    net = loaded.emit(path=tmp_path / f"{model}_numpy.py")
    train, test, name = parts(loaded)
    params = trained(net, train, EPOCHS[name])
    before, after = net.loss(net.init(SEED), **test), net.loss(params, **test)
    assert after < 0.8 * before
    for label in (t for t in loaded.network.inputs if t.is_integer):
        guess = net.predict(params, x=test["x"])["logits"].argmax(axis=1)
        assert np.mean(guess == test[label.name]) > 0.9
    for target in (t for t in loaded.network.inputs if t.name == "y"):
        # Better than the best constant: what is left of the target's variance.
        guess = next(iter(net.predict(params, x=test["x"]).values()))
        left = np.mean((guess.reshape(test["y"].shape) - test[target.name]) ** 2)
        assert left < 0.8 * np.var(test[target.name])


@pytest.mark.parametrize("seed", range(3))
def test_digits_mlp_reaches_ninety_seven_percent(tmp_path, seed):
    loaded = bp.load("digits_mlp")
    net = loaded.emit(path=tmp_path / "digits_mlp_numpy.py")
    read = dataset.read(["digits"], loaded.network.inputs, dtype="float32")
    split = dataset.split(read, seed=seed, batch=BATCH)
    params = trained(net, split.train.arrays, 40)
    test = split.test.arrays
    guess = net.predict(params, x=test["x"])["logits"].argmax(axis=1)
    assert np.mean(guess == test["digit"]) >= 0.97
