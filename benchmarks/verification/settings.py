"""What a run of the measurements is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The seed, which part of all mistakes is tried, and how long random networks are proved.

    Of every `share` mistakes one is tried, and with a scaled loss one of `scaled` of these; of
    every `peers` of those tried, one is shown to other tools. `points` are right gradients.
    """

    seed: int
    share: int
    scaled: int
    peers: int
    points: int
    networks: int
    minutes: float
