"""What the tests of the load share."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture
def target(tmp_path):
    """A small real web server."""
    spec = importlib.util.spec_from_file_location("load_target", Path(__file__).with_name("target.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path / "target"
    folder.mkdir()
    with module.running(folder) as target:
        yield target
