"""What is asked of a server before it is read, and of what came: each refusal a sentence with the next step."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.base.errors import PreflightError
from tasks.base.files import DISK_FACTOR
from tasks.telemetry.prometheus.adapter import Unreachable
from tasks.telemetry.prometheus.client import Client, ServerFacts
from tasks.telemetry.prometheus.errors import MalformedReply, ServerRefused
from tasks.telemetry.prometheus.selectors import Matcher, to_promql
from tasks.telemetry.series import Series

BYTES_A_SAMPLE = 1.6
"""On disk; measured 1.1 to 1.4."""
AT_ONCE_S = 5.0
"""A look that failed within it is tried again."""


def looked_over(client: Client, way: str = "auto") -> ServerFacts:
    """
    What the server says of itself.

    Raises:
        PreflightError: It does not answer, or not as a Prometheus.
    """
    name = client.adapter.name
    try:
        facts = _looked_at(client)
    except Unreachable as error:
        raise PreflightError(f"no Prometheus answers: {error}", next_step=f"see that {name} is its address and that it runs") from error
    except (MalformedReply, ServerRefused) as error:
        raise PreflightError(f"{name} is no Prometheus: {error}", next_step="give the address under which its API lies") from error
    return facts.read_by(way, "as it was asked for")


def _looked_at(client: Client) -> ServerFacts:
    """What it says at the first look, or at the second: a kept connection may be closed by the other side just when it is used again."""
    begun_s = client.clock.monotonic_s()
    try:
        return client.facts()
    except Unreachable:
        if client.clock.monotonic_s() - begun_s > AT_ONCE_S:  # it was waited for, in vain
            raise
        return client.facts()


def require_readable(client: Client, texts: Sequence[str], selectors: Sequence[Sequence[Matcher]]) -> None:
    """
    Refuse a selector whose regular expression the server cannot read: asked for its samples, it may call that its own failure.

    Raises:
        PreflightError: Names the selector, and has the server's words.
    """
    for text, matchers in zip(texts, selectors, strict=True):
        if all(one.op in ("=", "!=") for one in matchers):
            continue
        try:
            client.api("/api/v1/query", query=to_promql(matchers), time="0")
        except ServerRefused as error:
            raise PreflightError(f"{client.adapter.name} cannot read {text}: {error.said}", next_step="mend the selector") from error
        except (Unreachable, MalformedReply):
            return  # it is asked again, and then with patience


def require_room(place: Path, samples: int | None, usage: Callable[[Path], Any] = shutil.disk_usage) -> None:
    """
    Refuse what the disk has no room for, by an estimate of *samples* (None: not known) times 1.5.

    Raises:
        PreflightError: There is less.
    """
    needed, free = (samples or 0) * BYTES_A_SAMPLE * DISK_FACTOR, usage(place).free
    if free < needed:
        raise PreflightError(
            f"{free / 1e9:.2f} GB are free at {place}, and about {samples:,} samples need {needed / 1e9:.2f} GB",
            next_step="free some space, use --store on another disk, or ask for less with --match",
        )


def require_matches(name: str, texts: Sequence[str], selectors: Sequence[Sequence[Matcher]], series: Sequence[Series]) -> None:
    """
    Refuse a selector that found nothing: a server answers ``success`` to a name that it never heard of.

    Raises:
        PreflightError: Names each of them.
    """
    empty = [text for text, matchers in zip(texts, selectors, strict=True) if not fitting(matchers, series).any()]
    if empty:
        raise PreflightError(
            f"{name} has no sample for {' and '.join(empty)} in that time",
            next_step="look its metrics up in the server's own page, or mend the selector",
        )


def fitting(matchers: Sequence[Matcher], series: Sequence[Series]) -> NDArray[np.bool_]:
    """Which of *series* fit all *matchers*, shape ``(n_series,)``; regular expressions are read by RE2, as the server reads them."""
    found = np.ones(len(series), np.bool_)
    for matcher in matchers:
        values = [one.name if matcher.name == "__name__" else one.labels.get(matcher.name, "") for one in series]
        if matcher.op in ("=", "!="):
            fits = np.array([value == matcher.value for value in values], np.bool_)
        else:
            fits = _fitting(matcher.value, values)
        found &= fits != (matcher.op in ("!=", "!~"))
    return found


def _fitting(pattern: str, values: Sequence[str]) -> NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        fits = pc.match_substring_regex(pa.array(values, pa.large_string()), pattern=f"^(?s:{pattern})$")
    except pa.ArrowInvalid:
        return np.ones(len(values), np.bool_)  # the server took it, and answered: it is not for us to judge
    return np.array(fits.to_pylist(), np.bool_)
