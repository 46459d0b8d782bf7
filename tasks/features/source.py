"""What features are made from: the series of a recording and their raw samples, as structural types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Series(Protocol):
    """One logical time series of a recording; the same (service, name, labels) is the same series in every recording."""

    @property
    def id(self) -> int:
        """Number of the series within its recording."""

    @property
    def name(self) -> str:
        """Metric name as it was exposed."""

    @property
    def service(self) -> str:
        """Service, or target, that the metric is about."""

    @property
    def role(self) -> str:
        """One of ``service``, ``container``, ``node``, ``harness``."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels without those that name a port or an instance."""


class Samples(Protocol):
    """Raw samples, one entry a sample."""

    @property
    def series(self) -> NDArray[np.int32]:
        """Series number of each sample."""

    @property
    def time_ms(self) -> NDArray[np.int64]:
        """Milliseconds since 1970, UTC."""

    @property
    def value(self) -> NDArray[np.float64]:
        """Value as exposed."""


@dataclass(frozen=True, slots=True)
class Block:
    """Series of one service that were scraped at the same moments: times ``(m,)`` in s, ascending; values ``(k, m)``, finite."""

    ids: tuple[int, ...]
    owner: tuple[str, ...]
    time_s: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Flat:
    """Finite samples in order of (series, time), each moment of a series once."""

    series: NDArray[np.int32]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]


def blocks(samples: Samples, owners: Mapping[int, tuple[str, ...]]) -> Iterator[Block]:
    """
    The samples of the wanted series as dense blocks, in order of owner and number.

    Args:
        samples: Raw samples in any order; non-finite ones are left out, of two at one moment the first entry stays.
        owners: Service, role and use of each wanted series, by its number. Only series of one owner share a block.

    Yields:
        Blocks; series without a sample are in none.
    """
    flat = _ordered(samples)
    wanted = np.array(sorted(owners), dtype=np.int32)
    begin = np.searchsorted(flat.series, wanted, side="left")
    end = np.searchsorted(flat.series, wanted, side="right")
    groups: dict[tuple[Any, ...], list[tuple[int, int, int]]] = {}
    for series, first, last in zip(wanted.tolist(), begin.tolist(), end.tolist(), strict=True):
        if first < last:
            key = (*owners[series], last - first, hash(flat.time_ms[first:last].tobytes()))
            groups.setdefault(key, []).append((series, first, last))
    for members in groups.values():
        number, first, last = members[0]
        yield Block(
            ids=tuple(series for series, _, _ in members),
            owner=owners[number],
            time_s=flat.time_ms[first:last] / 1000.0,
            values=np.stack([flat.value[a:b] for _, a, b in members]),
        )


def _ordered(samples: Samples) -> _Flat:
    series, time_ms, value = samples.series, samples.time_ms, samples.value
    step = np.diff(series)
    forward = (step > 0) | ((step == 0) & (time_ms[1:] >= time_ms[:-1]))
    if not forward.all():
        order = np.lexsort((time_ms, series))
        series, time_ms, value = series[order], time_ms[order], value[order]
        step = np.diff(series)
    keep = np.isfinite(value)
    if keep.size > 1:
        keep[1:] &= ~((step == 0) & (time_ms[1:] == time_ms[:-1]) & keep[:-1])
    if keep.all():
        return _Flat(series, time_ms, value)
    return _Flat(series[keep], time_ms[keep], value[keep])
