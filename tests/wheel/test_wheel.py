"""The wheel as somebody else has it: built offline, installed into an empty folder, used from another one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.stored_run import copied_run

SOURCES = ("flows", "tasks", "tidegauge", "configs")
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")


def pip(*arguments: str, where: Path) -> None:
    """Run pip without an index and without building anything in isolation."""
    argv = [sys.executable, "-m", "pip", *arguments, "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(argv, cwd=where, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy of the checkout, so that nothing is left in it."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, source / name)
    pip("wheel", ".", "--no-build-isolation", "--wheel-dir", "dist", where=source)
    (found,) = (source / "dist").glob("*.whl")
    return found


@dataclass(frozen=True)
class Installed:
    """An installation, and an empty folder to work in."""

    target: Path
    here: Path

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python with the installation first on its path."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TIDEGAUGE_"))}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.here,
            env={**kept, "PYTHONPATH": str(self.target), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def tidegauge(self, *arguments: str) -> str:
        """What a command prints; it ends with 0."""
        done = self.python("-m", "tidegauge", *arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout[-1000:]}{done.stderr[-1000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory) -> Installed:
    target, here = tmp_path_factory.mktemp("target"), tmp_path_factory.mktemp("elsewhere")
    pip("install", str(wheel), "--target", str(target), where=here)
    return Installed(target, here)


def test_everything_that_is_needed_is_in_it(wheel):
    """Code, shipped data, journeys, templates of the page and of projects, the licence; and nothing else."""
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (("flows", "flows"), ("tasks", "tasks"), ("tidegauge", "tidegauge"), ("configs", "tidegauge/configs")):
        wanted = {
            f"{inside}/{path.relative_to(ROOT / folder).as_posix()}"
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert wanted <= names, sorted(wanted - names)[:5]
    for name in (
        "tasks/reporting/templates/page.html.j2",
        "tidegauge/configs/journeys/sock-shop.yaml",
        "tasks/load/journeys/locustfile.py",
    ):
        assert name in names
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"flows", "tasks", "tidegauge"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_is_the_installation_that_runs(installed):
    """Not the checkout: every package comes from the target."""
    done = installed.python(
        "-c", "import flows.cli, tasks.base.shipped as s, tidegauge; print(flows.__path__[0], s.shipped(''), tidegauge.__file__)"
    )
    assert [Path(text).is_relative_to(installed.target) for text in done.stdout.split()] == [True, True, True], done.stderr


def test_help_is_there(installed):
    """The first thing that anybody types."""
    assert "Usage: tidegauge COMMAND" in installed.tidegauge("--help")
    assert (installed.target / "bin" / "tidegauge").is_file()


@pytest.mark.parametrize("template", ["demo", "own-app"])
def test_a_project_is_started_checked_and_planned(installed, template):
    """From another folder, with nothing but the wheel."""
    installed.tidegauge("init", template, "--template", template)

    assert "is valid" in installed.tidegauge("check", f"{template}/experiment.yaml")
    assert "ETA" in installed.tidegauge("plan", f"{template}/experiment.yaml")
    schema = json.loads((installed.here / template / "experiment.schema.json").read_text())
    assert schema["properties"]["recordings"]


@pytest.mark.parametrize("document", ["demo.yaml", "quick.yaml", "baseline-long.yaml"])
def test_shipped_documents_are_planned_where_they_were_installed(installed, document):
    """The data in the wheel are those of the checkout, and find each other there."""
    assert "ETA" in installed.tidegauge("plan", str(installed.target / "tidegauge" / "configs" / document))


def test_a_stored_run_is_evaluated(installed):
    """Answered from the record: the code in the wheel is the code that made it."""
    store = copied_run(installed.here / "tidegauge-data")

    answer = json.loads(installed.tidegauge("evaluate", "--run", "latest", "--json"))

    assert answer["status"] == "complete"
    assert {stage["outcome"] for stage in answer["stages"]} == {"cached"}
    assert len(list((store.root / "runs").iterdir())) == 1
    assert answer == json.loads(installed.tidegauge("evaluate", "--json"))
