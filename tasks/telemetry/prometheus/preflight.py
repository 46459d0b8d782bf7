"""What is asked of a server before it is read, and of what came: each refusal a sentence with the next step."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tasks.base.errors import PreflightError
from tasks.base.files import DISK_FACTOR
from tasks.telemetry.prometheus.adapter import Unreachable
from tasks.telemetry.prometheus.client import Client, ServerFacts
from tasks.telemetry.prometheus.errors import MalformedReply, ServerRefused
from tasks.telemetry.prometheus.selectors import Matcher
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
    empty = [text for text, matchers in zip(texts, selectors, strict=True) if not any(matches(matchers, one) for one in series)]
    if empty:
        raise PreflightError(
            f"{name} has no sample for {' and '.join(empty)} in that time",
            next_step="look its metrics up in the server's own page, or mend the selector",
        )


def matches(matchers: Sequence[Matcher], one: Series) -> bool:
    """Whether the series fits all *matchers*; regular expressions as Python reads them, which is RE2's way in all but rarities."""
    for matcher in matchers:
        value = one.name if matcher.name == "__name__" else one.labels.get(matcher.name, "")
        fits = value == matcher.value if matcher.op in ("=", "!=") else _fits(matcher.value, value)
        if fits == (matcher.op in ("!=", "!~")):
            return False
    return True


def _fits(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value, re.DOTALL) is not None
    except re.error:
        return True  # RE2 took it, and the server answered: it is not for us to judge
