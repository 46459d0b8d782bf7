"""Where shipped data files are found."""

import shutil
import subprocess
import sys

import pytest

from tasks.base.errors import PreflightError
from tasks.base.shipped import shipped, shipped_root


def test_in_a_checkout_they_are_in_configs(root):
    """The folder that is edited is the one that is read."""
    assert shipped_root() == root / "configs"
    assert shipped("apps/demo-shop.yaml") == root / "configs" / "apps" / "demo-shop.yaml"


def test_installed_they_are_beside_the_package(root, tmp_path):
    """Laid out like a wheel in another folder, the same call finds tidegauge/configs."""
    shutil.copytree(root / "tasks" / "base", tmp_path / "tasks" / "base")
    (tmp_path / "tasks" / "__init__.py").touch()
    shutil.copytree(root / "configs", tmp_path / "tidegauge" / "configs")
    code = "from tasks.base.shipped import shipped; print(shipped('apps/demo-shop.yaml'))"

    found = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout.strip() == str(tmp_path / "tidegauge" / "configs" / "apps" / "demo-shop.yaml")


@pytest.mark.parametrize("name", ["../README.md", "/etc/passwd", "apps/../../x", "a\0b", "apps/none.yaml"])
def test_nothing_else_is_found(name):
    """No path leads out of the folder, and a missing file is a sentence."""
    with pytest.raises(PreflightError):
        shipped(name)
