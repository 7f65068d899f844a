"""Notes of a melody sung off pitch, as spectra around the note that was meant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bpgen.generators import Arrays, Declared

Vector = NDArray[np.float64]

NOTES = (45, 64)  # MIDI numbers: A2, 110 Hz, to E4, 330 Hz
OFF = 50.0  # cents: half a semitone, beyond which a note would be heard as its neighbour
DEEPEST = 40.0  # cents: vibrato goes this far to both sides, or less
BLUR = 4.0  # Hz: the line that a window of 40 ms makes of a pure tone
FLOOR = 1e-3  # of the strongest line: 60 dB below it
BREATH = 1e-2  # of the strongest line: noise

# Hz: the first three formants of five vowels, as in heed, head, hod, hawed, who'd (men).
FORMANTS = np.array(
    [[270, 2290, 3010], [530, 1840, 2480], [730, 1090, 2440], [570, 840, 2410], [300, 870, 2240]]
)
WIDTHS = np.array([60, 90, 150])  # Hz: how broad each formant is

CENTS = -100 + 25.0 * np.arange(128)  # where the spectrum is taken, above the note that was meant
HARMONICS = np.arange(1, 7)
PHASES = 2 * np.pi * np.arange(12) / 12


def sung_notes(_inputs: Declared, *, rows: int = 4000, seed: int = 0) -> Arrays:
    """Draw notes, vowels, vibrato and errors, and return the spectra a microphone would give.

    Formula:
        f0[n]      = 440 · 2^((note[n] + error[n]/100 - 69) / 12)
        f[n,φ]     = f0[n] · 2^(depth[n] sin φ / 1200)
        A[n,k]     = Π_j |F_j² / (F_j² - (k f0)² + i k f0 B_j)| / k
        line[n,b]  = Σ_k A[n,k] mean over φ of exp(-(f_b - k f[n,φ])² / (2 · 4²))
        level[n,b] = line[n,b] / max_b line[n,b] + 0.01 |z|,  z standard normal
        spectrum   = 1 + log10(level + 0.001) / 3

    f_b lies -100 … 3075 cents above the note that was meant, F_j are the formants of a vowel drawn
    from five and B_j their widths; a voice falls by 6 dB an octave outside of them.

    Shapes: spectrum[n,128], error[n,1].
    Units: frequencies in Hz, errors (uniform in ±50) and depths (uniform in 0 … 40) in cents,
    hundredths of a semitone; a spectrum is 0 at -60 dB and 1 at 0 dB.
    Source: Peterson & Barney 1952, Control methods used in a study of the vowels, table II; Fant
    1960, Acoustic theory of speech production, for voice as source and filter.
    """
    rng = np.random.default_rng(seed)
    meant = 440 * 2 ** ((rng.integers(NOTES[0], NOTES[1] + 1, (rows, 1)) - 69) / 12)
    error = rng.uniform(-OFF, OFF, (rows, 1))
    depth = rng.uniform(0, DEEPEST, (rows, 1))
    formants = FORMANTS[rng.integers(len(FORMANTS), size=rows)]
    sung = meant * 2 ** (error / 1200)
    line = np.zeros((rows, len(CENTS)))
    for k in HARMONICS:
        line += strength(k * sung, formants) / k * blurred(meant, k * sung, depth)
    level = line / line.max(axis=1, keepdims=True)
    level += BREATH * np.abs(rng.standard_normal(level.shape))
    return {"spectrum": 1 + np.log10(level + FLOOR) / 3, "error": error}


def strength(frequency: Vector, formants: NDArray[np.int64]) -> Vector:
    """Return how strongly the vocal tract passes `frequency[n,1]`, 1 for a slow one."""
    square = formants**2
    passed = square / (square - frequency**2 + 1j * frequency * WIDTHS)
    return np.asarray(np.abs(passed).prod(axis=1, keepdims=True))


def blurred(meant: Vector, frequency: Vector, depth: Vector) -> Vector:
    """Return the line of a tone at `frequency[n,1]` with vibrato, over the bins around a note."""
    bins = meant * 2 ** (CENTS / 1200)
    moved = [frequency * 2 ** (depth * np.sin(phase) / 1200) for phase in PHASES]
    return np.asarray(sum(np.exp(-(((bins - f) / BLUR) ** 2) / 2) for f in moved) / len(PHASES))
