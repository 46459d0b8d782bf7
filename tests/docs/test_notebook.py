"""The notebook: its code cells, in order, in one process, without Jupyter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.docs.conftest import Project
from tests.docs.generated import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_cells_run_in_order(path, project: Project):
    """Every code cell runs on a stored run, and starts from open_run."""
    cells = ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert "tidegauge.open_run(" in cells[0]
    program = "import json, sys\nspace = {}\nfor cell in json.load(sys.stdin):\n    exec(compile(cell, '<cell>', 'exec'), space)\n"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(cells),
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_nothing_is_kept_of_an_earlier_run(path):
    """No outputs, no counts, an id for each cell: a notebook is source."""
    cells = json.loads(path.read_text())["cells"]
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in cells)
    assert len({cell["id"] for cell in cells}) == len(cells)
