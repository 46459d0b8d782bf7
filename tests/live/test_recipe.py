"""What ``make cluster`` does before it compiles anything, and how it keeps what was made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.live import cache
from tests.live.artifacts import binaries, prometheus_binary
from tests.live.cache import RECIPE, digest_of, kept
from tests.live.modules import BuildPlan, build_command, go_mod, read_plan
from tests.live.oci import Image, Layer, write_archive

ROOT = Path(__file__).resolve().parents[2]
RELEASE = """module k8s.io/kubernetes

require (
	github.com/google/cadvisor v0.56.2
	k8s.io/api v0.0.0
	k8s.io/client-go v0.0.0 // indirect
	k8s.io/klog/v2 v2.140.0
	k8s.io/utils v0.0.0-20260210185600-b8788abfbbc2
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/client-go => ./staging/src/k8s.io/client-go
)
"""


@pytest.fixture
def plan() -> BuildPlan:
    """The committed plan."""
    return read_plan(RECIPE / "binaries" / "build.toml")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tidegauge" / "cluster"


def test_parts_of_kubernetes_are_replaced_by_what_was_published(plan):
    """Those without a version of their own, and no others: one from another repository keeps its own."""
    text = go_mod(plan, RELEASE)

    published = "v0." + plan.modules["k8s.io/kubernetes"].removeprefix("v1.")
    assert [line for line in text.splitlines() if line.startswith("replace")] == [
        f"replace k8s.io/api => k8s.io/api {published}",
        f"replace k8s.io/client-go => k8s.io/client-go {published}",
    ]
    assert f"require k8s.io/kubernetes {plan.modules['k8s.io/kubernetes']}" in text


def test_stamps_say_the_versions_that_are_built(plan):
    """What a program prints as its version is the module's: Prometheus 3.16.0 is the module v0.316.0."""
    stamped = {variable.rpartition("/")[2]: value for variable, value in plan.stamps.items()}
    _, minor, patch = stamped["version.Version"].split(".")

    assert plan.modules["github.com/prometheus/prometheus"] == f"v0.3{int(minor):02}.{patch}"
    assert {plan.stamps[name] for name in plan.stamps if name.endswith("gitVersion")} == {plan.modules["k8s.io/kubernetes"]}


def test_everything_is_built_by_one_command(plan, tmp_path):
    """So that what the programs share is compiled once."""
    argv = build_command(plan, tmp_path)

    assert argv[:2] == ("go", "build")
    assert argv[-len(plan.packages) :] == tuple(plan.packages)
    assert f"{tmp_path}/" in argv


def test_the_key_follows_every_byte_and_name(tmp_path, monkeypatch):
    """A recipe with another byte, or the same bytes under another name, is another recipe."""
    monkeypatch.setattr(cache, "RECIPE", tmp_path)
    folder = tmp_path / "part"
    folder.mkdir()
    keys = []
    for name, text in (("one", "a"), ("one", "b"), ("two", "b")):
        for path in folder.iterdir():
            path.unlink()
        (folder / name).write_text(text)
        keys.append(digest_of("part"))

    assert len({*keys, digest_of("part", "more")}) == 4
    assert digest_of("part") == keys[-1]


def test_what_fails_leaves_nothing(own_cache):
    """A folder of the cache is whole or not there, and the next attempt finds no rest of the last."""

    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        kept("thing", fail)

    assert [path.name for path in own_cache.iterdir() if path.name != ".lock"] == []


def test_a_killed_builder_is_cleared_away(own_cache):
    """What it left has another name, and goes when the next one builds."""
    (own_cache / "thing.x.part").mkdir(parents=True)

    folder = kept("thing", lambda part: part.joinpath("whole").touch())

    assert [path.name for path in own_cache.iterdir() if path.name != ".lock"] == ["thing"]
    assert (folder / "whole").is_file()


def test_what_is_there_is_not_made_again(own_cache):
    """The second call makes nothing."""
    kept("thing", lambda part: part.joinpath("one").touch())

    folder = kept("thing", lambda part: part.joinpath("two").touch())

    assert [path.name for path in folder.iterdir()] == ["one"]


def test_nothing_is_found_in_an_empty_cache(own_cache):
    """And nothing is built by asking."""
    assert binaries() is None
    assert prometheus_binary() is None
    assert not own_cache.exists()


def make_cluster(path: str, cache_home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """``make cluster`` with programs from *path* alone and an empty cache."""
    given = {"PATH": path, "XDG_CACHE_HOME": str(cache_home), "HOME": str(cache_home), **env}
    return subprocess.run([sys.executable, "-m", "tests.live.build"], capture_output=True, text=True, check=False, env=given, cwd=ROOT)


def test_without_go_it_says_so(tmp_path):
    """In a sentence, with the code of something missing."""
    ran = make_cluster("/nonexistent", tmp_path)

    assert ran.returncode == 3
    assert ran.stderr.startswith("make cluster: Go is not installed")
    assert "Traceback" not in ran.stderr


def test_an_old_go_is_refused(tmp_path):
    """By its number, not by its name: 1.9 is older than 1.26."""
    program = tmp_path / "bin" / "go"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho go1.9.7\n")
    program.chmod(0o755)

    ran = make_cluster(f"{program.parent}:/bin:/usr/bin", tmp_path)

    assert ran.returncode == 3
    assert "go1.9.7 is too old" in ran.stderr


def archived(path: Path) -> dict[str, bytes]:
    """Files of an archive."""
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive.getmembers()}


def test_the_same_folders_give_the_same_archive(tmp_path):
    """Whenever their files were written, and by whom."""
    archives = []
    for number, when_s in enumerate((1_000_000, 2_000_000)):
        folder = tmp_path / str(number)
        (folder / "sub").mkdir(parents=True)
        for name in ("sub/b", "a") if number else ("a", "sub/b"):
            (folder / name).write_text(name)
            os.utime(folder / name, (when_s, when_s))
        write_archive(tmp_path / f"{number}.tar", [Image("x.test/y:1", [Layer(folder, "/to")], {"Cmd": ["z"]})])
        archives.append((tmp_path / f"{number}.tar").read_bytes())

    assert archives[0] == archives[1]


def test_an_archive_says_what_is_in_it(tmp_path):
    """Each name leads to a manifest, whose layers are in the archive, a shared one once."""
    for name in ("base", "top"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    base, top = Layer(tmp_path / "base"), Layer(tmp_path / "top", "/app")
    write_archive(tmp_path / "out.tar", [Image("x.test/one:1", [base], {}), Image("x.test/two:2", [base, top], {"Cmd": ["z"]})])

    files = archived(tmp_path / "out.tar")
    index = json.loads(files["index.json"])
    manifests = [json.loads(files[f"blobs/sha256/{one['digest'][7:]}"]) for one in index["manifests"]]
    assert [one["annotations"]["io.containerd.image.name"] for one in index["manifests"]] == ["x.test/one:1", "x.test/two:2"]
    described = [*index["manifests"], *(one for manifest in manifests for one in (manifest["config"], *manifest["layers"]))]
    assert [one["size"] for one in described] == [len(files[f"blobs/sha256/{one['digest'][7:]}"]) for one in described]
    assert manifests[0]["layers"] == manifests[1]["layers"][:1]
    layers = {layer["digest"][7:] for manifest in manifests for layer in manifest["layers"]}
    assert len(layers) == 2
    assert layers <= {name.removeprefix("blobs/sha256/") for name in files}
    config = json.loads(files[f"blobs/sha256/{manifests[1]['config']['digest'][7:]}"])
    assert config["config"] == {"Cmd": ["z"]}
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifests[1]["layers"]]
