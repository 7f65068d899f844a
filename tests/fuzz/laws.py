"""What is true of every model: its gradient is proved, its program is sound, its module agrees."""

import linecache
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bpgen.declare.load import run
from bpgen.execute.load import load_module
from bpgen.execute.proof import gradient_of
from bpgen.ir.program import Place, steps_of
from bpgen.lower import lower
from bpgen.verify.evidence import Outcome
from bpgen.verify.interpret import evaluate
from bpgen.verify.line import gaussian
from bpgen.verify.numbers import FLOAT64
from bpgen.verify.points import generic
from bpgen.verify.problem import problem
from bpgen.verify.proof import prove

DIGITS = 60
# Another point is drawn where a number may lie on a switch: a tie of a maximum is one for good.
_POINTS = 3
# Sums of float64 in another order, in tensors of some hundred entries, through a dozen equations.
_ROUNDING = 1e-12


def declared(text, folder):
    """Write the text down as a user would, and load it."""
    path = Path(folder) / "model.py"
    path.write_text(text, encoding="utf-8")
    linecache.checkcache(str(path))
    return run(path)["model"]


def is_proved(text):
    """Whether the gradient is proved; False where every point may lie on a switch."""
    with TemporaryDirectory() as folder:
        model = getattr(text, "model", None) or declared(text, folder)
        subject = _small(model)
        return any(_is_proved_at(subject, seed) for seed in range(_POINTS))


def _is_proved_at(subject, seed):
    rng = np.random.default_rng(seed)
    point, direction = generic(subject, rng), gaussian(subject, subject.parameters, rng)
    trial = prove(subject, point, [direction])
    if trial.undecided:
        return False
    assert trial.outcome is Outcome.AGREES, f"the gradient is {trial.outcome.name}"
    digits = trial.digits()
    worst = min(digits, key=lambda name: digits[name])
    assert digits[worst] >= DIGITS, f"{worst} is proved to {digits[worst]:.0f} digits"
    return True


def _small(model):
    """What is proved, with as few examples as no other extent has."""
    subject = problem(model.network, model.derive().derivation)
    taken = {e.value for e in subject.extents}
    batch = next(p for p in (2, 3, 5, 7, 11, 13, 17) if p not in taken)
    return replace(subject, extents={e: e.value or batch for e in subject.extents})


def is_computed(text):
    """Whether the float64 module gives the interpreter's loss and gradients, the same ones twice.

    False where a choice hangs on the order of a sum.
    """
    with TemporaryDirectory() as folder:
        model = declared(text, folder)
        subject = _small(model)
        path = Path(folder) / "model_numpy.py"
        path.write_text(model.source(dtype="float64"), encoding="utf-8")
        module = gradient_of(load_module(path), model.network, "float64")
        values = generic(subject, np.random.default_rng(0)).values
        known = evaluate(subject.derivation.network.equations, values, subject.extents, FLOAT64)
        loss, found = module(values, values)
        assert _same((loss, found), module(values, values)), "two runs differ"
    wanted = {"loss": known[model.network.loss], **subject.gradient(known)}
    largest = max(np.abs(g).max() for g in wanted.values()) or 1
    for name, value in {"loss": np.asarray(loss), **found}.items():
        assert value.shape == wanted[name].shape, f"{name} has another shape"
        error = np.abs(value - wanted[name]).max() / largest
        assert error <= _ROUNDING, f"{name} is off by {error:.1e} of the largest entry"
    return True


def is_shared(text):
    """Whether threads find the loss and the gradient of one; False where examples are coupled."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model_numpy.py"
        path.write_text(declared(text, folder).source(dtype="float64"), encoding="utf-8")
        net = load_module(path)
    if not hasattr(net, "Team"):
        return False
    params, batch = net.init(0), net.example(7)
    params.flat += 0.1 * np.random.default_rng(1).standard_normal(params.flat.size)
    loss, grads = net.loss_and_grad(params, **batch)
    largest = np.abs(grads.flat).max() or 1
    for threads in (2, 3):
        trainer = net.Trainer(net.Params(params.flat.copy()), threads=threads)
        off = abs(trainer.step(**batch) - loss) / (abs(loss) or 1)
        assert off <= _ROUNDING, f"the loss of {threads} threads is off by {off:.1e}"
        error = np.abs(trainer.grads.flat - grads.flat).max() / largest
        assert error <= _ROUNDING, f"the gradient of {threads} threads is off by {error:.1e}"
    return True


def _same(one, other):
    return one[0] == other[0] and all(np.array_equal(g, other[1][n]) for n, g in one[1].items())


def is_lowered(text):
    """Whether every buffer is assigned, then added to, and nothing is computed in vain."""
    with TemporaryDirectory() as folder:
        model = declared(text, folder)
        program = lower(model.derive().derivation, model.optimizer)
    program.check()
    steps = steps_of(program.forward + program.loss + program.backward)
    for step in steps:
        first, *rest = step.statements
        assert not getattr(first, "accumulate", False), (
            f"{step.equation.out.name} is never assigned"
        )
        # Parts of a tensor that are apart are each written, not added.
        apart = isinstance(first, Place)
        assert all(apart or getattr(s, "accumulate", True) for s in rest), step.equation.out.name
    wanted = {program.network.loss, *program.network.outputs.values()}
    wanted |= {program.derivation.gradient_of(t.name) for t in program.network.parameters}
    wanted |= {name for s in steps for name in s.equation.reads()}
    for step in steps:
        assert step.equation.out.name in wanted, f"nothing reads {step.equation.out.name}"
    return True
