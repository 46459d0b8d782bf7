"""What happened in each second, counted as it happens: plain Python, cheap enough to run inside the load generator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tasks.load.buckets import bucket_of


class Result(StrEnum):
    """How a request ended."""

    OK = "ok"
    DECLINED = "declined"
    FAILED = "failed"


@dataclass(slots=True)
class EndpointCount:
    """Requests of one endpoint in one second; the histograms are counts by bucket."""

    requests: int = 0
    failures: int = 0
    declined: int = 0
    own: dict[int, int] = field(default_factory=dict)
    intended: dict[int, int] = field(default_factory=dict)

    def to_json(self) -> list[Any]:
        """``[requests, failures, declined, own buckets, own counts, intended buckets, intended counts]``."""
        own, intended = sorted(self.own), sorted(self.intended)
        return [
            *(self.requests, self.failures, self.declined),
            *(own, [self.own[bucket] for bucket in own]),
            *(intended, [self.intended[bucket] for bucket in intended]),
        ]


@dataclass(slots=True)
class SecondCount:
    """Everything counted in one second."""

    started: int = 0
    completed: int = 0
    lag_s: float = 0.0
    late_s: float = 0.0
    endpoints: dict[str, EndpointCount] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The counted part of a row of the raw log."""
        return {
            "journeys_started": self.started,
            "journeys_completed": self.completed,
            "lag_s": round(self.lag_s, 4),
            "late_s": round(self.late_s, 4),
            "endpoints": {name: count.to_json() for name, count in sorted(self.endpoints.items())},
        }


@dataclass(slots=True)
class Tally:
    """Counts by second since 1970; a request belongs to the second in which its reply was complete."""

    open: dict[int, SecondCount] = field(default_factory=dict)

    def second(self, second: int) -> SecondCount:
        """The counts of *second*."""
        found = self.open.get(second)
        if found is None:
            found = self.open[second] = SecondCount()
        return found

    def request(self, second: int, endpoint: str, result: Result, *, own_s: float, lag_s: float) -> None:
        """
        Count a request that ended in *second*.

        Args:
            second: Seconds since 1970.
            endpoint: Method and path template.
            result: How it ended.
            own_s: From sending it until its reply was complete, in seconds.
            lag_s: How much later than intended its journey had started, in seconds.
        """
        endpoints = self.second(second).endpoints
        count = endpoints.get(endpoint)
        if count is None:
            count = endpoints[endpoint] = EndpointCount()
        count.requests += 1
        count.failures += result is Result.FAILED
        count.declined += result is Result.DECLINED
        own, intended = bucket_of(own_s), bucket_of(own_s + lag_s)
        count.own[own] = count.own.get(own, 0) + 1
        count.intended[intended] = count.intended.get(intended, 0) + 1

    def started(self, second: int, *, lag_s: float, late_s: float) -> None:
        """
        Count a journey that started in *second*.

        Args:
            second: Seconds since 1970.
            lag_s: How much later than intended, whatever the reason.
            late_s: The part of it that the generator itself is to blame for: its user was free and did not run.
        """
        count = self.second(second)
        count.started += 1
        count.lag_s = max(count.lag_s, lag_s)
        count.late_s = max(count.late_s, late_s)

    def completed(self, second: int) -> None:
        """Count a journey whose last request ended in *second*."""
        self.second(second).completed += 1

    def close(self, before: int) -> Iterator[tuple[int, SecondCount]]:
        """Hand out, and forget, the counts of all seconds before *before*, in order."""
        for second in sorted(second for second in self.open if second < before):
            yield second, self.open.pop(second)


def result_of(status: int, declined: tuple[int, ...]) -> Result:
    """
    How a request with this *status* ended.

    A transport error (0), a 5xx and a 4xx that the journey does not expect are failures.
    """
    if status in declined:
        return Result.DECLINED
    return Result.FAILED if status == 0 or status >= 400 else Result.OK
