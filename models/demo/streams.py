"""Random streams: one per table, keyed by name, so that a new table changes no other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Streams:
    """Source of independent, named random generators for one seed."""

    seed: int

    def __call__(self, name: str) -> np.random.Generator:
        """Return a fresh generator for `name`; the same name always gives the same numbers."""
        digest = hashlib.sha256(name.encode()).digest()
        key = tuple(int.from_bytes(digest[i : i + 4], "big") for i in range(0, 16, 4))
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
