"""A project as a reader of the documentation has it: the checkout's data, an environment, and a store with a run in it."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.generated import ROOT
from tests.stored_run import copied_run


@dataclass(frozen=True)
class Project:
    """A folder to type commands in."""

    folder: Path
    environment: dict[str, str]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An own copy for each page: what one page does, another one never sees."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copy2(ROOT / "Makefile", folder / "Makefile")
    (folder / ".venv").symlink_to(sys.prefix)
    copied_run(folder / "tidegauge-data")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TIDEGAUGE_"))}
    return Project(folder, {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}", "NO_COLOR": "1"})
