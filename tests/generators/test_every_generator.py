"""Every data set that is made is the same each time, and what its formulas say."""

import numpy as np
import pytest

from bpgen.generators import generated, generators
from bpgen.generators.inverse_problem import NOISE, inverse_problem
from bpgen.generators.sung_notes import CENTS, FLOOR, FORMANTS, blurred, strength, sung_notes

ROWS = 11


@pytest.mark.parametrize("name", generators())
def test_the_same_call_gives_the_same_arrays_of_one_length(name):
    first, again = generated(name, {}), generated(name, {})
    assert first.keys() == again.keys()
    assert all((first[key] == again[key]).all() for key in first)
    assert len({len(array) for array in first.values()}) == 1


@pytest.mark.parametrize("make", [inverse_problem, sung_notes])
def test_another_seed_draws_other_rows(make):
    first, other = make({}, rows=ROWS, seed=1), make({}, rows=ROWS, seed=2)
    assert all(len(array) == ROWS for array in first.values())
    assert all((first[key] != other[key]).any() for key in first)


def test_effects_are_off_the_curve_by_no_more_than_the_noise():
    pairs = inverse_problem({}, rows=1009)
    off = pairs["x"] - pairs["t"] - 0.3 * np.sin(2 * np.pi * pairs["t"])
    assert 0.09 < abs(off).max() <= NOISE
    assert abs(off.mean()) < 0.01  # five standard errors of 0.058 / √1009


def test_a_spectrum_is_strongest_where_the_voice_is_and_silent_nowhere():
    song = sung_notes({}, rows=101)
    assert song["spectrum"].min() >= 1 + np.log10(FLOOR) / 3
    assert song["spectrum"].max(axis=1).min() > 0.95
    assert abs(song["error"]).max() <= 50


def test_the_lowest_line_lies_as_far_from_the_note_as_the_error_says():
    song = sung_notes({}, rows=101, seed=3)
    lowest = CENTS < 600  # below the octave there is one harmonic
    height = 10 ** (3 * (song["spectrum"][:, lowest] - 1)) - FLOOR
    height *= height > height.max(axis=1, keepdims=True) / 5
    centre = (height * CENTS[lowest]).sum(axis=1) / height.sum(axis=1)
    # A line that the window blurs on a scale of Hz leans in cents, by less than a bin.
    assert np.median(abs(centre - song["error"][:, 0])) < 10
    assert np.corrcoef(centre, song["error"][:, 0])[0, 1] > 0.95


def test_a_tone_without_vibrato_is_a_bell_of_the_window_s_width():
    meant, still = np.array([[220.0]]), np.array([[0.0]])
    bins = 220 * 2 ** (CENTS / 1200)
    np.testing.assert_allclose(
        blurred(meant, meant, still)[0], np.exp(-((bins - 220) ** 2) / 32), rtol=1e-12
    )


def test_a_formant_passes_by_its_frequency_over_its_width_and_slow_tones_unchanged():
    vowel = FORMANTS[:1]
    assert strength(np.array([[1e-3]]), vowel) == pytest.approx(1, rel=1e-9)
    at, above = (strength(np.array([[f]]), vowel)[0, 0] for f in (270.0, 1000.0))
    assert at == pytest.approx(270 / 60, rel=0.05)  # the other two formants add a little
    assert above < 1
