"""Detectors that know nothing, or next to nothing: what any measure must be read beside."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.detectors import config
from tasks.detectors.base import Parts, Rows, checked
from tasks.detectors.scaling import Scaler


def random_scores(rows: Rows, seed: int, draws: int) -> NDArray[np.float64]:
    """
    *draws* independent uniform scores of each row, ``(draws, n)``.

    The bytes of *rows* take part in the seed: two recordings get unrelated scores, the same one always the same.
    """
    key = zlib.crc32(np.ascontiguousarray(rows).data.cast("B")) if rows.size else 0
    return np.stack([np.random.default_rng([seed, draw, key]).random(rows.shape[0]) for draw in range(draws)])


@dataclass(frozen=True, slots=True)
class FittedRandom:
    """Random scores; :meth:`draws` has all of them, :meth:`score` the first."""

    seed: int
    seeds: int
    name: str = "random"

    def draws(self, rows: Rows) -> NDArray[np.float64]:
        """One row of scores a draw, ``(seeds, n)``: measures are taken of each and then averaged."""
        return random_scores(rows, self.seed, self.seeds)

    def score(self, rows: Rows, /) -> NDArray[np.float64]:
        """Uniform in [0, 1)."""
        return np.asarray(random_scores(rows, self.seed, 1)[0])

    def contributions(self, rows: Rows, /) -> None:
        """None: it does not look at the columns."""

    def parts(self) -> Parts:
        """Its two numbers."""
        return Parts(settings={"seed": self.seed, "seeds": self.seeds})

    @classmethod
    def of(cls, parts: Parts) -> FittedRandom:
        """The detector whose parts were saved."""
        return cls(int(parts.settings["seed"]), int(parts.settings["seeds"]))


@dataclass(frozen=True, slots=True)
class Random:
    """Random scores."""

    settings: config.Random
    name: str = "random"
    family: str = "floor"

    def fit(self, normal: Rows, /, *, resolution: NDArray[np.float64], seed: int) -> FittedRandom:
        """Learn nothing but the seed."""
        checked(normal, resolution)
        return FittedRandom(seed, self.settings.seeds)


@dataclass(frozen=True, slots=True)
class FittedNorm:
    """Euclidean length of the scaled row."""

    scaler: Scaler
    name: str = "norm"

    def score(self, rows: Rows, /) -> NDArray[np.float64]:
        """Length of each scaled row."""
        scaled = self.scaler(rows)
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", scaled, scaled)), dtype=np.float64)

    def contributions(self, rows: Rows, /) -> NDArray[np.float64]:
        """Squared scaled values."""
        return np.square(self.scaler(rows).astype(np.float64))

    def parts(self) -> Parts:
        """The scaler."""
        return Parts(arrays=self.scaler.arrays())

    @classmethod
    def of(cls, parts: Parts) -> FittedNorm:
        """The detector whose parts were saved."""
        return cls(Scaler.of(parts.arrays))


@dataclass(frozen=True, slots=True)
class Norm:
    """Euclidean length of the scaled row."""

    settings: config.Norm
    name: str = "norm"
    family: str = "floor"

    def fit(self, normal: Rows, /, *, resolution: NDArray[np.float64], seed: int) -> FittedNorm:  # noqa: ARG002 -- nothing random
        """Learn the scale of each column."""
        return FittedNorm(Scaler.learn(normal, resolution))


@dataclass(frozen=True, slots=True)
class FittedConstant:
    """Zero for every row."""

    name: str = "constant"

    def score(self, rows: Rows, /) -> NDArray[np.float64]:
        """Zeros."""
        return np.zeros(rows.shape[0])

    def contributions(self, rows: Rows, /) -> None:
        """None: it does not look at the columns."""

    def parts(self) -> Parts:
        """Nothing."""
        return Parts()

    @classmethod
    def of(cls, parts: Parts) -> FittedConstant:  # noqa: ARG003 -- there are none
        """The detector whose parts were saved."""
        return cls()


@dataclass(frozen=True, slots=True)
class Constant:
    """Zero for every row."""

    settings: config.Constant
    name: str = "constant"
    family: str = "floor"

    def fit(self, normal: Rows, /, *, resolution: NDArray[np.float64], seed: int) -> FittedConstant:  # noqa: ARG002 -- nothing random
        """Learn nothing."""
        checked(normal, resolution)
        return FittedConstant()
