"""The section ``telemetry``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.telemetry.config import TelemetryConfig
from tasks.telemetry.plan import ScrapePlan
from tasks.telemetry.targets import Target


def test_the_section_becomes_a_plan(tmp_path: Path) -> None:
    """Settings arrive in the plan, and the plan survives its file."""
    config = TelemetryConfig.model_validate({"sources": ({"kind": "scrape", "interval_s": 2, "timeout_s": 1},), "flush_s": 10})

    plan = ScrapePlan.of(config.source, config.flush_s, [Target("orders", "service", "http://127.0.0.1:1/metrics")], tmp_path)
    plan.write(tmp_path / "plan.json")

    assert (plan.interval_s, plan.timeout_s, plan.flush_s) == (2, 1, 10)
    assert ScrapePlan.read(tmp_path / "plan.json") == plan


@pytest.mark.parametrize(
    "section",
    [
        {"sources": ({"kind": "scrape", "interval_s": 1, "timeout_s": 2},)},
        {"sources": ()},
        {"sources": ({"kind": "guess"},)},
        {"sources": ({"kind": "scrape", "hosts": ("http://x",)},)},
        {"flush_s": 0},
        {"required_metrics": ("a b",)},
    ],
)
def test_what_cannot_work_is_refused(section: dict[str, object]) -> None:
    """A timeout beyond the interval, no source, an unknown one, a host that is an address."""
    with pytest.raises(ValidationError):
        TelemetryConfig.model_validate(section)


def test_the_section_loads_light() -> None:
    """Checking a document imports neither Arrow nor numpy."""
    code = "import sys, tasks.telemetry.config; print([m for m in ('pyarrow', 'numpy', 'asyncio') if m in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
