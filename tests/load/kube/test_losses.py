"""When a worker is lost."""

from __future__ import annotations

import pytest

from tasks.load.kube.losses import Sighting, verdict
from tasks.load.kube.pods import PodState


def pod(**changes):
    """A pod at work."""
    facts = {"name": "w", "uid": "1", "worker": 0, "node": "n", "begun": True, "restarts": 0, "over": False, "exit_code": None}
    return PodState(**{**facts, "stuck": None, "waiting": None, **changes})


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (Sighting(pod(), 0, 1.0, ended=False), "well"),
        (Sighting(pod(), 0, 6.5, ended=False), "silent"),
        (Sighting(None, 0, 0.1, ended=False), "dead"),
        (Sighting(pod(over=True, exit_code=1), 0, 0.1, ended=False), "dead"),
        (Sighting(pod(restarts=1), 0, 0.1, ended=False), "dead"),
        (Sighting(pod(restarts=1), 1, 0.1, ended=False), "well"),
        (Sighting(pod(), 0, 0.1, ended=True), "dead"),
    ],
)
def test_a_worker_is_judged_by_its_pod_and_by_what_it_says(seen, wanted):
    """Its pod is gone or over, its process was replaced, or it ended too soon: dead. Silence alone is only a reason to look."""
    assert verdict(seen) == wanted
