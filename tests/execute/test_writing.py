"""Text that is drawn, a character at a time, by what an emitted module says comes next."""

from types import SimpleNamespace

import numpy as np
import pytest

from bpgen.execute.writing import written
from bpgen.generators.topics import encoded

CONTEXT = 5


def module(scores):
    """A module that reads five tokens; `scores` gives the logits after each window so far."""
    seen = []

    def predict(params, tokens):
        seen.append(tokens.copy())
        logits = np.array([[scores(tokens[0, : t + 1]) for t in range(CONTEXT)]])
        return {"logits": params * logits}

    return SimpleNamespace(INPUTS={"tokens": ((CONTEXT,), 96)}, predict=predict, seen=seen)


def after(window):
    """Be sure of the character after the last one."""
    return 1e6 * (np.arange(96) == window[-1] + 1)


@pytest.mark.parametrize("prompt", ["a", "ab", "xyzab", "so long a prompt, a"])
def test_each_character_follows_the_last_one(prompt):
    net = module(after)
    last = prompt[-1]
    assert written(net, 1, prompt, 7) == prompt + "".join(chr(ord(last) + k) for k in range(1, 8))


def test_a_window_holds_the_last_characters_that_fit():
    net = module(after)
    written(net, 1, "hello w", 2)
    np.testing.assert_array_equal(net.seen[0][0], encoded("llo w"))
    np.testing.assert_array_equal(net.seen[1][0], encoded("lo wx"))


def test_text_may_begin_with_nothing():
    assert len(written(module(after), 1, "", 9)) == 9


def test_characters_are_drawn_by_their_probabilities():
    net = module(lambda window: np.where(np.arange(96) < 3, np.log([1, 2, 5] + 93 * [1.0]), -1e9))
    drawn = encoded(written(net, 1, "", 4000, temperature=1))
    share = np.bincount(drawn, minlength=3) / 4000
    # Four deviations of a share of 4000 draws are 0.032 at most.
    np.testing.assert_allclose(share, [1 / 8, 2 / 8, 5 / 8], atol=0.032)
    colder = encoded(written(net, 1, "", 4000, temperature=0.5))
    np.testing.assert_allclose(np.mean(colder == 2), 25 / 30, atol=0.032)


def test_the_same_seed_writes_the_same_text():
    net = module(lambda window: np.zeros(96))
    one, same, other = (written(net, 1, "", 50, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
