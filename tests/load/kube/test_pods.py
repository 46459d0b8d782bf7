"""Pods as a real API server showed them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.load.kube.pods import state_of

PODS = json.loads(Path(__file__).with_name("pods.json").read_text())


def test_a_worker_at_work():
    """Its number, its node, and nothing wrong."""
    pod = state_of(PODS["running"])

    assert (pod.worker, pod.node, pod.begun, pod.over, pod.restarts, pod.exit_code) == (1, "node1", True, False, 0, None)
    assert (pod.stuck, pod.waiting) == (None, None)


def test_a_worker_whose_process_was_killed():
    """It runs again, and how the one before ended is known."""
    pod = state_of(PODS["restarted"])

    assert (pod.begun, pod.over, pod.restarts, pod.exit_code) == (True, False, 1, 137)


def test_what_a_mesh_puts_beside_the_generator_says_nothing_about_it():
    """The proxy comes first in the list, and was started again: the generator was not."""
    pod = json.loads(json.dumps(PODS["running"]))
    pod["status"]["containerStatuses"].insert(
        0, {"name": "istio-proxy", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    )

    assert (state_of(pod).restarts, state_of(pod).begun, state_of(pod).stuck) == (0, True, None)


def test_a_master_has_no_number():
    """It takes no share."""
    assert state_of(PODS["master"]).worker is None


@pytest.mark.parametrize(("name", "word"), [("no-image", "Image"), ("crashing", "CrashLoopBackOff")])
def test_what_will_never_start_says_why(name, word):
    """In the cluster's own words."""
    pod = state_of(PODS[name])

    assert word in pod.stuck
    assert pod.stuck == pod.waiting


def test_what_finds_no_node_waits():
    """It may yet find one."""
    pod = state_of(PODS["unschedulable"])

    assert (pod.begun, pod.stuck) == (False, None)
    assert pod.waiting.startswith("Unschedulable: ")


def test_a_worker_that_has_ended():
    """In order, for good."""
    pod = state_of(PODS["ended"])

    assert (pod.over, pod.begun, pod.exit_code) == (True, True, 0)
