"""Windows of text: every character is a number, every window lies apart from every other."""

import numpy as np
import pytest

from bpgen import declare as bp
from bpgen.execute import dataset
from bpgen.generators import topics as module
from bpgen.generators.topics import decoded, encoded, topics
from bpgen.ir.tensor import Role, Tensor

TEXTS = {
    "b": "One paragraph.\n\nShared by two.\n\nAnd a last one, longer than the others.",
    "a": "Shared by two.\n\nOnly here: ‘quoted’ – “so” — and so on… 90°",
    "c": "Short.",
}
T, K = 7, 2


@pytest.fixture
def inputs():
    axes = bp.input("tokens", T, dtype="int", below=96).indices
    return {name: Tensor(name, axes, Role.LABEL, below=96) for name in ("tokens", "next_token")}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(module, "TOPICS", TEXTS)


def test_printable_characters_and_newlines_are_kept():
    text = "".join(map(chr, range(32, 127))) + "\n"
    codes = encoded(text)
    assert codes.tolist() == list(range(96))
    assert decoded(codes) == text


def test_typographic_characters_become_plain_ones_and_others_a_question_mark():
    assert decoded(encoded("‘a’ “b” – — … ß\t")) == "'a' \"b\" - - . ??"


def test_the_next_token_is_the_one_that_follows(small, inputs):
    arrays = topics(inputs)
    tokens, following = arrays["tokens"], arrays["next_token"]
    assert tokens.shape == following.shape
    np.testing.assert_array_equal(tokens[:, 1:], following[:, :-1])


def test_windows_laid_end_to_end_are_the_text_without_what_is_said_twice(small, inputs):
    arrays = topics(inputs)
    whole = np.hstack([arrays["tokens"], arrays["next_token"][:, -1:]]).ravel()
    text = decoded(whole)
    assert text.count("Shared by two.") == 1
    assert text.startswith("Shared by two.\n\nOnly here: 'quoted' - \"so\" - and so on. 90?")
    assert len(text) % (T + 1) == 0


def test_a_model_of_topics_gets_as_many_windows_of_each_of_the_longest(small, inputs):
    arrays = topics(inputs | {"topic": Tensor("topic", (bp.BATCH,), Role.LABEL, below=K)})
    first, second = (arrays["tokens"][arrays["topic"] == k] for k in range(K))
    assert len(first) == len(second) > 1
    assert decoded(first[0]) == "Shared "
    assert decoded(second[0]) == "One par"


def test_a_data_set_has_windows_of_the_declared_length(inputs):
    data = dataset.read(["topics"], tuple(inputs.values()), dtype="float32").arrays
    assert data["tokens"].shape == data["next_token"].shape
    assert data["tokens"].shape[1:] == (T,)


def test_a_model_that_declares_no_tokens_is_offered_windows_of_sixty_four():
    assert topics({})["tokens"].shape[1:] == (64,)
