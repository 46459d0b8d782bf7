"""The generator's own code as it travels into pods: it comes with the plan, so that an image needs Locust and nothing else."""

from __future__ import annotations

from pathlib import Path

LOCUSTFILE = "tasks/load/journeys/locustfile.py"
FILES = (
    "tasks/__init__.py",
    "tasks/load/__init__.py",
    "tasks/load/buckets.py",
    "tasks/load/curve.py",
    "tasks/load/journeys/crew.py",
    LOCUSTFILE,
    "tasks/load/raw_log.py",
    "tasks/load/schedule.py",
    "tasks/load/script.py",
    "tasks/load/tally.py",
    "tasks/load/walk.py",
)
"""All that a generator imports beside Locust and the standard library, relative to the folder that holds ``tasks``."""
TOP = Path(__file__).resolve().parents[3]


def sources() -> dict[str, str]:
    """The text of each of :data:`FILES`, by its path."""
    return {name: (TOP / name).read_text() for name in FILES}
