"""Optimizers and schedules take the steps that torch's take, with torch's defaults."""

import numpy as np
import pytest
import torch
from tests.catalog.walk import rate_at, walk
from torch.optim import lr_scheduler

from bpgen import optimizers
from bpgen.optimizers import schedules

pytestmark = pytest.mark.oracle

STEPS = 30
START = np.array([1.0, -2.0, 3.0, 0.5])
SLOPES = np.array([1.0, 3.0, 0.1, 10.0])

THEIRS = {
    "adagrad": (optimizers.adagrad(), torch.optim.Adagrad, {}),
    "adagrad options": (
        optimizers.adagrad(0.1, eps=0.5),
        torch.optim.Adagrad,
        {"lr": 0.1, "eps": 0.5},
    ),
    "adam": (optimizers.adam(), torch.optim.Adam, {}),
    "adam options": (
        optimizers.adam(0.1, beta1=0.8, beta2=0.95, eps=0.1),
        torch.optim.Adam,
        {"lr": 0.1, "betas": (0.8, 0.95), "eps": 0.1},
    ),
    "adamw": (optimizers.adamw(), torch.optim.AdamW, {}),
    "adamw options": (
        optimizers.adamw(0.1, weight_decay=0.3),
        torch.optim.AdamW,
        {"lr": 0.1, "weight_decay": 0.3},
    ),
    "momentum": (optimizers.momentum(1e-3), torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (
        optimizers.nesterov(1e-3, momentum=0.8),
        torch.optim.SGD,
        {"momentum": 0.8, "nesterov": True},
    ),
    "rmsprop": (optimizers.rmsprop(), torch.optim.RMSprop, {}),
    "rmsprop options": (
        optimizers.rmsprop(0.1, alpha=0.9, eps=0.1),
        torch.optim.RMSprop,
        {"lr": 0.1, "alpha": 0.9, "eps": 0.1},
    ),
    "sgd": (optimizers.sgd(1e-3), torch.optim.SGD, {}),
}


def torch_walk(make, options, clip=None):
    theta = torch.tensor(START, requires_grad=True)
    optimizer = make([theta], **options)
    for _ in range(STEPS):
        optimizer.zero_grad()
        (torch.tensor(SLOPES) * torch.sin(theta)).sum().backward()
        if clip:
            torch.nn.utils.clip_grad_norm_([theta], clip)
        optimizer.step()
        yield theta.detach().numpy().copy()


@pytest.mark.parametrize("name", THEIRS)
def test_every_step_is_torch_s(name):
    ours, make, options = THEIRS[name]
    found = walk(ours, START, [lambda theta: SLOPES * np.cos(theta)] * STEPS)
    # Rounding of thirty steps.
    np.testing.assert_allclose(list(found), list(torch_walk(make, options)), rtol=1e-11)


def test_a_clipped_step_is_torch_s():
    found = walk(
        optimizers.momentum(0.1, clip=2), START, [lambda theta: SLOPES * np.cos(theta)] * STEPS
    )
    theirs = torch_walk(torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}, clip=2)
    # Torch divides by the norm plus 1e-6.
    np.testing.assert_allclose(list(found), list(theirs), rtol=1e-4, atol=1e-5)


SCHEDULES = {
    "step": (
        schedules.step(0.1, every=4, factor=0.5),
        lambda o: lr_scheduler.StepLR(o, 4, gamma=0.5),
    ),
    "cosine": (
        schedules.cosine(0.1, steps=STEPS, lowest=0.01),
        lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.01),
    ),
    "one_cycle": (
        schedules.one_cycle(0.1, steps=STEPS),
        lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=STEPS),
    ),
    "one_cycle options": (
        schedules.one_cycle(0.1, steps=STEPS, rising=0.6, start=10, end=100),
        lambda o: lr_scheduler.OneCycleLR(
            o, 0.1, total_steps=STEPS, pct_start=0.6, div_factor=10, final_div_factor=100
        ),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_rate_is_torch_s(name):
    ours, make = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    scheduler = make(optimizer)
    theirs = []
    for _ in range(STEPS):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(theirs) < STEPS:
            scheduler.step()
    found = [rate_at(ours, t) for t in range(1, STEPS + 1)]
    np.testing.assert_allclose(found, theirs, rtol=1e-9)
