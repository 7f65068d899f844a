"""A picture shows what the emitted module computes, and the sentence beside it measures that."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.execute.figure import figure
from bpgen.pictures import mixture_density, picture_of
from bpgen.pictures.text import bits, entropy
from bpgen.pictures.variational_autoencoder import decoded, mosaic

PICTURES = {name: draw for name in zoo() if (draw := picture_of(name)) is not None}


@pytest.fixture
def emitted(tmp_path):
    def run(name):
        net = bp.load(name).emit(path=tmp_path / f"{name}_numpy.py")
        return net, net.init(0), net.example(37)

    return run


def test_three_models_have_a_picture_and_a_stranger_none():
    assert {"mixture_density", "pitch_correction", "variational_autoencoder"} <= PICTURES.keys()
    assert picture_of("model") is None


@pytest.mark.parametrize("name", PICTURES)
def test_it_is_drawn_the_same_each_time_and_measured_in_one_line(name, emitted, tmp_path):
    net, params, test = emitted(name)
    for number in (1, 2):
        with figure(tmp_path / f"{number}.svg") as drawn:
            line = PICTURES[name](drawn, net, params, test)
    assert re.fullmatch(r".*\d.*", line)
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()
    assert ET.parse(tmp_path / "1.svg").getroot().tag.endswith("svg")


def test_digits_are_made_up_by_the_decoder_that_is_trained(emitted):
    net, params, test = emitted("variational_autoencoder")
    out = net.predict(params, x=test["x"])
    # Float32, and a sum of 64 products.
    np.testing.assert_allclose(decoded(params, out["code"]), out["image"], atol=1e-5)


def test_a_mosaic_has_its_images_in_rows_of_sixteen():
    images = np.arange(32 * 64.0).reshape(32, 64)
    whole = mosaic(images)
    assert whole.shape == (20, 160)
    np.testing.assert_array_equal(whole[11:19, 31:39], images[16 + 3].reshape(8, 8))


def test_the_density_that_is_drawn_is_the_one_that_is_trained(emitted):
    net, params, _ = emitted("mixture_density")
    x, t = np.array([0.3, 0.7]), np.array([0.1, 0.9])
    found = mixture_density.density(net, params, x, t).diagonal()
    loss = net.loss(params, x=x[:, None], t=t[:, None])
    assert loss == pytest.approx(-np.log(found).mean(), rel=1e-5)  # the module computes in float32


def test_bits_are_the_logarithm_of_a_share_to_the_base_two():
    logits = np.log([[[1.0, 2, 5], [7, 1, 0.125]]])
    found = bits(logits + 50, np.array([[1, 2]]))
    np.testing.assert_allclose(found, [[2, 6.0224]], atol=1e-4)  # shares 2/8 and 1/65


def test_characters_as_frequent_as_another_cost_the_logarithm_of_their_number():
    assert entropy({"next_token": np.arange(32).reshape(4, 8) % 16}) == pytest.approx(4)


def test_modes_are_likely_maxima_inside_the_grid():
    density = np.array([[3, 1, 5, 2, 0.2, 0.4, 0, 2, 9.0]])
    assert np.flatnonzero(mixture_density.modes(density)[0]).tolist() == [2]
