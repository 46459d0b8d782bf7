"""The Dockerfile has what the images' programs import, and makes the same images as those of the test cluster."""

from __future__ import annotations

import json
import re
import sys
import tomllib

import pytest

from tasks.artifacts.fingerprint import fingerprint
from tests.structure.code import ROOT, imports

STAGES = {
    match["name"]: match["body"].replace("\\\n", " ")
    for match in re.finditer(
        r"^FROM \$\{BASE\} AS (?P<name>[a-z-]+)\n(?P<body>(?:(?!FROM ).*\n?)*)", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
}
PLACES = {"shop": "tasks.shop", "locust": "tasks.load.journeys.locustfile"}
DISTRIBUTIONS = {"prometheus_client": "prometheus-client", "gevent": "locust"}
"""Packages that bring what is imported, where the name is another one."""


def copied(stage: str) -> list[str]:
    """Paths of the checkout that a stage takes."""
    return [words.split()[0] for words in re.findall(r"^COPY (?!--)(.+)$", STAGES[stage], re.MULTILINE)]


@pytest.mark.parametrize("stage", sorted(PLACES))
def test_every_module_that_is_imported_is_copied(stage):
    """By the program itself, or by what it imports."""
    missing = [
        name for name in fingerprint([PLACES[stage]]).modules if not any(f"{name}/".startswith(f"{path}/") for path in copied(stage))
    ]

    assert missing == []


@pytest.mark.parametrize("stage", sorted(PLACES))
def test_every_package_that_is_imported_is_installed(stage):
    """Those of the standard library and of the project are there anyway."""
    modules = [ROOT / name for name in fingerprint([PLACES[stage]]).modules if name.endswith(".py")]
    tops = {name.split(".")[0] for path in modules for name, _ in imports(path)} - set(sys.stdlib_module_names) - {"tasks"}
    installed = re.search(r"--constraint \S+ (.+)$", STAGES[f"{stage}-packages"], re.MULTILINE)

    assert installed is not None
    assert {DISTRIBUTIONS.get(name, name) for name in tops} == set(installed[1].split())


def test_the_image_for_nodes_needs_nothing_of_the_checkout():
    """What runs in it comes with the pod: Python and iptables are enough."""
    config = tomllib.loads((ROOT / "tests/live/recipe/own/own.toml").read_text())["images"]["fault"]

    assert copied("fault") == config["places"] == []
    assert "iptables" in STAGES["fault"]
    assert config["config"]["Cmd"] == ["python3"]


def test_nothing_is_built_from_files_that_are_left_out():
    """The build's context holds what is copied and nothing of the rest of the checkout."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")} - {"tasks"}

    assert {path for stage in STAGES for path in copied(stage)} == allowed


@pytest.mark.parametrize("stage", sorted(PLACES))
def test_the_test_clusters_images_are_started_alike(stage):
    """Same folder, user and program: a manifest that works on one works on the other."""
    config = tomllib.loads((ROOT / "tests/live/recipe/own/own.toml").read_text())["images"][stage]["config"]
    said = dict(re.findall(r"^(WORKDIR|USER|ENTRYPOINT|ENV) (.+)$", STAGES[stage], re.MULTILINE))

    assert (config["WorkingDir"], config["User"], config["Entrypoint"]) == (said["WORKDIR"], said["USER"], json.loads(said["ENTRYPOINT"]))
    assert set(said["ENV"].split()) == {one for one in config["Env"] if not one.startswith("PATH=")}
