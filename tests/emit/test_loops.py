"""A loop is one `for` statement, whose text does not depend on how often it turns."""

import difflib
import re
import time

import numpy as np
import pytest
from tests.emit.test_module import ROWS, allocated

import bpgen as bp
from bpgen.declare.load import ZOO

DEEP = '''"""Attention blocks over tokens."""
import bpgen as bp
from bpgen.activations import gelu
from bpgen.layers import attention, dropout, layer_norm, linear
from bpgen.losses import mean_squared_error
from bpgen.optimizers import adam

x = bp.input("x", 5, 6)
y = bp.input("y", 5, 6)


def block(x):
    h = x + dropout(attention(layer_norm(x, name="ln1"), 2, causal=True, name="att"), 0.1)
    a = gelu(linear(layer_norm(h, name="ln2"), 7, name="up", init=bp.init.orthogonal()))
    return h + linear(a, 6, name="down")


h = bp.repeat(block, BLOCKS, x, name="block")
model = bp.Model(loss=mean_squared_error(h, y), outputs={"h": h}, optimizer=adam(1e-2))
'''

LONG = '''"""A recurrent network whose input is called as the index of its loop."""
import bpgen as bp
from bpgen.layers import LAYER, linear
from bpgen.losses import mean_squared_error
from bpgen.optimizers import adam

t = bp.input("t", STEPS, 3)
y = bp.input("y", STEPS, 2)
z = linear(LAYER(t, 4, name="cell"), 2, name="out")
model = bp.Model(loss=mean_squared_error(z, y), outputs={"z": z}, optimizer=adam(1e-2))
'''


@pytest.fixture
def deep(tmp_path):
    def load(blocks):
        path = tmp_path / "deep.py"
        path.write_text(DEEP.replace("BLOCKS", str(blocks)), encoding="utf-8")
        return bp.load(path)

    return load


@pytest.fixture
def long(tmp_path):
    def load(layer, steps=5):
        path = tmp_path / "long.py"
        text = LONG.replace("LAYER", layer).replace("STEPS", str(steps))
        path.write_text(text, encoding="utf-8")
        return bp.load(path)

    return load


def test_two_blocks_and_twenty_four_differ_in_one_number(deep):
    few, many = (deep(blocks).source().splitlines() for blocks in (2, 24))
    changed = [
        line for line in difflib.unified_diff(few, many, n=0, lineterm="") if line[0] in "+-"
    ]
    _, _, before, after = changed
    assert before.replace(" 2,", " 24,", 1)[1:] != before[1:]
    assert sum(a != b for a, b in zip(before[1:].split(), after[1:].split(), strict=True)) == 1


@pytest.fixture
def gpt(tmp_path):
    """The zoo's transformer with so many blocks."""

    def load(blocks):
        text = (ZOO / "char_gpt.py").read_text(encoding="utf-8")
        path = tmp_path / f"blocks_{blocks}" / "char_gpt.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("CONTEXT = 2, ", f"CONTEXT = {blocks}, "), encoding="utf-8")
        return bp.load(path)

    return load


def test_four_blocks_of_char_gpt_differ_from_two_in_one_number(gpt):
    few, many = (gpt(blocks).source().splitlines() for blocks in (2, 4))
    changed = [line for line in difflib.ndiff(few, many) if line[0] in "-+"]
    assert len(changed) == 2
    before, after = (re.findall(r"\w+", line) for line in changed)
    assert [pair for pair in zip(before, after, strict=True) if len(set(pair)) > 1] == [("2", "4")]


def test_twenty_four_blocks_of_char_gpt_differ_in_the_update_besides(gpt):
    # More than a million parameters are updated by blocks of memory.
    two, many = (gpt(blocks).source().partition("\nclass Params") for blocks in (2, 24))
    assert two[2].partition("\ndef update")[0] == many[2].partition("\ndef update")[0].replace(
        "BLOCK", "SIZE"
    )
    assert [part.count(" = 64, 96, 128, ") for part in (two[0], many[0])] == [1, 1]


def test_twenty_four_blocks_of_char_gpt_are_derived_and_printed_as_two_are(gpt):
    two, many = gpt(2), gpt(24)

    def seconds(model):
        begin = time.process_time()
        model.derive()
        return time.process_time() - begin

    assert min(seconds(many) for _ in range(2)) < min(seconds(two) for _ in range(2)) + 1
    printed, of_two = (str(m.derive()).partition("Forward")[2] for m in (many, two))
    assert printed == of_two
    assert len(re.findall(r"\)  att_score\[b,.*\] = ", printed)) == 1


def test_each_block_stands_once_in_a_loop(deep):
    text = deep(24).source()
    assert text.count("for b in range(B):") == 3  # forward, in prediction, and drawing noise
    assert text.count("for b in reversed(range(B)):") == 1
    assert all(len(line) <= 100 for line in text.splitlines())


def test_what_no_state_is_read_for_is_done_before_the_loop(long):
    forward = long("lstm").source().split("def forward")[1].split("def ")[0]
    before, loop = forward.split("for t_ in range(T):")
    assert "p.cell_W" in before
    assert "p.cell_W" not in loop
    assert "p.cell_U" in loop


def test_the_counter_of_a_loop_hides_no_input(long):
    text = long("rnn").source()
    assert "for t_ in range(T):" in text
    assert not re.search(r"for t in range", text)


@pytest.mark.parametrize("layer", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("steps", [1, 5])
def test_the_emitted_gradient_passes_its_own_test(long, tmp_path, layer, steps):
    net = long(layer, steps).emit(path=tmp_path / f"{layer}_{steps}.py")
    assert net.selftest()


def test_the_emitted_gradient_of_blocks_passes_its_own_test(deep, tmp_path):
    assert deep(3).emit(path=tmp_path / "deep_numpy.py").selftest()


@pytest.mark.parametrize("which", ["blocks", "rnn", "lstm", "gru"])
def test_a_steady_step_allocates_no_array(deep, long, tmp_path, which):
    model = deep(3) if which == "blocks" else long(which)
    net = model.emit(path=tmp_path / f"steady_{which}.py")
    left, peak = allocated(net, ROWS)
    left_by_more, peak_of_more = allocated(net, 4 * ROWS)
    assert [str(t) for t in (*left, *left_by_more)] == []
    assert abs(peak_of_more - peak) < ROWS


def test_training_a_recurrent_network_lowers_its_loss(long, tmp_path):
    net = long("gru", 7).emit(path=tmp_path / "learns.py")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 7, 3)).astype(np.float32)
    y = np.cumsum(x, axis=1)[:, :, :2] / 4
    trainer = net.Trainer(net.init(seed=0), batch=64)
    losses = [trainer.step(t=x, y=y) for _ in range(300)]
    assert losses[-1] < losses[0] / 10
