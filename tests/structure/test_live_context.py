"""On which cluster ``make live`` may run: decided from names alone, before anything is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.base.errors import PreflightError
from tests.live.context import NAMED, YES, Names, absent, chosen, refusal
from tests.structure.code import ROOT


@pytest.mark.parametrize("name", ["kind-mine", "kind", "k3d-a", "minikube", "minikube-2", "tidegauge-live"])
def test_clusters_for_trials_are_allowed_by_their_names(name: str):
    """Nothing has to be said."""
    assert refusal(name, "") is None
    assert chosen({NAMED: name}) == name


@pytest.mark.parametrize("name", ["prod", "arn:aws:eks:eu-central-1:1:cluster/kind-mine", "kindly", "my-minikube", "k3ds", "Kind-a"])
def test_all_others_are_refused_unless_it_is_said(name: str):
    """In one sentence that names what to set; what was said is enough."""
    with pytest.raises(PreflightError, match=f"{NAMED}=.*does not look like a cluster for trials.*set {YES}=1"):
        chosen({NAMED: name})

    assert chosen({NAMED: name, YES: "1"}) == name


def test_without_a_name_the_tests_have_a_cluster_of_their_own():
    """An empty one is none."""
    assert chosen({}) is None
    assert chosen({NAMED: "", YES: "1"}) is None


def node(*names: str, **spec: bool) -> dict[str, object]:
    """A node with these images."""
    return {"spec": spec, "status": {"images": [{"names": [name]} for name in names]}}


def test_an_image_has_to_be_on_every_node_that_takes_pods():
    """One that is cordoned does not count; where no node is seen, nothing is there."""
    nodes = [node("a.test/x:1", "docker.io/library/busybox:1"), node("a.test/x:1", unschedulable=False), node(unschedulable=True)]

    assert absent(["a.test/x:1"], nodes) == []
    assert absent(["busybox:1", "a.test/x:1"], nodes) == ["busybox:1"]
    assert absent(["busybox:1"], nodes[:1]) == []
    assert absent(["a.test/x:1"], []) == ["a.test/x:1"]


def test_names_of_namespaces_are_known_until_they_are_gone():
    """Two are never the same; those of others are not looked for."""
    names = Names("mine-", [])
    first, second = names.new("apps"), names.new("apps")

    assert first.startswith("mine-apps-")
    assert first != second
    assert names.among(["default", second]) == [second]


def asked(tmp_path: Path, context: str) -> subprocess.CompletedProcess[str]:
    """``make live`` on that context, as far as it comes."""
    argv = [sys.executable, "-m", "pytest", "tests/live/test_recipe.py", "-q", "--collect-only", "-p", "no:cacheprovider"]
    env = {name: value for name, value in os.environ.items() if name != YES} | {NAMED: context, "KUBECONFIG": str(tmp_path / "none")}
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_the_suite_refuses_before_its_first_test(tmp_path: Path):
    """A usage error, and nothing else is said."""
    ran = asked(tmp_path, "prod")

    assert ran.returncode == 4
    assert ran.stderr.startswith(f"ERROR: {NAMED}=prod does not look like a cluster for trials")
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "collected" not in ran.stdout
