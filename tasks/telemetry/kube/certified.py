"""The data certificate of what was collected in a cluster: counts by each target's own interval, and how often the kubelets looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tasks.telemetry.certificate import Certificate, certify
from tasks.telemetry.kube.cadence import cadence_of
from tasks.telemetry.samples import Samples
from tasks.telemetry.series import Series


def certified(
    series: Sequence[Series], samples: Samples, *, span: tuple[float, float], rounds: Mapping[str, Any] | None = None
) -> Certificate:
    """
    Certify a recording of the kubelet source.

    Args:
        series: Its series.
        samples: All its samples.
        span: First and last wall time at which there should be samples.
        rounds: What the collector told of its rounds (:mod:`tasks.telemetry.kube.rounds`).
    """
    return replace(certify(series, samples, interval_s=None, span=span), cadence=cadence_of(series, samples), rounds=rounds)
